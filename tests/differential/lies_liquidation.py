"""Lies about takeovers, deleveraging, reduce-only orders and settlement."""

from __future__ import annotations

from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.orders import FLAG_REDUCE_ONLY
from straddle.core.params import BPS
from tests.differential.lies import leveraged, lie, repriced, traders
from tests.differential.scenes import CALL, DOLLARS, HOUR_MS, PARAMS, PERPETUAL, PUT, SOON, Scene, crowd
from tests.differential.stories import ALICE, BOB, CAROL, CRASH, DAVE, RUIN, in_distress, worth

# ---- takeovers


@lie("accounts.10")
def seize_a_healthy_account() -> Scene:
    scene = traders()
    scene.take_over(BOB, CAROL, BPS, worth(scene, BOB))
    return scene


@lie("accounts.10")
def seize_in_the_batch_in_which_the_auction_begins() -> Scene:
    scene = repriced(leveraged(), CRASH)
    scene.begin(CAROL)
    scene.take_over(CAROL, ALICE, BPS, worth(scene, CAROL))
    return scene


@lie("accounts.10")
def seize_an_account_that_has_recovered() -> Scene:
    """Above MM again, though its auction still runs."""
    scene = in_distress(CRASH)
    scene.reprice(900_000)
    scene.take_over(CAROL, ALICE, BPS, worth(scene, CAROL))
    return scene


@lie("accounts.10")
def take_one_micro_dollar_over_the_discount() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 6 * 60_000)
    scene.take_over(CAROL, ALICE, BPS, worth(scene, CAROL) - _discount(scene) - 1)
    return scene


def _discount(scene: Scene) -> int:
    """What the whole of CAROL may be sold below its worth on the table in force."""
    positions, table = scene.account(CAROL).positions, scene.table
    losses = [-sum(size * table[item].deltas[s] for item, size in positions.items()) for s in range(48)]
    charges = sum(-size * table[item].short_mm for item, size in positions.items())
    scaled_mm = PARAMS.k_mm_bps * max(0, *losses) + BPS * charges
    start = scene.batch.start[CAROL].auction
    assert start is not None and all(size < 0 for size in positions.values())
    return PARAMS.discount_bps * (table.time_ms - start.start_ms) * scaled_mm // (PARAMS.auction_ms * BPS * BPS)


@lie("accounts.10")
def sell_below_the_owners_limit() -> Scene:
    """A forced close at no discount at all."""
    scene = traders()
    scene.force_close(BOB, 0)
    scene.close()
    scene.reprice(900_000, HOUR_MS)
    scene.take_over(BOB, CAROL, BPS, worth(scene, BOB) - 1)
    return scene


@lie("accounts.10")
def sell_the_same_portfolio_twice() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 6 * 60_000)
    half = worth(scene, CAROL, 5_000)
    scene.take_over(CAROL, ALICE, 5_000, half)
    scene.take_over(CAROL, BOB, 5_000, half)
    return scene


@lie("accounts.10")
def let_a_seized_account_trade() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 6 * 60_000)
    scene.trade(CAROL, BOB, PERPETUAL, 1)
    scene.take_over(CAROL, ALICE, 5_000, worth(scene, CAROL, 5_000))
    return scene


@lie("accounts.10")
def let_a_seized_account_pay_for_being_relieved() -> Scene:
    """Fully at the mark, but the risk that leaves is less than what it costs: equity - IM falls by the fraction's rounding alone."""
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 30 * 60_000)
    scene.take_over(CAROL, ALICE, 1, -10 * DOLLARS)
    return scene


@lie("accounts.10")
def let_the_fund_give_money_away() -> Scene:
    scene = in_distress(RUIN)
    scene.reprice(RUIN)
    scene.take_over(CAROL, INSURANCE_ACCOUNT, BPS, 1 - scene.account(CAROL).cash, fund=True)
    return scene


@lie("accounts.5")
def let_the_fund_take_more_than_it_can_carry() -> Scene:
    scene = repriced(leveraged(), RUIN)
    scene.begin(CAROL)
    scene.close()
    scene.reprice(RUIN)
    scene.take_over(CAROL, INSURANCE_ACCOUNT, BPS, -scene.account(CAROL).cash, fund=True)
    return scene


@lie("takeovers")
def take_a_portfolio_without_a_bid() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 6 * 60_000)
    scene.take_over(CAROL, ALICE, BPS, worth(scene, CAROL), fund=True)
    return scene


