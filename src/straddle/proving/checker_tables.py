"""What every part of the checker needs: the tables with their look-ups, and how a broken rule is told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from straddle.commitments.effects import QUEUE_DEPOSIT
from straddle.commitments.preset import Preset
from straddle.core.accounts import FEE_ACCOUNT
from straddle.core.messages import MessageKind
from straddle.core.orders import Side
from straddle.core.params import BPS
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import compress
from straddle.proving.witness import DeleverageRow, LegRow, PositionRow, QueueRow, TakeoverRow, Witness


@dataclass(frozen=True, slots=True)
class Failure:
    """The first rule that does not hold: its table and number in statement.md, and what was found."""

    rule: str
    detail: str


class BrokenRule(Exception):
    """Carries the failure out of the checker."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.failure = Failure(rule, detail)


def fail(rule: str, detail: str) -> NoReturn:
    """The rule does not hold."""
    raise BrokenRule(rule, detail)


def require(holds: bool, rule: str, detail: str) -> None:
    """The rule holds, or BrokenRule."""
    if not holds:
        fail(rule, detail)


def width(rule: str, name: str, value: int, bits: int) -> None:
    """An unsigned value fits its bits."""
    require(0 <= value < 1 << bits, rule, f"{name} {value} is not {bits} bits wide")


def magnitude(rule: str, name: str, value: int, bits: int) -> None:
    """A signed value is below 2^bits on both sides."""
    require(abs(value) < 1 << bits, rule, f"{name} {value}: magnitude above {bits} bits")


def elements(rule: str, name: str, values: Iterable[int]) -> None:
    """The values are field elements."""
    require(all(0 <= value < MODULUS for value in values), rule, f"{name} is not a field element")


def fold(leaf: int, index: int, path: Sequence[int]) -> int:
    """Root above a leaf."""
    for level, sibling in enumerate(path):
        leaf = compress(sibling, leaf) if index >> level & 1 else compress(leaf, sibling)
    return leaf


def fold_set(leaf: int, index: int, path: Sequence[int]) -> int:
    """Root of an order set above a leaf: a node whose right half is absent (0) is its left one."""
    for level, sibling in enumerate(path):
        if index >> level & 1:
            leaf = compress(sibling, leaf)
        elif sibling:
            leaf = compress(leaf, sibling)
    return leaf


def slice_of(size: int, fraction_bps: int, settled: int) -> int:
    """Lots of a position that a takeover of a fraction moves: rounded toward zero, nothing of a settled instrument."""
    lots = 0 if settled else abs(size) * fraction_bps // BPS
    return lots if size >= 0 else -lots


