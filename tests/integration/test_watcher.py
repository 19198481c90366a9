"""A watcher against a proposer who lies: every kind of wrong batch is found and voided by the watcher alone, and nothing after it pays."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from straddle.commitments.cells import padded
from straddle.commitments.challenge import commitment
from straddle.core.orders import Side
from straddle.core.risk_table import RiskTable
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.contracts import load
from straddle.l1.rpc import Reverted
from straddle.proving.transcript import encode
from straddle.proving.vector import PostedBatch, bind
from straddle.watcher.agent import Duties
from straddle.watcher.examine import Verdict
from tests.differential.scenes import DOLLARS, PRESET
from tests.support.stage import ALLOWANCE_S, ANSWER_S, CHALLENGER_BOND, PROPOSER_BOND, START_S, WINDOW_S, Stage, with_row
from tests.support.watch import Watch

PERPETUAL, CALL = 1, 2
BURNT = PROPOSER_BOND // 2
"""Of a wrong batch's bond; its challenger has the rest."""
GENEROUS_GAS_WEI = 10**16


def binary_or_skip() -> Path:
    try:
        return find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Three accounts with positions, in two honest batches."""
    with Anvil(START_S, binary=binary_or_skip()) as anvil:
        stage = Stage(anvil)
        alice, bob, carol = stage.join(100_000, 100_000, 100_000)
        stage.answer()
        stage.post()
        stage.trade(alice, bob, PERPETUAL, 20)
        stage.trade(bob, carol, CALL, 10)
        stage.post()
        yield stage


@pytest.fixture
def watch(stage: Stage, tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(stage, tmp_path)
    yield watch
    watch.close()


ALICE, BOB, CAROL = 3, 4, 5
LIES: dict[str, tuple[Verdict, str, Callable[[Stage], object]]] = {}


def lie(verdict: Verdict, reason: str) -> Callable[[Callable[[Stage], object]], Callable[[Stage], object]]:
    """Registers a wrong batch: what a watcher calls it, and a part of the reason that it gives."""

    def register(tell: Callable[[Stage], object]) -> Callable[[Stage], object]:
        LIES[tell.__name__] = verdict, reason, tell
        return tell

    return register


def with_words(stage: Stage, batch: PostedBatch, effects: dict[int, int], body: tuple[int, ...] | None = None) -> PostedBatch:
    """The batch with other words, and C over them."""
    words = tuple(effects.get(i, word) for i, word in enumerate(batch.effects_words))
    cells = batch.body_words if body is None else body
    public = replace(batch.witness.public, c=commitment(words, padded(cells, PRESET.body_words)))
    return replace(batch, effects_words=words, body_words=cells, witness=replace(batch.witness, public=public))


@lie(Verdict.WRONG, "new_state_root")
def wrong_root(stage: Stage) -> object:
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    batch = stage.close().posted
    return stage.post(with_words(stage, batch, {3: batch.effects_words[3] + 1}), encode(batch.witness))


@lie(Verdict.WRONG, "C is not")
def another_commitment(stage: Stage) -> object:
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    batch = stage.close().posted
    public = replace(batch.witness.public, c=batch.witness.public.c + 1)
    return stage.post(replace(batch, witness=replace(batch.witness, public=public)), encode(batch.witness))


@lie(Verdict.UNFOUNDED, "signatures")
def unsigned_fill(stage: Stage) -> object:
    """BOB never signed: somebody else's signature stands under his order."""
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    batch = stage.close().posted
    theirs = next(row for row in batch.witness.signatures if row.account == ALICE)
    mine = next(i for i, row in enumerate(batch.witness.signatures) if row.account == BOB)
    return stage.post(batch, encode(with_row(batch, "signatures", mine, r_x=theirs.r_x, r_y=theirs.r_y, s=theirs.s).witness))


