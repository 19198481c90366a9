from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from support.market import BUY, CALL, NANO, PUT, SELL, Market

from straddle.core.capacity import Additions, Capacity, first_overflow, fits, trades_overflow
from straddle.core.params import Limits, Params
from straddle.core.state import Exchange

PRESETS = json.loads((Path(__file__).resolve().parents[3] / "native/circuit/presets.json").read_text())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_of_the_repository(name: str) -> None:
    capacity = Capacity.of_preset(PRESETS[name])
    assert {field.name: getattr(capacity, field.name) for field in fields(Capacity)} == {
        table: rows for table, rows in PRESETS[name].items() if not table.endswith("_depth")
    }


@pytest.fixture
def market() -> Market:
    """Four accounts have rows: 3, 4 (one fill), 1 (its fee) and 5 (a deposit)."""
    market = Market(NANO)
    market.join(3, 4, 5)
    market.submit(3, CALL, SELL, 20_000, 100)
    market.submit(3, PUT, SELL, 15_000, 100)
    market.submit(4, PUT, BUY, 15_000, 10)
    market.cut()
    market.submit(4, CALL, BUY, 20_000, 10)
    market.ok(market.deposit(5, 1))
    return market


USED = {"accounts": 4, "positions": 4, "signatures": 2, "orders": 2, "fills": 1, "queue": 1, "withdrawals": 0, "listings": 0, "legs": 2, "transfers": 0}
ADDITIONS = {
    "accounts": Additions(touched=(6,)),
    "positions": Additions(positions={5: {CALL: 1}}),
    "signatures": Additions(cancels=(3,)),
    "queue": Additions(queue=1),
    "withdrawals": Additions(withdrawals=1),
    "transfers": Additions(transfers=1),
    "listings": Additions(listings=1),
}


@pytest.mark.parametrize("table", ADDITIONS)
def test_every_table_is_counted_exactly(market: Market, table: str) -> None:
    """One more row of a table fits when the preset has USED + 1 of it, and not when it has USED."""
    roomy = replace(NANO, **{field.name: 100 for field in fields(NANO)})
    market.exchange.capacity = replace(roomy, **{table: USED[table] + 1})
    assert fits(market.exchange, ADDITIONS[table])
    market.exchange.capacity = replace(roomy, **{table: USED[table]})
    assert fits(market.exchange, Additions()) and first_overflow(market.exchange, ADDITIONS[table]) == table
    market.exchange.capacity = replace(roomy, signatures=USED["signatures"])
    for signed in (Additions(withdrawals=1), Additions(transfers=1), Additions(signatures=1)):
        assert first_overflow(market.exchange, signed) == "signatures"


@pytest.mark.parametrize("table", ["accounts", "positions", "signatures", "orders", "fills", "legs"])
def test_what_trading_uses_is_counted_exactly(market: Market, table: str) -> None:
    """The batch as it is fits a preset of exactly its rows, and not one of a row less."""
    roomy = replace(NANO, **{field.name: 100 for field in fields(NANO)})
    market.exchange.capacity = replace(roomy, **{table: USED[table]})
    assert not trades_overflow(market.exchange) and first_overflow(market.exchange) is None
    market.exchange.capacity = replace(roomy, **{table: USED[table] - 1})
    assert trades_overflow(market.exchange) and first_overflow(market.exchange) == table


def test_an_account_that_is_only_paid_into_has_no_position_rows(market: Market) -> None:
    market.cut()
    market.ok(market.deposit(3, 1))
    batch = market.exchange.open_batch
    assert market.exchange.accounts[3].positions and list(batch.start) == [3] and not batch.opened and market.exchange.usage.position_rows == 0
    market.submit(4, CALL, BUY, 20_000, 10)
    assert list(batch.opened) == [4, 3] and list(batch.start) == [3, 4, 1] and market.exchange.usage.position_rows == 4


def test_what_has_a_row_already_needs_no_other(market: Market) -> None:
    again = Additions(touched=(1, 3, 5), positions={3: market.exchange.accounts[3].positions})
    market.exchange.capacity = replace(NANO, **{name: max(count, 1) for name, count in USED.items()})
    assert fits(market.exchange, again) and len(market.exchange.open_batch.order_uses) == 2


def test_positions_at_the_start_count_even_when_closed(market: Market) -> None:
    market.cut()
    market.submit(3, CALL, BUY, 20_000, 10)
    market.submit(4, CALL, SELL, 20_000, 10)
    assert CALL not in market.exchange.accounts[4].positions and market.exchange.usage.position_rows == 4


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
