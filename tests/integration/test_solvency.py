"""What an exchange owes and holds, proved, published and checked from layer 1 alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.deserted import EPOCH_S, SOLVENCY, Deserted, begun, deserted
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.commitments.policy import Proofs
from straddle.l1.deploying import StatementKey
from straddle.l1.deployment import read_statement
from straddle.l1.growing import GrowingHistory
from straddle.l1.history import read_history
from straddle.l1.rpc import ConnectionFailed, Reverted
from straddle.l1.sender import Receipt
from straddle.l1.solvency import SolvencyClient
from straddle.node import statements
from straddle.node.counting import check_published
from straddle.node.feed import RecordedMarket
from straddle.node.publishing import Publisher
from straddle.node.statements import StatementProver
from straddle.proving.presets import load_holdings_preset
from straddle.proving.prover import Prover

pytestmark = pytest.mark.slow


def run(*arguments: object) -> tuple[int, str]:
    """`straddle solvency` with these arguments: its exit code and what it says, on one line."""
    result = CliRunner().invoke(app, ["solvency", *map(str, arguments)], env={"COLUMNS": "200"})
    return result.exit_code, " ".join((result.output + (result.stderr if result.stderr_bytes else "")).split())


def test_a_proof_is_published_and_everyone_finds_himself_in_it(
    market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], statement_prover: Prover
) -> None:
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS) as rollup:
        begun(rollup, 6)
        it, rpc = rollup.deployment, rollup.anvil.rpc
        assert it.solvency is not None
        where = ("--l1", rpc.url, "--rollup", it.rollup, "--solvency", it.solvency.address)
        code, said = run(*where)
        assert code == 1 and "no proof was published yet" in said
        late = rollup.join(700)  # a deposit that no batch has answered: in the row, owed to nobody in the state
        key = tmp_path / "key"
        rollup.anvil.fund(rollup.traders[0].wallet.address)
        key.write_text(bytes(rollup.traders[0].wallet.key).hex())
        code, said = run(*where, "--prove", "--key", key)
        equities = {id_: rollup.session.exchange.requirement_of(id_).equity for id_ in rollup.session.exchange.accounts}
        owed = sum(equities.values())
        assert code == 0 and f"{owed // 10**6:,}.{owed % 10**6:06d} USDC, 8 accounts" in said, said
        assert "700.000000 USDC" in said and "sum to zero in every instrument" in said and "0x" + it.solvency.vk_id.hex() in said
        for trader in rollup.traders[:2]:
            code, said = run(*where, "--account", trader.account)
            claim = f"{equities[trader.account] // 10**6:,}.{equities[trader.account] % 10**6:06d} USDC"
            assert code == 0 and said.count(claim) == 2 and said.count(trader.wallet.address.lower()) == 2, said
        code, said = run(*where, "--account", late.account)
        assert code == 0 and "not at all" in said and "no such account" in said
        for arguments, message in (
            (("--prove",), "--key: missing"),
            (("--every", 3), "--every: 3, expected only together with --prove"),
            (("--single",), "--single: expected only together with --prove"),
            (("--solvency", it.rollup), "is no Solvency contract of this version"),
        ):
            code, said = run(*where, *arguments)
            assert code == 2 and message in said, said

        client = SolvencyClient(rpc, it)
        (published,) = client.published()
        history = read_history(rpc, it)
        books, problems = check_published(published, history, rpc, it)
        assert problems == [] and books.deposits == 700 * 10**6 and books.row == owed + books.deposits
        first, *rest = published.chunks
        beyond = replace(published.chunks[-1], chunk=len(published.chunks), lines=(), cash=0, claims=0, fund_equity=None)
        forged = {
            "liabilities: ": replace(published, liabilities=published.liabilities - 1),
            "chunks: ": replace(published, chunks=(*published.chunks, beyond)),
            "equities ": replace(published, liabilities=published.liabilities - 5, chunks=(replace(first, claims=first.claims - 5), *rest)),
            "accounts owe ": replace(published, chunks=(replace(first, debts=5), *rest)),
            "positions in row 1 ": replace(published, chunks=(replace(first, nets=(first.nets[0] + 1, *first.nets[1:])), *rest)),
            "state root: ": replace(published, chunks=tuple(replace(chunk, state_root=chunk.state_root ^ 1) for chunk in published.chunks)),
            "risk root: ": replace(published, epoch=published.epoch + 1),
            "accounts below maintenance margin: ": replace(published, below=published.below + 1),
            "insurance fund: ": replace(published, fund=published.fund + 1),
        }
        for message, solvent in forged.items():
            assert any(message in problem for problem in check_published(solvent, history, rpc, it)[1]), message

        check_on_a_live_exchange(rollup, statement_prover)
        assert len(client.published()) == 2
        code, said = run(*where)
        assert code == 0 and " UTC, 0.2 hours ago by layer 1's clock" in said, said
        rollup.pass_days(2)
        code, said = run(*where)
        assert code == 1 and "the newest proof is of 48.2 hours ago, expected at most 24 hours (--max-age)" in said, said
        assert run(*where, "--max-age", 49)[0] == 0


def check_on_a_live_exchange(rollup: Deserted, statement_prover: Prover) -> None:
    """Batches become final between every two steps of the publisher, which is interrupted too: it ends with the run that it began."""
    it, rpc = rollup.deployment, rollup.anvil.rpc
    assert it.solvency is not None
    client, sender = SolvencyClient(rpc, it), rollup.sender_of(rollup.traders[1])
    prover = StatementProver.of(statement_prover, it, it.solvency, rollup.preset.name, "solvency", rollup.domain, sender.address)
    publisher = Publisher(client, rollup.client, GrowingHistory(rpc, it), prover, sender)
    begin, publish, begun_on = client.begin, client.publish, list[int]()

    def move(seconds: int = 1) -> None:
        rollup.anvil.set_time(rollup.anvil.time_s() + seconds)
        rollup.trade(rollup.traders[0], rollup.traders[1], rollup.linear[0], 1)
        rollup.session.finish_batch()

    def begin_late(*arguments: Any) -> Receipt:
        move(1 if begun_on else EPOCH_S + 60)  # a newer table the first time, which makes the run's too old
        begun_on.append(rollup.client.final_batch())
        return begin(*arguments)

    def publish_and_lose_layer_1(*arguments: Any) -> Receipt:
        publish(*arguments)
        move(EPOCH_S + 60)
        client.publish = publish  # type: ignore[method-assign]
        raise ConnectionFailed("no answer")

    client.begin, client.publish = begin_late, publish_and_lose_layer_1  # type: ignore[method-assign]
    with pytest.raises(ConnectionFailed):
        publisher.publish()
    assert len(begun_on) == 2 and begun_on[1] == begun_on[0] + 1
    interrupted = client.run_of(sender.address)
    assert interrupted is not None and (interrupted.batch_number, interrupted.published) == (begun_on[1], 1)
    assert publisher.publish() == interrupted and len(begun_on) == 2, "it was gone on with"
    newest = client.published()[-1]
    assert client.run_of(sender.address) is None and newest.batch_number == begun_on[1] < rollup.client.final_batch()
    assert client.newest(sender.address) == (newest.batch_number, newest.time_ms) and client.newest(it.rollup) is None
    assert check_published(newest, read_history(rpc, it), rpc, it)[1] == []
    with pytest.raises(Reverted, match="no run"):
        client.conclude(sender)


def test_accounts_with_more_positions_than_a_chunk_has_rows_are_counted_one_by_one(
    market: RecordedMarket, tmp_path: Path, keys: tuple[StatementKey, StatementKey], statement_prover: Prover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two accounts hold all that is listed, as many positions as they may. With fewer rows in the circuit of chunks nothing is sent; the exits' has enough."""
    with deserted(market, tmp_path / "operator", keys, proofs=Proofs.ALWAYS) as rollup:
        rollup.insure(100)
        buyer, seller = rollup.join(50_000), rollup.join(50_000)
        rollup.open()
        rollup.answer()
        held = [*rollup.options, *rollup.linear]
        for instrument in held:
            rollup.trade(buyer, seller, instrument, 1)
        rollup.session.finish_batch()
        it, rpc = rollup.deployment, rollup.anvil.rpc
        assert it.solvency is not None and it.exits is not None and len(held) == rollup.preset.instruments
        key = tmp_path / "key"
        key.write_text(bytes(rollup.sender_of(buyer)._account.key).hex())
        publish = ("--l1", rpc.url, "--rollup", it.rollup, "--prove", "--key", key)

        few = replace(SOLVENCY, positions=2 * len(held) - 1)
        monkeypatch.setattr(statements, "load_holdings_preset", lambda preset, kind: few if kind == "solvency" else load_holdings_preset(preset, kind))
        code, said = run(*publish, "--solvency", it.solvency.address)
        assert code == 2 and f"chunk 0 (accounts 0 to 7): {2 * len(held)} positions, expected at most {few.positions} in circuit nano-solvency" in said, said
        assert "--single" in said and SolvencyClient(rpc, it).run_of(buyer.wallet.address) is None

        code, said = run(*publish, "--solvency", it.solvency.address, "--single")
        made = read_deployed(said)
        equity = rollup.session.exchange.requirement_of(buyer.account).equity
        assert code == 0 and "sum to zero in every instrument" in said and "0x" + it.exits.vk_id.hex() in said, said
        code, said = run("--l1", rpc.url, "--rollup", it.rollup, "--solvency", made, "--account", buyer.account)
        assert code == 0 and said.count(f"{equity // 10**6:,}.{equity % 10**6:06d} USDC") == 2, said
        alone = replace(it, solvency=read_statement(rpc, "Solvency", made, it.rollup))
        (published,) = SolvencyClient(rpc, alone).published()
        assert [chunk.chunk_bits for chunk in published.chunks] == [0] * (seller.account + 1)
        assert published.liabilities == sum(rollup.session.exchange.requirement_of(id_).equity for id_ in rollup.session.exchange.accounts)


def read_deployed(said: str) -> str:
    """Address of the contract that the command made."""
    found = re.search(r"--solvency (0x[0-9a-fA-F]{40}): made for this rollup", said)
    assert found is not None, said
    return found[1]
