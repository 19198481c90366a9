"""Where an exchange's contracts are and how they were configured: the record, and how it is held against the chain. straddle.l1.deploying makes one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.commitments.policy import Data, Proofs, policy_name
from straddle.l1.contracts import load
from straddle.l1.rpc import Rpc
from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_record
from straddle.risk.market_parameters import DEFAULT_MARKET, MarketParameters

REQUEST_FEE_WEI = 10**12
NO_ADDRESS = "0x" + "00" * 20
_WORDS = ("genesis_root", "params_hash")


class DeploymentError(Actionable):
    """A deployment's record is malformed, or is not what stands on the chain."""


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
    proofs: Proofs = Proofs.ALWAYS
    data: Data = Data.CALLDATA
    members: tuple[str, ...] = ()
    """Of the data committee, ascending; none unless `data` is committee."""
    member_threshold: int = 0
    """Certificates that a batch needs."""
    proposer_bond_wei: int = 0
    """This and what follows: 0 unless proofs are required only when challenged."""
    challenger_bond_wei: int = 0
    challenge_window_s: int = 0
    proving_allowance_s: int = 0
    """Seconds by which each open challenge puts off the date of an answer."""

    @property
    def optimistic(self) -> bool:
        """Whether a batch needs a proof only when it is challenged."""
        return self.proofs is Proofs.WHEN_CHALLENGED

    @property
    def policy(self) -> str:
        """The policy in words, such as 'ZK rollup, data in calldata'."""
        where = {Data.CALLDATA: "data in calldata", Data.BLOB: "data in blobs", Data.COMMITTEE: "data with a committee"}[self.data]
        return f"{policy_name(self.proofs, self.data)}, {where}"


