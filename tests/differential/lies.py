"""Batches that are told as a cheating sequencer would: every root, digest and sum is right, and one rule is broken.

Each lie starts where a story stands; what it tells differs from what the rules allow by as little as can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from straddle.core.accounts import Auction
from straddle.core.batch import AuctionChange
from straddle.core.params import BPS
from straddle.proving.witness import Witness
from tests.differential.scenes import CALL, DOLLARS, HOUR_MS, PARAMS, PERPETUAL, Scene, crowd
from tests.differential.stories import ALICE, BOB, CAROL, CRASH, OWNER, in_distress, withdrawable

LIES: list[Lie] = []


@dataclass(frozen=True, slots=True)
class Lie:
    """`tell` leaves a scene with the lie in its open batch."""

    name: str
    rule: str
    tell: Callable[[], Scene]

    def witness(self) -> Witness:
        """Of the batch with the lie."""
        return self.tell().close().posted.witness


def lie(rule: str) -> Callable[[Callable[[], Scene]], Callable[[], Scene]]:
    def register(tell: Callable[[], Scene]) -> Callable[[], Scene]:
        LIES.append(Lie(tell.__name__, rule, tell))
        return tell

    return register


def traders() -> Scene:
    """ALICE is long and BOB short of 40 perpetuals; CAROL has nothing but cash. ALICE and CAROL are one owner's."""
    scene = crowd(ALICE, BOB, CAROL, dollars=100, owners={ALICE: OWNER, CAROL: OWNER})
    scene.trade(ALICE, BOB, PERPETUAL, 40)
    scene.close()
    return scene


# ---- actions and transfers


@lie("accounts.3")
def act_twice_in_a_batch() -> Scene:
    scene = traders()
    scene.withdraw(ALICE, DOLLARS)
    scene.transfer(ALICE, CAROL, DOLLARS)
    return scene


@lie("accounts.3")
def raise_an_action_nonce_for_nothing() -> Scene:
    scene = traders()
    scene.account(ALICE).action_nonce += 1
    return scene


@lie("transfers")
def transfer_to_another_owner() -> Scene:
    scene = traders()
    scene.transfer(ALICE, BOB, DOLLARS)
    return scene


@lie("accounts.5")
def transfer_more_than_the_margin_leaves() -> Scene:
    scene = traders()
    scene.transfer(ALICE, CAROL, withdrawable(scene, ALICE) + 1)
    return scene


@lie("accounts.5")
def withdraw_what_options_are_worth() -> Scene:
    """Rule (a) would hold: a long option is worth something, but nobody has paid for it yet."""
    scene = crowd(ALICE, BOB, dollars=100)
    scene.trade(ALICE, BOB, CALL, 1_000)
    scene.reprice(2_000_000)
    scene = repriced(scene, 2_000_000)
    scene.withdraw(ALICE, scene.account(ALICE).cash + 1)
    return scene


def repriced(scene: Scene, spot: int) -> Scene:
    scene.close()
    scene.reprice(spot)
    return scene


@lie("accounts.7")
def withdraw_without_opening_the_positions() -> Scene:
    scene = traders()
    scene.withdraw(ALICE, DOLLARS)
    del scene.batch.opened[ALICE]
    return scene


@lie("accounts.7")
def take_from_an_account_without_opening_it() -> Scene:
    """BOB sits still; a forced withdrawal leaves without a look at his positions."""
    scene = traders()
    scene.force_withdraw(BOB, DOLLARS, DOLLARS)
    del scene.batch.opened[BOB]
    return scene


@lie("accounts.7")
def begin_an_auction_without_opening_the_positions() -> Scene:
    scene = repriced(leveraged(), CRASH)
    scene.begin(CAROL)
    del scene.batch.opened[CAROL]
    return scene


