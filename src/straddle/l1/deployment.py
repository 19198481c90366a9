"""Where an exchange's contracts are and how they were configured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.l1.contracts import load
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender

REQUEST_FEE_WEI = 10**12


class DeploymentError(RuntimeError):
    """A deployment's record is malformed, or is not what stands on the chain."""


class VerifyingKeyWords(Protocol):
    """A verifying key as words (straddle.proving.keys.VerifyingKey is one); G2 coordinates imaginary part first."""

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
class RollupConfig:
    """What is chosen at deployment. Addresses are '0x' strings, checksummed."""

    sequencer: str
    operator: str
    """Owner of the fee account and the insurance account."""
    oracles: tuple[str, ...]
    threshold: int
    """Oracle signatures that an epoch needs."""
    genesis_root: int
    params_hash: int
    account_depth: int
    queue_rows: int
    withdrawal_rows: int
    body_cells: int
    request_fee_wei: int = REQUEST_FEE_WEI


@dataclass(frozen=True, slots=True)
class Deployment:
    """An exchange on layer 1. `to_json` and `from_json` are each other's inverse; words are hex there, since JSON readers differ on large numbers."""

    chain_id: int
    start_block: int
    """First block that can hold an event of the rollup."""
    token: str
    vault: str
    verifier: str
    rollup: str
    vk_id: bytes
    config: RollupConfig
    created_by: Mapping[str, str] = field(default_factory=dict)
    """contract name -> hash of the transaction that created it."""

    @property
    def rollup_number(self) -> int:
        """The rollup's address as an integer, as commitments and messages take it."""
        return int(self.rollup, 16)

    def to_json(self) -> str:
        """JSON text."""
        record = asdict(self) | {"vk_id": "0x" + self.vk_id.hex()}
        for name in ("genesis_root", "params_hash"):
            record["config"][name] = f"{record['config'][name]:#066x}"
        return json.dumps(record, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        """From `to_json`'s text; DeploymentError names a missing or malformed field."""
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise DeploymentError(f"deployment is not JSON: {error}") from error
        top = _fields(cls, "deployment", raw)
        inner = _fields(RollupConfig, "deployment.config", top["config"])
        try:
            for name in ("genesis_root", "params_hash"):
                inner[name] = int(inner[name], 16)
            if not isinstance(top["created_by"], Mapping) or not all(isinstance(text, str) for text in top["created_by"].values()):
                raise DeploymentError(f"created_by: found {top['created_by']!r}, expected contract names with transaction hashes")
            if type(top["start_block"]) is not int or top["start_block"] < 0:
                raise DeploymentError(f"start_block: found {top['start_block']!r}, expected a block number")
            config = RollupConfig(**{**inner, "oracles": tuple(inner["oracles"])})
            return cls(**{**top, "vk_id": bytes.fromhex(top["vk_id"].removeprefix("0x")), "config": config})
        except (TypeError, ValueError, AttributeError) as error:
            raise DeploymentError(f"deployment is malformed: {error}") from error

    def check(self, rpc: Rpc) -> None:
        """Compares the record with the chain. DeploymentError names the first difference.

        Values first, then what the contracts are: without their code and creation, their word for their own values is worth nothing.
        """
        self.check_values(rpc)
        self.check_contracts(rpc)

    def check_values(self, rpc: Rpc) -> None:
        """Chain id, addresses, every value that the contracts publish."""
        found_chain = rpc.chain_id()
        if found_chain != self.chain_id:
            raise DeploymentError(f"chain_id: {found_chain} at {rpc.url}, expected {self.chain_id}")
        on_chain = read_deployment(rpc, self.rollup, self.start_block, self.config.oracles, self.created_by)
        for where, expected, found in ((self, asdict(self), asdict(on_chain)), (self.config, asdict(self.config), asdict(on_chain.config))):
            for name in (item.name for item in fields(where)):
                if name != "config" and expected[name] != found[name]:
                    raise DeploymentError(f"{name}: {found[name]!r} on the chain, expected {expected[name]!r}")

    def check_contracts(self, rpc: Rpc) -> None:
        """Each contract was created from this version's source with the record's arguments.

        The creation transaction is compared, not the code alone: other initialisation code could leave this code with planted storage.
        """
        addresses = {"Vault": self.vault, "Groth16Verifier": self.verifier, "Rollup": self.rollup}
        for name, address in addresses.items():
            if not rpc.code(address).startswith(load(name).runtime):
                raise DeploymentError(f"{name}: {address} does not run this version's {name}.vy")
        for name, address in addresses.items():
            contract = load(name)
            data = self._creation_data(rpc, name, address)
            if name == "Groth16Verifier":
                genuine = data.startswith(contract.bytecode) and keccak(data[len(contract.bytecode) :]) == self.vk_id
            else:
                argument = self.token if name == "Vault" else _constructor_struct(self.config, self.vault, self.verifier)
                genuine = data == contract.encode_deployment(argument)
            if not genuine:
                raise DeploymentError(f"{name}: {address} was not created from this version's {name}.vy with the record's arguments")

    def _creation_data(self, rpc: Rpc, name: str, address: str) -> bytes:
        """Input of the transaction that created a contract."""
        if name not in self.created_by:
            raise DeploymentError(f"created_by: no creation transaction of {name} in the record")
        receipt = rpc.call("eth_getTransactionReceipt", [self.created_by[name]])
        if not receipt or int(receipt.get("status") or "0x0", 16) != 1 or to_checksum_address(receipt.get("contractAddress") or "0x" + "00" * 20) != address:
            raise DeploymentError(f"created_by: transaction {self.created_by[name]} did not create {name} at {address}, or {rpc.url} no longer has it")
        return bytes.fromhex(rpc.transaction(self.created_by[name])["input"].removeprefix("0x"))


def _fields(kind: type, where: str, raw: Any) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    if not isinstance(raw, Mapping) or set(raw) != names:
        found = sorted(raw) if isinstance(raw, Mapping) else type(raw).__name__
        raise DeploymentError(f"{where}: found {found}, expected the fields {sorted(names)}")
    return dict(raw)


def deploy_token(sender: Sender) -> str:
    """Address of a new TestUSDC."""
    return _create(sender, "TestUSDC")[0]


def deploy(rpc: Rpc, sender: Sender, verifying_key: VerifyingKeyWords, config: RollupConfig, *, token: str | None = None) -> Deployment:
    """Deploys vault, verifier and rollup, and a TestUSDC unless there is a `token`. `sender` pays and has no rights afterwards."""
    start_block = rpc.block_number() + 1
    token = token or deploy_token(sender)
    key = verifying_key
    words = [list(key.alpha), list(key.beta), list(key.gamma), list(key.delta), [list(point) for point in key.k], list(key.pedersen_g)]
    verifier, verifier_by = _create(sender, "Groth16Verifier", *words, list(key.pedersen_g_sigma_neg))
    vault, vault_by = _create(sender, "Vault", token)
    rollup, rollup_by = _create(sender, "Rollup", _constructor_struct(config, vault, verifier))
    return read_deployment(rpc, rollup, start_block, config.oracles, {"Vault": vault_by, "Groth16Verifier": verifier_by, "Rollup": rollup_by})


def read_deployment(rpc: Rpc, rollup: str, start_block: int = 0, oracles: Sequence[str] = (), created_by: Mapping[str, str] | None = None) -> Deployment:
    """The deployment as the chain has it: needs nothing but the rollup's address. `oracles` are names to check; the contract only counts its own."""
    contract = load("Rollup")
    if not rpc.code(rollup):
        raise DeploymentError(f"rollup: no contract at {rollup} on chain {rpc.chain_id()}")

    def read(name: str, *args: Any) -> Any:
        return contract.decode_result(name, rpc.eth_call(rollup, contract.encode_call(name, *args)))

    for oracle in oracles:
        if not read("is_oracle", oracle):
            raise DeploymentError(f"oracles: {oracle} is not an oracle of {rollup}")
    count = read("ORACLE_COUNT")
    if oracles and count != len(oracles):
        raise DeploymentError(f"oracles: {rollup} has {count} oracles, the record names {len(oracles)}")
    config = RollupConfig(
        sequencer=to_checksum_address(read("SEQUENCER")),
        operator=to_checksum_address(read("owner_of", 1)),
        oracles=tuple(to_checksum_address(oracle) for oracle in oracles),
        threshold=read("THRESHOLD"),
        genesis_root=read("GENESIS_ROOT"),
        params_hash=read("PARAMS_HASH"),
        account_depth=read("ACCOUNT_LIMIT").bit_length() - 1,
        queue_rows=read("QUEUE_ROWS"),
        withdrawal_rows=read("WITHDRAWAL_ROWS"),
        body_cells=read("BODY_CELLS"),
        request_fee_wei=read("REQUEST_FEE_WEI"),
    )
    vault_address = to_checksum_address(read("VAULT"))
    vault = load("Vault")
    token = vault.decode_result("TOKEN", rpc.eth_call(vault_address, vault.encode_call("TOKEN")))
    return Deployment(
        chain_id=rpc.chain_id(),
        start_block=start_block,
        token=to_checksum_address(token),
        vault=vault_address,
        verifier=to_checksum_address(read("VERIFIER")),
        rollup=to_checksum_address(rollup),
        vk_id=read("VK_ID"),
        config=config,
        created_by=dict(created_by or {}),
    )


def _constructor_struct(config: RollupConfig, vault: str, verifier: str) -> tuple[Any, ...]:
    """Rollup's Config: both addresses, then the fields of `RollupConfig` in their order."""
    return (vault, verifier, *(getattr(config, field.name) for field in fields(config)))


def _create(sender: Sender, name: str, *args: Any) -> tuple[str, str]:
    """Address of a new contract, and its creation transaction."""
    receipt = sender.deploy(load(name), *args)
    assert receipt.contract_address is not None
    return to_checksum_address(receipt.contract_address), receipt.transaction_hash
