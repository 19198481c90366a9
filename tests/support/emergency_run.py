"""Random runs of an exchange in trouble: prices crash, accounts fall, auctions, fund and deleveraging follow; audited after every command and batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT
from straddle.core.commands import (
    Command,
    InternalDeleverage,
    InternalDeliver,
    InternalEpoch,
    InternalLiquidate,
    InternalList,
    InternalSettle,
    L2Trade,
)
from straddle.core.events import CancelReason, Deleveraged, Event, OrderCancelled, TakenOver, Transferred
from straddle.core.instruments import BTC, Instrument, Kind, Settlement
from straddle.core.params import TICKS_MAX
from straddle.core.rejections import Rejection, RejectionCode
from straddle.core.risk_table import SCENARIOS, RiskRow, RiskTable
from straddle.core.upkeep import to_deleverage, to_deliver, to_liquidate, to_retire
from support.audit import audit_derived
from support.audit_accounts import BatchAudit, audit_conservation, vault_flows
from support.emergencies import bid, force_close, force_withdraw, next_table, transfer
from support.market import BUY, DOLLARS, HOUR_MS, INSTRUMENTS, NANO, OPERATOR, SELL, TIME_MS, Market, picture

ACCOUNTS = (3, 4, 5, 6)
OWNER = 0x1003
"""Of accounts 3 and 6."""
FUTURE = Instrument(4, Kind.FUTURE, BTC, TIME_MS + 20 * HOUR_MS, 0, 50, 10, 10_000_000)
CAPACITY = replace(NANO, accounts=9, positions=24, instruments=7, fills=16, orders=16, legs=24, listings=7)
Step = tuple[str, int, int]
"""Kind, and two numbers that each kind reads in its way."""


class EmergencyRun:
    """One exchange, its vault, and what it has seen."""

    def __init__(self) -> None:
        self.market = Market(CAPACITY, slot_depth=6)
        self.exchange = self.market.exchange
        self.deposited = self.paid_out = 0
        self.index = 0
        """Ticks by which the underlying has moved."""
        self.seen: Counter[str] = Counter()
        self.do(InternalList((FUTURE,)))
        self.do(InternalEpoch(next_table(self.market)))
        for account, dollars in zip(ACCOUNTS, (700, 900, 20_000, 300), strict=True):
            owner = OWNER if account == 6 else 0x1000 + account
            self.do(self.market.deposit(account, dollars, owner=owner))
            self.do(replace(self.market.set_key(account), owner=owner))
        self.do(self.market.deposit(INSURANCE_ACCOUNT, 300, owner=OPERATOR))
        self.cut()

    def cut(self) -> None:
        """Closes the batch and audits its record."""
        if not self.exchange.trading_open:
            self.do(InternalEpoch(self.table(0, 0)))
        batch = self.market.cut()
        BatchAudit(batch, self.exchange.params).run()
        deposited, paid_out = vault_flows(batch)
        self.deposited, self.paid_out = self.deposited + deposited, self.paid_out + paid_out
        audit_conservation(self.exchange, self.deposited, self.paid_out)

    def do(self, command: Command) -> Rejection | None:
        """Runs a command, cutting the batch when asked to; a refusal changes nothing, an acceptance only those whom it names."""
        before, holdings = picture(self.exchange), self.holdings()
        outcome = self.market.do(command)
        if outcome.rejection is not None and outcome.rejection.code is RejectionCode.BATCH_BOUNDARY:
            assert picture(self.exchange) == before
            self.cut()
            before, holdings = picture(self.exchange), self.holdings()
            outcome = self.market.do(command)
            assert outcome.rejection is None or outcome.rejection.code is not RejectionCode.BATCH_BOUNDARY, outcome.rejection
        if outcome.rejection is not None:
            assert picture(self.exchange) == before
            self.seen[f"{type(command).__name__} {outcome.rejection.code}"] += 1
            return outcome.rejection
        self.seen[type(command).__name__] += 1
        self._audit(command, outcome.events, holdings)
        return None

    def holdings(self) -> dict[int, tuple[int, dict[int, int]]]:
        """Cash and positions of everybody."""
        return {id_: (account.cash, dict(account.positions)) for id_, account in self.exchange.accounts.items()}

    def _audit(self, command: Command, events: tuple[Event, ...], before: dict[int, tuple[int, dict[int, int]]]) -> None:
        if not self.exchange.trading_open:
            return
        audit_derived(self.exchange)
        if isinstance(command, L2Trade):
            return
        named = set(command.accounts) if isinstance(command, InternalDeliver) else {getattr(command, "account", None)}
        for event in events:
            if isinstance(event, TakenOver | Deleveraged):
                named |= {event.account, event.winner}
                self.seen[f"taken by {'fund' if event.winner == INSURANCE_ACCOUNT else 'bid'}" if isinstance(event, TakenOver) else "deleveraged"] += 1
            elif isinstance(event, Transferred):
                named.add(event.to)
            elif isinstance(event, OrderCancelled) and event.reason is CancelReason.LIQUIDATION:
                self.seen["cancelled orders of a liquidated account"] += 1
        for id_, held in self.holdings().items():
            assert id_ in named or held == before.get(id_, (0, {})), (command, id_)

    def table(self, later_ms: int, wild: int) -> RiskTable:
        """Rows that follow the index; `wild` > 0 seeds arbitrary, even absurd, ones."""
        plain, rng, rows = next_table(self.market, later_ms), Random(wild), []
        for row in plain.rows:
            instrument = self.exchange.instruments[row.instrument]
            if not row.settled:
                slope = {Kind.CALL: 50, Kind.PUT: -40}.get(instrument.kind, 100)
                row = replace(
                    row, value=max(0 if not row.linear else -TICKS_MAX // 4, row.value + self.index * slope // 100), band=row.band + abs(self.index) // 8
                )
            rows.append(wild_row(rng, row) if wild and not row.settled else row)
        return replace(plain, rows=tuple(rows))

    def step(self, kind: str, first: int, second: int) -> None:
        """One random step."""
        account, other = ACCOUNTS[first % 4], ACCOUNTS[(first + 1 + second % 3) % 4]
        if kind == "trade":
            self._trade(account, other, second)
        elif kind == "epoch":
            self._epoch(first, second)
        elif kind == "cut":
            self.cut()
        elif kind == "settle":
            self._settle()
        elif kind == "sweep":
            self._sweep()
        elif kind == "crash":
            self._epoch((5, 6, 7, 8)[first % 4], 0)
            self._sweep()
            self._epoch(first % 3, 1 + second % 2)
            self.do(self._command("bid", account, other, first, second))
        else:
            self.do(self._command(kind, account, other, first, second))

    def _command(self, kind: str, account: int, other: int, first: int, second: int) -> Command:
        market, anybody = self.market, (FEE_ACCOUNT, INSURANCE_ACCOUNT, *ACCOUNTS)[first % 6]
        if kind == "liquidate":
            return InternalLiquidate(anybody)
        if kind == "deleverage":
            return InternalDeleverage(anybody)
        if kind == "bid":
            sold = [id_ for id_, known in self.exchange.accounts.items() if known.auction is not None] or [INSURANCE_ACCOUNT, *ACCOUNTS]
            return bid(market, ACCOUNTS[2] if second % 7 else other, sold[first % len(sold)], (1, 777, 5_000, 9_999, 10_000)[second % 5])
        if kind == "deposit":
            return replace(market.deposit(anybody, 1 + second % 300), owner=self.exchange.accounts[anybody].owner)
        if kind == "withdraw":
            return market.withdraw(account, (1 + second % 50) * DOLLARS)
        if kind == "force_withdraw":
            return force_withdraw(market, anybody, (1, 1 << 40)[second % 2] * DOLLARS)
        if kind == "force_close":
            return force_close(market, anybody, (0, 500, 10_000)[second % 3])
        assert kind == "transfer"
        return transfer(market, *((3, 6) if first % 2 else (6, 3)), (1 + second % 100) * DOLLARS)

    def _trade(self, account: int, other: int, second: int) -> None:
        """Two orders that cross at the mark, and sometimes one that rests."""
        rows = [row for row in self.exchange.context.table if row.expiry_ms > self.exchange.context.table.time_ms]
        row = rows[second % len(rows)]
        price, lots, expiry_ms = row.mark - row.mark % 50, 10 * (1, 40, 400, 900)[second // 7 % 4], self.exchange.context.table.time_ms + HOUR_MS
        for trader, side, size in ((account, SELL, lots), (other, BUY, lots), (other, BUY, 10)):
            if price > 0:
                order = self.market.order(trader, row.instrument, side, price, size, expiry_ms=expiry_ms, fee_cap=50_000, flags=8 * (second % 11 == 0))
                self.do(self.market.trade(trader, order))

    def _epoch(self, first: int, second: int) -> None:
        """Mostly small moves, now and then a crash; sometimes a wild table."""
        moves = (0, 300, -300, 2_000, -2_000, 30_000, -30_000, 150_000, -150_000, 600_000)
        self.index = max(-600_000, min(1_000_000, self.index + moves[first % len(moves)]))
        later_ms = (1, 60_000, 10 * 60_000, 31 * 60_000, 8 * HOUR_MS)[second % 5]
        assert self.do(InternalEpoch(self.table(later_ms, second if second % 13 == 0 else 0))) is None

    def _sweep(self) -> None:
        for id_ in sorted(self.exchange.accounts):
            self.do(InternalLiquidate(id_))

    def _settle(self) -> None:
        """Declares what has expired, delivers what is settled, retires what nobody holds, lists anew."""
        exchange = self.exchange
        expired = [i for i, listed in exchange.instruments.items() if listed.expiry_ms <= exchange.context.table.time_ms and i not in exchange.settlements]
        free = to_retire(exchange)
        if expired or free:
            words = InternalSettle(tuple(Settlement(i, BTC, max(0, 20_000 + self.index // 2)) for i in expired), free)
            assert self.do(words) is None
            assert self.do(InternalEpoch(self.table(0, 0))) is None
        while holders := to_deliver(exchange):
            assert self.do(InternalDeliver(holders)) is None
        id_, time_ms = exchange.listing_count + 1, exchange.context.table.time_ms
        if expired and self.do(InternalList((replace(INSTRUMENTS[id_ % 2], id=id_, expiry_ms=time_ms + 20 * HOUR_MS),))) is None:
            assert self.do(InternalEpoch(self.table(0, 0))) is None

    def resolve(self) -> None:
        """Goes on until no step of a liquidation is left: in the end nobody is bankrupt with a position that a covered account could be closed against."""
        for _ in range(12):
            self.do(InternalEpoch(self.table(31 * 60_000, 0)))
            self._settle()
            steps = [self.do(InternalLiquidate(id_)) is None for id_ in to_liquidate(self.exchange)]
            steps += [self.do(InternalDeleverage(id_)) is None for id_ in to_deleverage(self.exchange)]
            if not any(steps):
                break
        for id_ in sorted(self.exchange.accounts):
            valued, auction = self.exchange.requirement_of(id_), self.exchange.accounts[id_].auction
            assert (auction is None) <= (10_000 * valued.equity >= valued.mm_scaled)
            if valued.equity < 0:
                refused = self.do(InternalDeleverage(id_))
                assert refused is not None and refused.code is RejectionCode.NO_COUNTERPARTY, refused
                assert not any(self._covered_against(id_, instrument) for instrument in self.exchange.positions_of(id_))
        self.cut()

    def _covered_against(self, account: int, instrument: int) -> bool:
        """Whether a covered account holds the other side."""
        size = self.exchange.positions_of(account)[instrument]
        holders = [id_ for id_ in self.exchange.accounts if size * self.exchange.positions_of(id_).get(instrument, 0) < 0]
        return any(self.exchange.requirement_of(id_).surplus_scaled >= 0 for id_ in holders)

    def replay(self) -> None:
        """The same commands on a fresh exchange give the same state and the same batches."""
        fresh = Market(CAPACITY, slot_depth=6, open_=False).exchange
        self.market.assert_replays_on(fresh)


def wild_row(rng: Random, row: RiskRow) -> RiskRow:
    """Any row that may be accepted: zero charges, absurd ones, surfaces of every shape."""
    scale = rng.choice([0, 1, 1_000, 10**6, 10**9, TICKS_MAX])
    deltas = tuple(rng.choice([0, -scale, scale, rng.randint(-scale, scale)]) for _ in range(SCENARIOS))
    charges = {name: rng.choice([0, 1, 1_000, 10**6, TICKS_MAX // 2]) for name in ("long_im", "long_mm", "short_im", "short_mm", "band")}
    return replace(row, deltas=deltas, value=rng.choice([row.value, 0, row.value * 3]), **charges)


WEIGHTS = {
    "trade": 24, "epoch": 12, "sweep": 6, "crash": 8, "liquidate": 4, "deleverage": 8, "bid": 12, "deposit": 3, "withdraw": 3, "force_withdraw": 3,
    "force_close": 1, "transfer": 2, "settle": 3, "cut": 3,
}  # fmt: skip


def seeded_run(seed: int, steps: int) -> EmergencyRun:
    """A run that follows from its seed, resolved at its end."""
    rng, run = Random(seed), EmergencyRun()
    for _ in range(steps):
        (kind,) = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        run.step(kind, rng.randrange(1 << 16), rng.randrange(1 << 16))
    run.resolve()
    return run
