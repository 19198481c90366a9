"""Layer 1 in memory (pyrevm): a chain, and an exchange deployed on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_keys import keys
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pyrevm import EVM, BlockEnv, TxEnv

from straddle.commitments import blob, challenge
from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE, Place
from straddle.commitments.policy import Data, Proofs
from straddle.commitments.preset import Preset
from straddle.core.messages import domain
from straddle.l1.contracts import Contract, Log, load, load_path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GENESIS_TIME_S = 1_590_105_600
MODULUS = 21888242871839275222246405745257275088548364400416034343698204186575808495617
ZERO_ADDRESS = "0x" + "00" * 20
MEMBERS, MEMBER_THRESHOLD = 7, 6
BONDS = {"proposer_bond_wei": 10**18, "challenger_bond_wei": 3 * 10**17, "challenge_window_s": 7 * 86_400, "proving_allowance_s": 600}
"""Where a proof is required only when challenged."""


class Reverted(Exception):
    """A call reverted; the text is its reason, or empty."""


@dataclass(frozen=True)
class Deployed:
    contract: Contract
    address: str


@dataclass(frozen=True)
class Receipt:
    result: Any
    gas_used: int
    logs: list[Log]

    def log(self, name: str) -> Mapping[str, Any]:
        return next(log.fields for log in self.logs if log.name == name)


def address(number: int) -> str:
    return to_checksum_address(number.to_bytes(20, "big"))


class Chain:
    """An EVM whose clock only the test moves."""

    chain_id = 1

    def __init__(self) -> None:
        self.evm = EVM()
        self.time_s = GENESIS_TIME_S
        self._contracts: list[Contract] = []
        self._block = 0
        self.warp(0)

    def warp(self, seconds: int) -> None:
        self.time_s += seconds
        self._block += 1
        self.evm.set_block_env(BlockEnv(timestamp=self.time_s, number=self._block))

    def fund(self, who: str, wei: int = 10**20) -> str:
        self.evm.set_balance(who, wei)
        return who

    def deploy(self, contract: Contract, *args: Any, sender: str = address(0xDE9107)) -> Deployed:
        self.fund(sender)
        at = self._run(lambda: self.evm.deploy(sender, contract.encode_deployment(*args)))
        if contract not in self._contracts:
            self._contracts.append(contract)
        return Deployed(contract, to_checksum_address(at))

    def send_raw(
        self, sender: str, to: str, calldata: bytes, *, value_wei: int = 0, gas: int | None = None, blob_hashes: Sequence[bytes] = ()
    ) -> tuple[bytes, int, list[Log]]:
        self.evm.reset_transient_storage()
        self.evm.set_tx_env(TxEnv(blob_hashes=list(blob_hashes)))
        data = self._run(lambda: self.evm.message_call(sender, to, calldata=calldata, value=value_wei, gas=gas))
        result = self.evm.result
        return bytes(data), result.gas_used, [log for raw in result.logs if (log := self._log(raw))]

    def send(self, sender: str, target: Deployed, function: str, *args: Any, **options: Any) -> Receipt:
        """`options` are those of `send_raw`."""
        data, gas_used, logs = self.send_raw(sender, target.address, target.contract.encode_call(function, *args), **options)
        return Receipt(target.contract.decode_result(function, data), gas_used, logs)

    def call(self, target: Deployed, function: str, *args: Any) -> Any:
        data = self._run(lambda: self.evm.message_call(ZERO_ADDRESS, target.address, calldata=target.contract.encode_call(function, *args), is_static=True))
        return target.contract.decode_result(function, bytes(data))

    def _log(self, raw: Any) -> Log | None:
        topics, data = raw.data
        for contract in self._contracts:
            if log := contract.decode_log([bytes(topic) for topic in topics], bytes(data)):
                return log
        return None

    def _run(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except RuntimeError as error:
            raise Reverted(_reason(str(error))) from None


def _reason(message: str) -> str:
    """The text of Error(string) in pyrevm's message, or the message itself when the EVM halted."""
    if "output: 0x" not in message:
        return message
    output = bytes.fromhex(message.split("output: 0x")[1].split(" ")[0])
    return str(decode(["string"], output[4:])[0]) if output[:4] == bytes.fromhex("08c379a0") else ""


