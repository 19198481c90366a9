"""Entries survive the journal's bytes exactly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from straddle.core.accounts import NO_KEY, PublicKey
from straddle.core.commands import (
    Command,
    InternalDeleverage,
    InternalDeliver,
    InternalEpoch,
    InternalLiquidate,
    InternalList,
    InternalMarket,
    InternalSettle,
    L1Deposit,
    L1ForceClose,
    L1ForceWithdraw,
    L1SetKey,
    L2Bid,
    L2Cancel,
    L2Protect,
    L2Trade,
    L2Transfer,
    L2Withdraw,
)
from straddle.core.instruments import Instrument, Kind, Retirement, Settlement
from straddle.core.market_state import MarketState
from straddle.core.orders import Leg, Order, OrderSet, Side, Signature, outright
from straddle.core.protection import ProtectionLimits
from straddle.core.risk_table import RiskRow, RiskTable
from straddle.sequencer.codec import OPERATIONS, CodecError, decode_command, encode_command

LARGE = 2**253 + 12345
SIGNATURE = Signature(LARGE, LARGE + 1, 2**250)
ORDER = outright(2**64 - 1, 65535, 2**48 - 1, 2**40 - 1, -(2**39), 7, Side.BUY, 2**32 - 1, 1)
COMBINATION = Order(3, 0, 5, 6, -7, (Leg(1, 127), Leg(2**32 - 1, -126)), Side.SELL, 9, 10)
ROW = RiskRow(1, 2**48 - 1, True, -(2**39), 5, 6, 7, 8, 9, 10, tuple(range(-24, 24)))
ENTRIES: list[Command] = [
    L1Deposit(0, 3, 2**160 - 1, 10**12),
    L1SetKey(1, 3, 5, PublicKey(LARGE, 1)),
    L1SetKey(2, 3, 5, NO_KEY),
    L2Trade(OrderSet(3, 1, (ORDER, outright(1, 0, 5, 6, 7, 8, Side.SELL, 0), COMBINATION), SIGNATURE)),
    L2Withdraw(3, 1, 4, 2**63 - 1, SIGNATURE),
    L2Cancel(3, 1, 2**64 - 1, SIGNATURE),
    InternalList((Instrument(1, Kind.PERPETUAL, 1, 2**48 - 1, 0, 50, 10, 1000), Instrument(2, Kind.PUT, 1, 5, 6, 7, 8, 9))),
    InternalEpoch(RiskTable(4, 1_590_103_200_000, 908_700, (ROW,))),
    InternalMarket(2**48 - 1, MarketState.CANCEL_ONLY),
    L1ForceWithdraw(3, 3, 5, 2**63 - 1),
    L1ForceClose(4, 3, 5, 10_000),
    L2Transfer(3, 1, 5, 4, 2**63 - 1, SIGNATURE),
    L2Bid(3, 1, 6, 4, 10_000, -(2**63), 2**48 - 1, SIGNATURE),
    InternalSettle((Settlement(1, 1, 2**39),), (Retirement(2, 1),)),
    InternalDeliver((3, 4)),
    InternalLiquidate(3),
    InternalDeleverage(3),
    L2Protect(3, 1, 2**64 - 1, ProtectionLimits(2**32 - 1, 7, 2**40 - 1, 2**63 - 1), SIGNATURE),
]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: type(entry).__name__)
def test_every_entry_comes_back(entry: Command) -> None:
    decoded = decode_command(encode_command(entry))
    assert decoded == entry
    assert type(decoded) is type(entry)
    assert encode_command(decoded) == encode_command(entry)


def test_every_operation_is_tried() -> None:
    assert {type(entry) for entry in ENTRIES} == set(OPERATIONS.values())


def test_enumerations_and_the_tables_index_come_back() -> None:
    trade = decode_command(encode_command(ENTRIES[3]))
    assert isinstance(trade, L2Trade)
    assert [order.side for order in trade.order_set.orders] == [Side.BUY, Side.SELL, Side.SELL]
    assert all(isinstance(order.side, Side) for order in trade.order_set.orders)
    epoch = decode_command(encode_command(ENTRIES[7]))
    assert isinstance(epoch, InternalEpoch)
    assert epoch.table[1] == ROW


@given(st.integers(0, 2**160 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
def test_any_deposit_comes_back(owner: int, amount: int, account: int) -> None:
    deposit = L1Deposit(0, account, owner, amount)
    assert decode_command(encode_command(deposit)) == deposit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"v": 2}, "version 2, expected 1"),
        ({"op": "l2_teleport"}, "operation 'l2_teleport', expected one of l1_deposit"),
        ({"amount": "7"}, r"l1_deposit: Expected `int`, got `str`.*amount"),
        ({"amount": 7.5}, r"l1_deposit: Expected `int`, got `float`.*amount"),
        ({"owner": None}, "owner"),
    ],
)
def test_a_foreign_entry_is_refused_by_field(change: dict[str, object], message: str) -> None:
    content = json.loads(encode_command(ENTRIES[0])) | change
    with pytest.raises(CodecError, match=message):
        decode_command(json.dumps(content).encode())


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"7", b'{"v":1}', b"\xff\xfe"])
def test_what_is_no_entry_is_refused(payload: bytes) -> None:
    with pytest.raises(CodecError, match="journal entry"):
        decode_command(payload)
