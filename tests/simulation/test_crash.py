"""kill -9 at random points under load, and a disk without room: nothing that was acknowledged is lost, and the root is the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from support.market import picture

from straddle.sequencer.journal import JournalEntry

from .crash import Victim, open_node, stop_server
from .node import SNAPSHOTS


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    yield
    stop_server()


class Witness:
    """What the victims said, held against the folder that they left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.acknowledged: dict[int, bytes] = {}
        self.pictures = ""
        self.roots: dict[int, int] = {}

    def hear(self, message: tuple[object, ...]) -> None:
        if message[0] == "open":
            _, sequence, head, batches, root = message
            if isinstance(sequence, int) and sequence:
                self.note(sequence, head)
        else:
            _, receipts, batches, root = message
            assert isinstance(receipts, list)
            for sequence, value in receipts:
                self.note(sequence, value)
        assert isinstance(batches, int) and isinstance(root, int)
        assert self.roots.setdefault(batches, root) == root

    def note(self, sequence: int, value: object) -> None:
        assert isinstance(value, bytes)
        assert self.acknowledged.setdefault(sequence, value) == value, f"entry {sequence} was acknowledged twice, differently"

    def look(self) -> int:
        """The restarted node has every acknowledged entry and root; its sequence."""
        node, _ = open_node(self.folder)
        hashes = {item.place.sequence: item.hash for item in node.journal.items() if isinstance(item, JournalEntry)}
        assert self.acknowledged.items() <= hashes.items()
        roots = {closed.batch.number: closed.change.after.root for closed in node.closed}
        assert {number: root for number, root in self.roots.items() if number}.items() <= roots.items()
        sequence = node.sequencer.sequence
        self.hear(("open", sequence, node.journal.head, len(node.closed), node.sequencer.state_root))
        self.pictures = picture(node.sequencer.exchange)
        node.close()
        return sequence

    def look_from_snapshot(self) -> int:
        """After `look`: the node that starts from the newest snapshot is in the same state; the sequence of that snapshot."""
        node, _ = open_node(self.folder, snapshots=True)
        assert node.passed_over == []
        assert picture(node.sequencer.exchange) == self.pictures
        self.hear(("open", node.sequencer.sequence, node.journal.head, node.journal.batches, node.sequencer.state_root))
        node.close()
        return node.start.sequence


def kill_at_random_points(folder: Path, points: int, seed: int, *, snapshots: bool = False) -> Witness:
    rng, witness, started_from = Random(seed), Witness(folder), set[int]()
    for point in range(points):
        victim = Victim(folder, f"{seed}/{point}", first_nonce=1_000 * point, snapshots=snapshots)
        if rng.random() < 0.2:
            time.sleep(rng.random() * 0.3)  # while it creates the journal or replays
        else:
            for _ in range(rng.randint(1, 12)):
                witness.hear(victim.hear())
            time.sleep(rng.random() * 0.01)
        for message in victim.kill():
            witness.hear(message)
        witness.look()
        if snapshots:
            started_from.add(witness.look_from_snapshot())
    assert not snapshots or len(started_from) > points // 3
    return witness


def check_fifty(folder: Path, first_seed: int, *, snapshots: bool = False) -> None:
    """Fifty points in three logs: each start replays its whole log, so that one log would cost three times as much."""
    lives = [kill_at_random_points(folder / f"{i}", points, first_seed + i, snapshots=snapshots) for i, points in enumerate((20, 15, 15))]
    assert sum(len(witness.acknowledged) for witness in lives) > 300 and min(max(witness.roots) for witness in lives) > 5


def test_killed_at_random_points_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    witness = kill_at_random_points(tmp_path / "node", points=12, seed=1)
    assert len(witness.acknowledged) > 50 and max(witness.roots) > 2


@pytest.mark.slow
def test_killed_at_fifty_random_points_with_snapshots(tmp_path: Path) -> None:
    """While it replays, trades, and writes and removes snapshots: the root is that of the whole journal, from whichever snapshot is left."""
    check_fifty(tmp_path, first_seed=10, snapshots=True)


def test_a_damaged_snapshot_after_a_kill_leaves_an_older_one_or_the_journal(tmp_path: Path) -> None:
    witness = kill_at_random_points(tmp_path / "node", points=4, seed=4, snapshots=True)
    files = sorted((witness.folder / SNAPSHOTS).iterdir())
    for damaged in reversed(range(len(files))):
        files[damaged].write_bytes(files[damaged].read_bytes()[:-1] + b"x")
        node, _ = open_node(witness.folder, snapshots=True)
        assert picture(node.sequencer.exchange) == witness.pictures
        assert len(node.passed_over) == len(files) - damaged and "checksum does not hold" in node.passed_over[-1]
        assert (node.start.sequence == 0) == (damaged == 0)
        node.close()
    assert len(files) > 1


@pytest.mark.slow
def test_killed_at_fifty_random_points(tmp_path: Path) -> None:
    check_fifty(tmp_path, first_seed=20)


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """The operating system refuses to let the files grow (a limit on their size), as a full disk does."""
    witness = Witness(tmp_path / "node")
    victim = Victim(witness.folder, "full", file_bytes_max=400_000)
    while (message := victim.hear())[0] != "failed":
        witness.hear(message)
    victim.kill()
    assert f"what follows entry {max(witness.acknowledged)} was not written" in message[1]
    assert "Make room on the disk" in message[1] and "restart; nothing that was acknowledged is lost" in message[1]
    assert len(witness.acknowledged) > 20
    assert witness.look() == max(witness.acknowledged)
    again = Victim(witness.folder, "room again", first_nonce=10_000)
    for _ in range(5):
        witness.hear(again.hear())
    again.kill()
