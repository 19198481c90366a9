"""Deleveraging: a bankrupt account's positions are closed against those who hold the other side (the ranking: docs/protocol/engine.md).

The price of a closing lies on the winner's cost side of the mark, by a share of the account's deficit: positions pay in proportion to what they can bear at
most, the band on the account's long positions, on its short ones the band or the mark if that is lower, so that nobody pays more than an option is worth. A
winner pays less where its share would leave it short of IM, and nothing if it is short anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from straddle.core.accounts import Auction
from straddle.core.batch import Deleverage
from straddle.core.liquidation import loss_allowed, old_requirement
from straddle.core.margin import Requirement, requirement, rule_met
from straddle.core.params import BPS, CASH_MAX, SIZE_LOTS_MAX
from straddle.core.risk_table import RiskRow, RiskTable
from straddle.core.state import Exchange

Fits = Callable[[Sequence[Deleverage]], bool]
"""Whether these rows still fit the open batch."""


@dataclass(frozen=True, slots=True)
class Holding:
    """An account as the closings so far leave it."""

    cash: int
    positions: dict[int, int]

    def closed(self, row: RiskRow, lots: int, price_ticks: int) -> Holding:
        """After `lots`, signed, more of an instrument at a price."""
        positions = dict(self.positions)
        size = positions.pop(row.instrument, 0) + lots
        if size:
            positions[row.instrument] = size
        return Holding(self.cash - lots * (price_ticks - row.funding), positions)


def bearable_ticks(row: RiskRow, size: int) -> int:
    """How far from the mark a position of a bankrupt account may be closed, at most."""
    return row.band if size > 0 else min(row.band, max(row.mark, 0))


def shares(positions: Mapping[int, int], table: RiskTable, deficit: int) -> dict[int, int]:
    """Ticks from the mark at which each open position that has not expired is closed; together they bring back at most `deficit` micro-dollars."""
    open_ = {instrument: size for instrument, size in positions.items() if table[instrument].expiry_ms > table.time_ms}
    most = {instrument: bearable_ticks(table[instrument], size) for instrument, size in open_.items()}
    bearable = sum(abs(size) * most[instrument] for instrument, size in open_.items())
    return most if bearable <= deficit else {instrument: ticks * deficit // bearable for instrument, ticks in most.items()}


def ranking(exchange: Exchange, account: int) -> dict[int, list[int]]:
    """Who closes against an account, by instrument: holders of the other side by leverage, IM over equity, the highest first; then those without equity; then
    by number."""
    held, open_ = exchange.positions_of(account), exchange.open_batch
    others = [known for known in exchange.accounts.values() if known.id not in open_.sealed and not known.positions.keys().isdisjoint(held)]
    keys = {known.id: _rank(exchange.requirement_of(known.id), known.id) for known in others}
    return {
        instrument: sorted((known.id for known in others if known.positions.get(instrument, 0) * size < 0), key=keys.__getitem__)
        for instrument, size in held.items()
    }


def _rank(valued: Requirement, account: int) -> tuple[bool, int, int]:
    """Lower ones come first. Leverage is in 2^-32, rounded down."""
    return valued.equity <= 0, -((valued.im_scaled << 32) // (BPS * max(valued.equity, 1))), account


class _Case:
    """What all tries have in common: the account, and what a closing does to a holder against whom nothing was closed yet."""

    def __init__(self, exchange: Exchange, account: int, auction: Auction, fits: Fits) -> None:
        self.exchange, self.account, self.auction, self.fits = exchange, account, auction, fits
        self.table = exchange.context.table
        self.old = old_requirement(exchange, account)
        self.seized = Holding(*exchange.settled_side(account))
        self.shares = shares(self.seized.positions, self.table, -self.old.equity)
        self.rows_left = exchange.capacity.deleverages - len(exchange.open_batch.deleverages)
        self._first: dict[tuple[int, int, int], tuple[int, Holding] | None] = {}
        self._old_sides: dict[int, Requirement] = {}

    def closed_first(self, instrument: int, winner: int, lots: int) -> tuple[int, Holding] | None:
        """`closed` of a holder as it stands."""
        key = instrument, winner, lots
        if key not in self._first:
            self._first[key] = self.closed(instrument, winner, lots, Holding(*self.exchange.settled_side(winner)))
        return self._first[key]

    def closed(self, instrument: int, winner: int, lots: int, other: Holding) -> tuple[int, Holding] | None:
        """Price of `lots`, signed, that a holder gets, and how that leaves it; None when it may not be left so."""
        row, side = self.table[instrument], 1 if lots > 0 else -1
        spare = max(0, self.valued(other.closed(row, lots, row.mark)).surplus_scaled // BPS)
        price = row.mark + side * min(self.shares[instrument], spare // abs(lots))
        after = other.closed(row, lots, price)
        return (price, after) if self._rule_holds(winner, after) else None

    def valued(self, held: Holding) -> Requirement:
        return requirement(held.cash, held.positions, self.table, self.exchange.params)

    def _rule_holds(self, winner: int, after: Holding) -> bool:
        """Margin.md's rule for who is closed against; whoever paid out in this batch stays covered and settled, whoever took a portfolio covered."""
        if abs(after.cash) > CASH_MAX:
            return False
        new, settled_too = self.valued(after), self.exchange.usage.covered.get(winner)
        if settled_too is not None:
            return new.surplus_scaled >= 0 and (new.settled >= 0 or not settled_too)
        if winner not in self._old_sides:
            self._old_sides[winner] = old_requirement(self.exchange, winner)
        return rule_met(self._old_sides[winner], new) is not None

    def admits(self, seized: Holding) -> bool:
        """Whether the account may be left so."""
        new = self.valued(seized)
        return new.equity <= 0 and self.old.equity - new.equity <= loss_allowed(self.exchange, self.auction, self.old, new)


