"""Typed calls to the contract Exits, which pays out a frozen rollup (docs/protocol/exits.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from eth_utils.address import to_checksum_address

from straddle.commitments.holdings import LINE
from straddle.l1.contracts import load
from straddle.l1.deployment import Deployment, DeploymentError
from straddle.l1.history import BLOCKS_PER_QUERY, QueueEntryAdded
from straddle.l1.rollup import words_bytes
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Receipt, Sender

MARKS_PERIOD_S = 3 * 24 * 60 * 60
CLAIM_PERIOD_S = 14 * 24 * 60 * 60
ENTRIES_MAX = 256
"""Queue entries that one call counts."""


class StatementWords(Protocol):
    """Words of a proof of the solvency or exit statement (straddle.proving.holdings.PostedHoldings is one)."""

    @property
    def effects_words(self) -> Sequence[int]:
        """All of them."""

    @property
    def body_words(self) -> Sequence[int]:
        """As posted; trailing zeros may be missing."""


class StatementProof(Protocol):
    """A proof (straddle.proving.keys.Proof is one)."""

    @property
    def words(self) -> Sequence[int]:
        """a, b, c, commitment, proof of knowledge: 12 words."""

    @property
    def public(self) -> Sequence[int]:
        """c, z, y_effects, y_body, beneficiary."""


@dataclass(frozen=True, slots=True)
class ExitsState:
    """What the contract holds. Times in unix seconds; amounts in micro-dollars."""

    opened_at: int
    """0: not open."""
    state_root: int
    row: int
    queue_first: int
    queue_end: int
    queue_counted: int
    set_aside: int
    marks_epoch: int
    """0: no marks yet."""
    marks_time_ms: int
    marks_root: int
    total_claims: int

    @property
    def claims_after_s(self) -> int:
        """Claims are taken after this moment; until it an earlier table may become the marks."""
        return self.opened_at + MARKS_PERIOD_S

    @property
    def claims_until_s(self) -> int:
        """The last moment for a claim; shares are paid after it."""
        return self.claims_after_s + CLAIM_PERIOD_S

    @property
    def pool(self) -> int:
        """What the claims share, once all deposits are counted."""
        return self.row - min(self.row, self.set_aside)

    def share(self, claim: int) -> int:
        """What a claim is paid, of those there are."""
        return claim * min(self.pool, self.total_claims) // self.total_claims if self.total_claims else 0


@dataclass(frozen=True, slots=True)
class ClaimOnChain:
    """A claim that waits to be collected."""

    account: int
    owner: str
    amount: int


class ExitsClient:
    """Reads and writes one rollup's exits. Writes take the Sender that signs and pays gas: who it is does not matter to the contract."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        """DeploymentError: the rollup names no Exits of this version."""
        if deployment.exits is None:
            raise DeploymentError(f"exits: no Exits contract of this version at {deployment.exits_address}, which rollup {deployment.rollup} names")
        self.rpc = rpc
        self.statement = deployment.exits
        self._start_block = deployment.start_block
        self._contract = load("Exits")

    def state(self) -> ExitsState:
        """All of it."""
        names = ExitsState.__slots__
        return ExitsState(**{name: int(self._read(name)) for name in names})

    def claim_of(self, account: int) -> ClaimOnChain | None:
        """The account's claim; None before it is made, and again once it is collected."""
        word = self._read("claims", account)
        if not word:
            return None
        owner, amount, _ = LINE.unpack(f"claims({account})", word)
        return ClaimOnChain(account, to_checksum_address(owner.to_bytes(20, "big")), amount)

    def is_reclaimed(self, index: int) -> bool:
        """Whether the deposit at a place of the queue was paid back."""
        return bool(self._read("is_reclaimed", index))

    def collected(self, account: int) -> int:
        """What was credited for an account's claim; 0 when nothing was yet."""
        last = self.rpc.block_number()
        for start in range(self._start_block, last + 1, BLOCKS_PER_QUERY):
            for raw in self.rpc.logs(self.statement.address, start, min(start + BLOCKS_PER_QUERY - 1, last)):
                log = self._contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
                if log is not None and log.name == "Collected" and log.fields["account"] == account:
                    return int(log.fields["amount"])
        return 0

    def open(self, sender: Sender) -> Receipt:
        """Fixes what is paid out, once the rollup is frozen and settled."""
        return self._write(sender, "open")

    def count_deposits(self, sender: Sender, entries: Sequence[QueueEntryAdded]) -> Receipt:
        """Sets the deposits among the next unanswered entries aside; at most ENTRIES_MAX of them."""
        return self._write(sender, "count_deposits", [entry_words(entry) for entry in entries])

    def reclaim(self, sender: Sender, entry: QueueEntryAdded) -> Receipt:
        """Credits an unanswered deposit to the owner of its account."""
        return self._write(sender, "reclaim", entry.index, entry_words(entry))

    def set_marks(self, sender: Sender, epoch: int, time_ms: int, posted: StatementWords, proof: StatementProof) -> Receipt:
        """Makes a table recorded since `open` the marks; `posted` is an exit statement of any place of the tree on it."""
        return self._write(sender, "set_marks", epoch, time_ms, *statement_arguments(posted, proof))

    def set_final_marks(self, sender: Sender, time_ms: int, risk_root: int) -> Receipt:
        """Makes the final batch's table the marks."""
        return self._write(sender, "set_final_marks", time_ms, risk_root)

    def claim(self, sender: Sender, posted: StatementWords, proof: StatementProof) -> Receipt:
        """Claims what an account is worth at the marks, for its owner."""
        return self._write(sender, "claim", *statement_arguments(posted, proof))

    def collect(self, sender: Sender, account: int) -> Receipt:
        """Credits an account's share to its owner in the vault."""
        return self._write(sender, "collect", account)

    def _read(self, function: str, *args: Any) -> Any:
        return self._contract.decode_result(function, self.rpc.eth_call(self.statement.address, self._contract.encode_call(function, *args)))

    def _write(self, sender: Sender, function: str, *args: Any) -> Receipt:
        return sender.transact(self.statement.address, self._contract, function, *args)


def entry_words(entry: QueueEntryAdded) -> tuple[int, int, str, int, int]:
    """A queue entry as Exits and Solvency take it."""
    return entry.kind, entry.account, to_checksum_address(entry.owner.to_bytes(20, "big")), entry.word_1, entry.word_2


def statement_arguments(posted: StatementWords, proof: StatementProof) -> tuple[Any, ...]:
    """effects, body, data_commitment, proof, beneficiary."""
    beneficiary = to_checksum_address(proof.public[4].to_bytes(20, "big"))
    return words_bytes(posted.effects_words), words_bytes(posted.body_words), proof.public[0], list(proof.words), beneficiary
