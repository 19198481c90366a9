"""An anvil chain with an exchange on it; proofs are checked by the contracts' tests' mock, which ties them to the public inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from straddle.commitments.challenge import IN_CALLDATA, challenge, evaluate
from straddle.core.messages import domain
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.l1.contracts import load, load_path
from straddle.l1.deploying import created_address, deploy_token
from straddle.l1.deployment import Deployment, RollupConfig, constructor_struct, read_deployment
from straddle.l1.rollup import RollupClient, sign_epoch
from straddle.l1.sender import Sender

MOCKS = Path(__file__).parents[2] / "contracts" / "mocks"
GENESIS_TIME_S = 1_590_105_600
ORACLE_KEYS = [keccak(b"oracle %d" % i) for i in range(3)]


@pytest.fixture(scope="session")
def anvil_binary() -> Path:
    try:
        return find_anvil()
    except AnvilError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def anvil(anvil_binary: Path) -> Iterator[Anvil]:
    with Anvil(GENESIS_TIME_S, binary=anvil_binary) as chain:
        yield chain


@dataclass
class World:
    """A deployed exchange and the people around it."""

    anvil: Anvil
    deployment: Deployment
    client: RollupClient
    sequencer: Sender
    alice: Sender
    bob: Sender

    def sender(self, seed: bytes) -> Sender:
        made = Sender(self.anvil.rpc, keccak(seed))
        self.anvil.fund(made.address)
        return made

    def submit_epoch(self, epoch: int, inputs: bytes = b"feeds") -> int:
        """Signs and records; returns the table's time."""
        time_ms = self.anvil.time_s() * 1000
        digest = self.client.epoch_digest(epoch, time_ms, 70 + epoch, inputs)
        self.client.submit_epoch(self.bob, epoch, time_ms, 70 + epoch, inputs, sign_epoch(digest, ORACLE_KEYS[:2]))
        return time_ms

    def batch(self, epoch: int, time_ms: int, root: int, entries=(), withdrawals=()) -> SimpleNamespace:
        """The next batch with made-up contents and a proof that the mock verifier accepts."""
        config, client = self.deployment.config, self.client
        number = client.proposed_batch() + 1
        parent = client.batch(number - 1)
        effects = [
            domain(self.deployment.chain_id, self.deployment.rollup_number), number, parent.state_root, root, epoch | time_ms << 64, config.params_hash,
            70 + epoch, parent.last_sequence + 1 | parent.last_sequence + 3 << 64, 5, parent.queue_end | len(entries) << 64,
        ]  # fmt: skip
        for entry in entries:
            effects += [entry.kind | entry.account << 8 | entry.owner << 40 | 1 << 200, entry.word_1, entry.word_2]
        effects += [0] * (10 + 3 * config.queue_rows - len(effects))
        effects += [int(owner, 16) | amount << 160 | account << 224 for account, owner, amount in withdrawals]
        effects += [0] * (10 + 3 * config.queue_rows + config.withdrawal_rows - len(effects))
        body, c, beneficiary = [11, 0, 13], 17, int(self.bob.address, 16)
        z = challenge(self.deployment.chain_id, self.deployment.rollup_number, self.deployment.vk_id, number, parent.header_hash, effects, body, c)
        public = (c, z, evaluate(effects, z), evaluate(body, z), beneficiary)
        proof = SimpleNamespace(public=public, words=[int.from_bytes(keccak(encode(["uint256[5]"], [public])), "big")] + [0] * 11)
        return SimpleNamespace(effects_words=effects, body_words=body, place=IN_CALLDATA, proof=proof, c=c)


def make_world(anvil: Anvil) -> World:
    rpc = anvil.rpc
    people = {name: Sender(rpc, keccak(name.encode())) for name in ("deployer", "sequencer", "alice", "bob", "operator")}
    for person in people.values():
        anvil.fund(person.address)
    deployer = people["deployer"]
    start = rpc.block_number() + 1
    config = RollupConfig(
        sequencer=people["sequencer"].address,
        operator=people["operator"].address,
        oracles=tuple(sorted((Account.from_key(key).address for key in ORACLE_KEYS), key=lambda address: int(address, 16))),
        threshold=2,
        genesis_root=999,
        params_hash=888,
        account_depth=8,
        queue_rows=4,
        withdrawal_rows=2,
        body_cells=26,
    )
    verifier = deployer.deploy(load_path(MOCKS / "MockVerifier.vy")).contract_address
    vault = deployer.deploy(load("Vault"), deploy_token(deployer)).contract_address
    exits = created_address(deployer.address, 10**6)  # nobody
    rollup = deployer.deploy(load("Rollup"), constructor_struct(config, vault, verifier, "", exits)).contract_address
    deployment = read_deployment(rpc, rollup, oracles=config.oracles, start_block=start)
    return World(anvil, deployment, RollupClient(rpc, deployment), people["sequencer"], people["alice"], people["bob"])


@pytest.fixture
def world(anvil: Anvil) -> World:
    return make_world(anvil)
