"""Typed calls to an exchange's contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from straddle.commitments.challenge import Place
from straddle.commitments.policy import Data
from straddle.core.accounts import NO_KEY, PublicKey
from straddle.l1.contracts import Contract, load
from straddle.l1.deployment import Deployment
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Receipt, Sender, Wallet

EPOCH_TAG = b"straddle.epoch".ljust(32, b"\0")
ZERO_HASH = b"\0" * 32
Sent = TypeVar("Sent")
SNAPSHOT_BLOCKS = 1_000
"""A snapshot that is not whole after so many blocks is begun anew: the batch that needed it is too old by far."""


class BatchWords(Protocol):
    """A batch's data (straddle.proving.vector.PostedBatch is one)."""

    @property
    def effects_words(self) -> Sequence[int]:
        """All of the preset's."""

    @property
    def body_words(self) -> Sequence[int]:
        """As posted; trailing zeros may be missing."""

    @property
    def place(self) -> Place:
        """Where the body lies."""


class BlobOpening(Protocol):
    """The proof of a blob's value at z (straddle.commitments.blob.Opening is one)."""

    @property
    def commitment(self) -> bytes:
        """48 bytes."""

    @property
    def proof(self) -> bytes:
        """48 bytes."""

    @property
    def y(self) -> int:
        """As the precompile gives it."""


class ProofWords(Protocol):
    """A proof (straddle.proving.keys.Proof is one)."""

    @property
    def words(self) -> Sequence[int]:
        """a, b, c, commitment, proof of knowledge: 12 words."""

    @property
    def public(self) -> Sequence[int]:
        """c, z, y_effects, y_body, beneficiary."""


@dataclass(frozen=True, slots=True)
class BatchOnChain:
    """What the contract keeps of a batch."""

    header_hash: bytes
    state_root: int
    last_sequence: int
    queue_end: int
    epoch: int
    proposed_at_s: int


@dataclass(frozen=True, slots=True)
class Stake:
    """What stands behind a proposal that needs a proof only when it is challenged. Addresses are '0x' strings, `challenger` the zero address without one."""

    proposer: str
    challenger: str
    due_s: int
    """When the answer to the challenge is due, unix seconds; 0 without one."""
    proven: bool

    @property
    def challenged(self) -> bool:
        """Whether it waits for a proof."""
        return int(self.challenger, 16) != 0 and not self.proven


@dataclass(frozen=True, slots=True)
class QueuedEntry:
    """Where a deposit or a key landed in the queue."""

    index: int
    account: int
    receipt: Receipt


