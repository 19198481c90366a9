"""One story for every kind of thing a batch may hold, told by hand: honest batches, each of which the statement must accept."""

from __future__ import annotations

from collections.abc import Callable

from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.orders import FLAG_IMMEDIATE_OR_CANCEL, FLAG_REDUCE_ONLY, Side
from straddle.core.params import BPS
from straddle.proving.checker_margin import MarginSide, side_of
from straddle.proving.checker_tables import slice_of
from straddle.proving.witness import AccountRow, Witness
from tests.differential.scenes import CALL, DOLLARS, FUTURE, HOUR_MS, PERPETUAL, PUT, SOON, ClosedBatch, Scene, crowd

ALICE, BOB, CAROL, DAVE = 3, 4, 5, 6
OWNER = 0xA11CE
CRASH = 1_440_000
"""A spot at which CAROL's short perpetual is below MM, not yet bankrupt."""
RUIN = 2_100_000
"""A spot at which it is worth less than nothing."""

Story = Callable[[], Scene]


def sides(witness: Witness, row: AccountRow) -> tuple[MarginSide, MarginSide]:
    """An account before and after, valued on the batch's table."""
    instruments = {item.id: item for item in witness.instruments}
    held = [(item, instruments[item.instrument]) for item in witness.positions if item.account == row.id]
    deposits = sum(entry.amount for entry in witness.queue if entry.kind == 1 and entry.account == row.id)
    deposits += sum(item.amount for item in witness.transfers if item.to == row.id)
    old = side_of(row.old.cash + deposits, [(item.old, instrument) for item, instrument in held], witness.header)
    return old, side_of(row.new.cash, [(item.new, instrument) for item, instrument in held], witness.header)


def trades() -> Scene:
    """Partial fills, an amended order, several orders of one set, fees; then a batch that trades nothing."""
    scene = crowd(ALICE, BOB, CAROL)
    scene.trade(ALICE, BOB, PERPETUAL, 40)
    scene.trade(BOB, CAROL, CALL, 20)
    maker = scene.sign_set(BOB, scene.order(BOB, [(PERPETUAL, 1)], Side.SELL, 50, 899_000), scene.order(BOB, [(PUT, 1)], Side.SELL, 10, 60_000))
    taker = scene.sign_set(ALICE, scene.order(ALICE, [(PERPETUAL, 1)], Side.BUY, 30, 901_000, flags=FLAG_IMMEDIATE_OR_CANCEL))
    made, took = scene.use(maker), scene.use(taker)
    for lots in (10, 20):
        scene.execute(made, lots)
        scene.execute(took, lots)
        scene.fill((took, 0), (made, 0), 900_000, lots)
    scene.close()
    again = scene.sign_set(BOB, scene.order(BOB, [(PERPETUAL, 1)], Side.SELL, 50, 899_500, nonce=maker.orders[0].nonce, revision=1))
    other = scene.sign_set(CAROL, scene.order(CAROL, [(PERPETUAL, 1)], Side.BUY, 15, 900_500))
    made, took = scene.use(again), scene.use(other)
    scene.execute(made, 15)
    scene.execute(took, 15)
    scene.fill((took, 0), (made, 0), 900_500, 15, (0, 5))
    scene.close()
    made, took = scene.use(again), scene.use(scene.sign_set(CAROL, scene.order(CAROL, [(PERPETUAL, 1)], Side.BUY, 5, 900_500)))
    scene.execute(made, 5)
    scene.execute(took, 5)
    scene.fill((took, 0), (made, 0), 900_000, 5)
    scene.close()
    scene.reprice(905_000)
    scene.close()
    return scene


def closed_accounts() -> Scene:
    """Accounts with positions that are paid into, cancel, change keys and collect fees without a single position row."""
    scene = crowd(ALICE, BOB)
    scene.trade(ALICE, BOB, PERPETUAL, 40)
    scene.trade(ALICE, BOB, CALL, 10)
    scene.close()
    scene.reprice(910_000)
    scene.deposit(ALICE, 5 * DOLLARS)
    scene.cancel(BOB, 1)
    scene.set_key(BOB)
    assert not scene.close().posted.witness.positions
    scene.trade(ALICE, BOB, PERPETUAL, 5)
    scene.cancel(BOB, 3)
    scene.close()
    scene.set_key(ALICE, revoke=True)
    scene.close()
    return scene