@dataclass(frozen=True)
class Config:
    """What Rollup's constructor takes, in its order."""

    vault: str
    verifier: str
    sequencer: str
    operator: str
    oracles: list[str]
    threshold: int
    genesis_root: int
    params_hash: int
    account_depth: int
    queue_rows: int
    withdrawal_rows: int
    body_cells: int
    request_fee_wei: int
    policy: int = 1
    data: int = 1
    committee: str = ZERO_ADDRESS
    exits: str = address(0xE817)
    proposer_bond_wei: int = 0
    challenger_bond_wei: int = 0
    challenge_window_s: int = 0
    proving_allowance_s: int = 0

    def as_tuple(self) -> tuple[Any, ...]:
        return tuple(vars(self).values())


@dataclass
class Batch:
    """A batch as its sequencer posts it, made step by step so that a test can spoil any part."""

    number: int
    effects: list[int]
    body: list[int]
    c: int
    withdrawals: Sequence[tuple[int, str, int]] = ()
    forced: Sequence[tuple[int, str, int]] = ()
    in_calldata: bool = False
    """Although there is a committee: its quorum is away."""

    @property
    def effects_bytes(self) -> bytes:
        return words_bytes(self.effects)

    @property
    def body_bytes(self) -> bytes:
        return words_bytes(self.body)


def words_bytes(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(32, "big") for word in words)


@cache
def versioned_hash(body: tuple[int, ...]) -> bytes:
    """Of the blob that holds the body."""
    return blob.blob_hash(blob.cells_blob(body))


@cache
def opening(body: tuple[int, ...], z: int) -> blob.Opening:
    return blob.open_blob(blob.cells_blob(body), z)


