"""Layer 2 of a run: the sequencer with its journal, the market that trades on it, and the makers and takers that trade there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from eth_account.signers.local import LocalAccount

from straddle.bots.hedger import HedgeProfile
from straddle.bots.market_maker import MakerProfile
from straddle.bots.taker import TakerProfile
from straddle.core.batch import OpenBatch
from straddle.core.commands import L1Deposit
from straddle.core.instruments import Instrument
from straddle.core.params import BPS, Params
from straddle.node.config import DemoConfig
from straddle.node.crowd import Crowd, Maker, Taker, allot
from straddle.node.feed import OracleReplay
from straddle.node.market import Market, genesis
from straddle.node.session import MarketSession
from straddle.node.traders import Trader
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import SignedEpoch
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Sequencer

INCLUSION_MS = 600_000
"""Receipts promise inclusion within ten minutes of market time."""
SPARE_INSTRUMENTS = 8
"""A maker quotes one in so many fewer instruments than an account may hold or quote, to have room for what it takes over."""
TAKER_SIZE_LOTS = 2_000
THIN_SIZE_LOTS = 50_000


@dataclass(frozen=True, slots=True)
class Identity:
    """What binds an exchange to its rollup."""

    log: LogIdentity
    domain: int
    params: Params
    operator: int
    """Address as an integer."""
    sequencer: LocalAccount
    secrets: tuple[bytes, ...]
    """Keys of the oracles that sign."""


@dataclass(slots=True)
class Conservation:
    """The running check of every closed batch: cash changes by what layer 1 paid in and is owed, positions of what has not expired by nothing."""

    cash: int = 0
    """Micro-dollars in all accounts after the last batch."""
    errors: list[str] = field(default_factory=list)

    def check(self, batch: OpenBatch) -> None:
        """One more closed batch."""
        expected = sum(entry.amount for entry in batch.queue if isinstance(entry, L1Deposit))
        expected -= sum(withdrawal.amount for withdrawal in batch.withdrawals.values()) + sum(batch.forced.values())
        change = sum(end.cash - batch.start[account].cash for account, end in batch.end.items())
        self.cash += change
        lots: dict[int, int] = {}
        for account, end in batch.end.items():
            before = batch.start[account].positions
            for instrument in before.keys() | end.positions.keys():
                moved = end.positions.get(instrument, 0) - before.get(instrument, 0)
                if batch.table is not None and instrument in batch.table and batch.table[instrument].settled:
                    expected -= moved * batch.table[instrument].value
                else:
                    lots[instrument] = lots.get(instrument, 0) + moved
        if change != expected:
            self.errors.append(f"batch {batch.number}: cash changed by {change} micro-dollars, expected {expected}")
        self.errors += [f"batch {batch.number}: positions in instrument {number} changed by {total} lots in sum" for number, total in lots.items() if total]


class Exchange:
    """Sequencer, market session and crowd."""

    def __init__(
        self,
        config: DemoConfig,
        market: Market,
        identity: Identity,
        folder: Path,
        on_batch: Callable[[ClosedBatch], None],
        on_epoch: Callable[[SignedEpoch], None] = lambda signed: None,
    ) -> None:
        """`on_batch` and `on_epoch` are the poster's."""
        self.config, self.market, self.identity = config, market, identity
        self.journal_path = folder / "journal.sqlite"
        self.closed: list[ClosedBatch] = []
        self.conservation = Conservation()
        self._on_batch = on_batch
        self.oracle = OracleReplay(market.replayed, identity.log, identity.secrets)
        self.sequencer = self._open_sequencer(self._batch_closed)
        self.session = MarketSession(self.sequencer, self.oracle, on_epoch)
        makers = [self._trader(f"maker-{i + 1}") for i in range(config.makers)]
        takers = [self._trader(f"taker-{i + 1}") for i in range(config.takers)]
        self.sub_account = takers[0].sub_account("taker-1-sub")
        self.crowd = Crowd(self.session, market.listed, self._makers(makers), self._takers(takers), market.parameters.risk, config.seed)

    @property
    def traders(self) -> list[Trader]:
        """Makers, then takers."""
        return [*(maker.trader for maker in self.crowd.makers), *(taker.trader for taker in self.crowd.takers)]

    def replayed_root(self) -> int:
        """The root that a restart reaches: the journal replayed from genesis. The sequencer is closed for it."""
        self.sequencer.close()
        replayed = self._open_sequencer(lambda closed: None)
        root = replayed.state_root
        replayed.close()
        return root

    def _trader(self, name: str) -> Trader:
        return Trader.create(self.config.seed, name, self.identity.domain)

    def _makers(self, traders: list[Trader]) -> list[Maker]:
        """The first one hedges, the second rests combinations."""
        quota = self.sequencer.exchange.limits.positions
        quota -= max(1, quota // SPARE_INSTRUMENTS)
        first = self.market.path.start_ms

        def nearness(instrument: Instrument) -> tuple[float, int]:
            return abs(instrument.strike_ticks - self.market.path.recording.index_ticks) / (instrument.expiry_ms - first) ** 0.5, instrument.id

        options = [instrument.id for instrument in sorted((one for one in self.market.instruments if not one.linear), key=nearness)]
        linear = [instrument.id for instrument in self.market.instruments if instrument.linear]
        profile = MakerProfile(share_bps=BPS // len(traders), size_cap_lots=20_000)
        parts = allot(options, linear, len(traders), quota)
        return [
            Maker(trader, profile, own, shared, rests_structures=i == 1, hedge=HedgeProfile() if i == 0 else None)
            for i, (trader, (own, shared)) in enumerate(zip(traders, parts, strict=True))
        ]

    def _takers(self, traders: list[Trader]) -> list[Taker]:
        regular = TakerProfile(size_cap_lots=TAKER_SIZE_LOTS)
        thin = TakerProfile(margin_part_bps=BPS, size_cap_lots=THIN_SIZE_LOTS)
        return [*(Taker(trader, regular) for trader in traders[:-1]), Taker(traders[-1], thin, thin=True)]

    def _batch_closed(self, closed: ClosedBatch) -> None:
        self.closed.append(closed)
        self.conservation.check(closed.batch)
        self._on_batch(closed)

    def _open_sequencer(self, on_batch: Callable[[ClosedBatch], None]) -> Sequencer:
        identity, market_time = self.identity, self.market.path.start_ms
        engine, committed = genesis(self.config.circuit, identity.params, self.market.parameters.fees, identity.domain, identity.operator)
        return Sequencer(
            engine,
            committed,
            Journal(self.journal_path, identity.log),
            identity.sequencer,
            clock_ms=lambda: engine.table.time_ms if engine.table else market_time,
            inclusion_ms=INCLUSION_MS,
            on_batch=on_batch,
            on_logged=self.oracle.record,
        )