def leveraged() -> Scene:
    """CAROL is short of 100 perpetuals with $100 behind them, before any crash."""
    scene = crowd(ALICE, BOB)
    scene.deposit(CAROL, 100 * DOLLARS)
    scene.set_key(CAROL)
    scene.close()
    scene.trade(BOB, CAROL, PERPETUAL, 100)
    return scene


# ---- forced withdrawals


@lie("accounts.6")
def pay_a_forced_withdrawal_one_less() -> Scene:
    scene = traders()
    scene.force_withdraw(BOB, 1_000 * DOLLARS, withdrawable(scene, BOB) - 1)
    return scene


@lie("accounts.5")
def pay_a_forced_withdrawal_one_more() -> Scene:
    scene = traders()
    scene.force_withdraw(BOB, 1_000 * DOLLARS, withdrawable(scene, BOB) + 1)
    return scene


@lie("accounts.6")
def pay_more_than_was_asked() -> Scene:
    scene = traders()
    scene.force_withdraw(BOB, 5, 6)
    return scene


@lie("accounts.6")
def refuse_a_forced_withdrawal() -> Scene:
    scene = traders()
    scene.force_withdraw(CAROL, DOLLARS, 0)
    return scene


@lie("accounts.6")
def starve_a_forced_withdrawal_by_a_trade() -> Scene:
    scene = traders()
    scene.trade(ALICE, BOB, PERPETUAL, 10)
    scene.force_withdraw(BOB, 1_000 * DOLLARS, withdrawable(scene, BOB))
    return scene


@lie("accounts.6")
def answer_two_forced_withdrawals_of_one_account() -> Scene:
    scene = traders()
    scene.force_withdraw(CAROL, DOLLARS, DOLLARS)
    scene.force_withdraw(CAROL, DOLLARS, DOLLARS)
    return scene


# ---- auctions


@lie("accounts.9")
def begin_an_auction_above_maintenance() -> Scene:
    scene = traders()
    scene.begin(BOB)
    return scene


@lie("accounts.9")
def date_an_auction_back() -> Scene:
    """An hour of discount at once."""
    scene = repriced(leveraged(), CRASH)
    scene.begin(CAROL)
    scene.now[CAROL].auction = Auction(scene.table.time_ms - HOUR_MS, False, 0)
    return scene


@lie("accounts.9")
def begin_an_auction_again() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH)
    scene.begin(CAROL)
    return scene


@lie("accounts.9")
def end_an_auction_that_is_not_covered() -> Scene:
    scene = in_distress(CRASH)
    scene.end(CAROL)
    return scene


@lie("accounts.9")
def end_a_forced_auction_before_its_time() -> Scene:
    scene = traders()
    scene.force_close(BOB, 500)
    scene.close()
    scene.reprice(900_000, PARAMS.auction_ms - 1)
    scene.end(BOB)
    return scene


@lie("accounts.9")
def sell_an_account_whose_owner_did_not_ask() -> Scene:
    scene = traders()
    scene.account(BOB).auction = Auction(scene.table.time_ms, True, BPS)
    scene.batch.auctions[BOB] = AuctionChange.CLOSE_BEGUN
    return scene


@lie("accounts.9")
def give_away_more_than_the_owner_said() -> Scene:
    scene = traders()
    scene.force_close(BOB, 500)
    scene.now[BOB].auction = Auction(scene.table.time_ms, True, 501)
    return scene


@lie("accounts.9")
def ignore_a_forced_close() -> Scene:
    scene = traders()
    scene.force_close(BOB, 500)
    scene.now[BOB].auction = None
    return scene


@lie("accounts.9")
def turn_the_clock_back_by_a_forced_close() -> Scene:
    scene = in_distress(CRASH)
    scene.reprice(CRASH)
    scene.force_close(CAROL, 0)
    scene.account(CAROL).auction = Auction(scene.table.time_ms, True, 0)
    scene.batch.auctions[CAROL] = AuctionChange.CLOSE_BEGUN
    return scene
