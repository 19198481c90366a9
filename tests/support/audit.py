"""An independent look at an exchange and its batches: recounts from scratch what the engine keeps in steps."""

from __future__ import annotations

from collections import Counter

from straddle.core.accounts import EMPTY_SLOT, FEE_ACCOUNT, Slot
from straddle.core.batch import OpenBatch
from straddle.core.events import CancelReason, Event, OrderCancelled, OrderResting, ProtectionTripped, Trade
from straddle.core.exposure import build_exposure
from straddle.core.fees import fill_fee
from straddle.core.margin import check_rule, requirement
from straddle.core.market_state import MarketState
from straddle.core.orders import Order, Side
from straddle.core.params import BPS, Params
from straddle.core.reservation import carried_scaled
from straddle.core.state import Exchange


def audit_exchange(exchange: Exchange, deposited: int, withdrawn: int) -> None:
    """Conservation, derived state, books."""
    assert sum(account.cash for account in exchange.accounts.values()) == deposited - withdrawn
    totals: Counter[int] = Counter()
    for account in exchange.accounts.values():
        assert 0 not in account.positions.values()
        totals.update(account.positions)
    assert not any(totals.values())
    audit_derived(exchange)


def audit_derived(exchange: Exchange) -> None:
    """What is kept in steps is what follows from the state."""
    _audit_books(exchange)
    _audit_exposures(exchange)
    _audit_usage(exchange)
    _audit_caution(exchange)


def _audit_books(exchange: Exchange) -> None:
    resting = {}
    assert all(exchange.combination_books.values())
    for key, book in (*exchange.books.items(), *exchange.combination_books.items()):
        for side in Side:
            for order in book.side(side):
                assert (order.order.instrument if order.order.is_outright else order.order.legs) == key
                assert order.order.side is side and order.left_lots > 0
                assert order.key not in resting
                resting[order.key] = order
            levels = [(order.order.limit_ticks * -side.sign, order.turn) for order in book.side(side)]
            assert levels == sorted(levels)
        bid, ask = book.bids.best_ticks(), book.asks.best_ticks()
        assert bid is None or ask is None or bid < ask, f"book {key} is crossed: {bid} {ask}"
    indexed = {}
    for account, slots in exchange.open_orders.items():
        assert slots and [order.turn for order in slots.values()] == sorted(order.turn for order in slots.values())
        for index, order in slots.items():
            owner = exchange.accounts[account]
            assert order.account == account and order.order.nonce % exchange.params.slots == index
            assert order.order.nonce >= owner.min_nonce and order.order_set.key_epoch == owner.key_epoch
            slot = owner.slots.get(index, EMPTY_SLOT)
            filled = slot.filled if slot.nonce == order.order.nonce else 0
            assert slot.nonce <= order.order.nonce and order.left_lots == order.order.size_lots - filled
            assert not order.order.immediate
            indexed[order.key] = order
    assert {key: id(order) for key, order in indexed.items()} == {key: id(order) for key, order in resting.items()}


def _audit_exposures(exchange: Exchange) -> None:
    active = {account.id for account in exchange.accounts.values() if account.positions} | exchange.open_orders.keys()
    assert active == exchange.exposures.keys()
    for account in active:
        built = build_exposure(exchange.context, exchange.positions_of(account), exchange.open_orders.get(account, {}).values())
        assert built == exchange.exposures[account]
        assert len(exchange.positions_of(account)) <= exchange.limits.positions
        valued, cash = exchange.requirement_of(account), exchange.accounts[account].cash
        assert built.surplus_scaled(cash) == valued.surplus_scaled >= built.reserved_surplus_scaled(cash)
        _audit_prices(exchange, account)


def _audit_prices(exchange: Exchange, account: int) -> None:
    """What is kept for a cap is what the open orders may lose beyond its prices; no path depends on another, so three are looked at."""
    kept, table = exchange.exposures[account].prices(), exchange.context.table
    for path in (0, 1 + account % 48, 48) if kept is not None else ():
        total, (prices, beyond) = 0, kept
        for resting in exchange.open_orders.get(account, {}).values():
            order, legs = resting.order, [(table[leg.instrument], resting.order.side.sign * leg.ratio) for leg in resting.order.legs]
            gain = sum(lots * row.mark for row, lots in legs) - order.side.sign * order.limit_ticks - resting.unit_fee
            gain -= sum(abs(lots) * (row.long_im if lots > 0 else row.short_im) for row, lots in legs)
            loss = -BPS * gain - exchange.params.k_im_bps * sum(lots * (row.deltas[path - 1] if path else 0) for row, lots in legs)
            total += resting.left_lots * max(0, max(0, loss) - prices[path] * sum(abs(lots) for _, lots in legs))
        assert total == beyond[path]


