"""The traders of the recorded night and what each of them does in a round: quote, take, hedge, bid. Their choices are pure functions of `straddle.bots`."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from straddle.bots.hedger import HedgeProfile, book_delta, hedge_order
from straddle.bots.market_maker import MakerProfile, QuoteTerms, VolBook, mass_quote, quote_structures, vol_book
from straddle.bots.structures import Structure, structures
from straddle.bots.taker import BestQuotes, TakerProfile, take, take_structure
from straddle.core.capacity import signature_rows
from straddle.core.events import TakenOver
from straddle.core.instruments import Instrument, Kind
from straddle.core.liquidation import WHOLE_BPS, slice_of
from straddle.core.margin import requirement
from straddle.core.orders import MAX_ORDERS_PER_SET, Leg, Order, Side
from straddle.core.params import BPS
from straddle.core.protection import ProtectionLimits
from straddle.core.rejections import Rejection
from straddle.node.session import MarketSession
from straddle.node.traders import Trader
from straddle.risk.listing import Listed
from straddle.risk.parameters import RiskParameters

WIDTH_VOL_BPS = 150
"""Makers stand back from the recorded vols by this on what is mainly another's."""
HOT = 6
"""Outrights that takers look at in a round, besides the perpetual: few, so that many trades share a maker's quote and its row."""
STRUCTURE_EXPIRIES = 3
STRUCTURE_PART = 4
"""One in so many orders of takers is on a combination."""
ORDERS_A_SET = 3
"""Outrights that a taker signs at once."""
SPARE_PARTS = 16
"""A round ends when less than one in so many rows of some table of the batch is left."""
STALE_TURNS = 4
"""Takers give up after so many turns of all of them without a match."""
BID_DISCOUNT_BPS = 500
"""What makers want off the value of a portfolio for sale: this part of the maintenance margin that it needs."""
BID_LIFETIME_MS = 60_000
PROTECTED_FILLS = 72
"""A batch of so many fills, or fewer, has the protection below; a larger one has as many times more."""
PROTECTION = ProtectionLimits(interval_ms=60_000, frozen_ms=1_000, quantity_lots=50_000, delta_micros=700 * 10**6)
"""A maker's, set anew for each round: 5 BTC fill against it at most, and no more delta than about 1 BTC of the recording. A few rounds of a night trip it."""


@dataclass(slots=True)
class Maker:
    """A market maker: what it quotes tightly (its own) and from further away, whether it rests combinations, whether it hedges."""

    trader: Trader
    profile: MakerProfile
    own: tuple[int, ...]
    shared: tuple[int, ...]
    rests_structures: bool = False
    hedge: HedgeProfile | None = None
    hedged: int = 0
    """Matches of its own hedges so far."""


@dataclass(slots=True)
class Taker:
    """A seeded taker; a thin one puts all of its money into one straddle and then waits."""

    trader: Trader
    profile: TakerProfile
    thin: bool = False


