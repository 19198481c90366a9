"""A log that cannot go on begins anew at a batch of layer 1: when it may, what that costs, and that it happens whole or not at all. Layer 1 is a table of
answers here, its past a night's real data; tests/integration/test_returning.py has a real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from support.session import DOMAIN, LOG, OPERATOR, ORACLES, Run, post

from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE
from straddle.commitments.policy import Data
from straddle.commitments.state_copy import dump_state
from straddle.core.fees import FeeSchedule
from straddle.core.market_state import MarketState
from straddle.l1.history import BodySource, History
from straddle.l1.rollup import RollupClient
from straddle.node import resuming as module
from straddle.node.feed import OracleReplay
from straddle.node.recovery import RecoveryError
from straddle.node.resuming import JOURNAL, POSTER, Loss, OwnBodies, ResumeRefused, Resuming, Terms, log_folder
from straddle.node.traders import address_of
from straddle.node.upkeep import EpochKeeper, Upkeep
from straddle.risk.inputs import decode_inputs
from straddle.risk.successor import check_successor
from straddle.sequencer.batch_file import BatchFile, BatchRecord, Status, StoredBatch
from straddle.sequencer.journal import BatchMark, Journal, JournalEntry, JournalError, Pending
from straddle.sequencer.origin import LogOrigin
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

from .test_verify import deployment_of, history_of

AGE_MS = 15 * 60_000
WINDOW_S = 86_400
FINAL = 3
"""Batches of the night that are final where its later ones came too late."""


@dataclass
class World:
    """A folder with the night's log, and what layer 1 says."""

    run: Run
    folder: Path
    history: History
    now_s: int
    frozen: bool = False
    permissionless: bool = False
    waiting: int = 0
    """Transactions of the sequencer's that are not mined."""
    confirmations: int = 0
    data: Data = Data.CALLDATA
    losses: list[Loss] = field(default_factory=list)

    @property
    def terms(self) -> Terms:
        return Terms(self.run.config.circuit, self.run.exchange.sequencer.committed.params, FeeSchedule(), DOMAIN, address_of(OPERATOR))

    def resuming(self) -> Resuming:
        deployment = deployment_of(self.run)
        client = SimpleNamespace(
            deployment=replace(deployment, config=replace(deployment.config, data=self.data)),
            frozen=lambda: self.frozen,
            final_batch=lambda: len(self.history.final),
            proposed_batch=lambda: len(self.history.batches),
            permissionless=lambda: self.permissionless,
            state_root=lambda: self.history.final[-1].state_root if self.history.final else deployment.config.genesis_root,
            clock={"MAX_TABLE_AGE_MS": AGE_MS, "PROVING_WINDOW_S": WINDOW_S}.__getitem__,
            rpc=SimpleNamespace(time_s=lambda: self.now_s, nonce=lambda address, tag="latest": 7 + self.waiting * (tag == "pending")),
        )
        return Resuming(
            self.folder, cast(RollupClient, client), LOG, self.terms, OPERATOR, lambda file: self.history, self.confirmations, lambda text: pytest.fail(text)
        )

    def resume(self, *, agreed: bool = True) -> Path:
        def asked(loss: Loss) -> bool:
            self.losses.append(loss)
            return agreed

        return self.resuming().resume(asked)

    def final(self, count: int) -> None:
        """So many of the night's batches are final, and no other is proposed."""
        self.history.final, self.history.batches = self.history.final[:count], self.history.batches[:count]


def write_log(run: Run, folder: Path, entries: int | None = None) -> Journal:
    """The night's log, or its first entries; open."""
    items = list(run.exchange.sequencer._journal.items())
    journal = Journal(folder / JOURNAL, LOG)
    for item in items:
        if isinstance(item, JournalEntry) and entries is not None and item.place.sequence > entries:
            break
        journal.append([item if isinstance(item, BatchMark) else Pending(item.place.epoch, item.place.deadline_ms, item.command)])
    return journal


def write_poster(run: Run, folder: Path, batches: int) -> None:
    """What the poster knew: so many batches, all epochs."""
    file = BatchFile(folder / POSTER, lambda record: None)
    posted = post(run)[:batches]
    records = [
        BatchRecord(number, Status.CLOSED, batch.header_hash.hex(), f"{batch.effects.new_state_root:#066x}", propose_gas=number, epoch=batch.effects.epoch)
        for number, batch in enumerate(posted, start=1)
    ]
    file.fill(records, run.exchange.session.epochs, [])
    file.close()


