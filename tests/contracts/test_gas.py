"""Gas of every entry point, against the snapshot gas.json. After a deliberate change: STRADDLE_UPDATE_GAS=1 pytest tests/contracts/test_gas.py

Measured on anvil, transaction by transaction (in memory, pyrevm keeps storage warm between transactions). The proof is a real one, of the fixture's circuit:
the verifier's cost does not depend on the statement. Cells are as dense as real ones. `pytest -s tests/contracts/test_gas.py` prints the table.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from straddle.commitments.blob import blob_hash, cells_blob, open_blob
from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE, Place, challenge, evaluate, header_hash
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.preset import Preset
from straddle.core.accounts import PublicKey
from straddle.core.messages import domain
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.contracts import load, load_path
from straddle.l1.deploying import deploy_token
from straddle.l1.deployment import RollupConfig, constructor_struct, read_deployment
from straddle.l1.history import read_history
from straddle.l1.rollup import RollupClient, sign_epoch, words_bytes
from straddle.l1.sender import Sender
from straddle.node.config import CHAIN_FILE, PRICES_FILE
from straddle.risk.candles import load_candles
from straddle.risk.inputs import encode_inputs
from straddle.risk.listing import list_chain
from straddle.risk.market_path import MarketPath
from straddle.risk.recording import load_chain
from straddle.risk.surface import fit_surface

HERE = Path(__file__).parent
SNAPSHOT = HERE / "gas.json"
DATA = HERE.parents[1] / "data"
FIXTURE = json.loads((HERE / "fixtures" / "groth16.json").read_text())
PRESETS = json.loads((HERE.parents[1] / "native" / "circuit" / "presets.json").read_text())
USDC = 1_000_000
G = PublicKey(
    9671717474070082183213120605117400219616337014328744928644933853176787189663, 16950150798460657717958625567821834550301663161624707787222815936182638968203
)
EIGHT_G = PublicKey(
    15836372343211832006828833031571087401945044377577570170285606102491215895900, 7801528930831391612913542953849263092120765287178679640990215688947513841260
)
ORACLE_KEYS = sorted((keccak(b"oracle %d" % i) for i in range(3)), key=lambda key: int(Account.from_key(key).address, 16))
KEY_FIELDS = ("alpha", "beta", "gamma", "delta", "k", "pedersen_g", "pedersen_g_sigma_neg")


BONDS = {"proposer_bond_wei": 10**18, "challenger_bond_wei": 3 * 10**17, "challenge_window_s": 7 * 86_400, "proving_allowance_s": 600}


def numbers(value):
    return [numbers(item) for item in value] if isinstance(value, list) else int(value, 16)


PROOF = [int(word, 16) for part in ("a", "b", "c", "commitment", "pok") for word in FIXTURE["proofs"][0][part]]
PUBLIC = numbers(FIXTURE["proofs"][0]["public"])


def cells(count: int) -> list[int]:
    """Numbers of 244 bits without structure, as packed cells are."""
    return [int.from_bytes(keccak(b"cell %d" % i), "big") >> 12 for i in range(count)]


@functools.cache
def recorded_inputs() -> bytes:
    """Feed values of everything recorded, at the snapshot, each expiry traded: what oracles post."""
    recording = load_chain(DATA / CHAIN_FILE)
    path = MarketPath(recording, fit_surface(recording), load_candles(DATA / PRICES_FILE))
    instruments = [instrument for instrument, _ in list_chain(path.recording, path.recording.options, futures=True).values()]
    activity = tuple((expiry, 34_100, 106_900) for expiry in sorted({instrument.expiry_ms for instrument in instruments}))
    return encode_inputs(path.inputs(1, path.start_ms, instruments, activity=activity))


class Stage:
    """An exchange of a preset on a fresh chain, whose verifier asks the real one about the fixture's statement."""

    def __init__(self, anvil: Anvil, size: str, **choices) -> None:
        self.anvil, self.table = anvil, {}
        sizes = PRESETS[size]
        people = {name: Sender(anvil.rpc, keccak(name.encode())) for name in ("deployer", "sequencer", "alice", "bob")}
        for person in people.values():
            anvil.fund(person.address)
        self.deployer, self.sequencer, self.alice, self.bob = people.values()
        self.body_cells = Preset(name=size, **sizes).body_words
        oracles = tuple(Account.from_key(key).address for key in ORACLE_KEYS)
        config = RollupConfig(
            self.sequencer.address, self.deployer.address, oracles, 3, cells(1)[0], 888, sizes["account_depth"], sizes["queue"], sizes["withdrawals"],
            self.body_cells, **choices,
        )  # fmt: skip
        key = [numbers(FIXTURE["verifying_key"][name]) for name in KEY_FIELDS]
        self.verifier = self.deploy("deploy Groth16Verifier", load("Groth16Verifier"), *key)
        vault = self.deploy("deploy Vault", load("Vault"), deploy_token(self.deployer))
        fixed = self.deployer.deploy(load_path(HERE / "mocks" / "FixtureVerifier.vy"), self.verifier, PUBLIC).contract_address
        committee = self.deploy("deploy Committee", load("Committee"), list(config.members), config.member_threshold) if config.members else ""
        rollup = self.deploy("deploy Rollup", load("Rollup"), constructor_struct(config, vault, fixed, committee, self.deployer.address))
        self.deployment = read_deployment(anvil.rpc, rollup, oracles=oracles)
        self.client = RollupClient(anvil.rpc, self.deployment)

    def deploy(self, name: str, contract, *args) -> str:
        receipt = self.deployer.deploy(contract, *args)
        self.table[name] = receipt.gas_used
        return receipt.contract_address

    def note(self, name: str, receipt) -> None:
        self.table[name] = receipt.gas_used

    def record_epoch(self, number: int = 1) -> None:
        """An epoch at the chain's time, and the queue as it is."""
        inputs, time_ms, risk_root = recorded_inputs(), self.anvil.time_s() * 1000, cells(3)[2]
        signatures = sign_epoch(self.client.epoch_digest(number, time_ms, risk_root, inputs), ORACLE_KEYS)
        self.note("submit_epoch, 3 signatures, the recorded market", self.client.submit_epoch(self.bob, number, time_ms, risk_root, inputs, signatures))
        history = read_history(self.anvil.rpc, self.deployment)
        self.queue, self.epoch = history.queue, history.epochs[number]

    def batch(self, number: int, entries: int, body_cells: int, withdrawals: int, place: Place = IN_CALLDATA) -> SimpleNamespace:
        """A batch on the newest epoch and its fixture proof. In a blob y_body is the caller's to put right."""
        deployment, config = self.deployment, self.deployment.config
        parent = self.client.batch(number - 1)
        epoch = self.epoch
        effects = [
            domain(deployment.chain_id, deployment.rollup_number), number, parent.state_root, cells(number + 1)[-1], epoch.epoch | epoch.time_ms << 64,
            config.params_hash, epoch.risk_root, parent.last_sequence + 1 | parent.last_sequence + 60 << 64, cells(9)[8] >> 8, parent.queue_end | entries << 64,
        ]  # fmt: skip
        for entry in self.queue[parent.queue_end : parent.queue_end + entries]:
            effects += [entry.kind | entry.account << 8 | entry.owner << 40 | 1 << 200, entry.word_1, entry.word_2]
        effects += [0] * (10 + 3 * config.queue_rows - len(effects))
        effects += [int(who.address, 16) | USDC << 160 | 3 + i << 224 for i, who in enumerate((self.alice, self.bob)[:withdrawals])]
        effects += [0] * (10 + 3 * config.queue_rows + config.withdrawal_rows - len(effects))
        body, c = cells(body_cells), cells(5)[4]
        z = challenge(deployment.chain_id, deployment.rollup_number, deployment.vk_id, number, parent.header_hash, effects, body, c, place)
        public = (c, z, evaluate(effects, z), evaluate(body, z), int(self.bob.address, 16))
        return SimpleNamespace(effects_words=effects, body_words=body, place=place, proof=SimpleNamespace(public=public, words=PROOF))


