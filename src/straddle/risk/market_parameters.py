"""Every number that an operator chooses for a market, as one value: read from a file (docs/reference/parameters.md), kept in the deployment's record, and bound
by layer 1 through its digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Self, get_type_hints

from eth_utils.crypto import keccak

from straddle.core.fees import FeeSchedule
from straddle.core.params import AUCTION_MS, DISCOUNT_BPS
from straddle.primitives.nesting import decode_record
from straddle.risk.listing import SIZE_REASONS, InstrumentSizes
from straddle.risk.listing_policy import POLICY_REASONS, ListingPolicy
from straddle.risk.parameter_keys import KEYS, check_ranges
from straddle.risk.parameters import REASONS as RISK_REASONS
from straddle.risk.parameters import RiskParameters, check_parameters


@dataclass(frozen=True, slots=True)
class MarginRates:
    """What part of the worst loss is margin."""

    k_im_bps: int = 10_000
    k_mm_bps: int = 8_000


@dataclass(frozen=True, slots=True)
class AuctionTerms:
    """How an account below its maintenance margin is sold."""

    discount_bps: int = DISCOUNT_BPS
    auction_ms: int = AUCTION_MS


@dataclass(frozen=True)
class MarketParameters:
    """All of it; each number's unit, range and meaning: `parameter_keys`. ValueError names section and key of one that cannot be used."""

    margin: MarginRates = field(default_factory=MarginRates)
    auction: AuctionTerms = field(default_factory=AuctionTerms)
    fees: FeeSchedule = field(default_factory=FeeSchedule)
    risk: RiskParameters = field(default_factory=RiskParameters)
    instruments: InstrumentSizes = field(default_factory=InstrumentSizes)
    listing: ListingPolicy = field(default_factory=ListingPolicy)

    def __post_init__(self) -> None:
        for name in KEYS:
            try:
                check_ranges(name, getattr(self, name))
                if name == "risk":
                    check_parameters(self.risk)
            except ValueError as error:
                raise ValueError(f"{name}.{error}") from None
        if self.margin.k_mm_bps > self.margin.k_im_bps:
            raise ValueError(f"margin.k_mm_bps = {self.margin.k_mm_bps}: expected at most margin.k_im_bps, {self.margin.k_im_bps}")
        self._check_ticks()

    def _check_ticks(self) -> None:
        """A band holds ten ticks each way at listing; one that holds none stops the trade, and ticks stay when the index, and with it the band, falls."""
        for name in ("band_index_bps", "linear_band_index_bps"):
            band_bps, tick_bps_e1 = getattr(self.risk, name), self.instruments.tick_bps_e1
            if tick_bps_e1 > band_bps:
                raise ValueError(f"instruments.tick_bps_e1 = {tick_bps_e1}: expected at most {band_bps}, a tenth of risk.{name} = {band_bps}")

    @cached_property
    def digest(self) -> int:
        """keccak256 of the canonical JSON (keys sorted, no spaces, integers only), lowest 248 bits: the `risk_digest` of docs/protocol/state.md."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return int.from_bytes(keccak(text.encode()), "big") % 2**248

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From the text of a file, which need not name every key: the others have their defaults. ValueError names what cannot be used."""
        return cls.from_plain(decode_record(text), whole=False)

    @classmethod
    def from_plain(cls, raw: Any, *, whole: bool = True) -> Self:
        """From decoded JSON. ValueError names what cannot be used; `whole`: a key that is missing, too."""
        _check_names("", raw, [item.name for item in fields(cls)], whole)
        kinds = get_type_hints(cls)
        return cls(**{name: _section(name, kinds[name], inner, whole) for name, inner in raw.items()})

    def differences(self, other: MarketParameters) -> list[str]:
        """What `other` has otherwise: 'section.key = own value, not other value'."""
        found, theirs = [], asdict(other)
        for section, values in asdict(self).items():
            changed = ((name, value, theirs[section][name]) for name, value in values.items() if value != theirs[section][name])
            found += [f"{section}.{name} = {_shown(value)}, not {_shown(its)}" for name, value, its in changed]
        return found

    def to_json(self) -> str:
        """All keys, a line each, as a file that gives them again."""
        sections = []
        for name, values in asdict(self).items():
            lines = ",\n".join(f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
            sections.append(f'  "{name}": {{\n{lines}\n  }}')
        return "{\n" + ",\n".join(sections) + "\n}\n"


DEFAULT_MARKET = MarketParameters()
LIST_MAX = 64
"""Numbers of a list: every table is made with all knots, by everybody who checks it."""
REASONS: Mapping[str, Mapping[str, str]] = {
    "margin": {
        "k_im_bps": "The loss itself: scenarios and floors hold what safety there is.",
        "k_mm_bps": "0.8: a fifth of the margin is there to be lost between the warning and the sale.",
    },
    "auction": {
        "discount_bps": "A quarter: an account at MM that is sold whole at the end still keeps three quarters of it.",
        "auction_ms": "Half an hour: several risk epochs, and short against the moves that MM is made for.",
    },
    "fees": {
        "taker_bps": "0.03 %, as Deribit's.",
        "maker_bps": "A third, to reward quotes.",
        "option_cap_bps": "12.5 % of the price, as Deribit's.",
    },
    "risk": RISK_REASONS,
    "instruments": SIZE_REASONS,
    "listing": POLICY_REASONS,
}
"""Section -> key -> why its default is what it is."""


def _section(name: str, kind: type[Any], raw: Any, whole: bool) -> Any:
    known = {item.name: getattr(getattr(DEFAULT_MARKET, name), item.name) for item in fields(kind)}
    _check_names(f"{name}.", raw, list(known), whole)
    for key, value in raw.items():
        if isinstance(known[key], tuple):
            if not isinstance(value, list) or not 0 < len(value) <= LIST_MAX or not all(type(part) is int for part in value):
                raise ValueError(f"{name}.{key} = {_shown(value)}: expected a list of integers, 1 to {LIST_MAX}")
        elif type(value) is not int:
            raise ValueError(f"{name}.{key} = {_shown(value)}: expected an integer")
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
    except ValueError as error:
        raise ValueError(f"{name}.{str(error).removeprefix(name + '.')}") from None


def _check_names(where: str, raw: Any, known: list[str], whole: bool) -> None:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where.rstrip('.') or 'the whole'}: {_shown(raw)}, expected an object with {', '.join(known)}")
    for name in raw:
        if name not in known:
            raise ValueError(f"{where}{name}: no such key, expected one of {', '.join(where + key for key in known)}")
    if whole and (missing := [where + name for name in known if name not in raw]):
        raise ValueError(f"{', '.join(missing)}: missing, expected every key")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else text[:200] + "..."
