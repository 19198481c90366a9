"""Random batches told by hand with no regard for the rules, but consistent: margin, auctions and forced payments decide, just within or just beyond."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from straddle.commitments.committed import LedgerError
from straddle.commitments.layout import DataError
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.orders import FLAG_REDUCE_ONLY
from straddle.core.params import BPS
from straddle.proving.witness import Witness, WitnessError
from tests.differential.scenes import CALL, DOLLARS, FUTURE, PARAMS, PERPETUAL, PUT, Scene, crowd
from tests.differential.stories import withdrawable, worth

ACCOUNTS = (3, 4, 5, 6)
ITEMS = (PERPETUAL, CALL, PUT, FUTURE)
OWNERS = dict.fromkeys(ACCOUNTS, 0xA11CE)


def random_tale(rng: random.Random) -> Witness:
    """The last batch of a random tale. The batches before it may break any rule: the statement only sees one."""
    while True:
        try:
            return _Tale(rng, crowd(*ACCOUNTS, dollars=rng.choice([30, 60, 120]), owners=OWNERS)).witness()
        except (LedgerError, DataError, WitnessError, KeyError):
            continue  # it does not fit the preset, or an account has no key: told in vain


@dataclass(slots=True)
class _Tale:
    rng: random.Random
    scene: Scene

    def witness(self) -> Witness:
        rng, scene = self.rng, self.scene
        scene.deposit(INSURANCE_ACCOUNT, rng.choice([1, 50, 1_000]) * DOLLARS)
        for _ in range(rng.randint(1, 4)):
            self.trade()
        scene.close()
        scene.reprice(rng.choice([900_000, rng.randint(400_000, 2_400_000)]))
        for account in rng.sample(ACCOUNTS, rng.randint(0, 2)):
            rng.choice([lambda a=account: scene.begin(a), lambda a=account: scene.force_close(a, rng.choice([0, 300, 2_500, BPS]))])()  # type: ignore[misc]
        scene.close()
        spot = scene.table.index_ticks
        scene.reprice(rng.choice([spot, spot * rng.randint(70, 140) // 100]), rng.choice([0, 60_000, 900_000, PARAMS.auction_ms - 1, PARAMS.auction_ms]))
        acts: list[Callable[[], None]] = [self.trade, self.take_over, self.take_over, self.fund, self.deleverage, self.force, self.force, self.auction,
                                          self.auction, self.pay]  # fmt: skip
        for act in rng.sample(acts, rng.choice([1, 1, 2])):
            act()
        return scene.close().posted.witness

    def pair(self) -> tuple[int, int]:
        first, second = self.rng.sample(ACCOUNTS, 2)
        return first, second

    def trade(self) -> None:
        buyer, seller = self.pair()
        item = self.rng.choice(ITEMS)
        row = self.scene.table[item]
        price = row.mark + self.rng.choice([0, 0, row.band, -row.band, self.rng.randint(-row.band, row.band)])
        self.scene.trade(buyer, seller, item, self.rng.randint(1, 100), price, self.rng.choice([0, 0, FLAG_REDUCE_ONLY]))

    def take_over(self) -> None:
        account, winner = self.pair()
        fraction = self.rng.choice([1, 2_500, 5_000, BPS, self.rng.randint(1, BPS)])
        payment = worth(self.scene, account, fraction) - self.rng.choice([0, 1, -1, 10**5, 10**6, 5 * 10**6])
        self.scene.take_over(account, winner, fraction, payment, payment + self.rng.choice([-1, 0, 0, 1]))

    def fund(self) -> None:
        """For nothing, for what it lacks, or for one micro-dollar more."""
        account = self.rng.choice(ACCOUNTS)
        cash, value = self.scene.account(account).cash, worth(self.scene, account)
        payment = self.rng.choice([value, -cash, -cash + self.rng.choice([-1, 1]), value - 10**6])
        self.scene.take_over(account, INSURANCE_ACCOUNT, BPS, payment, fund=True)

    def deleverage(self) -> None:
        account, winner = self.pair()
        held = self.scene.account(account).positions
        item = self.rng.choice([*held] or [*ITEMS])
        size, row = held.get(item, 5), self.scene.table[item]
        lots = self.rng.choice([size, size // 2, 1 if size > 0 else -1])
        self.scene.deleverage(account, winner, item, lots, row.mark + self.rng.choice([0, 0, row.band, -row.band, row.band + 1]))

    def force(self) -> None:
        account = self.rng.choice(ACCOUNTS)
        room = withdrawable(self.scene, account)
        paid = max(0, room + self.rng.choice([0, 0, 0, 1, -1, -room]))
        self.scene.force_withdraw(account, self.rng.choice([paid, paid + 1, 10**12]), paid)

    def auction(self) -> None:
        account, time_ms = self.rng.choice(ACCOUNTS), self.scene.table.time_ms
        kind = self.rng.choice(["begin", "end", "end", "close"])
        if kind == "begin":
            self.scene.begin(account)
        elif kind == "end":
            self.scene.end(account)
        else:
            self.scene.force_close(account, self.rng.choice([0, 700]))
            if self.rng.random() < 0.2:
                known = self.scene.now[account].auction
                self.scene.now[account].auction = known._replace(start_ms=time_ms) if known else None

    def pay(self) -> None:
        account, other = self.pair()
        amount = max(1, withdrawable(self.scene, account) + self.rng.choice([0, 0, 1, -1]))
        if self.rng.random() < 0.5:
            self.scene.withdraw(account, amount)
        else:
            self.scene.transfer(account, other, amount)
