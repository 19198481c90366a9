"""LayerOneOptions, the baseline of the comparison: its margin is the rule's, its money is conserved, and it refuses what it must."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.odd_token import ANSWERS_FALSE

from straddle.l1.contracts import load
from straddle.research.layer_one import Order, TableRow, baseline_contract

ORACLE, FEES_TO = ("0x" + f"{n:040x}" for n in (0x04AC, 0xFEE5))
KEYS = [keccak(b"trader %d" % i) for i in range(4)]
PEOPLE = [PrivateKey(key).public_key.to_checksum_address() for key in KEYS]
FEE_PER_LOT, K_IM_BPS, MAX_AGE_S = 300, 12_345, 900
ENDLESS_S = 2**40 - 1
MONEY = 10**12
VARIANTS = [(16, False), (16, True), (48, False), (48, True)]


def fails(reason: str):
    return pytest.raises(Exception, match=f"^LayerOneOptions: {reason}$")


@dataclass
class Market:
    """The contract on a chain, with a plain model of accounts and tables beside it."""

    chain: object
    scenarios: int = 16
    tables_in_code: bool = False
    rows: dict[int, TableRow] = field(default_factory=dict)
    cash: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PEOPLE, 0))
    held: dict[str, dict[int, int]] = field(default_factory=lambda: {who: {} for who in PEOPLE})
    fees: int = 0
    nonce: int = 0

    def __post_init__(self) -> None:
        for who in (*PEOPLE, ORACLE):
            self.chain.fund(who)
        self.token = self.chain.deploy(load("TestUSDC"))
        arguments = (self.token.address, ORACLE, FEES_TO, FEE_PER_LOT, K_IM_BPS, MAX_AGE_S, self.scenarios // 8, self.tables_in_code)
        self.contract = self.chain.deploy(baseline_contract("LayerOneOptions"), *arguments)
        for who in PEOPLE:
            self.chain.send(who, self.token, "mint", who, 100 * MONEY)
            self.chain.send(who, self.token, "approve", self.contract.address, 100 * MONEY)

    def send(self, who: str, function: str, *args):
        return self.chain.send(who, self.contract, function, *args)

    def read(self, function: str, *args):
        return self.chain.call(self.contract, function, *args)

    def row(self, value: int = 5_000_000, *, slope: int = 1_000_000, **changes) -> TableRow:
        deltas = tuple(slope * (i - self.scenarios // 2) for i in range(self.scenarios))
        return replace(TableRow(value, 0, 100_000, 200_000, False, False, self.chain.time_s, deltas), **changes)

    def post(self, *rows: TableRow) -> None:
        self.send(ORACLE, "post", 0, b"".join(row.encode() for row in rows))
        self.rows = {**self.rows, **dict(enumerate(rows))}

    def deposit(self, who: str, amount: int) -> None:
        self.send(who, "deposit", amount)
        self.cash[who] += amount

    def order(self, instrument: int = 0, is_buy: bool = True, lots: int = 100, price: int = 5_000_000, **changes) -> Order:
        self.nonce += 1
        return replace(Order(instrument, is_buy, lots, price, self.nonce, ENDLESS_S), **changes)

    def fill(self, order: Order, lots: int | None = None, *, maker: int = 0, taker: int = 1, signature=None):
        chosen = signature or order.sign(KEYS[maker], self.chain.chain_id, self.contract.address)
        lots = order.lots if lots is None else lots
        receipt = self.send(PEOPLE[taker], "fill", order.fields, *chosen, lots)
        size = lots if order.is_buy else -lots
        for who, change in ((PEOPLE[maker], size), (PEOPLE[taker], -size)):
            self.cash[who] -= change * (order.price - self.rows[order.instrument].funding)
            self._add(who, order.instrument, change)
        self.cash[PEOPLE[taker]] -= lots * FEE_PER_LOT
        self.fees += lots * FEE_PER_LOT
        return receipt

    def deliver(self, who: str, instrument: int) -> None:
        self.send(PEOPLE[3], "deliver", who, instrument)
        size = self.held[who][instrument]
        self.cash[who] += size * self.rows[instrument].value
        self._add(who, instrument, -size)

    def _add(self, who: str, instrument: int, change: int) -> None:
        held = self.held[who]
        held[instrument] = held.get(instrument, 0) + change
        if held[instrument] == 0:
            del held[instrument]

    def margin(self, who: str) -> tuple[int, int, int]:
        """Equity, requirement and settled cash by the rule, from the model."""
        equity = settled = self.cash[who]
        losses, charge = [0] * self.scenarios, 0
        for instrument, size in self.held[who].items():
            row = self.rows[instrument]
            equity += size * row.value
            settled += size * row.value if row.linear or size < 0 else 0
            if not row.settled:
                charge += size * row.long_im if size > 0 else -size * row.short_im
                losses = [loss - size * delta for loss, delta in zip(losses, row.deltas, strict=True)]
        return equity, charge + -(-K_IM_BPS * max(0, *losses) // 10_000), settled

    def check(self) -> None:
        """Accounts are the model's, and the money is all there."""
        for who in PEOPLE:
            cash, instruments, sizes = self.read("account", who)
            assert (cash, dict(zip(instruments, sizes, strict=True))) == (self.cash[who], self.held[who])
        undelivered = sum(size * self.rows[i].value for held in self.held.values() for i, size in held.items() if self.rows[i].settled)
        assert sum(self.read("fees", who) for who in PEOPLE) == self.fees
        assert self.chain.call(self.token, "balanceOf", self.contract.address) == sum(self.cash.values()) + self.fees + undelivered


