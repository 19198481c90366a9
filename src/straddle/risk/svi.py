"""One expiry's smile as raw SVI: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)), k = ln(strike / forward), w = total variance.

Gatheral, J. and Jacquier, A., "Arbitrage-free SVI volatility surfaces" (2014), gives w and the density condition g >= 0 used here.
The fit runs on (v, b, rho, m, sigma) with v = a + b sigma sqrt(1 - rho^2), the least total variance, so that w > 0 is a simple bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LOWER = np.array([1e-8, 0.0, -0.999, -3.0, 1e-3])
UPPER = np.array([25.0, 4.0, 0.999, 3.0, 5.0])
MIN_HALF_SPREAD = 0.0025
"""Half spreads below a quarter vol point weigh no more: the record's own rounding is of that size."""
ONE_SIDED_SCALE = 0.01
PRIOR_WEIGHT = 0.02
PENALTIES = (1e2, 1e4, 1e6)
"""Weights of the arbitrage penalties, tried in turn until the smile is free of arbitrage on the grid."""
PENALTY_MARGIN = 1e-4


@dataclass(frozen=True, slots=True)
class Slice:
    """A fitted smile and the time to expiry, in years, that its total variance is for."""

    years: float
    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def total_variance(self, k: Floats) -> Floats:
        """w at log-moneyness k."""
        u = k - self.m
        return self.a + self.b * (self.rho * u + np.sqrt(u * u + self.sigma**2))

    def vol(self, k: Floats) -> Floats:
        """Volatility (1 = 100 %) at log-moneyness k."""
        return np.sqrt(self.total_variance(k) / self.years)

    def density(self, k: Floats) -> Floats:
        """Gatheral's g: the risk-neutral density's sign. No butterfly arbitrage where it is >= 0."""
        return density_terms(np.array([self.a, self.b, self.rho, self.m, self.sigma]), k)[0]

    def flattened(self, part: float) -> Slice:
        """The smile mixed with the flat one through its own value at the money; part 1 is flat. Stays SVI."""
        level = float(self.total_variance(np.zeros(1))[0])
        return Slice(self.years, (1 - part) * self.a + part * level, (1 - part) * self.b, self.rho, self.m, self.sigma)

    def raised(self, by: float) -> Slice:
        """The smile with total variance higher by a constant."""
        return Slice(self.years, self.a + by, self.b, self.rho, self.m, self.sigma)


@dataclass(frozen=True, slots=True)
class Quotes:
    """Vol quotes of one expiry: log-moneyness, bid and ask vol; NaN where a side is absent."""

    k: Floats
    bid: Floats
    ask: Floats


