"""Effects and body, to words and back, and every kind of refusal (docs/protocol/data.md)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.commitments.challenge import challenge, commitment, evaluate, genesis_header_hash, hash_words, header_hash
from straddle.commitments.data import (
    AccountData,
    Body,
    Effects,
    PositionData,
    SlotData,
    WithdrawalData,
    decode_body,
    decode_effects,
    encode_body,
    encode_effects,
    trimmed,
)
from straddle.commitments.layout import DataError
from straddle.commitments.preset import Preset
from straddle.core.accounts import PublicKey
from straddle.core.commands import L1Deposit, L1SetKey
from straddle.core.instruments import Instrument, Kind
from straddle.primitives.field import MODULUS
from straddle.primitives.hashing import keccak256, sponge

PRESET = Preset("small", 8, 4, accounts=3, positions=4, instruments=2, signatures=2, orders=3, fills=2, queue=2, withdrawals=2, listings=2)
OWNER = 0xAB << 152
SLOTS_AT, POSITIONS_AT, LISTINGS_AT = 3, 6, 8

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
    queue=(L1Deposit(4, 3, OWNER, 2**63 - 1), L1SetKey(5, 3, OWNER, PublicKey(12, 13))),
    withdrawals=(WithdrawalData(3, OWNER, 1), WithdrawalData(2**24 - 1, OWNER, 2**63 - 1)),
)
CALL = Instrument(1, Kind.CALL, 1, 1_590_200_000_000, 900_000, 500, 1000, 10**6)
PUT = Instrument(2, Kind.PUT, 1, 1_590_200_000_000, 900_000, 500, 1000, 10**6)
BODY = Body(
    accounts=(AccountData(1, 0, 0, 0), AccountData(3, -(2**63) + 1, 2**64 - 1, 5)),
    slots=(SlotData(1, 4, 0, 7, 21), SlotData(3, 9, 2, 2**40 - 1, 22), SlotData(3, 9, 3, 2**40 - 1, 29)),
    positions=(PositionData(1, 1, 0), PositionData(1, 2, -(2**40) + 1), PositionData(3, 1, 2**40 - 1)),
    listings=(CALL, PUT),
)


def test_effects_layout() -> None:
    words = encode_effects(EFFECTS, PRESET)
    assert len(words) == PRESET.effects_words == 10 + 3 * 2 + 2
    assert words[:4] == [2**248 - 1, 7, 11, MODULUS - 1]
    assert words[4:10] == [3 | 1_590_103_200_000 << 64, 5, 6, 20 | 29 << 64, 8, 4 | 2 << 64]
    assert words[10:13] == [1 | 3 << 8 | OWNER << 40 | 1 << 200, 2**63 - 1, 0]
    assert words[13:16] == [2 | 3 << 8 | OWNER << 40 | 1 << 200, 12, 13]
    assert words[16:] == [OWNER | 1 << 160 | 3 << 224, OWNER | (2**63 - 1) << 160 | (2**24 - 1) << 224]


def test_body_layout() -> None:
    words = encode_body(BODY, PRESET)
    assert len(words) == PRESET.body_words == 3 + 3 + 2 + 2
    assert words[:3] == [1 | 2**63 << 32, 3 | 1 << 32 | (2**64 - 1) << 96 | 5 << 160, 0]
    assert words[3] == 1 | 4 << 32 | 7 << 112 | 21 << 152
    even, odd = 1 | 1 << 32 | 2**40 << 64, 1 | 2 << 32 | 1 << 64
    assert words[6:8] == [even | odd << 105, 3 | 1 << 32 | (2**41 - 1) << 64]
    assert words[8] == 1 | 1 << 32 | 1 << 40 | 1_590_200_000_000 << 48 | 900_000 << 96 | 500 << 136 | 1000 << 160 | 10**6 << 192


def test_round_trip_with_and_without_trailing_zeros() -> None:
    assert decode_effects(encode_effects(EFFECTS, PRESET), PRESET) == EFFECTS
    assert decode_body(encode_body(BODY, PRESET), PRESET) == BODY
    short = Body(BODY.accounts, (), (), ())
    posted = trimmed(encode_body(short, PRESET))
    assert len(posted) == 2
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
        (9, lambda _: 4 | 3 << 64, r"effects\[9\]\.queue_count: 3, expected at most 2"),
        (9, lambda _: 4 | 1 << 64, r"effects\[13\]: queue entry 1 is not zero, expected 1"),
        (10, lambda w: w + 2, r"effects\[10\]\.kind: 3"),
        (10, lambda w: w - (3 << 8), r"effects\[10\]\.account: 0"),
        (10, lambda w: w - (OWNER << 40), r"effects\[10\]\.owner: 0"),
        (10, lambda w: w + (1 << 200), r"effects\[10\]\.outcome: 2, expected 1"),
        (10, lambda w: w | 1 << 208, r"effects\[10\].*spare bits"),
        (11, lambda _: 2**63, r"effects\[11\].*spare bits"),
        (12, lambda _: 1, r"effects\[12\]: 1, expected 0"),
        (16, lambda _: 0, r"effects\[16\]: unused"),
        (16, lambda w: w - (1 << 160), r"effects\[16\]\.amount: 0"),
        (16, lambda w: w | 1 << 223, r"effects\[16\]\.amount"),
        (17, lambda _: OWNER | 1 << 160 | 3 << 224, r"effects\[17\]\.account: 3, expected more than 3"),
        (17, lambda w: w | 1 << 250, r"effects\[17\].*spare bits"),
    ],
)
def test_bad_effects_are_named(at: int, change: Callable[[int], int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_effects(changed(encode_effects(EFFECTS, PRESET), at, change), PRESET)


@pytest.mark.parametrize(
    ("at", "change", "message"),
    [
        (0, lambda _: 0, r"body\[0\]: unused"),
        (0, lambda w: w | 1 << 224, r"body\[0\].*spare bits"),
        (0, lambda _: 1, r"body\[0\]\.cash: -9223372036854775808"),
        (1, lambda w: w - 2, r"body\[1\]\.account: 1, expected more than 1"),
        (2, lambda _: 2 | 1 << 32, r"body\[2\]\.account: 2, expected more than 3"),
        (SLOTS_AT, lambda w: w + 8, r"body\[4\]\.account: 3, expected more than 8"),
        (SLOTS_AT, lambda w: w - 1, r"body\[3\]\.account: 0"),
        (SLOTS_AT + 2, lambda w: w | 1 << 200, r"body\[5\].*spare bits"),
        (POSITIONS_AT, lambda w: w | 1 << 210, r"body\[6\].*spare bits from bit 210"),
        (POSITIONS_AT, lambda w: w >> 105 << 105, r"body\[6\] row 0: unused"),
        (POSITIONS_AT, lambda w: (w & 2**105 - 1) * (1 + 2**105), r"body\[6\] row 1.*strictly ascending"),
        (POSITIONS_AT, lambda w: w - (1 << 32), r"body\[6\] row 0\.instrument: 0"),
        (POSITIONS_AT + 1, lambda w: w & 2**64 - 1, r"body\[7\] row 0\.size: -1099511627776"),
        (POSITIONS_AT + 1, lambda w: w - 2, r"body\[7\] row 0.*strictly ascending"),
        (LISTINGS_AT, lambda w: w + (3 << 32), r"body\[8\]\.kind: 4"),
        (LISTINGS_AT, lambda w: w + (1 << 40), r"body\[8\]\.underlying: 2"),
        (LISTINGS_AT, lambda w: w - 1, r"body\[8\]\.id: 0"),
        (LISTINGS_AT + 1, lambda w: w + 1, r"body\[9\]\.id: 3, expected 2"),
        (LISTINGS_AT + 1, lambda w: w | 1 << 240, r"body\[9\].*spare bits"),
    ],
)
def test_bad_bodies_are_named(at: int, change: Callable[[int], int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode_body(changed(encode_body(BODY, PRESET), at, change), PRESET)


def test_lengths_are_named() -> None:
    with pytest.raises(DataError, match="effects: 17 words, expected 18"):
        decode_effects(encode_effects(EFFECTS, PRESET)[:-1], PRESET)
    with pytest.raises(DataError, match="body: 11 words, expected at most 10"):
        decode_body([0] * 11, PRESET)
    with pytest.raises(DataError, match="accounts: 4 rows, expected at most 3"):
        encode_body(Body(tuple(AccountData(i, 0, 0, 0) for i in range(1, 5)), (), (), ()), PRESET)


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
