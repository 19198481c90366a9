"""Words of the listings chain, and what they add up to (docs/protocol/state.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from straddle.commitments.layout import DataError, Layout, unsigned
from straddle.core.instruments import BTC, Instrument, Kind, Retirement, Settlement
from straddle.primitives.hashing import ascii_element, sponge

EMPTY_LISTINGS_ROOT = ascii_element("straddle.listings")
WORDS_PER_GROUP = 14
KIND_SETTLEMENT, KIND_RETIREMENT = 5, 6

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
SETTLEMENT = Layout(unsigned("id", 32), unsigned("kind", 8), unsigned("underlying", 8), unsigned("zero", 48, bits=0), unsigned("value", 40, bits=39))
RETIREMENT = Layout(unsigned("id", 32), unsigned("kind", 8), unsigned("underlying", 8))

Listing = Instrument | Settlement | Retirement


@dataclass(slots=True)
class Listings:
    """What the listings chain says: every instrument ever listed, what settled ones are worth, which are retired."""

    root: int = EMPTY_LISTINGS_ROOT
    instruments: list[Instrument] = field(default_factory=list)
    """By id: 1, 2, 3, ..."""
    settled: dict[int, int] = field(default_factory=dict)
    """instrument id -> settlement value in ticks."""
    retired: set[int] = field(default_factory=set)
    words: list[tuple[Listing, ...]] = field(default_factory=list)
    """Of each batch that had any: what the root can be computed from again."""

    @property
    def tabled(self) -> tuple[Instrument, ...]:
        """The instruments of a risk table over these listings, ascending: those that are not retired. Row i (from 1) of the table is `tabled[i - 1]`."""
        return tuple(item for item in self.instruments if item.id not in self.retired)

    def copy(self) -> Listings:
        """An independent copy."""
        return Listings(self.root, list(self.instruments), dict(self.settled), set(self.retired), list(self.words))

    def extended(self, words: Sequence[Listing]) -> Listings:
        """The listings after a batch's words. DataError names a word that does not continue them; nothing is changed then."""
        new = self.copy()
        count = len(new.instruments) + sum(isinstance(item, Instrument) for item in words)
        for i, item in enumerate(words):
            where = f"listings[{i}]"
            if isinstance(item, Instrument):
                if item.id != len(new.instruments) + 1:
                    raise DataError(f"{where}.id: {item.id}, expected {len(new.instruments) + 1}")
                new.instruments.append(item)
                continue
            if not 1 <= item.instrument <= count:
                raise DataError(f"{where}.id: {item.instrument}, expected a listed instrument (1 to {count})")
            if isinstance(item, Settlement):
                new.settled[item.instrument] = item.value_ticks
            else:
                new.retired.add(item.instrument)
        new.root = extend_listings_root(self.root, words)
        if words:
            new.words.append(tuple(words))
        return new


def listing_word(item: Listing, where: str = "listing") -> int:
    """The packed word; DataError names a field that the protocol does not allow."""
    if isinstance(item, Settlement):
        _check_terms(where, item.instrument, item.underlying)
        return SETTLEMENT.pack(where, (item.instrument, KIND_SETTLEMENT, item.underlying, 0, item.value_ticks))
    if isinstance(item, Retirement):
        _check_terms(where, item.instrument, item.underlying)
        return RETIREMENT.pack(where, (item.instrument, KIND_RETIREMENT, item.underlying))
    _check_terms(where, item.id, item.underlying)
    terms = (item.expiry_ms, item.strike_ticks, item.tick_ticks, item.min_lots, item.position_cap_lots)
    return LISTING.pack(where, (item.id, int(item.kind), item.underlying, *terms))


def decode_listing(word: int, where: str = "listing") -> Listing:
    """What a word of the chain says."""
    kind = word >> 32 & 0xFF
    if kind == KIND_SETTLEMENT:
        identifier, _, underlying, _, value = SETTLEMENT.unpack(where, word)
        _check_terms(where, identifier, underlying)
        return Settlement(identifier, underlying, value)
    if kind == KIND_RETIREMENT:
        identifier, _, underlying = RETIREMENT.unpack(where, word)
        _check_terms(where, identifier, underlying)
        return Retirement(identifier, underlying)
    if kind not in tuple(Kind):
        raise DataError(f"{where}.kind: {kind}, expected 1 (call), 2 (put), 3 (perpetual), 4 (future), 5 (settlement) or 6 (retirement)")
    identifier, _, *terms = LISTING.unpack(where, word)
    instrument = Instrument(identifier, Kind(kind), *terms)
    _check_terms(where, instrument.id, instrument.underlying)
    return instrument


def extend_listings_root(root: int, items: Iterable[Listing]) -> int:
    """The chain's value after one batch's words: absorbed 14 at a time, the last group padded with zeros."""
    words = [listing_word(item, f"listings[{i}]") for i, item in enumerate(items)]
    for first in range(0, len(words), WORDS_PER_GROUP):
        group = words[first : first + WORDS_PER_GROUP]
        root = sponge("straddle.listings", [root, *group, *[0] * (WORDS_PER_GROUP - len(group))])
    return root


def _check_terms(where: str, identifier: int, underlying: int) -> None:
    """Exactly what the statement checks: a word that was proved must decode."""
    if identifier < 1:
        raise DataError(f"{where}.id: {identifier}, expected 1 or more")
    if underlying != BTC:
        raise DataError(f"{where}.underlying: {underlying}, expected {BTC} (BTC)")
