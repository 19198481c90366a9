"""The whole loop with the small circuit: anvil, contracts, sequencer, real proofs. What layer 1 must refuse, it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.history import read_history
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Reverted
from straddle.l1.sender import Sender
from straddle.node.config import DemoConfig
from straddle.node.demo import CHAIN_LEAD_S, run_demo
from straddle.node.exchange import Exchange, Identity
from straddle.node.market import load_market
from straddle.node.network import Network
from straddle.node.policy import circuit_keys
from straddle.node.report import DemoReport
from straddle.node.traders import address_of
from straddle.node.verify import verify
from straddle.primitives.field import MODULUS
from straddle.proving.keys import Proof
from straddle.proving.prover import Prover, ProverError
from straddle.proving.server import ProvingServer
from straddle.proving.vector import PostedBatch
from straddle.sequencer.poster import Status

pytestmark = pytest.mark.slow


class Silent:
    """A display that remembers its stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str, detail: str = "") -> None:
        self.stages.append(name)

    def progress(self, detail: str, done: float | None = None) -> None:
        assert done is None or 0 <= done <= 1


@pytest.fixture(scope="module")
def prover() -> Prover:
    try:
        find_anvil()
        return Prover()
    except (AnvilError, ProverError) as error:
        pytest.skip(f"needs `make setup`: {error}")


@pytest.fixture(scope="module")
def report(prover: Prover) -> DemoReport:
    """An hour and a half of the night: long enough for the thin account to be liquidated."""
    config = DemoConfig.recorded(preset="nano", makers=2, takers=3, rounds=1, hours=2, epoch_minutes=15, paths=10)
    return run_demo(config, Silent())


def test_everything_holds(report: DemoReport) -> None:
    assert report.problems == []
    assert report.trades >= 5 and report.multi_leg_trades >= 1 and report.hedge_trades >= 1
    assert report.batches_verified_on_l1 == report.batches == len(report.batch_details)
    assert {batch.status for batch in report.batch_details} == {Status.VERIFIED.value}
    assert sum(batch.trades for batch in report.batch_details) == report.trades and sum(batch.legs for batch in report.batch_details) == report.legs
    assert report.withdrawal_paid_on_l1 and report.received_on_l1_usdc == round(sum(item.paid_usdc for item in report.withdrawals), 6) > 0
    assert {item.forced for item in report.withdrawals} == {True, False}
    assert report.liquidations == 1 and report.liquidation_details[0].forced is False
    assert report.conservation_error == 0 and report.vault_balance_usdc == report.sum_of_cash_usdc
    assert report.rebuilt_root_matches and report.rebuild.replayed_equal
    assert report.rebuild.batches == report.batches
    assert report.hedged_pnl_std and report.unhedged_pnl_std and report.pnl is not None and report.pnl.paths == 10
    assert report.constraints_per_trade == pytest.approx(report.constraints * report.batches / report.trades, abs=0.1)
    assert report.settlement_price_usd is None and report.settled_instruments == 0
    assert json.loads(report.to_json())["ok"] is True


@dataclasses.dataclass
class Loop:
    """A rollup with one batch proven and one proposed; the proof of each."""

    anvil: Anvil
    network: Network
    exchange: Exchange
    sender: Sender
    batches: list[PostedBatch]
    proofs: list[Proof]

    @property
    def client(self) -> RollupClient:
        return self.network.client


