"""What waiting for one's money costs: a maker's capital in transit between venues, and the bonds of an operator whose batches wait for challenges."""

from __future__ import annotations

from dataclasses import dataclass

YEAR_S = 365 * 86_400
DAY_S = 86_400
RATE_A_YEAR = 0.10
"""Price of capital, a share a year: 0.1 is 10 %; `--rate` replaces it."""
RATE_MOST = 1.0
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
        if not (self.delay_s >= 0 and 0 <= self.rate_a_year <= RATE_MOST and self.moves_a_day > 0 and 0 < self.share_moved <= 1):
            raise ValueError(f"transit: {self}, expected a delay from 0 s, a rate from 0 to 1, moves above 0, a share above 0 up to 1")

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


@dataclass(frozen=True, slots=True)
class Bonds:
    """What an operator has at stake while its proposals wait, at a run's cadence: one bond for each proposal of a window."""

    bond_usd: float
    window_s: float
    batch_interval_s: float
    trades_a_batch: float
    proposals_most: int
    """That layer 1 lets stand at once."""
    rate_a_year: float = RATE_A_YEAR

    def __post_init__(self) -> None:
        if not (self.bond_usd >= 0 and self.window_s >= 0 and self.batch_interval_s > 0 and self.trades_a_batch > 0 and self.proposals_most > 0):
            raise ValueError(f"bonds: {self}, expected a bond and a window from 0, and an interval, trades and proposals above 0")

    @property
    def standing(self) -> float:
        """Proposals at any time (Little's law: rate x delay), as far as layer 1 lets them."""
        return min(self.window_s / self.batch_interval_s, self.proposals_most)

    @property
    def locked_usd(self) -> float:
        """Their bonds."""
        return self.standing * self.bond_usd

    @property
    def most_usd(self) -> float:
        """With as many proposals as layer 1 lets stand."""
        return self.proposals_most * self.bond_usd

    @property
    def yearly_cost_usd(self) -> float:
        """Price of the capital at this cadence."""
        return self.rate_a_year * self.locked_usd

    @property
    def cost_a_trade_usd(self) -> float:
        """The price of one bond for one window, over a batch's trades."""
        return self.rate_a_year * self.bond_usd * self.window_s / YEAR_S / self.trades_a_batch
