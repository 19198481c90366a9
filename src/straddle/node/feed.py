"""The oracle of a replayed market: for a moment of the recording the feed values, the risk table that follows from them, and the committee's signatures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from straddle.commitments.ledger import CommittedState
from straddle.commitments.listings import extend_listings_root
from straddle.commitments.params import params_hash
from straddle.commitments.risk import risk_root
from straddle.core.events import EpochStarted, Trade
from straddle.core.instruments import Instrument, Kind
from straddle.core.risk_table import RiskTable
from straddle.core.state import Exchange
from straddle.node.config import ConfigError
from straddle.node.settings import Settings
from straddle.risk.candles import load_candles
from straddle.risk.concentration import TradedLots, market_activity
from straddle.risk.csv_rows import RecordingError
from straddle.risk.funding import perpetual_mark
from straddle.risk.inputs import RiskInputs, decode_inputs, encode_inputs
from straddle.risk.listing import choose_options, list_chain
from straddle.risk.market_path import MarketPath
from straddle.risk.oracle import EpochMessage, sign_epoch
from straddle.risk.parameters import DEFAULT_PARAMETERS, RiskParameters
from straddle.risk.recording import load_chain
from straddle.risk.surface import SurfaceError, fit_surface
from straddle.risk.table import build_table
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Logged

MARKS_KEPT = 5
"""Epochs whose (index, mark) the perpetual's mark is averaged over."""
BOOK_LEVELS = 20
Levels = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """The recordings, read and fitted."""

    path: MarketPath
    instruments: tuple[Instrument, ...]
    """What is listed of them, ids from 1."""
    refused: int
    """Rows and quotes of both files that were refused."""
    parameters: RiskParameters

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """ConfigError when the files hold no market for these settings."""
        chain, prices = settings.recordings
        try:
            recording, candles = load_chain(chain), load_candles(prices)
            options = choose_options(recording, settings.listed - 1)
            path = MarketPath(recording, fit_surface(recording), candles, settings.market.seed)
        except (RecordingError, SurfaceError, ValueError) as error:
            raise ConfigError(f"recorded market: {error}") from error
        instruments = tuple(instrument for instrument, _ in list_chain(recording, options).values())
        refused = len(recording.report.refusals) + len(candles.report.refusals)
        return cls(path, instruments, refused, DEFAULT_PARAMETERS)


@dataclass(slots=True)
class OracleReplay:
    """Signs for the committee of a development network, whose keys whoever runs it knows."""

    market: RecordedMarket
    identity: LogIdentity
    secrets: tuple[bytes, ...]
    """Keys of the oracles that sign, threshold of them."""
    _time_ms: int = 0
    traded: TradedLots = field(default_factory=TradedLots)
    """What traded in the last day; a restart knows only what it replayed of it."""

    def record(self, entries: Iterable[Logged]) -> None:
        """Trades of durable entries, in order: volume by expiry makes concentration charges."""
        expiries = {instrument.id: instrument.expiry_ms for instrument in self.market.instruments}
        for entry in entries:
            for event in entry.events:
                if isinstance(event, EpochStarted):
                    self._time_ms = event.time_ms
                elif isinstance(event, Trade) and event.instrument in expiries:
                    self.traded.add(self._time_ms, expiries[event.instrument], event.size_lots)

    def next_epoch(self, exchange: Exchange, committed: CommittedState, past: Sequence[SignedEpoch], time_ms: int) -> tuple[RiskTable, SignedEpoch]:
        """The epoch after the exchange's, for everything listed; `past` are the last signed ones up to the exchange's own, in order.

        Runs in the writer: it reads the books. PathError: the recording does not cover the moment.
        """
        instruments = tuple(exchange.instruments.values())
        inputs = self._inputs(exchange, instruments, [decode_inputs(epoch.inputs) for epoch in past], time_ms)
        table = build_table(inputs, instruments, self.market.parameters, exchange.settlements)
        root = risk_root(extend_listings_root(committed.listings_root, exchange.open_batch.listings), table.rows)
        encoded = encode_inputs(inputs)
        message = EpochMessage(self.identity.chain_id, self.identity.rollup, table.epoch, table.time_ms, params_hash(committed.params), root, encoded)
        signatures = tuple(signature.to_bytes() for signature in sign_epoch(message, self.secrets))
        return table, SignedEpoch(table.epoch, table.time_ms, root, encoded, signatures)

    def _inputs(self, exchange: Exchange, instruments: Sequence[Instrument], past: Sequence[RiskInputs], time_ms: int) -> RiskInputs:
        path, parameters = self.market.path, self.market.parameters
        previous = past[-1] if past else None
        epoch = exchange.table.epoch + 1 if exchange.table else 1
        mark = None
        perpetual = next((instrument for instrument in instruments if instrument.kind is Kind.PERPETUAL), None)
        if perpetual is not None and previous is not None:
            marks = [(inputs.index_ticks, inputs.perpetual_mark_ticks) for inputs in past[-MARKS_KEPT:]]
            mark = perpetual_mark(path.index_ticks(time_ms), *_depth(exchange, perpetual.id), marks, parameters)
        activity = market_activity(map(exchange.positions_of, exchange.accounts), instruments, self.traded.last_day(time_ms))
        return path.inputs(epoch, time_ms, instruments, previous, mark, parameters, activity)


def _depth(exchange: Exchange, instrument: int) -> tuple[Levels, Levels]:
    book = exchange.books.get(instrument)
    return ([], []) if book is None else (book.bids.depth(BOOK_LEVELS), book.asks.depth(BOOK_LEVELS))
