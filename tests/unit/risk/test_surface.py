from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from straddle.risk.csv_rows import Report
from straddle.risk.recording import Recording
from straddle.risk.surface import SurfaceError, fit_surface
from straddle.risk.svi import Problem, Quotes, Slice, density_terms, fit_slice, raw_terms
from straddle.risk.table import build_table

GRID = np.linspace(-1, 1, 201)


def chain_of(options):
    return Recording(tuple(options), Report("test"))


def test_the_recorded_chain_has_no_arbitrage_and_fits(recording, surface):
    assert len(surface.slices) == 7
    grid = np.linspace(-1.5, 1.8, 3_001)
    before = np.zeros_like(grid)
    for expiry, smile in surface.slices.items():
        assert smile.density(grid).min() >= 0, expiry
        assert (smile.total_variance(grid) >= before).all(), expiry
        before = smile.total_variance(grid)
    inside = sum(report.inside * report.two_sided for report in surface.reports) / sum(report.two_sided for report in surface.reports)
    assert inside > 0.9
    assert all(report.median_error < 0.015 and report.min_density >= 0 and report.calendar_gap >= 0 for report in surface.reports)
    assert all(report.flattened == report.raised == 0 for report in surface.reports)


def test_table_prices_are_near_the_recorded_mids(recording, inputs, instruments):
    """Values of the table against mids of narrow recorded books, in dollars: what all of this is for."""
    table = build_table(inputs, instruments)
    gaps = []
    for instrument, option in zip(instruments[1:], recording.options, strict=True):
        if option.bids and option.asks and option.asks[0].price_ticks - option.bids[0].price_ticks < 2_500:
            gaps.append(abs(table[instrument.id].value - (option.bids[0].price_ticks + option.asks[0].price_ticks) // 2))
    assert len(gaps) > 80
    assert np.median(gaps) < 500 and max(gaps) < 2_500


def test_jacobian_of_the_fit():
    draw = np.random.default_rng(3)
    quotes = Quotes(draw.normal(0, 0.3, 10), np.r_[draw.uniform(0.3, 0.6, 8), np.nan, 0.9], np.r_[draw.uniform(0.6, 0.9, 8), 0.2, np.nan])
    for _ in range(5):
        point = draw.uniform([0.01, 0.05, -0.8, -0.2, 0.05], [0.3, 1.0, 0.8, 0.2, 0.5])
        problem = Problem(quotes, 0.3, np.linspace(-1, 1, 21), np.full(21, 0.2), point * 0.9, 100.0)
        exact, numeric = problem.jacobian(point), approx_fprime(point, problem.residuals, 1e-7)
        assert np.abs(exact - numeric).max() < 1e-5 * np.abs(exact).max()


def test_density_derivatives():
    point = np.array([0.04, 0.4, -0.3, 0.1, 0.2])
    exact = density_terms(point, GRID)[1]
    numeric = approx_fprime(point, lambda p: density_terms(p, GRID)[0], 1e-7)
    assert np.abs(exact - numeric).max() < 1e-4 * np.abs(exact).max()
    w, w1, w2, *_ = raw_terms(point, GRID)
    assert np.allclose(np.gradient(w, GRID)[1:-1], w1[1:-1], atol=1e-3) and np.allclose(np.gradient(w1, GRID)[2:-2], w2[2:-2], atol=2e-2)


def test_density_matches_the_convexity_of_prices():
    """g >= 0 exactly where undiscounted calls are convex in the strike: checked on a smile with butterfly arbitrage (Gatheral and Jacquier, Axel Vogt's)."""
    from scipy.special import ndtr

    vogt = Slice(1.0, -0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
    k = np.linspace(-1.5, 1.5, 1_201)
    root = np.sqrt(vogt.total_variance(k))
    d1 = -k / root + root / 2
    call = ndtr(d1) - np.exp(k) * ndtr(d1 - root)
    slopes = np.diff(call) / np.diff(np.exp(k))
    arbitrage = np.diff(slopes) < -1e-9
    assert arbitrage.any() and (vogt.density(k) < 0).any()
    density = vogt.density(k)[1:-1]
    clear = np.abs(density) > 0.01
    assert ((density < 0) == arbitrage)[clear].all()


def test_a_known_smile_is_recovered():
    truth = Slice(0.25, 0.02, 0.3, -0.3, 0.05, 0.2)
    k = np.linspace(-0.6, 0.6, 25)
    fitted = fit_slice(Quotes(k, truth.vol(k) - 0.005, truth.vol(k) + 0.005), 0.25, GRID, np.zeros_like(GRID))
    assert np.abs(fitted.vol(k) - truth.vol(k)).max() < 0.002


def test_one_stale_quote_does_not_bend_the_smile():
    truth = Slice(0.25, 0.02, 0.3, -0.3, 0.05, 0.2)
    k = np.linspace(-0.6, 0.6, 25)
    mid = truth.vol(k)
    mid[12] += 0.3
    fitted = fit_slice(Quotes(k, mid - 0.005, mid + 0.005), 0.25, GRID, np.zeros_like(GRID))
    assert np.abs(np.delete(fitted.vol(k) - truth.vol(k), 12)).max() < 0.01


def test_one_sided_quotes_only_bound():
    truth = Slice(0.25, 0.1, 0.2, 0.0, 0.0, 0.3)
    k = np.linspace(-0.6, 0.6, 25)
    bid, ask = truth.vol(k) - 0.005, truth.vol(k) + 0.005
    bid[20:], ask[20:] = np.nan, 4.9
    fitted = fit_slice(Quotes(k, bid, ask), 0.25, GRID, np.zeros_like(GRID))
    assert np.abs(fitted.vol(k) - truth.vol(k)).max() < 0.01


def test_arbitrageable_quotes_are_repaired(recording):
    """Vogt-like quotes with butterfly arbitrage, and a far expiry quoted below the near one: the surface moves away from the quotes, never into arbitrage."""
    options = [option for option in recording.options if option.expiry_ms == 1_593_158_400_000]
    far = [replace(option, expiry_ms=1_601_020_800_000, bid_vol_bps=2_000, ask_vol_bps=2_100) for option in options]
    crooked = [replace(option, bid_vol_bps=9_000 if i % 2 else 4_000, ask_vol_bps=9_100 if i % 2 else 4_100) for i, option in enumerate(options)]
    surface = fit_surface(chain_of(crooked + far))
    near, later = surface.slices.values()
    grid = np.linspace(-1.4, 1.6, 1_001)
    assert near.density(grid).min() >= 0 and later.density(grid).min() >= 0
    assert (later.total_variance(grid) >= near.total_variance(grid) - 1e-9).all()


def test_flattening_and_raising():
    vogt = Slice(1.0, -0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
    assert vogt.flattened(1).density(GRID).min() == pytest.approx(1)
    assert vogt.flattened(0.5).vol(np.zeros(1)) == pytest.approx(vogt.vol(np.zeros(1)))
    assert np.allclose(vogt.raised(0.1).total_variance(GRID), vogt.total_variance(GRID) + 0.1)


def test_too_few_quotes_are_refused_by_expiry(recording):
    options = [replace(option, bid_vol_bps=None, ask_vol_bps=None) if option.expiry_ms == 1_590_220_800_000 else option for option in recording.options]
    surface = fit_surface(chain_of(options))
    ((expiry, reason),) = surface.refused
    assert expiry == 1_590_220_800_000 and "expiry_ms = 1590220800000: 0 vol quotes" in reason
    assert len(surface.slices) == len(surface.reports) == 6 and expiry not in surface.slices
    covered = surface.covered(chain_of(options))
    assert {option.expiry_ms for option in covered.options} == set(surface.slices) and len(covered.options) == 326 - 38


def test_a_chain_without_any_smile_is_refused(recording):
    with pytest.raises(SurfaceError, match="no expiry has a usable smile: expiry_ms = 1590134400000"):
        fit_surface(chain_of(replace(option, bid_vol_bps=None, ask_vol_bps=None) for option in recording.options))


def test_three_quotes_are_enough(recording):
    options = [option for option in recording.options if option.expiry_ms == 1_593_158_400_000 and option.bid_vol_bps][:3]
    surface = fit_surface(chain_of(options))
    assert surface.reports[0].max_error < 0.1


def test_vols_are_whole_basis_points_and_unknown_expiries_refused(surface):
    vol = surface.vol_bps(1_593_158_400_000, 900_000, 909_446)
    assert type(vol) is int and 8_000 < vol < 9_000
    assert surface.vol_bps(1_590_134_400_000, 10**9, 1) <= 50_000
    with pytest.raises(SurfaceError, match="expiry_ms = 5"):
        surface.vol_bps(5, 900_000, 909_446)