@dataclass
class Exchange:
    """Token, vault, verifier and rollup of the nano preset, with everybody's keys. Keeps its own, independent model of the queue and the headers."""

    chain: Chain
    token: Deployed
    vault: Deployed
    verifier: Deployed
    rollup: Deployed
    config: Config
    preset: Preset
    oracle_keys: list[keys.PrivateKey]
    committee: Deployed | None = None
    epoch: int = 0
    risk_root: int = 0
    time_ms: int = 0
    roots: list[int] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)
    queue: list[tuple[int, int, str, int, int]] = field(default_factory=list)
    queue_ends: list[int] = field(default_factory=lambda: [0])
    last_sequences: list[int] = field(default_factory=lambda: [0])

    @property
    def sequencer(self) -> str:
        return self.config.sequencer

    @property
    def optimistic(self) -> bool:
        return self.config.policy == Proofs.WHEN_CHALLENGED

    def read(self, function: str, *args: Any) -> Any:
        return self.chain.call(self.rollup, function, *args)

    def send(self, sender: str, function: str, *args: Any, **options: Any) -> Receipt:
        receipt = self.chain.send(sender, self.rollup, function, *args, **options)
        self._note(receipt)
        return receipt

    def _note(self, receipt: Receipt) -> None:
        for log in receipt.logs:
            if log.name == "QueueEntryAdded":
                f = log.fields
                self.queue.append((f["kind"], f["account"], f["owner"], f["word_1"], f["word_2"]))

    def deposit(self, who: str, amount: int, account: int = 0, owner: str = "") -> Receipt:
        """`owner`: whom the depositor names; without, a new account's is the depositor, another's whose it is."""
        self.chain.fund(who)
        self.chain.send(who, self.token, "mint", who, amount)
        self.chain.send(who, self.token, "approve", self.vault.address, amount)
        named = owner or (self.read("owner_of", account) if account else who)
        receipt = self.chain.send(who, self.vault, "deposit", self.rollup.address, account, named, amount)
        self._note(receipt)
        return receipt

    # ---- epochs

    def epoch_digest(self, epoch: int, time_ms: int, risk_root: int, inputs: bytes, rollup: str | None = None) -> bytes:
        items = [b"straddle.epoch".ljust(32, b"\0"), self.chain.chain_id.to_bytes(32, "big")]
        items += [bytes.fromhex((rollup or self.rollup.address)[2:]).rjust(32, b"\0")]
        items += [value.to_bytes(32, "big") for value in (epoch, time_ms, self.config.params_hash, risk_root)]
        return keccak(b"".join([*items, keccak(inputs)]))

    def sign(self, digest: bytes, signers: Sequence[int] | None = None) -> list[tuple[int, int, int]]:
        chosen = [self.oracle_keys[i] for i in (range(self.config.threshold) if signers is None else signers)]
        signatures = [key.sign_msg_hash(digest) for key in chosen]
        return [(signature.v + 27, signature.r, signature.s) for signature in signatures]

    def submit_epoch(self, epoch: int | None = None, time_ms: int | None = None, risk_root: int = 77, inputs: bytes = b"feeds") -> Receipt:
        epoch = self.epoch + 1 if epoch is None else epoch
        time_ms = self.chain.time_s * 1000 if time_ms is None else time_ms
        signatures = self.sign(self.epoch_digest(epoch, time_ms, risk_root, inputs))
        receipt = self.send(address(0xE9), "submit_epoch", epoch, time_ms, risk_root, inputs, signatures)
        self.epoch, self.time_ms, self.risk_root = epoch, time_ms, risk_root
        return receipt

    # ---- batches

    def batch(
        self,
        *,
        new_root: int | None = None,
        withdrawals: Sequence[tuple[int, str, int]] = (),
        entries: int | None = None,
        body: Sequence[int] = (5, 6, 7),
        forced: Sequence[int] = (),
    ) -> Batch:
        """The next proposal: answers `entries` queue entries (all that fit when None), pays (account, owner, amount) and `forced` to the forced
        withdrawals in their order (0 beyond)."""
        number = len(self.roots)
        queue_first = self.queue_ends[-1]
        count = min(self.preset.queue, len(self.queue) - queue_first) if entries is None else entries
        sequence = self.last_sequences[-1] + 1
        effects = [
            domain(self.chain.chain_id, int(self.rollup.address, 16)),
            number,
            self.roots[-1],
            1000 + number if new_root is None else new_root,
            self.epoch | self.time_ms << 64,
            self.config.params_hash,
            self.risk_root,
            sequence | (sequence + 4) << 64,
            4242,
            queue_first | count << 64,
        ]
        payments, paid = iter(forced), []
        for kind, account, owner, word_1, word_2 in self.queue[queue_first : queue_first + count]:
            if kind == 3:
                word_2 = next(payments, 0)
                paid.append((account, owner, word_2))
            effects += [kind | account << 8 | int(owner, 16) << 40 | 1 << 200, word_1, word_2]
        effects += [0] * (10 + 3 * self.preset.queue - len(effects))
        effects += [int(owner, 16) | amount << 160 | account << 224 for account, owner, amount in withdrawals]
        effects += [0] * (self.preset.effects_words - len(effects))
        return Batch(number, effects, list(body), 31337 + number, withdrawals, paid)

    def place(self, batch: Batch) -> Place:
        match Data(self.config.data):
            case Data.BLOB:
                return Place(Data.BLOB, versioned_hash(tuple(batch.body)))
            case Data.COMMITTEE if not batch.in_calldata:
                return WITH_COMMITTEE
        return IN_CALLDATA

    def public_inputs(self, batch: Batch, beneficiary: str, parent: bytes | None = None) -> list[int]:
        rollup = int(self.rollup.address, 16)
        vk_id = self.chain.call(self.verifier, "vk_id")
        parent = self.headers[batch.number - 1] if parent is None else parent
        place = self.place(batch)
        z = challenge.challenge(self.chain.chain_id, rollup, vk_id, batch.number, parent, batch.effects, batch.body, batch.c, place)
        y_body = self.opening(batch, z).y_body if place.data is Data.BLOB else challenge.evaluate(batch.body, z)
        return [batch.c, z, challenge.evaluate(batch.effects, z), y_body, int(beneficiary, 16)]

    def opening(self, batch: Batch, z: int) -> blob.Opening:
        return opening(tuple(batch.body), z)

    def header(self, batch: Batch) -> tuple[bytes, int, int, int, int]:
        c, z, y_effects, y_body, _ = self.public_inputs(batch, ZERO_ADDRESS)
        return (self.place(batch).word(batch.body), c, z, y_effects, y_body)

    def header_hash(self, batch: Batch) -> bytes:
        _, c, z, y_effects, y_body = self.header(batch)
        parent = self.headers[batch.number - 1]
        return challenge.header_hash(parent, batch.number, batch.effects, batch.body, c, z, y_effects, y_body, self.place(batch))

    def mock_proof(self, batch: Batch, beneficiary: str) -> list[int]:
        public = self.public_inputs(batch, beneficiary)
        return [int.from_bytes(keccak(encode(["uint256[5]"], [public])), "big")] + [0] * 11

    def certificate_digest(self, batch: Batch, **changes: Any) -> bytes:
        """What a member of the committee signs; `changes` replace parts of it."""
        signed = {"chain_id": self.chain.chain_id, "rollup": self.rollup.address, "number": batch.number, "header_hash": self.header_hash(batch)} | changes
        words = [signed["chain_id"].to_bytes(32, "big"), bytes.fromhex(signed["rollup"][2:]).rjust(32, b"\0"), signed["number"].to_bytes(32, "big")]
        return keccak(b"".join([b"straddle.certificate".ljust(32, b"\0"), *words, signed["header_hash"]]))

    def certificates(self, batch: Batch, members: Sequence[int] = range(MEMBER_THRESHOLD), **changes: Any) -> list[tuple[int, int, int]]:
        digest = self.certificate_digest(batch, **changes)
        signatures = [member_keys()[i].sign_msg_hash(digest) for i in members]
        return [(signature.v + 27, signature.r, signature.s) for signature in signatures]

    def proposal(self, batch: Batch) -> tuple[str, list[Any], dict[str, Any]]:
        """Function, arguments and options of the call that proposes a batch."""
        options = {"value_wei": self.config.proposer_bond_wei}
        place = self.place(batch)
        match place.data:
            case Data.CALLDATA:
                return "propose", [batch.effects_bytes, batch.body_bytes, batch.c], options
            case Data.BLOB:
                opened = self.opening(batch, self.public_inputs(batch, ZERO_ADDRESS)[1])
                opening = (opened.commitment, opened.proof, opened.y)
                return "propose_blob", [batch.effects_bytes, batch.c, opening], options | {"blob_hashes": [place.versioned_hash]}
        return "propose_certified", [batch.effects_bytes, batch.c, self.certificates(batch)], options

    def propose(self, batch: Batch, *, sender: str | None = None) -> Receipt:
        function, arguments, options = self.proposal(batch)
        receipt = self.send(sender or self.sequencer, function, *arguments, **options)
        self.note(batch)
        return receipt

    def note(self, batch: Batch) -> None:
        """It has been proposed."""
        self.headers.append(self.header_hash(batch))
        self.roots.append(batch.effects[3])
        self.queue_ends.append((batch.effects[9] & (2**64 - 1)) + (batch.effects[9] >> 64))
        self.last_sequences.append(batch.effects[7] >> 64)

    def prove(self, batch: Batch, beneficiary: str = address(0xBEEF), proof: Sequence[int] | None = None, sender: str = address(0x9407)) -> Receipt:
        chosen = self.mock_proof(batch, beneficiary) if proof is None else proof
        return self.send(sender, "prove", batch.effects_bytes, self.header(batch), chosen, beneficiary)

    def propose_and_prove(self, batch: Batch, beneficiary: str = address(0xBEEF), *, sender: str | None = None) -> Receipt:
        """By anyone else in permissionless mode: forget the proposals first that the call drops."""
        function, arguments, options = self.proposal(batch)
        name = function.replace("propose", "propose_and_prove") if function == "propose" else f"{function}_and_prove"
        if function == "propose_certified":
            arguments.append(self.public_inputs(batch, beneficiary)[3])
        receipt = self.send(sender or self.sequencer, name, *arguments, self.mock_proof(batch, beneficiary), beneficiary, **options)
        self.note(batch)
        return receipt

    def finalise(self, batch: Batch, sender: str = address(0xF1A1)) -> Receipt:
        return self.send(sender, "finalise", batch.effects_bytes, self.header(batch))

    def challenge(self, batch: Batch, who: str = address(0xC4A1)) -> Receipt:
        return self.send(self.chain.fund(who), "challenge", batch.number, self.headers[batch.number], value_wei=self.config.challenger_bond_wei)

    def void(self, number: int | None = None) -> Receipt:
        """The proposals from `number` (the oldest) on."""
        receipt = self.send(address(0x501D), "void", self.read("final_batch") + 1 if number is None else number)
        self.forget(self.read("proposed_batch") + 1)
        return receipt

    def forget(self, first: int) -> None:
        """Batches from `first` on stand no longer."""
        del self.headers[first:], self.roots[first:], self.queue_ends[first:], self.last_sequences[first:]


