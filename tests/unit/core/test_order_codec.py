"""Orders as bytes by the kernel: the words that `messages` defines, and the journal's JSON; whatever is out of the ordinary is left to the definitions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kernels import compiled, reference

from straddle.core.messages import legs_word, order_terms
from straddle.core.orders import Leg, Order, Side, outright

CODEC = compiled.OrderCodec(Order)
RATIOS = st.integers(-127, 127).filter(bool)
LEGS = st.lists(st.builds(Leg, st.integers(0, 2**32 - 1), RATIOS), min_size=1, max_size=4).map(tuple)


def bits(count: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, (1 << count) - 1), st.sampled_from((0, 1, (1 << count) - 1)))


ORDERS = st.builds(Order, bits(64), bits(16), bits(48), bits(40), st.integers(-(2**39), 2**39 - 1), LEGS, st.sampled_from(tuple(Side)), bits(32), bits(7))
PLAIN = outright(5, 2, 1_590_000_000_000, 300, -7, 9, Side.BUY, 40, 9)


@settings(max_examples=300, deadline=None)
@given(st.lists(ORDERS, max_size=64).map(tuple))
def test_the_bytes_are_those_of_the_definitions(orders: tuple[Order, ...]) -> None:
    words = [word for order in orders for word in (order_terms(order), legs_word(order.legs))]
    assert CODEC.words(orders) == b"".join(word.to_bytes(32, "big") for word in words)
    assert CODEC.json(orders) == msgspec.json.encode(orders, order="sorted")
    assert reference.OrderCodec(Order).words(orders) is None and reference.OrderCodec(Order).json(orders) is None


LARGEST = Order(2**64 - 1, 65535, 2**48 - 1, 2**40 - 1, -(2**39), (Leg(2**32 - 1, -127),) * 4, Side.BUY, 2**32 - 1, 127)


def test_the_longest_set_has_room() -> None:
    assert CODEC.json((LARGEST,) * 64) == msgspec.json.encode((LARGEST,) * 64, order="sorted")
    assert CODEC.words(()) == b"" and CODEC.json(()) == b"[]"


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": 2**64},
        {"nonce": -1},
        {"nonce": "5"},
        {"revision": 2**16},
        {"revision": True},
        {"expiry_ms": 2**48},
        {"size_lots": -1},
        {"size_lots": 2**40},
        {"limit_ticks": 2**39},
        {"limit_ticks": -(2**39) - 1},
        {"limit_ticks": 2**200},
        {"fee_cap": 2**32},
        {"side": 2},
        {"side": None},
        {"flags": 128},
        {"legs": ()},
        {"legs": [Leg(1, 1)]},
        {"legs": (Leg(1, 1),) * 5},
        {"legs": (Leg(2**32, 1),)},
        {"legs": (Leg(-1, 1),)},
        {"legs": (Leg(1, 0),)},
        {"legs": (Leg(1, 128),)},
        {"legs": (Leg(1, -128),)},
        {"legs": (Leg(1, -(2**63)),)},
        {"legs": ((1,),)},
        {"legs": (None,)},
    ],
)
def test_what_does_not_fit_is_left(change: dict[str, Any]) -> None:
    orders = (PLAIN, replace(PLAIN, **change))
    assert CODEC.words(orders) is None and CODEC.json(orders) is None


@pytest.mark.parametrize("orders", [None, 5, [PLAIN], (PLAIN, None), (object(),)])
def test_what_are_no_orders_is_left(orders: object) -> None:
    assert CODEC.words(orders) is None and CODEC.json(orders) is None


def test_the_class_has_the_slots_of_an_order() -> None:
    with pytest.raises(TypeError, match="int: no slot nonce"):
        compiled.OrderCodec(int)
    with pytest.raises(TypeError, match="expected a class"):
        compiled.OrderCodec(5)
