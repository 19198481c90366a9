"""A market session: recorded books become quotes, takers trade against them, risk epochs follow one another. Everything goes through the sequencer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from straddle.bots.market_maker import MakerProfile, QuoteTerms, VolBook, mass_quote, vol_book
from straddle.bots.taker import BestQuotes, TakerProfile, take
from straddle.commitments.listings import extend_listings_root
from straddle.commitments.params import params_hash
from straddle.commitments.risk import risk_root
from straddle.core.commands import Command, InternalEpoch, InternalList, InternalMarket
from straddle.core.events import Event, Trade
from straddle.core.instruments import Instrument, Kind
from straddle.core.market_state import MarketState
from straddle.core.params import BPS
from straddle.core.rejections import Rejection
from straddle.core.risk_table import RiskTable
from straddle.node.traders import Trader
from straddle.operations.l2_withdraw import available
from straddle.risk.funding import perpetual_mark
from straddle.risk.inputs import RiskInputs, encode_inputs
from straddle.risk.listing import Listed
from straddle.risk.market_path import MarketPath
from straddle.risk.oracle import EpochMessage, sign_epoch
from straddle.risk.parameters import RiskParameters
from straddle.risk.table import build_table
from straddle.sequencer.poster import SignedEpoch
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Accepted, Sequencer

QUOTE_LIFETIME_MS = 60_000
"""Quotes expire this long after their table's time."""
STALE_ROUNDS = 3
"""A target that this many rounds of takers in a row bring no nearer is given up."""


class SessionError(RuntimeError):
    """The market refused what the session needs, or cannot reach its target."""


@dataclass(slots=True)
class Committee:
    """The oracles of a development network: their keys are known to whoever runs it."""

    secrets: tuple[bytes, ...]
    """Those that sign, threshold of them."""

    def sign(self, message: EpochMessage) -> tuple[bytes, ...]:
        """Signatures as layer 1 wants them: 65 bytes each, ascending by signer."""
        return tuple(signature.to_bytes() for signature in sign_epoch(message, self.secrets))