SMALL = Preset(
    name="small", account_depth=8, slot_depth=4, accounts=8, positions=24, instruments=6, signatures=6, orders=9, legs=9, fills=6, queue=4, withdrawals=2,
    transfers=2, takeovers=2, deleverages=2, listings=6,
)  # fmt: skip
"""What tests without a real proof run on: sizes of their own, which no change of the circuit's presets moves."""


def preset(name: str) -> Preset:
    if name == SMALL.name:
        return SMALL
    return Preset(name=name, **json.loads((ROOT / "native" / "circuit" / "presets.json").read_text())[name])


def oracle_keys(count: int = 4) -> list[keys.PrivateKey]:
    """Ascending by address."""
    made = [keys.PrivateKey(keccak(b"oracle %d" % i)) for i in range(count)]
    return sorted(made, key=lambda key: key.public_key.to_canonical_address())


@cache
def member_keys() -> list[keys.PrivateKey]:
    """Of the data committee, ascending by address."""
    return sorted((keys.PrivateKey(keccak(b"member %d" % i)) for i in range(MEMBERS)), key=lambda key: key.public_key.to_canonical_address())


def deploy_exchange(
    chain: Chain, *, token: Deployed | None = None, verifier_contract: Deployed | None = None, size: str = SMALL.name, **changes: Any
) -> Exchange:
    """An exchange with a mock verifier unless one is given; `changes` replace fields of the rollup's configuration. `policy` and `data` bring their own."""
    sizes = preset(size)
    oracles = oracle_keys()
    token = token or chain.deploy(load("TestUSDC"))
    vault = chain.deploy(load("Vault"), token.address)
    verifier = verifier_contract or chain.deploy(load_path(HERE / "mocks" / "MockVerifier.vy"))
    committee = None
    if changes.get("policy") == Proofs.WHEN_CHALLENGED:
        changes = BONDS | changes
    if changes.get("data") == Data.COMMITTEE:
        committee = chain.deploy(load("Committee"), [key.public_key.to_checksum_address() for key in member_keys()], MEMBER_THRESHOLD)
        changes = {"committee": committee.address} | changes
    config = Config(
        vault=vault.address,
        verifier=verifier.address,
        sequencer=chain.fund(address(0x5E9), 10**23),
        operator=chain.fund(address(0x09E8)),
        oracles=[key.public_key.to_checksum_address() for key in oracles],
        threshold=3,
        genesis_root=999,
        params_hash=888,
        account_depth=sizes.account_depth,
        queue_rows=sizes.queue,
        withdrawal_rows=sizes.withdrawals,
        body_cells=sizes.body_words,
        request_fee_wei=10**12,
    )
    config = replace(config, **changes)
    rollup = chain.deploy(load("Rollup"), config.as_tuple())
    return Exchange(
        chain,
        token,
        vault,
        verifier,
        rollup,
        config,
        sizes,
        oracles,
        committee,
        roots=[config.genesis_root],
        headers=[challenge.genesis_header_hash(config.genesis_root)],
    )


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def exchange(chain: Chain) -> Exchange:
    return deploy_exchange(chain)


@pytest.fixture
def new_exchange() -> Callable[..., Exchange]:
    """Deploys an exchange on a chain, with changes."""
    return deploy_exchange


@pytest.fixture
def mock() -> Callable[[str], Contract]:
    return lambda name: load_path(HERE / "mocks" / f"{name}.vy")
