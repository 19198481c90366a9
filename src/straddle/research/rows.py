"""The table of a comparison: one row a measure, one column an architecture, each row with the sentence that says what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from straddle.research.capital import Transit
from straddle.research.hedging import HedgeChoice
from straddle.research.model import Architecture
from straddle.research.replay import Replayed

HOUR_S = 3_600
MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Row:
    """A measure. A cell is None where the measure does not apply."""

    name: str
    means: str
    cells: tuple[str | None, ...]


def duration(seconds: float | None) -> str | None:
    """Readable, three digits at most."""
    if seconds is None:
        return None
    for size, unit in ((86_400, "d"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1_000 * seconds:.3g} ms"


def dollars(amount: float) -> str:
    """Readable, three digits."""
    return f"${amount:,.0f}" if amount >= 100 else f"${amount:.3g}"


Cell = Callable[[Architecture], "str | None"]


def rows(found: Sequence[Architecture], transits: Mapping[str, Transit], hedges: Mapping[str, HedgeChoice], replays: Sequence[Replayed]) -> tuple[Row, ...]:
    """All rows; columns in the order of `found`, whose last is the baseline, made from the first of `replays`."""
    measures = (*_costs(), *_ratios(found[-1], replays), *_waits(), *_consequences(transits, hedges))
    return tuple(Row(name, means, tuple(cell(each) for each in found)) for name, cell, means in measures)


Measure = tuple[str, Cell, str]
"""Name, cell, and the sentence that explains it."""


def _costs() -> tuple[Measure, ...]:
    return (
        (
            "gas a trade",
            lambda a: f"{a.gas_per_trade:,.0f}",
            "Layer-1 gas, calldata included: of batches with trades over their trades; on layer 1 of all fills over the match events. No tables.",
        ),
        ("gas a hedge", lambda a: f"{a.gas_per_hedge:,.0f}", "A hedge is a trade of one leg in the perpetual."),
        ("tables, gas a trade", lambda a: f"{a.table_gas_per_trade:,.0f}", "Risk tables of the run over its trades: a rollup's inputs, layer 1's rows."),
        ("blob gas a trade", lambda a: f"{a.blob_gas_per_trade:,.0f}", "A market of its own: 131,072 a blob, whether full or not."),
        (
            "bytes a trade",
            lambda a: f"{a.bytes_per_trade:,.0f}",
            "Posted with proposals: effects, body, an optimistic batch's transcript; blobs count whole. On layer 1 the fills' calldata.",
        ),
        ("dollars a trade", lambda a: dollars(a.dollars_per_trade), "At the reference prices, the tables' inputs included."),
        ("dollars a hedge", lambda a: dollars(a.dollars_per_hedge), "The same for one hedge."),
    )


def _ratios(baseline: Architecture, replays: Sequence[Replayed]) -> tuple[Measure, ...]:
    """Layer 1 over each architecture, each way in which layer 1 may keep its tables."""

    def trades(replay: Replayed) -> Cell:
        return lambda a: None if a is baseline else f"{replay.gas_per_trade / a.gas_per_trade:,.1f} x"

    def with_tables(replay: Replayed) -> Cell:
        gas = replay.gas_per_trade + replay.table_gas_per_trade
        return lambda a: None if a is baseline else f"{gas / (a.gas_per_trade + a.table_gas_per_trade):,.1f} x"

    found: list[Measure] = []
    for replay in replays:
        where = "code, where reads cost less" if replay.tables_in_code else "storage, where new tables cost less"
        short, column = where.partition(",")[0], " This is the layer-1 column." if replay is replays[0] else ""
        found += [
            (
                f"layer-1 trade over this, {short}",
                trades(replay),
                f"How many trades settle here for the gas of one on layer 1 with its tables in {where}.{column}",
            ),
            (f"the same with tables, {short}", with_tables(replay), f"Trades and tables together, on both sides; layer 1's tables in {short}."),
        ]
    return tuple(found)


def _waits() -> tuple[Measure, ...]:
    return (
        ("to a receipt", lambda a: duration(a.soft.median) if a.soft else None, "Median wall time to the sequencer's signed promise, on disk."),
        ("to data, median", lambda a: duration(a.data.median), "Until the trade's data lie where anybody can read them (under a committee: its members)."),
        ("to finality, median", lambda a: duration(a.final.median), "Until nobody can undo the trade without undoing layer 1."),
        ("to finality, worst", lambda a: duration(a.final.worst), "The slowest trade of the run."),
        ("to money, median", lambda a: duration(a.withdrawable.median), "Until a withdrawal made with the trade can be spent on layer 1."),
        ("to money, challenged", lambda a: duration(a.under_challenge_s), "At most, when every batch is challenged and then proved in the last second."),
    )


def _consequences(transits: Mapping[str, Transit], hedges: Mapping[str, HedgeChoice]) -> tuple[Measure, ...]:
    return (
        ("capital in transit", lambda a: f"{transits[a.name].locked:.2%}", "On its way to other venues at any time, as a share of a maker's working capital."),
        ("its cost a year", lambda a: f"{transits[a.name].yearly_cost:.3%}", "Interest on that capital, as a share of the working capital."),
        ("turnover a year", lambda a: f"{transits[a.name].turnover_a_year:.1f} x", "Collateral moved to other venues over all the capital that this takes."),
        ("best hedge interval", lambda a: f"{hedges[a.name].minutes} min", "Below it a further hedge costs more than the risk that it takes away."),
        ("hedging error left", lambda a: dollars(hedges[a.name].error), "Standard deviation of the hedged result at that interval."),
        ("break-even spread", lambda a: f"{hedges[a.name].spread_bps:.2f} bp", "Settlement, trading costs and the price of the risk left, over the notional."),
    )
