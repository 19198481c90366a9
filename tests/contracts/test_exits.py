"""Exits: what a frozen rollup pays, to whom, and everything that it refuses."""

from __future__ import annotations

import pytest
from support.statements import BODY_CELLS, Stage, Statement, contract

ALICE, BOB, CAROL, EVE = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xCA, 0xE7))
NOBODY = "0x" + "00" * 20
USDC = 1_000_000
DAY_S = 86_400
ROOT, MARKS = 4711, 815
R = 21888242871839275222246405745257275088548364400416034343698204186575808495617


def fails(reason: str, contract: str = "Exits"):
    return pytest.raises(Exception, match=f"^{contract}: {reason}$")


@pytest.fixture
def stage(chain) -> Stage:
    """Three accounts of 50, 30 and 20 USDC, and 4 entries that no batch answered: deposits of 7 and 5 USDC around a key and a forced withdrawal."""
    stage = Stage(chain)
    for who, amount in ((ALICE, 50), (BOB, 30), (CAROL, 20)):
        stage.deposit(who, amount * USDC)
    stage.tell("record", 1, 1000 * chain.time_s, 77)
    stage.tell("finalise", ROOT, 3, 1)
    stage.deposit(ALICE, 7 * USDC, 3)
    stage.enqueue(2, 4, BOB, 11, 12)
    stage.enqueue(3, 4, BOB, 30 * USDC)
    stage.deposit(EVE, 5 * USDC)
    return stage


def send(stage: Stage, function: str, *args):
    return stage.chain.send(EVE, stage.exits, function, *args)


def read(stage: Stage, name: str, *args):
    return stage.chain.call(stage.exits, name, *args)


def statement(account: int, owner: str = ALICE, equity: int = 50 * USDC, **changes) -> Statement:
    return Statement(ROOT, MARKS, account, {account: (owner, equity)}).but(**changes)


def arguments(stage: Stage, said: Statement, **changes):
    return said.arguments(stage, stage.verifier, **changes)


def claim(stage: Stage, said: Statement, **changes):
    return send(stage, "claim", *arguments(stage, said, **changes))


def open_exits(stage: Stage) -> None:
    stage.tell("freeze")
    send(stage, "open")


def record(stage: Stage, epoch: int = 9, after_s: int = 0, risk_root: int = MARKS) -> int:
    """A table of `after_s` seconds after the opening; its time."""
    time_ms = 1000 * (read(stage, "opened_at") + after_s)
    stage.tell("record", epoch, time_ms, risk_root)
    return time_ms


def set_marks(stage: Stage, time_ms: int, epoch: int = 9, said: Statement | None = None, **changes):
    return send(stage, "set_marks", epoch, time_ms, *arguments(stage, said or statement(3), **changes))


def claims_open(stage: Stage) -> None:
    """Open, with marks, at the first moment of claims."""
    open_exits(stage)
    set_marks(stage, record(stage))
    stage.chain.warp(3 * DAY_S + 1)


def claims_over(stage: Stage) -> None:
    stage.chain.warp(14 * DAY_S)


def count(stage: Stage) -> None:
    send(stage, "count_deposits", stage.entries[3:])


# ---------------------------------------------------------------- opening


def test_it_opens_once_the_rollup_is_frozen_and_settled(stage):
    with fails("rollup is not frozen"):
        send(stage, "open")
    stage.tell("propose")
    stage.tell("freeze")
    with fails("proposals are left"):
        send(stage, "open")
    stage.tell("void")
    receipt = send(stage, "open")
    assert receipt.log("Opened") == {"state_root": ROOT, "row": 112 * USDC, "queue_first": 3, "queue_end": 7}
    assert read(stage, "opened_at") == stage.chain.time_s
    with fails("already open"):
        send(stage, "open")


def test_nothing_happens_before_it_opens(stage):
    calls = [
        ("count_deposits", stage.entries[3:]),
        ("reclaim", 3, stage.entries[3]),
        ("set_marks", 1, 1000 * stage.chain.time_s, *arguments(stage, statement(3, risk_root=77))),
        ("set_final_marks", 1000 * stage.chain.time_s, 77),
        ("pool",),
    ]
    for function, *args in calls:
        with fails("not open"):
            send(stage, function, *args)
    with fails("no marks yet"):
        claim(stage, statement(3))
    with fails("nothing to collect"):
        send(stage, "collect", 3)


