"""What is offered for gas: enough for the next block, enough to replace what waits, and never more than the most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straddle.l1.fees import GWEI, Fees, Market

MARKET = Market(10 * GWEI, GWEI)
prices = st.integers(0, 2_000 * GWEI)


def test_offers_in_place_of_an_unknown_price_end_at_a_few_times_the_markets() -> None:
    fees = MARKET.offer
    for _ in range(99):
        fees = MARKET.above(fees)
    assert 4 * MARKET.offer.gas <= fees.gas < 5 * MARKET.offer.gas and 4 * GWEI <= fees.tip < 5 * GWEI


def test_with_blobs_all_is_doubled() -> None:
    blobs = Market(GWEI, GWEI, GWEI)
    assert blobs.dearer(blobs.offer) == Fees(*(2 * item for item in (3 * GWEI, GWEI, 4 * GWEI)))


def test_blob_gas_that_grows_dear_by_itself_is_followed() -> None:
    """It may rise a thousandfold while gas stays as it is; each replacement doubles all three prices."""
    fees = Market(GWEI, GWEI // 100, GWEI).offer
    for price in (5, 25, 125):
        market = Market(GWEI, GWEI // 100, price * GWEI)
        assert not market.takes(fees)
        fees = market.dearer(fees)
        assert fees.blob_gas == 4 * price * GWEI and market.takes(fees)


@pytest.mark.parametrize(("fees", "taken"), [((11, 1), True), ((10, 1), False), ((9, 1), False), ((100, 0), False), ((100, 2), True)])
def test_what_the_next_block_takes(fees: tuple[int, int], taken: bool) -> None:
    assert MARKET.takes(Fees(fees[0] * GWEI, fees[1] * GWEI)) is taken


@given(base=prices, tip=st.integers(0, 50 * GWEI), blob=prices, had=st.tuples(prices, st.integers(0, 60 * GWEI), prices))
def test_a_replacement_is_dear_enough_for_a_node_and_within_the_most_or_is_none(base: int, tip: int, blob: int, had: tuple[int, int, int]) -> None:
    """Geth asks for a tenth more, and for twice as much of each with blobs."""
    market = Market(base, tip, blob)
    fees = Fees(max(had[0], had[1]), had[1], had[2] if blob else 0)
    for raised in (market.dearer(fees), market.above(fees)):
        percent = 200 if blob else 110
        old, new = ((item.gas, item.tip) + ((item.blob_gas,) if blob else ()) for item in (fees, raised))
        assert raised == fees or all(100 * after >= percent * before and after > before for before, after in zip(old, new, strict=True))
        assert raised == fees or raised.within(market.most)
        assert raised.gas >= raised.tip
    assert market.offer.within(market.most) and market.offer.gas >= market.offer.tip
