from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from support.market import BUY, CALL, NANO, PUT, ROOMY, SELL, Market

from straddle.core.capacity import Additions, Capacity, first_overflow, fits
from straddle.core.params import Limits, Params
from straddle.core.state import Exchange

PRESETS = json.loads((Path(__file__).resolve().parents[3] / "native/circuit/presets.json").read_text())


def test_presets_of_the_repository() -> None:
    assert Capacity.of_preset(PRESETS["nano"]) == NANO and Capacity.of_preset(PRESETS["demo"]) == ROOMY


@pytest.fixture
def market() -> Market:
    """Four accounts have rows: 1, 3, 4 (one fill) and 5 (a deposit)."""
    market = Market(NANO)
    market.join(3, 4, 5)
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(3, PUT, SELL, 15_000, 100)
    market.submit(4, PUT, BUY, 15_000, 10)
    market.cut()
    market.submit(4, CALL, BUY, 20_000, 10)
    market.ok(market.deposit(5, 1))
    return market


USED = {"accounts": 4, "positions": 4, "signatures": 2, "orders": 2, "fills": 1, "queue": 1, "withdrawals": 0, "listings": 0}


@pytest.mark.parametrize("table", USED)
def test_every_table_is_counted_exactly(market: Market, table: str) -> None:
    """One more row of a table fits when the preset has USED + 1 of it, and not when it has USED."""
    key = (9, 9, next(iter(market.exchange.usage.order_sets))[2])
    addition = {
        "accounts": Additions(positions={6: {}}),
        "positions": Additions(positions={5: {CALL: 1}}),
        "signatures": Additions(cancels=(3,)),
        "orders": Additions(order_uses=((9, 9, 0),)),
        "fills": Additions(fills=1),
        "queue": Additions(queue=1),
        "withdrawals": Additions(withdrawals=1),
        "listings": Additions(listings=1),
    }[table]
    roomy = replace(NANO, **{field.name: 100 for field in fields(NANO)})
    market.exchange.capacity = replace(roomy, **{table: USED[table] + 1})
    assert fits(market.exchange, addition)
    market.exchange.capacity = replace(roomy, **{table: USED[table]})
    assert fits(market.exchange, Additions()) and first_overflow(market.exchange, addition) == table
    market.exchange.capacity = replace(roomy, signatures=USED["signatures"])
    assert first_overflow(market.exchange, Additions(order_sets=(key,))) == first_overflow(market.exchange, Additions(withdrawals=1)) == "signatures"


def test_what_has_a_row_already_needs_no_other(market: Market) -> None:
    batch, usage = market.exchange.open_batch, market.exchange.usage
    again = Additions(positions={3: market.exchange.accounts[3].positions}, order_uses=tuple(usage.order_uses), order_sets=tuple(usage.order_sets))
    market.exchange.capacity = replace(NANO, **{name: max(count, 1) for name, count in USED.items()})
    assert fits(market.exchange, again) and len(batch.order_uses) == 2


def test_positions_at_the_start_count_even_when_closed(market: Market) -> None:
    market.cut()
    usage = market.exchange.usage
    market.submit(3, CALL, BUY, 20_000, 10)
    market.submit(4, CALL, SELL, 20_000, 10)
    usage = market.exchange.usage
    assert CALL not in market.exchange.accounts[4].positions and usage.positions == {4: 2, 3: 2, 1: 0} and usage.position_rows == 4


@pytest.mark.parametrize("positions", [0, 7])
def test_genesis_refuses_limits_that_no_batch_can_prove(positions: int) -> None:
    with pytest.raises(ValueError, match=r"limits\.positions: \d, expected 1 to 6"):
        Exchange.genesis(domain=1, operator=1, params=Params(8, 4, 10_000, 8_000), capacity=NANO, limits=Limits(positions))


def test_genesis() -> None:
    exchange = Exchange.genesis(domain=1, operator=0xABC, params=Params(8, 4, 10_000, 8_000), capacity=NANO)
    assert {account.id: account.owner for account in exchange.accounts.values()} == {1: 0xABC, 2: 0xABC}
    assert exchange.open_batch.number == 1 and exchange.next_sequence == 1 and exchange.listing_count == 0
    with pytest.raises(ValueError, match="operator"):
        Exchange.genesis(domain=1, operator=0, params=Params(8, 4, 10_000, 8_000), capacity=NANO)
