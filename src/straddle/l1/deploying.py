"""Deployment of an exchange's contracts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.commitments.policy import Data, check_policy
from straddle.l1.contracts import load
from straddle.l1.deployment import Deployment, DeploymentError, RollupConfig, StatementContract, constructor_struct, read_deployment, read_statement
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender
from straddle.risk.market_parameters import DEFAULT_MARKET, MarketParameters

Tell = Callable[[str, float], None]
"""Hears of each step when it begins, and of the share that is done before it."""


class VerifyingKeyWords(Protocol):
    """A verifying key as words (straddle.proving.keys.VerifyingKey is one); G2 coordinates imaginary part first."""

    @property
    def id(self) -> bytes: ...  # noqa: D102
    @property
    def alpha(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def beta(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def gamma(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def delta(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def k(self) -> Sequence[Sequence[int]]: ...  # noqa: D102
    @property
    def pedersen_g(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def pedersen_g_sigma_neg(self) -> Sequence[int]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class StatementKey:
    """The verifying key of an exit or solvency circuit, with the circuit's sizes."""

    key: VerifyingKeyWords
    chunk_exponent: int
    """0 for exits."""
    body_cells: int


@dataclass(frozen=True, slots=True)
class CircuitKeys:
    """The verifying keys of a rollup. Without one for exits nothing is paid after a freeze, and `Deployment.check` refuses the rollup: for tests alone."""

    batch: VerifyingKeyWords
    exit: StatementKey | None = None
    solvency: StatementKey | None = None


class _Deployer:
    """Creates contracts and remembers by which transactions."""

    def __init__(self, rpc: Rpc, sender: Sender, tell: Tell = lambda step, done: None, count: int = 1) -> None:
        """`count` contracts; before each, `tell` hears of it."""
        self.rpc, self.sender = rpc, sender
        self._tell, self._count = tell, count
        self.created_by: dict[str, str] = {}

    def create(self, source: str, *args: object, name: str = "") -> str:
        """Address of a new contract."""
        made = len(self.created_by)
        self._tell(f"contract {made + 1} of {self._count}: {name or source}", made / self._count)
        receipt = self.sender.deploy(load(source), *args)
        assert receipt.contract_address is not None
        self.created_by[name or source] = receipt.transaction_hash
        return to_checksum_address(receipt.contract_address)

    def verifier(self, key: VerifyingKeyWords, name: str = "Groth16Verifier") -> str:
        """A verifier with the key's words."""
        words = [list(key.alpha), list(key.beta), list(key.gamma), list(key.delta), [list(point) for point in key.k], list(key.pedersen_g)]
        return self.create("Groth16Verifier", *words, list(key.pedersen_g_sigma_neg), name=name)

    def address_after(self, transactions: int) -> str:
        """Where the sender's contract will be that is created after so many other transactions."""
        nonce = self.rpc.nonce(self.sender.address)
        return created_address(self.sender.address, nonce + transactions)


def deploy_token(sender: Sender) -> str:
    """Address of a new TestUSDC."""
    receipt = sender.deploy(load("TestUSDC"))
    assert receipt.contract_address is not None
    return to_checksum_address(receipt.contract_address)


def deploy(
    rpc: Rpc,
    sender: Sender,
    keys: CircuitKeys,
    config: RollupConfig,
    *,
    token: str | None = None,
    parameters: MarketParameters = DEFAULT_MARKET,
    tell: Tell = lambda step, done: None,
) -> Deployment:
    """Deploys everything: vault, verifiers, the committee if there is one, rollup, exits, solvency; and a TestUSDC unless there is a `token`.

    `sender` pays, has no rights afterwards, and must send nothing else meanwhile. `parameters`: those that `config.params_hash` is of, for the record.
    `tell` hears of each contract: on a chain with slow blocks the whole takes minutes. PolicyError: choices that do not go together.
    """
    check_policy(config.proofs, config.data)
    start_block = rpc.block_number() + 1
    if token is None:
        tell("the test dollar", 0.0)
        token = deploy_token(sender)
    count = 3 + (config.data is Data.COMMITTEE) + 2 * (keys.exit is not None) + 2 * (keys.solvency is not None)
    made = _Deployer(rpc, sender, tell, count)
    verifier = made.verifier(keys.batch)
    verifiers = {name: made.verifier(item.key, f"Groth16Verifier of {name}") for name, item in (("Exits", keys.exit), ("Solvency", keys.solvency)) if item}
    vault = made.create("Vault", token)
    committee = made.create("Committee", list(config.members), config.member_threshold) if config.data is Data.COMMITTEE else ""
    # Rollup and Exits name each other: the later one's address is known before.
    exits_address = made.address_after(1)
    rollup = made.create("Rollup", constructor_struct(config, vault, verifier, committee, exits_address))
    exits = solvency = None
    if keys.exit:
        address = made.create("Exits", rollup, verifiers["Exits"], keys.exit.body_cells)
        exits = StatementContract(address, verifiers["Exits"], b"", 0, keys.exit.body_cells)
    if keys.solvency:
        sizes = (keys.solvency.chunk_exponent, keys.solvency.body_cells)
        solvency = StatementContract(made.create("Solvency", rollup, verifiers["Solvency"], *sizes), verifiers["Solvency"], b"", *sizes)
    contracts = (token, vault, verifier, rollup, b"", config, exits_address, committee, exits, solvency)
    record = Deployment(rpc.chain_id(), start_block, *contracts, made.created_by, parameters)
    return read_deployment(rpc, rollup, record)


def deploy_single_solvency(rpc: Rpc, sender: Sender, deployment: Deployment) -> StatementContract:
    """A Solvency of one's own for a rollup that stands, with a chunk of one account: the exits' verifier serves it. DeploymentError: there are no exits."""
    exits = deployment.exits
    if exits is None:
        raise DeploymentError(f"exits: the record of rollup {deployment.rollup} names no Exits contract of this version, whose verifier is needed")
    address = _Deployer(rpc, sender).create("Solvency", deployment.rollup, exits.verifier, 0, exits.body_cells)
    found = read_statement(rpc, "Solvency", address, deployment.rollup)
    assert found is not None, "just created"
    return found


def created_address(creator: str, nonce: int) -> str:
    """Address of the contract that an account creates with its transaction `nonce`: the end of keccak256(rlp([creator, nonce]))."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    coded = number if nonce and nonce < 0x80 else bytes([0x80 + len(number)]) + number
    content = b"\x94" + bytes.fromhex(creator.removeprefix("0x")) + coded
    return to_checksum_address(keccak(bytes([0xC0 + len(content)]) + content)[12:])
