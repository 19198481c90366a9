"""An independent look at an exchange and its batches: recounts from scratch what the engine keeps in steps."""

from __future__ import annotations

from collections import Counter

from straddle.core.accounts import EMPTY_SLOT, FEE_ACCOUNT, Slot
from straddle.core.batch import OpenBatch
from straddle.core.events import Event, OrderResting, ProtectionTripped, Trade
from straddle.core.exposure import Exposure
from straddle.core.fees import fill_fee
from straddle.core.margin import check_rule, requirement
from straddle.core.market_state import MarketState
from straddle.core.orders import Order, Side
from straddle.core.params import Params
from straddle.core.state import Exchange


def audit_exchange(exchange: Exchange, deposited: int, withdrawn: int) -> None:
    """Conservation, derived state, books."""
    assert sum(account.cash for account in exchange.accounts.values()) == deposited - withdrawn
    totals: Counter[int] = Counter()
    for account in exchange.accounts.values():
        assert 0 not in account.positions.values()
        totals.update(account.positions)
    assert not any(totals.values())
    _audit_books(exchange)
    _audit_exposures(exchange)
    _audit_usage(exchange)
    _audit_caution(exchange)


def _audit_books(exchange: Exchange) -> None:
    resting = {}
    for instrument, book in exchange.books.items():
        for side in Side:
            for order in book.side(side):
                assert order.order.instrument == instrument and order.order.side is side and order.left_lots > 0
                assert order.key not in resting
                resting[order.key] = order
        bid, ask = book.bids.best_ticks(), book.asks.best_ticks()
        assert bid is None or ask is None or bid < ask, f"book {instrument} is crossed: {bid} {ask}"
    indexed = {}
    for account, slots in exchange.open_orders.items():
        assert slots
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
        built = Exposure.build(exchange.context, exchange.positions_of(account), exchange.open_orders.get(account, {}).values())
        assert built == exchange.exposures[account]
        assert len(exchange.positions_of(account)) <= exchange.limits.positions
        valued, cash = exchange.requirement_of(account), exchange.accounts[account].cash
        assert built.surplus_scaled(cash) == valued.surplus_scaled >= built.reserved_surplus_scaled(cash)


def _audit_usage(exchange: Exchange) -> None:
    batch, usage, capacity = exchange.open_batch, exchange.usage, exchange.capacity
    rows = {account: len(start.positions.keys() | exchange.positions_of(account).keys()) for account, start in batch.start.items()}
    assert usage.positions == rows and usage.position_rows == sum(rows.values()) <= capacity.positions
    assert usage.order_uses == {(use.account, use.order.nonce, use.order.revision): i for i, use in enumerate(batch.order_uses)}
    sets = {(use.account, use.set_root, use.order_set.signature) for use in batch.order_uses}
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
                lots[resting.order.instrument, resting.order.side.sign] += resting.left_lots
            for (instrument, sign), total in lots.items():
                assert total <= -sign * exchange.positions_of(account).get(instrument, 0)
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
        table, now = exchange.table, exchange.time_ms
        for event in events:
            if isinstance(event, ProtectionTripped):
                protection = exchange.protections[event.account]
                assert event.frozen_until_ms == now + protection.limits.frozen_ms
                self.used[event.account] = now, 0, 0
            elif isinstance(event, Trade) and event.maker in exchange.protections:
                assert table is not None
                start, lots, delta = self.used[event.maker]
                if now >= start + exchange.protections[event.maker].limits.interval_ms:
                    start, lots, delta = now, 0, 0
                deltas = table[event.instrument].deltas
                delta -= event.taker_side.sign * event.size_lots * (deltas[4] - deltas[7])
                self.used[event.maker] = start, lots + event.size_lots, delta
                limits = exchange.protections[event.maker].limits
                assert not limits.quantity_lots or lots + event.size_lots <= limits.quantity_lots
                assert not limits.delta_micros or abs(delta) <= limits.delta_micros
        for account, (start, lots, delta) in self.used.items():
            kept = exchange.protections[account]
            assert (kept.start_ms, kept.quantity_lots, kept.delta_micros) == (start, lots, delta)


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
    """Every trade keeps to what both sides signed; `filled` adds up lots by (account, nonce)."""
    table = exchange.table
    for trade in (event for event in events if isinstance(event, Trade)):
        assert table is not None
        taker, maker = signed[trade.taker, trade.taker_nonce, trade.taker_revision], signed[trade.maker, trade.maker_nonce, trade.maker_revision]
        assert trade.taker != trade.maker and taker.instrument == maker.instrument == trade.instrument
        assert taker.side is trade.taker_side is maker.side.opposite and trade.size_lots > 0
        row = table[trade.instrument]
        assert abs(trade.price_ticks - row.mark) <= row.band and row.expiry_ms > table.time_ms
        sides = (taker, trade.taker, trade.taker_fee, exchange.fees.taker_bps), (maker, trade.maker, trade.maker_fee, exchange.fees.maker_bps)
        for order, account, fee, bps in sides:
            assert (trade.price_ticks - order.limit_ticks) * order.side.sign <= 0
            assert order.expiry_ms > table.time_ms
            assert fee == fill_fee(bps, exchange.fees, table.index_ticks, row, trade.price_ticks, trade.size_lots) <= order.fee_cap * trade.size_lots
            filled[account, order.nonce] += trade.size_lots
            assert filled[account, order.nonce] <= order.size_lots


def audit_batch(batch: OpenBatch, params: Params) -> None:
    """A finished batch's rows tie its start to its end, as docs/protocol/statement.md asks."""
    cash, positions, fees = {a: start.cash for a, start in batch.start.items()}, {a: Counter(start.positions) for a, start in batch.start.items()}, 0
    table = batch.table
    assert table is not None and batch.start.keys() == batch.end.keys()
    per_order: Counter[int] = Counter()
    per_order_fee: Counter[int] = Counter()
    for fill in batch.fills:
        for index, fee in ((fill.taker, fill.taker_fee), (fill.maker, fill.maker_fee)):
            use = batch.order_uses[index]
            signed = fill.size_lots * use.order.side.sign
            cash[use.account] -= signed * (fill.price_ticks - table[fill.instrument].funding) + fee
            positions[use.account][fill.instrument] += signed
            per_order[index] += fill.size_lots
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
        assert use.slot_before == before and use.fill == per_order[i] > 0 and use.fee == per_order_fee[i] <= use.order.fee_cap * use.fill
        assert before.nonce < use.order.nonce or (before.nonce == use.order.nonce and before.revision <= use.order.revision)
        filled = use.fill + (before.filled if before.nonce == use.order.nonce else 0)
        assert filled <= use.order.size_lots and use.order.nonce >= batch.start[use.account].min_nonce
        assert use.order_set.key_epoch == batch.start[use.account].key_epoch and use.order_set.orders[use.set_index] == use.order
        slots[use.account][index] = Slot(use.order.nonce, use.order.revision, filled)
    assert slots == {account: end.slots for account, end in batch.end.items()}
