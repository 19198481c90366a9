"""Money that was made or lost is seen, and looking for it does not take the writer's time each time that somebody asks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from support.emergencies import shorted
from support.market import DOLLARS

from straddle.core.state import Exchange
from straddle.node.chain import Observation
from straddle.node.conservation import MoneyCheck, money_of

DEPOSITED = 1_020_000 * DOLLARS


def seen(row: int = DEPOSITED, final: int = 0, deposits: tuple[tuple[int, int], ...] = ()) -> Observation:
    return Observation(9, final, final, row, deposits, cast(Any, None))


def test_what_layer_1_holds_is_what_the_accounts_own() -> None:
    exchange = shorted().exchange
    assert money_of(exchange, seen(), {}).error == 0 and money_of(exchange, seen(), {}).cash == DEPOSITED
    assert money_of(exchange, seen(DEPOSITED + 1), {}).error == 1
    assert money_of(exchange, None, {}) == replace(money_of(exchange, seen(), {}), vault_row=None, error=None)
    waiting, answered = (exchange.queue_pointer, 70), (exchange.queue_pointer - 1, 500)
    assert money_of(exchange, seen(DEPOSITED + 70, deposits=(answered, waiting)), {}).error == 0
    exchange.table = None
    assert money_of(exchange, seen(), {}).error == 0, "before the first table cash is all there is"


def test_withdrawals_are_on_their_way_until_their_batch_is_final() -> None:
    market = shorted()
    market.ok(market.withdraw(4, 30))
    batch = market.exchange.open_batch.number
    assert money_of(market.exchange, seen(), {}).error == 0
    market.cut()
    assert money_of(market.exchange, seen(), {batch: 30}).error == 0
    assert money_of(market.exchange, seen(DEPOSITED - 30, final=batch), {batch: 30}).error == 0


def test_accounts_are_valued_at_most_once_a_second() -> None:
    valued, now_s = list[int](), 0.0
    real = shorted().exchange

    def settled_side(number: int) -> tuple[int, dict[int, int]]:
        valued.append(number)
        return real.settled_side(number)

    exchange = cast(
        Exchange,
        SimpleNamespace(table=real.table, accounts=real.accounts, settled_side=settled_side, queue_pointer=real.queue_pointer, open_batch=real.open_batch),
    )
    check = MoneyCheck(lambda: now_s)
    first = check.look(exchange, seen(), {})
    assert first.error == 0 and len(valued) == len(real.accounts)
    now_s = 0.9
    assert check.look(exchange, seen(DEPOSITED + 5), {}) is first and len(valued) == len(real.accounts)
    now_s = 1.0
    assert check.look(exchange, seen(DEPOSITED + 5), {}).error == 5 and len(valued) == 2 * len(real.accounts)
