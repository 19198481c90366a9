from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.risk.funding import accrue
from straddle.risk.inputs import RiskInputError, RiskInputs
from straddle.risk.parameters import DEFAULT_PARAMETERS as PARAMETERS
from straddle.risk.successor import check_successor

HOUR = 3_600_000
NOW = 500_000 * HOUR
SOON, LATER = NOW + 25 * 60_000, NOW + 48 * HOUR
FIRST = RiskInputs(
    1,
    NOW,
    1_000_000,
    1_001_000,
    0,
    0,
    ((SOON, 1_000_000), (LATER, 1_000_500)),
    (),
    hours=(1_000_000,) * 25,
    windows=((SOON, 300_000, 3 * 10**11),),
    settlements=((NOW - 24 * HOUR, 990_000),),
)


def after(time_ms, **changes):
    cumulative, remainder = accrue(FIRST, time_ms, PARAMETERS)
    return replace(FIRST, epoch=2, time_ms=time_ms, cumulative_funding=cumulative, funding_remainder=remainder, **changes)


SECOND = after(NOW + 60_000, windows=((SOON, 360_000, 3 * 10**11 + 60_000 * 1_000_000),))


def test_what_follows_is_accepted():
    check_successor(FIRST, SECOND, PARAMETERS)
    settled = after(NOW + HOUR, forwards=((LATER, 1_000_000),), windows=(), settlements=(*FIRST.settlements, (SOON, 1_000_001)), hours=(1_000_000,) * 25)
    check_successor(FIRST, settled, PARAMETERS)
    check_successor(FIRST, replace(SECOND, settlements=()), PARAMETERS)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"cumulative_funding": SECOND.cumulative_funding + 1}, "funding"),
        ({"funding_remainder": SECOND.funding_remainder + 1}, "funding"),
        ({"epoch": 1}, "epoch"),
        ({"time_ms": NOW - 1}, "time_ms"),
        ({"scale_ppm": 1_000_001}, "scale_ppm = 1000001: expected 1000000"),
        ({"hours": (999_999,) * 25}, "hours"),
        ({"settlements": ((NOW - 24 * HOUR, 990_001),)}, "expected 990000 as before"),
        ({"forwards": ((NOW - 24 * HOUR, 5), *FIRST.forwards), "settlements": ()}, "have a settlement price"),
        ({"windows": ((SOON, 299_999, 3 * 10**11),)}, "settlement average"),
        ({"windows": ((SOON, 360_000, 3 * 10**11),)}, "settlement average"),
        ({"windows": ((SOON, 360_001, 4 * 10**11),)}, "settlement average"),
    ],
)
def test_what_does_not_follow_is_refused(change, match):
    with pytest.raises(RiskInputError, match=match):
        check_successor(FIRST, replace(SECOND, **change), PARAMETERS)