@pytest.fixture(scope="module")
def loop(prover: Prover, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    config = DemoConfig.recorded(preset="nano", makers=2, takers=2)
    market = load_market(config)
    folder = tmp_path_factory.mktemp("loop")
    with Anvil(market.path.start_ms // 1000 - CHAIN_LEAD_S) as anvil, ProvingServer(prover, "nano") as server:
        network = Network(config, market, anvil, circuit_keys(prover, "nano", config.terms.data))
        poster = network.poster(folder / "poster.sqlite", server, lambda record: None)
        identity = Identity(network.identity, network.domain, network.params, address_of(network.operator), network.sequencer, network.secrets)
        exchange = Exchange(config, market, identity, folder, poster.add, poster.add_epoch)
        (maker, _), (taker, _) = exchange.crowd.makers, exchange.crowd.takers
        for trader in (maker.trader, taker.trader):
            network.join(trader, 100_000_000_000)
        session = exchange.session
        session.list_instruments(market.instruments)
        epoch = session.open_epoch(market.path.start_ms)
        for command in queue_commands(read_history(anvil.rpc, network.deployment).queue):
            session.submit(command)
        session.finish_batch()
        crowd = dataclasses.replace(exchange.crowd, makers=[maker], takers=[taker])
        crowd.quote()
        crowd.trade(crowd.hot(1), crowd.takers)
        assert session.matches
        session.finish_batch()
        batches = [poster.posted(number) for number in (1, 2)]
        proofs = [server.prove(batch.witness).proof for batch in batches]
        loop = Loop(anvil, network, exchange, Sender(anvil.rpc, bytes(network.sequencer.key)), batches, proofs)
        anvil.set_time_at_least(-(-epoch.time_ms // 1000) + 1)
        network.client.submit_epoch(loop.sender, epoch.epoch, epoch.time_ms, epoch.risk_root, epoch.inputs, epoch.signatures)
        for batch in batches:
            network.client.propose(loop.sender, batch, batch.witness.public.c)
        network.client.prove(loop.sender, batches[0], proofs[0])
        yield loop
        poster.close()
        exchange.sequencer.close()


def refused(loop: Loop, batch: PostedBatch, proof: Proof) -> bool:
    root = loop.client.state_root()
    try:
        loop.client.prove(loop.sender, batch, proof)
    except Reverted:
        return loop.client.state_root() == root
    return False


@pytest.mark.parametrize("part", ["a", "b", "c", "commitment", "pok"])
def test_a_changed_proof_is_refused(loop: Loop, part: str) -> None:
    proof = loop.proofs[1]
    values = getattr(proof, part)
    for changed in ((values[0] + 1, *values[1:]), (0,) * len(values), getattr(loop.proofs[0], part)):
        assert refused(loop, loop.batches[1], dataclasses.replace(proof, **{part: changed}))


@pytest.mark.parametrize("position", range(5), ids=["c", "z", "y_effects", "y_body", "beneficiary"])
def test_a_changed_public_input_is_refused(loop: Loop, position: int) -> None:
    public = loop.proofs[1].public
    for changed in (public[position] + 1, 0, loop.proofs[0].public[position] + (position == 4)):
        forged = (*public[:position], changed, *public[position + 1 :])
        assert refused(loop, loop.batches[1], dataclasses.replace(loop.proofs[1], public=forged))
    if position < 4:
        forged = (*public[:position], public[position] + MODULUS, *public[position + 1 :])
        assert refused(loop, loop.batches[1], dataclasses.replace(loop.proofs[1], public=forged))


def test_another_batchs_proof_and_data_are_refused(loop: Loop) -> None:
    assert refused(loop, loop.batches[1], loop.proofs[0])
    assert refused(loop, loop.batches[0], loop.proofs[0])
    words = list(loop.batches[1].effects_words)
    words[3] += 1
    assert refused(loop, dataclasses.replace(loop.batches[1], effects_words=tuple(words)), loop.proofs[1])
    cells = list(loop.batches[1].body_words)
    cells[0] += 1
    assert refused(loop, dataclasses.replace(loop.batches[1], body_words=tuple(cells)), loop.proofs[1])


def test_the_true_proof_is_accepted_and_the_rollup_verifies_from_outside(loop: Loop, tmp_path: Path) -> None:
    """Last: it moves the chain on. `straddle verify` is run as a watcher would, from the record and the node's address alone."""
    loop.client.prove(loop.sender, loop.batches[1], loop.proofs[1])
    assert loop.client.state_root() == loop.batches[1].effects.new_state_root
    path = tmp_path / "deployment.json"
    path.write_text(loop.network.deployment.to_json())
    result = CliRunner().invoke(app, ["verify", "--l1", loop.anvil.url, "--deployment", str(path)])
    assert result.exit_code == 0, result.output
    assert "equal" in result.output
    foreign = json.loads(path.read_text())
    foreign["vk_id"] = "0x" + "00" * 32
    path.write_text(json.dumps(foreign))
    result = CliRunner().invoke(app, ["verify", "--l1", loop.anvil.url, "--deployment", str(path)])
    assert result.exit_code == 2
    assert "vk_id" in result.stderr
    report = verify(loop.anvil.rpc, loop.network.deployment)
    assert (report.ok, report.batches, report.proposals) == (True, len(loop.batches), 0)
