"""Risk inputs and their bytes: what is refused, by name. tests/property/test_risk_inputs.py has the rest."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from straddle.primitives.varint import put_varint, zigzag
from straddle.risk.inputs import MAGIC, RiskInputError, RiskInputs, decode_inputs, encode_inputs

NOW = 1_590_103_380_000
DAY_MS = 86_400_000
INPUTS = RiskInputs(
    epoch=5,
    time_ms=NOW,
    index_ticks=908_500,
    perpetual_mark_ticks=909_000,
    cumulative_funding=-3,
    funding_remainder=77,
    forwards=((NOW + DAY_MS, 908_600), (NOW + 90 * DAY_MS, 920_000)),
    vols=((2, 7_400), (3, 7_400), (4, 9_000), (9, 8_950)),
)
HEADER = (5, NOW, 908_500, zigzag(500), zigzag(-3), 77, 1_000_000)
LISTS = (0, 2, NOW + DAY_MS, 89 * DAY_MS, zigzag(100), zigzag(11_400), 0, 0, 0)
"""Hours, forwards, settlements, windows, activity."""
VOLS = (2, 1, 3, 4, 1, zigzag(7_400), 0, zigzag(1_600), zigzag(-50))
"""Two runs: past 1 three of them, past 5 to 8 one."""


def written(*numbers: int) -> bytes:
    out = bytearray(MAGIC)
    for number in numbers:
        put_varint(out, number)
    return bytes(out)


def test_the_bytes_are_those_of_the_specification():
    assert encode_inputs(INPUTS) == written(*HEADER, *LISTS, *VOLS)
    assert decode_inputs(encode_inputs(INPUTS)) == INPUTS


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "inputs: 0 bytes starting b'': expected b'SRI3'"),
        (b"SRI2" + bytes(60), "starting b'SRI2': expected b'SRI3'"),
        (written(), "inputs: epoch: no number of 64 bits in its shortest form at byte 4 of 4"),
        (written(*HEADER[:3])[:-1], "inputs: index_ticks: no number"),
        (MAGIC + b"\x85\x00" + written(*HEADER[1:], *LISTS, *VOLS)[4:], "inputs: epoch: no number of 64 bits in its shortest form at byte 4"),
        (written(2**64), "inputs: epoch: no number of 64 bits"),
        (written(*HEADER, *LISTS, *VOLS) + b"\0", "inputs: 54 bytes, expected 53"),
        (written(*HEADER, *LISTS, *VOLS[:-1]), "inputs: vols: no number of 64 bits"),
        (written(*HEADER, 2**63), "inputs: 9223372036854775808 hours with 0 bytes left: expected at most 0"),
        (written(*HEADER, 1_025) + bytes(2_000), "inputs: 1025 hours with 2000 bytes left: expected at most 1024"),
        (written(*HEADER, 0, 1_025) + bytes(2_000), "inputs: 1025 forwards with 2000 bytes left: expected at most 1024"),
        (written(*HEADER, *LISTS, 1, 0, 16_385) + bytes(20_000), "inputs: 16385 vols with 20000 bytes left: expected at most 16384"),
        (written(*HEADER, *LISTS, 2, 0, 10_000, 1, 10_000) + bytes(20_000), "inputs: 10000 vols with 20000 bytes left: expected at most 6384"),
        (written(*HEADER, *LISTS, 1, 1, 0), "inputs: run 1 of vols skips 1 instruments and has 0: expected more than none"),
        (written(*HEADER, *LISTS, 2, 1, 1, 0, 1, 2, 2), "inputs: run 2 of vols skips 0 instruments and has 1: expected more than none"),
        (written(*HEADER, *LISTS, 1, 2**32 - 1, 1, 2), "vol's instrument = 4294967296: expected an integer from 1"),
        (written(*HEADER, *LISTS, 1, 1, 2, zigzag(5), zigzag(-5)), "vol of instrument 3 = 0"),
        (written(*HEADER, 0, 2, NOW + DAY_MS, 0, 0, 0), "inputs: number of settlements: no number"),
        (written(*HEADER, 0, 2, NOW + DAY_MS, 0, 0, 0, 0, 0, 0, 0), f"forwards: {NOW + DAY_MS} after {NOW + DAY_MS}: expected strictly ascending"),
        (written(*HEADER[:3], zigzag(-908_500), *HEADER[4:], *LISTS, *VOLS), "perpetual_mark_ticks = 0: expected an integer from 1"),
    ],
)
def test_bytes_without_inputs_are_refused(data, match):
    with pytest.raises(RiskInputError, match=match):
        decode_inputs(data)


def test_a_count_sets_nothing_aside():
    """A few bytes that promise millions of entries cost no more than they are."""
    data = written(*HEADER, *LISTS, 1, 0, 2**62)
    tracemalloc.start()
    with pytest.raises(RiskInputError, match="vols with 0 bytes left"):
        decode_inputs(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"index_ticks": 0}, "index_ticks"),
        ({"perpetual_mark_ticks": 2**30}, "perpetual_mark_ticks"),
        ({"epoch": -1}, "epoch"),
        ({"time_ms": 2**48}, "time_ms"),
        ({"cumulative_funding": 2**38 + 1}, "cumulative_funding"),
        ({"vols": ((2, 0),)}, "vol of instrument 2"),
        ({"vols": ((2, 1), (2, 1))}, "vols"),
        ({"forwards": ((5, 1), (4, 1))}, "forwards"),
        ({"index_ticks": 5.0}, "index_ticks"),
        ({"scale_ppm": 0}, "scale_ppm"),
        ({"hours": (5, 0)}, "hours"),
        ({"windows": ((9, 5, 4),)}, "fixed part of expiry 9"),
        ({"windows": ((9, -1, 4),)}, "observed_ms of expiry 9"),
        ({"settlements": ((NOW + 1, 5),)}, f"settlements: expiry {NOW + 1}: expected at most"),
        ({"settlements": ((9, 0),)}, "settlement of expiry 9"),
        ({"activity": ((9, -1, 0),)}, "open interest of expiry 9"),
        ({"activity": ((9, 0, 2**63),)}, "traded lots of expiry 9"),
        ({"activity": ((9, 0, 0), (9, 1, 1))}, "activity"),
        ({"hours": (5,) * 1_025}, "number of hours"),
    ],
)
def test_bad_inputs_are_refused(change, match):
    with pytest.raises(RiskInputError, match=match):
        replace(INPUTS, **change)
