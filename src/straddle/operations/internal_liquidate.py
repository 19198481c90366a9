"""internal_liquidate: the operator brings an account's auction one step on: it begins, ends, or the insurance fund takes what nobody bought.

Below MM an auction begins. It ends when the account is covered again; one that its owner forced, when nothing is left to sell or its time is over (unless the
account is below MM by then: it would begin anew). The insurance fund takes everything when the time is over, and at once from a bankrupt account.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.core.accounts import Auction
from straddle.core.batch import AuctionChange
from straddle.core.capacity import Additions
from straddle.core.commands import InternalLiquidate
from straddle.core.events import AuctionBegun, AuctionEnded, CancelReason, Event
from straddle.core.liquidation import age_ms, fund_sale, has_changed, is_below_maintenance
from straddle.core.margin import Requirement
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.state import Exchange
from straddle.operations.plan import check_fresh, check_trading_open
from straddle.operations.resting import cancel_orders
from straddle.operations.takeover import Taking, check_fund, take


@dataclass(frozen=True, slots=True)
class Plan:
    """How the auction changes, or what the fund takes."""

    account: int
    step: AuctionChange | Taking
    additions: Additions


def check(exchange: Exchange, command: InternalLiquidate) -> Plan | Rejection:
    """A fresh table, a step that is due, an account that the batch has not changed."""
    rejection = check_trading_open(exchange) or check_fresh(exchange)
    if rejection is not None:
        return rejection
    account = exchange.accounts.get(command.account)
    if account is None:
        return Rejection(RejectionCode.UNKNOWN_ACCOUNT, "account", command.account, "an account that exists")
    valued, positions = exchange.requirement_of(account.id), exchange.settled_side(account.id)[1]
    due = _begins(valued) if account.auction is None else _goes_on(exchange, account.auction, valued, positions)
    if isinstance(due, Rejection):
        return due
    if has_changed(exchange, account.id):
        return Rejection(RejectionCode.BATCH_BOUNDARY, "account", account.id, "an account that the open batch has not changed but by deposits")
    if due is not None:
        return Plan(account.id, due, Additions(positions={account.id: positions}))
    assert account.auction is not None
    taking = check_fund(exchange, account.id, fund_sale(exchange, account.id, account.auction))
    return taking if isinstance(taking, Rejection) else Plan(account.id, taking, taking.additions)


def _begins(valued: Requirement) -> AuctionChange | Rejection:
    if is_below_maintenance(valued):
        return AuctionChange.BEGUN
    return Rejection(RejectionCode.NOT_LIQUIDATABLE, "equity", valued.equity, "less than the account's maintenance margin")


def _goes_on(exchange: Exchange, auction: Auction, valued: Requirement, positions: dict[int, int]) -> AuctionChange | Rejection | None:
    """ENDED; None when it is the fund's turn."""
    over = age_ms(auction, exchange.context.table, exchange.params) == exchange.params.auction_ms
    if valued.equity < 0 or (over and is_below_maintenance(valued)):
        return None
    ends = not positions or (over and not is_below_maintenance(valued)) if auction.forced else valued.surplus_scaled >= 0
    if ends:
        return AuctionChange.ENDED
    return Rejection(RejectionCode.NOT_LIQUIDATABLE, "start_ms", auction.start_ms, "an auction whose time is over, or an account covered or bankrupt")


def apply(exchange: Exchange, plan: Plan) -> tuple[Event, ...]:
    """The step; nothing touches the account any more in this batch."""
    if isinstance(plan.step, Taking):
        return take(exchange, plan.step)
    batch, cancelled = exchange.open_batch, cancel_orders(exchange, plan.account, exchange.open_orders.get(plan.account, {}).values(), CancelReason.LIQUIDATION)
    account = exchange.open_positions(plan.account)
    batch.auctions[account.id] = plan.step
    batch.sealed[account.id] = None
    if plan.step is AuctionChange.ENDED:
        account.auction = None
        return (AuctionEnded(account.id),)
    auction = account.auction = Auction(exchange.context.table.time_ms, False, 0)
    return (*cancelled, AuctionBegun(account.id, *auction))
