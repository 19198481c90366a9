"""Solvency: a run over all chunks concludes exactly if every account is counted once and the row covers them."""

from __future__ import annotations

import pytest
from support.statements import BODY_CELLS, Stage, Statement, contract

ALICE, BOB, CAROL, EVE, MALLORY = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xCA, 0xE7, 0x3A))
USDC = 1_000_000
ROOT, RISK = 4711, 77
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
K = 1
HELD = {3: (ALICE, 41 * USDC), 4: (BOB, 33 * USDC), 5: (CAROL, 19 * USDC), 1: (EVE, 2 * USDC), 2: (EVE, 5 * USDC)}
NETS = [[4, -6, 0, 0, 1], [-5, 6, 0, 0, 0], [1, 0, 0, 0, -1]]


def fails(reason: str, contract: str = "Solvency"):
    return pytest.raises(Exception, match=f"^{contract}: {reason}$")


@pytest.fixture
def stage(chain) -> Stage:
    """Accounts 1 to 5 with 100 USDC, in chunks of two, and 4 entries that no batch answered, 12 USDC of deposits among them."""
    stage = Stage(chain, chunk_exponent=K)
    for who, amount in ((ALICE, 50), (BOB, 30), (CAROL, 20)):
        stage.deposit(who, amount * USDC)
    stage.tell("record", 4, 1000 * chain.time_s, RISK)
    stage.tell("finalise", ROOT, 3, 4)
    stage.deposit(ALICE, 7 * USDC, 3)
    stage.enqueue(2, 4, BOB, 11, 12)
    stage.enqueue(3, 4, BOB, 30 * USDC)
    stage.deposit(EVE, 5 * USDC, 4)
    chain.fund(MALLORY)
    return stage


def chunks(held=HELD, nets=NETS, below=(0, 0, 0)) -> list[Statement]:
    made = []
    for i in range(3):
        lines = {account: line for account, line in held.items() if account >> K == i}
        fund = held[2][1] if i == 1 else None
        made.append(Statement(ROOT, RISK, i, lines, nets[i], K, fund=fund, below=below[i], lacking_e4=1000 * below[i]))
    return made


def send(stage: Stage, function: str, *args, sender: str = EVE):
    return stage.chain.send(sender, stage.solvency, function, *args)


def begin(stage: Stage, sender: str = EVE, risk_root: int = RISK):
    return send(stage, "begin", 4, 1000 * stage.chain.time_s, risk_root, sender=sender)


def publish(stage: Stage, said: Statement, sender: str = EVE, **changes):
    return send(stage, "publish", *said.arguments(stage, stage.verifier, **changes), sender=sender)


def count(stage: Stage, sender: str = EVE) -> None:
    send(stage, "count_deposits", stage.entries[3:7], sender=sender)


def run(stage: Stage, said: list[Statement]):
    begin(stage)
    for each in said:
        publish(stage, each)
    count(stage)
    return send(stage, "conclude")


def test_a_solvent_rollup(stage):
    began = begin(stage).log("RunBegun")
    assert began == {"publisher": EVE, "batch_number": 1, "state_root": ROOT, "risk_root": RISK, "chunks": 3}
    for i, said in enumerate(chunks(below=(0, 1, 2))):
        assert publish(stage, said).log("ChunkPublished") == {"publisher": EVE, "batch_number": 1, "chunk": i}
    with fails("no chunk is missing"):
        publish(stage, chunks()[2])
    count(stage)
    assert send(stage, "conclude").log("Solvent") == {
        "publisher": EVE, "batch_number": 1, "epoch": 4, "time_ms": 1000 * stage.chain.time_s, "liabilities": 100 * USDC, "below": 3, "lacking_e4": 3000,
        "fund": 5 * USDC,
    }  # fmt: skip
    with fails("no run"):
        send(stage, "conclude")


def test_a_hidden_liability(stage):
    """Somebody is counted with less than the row says there must be, or with more."""
    for change in (-1, 1):
        with fails("equities and unanswered deposits are not the row"):
            run(stage, chunks(HELD | {5: (CAROL, 19 * USDC + change)}))


def test_a_missing_account(stage):
    with fails("equities and unanswered deposits are not the row"):
        run(stage, chunks({account: line for account, line in HELD.items() if account != 5}))
    begin(stage)
    for said in chunks()[:2]:
        publish(stage, said)
    count(stage)
    with fails("chunks are missing"):
        send(stage, "conclude")


def test_a_duplicated_account(stage):
    begin(stage)
    publish(stage, chunks()[0])
    for wrong in (0, 2):
        with fails("not the next chunk"):
            publish(stage, chunks()[wrong])
    with fails("not the next chunk"):
        publish(stage, Statement(ROOT, RISK, 5, {}, (), K))
    publish(stage, chunks()[1])


def test_a_negative_account(stage):
    """The others are owed more than there is, though all equities add up to it."""
    with fails("claims exceed the row"):
        run(stage, chunks(HELD | {5: (CAROL, -1), 4: (BOB, 52 * USDC + 1)}))
    # A negative fund is an account like any other.
    with fails("claims exceed the row"):
        run(stage, chunks(HELD | {2: (EVE, -1), 4: (BOB, 38 * USDC + 1)}))


