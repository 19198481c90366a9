"""The journal keeps what it acknowledged, and refuses what it did not write."""

from __future__ import annotations

import dataclasses
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from straddle.sequencer.journal import MAX_GROUP, BatchMark, Journal, JournalEntry, JournalError, LogPosition, Pending
from straddle.sequencer.origin import LogOrigin
from straddle.sequencer.receipts import LogIdentity


def tamper(path: Path, *statements: str) -> None:
    """Change the file as an accident or an attacker would: without the triggers."""
    with sqlite3.connect(path) as db:
        for trigger in TRIGGERS:
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(statement)
    db.close()


ORIGIN = LogOrigin(4, 10, b"\x11" * 32, b"\x22" * 32, 77, 3, 5_000, b"a state" * 100)
TRIGGERS = ("log_keeps_values", "log_keeps_entries", "marks_keep_values", "marks_keep_entries")


def read(path: Path, identity: LogIdentity) -> list[bytes]:
    journal = Journal(path, identity)
    try:
        return [item.command if isinstance(item, JournalEntry) else b"end of batch %d" % item.batch_number for item in journal.items()]
    finally:
        journal.close()


def test_entries_come_back_in_order(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    entries = [item for item in journal.items() if isinstance(item, JournalEntry)]
    assert [entry.command for entry in entries] == [b"command 0", b"command 1", b"command 2", b"more 0", b"more 1"]
    assert [entry.place.sequence for entry in entries] == [1, 2, 3, 4, 5]
    assert [(entry.place.epoch, entry.place.deadline_ms) for entry in entries] == [(1, 1000), (1, 1001), (1, 1002), (2, 2000), (2, 2001)]
    journal.close()


def test_chain_links_each_entry_to_the_one_before(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    entries = [item for item in journal.items() if isinstance(item, JournalEntry)]
    assert [entry.place.previous_hash for entry in entries] == [identity.genesis_hash, *(entry.hash for entry in entries[:-1])]
    assert (journal.sequence, journal.head) == (5, entries[-1].hash)
    assert journal.entry(4) == entries[3]
    with pytest.raises(KeyError, match="journal entry 6: the log begins after 0, and ends at 5"):
        journal.entry(6)
    journal.close()


def test_appends_continue_after_a_restart(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    (entry,) = journal.append([Pending(3, 5, b"later")])
    assert entry.place.sequence == 6
    journal.close()
    assert read(written, identity)[-1] == b"later"


def test_each_field_of_a_place_changes_its_hash(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    place = journal.entry(3).place
    journal.close()
    changes: dict[str, object] = {
        "identity": dataclasses.replace(identity, chain_id=1),
        "epoch": place.epoch + 1,
        "sequence": place.sequence + 1,
        "previous_hash": bytes(32),
        "command_hash": bytes(32),
        "deadline_ms": place.deadline_ms + 1,
    }
    assert set(changes) == set(place._fields)
    hashes = {place.hash, *(place._replace(**{name: value}).hash for name, value in changes.items())}
    assert len(hashes) == 1 + len(changes)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE log SET command = x'00' WHERE sequence = 2", "entry 2 does not follow"),
        ("UPDATE log SET command = 'text' WHERE sequence = 2", "entry 2 does not follow"),
        ("UPDATE log SET epoch = -1 WHERE sequence = 2", "entry 2 does not follow"),
        ("UPDATE log SET epoch = 9 WHERE sequence = 5", "entry 5 does not follow"),
        ("UPDATE log SET deadline_ms = 0 WHERE sequence = 1", "entry 1 does not follow"),
        ("UPDATE log SET hash = zeroblob(32) WHERE sequence = 4", "entry 4 does not follow"),
        ("UPDATE log SET previous_hash = zeroblob(32) WHERE sequence = 4", "entry 4 does not follow"),
        ("DELETE FROM log WHERE sequence = 3", "entry 4 follows entry 2, expected entry 3: a gap"),
        ("DELETE FROM log WHERE sequence = 1", "entry 2 follows entry 0, expected entry 1: a gap"),
        ("DELETE FROM log WHERE sequence = 5", "ends at entry 4, expected entry 5: its tail is missing"),
        ("UPDATE head SET hash = zeroblob(32)", "ends at entry 5, expected entry 5: its tail is missing"),
        ("UPDATE marks SET state_root = zeroblob(32)", "the end of batch 1 is not as written"),
        ("UPDATE marks SET last_sequence = 2", "the end of batch 1 is not as written"),
        ("UPDATE marks SET last_sequence = 9", "0 batches end within the log, expected 1"),
        ("DELETE FROM marks", "0 batches end within the log, expected 1"),
        ("UPDATE identity SET version = 99", "version 99, expected 1"),
    ],
)
def test_a_changed_journal_is_refused(written: Path, identity: LogIdentity, statement: str, message: str) -> None:
    tamper(written, statement)
    with pytest.raises(JournalError, match=message):
        read(written, identity)


def test_consistently_rewritten_hash_of_one_entry_is_found_by_the_next(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    place = journal.entry(2).place._replace(deadline_ms=7)
    journal.close()
    tamper(written, f"UPDATE log SET deadline_ms = 7, hash = x'{place.hash.hex()}' WHERE sequence = 2")
    with pytest.raises(JournalError, match="entry 3 does not follow"):
        read(written, identity)


def test_the_database_refuses_to_change_entries(written: Path) -> None:
    with sqlite3.connect(written) as db:
        for statement in ("UPDATE log SET epoch = 2", "DELETE FROM log", "UPDATE marks SET state_root = zeroblob(32)", "DELETE FROM marks"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    db.close()


def test_another_rollups_journal_is_refused(written: Path, identity: LogIdentity) -> None:
    with pytest.raises(JournalError, match=r"chain_id 31337, expected 1"):
        Journal(written, dataclasses.replace(identity, chain_id=1))
    with pytest.raises(JournalError, match="rollup 0x"):
        Journal(written, dataclasses.replace(identity, rollup=5))


@pytest.mark.parametrize(
    "damage", [lambda data: b"not a database" * 400, lambda data: data[:4096] + b"\xff" * (len(data) - 4096)], ids=["foreign", "overwritten"]
)
def test_a_damaged_file_is_refused(written: Path, identity: LogIdentity, damage: Callable[[bytes], bytes]) -> None:
    written.write_bytes(damage(written.read_bytes()))
    with pytest.raises(JournalError, match="cannot be read"):
        read(written, identity)


def test_a_second_process_is_refused(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    code = (
        "import sys; from pathlib import Path; from straddle.sequencer.journal import Journal; from straddle.sequencer.receipts import LogIdentity\n"
        "Journal(Path(sys.argv[1]), LogIdentity(int(sys.argv[2]), int(sys.argv[3])))"
    )
    arguments = [sys.executable, "-c", code, str(written), str(identity.chain_id), str(identity.rollup)]
    second = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert "another process has it open" in second.stderr
    journal.close()
    assert subprocess.run(arguments, capture_output=True, timeout=60).returncode == 0


def test_an_append_is_all_or_nothing(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    head = journal.head
    with pytest.raises(JournalError, match="what follows entry 5 was not written"):
        journal.append([Pending(1, 1, b"good"), Pending(1, 2**64, b"too late")])
    assert (journal.sequence, journal.head) == (5, head)
    journal.append([Pending(1, 1, b"after")])
    journal.close()
    assert read(written, identity)[6:] == [b"after"]


def test_marks_stand_where_they_were_set(written: Path, identity: LogIdentity) -> None:
    assert read(written, identity) == [b"command 0", b"command 1", b"command 2", b"end of batch 1", b"more 0", b"more 1"]
    journal = Journal(written, identity)
    assert journal.batches == 1
    with pytest.raises(JournalError, match="batch 3 ends after entry 5, expected batch 2, entry 5"):
        journal.append([BatchMark(3, 5, 0)])
    with pytest.raises(JournalError, match="batch 2 ends after entry 4, expected batch 2, entry 6"):
        journal.append([Pending(1, 1, b"lost"), BatchMark(2, 4, 0)])
    journal.append([Pending(1, 1, b"last"), BatchMark(2, 6, 9)])
    journal.close()
    journal = Journal(written, identity)
    assert list(journal.items())[-1] == BatchMark(2, 6, 9)
    journal.close()


def test_a_group_has_a_named_maximum(path: Path, identity: LogIdentity) -> None:
    journal = Journal(path, identity)
    with pytest.raises(JournalError, match=f"{MAX_GROUP + 1} entries in one append"):
        journal.append([Pending(1, 1, b"")] * (MAX_GROUP + 1))
    assert journal.append([]) == []
    assert journal.sequence == 0
    journal.close()


def test_appends_survive_kill_minus_nine(path: Path, identity: LogIdentity) -> None:
    """A process is killed while it appends; everything that it had reported as durable is there, and the chain holds."""
    code = (
        "import sys; from pathlib import Path\n"
        "from straddle.sequencer.journal import Journal, Pending; from straddle.sequencer.receipts import LogIdentity\n"
        "journal = Journal(Path(sys.argv[1]), LogIdentity(int(sys.argv[2]), int(sys.argv[3])))\n"
        "while True:\n"
        "    print(journal.append([Pending(1, 1, b'x' * 100)] * 5)[-1].hash.hex(), flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path), str(identity.chain_id), str(identity.rollup)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    reported = [process.stdout.readline().strip() for _ in range(20)]
    process.kill()
    reported += [line for line in process.stdout.read().splitlines() if len(line) == 64]
    process.wait()
    journal = Journal(path, identity)
    hashes = [item.hash.hex() for item in journal.items() if isinstance(item, JournalEntry)]
    journal.close()
    assert len(hashes) % 5 == 0
    assert hashes[4::5][: len(reported)] == reported


HEAD = ".head"


def head_file(path: Path) -> Path:
    return path.with_name(path.name + HEAD)


def test_the_write_ahead_log_has_its_full_length_from_the_start(path: Path, identity: LogIdentity, tmp_path: Path) -> None:
    """So that no sync writes metadata; and a crash finds zeros behind the last frame, which are no frames."""
    journal = Journal(path, identity)
    log = path.with_name(path.name + "-wal")
    size = log.stat().st_size
    assert size > 1 << 20
    for i in range(20):
        journal.append([Pending(1, i, bytes(9_000))])
        copied = tmp_path / f"crashed {i}" / path.name
        copied.parent.mkdir()
        for file in (path, log, path.with_name(path.name + ".head")):
            (copied.parent / file.name).write_bytes(file.read_bytes())
        assert len(read(copied, identity)) == i + 1
    assert log.stat().st_size == size
    journal.close()
    assert len(read(path, identity)) == 20


def test_a_journal_behind_a_link_lengthens_the_log_that_is_its_own(written: Path, identity: LogIdentity, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / written.name
    link.parent.mkdir()
    link.symlink_to(written)
    journal = Journal(link, identity)
    assert written.with_name(written.name + "-wal").stat().st_size > 1 << 20
    journal.close()
    assert sorted(path.name for path in link.parent.iterdir()) == [written.name, written.name + HEAD]


def test_a_lost_tail_is_found_though_the_chain_holds(written: Path, identity: LogIdentity) -> None:
    """What a disk that lies about its syncs, or an old copy of the file alone, leaves: a shorter journal without a flaw."""
    older = written.read_bytes()
    journal = Journal(written, identity)
    journal.append([Pending(3, 5, b"acknowledged")])
    journal.close()
    written.write_bytes(older)
    expected = r"ends at entry 5 and batch 1, expected entry 6 and batch 1, which were acknowledged: its tail is missing\. Put back the whole folder.*"
    with pytest.raises(JournalError, match=expected + r"remove journal\.sqlite\.head"):
        Journal(written, identity)
    head_file(written).unlink()
    assert len(read(written, identity)) == 6


def test_a_lost_mark_is_found(written: Path, identity: LogIdentity) -> None:
    older = written.read_bytes()
    journal = Journal(written, identity)
    journal.append([BatchMark(2, 5, 8)])
    journal.close()
    written.write_bytes(older)
    with pytest.raises(JournalError, match="ends at entry 5 and batch 1, expected entry 5 and batch 2"):
        Journal(written, identity)


def test_another_history_of_the_same_length_is_found(written: Path, identity: LogIdentity) -> None:
    older = written.read_bytes()
    journal = Journal(written, identity)
    journal.append([Pending(3, 5, b"acknowledged")])
    journal.close()
    known = head_file(written).read_bytes()
    written.write_bytes(older)
    head_file(written).unlink()
    journal = Journal(written, identity)
    journal.append([Pending(3, 5, b"something else")])
    journal.close()
    head_file(written).write_bytes(known)
    with pytest.raises(JournalError, match="entry 6 is another one than was acknowledged"):
        Journal(written, identity)


@pytest.mark.parametrize("content", [b"", b"torn", None])
def test_a_head_file_that_says_nothing_is_written_anew(written: Path, identity: LogIdentity, content: bytes | None) -> None:
    whole = head_file(written).read_bytes()
    head_file(written).unlink()
    if content is not None:
        head_file(written).write_bytes(content)
    assert len(read(written, identity)) == 6
    assert head_file(written).read_bytes() == whole


@pytest.mark.parametrize("origin", [None, ORIGIN])
def test_a_journal_is_created_whole_or_not_at_all(path: Path, identity: LogIdentity, origin: LogOrigin | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before its identity was written, a journal that had its tables already could never be opened again."""

    class Killed(Exception):
        pass

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql == "COMMIT":
                raise Killed
            return super().execute(sql, *parameters)

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, **named, factory=Connection))
    with pytest.raises(Killed):
        Journal(path, identity, origin)
    monkeypatch.undo()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    db.close()
    assert read(path, identity) == []


def test_a_full_disk_names_the_remedy_and_changes_nothing(written: Path, identity: LogIdentity) -> None:
    journal = Journal(written, identity)
    (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match=r"what follows entry 5 was not written: database or disk is full. Make room on the disk.*nothing that was acknow"):
        journal.append([Pending(1, 1, bytes(10**6))])
    assert journal.sequence == 5
    journal.close()
    assert len(read(written, identity)) == 6


def test_an_unwritable_place_is_named(tmp_path: Path, identity: LogIdentity) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(JournalError, match=r"file/journal.sqlite: cannot be opened: .* Expected a file in a folder that this user may write"):
        Journal(tmp_path / "file" / "journal.sqlite", identity)


def test_another_rollup_and_a_damaged_entry_say_what_to_do(written: Path, identity: LogIdentity) -> None:
    with pytest.raises(JournalError, match=r"rollup 0x1234.*, expected 0x5. Give this exchange a folder of its own"):
        Journal(written, dataclasses.replace(identity, rollup=5))
    tamper(written, "UPDATE log SET command = x'00' WHERE sequence = 2")
    with pytest.raises(JournalError, match=r"entry 2 does not follow .* Put back the whole folder from a copy"):
        read(written, identity)


# ---- a log that begins after a batch of layer 1


@pytest.fixture
def resumed(path: Path, identity: LogIdentity) -> Path:
    """Three entries after batch 4, which ended with entry 10; batch 5 ends after the second."""
    journal = Journal(path, identity, ORIGIN)
    journal.append([Pending(4, 1, b"eleven"), Pending(4, 2, b"twelve"), BatchMark(5, 12, 88), Pending(5, 3, b"thirteen")])
    journal.close()
    return path


def test_a_log_goes_on_after_a_batch_of_layer_1(resumed: Path, identity: LogIdentity) -> None:
    assert read(resumed, identity) == [b"eleven", b"twelve", b"end of batch 5", b"thirteen"]
    journal = Journal(resumed, identity)
    assert journal.origin == ORIGIN and (journal.sequence, journal.batches) == (13, 5)
    assert journal.beginning == LogPosition(10, ORIGIN.head(identity), 4)
    first = journal.entry(11)
    assert (first.place.sequence, first.place.previous_hash) == (11, ORIGIN.head(identity))
    assert (journal.batch_root(4), journal.batch_root(5), journal.mark(4)) == (77, 88, BatchMark(4, 10, 77))
    with pytest.raises(KeyError, match="batch 3: the log begins after batch 4"):
        journal.batch_root(3)
    with pytest.raises(KeyError, match="journal entry 10: the log begins after 10, and ends at 13"):
        journal.entry(10)
    with pytest.raises(JournalError, match="batch 5 ends after entry 13, expected batch 6, entry 13"):
        journal.append([BatchMark(5, 13, 99)])
    journal.close()


def test_an_empty_log_after_a_batch_stands_where_the_batch_ended(path: Path, identity: LogIdentity) -> None:
    for _ in range(3):
        journal = Journal(path, identity, ORIGIN if not path.exists() else None)
        assert (journal.end, list(journal.items())) == (journal.beginning, [])
        journal.close()
    head_file(path).write_bytes(struct.pack(">QQ32s", 10, 4, identity.genesis_hash))
    with pytest.raises(JournalError, match="entry 10 is another one than was acknowledged"):
        Journal(path, identity)


def test_the_head_of_a_log_binds_the_batch_and_the_log_that_ended(identity: LogIdentity) -> None:
    others = [dataclasses.replace(ORIGIN, header_hash=b"\x12" * 32), dataclasses.replace(ORIGIN, ended_head=b"\x23" * 32)]
    assert len({ORIGIN.head(identity), *(other.head(identity) for other in others), identity.genesis_hash}) == 4
    assert ORIGIN.head(identity) != ORIGIN.head(dataclasses.replace(identity, rollup=5))


@pytest.mark.parametrize(
    "change",
    ["batch_number = 5", "last_sequence = 11", "header_hash = x'00'", "ended_head = ''", "state_root = x'01'", "epoch = -1", "time_ms = 1", "state = x'61'"],
)
def test_an_altered_beginning_is_refused(resumed: Path, identity: LogIdentity, change: str) -> None:
    tamper(resumed, f"UPDATE origin SET {change}")
    with pytest.raises(JournalError, match="the state that it begins with is not as written"):
        Journal(resumed, identity)


def test_a_beginning_that_is_gone_is_refused(resumed: Path, identity: LogIdentity) -> None:
    tamper(resumed, "DELETE FROM origin")
    with pytest.raises(JournalError, match="the state that it begins with is not as written"):
        Journal(resumed, identity)
