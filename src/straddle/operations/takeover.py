"""A part of an auctioned portfolio changes hands: to the winner of a bid, or to the insurance fund."""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.batch import Takeover
from straddle.core.capacity import Additions, position_rows
from straddle.core.commands import L2Bid
from straddle.core.events import CancelReason, Event, TakenOver
from straddle.core.exposure import Exposure
from straddle.core.liquidation import Sale
from straddle.core.params import BPS, CASH_MAX, POSITION_VALUE_BOUND
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.reservation import reserved_scaled
from straddle.core.state import Exchange
from straddle.operations.reducing import cancel_adding
from straddle.operations.resting import cancel_orders


@dataclass(frozen=True, slots=True)
class Taking:
    """A takeover that its winner can carry."""

    takeover: Takeover
    sale: Sale
    additions: Additions


def check_taking(exchange: Exchange, account: int, winner: int, fraction_bps: int, sale: Sale, bid: L2Bid | None) -> Taking | Rejection:
    """Whether the winner may take it: every position within its bounds, and afterwards the account covered with its open orders reserved."""
    cash, positions = exchange.settled_side(winner)
    if not -CASH_MAX <= cash - sale.payment <= CASH_MAX:
        return Rejection(RejectionCode.CASH_BOUND, "payment", sale.payment, f"one that leaves the winner's cash within {CASH_MAX}")
    exposure = _exposure(exchange, winner)
    held, start, before = exposure.instruments, exchange.old_side(winner)[1], dict(positions)
    for instrument, lots in sale.lots.items():
        size = positions.get(instrument, 0)
        rejection = _check_position(exchange, winner, exposure, instrument, size, size + lots)
        if rejection is not None:
            return rejection
        exposure.move(instrument, lots)
        positions[instrument] = size + lots
    rows, limit = position_rows(start, positions), exchange.limits.positions
    if (exposure.instruments > limit and exposure.instruments > held) or (rows > limit and rows > position_rows(start, before)):
        return Rejection(RejectionCode.POSITIONS_MAX, "winner", winner, f"an account that then holds, quotes or held at most {limit} instruments")
    surplus = reserved_scaled(exchange, winner, exposure, cash - sale.payment)
    if surplus < 0:
        return Rejection(RejectionCode.MARGIN, "winner", winner, f"an account that can carry it: it lacks {-(surplus // BPS)} micro-dollars")
    left = {instrument: size for instrument, size in exchange.settled_side(account)[1].items() if size != sale.lots.get(instrument, 0)}
    after = {instrument: size for instrument, size in positions.items() if size}
    additions = Additions(positions={account: left, winner: after}, takeovers=1, signatures=int(bid is not None))
    return Taking(Takeover(account, winner, fraction_bps, sale.payment, bid), sale, additions)


def check_fund(exchange: Exchange, account: int, sale: Sale) -> Taking | Rejection:
    """Whether the insurance fund may take a whole portfolio; it is isolated: what it has is all that it can lose."""
    if account == INSURANCE_ACCOUNT or exchange.accounts[INSURANCE_ACCOUNT].auction is not None:
        return Rejection(RejectionCode.IN_AUCTION, "account", account, "another account than the insurance fund, and that not for sale itself")
    return check_taking(exchange, account, INSURANCE_ACCOUNT, BPS, sale, None)


def _exposure(exchange: Exchange, account: int) -> Exposure:
    """A copy without settled instruments."""
    known = exchange.exposures.get(account)
    exposure = known.copy() if known else exchange.context.exposure()
    for instrument, size in exchange.positions_of(account).items():
        if exchange.context.table[instrument].settled:
            exposure.move(instrument, -size)
    return exposure


def _check_position(exchange: Exchange, winner: int, exposure: Exposure, instrument: int, old: int, new: int) -> Rejection | None:
    if exchange.breaks_reduced(winner, instrument, new):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "instrument", instrument, "a position that only shrank in the batch to stay so")
    if abs(new) <= abs(old):
        return None
    _, buys, sells = exposure.lots(instrument)
    reached, cap = max(new + buys, sells - new), exchange.instruments[instrument].position_cap_lots
    if reached > cap:
        return Rejection(RejectionCode.POSITION_CAP, "winner", winner, f"a position of at most {cap} lots in instrument {instrument} with all open orders")
    if reached * exchange.context.table.packed.largest(instrument) >= POSITION_VALUE_BOUND:
        return Rejection(RejectionCode.POSITION_VALUE, "winner", winner, f"size times value or scenario result below {POSITION_VALUE_BOUND}")
    return None


def take(exchange: Exchange, taking: Taking) -> tuple[Event, ...]:
    """Lots and payment move; nothing touches the seized account any more in this batch, and the winner stays covered to its end."""
    takeover, sale, batch = taking.takeover, taking.sale, exchange.open_batch
    cancelled = cancel_orders(exchange, takeover.account, exchange.open_orders.get(takeover.account, {}).values(), CancelReason.LIQUIDATION)
    seized, winner = exchange.open_positions(takeover.account), exchange.open_positions(takeover.winner)
    seized.cash += sale.payment
    winner.cash -= sale.payment
    for instrument, lots in sale.lots.items():
        exchange.change_position(seized.id, instrument, -lots)
        exchange.change_position(winner.id, instrument, lots)
    for account in (seized.id, winner.id):
        exchange.drop_empty_exposure(account)
    if takeover.bid is not None:
        winner.action_nonce = takeover.bid.nonce
    batch.takeovers.append(takeover)
    batch.sealed[seized.id] = None
    exchange.usage.covered.setdefault(winner.id, False)
    taken = TakenOver(seized.id, winner.id, takeover.fraction_bps, tuple(sorted(sale.lots.items())), sale.payment)
    return (*cancelled, taken, *cancel_adding(exchange, winner.id))