@dataclass(slots=True)
class MarketSession:
    """One market with its traders. Deterministic in recording, seed and traders."""

    sequencer: Sequencer
    identity: LogIdentity
    path: MarketPath
    listed: Listed
    makers: Sequence[tuple[Trader, MakerProfile]]
    takers: Sequence[tuple[Trader, TakerProfile]]
    committee: Committee
    parameters: RiskParameters
    seed: int
    on_epoch: Callable[[SignedEpoch], None] = lambda signed: None
    """Told of each epoch before the exchange enters it: a batch on a table that the poster does not know could never be posted."""
    epoch: int = 0
    trades: list[Trade] = field(default_factory=list)
    epochs: list[SignedEpoch] = field(default_factory=list)
    _inputs: RiskInputs | None = None
    _marks: list[tuple[int, int]] = field(default_factory=list)
    _books: dict[int, VolBook] = field(default_factory=dict)
    _rounds: int = 0

    def __post_init__(self) -> None:
        self._books = {number: vol_book(record, self.parameters) for number, (_, record) in self.listed.items() if record is not None}

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Everything listed, by id."""
        return tuple(instrument for instrument, _ in self.listed.values())

    @property
    def table(self) -> RiskTable:
        """The table in force."""
        if self.sequencer.exchange.table is None:
            raise SessionError("table: none in force, expected an epoch first")
        return self.sequencer.exchange.table

    def list_instruments(self) -> None:
        """The operator lists everything; an epoch must follow."""
        self.submit(InternalList(self.instruments))

    def open_epoch(self, time_ms: int) -> SignedEpoch:
        """The next risk table: feed values of that moment, the table that follows from them, signed by the committee."""
        self.epoch += 1
        inputs = self._feed(time_ms)
        table = build_table(inputs, self.instruments, self.parameters)
        signed = self._sign(inputs, table)
        self.on_epoch(signed)
        self.submit(InternalEpoch(table))
        self.submit(InternalMarket(time_ms, MarketState.OPEN))  # the engine's only clock: intervals, and the age of its table
        self._inputs = inputs
        self._marks = [*self._marks[-4:], (inputs.index_ticks, inputs.perpetual_mark_ticks)]
        self.epochs.append(signed)
        return signed

    def quote(self) -> int:
        """Every maker's mass quote at the recorded vols and the present forwards; the number of orders sent."""
        forwards = dict(self._inputs.forwards) if self._inputs else {}
        sent = 0
        for trader, profile in self.makers:
            terms = QuoteTerms(trader.next_nonce, self.table.time_ms + QUOTE_LIFETIME_MS, self._fee_cap())
            for orders in mass_quote(profile, self.instruments, self._books, forwards, self.table, terms, self.parameters):
                self.submit(trader.sign_orders(orders))
                sent += len(orders)
        return sent

    def trade(self, count: int) -> list[Trade]:
        """Takers in turn until at least `count` trades happened; SessionError when the books do not yield them."""
        target, stale = len(self.trades) + count, 0
        before = len(self.trades)
        while len(self.trades) < target:
            at = len(self.trades)
            for trader, profile in self.takers:
                if len(self.trades) < target:
                    self._take(trader, profile)
            stale = stale + 1 if len(self.trades) == at else 0
            if stale == STALE_ROUNDS:
                raise SessionError(f"trades: {len(self.trades) - before} in epoch {self.epoch}, expected {count}: the books yield no more")
        return self.trades[before:]

    def withdrawable(self, trader: Trader) -> int:
        """What a trader may withdraw now, micro-dollars."""
        return available(self.sequencer.exchange, trader.account)

    def submit(self, command: Command) -> tuple[Event, ...]:
        """Run a command that must be accepted; its events, trades collected."""
        answer = self.sequencer.submit(command)
        if isinstance(answer, Rejection):
            raise SessionError(f"{type(command).__name__} refused: {answer.code.value}, {answer.message}")
        return self._collect(answer)

    def _collect(self, answer: Accepted) -> tuple[Event, ...]:
        self.trades += [event for event in answer.events if isinstance(event, Trade)]
        return answer.events

    def _feed(self, time_ms: int) -> RiskInputs:
        mark = None
        perpetual = next((instrument for instrument in self.instruments if instrument.kind is Kind.PERPETUAL), None)
        if perpetual is not None and self._inputs is not None:
            bids, asks = self._depth(perpetual.id)
            mark = perpetual_mark(self.path.index_ticks(time_ms), bids, asks, self._marks, self.parameters)
        return self.path.inputs(self.epoch, time_ms, self.instruments, self._inputs, mark, self.parameters)

    def _sign(self, inputs: RiskInputs, table: RiskTable) -> SignedEpoch:
        committed, open_batch = self.sequencer.committed, self.sequencer.exchange.open_batch
        root = risk_root(extend_listings_root(committed.listings_root, open_batch.listings), table.rows)
        encoded, hashed = encode_inputs(inputs), params_hash(committed.params)
        message = EpochMessage(self.identity.chain_id, self.identity.rollup, table.epoch, table.time_ms, hashed, root, encoded)
        return SignedEpoch(table.epoch, table.time_ms, root, encoded, self.committee.sign(message))

    def _take(self, trader: Trader, profile: TakerProfile) -> None:
        exchange = self.sequencer.exchange
        self._rounds += 1
        orders = take(
            profile,
            self.instruments,
            {number: self._best(number) for number in self.listed},
            self.table,
            exchange.requirement_of(trader.account).surplus_scaled // BPS,
            exchange.positions_of(trader.account),
            count=1,
            first_nonce=trader.next_nonce,
            expiry_ms=self.table.time_ms + QUOTE_LIFETIME_MS,
            fee_cap=self._fee_cap(),
            k_im_bps=exchange.params.k_im_bps,
            seed=f"{self.seed}/{trader.name}/{self._rounds}",
        )
        if orders:
            self.submit(trader.sign_orders(orders))

    def _fee_cap(self) -> int:
        """The highest fee of a lot under the schedule, rounded up."""
        fees = self.sequencer.exchange.fees
        return -(-max(fees.taker_bps, fees.maker_bps) * self.table.index_ticks // BPS)

    def _best(self, instrument: int) -> BestQuotes:
        bids, asks = self._depth(instrument, 1)
        return BestQuotes(bids[0] if bids else None, asks[0] if asks else None)

    def _depth(self, instrument: int, levels: int = 20) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        book = self.sequencer.exchange.books.get(instrument)
        return ([], []) if book is None else (book.bids.depth(levels), book.asks.depth(levels))


def positions_sum(accounts: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Instrument -> sum of all accounts' positions, the zero sums left out."""
    sums: dict[int, int] = {}
    for positions in accounts.values():
        for instrument, size in positions.items():
            sums[instrument] = sums.get(instrument, 0) + size
    return {instrument: total for instrument, total in sums.items() if total}