def combinations() -> Scene:
    """A call spread against outrights, in two executions; a futures basis trade between two combinations of opposite sides."""
    scene = crowd(ALICE, BOB, CAROL)
    call, put = scene.table[CALL].mark, scene.table[PUT].mark
    spread = scene.sign_set(ALICE, scene.order(ALICE, [(CALL, 2), (PUT, -1)], Side.BUY, 30, 2 * call - put))
    calls = scene.use(scene.sign_set(BOB, scene.order(BOB, [(CALL, 1)], Side.SELL, 60, call)))
    puts = scene.use(scene.sign_set(CAROL, scene.order(CAROL, [(PUT, 1)], Side.BUY, 30, put)))
    for units in (10, 20):
        bought = scene.use(spread)
        for use, count in ((bought, units), (calls, 2 * units), (puts, units)):
            scene.execute(use, count)
        scene.fill((bought, 0), (calls, 0), call, 2 * units)
        scene.fill((bought, 1), (puts, 0), put, units)
    scene.close()
    basis = [(PERPETUAL, 1), (FUTURE, -1)]
    long = scene.use(scene.sign_set(ALICE, scene.order(ALICE, basis, Side.BUY, 10, 200)))
    short = scene.use(scene.sign_set(BOB, scene.order(BOB, basis, Side.SELL, 10, -100)))
    for use in (long, short):
        scene.execute(use, 10)
    scene.fill((long, 0), (short, 0), 900_000, 10)
    scene.fill((long, 1), (short, 1), 900_000, 10)
    scene.close()
    return scene


def reduce_only() -> Scene:
    """A short position bought back in part, with the flag that only allows that."""
    scene = crowd(ALICE, BOB)
    scene.trade(ALICE, BOB, PERPETUAL, 40)
    scene.close()
    scene.trade(BOB, ALICE, PERPETUAL, 30, flags=FLAG_REDUCE_ONLY)
    scene.close()
    return scene


def settlement() -> Scene:
    """An option expires, is declared, turns into cash where accounts are opened, and leaves the table when nobody holds it."""
    scene = crowd(ALICE, BOB)
    scene.trade(ALICE, BOB, SOON, 30)
    scene.trade(ALICE, BOB, PERPETUAL, 10)
    scene.close()
    value = 12_345
    scene.reprice(960_000, 2 * HOUR_MS, settled={SOON: value})
    scene.settle(SOON, value)
    scene.trade(BOB, ALICE, PERPETUAL, 4)
    scene.close()
    scene.reprice(955_000, retired=(SOON,))
    scene.retire(SOON)
    scene.trade(ALICE, BOB, PERPETUAL, 4)
    scene.close()
    return scene


def settlement_later() -> Scene:
    """One holder is only paid into in the batch that settles, and keeps the position until it trades; many words in one batch."""
    scene = crowd(ALICE, BOB)
    scene.trade(ALICE, BOB, SOON, 30)
    scene.close()
    scene.reprice(960_000, 2 * HOUR_MS, settled={SOON: 777})
    scene.settle(SOON, 777)
    scene.deposit(ALICE, DOLLARS)
    scene.close()
    scene.withdraw(ALICE, 10 * DOLLARS)
    scene.account(BOB)
    scene.close()
    return scene


def transfers() -> Scene:
    """Between accounts of one owner, into one that is opened and one that is not; a withdrawal beside them."""
    scene = crowd(ALICE, BOB, CAROL, owners={ALICE: OWNER, BOB: OWNER, CAROL: OWNER})
    scene.trade(ALICE, BOB, PERPETUAL, 10)
    scene.close()
    scene.transfer(ALICE, BOB, 50 * DOLLARS)
    scene.transfer(CAROL, BOB, 7)
    scene.withdraw(BOB, 3 * DOLLARS)
    scene.close()
    scene.transfer(BOB, CAROL, DOLLARS)
    scene.close()
    return scene


