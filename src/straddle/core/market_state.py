"""Market states: what a trading key may do at a time. The engine's own caution; nothing of it is proved (docs/protocol/engine.md)."""

from __future__ import annotations

from enum import StrEnum

from straddle.core.orders import Side


class MarketState(StrEnum):
    """From free to shut; one for the whole rollup. Layer 1's queue, listings and epochs go on in all of them."""

    OPEN = "open"
    REDUCE_ONLY = "reduce_only"
    """Orders may only make positions smaller."""
    CANCEL_ONLY = "cancel_only"
    """Orders may only leave the market, and nothing is withdrawn. Also whenever the risk table is too old."""
    HALTED = "halted"
    """Nothing that a trading key signs is accepted."""


def strictest(*states: MarketState) -> MarketState:
    """The one of some states that shuts the market the furthest."""
    return max(states, key=list(MarketState).index)


def reducible_lots(position: int, side: Side) -> int:
    """Lots of a position that orders of `side` can close: none when they would add to it."""
    return max(0, -side.sign * position)