def test_the_rollup_must_name_it(stage):
    with fails("rollup names another contract"):
        stage.chain.deploy(contract("Exits"), stage.rollup.address, stage.verifier.address, BODY_CELLS)


@pytest.mark.parametrize(
    ("rollup", "verifier", "body_cells", "reason"),
    [
        (EVE, None, BODY_CELLS, "rollup is not a contract"),
        (None, EVE, BODY_CELLS, "verifier is not a contract"),
        (None, None, 0, "body cells must be 1 to 256"),
        (None, None, 257, "body cells must be 1 to 256"),
    ],
)
def test_its_configuration(stage, rollup, verifier, body_cells, reason):
    with fails(reason, "Statement"):
        stage.chain.deploy(contract("Exits"), rollup or stage.rollup.address, verifier or stage.verifier.address, body_cells)


# ---------------------------------------------------------------- deposits


def test_unanswered_deposits_are_counted_in_parts(stage):
    open_exits(stage)
    with fails("no entries"):
        send(stage, "count_deposits", [])
    send(stage, "count_deposits", stage.entries[3:5])
    with fails("deposits are not counted yet"):
        read(stage, "pool")
    with fails("entries differ from the queue", "QueueWalk"):
        send(stage, "count_deposits", stage.entries[4:6])
    with fails("entries beyond the queue's end"):
        send(stage, "count_deposits", [*stage.entries[5:], stage.entries[3]])
    receipt = send(stage, "count_deposits", stage.entries[5:])
    assert receipt.log("DepositsCounted") == {"queue_counted": 7, "set_aside": 12 * USDC}
    assert read(stage, "pool") == 100 * USDC
    with fails("entries beyond the queue's end"):
        send(stage, "count_deposits", stage.entries[6:])


@pytest.mark.parametrize("place", range(5))
def test_every_field_of_an_entry_is_the_queues(stage, place):
    open_exits(stage)
    for index in range(3, 7):
        entry = list(stage.entries[index])
        entry[place] = BOB if place == 2 and entry[2] != BOB else ALICE if place == 2 else entry[place] + 1
        with fails("entries differ from the queue", "QueueWalk"):
            send(stage, "count_deposits", [*stage.entries[3:index], tuple(entry)])
    deposit = list(stage.entries[3])
    deposit[place] = BOB if place == 2 else deposit[place] + 1
    # A changed kind is no deposit to begin with.
    with fails("entry is not a deposit") if place == 0 else fails("entries differ from the queue", "QueueWalk"):
        send(stage, "reclaim", 3, tuple(deposit))


def test_a_deposit_is_reclaimed_once_by_its_owner(stage):
    open_exits(stage)
    receipt = send(stage, "reclaim", 3, stage.entries[3])
    assert receipt.log("Reclaimed") == {"index": 3, "owner": ALICE, "amount": 7 * USDC}
    assert stage.claimable(ALICE) == 7 * USDC
    with fails("deposit already reclaimed"):
        send(stage, "reclaim", 3, stage.entries[3])
    count(stage)
    with fails("deposit already reclaimed"):
        send(stage, "reclaim", 3, stage.entries[3])
    # Reclaimed before or after the count: it is not in the pool.
    assert read(stage, "pool") == 100 * USDC
    send(stage, "reclaim", 6, stage.entries[6])
    assert (stage.claimable(EVE), stage.row(), read(stage, "pool")) == (5 * USDC, 100 * USDC, 100 * USDC)


def test_only_unanswered_deposits_are_reclaimed(stage):
    open_exits(stage)
    for index in (0, 2, 7):
        with fails("entry is not an unanswered one"):
            send(stage, "reclaim", index, stage.entries[min(index, 6)])
    for index in (4, 5):
        with fails("entry is not a deposit"):
            send(stage, "reclaim", index, stage.entries[index])
    with fails("entries differ from the queue", "QueueWalk"):
        send(stage, "reclaim", 3, stage.entries[6])


def test_a_rollup_without_a_final_batch_pays_its_deposits(chain):
    stage = Stage(chain)
    stage.deposit(ALICE, 9 * USDC)
    open_exits(stage)
    send(stage, "count_deposits", stage.entries)
    assert read(stage, "pool") == 0
    send(stage, "reclaim", 0, stage.entries[0])
    assert (stage.claimable(ALICE), stage.row()) == (9 * USDC, 0)
    chain.warp(3 * DAY_S + 1)
    with fails("no batch was ever final, nothing can be claimed"):
        send(stage, "set_final_marks", 0, 0)


