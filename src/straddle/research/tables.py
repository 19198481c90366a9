"""The further tables of a comparison: cells as shown, and for every line the sentence that says what it means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from straddle.commitments.blob import MAX_CELLS
from straddle.research.capital import DAY_S
from straddle.research.comparison import Comparison
from straddle.research.crossover import Crossover
from straddle.research.model import Clocks, Dispute
from straddle.research.prices import GWEI_IN_ETHER, QUOTATIONS, REFERENCE, cpu_dollars
from straddle.research.queue_load import Attack, QueueLoad
from straddle.research.rows import dollars, duration

MICROS = 10**6
HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Line:
    """Cells, and what they mean."""

    cells: tuple[str, ...]
    means: str


@dataclass(frozen=True, slots=True)
class Table:
    """Where one sentence explains every line, they all have it."""

    title: str
    columns: tuple[str, ...]
    lines: Sequence[Line]

    @property
    def shared(self) -> str | None:
        """The sentence that all lines have."""
        sentences = {line.means for line in self.lines}
        return sentences.pop() if len(sentences) == 1 and len(self.lines) > 1 else None


def tables(found: Comparison) -> list[Table]:
    """Those that have a line."""
    made = (_trust, _disputes, _answers, _margins, _hedging, _affordable, _layer_1, _sizes, _swap, _grid, _crossover, _worst_queue, _parameters, _quotations)
    return [table for table in (make(found) for make in made) if table.lines]


def _trust(found: Comparison) -> Table:
    lines = [
        Line((a.name, a.trust, a.operator_gone), "What has to hold so that nobody loses money, and how everybody leaves when nobody answers.")
        for a in found.architectures
    ]
    return Table("Trust", ("architecture", "what must be trusted", "when the operator disappears"), lines)


DISPUTES = {
    "early proof": "One prover makes it as soon as the batch is complete and those before it are proven: final at once, nobody gains or loses a bond.",
    "honest batch challenged": "Challenged in the window's last second, proved in the answer's last: it stands, and the challenger pays for the proof.",
    "fraud challenged": "A wrong state root, challenged after a minute; nobody can prove it, and when the answer's time is over it is void: "
    "half of the proposer's bond goes to the challenger, half is burnt.",
}


def _disputes(found: Comparison) -> Table:
    lines = [
        Line(
            (
                each.name,
                f"{each.gas:,}",
                f"{each.gas_per_trade:,.0f}",
                duration(each.seconds) or "",
                *(f"{wei / 1e18:+.4f}" for wei in (each.proposer_wei, each.challenger_wei, each.prover_wei)),
            ),
            DISPUTES[each.name],
        )
        for each in found.disputes
    ]
    columns = ("case", "gas after the proposal", "gas a trade, proposal included", "from proposal", "proposer, ether", "challenger", "prover")
    return Table("Disputes on the optimistic rollup: the first batch with trades", columns, lines)


def _answers(found: Comparison) -> Table:
    """What an answer costs, and what pays for it."""
    early = next((each for each in found.disputes if each.name == "early proof"), None)
    lines = [] if early is None or found.clocks is None else _answer_lines(found, early, found.clocks)
    return Table("What an answer to a challenge costs, and what pays for it", ("what", "figure"), lines)


def _answer_lines(found: Comparison, early: Dispute, clocks: Clocks) -> list[Line]:
    prices, cpu = found.prices, cpu_dollars(early.prove_cpu_seconds, found.core_hour_usd)
    gas, paid, bond = prices.dollars(early.gas), prices.dollars_of_wei(clocks.reward_wei(prices.gas_gwei)), prices.dollars_of_wei(clocks.challenger_bond_wei)
    gwei = (bond - cpu) / prices.ether_usd * GWEI_IN_ETHER / early.gas
    return [
        Line(("gas of a proof", f"{early.gas:,} = {dollars(gas)}"), "The transaction that posts it, at the reference price of gas."),
        Line(("making it", f"{early.prove_cpu_seconds:,.1f} CPU-seconds = {dollars(cpu)}"), "At the price of a core-hour, on the machine of this run."),
        Line(("paid to the prover", dollars(paid)), "From the challenger's bond: by the contract, a fixed gas at the base fee and a fixed part for the work."),
        Line(("paid over cost", f"{paid / (gas + cpu):,.1f} x"), "Above 1 nobody can make a prover lose money by challenging honest batches."),
        Line(("challenger's bond", dollars(bond)), "The most that an answer can be paid; the rest goes back to the challenger."),
        Line(("covers an answer up to", f"{gwei:,.0f} gwei"), "Above this price of gas the whole bond no longer pays for an answer."),
    ]


MARGINS = {
    "static a position": "Fixed formulas a position, blind to everything else held: the standard margin that exchanges publish.",
    "isolated a position": "Each position by itself under this exchange's own scenarios and charges.",
    "portfolio, cross-margined": "The requirement that the exchange applies: everything that an account holds against everything else.",
}


def _margins(found: Comparison) -> Table:
    capital = found.margins_total
    rules = zip(MARGINS, (capital.static, capital.isolated, capital.portfolio), strict=True)
    lines = [
        Line((name, dollars(need / MICROS), f"{need / capital.portfolio:.2f} x", f"{found.notional_usd * MICROS / need:.2f} x"), MARGINS[name])
        for name, need in rules
    ]
    return Table("Margin for the same books", ("rule", "capital", "over portfolio", "turnover in the run"), lines)


def _hedging(found: Comparison) -> Table:
    means = "The maker's book hedged this often, over all histories: hedges, standard deviation of the result left, and what the hedges paid for trading."
    lines = [Line((f"{each.minutes} min", f"{each.hedges:.1f}", dollars(each.error), dollars(each.trading_costs)), means) for each in found.intervals]
    return Table("Hedging the maker's book", ("every", "hedges", "error left", "half spreads and fees of the hedge"), lines)


def _affordable(found: Comparison) -> Table:
    names = [architecture.name for architecture in found.architectures]
    means = "For a maker who wants so much for a dollar of deviation: the interval at which costs and risk are least, and the spread that pays for them."
    lines = [
        Line((f"${aversion:g}", *(f"{choices[name].minutes} min, {choices[name].spread_bps:.2f} bp" for name in names)), means)
        for aversion, choices in found.hedges_by_aversion.items()
    ]
    return Table("Best interval and break-even spread by the price of risk", ("a dollar costs", *names), lines)


def _layer_1(found: Comparison) -> Table:
    lines = [
        Line(
            (
                "code" if each.tables_in_code else "storage",
                *(f"{number:,.0f}" for number in (len(each.fills), each.gas_per_fill, each.gas_per_trade, each.gas_per_hedge, each.table_gas_per_trade)),
                f"{each.positions_a_side:.1f}",
            ),
            "Tables as data contracts, written anew: new ones cost more, reading them less."
            if each.tables_in_code
            else "Tables in storage words: new ones cost less, reading them more.",
        )
        for each in found.replays
    ]
    return Table(
        "The same flow on layer 1", ("tables in", "fills", "gas a fill", "gas a trade", "gas a hedge", "tables, gas a trade", "positions a side"), lines
    )


def _sizes(found: Comparison) -> Table:
    means = "One trade on layer 1 between two accounts that hold so many positions each, margin computed over so many scenarios for both."
    lines = [
        Line((f"{each.scenarios} in {'code' if each.tables_in_code else 'storage'}", str(trade.positions), f"{trade.option:,}", f"{trade.hedge:,}"), means)
        for each in found.baselines
        for trade in each.trades
    ]
    return Table("A trade on layer 1 by positions held", ("scenarios", "positions a side", "option trade, gas", "hedge"), lines)


def _swap(found: Comparison) -> Table:
    lines = [Line(("token swap", f"{found.swap.swap:,}"), "Two tokens in a constant-product pool: a trade without margin, for scale.")]
    return Table("A swap on layer 1", ("what", "gas"), lines)


def _grid(found: Comparison) -> Table:
    names = [architecture.name for architecture in found.architectures]
    means = "Dollars a trade, tables included, proving left out, if gas, blob gas and ether cost this."
    lines = [
        Line((f"{each.gas_gwei:g}", f"{each.blob_gwei:g}", f"${each.ether_usd:,.0f}", *(dollars(found.grid[name][place]) for name in names)), means)
        for place, each in enumerate(found.grid_prices)
    ]
    return Table("Dollars a trade by prices", ("gas, gwei", "blob gas, gwei", "ether", *names), lines)


def _crossover(found: Comparison) -> Table:
    means = "From a batch of so many posted cells on, or so many trades of this flow, a proposal with a blob costs less than the same batch in calldata."
    lines = [Line((f"{each.gas_gwei:g}", f"{each.blob_gwei:g}", *_size(each)), means) for each in found.blob_crossover]
    return Table("Blob against calldata: the batch from which a blob is cheaper", ("gas, gwei", "blob gas, gwei", "cells", "trades"), lines)


def _size(each: Crossover) -> tuple[str, str]:
    if each.cells is None or each.trades is None or each.cells > MAX_CELLS:
        return "never (more than a blob holds)", "-"
    return (f"{each.cells:,.0f}", f"{each.trades:,.0f}") if each.cells else ("always", "always")


def _worst_queue(found: Comparison) -> Table:
    load = found.worst_queue
    lines = [] if load is None else _queue_lines(load)
    return Table("The worst queue", ("what", "cheapest an entry", "fewest a batch"), lines)


def _queue_lines(load: QueueLoad) -> list[Line]:
    costs, both = load.costs, (load.cheapest, load.slowest)

    def of(text: str, means: str, figure: Callable[[Attack], str]) -> Line:
        return Line((text, *(figure(each) for each in both)), means)

    return [
        Line(
            ("entries", "deposits into one account", "forced withdrawal and deposit in turn"),
            "What the attacker sends: the entry that costs least, and those of which a batch answers fewest.",
        ),
        of(
            "answered by a batch",
            "Entries that one proof answers: bounded by queue rows, or by what may share a batch.",
            lambda each: f"{each.entries_a_batch}",
        ),
        of("gas an entry", "Measured on layer 1; a mean over the two in turn.", lambda each: f"{each.gas_an_entry:,.0f}"),
        of(
            "dollars an entry",
            "Gas and request fee at the reference prices; deposited money stays the attacker's.",
            lambda each: dollars(each.dollars_an_entry),
        ),
        of(
            f"to fill {costs.waiting_most:,} entries",
            f"As many as may wait before deposits are refused; each deposit is at least ${costs.minimum_deposit_micros / MICROS:g}.",
            lambda each: dollars(each.dollars_to_fill),
        ),
        of(
            "to drain them",
            f"Time of one prover on this machine, {load.proof_seconds:.1f} s a proof.",
            lambda each: duration(each.hours_to_drain * HOUR_S) or "",
        ),
        of("answered in time", "Against the 24 h in which a sequencer ought to answer, and the 7 days to permissionless mode.", _verdict),
        of("dollars for a week", "To keep that prover busy until permissionless mode, without a pause.", lambda each: dollars(each.dollars_for_a_week)),
        Line(
            ("one full block", "-", duration(load.block_proof_seconds) or ""),
            f"Proving time of what one block of {costs.block_gas:,} gas holds of the slowest entries.",
        ),
    ]


def _verdict(each: Attack) -> str:
    seconds = each.hours_to_drain * HOUR_S
    return "within 24 h" if seconds <= DAY_S else "after 24 h, within 7 d" if seconds <= 7 * DAY_S else "not within 7 d"


def _parameters(found: Comparison) -> Table:
    return Table("Assumptions", ("parameter", "value"), [Line((each.name, f"{each.value:g}"), each.means) for each in found.parameters])


def _quotations(found: Comparison) -> Table:
    means = "A price of the grid, when it was, and where it was read."
    lines = [Line((each.of, f"{each.value:g}", each.date, each.source), means) for each in QUOTATIONS]
    given = (("gas, gwei", "gas_gwei"), ("blob gas, gwei", "blob_gwei"), ("ether, dollars", "ether_usd"))
    for of, name in given:
        if (value := getattr(found.prices, name)) != getattr(REFERENCE, name):
            lines.append(Line((of, f"{value:g}", found.made_at[:10], "option of this run"), means))
    return Table("Prices, dated", ("of", "price", "date", "source"), lines)
