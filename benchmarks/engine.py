"""The book and the whole transition, plain and compiled, against two public matching engines, on one seeded flow. All must agree on what was traded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import compiled, peer_engines
from benchmarks.engine_flows import FLOWS, UNSIGNED, prepare_quotes, prepare_transition, run_quotes, run_transition, run_unsigned, run_unverified
from benchmarks.engine_process import EngineProcess, ProcessError
from benchmarks.flow import CROSSING_SHARE, FlowOrder, Tally, make_flow
from benchmarks.measure import SEED, Contender, Results
from straddle.core.book import Book, RestingOrder
from straddle.core.orders import MAX_ORDERS_PER_SET, OrderSet, Side, outright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.market import CALL, HOUR_MS, TIME_MS

SUBJECT = "engine"
SHORT, LONG, SIGNED = 2_000, 20_000, 2_000
"""Orders of the flow that every engine runs, of the one for the faster engines, and of the one with real signatures."""
QUOTE_SETS = 50
PAIR_ROUNDS = 9
"""Of plain and compiled in turn."""
COMPILED = "the engine compiled by mypyc"


def run(results: Results) -> None:
    """Orders a second on a short flow with every engine, then on a long one without the slowest; then the engine plain and compiled."""
    short, long = make_flow(SHORT, SEED), make_flow(LONG, SEED)
    results.fact(SUBJECT, "share of crossing orders", sum(order.crossing for order in long) / LONG, "", note=f"{CROSSING_SHARE} asked for")
    with ExitStack() as stack:
        pair = _plain_and_compiled(results, stack)
        ours = [*_OURS] if pair is None else [*_OURS, _in_process(pair[1])]
        _on_flow(results, short, ours, peer_engines.available(results, SUBJECT))
        _on_flow(results, long, ours, peer_engines.available(results, SUBJECT, only=("lightmatchingengine",)))
        if pair is not None:
            race_pair(results, *pair)
    _signed(results, make_flow(SIGNED, SEED))
    note = "64 amendments a set that do not trade: signature verification replaced by True, hashing included"
    results.time_prepared(
        SUBJECT, "transition, quotes amended in sets of 64", QUOTE_SETS * MAX_ORDERS_PER_SET, lambda: prepare_quotes(QUOTE_SETS), run_quotes, note=note
    )


def _on_flow(results: Results, flow: Sequence[FlowOrder], ours: Sequence[peer_engines.Engine], peers: Sequence[peer_engines.Engine]) -> None:
    tallies: dict[str, Tally] = {}
    engines = [*ours, *peers]
    contenders = [_contender(engine, flow, tallies) for engine in engines]
    timed = results.race(SUBJECT, contenders, rounds=5 if len(flow) == SHORT else 3)
    measured = dict(zip((engine.name for engine in engines), timed, strict=True))
    expected = tallies[_OURS[0].name]
    results.fact(SUBJECT, f"lots traded, {len(flow):,} orders", expected.lots, "lots", note="every engine that is compared traded these, for the same money")
    for name, tally in tallies.items():
        if tally != expected:
            results.leave_out(SUBJECT, f"agreement of {name}, {len(flow):,} orders", f"traded {tally}, expected {expected}: not the same work")
    for one in ours:
        for peer in peers:
            if tallies[one.name] == tallies[peer.name] == expected:
                results.compare(f"{one.name} / {peer.name}, {len(flow):,} orders", measured[one.name], measured[peer.name])


def _contender(engine: peer_engines.Engine, flow: Sequence[FlowOrder], tallies: dict[str, Tally]) -> Contender:
    def trade(ready: Any) -> None:
        tallies[engine.name] = engine.run(ready)

    name = f"{engine.name}, {len(flow):,} orders"
    return Contender(name, len(flow), trade, lambda: engine.prepare(flow), engine.note, engine.bar_per_second, engine.clock)


def _signed(results: Results, flow: Sequence[FlowOrder]) -> None:
    """The same commands with real signatures, each verified."""
    name = f"transition, signatures verified, {len(flow):,} orders"
    results.time_prepared(SUBJECT, name, len(flow), lambda: prepare_transition(flow, sign=True), run_transition, note="one order a set", bar_per_second=10_000)


# ---- plain and compiled


def _plain_and_compiled(results: Results, stack: ExitStack) -> tuple[EngineProcess, EngineProcess] | None:
    """Both engines, each in a process of its own; None, and the results say why, when there is no compiled one or it does not do the same."""
    try:
        made = compiled.build(compiled.ENGINE)
    except compiled.BuildError as error:
        results.leave_out(SUBJECT, COMPILED, str(error))
        return None
    kept = ", ".join(Path(name).stem for name in compiled.ENGINE.left_out)
    results.fact(SUBJECT, "modules compiled by mypyc", len(compiled.ENGINE.modules()), "modules", note=f"of core, operations and transition; not {kept}")
    results.fact(SUBJECT, "compiling them", made.cpu_seconds, "CPU s", note="mypyc and the C compiler, when it was done: the cache keeps the result")
    results.fact(SUBJECT, "extension modules", made.size_bytes / 1_000_000, "MB", note="without debugging information")
    pair = EngineProcess(None), EngineProcess(made)
    for process in pair:
        stack.callback(process.close)
    return pair if agree(results, *pair) else None


def agree(results: Results, plain: EngineProcess, fast: EngineProcess) -> bool:
    """Whether both end every flow in the same state, to the last row. When not, the results say so, and nothing of the compiled engine may be reported."""
    for name, flow in FLOWS.items():
        ends = []
        try:
            for process in (plain, fast):
                process.prepare(name, flow.operations)
                tally = process.run()
                ends.append((tally, process.end_state()))
        except ProcessError as error:
            results.leave_out(SUBJECT, COMPILED, f"{name}: {error}")
            return False
        if ends[0] != ends[1]:
            results.leave_out(SUBJECT, COMPILED, f"{name}: another end state than the plain engine's, expected the same: not the same work")
            return False
    return True


def race_pair(results: Results, plain: EngineProcess, fast: EngineProcess) -> None:
    """Every flow with both, in turn: each process counts its own CPU seconds."""
    for name, flow in FLOWS.items():
        contenders = [_runner(name, flow.operations, "plain", plain), _runner(name, flow.operations, "compiled", fast)]
        slow, quick = results.race(SUBJECT, contenders, rounds=PAIR_ROUNDS)
        results.compare(f"compiled / plain, {name}", quick, slow)


def _runner(flow: str, orders: int, kind: str, process: EngineProcess) -> Contender:
    prepare = partial(process.prepare, flow, orders)
    return Contender(f"{flow}, {kind}, {orders:,} orders", orders, lambda _: process.run(), prepare, "in a process of its own", clock=process.cpu_seconds)


def _in_process(process: EngineProcess) -> peer_engines.Engine:
    """The compiled engine among the others, on the first orders of the same flow."""

    def prepare(flow: Sequence[FlowOrder]) -> None:
        process.prepare("transition", len(flow))

    def trade(_: None) -> Tally:
        tally = process.run()
        assert tally is not None
        return tally

    note = "the same, compiled by mypyc, in a process of its own"
    return peer_engines.Engine("straddle transition, compiled", prepare, trade, note, clock=process.cpu_seconds)


# ---- the book by itself


def _prepare_book(flow: Sequence[FlowOrder]) -> list[OrderSet]:
    ready = []
    for nonce, order in enumerate(flow, 1):
        side = Side.BUY if order.buy else Side.SELL
        signed = outright(nonce, 0, TIME_MS + HOUR_MS, order.size_lots, order.price_ticks, CALL, side, 0)
        ready.append(OrderSet(order.trader, 1, (signed,), UNSIGNED))
    return ready


def _run_book(ready: Sequence[OrderSet]) -> Tally:
    """Price-time matching on core/book.py with nothing else: no margin, no fees, no draft. Makes its own entry of each order and a trade of each fill,
    as the peers do."""
    book = Book()
    trades: list[tuple[tuple[int, int], tuple[int, int], int, int]] = []
    for order_set in ready:
        order = order_set.orders[0]
        incoming = RestingOrder(order_set.account, order, order_set, 0, 0, order.size_lots)
        buys, limit = order.side is Side.BUY, order.limit_ticks
        against = book.side(order.side.opposite)
        while incoming.left_lots:
            best = against.best_ticks()
            if best is None or (best > limit if buys else best < limit):
                break
            maker = next(iter(against))
            size = min(incoming.left_lots, maker.left_lots)
            incoming.left_lots -= size
            maker.left_lots -= size
            trades.append((incoming.key, maker.key, best, size))
            if not maker.left_lots:
                against.remove(maker)
        if incoming.left_lots:
            book.side(order.side).add(incoming)
    return Tally(sum(size for *_, size in trades), sum(price * size for *_, price, size in trades))


_OURS = (
    peer_engines.Engine("straddle book", _prepare_book, _run_book, "core/book.py in a plain matching loop: no margin, no signatures"),
    peer_engines.Engine(
        "straddle transition",
        prepare_transition,
        run_unsigned,
        "margin reserved and checked; without signatures: verification replaced by True, the root of a set, which it signs, by a number",
        50_000,
    ),
    peer_engines.Engine("straddle transition, hashed", prepare_transition, run_unverified, "verification replaced by True; order sets of one hashed"),
)
