"""Listing words and the chain over them (docs/protocol/state.md)."""

from __future__ import annotations

from collections.abc import Iterable

from straddle.commitments.layout import DataError, Layout, unsigned
from straddle.core.instruments import BTC, Instrument, Kind
from straddle.primitives.hashing import ascii_element, compress

EMPTY_LISTINGS_ROOT = ascii_element("straddle.listings")

LISTING = Layout(
    unsigned("id", 32),
    unsigned("kind", 8),
    unsigned("underlying", 8),
    unsigned("expiry_ms", 48),
    unsigned("strike_ticks", 40),
    unsigned("tick_ticks", 24),
    unsigned("min_lots", 32),
    unsigned("position_cap_lots", 40),
)


def listing_word(instrument: Instrument, where: str = "listing") -> int:
    """The instrument's packed terms; DataError names a field that the protocol does not allow."""
    _check_terms(where, instrument)
    return LISTING.pack(
        where,
        (
            instrument.id,
            int(instrument.kind),
            instrument.underlying,
            instrument.expiry_ms,
            instrument.strike_ticks,
            instrument.tick_ticks,
            instrument.min_lots,
            instrument.position_cap_lots,
        ),
    )


def decode_listing(word: int, where: str = "listing") -> Instrument:
    """The instrument of a listing word."""
    identifier, kind, *terms = LISTING.unpack(where, word)
    if kind not in tuple(Kind):
        raise DataError(f"{where}.kind: {kind}, expected 1 (call), 2 (put) or 3 (perpetual)")
    instrument = Instrument(identifier, Kind(kind), *terms)
    _check_terms(where, instrument)
    return instrument


def extend_listings_root(root: int, instruments: Iterable[Instrument]) -> int:
    """The chain's value after more listings."""
    for instrument in instruments:
        root = compress(root, listing_word(instrument))
    return root


def _check_terms(where: str, instrument: Instrument) -> None:
    """Exactly what the statement checks: a listing that was proved must decode."""
    if instrument.id < 1:
        raise DataError(f"{where}.id: {instrument.id}, expected 1 or more")
    if instrument.underlying != BTC:
        raise DataError(f"{where}.underlying: {instrument.underlying}, expected {BTC} (BTC)")
