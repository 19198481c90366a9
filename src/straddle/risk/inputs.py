"""The feed values of one risk epoch: what the oracles sign, what is published on layer 1, and all that the table is computed from."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_VOL_BPS

MAGIC = b"SRI2"
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

_HEADER = struct.Struct(">4sQQIIqQI")
_COUNT = struct.Struct(">H")
_HOUR = struct.Struct(">I")
_FORWARD = struct.Struct(">QI")
_WINDOW = struct.Struct(">QIQ")
_ACTIVITY = struct.Struct(">QQQ")
_VOL = struct.Struct(">IH")


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
    """Big-endian: magic(4) epoch(8) time_ms(8) index(4) perpetual_mark(4) cumulative_funding(8, signed) funding_remainder(8) scale_ppm(4), then six lists,
    each after its count(2): hours(4); forwards: expiry_ms(8) ticks(4); windows: expiry_ms(8) observed_ms(4) fixed(8); settlements: expiry_ms(8) ticks(4);
    activity: expiry_ms(8) open_interest(8) traded(8); vols: instrument(4) vol_bps(2)."""
    header = _HEADER.pack(
        MAGIC,
        inputs.epoch,
        inputs.time_ms,
        inputs.index_ticks,
        inputs.perpetual_mark_ticks,
        inputs.cumulative_funding,
        inputs.funding_remainder,
        inputs.scale_ppm,
    )
    lists: tuple[tuple[struct.Struct, Iterable[tuple[int, ...]], int], ...] = (
        (_HOUR, ((ticks,) for ticks in inputs.hours), len(inputs.hours)),
        (_FORWARD, inputs.forwards, len(inputs.forwards)),
        (_WINDOW, inputs.windows, len(inputs.windows)),
        (_FORWARD, inputs.settlements, len(inputs.settlements)),
        (_ACTIVITY, inputs.activity, len(inputs.activity)),
        (_VOL, inputs.vols, len(inputs.vols)),
    )
    parts = [header]
    for layout, entries, count in lists:
        parts.append(_COUNT.pack(count))
        parts += [layout.pack(*entry) for entry in entries]
    return b"".join(parts)


def decode_inputs(data: bytes) -> RiskInputs:
    """The inverse of `encode_inputs`; every byte string either decodes to inputs that encode to it, or is refused.

    Raises:
        RiskInputError: naming the field or the length that was expected.
    """
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise RiskInputError(f"inputs: {len(data)} bytes starting {bytes(data[:4])!r}: expected at least {_HEADER.size} starting {MAGIC!r}")
    _, epoch, time_ms, index, mark, funding, remainder, scale = _HEADER.unpack_from(data)
    at = _HEADER.size

    def entries(name: str, layout: struct.Struct) -> list[tuple[int, ...]]:
        nonlocal at
        if len(data) < at + _COUNT.size:
            raise RiskInputError(f"inputs: {len(data)} bytes: expected at least {at + _COUNT.size}, with the number of {name}")
        start = at + _COUNT.size
        at = start + _COUNT.unpack_from(data, at)[0] * layout.size
        if len(data) < at:
            raise RiskInputError(f"inputs: {len(data)} bytes: expected at least {at}, with all {name}")
        return list(layout.iter_unpack(data[start:at]))

    hours = tuple(ticks for (ticks,) in entries("hours", _HOUR))
    forwards = tuple((expiry, ticks) for expiry, ticks in entries("forwards", _FORWARD))
    windows = tuple((expiry, observed_ms, fixed) for expiry, observed_ms, fixed in entries("windows", _WINDOW))
    settlements = tuple((expiry, ticks) for expiry, ticks in entries("settlements", _FORWARD))
    activity = tuple((expiry, interest, traded) for expiry, interest, traded in entries("activity", _ACTIVITY))
    vols = tuple((instrument, vol) for instrument, vol in entries("vols", _VOL))
    if len(data) != at:
        raise RiskInputError(f"inputs: {len(data)} bytes: expected {at}")
    return RiskInputs(epoch, time_ms, index, mark, funding, remainder, forwards, vols, scale, hours, windows, settlements, activity)