@pytest.fixture
def late(run: Run, tmp_path: Path) -> World:
    """The whole night was closed, its first batches are final, and the next one's table is too old."""
    write_log(run, tmp_path).close()
    count = len(run.exchange.closed)
    assert count > FINAL + 1
    write_poster(run, tmp_path, count)
    world = World(run, tmp_path, history_of(run), 0)
    table = run.exchange.closed[FINAL].batch.table
    assert table is not None
    world.now_s = (table.time_ms + AGE_MS) // 1000 + 1
    world.final(FINAL)
    return world


@pytest.fixture
def foreign(run: Run, tmp_path: Path) -> World:
    """The log ends within batch FINAL + 1, and layer 1 has all batches of the night: somebody else's, as far as this folder knows."""
    marks = [item for item in run.exchange.sequencer._journal.items() if isinstance(item, BatchMark)]
    write_log(run, tmp_path, marks[FINAL].last_sequence - 2).close()
    write_poster(run, tmp_path, FINAL)
    return World(run, tmp_path, history_of(run), 0)


def unchanged(world: World) -> bool:
    return log_folder(world.folder) == world.folder and sorted(path.name for path in world.folder.glob("resumed*")) == []


def test_a_batch_that_came_too_late_is_left_behind(late: World, run: Run) -> None:
    place = late.resume()
    assert place == late.folder / "resumed-1" == log_folder(late.folder)
    ends = [closed.batch.last_sequence for closed in run.exchange.closed]
    (loss,) = late.losses
    assert loss.batch == FINAL and loss.entries == run.exchange.sequencer.sequence - ends[FINAL - 1] and loss.ended == late.folder
    assert loss.open_orders == sum(map(len, run.exchange.sequencer.exchange.open_orders.values())) > 0
    assert f"batch {FINAL + 1} was not proposed in time" in str(loss) and f"{loss.entries} log entries" in str(loss) and f"{loss.open_orders} open" in str(loss)
    ended = Journal(late.folder / JOURNAL, LOG)
    assert ended.sequence == run.exchange.sequencer.sequence, "the old log is as it was"
    journal = Journal(place / JOURNAL, LOG)
    last = late.history.final[-1]
    assert journal.beginning.sequence == ends[FINAL - 1] and journal.batches == FINAL and journal.batch_root(FINAL) == last.state_root
    assert journal.origin is not None and (journal.origin.header_hash, journal.origin.ended_head) == (last.header_hash, ended.head)
    assert journal.origin.epoch == max(late.history.epochs)
    ended.close()
    journal.close()


def test_the_posters_file_begins_with_layer_1s_batches(late: World) -> None:
    """Own ones with what is known of them."""
    file = BatchFile(late.resume() / POSTER, lambda record: None)
    assert [(record.number, record.status, record.propose_gas) for record in file.records()] == [(n, Status.VERIFIED, n) for n in range(1, FINAL + 1)]
    assert [record.header_hash for record in file.records()] == [final.header_hash.hex() for final in late.history.final]
    assert file.epochs(0, 10**9) == late.run.exchange.session.epochs
    file.close()


def test_tables_that_may_have_been_sent_to_layer_1_stay_what_they_are(late: World) -> None:
    """It has not recorded them, and anybody may still have them recorded: the new log has them before its own. Those after were sent to nobody."""
    last = late.run.exchange.session.epochs[-1]
    ended = BatchFile(late.folder / POSTER, lambda record: None)
    signed = [replace(last, epoch=last.epoch + later, risk_root=later) for later in (1, 2, 3)]
    for epoch in signed:
        ended.save_epoch(epoch)
    ended.update(FINAL + 1, epoch=last.epoch + 2)  # the first that was not proposed
    ended.close()
    late.now_s = (last.time_ms + AGE_MS) // 1000 + 1
    recorded = late.history.epochs[last.epoch]
    late.history.epochs[last.epoch + 1] = replace(recorded, epoch=last.epoch + 1, risk_root=99)
    place = late.resume()
    journal = Journal(place / JOURNAL, LOG)
    assert journal.origin is not None and (journal.origin.epoch, journal.origin.time_ms) == (last.epoch + 2, last.time_ms)
    journal.close()
    file = BatchFile(place / POSTER, lambda record: None)
    assert file.epochs(0, last.epoch) == late.run.exchange.session.epochs
    first, second = file.epochs(last.epoch, 10**9)
    assert first.risk_root == 99 and second == signed[1]  # what is recorded comes before what was signed
    file.close()