@lie(Verdict.UNFOUNDED, "price beyond the limit")
def price_outside_the_limit(stage: Stage) -> object:
    """A buyer pays a tick more than he signed."""
    taker = stage.use(stage.sign_set(ALICE, stage.order(ALICE, [(PERPETUAL, 1)], Side.BUY, 10, 900_000)))
    maker = stage.use(stage.sign_set(BOB, stage.order(BOB, [(PERPETUAL, 1)], Side.SELL, 10, 900_000)))
    for use in (taker, maker):
        stage.execute(use, 10)
    stage.fill((taker, 0), (maker, 0), 900_001, 10)
    return stage.post()


@lie(Verdict.UNFOUNDED, "overfilled")
def overfilled(stage: Stage) -> object:
    """An order of 10 lots fills 20: the signature is genuine, the amount is not."""
    small = stage.sign_set(ALICE, stage.order(ALICE, [(PERPETUAL, 1)], Side.BUY, 10, 900_000))
    stated = replace(small.orders[0], size_lots=20)
    taker = stage.use(replace(small, orders=(stated,)))
    maker = stage.use(stage.sign_set(BOB, stage.order(BOB, [(PERPETUAL, 1)], Side.SELL, 20, 900_000)))
    for use in (taker, maker):
        stage.execute(use, 20)
    stage.fill((taker, 0), (maker, 0), 900_000, 20)
    batch = stage.close().posted
    return stage.post(batch, encode(with_row(batch, "orders", 0, size=10).witness))


@lie(Verdict.UNFOUNDED, "price 900000 outside")
def favourable_old_table(stage: Stage) -> object:
    """The market has halved, and ALICE still sells at the old price, judged on the old table: header and risk root are the new epoch's."""
    new = stage.open_epoch(450_000)
    stage.use_epoch(1)
    stage.table = replace(stage.table, epoch=new.epoch, time_ms=new.time_ms)
    stage._open()
    stage.trade(BOB, ALICE, PERPETUAL, 10)
    closed = stage.close()
    header = replace(closed.posted.witness.header, risk_root=stage.root_of(new))
    return stage.post(bind(replace(closed.posted.witness, header=header), PRESET, closed.chain))


@lie(Verdict.UNFOUNDED, "margin rule")
def margined_on_an_old_table(stage: Stage) -> object:
    """Prices are the new epoch's, and ALICE's margin is not: on the new table she cannot carry what she buys."""
    new = stage.open_epoch(1_800_000)
    stage.use_epoch(1)
    stage.table = replace(stage.table, epoch=new.epoch, time_ms=new.time_ms)
    stage._open()
    stage.trade(ALICE, BOB, PERPETUAL, 180_000, new[PERPETUAL].mark)
    closed = stage.close()
    header = replace(closed.posted.witness.header, risk_root=stage.root_of(new))
    return stage.post(bind(replace(closed.posted.witness, header=header), PRESET, closed.chain))


def better_mark(table: RiskTable) -> RiskTable:
    """The perpetual is worth a little more than the inputs say."""
    rows = tuple(replace(row, value=row.value + 1_000) if row.instrument == PERPETUAL else row for row in table.rows)
    return replace(table, rows=rows)


@lie(Verdict.UNFOUNDED, "from the published inputs of epoch 2")
def table_that_its_inputs_do_not_give(stage: Stage) -> object:
    """Signed by the oracles, so that it could be proved: but nobody else can make that table, so nobody else can check what was done on it."""
    stage.record(better_mark(stage.open_epoch(recorded=False)))
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    return stage.post()


@lie(Verdict.WRONG, "")
def truncated_body(stage: Stage) -> object:
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    batch = stage.close().posted
    return stage.post(with_words(stage, batch, {}, batch.body_words[:-1]), encode(batch.witness))


@lie(Verdict.UNFOUNDED, "cut off")
def truncated_transcript(stage: Stage) -> object:
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    return stage.post(transcript=encode(stage.close().posted.witness)[:-1])