def in_distress(spot: int) -> Scene:
    """CAROL is short of 100 perpetuals and 21 calls with $100 behind them, and the market is at `spot`; her auction has begun, nothing is sold."""
    scene = crowd(ALICE, BOB)
    scene.deposit(CAROL, 100 * DOLLARS)
    scene.set_key(CAROL)
    scene.deposit(INSURANCE_ACCOUNT, 1_000 * DOLLARS)
    scene.close()
    scene.trade(BOB, CAROL, PERPETUAL, 100)
    scene.trade(ALICE, CAROL, CALL, 21)
    scene.close()
    scene.reprice(spot)
    scene.begin(CAROL)
    scene.close()
    return scene


def worth(scene: Scene, identifier: int, fraction_bps: int = BPS) -> int:
    """Value of a fraction of an account's positions on the table in force."""
    positions = scene.account(identifier).positions.items()
    return sum(slice_of(size, fraction_bps, 0) * scene.table[item].value for item, size in positions)


def takeovers() -> Scene:
    """Half of the portfolio goes to a bidder, who is paid for it with a discount; later the rest; then the auction ends."""
    scene = in_distress(CRASH)
    scene.reprice(CRASH + 5_000, 20 * 60_000)
    payment = worth(scene, CAROL, 5_000) - 7 * DOLLARS
    scene.take_over(CAROL, ALICE, 5_000, payment, limit=payment + 5)
    scene.close()
    scene.take_over(CAROL, BOB, BPS, worth(scene, CAROL) - 7 * DOLLARS)
    scene.end(CAROL)
    scene.close()
    return scene


def fund_takeover() -> Scene:
    """The insurance fund takes a bankrupt account over with all its cash and pays what it lacks."""
    scene = in_distress(RUIN)
    scene.reprice(RUIN, 60_000)
    assert scene.account(CAROL).cash + worth(scene, CAROL) < 0
    scene.take_over(CAROL, INSURANCE_ACCOUNT, BPS, -scene.now[CAROL].cash, fund=True)
    scene.end(CAROL)
    scene.close()
    return scene


def deleverages() -> Scene:
    """A bankrupt account's short is closed against the longs at a price that leaves it nothing."""
    scene = in_distress(RUIN)
    scene.reprice(RUIN, 60_000)
    mark = scene.table[PERPETUAL].mark
    scene.deleverage(CAROL, BOB, PERPETUAL, -60, mark - 1_000)
    scene.close()
    scene.deleverage(CAROL, BOB, PERPETUAL, -40, mark)
    scene.deleverage(CAROL, ALICE, CALL, -21, scene.table[CALL].mark)
    scene.close()
    return scene


def forced_withdrawals() -> Scene:
    """Paid in full, in part to the last micro-dollar, and not at all; in part for want of settled cash."""
    scene = crowd(ALICE, BOB, CAROL, dollars=100)
    scene.trade(ALICE, BOB, PERPETUAL, 100)
    scene.trade(CAROL, ALICE, CALL, 10)
    scene.close()
    scene.force_withdraw(ALICE, 5 * DOLLARS, 5 * DOLLARS)
    room = withdrawable(scene, BOB)
    assert 0 < room < 100 * DOLLARS
    scene.force_withdraw(BOB, 100 * DOLLARS, room)
    scene.close()
    scene.force_withdraw(CAROL, 1_000 * DOLLARS, withdrawable(scene, CAROL))
    scene.close()
    scene.reprice(CRASH)
    scene.force_withdraw(BOB, 1, 0)
    scene.close()
    return scene


