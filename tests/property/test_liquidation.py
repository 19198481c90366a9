"""Random portfolios on random, crashing and absurd prices: auctions fall through to fund and deleveraging, nothing is lost or made (support.emergency_run)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.audit_accounts import BatchAudit, audit_conservation
from support.emergencies import BANKRUPT, auctioned, bid, epoch, force_withdraw, next_table
from support.emergency_run import WEIGHTS, EmergencyRun, Step, seeded_run, wild_row
from support.market import BUY, CALL, DOLLARS, OPERATOR, PERPETUAL, PUT, SELL, Market

from straddle.core.commands import InternalDeleverage, InternalEpoch, InternalLiquidate
from straddle.core.fees import FeeSchedule
from straddle.core.params import CASH_MAX, TICKS_MAX
from straddle.core.rejections import RejectionCode

kinds = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
number = st.integers(0, (1 << 16) - 1)
steps = st.lists(st.tuples(st.sampled_from(kinds), number, number), min_size=10, max_size=40)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_random_emergencies(taken: list[Step]) -> None:
    run = EmergencyRun()
    for step in taken:
        run.step(*step)
    run.resolve()
    run.replay()


@pytest.mark.parametrize("seed", range(8))
def test_long_random_emergencies(seed: int) -> None:
    seeded_run(seed, 150).replay()


def test_runs_reach_what_they_are_for() -> None:
    """Guards the generator: a quiet run would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in range(8, 20):
        seen.update(seeded_run(seed, 150).seen)
    for name in ("taken by bid", "taken by fund", "deleveraged", "InternalSettle", "InternalDeliver", "L1ForceWithdraw", "L1ForceClose", "L2Transfer", "L2Bid"):
        assert seen[name] >= 3, (name, seen)
    for refusal in ("InternalLiquidate not_liquidatable", "InternalLiquidate margin", "InternalDeleverage no_counterparty", "L2Bid margin", "L2Bid bankrupt"):
        assert seen[refusal] > 0, (refusal, seen)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 1 << 32), st.integers(0, 31 * 60_000), st.sampled_from([0, 1, 100_000]), st.lists(st.sampled_from(["bid", "fund", "close"]), max_size=4))
def test_failure_2_any_table_that_is_accepted_can_be_liquidated_on(seed: int, later_ms: int, fund_dollars: int, order: list[str]) -> None:
    """Zero strikes, flat and absurd surfaces, no charges, huge ones: every command is answered, and who is bankrupt against a covered account is closed."""
    market = auctioned(BANKRUPT)
    if fund_dollars:
        market.ok(market.deposit(2, fund_dollars, owner=OPERATOR))
    tables, rng = next_table(market, later_ms), Random(seed)
    rows = tuple(replace(wild_row(rng, row), value=rng.choice([0, 1, 400_000, TICKS_MAX // 2])) for row in tables.rows)
    market.ok(InternalEpoch(replace(tables, rows=rows)))
    commands = {"bid": lambda: bid(market, 5, 3, 10_000), "fund": lambda: InternalLiquidate(3), "close": lambda: InternalDeleverage(3)}
    for name in (*order, "fund", "close"):
        outcome = market.do(commands[name]())
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            market.cut()
            outcome = market.do(commands[name]())
        assert outcome.rejection is None or outcome.rejection.code is not RejectionCode.BATCH_BOUNDARY
    market.cut()
    for batch in market.closed:
        BatchAudit(batch, market.exchange.params).run()
    audit_conservation(market.exchange, (1_020_000 + fund_dollars) * DOLLARS, 0)
    if market.exchange.requirement_of(3).equity < 0 and market.exchange.positions_of(3):
        assert market.exchange.requirement_of(4).surplus_scaled < 0 or market.exchange.positions_of(4) == {}


trade = st.tuples(st.booleans(), st.sampled_from([CALL, PUT, PERPETUAL]), st.integers(-100, 100), st.sampled_from([10, 1_000, 20_000, 100_000, 1_000_000]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(trade, min_size=1, max_size=8), st.integers(0, 47))
def test_failure_6_one_owner_of_two_accounts_nets_nothing(trades: list[tuple[bool, int, int, int]], scenario: int) -> None:
    """It trades with itself anywhere in the band, the market moves as far as any scenario, it is liquidated and takes out what it can: no more than it had."""
    market = Market(fees=FeeSchedule(0, 0, 0))
    market.join(3, 4, dollars=5_000)
    market.join(5, dollars=1_000_000)
    for buys, instrument, percent, lots in trades:
        row = market.exchange.context.table[instrument]
        price = (row.mark + row.band * percent // 100) // 50 * 50
        for account, side in ((3, BUY if buys else SELL), (4, SELL if buys else BUY)):
            market.submit(account, instrument, side, max(50, price), lots)
    for account in (3, 4):
        market.ok(market.cancel(account, 1 << 40))
    market.cut()
    out = sum(take_all(market, account) for account in (3, 4))
    market.cut()
    moved = {f"row_{row.instrument}": {"value": row.value + row.deltas[scenario]} for row in market.exchange.context.table}
    epoch(market, **moved)
    for _ in range(3):
        for account in (3, 4):
            market.do(InternalLiquidate(account))
        market.cut()
        epoch(market, 31 * 60_000, **moved)
        for account in (3, 4):
            market.do(InternalLiquidate(account))
            market.do(InternalDeleverage(account))
        market.cut()
    out += sum(take_all(market, account) for account in (3, 4))
    assert out <= 10_000 * DOLLARS and market.exchange.accounts[5].cash == 1_000_000 * DOLLARS
    assert market.exchange.requirement_of(2).equity >= 0


def take_all(market: Market, account: int) -> int:
    """Withdraws what may be withdrawn by force, which heeds no order and no auction."""
    market.ok(force_withdraw(market, account, CASH_MAX))
    return market.exchange.open_batch.forced[account]
