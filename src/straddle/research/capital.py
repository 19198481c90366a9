"""What waiting for one's money costs: capital in transit, its yearly price, and how often it can be turned over between venues."""

from __future__ import annotations

from dataclasses import dataclass

YEAR_S = 365 * 86_400
DAY_S = 86_400
RATE_A_YEAR = 0.10
"""Price of capital; `--rate` replaces it."""
MOVES_A_DAY = 1.0
"""How often the market maker shifts collateral from this venue to another."""
SHARE_MOVED = 0.20
"""Share of the working capital that a shift carries."""


@dataclass(frozen=True, slots=True)
class Transit:
    """A maker who works with capital 1 on the venue, and shifts a share of it away several times a day; it comes back another way, as fast as a deposit."""

    delay_s: float
    """From the request to withdraw to money that can be spent on layer 1."""
    rate_a_year: float = RATE_A_YEAR
    moves_a_day: float = MOVES_A_DAY
    share_moved: float = SHARE_MOVED

    def __post_init__(self) -> None:
        if not (self.delay_s >= 0 and 0 <= self.rate_a_year <= 10 and self.moves_a_day > 0 and 0 < self.share_moved <= 1):
            raise ValueError(f"transit: {self}, expected a delay from 0 s, a rate from 0 to 10, moves above 0, a share above 0 up to 1")

    @property
    def locked(self) -> float:
        """Capital on its way at any time (Little's law: flow x delay), as a multiple of the working capital."""
        return self.moves_a_day * self.share_moved * self.delay_s / DAY_S

    @property
    def yearly_cost(self) -> float:
        """Price of what is locked, as a share of the working capital a year."""
        return self.rate_a_year * self.locked

    @property
    def cost_of_one_move_bps(self) -> float:
        """Price of one shift's delay in basis points of what is shifted."""
        return 10_000 * self.rate_a_year * self.delay_s / YEAR_S

    @property
    def turnover_a_year(self) -> float:
        """What is shifted in a year over all the capital that it takes, working and locked."""
        return 365 * self.moves_a_day * self.share_moved / (1 + self.locked)