def withdrawable(scene: Scene, identifier: int) -> int:
    """What margin.md lets an account withdraw on the table in force."""
    account, table = scene.account(identifier), scene.table
    equity = settled = account.cash
    losses, charges = [0] * 48, 0
    for item, size in account.positions.items():
        row = table[item]
        equity += size * row.value
        settled += size * row.value if row.linear or size < 0 else 0
        losses = [loss - size * delta for loss, delta in zip(losses, row.deltas, strict=True)]
        charges += size * row.long_im if size > 0 else -size * row.short_im
    scaled = BPS * (equity - charges) - scene.state.params.k_im_bps * max(0, *losses)
    return max(0, min(scaled // BPS, settled))


def forced_closes() -> Scene:
    """An owner asks for a sale; a bidder takes it, and it ends sold; another's runs out of time; a second request changes nothing."""
    scene = crowd(ALICE, BOB, CAROL)
    scene.trade(ALICE, BOB, PERPETUAL, 30)
    scene.trade(ALICE, CAROL, PUT, 20)
    scene.close()
    scene.force_close(BOB, 5_000)
    scene.force_close(CAROL, 0)
    scene.close()
    scene.reprice(900_000, 15 * 60_000)
    scene.force_close(CAROL, 900)
    scene.take_over(BOB, ALICE, BPS, -30 * 900_000 - DOLLARS)
    scene.end(BOB)
    scene.close()
    scene.reprice(900_000, 15 * 60_000)
    scene.end(CAROL)
    scene.close()
    return scene


def margin_rules() -> Scene:
    """Rules (b) and (c): an account below IM reduces, and one below MM shrinks its risk at the mark; an auction ends by itself."""
    scene = in_distress(CRASH)
    scene.trade(CAROL, BOB, PERPETUAL, 10, scene.table[PERPETUAL].mark - 1_000)
    scene.close()
    scene.trade(CAROL, BOB, PERPETUAL, 75)
    scene.close()
    scene.reprice(900_000)
    scene.end(CAROL)
    scene.close()
    return scene


def full_batch() -> Scene:
    """A batch that uses the preset's accounts, positions, instruments, signatures, orders, legs, fills and queue up to the last row."""
    scene = crowd(*range(3, 12), owners={10: OWNER, 11: OWNER})
    for item in (PERPETUAL, CALL):
        scene.trade(10, 11, item, 20)
    scene.close()
    marks = {item: scene.table[item].mark for item in (PERPETUAL, CALL, PUT, FUTURE)}
    combination = [(PERPETUAL, 1), (CALL, 1), (PUT, 1), (FUTURE, 1)]
    bought = scene.use(scene.sign_set(3, scene.order(3, combination, Side.BUY, 10, sum(marks.values()))))
    scene.execute(bought, 10)
    sets = [scene.sign_set(4 + i, *(scene.order(4 + i, [(item, 1)], Side.SELL, 10, marks[item]) for item in combined)) for i, combined in enumerate(PAIRS)]
    for place, (item, _) in enumerate(combination):
        sold = scene.use(sets[place // 2], place % 2)
        scene.execute(sold, 10)
        scene.fill((bought, place), (sold, 0), marks[item], 10)
    takers = [scene.sign_set(account, *(scene.order(account, [(item, 1)], Side.BUY, 20, marks[item]) for item in items)) for account, items in TAKERS]
    makers = [scene.sign_set(account, *(scene.order(account, [(item, 1)], Side.SELL, 20, marks[item]) for item in items)) for account, items in MAKERS]
    for taker, maker in zip(takers, makers, strict=True):
        for index, order in enumerate(taker.orders):
            took, made = scene.use(taker, index), scene.use(maker, index)
            for lots in (7, 13):
                scene.execute(took, lots)
                scene.execute(made, lots)
                scene.fill((took, 0), (made, 0), order.limit_ticks, lots)
    for identifier in (INSURANCE_ACCOUNT, 3, 4, 5, 6, 11):
        scene.deposit(identifier, DOLLARS)
    scene.withdraw(10, DOLLARS)
    scene.transfer(11, 10, DOLLARS)
    scene.close()
    return scene


PAIRS = ((PERPETUAL, CALL), (PUT, FUTURE))
TAKERS = ((6, (PERPETUAL,)), (8, (CALL, PUT)))
MAKERS = ((7, (PERPETUAL,)), (9, (CALL, PUT)))

STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        full_batch, trades, closed_accounts, combinations, reduce_only, settlement, settlement_later, transfers, takeovers, fund_takeover, deleverages,
        forced_withdrawals, forced_closes, margin_rules,
    )
}  # fmt: skip


def told() -> list[ClosedBatch]:
    """All batches of all stories."""
    return [batch for story in STORIES.values() for batch in story().closed]