# ---------------------------------------------------------------- marks


def test_the_earliest_table_after_the_opening_becomes_the_marks(stage):
    open_exits(stage)
    late, early = record(stage, 9, 500), record(stage, 10, 400, risk_root=816)
    chosen = set_marks(stage, late)
    assert chosen.log("MarksSet") == {"epoch": 9, "time_ms": late, "risk_root": MARKS}
    with fails("the marks are not later than this table"):
        set_marks(stage, late)
    set_marks(stage, early, 10, statement(3, risk_root=816))
    with fails("the marks are not later than this table"):
        set_marks(stage, late)
    assert [read(stage, f"marks_{name}") for name in ("epoch", "time_ms", "root")] == [10, early, 816]


def test_a_table_from_before_the_opening_is_too_old(stage):
    open_exits(stage)
    opened_ms = 1000 * read(stage, "opened_at")
    stage.tell("record", 9, opened_ms - 1, MARKS)
    with fails("table is older than the exits"):
        set_marks(stage, opened_ms - 1)
    stage.tell("record", 9, opened_ms, MARKS)
    set_marks(stage, opened_ms)


def test_marks_are_a_recorded_table(stage):
    open_exits(stage)
    time_ms = record(stage)
    for epoch, time, root in ((8, time_ms, MARKS), (9, time_ms + 1, MARKS), (9, time_ms, MARKS + 1)):
        with fails("epoch, time and risk root were not recorded"):
            set_marks(stage, time, epoch, statement(3, risk_root=root))


def test_marks_need_a_proof_that_the_table_has_the_final_listings(stage):
    """Any place's will do, one without an account too; without it, a table that nothing can be proved on would lock all the money."""
    open_exits(stage)
    time_ms = record(stage)
    with fails("invalid proof", "Statement"):
        set_marks(stage, time_ms, proof=[1] * 12)
    with fails("not of the final state"):
        set_marks(stage, time_ms, said=statement(3, state_root=ROOT + 1))
    set_marks(stage, time_ms, said=Statement(ROOT, MARKS, 0))


def test_marks_are_fixed_after_three_days(stage):
    open_exits(stage)
    late, early = record(stage, 9, 500), record(stage, 10, 400)
    stage.chain.warp(3 * DAY_S)
    with fails("a newer table may still come"):
        send(stage, "set_final_marks", 1, 77)
    set_marks(stage, late)
    with fails("claims have not begun"):
        claim(stage, statement(3))
    stage.chain.warp(1)
    with fails("the marks are fixed"):
        set_marks(stage, early, 10)
    with fails("the marks are fixed"):
        send(stage, "set_final_marks", 1, 77)
    claim(stage, statement(3))


def test_without_a_new_table_the_final_one_is_taken(stage):
    time_ms = 1000 * stage.chain.time_s
    open_exits(stage)
    stage.tell("record", 2, time_ms + 1, 78)
    stage.chain.warp(3 * DAY_S + 1)
    for time, root in ((time_ms + 1, 78), (time_ms, 78), (time_ms + 1, 77)):
        with fails("epoch, time and risk root were not recorded"):
            send(stage, "set_final_marks", time, root)
    send(stage, "set_final_marks", time_ms, 77)
    assert [read(stage, f"marks_{name}") for name in ("epoch", "time_ms", "root")] == [1, time_ms, 77]
    claim(stage, statement(3, risk_root=77))


# ---------------------------------------------------------------- claims


def test_an_account_is_claimed_once_for_its_owner(stage):
    claims_open(stage)
    receipt = claim(stage, statement(3))
    assert receipt.log("Claimed") == {"account": 3, "owner": ALICE, "amount": 50 * USDC}
    assert read(stage, "claims", 3) == int(ALICE, 16) | 50 * USDC << 160 | 3 << 224
    with fails("already claimed"):
        claim(stage, statement(3))
    claim(stage, statement(4, BOB, 30 * USDC))
    assert read(stage, "total_claims") == 80 * USDC


