"""Words of the solvency and exit statements: what encodes decodes, and everything else is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.holdings import CHUNKS, EXIT

from straddle.commitments.challenge import hash_words
from straddle.commitments.holdings import ClaimLine, Holdings, challenge, decode, encode_body, encode_effects
from straddle.commitments.layout import DataError
from straddle.primitives.hashing import keccak256

LINES = (ClaimLine(1, 0xA1, 0), ClaimLine(3, 0xA3, 2**64 - 1))
HOLDINGS = Holdings(5, 6, 7, 0, 2, -(10**9), 2**64 - 1, 12, 2, 34_567, -8, LINES, (4, -4, 0, 2**54, -(2**54)))


def words() -> tuple[list[int], list[int]]:
    return encode_effects(HOLDINGS, CHUNKS), encode_body(HOLDINGS.nets, CHUNKS)


def test_what_encodes_decodes() -> None:
    effects, body = words()
    assert (len(effects), len(body)) == (CHUNKS.effects_words, CHUNKS.body_words) == (11, 2)
    assert decode(effects, body) == HOLDINGS
    alone = replace(HOLDINGS, chunk=77, chunk_bits=0, fund_equity=None, lines=(ClaimLine(77, 0xB, 9),))
    assert decode(encode_effects(alone, EXIT), []) == replace(alone, nets=())
    assert alone.line_of(77) == ClaimLine(77, 0xB, 9) and alone.line_of(76) is None and alone.accounts == range(77, 78)


def test_the_words_are_those_of_the_page() -> None:
    effects, body = words()
    assert effects[:4] == [5, 6, 7, 0 | 2 << 24]
    assert effects[4] == (2**95 - 10**9) | (2**64 - 1) << 96
    assert effects[5] == 12 | 2 << 96 | 34_567 << 128
    assert effects[6] == 2**95 - 8
    assert effects[7:] == [0, 0xA1 | 1 << 224, 0, 0xA3 | (2**64 - 1) << 160 | 3 << 224]
    assert body == [(2**55 + 4) | (2**55 - 4) << 56 | 2**55 << 112 | (2**55 + 2**54) << 168, 2**55 - 2**54]


def test_the_challenge_is_that_of_the_page() -> None:
    effects, body = words()
    one, two, three = (number.to_bytes(32, "big") for number in (1, 2, 3))
    items = [keccak256(b"straddle.z.solvency"), one, two, b"k" * 32, hash_words(effects), hash_words(body), three]
    expected = int.from_bytes(keccak256(b"".join(items)), "big") % 21888242871839275222246405745257275088548364400416034343698204186575808495617
    assert challenge(1, 2, b"k" * 32, effects, body, 3) == expected
    with pytest.raises(ValueError, match="vk_id: 3 bytes, expected 32"):
        challenge(1, 2, b"key", effects, body, 3)


@pytest.mark.parametrize(
    ("at", "word", "message"),
    [
        (3, 1 << 24, r"effects\[3\].k: 1 with 11 words"),
        (3, 200 << 24, r"effects\[3\].k: 200"),
        (4, 0, r"effects\[4\].cash"),
        (5, 1 << 224, r"effects\[5\]: .* spare bits"),
        (6, 0, r"effects\[6\].fund_equity"),
        (8, 0xA1 | 2 << 224, r"effects\[8\].account: 2, expected 1"),
        (8, 1 << 160 | 1 << 224, r"effects\[8\].owner: 0"),
        (9, 1 << 248, r"effects\[9\]: .* spare bits"),
        (2, 1 << 255, r"effects\[2\]: .* field element"),
    ],
)
def test_words_that_no_proof_carries_are_refused(at: int, word: int, message: str) -> None:
    effects, body = words()
    effects[at] = word
    with pytest.raises(DataError, match=message):
        decode(effects, body)


@pytest.mark.parametrize(
    ("body", "message"), [([1 << 224], r"body\[0\]: .* spare bits"), ([1 << 56], r"body\[0\].net: used"), ([0, 1], r"body\[1\].net: used")]
)
def test_cells_that_no_proof_carries_are_refused(body: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode(words()[0], body)


def test_fields_out_of_range_are_refused() -> None:
    for changes, message in (
        ({"cash": 2**95}, r"effects\[4\].cash"),
        ({"claims": 2**96}, r"effects\[4\].claims"),
        ({"below": 2**32}, r"effects\[5\].below"),
        ({"lines": (ClaimLine(4, 1, 1),)}, r"account: 4, expected one of chunk 0"),
        ({"lines": (ClaimLine(3, 1, 2**64),)}, r"effects\[10\].claim"),
        ({"fund_equity": None}, "fund_equity: None"),
    ):
        with pytest.raises(DataError, match=message):
            encode_effects(replace(HOLDINGS, **changes), CHUNKS)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"body\[0\].net"):
        encode_body([2**55], CHUNKS)
    with pytest.raises(DataError, match="nets: 8 rows, expected at most 7"):
        encode_body([0] * 8, CHUNKS)
    with pytest.raises(DataError, match=r"effects\[6\]: 1, expected 0"):
        decode([1, 1, 1, 9, 1 << 95 | 1, 0, 1, 0], [])
