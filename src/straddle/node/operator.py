"""What the operator does on time: it opens risk epochs, closes batches, and shuts the market to new risk while the prover lags or layer 1 is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from straddle.core.capacity import is_empty
from straddle.core.commands import InternalMarket
from straddle.core.instruments import NEVER_MS
from straddle.core.market_state import MarketState
from straddle.core.rejections import Rejection
from straddle.node.feed import OracleReplay
from straddle.node.settings import Settings
from straddle.node.upkeep import EpochKeeper, OperatorError, Upkeep
from straddle.node.writer import Writer, WriterStopped
from straddle.sequencer.sequencer import Sequencer

TICK_S = 0.05


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
        trouble: Callable[[], str],
        notice: Callable[[str], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`lag` tells how many closed batches layer 1 has not verified; `trouble` why layer 1 is lost until a restart, empty when it is not."""
        self._settings, self._writer, self._sequencer, self._oracle, self.clock = settings, writer, sequencer, oracle, clock
        self._lag, self._trouble, self._notice, self._on_failure = lag, trouble, notice, on_failure
        self._upkeep = Upkeep(sequencer, oracle, epochs, settings.listed, notice)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator")
        self._batch_due = time.monotonic() + settings.batches.seconds
        self._ended = False
        self.state = sequencer.exchange.market
        """What the operator put the market in."""

    def open(self) -> None:
        """List the market when nothing is, and enter an epoch on it. Returns when orders are taken."""
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
        if now >= self._epoch_due_ms() and not self._ended:
            if now < self._oracle.market.path.end_ms:
                self._advance(now)
            else:
                self._ended = True
                self._notice("the recording has ended: no more epochs, the market is cancel-only")
                self._set_state(MarketState.CANCEL_ONLY)
        if time.monotonic() >= self._batch_due:
            self._batch_due = time.monotonic() + self._settings.batches.seconds
            self._close(due=True)
        else:
            self._close(due=False)

    def _epoch_due_ms(self) -> int:
        """The next risk epoch: on time, or when something expires."""
        table = self._sequencer.exchange.table
        if table is None:
            return 0
        expiries = [row.expiry_ms for row in table.rows if row.expiry_ms > table.time_ms]
        return min(table.time_ms + 1000 * self._settings.epochs.seconds, min(expiries, default=NEVER_MS))

    def _watch(self) -> None:
        """Past the lag's cap, or when layer 1 is lost, nothing enters that would have to be proved. With half of the cap verified the market opens again."""
        lag, most, trouble = self._lag(), self._settings.batches.lag_max, self._trouble()
        if self.state is MarketState.OPEN and (trouble or lag >= most):
            self._notice(f"{trouble or f'{lag} batches wait for their proofs (batches.lag_max = {most})'}: the market is cancel-only")
            self._set_state(MarketState.CANCEL_ONLY)
        elif self.state is MarketState.CANCEL_ONLY and not trouble and lag <= most // 2 and not self._ended:
            self._notice("the prover has caught up: the market is open")
            self._set_state(MarketState.OPEN)

    def _set_state(self, state: MarketState) -> None:
        command = InternalMarket(max(self.clock.now_ms(), self._sequencer.exchange.time_ms), state)
        (answer,) = self._writer.submit([command]).result()
        if isinstance(answer, Rejection):
            raise OperatorError(f"InternalMarket refused: {answer.code.value}, {answer.message}")
        self.state = state

    def _advance(self, now_ms: int) -> None:
        growing = self.state is MarketState.OPEN
        self._writer.call(lambda: self._upkeep.advance(now_ms, self.state, growing=growing)).result()

    def _close(self, *, due: bool) -> None:
        """Close the open batch when it is time and there is something to prove, or when it has as many entries as it may."""

        def close() -> None:
            exchange = self._sequencer.exchange
            entries = exchange.next_sequence - exchange.open_batch.first_sequence
            wanted = due and not is_empty(exchange.open_batch) and self._lag() < self._settings.batches.lag_max
            if entries and exchange.trading_open and (wanted or entries >= self._settings.batches.entries):
                self._sequencer.close_batch()

        self._writer.call(close).result()
