"""Commands to refuse: sent before, wild in a value, somebody else's, out of turn, malformed as a set."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from support.market import HOUR_MS, TIME_MS, secret

from straddle.core.commands import (
    Command,
    InternalDeleverage,
    InternalDeliver,
    InternalEpoch,
    InternalLiquidate,
    InternalList,
    InternalSettle,
    L1Deposit,
    L1ForceClose,
    L1ForceWithdraw,
    L1SetKey,
)
from straddle.core.instruments import BTC, Instrument, Kind, Retirement, Settlement
from straddle.core.orders import Leg, Side
from straddle.core.state import Exchange
from straddle.primitives.points import PublicKey

if TYPE_CHECKING:
    from .traffic import Entry, Traffic

WILD = (-1, 0, 1, 2**16, 2**32, 2**40, 2**48, 2**63 - 1, 2**63, 2**64, 2**160, 2**253, 2**256, -(2**39), -(2**63), -(2**64))
KINDS = {"again": 2, "wild": 3, "wild order": 3, "stranger": 1, "turn": 1, "set": 2, "entry": 1, "operator": 2}


def mischief(traffic: Traffic, exchange: Exchange, queue: list[Entry]) -> Command:
    """One of them, or a good one where none can be made."""
    rng = traffic.rng
    how = rng.choices(list(KINDS), list(KINDS.values()))[0]
    if how == "again" and traffic.sent:
        return rng.choice(traffic.sent)
    if how == "wild order":
        return _wild_order(traffic, exchange)
    if how == "stranger":
        command = getattr(traffic, rng.choice(("withdraw", "cancel", "protect", "transfer")))(exchange)
        stolen: Command = dataclasses.replace(command, account=rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 77)))
        return stolen
    if how == "turn" and queue:
        return rng.choice(queue)
    if how == "set":
        return _bad_set(traffic, exchange)
    if how == "entry":
        return _bad_entry(traffic, exchange)
    if how == "operator":
        return _bad_operator(traffic, exchange)
    command = getattr(traffic, rng.choice(("trade", "cancel", "withdraw", "transfer", "bid", "protect", "market")))(exchange)
    wild: Command = _wild(traffic, command)
    return wild


def _wild_order(traffic: Traffic, exchange: Exchange) -> Command:
    account, order = traffic.rng.choice((3, 4, 5, 6)), traffic.order(exchange, traffic.rng.choice((3, 4, 5, 6)))
    try:
        return traffic.signed_trade(exchange, account, (_wild(traffic, order),))
    except (ValueError, OverflowError):  # what no client can sign either
        return traffic.trade(exchange)


def _bad_set(traffic: Traffic, exchange: Exchange) -> Command:
    """Too many orders, one twice, legs or flags in no admitted form, far from the mark, beyond what anybody can carry."""
    rng, account = traffic.rng, traffic.rng.choice((3, 4, 5, 6))
    order = traffic.order(exchange, account)
    if rng.random() < 0.2:
        command = traffic.signed_trade(exchange, account, (order, order))
        return command if rng.random() < 0.5 else dataclasses.replace(command, order_set=dataclasses.replace(command.order_set, orders=(order,) * 65))
    first, huge = order.legs[0], 10 * rng.choice((10**6, 10**9))
    changed: dict[str, Any] = rng.choice((
        {"legs": (first, first)}, {"legs": (Leg(first.instrument, 2),)}, {"legs": (Leg(first.instrument, -1),)}, {"legs": (Leg(999, 1),)},
        {"flags": 5}, {"flags": 6}, {"limit_ticks": order.limit_ticks + 1}, {"limit_ticks": order.limit_ticks + 10**8}, {"size_lots": huge},
        {"size_lots": huge}, {"size_lots": 7}, {"fee_cap": 1}, {"expiry_ms": 1}, {"nonce": 1}, {"nonce": max(1, order.nonce - rng.choice((2, 16, 17, 33)))},
    ))  # fmt: skip
    return traffic.signed_trade(exchange, account, (dataclasses.replace(order, **changed),))


def _bad_entry(traffic: Traffic, exchange: Exchange) -> Command:
    """The next entry of the queue as layer 1 would never admit it: another's owner, an account that cannot be, an amount out of range."""
    rng, turn = traffic.rng, exchange.queue_pointer
    account = rng.choice((3, 4, 200))
    return rng.choice((
        L1Deposit(turn, 3, 0xBAD, 1), L1Deposit(turn, 3, 0x1003, 0), L1Deposit(turn, 0, 0x1003, 1), L1Deposit(turn, 2**30, 0x1003, 1),
        L1SetKey(turn, account, 0xBAD, secret(3).public), L1SetKey(turn, 3, 0x1003, PublicKey(1, 1)),
        L1ForceWithdraw(turn, account, 0xBAD, 1), L1ForceWithdraw(turn, 3, 0x1003, 0), L1ForceClose(turn, account, 0xBAD, 0),
        L1ForceClose(turn, 3, 0x1003, 10_001),
    ))  # fmt: skip


def _bad_operator(traffic: Traffic, exchange: Exchange) -> Command:
    """Listings, words and tables out of turn or out of range."""
    rng, table = traffic.rng, exchange.table
    assert table is not None
    good = Instrument(exchange.listing_count + 1, Kind.CALL, BTC, table.time_ms + HOUR_MS, 900_000, 50, 10, 10_000_000)
    known = rng.choice([*exchange.instruments, 999])
    listing = rng.choice((
        (), (dataclasses.replace(good, id=1),), (dataclasses.replace(good, expiry_ms=TIME_MS - 1),), (dataclasses.replace(good, strike_ticks=0),),
        tuple(dataclasses.replace(good, id=good.id + i) for i in range(len(exchange.instruments), 30)),
    ))  # fmt: skip
    rows = list(table.rows)
    place = rng.randrange(len(rows))
    rows[place] = _wild(traffic, rows[place])
    number = table.epoch + 1
    return rng.choice((
        InternalList(listing), InternalSettle((Settlement(known, BTC, 1),), ()), InternalSettle((), (Retirement(known, BTC),)), InternalSettle((), ()),
        InternalEpoch(dataclasses.replace(table, epoch=number, rows=table.rows[1:])), InternalEpoch(dataclasses.replace(table, epoch=number, rows=tuple(rows))),
        InternalEpoch(table), InternalEpoch(dataclasses.replace(table, epoch=number, time_ms=table.time_ms - 1)), InternalDeliver(()), InternalDeliver((3, 3)),
        InternalDeliver((250,)), InternalLiquidate(250), InternalDeleverage(250),
    ))  # fmt: skip


def _wild(traffic: Traffic, value: Any) -> Any:
    """The value with one integer in it, however deep, that does not belong there."""
    rng = traffic.rng
    names = [field.name for field in dataclasses.fields(value) if field.init and not isinstance(getattr(value, field.name), str | bool | None)]
    name = rng.choice(names)
    inner = getattr(value, name)
    if isinstance(inner, tuple) and inner and dataclasses.is_dataclass(inner[0]):
        i = rng.randrange(len(inner))
        changed: Any = (*inner[:i], _wild(traffic, inner[i]), *inner[i + 1 :])
    elif dataclasses.is_dataclass(inner):
        changed = _wild(traffic, inner)
    elif isinstance(inner, int) and not isinstance(inner, Side):
        changed = rng.choice(WILD)
    else:
        return value
    return dataclasses.replace(value, **{name: changed})
