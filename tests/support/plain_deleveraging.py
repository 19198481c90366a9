"""Deleveraging by its words alone (docs/protocol/engine.md): every holder valued anew at every question, every pair tried to the end. The engine is to come to
the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from straddle.core.accounts import Auction
from straddle.core.batch import Deleverage
from straddle.core.deleveraging import Fits, Holding, shares
from straddle.core.liquidation import loss_allowed, old_requirement
from straddle.core.margin import Requirement, requirement, rule_met
from straddle.core.params import BPS, CASH_MAX, SIZE_LOTS_MAX
from straddle.core.state import Exchange


def ranking(exchange: Exchange, account: int, instrument: int) -> list[int]:
    """Who closes against an account: holders of the other side by leverage, IM over equity, the highest first; then those without equity; then by number."""
    size = exchange.positions_of(account)[instrument]
    holders = [id_ for id_ in exchange.accounts if exchange.positions_of(id_).get(instrument, 0) * size < 0 and id_ not in exchange.open_batch.sealed]
    valued = {id_: exchange.requirement_of(id_) for id_ in holders}
    return sorted(holders, key=lambda id_: (valued[id_].equity <= 0, -_leverage(valued[id_]), id_))


def _leverage(valued: Requirement) -> int:
    """IM over equity in 2^-32, rounded down."""
    return (valued.im_scaled << 32) // (BPS * max(valued.equity, 1))


class Closings:
    """Tries closings one after the other; reads the exchange and changes only itself."""

    def __init__(self, exchange: Exchange, account: int, auction: Auction, fits: Fits) -> None:
        self._exchange, self._account, self._auction, self._fits = exchange, account, auction, fits
        self._table = exchange.context.table
        self._old = old_requirement(exchange, account)
        self._seized = self._holding(account)
        self._shares = shares(self._seized.positions, self._table, -self._old.equity)
        self._winners: dict[int, Holding] = {}
        self.rows: list[Deleverage] = []
        self.accepted = 0
        """The first so many of `rows` leave the account in a state that the statement admits."""

    @property
    def instruments(self) -> tuple[int, ...]:
        """What can be closed, ascending."""
        return tuple(sorted(self._shares))

    def close(self, instrument: int, winner: int, lots_max: int) -> None:
        """Closes as much of one position against one holder as both have, `lots_max` at most, if the holder stays within the rule and the rows fit."""
        size, other = self._seized.positions.get(instrument, 0), self._winners.get(winner) or self._holding(winner)
        held = other.positions.get(instrument, 0)
        start = self._exchange.old_side(winner)[1].get(instrument, 0)
        if size * held >= 0 or not 0 < held * (1 if start > 0 else -1) <= abs(start):
            return  # nothing to close, or the holder's row would not only shrink in this batch
        lots, side, row = min(abs(size), abs(held), lots_max), 1 if size > 0 else -1, self._table[instrument]
        at_mark = other.closed(row, lots * side, row.mark)
        spare = max(0, self._valued(at_mark).surplus_scaled // BPS)
        price = row.mark + side * min(self._shares[instrument], spare // lots)
        closing, other = Deleverage(self._account, winner, instrument, lots * side, price), other.closed(row, lots * side, price)
        if not self._rule_holds(winner, other) or not self._fits([*self.rows, closing]):
            return
        self._winners[winner] = other
        self._seized = self._seized.closed(row, -lots * side, price)
        self.rows.append(closing)
        if self._admitted():
            self.accepted = len(self.rows)

    def _holding(self, account: int) -> Holding:
        return Holding(*self._exchange.settled_side(account))

    def _valued(self, held: Holding) -> Requirement:
        return requirement(held.cash, held.positions, self._table, self._exchange.params)

    def _rule_holds(self, winner: int, after: Holding) -> bool:
        """Margin.md's rule for who is closed against; whoever paid out in this batch stays covered and settled, whoever took a portfolio covered."""
        if abs(after.cash) > CASH_MAX:
            return False
        new, settled_too = self._valued(after), self._exchange.usage.covered.get(winner)
        if settled_too is None:
            return rule_met(old_requirement(self._exchange, winner), new) is not None
        return new.surplus_scaled >= 0 and (new.settled >= 0 or not settled_too)

    def _admitted(self) -> bool:
        new = self._valued(self._seized)
        return new.equity <= 0 and self._old.equity - new.equity <= loss_allowed(self._exchange, self._auction, self._old, new)


def closings(exchange: Exchange, account: int, auction: Auction, fits: Fits) -> tuple[Deleverage, ...]:
    """The closings of one batch: as many as fit it and leave every account in a state that may be proved; empty when there are none.

    Instruments by number, holders by rank. Where the closings up to any point would raise the account's risk (legs of a hedge go one by one), the next
    instrument comes first instead; then single closings are tried, of half the size each time.
    """
    ranks = {instrument: ranking(exchange, account, instrument) for instrument in Closings(exchange, account, auction, fits).instruments}
    order = list(ranks)
    for _ in range(len(order)):
        run = Closings(exchange, account, auction, fits)
        for instrument in order:
            for winner in ranks[instrument]:
                run.close(instrument, winner, SIZE_LOTS_MAX)
        if run.accepted:
            return tuple(run.rows[: run.accepted])
        order.append(order.pop(0))
    return next(_single_closings(exchange, account, auction, fits, ranks), ())


def _single_closings(exchange: Exchange, account: int, auction: Auction, fits: Fits, ranks: Mapping[int, Sequence[int]]) -> Iterator[tuple[Deleverage, ...]]:
    for instrument, winners in ranks.items():
        for winner in winners:
            lots = min(abs(exchange.positions_of(account)[instrument]), abs(exchange.positions_of(winner)[instrument]))
            while lots := lots // 2:
                run = Closings(exchange, account, auction, fits)
                run.close(instrument, winner, lots)
                if run.accepted:
                    yield tuple(run.rows)
