"""A batch whose body lies in a blob: its circuit, its challenge, its y."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.commitments.blob import BLOB_MODULUS, blob_cells, cells_blob, check_opening, versioned_hash
from straddle.commitments.challenge import Place, challenge, header_hash
from straddle.commitments.policy import Data
from straddle.primitives.field import MODULUS
from straddle.proving.vector import PostedBatch, bind
from tests.differential.scenes import CHAIN_ID, PRESET, ROLLUP, VK_ID, ClosedBatch
from tests.differential.stories import STORIES


@pytest.fixture(scope="module")
def closed() -> ClosedBatch:
    return STORIES["combinations"]().closed[1]


@pytest.fixture(scope="module")
def posted(closed: ClosedBatch) -> PostedBatch:
    return bind(closed.posted.witness, PRESET, replace(closed.chain, data=Data.BLOB))


def test_only_what_the_place_decides_differs_from_calldata(closed: ClosedBatch, posted: PostedBatch) -> None:
    assert posted.witness.preset == "nano-blob" and closed.posted.witness.preset == "nano"
    assert (posted.effects_words, posted.body_words) == (closed.posted.effects_words, closed.posted.body_words)
    public = posted.witness.public
    same = replace(posted.witness, preset="nano", public=replace(public, z=0, y_effects=0, y_body=0))
    assert same == replace(closed.posted.witness, public=replace(closed.posted.witness.public, z=0, y_effects=0, y_body=0))
    assert public.z != closed.posted.witness.public.z


def test_the_hash_of_the_blob_stands_for_the_body(closed: ClosedBatch, posted: PostedBatch) -> None:
    opening, public, parent = posted.opening, posted.witness.public, closed.chain.parent_header_hash
    assert opening is not None
    place = Place(Data.BLOB, versioned_hash(opening.commitment))
    assert posted.place == place
    assert public.z == challenge(CHAIN_ID, ROLLUP, VK_ID, closed.batch.number, parent, posted.effects_words, (), public.c, place)
    hashed = header_hash(parent, closed.batch.number, posted.effects_words, (), public.c, public.z, public.y_effects, public.y_body, place)
    assert posted.header_hash == hashed


def test_y_is_the_blobs_value_at_z_modulo_r(posted: PostedBatch) -> None:
    opening, public = posted.opening, posted.witness.public
    assert opening is not None and check_opening(opening, public.z)
    value = sum(cell * pow(public.z, i, BLOB_MODULUS) for i, cell in enumerate(posted.body_words, start=1)) % BLOB_MODULUS
    assert opening.y == value and public.y_body == value % MODULUS
    cells = blob_cells(cells_blob(posted.body_words), PRESET.body_words)
    assert cells == (*posted.body_words, *[0] * (PRESET.body_words - len(posted.body_words)))
