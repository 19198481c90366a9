"""What the operator does on time: it opens risk epochs, pays holders out, closes batches, and keeps the market in the state that it is to be in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from straddle.core.capacity import is_empty
from straddle.core.commands import InternalMarket
from straddle.core.market_state import MarketState, strictest
from straddle.core.rejections import Rejection
from straddle.core.upkeep import needs_time
from straddle.node.clock import MarketClock
from straddle.node.feed import OracleReplay
from straddle.node.market_state import OPEN, ByHand, Circumstances
from straddle.node.settings import Settings
from straddle.node.slots import Slots
from straddle.node.upkeep import EpochKeeper, OperatorError, Upkeep
from straddle.node.writer import Writer, WriterStopped
from straddle.risk.parameters import BPS
from straddle.sequencer.sequencer import Sequencer

TICK_S = 0.05
LOOK_S = 1.0
"""So often it looks for what comes with time alone: holders to pay, dates of orders that nobody meets (`clock.Timekeeper` has those that somebody would)."""


class Operator:
    """One thread; whatever touches the exchange goes through the writer."""

    def __init__(
        self,
        settings: Settings,
        writer: Writer,
        sequencer: Sequencer,
        oracle: OracleReplay,
        epochs: EpochKeeper,
        clock: MarketClock,
        by_hand: ByHand,
        *,
        lag: Callable[[], int],
        slots: Slots,
        trouble: Callable[[], str],
        notice: Callable[[str], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`lag` tells how many closed batches layer 1 has not verified, `slots` how many it may still be given; `trouble` why layer 1 is lost until a restart,
        empty when it is not."""
        self._settings, self._writer, self._sequencer, self._oracle, self.clock, self.by_hand = settings, writer, sequencer, oracle, clock, by_hand
        self._lag, self._slots, self._trouble, self._notice, self._on_failure = lag, slots, trouble, notice, on_failure
        self._upkeep = Upkeep(sequencer, oracle, epochs, settings.listed, notice)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator")
        self._batch_due = time.monotonic() + settings.batches.seconds
        self._batch, self._begun_ms = 0, 0
        """The open batch, and when it was seen first."""
        self._look_due = 0.0
        self.state = sequencer.exchange.market
        """What the operator put the market in."""
        closing_ms, shut = 60_000 * settings.market.closing_minutes, self.state is MarketState.CANCEL_ONLY
        self.circumstances = Circumstances(settings.batches.lag_max, oracle.market.path.end_ms, closing_ms, lagging=shut)
        self._over = self.circumstances.is_over(clock.now_ms())
        self.allowed = OPEN
        """What the surroundings allow, whatever was chosen by hand."""

    def open(self) -> None:
        """Put the market in its state, list it when nothing is, and enter an epoch on it. Returns when orders are taken."""
        self._watch()
        if not self._sequencer.exchange.trading_open:
            self._advance(self.clock.now_ms())

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(TICK_S):
                self._step()
        except WriterStopped:
            return  # its own failure was told already
        except BaseException as error:
            self._on_failure(error)

    def _step(self) -> None:
        self._watch()
        now = self.clock.now_ms()
        if self._is_epoch_due(now) and self._slots.may_advance():
            self._advance(now)
            self._look_due = 0.0
        if time.monotonic() >= self._look_due:
            self._look_due = time.monotonic() + LOOK_S
            self._writer.call(lambda: self._look(now)).result()
        if time.monotonic() >= self._batch_due:
            self._batch_due = time.monotonic() + self._settings.batches.seconds
            self._close(due=True)
        else:
            self._close(due=False)

    # ---- the market's state and time

    def _watch(self) -> None:
        """Follow the surroundings and the choice by hand."""
        now = self.clock.now_ms()
        if text := self.circumstances.notice(now):
            self._notice(text)
        trouble = self._trouble() or self._slots.shortage(shut=not self._has_room)
        self.allowed, by_hand = self.circumstances.look(now, self._lag(), trouble), self.by_hand.look()
        wanted, ends = strictest(self.allowed.state, by_hand), not self._over and self.circumstances.is_over(now)
        if wanted is not self.state or ends:
            why = self.allowed.reason if wanted is self.allowed.state else "chosen by hand"
            self._notice(f"{why + ': ' if why else ''}the market is {wanted.replace('_', '-')}")
        if wanted is not self.state:
            self._set_state(wanted)
        if ends:  # the last batch: layer 1 does not take it much longer
            self._over = True
            self._writer.call(self._close_anyway).result()

    def _set_state(self, state: MarketState) -> None:
        command = InternalMarket(max(self.clock.now_ms(), self._sequencer.exchange.time_ms), state)
        (answer,) = self._writer.submit([command]).result()
        if isinstance(answer, Rejection):
            raise OperatorError(f"InternalMarket refused: {answer.code.value}, {answer.message}")
        self.state = state

    def _look(self, now_ms: int) -> None:
        """In the writer. Payments alone never shut the market: they come one batch at a time, and only while few wait for their proofs."""
        exchange = self._sequencer.exchange
        if now_ms > exchange.time_ms and needs_time(exchange, now_ms):
            self._sequencer.submit(InternalMarket(now_ms, self.state))
        if self._has_room and 2 * self._lag() < self._settings.batches.lag_max:
            self._upkeep.deliver()

    @property
    def _has_room(self) -> bool:
        """Whether there is room for what can wait and has to be proved."""
        return self.allowed.state is not MarketState.CANCEL_ONLY

    # ---- epochs and batches

    def _is_epoch_due(self, now_ms: int) -> bool:
        """A new table: when something expires, on time, or when the index has moved. The last one is that of the recording's last moment.

        It ends a batch that has rows: then it comes when the slot has had the time to come back.
        """
        exchange, epochs = self._sequencer.exchange, self._settings.epochs
        table, last_ms = exchange.table, self._last_ms
        if table is None or table.time_ms >= last_ms:
            return table is None
        if now_ms >= min(last_ms, *(row.expiry_ms for row in table.rows if row.expiry_ms > table.time_ms)):
            return True
        if not is_empty(exchange.open_batch) and now_ms < table.time_ms + self._slots.pace_ms:
            return False
        moved = abs(self._oracle.market.path.index_ticks(now_ms) - table.index_ticks)
        return now_ms >= table.time_ms + 1000 * epochs.seconds or (epochs.move_bps > 0 and moved * BPS >= epochs.move_bps * table.index_ticks)

    @property
    def _last_ms(self) -> int:
        return self.circumstances.end_ms - 1

    def _advance(self, now_ms: int) -> None:
        """Not beyond the recording."""
        moment, growing = min(now_ms, self._last_ms), self._has_room
        self._writer.call(lambda: self._upkeep.advance(moment, self.state, growing=growing)).result()

    def _close(self, *, due: bool) -> None:
        """Close the open batch when it is time and there is something to prove, or when it has as many entries as it may."""

        def close() -> None:
            exchange, now = self._sequencer.exchange, self.clock.now_ms()
            batch = exchange.open_batch
            if batch.number != self._batch:
                self._batch, self._begun_ms = batch.number, now
            entries = exchange.next_sequence - batch.first_sequence
            timely = due and now >= self._begun_ms + self._slots.pace_ms
            wanted = timely and not is_empty(batch) and self._lag() < self._settings.batches.lag_max
            if entries and exchange.trading_open and (wanted or entries >= self._settings.batches.entries) and self._slots.may_close():
                self._sequencer.close_batch()

        self._writer.call(close).result()

    def _close_anyway(self) -> None:
        """In the writer: whatever waits for proofs."""
        exchange = self._sequencer.exchange
        if exchange.trading_open and not is_empty(exchange.open_batch):
            self._sequencer.close_batch()
