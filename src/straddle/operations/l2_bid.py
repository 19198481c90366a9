"""l2_bid: signed; takes a fraction of an auctioned portfolio at the discount that the auction has come to, for at most its limit."""

from __future__ import annotations

from straddle.core.authority import check_signed
from straddle.core.commands import L2Bid
from straddle.core.events import Event
from straddle.core.liquidation import WHOLE_BPS, bid_sale, has_changed, is_below_maintenance, old_requirement
from straddle.core.messages import MessageKind, bid_payload
from straddle.core.params import CASH_MAX, TIME_MS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.acting import check_action, check_nonce
from straddle.operations.plan import check_fresh, check_not_halted
from straddle.operations.takeover import Taking, check_taking, take


def check(exchange: Exchange, command: L2Bid) -> Taking | Rejection:
    """Signed, a new nonce, a portfolio for sale since an earlier batch, a price within the limit, a winner that can carry it."""
    rejection = check_not_halted(exchange) or check_fresh(exchange) or _check_terms(exchange, command)
    if rejection is not None:
        return rejection
    payload = bid_payload(command.nonce, command.target, command.fraction_bps, command.limit, command.expiry_ms)
    rejection = check_signed(exchange, command.account, command.key_epoch, MessageKind.BID, payload, command.signature)
    if rejection is None:
        rejection = check_action(exchange, command.account, command.nonce)
    return _check_sale(exchange, command) if rejection is None else rejection


def _check_terms(exchange: Exchange, command: L2Bid) -> Rejection | None:
    rejection = check_nonce(command.nonce)
    if rejection is not None:
        return rejection
    if not 0 < command.fraction_bps <= WHOLE_BPS:
        return Rejection(RejectionCode.FRACTION, "fraction_bps", command.fraction_bps, f"1 to {WHOLE_BPS}")
    if abs(command.limit) > CASH_MAX:
        return Rejection(RejectionCode.BID_LIMIT, "limit", command.limit, f"{-CASH_MAX} to {CASH_MAX} micro-dollars")
    time_ms = exchange.context.table.time_ms
    if not time_ms < command.expiry_ms <= TIME_MS_MAX:
        return Rejection(RejectionCode.ORDER_EXPIRED, "expiry_ms", command.expiry_ms, f"later than the table's time {time_ms}, at most {TIME_MS_MAX}")
    if command.target not in exchange.accounts or command.target == command.account:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "target", command.target, "another account that exists")
    return None


def _check_sale(exchange: Exchange, command: L2Bid) -> Taking | Rejection:
    target = command.target
    auction = exchange.accounts[target].auction
    if auction is None:
        return Rejection(RejectionCode.NOT_IN_AUCTION, "target", target, "an account whose portfolio is for sale")
    if has_changed(exchange, target):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "target", target, "an auction that an earlier batch began, and one takeover an account and batch")
    old = old_requirement(exchange, target)
    if old.equity < 0:
        return Rejection(RejectionCode.BANKRUPT, "target", target, "a solvent account: a bankrupt one goes to the insurance fund or is deleveraged")
    if not auction.forced and not is_below_maintenance(old):
        return Rejection(RejectionCode.NOT_LIQUIDATABLE, "target", target, "an account below its maintenance margin, or a forced close")
    sale = bid_sale(exchange, target, auction, command.fraction_bps)
    if not sale.lots:
        return Rejection(RejectionCode.FRACTION, "fraction_bps", command.fraction_bps, "a fraction that is at least one lot of some position")
    if sale.discount < 0:
        return Rejection(RejectionCode.FRACTION, "fraction_bps", command.fraction_bps, "a fraction that lowers margins when it is rounded to lots")
    if sale.payment > command.limit:
        return Rejection(RejectionCode.BID_LIMIT, "limit", command.limit, f"at least {sale.payment} micro-dollars, the price now")
    return check_taking(exchange, target, command.account, command.fraction_bps, sale, command)


def apply(exchange: Exchange, plan: Taking) -> tuple[Event, ...]:
    """The winner has its part."""
    return take(exchange, plan)
