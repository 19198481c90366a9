"""The poster's file: what several threads write at a time is whole, and durable when the call returns."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from straddle.commitments.challenge import Place
from straddle.commitments.policy import Data
from straddle.proving.keys import Proof
from straddle.sequencer.batch_file import BatchFile, BatchRecord, PosterError, SignedEpoch, Status, StoredBatch

PROOF = Proof((1, 2), (3, 4, 5, 6), (7, 8), (9, 10), (11, 12), (1, 2, 3, 4, 5))


def record(number: int, header: str = "aa") -> BatchRecord:
    return BatchRecord(number, Status.CLOSED, header, "0x1")


def stored(number: int, c: int = 1) -> StoredBatch:
    return StoredBatch(number, b"p", b"h", Place(Data.CALLDATA), (1,), (2,), c, 1)


def epoch(number: int) -> SignedEpoch:
    return SignedEpoch(number, 1_000, number, b"inputs", ())


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BatchFile]:
    file = BatchFile(tmp_path / "poster.sqlite", lambda record: None)
    yield file
    file.close()


def on_disk(folder: Path, select: str) -> list[Any]:
    """As another process sees it: only what was committed."""
    with closing(sqlite3.connect(folder / "poster.sqlite")) as other:
        return [row[0] for row in other.execute(select)]


class Changes(list[tuple[BatchRecord, StoredBatch]]):
    """After the first change `meanwhile` runs, once; the second one fails on its way to the disk, if it is to."""

    def __init__(self, meanwhile: Any, *, fails: bool) -> None:
        super().__init__([(record(1, "bb"), stored(1)), (record(2, "bb"), stored(2))])
        self.meanwhile, self.fails = meanwhile, fails

    def __iter__(self) -> Iterator[tuple[BatchRecord, StoredBatch]]:
        for place, change in enumerate(super().__iter__()):
            if place == 1 and self.meanwhile is not None:
                meanwhile, self.meanwhile = self.meanwhile, None
                meanwhile()
                if self.fails:
                    raise sqlite3.OperationalError("database or disk is full")
            yield change


@pytest.mark.parametrize("fails", [False, True])
def test_what_other_threads_write_while_batches_are_rebound_is_durable_whatever_becomes_of_that(file: BatchFile, tmp_path: Path, fails: bool) -> None:
    """The writer journals an epoch as soon as it is saved: were it part of another's open transaction, a crash or a failure there would lose it."""
    for number in (1, 2):
        file.save(record(number))
        assert file.save_proof(number, b"\xaa", PROOF)
        assert not file.save_proof(number, b"\xab", PROOF)  # of another header
    begun, returned, seen = threading.Event(), threading.Event(), list[Any]()

    def save() -> None:
        begun.set()
        file.save_epoch(epoch(7))
        seen.extend(on_disk(tmp_path, "SELECT epoch FROM epochs"))
        returned.set()

    with ThreadPoolExecutor(1) as pool:

        def meanwhile() -> None:
            pool.submit(save)
            assert begun.wait(20) and not returned.wait(0.1)

        if fails:
            with pytest.raises(PosterError, match=r"poster.sqlite: cannot be written: database or disk is full. Make room"):
                file.rebound(Changes(meanwhile, fails=True))
        else:
            file.rebound(Changes(meanwhile, fails=False))
    assert seen == [7]
    expected = "aa" if fails else "bb"
    assert on_disk(tmp_path, "SELECT header_hash FROM batches") == [expected] * 2
    assert [file.proof(number) for number in (1, 2)] == ([PROOF] * 2 if fails else [None] * 2)
    assert on_disk(tmp_path, "SELECT number FROM stored") == ([] if fails else [1, 2])
    file.save(record(3))  # and nothing is left open
    assert on_disk(tmp_path, "SELECT number FROM batches") == [1, 2, 3]


def test_many_threads_change_a_record_and_lose_nothing(file: BatchFile) -> None:
    file.save(record(1))
    fields = ("propose_gas", "prove_gas", "finalise_gas", "blob_gas")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(lambda name=name: [file.update(1, **{name: i}) for i in range(25)]) for name in fields]:  # type: ignore[misc]
            done.result()
    assert [getattr(file.known(1), name) for name in fields] == [24] * 4
