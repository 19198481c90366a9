"""An operator comes back and finds that a stranger has answered the queue: the node names the batch and does not start; its folder stays as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account as EthereumAccount
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.commitments.risk import risk_root
from straddle.l1.anvil import AnvilError, find_anvil
from straddle.l1.deployment import Deployment
from straddle.l1.history import History, read_history
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.node.chain import DevChain
from straddle.node.recovery import final_state, terms_of
from straddle.node.traders import Trader
from straddle.node.verify import verify
from straddle.proving.prover import Prover, ProverError
from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputs, decode_inputs, encode_inputs
from straddle.risk.oracle import EpochMessage, sign_epoch
from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.scaling import next_scaling
from straddle.risk.table import build_table
from tests.integration.test_node import PROOF_S, join, up, wait_for

pytestmark = pytest.mark.slow

DAY_S = 86_400
ASKED = 7_000_000
LATER_S = 1_590_120_000
"""Some hours into the recording: a chain that is started again begins where it is told."""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    try:
        find_anvil()
        Prover().setup("nano")
    except (AnvilError, ProverError) as error:
        pytest.skip(f"needs `make setup`: {error}")


def successor(last: RiskInputs, time_ms: int) -> RiskInputs:
    """What the oracles publish then: prices stand still, and what has expired has its settlement price."""
    (funding, remainder), (hours, scale) = accrue(last, time_ms, DEFAULT_PARAMETERS), next_scaling(last, time_ms, last.index_ticks, DEFAULT_PARAMETERS)
    over = tuple((expiry, last.index_ticks) for expiry, _ in last.forwards if expiry <= time_ms)
    return replace(
        last,
        epoch=last.epoch + 1,
        time_ms=time_ms,
        cumulative_funding=funding,
        funding_remainder=remainder,
        hours=hours,
        scale_ppm=scale,
        forwards=tuple(item for item in last.forwards if item[0] > time_ms),
        settlements=tuple(sorted((*last.settlements, *over))),
        windows=(),
        vols=(),
        activity=(),
    )


def record_table(rpc: Rpc, deployment: Deployment, history: History, secrets: list[bytes], sender: Sender) -> None:
    """The oracles sign a table of layer 1's time over the final state's listings, and somebody records it."""
    preset, params = terms_of(deployment)
    listed = final_state(history, deployment, preset, params).listed
    inputs = successor(decode_inputs(history.epochs[max(history.epochs)].inputs), 1000 * rpc.time_s())
    alive = tuple((item.id, 8_000) for item in listed.tabled if not item.linear and item.expiry_ms > inputs.time_ms)
    inputs = replace(inputs, vols=alive)
    table, encoded = build_table(inputs, listed.tabled, DEFAULT_PARAMETERS, listed.settled), encode_inputs(inputs)
    root, it = risk_root(listed.root, table.rows), deployment
    message = EpochMessage(it.chain_id, it.rollup_number, inputs.epoch, inputs.time_ms, it.config.params_hash, root, encoded)
    signatures = tuple(item.to_bytes() for item in sign_epoch(message, secrets))
    RollupClient(rpc, deployment).submit_epoch(sender, inputs.epoch, inputs.time_ms, root, encoded, signatures)


def answered(rpc: Rpc, deployment: Deployment, folder: Path, trader: Trader) -> int:
    """The trader asks for money, waits a week, and answers himself; the number of his batch."""
    client, owner = RollupClient(rpc, deployment), Sender(rpc, bytes(trader.wallet.key))
    rpc.call("anvil_setBalance", [owner.address, hex(10**20)])
    client.force_withdraw(owner, trader.account, ASKED)
    rpc.call("evm_setNextBlockTimestamp", [rpc.time_s() + 7 * DAY_S + 60])
    rpc.call("evm_mine")
    keys = json.loads((folder / "keys.json").read_text())
    oracles = [bytes.fromhex(text.removeprefix("0x")) for name, text in keys.items() if name.startswith("oracle")]
    oracles.sort(key=lambda key: int(EthereumAccount.from_key(key).address, 16))
    record_table(rpc, deployment, read_history(rpc, deployment), oracles[: deployment.config.threshold], owner)
    key = folder.parent / "key"
    key.write_text(bytes(trader.wallet.key).hex())
    arguments = ["answer", "--l1", rpc.url, "--deployment", str(folder / "deployment.json"), "--key", str(key)]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "1000"})
    assert result.exit_code == 0 and "is paid 7.000000 USDC" in result.output and "pulled 7.000000 USDC" in result.output, result.output
    assert client.token_balance(owner.address) == ASKED
    report = verify(rpc, deployment)
    assert report.ok and report.conservation_error_micros == 0, report.mismatches
    return client.final_batch()


def test_a_node_that_finds_a_strangers_batch_does_not_start(tmp_path: Path) -> None:
    folder, config = tmp_path / "exchange", tmp_path / "config.toml"
    config.write_text('preset = "nano"\n[batches]\nseconds = 1.0\n[layer1]\npoll_seconds = 0.2\n')
    with up(folder, config) as node:
        trader = join(node, folder, "trader", 1_000)
        wait_for(lambda: node.get("/status")["batches"]["verified"] and node.get("/status")["batches"]["lag"] == 0, PROOF_S, config)
        assert node.stop() == 0
    deployment = Deployment.from_json((folder / "deployment.json").read_text())
    with DevChain("", folder / "layer1.state", LATER_S) as chain:
        number = answered(chain.rpc, deployment, folder, trader)
        header = RollupClient(chain.rpc, deployment).header_hash(number).hex()
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name.startswith(("journal.sqlite", "keys", "deployment"))}
    result = CliRunner().invoke(app, ["up", "--config", str(config), "--data", str(folder), "--port", "0"])
    said = " ".join(result.stderr.split())
    assert result.exit_code == 2, (result.output, said)
    assert f"batch {number}: " in said and header in said and "When others have answered the queue" in said, said
    assert {name: (folder / name).read_bytes() for name in kept if not name.endswith("-wal")} == {
        name: text for name, text in kept.items() if not name.endswith("-wal")
    }
