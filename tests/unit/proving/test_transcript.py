"""Transcripts: what a witness loses on the way through one comes back from the reader's own state; anything else is refused, cheaply."""

from __future__ import annotations

import random
import zlib
from dataclasses import replace
from itertools import pairwise

import pytest

from straddle.primitives.field import MODULUS
from straddle.proving.checker import check
from straddle.proving.complete import Rebuilt, complete
from straddle.proving.transcript import Transcript, TranscriptError, decode, encode, numbers_max, to_bytes, transcript_of
from straddle.proving.witness import Witness
from tests.differential.histories import History
from tests.differential.scenes import PRESET, ClosedBatch
from tests.differential.stories import told


@pytest.fixture(scope="module")
def batches() -> list[ClosedBatch]:
    """Stories with every kind of row, and a random history."""
    history = History(3)
    list(history.batches(15))
    return told() + history.closed


def rebuilt(item: ClosedBatch) -> Rebuilt:
    state = item.before.copy()
    change = state.apply_data(item.posted.effects, item.posted.body, item.batch.queue)
    assert item.batch.table is not None
    return Rebuilt(item.posted.effects, item.posted.body, change, state.listed, item.batch.table.rows, state.params)


def completed(item: ClosedBatch, data: bytes) -> Witness:
    return complete(decode(data, PRESET), rebuilt(item), PRESET.name, item.posted.witness.public)


def test_every_witness_comes_back_whole(batches: list[ClosedBatch]) -> None:
    for item in batches:
        assert completed(item, encode(item.posted.witness)) == item.posted.witness, item.batch.number
    tables = {name for item in batches for name in Transcript.__dataclass_fields__ if getattr(transcript_of(item.posted.witness), name)}
    assert tables == set(Transcript.__dataclass_fields__)


def test_the_same_rows_give_the_same_bytes_and_padding_is_allowed(batches: list[ClosedBatch]) -> None:
    for item in batches:
        data = encode(item.posted.witness)
        assert data == encode(item.posted.witness) == to_bytes(decode(data, PRESET))
        assert decode(data + bytes(4096), PRESET) == decode(data, PRESET)


def test_order_sets_are_opened_once_however_many_of_their_orders_fill(batches: list[ClosedBatch]) -> None:
    """Siblings that other orders of the set give are not repeated: two leaves side by side need none of each other's."""
    for item in batches:
        witness = item.posted.witness
        siblings = sum(bool(sibling) for row in witness.orders for sibling in row.set_path)
        others = len(witness.withdrawals) + len(witness.transfers) + sum(row.signature != -1 for row in witness.takeovers)
        others += sum(row.cancel_signature != -1 for row in witness.accounts)
        sets = len({row.signature for row in witness.orders})
        given = len(transcript_of(witness).elements) - 2 * (sets + others)
        assert 0 <= given <= siblings
        shared = [row for row in witness.orders if any(other.signature == row.signature and other.set_index != row.set_index for other in witness.orders)]
        assert not shared or given < siblings


def test_a_transcript_of_another_batch_does_not_fit(batches: list[ClosedBatch]) -> None:
    fitting = 0
    for item, other in pairwise(batches):
        data = encode(other.posted.witness)
        if data == encode(item.posted.witness):
            continue
        try:
            fitting += check(completed(item, data), PRESET) is None
        except TranscriptError:
            continue
    assert fitting == 0


def test_every_changed_byte_is_refused_or_changes_nothing_that_counts(batches: list[ClosedBatch]) -> None:
    """A total decoder and a checker that never fails otherwise: no byte of a transcript makes anything but an error or another verdict."""
    rng = random.Random(11)
    refused = broken = 0
    for item in batches:
        data = bytearray(encode(item.posted.witness))
        for _ in range(20):
            at = rng.randrange(len(data))
            old, data[at] = data[at], rng.randrange(256)
            if data[at] == old:
                continue
            try:
                witness = completed(item, bytes(data))
                broken += check(witness, PRESET) is not None or witness == item.posted.witness
                assert check(witness, PRESET) is not None or witness == item.posted.witness
            except TranscriptError:
                refused += 1
            data[at] = old
    assert refused > 50 and broken > 50, (refused, broken)


def test_changed_rows_never_satisfy_the_statement(batches: list[ClosedBatch]) -> None:
    """As above, under the compression: one number of one row."""
    rng = random.Random(12)
    broken = 0
    for item in batches:
        transcript = transcript_of(item.posted.witness)
        for name in ("orders", "legs", "fills", "transfers", "takeovers", "deleverages"):
            rows = getattr(transcript, name)
            for _ in range(3 if rows else 0):
                index = rng.randrange(len(rows))
                column = rng.choice(rows[index]._fields)
                row = rows[index]._replace(**{column: getattr(rows[index], column) + rng.choice((1, -1))})
                changed = replace(transcript, **{name: (*rows[:index], row, *rows[index + 1 :])})
                try:
                    witness = completed(item, to_bytes(changed))
                except TranscriptError:
                    continue
                found = check(witness, PRESET)
                assert found is not None or _harmless(name, column), (item.batch.number, name, column)
                broken += found is not None
    assert broken > 60


