"""Watchers of the other policies: data in blobs, a proof always required, a committee."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from straddle.commitments.blob import BLOB_BYTES, blob_hash
from straddle.commitments.policy import Data, Proofs
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.blobs import AnvilBlobs, BlobMissing
from straddle.proving.transcript import encode
from straddle.watcher import watcher as module
from straddle.watcher.examine import Verdict
from tests.support.stage import START_S, Stage, with_row
from tests.support.watch import Watch

Opened = Callable[[Proofs, Data], AbstractContextManager[Stage]]


@pytest.fixture
def opened() -> Opened:
    """A stage with two honest batches, of a policy."""
    try:
        binary = find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))

    @contextmanager
    def open_stage(proofs: Proofs, data: Data) -> Iterator[Stage]:
        with Anvil(START_S, binary=binary) as anvil:
            stage = Stage(anvil, proofs=proofs, data=data)
            alice, bob = stage.join(100_000, 100_000)
            stage.answer()
            stage.post()
            stage.trade(alice, bob, 1, 20)
            stage.post()
            yield stage

    return open_stage


@pytest.mark.slow
def test_transcripts_in_further_blobs(opened: Opened, tmp_path: Path) -> None:
    """Honest batches hold; one without a transcript, and one with another's signature in it, are challenged."""
    with opened(Proofs.WHEN_CHALLENGED, Data.BLOB) as stage:
        watch = Watch(stage, tmp_path, blobs=AnvilBlobs(stage.anvil.rpc))
        assert watch.verdicts() == [Verdict.HOLDS] * 2
        stage.trade(4, 3, 1, 10)
        stage.post(transcript=b"")
        stage.trade(4, 3, 1, 10)
        batch = stage.close().posted
        stage.post(batch, encode(with_row(batch, "signatures", 0, s=1).witness))
        watch.step()
        assert watch.verdicts() == [Verdict.HOLDS, Verdict.HOLDS, Verdict.UNFOUNDED, Verdict.UNFOUNDED]
        assert stage.client.stake(3).challenged and stage.client.open_challenges() == 1
        (held,) = [posted for posted, judged in watch.watcher.standing() if posted.batch_number == 2]
        witness = watch.watcher.witness(held, 5)
        expected = stage.posted[1].batch.witness
        assert witness == replace(expected, public=replace(expected.public, beneficiary=5)), "what is proved names the blob's circuit and the opening's y"
        watch.close()


@pytest.mark.slow
def test_blobs_that_nobody_has_cost_no_bond(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that lost its blobs, or those of transcripts alone: nobody is challenged, and the batches are judged when they come. What was read is kept."""
    monkeypatch.setattr(module, "ASK_AGAIN_S", 0.0)

    @dataclass
    class Stingy:
        """Anvil's blobs: none, or of each transaction only the body's, or all."""

        stage: Stage
        gives: str

        def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
            of_body = versioned_hash in {posted.batch.place.versioned_hash for posted in self.stage.posted}
            if self.gives == "all" or (self.gives == "bodies" and of_body):
                return AnvilBlobs(self.stage.anvil.rpc).blob(versioned_hash, block_number)
            raise BlobMissing("gone")

    with opened(Proofs.WHEN_CHALLENGED, Data.BLOB) as stage:
        source = Stingy(stage, "none")
        watch = Watch(stage, tmp_path, blobs=source)
        for gives, expected in (
            ("none", [Verdict.MISSING, Verdict.ORPHAN]),
            ("bodies", [Verdict.UNCHECKED] * 2),
            ("restart", [Verdict.UNCHECKED] * 2),
            ("all", [Verdict.HOLDS] * 2),
        ):
            source.gives = "bodies" if gives == "restart" else gives
            if gives == "restart":
                watch.close()
                watch = Watch(stage, tmp_path, blobs=source)
            watch.step()
            assert watch.verdicts() == expected and stage.client.open_challenges() == 0, gives
        watch.close()
        late = Watch(stage, tmp_path, blobs=Stingy(stage, "none"))
        late.step()
        assert late.verdicts() == [Verdict.HOLDS] * 2
        late.close()


@pytest.mark.slow
def test_a_blob_that_holds_no_body_is_wrong(opened: Opened, tmp_path: Path) -> None:
    class Garbling:
        """Anvil's blobs; the body's first cell is no field element."""

        def __init__(self, stage: Stage) -> None:
            self.real = AnvilBlobs(stage.anvil.rpc)

        def blob(self, versioned_hash: bytes, block_number: int) -> bytes:
            found = self.real.blob(versioned_hash, block_number)
            assert blob_hash(found) == versioned_hash and len(found) == BLOB_BYTES
            return b"\x00" + b"\x01" * (BLOB_BYTES - 1)

    with opened(Proofs.WHEN_CHALLENGED, Data.BLOB) as stage:
        watch = Watch(stage, tmp_path, blobs=Garbling(stage))
        watch.step()
        assert watch.verdicts() == [Verdict.WRONG, Verdict.ORPHAN]
        assert stage.client.stake(1).challenged and not stage.client.stake(2).challenged
        watch.close()


def test_where_a_proof_is_required_the_data_are_checked(opened: Opened, tmp_path: Path) -> None:
    with opened(Proofs.ALWAYS, Data.CALLDATA) as stage:
        watch = Watch(stage, tmp_path)
        table = stage.open_epoch(recorded=False)
        stage.record(replace(table, rows=(replace(table.rows[0], band=table.rows[0].band + 1), *table.rows[1:])))
        stage.post()
        stage.account(3).cash += 1
        stage.post()
        assert watch.verdicts() == [Verdict.REBUILT, Verdict.REBUILT, Verdict.REBUILT, Verdict.WRONG]
        notes = [judged.notes for _, judged in watch.watcher.standing()]
        assert notes[:2] == [(), ()] and "from the published inputs of epoch 2" in notes[2][0], "what oracles signed is told, and cannot be challenged"
        watch.close()


def test_a_validium_is_rebuilt_from_whoever_has_the_bodies(opened: Opened, tmp_path: Path) -> None:
    class Members:
        """Bodies by header; the second one is another batch's."""

        def __init__(self, stage: Stage, *, wrong: bool = False) -> None:
            self.bodies = {posted.batch.header_hash: posted.batch.body_words for posted in stage.posted}
            if wrong:
                self.bodies[stage.posted[1].batch.header_hash] = stage.posted[0].batch.body_words

        def body(self, batch_number: int, header_hash: bytes) -> tuple[int, ...] | None:
            return self.bodies.get(header_hash)

    with opened(Proofs.ALWAYS, Data.COMMITTEE) as stage:
        for name, bodies, expected in (
            ("nobody", None, [Verdict.MISSING, Verdict.ORPHAN]),
            ("members", Members(stage), [Verdict.REBUILT, Verdict.REBUILT]),
            ("liars", Members(stage, wrong=True), [Verdict.REBUILT, Verdict.MISSING]),
        ):
            watch = Watch(stage, tmp_path, name, bodies=bodies)
            assert watch.verdicts() == expected, name
            watch.close()
        kept = Watch(stage, tmp_path, "members", bodies=None)
        assert kept.verdicts() == [Verdict.REBUILT, Verdict.REBUILT], "what was read once is kept"
        kept.close()
