"""The bytes of risk inputs: every string is either the one encoding of some inputs, or refused with RiskInputError."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from straddle.primitives.varint import put_varint
from straddle.risk.inputs import MAGIC, MAX_LOTS, RiskInputError, RiskInputs, decode_inputs, encode_inputs

price = st.one_of(st.integers(1, 2**30 - 1), st.integers(890_000, 910_000))
expiry = st.integers(1, 2**48 - 1)
lots = st.one_of(st.integers(0, MAX_LOTS), st.integers(0, 10**6))


def by_expiry(*columns: st.SearchStrategy[int]) -> st.SearchStrategy[tuple]:
    rows = st.lists(st.tuples(expiry, *columns), max_size=6, unique_by=lambda row: row[0])
    return rows.map(lambda found: tuple(sorted(found)))


@st.composite
def all_inputs(draw: st.DrawFn) -> RiskInputs:
    time_ms = draw(st.integers(0, 2**48 - 1))
    observed = draw(st.lists(st.tuples(expiry, st.integers(0, 2**31 - 1)), max_size=3, unique_by=lambda row: row[0]))
    gaps = draw(st.lists(st.one_of(st.just(1), st.integers(1, 2**20)), max_size=30))
    return RiskInputs(
        epoch=draw(st.integers(0, 2**64 - 1)),
        time_ms=time_ms,
        index_ticks=draw(price),
        perpetual_mark_ticks=draw(price),
        cumulative_funding=draw(st.integers(-(2**38), 2**38)),
        funding_remainder=draw(st.integers(0, 2**64 - 1)),
        forwards=draw(by_expiry(price)),
        vols=tuple((number, draw(st.integers(1, 50_000))) for number in accumulate(gaps)),
        scale_ppm=draw(st.integers(1, 10**7)),
        hours=tuple(draw(st.lists(price, max_size=30))),
        windows=tuple(sorted((moment, ms, ms * draw(price)) for moment, ms in observed)),
        settlements=tuple(row for row in draw(by_expiry(price)) if row[0] <= time_ms),
        activity=draw(by_expiry(lots, lots)),
    )


def canonical_or_refused(data: bytes) -> bool:
    """Whether it decoded. Any other error than RiskInputError goes through."""
    try:
        inputs = decode_inputs(data)
    except RiskInputError as error:
        assert str(error)
        return False
    assert encode_inputs(inputs) == data
    return True


@settings(max_examples=120, deadline=None)
@given(all_inputs())
def test_inputs_come_back_from_their_bytes(inputs: RiskInputs) -> None:
    assert decode_inputs(encode_inputs(inputs)) == inputs


@settings(max_examples=150, deadline=None)
@given(all_inputs(), st.data())
def test_changed_bytes_are_other_inputs_or_refused(inputs: RiskInputs, data: st.DataObject) -> None:
    """A byte changed, put in, taken out, or the end cut off: what decodes at all has no second encoding."""
    encoded = encode_inputs(inputs)
    place = data.draw(st.integers(0, len(encoded) - 1))
    byte = bytes([data.draw(st.integers(0, 255))])
    canonical_or_refused(encoded[:place] + byte + encoded[place + 1 :])
    canonical_or_refused(encoded[:place] + byte + encoded[place:])
    canonical_or_refused(encoded[:place] + encoded[place + 1 :])
    assert not canonical_or_refused(encoded[:place])
    assert not canonical_or_refused(encoded + byte)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 2**70), st.sampled_from((2**14, 2**32, 2**63, 2**64 - 1))), max_size=40), st.binary(max_size=3))
def test_any_numbers_are_inputs_or_refused(numbers: list[int], rest: bytes) -> None:
    """Counts beyond what follows, runs without end, values beyond 64 bits."""
    out = bytearray(MAGIC)
    for number in numbers:
        put_varint(out, number)
    canonical_or_refused(bytes(out) + rest)
