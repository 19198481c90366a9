"""A market session on the recorded data: what the engine accepts is provable, conserves, and can be rebuilt from the posted words alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.session import DEPOSITS, OPERATOR, Run, post, run_session

from straddle.commitments.data import decode_body, decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.node.config import DemoConfig
from straddle.node.session import SessionError, positions_sum
from straddle.node.traders import address_of
from straddle.proving.checker import check
from straddle.proving.vector import PostedBatch


@pytest.fixture(scope="module", params=["demo", "nano"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    small = {"trades": 12, "takers": 2} if request.param == "nano" else {}
    yield run_session(DemoConfig.recorded(preset=request.param, **small), tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def posted(run: Run) -> list[PostedBatch]:
    return post(run)


def test_enough_trades_in_options_of_two_expiries(run: Run) -> None:
    assert len(run.session.trades) >= run.config.trades
    expiries = {run.market.listed[trade.instrument][0].expiry_ms for trade in run.session.trades}
    assert len(expiries & set(run.market.expiries)) >= 2
    assert {trade.maker for trade in run.session.trades} == {3, 4}
    assert len({trade.taker for trade in run.session.trades}) == run.config.takers


def test_money_and_positions_are_conserved(run: Run) -> None:
    accounts = run.session.sequencer.exchange.accounts
    deposited = run.config.makers * DEPOSITS["maker"] + run.config.takers * DEPOSITS["taker"]
    assert run.withdrawn > 0
    assert sum(account.cash for account in accounts.values()) == deposited - run.withdrawn
    assert positions_sum(run.exchange_accounts) == {}
    assert accounts[1].cash > 0  # fees were paid


def test_every_batch_is_provable(run: Run, posted: list[PostedBatch]) -> None:
    assert len(posted) >= 3
    for batch in posted:
        assert check(batch.witness, run.config.circuit) is None


def test_the_state_is_rebuilt_from_the_posted_words(run: Run, posted: list[PostedBatch]) -> None:
    committed = run.session.sequencer.committed
    rebuilt = CommittedState.genesis(committed.params, address_of(OPERATOR))
    for batch in posted:
        effects = decode_effects(batch.effects_words, run.config.circuit)
        rebuilt.apply_data(effects, decode_body(batch.body_words, run.config.circuit), effects.queue)
        assert rebuilt.root == effects.new_state_root
    assert rebuilt.root == committed.root


def test_one_changed_word_does_not_rebuild(run: Run, posted: list[PostedBatch]) -> None:
    committed = run.session.sequencer.committed
    rebuilt = CommittedState.genesis(committed.params, address_of(OPERATOR))
    words = list(posted[0].body_words)
    words[0] += 1 << 32  # the first account's cash
    effects = decode_effects(posted[0].effects_words, run.config.circuit)
    with pytest.raises(LedgerError):
        rebuilt.apply_data(effects, decode_body(words, run.config.circuit), effects.queue)


def test_the_same_seed_gives_the_same_root_and_another_one_does_not(tmp_path: Path) -> None:
    roots = [
        run_session(DemoConfig.recorded(preset="nano", trades=6, takers=2, epochs=1, seed=seed), tmp_path / str(i)).session.sequencer.state_root
        for i, seed in enumerate((7, 7, 8))
    ]
    assert roots[0] == roots[1] != roots[2]


def test_too_many_trades_end_with_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"trades: \d+ in epoch 2, expected 5000: the books yield no more"):
        run_session(DemoConfig.recorded(preset="nano", trades=5000, takers=2, epochs=1), tmp_path)
