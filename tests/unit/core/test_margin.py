from __future__ import annotations

import pytest
from support.market import CALL, PERPETUAL, PUT, scenarios, table

from straddle.core.margin import Requirement, Rule, check_rule, requirement, rule_met, sweep, withdrawable
from straddle.core.params import Params

PARAMS = Params(20, 12, 10_000, 8_000)
TABLE = table(row_1={"deltas": scenarios((0, -7_000), (1, 3_000)), "value": 20_000, "long_im": 10, "long_mm": 5, "short_im": 900, "short_mm": 700},
              row_3={"deltas": scenarios((0, 9_000), (1, -4_000))})  # fmt: skip


def test_long_option_by_hand() -> None:
    valued = requirement(1_000_000, {CALL: 100}, TABLE, PARAMS)
    assert valued == Requirement(1_000_000 + 2_000_000, 10_000 * (700_000 + 1_000), 8_000 * 700_000 + 10_000 * 500, 1_000_000)


def test_short_option_by_hand() -> None:
    valued = requirement(1_000_000, {CALL: -100}, TABLE, PARAMS)
    assert valued == Requirement(-1_000_000, 10_000 * (300_000 + 90_000), 8_000 * 300_000 + 10_000 * 70_000, -1_000_000)


def test_linear_value_is_settled() -> None:
    valued = requirement(0, {PERPETUAL: 10}, TABLE, PARAMS)
    assert valued.equity == valued.settled == 10 * 899_000


@pytest.mark.parametrize(
    ("positions", "loss", "charges"),
    [
        ({CALL: 100, PERPETUAL: 50}, 700_000 - 450_000, 1_000 + 100_000),
        ({CALL: 100, PERPETUAL: 70}, 700_000 - 630_000, 1_000 + 140_000),
        ({CALL: 100, PERPETUAL: 100}, 100_000, 1_000 + 200_000),
        ({}, 0, 0),
    ],
)
def test_scenarios_add_across_instruments(positions: dict[int, int], loss: int, charges: int) -> None:
    assert requirement(0, positions, TABLE, PARAMS).im_scaled == 10_000 * (loss + charges)


def test_sweep_values_each_account() -> None:
    accounts = [(5, {CALL: 100}), (-7, {}), (10**12, {PUT: -3, PERPETUAL: 4})]
    valued = sweep(accounts, TABLE, PARAMS)
    assert valued == [requirement(*account, TABLE, PARAMS) for account in accounts] and {type(item) for item in valued} == {Requirement}
    assert [item.surplus_scaled for item in valued[:2]] == [10_000 * 2_000_005 - 10_000 * 701_000, -70_000]
    assert [item.maintenance_surplus_scaled for item in valued[:2]] == [10_000 * 2_000_005 - 8_000 * 700_000 - 10_000 * 500, -70_000]


def test_an_instrument_that_the_table_lacks_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="99"):
        requirement(0, {99: 1}, TABLE, PARAMS)
    with pytest.raises(ValueError, match=r"size: 1099511627776, expected -1099511627775 to 1099511627775"):
        requirement(0, {CALL: 2**40}, TABLE, PARAMS)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (Requirement(0, 50, 40, 0), Requirement(1, 10_000, 0, 0), Rule.COVERED),
        (Requirement(5, 100_000, 0, 0), Requirement(4, 90_000, 40_000, 0), Rule.SURPLUS_NOT_LOWERED),
        (Requirement(5, 100_000, 0, 0), Requirement(4, 90_001, 40_000, 0), None),
        (Requirement(5, 100_000, 0, 0), Requirement(4, 90_000, 40_001, 0), None),
        (Requirement(5, 100_000, 0, 0), Requirement(5, 100_000, 99_999, 0), Rule.RISK_NOT_RAISED),
        (Requirement(5, 100_000, 0, 0), Requirement(6, 100_001, 99_999, 0), None),
        (Requirement(5, 100_000, 0, 0), Requirement(6, 110_001, 60_000, 0), None),
        (Requirement(-5, 100_000, 0, 0), Requirement(-5, 99_999, 90_000, 0), Rule.RISK_NOT_RAISED),
    ],
)
def test_rule(old: Requirement, new: Requirement, rule: Rule | None) -> None:
    assert rule_met(old, new) is rule


def test_check_rule_counts_deposits_on_the_old_side() -> None:
    """Short 100: IM $0.39. A deposit that does not cover it must not excuse a loss."""
    assert check_rule(900_000, {CALL: -100}, 900_000, {CALL: -100}, TABLE, PARAMS) is Rule.RISK_NOT_RAISED
    assert check_rule(900_001, {CALL: -100}, 900_000, {CALL: -100}, TABLE, PARAMS) is None
    assert check_rule(0, {}, 2_390_000, {CALL: -100}, TABLE, PARAMS) is Rule.COVERED
    assert check_rule(2_389_999, {}, 2_389_999, {CALL: -100}, TABLE, PARAMS) is None


@pytest.mark.parametrize(
    ("valued", "amount"),
    [(Requirement(10, 50_001, 0, 9), 4), (Requirement(10, 50_000, 0, 9), 5), (Requirement(10, 50_000, 0, 3), 3), (Requirement(10, 50_000, 0, -3), 0),
     (Requirement(4, 50_000, 0, 9), 0)],
)  # fmt: skip
def test_withdrawable(valued: Requirement, amount: int) -> None:
    assert withdrawable(valued) == amount