class RollupClient:
    """Reads and writes one exchange on layer 1. Writes take the Sender that signs, or the Wallet of one that does not wait; rpc.Reverted carries the contract's
    reason."""

    def __init__(self, rpc: Rpc, deployment: Deployment, block: int | str = "latest") -> None:
        """Reads are as of `block`, of which the node must still have the state."""
        self.rpc = rpc
        self.deployment = deployment
        self.block = block
        self._rollup = load("Rollup")
        self._vault = load("Vault")
        self._token = load("TestUSDC")

    # ---- reads

    def domain(self) -> int:
        """What messages and batches are bound to."""
        return int(self._read("domain"))

    def state_root(self) -> int:
        """Root of the newest final batch."""
        return int(self._read("state_root"))

    def proposed_batch(self) -> int:
        """Number of the newest proposal (of the newest final batch, when there is none)."""
        return int(self._read("proposed_batch"))

    def final_batch(self) -> int:
        """Number of the newest final batch; 0 is the genesis."""
        return int(self._read("final_batch"))

    def batch(self, number: int) -> BatchOnChain:
        """The newest final batch, or a proposal after it."""
        header_hash, root, cursor = self._read("batch", number)
        parts = [cursor >> shift & (2**64 - 1) for shift in (0, 64, 128, 192)]
        return BatchOnChain(header_hash, root, *parts)

    def header_hash(self, number: int) -> bytes:
        """Header hash of the newest final batch or of a proposal after it."""
        return self.batch(number).header_hash

    def stake(self, number: int) -> Stake:
        """Of a proposal, where a proof is required when challenged."""
        proposer, challenger, due_s, proven = self._read("stake", number)
        return Stake(to_checksum_address(proposer), to_checksum_address(challenger), int(due_s), bool(proven))

    def open_challenges(self) -> int:
        """Challenges that wait for an answer."""
        return int(self._read("open_challenges"))

    def wei_owed(self, owner: str) -> int:
        """What `collect_wei` would pay to `owner`."""
        return int(self._read("wei_owed", owner))

    def reserved_wei(self) -> int:
        """Bonds held and wei owed; what the contract has besides are request fees."""
        return int(self._read("reserved_wei"))

    def frozen(self) -> bool:
        """Whether proposals have ended for ever."""
        return bool(self._read("frozen"))

    def permissionless(self) -> bool:
        """Whether anyone may propose now."""
        return bool(self._read("permissionless"))

    def queue_answered(self) -> int:
        """Entries that final batches have answered."""
        return int(self._read("queue_answered"))

    def queue_proposed(self) -> int:
        """Entries that standing proposals have answered."""
        return int(self._read("queue_proposed"))

    def entry_time_s(self, index: int) -> int:
        """Time of the block in which a queue entry was made."""
        return int(self._read("entry_time_s", index))

    def clock(self, name: str) -> int:
        """One of the contract's periods in seconds: PROVING_WINDOW_S, PERMISSIONLESS_AFTER_S, FREEZE_AFTER_S, CHALLENGE_WINDOW_S; or MAX_TABLE_AGE_MS in ms."""
        return int(self._read(name))

    def epoch_hash(self, epoch: int) -> bytes | None:
        """keccak256(time_ms || risk_root), 32 bytes each, of the table that is recorded for an epoch; None: none is."""
        found = bytes(self._read("epoch_hashes", epoch))
        return None if found == ZERO_HASH else found

    def has_epoch(self, epoch: int) -> bool:
        """Whether an epoch was recorded."""
        return self.epoch_hash(epoch) is not None

    def queue_length(self) -> int:
        """Entries ever queued."""
        return int(self._read("queue_length"))

    def queue_hash(self, length: int) -> bytes:
        """Hash of the queue's first `length` entries."""
        return bytes(self._read("queue_hashes", length))

    def minimum_deposit(self) -> int:
        """Micro-dollars that a deposit has at least."""
        return int(self._read("MINIMUM_DEPOSIT"))

    def next_account(self) -> int:
        """Id that the next new account gets."""
        return int(self._read("next_account"))

    def owner_of(self, account: int) -> str:
        """Owner of an account; the zero address when there is none."""
        return to_checksum_address(self._read("owner_of", account))

    def row(self) -> int:
        """Micro-dollars that the vault holds for this rollup."""
        return int(self._read_from(self.deployment.vault, self._vault, "rows", self.deployment.rollup))

    def claimable(self, owner: str) -> int:
        """Micro-dollars that `owner` may pull."""
        return int(self._read_from(self.deployment.vault, self._vault, "claimable", owner))

    def token_balance(self, who: str) -> int:
        """Micro-dollars in a wallet."""
        return int(self._read_from(self.deployment.token, self._token, "balanceOf", who))

    # ---- users

    def mint(self, sender: Sender, receiver: str, amount: int) -> Receipt:
        """New test dollars (TestUSDC only)."""
        return sender.transact(self.deployment.token, self._token, "mint", receiver, amount)

    def deposit(self, sender: Sender, amount: int, account: int = 0, owner: str | None = None) -> QueuedEntry:
        """Allows and pays in `amount` micro-dollars; account 0 opens a new account, whose id is in the result.

        `owner`: the new account's, or the one that the account is known to have; without, the sender, or whoever has it now. A reorg that gives the number to
        somebody else makes the deposit fail.
        """
        named = owner or (self.owner_of(account) if account else sender.address)
        sender.transact(self.deployment.token, self._token, "approve", self.deployment.vault, amount)
        return self._queued(sender.transact(self.deployment.vault, self._vault, "deposit", self.deployment.rollup, account, named, amount))

    def set_key(self, sender: Sender, account: int, key: PublicKey, base: PublicKey) -> QueuedEntry:
        """Queues a new trading key; `key` = 8 `base`."""
        return self._request(sender, "set_key", account, tuple(key), tuple(base))

    def revoke_key(self, sender: Sender, account: int) -> QueuedEntry:
        """Queues the removal of the account's trading key."""
        return self.set_key(sender, account, NO_KEY, NO_KEY)

    def force_withdraw(self, sender: Sender, account: int, amount: int) -> QueuedEntry:
        """Queues a withdrawal of min(`amount`, withdrawable) micro-dollars, which needs no trading key."""
        return self._request(sender, "force_withdraw", account, amount)

    def force_close(self, sender: Sender, account: int, limit_bps: int) -> QueuedEntry:
        """Queues an auction of the account's portfolio at a discount of at most `limit_bps` of the maintenance margin set free."""
        return self._request(sender, "force_close", account, limit_bps)

    def _request(self, sender: Sender, function: str, account: int, *words: Any) -> QueuedEntry:
        fee = self.deployment.config.request_fee_wei
        return self._queued(sender.transact(self.deployment.rollup, self._rollup, function, account, *words, value_wei=fee))

    def pull(self, sender: Sender) -> Receipt:
        """Pays the sender's claimable balance to the sender."""
        return sender.transact(self.deployment.vault, self._vault, "pull")

    # ---- operator and watchers

    def submit_epoch(self, sender: Wallet[Sent], epoch: int, time_ms: int, risk_root: int, inputs: bytes, signatures: Sequence[bytes]) -> Sent:
        """Records a signed epoch. `signatures` are 65 bytes each (r, s, v), ascending by signer (`sign_epoch` sorts them)."""
        return self._write(sender, "submit_epoch", epoch, time_ms, risk_root, inputs, [_split_signature(signature) for signature in signatures])

    def propose(
        self,
        sender: Wallet[Sent],
        batch: BatchWords,
        data_commitment: int,
        *,
        certificates: Sequence[bytes] = (),
        opening: BlobOpening | None = None,
        blobs: Sequence[bytes] = (),
        transcript: bytes = b"",
    ) -> Sent:
        """Proposes a batch, as its place asks for; with the proposer's bond, if there is one. `data_commitment` is C.

        `certificates` (65 bytes each, ascending by member): with a committee. `opening` and `blobs` (the body's first): in a blob. `transcript` follows the
        call in calldata, where the contract does not look; with blobs it is among them.
        """
        effects = words_bytes(batch.effects_words)
        match batch.place.data:
            case Data.CALLDATA:
                call = self._rollup.encode_call("propose", effects, words_bytes(batch.body_words), data_commitment)
            case Data.BLOB:
                assert opening is not None
                call = self._rollup.encode_call("propose_blob", effects, data_commitment, (opening.commitment, opening.proof, opening.y))
            case Data.COMMITTEE:
                call = self._rollup.encode_call("propose_certified", effects, data_commitment, [_split_signature(item) for item in certificates])
        bond = self.deployment.config.proposer_bond_wei
        if blobs:
            return sender.send(self.deployment.rollup, call, value_wei=bond, blobs=blobs)
        return sender.send(self.deployment.rollup, call + transcript, value_wei=bond)

    def prove(self, sender: Wallet[Sent], batch: BatchWords, proof: ProofWords) -> Sent:
        """Proves a proposal: the oldest one where a proof is always required, any one where it is required when challenged."""
        return self._write(sender, "prove", words_bytes(batch.effects_words), _header(batch, proof.public), list(proof.words), _address(proof.public[4]))

    def propose_and_prove(
        self, sender: Sender, batch: BatchWords, proof: ProofWords, *, opening: BlobOpening | None = None, blobs: Sequence[bytes] = ()
    ) -> Receipt:
        """Both in one transaction, of a batch whose parent is final and whose body lies in calldata, or in the first of `blobs` (with its opening)."""
        effects, proven = words_bytes(batch.effects_words), (list(proof.words), _address(proof.public[4]))
        if batch.place.data is Data.BLOB:
            assert opening is not None
            words = (opening.commitment, opening.proof, opening.y)
            call = self._rollup.encode_call("propose_blob_and_prove", effects, proof.public[0], words, *proven)
        else:
            call = self._rollup.encode_call("propose_and_prove", effects, words_bytes(batch.body_words), proof.public[0], *proven)
        return sender.send(self.deployment.rollup, call, value_wei=self.deployment.config.proposer_bond_wei, blobs=blobs)

    def finalise(self, sender: Wallet[Sent], batch: BatchWords, public: Sequence[int]) -> Sent:
        """Makes the oldest proposal final, which is proven, or unchallenged after its window. `public`: the statement's public inputs."""
        return self._write(sender, "finalise", words_bytes(batch.effects_words), _header(batch, public))

    def challenge(self, sender: Sender, number: int, header_hash: bytes | None = None) -> Receipt:
        """Challenges a proposal with the challenger's bond. `header_hash`: what was examined; None takes whatever stands there now."""
        bond = self.deployment.config.challenger_bond_wei
        return sender.transact(self.deployment.rollup, self._rollup, "challenge", number, header_hash or self.header_hash(number), value_wei=bond)

    def void(self, sender: Sender, number: int) -> Receipt:
        """Removes a proposal whose proof is overdue, with its descendants (at most 256 of them a call where proofs are required when challenged)."""
        return self._write(sender, "void", number)

    def collect_wei(self, sender: Wallet[Sent]) -> Sent:
        """Pays what the contract owes to the sender: bonds that came back or were won."""
        return self._write(sender, "collect_wei")

    def freeze(self, sender: Sender) -> Receipt:
        """Ends proposals for ever; by anyone, when the oldest unanswered entry is old enough."""
        return self._write(sender, "freeze")

    def post_snapshot(self, sender: Sender, state_root: int, part: int, parts: int, data: bytes) -> Receipt:
        """Part `part` (from 0, in order) of the copy of a state, for a validium whose quorum is away. It counts for the sender's own proposals."""
        return sender.transact(self.deployment.committee, load("Committee"), "post_snapshot", state_root, part, parts, data)

    def has_snapshot(self, poster: str, state_root: int) -> bool:
        """Whether `poster` has posted a whole copy of a state."""
        return bool(self._read_from(self.deployment.committee, load("Committee"), "has_snapshot", poster, state_root))

    def snapshot_parts(self, poster: str, state_root: int, parts: int) -> int:
        """How many parts `poster` has put on layer 1 of a copy of a state in so many parts, the next one being wanted. 0 when its newest snapshot is another,
        or was begun more than SNAPSHOT_BLOCKS ago."""
        newest, committee = self.rpc.block_number(), load("Committee")
        topics = (None, None, "0x" + bytes.fromhex(poster[2:]).rjust(32, b"\0").hex())
        found = self.rpc.logs(self.deployment.committee, max(0, newest - SNAPSHOT_BLOCKS), newest, topics)
        if not found:
            return 0
        log = committee.decode_log([bytes.fromhex(topic[2:]) for topic in found[-1]["topics"]], bytes.fromhex(found[-1]["data"][2:]))
        if log is None or (log.fields["state_root"], log.fields["parts"]) != (state_root, parts):
            return 0
        return int(log.fields["part"]) + 1

    def collect_fees(self, sender: Sender) -> Receipt:
        """Pays the request fees to the sequencer."""
        return self._write(sender, "collect_fees")

    # ---- epochs

    def epoch_digest(self, epoch: int, time_ms: int, risk_root: int, inputs: bytes) -> bytes:
        """What the oracles sign (docs/protocol/risk.md)."""
        deployment = self.deployment
        words = (epoch, time_ms, deployment.config.params_hash, risk_root)
        head = EPOCH_TAG + deployment.chain_id.to_bytes(32, "big") + deployment.rollup_number.to_bytes(32, "big")
        return bytes(keccak(head + words_bytes(words) + keccak(inputs)))

    # ---- parts

    def _read(self, function: str, *args: Any) -> Any:
        return self._read_from(self.deployment.rollup, self._rollup, function, *args)

    def _read_from(self, address: str, contract: Contract, function: str, *args: Any) -> Any:
        return contract.decode_result(function, self.rpc.eth_call(address, contract.encode_call(function, *args), self.block))

    def _write(self, sender: Wallet[Sent], function: str, *args: Any) -> Sent:
        return sender.transact(self.deployment.rollup, self._rollup, function, *args)

    def _queued(self, receipt: Receipt) -> QueuedEntry:
        for raw in receipt.logs:
            log = self._rollup.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
            if log is not None and log.name == "QueueEntryAdded" and raw["address"].lower() == self.deployment.rollup.lower():
                return QueuedEntry(log.fields["index"], log.fields["account"], receipt)
        raise AssertionError(f"transaction {receipt.transaction_hash} queued nothing")


def _header(batch: BatchWords, public: Sequence[int]) -> tuple[bytes, int, int, int, int]:
    """The contract's Header of a proposal."""
    c, z, y_effects, y_body, _ = public
    return batch.place.word(batch.body_words), c, z, y_effects, y_body


def words_bytes(words: Sequence[int]) -> bytes:
    """Words as 32-byte big-endian values: how effects and body travel."""
    return b"".join(word.to_bytes(32, "big") for word in words)


def sign_epoch(digest: bytes, private_keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """Signatures (r, s, v; 65 bytes) of an epoch's digest, ascending by signer as layer 1 wants them."""
    signers = sorted((Account.from_key(key) for key in private_keys), key=lambda account: int(account.address, 16))
    return tuple(bytes(account.unsafe_sign_hash(digest).signature) for account in signers)


def _split_signature(signature: bytes) -> tuple[int, int, int]:
    if len(signature) != 65:
        raise ValueError(f"signature: {len(signature)} bytes, expected 65 (r, s, v)")
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


def _address(number: int) -> str:
    return to_checksum_address(number.to_bytes(20, "big"))