@pytest.fixture
def market(chain) -> Market:
    made = Market(chain)
    made.post(made.row(), made.row(7_000_000, linear=True))
    for who in PEOPLE[:3]:
        made.deposit(who, MONEY)
    return made


def test_a_trade_moves_positions_cash_and_the_fee(market):
    receipt = market.fill(market.order(price=4_000_000), 60)
    assert receipt.log("Filled") == {
        "maker": PEOPLE[0].lower(), "taker": PEOPLE[1].lower(), "instrument": 0, "lots": 60, "price": 4_000_000,
    }  # fmt: skip
    assert market.read("account", PEOPLE[0]) == (MONEY - 60 * 4_000_000, (0,), (60,))
    assert market.read("account", PEOPLE[1]) == (MONEY + 60 * 4_000_000 - 60 * FEE_PER_LOT, (0,), (-60,))
    market.fill(market.order(1, is_buy=False), 5)
    market.fill(market.order(is_buy=False), 60)
    assert market.read("account", PEOPLE[0])[1:] == ((1,), (-5,))
    market.check()
    market.chain.send(PEOPLE[2], market.contract, "collect_fees", PEOPLE[::2])
    assert market.chain.call(market.token, "balanceOf", FEES_TO) == 0, "only takers paid"
    market.chain.send(PEOPLE[2], market.contract, "collect_fees", PEOPLE)
    assert market.chain.call(market.token, "balanceOf", FEES_TO) == market.fees
    market.fees = 0
    market.check()


def test_a_funded_trade_pays_the_price_less_the_funding(market):
    market.post(market.row(funding=-30_000))
    market.fill(market.order(price=5_000_000), 10)
    assert market.read("account", PEOPLE[0])[0] == MONEY - 10 * 5_030_000
    market.check()


@pytest.mark.parametrize(("scenarios", "tables_in_code"), VARIANTS)
def test_the_margin_is_the_rules(chain, scenarios, tables_in_code):
    market = Market(chain, scenarios, tables_in_code)
    for who in PEOPLE:
        market.deposit(who, 50 * MONEY)

    @settings(max_examples=25, deadline=None)
    @given(data=st.data())
    def check(data):
        delta = st.integers(-(2**31), 2**31 - 1)
        number = data.draw(st.integers(1, 12))
        rows = [
            TableRow(
                data.draw(st.integers(-(2**27), 2**27)), data.draw(st.integers(-(2**20), 2**20)), data.draw(st.integers(0, 2**16)),
                data.draw(st.integers(0, 2**16)), data.draw(st.booleans()), False, chain.time_s,
                tuple(data.draw(st.lists(delta, min_size=scenarios, max_size=scenarios))),
            )
            for _ in range(number)
        ]  # fmt: skip
        market.post(*rows, *(market.rows[i] for i in range(number, len(market.rows))))
        for _ in range(data.draw(st.integers(1, 4))):
            lots = data.draw(st.integers(1, 50))
            maker, taker = data.draw(st.sampled_from([(0, 1), (1, 2), (2, 0)]))
            order = market.order(data.draw(st.integers(0, number - 1)), data.draw(st.booleans()), lots, data.draw(st.integers(0, 2**27)))
            try:
                market.fill(order, maker=maker, taker=taker)
            except Exception as error:
                assert "margin" in str(error)
        for who in PEOPLE[:3]:
            assert market.read("margin", who) == market.margin(who)
        market.check()

    check()