@lie(Verdict.UNFOUNDED, "orders: 0 rows, expected 2")
def omitted_trades(stage: Stage) -> object:
    """The transcript of a batch in which nothing traded."""
    witness = stage.close().posted.witness
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    return stage.post(transcript=encode(witness))


@lie(Verdict.WRONG, "cash of all accounts changes")
def skipped_queue_entry(stage: Stage) -> object:
    """A deposit is answered, as layer 1 wants it, and never credited."""
    stage.client.mint(stage.people["operator"], stage.accounts[CAROL].address, 5 * DOLLARS)
    stage.client.deposit(stage.accounts[CAROL], 5 * DOLLARS, CAROL)
    stage.answer()
    stage.now[CAROL].cash -= 5 * DOLLARS
    return stage.post()


@lie(Verdict.WRONG, "cash of all accounts changes")
def deposit_credited_to_another(stage: Stage) -> object:
    """ALICE gets CAROL's deposit, and a dollar from nowhere."""
    stage.client.mint(stage.people["operator"], stage.accounts[CAROL].address, 5 * DOLLARS)
    stage.client.deposit(stage.accounts[CAROL], 5 * DOLLARS, CAROL)
    stage.answer()
    stage.now[CAROL].cash -= 5 * DOLLARS
    stage.account(ALICE).cash += 6 * DOLLARS
    return stage.post()


@lie(Verdict.UNFOUNDED, "accounts.4")
def stolen_cash(stage: Stage) -> object:
    """Every sum is right, and a dollar of CAROL's is BOB's."""
    stage.account(CAROL).cash -= DOLLARS
    stage.account(BOB).cash += DOLLARS
    return stage.post()


@lie(Verdict.UNFOUNDED, "accounts.6")
def wrong_outcome(stage: Stage) -> object:
    """A forced withdrawal of cash that could be paid is paid nothing."""
    stage.client.force_withdraw(stage.accounts[CAROL], CAROL, 1_000 * DOLLARS)
    stage.answer(paid=0)
    return stage.post()


@lie(Verdict.UNFOUNDED, "transcript: missing")
def missing_transcript(stage: Stage) -> object:
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    return stage.post(transcript=b"")


@lie(Verdict.UNFOUNDED, "transcript: version")
def garbage_transcript(stage: Stage) -> object:
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    return stage.post(transcript=bytes(range(255, 0, -1)))


@lie(Verdict.UNFOUNDED, "bytes of numbers")
def decompression_bomb(stage: Stage) -> object:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(100_000_000)) + packer.flush()
    size = len(bomb)
    varint = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 | 0])
    return stage.post(transcript=bytes([1]) + varint + b"\0" + bomb)


@pytest.mark.parametrize("name", LIES)
def test_the_watcher_alone_finds_and_voids_a_wrong_batch(name: str, stage: Stage, watch: Watch) -> None:
    verdict, reason, tell = LIES[name]
    before, sequencer = stage.state, stage.people["sequencer"]
    fees = stage.wei() - stage.client.reserved_wei()
    tell(stage)
    stage.state = before  # the liar goes on as if nothing had happened, whatever its own books say
    lied = stage.client.proposed_batch()
    assert lied == 3
    fees = stage.wei() - stage.client.reserved_wei()
    watch.step()
    found = [(Verdict(judged.verdict), judged.reason) for _, judged in watch.watcher.standing()]
    assert [item[0] for item in found] == [Verdict.HOLDS, Verdict.HOLDS, verdict]
    assert reason in found[2][1], found[2]
    assert stage.client.open_challenges() == 1 and stage.client.stake(lied).challenger == watch.wallet.address
    assert stage.wei() == fees + 3 * PROPOSER_BOND + CHALLENGER_BOND
    watch.step()
    assert stage.client.open_challenges() == 1, "challenged once"
    stage.pass_time(ANSWER_S + ALLOWANCE_S - 5)
    watch.step()
    assert stage.client.proposed_batch() == 3, "the answer is not overdue yet"
    stage.pass_time(10)
    watch.step()
    assert stage.client.proposed_batch() == 2 and stage.client.open_challenges() == 0
    assert stage.client.wei_owed(watch.wallet.address) == 0 and stage.client.wei_owed(sequencer.address) == 0
    assert stage.wei() == fees + 2 * PROPOSER_BOND + BURNT, "of the wrong batch's bonds the burnt half is left, and all of the others'"
    gained = watch.wei - 10**21
    assert BURNT - GENEROUS_GAS_WEI < gained < BURNT, "the other half"
    assert watch.verdicts() == [Verdict.HOLDS, Verdict.HOLDS]
    told = [line for line in watch.said if not line.startswith(("batch 1 holds", "batch 2 holds", "batch 3 "))]
    assert told == ["done: challenge batch 3", "done: void batch 3", f"done: collect {BURNT + CHALLENGER_BOND} wei", "batches 3 to 3 void"]
    assert any(line.startswith(f"batch 3 challenged by {watch.wallet.address}: a proof is due by 20") for line in watch.said)


