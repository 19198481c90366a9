"""Makers whose cash covers only what their protection lets fill, under random traffic: whatever fills within limits leaves them IM, and money adds up.

Each step is audited (support.random_run): nobody who was carried before an order set is not afterwards, no maker of these is turned away for margin.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from support.market import CALL, PERPETUAL, PUT
from support.random_run import ACCOUNTS, LEGS, Run

from straddle.core.market_state import MarketState
from straddle.core.reservation import lots_left

MAKERS = ACCOUNTS[:2]
LIMITS = [(5_000, 500, 150, 0), (5_000, 500, 60, 0), (60_000, 500, 200, 0), (1, 0, 70, 0), (5_000, 500, 150, 2_000_000), (0, 0, 0, 0)]


def action(rng: Random) -> tuple[str, Any, Any]:
    """Makers quote far more than their limits on all books, the third account takes; time, tables and limits change."""
    kind = rng.choices(["quote", "take", "market", "protect", "epoch", "withdraw", "deposit", "cancel", "cut"], [25, 35, 15, 3, 3, 6, 1, 1, 2])[0]
    maker = rng.choice(MAKERS)

    def order(legs: dict[int, int], buy: bool, step: int, flags: int, nonce: str) -> dict[str, Any]:
        return {"legs": legs, "buy": buy, "step": step, "tens": rng.choice([2, 5, 10, 30, 60]), "flags": flags, "nonce": nonce, "minutes": 60, "fee_cap": 5_000}

    if kind == "quote":
        books = [rng.choice(({CALL: 1}, {PUT: 1}, {PERPETUAL: 1}, rng.choice(LEGS))) for _ in range(rng.choice([1, 2, 4]))]
        sides = [rng.random() < 0.5 for _ in books]
        return "trade", maker, [order(legs, buy, -1 if buy else 1, rng.choice([0, 0, 4]), "new" if rng.random() < 0.8 or i else "last")
                                for i, (legs, buy) in enumerate(zip(books, sides, strict=True))]  # fmt: skip
    if kind == "take":
        buy = rng.random() < 0.5
        taker = ACCOUNTS[2] if rng.random() < 0.85 else maker
        return "trade", taker, [order(rng.choice(LEGS), buy, 4 if buy else -4, 1, "new")]
    if kind == "protect":
        return kind, maker, rng.choice(LIMITS)
    choices: dict[str, tuple[Any, list[Any]]] = {
        "market": (MarketState.OPEN, [0, 1_000, 60_000, 60_000]),
        "epoch": (rng.choice([-2, 0, 1, 2]), [0, 1]),
        "withdraw": (maker, [1, 3, 10]),
        "deposit": (maker, [1, 3]),
        "cancel": (maker, [0, 3]),
        "cut": (None, [None]),
    }
    first, seconds = choices[kind]
    return kind, first, rng.choice(seconds)


def run(seed: int, steps: int) -> tuple[Run, Counter[str]]:
    rng, made, seen = Random(seed), Run(dollars=20), Counter[str]()
    made.step("deposit", ACCOUNTS[2], 1_000)
    made.step("market", MarketState.OPEN, 1_000)
    for maker in MAKERS:
        made.step("protect", maker, rng.choice(LIMITS[:3]))
    for _ in range(steps):
        made.step(*action(rng))
        exchange = made.exchange
        for maker in MAKERS:
            exposure, cash = exchange.exposures.get(maker), exchange.accounts[maker].cash
            if exposure is not None and maker in exchange.open_orders and lots_left(exchange.protections.get(maker), exchange.time_ms) is not None:
                seen["quoting"] += 1
                seen["on more than it has"] += exposure.reserved_surplus_scaled(cash) < 0
                seen["by prices that were kept"] += exposure.prices() is not None
    made.step("cut", None, None)
    seen["fills"] = sum(len(batch.fills) for batch in made.market.closed)
    return made, seen + made.seen


@pytest.mark.parametrize("seed", range(6))
def test_makers_on_their_limits_are_left_with_initial_margin(seed: int) -> None:
    made, seen = run(seed, 150)
    assert seen["fills"] > 15 and seen["on more than it has"] > seen["quoting"] // 3 > 15, seen
    made.replay()


def test_the_traffic_reaches_what_it_is_for() -> None:
    seen = Counter[str]()
    for seed in range(6, 10):
        seen += run(seed, 150)[1]
    for name in ("tripped", "cancelled margin", "refused margin", "implied", "combinations", "by prices that were kept"):
        assert seen[name] > 0, (name, seen)