def test_claims_have_fourteen_days(stage):
    claims_open(stage)
    stage.chain.warp(14 * DAY_S - 1)
    claim(stage, statement(3))
    with fails("claims are still open"):
        send(stage, "collect", 3)
    stage.chain.warp(1)
    with fails("claims are over"):
        claim(stage, statement(4, BOB))


def test_claims_are_of_the_final_state_and_on_the_marks(stage):
    claims_open(stage)
    with fails("not of the final state"):
        claim(stage, statement(3, state_root=ROOT - 1))
    with fails("not on the marks"):
        claim(stage, statement(3, risk_root=77))


def test_places_without_an_account_and_empty_accounts_claim_nothing(stage):
    claims_open(stage)
    with fails("no such account"):
        claim(stage, Statement(ROOT, MARKS, 7))
    with fails("no such account"):
        claim(stage, statement(7, NOBODY, words={7: 50 * USDC << 160 | 7 << 224}))
    with fails("no such account"):
        claim(stage, statement(3, words={7: int(ALICE, 16) | 50 * USDC << 160 | 4 << 224}))
    for equity in (0, -5 * USDC):
        with fails("nothing to claim"):
            claim(stage, statement(3, equity=equity))
    assert read(stage, "total_claims") == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"domain": 1234568}, "wrong domain"),
        ({"words": {3: 3 | 1 << 24}}, "wrong chunk size"),
        ({"words": {3: 3 | 1 << 32}}, "wrong chunk size"),
        ({"words": {3: 256, 7: int(ALICE, 16) | 1 << 160 | 256 << 224}}, "chunk is outside the tree"),
    ],
)
def test_a_statement_of_another_form_is_refused(stage, changes, reason):
    claims_open(stage)
    with fails(reason, "Statement"):
        claim(stage, statement(3, **changes))


