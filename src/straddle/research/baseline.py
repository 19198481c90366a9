"""How the gas of LayerOneOptions grows with the positions that two traders hold, and that of a swap of two tokens: full-width numbers, no model behind them.

What is measured is a transaction's gas on a development chain, everything included. Both traders of a portfolio hold the same instruments, so the second one's
tables are read warm: in the baseline's favour. The comparison's own flow is replayed on the same contract in `replay`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from straddle.l1.anvil import Anvil
from straddle.l1.contracts import load
from straddle.research.layer_one import ENDLESS_S, ORDER_SLOTS, PAGE_ROWS, LayerOne, Order, TableRow, Wallet, baseline_contract

PERPETUAL = 0
"""Instrument id of the perpetual in the measured tables; options are 1, 2, ..."""


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


def sample_rows(time_s: int, scenarios: int, drift: int = 0, count: int = PAGE_ROWS) -> list[TableRow]:
    """The perpetual at 10,000 dollars, 0.01 a lot, and options on it: full-width numbers, but no model behind them. Another `drift` changes every word."""
    shocks = [(30 * (2 * i - scenarios + 1)) // scenarios for i in range(scenarios)]
    deltas = tuple(1_000_000 * shock + drift for shock in shocks)
    rows = [TableRow(100_000_000 + drift, 40_000, 900_000, 900_000, True, False, time_s, deltas)]
    for i in range(1, count):
        value, slope = 9_000_000 - 100_000 * i, 1_000_000 - 13_000 * i
        deltas = tuple(max(slope * shock, -value) + drift for shock in shocks)
        rows.append(TableRow(value + drift, 0, 300_000, 400_000, False, False, time_s, deltas))
    return rows


def measure_baseline(anvil: Anvil, *, scenarios: int, tables_in_code: bool, portfolios: Sequence[int] = (1, 5, 10, 20)) -> BaselineGas:
    """Deploys LayerOneOptions on a running chain and trades on it. ValueError for a scenario count or portfolio that is not measured."""
    if not portfolios or min(portfolios) < 1 or max(portfolios) >= PAGE_ROWS:
        raise ValueError(f"portfolios: {tuple(portfolios)}, expected sizes of 1 to {PAGE_ROWS - 1}")
    venue = LayerOne(anvil, scenarios, tables_in_code)
    first_update, update = (_post(venue, drift) for drift in (1, 2))
    pairs = [tuple(venue.trader(f"{role} {size}") for role in ("maker", "taker")) for size in portfolios]
    found = [_trade_portfolio(venue, maker, taker, size) for (maker, taker), size in zip(pairs, portfolios, strict=True)]
    return BaselineGas(
        scenarios=scenarios,
        tables_in_code=tables_in_code,
        deploy=venue.deploy_gas,
        deposit=venue.deposit_gas,
        withdraw=venue.send(pairs[-1][1], "withdraw", 1_000_000).gas_used,
        update_per_instrument=update // PAGE_ROWS,
        first_update_per_instrument=first_update // PAGE_ROWS,
        trade_bytes=found[-1][1],
        trades=tuple(trade for trade, _ in found),
    )


def measure_swap(anvil: Anvil) -> SwapGas:
    """Deploys ConstantProductPool with two tokens on a running chain and swaps."""
    contract, token = baseline_contract("ConstantProductPool"), load("TestUSDC")
    provider, trader = (Wallet(anvil.rpc, anvil.rpc.chain_id(), name) for name in (b"provider", b"swapper"))
    tokens = [provider.deploy(token)[0] for _ in range(2)]
    pool, deploy_gas = provider.deploy(contract, *tokens)
    amount = 10**12
    for person in (provider, trader):
        for address in tokens:
            person.send(address, token.encode_call("mint", person.address, 2 * amount))
            person.send(address, token.encode_call("approve", pool, 2 * amount))
    provider.send(pool, contract.encode_call("add", amount, amount))
    calldata = contract.encode_call("swap", True, amount // 1000, 1)
    # The first one makes the approval's and the balances' words what they are in every later one.
    trader.send(pool, calldata)
    return SwapGas(deploy=deploy_gas, swap=trader.send(pool, calldata).gas_used, swap_bytes=len(calldata))


def _post(venue: LayerOne, drift: int) -> int:
    """A new page of tables; its gas."""
    rows = sample_rows(venue.anvil.time_s(), venue.scenarios, drift)
    return venue.post(0, [row.encode() for row in rows])


def _trade_portfolio(venue: LayerOne, maker: Wallet, taker: Wallet, size: int) -> tuple[TradeGas, int]:
    """Two new traders build their portfolios up to `size` and trade on; a trade's bytes too."""

    def trade(instrument: int, nonce: int) -> tuple[int, int]:
        return venue.fill(maker, taker, Order(instrument, True, 1000, 9_000_000, nonce, ENDLESS_S), 100)

    last = size - 1
    for instrument in range(last):
        trade(instrument, 1 + instrument)
    opening, _ = trade(last, 1 + last)
    option, length = trade(last, 1 + last + ORDER_SLOTS)
    hedge, _ = trade(PERPETUAL, 1 + 2 * ORDER_SLOTS)
    return TradeGas(size, opening, option, hedge), length
