"""The feed values of one risk epoch: what the oracles sign, what is published on layer 1, and all that the table is computed from."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from straddle.primitives.varint import VarintError, get_varint, put_varint, unzigzag, zigzag
from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_VOL_BPS

MAGIC = b"SRI3"
MAX_EXPIRIES = 1_024
MAX_HOURS = 1_024
MAX_VOLS = 16_384
MAX_FUNDING_TICKS = 2**38
"""The cumulative funding stays within this, so that value = mark - funding fits the row."""
SCALE_ONE = 10**6
"""Margin scaling is in parts per million; this leaves the parameters as they are."""
MAX_SCALE_PPM = 10 * SCALE_ONE
MAX_WINDOW_MS = 2**31 - 1
MAX_LOTS = 2**63 - 1

NUMBER_BITS = 64
"""A number in the bytes has no more."""


class RiskInputError(ValueError):
    """Feed values, or their bytes, that no table is made from."""


@dataclass(frozen=True, slots=True)
class RiskInputs:
    """Feed values in ticks, basis points and unix milliseconds. Construction checks every field, so an instance always encodes."""

    epoch: int
    time_ms: int
    index_ticks: int
    perpetual_mark_ticks: int
    cumulative_funding: int
    """Funding that one unit of the perpetual has paid since genesis, ticks."""
    funding_remainder: int
    """Its fraction of a tick, see `funding.accrue`."""
    forwards: tuple[tuple[int, int], ...]
    """(expiry_ms, forward_ticks), ascending: of listed expiries without a settlement price. Inside the settlement window, of the part that is not fixed yet."""
    vols: tuple[tuple[int, int], ...]
    """(instrument id, vol_bps) of every listed option that has not expired, ascending."""
    scale_ppm: int = SCALE_ONE
    """Dynamic margin scaling in force, see `scaling`."""
    hours: tuple[int, ...] = ()
    """The index at the last full hours, ticks, oldest first: what realised volatility is measured from."""
    windows: tuple[tuple[int, int, int], ...] = ()
    """(expiry_ms, observed_ms, fixed) of expiries in their settlement window, ascending: `fixed` is the sum of index ticks x milliseconds so far."""
    settlements: tuple[tuple[int, int], ...] = ()
    """(expiry_ms, settlement_ticks) of expired ones whose average is final, ascending."""
    activity: tuple[tuple[int, int, int], ...] = ()
    """(expiry_ms, open interest in lots, traded lots of the last day) of expiries with either, ascending; see `concentration`."""

    def __post_init__(self) -> None:
        _expect("epoch", self.epoch, 0, 2**64 - 1)
        _expect("time_ms", self.time_ms, 0, 2**48 - 1)
        _expect("index_ticks", self.index_ticks, 1, MAX_FEED_PRICE_TICKS)
        _expect("perpetual_mark_ticks", self.perpetual_mark_ticks, 1, MAX_FEED_PRICE_TICKS)
        _expect("cumulative_funding", self.cumulative_funding, -MAX_FUNDING_TICKS, MAX_FUNDING_TICKS)
        _expect("funding_remainder", self.funding_remainder, 0, 2**64 - 1)
        _expect("scale_ppm", self.scale_ppm, 1, MAX_SCALE_PPM)
        _expect("number of hours", len(self.hours), 0, MAX_HOURS)
        for ticks in self.hours:
            _expect("hours", ticks, 1, MAX_FEED_PRICE_TICKS)
        self._check_expiries()
        _expect("number of vols", len(self.vols), 0, MAX_VOLS)
        for instrument, vol in self.vols:
            _expect("vol's instrument", instrument, 1, 2**32 - 1)
            _expect(f"vol of instrument {instrument}", vol, 1, MAX_VOL_BPS)
        _expect_ascending("vols", (instrument for instrument, _ in self.vols))

    def _check_expiries(self) -> None:
        lists = {"forwards": self.forwards, "windows": self.windows, "settlements": self.settlements, "activity": self.activity}
        for name, entries in lists.items():
            _expect(f"number of {name}", len(entries), 0, MAX_EXPIRIES)
            for entry in entries:
                _expect(f"{name}: expiry_ms", entry[0], 1, 2**48 - 1)
            _expect_ascending(name, (entry[0] for entry in entries))
        for expiry, forward in self.forwards:
            _expect(f"forward of expiry {expiry}", forward, 1, MAX_FEED_PRICE_TICKS)
        for expiry, observed_ms, fixed in self.windows:
            _expect(f"observed_ms of expiry {expiry}", observed_ms, 0, MAX_WINDOW_MS)
            _expect(f"fixed part of expiry {expiry}", fixed, observed_ms, observed_ms * MAX_FEED_PRICE_TICKS)
        for expiry, ticks in self.settlements:
            _expect(f"settlement of expiry {expiry}", ticks, 1, MAX_FEED_PRICE_TICKS)
            if expiry > self.time_ms:
                raise RiskInputError(f"settlements: expiry {expiry}: expected at most time_ms = {self.time_ms}")
        for expiry, interest, traded in self.activity:
            _expect(f"open interest of expiry {expiry}", interest, 0, MAX_LOTS)
            _expect(f"traded lots of expiry {expiry}", traded, 0, MAX_LOTS)


def _expect(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise RiskInputError(f"{name} = {value!r}: expected an integer from {low} to {high}")


def _expect_ascending(name: str, keys: Iterable[int]) -> None:
    for before, after in itertools.pairwise(keys):
        if before >= after:
            raise RiskInputError(f"{name}: {after} after {before}: expected strictly ascending")


def encode_inputs(inputs: RiskInputs) -> bytes:
    """Magic(4), then the varints of `_numbers` (docs/reference/risk-table.md)."""
    out = bytearray(MAGIC)
    for number in _numbers(inputs):
        put_varint(out, number)
    return bytes(out)


def _numbers(inputs: RiskInputs) -> Iterator[int]:
    """Header, then six lists, each after its count, column by column. What lies close to its neighbour is written as the difference."""
    index = inputs.index_ticks
    yield from (inputs.epoch, inputs.time_ms, index, zigzag(inputs.perpetual_mark_ticks - index))
    yield from (zigzag(inputs.cumulative_funding), inputs.funding_remainder, inputs.scale_ppm)
    yield len(inputs.hours)
    yield from map(zigzag, _steps(index, inputs.hours))
    for prices in (inputs.forwards, inputs.settlements):
        yield len(prices)
        yield from _steps(0, (expiry for expiry, _ in prices))
        yield from map(zigzag, _steps(index, (ticks for _, ticks in prices)))
    for rows in (inputs.windows, inputs.activity):
        yield len(rows)
        yield from _steps(0, (expiry for expiry, _, _ in rows))
        yield from (second for _, second, _ in rows)
        yield from (third for _, _, third in rows)
    runs = _runs([instrument for instrument, _ in inputs.vols])
    yield len(runs)
    for run in runs:
        yield from run
    yield from map(zigzag, _steps(0, (vol for _, vol in inputs.vols)))


def _steps(before: int, values: Iterable[int]) -> Iterator[int]:
    """Each value less the one before it."""
    for value in values:
        yield value - before
        before = value


def _runs(ids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending ids as runs without a gap: (ids skipped since the last run, or since 0; length)."""
    runs = list[tuple[int, int]]()
    before = 0
    for number in ids:
        skipped, length = number - before - 1, 1
        if runs and not skipped:
            skipped, length = runs.pop()
            length += 1
        runs.append((skipped, length))
        before = number
    return runs