def test_sizes_at_their_bounds_do_not_spill_into_another_lane(chain):
    """Largest positions, largest deltas of both signs side by side."""
    market = Market(chain, 48)
    extremes = tuple((-(2**31), 2**31 - 1)[i % 2] for i in range(48))
    market.post(*(market.row(0, deltas=extremes[i % 2 :] + extremes[: i % 2], long_im=0, short_im=0) for i in range(16)))
    for who in PEOPLE[:2]:
        market.deposit(who, 90 * MONEY)
    for i in range(16):
        # Two neighbours cancel each other, nearly: the margin stays small while the lanes are full.
        market.fill(market.order(i, is_buy=True, lots=7, price=0))
        market.fill(market.order(i, is_buy=i % 4 < 2, lots=3, price=0))
        assert market.read("margin", PEOPLE[0]) == market.margin(PEOPLE[0])
        assert market.read("margin", PEOPLE[1]) == market.margin(PEOPLE[1])


def test_the_largest_position_is_scanned_exactly(chain):
    market = Market(chain, 16)
    market.post(market.row(0, deltas=(-(2**31), 2**31 - 1) * 8, long_im=0, short_im=0), market.row(0, deltas=(2**31 - 1, -(2**31)) * 8, long_im=0, short_im=0))
    for who in PEOPLE[:2]:
        market.deposit(who, 99 * MONEY)
    most = 99 * MONEY * 10_000 // (K_IM_BPS * 2**31)
    market.fill(market.order(0, lots=most, price=0))
    assert market.read("margin", PEOPLE[0]) == market.margin(PEOPLE[0])
    market.fill(market.order(1, lots=most, price=0))
    assert market.read("margin", PEOPLE[1]) == market.margin(PEOPLE[1])
    market.post(market.row(0, deltas=(0,) * 16, long_im=0, short_im=0))
    with fails("position too large"):
        market.fill(market.order(0, lots=2**24, price=0))


def test_both_sides_need_their_margin(market):
    row = market.rows[0]
    worst = 8 * 1_000_000 * K_IM_BPS // 10_000 + row.long_im
    lots = MONEY // worst + 1
    with fails("maker's margin"):
        market.fill(market.order(lots=lots))
    with fails("taker's margin"):
        market.fill(market.order(lots=lots, is_buy=False), maker=0, taker=3)
    market.deposit(PEOPLE[3], 2 * MONEY)
    market.deposit(PEOPLE[0], 2 * MONEY)
    market.fill(market.order(lots=lots), taker=3)
    market.check()


def test_withdrawals_leave_the_margin_and_pay_no_option_value(market):
    market.fill(market.order(price=5_000_000, lots=1000))
    equity, requirement, settled = market.margin(PEOPLE[0])
    assert requirement > 1000 * 8 * 10**6
    assert equity - requirement < settled == MONEY - 5_000_000_000
    with fails("margin"):
        market.send(PEOPLE[0], "withdraw", equity - requirement + 1)
    market.send(PEOPLE[0], "withdraw", equity - requirement)
    market.cash[PEOPLE[0]] -= equity - requirement
    # A holder whose long option is worth more than its margin has no cash of that worth to take out.
    market.post(market.row(5_000_000_000))
    with fails("not settled"):
        market.send(PEOPLE[0], "withdraw", market.cash[PEOPLE[0]] + 1)
    market.check()


