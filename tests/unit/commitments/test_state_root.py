"""Leaves, digests, chains and the genesis root, recomputed from docs/protocol/state.md and risk.md by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.commitments.accounts import AccountLeaf, empty_account, positions_digest, slot_leaf
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState
from straddle.commitments.listings import decode_listing, extend_listings_root, listing_word
from straddle.commitments.params import params_hash
from straddle.commitments.risk import risk_root, row_words
from straddle.core.accounts import Slot
from straddle.core.instruments import NEVER_MS, Instrument, Kind
from straddle.core.params import Params
from straddle.core.risk_table import SCENARIOS, RiskRow
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import compress, sponge

PARAMS = Params(3, 2, 10_000, 8_000, 77)
OPERATOR = 0xFEE
PERPETUAL = Instrument(1, Kind.PERPETUAL, 1, NEVER_MS, 0, 50, 10, 10**9)
ROW = RiskRow(1, 5, True, -6, 7, 8, 9, 10, 11, 12, tuple(range(-24, 24)))


def ascii_word(text: str) -> int:
    return int.from_bytes(text.encode(), "big")


def tree_root(leaves: list[int]) -> int:
    while len(leaves) > 1:
        leaves = [compress(left, right) for left, right in zip(leaves[::2], leaves[1::2], strict=True)]
    return leaves[0]


def test_genesis_root_by_hand() -> None:
    empty_orders = tree_root([compress(0, 0)] * 4)

    def leaf(owner: int) -> int:
        return sponge("straddle.account", [owner, 0, 0, 0, 0, 0, 0, ascii_word("straddle.positions"), empty_orders, 0, 0, 0, 0])

    accounts = tree_root([leaf(0), leaf(OPERATOR), leaf(OPERATOR), *[leaf(0)] * 5])
    hashed = sponge("straddle.params", [3, 2, 10_000, 8_000, 77])
    expected = sponge("straddle.state", [accounts, ascii_word("straddle.listings"), 0, 0, 0, hashed])
    assert CommittedState.genesis(PARAMS, OPERATOR).root == expected


def test_a_negative_cash_is_its_field_element() -> None:
    leaf = empty_account(2)._replace(cash=-5)
    assert leaf.hash == sponge("straddle.account", [*leaf[:6], MODULUS - 5, *leaf[7:]])


def test_every_field_of_a_leaf_counts() -> None:
    leaf = AccountLeaf(*range(1, 14))
    assert len({leaf.hash, *(leaf._replace(**{name: 99}).hash for name in leaf._fields)}) == 14


def test_positions_digest() -> None:
    start = ascii_word("straddle.positions")
    assert positions_digest({}) == start == positions_digest({4: 0})
    first = compress(start, 2 | (2**40 - 7) << 32)
    assert positions_digest({9: 2**40 - 1, 3: 0, 2: -7}) == compress(first, 9 | (2**41 - 1) << 32)
    with pytest.raises(DataError, match=r"position\.size"):
        positions_digest({1: 2**40})


def test_slot_leaf() -> None:
    assert slot_leaf(Slot(0, 0, 0)) == compress(0, 0)
    assert slot_leaf(Slot(5, 6, 7)) == compress(5 | 6 << 64, 7)


def test_listings_chain() -> None:
    word = 1 | 3 << 32 | 1 << 40 | NEVER_MS << 48 | 50 << 136 | 10 << 160 | 10**9 << 192
    assert listing_word(PERPETUAL) == word
    assert decode_listing(word) == PERPETUAL
    assert extend_listings_root(9, [PERPETUAL, PERPETUAL]) == compress(compress(9, word), word)
    with pytest.raises(DataError, match=r"listing\.underlying: 2"):
        listing_word(replace(PERPETUAL, underlying=2))


def test_risk_root_starts_at_the_listings() -> None:
    def signed(value: int) -> int:
        return value + 2**39

    words = [1 | 5 << 32 | 1 << 80 | signed(-6) << 88 | signed(7) << 128 | 8 << 168, 9 | 10 << 40 | 11 << 80 | 12 << 120]
    words += [sum(signed(ROW.deltas[6 * w + i]) << 40 * i for i in range(6)) for w in range(8)]
    assert row_words(ROW) == words
    assert risk_root(123, []) == 123
    assert risk_root(123, [ROW]) == sponge("straddle.risk", [123, *words])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (replace(ROW, value=2**39), r"instrument 1\.value"),
        (replace(ROW, band=2**39), r"instrument 1\.band"),
        (replace(ROW, short_mm=-1), r"instrument 1\.short_mm"),
        (replace(ROW, deltas=(*ROW.deltas[:-1], -(2**39))), r"instrument 1\.deltas\[47\]"),
        (replace(ROW, deltas=ROW.deltas[1:]), f"47 values, expected {SCENARIOS}"),
    ],
)
def test_risk_rows_out_of_range_are_named(row: RiskRow, message: str) -> None:
    with pytest.raises(DataError, match=message):
        risk_root(1, [row])


def test_risk_rows_ascend() -> None:
    with pytest.raises(DataError, match="strictly ascending"):
        risk_root(1, [replace(ROW, instrument=2), ROW])
    with pytest.raises(DataError, match="strictly ascending"):
        risk_root(1, [ROW, ROW])


@pytest.mark.parametrize("field", ["account_depth", "slot_depth", "k_im_bps", "k_mm_bps", "risk_digest"])
def test_every_parameter_is_hashed(field: str) -> None:
    assert params_hash(replace(PARAMS, **{field: getattr(PARAMS, field) + 1})) != params_hash(PARAMS)


@pytest.mark.parametrize("change", [{"account_depth": 25}, {"slot_depth": 0}, {"k_im_bps": 2**16}, {"risk_digest": 2**248}])
def test_parameters_out_of_range_are_named(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=rf"params\.{next(iter(change))}"):
        params_hash(replace(PARAMS, **change))
