from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest

from straddle.risk.parameters import DEFAULT_PARAMETERS
from straddle.risk.worst_loss import Finding, FloorStudy, floor_for, search, structures, study_floor, worst_by_kind

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def findings(inputs, instruments):
    return search(inputs, instruments)


def within(findings, instruments, inputs, days):
    by_id = {instrument.id: instrument for instrument in instruments}
    return [finding for finding in findings if min(by_id[leg].expiry_ms for leg, _ in finding.legs) <= inputs.time_ms + days * DAY_MS]


def test_all_kinds_are_searched(findings):
    assert set(worst_by_kind(findings)) == {
        f"{side} {kind}" for side in ("long", "short") for kind in ("vertical", "butterfly", "risk reversal", "calendar")
    } | {"short strangle"}
    assert len(findings) > 15_000


def test_the_default_floor_keeps_what_its_reason_says(findings, instruments, inputs):
    """The reason of short_floor_im_bps in `parameters.REASONS`, and the table of docs/reference/risk-table.md."""
    for days, ratio in ((1.5, 1.0), (15, 1.5), (36, 2.0), (300, 4.0)):
        assert 0.9 * ratio < max(finding.ratio for finding in within(findings, instruments, inputs, days)) <= ratio
    assert floor_for(within(findings, instruments, inputs, 1), 1.0, inputs.index_ticks) < DEFAULT_PARAMETERS.short_floor_im_bps[0]


def line(study: FloorStudy) -> str:
    """Its row on the page."""
    hours = study.minutes / 60
    time = f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
    ratios = " | ".join(f"{ratio:.2f}" for ratio in (study.worst.ratio, study.ratio_flat, study.ratio_bare))
    return f"| {time} | {study.floor_bps / 100:.2f} % | {ratios} | {study.needed_bps / 100:.2f} % |"


def test_the_page_shows_what_the_search_finds(findings, instruments, inputs):
    studies = study_floor(inputs, instruments)
    page = (Path(__file__).parents[3] / "docs/reference/risk-table.md").read_text()
    assert "\n".join(line(study) for study in studies) in page
    assert f"{len(findings):,} portfolios" in page
    assert max(study.worst.ratio for study in studies) == max(finding.ratio for finding in findings)
    assert all(study.ratio_bare > study.ratio_flat >= study.worst.ratio for study in studies)
    study = studies[-1]
    enough = search(inputs, instruments, replace(DEFAULT_PARAMETERS, short_floor_im_bps=(ceil(study.needed_bps),) * 4))
    assert 0.98 < max(finding.ratio for finding in enough if nearest(finding, instruments) == study.minutes * 60_000 + inputs.time_ms) <= 1.0


def nearest(finding, instruments):
    return min(instrument.expiry_ms for instrument in instruments if instrument.id in dict(finding.legs))


def test_without_the_floor_narrow_spreads_scan_to_nothing(inputs, instruments, findings):
    bare = search(inputs, instruments, replace(DEFAULT_PARAMETERS, short_floor_im_bps=(0, 0, 0, 0)))
    assert max(finding.ratio for finding in bare) > 50
    assert max(finding.ratio for finding in findings) < 4


def test_a_vertical_by_hand(findings, inputs, instruments):
    """A short call vertical loses its width less the credit, at or above its higher strike."""
    wanted = ("BTC_USDC-29MAY20-9000-C", "BTC_USDC-29MAY20-9500-C")
    (finding,) = [found for found in findings if found.kind == "short vertical" and found.names == wanted]
    from straddle.risk.table import build_table

    table = build_table(inputs, instruments)
    low, high = (table[leg] for leg, _ in finding.legs)
    assert finding.loss_ticks == 50_000 - (low.value - high.value)
    assert finding.scan_ticks == max(a - b for a, b in zip(low.deltas, high.deltas, strict=True))
    assert finding.floor_ticks == -(-inputs.index_ticks * 172 // 10_000) and finding.short_options == 1


def test_structures_are_balanced(instruments):
    seen = list(structures([instrument for instrument in instruments if not instrument.linear]))
    for kind, legs in seen:
        total = sum(lots for _, lots in legs)
        assert total == (-2 if kind == "short strangle" else 0)
    assert len(seen) == len(set(seen))


def test_floor_for_is_the_least_that_does():
    findings = [Finding("x", ((1, -1),), ("x",), 1_000, 100, 0, 1), Finding("y", ((1, -2),), ("y",), 1_000, 500, 0, 2)]
    floor = floor_for(findings, 2.0, 10_000)
    assert floor == pytest.approx(400)
    assert all(finding.loss_ticks <= 2.0 * (finding.scan_ticks + finding.short_options * floor * 10_000 / 10_000) for finding in findings)
