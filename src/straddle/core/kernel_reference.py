"""The kernel in plain Python: what native/kernel computes in C, number for number and error for error.

It is the definition, and what runs where the extension was not built. Everything is an exact integer; inputs outside the bounds below are refused with a
ValueError that names field, value and expectation, and then nothing has changed. An instrument that the table lacks is a KeyError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from straddle.core.params import BPS, SIZE_LOTS_MAX, TICKS_MAX

PATHS = 49
"""Path 0 is the table's values as they are; path 1 + s is scenario s."""
ROWS_MAX = 1 << 12
"""The statement holds fewer (1,023)."""
INSTRUMENT_MAX = (1 << 32) - 1
FACTOR_MAX = (1 << 16) - 1
"""Margin factors, basis points."""
LEGS_MAX, RATIO_MAX = 4, 127
NET_TICKS_MAX = (1 << 48) - 1
"""Largest absolute net limit, and largest fee, of one unit of an order."""
OPEN_LOTS_MAX = (1 << 60) - 1
"""Open orders of one side of one instrument."""
CASH_BOUND = 1 << 96
"""Wider than cash itself (CASH_MAX), so that sums with deposits and payments can be valued."""
RESERVED_BOUND = 1 << 126
"""All that open orders may lose on a path, times BPS; a thousand orders of the largest terms stay below."""

Legs = tuple[tuple[int, int], ...]
"""(instrument, signed ratio), instruments strictly ascending."""
RowTuple = tuple[int, bool, int, int, int, int, int, int, Sequence[int]]
"""instrument, linear, value, funding, long_im, long_mm, short_im, short_mm, deltas (48)."""
Valuation = tuple[int, int, int, int]
"""equity, IM times BPS, MM times BPS, settled cash."""
State = tuple[int, int, int, tuple[int, ...], tuple[int, ...], tuple[tuple[int, int, int, int], ...]]
"""value, charges, extra charge, paths, reserved, and (instrument, size, open buys, open sells) of each instrument, ascending."""
Prices = tuple[tuple[int, ...], tuple[int, ...]]
"""By path: the price of a lot, and what open orders may lose beyond it (`Cap`)."""


class _Row(NamedTuple):
    instrument: int
    linear: bool
    value: int
    mark: int
    long_im: int
    long_mm: int
    short_im: int
    short_mm: int
    deltas: tuple[int, ...]
    """PATHS entries, the first of them 0."""


