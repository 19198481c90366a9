"""A restart from a snapshot ends where the whole journal ends; a snapshot that cannot be used is passed over with its reason."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from support.market import picture

from straddle.commitments.ledger import CommittedState
from straddle.core.state import Exchange
from straddle.sequencer import snapshots
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Accepted, ClosedBatch, Logged, Sequencer
from straddle.sequencer.snapshots import Restored, SnapshotStore, engine_digest

from . import market


def reopen(path: Path, restored: Restored | None, journal: Journal, closed: list[ClosedBatch], logged: list[Logged]) -> Sequencer:
    if restored is None:
        exchange = Exchange.genesis(domain=market.DOMAIN, operator=market.OPERATOR, params=market.PARAMS, capacity=market.CAPACITY)
        restored = Restored(exchange, CommittedState.genesis(market.PARAMS, market.OPERATOR), journal.beginning)
    return Sequencer(
        restored.exchange,
        restored.committed,
        journal,
        market.SIGNER,
        clock_ms=lambda: 5_000,
        inclusion_ms=60_000,
        on_batch=closed.append,
        on_logged=logged.extend,
        start=restored.position,
    )


def trade_with_snapshots(path: Path, store: SnapshotStore) -> tuple[str, int]:
    """Six rounds with a snapshot after each, in the middle of batches and at their ends; what the exchange looks like then, and its root."""
    sequencer = market.open_sequencer(path)
    sequencer.submit_many(market.opening())
    for number in range(1, 7):
        sequencer.submit_many(market.trading_round(number))
        if number == 3:
            sequencer.close_batch()
        store.write(sequencer.exchange, sequencer.committed, sequencer.position)
    end = picture(sequencer.exchange), sequencer.state_root
    sequencer.close()
    return end


def test_every_snapshot_leads_to_the_same_end(path: Path, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    end = trade_with_snapshots(path, store)
    ends = []
    for _ in range(len(store.paths()) + 1):
        journal, said, closed, logged = Journal(path, market.IDENTITY), list[str](), list[ClosedBatch](), list[Logged]()
        restored = store.restore(journal, 10**9, said.append)
        start = restored.position if restored else journal.beginning
        sequencer = reopen(path, restored, journal, closed, logged)
        assert (picture(sequencer.exchange), sequencer.state_root) == end
        assert [entry.sequence for entry in logged] == list(range(start.sequence + 1, sequencer.sequence + 1))
        assert [batch.batch.number for batch in closed] == list(range(start.batches + 1, sequencer.position.batches + 1))
        assert said == []
        ends.append(start.sequence)
        sequencer.close()
        if restored:
            store.paths()[-1].unlink()
    assert ends == sorted(ends, reverse=True) and ends[-1] == 0 and len(set(ends)) == 7


def test_the_restored_exchange_goes_on_as_the_first_would(path: Path, tmp_path: Path) -> None:
    """Books, slots and orders are the same objects to each other: fills, amendments and cancels of what rested before still work."""
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    trade_with_snapshots(path, store)
    more = [command for number in range(7, 11) for command in market.trading_round(number)]
    outcomes = []
    for _ in range(2):
        copy = tmp_path / f"copy-{len(outcomes)}" / "journal.sqlite"
        copy.parent.mkdir()
        copy.write_bytes(path.read_bytes())
        journal = Journal(copy, market.IDENTITY)
        restored = store.restore(journal, 10**9, pytest.fail) if outcomes else None
        sequencer = reopen(copy, restored, journal, [], [])
        answers = sequencer.submit_many(more)
        outcomes.append((picture(sequencer.exchange), [answer.receipt if isinstance(answer, Accepted) else answer for answer in answers]))
        sequencer.close()
    assert outcomes[0] == outcomes[1]


def test_a_batch_that_ended_right_after_the_snapshot_is_replayed(path: Path, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    sequencer = market.open_sequencer(path)
    sequencer.submit_many([*market.opening(), *market.trading(1)])
    store.write(sequencer.exchange, sequencer.committed, sequencer.position)
    last = sequencer.close_batch()
    sequencer.close()
    journal, closed = Journal(path, market.IDENTITY), list[ClosedBatch]()
    restored = store.restore(journal, 10**9, pytest.fail)
    assert restored is not None and restored.position.batches == last.batch.number - 1
    sequencer = reopen(path, restored, journal, closed, [])
    assert [(batch.batch.number, batch.log_root) for batch in closed] == [(last.batch.number, last.log_root)]
    sequencer.close()


def flip(at: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        flipped = bytearray(content)
        flipped[at] ^= 1
        return bytes(flipped)

    return change


def with_header(**changes: object) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        head, _, payload = content[:-32].partition(b"\n")
        body = json.dumps(json.loads(head) | changes).encode() + b"\n" + payload
        return body + hashlib.sha256(body).digest()

    return change


def with_payload(value: object) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        body = content[:-32].partition(b"\n")[0] + b"\n" + pickle.dumps(value)
        return body + hashlib.sha256(body).digest()

    return change


class Executes:
    def __reduce__(self) -> object:
        return eval, ("1 + 1",)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[: len(content) // 2], "checksum does not hold"),
        (lambda content: b"", "checksum does not hold"),
        (flip(5), "checksum does not hold"),
        (flip(2_000), "checksum does not hold"),
        (flip(-1), "checksum does not hold"),
        (with_header(format="straddle.snapshot.0"), "format straddle.snapshot.0, expected straddle.snapshot.1"),
        (with_header(engine="e" * 64), "engine eeee"),
        (with_header(chain_id=1), "chain_id 1, expected 31337"),
        (with_header(head="00" * 32), "not of this journal"),
        (with_header(state_root="0x1"), "not of this journal"),
        (with_header(sequence=10**6), "journal entry 1000000: the log begins after 0, and ends at"),
        (with_header(sequence=1, head=""), "not of this journal"),
        (with_header(extra=1), "header of another version"),
        (with_payload(Executes()), "builtins.eval is no class of the state"),
        (with_payload((1, 2, ())), "holds int and int, expected an exchange"),
        (with_payload(None), "cannot be read"),
    ],
)
def test_a_snapshot_that_cannot_be_used_is_passed_over_for_an_older_one(path: Path, tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    end = trade_with_snapshots(path, store)
    newest, older = store.paths()[-1], store.paths()[-2]
    newest.write_bytes(damage(newest.read_bytes()))
    journal, said = Journal(path, market.IDENTITY), list[str]()
    restored = store.restore(journal, 10**9, said.append)
    assert restored is not None and f"{restored.position.sequence:016d}" == older.stem
    assert len(said) == 1 and reason in said[0] and newest.name in said[0]
    sequencer = reopen(path, restored, journal, [], [])
    assert (picture(sequencer.exchange), sequencer.state_root) == end
    sequencer.close()


def test_another_journal_uses_none_of_them(path: Path, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    trade_with_snapshots(path, store)
    other = market.open_sequencer(tmp_path / "other.sqlite")
    other.submit_many([*market.opening(), *market.trading(9)[1:]])
    other.close()
    said: list[str] = []
    journal = Journal(tmp_path / "other.sqlite", market.IDENTITY)
    assert store.restore(journal, 10**9, said.append) is None
    assert len(said) == len(store.paths())
    journal.close()
    foreign = LogIdentity(1, 2)
    journal = Journal(tmp_path / "foreign.sqlite", foreign)
    assert SnapshotStore(store.folder, foreign).restore(journal, 10**9, said.append) is None
    journal.close()


def test_only_states_that_layer_1_has_proved_are_restored(path: Path, tmp_path: Path) -> None:
    """What follows them is replayed, so that the poster has every batch that it may have to post."""
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    trade_with_snapshots(path, store)
    journal = Journal(path, market.IDENTITY)
    batches = sorted({snapshots.read_snapshot(file)[0].batches for file in store.paths()})
    assert len(batches) > 2
    for limit in batches:
        restored = store.restore(journal, limit, pytest.fail)
        assert restored is not None and restored.position.batches == limit
    assert store.restore(journal, batches[0] - 1, pytest.fail) is None
    journal.close()


def test_pruning_keeps_what_a_restart_may_need(path: Path, tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "snapshots", market.IDENTITY)
    trade_with_snapshots(path, store)
    every = store.paths()
    store.prune(0)
    assert store.paths() == every
    proved = snapshots.read_snapshot(every[3])[0].batches
    store.prune(proved)
    kept = store.paths()
    assert every[-1] in kept and every[3] in kept and every[0] not in kept
    old_enough = [file for file in kept if snapshots.read_snapshot(file)[0].batches <= proved]
    assert len(old_enough) == snapshots.KEPT


def test_a_snapshot_that_was_not_finished_is_removed(tmp_path: Path) -> None:
    (tmp_path / "0000000000000007.part").write_bytes(b"half")
    store = SnapshotStore(tmp_path, market.IDENTITY)
    assert store.paths() == [] and list(tmp_path.iterdir()) == []


def test_a_change_of_the_engine_changes_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("primitives", "core", "operations", "commitments"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "a.py").write_text("x = 1\n")
    (tmp_path / "transition.py").write_text("")
    monkeypatch.setattr(snapshots, "_SOURCES", tmp_path)
    digests = []
    for name, text in (("core/a.py", "x = 1\n"), ("core/a.py", "x = 2\n"), ("operations/b.py", ""), ("transition.py", "y = 1\n")):
        (tmp_path / name).write_text(text)
        engine_digest.cache_clear()
        digests.append(engine_digest())
    monkeypatch.setattr(snapshots, "SOURCE_DIGEST", "another kernel")
    engine_digest.cache_clear()
    digests.append(engine_digest())
    engine_digest.cache_clear()
    assert len(set(digests)) == 5
