"""Proving behind a flow of orders that goes on: engine, journal, poster, prover and layer 1 share this machine, as in a running exchange.

Twice the recorded night: first as fast as the engine trades, so that the next batch always waits for the prover, which gives the trades that are verified a
second; then with trades arriving at `LOAD` of that rate, evenly, which gives the time from a trade to the verification of its batch.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Results, cpu_seconds
from straddle.core.events import Trade
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.node.config import DemoConfig
from straddle.node.demo import CHAIN_LEAD_S, NightRun, Stopwatch
from straddle.node.market import Market, load_market
from straddle.node.network import Network
from straddle.node.policy import circuit_keys
from straddle.node.posting import ProverPool
from straddle.proving.prover import Prover, ProverError
from straddle.sequencer.poster import BatchRecord, Poster, Status

DEMO, STANDARD = "continuing", "continuing-standard"
LOAD = 0.8
"""Of the rate that proving keeps up with."""
HOURS, EPOCH_MINUTES = 1, 10
STANDARD_TAKERS = 45


def run_demo(results: Results) -> None:
    """Batches of some 50 trades."""
    _run(results, DEMO, DemoConfig.recorded(preset="demo", hours=HOURS, epoch_minutes=EPOCH_MINUTES, rounds=6))


def run_standard(results: Results) -> None:
    """Batches of some 200 trades, for a quarter of an hour: only when asked for by name."""
    if STANDARD not in results.asked:
        results.leave_out(STANDARD, "all of it", f"takes a quarter of an hour: --only {STANDARD}")
        return
    _run(results, STANDARD, DemoConfig.recorded(preset="standard", hours=HOURS, epoch_minutes=EPOCH_MINUTES, rounds=2, takers=STANDARD_TAKERS))


@dataclass(slots=True)
class Observed:
    """When trades were acknowledged and their batches verified. Seconds of one clock."""

    trades: list[tuple[float, int]] = field(default_factory=list)
    """(acknowledged, batch) of every match event."""
    verified: dict[int, float] = field(default_factory=dict)

    def lags(self) -> list[float]:
        """From each trade to the verification of its batch."""
        return [self.verified[batch] - moment for moment, batch in self.trades]

    def rate(self) -> float:
        """Trades verified a second, from the first verification of a batch with trades to the last: of the batches after that first one."""
        moments = sorted((self.verified[batch], batch) for batch in {batch for _, batch in self.trades})
        (begun, first), (ended, _) = moments[0], moments[-1]
        return sum(batch != first for _, batch in self.trades) / (ended - begun)


class ContinuingNight(NightRun):
    """The recorded night, watched, with a given number of trades a second at most."""

    observed: Observed
    rate: float | None = None

    def _set_up(self, poster: Poster) -> None:
        super()._set_up(poster)
        self.observed = Observed()
        self.exchange.session.sequencer = _Paced(self)  # type: ignore[assignment]  # it passes everything through

    def _reported(self, record: BatchRecord) -> None:
        super()._reported(record)
        if record.status is Status.VERIFIED:
            self.observed.verified.setdefault(record.number, time.perf_counter())


class _Paced:
    """The night's sequencer, which waits before a command for as long as trades are ahead of their rate. Everything else passes through."""

    def __init__(self, night: ContinuingNight) -> None:
        self._night, self._sequencer = night, night.exchange.session.sequencer
        self._first = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sequencer, name)

    def submit(self, command: Any) -> Any:
        """As the sequencer's."""
        night, trades = self._night, self._night.observed.trades
        if trades and night.rate is not None:
            time.sleep(max(0.0, self._first + len(trades) / night.rate - time.perf_counter()))
        answer = self._sequencer.submit(command)
        executions = {event.execution for event in getattr(answer, "events", ()) if isinstance(event, Trade)}
        now = time.perf_counter()
        self._first = self._first or (now if executions else 0.0)
        trades += [(now, night.exchange.sequencer.exchange.open_batch.number)] * len(executions)
        return answer


def _run(results: Results, subject: str, config: DemoConfig) -> None:
    """Unless keys would have to be made and may not."""
    try:
        prover, binary = Prover(), find_anvil()
    except (ProverError, AnvilError) as error:
        results.leave_out(subject, "all of it", str(error))
        return
    if not prover.has_keys(prover.circuit(config.preset)) and results.keys_missing(subject, config.preset):
        return
    market = load_market(config)
    full, _ = _night(config, market, prover, binary, None)
    rate = full.rate()
    batches = len({batch for _, batch in full.trades})
    note = f"{len(full.trades)} trades in {batches} batches on {os.cpu_count()} cores, the next one always waiting; engine, poster and anvil beside the prover"
    results.fact(subject, "trades verified a second", rate, "a second", note=note)
    paced, busy = _night(config, market, prover, binary, LOAD * rate)
    lags = sorted(paced.lags())
    note = f"{len(lags)} trades, offered at {LOAD * rate:.2f} a second, {LOAD:.0%} of the above; wall time"
    results.fact(subject, "from a trade to its verification, median", median(lags), "seconds", note=note)
    results.fact(subject, "from a trade to its verification, worst", lags[-1], "seconds", note=note)
    halves = [paced.lags()[: len(lags) // 2], paced.lags()[len(lags) // 2 :]]
    results.fact(subject, "the same, second half over first", median(halves[1]) / median(halves[0]), "", note="medians; well above 1: proving falls behind")
    results.fact(subject, "cores in use meanwhile", busy, "", note="CPU seconds over wall seconds from start to end, anvil and prover included")


def _night(config: DemoConfig, market: Market, prover: Prover, binary: Path, rate: float | None) -> tuple[Observed, float]:
    """One night to its last verification; what was seen, and CPU seconds over wall seconds."""
    begun, cpu = time.perf_counter(), cpu_seconds()
    keys = circuit_keys(prover, config.preset, config.terms.data)
    with tempfile.TemporaryDirectory() as folder, Anvil(market.path.start_ms // 1000 - CHAIN_LEAD_S, binary=binary) as anvil:
        night = ContinuingNight(config, market, Network(config, market, anvil, keys), Path(folder), _Silent())
        night.rate = rate
        with ProverPool(prover, config.preset, config.workers) as pool:
            night.trade(pool, Stopwatch())
        observed = night.observed
    return observed, (cpu_seconds() - cpu) / (time.perf_counter() - begun)


class _Silent:
    """A display that shows nothing."""

    def stage(self, name: str, detail: str = "") -> None:
        """Nothing."""

    def progress(self, detail: str, done: float | None = None) -> None:
        """Nothing."""
