"""Leaves, digests, chains and the genesis root, recomputed from docs/protocol/state.md and risk.md by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.commitments.accounts import AccountLeaf, auction_word, empty_account, leaf_hashes, positions_digest, positions_digests, slot_leaf, slot_leaves
from straddle.commitments.committed import empty_committed_account
from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState
from straddle.commitments.listings import Listings, decode_listing, extend_listings_root, listing_word
from straddle.commitments.params import params_hash
from straddle.commitments.risk import risk_root, row_words
from straddle.core.accounts import Account, Auction, Slot
from straddle.core.instruments import NEVER_MS, Instrument, Kind, Retirement, Settlement
from straddle.core.params import Params
from straddle.core.risk_table import SCENARIOS, RiskRow
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import compress, sponge

PARAMS = Params(3, 2, 10_000, 8_000, 77, discount_bps=2_500, auction_ms=1_800_000)
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
    hashed = sponge("straddle.params", [3, 2, 10_000, 8_000, 2_500, 1_800_000, 77])
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


def test_many_at_once_are_those_of_each() -> None:
    holdings = [{}, {9: 5, 3: 0, 2: -7}, {1: 1}, {4: 0}, {7: -1, 8: 2, 900: 3}]
    assert positions_digests(holdings) == [positions_digest(positions) for positions in holdings]
    assert positions_digests([]) == []
    leaves = [AccountLeaf(*range(i, i + 13))._replace(cash=-i) for i in range(20)]
    assert leaf_hashes(leaves) == [leaf.hash for leaf in leaves]
    slots = [Slot(i, 2 * i, 3 * i) for i in range(20)]
    assert slot_leaves(slots) == [slot_leaf(slot) for slot in slots]
    with pytest.raises(DataError, match=r"position\.size"):
        positions_digests([{}, {1: 2**40}])


def test_slot_leaf() -> None:
    assert slot_leaf(Slot(0, 0, 0)) == compress(0, 0)
    assert slot_leaf(Slot(5, 6, 7)) == compress(5 | 6 << 64, 7)


def test_listings_chain() -> None:
    word = 1 | 3 << 32 | 1 << 40 | NEVER_MS << 48 | 50 << 136 | 10 << 160 | 10**9 << 192
    assert listing_word(PERPETUAL) == word
    assert decode_listing(word) == PERPETUAL
    assert extend_listings_root(9, []) == 9
    assert extend_listings_root(9, [PERPETUAL, PERPETUAL]) == sponge("straddle.listings", [9, word, word, *[0] * 12])
    once = sponge("straddle.listings", [9, *[word] * 14])
    assert extend_listings_root(9, [PERPETUAL] * 14) == once
    assert extend_listings_root(9, [PERPETUAL] * 15) == sponge("straddle.listings", [once, word, *[0] * 13])
    with pytest.raises(DataError, match=r"listing\.underlying: 2"):
        listing_word(replace(PERPETUAL, underlying=2))


def test_settlements_and_retirements() -> None:
    settled, retired = 7 | 5 << 32 | 1 << 40 | 12_345 << 96, 7 | 6 << 32 | 1 << 40
    assert [listing_word(item) for item in (Settlement(7, 1, 12_345), Retirement(7, 1))] == [settled, retired]
    assert [decode_listing(word) for word in (settled, retired)] == [Settlement(7, 1, 12_345), Retirement(7, 1)]
    for item in (Settlement(0, 1, 1), Retirement(1, 2), Settlement(1, 1, -1), Settlement(1, 1, 2**39)):
        with pytest.raises(DataError, match=r"listing\.(id|underlying|value): "):
            listing_word(item)


def ids(listed: Listings) -> tuple[int, ...]:
    return tuple(item.id for item in listed.tabled)


def test_listings_add_up() -> None:
    listed = Listings().extended([PERPETUAL, replace(PERPETUAL, id=2), Settlement(1, 1, 5)])
    assert (ids(listed), listed.settled, listed.retired) == ((1, 2), {1: 5}, set())
    later = listed.extended([Retirement(1, 1), replace(PERPETUAL, id=3)])
    assert (ids(later), later.retired, len(later.instruments)) == ((2, 3), {1}, 3)
    assert ids(listed) == (1, 2)
    assert later.root == extend_listings_root(listed.root, [Retirement(1, 1), replace(PERPETUAL, id=3)])
    with pytest.raises(DataError, match=r"listings\[0\]\.id: 4, expected 3"):
        listed.extended([replace(PERPETUAL, id=4)])


def test_auction_word() -> None:
    assert auction_word(None) == 0
    assert auction_word(Auction(9, False, 0)) == 9
    assert auction_word(Auction(2**48 - 1, True, 2**14 - 1)) == 2**63 - 1
    with pytest.raises(DataError, match=r"auction\.limit_bps: 16384"):
        auction_word(Auction(1, True, 2**14))
    committed = empty_committed_account(3, 2)
    assert committed.updated(Account(3, auction=Auction(9, True, 5)), committed.orders).leaf.auction == 9 | 1 << 48 | 5 << 49


def test_risk_root_starts_at_the_listings() -> None:
    def signed(value: int) -> int:
        return value + 2**39

    words = [1 | 5 << 32 | 1 << 80 | signed(-6) << 88 | signed(7) << 128 | 8 << 168, 9 | 10 << 40 | 11 << 80 | 12 << 120]
    words += [sum(signed(ROW.deltas[6 * w + i]) << 40 * i for i in range(6)) for w in range(8)]
    assert row_words(ROW) == words
    assert risk_root(123, []) == 123
    assert risk_root(123, [ROW]) == sponge("straddle.risk", [123, *words])
    assert row_words(replace(ROW, settled=True))[0] == words[0] + (2 << 80)
    assert row_words(replace(ROW, settled=True, linear=False))[0] == words[0] + (1 << 80)


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


@pytest.mark.parametrize("field", ["account_depth", "slot_depth", "k_im_bps", "k_mm_bps", "discount_bps", "auction_ms", "risk_digest"])
def test_every_parameter_is_hashed(field: str) -> None:
    assert params_hash(replace(PARAMS, **{field: getattr(PARAMS, field) + 1})) != params_hash(PARAMS)


@pytest.mark.parametrize(
    "change", [{"account_depth": 25}, {"slot_depth": 0}, {"k_im_bps": 2**16}, {"auction_ms": 2**32}, {"discount_bps": 0}, {"risk_digest": 2**248}]
)
def test_parameters_out_of_range_are_named(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=rf"params\.{next(iter(change))}"):
        params_hash(replace(PARAMS, **change))
