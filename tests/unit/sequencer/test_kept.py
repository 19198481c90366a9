"""What the poster's file may have come to, and what becomes of layer 1 then: nothing, or the same batches."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from straddle.commitments.policy import Data
from straddle.proving.vector import PostedBatch
from straddle.sequencer.batch_file import BatchFile, BatchRecord, Status
from straddle.sequencer.kept import IN_MEMORY, KeptBatches
from straddle.sequencer.poster import Poster, PosterError
from straddle.sequencer.sequencer import ClosedBatch

from .test_poster import FACTS, Died, FakeChain, FakeProver, closed_batches, opened, start

WINDOW = 4095


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "poster.sqlite", isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)


def closed_file(path: Path, folder: Path) -> list[ClosedBatch]:
    """Batches in the file, none of them on layer 1."""
    closed = closed_batches(path)
    poster = start(folder, FakeChain(), FakeProver())
    for batch in closed:
        poster.add(batch)
    poster.close()
    return closed


def restarted(folder: Path, chain: FakeChain, count: int) -> Poster:
    return Poster(opened(folder), FACTS, chain, FakeProver(), after_batch=count)


def test_a_witness_of_another_batch_goes_nowhere(path: Path, tmp_path: Path) -> None:
    count, chain = len(closed_file(path, tmp_path)), FakeChain()
    change(tmp_path, "UPDATE witnesses SET witness = (SELECT witness FROM witnesses WHERE number = 2) WHERE number = 3")
    poster = restarted(tmp_path, chain, count)
    with pytest.raises(PosterError, match=r"batch 3: header hash [0-9a-f]{64} of its kept witness, expected [0-9a-f]{64} as posted"):
        poster.post()
    assert len(chain.proposed) == 2
    poster.close()


def test_another_rollups_file_goes_nowhere(path: Path, tmp_path: Path) -> None:
    count, chain = len(closed_file(path, tmp_path)), FakeChain()
    poster = Poster(opened(tmp_path), replace(FACTS, rollup=FACTS.rollup + 1), chain, FakeProver(), after_batch=count)
    with pytest.raises(PosterError, match="batch 1: header hash"):
        poster.post()
    assert chain.proposed == []
    poster.close()


def test_rows_that_were_lost_are_made_again(path: Path, tmp_path: Path) -> None:
    """A file without the newest record, or without a witness in between, does not reach as far: the journal is replayed from there."""
    closed, chain = closed_file(path, tmp_path), FakeChain()
    change(tmp_path, f"DELETE FROM batches WHERE number = {len(closed)}", "DELETE FROM witnesses WHERE number = 2")
    file = opened(tmp_path)
    assert file.reach(0) == 1
    poster = Poster(file, FACTS, chain, FakeProver(), after_batch=1)
    for batch in closed[1:]:
        poster.add(batch)
    poster.post()
    assert [batch.header_hash.hex() for batch in chain.proposed] == [record.header_hash for record in poster.records()]
    assert len(chain.proven) == len(closed)
    poster.close()


@pytest.mark.parametrize("row", ["save_witness", "save"])
def test_a_full_disk_between_two_rows(row: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, chain = closed_batches(path), FakeChain()
    poster = start(tmp_path, chain, FakeProver())
    poster.add(closed[0])

    def full(*arguments: object) -> None:
        raise Died

    with monkeypatch.context() as context:
        context.setattr(BatchFile, row, full)
        with pytest.raises(Died):
            poster.add(closed[1])
    assert list(poster.kept) == [1]
    poster.close()
    file = opened(tmp_path)
    assert file.reach(0) == 1, "a witness without its record does not count"
    poster = Poster(file, FACTS, chain, FakeProver(), after_batch=1)
    for batch in closed[1:]:
        poster.add(batch)
    assert len(poster.post()) == len(closed)
    poster.close()


def test_what_layer_1_voided_is_proposed_again_as_it_was(path: Path, tmp_path: Path) -> None:
    """From the file alone, after a restart."""
    count, chain = len(closed_file(path, tmp_path)), FakeChain()
    poster = restarted(tmp_path, chain, count)
    poster.post()
    proposed = [batch.header_hash for batch in chain.proposed]
    poster.close()
    del chain.proposed[1:], chain.proven[1:]
    poster = restarted(tmp_path, chain, count)
    assert [record.number for record in poster.post()] == list(range(2, count + 1))
    assert [batch.header_hash for batch in chain.proposed] == proposed and all(record.status is Status.VERIFIED for record in poster.records())
    with pytest.raises(PosterError, match=f"batch 0: not kept, expected one of 1 to {count}"):
        poster.posted(0)
    with pytest.raises(PosterError, match=f"batch {count + 1}: not kept"):
        poster.posted(count + 1)
    poster.close()


def test_a_window_takes_little_memory(path: Path, tmp_path: Path) -> None:
    """Of 4,095 proposals a header each; of the witnesses those that were read last."""
    posted = one_batch(path, tmp_path / "one")
    file = opened(tmp_path)
    with file._writing():
        for number in range(1, WINDOW + 1):
            file._write(BatchRecord(number, Status.PROPOSED, posted.header_hash.hex(), "0x0", epoch=1, data="calldata"))
            file._db.execute("INSERT INTO witnesses VALUES (?, x'', x'')", (number,))
    tracemalloc.start()
    kept = KeptBatches(file, lambda witness, parent, data: posted, bytes(32), WINDOW)
    assert len(kept.numbers) == WINDOW and tracemalloc.get_traced_memory()[0] < 4 * 2**20
    tracemalloc.stop()
    for number in range(1, 9):
        kept._remember(replace(posted, effects=replace(posted.effects, batch_number=number)))
    assert len(kept._whole) == IN_MEMORY
    kept.forget(WINDOW - 32)
    assert kept.numbers == range(WINDOW - 31, WINDOW + 1) and len(file.witnessed()) == 32 and kept.find(WINDOW).data is Data.CALLDATA
    file.close()


def one_batch(path: Path, folder: Path) -> PostedBatch:
    poster = restarted(folder, FakeChain(), len(closed_file(path, folder)))
    posted = poster.posted(1)
    poster.close()
    return posted