@pytest.mark.parametrize(
    "nets", [[[1], [0], [0]], [[0, 1, -1], [0], [0]], [[-5, 6], [4, -6], [0]], [[2**55 - 1], [2**55 - 1], [2]], [[0] * 7 + [-1], [0], [0]]]
)
def test_positions_that_do_not_add_up(stage, nets):
    with fails("positions do not add up to zero"):
        run(stage, chunks(nets=nets))


@pytest.mark.parametrize("nets", [[[], [], []], [[2**55 - 1], [-(2**55) + 1], [0]], [[0] * 7 + [9], [0] * 7 + [-4], [0] * 7 + [-5]]])
def test_positions_that_add_up(stage, nets):
    run(stage, chunks(nets=nets))


def test_unanswered_deposits_are_owed_too(stage):
    begin(stage)
    for said in chunks():
        publish(stage, said)
    with fails("deposits are not counted yet"):
        send(stage, "conclude")
    with fails("no entries"):
        send(stage, "count_deposits", [])
    with fails("entries beyond the queue's end"):
        send(stage, "count_deposits", [*stage.entries[3:], stage.entries[0]])
    with fails("entries differ from the queue", "QueueWalk"):
        send(stage, "count_deposits", stage.entries[4:6])
    send(stage, "count_deposits", stage.entries[3:5])
    send(stage, "count_deposits", stage.entries[5:7])
    send(stage, "conclude")


def test_a_row_that_was_drained(stage):
    """More was paid out than the accounts lost."""
    stage.tell("credit", MALLORY, 1)
    with fails("equities and unanswered deposits are not the row"):
        run(stage, chunks())


def test_a_run_is_about_the_state_at_its_beginning(stage):
    """A batch that becomes final, a deposit and another's run do not disturb it."""
    begin(stage)
    begin(stage, MALLORY)
    publish(stage, chunks()[0])
    stage.tell("finalise", ROOT + 1, 5, 4)
    stage.deposit(BOB, 9 * USDC)
    stage.tell("credit", MALLORY, 3 * USDC)
    begin(stage, MALLORY)
    with fails("not of the run's state"):
        publish(stage, chunks()[0], MALLORY)
    for said in chunks()[1:]:
        publish(stage, said)
    count(stage)
    assert send(stage, "conclude").log("Solvent")["batch_number"] == 1


def test_a_run_can_begin_again(stage):
    begin(stage)
    publish(stage, chunks()[0])
    send(stage, "count_deposits", stage.entries[3:5])
    run(stage, chunks())


def test_the_table_is_recorded_and_not_older_than_the_state(stage):
    time_ms = 1000 * stage.chain.time_s
    for epoch, time, root in ((5, time_ms, RISK), (4, time_ms + 1, RISK), (4, time_ms, RISK + 1)):
        with fails("epoch, time and risk root were not recorded"):
            send(stage, "begin", epoch, time, root)
    stage.tell("record", 3, time_ms, RISK)
    with fails("table is older than the final batch's"):
        send(stage, "begin", 3, time_ms, RISK)
    stage.tell("record", 6, time_ms, RISK)
    send(stage, "begin", 6, time_ms, RISK)


def test_a_chunk_is_of_the_runs_state_and_table(stage):
    with fails("no chunk is missing"):
        publish(stage, chunks()[0])
    begin(stage)
    with fails("not of the run's state"):
        publish(stage, chunks()[0].but(state_root=ROOT + 1))
    with fails("not on the run's table"):
        publish(stage, chunks()[0].but(risk_root=RISK + 1))
    with fails("wrong domain", "Statement"):
        publish(stage, chunks()[0].but(domain=7))
    for k in (0, 2):
        with fails("wrong effects length", "Statement"):
            publish(stage, chunks()[0].but(k=k))
    with fails("wrong chunk size", "Statement"):
        publish(stage, chunks()[0].but(words={3: 0}))
    with fails("invalid proof", "Statement"):
        publish(stage, chunks()[0], proof=[1] * 12)


def test_the_proof_is_of_exactly_these_words(stage):
    begin(stage)
    said = chunks()[0]
    effects, body, *_ = said.arguments(stage, stage.verifier)
    for name, posted in (("effects", effects), ("body", body)):
        for i in range(len(posted) // 32):
            for change in (1, R):
                word = int.from_bytes(posted[32 * i : 32 * i + 32], "big") + change
                with pytest.raises(Exception, match=r"^(Statement|Solvency): "):
                    publish(stage, said, **{name: posted[: 32 * i] + word.to_bytes(32, "big") + posted[32 * i + 32 :]})
    publish(stage, said)


def test_the_lines_are_found_in_the_transaction(stage, mock):
    """A contract cannot publish on somebody's behalf."""
    forwarder = stage.chain.deploy(mock("Forwarder"))
    call = stage.solvency.contract.encode_call("publish", *chunks()[0].arguments(stage, stage.verifier))
    with fails("call directly, the data must lie in the transaction"):
        stage.chain.send(EVE, forwarder, "forward", stage.solvency.address, call)


def test_its_configuration(stage):
    for k, body_cells, reason in ((9, BODY_CELLS, "chunk exponent must be 0 to 8"), (0, 257, "body cells must be 1 to 256")):
        with fails(reason, "Statement"):
            stage.chain.deploy(contract("Solvency"), stage.rollup.address, stage.verifier.address, k, body_cells)
