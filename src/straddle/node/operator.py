"""What the operator does on time: lists the market, opens risk epochs, closes batches, and shuts the market to new risk while the prover lags."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from straddle.core.capacity import is_empty
from straddle.core.commands import Command, InternalEpoch, InternalList, InternalMarket
from straddle.core.market_state import MarketState
from straddle.core.rejections import Rejection
from straddle.node.feed import MARKS_KEPT, OracleReplay
from straddle.node.settings import Settings
from straddle.node.writer import Writer, WriterStopped
from straddle.sequencer.batch_file import SignedEpoch
from straddle.sequencer.sequencer import Sequencer

TICK_S = 0.05


class EpochKeeper(Protocol):
    """The poster, as far as epochs go."""

    def add_epoch(self, epoch: SignedEpoch) -> None:
        """Keep a signed epoch before the exchange enters it."""

    def epochs(self, after: int, last: int) -> list[SignedEpoch]:
        """Signed epochs, in order."""


class OperatorError(RuntimeError):
    """The exchange refused what its operator must do."""


class MarketClock:
    """The recording's time: it goes on from where it stood, `speed` times as fast as the wall clock."""

    def __init__(self, start_ms: int, speed: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._start_ms, self._speed, self._now_s = start_ms, speed, now_s
        self._start_s = now_s()

    def now_ms(self) -> int:
        """Unix milliseconds of the recording."""
        return self._start_ms + int((self._now_s() - self._start_s) * self._speed * 1000)


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
        *,
        lag: Callable[[], int],
        notice: Callable[[str], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`lag` tells how many closed batches layer 1 has not verified."""
        self._settings, self._writer, self._sequencer, self._oracle, self._epochs, self.clock = settings, writer, sequencer, oracle, epochs, clock
        self._lag, self._notice, self._on_failure = lag, notice, on_failure
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator")
        self._batch_due = time.monotonic() + settings.batches.seconds
        self._ended = False
        self.state = sequencer.exchange.market
        """What the operator put the market in."""

    def open(self) -> None:
        """List the market when nothing is, and enter an epoch on it. Returns when orders are taken."""
        exchange = self._sequencer.exchange
        if not exchange.instruments:
            self._submit([InternalList(self._oracle.market.instruments)])
        if not exchange.trading_open:
            self._epoch(self.clock.now_ms())

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
        self._watch_lag()
        now = self.clock.now_ms()
        table = self._sequencer.exchange.table
        if table is not None and now - table.time_ms >= 1000 * self._settings.epochs.seconds and not self._ended:
            if now < self._oracle.market.path.end_ms:
                self._epoch(now)
            else:
                self._ended = True
                self._notice("the recording has ended: no more epochs, the market is cancel-only")
                self._set_state(MarketState.CANCEL_ONLY)
        if time.monotonic() >= self._batch_due:
            self._batch_due = time.monotonic() + self._settings.batches.seconds
            self._close(due=True)
        else:
            self._close(due=False)

    def _watch_lag(self) -> None:
        """Past the cap nothing enters that would have to be proved; half of it must be verified before the market opens again."""
        lag, most = self._lag(), self._settings.batches.lag_max
        if lag >= most and self.state is MarketState.OPEN:
            self._notice(f"{lag} batches wait for their proofs (batches.lag_max = {most}): the market is cancel-only")
            self._set_state(MarketState.CANCEL_ONLY)
        elif lag <= most // 2 and self.state is MarketState.CANCEL_ONLY and not self._ended:
            self._notice("the prover has caught up: the market is open")
            self._set_state(MarketState.OPEN)

    def _set_state(self, state: MarketState) -> None:
        self._submit([InternalMarket(self._time_ms(), state)])
        self.state = state

    def _time_ms(self) -> int:
        return max(self.clock.now_ms(), self._sequencer.exchange.time_ms)

    def _epoch(self, now_ms: int) -> None:
        """A new table. The poster keeps it first: a batch on a table that it does not know could never be posted."""

        def sign() -> InternalEpoch:
            exchange = self._sequencer.exchange
            last = exchange.table.epoch if exchange.table else 0
            past = self._epochs.epochs(last - MARKS_KEPT, last)
            table, signed = self._oracle.next_epoch(exchange, self._sequencer.committed, past, now_ms)
            self._epochs.add_epoch(signed)
            return InternalEpoch(table)

        command = self._writer.call(sign).result()
        self._submit([command, InternalMarket(max(now_ms, self._sequencer.exchange.time_ms), self.state)])

    def _close(self, *, due: bool) -> None:
        """Close the open batch when it is time and there is something to prove, or when it has as many entries as it may."""

        def close() -> None:
            exchange = self._sequencer.exchange
            entries = exchange.next_sequence - exchange.open_batch.first_sequence
            wanted = due and not is_empty(exchange.open_batch) and self._lag() < self._settings.batches.lag_max
            if entries and exchange.trading_open and (wanted or entries >= self._settings.batches.entries):
                self._sequencer.close_batch()

        self._writer.call(close).result()

    def _submit(self, commands: Sequence[Command]) -> None:
        for command, answer in zip(commands, self._writer.submit(commands).result(), strict=True):
            if isinstance(answer, Rejection):
                raise OperatorError(f"{type(command).__name__} refused: {answer.code.value}, {answer.message}")