def carried(exchange: Exchange) -> dict[int, bool]:
    """By account with open orders or positions: whether it is left with IM after whatever its protection still lets fill."""
    left = {}
    for account, exposure in exchange.exposures.items():
        known, fresh = exchange.protections.get(account), exposure.copy()
        orders, cash, most = exchange.open_orders.get(account, {}).values(), exchange.accounts[account].cash, known.lots_left if known else None
        left[account] = carried_scaled(fresh, cash, most, lambda: tuple(orders)) >= 0  # noqa: B023 (called at once)
    return left


def audit_kept(exchange: Exchange, before: dict[int, bool]) -> None:
    """Who carried its open orders still does: nothing but a new table may take that from an account."""
    after = carried(exchange)
    for account, was in before.items():
        assert not was or after.get(account, True), f"account {account} no longer carries its open orders"


def audit_carried(exchange: Exchange, before: dict[int, bool], taker: int, events: tuple[Event, ...]) -> None:
    """Trading leaves whom it found carried so, and fills what they promised; those who were paid out in the batch have more to hold to."""
    audit_kept(exchange, before)
    for event in events:
        if isinstance(event, OrderCancelled) and event.reason is CancelReason.MARGIN and event.account != taker and before[event.account]:
            assert exchange.usage.covered.get(event.account), event


def _audit_usage(exchange: Exchange) -> None:
    batch, usage, capacity = exchange.open_batch, exchange.usage, exchange.capacity
    rows = {account: len(batch.start[account].positions.keys() | exchange.positions_of(account).keys()) for account in batch.opened}
    assert usage.position_rows == sum(rows.values()) <= capacity.positions
    closed = {account: start.positions for account, start in batch.start.items() if account not in batch.opened}
    assert closed == {account: exchange.positions_of(account) for account in closed}
    outrights = {(use.account, use.order.nonce, use.order.revision): i for i, use in enumerate(batch.order_uses) if use.order.is_outright}
    assert usage.order_uses == outrights
    assert usage.leg_rows == sum(len(use.order.legs) for use in batch.order_uses) <= capacity.legs
    for account, instrument in batch.reduced:
        before, size = batch.start[account].positions[instrument], exchange.positions_of(account).get(instrument, 0)
        assert abs(size) <= abs(before) and size * before >= 0
    sets = {(use.account, use.set_root, *use.order_set.signature.integers) for use in batch.order_uses}
    assert set(usage.order_sets) == sets
    assert len(sets) + len(batch.withdrawals) + len(batch.cancels) <= capacity.signatures
    assert len(batch.start) <= capacity.accounts and len(batch.order_uses) <= capacity.orders and len(batch.fills) <= capacity.fills
    assert len(batch.queue) <= capacity.queue and len(batch.withdrawals) <= capacity.withdrawals and len(batch.listings) <= capacity.listings


def _audit_caution(exchange: Exchange) -> None:
    """What a reduce-only market and protections promise at any time."""
    if exchange.market is MarketState.REDUCE_ONLY:
        for account, orders in exchange.open_orders.items():
            lots: Counter[tuple[int, int]] = Counter()
            for resting in orders.values():
                for leg in resting.order.legs:
                    lots[leg.instrument, resting.order.leg_side(leg).sign] += resting.left_lots * abs(leg.ratio)
            for (instrument, sign), total in lots.items():
                assert total <= -sign * exchange.positions_of(account).get(instrument, 0)
    now_ms = max(exchange.time_ms, exchange.table.time_ms if exchange.table is not None else 0)
    assert all(resting.order.expiry_ms > now_ms for orders in exchange.open_orders.values() for resting in orders.values())
    for account, protection in exchange.protections.items():
        quantity, delta = protection.limits.quantity_lots, protection.limits.delta_micros
        assert protection.quantity_lots >= 0 and (not quantity or protection.quantity_lots < quantity)
        assert not delta or abs(protection.delta_micros) < delta
        assert exchange.time_ms >= protection.frozen_until_ms or account not in exchange.open_orders