def _harmless(name: str, column: str) -> bool:
    """The insurance fund signs nothing: the statement does not know terms of its own."""
    return (name, column) in {("takeovers", "limit"), ("takeovers", "expiry_ms")}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "missing"),
        (b"\2", "version 2"),
        (b"\1", "no number"),
        (b"\1\x80\0", "no number"),  # a varint that is not the shortest
        (b"\1" + b"\xff" * 9, "no number"),
        (b"\1\5\0ab", "cut off"),
        (b"\1\2\0\xff\xff", "inflated"),
        (b"\1\xff\xff\xff\x7f\0", "cut off"),
        (b"\1\0\xff\xff\x03", "elements, expected at most"),
    ],
)
def test_malformed_bytes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(TranscriptError, match=message):
        decode(data, PRESET)


def packed(numbers: bytes, elements: bytes = b"") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = packer.compress(numbers) + packer.flush()
    assert len(stream) < 128 * 128
    length = bytes([len(stream) & 127 | 128, len(stream) >> 7]) if len(stream) > 127 else bytes([len(stream)])
    return b"\1" + length + bytes([len(elements) // 32]) + stream + elements


EMPTY = bytes(7)
"""Seven tables without rows."""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (packed(EMPTY + b"\0"), "after the last table"),
        (packed(EMPTY[:-1]), "no number"),
        (packed(b"\x7f" + EMPTY), "sets: 127 rows, expected at most"),
        (packed(b"\0\1" + bytes([0, 64])), "no number of 6 bits"),  # set_index 64
        (packed(EMPTY) + b"\0\1", "something after"),
        (packed(bytes(1_000_000)), "more than 1511 bytes of numbers"),
    ],
)
def test_bad_tables_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(TranscriptError, match=message):
        decode(data, PRESET)


def test_bombs_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of a gigabyte of zeros costs no more than the preset's rows."""
    real, asked = zlib.decompressobj, []

    class Counting:
        def __init__(self, bits: int) -> None:
            self._real = real(bits)

        def decompress(self, data: bytes, limit: int) -> bytes:
            asked.append(limit)
            out = self._real.decompress(data, limit)
            assert len(out) <= limit
            return out

    data = packed(bytes(10_000_000))
    monkeypatch.setattr(zlib, "decompressobj", Counting)
    with pytest.raises(TranscriptError, match="expected no more in this preset"):
        decode(data, PRESET)
    assert asked == [numbers_max(PRESET) + 1]


def test_words_that_are_no_points_or_siblings_are_refused(batches: list[ClosedBatch]) -> None:
    item = next(item for item in batches if any(row.present for row in transcript_of(item.posted.witness).sets))
    transcript = transcript_of(item.posted.witness)
    place = 2 + 2 * next(i for i, row in enumerate(transcript.sets) if row.present)  # the first sibling, after the signatures of the sets up to its own
    for at, word, message in (
        (0, MODULUS, "signature of sets"),
        (0, 2, "signature of sets"),
        (place, MODULUS, "no field element"),
        (place, 0, "is 0"),
    ):
        elements = (*transcript.elements[:at], word, *transcript.elements[at + 1 :])
        with pytest.raises(TranscriptError, match=message):
            completed(item, to_bytes(replace(transcript, elements=elements)))
    for elements, message in ((transcript.elements[:-1], "too few"), ((*transcript.elements, 5), "more than the rows ask for")):
        with pytest.raises(TranscriptError, match=message):
            completed(item, to_bytes(replace(transcript, elements=elements)))


def test_the_encoder_names_rows_that_point_nowhere(batches: list[ClosedBatch]) -> None:
    witness = next(item.posted.witness for item in batches if item.posted.witness.fills)
    for table, changes, message in (
        ("orders", {"signature": 999}, r"orders\.signature: 999"),
        ("legs", {"order": 999}, "legs: order 999"),
        ("fills", {"maker": 999}, r"fills\[0\]\.maker: 999"),
        ("orders", {"limit": 1 << 50}, r"orders\.limit"),
        ("orders", {"set_path": ()}, r"orders\.set_path"),
        ("signatures", {"r_x": 1}, "expected one on the curve"),
        ("signatures", {"s": 1 << 256}, "expected 256 bits"),
    ):
        rows = getattr(witness, table)
        with pytest.raises(TranscriptError, match=message):
            encode(replace(witness, **{table: (replace(rows[0], **changes), *rows[1:])}))
