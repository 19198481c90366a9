"""Effects and body, to words and back, and every kind of refusal (docs/protocol/data.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.commitments.body import decode_body, encode_body
from straddle.commitments.cells import trimmed
from straddle.commitments.challenge import challenge, commitment, evaluate, genesis_header_hash, hash_words, header_hash
from straddle.commitments.data import AccountData, AuctionCode, Body, Effects, PositionData, SlotData, WithdrawalData
from straddle.commitments.effects import decode_effects, encode_effects
from straddle.commitments.layout import DataError
from straddle.commitments.preset import Preset
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1ForceClose, L1ForceWithdraw, L1SetKey
from straddle.core.instruments import Instrument, Kind, Retirement, Settlement
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import keccak256, sponge

PRESET = Preset(
    "small", 8, 4, accounts=4, positions=6, instruments=2, signatures=2, orders=5, legs=5, fills=2, queue=4, withdrawals=2, transfers=1, takeovers=1,
    deleverages=1, listings=5,
)  # fmt: skip
OWNER = 0xAB << 152
SLOTS_AT, POSITIONS_AT, LISTINGS_AT = 4, 8, 10
ROW, CELL = 145, 52
"""Bits of an order row and of a position row."""

EFFECTS = Effects(
    domain=2**248 - 1,
    batch_number=7,
    old_state_root=11,
    new_state_root=MODULUS - 1,
    epoch=3,
    time_ms=1_590_103_200_000,
    params_hash=5,
    risk_root=6,
    first_sequence=20,
    last_sequence=29,
    log_root=8,
    queue_first=4,
    queue=(
        L1Deposit(4, 3, OWNER, 2**63 - 1),
        L1SetKey(5, 3, OWNER, PublicKey(12, 13)),
        L1ForceWithdraw(6, 4, OWNER, 2**63 - 1),
        L1ForceClose(7, 4, OWNER, 10_000),
    ),
    withdrawals=(WithdrawalData(3, OWNER, 1), WithdrawalData(2**24 - 1, OWNER, 2**63 - 1)),
    paid=(77,),
)
CALL = Instrument(1, Kind.CALL, 1, 1_590_200_000_000, 900_000, 500, 1000, 10**6)
FUTURE = Instrument(2, Kind.FUTURE, 1, 1_590_200_000_000, 0, 500, 1000, 10**6)
BODY = Body(
    accounts=(
        AccountData(1, 0, 0, 0, has_positions=True, auction=AuctionCode.CLOSE_BEGUN),
        AccountData(3, -(2**63) + 1, 2**64 - 1, 5, has_positions=True, has_orders=True, auction=AuctionCode.ENDED),
        AccountData(2**24 - 1, 9, 0, 0, has_orders=True),
    ),
    slots=(SlotData(3, 4, 0, 7, 1), SlotData(3, 2**64 - 1, 2**16 - 1, 2**40 - 1, 2**24 - 1), SlotData(2**24 - 1, 9, 2, 1, 0), SlotData(2**24 - 1, 8, 0, 3, 9)),
    positions=(PositionData(1, 1, 0), PositionData(1, 2, -(2**40) + 1), PositionData(3, 1, 2**40 - 1), PositionData(3, 2, 5), PositionData(3, 1023, -1)),
    listings=(Settlement(7, 1, 2**39 - 1), CALL, Retirement(6, 1), FUTURE),
)


def test_effects_layout() -> None:
    words = encode_effects(EFFECTS, PRESET)
    assert len(words) == PRESET.effects_words == 10 + 3 * 4 + 2
    assert words[:4] == [2**248 - 1, 7, 11, MODULUS - 1]
    assert words[4:10] == [3 | 1_590_103_200_000 << 64, 5, 6, 20 | 29 << 64, 8, 4 | 4 << 64]
    assert words[10:13] == [1 | 3 << 8 | OWNER << 40 | 1 << 200, 2**63 - 1, 0]
    assert words[13:16] == [2 | 3 << 8 | OWNER << 40 | 1 << 200, 12, 13]
    assert words[16:19] == [3 | 4 << 8 | OWNER << 40 | 1 << 200, 2**63 - 1, 77]
    assert words[19:22] == [4 | 4 << 8 | OWNER << 40 | 1 << 200, 10_000, 0]
    assert words[22:] == [OWNER | 1 << 160 | 3 << 224, OWNER | (2**63 - 1) << 160 | (2**24 - 1) << 224]


def slot_bits(continues: int, slot: SlotData) -> int:
    return continues | slot.nonce << 1 | slot.revision << 65 | slot.filled << 81 | slot.offset << 121


def test_body_layout() -> None:
    words = encode_body(BODY, PRESET)
    assert len(words) == PRESET.body_words == 4 + 2 * 2 + 2 + 5
    assert words[0] == 1 | 1 << 24 | 0 << 25 | 3 << 26 | 2**63 << 28
    assert words[1] == 3 | 1 << 24 | 1 << 25 | 1 << 26 | 1 << 28 | (2**64 - 1) << 92 | 5 << 156
    assert words[2:4] == [2**24 - 1 | 0 << 24 | 1 << 25 | (2**63 + 9) << 28, 0]
    rows = [slot_bits(continues, slot) for continues, slot in zip((0, 1, 0, 1), BODY.slots, strict=True)]
    assert words[4] == rows[0] | (rows[1] % 2**65) << 145
    assert words[5] == rows[1] >> 65 | rows[2] << 80
    assert words[6:8] == [rows[3], 0]
    positions = [
        0 | 1 << 1 | 2**40 << 11,
        1 | 2 << 1 | 1 << 11,
        0 | 1 << 1 | (2**41 - 1) << 11,
        1 | 2 << 1 | (2**40 + 5) << 11,
        1 | 1023 << 1 | (2**40 - 1) << 11,
    ]
    assert words[8] == sum(row << 52 * k for k, row in enumerate(positions[:4]))
    assert words[9] == positions[4]
    assert words[10] == 7 | 5 << 32 | 1 << 40 | (2**39 - 1) << 96
    assert words[11] == 1 | 1 << 32 | 1 << 40 | 1_590_200_000_000 << 48 | 900_000 << 96 | 500 << 136 | 1000 << 160 | 10**6 << 192
    assert words[12] == 6 | 6 << 32 | 1 << 40
    assert words[13] == 2 | 4 << 32 | 1 << 40 | 1_590_200_000_000 << 48 | 500 << 136 | 1000 << 160 | 10**6 << 192
    assert words[14] == 0


def test_round_trip_with_and_without_trailing_zeros() -> None:
    assert decode_effects(encode_effects(EFFECTS, PRESET), PRESET) == EFFECTS
    assert decode_body(encode_body(BODY, PRESET), PRESET) == BODY
    short = Body(BODY.accounts[2:], BODY.slots[2:], (), ())
    posted = trimmed(encode_body(short, PRESET))
    assert len(posted) == 6
    assert decode_body(posted, PRESET) == short
    assert decode_body([], PRESET) == Body((), (), (), ())


def changed(words: list[int], at: int, change: Callable[[int], int]) -> list[int]:
    return [change(word) if i == at else word for i, word in enumerate(words)]


@pytest.mark.parametrize(
    ("at", "change", "message"),
    [
        (0, lambda _: 2**248, r"effects\[0\]\.domain"),
        (1, lambda _: 2**64, r"effects\[1\]\.batch_number"),
        (2, lambda _: MODULUS, r"effects\[2\].*expected a field element"),
        (3, lambda _: -1, r"effects\[3\]"),
        (4, lambda w: w | 1 << 112, r"effects\[4\].*spare bits from bit 112"),
        (7, lambda w: w | 1 << 128, r"effects\[7\].*spare bits"),
        (8, lambda _: 2**248, r"effects\[8\]\.log_root"),
        (9, lambda w: w | 1 << 80, r"effects\[9\].*spare bits"),
        (9, lambda _: 4 | 5 << 64, r"effects\[9\]\.queue_count: 5, expected at most 4"),
        (9, lambda _: 4 | 1 << 64, r"effects\[13\]: queue entry 1 is not zero, expected 1"),
        (10, lambda w: w + 4, r"effects\[10\]\.kind: 5"),
        (10, lambda w: w - 1, r"effects\[10\]\.kind: 0"),
        (10, lambda w: w - (3 << 8), r"effects\[10\]\.account: 0"),
        (10, lambda w: w - (OWNER << 40), r"effects\[10\]\.owner: 0"),
        (10, lambda w: w + (1 << 200), r"effects\[10\]\.outcome: 2, expected 1"),
        (10, lambda w: w | 1 << 208, r"effects\[10\].*spare bits"),
        (11, lambda _: 2**63, r"effects\[11\].*spare bits"),
        (12, lambda _: 1, r"effects\[12\]: 1, expected 0 in the third word of an entry of kind 1"),
        (17, lambda _: 2**63, r"effects\[17\].*spare bits"),
        (18, lambda _: 2**63, r"effects\[18\]\.paid.*spare bits"),
        (20, lambda _: 2**14, r"effects\[20\].*spare bits"),
        (21, lambda _: 1, r"effects\[21\]: 1, expected 0 in the third word of an entry of kind 4"),
        (22, lambda _: 0, r"effects\[22\]: unused"),
        (22, lambda w: w - (1 << 160), r"effects\[22\]\.amount: 0"),
        (22, lambda w: w | 1 << 223, r"effects\[22\]\.amount"),
        (23, lambda _: OWNER | 1 << 160 | 3 << 224, r"effects\[23\]\.account: 3, expected more than 3"),
        (23, lambda w: w | 1 << 250, r"effects\[23\].*spare bits"),
    ],
)
def test_bad_effects_are_named(at: int, change: Callable[[int], int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_effects(changed(encode_effects(EFFECTS, PRESET), at, change), PRESET)


@pytest.mark.parametrize(
    ("at", "change", "message"),
    [
        (0, lambda _: 0, r"body\[0\]: unused"),
        (0, lambda w: w | 1 << 220, r"body\[0\].*spare bits from bit 220"),
        (0, lambda w: w - (2**63 << 28), r"body\[0\]\.cash: -9223372036854775808"),
        (0, lambda w: w ^ 1 << 24, r"body\[8\] row 2: of one account more, expected rows of 1 accounts \(has_positions\)"),
        (0, lambda w: w ^ 1 << 25, r"account 16777215\.has_orders: 1, expected rows of it"),
        (1, lambda w: w - 2, r"body\[1\]\.account: 1, expected more than 1"),
        (1, lambda w: w ^ 1 << 25, r"body\[5\] row 2|of one account more, expected rows of 1 accounts \(has_orders\)"),
        (2, lambda w: w ^ 1 << 24, r"account 16777215\.has_positions: 1, expected rows of it"),
        (3, lambda _: 2 | 2**63 << 28, r"body\[3\]\.account: 2, expected more than 16777215"),
        (SLOTS_AT, lambda w: w | 1, r"body\[4\] row 0\.continues: 1, expected 0 in the first row"),
        (SLOTS_AT, lambda w: w ^ 1 << ROW, r"body\[4\] row 2: of one account more"),
        (SLOTS_AT, lambda w: w | 1 << 210, r"body\[4\].*spare bits from bit 210"),
        (SLOTS_AT, lambda w: w - (7 << 81), r"body\[4\] row 0\.filled: 0, expected 1 or more"),
        (SLOTS_AT, lambda w: w >> ROW << ROW, r"body\[4\] row 0: unused"),
        (SLOTS_AT + 1, lambda w: w | 1 << 225, r"body\[5\].*spare bits from bit 225"),
        (SLOTS_AT + 1, lambda w: w % 2**80, r"body\[4\] row 2: unused"),
        (SLOTS_AT + 3, lambda _: 1 << 80, r"body\[6\] row 2: 0x1, expected spare bits from bit 0"),
        (POSITIONS_AT, lambda w: w | 1, r"body\[8\] row 0\.continues: 1"),
        (POSITIONS_AT, lambda w: w | 1 << 208, r"body\[8\].*spare bits from bit 208"),
        (POSITIONS_AT, lambda w: w >> CELL << CELL, r"body\[8\] row 0: unused"),
        (POSITIONS_AT, lambda w: w - (2 << 53), r"body\[8\] row 1\.row: 0, expected more than 1"),
        (POSITIONS_AT, lambda w: w - (1 << 53), r"body\[8\] row 1\.row: 1, expected more than 1"),
        (POSITIONS_AT, lambda w: w - 2, r"body\[8\] row 0\.row: 0, expected more than 0"),
        (POSITIONS_AT, lambda w: w - (1 << 63), r"body\[8\] row 1\.size: -1099511627776"),
        (POSITIONS_AT + 1, lambda w: w ^ 1, r"body\[9\] row 0: of one account more"),
        (POSITIONS_AT + 1, lambda w: w | 1 << 2 * CELL, r"body\[9\] row 2: 0x1, expected spare bits from bit 0"),
        (LISTINGS_AT, lambda w: w + (2 << 32), r"body\[10\]\.kind: 7"),
        (LISTINGS_AT, lambda w: w + (1 << 40), r"body\[10\]\.underlying: 2"),
        (LISTINGS_AT, lambda w: w - 7, r"body\[10\]\.id: 0"),
        (LISTINGS_AT, lambda w: w | 1 << 48, r"body\[10\]\.zero: 1, expected 0 to 0"),
        (LISTINGS_AT, lambda w: w + (1 << 96), r"body\[10\]\.value: 549755813888"),
        (LISTINGS_AT, lambda w: w | 1 << 136, r"body\[10\].*spare bits from bit 136"),
        (LISTINGS_AT + 1, lambda w: w + 1, r"body\[13\]\.id: 2, expected 3 after 2"),
        (LISTINGS_AT + 1, lambda w: w | 1 << 240, r"body\[11\].*spare bits"),
        (LISTINGS_AT + 2, lambda w: w | 1 << 48, r"body\[12\].*spare bits from bit 48"),
        (LISTINGS_AT + 2, lambda _: 0, r"body\[12\]: unused"),
    ],
)
def test_bad_bodies_are_named(at: int, change: Callable[[int], int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_body(changed(encode_body(BODY, PRESET), at, change), PRESET)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accounts": BODY.accounts[:1]}, r"has_orders: accounts \[\], expected those of the rows in their order \(\[3, 16777215\]\)"),
        ({"slots": BODY.slots[2:] + BODY.slots[:2]}, "has_orders"),
        ({"positions": BODY.positions[:2]}, r"has_positions: accounts \[1, 3\], expected those of the rows in their order \(\[1\]\)"),
        ({"slots": (SlotData(3, 1, 0, 1, 2**24), *BODY.slots[2:])}, r"body\[4\] row 0\.offset: 16777216"),
        ({"positions": (PositionData(1, 1024, 1), *BODY.positions[2:])}, r"body\[8\] row 0\.row: 1024, expected 0 to 1023"),
    ],
)
def test_bodies_whose_rows_and_flags_differ_are_not_encoded(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode_body(replace(BODY, **change), PRESET)


def test_lengths_are_named() -> None:
    with pytest.raises(DataError, match="effects: 23 words, expected 24"):
        decode_effects(encode_effects(EFFECTS, PRESET)[:-1], PRESET)
    with pytest.raises(DataError, match="paid: 2 payments, expected one for each of 1 forced withdrawals"):
        encode_effects(replace(EFFECTS, paid=(1, 2)), PRESET)
    with pytest.raises(DataError, match="body: 16 words, expected at most 15"):
        decode_body([0] * 16, PRESET)
    with pytest.raises(DataError, match="accounts: 5 rows, expected at most 4"):
        encode_body(Body(tuple(AccountData(i, 0, 0, 0) for i in range(1, 6)), (), (), ()), PRESET)


NONCES = st.integers(0, 2**64 - 1)
SLOT_VALUES = st.tuples(NONCES, st.integers(0, 2**16 - 1), st.integers(1, 2**40 - 1), st.integers(0, 2**24 - 1))
POSITION_VALUES = st.dictionaries(st.integers(1, 1023), st.integers(1 - 2**40, 2**40 - 1), max_size=3)
ACCOUNT_VALUES = st.tuples(st.integers(1 - 2**63, 2**63 - 1), NONCES, NONCES, st.sampled_from(AuctionCode), st.lists(SLOT_VALUES, max_size=2), POSITION_VALUES)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(1, 2**24 - 1), ACCOUNT_VALUES, max_size=4))
def test_bodies_round_trip(accounts: dict[int, tuple[int, int, int, AuctionCode, list[tuple[int, int, int, int]], dict[int, int]]]) -> None:
    rows, slots, positions = [], [], []
    for identifier, (cash, min_nonce, action_nonce, code, slot_values, sizes) in sorted(accounts.items()):
        rows.append(AccountData(identifier, cash, min_nonce, action_nonce, bool(sizes), bool(slot_values), code))
        slots += [SlotData(identifier, *values) for values in slot_values]
        positions += [PositionData(identifier, row, size) for row, size in sorted(sizes.items())]
    roomy = replace(PRESET, orders=8, positions=13)
    body = Body(tuple(rows), tuple(slots), tuple(positions), ())
    words = encode_body(body, roomy)
    assert len(words) == roomy.body_words and decode_body(trimmed(words), roomy) == body


@settings(max_examples=300, deadline=None)
@given(st.integers(0, PRESET.effects_words + PRESET.body_words - 1), st.integers(0, 2**256 - 1))
def test_decoding_is_total_and_injective(at: int, word: int) -> None:
    """Any word anywhere: either refused as DataError, or what was decoded encodes back to exactly the same words."""
    effects, body = encode_effects(EFFECTS, PRESET), encode_body(BODY, PRESET)
    words = [*effects, *body]
    words[at] = word
    try:
        decoded = decode_effects(words[: len(effects)], PRESET), decode_body(words[len(effects) :], PRESET)
    except DataError:
        return
    assert [*encode_effects(decoded[0], PRESET), *encode_body(decoded[1], PRESET)] == words


@settings(max_examples=300, deadline=None)
@given(st.integers(0, PRESET.effects_words + PRESET.body_words - 1), st.integers(0, 253))
def test_every_flipped_bit_is_refused_or_seen(at: int, bit: int) -> None:
    effects, body = encode_effects(EFFECTS, PRESET), encode_body(BODY, PRESET)
    words = [*effects, *body]
    words[at] ^= 1 << bit
    try:
        decoded = decode_effects(words[: len(effects)], PRESET), decode_body(words[len(effects) :], PRESET)
    except DataError:
        return
    assert decoded != (EFFECTS, BODY)


def test_commitment_challenge_and_header() -> None:
    effects, body = encode_effects(EFFECTS, PRESET), encode_body(BODY, PRESET)
    posted = trimmed(body)
    c = commitment(effects, body)
    assert c == sponge("straddle.data", effects + body)
    vk_id, parent = b"\x01" * 32, genesis_header_hash(99)
    assert parent == keccak256(b"straddle.genesis" + (99).to_bytes(32, "big"))

    def packed(*words: int) -> bytes:
        return b"".join(word.to_bytes(32, "big") for word in words)

    z = challenge(31337, OWNER, vk_id, 7, parent, effects, posted, c)
    preimage = keccak256(b"straddle.z.calldata") + packed(31337, OWNER) + vk_id + packed(7) + parent
    preimage += keccak256(packed(*effects)) + keccak256(packed(*posted)) + packed(c)
    assert z == int.from_bytes(keccak256(preimage), "big") % MODULUS
    y = evaluate(posted, z)
    assert y == sum(word * pow(z, i, MODULUS) for i, word in enumerate(body)) % MODULUS
    expected = keccak256(parent + packed(7) + hash_words(effects) + hash_words(posted) + packed(c, z, 1, y))
    assert header_hash(parent, 7, effects, posted, c, z, 1, y) == expected
