"""The comparison's flow on layer 1: every fill of it a transaction between the same two accounts, at the same price, on the same tables.

Instruments are numbered in the order in which the flow first needs them, so that a table is one page of few rows. The oracle posts a new table as often as the
rollup has epochs, for what somebody holds by then or trades in that epoch, and nothing that stands there already. A maker signs an order a fill, all of them in
one slot. Positions in an expired instrument are delivered by anybody once its settlement value is posted. Deposits, transfers, withdrawals and liquidations are
not replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from straddle.core.events import Trade
from straddle.core.orders import Side
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.l1.anvil import Anvil
from straddle.research.flow import Flow, FlowMatch
from straddle.research.layer_one import ENDLESS_S, FIRST_NONCE, ORDER_SLOTS, PAGE_ROWS, LayerOne, Order, TableRow, Wallet

MAX_AGE_S = 900
"""Tables older than this are refused, as by the rollup."""


@dataclass(frozen=True, slots=True)
class FillGas:
    """One fill."""

    match: int
    """Place of its match event in the flow."""
    hedge: bool
    positions: int
    """What both sides hold afterwards, together."""
    gas: int


@dataclass(frozen=True, slots=True)
class SizeGas:
    """Fills between accounts that held so many positions each, their mean rounded down."""

    positions_a_side: int
    fills: int
    gas: float
    """Mean."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a flow cost on one LayerOneOptions."""

    tables_in_code: bool
    trades: int
    """Match events."""
    fills: tuple[FillGas, ...]
    fill_bytes: int
    """Calldata of all fills."""
    instruments: int
    posts: int
    rows_posted: int
    table_gas: int
    """Of the tables of all epochs. Their storage is opened before the flow."""
    opening_gas: int
    """Of the first table, which opens the storage: not in `table_gas`."""
    delivery_gas: int

    @property
    def gas_per_trade(self) -> float:
        """All fills over the match events."""
        return sum(fill.gas for fill in self.fills) / self.trades

    @property
    def gas_per_fill(self) -> float:
        """Mean."""
        return sum(fill.gas for fill in self.fills) / len(self.fills)

    @property
    def gas_per_hedge(self) -> float:
        """Mean over the hedges' match events; that of one fill where nobody hedged."""
        events, gas = len({fill.match for fill in self.fills if fill.hedge}), sum(fill.gas for fill in self.fills if fill.hedge)
        return gas / events if events else self.gas_per_fill

    @property
    def fills_per_hedge(self) -> float:
        """Mean over the hedges' match events; one where nobody hedged."""
        hedges = [fill.match for fill in self.fills if fill.hedge]
        return len(hedges) / len(set(hedges)) if hedges else 1.0

    @property
    def table_gas_per_trade(self) -> float:
        """Tables over the match events."""
        return self.table_gas / self.trades

    @property
    def bytes_per_trade(self) -> float:
        """Calldata of fills over the match events."""
        return self.fill_bytes / self.trades

    @property
    def positions_a_side(self) -> float:
        """Mean over the fills of what one side holds afterwards."""
        return sum(fill.positions for fill in self.fills) / len(self.fills) / 2

    @property
    def sizes(self) -> tuple[SizeGas, ...]:
        """The fills by the positions held, ascending."""
        by_size: dict[int, list[int]] = {}
        for fill in self.fills:
            by_size.setdefault(fill.positions // 2, []).append(fill.gas)
        return tuple(SizeGas(size, len(gas), sum(gas) / len(gas)) for size, gas in sorted(by_size.items()))


def layer_one_row(row: RiskRow, time_ms: int) -> bytes:
    """A row of the rollup's table as LayerOneOptions takes it. A settled one has no time: it is never too old. ValueError for what does not fit."""
    time_s = 0 if row.settled else time_ms // 1_000
    return TableRow(row.value, row.funding, row.long_im, row.short_im, row.linear, row.settled, time_s, row.deltas).encode()


def numbered(matches: Iterable[FlowMatch]) -> dict[int, int]:
    """Instrument -> its number on layer 1, in the order in which they first trade."""
    return {instrument: place for place, instrument in enumerate(dict.fromkeys(fill.instrument for match in matches for fill in match.fills))}


Post = tuple[int, list[bytes]]
"""First number, and the rows from there on."""


@dataclass(slots=True)
class Tables:
    """What layer 1 knows of the tables, and the fewest posts that tell it more."""

    numbers: Mapping[int, int]
    in_code: bool
    known: dict[int, bytes] = field(default_factory=dict)

    def posts(self, table: RiskTable, needed: Iterable[int]) -> list[Post]:
        """What to post so that these instruments' rows are those of `table`, where it has them. In code a page is posted whole, up to its last needed row."""
        rows = {self.numbers[row.instrument]: layer_one_row(row, table.time_ms) for row in table if row.instrument in self.numbers}
        wanted = sorted(place for place in {self.numbers[instrument] for instrument in needed} if place in rows or place in self.known)
        changed = [place for place in wanted if place in rows and rows[place] != self.known.get(place)]
        posts = self._pages(rows, wanted, changed) if self.in_code else self._runs(rows, changed)
        for first, posted in posts:
            if self.in_code:  # the page before is gone, whatever stood beyond this one's end too
                self.known = {place: row for place, row in self.known.items() if place // PAGE_ROWS != first // PAGE_ROWS}
            self.known |= dict(enumerate(posted, first))
        return posts

    def _pages(self, rows: Mapping[int, bytes], wanted: Sequence[int], changed: Sequence[int]) -> list[Post]:
        empty = bytes(len(next(iter(rows.values()), b"")))
        found = []
        for page in sorted({place // PAGE_ROWS for place in changed}):
            first, last = PAGE_ROWS * page, max(place for place in wanted if place // PAGE_ROWS == page)
            found.append((first, [rows.get(place) or self.known.get(place) or empty for place in range(first, last + 1)]))
        return found

    def _runs(self, rows: Mapping[int, bytes], changed: Sequence[int]) -> list[Post]:
        """A row that has not changed is left out: it would cost more than a further transaction."""
        found: list[Post] = []
        for place in changed:
            if found and place == found[-1][0] + len(found[-1][1]) and len(found[-1][1]) < PAGE_ROWS:
                found[-1][1].append(rows[place])
            else:
                found.append((place, [rows[place]]))
        return found


class Replay:
    """One flow on one contract. `run` once; `held` and `venue` tell afterwards what everybody has."""

    def __init__(self, anvil: Anvil, flow: Flow, *, tables_in_code: bool, k_im_bps: int) -> None:
        """`anvil`'s clock must not be after the flow's first table."""
        self.flow = flow
        self.venue = LayerOne(anvil, SCENARIOS, tables_in_code, k_im_bps, MAX_AGE_S)
        self.numbers = numbered(flow.matches)
        self.tables = Tables(self.numbers, tables_in_code)
        self.held: dict[int, dict[int, int]] = {}
        """Account of the flow -> instrument -> lots, none of them 0."""
        self.traders: dict[int, Wallet] = {}
        self._nonces: dict[int, int] = {}
        self._fills: list[FillGas] = []
        self._fill_bytes = self._posts = self._rows = self._table_gas = self._delivery_gas = 0

    def run(self) -> Replayed:
        """TransactionFailed for a fill that layer 1 refuses, with its reason; ValueError for a match in an epoch without a table."""
        by_epoch: dict[int, list[tuple[int, FlowMatch]]] = {}
        for place, match in enumerate(self.flow.matches):
            by_epoch.setdefault(match.epoch, []).append((place, match))
        for epoch in by_epoch.keys() - {table.epoch for table in self.flow.tables}:
            raise ValueError(f"tables: none of epoch {epoch}, expected one: the flow trades in it")
        accounts = {account for match in self.flow.matches for fill in match.fills for account in (fill.maker, fill.taker)}
        for account in sorted(accounts):
            self.traders[account], self.held[account] = self.venue.trader(f"account {account}"), {}
        opening_gas = self._open_rows()
        for table in self.flow.tables:
            matches = by_epoch.get(table.epoch, [])
            self._publish(table, {fill.instrument for _, match in matches for fill in match.fills})
            for place, match in matches:
                for fill in match.fills:
                    self._fill(place, match.hedge, fill)
        fills, instruments = tuple(self._fills), len(self.numbers)
        measured = (self._fill_bytes, instruments, self._posts, self._rows, self._table_gas, opening_gas, self._delivery_gas)
        return Replayed(self.tables.in_code, len(self.flow.matches), fills, *measured)

    def _open_rows(self) -> int:
        """A row for every number, too old to trade on: tables of the flow then only replace what is there. Its gas."""
        first: dict[int, RiskRow] = {}
        for table in self.flow.tables:
            for row in table:
                if row.instrument in self.numbers:
                    first.setdefault(row.instrument, row)
        rows = [layer_one_row(first[instrument], 0) for instrument in self.numbers]
        return sum(self.venue.post(start, rows[start : start + PAGE_ROWS]) for start in range(0, len(rows), PAGE_ROWS))

    def _publish(self, table: RiskTable, traded: set[int]) -> None:
        """A new table; what it settles is delivered."""
        self.venue.anvil.set_time_at_least(table.time_ms // 1_000)
        for first, rows in self.tables.posts(table, traded.union(*self.held.values())):
            self._table_gas += self.venue.post(first, rows)
            self._posts, self._rows = self._posts + 1, self._rows + len(rows)
        for account, held in self.held.items():
            for instrument in [each for each in held if each in table and table[each].settled]:
                self._delivery_gas += self.venue.send(self.venue.oracle, "deliver", self.traders[account].address, self.numbers[instrument]).gas_used
                del held[instrument]

    def _fill(self, match: int, hedge: bool, fill: Trade) -> None:
        nonce = self._nonces[fill.maker] = self._nonces.get(fill.maker, FIRST_NONCE) + ORDER_SLOTS
        order = Order(self.numbers[fill.instrument], fill.taker_side is Side.SELL, fill.size_lots, fill.price_ticks, nonce, ENDLESS_S)
        gas, length = self.venue.fill(self.traders[fill.maker], self.traders[fill.taker], order, fill.size_lots)
        self._fill_bytes += length
        for account, sign in ((fill.taker, fill.taker_side.sign), (fill.maker, -fill.taker_side.sign)):
            held = self.held[account]
            held[fill.instrument] = held.get(fill.instrument, 0) + sign * fill.size_lots
            if not held[fill.instrument]:
                del held[fill.instrument]
        self._fills.append(FillGas(match, hedge, len(self.held[fill.taker]) + len(self.held[fill.maker]), gas))
