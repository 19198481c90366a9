"""A whole night on the recorded data, without layer 1 and proofs: what the engine accepts is provable, conserves, and is rebuilt from the words alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from support.session import OPERATOR, Run, post, run_night

from straddle.commitments.body import decode_body
from straddle.commitments.effects import decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.core.batch import AuctionChange
from straddle.core.margin import requirement
from straddle.node.config import ConfigError, DemoConfig
from straddle.node.market import Market, load_market
from straddle.node.night import Schedule
from straddle.node.session import positions_sum
from straddle.node.summary import flow_of
from straddle.node.traders import address_of
from straddle.proving.checker import check
from straddle.proving.vector import PostedBatch
from straddle.risk.inputs import decode_inputs

NANO = {"preset": "nano", "makers": 2, "takers": 3, "rounds": 3}


@pytest.fixture(scope="module")
def market() -> Market:
    return load_market(DemoConfig.recorded(**NANO))


@pytest.fixture(scope="module", params=["demo", "nano"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    settings = NANO if request.param == "nano" else {"preset": "demo"}
    yield run_night(DemoConfig.recorded(**settings), tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def posted(run: Run) -> list[PostedBatch]:
    return post(run)


def test_the_night_trades_and_settles(run: Run) -> None:
    session, happened = run.exchange.session, run.night.happened
    demo = run.config.preset == "demo"
    assert len(run.market.listed) == (334 if demo else 7)
    assert len(session.matches) >= (300 if demo else 12)
    assert sum(match.multi_leg for match in session.matches) >= (40 if demo else 1)
    assert len(run.exchange.crowd.hedge_matches) >= 2
    assert len(happened.transfers) == 1 and len(happened.withdrawals) >= 2
    expired = {number for number, (instrument, _) in run.market.listed.items() if instrument.expiry_ms == run.market.expiries[0]}
    assert happened.settled.keys() == expired and happened.retired == len(expired)
    assert not expired & session.exchange.instruments.keys()
    price = run.market.path.settlement_ticks(run.market.expiries[0])
    assert {run.market.listed[number][0].strike_ticks: value for number, value in happened.settled.items()}[0] == price  # the future
    assert len(run.exchange.closed) <= 18
    makers = {maker.trader.account for maker in run.exchange.crowd.makers}
    assert {trip.account for trip in session.trips} <= makers and len(session.trips) >= (2 if demo else 0)


def test_the_forced_withdrawal_is_answered(run: Run) -> None:
    ((trader, asked, paid),) = run.night.happened.forced
    assert asked == paid > 0
    (batch,) = [closed.batch for closed in run.exchange.closed if closed.batch.forced]
    assert batch.forced == {trader.account: paid}


def test_the_thin_account_is_liquidated_because_it_is_below_its_margin(run: Run) -> None:
    happened, params = run.night.happened, run.exchange.identity.params
    begun = happened.auctions[0]
    thin = next(taker.trader for taker in run.exchange.crowd.takers if taker.thin)
    assert begun.account == thin.account and not begun.forced
    batch = next(closed.batch for closed in run.exchange.closed if closed.batch.auctions.get(thin.account) is AuctionChange.BEGUN)
    assert batch.table is not None and batch.table.time_ms == begun.start_ms
    start = batch.start[thin.account]
    assert requirement(start.cash, start.positions, batch.table, params).maintenance_surplus_scaled < 0
    before = next(closed.batch for closed in run.exchange.closed if thin.account in closed.batch.start and closed.batch.start[thin.account].cash != start.cash)
    bought = before.end[thin.account]
    assert before.table is not None and requirement(bought.cash, bought.positions, before.table, params).surplus_scaled >= 0
    (taken,) = happened.takeovers
    assert taken.account == thin.account and taken.winner in {maker.trader.account for maker in run.exchange.crowd.makers}
    assert dict(taken.lots) == start.positions
    assert run.exchange.session.exchange.accounts[thin.account].cash >= 0 and [ended.account for ended in happened.ended] == [thin.account]


def test_money_and_positions_are_conserved_at_every_batch(run: Run) -> None:
    exchange = run.exchange.session.exchange
    assert run.exchange.conservation.errors == []
    assert sum(account.cash for account in exchange.accounts.values()) == run.deposited - run.withdrawn == run.exchange.conservation.cash
    assert run.withdrawn > 0
    assert positions_sum({number: account.positions for number, account in exchange.accounts.items()}) == {}
    assert exchange.accounts[1].cash > 0  # fees were paid


def test_conservation_is_noticed_when_it_fails(run: Run) -> None:
    batch = next(closed.batch for closed in run.exchange.closed if closed.batch.fills)
    account, state = next((number, state) for number, state in batch.end.items() if state.positions)
    instrument = next(iter(state.positions))
    richer, longer = state.copy(), state.copy()
    richer.cash += 1
    longer.positions[instrument] += 1
    for changed, word in ((richer, "cash"), (longer, "positions")):
        conservation = type(run.exchange.conservation)()
        conservation.check(replace(batch, end={**batch.end, account: changed}))
        assert len(conservation.errors) == 1 and word in conservation.errors[0]


def test_every_batch_is_provable(run: Run, posted: list[PostedBatch]) -> None:
    for batch in posted:
        assert check(batch.witness, run.config.circuit) is None


def test_the_state_is_rebuilt_from_the_posted_words(run: Run, posted: list[PostedBatch]) -> None:
    committed = run.exchange.sequencer.committed
    rebuilt = CommittedState.genesis(committed.params, address_of(OPERATOR))
    for batch in posted:
        effects = decode_effects(batch.effects_words, run.config.circuit)
        rebuilt.apply_data(effects, decode_body(batch.body_words, run.config.circuit), batch_queue(run, effects.queue_first, len(effects.queue)))
        assert rebuilt.root == effects.new_state_root
    assert rebuilt.root == committed.root


def batch_queue(run: Run, first: int, count: int):
    return run.queue.entries[first : first + count]


def test_one_changed_word_does_not_rebuild(run: Run, posted: list[PostedBatch]) -> None:
    committed = run.exchange.sequencer.committed
    rebuilt = CommittedState.genesis(committed.params, address_of(OPERATOR))
    words = list(posted[0].body_words)
    words[0] += 1 << 32  # the first account's cash
    effects = decode_effects(posted[0].effects_words, run.config.circuit)
    with pytest.raises(LedgerError):
        rebuilt.apply_data(effects, decode_body(words, run.config.circuit), batch_queue(run, effects.queue_first, len(effects.queue)))


def test_the_hedging_makers_flow_is_what_it_traded(run: Run) -> None:
    """Lots of the flow and of the hedges make up its positions and what expired; edges are those of the marks."""
    exchange, maker = run.exchange, run.exchange.crowd.makers[0]
    assert maker.hedge is not None
    lots: dict[int, int] = {}
    for trade in flow_of(exchange):
        lots[trade.instrument.id] = lots.get(trade.instrument.id, 0) + trade.lots
        assert abs(trade.edge_ticks) < trade.instrument.strike_ticks + 10**6 and trade.fee_micros > 0
    for place in exchange.crowd.hedge_matches:
        for fill in exchange.session.matches[place].fills:
            assert fill.taker == maker.trader.account
            lots[fill.instrument] = lots.get(fill.instrument, 0) + fill.taker_side.sign * fill.size_lots
    for taken in run.night.happened.takeovers:
        if taken.winner == maker.trader.account:
            for number, size in taken.lots:
                lots[number] = lots.get(number, 0) + size
    held = exchange.session.exchange.accounts[maker.trader.account].positions
    alive = {number: size for number, size in lots.items() if size and number in exchange.session.exchange.instruments}
    assert alive == held


def test_the_same_seed_gives_the_same_root_and_another_one_does_not(market: Market, tmp_path: Path) -> None:
    roots = []
    for i, seed in enumerate((7, 7, 8)):
        (folder := tmp_path / str(i)).mkdir()
        config = DemoConfig.recorded(**NANO, hours=1, seed=seed)
        roots.append(run_night(config, folder, market).exchange.sequencer.state_root)
    assert roots[0] == roots[1] != roots[2]


def test_the_perpetuals_mark_follows_the_index(run: Run) -> None:
    """Its book is quoted around the index: whatever the index did, the mark stays within a makers' spread of it, and the flow's last premium fades."""
    inputs = [decode_inputs(signed.inputs) for signed in run.exchange.session.epochs]
    assert max(abs(later.index_ticks - first.index_ticks) * 10_000 // first.index_ticks for first, later in pairwise(inputs)) >= 20
    assert all(abs(one.perpetual_mark_ticks - one.index_ticks) * 10_000 <= 3 * one.index_ticks for one in inputs)


def test_schedules(market: Market) -> None:
    plan = Schedule.plan(market, epoch_minutes=10, rounds=12, hours=24)
    assert plan.expiry_ms == market.expiries[0] and plan.epochs[0] == market.path.start_ms and plan.epochs[-1] < plan.expiry_ms
    assert {after - before for before, after in pairwise(plan.epochs)} == {600_000}
    assert len(plan.rounds) == 12 and {0, len(plan.epochs) - 1} <= plan.rounds
    assert plan.expiry_ms - plan.epochs[-1] <= 1_800_000  # the last round is inside the settlement window
    short = Schedule.plan(market, epoch_minutes=15, rounds=12, hours=1)
    assert (short.expiry_ms, len(short.epochs), len(short.rounds)) == (None, 4, 4)


def test_a_run_without_expiry_settles_nothing(market: Market, tmp_path: Path) -> None:
    run = run_night(DemoConfig.recorded(**NANO, hours=1), tmp_path, market)
    assert run.night.happened.settled == {} and run.night.happened.retired == 0
    assert len(run.exchange.session.matches) > 0 and run.exchange.conservation.errors == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rounds: 0, expected an integer from 1"),
        ({"epoch_minutes": 16}, "epoch_minutes: 16, expected an integer from 1 to 15"),
        ({"makers": 6, "takers": 6}, "makers . takers: 6 . 6, expected at least 2 takers and 8 accounts"),
        ({"instruments": 3}, "instruments: 3, expected 4"),
        ({"seed": True}, "seed: True, expected an integer"),
        ({"chain": Path("nowhere.csv")}, "chain: nowhere.csv, expected a readable file"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DemoConfig.recorded(**{**NANO, **settings})
