"""The feed values of one risk epoch: what the oracles sign, what is published on layer 1, and all that the table is computed from."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass

from straddle.risk.pricing import MAX_FEED_PRICE_TICKS, MAX_VOL_BPS

MAGIC = b"SRI1"
MAX_FORWARDS = 1_024
MAX_VOLS = 16_384
MAX_FUNDING_TICKS = 2**38
"""The cumulative funding stays within this, so that value = mark - funding fits the row."""

_HEADER = struct.Struct(">4sQQIIqQH")
_FORWARD = struct.Struct(">QI")
_COUNT = struct.Struct(">H")
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
    """(expiry_ms, forward_ticks), ascending; the settlement price for an expiry that has passed."""
    vols: tuple[tuple[int, int], ...]
    """(instrument id, vol_bps) of every listed option, ascending."""

    def __post_init__(self) -> None:
        _expect("epoch", self.epoch, 0, 2**64 - 1)
        _expect("time_ms", self.time_ms, 0, 2**48 - 1)
        _expect("index_ticks", self.index_ticks, 1, MAX_FEED_PRICE_TICKS)
        _expect("perpetual_mark_ticks", self.perpetual_mark_ticks, 1, MAX_FEED_PRICE_TICKS)
        _expect("cumulative_funding", self.cumulative_funding, -MAX_FUNDING_TICKS, MAX_FUNDING_TICKS)
        _expect("funding_remainder", self.funding_remainder, 0, 2**64 - 1)
        _expect("number of forwards", len(self.forwards), 0, MAX_FORWARDS)
        _expect("number of vols", len(self.vols), 0, MAX_VOLS)
        for expiry_ms, forward in self.forwards:
            _expect("forward's expiry_ms", expiry_ms, 1, 2**48 - 1)
            _expect(f"forward of expiry {expiry_ms}", forward, 1, MAX_FEED_PRICE_TICKS)
        for instrument, vol in self.vols:
            _expect("vol's instrument", instrument, 1, 2**32 - 1)
            _expect(f"vol of instrument {instrument}", vol, 1, MAX_VOL_BPS)
        _expect_ascending("forwards", [expiry for expiry, _ in self.forwards])
        _expect_ascending("vols", [instrument for instrument, _ in self.vols])


def _expect(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise RiskInputError(f"{name} = {value!r}: expected an integer from {low} to {high}")


def _expect_ascending(name: str, keys: list[int]) -> None:
    for before, after in itertools.pairwise(keys):
        if before >= after:
            raise RiskInputError(f"{name}: {after} after {before}: expected strictly ascending")


def encode_inputs(inputs: RiskInputs) -> bytes:
    """Big-endian: magic(4) epoch(8) time_ms(8) index(4) perpetual_mark(4) cumulative_funding(8, signed) funding_remainder(8),
    count(2) of (expiry_ms(8) forward(4)), count(2) of (instrument(4) vol_bps(2))."""
    parts = [
        _HEADER.pack(
            MAGIC,
            inputs.epoch,
            inputs.time_ms,
            inputs.index_ticks,
            inputs.perpetual_mark_ticks,
            inputs.cumulative_funding,
            inputs.funding_remainder,
            len(inputs.forwards),
        )
    ]
    parts += [_FORWARD.pack(*entry) for entry in inputs.forwards]
    parts.append(_COUNT.pack(len(inputs.vols)))
    parts += [_VOL.pack(*entry) for entry in inputs.vols]
    return b"".join(parts)


def decode_inputs(data: bytes) -> RiskInputs:
    """The inverse of `encode_inputs`; every byte string either decodes to inputs that encode to it, or is refused.

    Raises:
        RiskInputError: naming the field or the length that was expected.
    """
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise RiskInputError(f"inputs: {len(data)} bytes starting {bytes(data[:4])!r}: expected at least {_HEADER.size} starting {MAGIC!r}")
    _, epoch, time_ms, index, mark, funding, remainder, forward_count = _HEADER.unpack_from(data)
    vols_at = _HEADER.size + forward_count * _FORWARD.size
    if len(data) < vols_at + _COUNT.size:
        raise RiskInputError(f"inputs: {len(data)} bytes: expected at least {vols_at + _COUNT.size} for {forward_count} forwards")
    vol_count = _COUNT.unpack_from(data, vols_at)[0]
    expected = vols_at + _COUNT.size + vol_count * _VOL.size
    if len(data) != expected:
        raise RiskInputError(f"inputs: {len(data)} bytes: expected {expected} for {forward_count} forwards and {vol_count} vols")
    forwards = tuple((expiry, forward) for expiry, forward in _FORWARD.iter_unpack(data[_HEADER.size : vols_at]))
    vols = tuple((instrument, vol) for instrument, vol in _VOL.iter_unpack(data[vols_at + _COUNT.size :]))
    return RiskInputs(epoch, time_ms, index, mark, funding, remainder, forwards, vols)