class Table:
    """A risk table's rows, checked once. Immutable."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[RowTuple]) -> None:
        """Rows ascend strictly by instrument. ValueError for what is out of range."""
        rows = tuple(rows)
        if len(rows) > ROWS_MAX:
            raise ValueError(f"rows: {len(rows)}, expected at most {ROWS_MAX}")
        self._rows: dict[int, _Row] = {}
        last = -1
        for fields in rows:
            row = _row(fields, last)
            last = row.instrument
            self._rows[last] = row

    def __len__(self) -> int:
        return len(self._rows)

    def largest(self, instrument: int) -> int:
        """max(|value|, |delta| of every scenario) of an instrument, in ticks."""
        row = self._row(instrument)
        return max(abs(row.value), *map(abs, row.deltas))

    def _row(self, instrument: int) -> _Row:
        if not isinstance(instrument, int):
            raise KeyError(instrument)
        return self._rows[instrument]


def _row(fields: RowTuple, last: int) -> _Row:
    if not isinstance(fields, tuple) or len(fields) != 9:
        raise ValueError(f"row: {fields!r}, expected a tuple of 9")
    instrument = _checked("instrument", fields[0], last + 1, INSTRUMENT_MAX)
    value = _checked("value", fields[2], -TICKS_MAX, TICKS_MAX)
    mark = value + _checked("funding", fields[3], -TICKS_MAX, TICKS_MAX)
    long_im, long_mm = _checked("long_im", fields[4], 0, TICKS_MAX), _checked("long_mm", fields[5], 0, TICKS_MAX)
    short_im, short_mm = _checked("short_im", fields[6], 0, TICKS_MAX), _checked("short_mm", fields[7], 0, TICKS_MAX)
    deltas = tuple(fields[8])
    if len(deltas) != PATHS - 1:
        raise ValueError(f"deltas: {len(deltas)}, expected {PATHS - 1}")
    checked = (0, *(_checked("delta", delta, -TICKS_MAX, TICKS_MAX) for delta in deltas))
    return _Row(instrument, bool(fields[1]), value, mark, long_im, long_mm, short_im, short_mm, checked)


def _checked(name: str, value: int, low: int, high: int) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{name}: {type(value).__name__}, expected int")
    if not low <= value <= high:
        raise ValueError(f"{name}: {value}, expected {low} to {high}")
    return value


def _checked_cash(cash: int) -> int:
    if not isinstance(cash, int):
        raise TypeError(f"cash: {type(cash).__name__}, expected int")
    if not -CASH_BOUND <= cash < CASH_BOUND:
        raise ValueError(f"cash: {cash}, expected -2^96 to 2^96 - 1")
    return cash


def _charge(size: int, long: int, short: int) -> int:
    return size * long if size > 0 else -size * short


class Exposure:
    """One account on one table, kept in steps. Calls undo exactly: `move(i, n)` by `move(i, -n)`, `reserve(..., n)` by `reserve(..., -n)`."""

    __slots__ = ("_beyond", "_charges", "_extra", "_k_im", "_open", "_paths", "_prices", "_reserved", "_table", "_value")

    def __init__(self, table: Table, k_im_bps: int) -> None:
        """Nothing held, nothing open."""
        if not isinstance(table, Table):
            raise TypeError(f"table: {type(table).__name__}, expected Table")
        self._table = table
        self._k_im = _checked("k_im_bps", k_im_bps, 0, FACTOR_MAX)
        self._value = self._charges = self._extra = 0
        self._paths, self._reserved = [0] * PATHS, [0] * PATHS
        self._open: dict[int, tuple[int, int, int]] = {}
        self._prices: list[int] | None = None
        """By path: what a lot of the cap is worth (`Cap`); None until a cap is asked for."""
        self._beyond: list[int] = []
        """By path: what all open orders may lose, each lot of them less its price."""

    def copy(self) -> Exposure:
        """An independent copy on the same table."""
        copied = Exposure(self._table, self._k_im)
        copied._value, copied._charges, copied._extra = self._value, self._charges, self._extra
        copied._paths, copied._reserved, copied._open = list(self._paths), list(self._reserved), dict(self._open)
        copied._prices, copied._beyond = None if self._prices is None else list(self._prices), list(self._beyond)
        return copied

    def move(self, instrument: int, lots: int) -> None:
        """The position in `instrument` grows by `lots`, signed."""
        row = self._table._row(instrument)
        _checked("lots", lots, -2 * SIZE_LOTS_MAX, 2 * SIZE_LOTS_MAX)
        size, buys, sells = self._open.get(instrument, (0, 0, 0))
        _checked("size", size + lots, -SIZE_LOTS_MAX, SIZE_LOTS_MAX)
        self._value += lots * row.value
        weight = self._k_im * lots
        self._paths = [path + weight * delta for path, delta in zip(self._paths, row.deltas, strict=True)]
        self._set(row, size + lots, buys, sells)

    def reserve(self, legs: Legs, sign: int, limit_ticks: int, fee: int, units: int) -> None:
        """`units` more of an open order (fewer when negative: gives back what the same terms reserved).

        `sign` is +1 for a buyer and -1 for a seller of the unit, `limit_ticks` the net limit and `fee` the worst fee of one unit. On each path the order loses
        min(0, BPS * n * (sign * (sum ratio * mark - limit) - fee) + k_im * sign * n * sum ratio * D) for n units.
        """
        order = checked_terms(self._table, legs, sign, limit_ticks, fee, units)
        gains = order.gains(self._k_im)
        reserved = [total + units * min(0, gain) for total, gain in zip(self._reserved, gains, strict=True)]
        beyond = self._beyond
        if self._prices is not None:
            losses = zip(self._beyond, self._prices, order.losses(gains), strict=True)
            beyond = [total + units * max(0, loss - price * order.lots) for total, price, loss in losses]
        if not all(-RESERVED_BOUND <= total < RESERVED_BOUND for total in (*reserved, *beyond)):
            raise ValueError("reserved: beyond 2^126, expected fewer or smaller open orders")
        changed = []
        for row, ratio in order.legs:
            size, buys, sells = self._open.get(row.instrument, (0, 0, 0))
            lots = sign * ratio
            buys += max(lots, 0) * units
            sells += max(-lots, 0) * units
            changed.append((row, size, _checked("open buys", buys, 0, OPEN_LOTS_MAX), _checked("open sells", sells, 0, OPEN_LOTS_MAX)))
        self._reserved, self._beyond = reserved, beyond
        for row, size, buys, sells in changed:
            self._set(row, size, buys, sells)

    def _set(self, row: _Row, size: int, buys: int, sells: int) -> None:
        """What is held and open in one instrument, and its charges."""
        instrument = row.instrument
        before, extra_before = _charges(row, *self._open.pop(instrument, (0, 0, 0)))
        after, extra_after = _charges(row, size, buys, sells)
        self._charges += after - before
        self._extra += extra_after - extra_before
        if size or buys or sells:
            self._open[instrument] = (size, buys, sells)

    def surplus_scaled(self, cash: int) -> int:
        """(equity - IM) * BPS of the positions alone: alternative (a) of the rule is that it is not negative."""
        return BPS * (_checked_cash(cash) + self._value - self._charges) + min(self._paths)

    def reserved_surplus_scaled(self, cash: int) -> int:
        """The same after the worst fills of the open orders."""
        return BPS * (_checked_cash(cash) + self._value - self._charges - self._extra) + min(map(int.__add__, self._paths, self._reserved))

    def capped_bound_scaled(self, cash: int, lots: int) -> int | None:
        """The same when at most `lots` lots of the open orders fill, or less: what `Cap.surplus` comes to at the prices kept. None before it was ever asked."""
        _checked_cash(cash)
        _checked("lots", lots, 0, SIZE_LOTS_MAX)
        if self._prices is None:
            return None
        worst = min(path - price * lots - beyond for path, price, beyond in zip(self._paths, self._prices, self._beyond, strict=True))
        return BPS * (cash + self._value - self._charges) + worst

    def prices(self) -> Prices | None:
        """What `Cap` keeps here: by path the price of a lot, and what the open orders may lose beyond it. No part of the state: any prices are right."""
        return None if self._prices is None else (tuple(self._prices), tuple(self._beyond))

    @property
    def instruments(self) -> int:
        """Number of instruments held or with open orders."""
        return len(self._open)

    def lots(self, instrument: int) -> tuple[int, int, int]:
        """Size, open buys and open sells in one instrument; zeros where there is nothing."""
        return self._open.get(self._table._row(instrument).instrument, (0, 0, 0))

    def state(self) -> State:
        """Everything, as plain numbers."""
        entries = tuple((instrument, *self._open[instrument]) for instrument in sorted(self._open))
        return self._value, self._charges, self._extra, tuple(self._paths), tuple(self._reserved), entries

    def __eq__(self, other: object) -> bool:
        """Whether the states are equal; tables are not compared."""
        return self.state() == other.state() if isinstance(other, Exposure) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Exposure{self.state()!r}"


class Terms(NamedTuple):
    """An order, for one unit of it."""

    legs: list[tuple[_Row, int]]
    sign: int
    edge: int
    """What it gains at the mark, fee paid, in ticks."""
    lots: int
    """Over all legs."""
    units: int

    def gains(self, k_im: int) -> list[int]:
        """By path, times BPS."""
        nets = (sum(ratio * row.deltas[path] for row, ratio in self.legs) for path in range(PATHS))
        return [BPS * self.edge + k_im * self.sign * net for net in nets]

    def losses(self, gains: list[int]) -> list[int]:
        """By path, times BPS, at least 0: the charge counts as if every lot added to a position."""
        charge = BPS * sum(_charge(self.sign * ratio, row.long_im, row.short_im) for row, ratio in self.legs)
        return [max(0, charge - gain) for gain in gains]


def checked_terms(table: Table, legs: Legs, sign: int, limit_ticks: int, fee: int, units: int) -> Terms:
    """ValueError for what is out of range."""
    known, factor = _checked_legs(table, legs), _checked_sign(sign)
    _checked("limit_ticks", limit_ticks, -NET_TICKS_MAX, NET_TICKS_MAX)
    _checked("fee", fee, 0, NET_TICKS_MAX)
    _checked("units", units, -SIZE_LOTS_MAX, SIZE_LOTS_MAX)
    edge = factor * (sum(ratio * row.mark for row, ratio in known) - limit_ticks) - fee
    return Terms(known, factor, edge, sum(abs(ratio) for _, ratio in known), units)


def _charges(row: _Row, size: int, buys: int, sells: int) -> tuple[int, int]:
    """IM charge of a position, and what open orders could add to it: the larger of all buys filled and all sells filled."""
    now, bought, sold = (_charge(lots, row.long_im, row.short_im) for lots in (size, size + buys, size - sells))
    return now, max(bought, sold) - now


def _checked_legs(table: Table, legs: Legs) -> list[tuple[_Row, int]]:
    if not isinstance(legs, tuple) or not 1 <= len(legs) <= LEGS_MAX:
        raise ValueError(f"legs: {legs!r}, expected a tuple of 1 to {LEGS_MAX} (instrument, ratio)")
    known: list[tuple[_Row, int]] = []
    for leg in legs:
        if not isinstance(leg, tuple) or len(leg) != 2:
            raise ValueError(f"leg: {leg!r}, expected (instrument, ratio)")
        row = table._row(leg[0])
        if known and row.instrument <= known[-1][0].instrument:
            raise ValueError(f"legs: {legs!r}, expected strictly ascending instruments")
        ratio = _checked("ratio", leg[1], -RATIO_MAX, RATIO_MAX)
        if not ratio:
            raise ValueError(f"legs: {legs!r}, expected no ratio of 0")
        known.append((row, ratio))
    return known


def _checked_sign(sign: int) -> int:
    if _checked("sign", sign, -1, 1) == 0:
        raise ValueError("sign: 0, expected -1 or 1")
    return sign


class OrderCodec:
    """Signed orders as bytes. None leaves them to the definitions, `messages.order_words` and the journal's codec: here always."""

    def __init__(self, order: type) -> None:
        """`order`: their class."""

    def words(self, orders: object) -> bytes | None:
        """Terms and legs of each, 32 bytes each."""
        return None

    def json(self, orders: object) -> bytes | None:
        """An array of objects with sorted names."""
        return None


