"""Gas of Exits, Solvency and the layer-1 baseline, against the snapshot gas.json. After a deliberate change: run it with STRADDLE_UPDATE_GAS=1

Measured on anvil, transaction by transaction, with a real proof of the fixture's circuit (the verifier's cost does not depend on the statement). The rollup is
told its state: it makes no difference to who reads it. `pytest -s tests/contracts/test_gas_exits.py` prints the tables.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from support.statements import Statement, words_bytes

from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.contracts import contracts_directory, load, load_path
from straddle.l1.deploying import created_address
from straddle.l1.sender import Sender
from straddle.research.baseline import measure_baseline, measure_swap

HERE = Path(__file__).parent
SNAPSHOT = HERE / "gas.json"
FIXTURE = json.loads((HERE / "fixtures" / "groth16.json").read_text())
PRESETS = json.loads((HERE.parents[1] / "native" / "circuit" / "presets.json").read_text())
SIZES = json.loads((HERE.parents[1] / "native" / "circuit" / "solvency.json").read_text())
KEY_FIELDS = ("alpha", "beta", "gamma", "delta", "k", "pedersen_g", "pedersen_g_sigma_neg")
USDC = 1_000_000
DAY_S = 86_400
ROOT, MARKS, RISK = (int.from_bytes(keccak(name), "big") >> 4 for name in (b"root", b"marks", b"risk"))


def numbers(value):
    return [numbers(item) for item in value] if isinstance(value, list) else int(value, 16)


PROOF = [int(word, 16) for part in ("a", "b", "c", "commitment", "pok") for word in FIXTURE["proofs"][0][part]]


class Stage:
    """A rollup with 256 unanswered deposits, and accounts 3, 4 and 5."""

    def __init__(self, anvil: Anvil, size: str) -> None:
        self.anvil, self.table = anvil, {}
        self.caller = Sender(anvil.rpc, keccak(b"caller"))
        anvil.fund(self.caller.address)
        self.cells, self.k = -(-PRESETS[size]["instruments"] // 4), SIZES[size]["solvency"]["k"]
        key = [numbers(FIXTURE["verifying_key"][name]) for name in KEY_FIELDS]
        verifier = self.deploy(load("Groth16Verifier"), *key)
        verifier = self.deploy(load_path(HERE / "mocks" / "FixtureVerifier.vy"), verifier, numbers(FIXTURE["proofs"][0]["public"]))
        self.token = self.deploy(load("TestUSDC"))
        self.vault = self.deploy(load("Vault"), self.token)
        nonce = int(anvil.rpc.call("eth_getTransactionCount", [self.caller.address, "latest"]), 16)
        self.rollup = self.deploy(load_path(HERE / "mocks" / "StateRollup.vy"), self.vault, created_address(self.caller.address, nonce + 1), 1 << 20)
        self.exits = self.deploy(load_path(contracts_directory() / "Exits.vy"), self.rollup, verifier, self.cells, name="deploy Exits")
        self.solvency = self.deploy(load_path(contracts_directory() / "Solvency.vy"), self.rollup, verifier, self.k, self.cells, name="deploy Solvency")

    def deploy(self, contract, *args, name: str = "") -> str:
        receipt = self.caller.deploy(contract, *args)
        if name:
            self.table[name] = receipt.gas_used
        return receipt.contract_address

    def send(self, to: str, source: str, function: str, *args) -> int:
        path = HERE / "mocks" / f"{source}.vy" if source == "StateRollup" else contracts_directory() / f"{source}.vy"
        return self.caller.transact(to, load_path(path), function, *args).gas_used

    def note(self, name: str, function: str, *args) -> None:
        source = "Exits" if name.startswith("Exits") else "Solvency"
        self.table[name] = self.send(self.exits if source == "Exits" else self.solvency, source, function, *args)

    def arguments(self, said: Statement) -> tuple:
        cells = [int.from_bytes(keccak(b"cell %d" % i), "big") >> 32 for i in range(self.cells)]
        return words_bytes(said.effects), words_bytes(cells), said.c, PROOF, self.caller.address


def measure(stage: Stage) -> dict[str, int]:
    me, anvil = stage.caller.address, stage.anvil
    for function, who in (("mint", me), ("approve", stage.vault)):
        stage.send(stage.token, "TestUSDC", function, who, 10**12)
    for _ in range(3):
        stage.send(stage.vault, "Vault", "deposit", stage.rollup, 0, me, 500 * USDC)
    for _ in range(2):
        stage.send(stage.vault, "Vault", "deposit", stage.rollup, 3, me, USDC)
    for _ in range(254):
        stage.send(stage.rollup, "StateRollup", "enqueue", 1, 3, me, USDC, 0)
    table_ms = 1000 * anvil.time_s()
    stage.send(stage.rollup, "StateRollup", "record", 1, table_ms, RISK)
    stage.send(stage.rollup, "StateRollup", "finalise", ROOT, 3, 1)
    entry = (1, 3, me, USDC, 0)

    lines = dict.fromkeys(range(3, 1 << stage.k), (me, 500 * USDC))
    stage.note("Solvency.begin", "begin", 1, table_ms, RISK)
    stage.note(f"Solvency.publish, {1 << stage.k} accounts", "publish", *stage.arguments(Statement(ROOT, RISK, 0, lines, (), stage.k, fund=0)))
    stage.note("Solvency.count_deposits, 256 entries", "count_deposits", [entry] * 256)

    conclude(stage, table_ms, entry)

    stage.send(stage.rollup, "StateRollup", "freeze")
    stage.note("Exits.open", "open")
    stage.note("Exits.count_deposits, 256 entries", "count_deposits", [entry] * 256)
    stage.note("Exits.reclaim", "reclaim", 3, entry)
    marks_ms = 1000 * anvil.time_s()
    stage.send(stage.rollup, "StateRollup", "record", 2, marks_ms, MARKS)
    nobody_came = anvil.rpc.call("evm_snapshot")
    anvil.set_time(anvil.time_s() + 3 * DAY_S)
    stage.note("Exits.set_final_marks", "set_final_marks", table_ms, RISK)
    anvil.rpc.call("evm_revert", [nobody_came])
    said = {account: stage.arguments(Statement(ROOT, MARKS, account, {account: (me, 500 * USDC)})) for account in (3, 4)}
    stage.note("Exits.set_marks", "set_marks", 2, marks_ms, *said[3])
    anvil.set_time(anvil.time_s() + 3 * DAY_S)
    stage.note("Exits.claim, the first", "claim", *said[3])
    stage.note("Exits.claim", "claim", *said[4])
    anvil.set_time(anvil.time_s() + 14 * DAY_S)
    stage.note("Exits.collect", "collect", 3)
    return stage.table


def conclude(stage: Stage, table_ms: int, entry: tuple) -> None:
    """A run that comes out even: what the accounts have and the deposits on their way are the row, and nobody holds a position."""
    row, deposits = 3 * 500 * USDC + 2 * USDC, 256 * USDC
    lines = {3: (stage.caller.address, row - deposits - 2 * USDC), 4: (stage.caller.address, USDC), 5: (stage.caller.address, USDC)}
    even = Statement(ROOT, RISK, 0, lines, (), stage.k, fund=0)
    stage.send(stage.solvency, "Solvency", "begin", 1, table_ms, RISK)
    stage.send(stage.solvency, "Solvency", "publish", words_bytes(even.effects), b"", even.c, PROOF, stage.caller.address)
    stage.send(stage.solvency, "Solvency", "count_deposits", [entry] * 256)
    stage.note("Solvency.conclude", "conclude")


def compare(name: str, table: dict[str, int]) -> None:
    for what, gas in table.items():
        print(f"{name:24} {what:40} {gas:>10,}")
    snapshot = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.is_file() else {}
    if os.environ.get("STRADDLE_UPDATE_GAS"):
        SNAPSHOT.write_text(json.dumps(snapshot | {name: table}, indent=2) + "\n")
        return
    assert table == snapshot[name], "gas changed: if it was meant to, run with STRADDLE_UPDATE_GAS=1 and look at the difference"


@pytest.fixture
def anvil():
    try:
        binary = find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))
    with Anvil(1_590_105_600, binary=binary) as running:
        yield running


@pytest.mark.parametrize("size", ["nano", "standard"])
def test_gas_of_exits_and_solvency(anvil, size):
    compare(f"{size} exits", measure(Stage(anvil, size)))


@pytest.mark.parametrize(("scenarios", "tables_in_code"), [(16, False), (16, True), (48, False), (48, True)])
def test_gas_of_the_baseline(anvil, scenarios, tables_in_code):
    gas = measure_baseline(anvil, scenarios=scenarios, tables_in_code=tables_in_code)
    names = ("deploy", "deposit", "withdraw", "update_per_instrument", "first_update_per_instrument")
    table = {name: getattr(gas, name) for name in names}
    for trade in gas.trades:
        table |= {f"{name}, {trade.positions} positions a side": getattr(trade, name) for name in ("opening", "option", "hedge")}
    compare(f"baseline {scenarios} {'code' if tables_in_code else 'storage'}", table)
    assert gas.trade_bytes == 324


def test_gas_of_a_swap(anvil):
    gas = measure_swap(anvil)
    compare("baseline pool", {"deploy": gas.deploy, "swap": gas.swap})


@pytest.mark.parametrize(
    "wrong", [{"scenarios": 32}, {"scenarios": 48, "portfolios": ()}, {"scenarios": 48, "portfolios": (0, 1)}, {"scenarios": 48, "portfolios": (64,)}]
)
def test_a_measurement_that_cannot_be_made_is_refused(wrong):
    with pytest.raises(ValueError, match=r"^(scenarios|portfolios): "):
        measure_baseline(None, **({"tables_in_code": False} | wrong))