@lie("takeovers")
def charge_more_than_the_bid() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 6 * 60_000)
    scene.take_over(CAROL, ALICE, BPS, worth(scene, CAROL), limit=worth(scene, CAROL) - 1)
    return scene


@lie("accounts.5")
def let_a_bidder_win_what_it_cannot_carry() -> Scene:
    scene = in_distress(CRASH)
    scene.deposit(DAVE, 10 * DOLLARS)
    scene.set_key(DAVE)
    scene.close()
    scene.reprice(CRASH, 6 * 60_000)
    scene.take_over(CAROL, DAVE, BPS, worth(scene, CAROL))
    return scene


@lie("positions.5")
def hand_over_one_lot_more() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH, 6 * 60_000)
    scene.take_over(CAROL, ALICE, 5_000, worth(scene, CAROL, 5_000))
    scene.move(CAROL, CALL, 1)
    scene.move(ALICE, CALL, -1)
    return scene


# ---- deleveraging and reduce-only


@lie("accounts.10")
def deleverage_a_solvent_account() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH)
    scene.deleverage(CAROL, BOB, PERPETUAL, -10, scene.table[PERPETUAL].mark)
    return scene


@lie("accounts.10")
def deleverage_at_the_winners_cost() -> Scene:
    """The account, just bankrupt, ends with money that the other side of the trade paid."""
    scene = in_distress(RUIN)
    scene.reprice(1_745_000)
    assert -DOLLARS < scene.account(CAROL).cash + worth(scene, CAROL) < 0
    scene.deleverage(CAROL, BOB, PERPETUAL, -100, scene.table[PERPETUAL].mark - 10_000)
    return scene


@lie("deleverages")
def deleverage_outside_the_band() -> Scene:
    scene = in_distress(RUIN)
    scene.reprice(RUIN)
    row = scene.table[PERPETUAL]
    scene.deleverage(CAROL, BOB, PERPETUAL, -10, row.mark + row.band + 1)
    return scene


@lie("deleverages")
def deleverage_onto_somebody_who_holds_nothing() -> Scene:
    scene = in_distress(RUIN)
    scene.reprice(RUIN)
    scene.deleverage(CAROL, ALICE, PERPETUAL, -10, scene.table[PERPETUAL].mark)
    return scene


@lie("deleverages")
def deleverage_beyond_what_is_held() -> Scene:
    scene = in_distress(RUIN)
    scene.reprice(RUIN)
    scene.deleverage(CAROL, BOB, PERPETUAL, -101, scene.table[PERPETUAL].mark)
    return scene


@lie("legs")
def grow_a_position_by_a_reduce_only_order() -> Scene:
    scene = traders()
    scene.trade(ALICE, BOB, PERPETUAL, 1, flags=FLAG_REDUCE_ONLY)
    return scene


@lie("legs")
def turn_a_position_over_by_a_reduce_only_order() -> Scene:
    scene = traders()
    scene.trade(BOB, ALICE, PERPETUAL, 41, flags=FLAG_REDUCE_ONLY)
    return scene


# ---- settlement and listings


def expired() -> Scene:
    """SOON has expired, ALICE long and BOB short of 30; nothing is declared yet. The scene is at the batch that settles."""
    scene = crowd(ALICE, BOB)
    scene.trade(ALICE, BOB, SOON, 30)
    scene.close()
    scene.reprice(960_000, 2 * HOUR_MS, settled={SOON: 777})
    return scene


@lie("listings")
def settle_at_another_value_than_the_tables() -> Scene:
    scene = expired()
    scene.settle(SOON, 778)
    return scene


@lie("listings")
def settle_what_the_table_does_not() -> Scene:
    scene = expired()
    scene.settle(PUT, scene.table[PUT].value)
    return scene


@lie("instruments")
def settle_before_it_expires() -> Scene:
    scene = expired()
    scene.change_row(SOON, expiry_ms=scene.table.time_ms + 1)
    scene.settle(SOON, 777)
    return scene


@lie("accounts.4")
def pay_a_settled_position_twice() -> Scene:
    scene = expired()
    scene.settle(SOON, 777)
    scene.account(ALICE).cash += 777 * 30
    return scene


@lie("positions.5")
def keep_a_settled_position() -> Scene:
    scene = expired()
    scene.settle(SOON, 777)
    scene.withdraw(ALICE, DOLLARS)
    scene.move(ALICE, SOON, 30)
    return scene


@lie("fills")
def trade_a_settled_instrument() -> Scene:
    scene = expired()
    scene.settle(SOON, 777)
    scene.trade(BOB, ALICE, SOON, 1, 777)
    return scene