class Tables:
    """A witness with the look-ups between its tables. The derived sums rely on references that the tables' own rules have checked."""

    def __init__(self, witness: Witness, preset: Preset) -> None:
        self.witness, self.preset, self.header = witness, preset, witness.header
        self.accounts = {row.id: row for row in witness.accounts}
        self.instruments = {row.id: row for row in witness.instruments}
        self.positions = {(row.account, row.instrument): row for row in witness.positions}
        self._signed = {(row.account, row.kind, row.payload) for row in witness.signatures}

    def signed(self, rule: str, account: int, kind: MessageKind, payload: int) -> None:
        """Some signature row is this message's (a lookup: the row's index in the witness file only helps to fill the tables)."""
        require((account, kind, payload) in self._signed, rule, f"no signature row for account {account}, kind {int(kind)}, payload {payload}")

    def positions_of(self, account: int) -> list[PositionRow]:
        """The account's position rows."""
        return [row for row in self.witness.positions if row.account == account]

    def entries_of(self, account: int, kind: int) -> list[QueueRow]:
        """The account's queue entries of one kind."""
        return [row for row in self.witness.queue if (row.account, row.kind) == (account, kind)]

    def takeovers_of(self, account: int) -> list[TakeoverRow]:
        """Takeovers of the account's portfolio."""
        return [row for row in self.witness.takeovers if row.account == account]

    def deleverages_of(self, account: int) -> list[DeleverageRow]:
        """Deleverages of the account."""
        return [row for row in self.witness.deleverages if row.account == account]

    def relief_of(self, account: int) -> int:
        """What deleveraging at prices better than the mark brings the account."""
        return sum(row.size * (row.price - self.instruments[row.instrument].mark) for row in self.deleverages_of(account))

    def steps_of(self, account: int) -> int:
        """Number of the account's order rows."""
        return sum(row.account == account for row in self.witness.orders)

    def side_of(self, leg: LegRow) -> Side:
        """Whether a leg is bought or sold: the order's side, turned over if the leg sells."""
        return Side(self.witness.orders[leg.order].side ^ leg.sell)

    def deposits(self, account: int) -> int:
        """Deposits and incoming transfers."""
        return sum(row.amount for row in self.entries_of(account, QUEUE_DEPOSIT)) + sum(row.amount for row in self.witness.transfers if row.to == account)

    @cached_property
    def actions(self) -> dict[int, list[int]]:
        """account -> nonces of its withdrawals, transfers and bids."""
        nonces = defaultdict[int, list[int]](list)
        for withdrawal in self.witness.withdrawals:
            nonces[withdrawal.account].append(withdrawal.nonce)
        for transfer in self.witness.transfers:
            nonces[transfer.account].append(transfer.nonce)
        for bid in self.witness.takeovers:
            if bid.signature != -1:
                nonces[bid.winner].append(bid.nonce)
        return nonces

    @cached_property
    def payers(self) -> set[int]:
        """Accounts that withdraw, send, or are paid by force."""
        senders = {row.account for row in self.witness.withdrawals} | {row.account for row in self.witness.transfers}
        return senders | {row.account for row in self.witness.queue if row.paid}

    @cached_property
    def cash(self) -> Counter[int]:
        """account -> what its cash changes by, from every row that moves cash."""
        cash = Counter[int]()
        for entry in self.witness.queue:
            cash[entry.account] += entry.amount * (entry.kind == QUEUE_DEPOSIT) - entry.paid
        for withdrawal in self.witness.withdrawals:
            cash[withdrawal.account] -= withdrawal.amount
        for transfer in self.witness.transfers:
            cash[transfer.account] -= transfer.amount
            cash[transfer.to] += transfer.amount
        for takeover in self.witness.takeovers:
            cash[takeover.winner] -= takeover.payment
            cash[takeover.account] += takeover.payment
        for deleverage in self.witness.deleverages:
            cost = deleverage.size * (deleverage.price - self.instruments[deleverage.instrument].funding)
            cash[deleverage.winner] -= cost
            cash[deleverage.account] += cost
        for position in self.witness.positions:
            instrument = self.instruments[position.instrument]
            cash[position.account] += position.old * instrument.value * instrument.settled
        self._add_fills(cash)
        return cash

    def _add_fills(self, cash: Counter[int]) -> None:
        for fill in self.witness.fills:
            for index, fee in ((fill.taker, fill.taker_fee), (fill.maker, fill.maker_fee)):
                leg = self.witness.legs[index]
                paid = fill.size * (fill.price - self.instruments[leg.instrument].funding)
                cash[self.witness.orders[leg.order].account] -= self.side_of(leg).sign * paid + fee
                cash[FEE_ACCOUNT] += fee

    @cached_property
    def moves(self) -> Counter[tuple[int, int]]:
        """(account, instrument) -> what its position changes by, from fills, takeovers and deleverages."""
        moves = Counter[tuple[int, int]]()
        for fill in self.witness.fills:
            for leg in (self.witness.legs[fill.taker], self.witness.legs[fill.maker]):
                moves[self.witness.orders[leg.order].account, leg.instrument] += self.side_of(leg).sign * fill.size
        for takeover in self.witness.takeovers:
            for row in self.positions_of(takeover.account):
                lots = slice_of(row.old, takeover.fraction_bps, self.instruments[row.instrument].settled)
                moves[takeover.account, row.instrument] -= lots
                moves[takeover.winner, row.instrument] += lots
        for deleverage in self.witness.deleverages:
            moves[deleverage.winner, deleverage.instrument] += deleverage.size
            moves[deleverage.account, deleverage.instrument] -= deleverage.size
        return moves
