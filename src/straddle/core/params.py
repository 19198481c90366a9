"""The exchange's parameters: fixed while a rollup lives (`Params`) or chosen by its operator (`Limits`)."""

from __future__ import annotations

from dataclasses import dataclass

BPS = 10_000
"""Basis points in one."""

SIZE_LOTS_MAX = 2**40 - 1
"""Largest size of an order or position, in lots."""

TICKS_MAX = 2**39 - 1
"""Largest absolute value, mark, funding, scenario delta or limit, in ticks."""

TIME_MS_MAX = 2**48 - 1
"""Latest time, in unix milliseconds."""

CASH_MAX = 2**63 - 1
"""Largest absolute cash, in micro-dollars."""

POSITION_VALUE_BOUND = 2**52
"""|size| * max(|value|, |delta|) of a position stays below this (docs/protocol/state.md, Limits)."""

MAX_FILLS_PER_ORDER = 64
"""An order meets at most this many makers; what then still crosses the book is cancelled."""

DISCOUNT_BPS = 2_500
"""A quarter: an account at MM that is sold whole at the end of its auction still keeps three quarters of it, and the insurance fund is needed only after a
move that ate that much."""

AUCTION_MS = 30 * 60 * 1000
"""Half an hour is several risk epochs, so that takers see fresh tables, and short against the moves that MM is made for (a day)."""


@dataclass(frozen=True, slots=True)
class Params:
    """What params_hash commits to (docs/protocol/state.md)."""

    account_depth: int
    slot_depth: int
    k_im_bps: int
    k_mm_bps: int
    risk_digest: int = 0
    discount_bps: int = DISCOUNT_BPS
    """What an auction's discount rises to, as a share of the maintenance margin that the sale frees."""
    auction_ms: int = AUCTION_MS
    """How long it rises."""

    def __post_init__(self) -> None:
        for name, high in (("discount_bps", BPS), ("auction_ms", (1 << 32) - 1)):
            value = getattr(self, name)
            if not 0 < value <= high:
                raise ValueError(f"params.{name}: {value}, expected 1 to {high}")

    @property
    def accounts_max(self) -> int:
        """Accounts have ids below this."""
        return 1 << self.account_depth

    @property
    def slots(self) -> int:
        """Order slots of an account."""
        return 1 << self.slot_depth


@dataclass(frozen=True, slots=True)
class Limits:
    """The engine's own limits on one account; the circuit does not know them."""

    positions: int
    """P_max: instruments that an account may hold or have orders in."""
    open_orders: int = 1024
    """Orders that may rest at once."""
    table_age_ms_max: int = 15 * 60 * 1000
    """A risk table older than this by the sequencer's time makes the market cancel-only. Layer 1 takes no batch on an older one."""
