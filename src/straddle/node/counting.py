"""Whether an exchange is solvent: what it owes and holds, and what was published of that, checked against layer 1 (docs/protocol/solvency.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from straddle.commitments.chunk import open_chunk
from straddle.commitments.effects import QUEUE_RANGE
from straddle.commitments.holdings import Holdings, HoldingsPreset
from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import FIRST_USER_ACCOUNT
from straddle.core.risk_table import RiskTable
from straddle.l1.contracts import load
from straddle.l1.deployment import Deployment
from straddle.l1.history import History, QueueEntryAdded
from straddle.l1.rpc import Rpc, RpcError
from straddle.l1.solvency import Solvent
from straddle.node.leaving import KIND_DEPOSIT
from straddle.proving.holdings import count_chunk, total
from straddle.proving.witness import WitnessError


@dataclass(frozen=True, slots=True)
class Books:
    """What an exchange owes, and what there is for it; micro-dollars."""

    holdings: Holdings
    """All chunks together."""
    row: int | None
    """Of the vault, at the block that the count is of; None when the layer-1 node no longer knows it."""
    deposits: int
    """In the row, and answered by no final batch by then."""

    @property
    def problems(self) -> list[str]:
        """Why the exchange is not shown to be solvent; empty when it is."""
        it, found = self.holdings, []
        if self.row is not None and it.claims - it.debts + self.deposits != self.row:
            found.append(f"equities {it.claims - it.debts} and unanswered deposits {self.deposits} micro-dollars are not the vault's row, {self.row}")
        if it.debts:
            found.append(f"accounts owe {it.debts} micro-dollars: the claims of the others exceed the row by as much")
        found += [f"positions in row {row} of the risk table sum to {net} lots, expected 0" for row, net in enumerate(it.nets, 1) if net]
        return found


def unanswered_deposits(history: History, batch_number: int, block: int) -> int:
    """Sum of the deposits queued up to a block that batches up to one have not answered."""
    return sum(entry.word_1 for entry in _unanswered(history, batch_number) if entry.kind == KIND_DEPOSIT and entry.block_number <= block)


def deposits_between(history: History, batch_number: int, queue_end: int) -> int:
    """Sum of the deposits among the queue's first `queue_end` entries that batches up to one have not answered."""
    return sum(entry.word_1 for entry in _unanswered(history, batch_number) if entry.kind == KIND_DEPOSIT and entry.index < queue_end)


def row_at(rpc: Rpc, deployment: Deployment, block: int) -> int | None:
    """The vault's row after a block; None when the node has forgotten that state."""
    vault = load("Vault")
    try:
        return int(vault.decode_result("rows", rpc.eth_call(deployment.vault, vault.encode_call("rows", deployment.rollup), block)))
    except RpcError:
        return None


def check_published(solvent: Solvent, history: History, rpc: Rpc, deployment: Deployment) -> tuple[Books, list[str]]:
    """The books of a published run, and every way in which it differs from layer 1. The contract checked proofs and sums; this checks the contract."""
    problems: list[str] = []

    def expect(what: str, found: object, expected: object) -> None:
        if found != expected:
            problems.append(f"batch {solvent.batch_number}: {what}: {found}, expected {expected}")

    whole = total(list(solvent.chunks))
    root = history.final[solvent.batch_number - 1].state_root if solvent.batch_number else deployment.config.genesis_root
    expect("state root", hex(whole.state_root), hex(root))
    epoch = history.epochs.get(solvent.epoch)
    expect("risk root", hex(whole.risk_root), hex(epoch.risk_root) if epoch else f"that of epoch {solvent.epoch}, which was never recorded")
    accounts = max((entry.account for entry in history.queue if entry.block_number <= solvent.begun_block), default=0)
    expect("chunks", len(solvent.chunks), (max(accounts, FIRST_USER_ACCOUNT - 1) >> whole.chunk_bits) + 1)
    for name, found, expected in (
        ("liabilities", solvent.liabilities, whole.claims),
        ("accounts below maintenance margin", solvent.below, whole.below),
        ("what they lack, times 10^4", solvent.lacking_e4, whole.lacking_scaled),
        ("insurance fund", solvent.fund, whole.fund_equity or 0),
    ):
        expect(name, found, expected)
    deposits = unanswered_deposits(history, solvent.batch_number, solvent.begun_block)
    books = Books(whole, row_at(rpc, deployment, solvent.begun_block), deposits)
    return books, problems + books.problems


def count(state: CommittedState, table: RiskTable, domain: int, chunk_bits: int, chunks: int) -> Holdings:
    """All accounts of a state, counted without a proof."""
    return total([count_chunk(open_chunk(state, chunk, chunk_bits), table, domain) for chunk in range(chunks)])


def check_rows(state: CommittedState, preset: HoldingsPreset) -> None:
    """WitnessError: the accounts of a chunk hold more positions together than the circuit has rows for."""
    rows = Counter[int]()
    for number, committed in state.accounts.items():
        rows[number >> preset.chunk_bits] += len(committed.account.positions)
    chunk, count = max(rows.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
    if count > preset.positions:
        first = chunk << preset.chunk_bits
        raise WitnessError(
            f"chunk {chunk} (accounts {first} to {first + preset.chunk_accounts - 1}): {count} positions, expected at most {preset.positions} in circuit "
            f"{preset.name}. Nothing was sent; `straddle solvency --prove --single` counts account by account"
        )


def _unanswered(history: History, batch_number: int) -> list[QueueEntryAdded]:
    answered = 0
    if batch_number:
        answered = sum(QUEUE_RANGE.unpack("effects[9]", history.batches[batch_number - 1].effects[9]))
    return history.queue[answered:]