def test_what_happens_on_layer_1_while_the_operator_thinks_stops_it(late: World) -> None:
    def asked(loss: Loss) -> bool:
        late.final(FINAL - 1)
        return True

    with pytest.raises(ResumeRefused, match=f"layer 1 went on after batch {FINAL} meanwhile: nothing was changed"):
        late.resuming().resume(asked)
    assert unchanged(late)


def test_somebody_elses_batches_are_followed(foreign: World, run: Run) -> None:
    place = foreign.resume()
    (loss,) = foreign.losses
    first = foreign.history.final[FINAL]
    assert loss.batch == len(foreign.history.final) and f"batch {FINAL + 1} is final on layer 1 with header {first.header_hash.hex()}" in str(loss)
    file, journal = BatchFile(place / POSTER, lambda record: None), Journal(place / JOURNAL, LOG)
    assert loss.entries == journal_end(foreign) - run.exchange.closed[FINAL - 1].batch.last_sequence > 0
    assert [record.propose_gas for record in file.records()] == [*range(1, FINAL + 1), *[0] * (len(foreign.history.final) - FINAL)]
    assert [record.epoch for record in file.records()] == [batch.effects.epoch for batch in post(run)]
    state = foreign.terms.beginning(journal)
    assert state.committed.root == run.exchange.sequencer.state_root
    accounts = run.exchange.sequencer.committed.accounts
    assert {number: account.cash for number, account in state.exchange.accounts.items()} == {number: item.account.cash for number, item in accounts.items()}
    assert state.exchange.open_orders == {} and state.exchange.table is None and not state.exchange.trading_open
    journal.close()
    file.close()


def journal_end(world: World) -> int:
    journal = Journal(world.folder / JOURNAL, LOG)
    journal.close()
    return journal.sequence


def reopened(world: World, closed: list[ClosedBatch]) -> tuple[Sequencer, Journal]:
    journal = Journal(log_folder(world.folder) / JOURNAL, LOG)
    start = world.terms.beginning(journal)
    sequencer = Sequencer(start.exchange, start.committed, journal, OPERATOR, clock_ms=lambda: 1, inclusion_ms=1, on_batch=closed.append, start=start.position)
    return sequencer, journal


def test_the_exchange_goes_on_from_there_and_replays_to_the_same_state(foreign: World, run: Run) -> None:
    """Its first epoch follows the newest of layer 1, its first entry the last one of layer 1's batch; a price that was published stays."""
    place = foreign.resume()
    closed: list[ClosedBatch] = []
    sequencer, journal = reopened(foreign, closed)
    file = BatchFile(place / POSTER, lambda record: None)
    newest = foreign.history.epochs[max(foreign.history.epochs)]
    market = run.market.replayed
    later = newest.time_ms + 2 * 86_400_000  # two expiries later
    keeper = SimpleNamespace(add_epoch=file.save_epoch, epochs=file.epochs)
    upkeep = Upkeep(sequencer, OracleReplay(market, LOG, ORACLES), cast(EpochKeeper, keeper), len(sequencer.exchange.instruments), lambda text: None)
    upkeep.advance(later, MarketState.OPEN, growing=True)
    (first, *more) = file.epochs(newest.epoch, 10**9)
    assert first.epoch == newest.epoch + 1
    check_successor(decode_inputs(newest.inputs), decode_inputs(first.inputs), market.parameters.risk)
    for one, other in zip([first, *more], more, strict=False):
        check_successor(decode_inputs(one.inputs), decode_inputs(other.inputs), market.parameters.risk)
    assert closed[0].batch.number == len(foreign.history.final) + 1
    assert closed[0].batch.first_sequence == run.exchange.closed[-1].batch.last_sequence + 1 == journal.beginning.sequence + 1
    assert sequencer.exchange.settlements, "what has expired is settled"
    end = sequencer.state_root, sequencer.sequence, journal.head
    sequencer.close()
    again: list[ClosedBatch] = []
    sequencer, journal = reopened(foreign, again)
    assert (sequencer.state_root, sequencer.sequence, journal.head) == end and [batch.log_root for batch in again] == [batch.log_root for batch in closed]
    sequencer.close()
    file.close()