@pytest.mark.parametrize("depth", [1, 3])
def test_what_descends_from_a_wrong_batch_never_pays(depth: int, stage: Stage, watch: Watch) -> None:
    """A wrong batch pays the thief; honest batches on top withdraw his loot. All of it goes, and bonds of descendants go back to the wei."""
    queue_before = stage.client.queue_proposed()
    stage.account(CAROL).cash -= 50_000 * DOLLARS
    stage.account(BOB).cash += 50_000 * DOLLARS
    stage.post()
    for _ in range(depth):
        stage.withdraw(BOB, 10_000 * DOLLARS)
        stage.post()
    stranger = stage.people["stranger"]
    stage.client.challenge(stranger, 4)
    watch.step()
    found = watch.verdicts()
    assert found == [Verdict.HOLDS, Verdict.HOLDS, Verdict.UNFOUNDED, *[Verdict.HOLDS] * depth], "they hold by themselves, on a state that does not"
    stage.pass_time(ANSWER_S + 2 * ALLOWANCE_S + 2)
    watch.step()
    assert stage.client.proposed_batch() == 2 and stage.client.queue_proposed() == queue_before
    assert stage.client.claimable(stage.accounts[BOB].address) == 0
    assert stage.client.wei_owed(stage.people["sequencer"].address) == depth * PROPOSER_BOND
    assert stage.client.wei_owed(stranger.address) == CHALLENGER_BOND
    assert stage.client.reserved_wei() == (2 + depth) * PROPOSER_BOND + CHALLENGER_BOND + BURNT