@dataclass(slots=True)
class Crowd:
    """Everybody who trades."""

    session: MarketSession
    listed: Listed
    makers: Sequence[Maker]
    takers: Sequence[Taker]
    parameters: RiskParameters
    seed: int
    quotes: int = 0
    """Quotes of makers that were sent."""
    orders: int = 0
    """Orders of takers and hedges that were sent."""
    hedge_matches: list[int] = field(default_factory=list)
    """Places in `session.matches` of the hedges."""
    takeovers: list[TakenOver] = field(default_factory=list)
    _books: dict[int, VolBook] = field(default_factory=dict)
    _drawn: dict[int, int] = field(default_factory=dict)
    """Instrument -> rounds in which takers looked at it."""
    _turns: int = 0
    _protections: int = 0
    """Times that makers have set their protection."""

    def __post_init__(self) -> None:
        self._books = {number: vol_book(record, self.parameters) for number, (_, record) in self.listed.items() if record is not None}

    @property
    def perpetual(self) -> Instrument:
        """The instrument that hedges."""
        return next(instrument for instrument in self.session.instruments.values() if instrument.kind is Kind.PERPETUAL)

    # ---- makers

    def protect(self) -> None:
        """Every maker sets its protection anew: unused, and not frozen."""
        self._protections += 1
        parts = max(self.session.exchange.capacity.fills, PROTECTED_FILLS)
        limits = replace(
            PROTECTION, quantity_lots=PROTECTION.quantity_lots * parts // PROTECTED_FILLS, delta_micros=PROTECTION.delta_micros * parts // PROTECTED_FILLS
        )
        for maker in self.makers:
            self.session.submit(maker.trader.sign_protection(self._protections, limits))

    def quote(self, first: Sequence[int] = ()) -> None:
        """Every maker's mass quote on the table in force, `first` instruments at the front: few order sets then hold what takers meet."""
        session = self.session
        for maker in self.makers:
            for numbers, width in ((maker.own, maker.profile.width_vol_bps), (maker.shared, maker.profile.width_vol_bps + WIDTH_VOL_BPS)):
                ordered = sorted((number for number in numbers if number in session.instruments), key=lambda number: (number not in first, number))
                instruments = [session.instruments[number] for number in ordered]
                terms = QuoteTerms(maker.trader.next_nonce, session.order_expiry_ms, session.fee_cap)
                profile = replace(maker.profile, width_vol_bps=width)
                for orders in mass_quote(profile, instruments, self._books, session.maturities, session.table, terms):
                    self._send_quotes(maker, orders)
            if maker.rests_structures:
                self._rest_structures(maker)

    def _rest_structures(self, maker: Maker) -> None:
        """Every other structure, inside what the legs' books imply."""
        session = self.session
        terms = QuoteTerms(maker.trader.next_nonce, session.order_expiry_ms, session.fee_cap)
        wanted = [structure.legs for structure in self.structures()[::2]]
        books = {leg.instrument: session.best((Leg(leg.instrument, 1),)) for legs in wanted for leg in legs}
        orders = quote_structures(maker.profile, wanted, books, session.instruments, terms)
        for start in range(0, len(orders), MAX_ORDERS_PER_SET):
            self._send_quotes(maker, orders[start : start + MAX_ORDERS_PER_SET])

    def _send_quotes(self, maker: Maker, orders: Sequence[Order]) -> None:
        self.quotes += len(orders)
        self.session.submit(maker.trader.sign_orders(orders))

    def hedge(self) -> None:
        """Makers that hedge take their delta away with the perpetual."""
        session = self.session
        for maker in self.makers:
            if maker.hedge is None:
                continue
            positions = session.exchange.positions_of(maker.trader.account)
            delta = book_delta(positions, session.instruments, session.maturities, session.vols)
            order = hedge_order(
                maker.hedge,
                delta,
                self.perpetual,
                session.best((Leg(self.perpetual.id, 1),)),
                nonce=maker.trader.next_nonce,
                expiry_ms=session.order_expiry_ms,
                fee_cap=session.fee_cap,
            )
            if order is not None:
                before = len(session.matches)
                self._send(maker.trader, [order])
                self.hedge_matches += range(before, len(session.matches))

    def bid(self, target: int) -> bool:
        """Makers bid in turn for the whole of a portfolio that is for sale; whether one of them got it."""
        exchange, table = self.session.exchange, self.session.table
        lots = slice_of(exchange.positions_of(target), table, WHOLE_BPS)
        value = sum(size * table[instrument].value for instrument, size in lots.items())
        freed = requirement(0, lots, table, exchange.params).mm_scaled // BPS
        for maker in self.makers:
            answer = self.session.attempt(maker.trader.sign_bid(target, WHOLE_BPS, value - freed * BID_DISCOUNT_BPS // BPS, table.time_ms + BID_LIFETIME_MS))
            if not isinstance(answer, Rejection):
                self.takeovers += [event for event in answer if isinstance(event, TakenOver)]
                return True
        return False

    # ---- takers

    def structures(self) -> tuple[Structure, ...]:
        """Combinations near the money of the nearest expiries that have not come."""
        session, instruments = self.session, list(self.session.instruments.values())
        expiries = [expiry for expiry, maturity in session.maturities.items() if not maturity.expired][:STRUCTURE_EXPIRIES]
        return tuple(found for expiry in expiries for found in structures(instruments, expiry, session.maturities[expiry].forward_ticks))

    def hot(self, turn: int) -> tuple[int, ...]:
        """What takers look at in a round: the perpetual, and instruments near the money for their time, drawn from those that were looked at least."""
        session = self.session

        def distance(instrument: Instrument) -> float:
            if instrument.linear:
                return 0.0
            maturity = session.maturities[instrument.expiry_ms]
            return abs(math.log(instrument.strike_ticks / maturity.forward_ticks)) / math.sqrt(max(maturity.minutes, 1))

        alive = [instrument for instrument in session.instruments.values() if instrument.expiry_ms > session.table.time_ms]
        dated = sorted(
            (instrument for instrument in alive if instrument.kind is not Kind.PERPETUAL), key=lambda instrument: (distance(instrument), instrument.id)
        )
        near = dated[: max(HOT, session.exchange.capacity.positions // 5)]
        random.Random(f"straddle.hot/{self.seed}/{turn}").shuffle(near)
        drawn = sorted(near, key=lambda instrument: self._drawn.get(instrument.id, 0))[:HOT]
        for instrument in drawn:
            self._drawn[instrument.id] = self._drawn.get(instrument.id, 0) + 1
        return (self.perpetual.id, *sorted(instrument.id for instrument in drawn))

    def trade(self, hot: Sequence[int], takers: Sequence[Taker]) -> None:
        """The takers in turn, until the batch is nearly full, or was cut, or nobody finds anything for some time."""
        stale, batch = 0, self.session.exchange.open_batch.number
        while takers and stale < STALE_TURNS and not self._is_over(batch):
            before = len(self.session.matches)
            for taker in takers:
                if not self._is_over(batch):
                    self._turn(taker, hot)
            stale = 0 if len(self.session.matches) > before else stale + 1

    def _is_over(self, batch: int) -> bool:
        return self.session.exchange.open_batch.number != batch or self.is_full()

    def is_full(self) -> bool:
        """Whether some table of the open batch has few rows left."""
        exchange = self.session.exchange
        batch, usage, capacity = exchange.open_batch, exchange.usage, exchange.capacity
        used = {
            "orders": len(batch.order_uses),
            "legs": usage.leg_rows,
            "fills": len(batch.fills),
            "signatures": signature_rows(batch, usage),
            "positions": usage.position_rows,
        }
        return any(count > (rows := getattr(capacity, table)) - max(2, rows // SPARE_PARTS) for table, count in used.items())

    def _turn(self, taker: Taker, hot: Sequence[int]) -> None:
        self._turns += 1
        draw = random.Random(f"straddle.crowd/{self.seed}/{taker.trader.name}/{self._turns}")
        choices = self.structures()
        if choices and draw.randrange(STRUCTURE_PART) == 0:
            self.take_structure(taker, draw.choice(choices), draw.choice((Side.BUY, Side.SELL)))
        else:
            self._take_outright(taker, hot)

    def take_structure(self, taker: Taker, structure: Structure, side: Side) -> bool:
        """A taker's order on a combination; whether there was one to send."""
        session = self.session
        books = {leg.instrument: session.best((Leg(leg.instrument, 1),)) for leg in structure.legs}
        order = take_structure(
            taker.profile,
            structure,
            side,
            session.instruments,
            books,
            session.best(structure.legs),
            session.table,
            session.free_margin(taker.trader.account),
            nonce=taker.trader.next_nonce,
            expiry_ms=session.order_expiry_ms,
            fee_cap=session.fee_cap,
            k_im_bps=session.exchange.params.k_im_bps,
        )
        if order is not None:
            self._send(taker.trader, [order])
        return order is not None

    def _take_outright(self, taker: Taker, hot: Sequence[int]) -> None:
        session, account = self.session, taker.trader.account
        books: dict[int, BestQuotes] = {number: session.best((Leg(number, 1),)) for number in hot}
        orders = take(
            taker.profile,
            [session.instruments[number] for number in hot],
            books,
            session.table,
            session.free_margin(account),
            session.exchange.positions_of(account),
            count=ORDERS_A_SET,
            first_nonce=taker.trader.next_nonce,
            expiry_ms=session.order_expiry_ms,
            fee_cap=session.fee_cap,
            k_im_bps=session.exchange.params.k_im_bps,
            seed=f"{self.seed}/{taker.trader.name}/{self._turns}",
        )
        if orders:
            self._send(taker.trader, orders)

    def _send(self, trader: Trader, orders: Sequence[Order]) -> None:
        self.orders += len(orders)
        self.session.submit(trader.sign_orders(orders))


def allot(options: Sequence[int], linear: Sequence[int], makers: int, quota: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(own, shared) instruments of each maker. Options, nearest the money first, go round: each is one maker's own; the first ones, as far as the `quota` of
    instruments an account goes, are quoted by the others too, from further away. What is linear is everybody's own."""
    own = [list(linear) + list(options[i::makers])[: max(0, quota - len(linear))] for i in range(makers)]
    found = []
    for mine in own:
        others = [number for number in options if number not in mine][: max(0, quota - len(mine))]
        found.append((tuple(mine), tuple(others)))
    return found
