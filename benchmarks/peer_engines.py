"""The public matching engines that ours is compared with, each in the form its own documentation shows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from benchmarks.flow import FlowOrder, Tally
from benchmarks.measure import Results, cpu_seconds, import_peer


@dataclass(frozen=True, slots=True)
class Engine:
    """`prepare` turns the flow into the engine's own orders (not counted); `run` trades them one by one."""

    name: str
    prepare: Callable[[Sequence[FlowOrder]], Any]
    run: Callable[[Any], Tally]
    note: str
    bar_per_second: float | None = None
    clock: Callable[[], float] = cpu_seconds


def available(results: Results, subject: str, only: Collection[str] = ("order-matching", "lightmatchingengine")) -> list[Engine]:
    """The peers that can be imported; for the others the results say why not."""
    makers = {"order-matching": ("order_matching", _order_matching), "lightmatchingengine": ("lightmatchingengine.lightmatchingengine", _lightmatchingengine)}
    engines = []
    for package in only:
        module, make = makers[package]
        if import_peer(results, subject, package, module) is not None:
            try:
                engines.append(make())
            except Exception as error:  # whatever a peer raises, the others are still measured
                results.leave_out(subject, package, f"{type(error).__name__}: {error}")
    return engines


def _order_matching() -> Engine:
    from loguru import logger
    from order_matching.enums import Side
    from order_matching.matching_engine import MatchingEngine
    from order_matching.order import LimitOrder
    from order_matching.orders import Orders

    logger.disable("order_matching")  # its debug lines would be most of its time
    start, step = datetime(2020, 5, 21), timedelta(milliseconds=1)

    def prepare(flow: Sequence[FlowOrder]) -> list[tuple[Any, datetime]]:
        ready = []
        for i, order in enumerate(flow):
            time = start + i * step  # its time priority is by this stamp
            side = Side.BUY if order.buy else Side.SELL
            limit = LimitOrder(
                side=side, price=float(order.price_ticks), size=float(order.size_lots), timestamp=time, order_id=str(i), trader_id=str(order.trader)
            )
            ready.append((Orders([limit]), time))
        return ready

    def run(ready: list[tuple[Any, datetime]]) -> Tally:
        engine, lots, notional = MatchingEngine(seed=1), 0.0, 0.0
        for orders, time in ready:
            engine.place(orders=orders)
            for trade in engine.match(timestamp=time).trades:
                lots += trade.size
                notional += trade.size * trade.price
        return Tally(int(lots), int(notional))

    return Engine("order-matching", prepare, run, "peer; no accounts, no margin, prices in floats; its logging turned off")


def _lightmatchingengine() -> Engine:
    from lightmatchingengine.lightmatchingengine import LightMatchingEngine, Side

    def prepare(flow: Sequence[FlowOrder]) -> list[tuple[int, int, Any]]:
        return [(order.price_ticks, order.size_lots, Side.BUY if order.buy else Side.SELL) for order in flow]

    def run(ready: list[tuple[int, int, Any]]) -> Tally:
        engine, lots, notional = LightMatchingEngine(), 0, 0
        for price, size, side in ready:
            _, trades = engine.add_order("BTC", price, size, side)
            for trade in trades:
                if trade.trade_side != side:  # one line for the taker at each price, one for each maker: the makers' are counted
                    lots += trade.trade_qty
                    notional += trade.trade_qty * trade.trade_price
        return Tally(lots, notional)

    return Engine("lightmatchingengine", prepare, run, "peer; no accounts, no margin")
