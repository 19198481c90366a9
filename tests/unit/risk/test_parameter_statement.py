"""Rates, auctions and fees at the ends of their ranges: what the engine does with them is a batch that can be proved, and its data give the state again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from straddle.core.fees import FeeSchedule
from straddle.core.params import Params
from straddle.core.state import Exchange
from straddle.proving.checker import check
from straddle.risk.market_parameters import AuctionTerms, MarginRates, MarketParameters
from straddle.risk.parameter_keys import KEYS
from tests.differential import histories
from tests.differential.scenes import PRESET

IM, MM, DISCOUNT, AUCTION_MS, TAKER, MAKER, CAP = (
    KEYS[section][name]
    for section, name in (
        ("margin", "k_im_bps"), ("margin", "k_mm_bps"), ("auction", "discount_bps"), ("auction", "auction_ms"),
        ("fees", "taker_bps"), ("fees", "maker_bps"), ("fees", "option_cap_bps"),
    )
)  # fmt: skip
MARKETS = {
    "all high": (IM.high, MM.high, DISCOUNT.high, AUCTION_MS.high, TAKER.high, MAKER.high, CAP.high),
    "all low": (IM.low, MM.low, DISCOUNT.low, AUCTION_MS.low, TAKER.low, MAKER.low, CAP.low),
    "far apart": (IM.high, MM.low, DISCOUNT.high, AUCTION_MS.low, TAKER.low, MAKER.high, CAP.low),
    "given away at once": (IM.low, MM.low, DISCOUNT.high, AUCTION_MS.low, TAKER.high, MAKER.low, CAP.low),
    "at once, at the usual margins": (10_000, 8_000, DISCOUNT.high, AUCTION_MS.low, 3, 1, 1_250),
}


@pytest.mark.parametrize("name", MARKETS)
def test_batches_at_the_ends_of_the_ranges_satisfy_the_statement(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    k_im, k_mm, discount, auction_ms, *fees = MARKETS[name]
    market = MarketParameters(MarginRates(k_im, k_mm), AuctionTerms(discount, auction_ms), FeeSchedule(*fees))

    def params(account_depth: int, slot_depth: int, *_: int, **__: int) -> Params:
        return Params(account_depth, slot_depth, k_im, k_mm, market.digest, discount, auction_ms)

    class Genesis:
        @staticmethod
        def genesis(**values: Any) -> Exchange:
            return Exchange.genesis(**values, fees=market.fees)

    monkeypatch.setattr(histories, "Params", params)
    monkeypatch.setattr(histories, "Exchange", Genesis)
    seen: Counter[str] = Counter()
    for seed in (0, 3, 5):
        history = histories.History(seed)
        for closed in history.batches(14):
            assert check(closed.posted.witness, PRESET) is None, (seed, closed.batch.number, check(closed.posted.witness, PRESET))
            bound = closed.posted.witness.header
            assert (bound.k_im_bps, bound.k_mm_bps, bound.discount_bps, bound.auction_ms) == (k_im, k_mm, discount, auction_ms)
            assert bound.risk_digest == market.digest
            for fill in closed.batch.fills:
                assert fill.taker_fee >= 0 and (fill.taker_fee == 0 or market.fees.taker_bps) and (fill.maker_fee == 0 or market.fees.maker_bps)
        seen += history.accepted
    assert seen["Trade"] and seen["AuctionBegun"], seen