def test_a_settled_instrument_turns_into_cash(market):
    market.fill(market.order(lots=40))
    with fails("instrument is not settled"):
        market.send(PEOPLE[2], "deliver", PEOPLE[0], 0)
    market.post(market.row(9_000_000, settled=True, time_s=0))
    market.check()
    assert market.read("margin", PEOPLE[1]) == market.margin(PEOPLE[1])
    market.deliver(PEOPLE[0], 0)
    market.check()
    market.deliver(PEOPLE[1], 0)
    market.check()
    with fails("no position"):
        market.send(PEOPLE[2], "deliver", PEOPLE[0], 0)
    with fails("instrument is settled"):
        market.fill(market.order())


def test_an_order_fills_to_its_size_and_no_further(market):
    order = market.order(lots=10)
    market.fill(order, 4)
    market.fill(order, 6)
    with fails("order is filled"):
        market.fill(order, 1)
    with fails("lots out of range"):
        market.fill(market.order(), 0)
    with fails("lots out of range"):
        market.fill(market.order(lots=2**40 - 1))
    late = replace(order, nonce=order.nonce + 64)
    market.fill(late)
    with fails("nonce is used up"):
        market.fill(order, 1)
    market.send(PEOPLE[0], "cancel", late.nonce + 64)
    with fails("order is filled"):
        market.fill(replace(order, nonce=late.nonce + 64), 1)
    with fails("nonce is used up"):
        market.send(PEOPLE[0], "cancel", late.nonce)
    for nonce in (2**64, 2**256 - 1):
        with fails("nonce out of range"):
            market.fill(replace(order, nonce=nonce), 1)
        with fails("nonce out of range"):
            market.send(PEOPLE[0], "cancel", nonce)
    market.check()


def test_only_what_the_maker_signed_is_filled(market):
    order = market.order()
    v, r, s = order.sign(KEYS[0], market.chain.chain_id, market.contract.address)
    half, n = 57896044618658097711785492504343953926418782139537452191302581570759080747168, 2**256 - 432420386565659656852420866394968145599
    assert s <= half
    with fails("signature is malleated"):
        market.fill(order, signature=(55 - v, r, n - s))
    with fails("invalid signature"):
        market.fill(order, signature=(29, r, s))
    with fails("maker and taker are the same"):
        market.fill(order, taker=0)
    # Anything else that is signed for recovers a stranger without money.
    changes = [{"instrument": 1}, {"is_buy": False}, {"lots": 99}, {"price": 4_999_999}, {"nonce": 2**40}, {"expiry_s": ENDLESS_S - 1}]
    for change in changes:
        with fails("maker's margin"):
            market.fill(replace(order, **change), 50, signature=(v, r, s))
    for chain_id, contract in ((2, market.contract.address), (market.chain.chain_id, market.token.address)):
        with fails("maker's margin"):
            market.fill(order, signature=order.sign(KEYS[0], chain_id, contract))
    with fails("order expired"):
        market.fill(market.order(expiry_s=market.chain.time_s - 1))
    with fails("price out of range"):
        market.fill(market.order(price=2**39))
    market.check()


@pytest.mark.parametrize("tables_in_code", [False, True])
def test_tables(chain, tables_in_code):
    market = Market(chain, 16, tables_in_code)
    rows = [market.row(1_000_000 * i) for i in range(64)]
    data = b"".join(row.encode() for row in rows)
    with fails("only the oracle posts tables"):
        market.send(PEOPLE[0], "post", 0, data)
    for wrong in (b"", data[:-1], data[:32]):
        with fails("rows are not whole"):
            market.send(ORACLE, "post", 0, wrong)
    with fails("instrument out of range"):
        market.send(ORACLE, "post", 2**16 - 63, data)
    if tables_in_code:
        with fails("a page begins at a multiple of 64"):
            market.send(ORACLE, "post", 1, data)
    market.send(ORACLE, "post", 2**16 - 64, data)
    for who in PEOPLE[:2]:
        market.deposit(who, MONEY)
    with fails("no such instrument"):
        market.fill(market.order(3))
    with fails("no such instrument"):
        market.fill(market.order(2**16))
    market.rows = {2**16 - 64 + i: row for i, row in enumerate(rows)}
    for instrument in (2**16 - 64, 2**16 - 1):
        market.fill(market.order(instrument))
        assert market.read("margin", PEOPLE[0]) == market.margin(PEOPLE[0])
    chain.warp(MAX_AGE_S)
    market.fill(market.order(2**16 - 1))
    chain.warp(1)
    with fails("table is too old"):
        market.fill(market.order(2**16 - 1))
    market.check()