def raw_terms(x: Floats, k: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """w, w', w'' and their derivatives (n, 5) by raw parameters (a, b, rho, m, sigma)."""
    a, b, rho, m, sigma = x
    u = k - m
    root = np.sqrt(u * u + sigma * sigma)
    zero, one = np.zeros_like(k), np.ones_like(k)
    w, w1, w2 = a + b * (rho * u + root), b * (rho + u / root), b * sigma**2 / root**3
    d0 = np.stack([one, rho * u + root, b * u, -w1, b * sigma / root], axis=1)
    d1 = np.stack([zero, rho + u / root, b * one, -w2, -b * u * sigma / root**3], axis=1)
    d2 = np.stack([zero, sigma**2 / root**3, zero, 3 * b * sigma**2 * u / root**5, 2 * b * sigma / root**3 - 3 * b * sigma**3 / root**5], axis=1)
    return w, w1, w2, d0, d1, d2


def density_terms(x: Floats, k: Floats) -> tuple[Floats, Floats]:
    """g and its derivatives (n, 5) by raw parameters."""
    w, w1, w2, d0, d1, d2 = raw_terms(x, k)
    tilt = 1 - k * w1 / (2 * w)
    g = tilt**2 - w1**2 / 4 * (1 / w + 0.25) + w2 / 2
    by_w = tilt * k * w1 / w**2 + w1**2 / (4 * w**2)
    by_w1 = -tilt * k / w - w1 / 2 * (1 / w + 0.25)
    return g, by_w[:, None] * d0 + by_w1[:, None] * d1 + d2 / 2


def _to_raw(p: Floats) -> tuple[Floats, Floats]:
    """Raw parameters and the 5 x 5 Jacobian of the change of variables."""
    v, b, rho, m, sigma = p
    root = np.sqrt(1 - rho * rho)
    raw = np.array([v - b * sigma * root, b, rho, m, sigma])
    jacobian = np.eye(5)
    jacobian[0] = [1, -sigma * root, b * sigma * rho / root, 0, -b * root]
    return raw, jacobian


@dataclass(frozen=True, slots=True)
class Problem:
    """Residuals and Jacobian of one expiry's fit: quotes by their spreads, a weak prior, penalties for arbitrage on a grid."""

    quotes: Quotes
    years: float
    grid: Floats
    floor: Floats
    """Total variance of the expiry before, on the grid."""
    prior: Floats
    penalty: float

    def residuals(self, p: Floats) -> Floats:
        """All residuals at p = (v, b, rho, m, sigma)."""
        return self._evaluate(p)[0]

    def jacobian(self, p: Floats) -> Floats:
        """Their analytic derivatives."""
        return self._evaluate(p)[1]

    def _evaluate(self, p: Floats) -> tuple[Floats, Floats]:
        raw, change = _to_raw(p)
        w, _, _, d_w, _, _ = raw_terms(raw, self.quotes.k)
        vol = np.sqrt(w / self.years)
        d_vol = d_w / (2 * self.years * vol)[:, None]
        offset, slope = self._quote_terms(vol)
        g, d_g = density_terms(raw, self.grid)
        w_grid, _, _, d_grid, _, _ = raw_terms(raw, self.grid)
        thin, low = np.minimum(g - PENALTY_MARGIN, 0), np.minimum(w_grid - self.floor * (1 + PENALTY_MARGIN), 0)
        scale = self.penalty / np.sqrt(len(self.grid))
        relative = scale / np.maximum(self.floor, 1e-6)
        spread = UPPER - LOWER
        parts = [offset, scale * thin, relative * low]
        derivatives = [slope[:, None] * d_vol, scale * (thin < 0)[:, None] * d_g, (relative * (low < 0))[:, None] * d_grid]
        residual = np.concatenate([*parts, PRIOR_WEIGHT * (p - self.prior) / spread])
        return residual, np.concatenate([np.concatenate(derivatives) @ change, PRIOR_WEIGHT * np.diag(1 / spread)])

    def _quote_terms(self, vol: Floats) -> tuple[Floats, Floats]:
        """Residual of each quote and its derivative by vol: distance to mid in half spreads, or only the excess over a lone side."""
        bid, ask = self.quotes.bid, self.quotes.ask
        both = ~np.isnan(bid) & ~np.isnan(ask)
        half = np.maximum((ask - bid) / 2, MIN_HALF_SPREAD)
        over, under = vol - ask, bid - vol
        offset = np.where(both, (vol - (bid + ask) / 2) / half, 0.0)
        slope = np.where(both, 1 / half, 0.0)
        above = np.isnan(bid) & (over > 0)
        below = np.isnan(ask) & (under > 0)
        offset = np.where(above, over / ONE_SIDED_SCALE, np.where(below, -under / ONE_SIDED_SCALE, offset))
        slope = np.where(above | below, 1 / ONE_SIDED_SCALE, slope)
        return offset, slope


def fit_slice(quotes: Quotes, years: float, grid: Floats, floor: Floats) -> Slice:
    """The smile nearest to the quotes, penalised where g < 0 or the total variance is below `floor` on the grid; `surface` does the final check.

    A robust loss keeps single stale quotes from bending the smile.
    """
    mids = np.nanmean(np.stack([quotes.bid, quotes.ask]), axis=0)
    level = float(np.median(mids)) ** 2 * years
    starts = [np.array([0.8 * level, level, rho, 0.0, width * min(1.0, 3 * np.sqrt(level) + 0.05)]) for rho, width in ((0.0, 0.3), (-0.4, 0.1), (0.4, 0.1))]
    fitted = Slice(years, level, 0.0, 0.0, 0.0, 1.0)
    for penalty in PENALTIES:
        found = [_solve(Problem(quotes, years, grid, floor, starts[0], penalty), start) for start in starts]
        _, x = min(found, key=lambda pair: pair[0])
        fitted = Slice(years, *(float(value) for value in _to_raw(x)[0]))
        if np.min(fitted.density(grid)) >= 0 and np.min(fitted.total_variance(grid) - floor) >= 0:
            break
        starts = [starts[0], x]
    return fitted


def _solve(problem: Problem, start: Floats) -> tuple[float, Floats]:
    # Imported here: it takes most of a second to load, and a surface that is kept (node/fitting.py) needs no fit.
    from scipy.optimize import least_squares

    inside = np.clip(start, LOWER + 1e-9, UPPER - 1e-9)
    found = least_squares(problem.residuals, inside, jac=problem.jacobian, bounds=(LOWER, UPPER), loss="soft_l1", x_scale="jac", max_nfev=400)
    return float(found.cost), found.x