def test_a_journal_that_is_lost_is_gone_on_from(foreign: World, run: Run) -> None:
    """What the message about a damaged journal tells an operator without a copy to do. What no batch on layer 1 holds is lost, and nobody can say how much."""
    for name in (JOURNAL, f"{JOURNAL}.head"):
        (foreign.folder / name).rename(foreign.folder / f"damaged-{name}")
    foreign.resume()
    (loss,) = foreign.losses
    assert loss.batch == len(run.exchange.closed) and "Lost are an unknown number of log entries" in str(loss) and "and all open orders" in str(loss)
    sequencer, journal = reopened(foreign, [])
    last = run.exchange.closed[-1]
    assert (journal.sequence, sequencer.committed.root) == (last.batch.last_sequence, run.exchange.sequencer.committed.root)


def test_a_published_settlement_price_stays(run: Run) -> None:
    market = run.market.replayed
    expiry = run.market.expiries[0]
    listed = [item for item in run.market.instruments if item.expiry_ms == expiry]
    before = market.path.inputs(1, expiry, listed)
    ((_, price),) = before.settlements
    changed = replace(before, settlements=((expiry, price + 7),))
    assert market.path.inputs(2, expiry + 60_000, listed, changed).settlements == ((expiry, price + 7),)


# ---- what is refused


def frozen(world: World) -> None:
    world.frozen = True


def permissionless(world: World) -> None:
    world.permissionless = True


def pending(world: World) -> None:
    world.history.final = world.history.final[:-1]


def unconfirmed(world: World) -> None:
    world.confirmations, world.history.to_block = 5, world.history.final[-1].block_number + 4


def not_mined(world: World) -> None:
    world.waiting = 2


def in_time(world: World) -> None:
    world.now_s -= 1


def once_proposed(world: World) -> None:
    """And void: the very same batch may come for two proving windows more."""
    world.history.events.append(history_of(world.run).batches[FINAL])
    world.now_s += 2 * WINDOW_S - 1


def all_final(world: World) -> None:
    world.history = history_of(world.run)


def unknown(world: World) -> None:
    (world.folder / POSTER).unlink()
    write_poster(world.run, world.folder, FINAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (frozen, "the rollup is frozen: no batch can follow"),
        (permissionless, "a queue entry waits for 7 days"),
        (pending, f"batches {FINAL} to {FINAL} are proposed and not final"),
        (unconfirmed, r"batch 3 is final since block 1, the newest is 5: wait for layer1.confirmations = 5"),
        (not_mined, "2 transactions of the sequencer's wallet 0x[0-9a-fA-F]{40} wait to be mined, and would go first"),
        (in_time, f"batch {FINAL + 1}: layer 1 takes it until 2020-05-.* Start without --resume-from-layer1"),
        (once_proposed, f"batch {FINAL + 1}: layer 1 takes it until 2020-05-"),
        (all_final, "the newest that this log has closed, is final on layer 1: nothing is in its way"),
        (unknown, f"batch {FINAL + 1}: the poster's file does not have it"),
    ],
)
def test_a_log_that_can_go_on_is_not_left(late: World, change: Callable[[World], None], message: str) -> None:
    change(late)
    with pytest.raises(ResumeRefused, match=message):
        late.resume()
    assert unchanged(late) and late.losses == []


def test_a_batch_that_was_proposed_once_is_too_late_in_the_end(late: World) -> None:
    once_proposed(late)
    late.now_s += 1
    late.resume()


def test_nothing_happens_without_a_yes(late: World) -> None:
    with pytest.raises(ResumeRefused, match="not confirmed: nothing was changed"):
        late.resume(agreed=False)
    assert unchanged(late) and len(late.losses) == 1


def test_a_log_that_runs_is_not_left(late: World) -> None:
    running = Journal(late.folder / JOURNAL, LOG)
    with pytest.raises(JournalError, match="another process has it open"):
        late.resume()
    running.close()
    assert unchanged(late)


def test_data_that_do_not_give_layer_1s_root_are_refused(late: World) -> None:
    late.history.batches[1] = replace(late.history.batches[1], body=None)
    with pytest.raises(RecoveryError, match="batch 2: its data are not on layer 1"):
        late.resume()
    assert unchanged(late)


# ---- again, and killed


def test_a_second_resumption_has_a_log_and_a_head_of_its_own(late: World) -> None:
    """At the same batch, since nothing was final in between: here batch FINAL is gone from layer 1, after which the second log began."""
    first = Journal(late.resume() / JOURNAL, LOG)
    first.close()
    with pytest.raises(ResumeRefused, match="nothing is in its way"):
        late.resume()
    late.final(FINAL - 1)
    second = Journal(late.resume() / JOURNAL, LOG)
    second.close()
    assert second.path.parent.name == "resumed-2" == log_folder(late.folder).name
    assert f"batch {FINAL}, after which this log begins, is not on layer 1 any more" in str(late.losses[-1]) and late.losses[-1].entries == 0
    assert second.origin is not None and second.origin.ended_head == first.head != second.head


