from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import plain_deleveraging
from support.market import CALL, HOUR_MS, INSTRUMENTS, PERPETUAL, PUT, ROOMY, TIME_MS, Market, picture, row, table

from straddle.core import deleveraging, liquidation, state
from straddle.core.accounts import Account, Auction
from straddle.core.batch import Deleverage
from straddle.core.capacity import fits
from straddle.core.commands import InternalEpoch, InternalList
from straddle.core.deleveraging import bearable_ticks, shares
from straddle.core.instruments import BTC, Instrument, Kind
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.operations import internal_deleverage

SIZES = st.integers(-(10**7), 10**7).filter(bool)


def test_a_position_bears_the_band_and_a_short_one_no_more_than_the_mark() -> None:
    option = row(INSTRUMENTS[0], value=5_000, band=6_000)
    assert bearable_ticks(option, 1) == 6_000 and bearable_ticks(option, -1) == 5_000
    assert bearable_ticks(replace(option, value=-1), -1) == 0


@given(st.dictionaries(st.sampled_from([CALL, PUT, PERPETUAL]), SIZES), st.integers(1, 10**13), st.sampled_from([0, 1, 6_000, 2**39 - 1]))
def test_shares_bring_back_no_more_than_the_deficit_and_almost_all_of_it(positions: dict[int, int], deficit: int, band: int) -> None:
    rows = RiskTable(1, TIME_MS, 900_000, tuple(replace(item, band=band) for item in table().rows))
    found = shares(positions, rows, deficit)
    lots, back = sum(map(abs, positions.values())), sum(abs(size) * found[instrument] for instrument, size in positions.items())
    at_most = sum(abs(size) * bearable_ticks(rows[instrument], size) for instrument, size in positions.items())
    assert back <= min(deficit, at_most) and min(deficit, at_most) - back <= lots
    assert all(0 <= found[instrument] <= bearable_ticks(rows[instrument], size) for instrument, size in positions.items())


def test_what_has_expired_is_left_for_its_settlement() -> None:
    rows = table(time_ms=INSTRUMENTS[0].expiry_ms)
    assert shares({CALL: 5, PERPETUAL: -5}, rows, 10) == {PERPETUAL: 2}


# ---- the closings of a batch


STRIKES = tuple(Instrument(i, (Kind.CALL, Kind.PUT)[i % 2], BTC, TIME_MS + 24 * HOUR_MS, 800_000 + 50_000 * i, 50, 10, 10_000_000) for i in range(1, 7))
BANKRUPT, HOLDERS = 3, range(4, 12)


def bankrupt(rng: Random, strikes: tuple[Instrument, ...] = STRIKES, holders: range = HOLDERS, **changes: int) -> Market:
    """An exchange on which an account owes more than it has, and others hold the other sides: poor and rich, hedged and not."""
    made = Market(replace(ROOMY, **changes), open_=False)
    made.ok(InternalList(strikes))
    made.ok(InternalEpoch(table(instruments=strikes)))
    made.cut()
    accounts, sizes = made.exchange.accounts, {strike.id: 0 for strike in strikes}
    for id_ in holders:
        held = {strike.id: rng.randint(-30, 30) * 10 for strike in strikes if rng.random() < 0.7}
        accounts[id_] = Account(id_, owner=1, cash=rng.choice((-3, 1, 10, 60, 500)) * 1_000_000, positions={i: size for i, size in held.items() if size})
        for instrument, size in held.items():
            sizes[instrument] -= size
    owes = sum(size * made.exchange.context.table[instrument].value for instrument, size in sizes.items())
    positions = {instrument: size for instrument, size in sizes.items() if size}
    accounts[BANKRUPT] = Account(
        BANKRUPT, owner=1, cash=-owes - rng.randint(1, 5_000_000), positions=positions, auction=Auction(TIME_MS - rng.randint(0, 300_000), False, 0)
    )
    for id_ in (BANKRUPT, *holders):
        exposure = made.exchange.context.exposure()
        for instrument, size in accounts[id_].positions.items():
            exposure.move(instrument, size)
        made.exchange.exposures[id_] = exposure
    if rng.random() < 0.3:
        made.exchange.open_batch.sealed[rng.choice(holders)] = None
    if rng.random() < 0.3:
        made.exchange.usage.covered[rng.choice(holders)] = rng.random() < 0.5
    return made


def found_by(closings: Any, exchange: Exchange) -> tuple[Deleverage, ...]:
    auction = exchange.accounts[BANKRUPT].auction
    assert auction is not None
    return tuple(closings(exchange, BANKRUPT, auction, lambda rows: fits(exchange, internal_deleverage._additions(exchange, rows))))


@pytest.mark.parametrize("seed", range(6))
def test_closings_are_those_of_the_plain_definition(seed: int) -> None:
    """Any presets and states: rows enough or few, accounts few, holders who cannot pay."""
    rng, seen = Random(seed), Counter[int]()
    for _ in range(25):
        made = bankrupt(rng, deleverages=rng.choice((0, 1, 2, 4, 40)), accounts=rng.choice((2, 4, 20)))
        before = picture(made.exchange)
        found = found_by(deleveraging.closings, made.exchange)
        assert found == found_by(plain_deleveraging.closings, made.exchange) and picture(made.exchange) == before
        ranks = deleveraging.ranking(made.exchange, BANKRUPT)
        assert ranks == {instrument: plain_deleveraging.ranking(made.exchange, BANKRUPT, instrument) for instrument in ranks}
        seen[len(found)] += 1
    assert seen[0] and seen[1] and sum(count for rows, count in seen.items() if rows > 1) > 3, seen


def test_holders_are_valued_once_and_a_full_batch_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search values each holder once for its rank, and then little more than those it closes against, however many there are."""
    strikes = tuple(replace(STRIKES[i % 6], id=i + 1, strike_ticks=500_000 + 10_000 * i) for i in range(40))
    made = bankrupt(Random(2), strikes, range(4, 44), deleverages=2)
    valued, plain = [0], deleveraging.requirement

    def counting(*given: Any) -> Any:
        valued[0] += 1
        return plain(*given)

    for module in (deleveraging, liquidation, state, plain_deleveraging):
        monkeypatch.setattr(module, "requirement", counting)
    found = found_by(deleveraging.closings, made.exchange)
    once, valued[0] = valued[0], 0
    assert found == found_by(plain_deleveraging.closings, made.exchange) and 0 < len(found) <= 2
    assert once < 40 + 100 < valued[0] // 10