class Quotes:
    """Orders of a set that only come to rest, in one call. An order that is not entered is left, untouched, to the definition, `matching.place`: here all are.

    What it is made with: the classes of its arguments and of the events, the two reasons of a cancellation, and what takes an order back:
    `take_back(exchange, exposure, resting, live)`, `live` being the order whose place `resting` took, or None.
    """

    def __init__(self, *made_with: object) -> None:
        """See above."""

    def enter(self, orders: tuple[object, ...], start: int, *entrance: object) -> int:
        """Enters `orders` of one account from `start` on, up to the first that does not just come to rest; its index, or their number.

        Then come: account, order set and its root; the turn of an order 0; exposure and cash of the account, and how many lots of its open orders may fill, -1
        for any; the least nonce that it may use, number of slots and slots that filled; all open orders, books, and units known by legs; the table's time;
        most instruments and most open orders; where events and undo steps are put; the exchange, for `take_back`.
        """
        return start


def requirement(table: Table, cash: int, positions: Mapping[int, int], k_im_bps: int, k_mm_bps: int) -> Valuation:
    """Equity, IM, MM and settled cash of an account, from scratch."""
    _checked_valuation(table, k_im_bps, k_mm_bps)
    equity = settled = _checked_cash(cash)
    charges_im = charges_mm = 0
    totals = [0] * PATHS
    for instrument, size in positions.items():
        row = table._row(instrument)
        value = _checked("size", size, -SIZE_LOTS_MAX, SIZE_LOTS_MAX) * row.value
        equity += value
        if row.linear or size < 0:
            settled += value
        charges_im += _charge(size, row.long_im, row.short_im)
        charges_mm += _charge(size, row.long_mm, row.short_mm)
        totals = [total + size * delta for total, delta in zip(totals, row.deltas, strict=True)]
    loss = -min(totals)
    return equity, k_im_bps * loss + BPS * charges_im, k_mm_bps * loss + BPS * charges_mm, settled


def _checked_valuation(table: Table, k_im_bps: int, k_mm_bps: int) -> None:
    if not isinstance(table, Table):
        raise TypeError(f"table: {type(table).__name__}, expected Table")
    _checked("k_im_bps", k_im_bps, 0, FACTOR_MAX)
    _checked("k_mm_bps", k_mm_bps, 0, FACTOR_MAX)


def sweep(table: Table, accounts: Sequence[tuple[int, Mapping[int, int]]], k_im_bps: int, k_mm_bps: int) -> list[Valuation]:
    """`requirement` of many accounts, (cash, positions) each, in one call."""
    _checked_valuation(table, k_im_bps, k_mm_bps)
    return [requirement(table, cash, positions, k_im_bps, k_mm_bps) for cash, positions in accounts]
