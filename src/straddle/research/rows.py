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
            lambda a: f"{a.trade.gas:,.0f}",
            "Layer-1 gas, calldata included: of batches with trades over their trades; on layer 1 of all fills over the match events. No tables.",
        ),
        (
            "gas a hedge",
            lambda a: f"{a.hedge.gas:,.0f}",
            "One leg in the perpetual (one fill where nobody hedged): its fills' share of the batches' gas; on layer 1 its own transactions. No tables.",
        ),
        ("tables, gas a trade", lambda a: f"{a.trade.table_gas:,.0f}", "Risk tables of the run over its trades: a rollup's inputs, layer 1's rows."),
        ("tables, gas a hedge", lambda a: f"{a.hedge.table_gas:,.0f}", "The same shared by fills, of which a hedge has fewer than a combination."),
        ("blob gas a trade", lambda a: f"{a.trade.blob_gas:,.0f}", "A market of its own: 131,072 a blob, whether full or not."),
        (
            "bytes a trade",
            lambda a: f"{a.trade.posted_bytes:,.0f}",
            "Posted with proposals: effects, body, an optimistic batch's transcript; blobs count whole. On layer 1 the fills' calldata.",
        ),
        ("bytes a hedge", lambda a: f"{a.hedge.posted_bytes:,.0f}", "The same bytes shared by fills."),
        ("dollars a trade", lambda a: dollars(a.dollars_per_trade), "Gas and blob gas at the reference prices, the tables' share included; no proving."),
        ("dollars a hedge", lambda a: dollars(a.dollars_per_hedge), "The same for a hedge, the tables' share included; the hedging study pays it."),
        (
            "proving, CPU-seconds a trade",
            lambda a: None if a.prove_cpu_seconds_per_trade is None else f"{a.prove_cpu_seconds_per_trade:,.3g}",
            "CPU time of the proofs of batches with trades over their trades, on the machine named below; 0 where nobody has to prove.",
        ),
        (
            "proving, dollars a trade",
            lambda a: None if a.proving_dollars_per_trade is None else dollars(a.proving_dollars_per_trade),
            "That time at the price of a core-hour; it comes on top of the dollars above.",
        ),
        (
            "gas a trade, proved early",
            lambda a: None if a.early_gas_per_trade is None else f"{a.early_gas_per_trade:,.0f}",
            "The first batch with trades, when a proof is posted instead of waiting for the window: proposal and proof over its trades.",
        ),
        (
            "gas a trade, quorum away",
            lambda a: None if a.away is None else f"{a.away.gas_per_trade:,.0f}",
            "The first batch with trades with its body in calldata, since too few members answer: proposal and proof over its trades.",
        ),
        (
            "quorum away, gas once",
            lambda a: None if a.away is None else f"{a.away.snapshot_gas:,.0f}",
            "The copy of the whole state that has to lie on layer 1 before the first such batch; it grows with the accounts.",
        ),
    )


def _ratios(baseline: Architecture, replays: Sequence[Replayed]) -> tuple[Measure, ...]:
    """Layer 1 over each architecture, each way in which layer 1 may keep its tables."""

    def trades(replay: Replayed) -> Cell:
        return lambda a: None if a is baseline else f"{replay.gas_per_trade / a.trade.gas:,.1f} x"

    def with_tables(replay: Replayed) -> Cell:
        gas = replay.gas_per_trade + replay.table_gas_per_trade
        return lambda a: None if a is baseline else f"{gas / (a.trade.gas + a.trade.table_gas):,.1f} x"

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
        ("to a receipt, median", lambda a: duration(a.soft.median) if a.soft else None, "Wall time to the sequencer's signed promise, on disk."),
        ("to a receipt, worst", lambda a: duration(a.soft.worst) if a.soft else None, "The slowest answer of the run."),
        (
            "to data, median",
            lambda a: duration(a.data.median),
            "Until the trade's data lie where anybody can read them: on layer 1, or with a quorum of members.",
        ),
        ("to data, worst", lambda a: duration(a.data.worst), "The same for the slowest trade of the run."),
        ("to finality, median", lambda a: duration(a.final.median), "Until nobody can undo the trade without undoing layer 1."),
        ("to finality, worst", lambda a: duration(a.final.worst), "The same for the slowest trade of the run."),
        ("to money, median", lambda a: duration(a.withdrawable.median), "Until a withdrawal made with the trade can be spent on layer 1."),
        ("to money, worst", lambda a: duration(a.withdrawable.worst), "The same for the slowest trade of the run."),
        (
            "to money, proved early",
            lambda a: duration(a.early_withdrawable.median) if a.early_withdrawable else None,
            "Median over the first batch with trades, when its proof, as long as it really took, is posted at once.",
        ),
        (
            "to money, one challenge",
            lambda a: duration(a.one_challenge_s),
            "At most, when that batch alone is challenged in its window's last second and proved in the answer's last: window, 24 h and one proving allowance.",
        ),
        (
            "to money, all challenged",
            lambda a: duration(a.all_challenged_s),
            "At most, when everything that may stand is challenged: each open challenge adds an allowance to the answer's time, up to the contract's bound.",
        ),
    )


def _consequences(transits: Mapping[str, Transit], hedges: Mapping[str, HedgeChoice]) -> tuple[Measure, ...]:
    return (
        ("capital in transit", lambda a: f"{transits[a.name].locked:.2%}", "On its way to other venues at any time, as a share of a maker's working capital."),
        ("its cost a year", lambda a: f"{transits[a.name].yearly_cost:.3%}", "Interest on that capital, as a share of the working capital."),
        ("turnover a year", lambda a: f"{transits[a.name].turnover_a_year:.1f} x", "Collateral moved to other venues over all the capital that this takes."),
        (
            "operator's bonds",
            lambda a: None if a.bonds is None else f"{dollars(a.bonds.locked_usd)} ({a.bonds.standing:,.0f} batches)",
            "What an operator has at stake at this run's cadence: a bond for every proposal whose window is open.",
        ),
        ("their cost a year", lambda a: None if a.bonds is None else dollars(a.bonds.yearly_cost_usd), "Interest on these bonds at the price of capital."),
        (
            "their cost a trade",
            lambda a: None if a.bonds is None else dollars(a.bonds.cost_a_trade_usd),
            "Interest on one bond for one window, over the trades of a batch; it does not depend on the cadence.",
        ),
        (
            "operator's bonds, most",
            lambda a: None if a.bonds is None else f"{dollars(a.bonds.most_usd)} ({a.bonds.proposals_most:,} batches)",
            "With as many proposals as layer 1 lets stand at once.",
        ),
        ("best hedge interval", lambda a: f"{hedges[a.name].minutes} min", "Below it a further hedge costs more than the risk that it takes away."),
        ("hedging error left", lambda a: dollars(hedges[a.name].error), "Standard deviation of the hedged result at that interval."),
        ("break-even spread", lambda a: f"{hedges[a.name].spread_bps:.2f} bp", "Settlement, trading costs and the price of the risk left, over the notional."),
    )
