"""The comparison's baseline: options with a portfolio margin check, and a token swap, as contracts on layer 1 (contracts/baseline), and their gas.

What is measured is a transaction's gas on a development chain, everything included. Both traders of a portfolio hold the same instruments, so the second one's
tables are read warm: in the baseline's favour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from straddle.l1.anvil import Anvil
from straddle.l1.contracts import Contract, contracts_directory, load, load_path
from straddle.l1.sender import Receipt, Sender

PERPETUAL = 0
"""Instrument id of the perpetual in the measured tables; options are 1, 2, ..."""

ORDER_SLOTS = 64
PAGE_ROWS = 64
DELTAS_A_WORD = 8
SCENARIO_COUNTS = (16, 48)

_ORDER_TYPE = keccak(b"Order(uint256 instrument,bool is_buy,uint256 lots,uint256 price,uint256 nonce,uint256 expiry_s)")
_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,uint256 chainId,address verifyingContract)")


@dataclass(frozen=True, slots=True)
class TableRow:
    """What LayerOneOptions knows of an instrument, micro-dollars a lot: charges not negative, deltas below 2^31 in size."""

    value: int
    funding: int
    long_im: int
    short_im: int
    linear: bool
    settled: bool
    time_s: int
    deltas: tuple[int, ...]

    def encode(self) -> bytes:
        """The row's words. ValueError names a field that does not fit."""
        for name, field, bits in (("value", self.value, 39), ("funding", self.funding, 39), *(("deltas", delta, 31) for delta in self.deltas)):
            if not -(2**bits) <= field < 2**bits:
                raise ValueError(f"{name}: {field}, expected at least -2^{bits} and below 2^{bits}")
        for name, field in (("long_im", self.long_im), ("short_im", self.short_im), ("time_s", self.time_s)):
            if not 0 <= field < 2**40:
                raise ValueError(f"{name}: {field}, expected 0 to 2^40 - 1")
        flags = self.linear + 2 * self.settled
        words = [self.value + 2**39 | self.funding + 2**39 << 40 | self.long_im << 80 | self.short_im << 120 | flags << 160 | self.time_s << 168]
        for start in range(0, len(self.deltas), DELTAS_A_WORD):
            words.append(sum(delta + 2**31 << 32 * i for i, delta in enumerate(self.deltas[start : start + DELTAS_A_WORD])))
        return b"".join(word.to_bytes(32, "big") for word in words)


@dataclass(frozen=True, slots=True)
class Order:
    """A maker's order; the price is in micro-dollars a lot."""

    instrument: int
    is_buy: bool
    lots: int
    price: int
    nonce: int
    expiry_s: int

    @property
    def fields(self) -> tuple[int | bool, ...]:
        """As the contract takes it."""
        return (self.instrument, self.is_buy, self.lots, self.price, self.nonce, self.expiry_s)

    def sign(self, key: bytes, chain_id: int, contract: str) -> tuple[int, int, int]:
        """(v, r, s) of its EIP-712 digest."""
        domain = keccak(encode(["bytes32", "bytes32", "uint256", "address"], [_DOMAIN_TYPE, keccak(b"LayerOneOptions"), chain_id, contract]))
        struct = keccak(encode(["bytes32", "uint256", "bool", "uint256", "uint256", "uint256", "uint256"], [_ORDER_TYPE, *self.fields]))
        signature = PrivateKey(key).sign_msg_hash(keccak(b"\x19\x01" + domain + struct))
        return signature.v + 27, signature.r, signature.s


@dataclass(frozen=True, slots=True)
class TradeGas:
    """Trades between two accounts that hold `positions` positions each, afterwards."""

    positions: int
    opening: int
    """The trade that opens both accounts' last position, with an order slot that was never used."""
    option: int
    """An option trade on positions that exist, with a slot that was."""
    hedge: int
    """The same trade in the perpetual."""


@dataclass(frozen=True, slots=True)
class BaselineGas:
    """Gas of LayerOneOptions, a transaction unless it says otherwise."""

    scenarios: int
    tables_in_code: bool
    deploy: int
    deposit: int
    withdraw: int
    """With the largest of the measured portfolios."""
    update_per_instrument: int
    """Of a new table of 64 instruments: a 64th."""
    first_update_per_instrument: int
    trade_bytes: int
    """Calldata of a trade."""
    trades: tuple[TradeGas, ...]


@dataclass(frozen=True, slots=True)
class SwapGas:
    """Gas of ConstantProductPool."""

    deploy: int
    swap: int
    """Between holders of both tokens."""
    swap_bytes: int


def baseline_contract(name: str) -> Contract:
    """LayerOneOptions or ConstantProductPool, compiled."""
    return load_path(contracts_directory() / "baseline" / f"{name}.vy")


