"""A finished market session without layer 1: real recordings, engine, journal, witnesses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from straddle.bots.market_maker import MakerProfile
from straddle.bots.taker import TakerProfile
from straddle.core import messages
from straddle.core.commands import L1Deposit, L1SetKey
from straddle.core.events import Withdrawn
from straddle.node.config import DemoConfig
from straddle.node.market import Market, exchange_params, genesis, load_market
from straddle.node.session import Committee, MarketSession
from straddle.node.traders import Trader, address_of, wallet_of
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.vector import ChainFacts, PostedBatch
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

IDENTITY = LogIdentity(31337, 0x1234)
DOMAIN = messages.domain(IDENTITY.chain_id, IDENTITY.rollup)
OPERATOR = wallet_of(1, "operator")
ORACLES = (b"\1" * 32, b"\2" * 32)
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
        Committee(ORACLES),
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


def post(run: Run, parent: bytes = bytes(32), vk_id: bytes = b"v" * 32) -> list[PostedBatch]:
    """The run's batches as layer 1 would get them after the header `parent`."""
    params = run.session.sequencer.committed.params
    batches = []
    for closed in run.closed:
        chain = ChainFacts(IDENTITY.chain_id, IDENTITY.rollup, vk_id, parent, 0xBE)
        batches.append(post_change(closed.change, closed.batch, params, run.config.circuit, HeaderFacts(DOMAIN, closed.log_root), chain))
        parent = batches[-1].header_hash
    return batches
