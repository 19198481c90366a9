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
from straddle.node.fitting import fitted_surface
from straddle.node.settings import Settings
from straddle.risk.candles import load_candles
from straddle.risk.concentration import TradedLots, market_activity
from straddle.risk.csv_rows import RecordingError
from straddle.risk.funding import perpetual_mark
from straddle.risk.inputs import RiskInputs, decode_inputs, encode_inputs
from straddle.risk.listing import perpetual_terms
from straddle.risk.listing_policy import Room, due, expiries
from straddle.risk.market_parameters import MarketParameters
from straddle.risk.market_path import MarketPath
from straddle.risk.oracle import EpochMessage, sign_epoch
from straddle.risk.recording import load_chain
from straddle.risk.surface import SurfaceError
from straddle.risk.table import build_table
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Logged

ROWS_PER_EXPIRY = 3
"""Room that an expiry needs to be worth listing: its future, a call and a put."""
MARKS_KEPT = 5
"""Epochs whose (index, mark) the perpetual's mark is averaged over."""
BOOK_LEVELS = 20
Levels = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class RecordedMarket:
    """The recordings, read and fitted."""

    path: MarketPath
    refused: int
    """Rows and quotes of both files that were refused."""
    parameters: MarketParameters

    @classmethod
    def load(cls, settings: Settings, parameters: MarketParameters) -> Self:
        """ConfigError when the files hold no market for these settings."""
        chain, prices = settings.recordings
        try:
            recording, candles = load_chain(chain), load_candles(prices)
            path = MarketPath(recording, fitted_surface(recording, parameters.risk), candles, settings.market.seed)
        except (RecordingError, SurfaceError, ValueError) as error:
            raise ConfigError(f"recorded market: {error}") from error
        return cls(path, len(recording.report.refusals) + len(candles.report.refusals), parameters)

    def due(self, time_ms: int, listed: Iterable[Instrument], first_id: int, most: int) -> tuple[Instrument, ...]:
        """What has to be listed now, ids from `first_id`, so that at most `most` are: the perpetual, then what the listing policy wants of the expiries that
        the recording prices. With little room there are fewer expiries, so that each has its future and options. PathError: the moment is not recorded."""
        listed, index = list(listed), self.path.index_ticks(time_ms)
        recorded, policy, sizes = self.path.recording.forwards(), self.parameters.listing, self.parameters.instruments
        near = [expiry for expiry in expiries(time_ms, policy) if expiry in recorded][: max(1, (most - 1) // ROWS_PER_EXPIRY)]
        first = () if any(instrument.kind is Kind.PERPETUAL for instrument in listed) else (perpetual_terms(first_id, index, sizes),)
        return first + due(time_ms, index, [*listed, *first], first_id + len(first), policy, Room(most, tuple(near)), sizes)


@dataclass(slots=True)
class OracleReplay:
    """Signs for the committee of a development network, whose keys whoever runs it knows."""

    market: RecordedMarket
    identity: LogIdentity
    secrets: tuple[bytes, ...]
    """Keys of the oracles that sign, threshold of them."""
    _time_ms: int = 0
    traded: TradedLots = field(default_factory=TradedLots)
    """What traded in the last day, by instrument; a restart knows only what it replayed of it."""

    def record(self, entries: Iterable[Logged]) -> None:
        """Trades of durable entries, in order: volume by expiry makes concentration charges."""
        for entry in entries:
            for event in entry.events:
                if isinstance(event, EpochStarted):
                    self._time_ms = event.time_ms
                elif isinstance(event, Trade):
                    self.traded.add(self._time_ms, event.instrument, event.size_lots)

    def next_epoch(self, exchange: Exchange, committed: CommittedState, past: Sequence[SignedEpoch], time_ms: int) -> tuple[RiskTable, SignedEpoch]:
        """The epoch after the exchange's, for everything listed; `past` are the last signed ones up to the exchange's own, in order.

        Runs in the writer: it reads the books. PathError: the recording does not cover the moment.
        """
        instruments = tuple(exchange.instruments.values())
        inputs = self._inputs(exchange, instruments, [decode_inputs(epoch.inputs) for epoch in past], time_ms)
        table = build_table(inputs, instruments, self.market.parameters.risk, exchange.settlements)
        root = risk_root(extend_listings_root(committed.listings_root, exchange.open_batch.listings), table.rows)
        encoded = encode_inputs(inputs)
        message = EpochMessage(self.identity.chain_id, self.identity.rollup, table.epoch, table.time_ms, params_hash(committed.params), root, encoded)
        signatures = tuple(signature.to_bytes() for signature in sign_epoch(message, self.secrets))
        return table, SignedEpoch(table.epoch, table.time_ms, root, encoded, signatures)

    def _inputs(self, exchange: Exchange, instruments: Sequence[Instrument], past: Sequence[RiskInputs], time_ms: int) -> RiskInputs:
        path, parameters = self.market.path, self.market.parameters.risk
        previous = past[-1] if past else None
        epoch = 1 + max(exchange.table.epoch if exchange.table else 0, previous.epoch if previous else 0)
        mark = None
        perpetual = next((instrument for instrument in instruments if instrument.kind is Kind.PERPETUAL), None)
        if perpetual is not None and previous is not None:
            marks = [(inputs.index_ticks, inputs.perpetual_mark_ticks) for inputs in past[-MARKS_KEPT:]]
            mark = perpetual_mark(path.index_ticks(time_ms), previous.index_ticks, *_depth(exchange, perpetual.id), marks, parameters)
        lots: dict[int, int] = {}
        for number, traded in self.traded.last_day(time_ms).items():
            if number in exchange.instruments:
                expiry = exchange.instruments[number].expiry_ms
                lots[expiry] = lots.get(expiry, 0) + traded
        activity = market_activity(map(exchange.positions_of, exchange.accounts), instruments, lots)
        return path.inputs(epoch, time_ms, instruments, previous, mark, parameters, activity)


def _depth(exchange: Exchange, instrument: int) -> tuple[Levels, Levels]:
    book = exchange.books.get(instrument)
    return ([], []) if book is None else (book.bids.depth(BOOK_LEVELS), book.asks.depth(BOOK_LEVELS))