@dataclass(frozen=True, slots=True)
class StatementContract:
    """Exits or Solvency: a contract that takes proofs of docs/protocol/solvency.md, with the verifier of its circuit."""

    address: str
    verifier: str
    vk_id: bytes
    chunk_exponent: int
    """A chunk has 2^chunk_exponent accounts; 0 for exits."""
    body_cells: int


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
    exits_address: str
    """The one address that may pay a frozen rollup's exits."""
    committee: str = ""
    """Empty unless data lie with a committee."""
    exits: StatementContract | None = None
    """What stands at `exits_address`; None where nothing does, which `check` refuses: whoever controls that address could take everything after a freeze."""
    solvency: StatementContract | None = None
    created_by: Mapping[str, str] = field(default_factory=dict)
    """Contract (of `contract_addresses`) -> hash of the transaction that created it."""
    parameters: MarketParameters = DEFAULT_MARKET
    """The market's numbers. What says that they are the rollup's is its params_hash (straddle.node.version.terms_of)."""

    @property
    def rollup_number(self) -> int:
        """The rollup's address as an integer, as commitments and messages take it."""
        return int(self.rollup, 16)

    @property
    def log_addresses(self) -> tuple[str, ...]:
        """The contracts whose events are a rollup's history."""
        return (self.rollup, self.committee) if self.committee else (self.rollup,)

    @property
    def contract_addresses(self) -> dict[str, tuple[str, str]]:
        """The contracts: name in the record -> (name of the source, address). The token is not among them: it is not ours."""
        found = {"Vault": ("Vault", self.vault), "Groth16Verifier": ("Groth16Verifier", self.verifier), "Rollup": ("Rollup", self.rollup)}
        if self.committee:
            found["Committee"] = ("Committee", self.committee)
        for name, statement in (("Exits", self.exits), ("Solvency", self.solvency)):
            if statement is not None:
                found |= {f"Groth16Verifier of {name}": ("Groth16Verifier", statement.verifier), name: (name, statement.address)}
        return found

    def to_json(self) -> str:
        """JSON text."""
        return json.dumps(_plain(asdict(self)), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Deployment:
        """From `to_json`'s text; DeploymentError names a missing or malformed field."""
        try:
            raw = decode_record(text)
        except ValueError as error:
            raise DeploymentError(f"deployment is not JSON: {error}") from error
        top = _fields(cls, "deployment", raw)
        inner = _fields(RollupConfig, "deployment.config", top["config"])
        try:
            for name in _WORDS:
                inner[name] = int(inner[name], 16)
            created_by, start_block = top["created_by"], top["start_block"]
            if not isinstance(created_by, Mapping) or not all(isinstance(text, str) for text in created_by.values()):
                raise DeploymentError(f"created_by: found {created_by!r}, expected contract names with transaction hashes")
            if type(start_block) is not int or start_block < 0:
                raise DeploymentError(f"start_block: found {start_block!r}, expected a block number")
            choices = {"proofs": Proofs(inner["proofs"]), "data": Data(inner["data"])}
            lists = {name: tuple(inner[name]) for name in ("oracles", "members")}
            statements = {name: _statement(name, top[name]) for name in ("exits", "solvency")}
            parameters = MarketParameters.from_plain(top["parameters"])
            return cls(
                **{**top, **statements, "parameters": parameters, "vk_id": _hex_bytes(top["vk_id"]), "config": RollupConfig(**{**inner, **choices, **lists})}
            )
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
        on_chain = read_deployment(rpc, self.rollup, self)
        for where, expected, found in ((self, asdict(self), asdict(on_chain)), (self.config, asdict(self.config), asdict(on_chain.config))):
            for name in (item.name for item in fields(where)):
                if name != "config" and expected[name] != found[name]:
                    raise DeploymentError(f"{name}: {found[name]!r} on the chain, expected {expected[name]!r}")

    def check_contracts(self, rpc: Rpc) -> None:
        """Each contract was created from this version's source with the record's arguments.

        The creation transaction is compared, not the code alone: other initialisation code could leave this code with planted storage.
        """
        contracts = self.contract_addresses
        for source, address in contracts.values():
            if not rpc.code(address).startswith(load(source).runtime):
                raise DeploymentError(f"{source}: {address} does not run this version's {source}.vy")
        if self.exits is None:
            raise DeploymentError(
                f"exits: no contract of this version at {self.exits_address}, expected Exits: what stands there may take the row after a freeze"
            )
        for name, (source, address) in contracts.items():
            contract = load(source)
            data = self._creation_data(rpc, name, address)
            if source == "Groth16Verifier":
                genuine = data.startswith(contract.bytecode) and keccak(data[len(contract.bytecode) :]) == self._vk_id(name)
            else:
                genuine = data == contract.encode_deployment(*self._arguments(name))
            if not genuine:
                raise DeploymentError(f"{name}: {address} was not created from this version's {source}.vy with the record's arguments")

    def _arguments(self, name: str) -> tuple[Any, ...]:
        """What a contract was created with."""
        match name:
            case "Vault":
                return (self.token,)
            case "Committee":
                return list(self.config.members), self.config.member_threshold
            case "Rollup":
                return (constructor_struct(self.config, self.vault, self.verifier, self.committee, self.exits_address),)
        statement = self.exits if name == "Exits" else self.solvency
        assert statement is not None
        sizes = (statement.body_cells,) if name == "Exits" else (statement.chunk_exponent, statement.body_cells)
        return self.rollup, statement.verifier, *sizes

    def _vk_id(self, name: str) -> bytes:
        statement = {"Groth16Verifier of Exits": self.exits, "Groth16Verifier of Solvency": self.solvency}.get(name)
        return self.vk_id if statement is None else statement.vk_id

    def _creation_data(self, rpc: Rpc, name: str, address: str) -> bytes:
        """Input of the transaction that created a contract."""
        if name not in self.created_by:
            raise DeploymentError(f"created_by: no creation transaction of {name} in the record")
        receipt = rpc.receipt(self.created_by[name])
        if not receipt or int(receipt["status"], 16) != 1 or to_checksum_address(receipt.get("contractAddress") or NO_ADDRESS) != address:
            raise DeploymentError(f"created_by: transaction {self.created_by[name]} did not create {name} at {address}, or {rpc.url} no longer has it")
        return bytes.fromhex(rpc.transaction(self.created_by[name])["input"].removeprefix("0x"))


def read_deployment(rpc: Rpc, rollup: str, record: Deployment | None = None, *, oracles: Sequence[str] = (), start_block: int = 0) -> Deployment:
    """The deployment as the chain has it: needs nothing but the rollup's address.

    What the contracts only count or do not know comes from `record` (or `oracles`, `start_block` without one), and is checked as far as they can tell:
    oracles, members, the solvency contract, creation transactions. The market's parameters are the record's, or the defaults: `terms_of` holds them against
    the rollup's hash.
    """
    if not rpc.code(rollup):
        raise DeploymentError(f"rollup: no contract at {rollup} on chain {rpc.chain_id()}")
    read = _reader(rpc, "Rollup", rollup)
    oracles = record.config.oracles if record else tuple(to_checksum_address(oracle) for oracle in oracles)
    _check_names("oracles", oracles, rollup, read("ORACLE_COUNT"), lambda name: bool(read("is_oracle", name)))
    committee = _address(read("COMMITTEE"))
    members, member_threshold = _committee(rpc, committee, record.config.members if record else ())
    vault, exits_address = _address(read("VAULT")), _address(read("EXITS"))
    return Deployment(
        chain_id=rpc.chain_id(),
        start_block=record.start_block if record else start_block,
        token=_address(_reader(rpc, "Vault", vault)("TOKEN")),
        vault=vault,
        verifier=_address(read("VERIFIER")),
        rollup=to_checksum_address(rollup),
        vk_id=read("VK_ID"),
        config=_config(read, oracles, members, member_threshold),
        exits_address=exits_address,
        committee=committee,
        exits=read_statement(rpc, "Exits", exits_address, rollup),
        solvency=read_statement(rpc, "Solvency", record.solvency.address, rollup) if record and record.solvency else None,
        created_by=dict(record.created_by) if record else {},
        parameters=record.parameters if record else DEFAULT_MARKET,
    )


def _config(read: Any, oracles: tuple[str, ...], members: tuple[str, ...], member_threshold: int) -> RollupConfig:
    return RollupConfig(
        sequencer=_address(read("SEQUENCER")),
        operator=_address(read("owner_of", 1)),
        oracles=oracles,
        threshold=read("THRESHOLD"),
        genesis_root=read("GENESIS_ROOT"),
        params_hash=read("PARAMS_HASH"),
        account_depth=read("ACCOUNT_LIMIT").bit_length() - 1,
        queue_rows=read("QUEUE_ROWS"),
        withdrawal_rows=read("WITHDRAWAL_ROWS"),
        body_cells=read("BODY_CELLS"),
        request_fee_wei=read("REQUEST_FEE_WEI"),
        proofs=Proofs(read("POLICY")),
        data=Data(read("DATA")),
        members=members,
        member_threshold=member_threshold,
        proposer_bond_wei=read("PROPOSER_BOND_WEI"),
        challenger_bond_wei=read("CHALLENGER_BOND_WEI"),
        challenge_window_s=read("CHALLENGE_WINDOW_S"),
        proving_allowance_s=read("PROVING_ALLOWANCE_S"),
    )


def _committee(rpc: Rpc, address: str, members: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    if not address:
        return (), 0
    read = _reader(rpc, "Committee", address)
    _check_names("members", members, address, read("MEMBER_COUNT"), lambda name: bool(read("is_member", name)))
    return members, read("THRESHOLD")


def read_statement(rpc: Rpc, name: str, address: str, rollup: str) -> StatementContract | None:
    """What stands at an address; None when it is not this version's contract for this rollup."""
    if not rpc.code(address).startswith(load(name).runtime):
        return None
    read = _reader(rpc, name, address)
    if _address(read("ROLLUP")) != to_checksum_address(rollup):
        return None
    exponent = 0 if name == "Exits" else read("CHUNK_EXPONENT")
    return StatementContract(to_checksum_address(address), _address(read("VERIFIER")), read("VK_ID"), exponent, read("BODY_CELLS"))


def constructor_struct(config: RollupConfig, vault: str, verifier: str, committee: str, exits: str) -> tuple[Any, ...]:
    """Rollup's Config. `committee` is empty when there is none."""
    first = (config.sequencer, config.operator, list(config.oracles), config.threshold, config.genesis_root, config.params_hash)
    sizes = (config.account_depth, config.queue_rows, config.withdrawal_rows, config.body_cells, config.request_fee_wei)
    policy = (int(config.proofs), int(config.data), committee or NO_ADDRESS, exits)
    stakes = (config.proposer_bond_wei, config.challenger_bond_wei, config.challenge_window_s, config.proving_allowance_s)
    return (vault, verifier, *first, *sizes, *policy, *stakes)


def _check_names(field_name: str, names: Sequence[str], contract: str, count: int, known: Callable[[str], bool]) -> None:
    for name in names:
        if not known(name):
            raise DeploymentError(f"{field_name}: {name} is not one of {contract}")
    if names and count != len(names):
        raise DeploymentError(f"{field_name}: {contract} has {count} {field_name}, the record names {len(names)}")


def _reader(rpc: Rpc, name: str, address: str) -> Callable[..., Any]:
    contract = load(name)
    return lambda function, *args: contract.decode_result(function, rpc.eth_call(address, contract.encode_call(function, *args)))


def _address(found: str) -> str:
    """Checksummed; empty for the zero address."""
    return "" if int(found, 16) == 0 else to_checksum_address(found)


def _plain(value: Any, name: str = "") -> Any:
    """Words and byte strings as hex, since JSON readers differ on large numbers."""
    if isinstance(value, dict):
        return {key: _plain(item, key) for key, item in value.items()}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return f"{value:#066x}" if name in _WORDS else value


def _statement(name: str, raw: Any) -> StatementContract | None:
    if raw is None:
        return None
    values = _fields(StatementContract, f"deployment.{name}", raw)
    return StatementContract(**{**values, "vk_id": _hex_bytes(values["vk_id"])})


def _hex_bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _fields(kind: type, where: str, raw: Any) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    if not isinstance(raw, Mapping) or set(raw) != names:
        found = sorted(raw) if isinstance(raw, Mapping) else type(raw).__name__
        raise DeploymentError(f"{where}: found {found}, expected the fields {sorted(names)}")
    return dict(raw)