def audit_market(exchange: Exchange, before: dict[int, dict[int, int]], events: tuple[Event, ...]) -> None:
    """An order set kept to the market's state; `before` holds the positions as they were."""
    table = exchange.table
    assert table is not None
    stale = exchange.time_ms - table.time_ms > exchange.limits.table_age_ms_max
    if stale or exchange.market in (MarketState.CANCEL_ONLY, MarketState.HALTED):
        assert not any(isinstance(event, Trade | OrderResting) for event in events)
    elif exchange.market is MarketState.REDUCE_ONLY:
        for account, held in exchange.accounts.items():
            for instrument, lots in held.positions.items():
                old = before[account].get(instrument, 0)
                assert abs(lots) <= abs(old) and lots * old > 0


class ProtectionAudit:
    """Adds up, from trades alone, what each protected maker's interval has used."""

    def __init__(self) -> None:
        self.used: dict[int, tuple[int, int, int]] = {}
        """account -> start of the interval, lots, delta."""

    def follow(self, exchange: Exchange, events: tuple[Event, ...]) -> None:
        table, now, met = exchange.table, exchange.time_ms, dict[int, int]()
        for event in events:
            if isinstance(event, ProtectionTripped):
                protection = exchange.protections[event.account]
                assert event.frozen_until_ms == now + protection.limits.frozen_ms
                self.used[event.account] = now, 0, 0
            elif isinstance(event, Trade) and event.maker in exchange.protections:
                assert table is not None
                start, lots, delta = self.used[event.maker]
                if met.get(event.maker) != event.execution and now >= start + exchange.protections[event.maker].limits.interval_ms:
                    start, lots, delta = now, 0, 0
                met[event.maker] = event.execution
                deltas = table[event.instrument].deltas
                delta -= event.taker_side.sign * event.size_lots * (deltas[4] - deltas[7])
                self.used[event.maker] = start, lots + event.size_lots, delta
                limits = exchange.protections[event.maker].limits
                assert not limits.quantity_lots or lots + event.size_lots <= limits.quantity_lots
        for account, (start, lots, delta) in self.used.items():
            kept = exchange.protections[account]
            assert (kept.start_ms, kept.quantity_lots, kept.delta_micros) == (start, lots, delta)
            assert not kept.limits.delta_micros or abs(delta) <= kept.limits.delta_micros


def audit_rule(exchange: Exchange) -> None:
    """Every account that the open batch touched satisfies the rule from its start to now."""
    batch, table, params = exchange.open_batch, exchange.table, exchange.params
    for account, start in batch.start.items():
        assert table is not None
        now = exchange.accounts[account]
        assert check_rule(start.cash + batch.deposits.get(account, 0), start.positions, now.cash, now.positions, table, params) is not None
        if account in batch.withdrawals:
            valued = requirement(now.cash, now.positions, table, params)
            assert valued.surplus_scaled >= 0 and valued.settled >= 0


def audit_trades(exchange: Exchange, events: tuple[Event, ...], signed: dict[tuple[int, int, int], Order], filled: Counter[tuple[int, int]]) -> None:
    """Every execution keeps to what each side signed; `filled` adds up units by (account, nonce)."""
    executions: dict[tuple[int, int, int, int], list[tuple[Trade, int, int]]] = {}
    for trade in (event for event in events if isinstance(event, Trade)):
        assert trade.taker != trade.maker and trade.size_lots > 0
        _audit_leg(exchange, trade)
        taker, maker = (trade.taker, trade.taker_nonce, trade.taker_revision), (trade.maker, trade.maker_nonce, trade.maker_revision)
        assert signed[taker].side is signed[maker].side.opposite or not (signed[taker].is_outright and signed[maker].is_outright)
        executions.setdefault((trade.execution, *taker), []).append((trade, trade.taker_fee, trade.taker_side.sign))
        executions.setdefault((trade.execution, *maker), []).append((trade, trade.maker_fee, -trade.taker_side.sign))
    for (_, account, nonce, revision), parts in executions.items():
        order, lots = signed[account, nonce, revision], Counter[int]()
        for trade, _, sign in parts:
            lots[trade.instrument] += sign * trade.size_lots
        leg = order.legs[0]
        units = lots[leg.instrument] * order.side.sign // leg.ratio
        assert units > 0 and lots == {leg.instrument: order.side.sign * leg.ratio * units for leg in order.legs}
        cost = sum(sign * trade.size_lots * trade.price_ticks for trade, _, sign in parts)
        assert cost <= order.side.sign * order.limit_ticks * units
        assert sum(fee for _, fee, _ in parts) <= order.fee_cap * units
        assert exchange.table is not None and order.expiry_ms > max(exchange.table.time_ms, exchange.time_ms)
        filled[account, nonce] += units
        assert filled[account, nonce] <= order.size_lots