def sample_rows(time_s: int, scenarios: int, count: int = PAGE_ROWS) -> list[TableRow]:
    """The perpetual at 10,000 dollars, 0.01 a lot, and options on it: full-width numbers, but no model behind them."""
    shocks = [(30 * (2 * i - scenarios + 1)) // scenarios for i in range(scenarios)]
    rows = [TableRow(100_000_000, 40_000, 900_000, 900_000, True, False, time_s, tuple(1_000_000 * shock for shock in shocks))]
    for i in range(1, count):
        value, slope = 9_000_000 - 100_000 * i, 1_000_000 - 13_000 * i
        rows.append(TableRow(value, 0, 300_000, 400_000, False, False, time_s, tuple(max(slope * shock, -value) for shock in shocks)))
    return rows


def measure_baseline(anvil: Anvil, *, scenarios: int, tables_in_code: bool, portfolios: Sequence[int] = (1, 5, 10, 20)) -> BaselineGas:
    """Deploys LayerOneOptions on a running chain and trades on it. ValueError for a scenario count or portfolio that the contract does not take."""
    if scenarios not in SCENARIO_COUNTS:
        raise ValueError(f"scenarios: {scenarios}, expected one of {SCENARIO_COUNTS}")
    if not portfolios or min(portfolios) < 1 or max(portfolios) > 31:
        raise ValueError(f"portfolios: {tuple(portfolios)}, expected sizes of 1 to 31")
    market = _Market(anvil, scenarios, tables_in_code)
    first_update, update = market.post(), market.post()
    trades = tuple(market.trade_portfolio(size) for size in portfolios)
    return BaselineGas(
        scenarios=scenarios,
        tables_in_code=tables_in_code,
        deploy=market.deploy_gas,
        deposit=market.deposit_gas,
        withdraw=market.send(market.last_taker, "withdraw", 1_000_000).gas_used,
        update_per_instrument=update // PAGE_ROWS,
        first_update_per_instrument=first_update // PAGE_ROWS,
        trade_bytes=market.trade_bytes,
        trades=trades,
    )


def measure_swap(anvil: Anvil) -> SwapGas:
    """Deploys ConstantProductPool with two tokens on a running chain and swaps."""
    contract, token = baseline_contract("ConstantProductPool"), load("TestUSDC")
    provider, trader = _person(anvil, b"provider"), _person(anvil, b"swapper")
    tokens = [_created(provider.deploy(token)) for _ in range(2)]
    deployed = provider.deploy(contract, *tokens)
    pool, amount = _created(deployed), 10**12
    for person in (provider, trader):
        for address in tokens:
            person.transact(address, token, "mint", person.address, 2 * amount)
            person.transact(address, token, "approve", pool, 2 * amount)
    provider.transact(pool, contract, "add", amount, amount)
    calldata = contract.encode_call("swap", True, amount // 1000, 1)
    # The first one makes the approval's and the balances' words what they are in every later one.
    trader.send(pool, calldata)
    return SwapGas(deploy=deployed.gas_used, swap=trader.send(pool, calldata).gas_used, swap_bytes=len(calldata))


class _Market:
    """LayerOneOptions on a chain, with an oracle and pairs of traders."""

    def __init__(self, anvil: Anvil, scenarios: int, tables_in_code: bool) -> None:
        self._anvil, self._scenarios = anvil, scenarios
        self._contract, self._token_contract = baseline_contract("LayerOneOptions"), load("TestUSDC")
        self._oracle = _person(anvil, b"oracle")
        self._token = _created(self._oracle.deploy(self._token_contract))
        arguments = (self._token, self._oracle.address, self._oracle.address, 300, 10_000, 10**9, scenarios // DELTAS_A_WORD, tables_in_code)
        receipt = self._oracle.deploy(self._contract, *arguments)
        self._address, self.deploy_gas = _created(receipt), receipt.gas_used
        self._chain_id = anvil.rpc.chain_id()
        self.deposit_gas, self.trade_bytes = 0, 0
        self.last_taker = self._oracle

    def send(self, who: Sender, function: str, *args: object) -> Receipt:
        return who.transact(self._address, self._contract, function, *args)

    def post(self) -> int:
        """A new page of tables; its gas."""
        rows = sample_rows(self._anvil.time_s(), self._scenarios)
        return self.send(self._oracle, "post", 0, b"".join(row.encode() for row in rows)).gas_used

    def trade_portfolio(self, size: int) -> TradeGas:
        """Two new traders build their portfolios up to `size` and trade on."""
        maker, taker = (self._trader(f"{role} {self._scenarios} {size}".encode()) for role in ("maker", "taker"))
        for instrument in range(size - 1):
            self._trade(maker, taker, instrument, nonce=1 + instrument)
        last = size - 1
        opening = self._trade(maker, taker, last, nonce=1 + last)
        option = self._trade(maker, taker, last, nonce=1 + last + ORDER_SLOTS)
        hedge = self._trade(maker, taker, PERPETUAL, nonce=1 + ORDER_SLOTS * 2)
        self.last_taker = taker[0]
        return TradeGas(size, opening, option, hedge)

    def _trader(self, name: bytes) -> tuple[Sender, bytes]:
        key = keccak(name)
        who, amount = _person(self._anvil, name), 10**13
        who.transact(self._token, self._token_contract, "mint", who.address, amount)
        who.transact(self._token, self._token_contract, "approve", self._address, amount)
        self.deposit_gas = self.send(who, "deposit", amount // 2).gas_used
        return who, key

    def _trade(self, maker: tuple[Sender, bytes], taker: tuple[Sender, bytes], instrument: int, nonce: int) -> int:
        order = Order(instrument, True, 1000, 9_000_000, nonce, 2**40 - 1)
        calldata = self._contract.encode_call("fill", order.fields, *order.sign(maker[1], self._chain_id, self._address), 100)
        self.trade_bytes = len(calldata)
        return taker[0].send(self._address, calldata).gas_used


def _person(anvil: Anvil, name: bytes) -> Sender:
    sender = Sender(anvil.rpc, keccak(name))
    anvil.fund(sender.address)
    return sender


def _created(receipt: Receipt) -> str:
    assert receipt.contract_address is not None
    return receipt.contract_address
