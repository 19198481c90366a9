"""A market session on the recorded data: what the engine accepts is provable, conserves, and can be rebuilt from the posted words alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from straddle.bots.market_maker import MakerProfile
from straddle.bots.taker import TakerProfile
from straddle.commitments.data import decode_body, decode_effects
from straddle.commitments.ledger import CommittedState, LedgerError
from straddle.core import messages
from straddle.core.commands import L1Deposit, L1SetKey
from straddle.core.events import Withdrawn
from straddle.node.config import DemoConfig
from straddle.node.market import Market, exchange_params, genesis, load_market
from straddle.node.session import Committee, MarketSession, SessionError, positions_sum
from straddle.node.traders import Trader, address_of, wallet_of
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.checker import check
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

IDENTITY = LogIdentity(31337, 0x1234)
DOMAIN = messages.domain(IDENTITY.chain_id, IDENTITY.rollup)
OPERATOR = wallet_of(1, "operator")
DEPOSITS = {"maker": 5_000_000 * 10**6, "taker": 500_000 * 10**6}


@dataclass
class Run:
    """A finished session."""

    config: DemoConfig
    market: Market
    session: MarketSession
    closed: list[ClosedBatch]
    withdrawn: int

    @property
    def exchange_accounts(self) -> dict[int, dict[int, int]]:
        return {number: account.positions for number, account in self.session.sequencer.exchange.accounts.items()}


def run_session(config: DemoConfig, folder: Path) -> Run:
    market = load_market(config)
    params = exchange_params(config.circuit, market.parameters)
    exchange, committed = genesis(config.circuit, params, DOMAIN, address_of(OPERATOR))
    closed: list[ClosedBatch] = []
    journal = Journal(folder / "journal.sqlite", IDENTITY)
    sequencer = Sequencer(exchange, committed, journal, OPERATOR, clock_ms=lambda: market.path.start_ms, inclusion_ms=60_000, on_batch=closed.append)
    traders = [Trader.create(config.seed, f"{role}-{i}", DOMAIN) for role, count in (("maker", config.makers), ("taker", config.takers)) for i in range(count)]
    makers, takers = traders[: config.makers], traders[config.makers :]
    session = MarketSession(
        sequencer,
        IDENTITY,
        market.path,
        market.listed,
        [(trader, MakerProfile(share_bps=5_000)) for trader in makers],
        [(trader, TakerProfile()) for trader in takers],
        Committee((b"\1" * 32, b"\2" * 32)),
        market.parameters,
        config.seed,
    )
    session.list_instruments()
    session.open_epoch(market.path.start_ms)
    for i, trader in enumerate(traders):
        trader.account = 3 + i
        session.submit(L1Deposit(2 * i, trader.account, trader.owner, DEPOSITS[trader.name.split("-")[0]]))
        session.submit(L1SetKey(2 * i + 1, trader.account, trader.owner, trader.key.public))
    sequencer.close_batch()
    withdrawn = 0
    for epoch in range(1, config.epochs + 1):
        session.open_epoch(market.path.start_ms + epoch * config.epoch_minutes * 60_000)
        session.quote()
        session.trade(-(-config.trades // config.epochs))
        if epoch == config.epochs:
            withdrawn = session.withdrawable(takers[0]) // 2
            (event,) = session.submit(takers[0].sign_withdrawal(withdrawn))
            assert isinstance(event, Withdrawn)
        sequencer.close_batch()
    journal.close()
    return Run(config, market, session, closed, withdrawn)


@pytest.fixture(scope="module", params=["demo", "nano"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    small = {"trades": 12, "takers": 2} if request.param == "nano" else {}
    yield run_session(DemoConfig.recorded(preset=request.param, **small), tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def posted(run: Run) -> list[PostedBatch]:
    params = run.session.sequencer.committed.params
    batches, parent = [], bytes(32)
    for closed in run.closed:
        chain = ChainFacts(IDENTITY.chain_id, IDENTITY.rollup, b"v" * 32, parent, 0xBE)
        batch = post_change(closed.change, closed.batch, params, run.config.circuit, HeaderFacts(DOMAIN, closed.log_root), chain)
        parent = batch.header_hash
        batches.append(batch)
    return batches


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
