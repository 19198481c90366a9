"""The market's numbers: as a file and back, one hash over all of them, and a refusal of everything that could not be used."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from straddle.core.fees import FeeSchedule
from straddle.risk.listing import list_chain
from straddle.risk.market_parameters import DEFAULT_MARKET, REASONS, MarketParameters
from straddle.risk.market_path import MarketPath
from straddle.risk.parameter_keys import KEYS, Key
from straddle.risk.table import build_table

DEFAULTS = json.loads(DEFAULT_MARKET.to_json())
PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "parameters.md"


def test_a_file_gives_the_parameters_that_it_was_made_of() -> None:
    changed = replace(DEFAULT_MARKET, fees=FeeSchedule(7, 2, 900), risk=replace(DEFAULT_MARKET.risk, tail_moves_bps=(-6_000, *range(1_000, 13_000, 1_000))))
    for market in (DEFAULT_MARKET, changed):
        assert MarketParameters.from_json(market.to_json()) == market == MarketParameters.from_plain(json.loads(market.to_json()))


def test_what_a_file_leaves_out_has_its_default() -> None:
    assert MarketParameters.from_json("{}") == DEFAULT_MARKET
    found = MarketParameters.from_json('{"fees": {"taker_bps": 5}, "margin": {}}')
    assert found == replace(DEFAULT_MARKET, fees=FeeSchedule(taker_bps=5))
    assert found.differences(DEFAULT_MARKET) == ["fees.taker_bps = 5, not 3"] and found.differences(found) == []


def test_the_digest_is_of_every_number() -> None:
    base, seen = DEFAULT_MARKET.digest, set()
    for section, known in KEYS.items():
        for name in known:
            value = getattr(getattr(DEFAULT_MARKET, section), name)
            for step in (1, -1):
                other = (*value[:-1], value[-1] + step) if isinstance(value, tuple) else value + step
                try:
                    changed = replace(DEFAULT_MARKET, **{section: replace(getattr(DEFAULT_MARKET, section), **{name: other})})
                except ValueError:  # at an end of its range
                    continue
                seen.add((section, name))
                assert changed.digest != base and changed.digest < 2**248
    assert seen == {(section, name) for section, known in KEYS.items() for name in known}


def test_every_number_has_a_range_a_meaning_and_a_reason() -> None:
    sections = {item.name: {key.name for key in fields(getattr(DEFAULT_MARKET, item.name))} for item in fields(DEFAULT_MARKET)}
    assert sections == {section: set(known) for section, known in KEYS.items()} == {section: set(known) for section, known in REASONS.items()}
    assert all(key.low <= key.high and key.unit and key.means.endswith(".") for known in KEYS.values() for key in known.values())
    assert all(reason.endswith(".") for known in REASONS.values() for reason in known.values())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("[]", "the whole: \\[\\], expected an object with margin, auction"),
        ('{"fee": {}}', "fee: no such key, expected one of margin"),
        ('{"fees": {"taker": 1}}', "fees.taker: no such key, expected one of fees.taker_bps"),
        ('{"fees": 3}', "fees: 3, expected an object"),
        ('{"fees": {"taker_bps": 1, "taker_bps": 2}}', "taker_bps: given twice"),
        ('{"fees": {"taker_bps": NaN}}', "NaN: expected an integer"),
        ('{"fees": {"taker_bps": 3.0}}', "fees.taker_bps = 3.0: expected an integer"),
        ('{"fees": {"taker_bps": true}}', "fees.taker_bps = true: expected an integer"),
        ('{"fees": {"taker_bps": "3"}}', 'fees.taker_bps = "3": expected an integer'),
        ('{"fees": {"taker_bps": 10001}}', "fees.taker_bps: 10001, expected 0 to 10000"),
        ('{"margin": {"k_im_bps": 7999}}', "margin.k_mm_bps = 8000: expected at most margin.k_im_bps, 7999"),
        ('{"margin": {"k_im_bps": 65536}}', "margin.k_im_bps = 65536: expected 1 to 65535"),
        ('{"auction": {"auction_ms": 0}}', "auction.auction_ms = 0: expected 1"),
        ('{"instruments": {"position_cap_lots": 1099511627776}}', "instruments.position_cap_lots = 1099511627776: expected 1 to 1099511627775"),
        ('{"listing": {"days": 0, "weeks": 0, "months": 0, "quarters": 0}}', "listing.days, weeks, months, quarters: all 0"),
        ('{"listing": {"step_bps": [1, 2]}}', "listing.term_days = .*: expected strictly ascending"),
        ('{"risk": {"tail_moves_bps": 3}}', "risk.tail_moves_bps = 3: expected a list of integers"),
        ('{"risk": {"tail_moves_bps": []}}', "risk.tail_moves_bps = \\[\\]: expected a list of integers"),
        ('{"risk": {"tail_moves_bps": [1000, -1000]}}', "risk.tail_moves_bps = .*: expected 13 moves, none 0"),
        ('{"risk": {"tail_moves_bps": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}}', "risk.tail_moves_bps"),
        ('{"risk": {"range_bps": 0}}', "risk.range_bps = 0: expected 100 to 9999"),
        ('{"risk": {"profile_days": [3, 2, 1, 4, 5, 6]}}', "risk.profile_days"),
        ('{"risk": {"vol_term_days": [1]}}', "risk.vol_term_days"),
        ('{"risk": {"short_floor_im_bps": [150, 175, 245, 10001]}}', "risk.short_floor_im_bps"),
        ('{"risk": {"short_floor_im_bps": [150, 116, 245, 305]}}', "risk.short_floor_mm_bps = .*: expected at most short_floor_im_bps"),
        ('{"risk": {"linear_mm_bps": 101}}', "risk.linear_mm_bps = 101: expected at most linear_im_bps, 100"),
        ('{"risk": {"averaging_minutes": 31}}', "risk.averaging_minutes = 31: expected at most settlement_window_minutes, 30"),
        ('{"risk": {"concentration_bps": [-1, 1000, 3000]}}', "risk.concentration_bps"),
        ('{"risk": {"scaling_bps": [10000, 17500, 63000]}}', "risk.scaling_bps = .*below 100 %"),
        ('{"risk": {"scaling_bps": [10000, 9000, 25000]}}', "risk.scaling_bps = .*expected no fall"),
        ('{"risk": {"vol_up_bps": 6300}}', "risk.vol_up_bps = 6300: a volatility of"),
        ('{"risk": {"band_min_ticks": 0}}', "risk.band_min_ticks = 0: expected 1 to 10000000"),
        ("{" * 40 + "}" * 40, "nested deeper"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(change: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        MarketParameters.from_json(change)


@pytest.mark.parametrize(("section", "name"), [(section, name) for section, known in KEYS.items() for name in known])
def test_no_number_leaves_its_range(section: str, name: str) -> None:
    key = KEYS[section][name]
    for bad in (key.low - 1, key.high + 1):
        value = [bad] * len(DEFAULTS[section][name]) if isinstance(DEFAULTS[section][name], list) else bad
        with pytest.raises(ValueError, match=rf"^{section}\."):
            MarketParameters.from_plain({**DEFAULTS, section: {**DEFAULTS[section], name: value}})


def test_a_record_names_every_key() -> None:
    with pytest.raises(ValueError, match=r"^listing: missing, expected every key"):
        MarketParameters.from_plain({name: values for name, values in DEFAULTS.items() if name != "listing"})
    with pytest.raises(ValueError, match=r"^fees\.maker_bps: missing, expected every key"):
        MarketParameters.from_plain({**DEFAULTS, "fees": {"taker_bps": 1, "option_cap_bps": 1}})


def drawn(seed: int) -> MarketParameters:
    """Any parameters that are accepted, most of them at an end of their range."""
    draw, raw = Random(seed), json.loads(json.dumps(DEFAULTS))
    for section, name in sorted(((section, name) for section, known in KEYS.items() for name in known), key=lambda _: draw.random()):
        key, before = KEYS[section][name], raw[section][name]

        def number(key: Key = key) -> int:
            return draw.choice((key.low, key.high, draw.randint(key.low, key.high)))

        raw[section][name] = [number() for _ in before] if isinstance(before, list) else number()
        try:
            MarketParameters.from_plain(raw)
        except ValueError:
            raw[section][name] = before
    return MarketParameters.from_plain(raw)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_accepted_makes_a_table(path: MarketPath, seed: int) -> None:
    market, now = drawn(seed), path.start_ms
    assert len(market.differences(DEFAULT_MARKET)) > 20
    options = path.recording.options[::8]
    listed = [instrument for instrument, _ in list_chain(path.recording, options, futures=True, sizes=market.instruments).values()]
    first = path.inputs(1, now, listed, parameters=market.risk)
    later = path.inputs(2, now + 3_600_000, listed, first, parameters=market.risk)
    for inputs in (first, later):
        table = build_table(inputs, listed, market.risk)
        assert table.packed is not None and all(row.band > 0 for row in table.rows if row.expiry_ms > inputs.time_ms)


def shown(value: Any) -> str:
    return ", ".join(f"{part:,}" for part in value) if isinstance(value, list) else f"{value:,}"


def rows(section: str) -> list[str]:
    """A section's table as the page has it."""
    found = ["| key | default | unit | range | what it is; *why the default* |", "| --- | --- | --- | --- | --- |"]
    for name, key in KEYS[section].items():
        value, reason = shown(DEFAULTS[section][name]), REASONS[section][name]
        found.append(f"| `{section}.{name}` | {value} | {key.unit} | {key.low:,} to {key.high:,} | {key.means} *{reason}* |")
    return found


def test_the_reference_has_every_key_with_unit_range_default_and_reason() -> None:
    page = PAGE.read_text()
    for section in KEYS:
        assert "\n".join(rows(section)) in page, section
    assert len(re.findall(r"^\| `\w+\.", page, re.MULTILINE)) == sum(map(len, KEYS.values()))


def test_the_example_of_the_reference_is_a_file_that_is_read() -> None:
    example = PAGE.read_text().split("```json\n")[1].split("```")[0]
    assert MarketParameters.from_json(example).differences(DEFAULT_MARKET)