def test_later_wrong_batches_are_challenged_only_when_time_presses(tmp_path: Path) -> None:
    """Two batches keep their transcripts back: the first is challenged at once. The second goes with it unless the first is proved, so that its own bond is
    risked only in the last third of its window, while the first is still unanswered."""
    window_s = 86_400
    with Anvil(START_S, binary=binary_or_skip()) as anvil:
        stage = Stage(anvil, window_s=window_s)
        stage.join(1_000)
        stage.answer()
        for _ in range(3):
            stage.post(transcript=b"")
        watch = Watch(stage, tmp_path)
        watch.step()
        watch.step()
        assert [stage.client.stake(number).challenged for number in (1, 2, 3)] == [True, False, False]
        stage.pass_time(window_s * 2 // 3 - 60)
        watch.step()
        assert stage.client.open_challenges() == 1
        stage.pass_time(120)
        watch.step()
        assert [stage.client.stake(number).challenged for number in (1, 2, 3)] == [True, True, True]
        stage.pass_time(ANSWER_S + 3 * ALLOWANCE_S)
        watch.step()
        assert stage.client.proposed_batch() == 0 and stage.client.reserved_wei() == 2 * PROPOSER_BOND + BURNT
        assert stage.client.wei_owed(stage.people["sequencer"].address) == 2 * PROPOSER_BOND
        watch.close()


def test_descendants_of_data_that_lead_nowhere_are_orphans(stage: Stage, watch: Watch) -> None:
    wrong_root(stage)
    batch = stage.close().posted
    stage.post(with_words(stage, batch, {2: stage.posted[-1].batch.effects_words[3]}), encode(batch.witness))
    watch.step()
    assert watch.verdicts() == [Verdict.HOLDS, Verdict.HOLDS, Verdict.WRONG, Verdict.ORPHAN]
    assert stage.client.open_challenges() == 1 and stage.client.stake(3).challenged


def test_a_restart_neither_challenges_twice_nor_forgets(stage: Stage, tmp_path: Path) -> None:
    stolen_cash(stage)
    first = Watch(stage, tmp_path)
    first.step()
    spent = first.wei
    first.close()
    second = Watch(stage, tmp_path)
    second.step()
    assert stage.client.open_challenges() == 1 and second.wei == spent
    assert not [line for line in second.said if line.startswith("done")]
    second.close()
    stage.pass_time(ANSWER_S + ALLOWANCE_S + 2)
    third = Watch(stage, tmp_path)
    third.step()
    assert stage.client.proposed_batch() == 2 and third.wei > spent + BURNT + CHALLENGER_BOND - GENEROUS_GAS_WEI
    third.close()


def test_a_restart_between_sending_and_mining_waits(stage: Stage, tmp_path: Path) -> None:
    """The watcher was killed when its challenge was sent and not mined: the next one sends nothing until it is."""
    stolen_cash(stage)
    rpc = stage.anvil.rpc
    rpc.call("evm_setAutomine", [False])
    wallet = stage.people["watchman"]
    data = load("Rollup").encode_call("challenge", 3, stage.client.header_hash(3))
    call = {"from": wallet.address, "to": stage.deployment.rollup, "value": hex(CHALLENGER_BOND), "data": "0x" + data.hex(), "gas": hex(500_000)}
    rpc.call("anvil_impersonateAccount", [wallet.address])
    rpc.call("eth_sendTransaction", [call])
    watch = Watch(stage, tmp_path)
    watch.step()
    assert "waits to be mined" in watch.agent.troubles["wallet"]
    rpc.call("evm_setAutomine", [True])
    rpc.call("evm_mine")
    watch.step()
    assert watch.agent.troubles == {} and stage.client.open_challenges() == 1
    assert int(rpc.call("eth_getTransactionCount", [wallet.address, "pending"]), 16) == 1
    watch.close()


def test_a_wallet_without_the_bond_says_what_it_lacks_and_goes_on(stage: Stage, watch: Watch) -> None:
    stolen_cash(stage)
    stage.anvil.rpc.call("anvil_setBalance", [watch.wallet.address, hex(CHALLENGER_BOND)])
    watch.step()
    watch.step()
    told = [line for line in watch.said if line.startswith("cannot challenge batch 3")]
    assert len(told) == 1 and f"has {CHALLENGER_BOND} wei, expected at least" in told[0], "said once, not at every step"
    assert stage.client.open_challenges() == 0
    stage.anvil.fund(watch.wallet.address)
    watch.step()
    assert stage.client.open_challenges() == 1 and watch.agent.troubles == {}


def test_a_reorg_takes_batches_verdicts_and_challenges_back(stage: Stage, watch: Watch) -> None:
    """The wrong batch and the challenge of it are undone; an honest batch of the same number takes its place and is not challenged."""
    rpc = stage.anvil.rpc
    kept = rpc.call("evm_snapshot")
    state, parent, sequence = stage.state, stage.parent, stage.sequence
    stolen_cash(stage)
    watch.step()
    assert stage.client.open_challenges() == 1
    assert rpc.call("evm_revert", [kept])
    stage.state, stage.parent, stage.sequence = state, parent, sequence
    stage._open()
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    stage.post()
    watch.step()
    assert any(line.startswith("layer 1 went back") for line in watch.said)
    assert watch.verdicts() == [Verdict.HOLDS] * 3 and watch.watcher._tip.root == stage.state.root
    assert stage.client.open_challenges() == 0


def test_a_wrong_batch_whose_window_is_over_is_told_and_not_finalised(stage: Stage, tmp_path: Path) -> None:
    stolen_cash(stage)
    stage.pass_time(WINDOW_S + 10)
    late = Watch(stage, tmp_path, "late", Duties(challenge=True, prove=True))
    late.step()
    late.step()
    assert late.agent.troubles["challenge batch 3"] == "its window is over"
    assert "nobody challenged it in time" in late.agent.troubles["finalise batch 3"]
    assert stage.client.final_batch() == 2
    late.close()


def test_honest_batches_are_never_challenged_and_become_final(stage: Stage, watch: Watch, tmp_path: Path) -> None:
    stage.client.force_withdraw(stage.accounts[CAROL], CAROL, 1_000 * DOLLARS)
    stage.answer(paid=1_000 * DOLLARS)
    stage.post()
    for index in (905_000, 890_000):
        stage.open_epoch(index)
        stage.trade(BOB, ALICE, PERPETUAL, 5)
        stage.withdraw(CAROL, DOLLARS)
        stage.post()
    helper = Watch(stage, tmp_path, "helper", Duties(prove=True))
    for _ in range(2):
        watch.step()
        helper.step()
    assert watch.verdicts() == [Verdict.HOLDS] * 5
    assert stage.client.open_challenges() == 0 and stage.client.final_batch() == 0
    stage.pass_time(WINDOW_S + 10)
    helper.step()
    assert stage.client.final_batch() == 5
    helper.step()
    watch.step()
    assert watch.watcher.final_state.root == stage.client.state_root() == stage.state.root
    assert stage.client.claimable(stage.accounts[CAROL].address) == 1_002 * DOLLARS
    assert stage.client.wei_owed(stage.people["sequencer"].address) == 5 * PROPOSER_BOND
    helper.close()


def test_a_recorded_table_of_the_last_minutes_is_allowed_and_noted(stage: Stage, watch: Watch) -> None:
    """Which of the recorded tables a batch uses is the sequencer's choice, within 15 minutes and never back: that can be proved, so it cannot be challenged."""
    stage.open_epoch(890_000)
    stage.use_epoch(1)
    stage.trade(ALICE, BOB, PERPETUAL, 10)
    stage.post()
    watch.step()
    _, judged = list(watch.watcher.standing())[-1]
    assert judged.verdict == Verdict.HOLDS and judged.notes == ("priced on epoch 1 although epoch 2 was recorded before it",)
    assert stage.client.open_challenges() == 0


def test_layer_1_refuses_tables_that_are_old_not_recorded_or_older_than_the_parents(stage: Stage) -> None:
    stage.pass_time(16 * 60)
    with pytest.raises(Reverted, match="table"):
        stage.post()
    stage.open_epoch(890_000, recorded=False)
    with pytest.raises(Reverted, match="epoch"):
        stage.post()
    stage.inputs.pop(2)
    stage.open_epoch(890_000)
    stage.post()
    stage.use_epoch(1)
    with pytest.raises(Reverted, match="epoch"):
        stage.post()


def test_unused_sequence_numbers_can_be_proved_and_so_hold(stage: Stage, watch: Watch) -> None:
    """Log entries are data, not proved: what a batch leaves out of its range is a matter of receipts, not of the statement."""
    stage.sequence += 1_000
    stage.post()
    assert watch.verdicts() == [Verdict.HOLDS] * 3


def test_queue_entries_left_for_later_hold(stage: Stage, watch: Watch) -> None:
    """When the queue must be answered is a matter of the contract's clocks; their order and content of its hash chain."""
    stage.join(50_000)
    stage.answer(1)
    stage.post()
    assert watch.verdicts() == [Verdict.HOLDS] * 3
