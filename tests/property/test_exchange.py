"""Random command sequences: money is conserved, refusals change nothing, the rule holds at any time, batches tie, replays agree (support.random_run)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.random_run import ACCOUNTS, LATER_MS, LEGS, PROTECTIONS, STATES, Run, seeded_run

account = st.sampled_from(ACCOUNTS)
order = st.fixed_dictionaries({
    "legs": st.sampled_from(LEGS),
    "buy": st.booleans(),
    "step": st.integers(-2, 2),
    "tens": st.sampled_from([1, 3, 10, 30, 60, 200, 0]),
    "flags": st.sampled_from([0, 0, 0, 0, 1, 1, 2, 4, 8, 9]),
    "nonce": st.sampled_from(["new", "new", "new", "last", "older"]),
    "minutes": st.sampled_from([60, 60, 2]),
    "fee_cap": st.sampled_from([5_000, 5_000, 270]),
})  # fmt: skip
action = st.one_of(
    st.tuples(st.just("trade"), account, st.lists(order, min_size=1, max_size=1)),
    st.tuples(st.just("trade"), account, st.lists(order, min_size=1, max_size=1)),
    st.tuples(st.just("trade"), account, st.lists(order, min_size=1, max_size=3)),
    st.tuples(st.just("trade"), account, st.lists(order, min_size=1, max_size=1)),
    st.tuples(st.just("trade"), account, st.lists(order, min_size=1, max_size=1)),
    st.tuples(st.just("epoch"), st.integers(-4, 40), st.sampled_from([0, 1, 3])),
    st.tuples(st.just("market"), st.sampled_from(STATES), st.sampled_from(LATER_MS)),
    st.tuples(st.just("protect"), account, st.sampled_from(PROTECTIONS)),
    st.tuples(st.just("deposit"), account, st.sampled_from([0, 1, 50])),
    st.tuples(st.just("withdraw"), account, st.sampled_from([1, 30, 1_000_000])),
    st.tuples(st.just("cancel"), account, st.integers(0, 3)),
    st.tuples(st.just("key"), account, st.booleans()),
    st.tuples(st.just("cut"), st.none(), st.none()),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(action, min_size=10, max_size=40))
def test_random_commands(actions: list[tuple[str, Any, Any]]) -> None:
    run = Run()
    for step in actions:
        run.step(*step)
    run.step("cut", None, None)
    run.replay()


@pytest.mark.parametrize("seed", range(12))
def test_long_random_runs(seed: int) -> None:
    seeded_run(seed, 200).replay()


def test_long_runs_reach_what_they_are_for() -> None:
    """Guards the generator: a quiet run would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in range(12, 24):
        run = seeded_run(seed, 250)
        seen["fills"] += sum(len(batch.fills) for batch in run.market.closed)
        for name, count in run.seen.items():
            seen[name] += count
    assert seen["fills"] > 250, seen
    for reason in ("immediate", "self_trade", "replaced", "amended", "min_nonce", "key_changed", "expired", "margin", "reduce_only", "protection"):
        assert seen[f"cancelled {reason}"] > 0, (reason, seen)
    for code in (
        "margin",
        "nonce_stale",
        "nonce_dead",
        "price_band",
        "size",
        "flags",
        "market_halted",
        "cancel_only",
        "reduce_only",
        "protection_frozen",
        "fill_or_kill",
        "post_only",
    ):
        assert seen[f"refused {code}"] > 0, (code, seen)
    assert seen["tripped"] > 5, seen
    for kind in ("combinations", "implied", "reduce-only fills"):
        assert seen[kind] > 5, (kind, seen)
