"""The state transition of the exchange: the one way in which its state changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from straddle.core.commands import (
    Command,
    InternalDeleverage,
    InternalDeliver,
    InternalEpoch,
    InternalLiquidate,
    InternalList,
    InternalMarket,
    InternalSettle,
    L1Deposit,
    L1ForceClose,
    L1ForceWithdraw,
    L1SetKey,
    L2Bid,
    L2Cancel,
    L2Protect,
    L2Trade,
    L2Transfer,
    L2Withdraw,
)
from straddle.core.events import Event
from straddle.core.rejections import Rejection
from straddle.core.state import Exchange
from straddle.operations import (
    internal_deleverage,
    internal_deliver,
    internal_epoch,
    internal_liquidate,
    internal_list,
    internal_market,
    internal_settle,
    l1_deposit,
    l1_force_close,
    l1_force_withdraw,
    l1_set_key,
    l2_bid,
    l2_cancel,
    l2_protect,
    l2_trade,
    l2_transfer,
    l2_withdraw,
)
from straddle.operations.plan import check_capacity

OPERATIONS: dict[type[Command], Any] = {
    L1Deposit: l1_deposit,
    L1SetKey: l1_set_key,
    L1ForceWithdraw: l1_force_withdraw,
    L1ForceClose: l1_force_close,
    L2Trade: l2_trade,
    L2Withdraw: l2_withdraw,
    L2Transfer: l2_transfer,
    L2Bid: l2_bid,
    L2Cancel: l2_cancel,
    L2Protect: l2_protect,
    InternalList: internal_list,
    InternalSettle: internal_settle,
    InternalDeliver: internal_deliver,
    InternalEpoch: internal_epoch,
    InternalLiquidate: internal_liquidate,
    InternalDeleverage: internal_deleverage,
    InternalMarket: internal_market,
}


@dataclass(slots=True)
class Outcome:
    """What became of a command: its log sequence and events, or why it was refused. Nobody changes it (as with events, freezing would only cost)."""

    sequence: int | None
    events: tuple[Event, ...] = ()
    rejection: Rejection | None = None

    @property
    def accepted(self) -> bool:
        """Whether the command took effect. Single orders of an accepted set may still be refused: see its events."""
        return self.rejection is None


def transition(exchange: Exchange, command: Command) -> Outcome:
    """Check, then apply. A refused command changes nothing and takes no sequence; after BATCH_BOUNDARY close the batch and submit it again."""
    operation = OPERATIONS[type(command)]
    plan = operation.check(exchange, command)
    rejection = plan if isinstance(plan, Rejection) else check_capacity(exchange, plan.additions)
    if rejection is not None:
        return Outcome(None, rejection=rejection)
    sequence = exchange.next_sequence
    events = operation.apply(exchange, plan)
    if isinstance(events, Rejection):  # a set that did not fit the batch, taken back
        return Outcome(None, rejection=events)
    exchange.next_sequence = sequence + 1
    exchange.open_batch.last_sequence = sequence
    return Outcome(sequence, events)
