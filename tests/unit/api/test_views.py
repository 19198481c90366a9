"""What the interface shows of an account and of auctions is what the engine goes by."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from support.emergencies import BANKRUPT, SOLVENT, bid, epoch, force_close, shorted
from support.market import BUY, CALL, Market
from support.reference import REFERENCE, documented

from straddle.api import views
from straddle.core.commands import InternalLiquidate
from straddle.core.events import TakenOver
from straddle.core.protection import ProtectionLimits
from straddle.core.rejections import RejectionCode

SHORT, LONG, BIDDER = 3, 4, 5


def begun(later_ms: int = 0, rows: Any = SOLVENT) -> Market:
    """The short account's auction, begun so long before the table in force, which has these rows."""
    market = shorted()
    epoch(market, row_1=SOLVENT)
    market.ok(InternalLiquidate(SHORT))
    if later_ms:
        market.cut()
        epoch(market, later_ms, row_1=rows)
    return market


def only(market: Market) -> dict[str, Any]:
    (found,) = views.auctions(market.exchange)
    return found


@pytest.mark.parametrize("later_ms", [0, 600_000, 300 * 60_000])
@pytest.mark.parametrize("paid_into", [False, True])
def test_the_price_of_the_whole_is_what_a_bid_pays(later_ms: int, paid_into: bool) -> None:
    """Also where the sequencer has to cut the batch for the bid: the auction began in it."""
    market = begun(later_ms)
    if paid_into:
        market.cut()
        market.ok(market.deposit(SHORT, 1))
    found = only(market)
    whole, auction = found["whole"], market.exchange.accounts[SHORT].auction
    assert auction is not None and (found["start_ms"], found["forced"], found["limit_bps"]) == auction
    assert found["age_ms"] == min(market.exchange.context.table.time_ms - auction.start_ms, market.exchange.params.auction_ms)
    assert found["equity"] == market.exchange.requirement_of(SHORT).equity < found["maintenance_margin"]
    command = bid(market, BIDDER, SHORT, 10_000, whole["payment"] - 1)
    if not later_ms and not paid_into:
        assert market.refused(command) is RejectionCode.BATCH_BOUNDARY
        market.cut()
    assert market.refused(command) is RejectionCode.BID_LIMIT
    (taken,) = market.ok(bid(market, BIDDER, SHORT, 10_000, whole["payment"]))
    assert isinstance(taken, TakenOver) and taken.payment == whole["payment"]
    assert taken.lots == tuple((leg["instrument"], leg["size_lots"]) for leg in whole["lots"])


def test_what_no_bid_can_take_has_no_price() -> None:
    bankrupt, recovered = begun(60_000, BANKRUPT), begun(60_000, {})
    assert only(bankrupt)["whole"] is None and only(bankrupt)["equity"] < 0
    assert only(recovered)["whole"] is None and only(recovered)["equity"] > only(recovered)["maintenance_margin"]
    assert bankrupt.refused(bid(bankrupt, BIDDER, SHORT, 10_000)) is RejectionCode.BANKRUPT
    assert recovered.refused(bid(recovered, BIDDER, SHORT, 10_000)) is RejectionCode.NOT_LIQUIDATABLE
    assert views.auctions(shorted().exchange) == []


def test_a_forced_close_is_for_sale_though_its_account_is_healthy() -> None:
    market = shorted()
    market.ok(force_close(market, SHORT, 500))
    found = only(market)
    assert found["forced"] and found["limit_bps"] == 500 and found["whole"]["payment"] < 0
    assert views.account(market.exchange, SHORT)["auction"] == {"start_ms": found["start_ms"], "forced": True, "limit_bps": 500}  # type: ignore[index]


def test_an_account_shows_the_nonces_that_its_next_messages_need_and_its_protection() -> None:
    market = shorted()
    market.ok(market.protect(LONG, 60_000, 1_000, 50, nonce=4))
    market.ok(market.withdraw(LONG, 5))
    market.submit(LONG, CALL, BUY, 19_000, 10)
    found = views.account(market.exchange, LONG)
    assert found is not None and found["auction"] is None and found["has_key"]
    assert found["action_nonce"] == market.exchange.accounts[LONG].action_nonce > 0
    assert (found["protection"]["nonce"], found["protection"]["frozen_until_ms"]) == (4, 0)
    assert found["protection"]["limits"]["quantity_lots"] == 50 and found["protection"]["quantity_lots"] == 0
    known = market.exchange.protections[LONG]
    market.exchange.protections[LONG] = replace(known, quantity_lots=7, frozen_until_ms=9)
    protection = views.account(market.exchange, LONG)["protection"]  # type: ignore[index]
    assert (protection["quantity_lots"], protection["frozen_until_ms"], protection["start_ms"]) == (7, 9, known.start_ms)
    market.exchange.time_ms = known.start_ms + 60_000
    protection = views.account(market.exchange, LONG)["protection"]  # type: ignore[index]
    assert (protection["quantity_lots"], protection["frozen_until_ms"], protection["start_ms"]) == (0, 9, known.start_ms + 60_000), "a new interval"
    assert isinstance(known.limits, ProtectionLimits) and views.account(market.exchange, BIDDER)["protection"] is None  # type: ignore[index]


def test_every_key_of_an_account_and_of_an_auction_is_documented() -> None:
    assert documented("api.md", "### An account") == list(views.account(begun().exchange, SHORT) or {})
    (row,) = (row for row in (REFERENCE / "api.md").read_text().splitlines() if row.startswith("| `/auctions` |"))
    found = only(begun())
    assert {*found, *found["whole"]} <= set(re.findall(r"`([^`]+)`", row))
