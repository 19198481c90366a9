"""The sequencer acknowledges only what it has on disk, cuts batches where they must be cut, and comes back to the same state."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from straddle.core.commands import Command, InternalEpoch, L1Deposit
from straddle.core.events import Trade
from straddle.core.orders import Side
from straddle.core.rejections import Rejection, RejectionCode
from straddle.sequencer import sequencer as module
from straddle.sequencer.journal import BatchMark, Journal, JournalEntry, JournalError
from straddle.sequencer.receipts import log_root
from straddle.sequencer.sequencer import Accepted, ClosedBatch, ReplayError, Sequencer, SequencerStopped

from . import market


def close(sequencer: Sequencer) -> None:
    sequencer.close()


def accept(sequencer: Sequencer, commands: list[Command]) -> list[Accepted]:
    answers = sequencer.submit_many(commands)
    assert all(isinstance(answer, Accepted) for answer in answers), [answer for answer in answers if isinstance(answer, Rejection)]
    return [answer for answer in answers if isinstance(answer, Accepted)]


def snapshot(sequencer: Sequencer) -> dict[str, object]:
    """Everything that a restart must bring back."""
    exchange = sequencer.exchange
    return {
        "root": sequencer.state_root,
        "sequence": sequencer.sequence,
        "accounts": exchange.accounts,
        "open_batch": exchange.open_batch,
        "table": exchange.table,
        "orders": {account: [resting.order for resting in orders.values()] for account, orders in exchange.open_orders.items()},
        "queue_pointer": exchange.queue_pointer,
        "next_sequence": exchange.next_sequence,
    }


def test_accepted_commands_get_receipts_that_chain(path: Path) -> None:
    sequencer = market.open_sequencer(path)
    answers = accept(sequencer, market.opening())
    places = [answer.receipt.place for answer in answers]
    assert [place.sequence for place in places] == [1, 2, 3, 4, 5, 6]
    assert [place.previous_hash for place in places] == [market.IDENTITY.genesis_hash, *(place.hash for place in places[:-1])]
    assert {answer.receipt.signer for answer in answers} == {market.SIGNER.address}
    assert {place.deadline_ms for place in places} == {65_000}
    assert [place.epoch for place in places] == [0, 1, 1, 1, 1, 1]
    assert len({answer.receipt.signature for answer in answers}) == 1
    again = sequencer.receipt(4)  # by itself now
    assert (again.place, again.siblings, again.signer) == (places[3], (), market.SIGNER.address)
    (alone,) = accept(sequencer, [market.trade(3, 1, Side.SELL, 10)])
    assert sequencer.receipt(7) == alone.receipt
    close(sequencer)


def test_a_refused_command_takes_no_place(path: Path) -> None:
    sequencer = market.open_sequencer(path)
    accept(sequencer, market.opening())
    before = snapshot(sequencer)
    refusals = sequencer.submit_many([L1Deposit(9, 3, market.OWNERS[3], 5), market.trade(3, 1, Side.SELL, 10**9), market.withdraw(4, 1, 10**15)])
    codes = [answer.code for answer in refusals if isinstance(answer, Rejection)]
    assert codes[0] is RejectionCode.QUEUE_ORDER
    assert len(codes) >= 2
    assert sequencer.sequence == before["sequence"] + sum(isinstance(answer, Accepted) for answer in refusals)
    close(sequencer)
    assert market.open_sequencer(path).sequence == sequencer.sequence


def test_batches_are_cut_where_the_engine_says_and_log_roots_close_them(path: Path) -> None:
    closed: list[ClosedBatch] = []
    sequencer = market.open_sequencer(path, closed.append)
    accept(sequencer, market.opening())
    answers = accept(sequencer, market.trading(6))
    assert sum(isinstance(event, Trade) for answer in answers for event in answer.events) == 6
    assert [batch.batch.number for batch in closed] == list(range(1, len(closed) + 1))
    assert len(closed) >= 3  # each new table ends a batch
    first = 1
    for batch in closed:
        assert batch.batch.first_sequence == first
        first = batch.batch.last_sequence + 1
        assert batch.log_root == log_root(sequencer.receipt(batch.batch.last_sequence).place.hash)
    for before, after in itertools.pairwise(closed):
        assert before.change.after == after.change.before
    assert closed[-1].change.after.root == sequencer.state_root
    close(sequencer)


def test_one_group_and_many_singles_write_the_same_log(path: Path, tmp_path: Path) -> None:
    together = market.open_sequencer(path)
    accept(together, [*market.opening(), *market.trading(4)])
    singles = market.open_sequencer(tmp_path / "singles.sqlite")
    for command in [*market.opening(), *market.trading(4)]:
        assert isinstance(singles.submit(command), Accepted)
    assert snapshot(together) == snapshot(singles)
    close(together)
    close(singles)
    logs = []
    for file in (path, tmp_path / "singles.sqlite"):
        journal = Journal(file, market.IDENTITY)
        logs.append(list(journal.items()))
        journal.close()
    assert logs[0] == logs[1]
    assert any(isinstance(item, BatchMark) for item in logs[0])


def test_a_restart_brings_everything_back(path: Path) -> None:
    closed: list[ClosedBatch] = []
    sequencer = market.open_sequencer(path, closed.append)
    accept(sequencer, [*market.opening(), *market.trading(5), market.trade(3, 77, Side.SELL, 10), market.withdraw(4, 1, 1_000_000)])
    before = snapshot(sequencer)
    close(sequencer)
    again: list[ClosedBatch] = []
    restarted = market.open_sequencer(path, again.append)
    assert snapshot(restarted) == before
    assert again == closed
    more = [market.trade(4, 99, Side.BUY, 10)]
    assert any(isinstance(event, Trade) for answer in accept(restarted, more) for event in answer.events)  # the resting order came back
    close(restarted)


def test_close_batch_on_request(path: Path) -> None:
    sequencer = market.open_sequencer(path)
    with pytest.raises(ValueError, match="listed instruments have no table yet"):
        sequencer.close_batch()
    accept(sequencer, market.opening())
    closed = sequencer.close_batch()
    assert (closed.batch.first_sequence, closed.batch.last_sequence) == (1, 6)
    assert closed.change.after.root == sequencer.state_root
    with pytest.raises(ValueError, match="batch 2: no command since the last batch"):
        sequencer.close_batch()
    accept(sequencer, market.trading(1))
    assert sequencer.close_batch().batch.number == 2
    before = snapshot(sequencer)
    close(sequencer)
    restarted = market.open_sequencer(path)
    assert snapshot(restarted) == before
    close(restarted)


def test_a_changed_engine_is_found_at_the_first_batch(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = market.open_sequencer(path)
    accept(sequencer, [*market.opening(), *market.trading(2)])
    close(sequencer)

    def other_engine(exchange: object, command: Command) -> object:
        outcome = real(exchange, command)  # type: ignore[arg-type]
        if isinstance(command, L1Deposit):
            exchange.accounts[command.account].cash += 1  # type: ignore[attr-defined]
        return outcome

    real = module.transition
    monkeypatch.setattr(module, "transition", other_engine)
    with pytest.raises(ReplayError, match="batch 1 replayed to state root"):
        market.open_sequencer(path)


def test_an_entry_that_is_refused_now_stops_the_replay(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = market.open_sequencer(path)
    accept(sequencer, [*market.opening(), *market.trading(1)])
    close(sequencer)
    monkeypatch.setattr(market, "DOMAIN", market.DOMAIN + 1)  # no signature is valid any more
    with pytest.raises(ReplayError, match="entry 7 was accepted once and is refused now: signature"):
        market.open_sequencer(path)


def test_nothing_is_acknowledged_when_the_disk_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = market.open_sequencer(path)
    accept(sequencer, market.opening())
    before = snapshot(sequencer)

    def full(*arguments: object) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(sequencer._journal, "_write", full)
    with pytest.raises(JournalError, match="disk full"):
        sequencer.submit(market.trade(3, 1, Side.SELL, 10))
    with pytest.raises(SequencerStopped, match="stopped after: JournalError: disk full; restart to replay the journal"):
        sequencer.submit(market.trade(3, 2, Side.SELL, 10))
    with pytest.raises(SequencerStopped):
        sequencer.close_batch()
    close(sequencer)
    restarted = market.open_sequencer(path)
    assert snapshot(restarted)["sequence"] == before["sequence"]
    assert not restarted.exchange.open_orders
    close(restarted)


def test_an_altered_journal_does_not_start(path: Path) -> None:
    sequencer = market.open_sequencer(path)
    accept(sequencer, market.opening())
    close(sequencer)
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER log_keeps_values")
        db.execute("UPDATE log SET command = replace(command, '50000000000', '90000000000') WHERE sequence = 3")
    db.close()
    with pytest.raises(JournalError, match="entry 3 does not follow"):
        market.open_sequencer(path)


def test_kill_minus_nine_loses_nothing_acknowledged(path: Path) -> None:
    """The process is killed while it trades. The restart has every acknowledged entry, reaches the marked roots, and trades on."""
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path; import market\n"
        "from straddle.sequencer.sequencer import Accepted\n"
        "closed = []\n"
        "sequencer = market.open_sequencer(Path(sys.argv[1]), closed.append)\n"
        "sequencer.submit_many(market.opening())\n"
        "for command in (command for number in range(1, 10_000) for command in market.trading_round(number)):\n"
        "    answer = sequencer.submit(command)\n"
        "    print(answer.receipt.place.hash.hex(), f'{closed[-1].change.after.root:064x}' if closed else '', flush=True)\n"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    process = subprocess.Popen([sys.executable, "-c", code, str(path), *folders], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    reported = [process.stdout.readline() for _ in range(40)]
    process.kill()
    rest, errors = process.communicate()
    assert len(reported[-1]) == 130, errors
    reported += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    closed: list[ClosedBatch] = []
    restarted = market.open_sequencer(path, closed.append)
    roots = {f"{batch.change.after.root:064x}" for batch in closed}
    hashes = [item.hash.hex() for item in restarted._journal.items() if isinstance(item, JournalEntry)]
    assert hashes[6 : 6 + len(reported)] == [line.split()[0] for line in reported]
    assert {line.split()[1] for line in reported if len(line.split()) == 2} <= roots
    accept(restarted, [market.trade(3, 10**6, Side.SELL, 10), market.trade(4, 10**6, Side.BUY, 10)])
    close(restarted)


def test_who_misses_a_batch_stops_the_sequencer(path: Path) -> None:
    """A poster that failed to take one batch would take the next for its successor. The commands are on disk; a restart announces the batch again."""

    def fails(batch: ClosedBatch) -> None:
        raise OSError("poster: no space left on device")

    sequencer = market.open_sequencer(path, fails)
    accept(sequencer, market.opening())
    with pytest.raises(OSError, match="no space"):
        sequencer.close_batch()
    with pytest.raises(SequencerStopped, match="OSError: poster: no space left on device"):
        sequencer.submit(market.trade(3, 1, Side.SELL, 10))
    close(sequencer)
    closed: list[ClosedBatch] = []
    restarted = market.open_sequencer(path, closed.append)
    assert [batch.batch.number for batch in closed] == [1]
    close(restarted)


def test_without_room_on_layer_1_no_users_command_ends_a_batch(path: Path) -> None:
    """A cancel costs nothing: whoever sends enough of them would fill batch after batch."""
    closed: list[ClosedBatch] = []
    sequencer = market.open_sequencer(path, closed.append)
    sequencer._may_close = lambda: False
    sequencer.submit_many([*market.opening()[:2], *market.opening()[2:4]])
    refused = sequencer.submit(market.cancel(3, 2))
    assert isinstance(refused, Rejection)  # it has no key: that is no matter of batches
    sequencer.submit_many(market.opening()[4:])
    for sequence, command in ((6, market.trade(3, 1, Side.SELL, 100)), (6, market.cancel(4, 2))):  # keys act from the next batch on
        refused = sequencer.submit(command)
        assert isinstance(refused, Rejection) and refused.code is RejectionCode.BATCH_BOUNDARY
        assert sequencer.sequence == sequence and closed == []
    sequencer._may_close = lambda: True
    assert isinstance(sequencer.submit(market.trade(3, 1, Side.SELL, 100)), Accepted) and len(closed) == 1
    sequencer._may_close = lambda: False
    assert isinstance(sequencer.submit(market.trade(4, 1, Side.BUY, 100)), Accepted)
    assert isinstance(sequencer.submit(InternalEpoch(market.table(2))), Accepted) and len(closed) == 2  # what cannot wait does not
    sequencer.close()