def test_an_exchange_without_a_final_batch_begins_at_genesis_again(late: World) -> None:
    late.final(0)
    late.now_s += 10**6
    journal = Journal(late.resume() / JOURNAL, LOG)
    start = late.terms.beginning(journal)
    assert (journal.sequence, journal.batches, start.exchange.next_sequence) == (0, 0, 1) and journal.head != LOG.genesis_hash
    assert start.committed.root == deployment_of(late.run).config.genesis_root
    journal.close()


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize(("step", "happened"), [("journal", False), ("file", False), ("sync 1", False), ("rename", False), ("sync 2", True)])
def test_killed_at_any_step_it_has_happened_or_not(late: World, step: str, happened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[Path] = []

    def killed(*_: object) -> None:
        raise Killed

    def sync(folder: Path) -> None:
        syncs.append(folder)
        if step == f"sync {len(syncs)}":
            raise Killed

    def journal(path: Path, identity: object, origin: LogOrigin | None = None) -> Journal:
        made = Journal(path, LOG, origin)
        if origin is not None and step == "journal":
            made.close()
            raise Killed
        return made

    with monkeypatch.context() as patch:
        patch.setattr(module, "Journal", journal)
        patch.setattr(module, "sync_folder", sync)
        if step == "file":
            patch.setattr(BatchFile, "fill", killed)
        if step == "rename":
            patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            late.resume()
    assert (log_folder(late.folder) == late.folder) is not happened
    if happened:
        with pytest.raises(ResumeRefused, match="nothing is in its way"):
            late.resume()
    else:
        late.resume()
    sequencer, made = reopened(late, [])
    assert sequencer.state_root == late.history.final[-1].state_root and made.path.parent.name == "resumed-1"
    assert not list(late.folder.glob("*.part"))
    sequencer.close()


# ---- data of a committee


def test_under_a_committee_the_new_file_has_the_data_of_all_batches(late: World) -> None:
    """Members may ask for any of them."""
    late.data = Data.COMMITTEE
    late.history.batches[1:] = [replace(batch, place=WITH_COMMITTEE) for batch in late.history.batches[1:]]
    file = BatchFile(late.resume() / POSTER, lambda record: None)
    stored = [file.stored(number) for number in range(1, FINAL + 1)]
    assert [(item.effects, item.body, item.c) for item in stored] == [(b.effects, b.body, b.data_commitment) for b in late.history.batches]
    assert [item.place for item in stored] == [IN_CALLDATA, WITH_COMMITTEE, WITH_COMMITTEE]
    assert [item.epoch for item in stored] == [record.epoch for record in file.records()]
    file.close()


def test_bodies_come_from_the_own_file_first(tmp_path: Path) -> None:
    file = BatchFile(tmp_path / POSTER, lambda record: None)
    file.store(StoredBatch(1, b"p" * 32, b"h" * 32, WITH_COMMITTEE, (1,), (2, 3), 4, 5))
    asked: list[int] = []

    class Members:
        def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
            asked.append(batch_number)
            return (9,)

    bodies = OwnBodies(file, cast(BodySource, Members()))
    assert bodies.body(1, b"h" * 32) == (2, 3) and asked == []
    assert bodies.body(1, b"x" * 32) == (9,) and bodies.body(2, b"h" * 32) == (9,) and asked == [1, 2]
    file.close()


def test_a_beginning_of_another_exchange_is_refused(run: Run, tmp_path: Path) -> None:
    terms = Terms(run.config.circuit, run.exchange.sequencer.committed.params, FeeSchedule(), DOMAIN, address_of(OPERATOR))
    for i, (state, message) in enumerate(
        [(b"nonsense", "the state that it begins with: state copy"), (None, "begins with state root 0x[0-9a-f]+, expected 0x7")]
    ):
        copy = state or dump_state(run.exchange.sequencer.committed)
        number = run.exchange.sequencer.committed.batch_number
        journal = Journal(tmp_path / str(i) / JOURNAL, LOG, LogOrigin(number, 5, b"h" * 32, b"e" * 32, 7, 1, 1, copy))
        with pytest.raises(JournalError, match=message):
            terms.beginning(journal)
        journal.close()