def measure(stage: Stage) -> dict[str, int]:
    client, note, body_cells = stage.client, stage.note, stage.body_cells
    for who in (stage.alice, stage.bob):
        client.mint(who, who.address, 100 * USDC)
        note("deposit, new account", client.deposit(who, 20 * USDC).receipt)
    note("deposit, existing account", client.deposit(stage.bob, 10 * USDC, 4).receipt)
    note("set_key", client.set_key(stage.alice, 3, EIGHT_G, G).receipt)
    note("force_withdraw", client.force_withdraw(stage.alice, 3, USDC).receipt)
    note("force_close", client.force_close(stage.alice, 3, 500).receipt)
    stage.record_epoch()
    plan = [("2 entries, 2 withdrawals, full body", 2, body_cells, 2), ("full body", 0, body_cells, 0), ("empty body", 0, 0, 0)]
    for number, (name, entries, count, withdrawals) in enumerate(plan, 1):
        batch = stage.batch(number, entries, count, withdrawals)
        note(f"propose, {name}", client.propose(stage.sequencer, batch, batch.proof.public[0]))
        note(f"prove, {name}", client.prove(stage.bob, batch, batch.proof))
    batch = stage.batch(4, 2, body_cells // 2, 1)
    note("propose_and_prove, 2 entries, 1 withdrawal, half a body", client.propose_and_prove(stage.sequencer, batch, batch.proof))
    note("pull", client.pull(stage.alice))
    doomed = stage.batch(5, 0, 0, 0)
    client.propose(stage.sequencer, doomed, doomed.proof.public[0])
    stage.anvil.set_time(stage.anvil.time_s() + 86_402)
    note("void", client.void(stage.bob, 5))
    note("collect_fees", client.collect_fees(stage.bob))
    # An explicit limit: with too little gas `verify` answers False instead of reverting, and an estimate would find that out.
    calldata = load("Groth16Verifier").encode_call("verify", PROOF, PUBLIC)
    note("Groth16Verifier.verify as a transaction", stage.bob.send(stage.verifier, calldata, gas=1_000_000))
    stage.anvil.set_time(stage.anvil.time_s() + 10 * 86_400)
    note("freeze", client.freeze(stage.bob))
    return stage.table


def measure_optimistic(anvil: Anvil, size: str) -> dict[str, int]:
    """Bodies in calldata. Every proposal takes slots that nobody has used: an exchange in service pays 17,100 gas less for each of them."""
    stage = Stage(anvil, size, proofs=Proofs.WHEN_CHALLENGED, **BONDS)
    client, note, deployer = stage.client, stage.note, stage.deployer
    stage.record_epoch()
    batches = []
    for number in range(1, 7):
        batches.append(stage.batch(number, 0, stage.body_cells, 0))
        note("propose, full body", client.propose(stage.sequencer, batches[-1], batches[-1].proof.public[0]))
    note("challenge", client.challenge(stage.alice, 2))
    note("prove before its turn, challenged", client.prove(stage.bob, batches[1], batches[1].proof))
    note("challenge", client.challenge(stage.alice, 4))
    stage.anvil.set_time(stage.anvil.time_s() + BONDS["challenge_window_s"] + 1)
    note("finalise, its window over", client.finalise(deployer, batches[0], batches[0].proof.public))
    note("finalise, proven", client.finalise(deployer, batches[1], batches[1].proof.public))
    note("prove, the oldest", client.prove(stage.bob, batches[2], batches[2].proof))
    note("void, 2 descendants", client.void(deployer, 4))
    note("collect_wei", client.collect_wei(stage.alice))
    return stage.table


def measure_blob(anvil: Anvil, size: str) -> dict[str, int]:
    stage = Stage(anvil, size, data=Data.BLOB)
    stage.record_epoch()
    blob = cells_blob(cells(stage.body_cells))
    for name in ("propose_blob, full body", "propose_blob, again"):
        number = stage.client.proposed_batch() + 1
        batch = stage.batch(number, 0, stage.body_cells, 0, Place(Data.BLOB, blob_hash(blob)))
        opening = open_blob(blob, batch.proof.public[1])
        stage.note(name, stage.client.propose(stage.sequencer, batch, batch.proof.public[0], opening=opening, blobs=[blob]))
        batch.proof.public = (*batch.proof.public[:3], opening.y_body, batch.proof.public[4])
        stage.note("prove, full body in a blob", stage.client.prove(stage.bob, batch, batch.proof))
    batch = stage.batch(3, 0, stage.body_cells, 0, Place(Data.BLOB, blob_hash(blob)))
    opening = open_blob(blob, batch.proof.public[1])
    batch.proof.public = (*batch.proof.public[:3], opening.y_body, batch.proof.public[4])
    stage.note("propose_blob_and_prove", stage.client.propose_and_prove(stage.sequencer, batch, batch.proof, opening=opening, blobs=[blob]))
    return stage.table


def measure_validium(anvil: Anvil, size: str) -> dict[str, int]:
    members = sorted((Account.from_key(keccak(b"member %d" % i)) for i in range(7)), key=lambda member: int(member.address, 16))
    stage = Stage(anvil, size, data=Data.COMMITTEE, members=tuple(member.address for member in members), member_threshold=6)
    client, deployment = stage.client, stage.deployment
    stage.record_epoch()

    def certified(number: int) -> tuple[SimpleNamespace, list[bytes]]:
        """A batch whose body the members keep, and their certificates: for its body value the proof's is taken only when it is proved."""
        batch = stage.batch(number, 0, stage.body_cells, 0, WITH_COMMITTEE)
        c, z, y_effects, y_body, _ = batch.proof.public
        hashed = header_hash(client.header_hash(number - 1), number, batch.effects_words, batch.body_words, c, z, y_effects, y_body, WITH_COMMITTEE)
        facts = b"".join(word.to_bytes(32, "big") for word in (deployment.chain_id, deployment.rollup_number, number))
        digest = keccak(b"straddle.certificate".ljust(32, b"\0") + facts + hashed)
        return batch, [bytes(member.unsafe_sign_hash(digest).signature) for member in members[:6]]

    batch, certificates = certified(1)
    stage.note("propose_certified, 6 of 7", client.propose(stage.sequencer, batch, batch.proof.public[0], certificates=certificates))
    stage.note("prove", client.prove(stage.bob, batch, batch.proof))
    snapshot = b"".join(keccak(b"state %d" % i) for i in range(128))
    stage.note("post_snapshot, 4 kB", client.post_snapshot(stage.sequencer, client.state_root(), 0, 1, snapshot))
    batch = stage.batch(2, 0, stage.body_cells, 0)
    stage.note("propose in calldata, full body", client.propose(stage.sequencer, batch, batch.proof.public[0]))
    stage.anvil.set_time(stage.anvil.time_s() + 86_402)
    stage.note("void", client.void(stage.bob, 2))
    stage.record_epoch(2)
    batch, certificates = certified(2)
    signatures = [(item[64], int.from_bytes(item[:32], "big"), int.from_bytes(item[32:64], "big")) for item in certificates]
    arguments = (words_bytes(batch.effects_words), batch.proof.public[0], signatures, batch.proof.public[3], PROOF, stage.bob.address)
    stage.note("propose_certified_and_prove, 6 of 7", stage.sequencer.transact(deployment.rollup, load("Rollup"), "propose_certified_and_prove", *arguments))
    return stage.table


MEASURED = {
    "nano": lambda anvil: measure(Stage(anvil, "nano")),
    "demo": lambda anvil: measure(Stage(anvil, "demo")),
    "standard": lambda anvil: measure(Stage(anvil, "standard")),
    "standard optimistic": lambda anvil: measure_optimistic(anvil, "standard"),
    "standard blob": lambda anvil: measure_blob(anvil, "standard"),
    "standard validium": lambda anvil: measure_validium(anvil, "standard"),
}


@pytest.mark.parametrize("name", MEASURED)
def test_gas_is_the_snapshots(name):
    try:
        binary = find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))
    with Anvil(1_590_105_600, binary=binary) as anvil:
        table = MEASURED[name](anvil)
    for what, gas in table.items():
        print(f"{name:20} {what:58} {gas:>10,}")
    snapshot = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.is_file() else {}
    if os.environ.get("STRADDLE_UPDATE_GAS"):
        SNAPSHOT.write_text(json.dumps(snapshot | {name: table}, indent=2) + "\n")
        return
    assert table == snapshot[name], "gas changed: if it was meant to, run with STRADDLE_UPDATE_GAS=1 and look at the difference"