class _Try:
    """Closings one after the other; reads the exchange and changes only itself."""

    def __init__(self, case: _Case) -> None:
        self._case, self._seized = case, case.seized
        self._winners: dict[int, Holding] = {}
        self.rows: list[Deleverage] = []
        self.accepted = 0
        """The first so many of `rows` leave the account in a state that the statement admits."""

    @property
    def full(self) -> bool:
        """Whether the batch has no row for another closing."""
        return len(self.rows) >= self._case.rows_left

    def close(self, instrument: int, winner: int, lots_max: int) -> None:
        """Closes as much of one position against one holder as both have, `lots_max` at most, if the holder stays within the rule and the rows fit."""
        case, known = self._case, self._winners.get(winner)
        size = self._seized.positions.get(instrument, 0)
        held = (known.positions if known else case.exchange.positions_of(winner)).get(instrument, 0)
        start = case.exchange.old_side(winner)[1].get(instrument, 0)
        if size * held >= 0 or not 0 < held * (1 if start > 0 else -1) <= abs(start):
            return  # nothing to close, or the holder's row would not only shrink in this batch
        lots = min(abs(size), abs(held), lots_max) * (1 if size > 0 else -1)
        closed = case.closed(instrument, winner, lots, known) if known else case.closed_first(instrument, winner, lots)
        if closed is None:
            return
        closing = Deleverage(case.account, winner, instrument, lots, closed[0])
        if not case.fits([*self.rows, closing]):
            return
        self._winners[winner] = closed[1]
        self._seized = self._seized.closed(case.table[instrument], -lots, closed[0])
        self.rows.append(closing)
        if case.admits(self._seized):
            self.accepted = len(self.rows)


def closings(exchange: Exchange, account: int, auction: Auction, fits: Fits) -> tuple[Deleverage, ...]:
    """The closings of one batch: as many as fit it and leave every account in a state that may be proved; empty when there are none.

    Instruments by number, holders by rank. Where the closings up to any point would raise the account's risk (legs of a hedge go one by one), the next
    instrument comes first instead; then single closings are tried, of half the size each time.
    """
    case = _Case(exchange, account, auction, fits)
    if case.rows_left <= 0:
        return ()
    ranks, order = ranking(exchange, account), sorted(case.shares)
    for _ in range(len(order)):
        run = _run(case, ((instrument, winner) for instrument in order for winner in ranks[instrument]))
        if run.accepted:
            return tuple(run.rows[: run.accepted])
        if not run.rows:
            break  # nobody can be closed against by the whole, in whatever order
        order.append(order.pop(0))
    return next(_single_closings(case, {instrument: ranks[instrument] for instrument in sorted(case.shares)}), ())


def _run(case: _Case, pairs: Iterable[tuple[int, int]]) -> _Try:
    """One after the other until the batch has no row left."""
    run = _Try(case)
    for instrument, winner in pairs:
        if run.full:
            break
        run.close(instrument, winner, SIZE_LOTS_MAX)
    return run


def _single_closings(case: _Case, ranks: Mapping[int, Sequence[int]]) -> Iterator[tuple[Deleverage, ...]]:
    for instrument, winners in ranks.items():
        for winner in winners:
            lots = min(abs(case.exchange.positions_of(id_)[instrument]) for id_ in (case.account, winner))
            while lots := lots // 2:
                run = _Try(case)
                run.close(instrument, winner, lots)
                if run.accepted:
                    yield tuple(run.rows)