def _audit_leg(exchange: Exchange, trade: Trade) -> None:
    table, schedule = exchange.table, exchange.fees
    assert table is not None
    row, index = table[trade.instrument], table.index_ticks
    assert abs(trade.price_ticks - row.mark) <= row.band and row.expiry_ms > table.time_ms
    assert trade.taker_fee == fill_fee(schedule.taker_bps, schedule, index, row, trade.price_ticks, trade.size_lots)
    assert trade.maker_fee == fill_fee(schedule.maker_bps, schedule, index, row, trade.price_ticks, trade.size_lots)


def audit_batch(batch: OpenBatch, params: Params) -> None:
    """A finished batch's rows tie its start to its end, as docs/protocol/statement.md asks."""
    cash, positions, fees = {a: start.cash for a, start in batch.start.items()}, {a: Counter(start.positions) for a, start in batch.start.items()}, 0
    table = batch.table
    assert table is not None and batch.start.keys() == batch.end.keys()
    per_leg: Counter[tuple[int, int]] = Counter()
    net: Counter[int] = Counter()
    per_order_fee: Counter[int] = Counter()
    for fill in batch.fills:
        for index, place, fee in ((fill.taker, fill.taker_leg, fill.taker_fee), (fill.maker, fill.maker_leg, fill.maker_fee)):
            use = batch.order_uses[index]
            leg = use.order.legs[place]
            assert leg.instrument == fill.instrument
            signed = fill.size_lots * use.order.leg_side(leg).sign
            cash[use.account] -= signed * (fill.price_ticks - table[fill.instrument].funding) + fee
            positions[use.account][fill.instrument] += signed
            per_leg[index, place] += fill.size_lots
            net[index] += signed * fill.price_ticks
            per_order_fee[index] += fee
            fees += fee
        assert batch.first_sequence <= fill.sequence <= batch.last_sequence
    if fees:
        cash[FEE_ACCOUNT] += fees
    for account, amount in batch.deposits.items():
        cash[account] += amount
    for account, withdrawal in batch.withdrawals.items():
        cash[account] -= withdrawal.amount
    assert cash == {account: end.cash for account, end in batch.end.items()}
    assert {a: {i: q for i, q in held.items() if q} for a, held in positions.items()} == {a: end.positions for a, end in batch.end.items()}
    slots = {account: dict(start.slots) for account, start in batch.start.items()}
    for i, use in enumerate(batch.order_uses):
        index = use.order.nonce % params.slots
        before = slots[use.account].get(index, EMPTY_SLOT)
        assert use.slot_before == before and use.fill > 0 and use.fee == per_order_fee[i] <= use.order.fee_cap * use.fill
        assert all(per_leg[i, place] == abs(leg.ratio) * use.fill for place, leg in enumerate(use.order.legs))
        assert net[i] <= use.order.side.sign * use.order.limit_ticks * use.fill
        assert before.nonce < use.order.nonce or (before.nonce == use.order.nonce and before.revision <= use.order.revision)
        filled = use.fill + (before.filled if before.nonce == use.order.nonce else 0)
        assert filled <= use.order.size_lots and use.order.nonce >= batch.start[use.account].min_nonce
        assert use.order_set.key_epoch == batch.start[use.account].key_epoch and use.order_set.orders[use.set_index] == use.order
        slots[use.account][index] = Slot(use.order.nonce, use.order.revision, filled)
    assert slots == {account: end.slots for account, end in batch.end.items()}