def decode_inputs(data: bytes) -> RiskInputs:
    """The inverse of `encode_inputs`; every byte string either decodes to inputs that encode to it, or is refused.

    Raises:
        RiskInputError: naming the field, or the byte where something else was expected.
    """
    if data[:4] != MAGIC:
        raise RiskInputError(f"inputs: {len(data)} bytes starting {bytes(data[:4])!r}: expected {MAGIC!r}")
    read = _Reader(data)
    epoch, time_ms, index = read.natural("epoch"), read.natural("time_ms"), read.natural("index_ticks")
    mark, funding = index + read.signed("perpetual_mark_ticks"), read.signed("cumulative_funding")
    remainder, scale = read.natural("funding_remainder"), read.natural("scale_ppm")
    hours = read.near("hours", read.count("hours", MAX_HOURS), index)
    forwards, settlements = (tuple(zip(*read.prices(name, index), strict=True)) for name in ("forwards", "settlements"))
    windows, activity = (tuple(zip(*read.rows(name), strict=True)) for name in ("windows", "activity"))
    ids = read.ids()
    vols = tuple(zip(ids, read.near("vols", len(ids), 0), strict=True))
    if read.at != len(data):
        raise RiskInputError(f"inputs: {len(data)} bytes, expected {read.at}")
    return RiskInputs(epoch, time_ms, index, mark, funding, remainder, forwards, vols, scale, tuple(hours), windows, settlements, activity)


@dataclass(slots=True)
class _Reader:
    """Numbers in turn; the values are `RiskInputs`' to check. RiskInputError: the bytes hold none there, or not so many."""

    data: bytes
    at: int = len(MAGIC)

    def natural(self, name: str) -> int:
        try:
            value, self.at = get_varint(self.data, self.at, NUMBER_BITS)
        except VarintError as error:
            raise RiskInputError(f"inputs: {name}: {error}") from None
        return value

    def signed(self, name: str) -> int:
        return unzigzag(self.natural(name))

    def count(self, name: str, most: int) -> int:
        """A number of entries, of which each takes a byte at least: nothing is set aside for what cannot follow."""
        value, left = self.natural(f"number of {name}"), len(self.data) - self.at
        if value > min(most, left):
            raise RiskInputError(f"inputs: {value} {name} with {left} bytes left: expected at most {min(most, left)}")
        return value

    def near(self, name: str, count: int, before: int) -> list[int]:
        """Values written as signed differences."""
        return list(itertools.accumulate((self.signed(name) for _ in range(count)), initial=before))[1:]

    def expiries(self, name: str) -> list[int]:
        count = self.count(name, MAX_EXPIRIES)
        return list(itertools.accumulate(self.natural(f"{name}: expiry_ms") for _ in range(count)))

    def prices(self, name: str, index_ticks: int) -> tuple[list[int], list[int]]:
        expiries = self.expiries(name)
        return expiries, self.near(name, len(expiries), index_ticks)

    def rows(self, name: str) -> tuple[list[int], list[int], list[int]]:
        expiries = self.expiries(name)
        second, third = ([self.natural(name) for _ in expiries] for _ in range(2))
        return expiries, second, third

    def ids(self) -> list[int]:
        """Instruments of the vols: runs as long as they can be, so that there is one way to write them."""
        ids = list[int]()
        for turn in range(self.count("runs of vols", MAX_VOLS)):
            skipped, length = self.natural("instruments skipped"), self.count("vols", MAX_VOLS - len(ids))
            if not length or (turn and not skipped):
                raise RiskInputError(f"inputs: run {turn + 1} of vols skips {skipped} instruments and has {length}: expected more than none")
            first = (ids[-1] if ids else 0) + 1 + skipped
            ids += range(first, first + length)
        return ids
