"""Which state the market is to be in: the strictest of what the prover, layer 1 and the recording allow, and of what its operator chose by hand.

The choice by hand is a file of the exchange's folder, which `straddle market` writes: whoever may write there has its keys too, and nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from straddle.core.market_state import MarketState, strictest
from straddle.node.clock import AFTERMATH_MS
from straddle.primitives.errors import Actionable
from straddle.primitives.files import write_atomically

FILE = "market.state"
"""In the exchange's folder: one of the four states. Without it nothing was chosen, which is the same as open."""
NOTICE_MS = 24 * 3_600_000
"""So long before the recording's end it is told, in market time."""
STATES = ", ".join(MarketState)


class ChoiceError(Actionable):
    """The file of the state chosen by hand holds no state."""


def choose(folder: Path, state: MarketState) -> None:
    """Choose a state by hand, for an exchange that runs or will run in a folder. OSError: it cannot be written."""
    write_atomically(folder / FILE, f"{state}\n".encode(), mode=0o600)


def chosen(folder: Path) -> MarketState:
    """The state chosen by hand. ChoiceError: malformed."""
    path = folder / FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return MarketState.OPEN
    try:
        return MarketState(text.decode().strip())
    except ValueError as error:  # also bytes that are no text
        raise ChoiceError(f"{path}: {text[:40]!r}, expected one of {STATES} (straddle market)") from error


class ByHand:
    """The operator's choice, as it changes while the exchange runs."""

    def __init__(self, folder: Path) -> None:
        """ChoiceError: malformed. Nobody starts a market that was perhaps to be halted."""
        self._folder = folder
        self.state = chosen(folder)
        self.problem = ""
        """Why the file could not be read; the last choice that could holds."""

    def look(self) -> MarketState:
        """The choice as it is now."""
        try:
            self.state, self.problem = chosen(self._folder), ""
        except (ChoiceError, OSError) as error:
            self.problem = f"market: {error}; {self.state} holds"
        return self.state


class Allowed(NamedTuple):
    """A state and why it is not open."""

    state: MarketState
    reason: str = ""


OPEN = Allowed(MarketState.OPEN)


@dataclass(slots=True)
class Circumstances:
    """What the market's surroundings allow."""

    lag_max: int
    """Closed batches that layer 1 has not verified, from which on nothing enters that would have to be proved; with half of them verified it opens again."""
    end_ms: int
    """The recording's end."""
    closing_ms: int
    """So long before it positions are only closed."""
    lagging: bool = False
    _told_end: bool = field(default=False, init=False)

    def look(self, now_ms: int, lag: int, trouble: str) -> Allowed:
        """At a moment of the market. `trouble`: why layer 1 is lost until a restart, empty when it is not."""
        self.lagging = lag >= self.lag_max if not self.lagging else lag > self.lag_max // 2
        lagging = Allowed(MarketState.CANCEL_ONLY, f"{lag} batches wait for their proofs (batches.lag_max = {self.lag_max})") if self.lagging else OPEN
        lost = Allowed(MarketState.CANCEL_ONLY, trouble) if trouble else OPEN
        found = (lost, self._recording(now_ms), lagging)
        state = strictest(*(allowed.state for allowed in found))
        return next(allowed for allowed in found if allowed.state is state)

    def is_over(self, now_ms: int) -> bool:
        """Whether the recording has ended, its aftermath too."""
        return now_ms >= self.end_ms + AFTERMATH_MS

    def _recording(self, now_ms: int) -> Allowed:
        if self.is_over(now_ms):
            return Allowed(MarketState.CANCEL_ONLY, f"the recording ended at {moment(self.end_ms)}, and layer 1 takes no batch on its last table any more")
        if now_ms >= self.end_ms:
            shut = f"positions can be closed and money withdrawn for {AFTERMATH_MS // 60_000} minutes"
            return Allowed(MarketState.REDUCE_ONLY, f"the recording has ended: no more epochs; {shut}")
        if now_ms >= self.end_ms - self.closing_ms:
            return Allowed(MarketState.REDUCE_ONLY, f"the recording ends at {moment(self.end_ms)}: close positions and withdraw")
        return OPEN

    def notice(self, now_ms: int) -> str:
        """What is to be told once, ahead of the recording's end; mostly nothing."""
        if self._told_end or not self.end_ms - NOTICE_MS <= now_ms < self.end_ms:
            return ""
        self._told_end = True
        return (
            f"the recording ends at {moment(self.end_ms)} of the market: reduce-only from {moment(self.end_ms - self.closing_ms)} on, and nothing can be "
            "withdrawn afterwards but through layer 1's freeze"
        )


def moment(time_ms: int) -> str:
    """A time of the market for people."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
