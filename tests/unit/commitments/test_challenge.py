"""Attack 5 of research/rollup.md: a challenge that leaves a public value out. Each argument of z, and each word of the data, gives another z."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from straddle.commitments import holdings
from straddle.commitments.challenge import IN_CALLDATA, WITH_COMMITTEE, Place, challenge, header_hash
from straddle.commitments.policy import Data

EFFECTS, BODY = [11, 12, 13], [21, 22]
IN_BLOB = Place(Data.BLOB, b"\x01" + bytes(31))
PLACES = {"calldata": IN_CALLDATA, "blob": IN_BLOB, "committee": WITH_COMMITTEE}
BATCH = {"chain_id": 1, "rollup": 2, "vk_id": b"k" * 32, "batch_number": 3, "parent_header_hash": b"p" * 32, "effects": EFFECTS, "body_posted": BODY, "c": 4}
STATEMENT = {"chain_id": 1, "rollup": 2, "vk_id": b"k" * 32, "effects": EFFECTS, "body_posted": BODY, "c": 4}

Arguments = dict[str, Any]


def changes(arguments: Arguments) -> list[tuple[str, Any]]:
    """Every argument changed alone: numbers in their lowest bit, hashes in their last, lists in each word, by a word more and by one less."""
    found: list[tuple[str, Any]] = []
    for name, value in arguments.items():
        if isinstance(value, int):
            found.append((name, value ^ 1))
        elif isinstance(value, bytes):
            found.append((name, value[:-1] + bytes([value[-1] ^ 1])))
        else:
            found += [(name, [*value[:at], word ^ 1, *value[at + 1 :]]) for at, word in enumerate(value)]
            found += [(name, [*value, 0]), (name, value[:-1]), (name, value[::-1])]
    return found


def all_different(draw: Callable[..., int], arguments: Arguments, without: frozenset[str] = frozenset()) -> None:
    """No two changes give one challenge, and those of `without` give the old one."""
    old, seen = draw(**arguments), set()
    for name, value in changes(arguments):
        z = draw(**{**arguments, name: value})
        assert (z == old) == (name in without), name
        seen.add(z)
    different = sum(name not in without for name, _ in changes(arguments))
    assert len(seen - {old}) == different


@pytest.mark.parametrize("name", PLACES)
def test_attack_05_every_public_value_changes_the_challenge(name: str) -> None:
    """Where the body is not posted as words, its versioned hash stands for it, or C alone (the certificates are over C)."""
    place = PLACES[name]
    all_different(lambda **arguments: challenge(**arguments, place=place), BATCH, frozenset() if place is IN_CALLDATA else frozenset({"body_posted"}))


def test_attack_05_the_place_of_the_body_and_the_blob_change_the_challenge() -> None:
    places = [*PLACES.values(), *(Place(Data.BLOB, b"\x01" + bytes(at) + b"\x01" + bytes(30 - at)) for at in range(31))]
    assert len({challenge(**BATCH, place=place) for place in places}) == len(places)
    assert len({challenge(**{**BATCH, "body_posted": []}, place=place) for place in places}) == len(places)


def test_attack_05_every_public_value_changes_the_challenge_of_claims_and_chunks() -> None:
    all_different(holdings.challenge, STATEMENT)


def test_attack_05_a_word_between_effects_and_body_is_another_challenge() -> None:
    """The data are the same words in the same order."""
    moved = {"effects": EFFECTS[:-1], "body_posted": [EFFECTS[-1], *BODY]}
    assert challenge(**BATCH) != challenge(**{**BATCH, **moved})
    assert holdings.challenge(**STATEMENT) != holdings.challenge(**{**STATEMENT, **moved})


@pytest.mark.parametrize("name", PLACES)
def test_attack_05_the_header_binds_what_the_challenge_was_drawn_from(name: str) -> None:
    """So the next batch's challenge does too. A committee's y_body is the proof's and not in it."""
    place = PLACES[name]
    header = {"parent": b"p" * 32, "batch_number": 3, "effects": EFFECTS, "body_posted": BODY, "c": 4, "z": 5, "y_effects": 6, "y_body": 7}
    unbound = {Data.CALLDATA: frozenset[str](), Data.BLOB: frozenset({"body_posted"}), Data.COMMITTEE: frozenset({"body_posted", "y_body"})}[place.data]
    all_different(lambda **arguments: int.from_bytes(header_hash(**arguments, place=place), "big"), header, unbound)
