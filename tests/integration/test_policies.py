"""Every policy on a real layer 1 with real proofs of the small circuit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.loop import Loop, open_loop

from straddle.commitments.cells import padded
from straddle.commitments.policy import Data, Proofs
from straddle.l1.anvil import AnvilError, find_anvil
from straddle.l1.blobs import AnvilBlobs
from straddle.l1.history import read_history
from straddle.l1.rpc import Reverted
from straddle.node.terms import PolicyTerms
from straddle.node.verify import verify
from straddle.proving import transcript
from straddle.proving.prover import Prover, ProverError
from straddle.sequencer.poster import Status

pytestmark = pytest.mark.slow

HOUR_S = 3_600
OPTIMISTIC = PolicyTerms(Proofs.WHEN_CHALLENGED, Data.CALLDATA, challenge_window_s=HOUR_S)


@pytest.fixture(scope="module")
def prover() -> Prover:
    try:
        find_anvil()
        return Prover()
    except (AnvilError, ProverError) as error:
        pytest.skip(f"needs `make setup`: {error}")


def bonds_are_kept(loop: Loop) -> bool:
    """Contract balance = request fees + bonds held + wei owed."""
    fees = sum(entry.kind != 1 for entry in read_history(loop.anvil.rpc, loop.network.deployment).queue) * loop.network.deployment.config.request_fee_wei
    return loop.anvil.rpc.balance_wei(loop.network.deployment.rollup) == fees + loop.client.reserved_wei()


def test_optimistic_batches_are_final_after_their_window_without_a_proof(prover: Prover, tmp_path: Path) -> None:
    with open_loop(prover, tmp_path, OPTIMISTIC) as loop:
        loop.trade()
        loop.next_epoch()
        loop.trade()
        assert loop.poster.advance() == []
        client, config, count = loop.client, loop.network.deployment.config, len(loop.exchange.closed)
        assert (client.proposed_batch(), client.final_batch()) == (count, 0) and count >= 3
        assert client.reserved_wei() == count * config.proposer_bond_wei and bonds_are_kept(loop)
        assert loop.poster.advance() == []  # the window is open
        loop.anvil.set_time(loop.anvil.time_s() + HOUR_S + 1)
        done = loop.poster.advance()
        assert [record.number for record in done] == list(range(1, count + 1))
        assert {record.status for record in done} == {Status.VERIFIED} and all(record.finalise_gas and not record.prove_gas for record in done)
        assert client.final_batch() == count and client.wei_owed(loop.sender.address) == count * config.proposer_bond_wei
        assert all(batch.transcript for batch in read_history(loop.anvil.rpc, loop.network.deployment).batches)
        before = loop.anvil.rpc.balance_wei(loop.sender.address)
        client.collect_wei(loop.sender)
        assert loop.anvil.rpc.balance_wei(loop.sender.address) > before and client.reserved_wei() == 0 and bonds_are_kept(loop)
        report = verify(loop.anvil.rpc, loop.network.deployment)
        assert report.ok, report.mismatches


def test_a_challenged_honest_batch_is_answered_by_the_poster_and_the_challenger_pays(prover: Prover, tmp_path: Path) -> None:
    with open_loop(prover, tmp_path, OPTIMISTIC) as loop:
        loop.trade()
        loop.poster.advance()
        client, config, challenger, count = loop.client, loop.network.deployment.config, loop.stranger(), len(loop.exchange.closed)
        client.challenge(challenger, 2)
        with pytest.raises(Reverted):
            client.challenge(challenger, 2)
        assert client.stake(2).challenged and client.open_challenges() == 1
        loop.poster.advance()
        loop.poster.close()
        loop.poster = loop.posters()  # the node was restarted meanwhile
        for closed in loop.exchange.closed:
            loop.poster.add(closed)
        loop.poster.post()
        assert (client.final_batch(), client.open_challenges()) == (0, 0) and client.stake(2).proven
        record = loop.poster.record(2)
        assert record is not None and record.status is Status.PROVED and record.prove_gas
        assert client.wei_owed(loop.sender.address) == 0 and bonds_are_kept(loop)
        loop.anvil.set_time(loop.anvil.time_s() + HOUR_S + 1)
        assert [item.number for item in loop.poster.advance()] == list(range(1, count + 1))
        owed, left = client.wei_owed(loop.sender.address), client.wei_owed(challenger.address)
        assert client.reserved_wei() == owed + left == config.challenger_bond_wei + count * config.proposer_bond_wei
        assert 0 < owed - count * config.proposer_bond_wei < left, "what a proof costs"


def test_a_zk_rollup_with_data_in_blobs_is_proved_and_rebuilt(prover: Prover, tmp_path: Path) -> None:
    with open_loop(prover, tmp_path, PolicyTerms(data=Data.BLOB)) as loop:
        assert [record.number for record in loop.poster.post()] == [1]
        record = loop.poster.record(1)
        assert record is not None and (record.data, record.blob_gas) == ("blob", 131_072) and loop.client.final_batch() == 1
        source = AnvilBlobs(loop.anvil.rpc)
        report = verify(loop.anvil.rpc, loop.network.deployment, blobs=source)
        assert report.ok and report.batches == 1, report.mismatches
        assert "body lies in blob and none of the sources given has it" in verify(loop.anvil.rpc, loop.network.deployment).mismatches[0]


def test_an_optimistic_rollup_with_data_in_blobs_shows_its_transcript_there(prover: Prover, tmp_path: Path) -> None:
    with open_loop(prover, tmp_path, dataclasses.replace(OPTIMISTIC, data=Data.BLOB)) as loop:
        loop.poster.advance()
        kept = loop.poster.posted(1)
        (batch,) = read_history(loop.anvil.rpc, loop.network.deployment, blobs=AnvilBlobs(loop.anvil.rpc)).batches
        assert batch.body is not None and padded(batch.body, loop.network.deployment.config.body_cells) == padded(
            kept.body_words, loop.network.deployment.config.body_cells
        )
        assert batch.transcript.startswith(transcript.encode(kept.witness))
        loop.anvil.set_time(loop.anvil.time_s() + HOUR_S + 1)
        assert [record.number for record in loop.poster.advance()] == [1]


def test_an_early_proof_ends_the_wait(prover: Prover, tmp_path: Path) -> None:
    with open_loop(prover, tmp_path, OPTIMISTIC) as loop:
        loop.poster.advance()
        batch = loop.poster.posted(1)
        proof = prover.prove(batch.witness).proof
        loop.client.prove(loop.stranger(), batch, proof)
        assert loop.client.final_batch() == 1
        assert [record.number for record in loop.poster.advance()] == [1]
        assert loop.client.claimable(loop.sender.address) == 0 and bonds_are_kept(loop)
