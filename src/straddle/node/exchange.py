"""Layer 2 of a run: the sequencer, its poster, and the market that trades on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from straddle.bots.market_maker import MakerProfile
from straddle.bots.taker import TakerProfile
from straddle.l1.history import read_history
from straddle.node.config import DemoConfig
from straddle.node.layer1 import queue_commands
from straddle.node.market import Market, genesis
from straddle.node.network import Network
from straddle.node.session import MarketSession, SessionError
from straddle.node.traders import Trader, address_of
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import Poster
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

INCLUSION_MS = 600_000
"""Receipts promise inclusion within ten minutes of market time."""


class Exchange:
    """Layer 2 of a run: sequencer, poster, market session."""

    def __init__(self, config: DemoConfig, market: Market, network: Network, folder: Path, poster: Poster) -> None:
        self.config = config
        self.market = market
        self.network = network
        self.poster = poster
        self.journal_path = folder / "journal.sqlite"
        self.closed: list[ClosedBatch] = []
        self.orders = 0
        self.sequencer = self._open_sequencer(self._batch_closed)
        makers = [Trader.create(config.seed, f"maker-{i + 1}", network.domain) for i in range(config.makers)]
        takers = [Trader.create(config.seed, f"taker-{i + 1}", network.domain) for i in range(config.takers)]
        share_bps = 10_000 // config.makers
        self.session = MarketSession(
            self.sequencer,
            network.identity,
            market.path,
            market.listed,
            [(trader, MakerProfile(share_bps=share_bps, width_vol_bps=50 * i)) for i, trader in enumerate(makers)],
            [(trader, TakerProfile()) for trader in takers],
            network.committee,
            market.parameters,
            config.seed,
            poster.add_epoch,
        )

    @property
    def traders(self) -> list[Trader]:
        """Makers, then takers."""
        return [trader for trader, _ in (*self.session.makers, *self.session.takers)]

    def open_market(self) -> None:
        """Listing, the first table, and everything that waits in layer 1's queue. Keys act from the next batch."""
        self.session.list_instruments()
        self._open_epoch(0)
        for command in queue_commands(read_history(self.network.anvil.rpc, self.network.deployment).queue):
            self.session.submit(command)
        self.sequencer.close_batch()

    def trade(self, epoch: int) -> None:
        """One epoch: a new table, quotes, takers."""
        self._open_epoch(epoch)
        self.orders += self.session.quote()
        before = self.sequencer.sequence
        self.session.trade(-(-self.config.trades // self.config.epochs))
        self.orders += self.sequencer.sequence - before

    def withdraw(self) -> tuple[Trader, int]:
        """The taker who can withdraw most takes half of it; account and micro-dollars."""
        trader = max((trader for trader, _ in self.session.takers), key=self.session.withdrawable)
        amount = self.session.withdrawable(trader) // 2
        if not amount:
            raise SessionError("withdrawal: no taker has anything to withdraw")
        self.session.submit(trader.sign_withdrawal(amount))
        return trader, amount

    def finish_batch(self) -> None:
        """End the open batch, if anything is in it."""
        open_batch = self.sequencer.exchange.open_batch
        if open_batch.first_sequence < self.sequencer.exchange.next_sequence:
            self.sequencer.close_batch()

    def replayed_root(self) -> int:
        """The root that a restart reaches: the journal replayed from genesis. The sequencer is closed for it."""
        self.sequencer.close()
        replayed = self._open_sequencer(lambda closed: None)
        root = replayed.state_root
        replayed.close()
        return root

    def _open_epoch(self, epoch: int) -> None:
        self.session.open_epoch(self.market.path.start_ms + epoch * self.config.epoch_minutes * 60_000)

    def _batch_closed(self, closed: ClosedBatch) -> None:
        self.closed.append(closed)
        self.poster.add(closed)

    def _open_sequencer(self, on_batch: Callable[[ClosedBatch], None]) -> Sequencer:
        network = self.network
        engine, committed = genesis(self.config.circuit, network.params, network.domain, address_of(network.operator))
        journal = Journal(self.journal_path, network.identity)
        market_time = self.market.path.start_ms
        return Sequencer(
            engine,
            committed,
            journal,
            network.sequencer,
            clock_ms=lambda: engine.table.time_ms if engine.table else market_time,
            inclusion_ms=INCLUSION_MS,
            on_batch=on_batch,
        )