@pytest.mark.parametrize("tables_in_code", [False, True])
def test_128_positions_at_most(chain, tables_in_code):
    """Over several pages of tables, and the margin of all of them still the rule's."""
    market = Market(chain, 48, tables_in_code)
    rows = [market.row(100_000 * i, slope=1_000 * i, linear=i % 3 == 0) for i in range(129)]
    market.rows = dict(enumerate(rows))
    for first in (0, 64, 128):
        market.send(ORACLE, "post", first, b"".join(row.encode() for row in rows[first : first + 64]))
    for who in PEOPLE[:2]:
        market.deposit(who, 10 * MONEY)
    for i in range(128):
        market.fill(market.order(i, is_buy=i % 2 == 0, lots=10 + i))
    for who in PEOPLE[:2]:
        assert market.read("margin", who) == market.margin(who)
    with fails("too many positions"):
        market.fill(market.order(128))
    market.fill(market.order(7, is_buy=True, lots=17))
    market.fill(market.order(128))
    market.check()
    if tables_in_code:
        market.send(ORACLE, "post", 64, rows[64].encode())
        with pytest.raises(Exception) as refused:  # a page that leaves out what is held
            market.fill(market.order(1))
        assert type(refused.value).__name__ == "Reverted"


@pytest.mark.parametrize("scenarios", [16, 48])
def test_full_lanes_are_summed_exactly(scenarios, chain, monkeypatch):
    """128 of the largest positions, all one way and then as many as fit the other, on the largest deltas of both signs: no borrow reaches a neighbour."""
    for name, value in (("K_IM_BPS", 1), ("FEE_PER_LOT", 0), ("MONEY", 2 * 10**13)):
        monkeypatch.setitem(globals(), name, value)
    market, most = Market(chain, scenarios), 2**24 - 1
    low, high = -(2**31), 2**31 - 1
    deltas = tuple((low, high, low, low, high, high, low, high)[i % 8] for i in range(scenarios))
    market.rows = dict.fromkeys(range(128), market.row(0, deltas=deltas, long_im=0, short_im=0))
    for first in (0, 64):
        market.send(ORACLE, "post", first, b"".join(market.rows[i].encode() for i in range(first, first + 64)))
    for who in PEOPLE[:2]:
        market.deposit(who, 100 * MONEY)
    for i in range(128):
        market.fill(market.order(i, lots=most, price=0))
    long, short = (market.margin(who) for who in PEOPLE[:2])
    assert long[1] == -(-128 * most * 2**31 // 10_000) and short[1] == -(-128 * most * high // 10_000)
    assert (market.read("margin", PEOPLE[0]), market.read("margin", PEOPLE[1])) == (long, short)
    for i in range(0, 128, 3):
        market.fill(market.order(i, is_buy=False, lots=most, price=0))
        market.fill(market.order(i, is_buy=False, lots=most - i, price=0))
    for who in PEOPLE[:2]:
        assert market.read("margin", who) == market.margin(who)
    with fails("position too large"):
        market.fill(market.order(1, lots=1, price=0))
    market.check()


def test_amounts_and_deployments_out_of_range(market, chain, mock):
    with fails("amount too large"):
        market.send(PEOPLE[0], "deposit", 2**62)
    with fails("amount too large"):
        market.send(PEOPLE[0], "withdraw", 2**62)
    odd = chain.deploy(mock("OddToken"))
    contract = baseline_contract("LayerOneOptions")
    good = [odd.address, ORACLE, FEES_TO, 1, 1, 1, 2, False]
    poor = chain.deploy(contract, *good)
    chain.send(PEOPLE[0], odd, "mint", PEOPLE[0], 2**66)
    chain.send(PEOPLE[0], poor, "deposit", 2**62 - 1)
    chain.send(PEOPLE[0], poor, "deposit", 2**62 - 1)
    with fails("cash out of range"):
        chain.send(PEOPLE[0], poor, "deposit", 2)
    chain.send(PEOPLE[0], odd, "configure", *ANSWERS_FALSE.as_tuples())
    for function, amount in (("deposit", 0), ("withdraw", 1)):
        with fails("token transfer failed"):
            chain.send(PEOPLE[0], poor, function, amount)
    with fails("token transfer failed"):
        chain.send(PEOPLE[0], poor, "collect_fees", [])
    wrong = {
        0: (PEOPLE[0], "token is not a contract"),
        1: ("0x" + "00" * 20, "oracle or fees address is zero"),
        2: ("0x" + "00" * 20, "oracle or fees address is zero"),
        3: (2**30, "fee or margin rate too large"),
        4: (2**16, "fee or margin rate too large"),
        5: (2**40, "maximum age too large"),
        6: (3, "delta words must be 2 or 6"),
    }
    for place, (value, reason) in wrong.items():
        with fails(reason):
            chain.deploy(contract, *(value if i == place else item for i, item in enumerate(good)))


@pytest.mark.parametrize(
    ("name", "value"), [("value", 2**39), ("funding", -(2**39) - 1), ("deltas", (2**31,)), ("long_im", -1), ("short_im", 2**40), ("time_s", -1)]
)
def test_a_row_that_does_not_fit_is_named(name, value):
    row = TableRow(0, 0, 0, 0, False, False, 0, (0,) * 16)
    with pytest.raises(ValueError, match=f"^{name}: "):
        replace(row, **{name: value}).encode()


def test_its_life(chain):
    """Random trades, tables, settlements and withdrawals: accounts are the model's, money is conserved to the unit."""
    chain_type = type(chain)

    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.market = Market(chain_type(), tables_in_code=True)
            self.market.post(*(self.market.row() for _ in range(3)))

        @rule(who=st.sampled_from(PEOPLE), amount=st.integers(0, MONEY))
        def deposit(self, who, amount):
            self.market.deposit(who, amount)

        @rule(pair=st.permutations(range(4)), instrument=st.integers(0, 2), is_buy=st.booleans(), lots=st.integers(1, 20_000), price=st.integers(0, 20_000_000))
        def trade(self, pair, instrument, is_buy, lots, price):
            market = self.market
            try:
                market.fill(market.order(instrument, is_buy, lots, price), maker=pair[0], taker=pair[1])
            except Exception as error:
                assert type(error).__name__ == "Reverted"
                return
            for i in pair[:2]:
                equity, requirement, _ = market.margin(PEOPLE[i])
                assert equity >= requirement

        @rule(values=st.lists(st.integers(-5_000_000, 20_000_000), min_size=3, max_size=3), funding=st.integers(-(10**6), 10**6))
        def table(self, values, funding):
            market = self.market
            live = {i: market.row(value, funding=funding * (i == 0), linear=i == 0) for i, value in enumerate(values)}
            market.post(*(market.rows[i] if market.rows[i].settled else row for i, row in live.items()))

        @rule(instrument=st.integers(1, 2), value=st.integers(0, 20_000_000))
        def settle(self, instrument, value):
            market = self.market
            if not market.rows[instrument].settled:
                market.post(*(replace(row, value=value, settled=True) if i == instrument else row for i, row in market.rows.items()))

        @rule(who=st.sampled_from(PEOPLE), instrument=st.integers(0, 2))
        def deliver(self, who, instrument):
            if self.market.rows[instrument].settled and instrument in self.market.held[who]:
                self.market.deliver(who, instrument)

        @rule(who=st.sampled_from(PEOPLE), share=st.integers(0, 101))
        def withdraw(self, who, share):
            market = self.market
            equity, requirement, settled = market.margin(who)
            most = min(equity - requirement, settled)
            amount = max(most, 0) * share // 100
            balance = market.chain.call(market.token, "balanceOf", market.contract.address)
            if 0 <= amount <= most and amount <= balance:
                market.send(who, "withdraw", amount)
                market.cash[who] -= amount
            elif amount > most:
                with pytest.raises(Exception, match="LayerOneOptions"):
                    market.send(who, "withdraw", amount)

        @invariant()
        def money_is_conserved(self):
            self.market.check()

    run_state_machine_as_test(Life, settings=settings(max_examples=12, stateful_step_count=40, deadline=None))