def test_the_proof_is_of_exactly_these_words(stage):
    """Each word of effects and body, changed; lengths; words that are equal modulo r; the other public inputs."""
    claims_open(stage)
    said = statement(3)
    effects, body, *_ = arguments(stage, said)
    for i in range(len(effects) // 32):
        changed = bytearray(effects)
        changed[32 * i + 31] ^= 1
        with pytest.raises(Exception, match=r"^(Statement|Exits): "):
            claim(stage, said, effects=bytes(changed))
        grown = int.from_bytes(effects[32 * i : 32 * i + 32], "big") + R
        with pytest.raises(Exception, match=r"^(Statement|Exits): "):
            claim(stage, said, effects=effects[: 32 * i] + grown.to_bytes(32, "big") + effects[32 * i + 32 :])
    with fails("effects word is not a field element", "Statement"):
        claim(stage, said, effects=effects[:128] + (2**256 - 1).to_bytes(32, "big") + effects[160:])
    for i in range(len(body) // 32):
        changed = bytearray(body)
        changed[32 * i + 31] ^= 1
        with fails("invalid proof", "Statement"):
            claim(stage, said, body=bytes(changed))
        grown = int.from_bytes(body[32 * i : 32 * i + 32], "big") + R
        with fails("body cell is not a field element", "Statement"):
            claim(stage, said, body=body[: 32 * i] + grown.to_bytes(32, "big") + body[32 * i + 32 :])
    for wrong in (effects[:-32], effects[:-1], effects[:96]):
        with fails("wrong effects length", "Statement"):
            claim(stage, said, effects=wrong)
    # Longer ones are refused by the decoder; shorter ones have no roots to compare.
    for wrong in (effects + bytes(32), effects[:64], b""):
        with pytest.raises(Exception, match=r"^$"):
            claim(stage, said, effects=wrong)
    for wrong in (body[:-1], body + b"\0", body + bytes(32)):
        with fails("wrong body length", "Statement"):
            claim(stage, said, body=wrong)
    with fails("data commitment is not a field element", "Statement"):
        claim(stage, said, c=said.c + R)
    for change in ({"c": said.c + 1}, {"beneficiary": EVE}, {"proof": [1] * 12}, {"body": body[:-32]}):
        with fails("invalid proof", "Statement"):
            claim(stage, said, **change)
    claim(stage, said)


def test_trailing_zero_cells_may_be_left_out(stage):
    """The proof is then of the body as posted."""
    claims_open(stage)

    class Short(Statement):
        @property
        def body(self) -> list[int]:
            return super().body[:1]

    assert statement(3).body[1] == 0
    claim(stage, Short(ROOT, MARKS, 3, {3: (ALICE, 50 * USDC)}))


# ---------------------------------------------------------------- payment


def test_everybody_is_paid_in_full_when_the_pool_suffices(stage):
    claims_open(stage)
    for account, owner, equity in ((3, ALICE, 50), (4, BOB, 30), (5, CAROL, 20)):
        claim(stage, statement(account, owner, equity * USDC))
    claims_over(stage)
    with fails("deposits are not counted yet"):
        send(stage, "collect", 3)
    count(stage)
    receipt = send(stage, "collect", 3)
    assert receipt.log("Collected") == {"account": 3, "owner": ALICE, "amount": 50 * USDC}
    with fails("nothing to collect"):
        send(stage, "collect", 3)
    for account in (4, 5):
        send(stage, "collect", account)
    assert [stage.claimable(who) for who in (ALICE, BOB, CAROL)] == [50 * USDC, 30 * USDC, 20 * USDC]
    for index in (3, 6):
        send(stage, "reclaim", index, stage.entries[index])
    assert stage.row() == 0


def test_with_a_negative_account_all_get_the_same_share(stage):
    claims_open(stage)
    claim(stage, statement(3, ALICE, 50 * USDC))
    claim(stage, statement(4, BOB, 70 * USDC))
    claims_over(stage)
    count(stage)
    for account in (3, 4):
        send(stage, "collect", account)
    assert [stage.claimable(who) for who in (ALICE, BOB)] == [50 * USDC * 100 // 120, 70 * USDC * 100 // 120]
    # Rounding stays; the deposits set aside are whole.
    assert stage.row() == 12 * USDC + 1
    for index in (3, 6):
        send(stage, "reclaim", index, stage.entries[index])
    assert stage.row() == 1


def test_what_nobody_claims_raises_no_other_share(stage):
    claims_open(stage)
    claim(stage, statement(3))
    claims_over(stage)
    count(stage)
    send(stage, "collect", 3)
    assert stage.claimable(ALICE) == 50 * USDC
    assert stage.row() == 62 * USDC


def test_operator_and_fund_are_accounts_as_others(stage):
    claims_open(stage)
    claim(stage, statement(1, EVE, 2 * USDC))
    claim(stage, statement(2, EVE, 98 * USDC))
    claims_over(stage)
    count(stage)
    for account in (1, 2):
        send(stage, "collect", account)
    assert stage.claimable(EVE) == 100 * USDC


def test_a_row_below_the_deposits_pays_no_claims(stage):
    """Only an unsound proof could have taken so much out; even then nothing is paid twice and nothing gets stuck."""
    stage.tell("credit", CAROL, 105 * USDC)
    claims_open(stage)
    claim(stage, statement(3))
    claims_over(stage)
    count(stage)
    assert read(stage, "pool") == 0
    assert send(stage, "collect", 3).log("Collected")["amount"] == 0
    send(stage, "reclaim", 3, stage.entries[3])
    with pytest.raises(Exception, match=r"^Vault: row too low$"):
        send(stage, "reclaim", 6, stage.entries[6])
    assert stage.row() == 0


def test_the_largest_claims_do_not_overflow(stage):
    claims_open(stage)
    for account in (3, 4, 5):
        claim(stage, statement(account, ALICE, 2**64 - 1))
    claims_over(stage)
    count(stage)
    for account in (3, 4, 5):
        send(stage, "collect", account)
    assert stage.claimable(ALICE) == 3 * (100 * USDC // 3)


def test_a_long_queue_is_counted_in_parts_that_fit_a_block(chain):
    """1 USDC buys an entry: 600 of them in three calls, each far below a block's 30 million gas."""
    stage = Stage(chain)
    for _ in range(600):
        stage.enqueue(1, 3, ALICE, USDC)
    stage.tell("freeze")
    send(stage, "open")
    calls = [send(stage, "count_deposits", stage.entries[start : start + 256]) for start in range(0, 600, 256)]
    assert read(stage, "set_aside") == 600 * USDC
    assert max(call.gas_used for call in calls) < 1_500_000


def test_the_contracts_fit(stage):
    for name in ("Exits", "Solvency"):
        assert len(contract(name).runtime) < 24_576
