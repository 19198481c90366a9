"""Transactions on a chain that takes its time: none is sent twice, and none stays behind a price that the market has outgrown."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_utils.crypto import keccak

from straddle.l1 import sender as module
from straddle.l1.fees import Fees, Market
from straddle.l1.rpc import Reverted, RpcError
from straddle.l1.sender import Sender, TransactionFailed

GWEI, BLOCK_S = 10**9, 12
KEY = keccak(b"a wallet")
TO = "0x" + "22" * 20


class SlowChain:
    """A node with one wallet: a block every twelve seconds of its own clock takes what pays the base fee, in order. It replaces for a tenth more."""

    def __init__(self) -> None:
        self.now, self.base, self.tip = 0.0, 10 * GWEI, GWEI
        self.blocks, self.pool, self.mined = 0, dict[int, Any](), list[Any]()
        self.sent = 0
        self.refuses: str = ""
        self.stops = False

    # the clock of the module, and of the event that ends it

    def monotonic(self) -> float:
        return self.now

    def is_set(self) -> bool:
        return self.stops

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        while self.now >= (self.blocks + 1) * BLOCK_S:
            self.blocks += 1
            while (found := self.pool.get(len(self.mined))) and found.fees[0] >= self.base + min(found.fees[1], 1):
                self.mined.append(self.pool.pop(len(self.mined)))
        return self.stops

    # the node

    def block(self, number: str) -> dict[str, str]:
        return {"baseFeePerGas": hex(self.base)}

    def quantity(self, method: str, *params: Any) -> int:
        if method == "eth_maxPriorityFeePerGas":
            return self.tip
        if self.refuses:
            raise Reverted(method, 3, self.refuses)
        return 100_000

    def chain_id(self) -> int:
        return 1

    def nonce(self, address: str, tag: str = "latest") -> int:
        number = len(self.mined)
        while tag == "pending" and number in self.pool:
            number += 1
        return number

    def knows(self, name: str) -> bool:
        return any(item.name == name for item in (*self.pool.values(), *self.mined))

    def checked(self, method: str, params: list[str], check: Any) -> bytes:
        raw = bytes.fromhex(params[0][2:])
        words = rlp.decode(raw[1:])
        nonce, tip, cap = (int.from_bytes(words[i], "big") for i in (1, 2, 3))
        item = SimpleNamespace(name="0x" + keccak(raw).hex(), nonce=nonce, fees=(cap, tip), data=words[7])
        there = self.pool.get(nonce)
        if nonce < len(self.mined):
            raise RpcError(method, -32000, "nonce too low")
        if there and there.name == item.name:
            raise RpcError(method, -32000, "already known")
        if there and any(10 * new < 11 * old for new, old in zip(item.fees, there.fees, strict=True)):
            raise RpcError(method, -32000, "replacement transaction underpriced")
        self.pool[nonce] = item
        self.sent += 1
        return keccak(raw)

    def receipt(self, name: str) -> dict[str, Any] | None:
        for item in self.mined:
            if item.name == name:
                return {"status": "0x1", "transactionHash": name, "blockNumber": "0x7", "gasUsed": "0x5208", "logs": []}
        return None


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> SlowChain:
    made = SlowChain()
    monkeypatch.setattr(module, "time", made)
    return made


def wallet(chain: SlowChain, *, alone: bool = True) -> Sender:
    return Sender(chain, KEY, alone=alone, stopping=chain)  # type: ignore[arg-type]


def left_behind(chain: SlowChain, data: bytes, cap: int = 21 * GWEI, tip: int = GWEI) -> None:
    """A transaction of an earlier process at the wallet's next number."""
    fields = {"chainId": 1, "nonce": chain.nonce("", "pending"), "gas": 125_000, "maxFeePerGas": cap, "maxPriorityFeePerGas": tip, "value": 0, "data": data}
    raw = Account.from_key(KEY).sign_transaction({"type": 2, "to": TO, **fields}).raw_transaction
    chain.checked("eth_sendRawTransaction", ["0x" + bytes(raw).hex()], None)


def data_of(chain: SlowChain) -> list[bytes]:
    return [item.data for item in chain.mined]


def test_a_price_that_the_market_outgrows_is_raised_at_the_same_number(chain: SlowChain) -> None:
    """The tip rises too, or nodes would not take the replacement."""
    begun = wallet(chain).begin.send(TO, b"a")
    chain.base = 40 * GWEI
    begun.receipt()
    assert data_of(chain) == [b"a"] and chain.sent == 2 and chain.pool == {}
    assert chain.mined[0].fees == (81 * GWEI, 9 * GWEI // 8)


def test_what_pays_enough_is_never_made_dearer(chain: SlowChain) -> None:
    begun = wallet(chain).begin.send(TO, b"a")
    chain.blocks = 5  # the chain stands for more than a minute
    begun.receipt()
    assert chain.sent == 1 and chain.mined[0].fees == (21 * GWEI, GWEI)


def test_what_was_not_mined_in_time_is_the_same_transaction_when_it_is_sent_again(chain: SlowChain) -> None:
    sender = wallet(chain)
    chain.blocks = 12  # none for two and a half minutes
    with pytest.raises(TransactionFailed, match=r"number 0 of wallet 0x\w{40}, was not mined within 120 s and may still be: it pays at most 21.000 gwei a gas"):
        sender.send(TO, b"a")
    sender.send(TO, b"a")
    sender.send(TO, b"b")
    assert data_of(chain) == [b"a", b"b"] and chain.sent == 2


def test_another_call_takes_the_place_of_one_that_was_given_up(chain: SlowChain) -> None:
    sender = wallet(chain)
    chain.blocks = 12  # none for two and a half minutes
    with pytest.raises(TransactionFailed):
        sender.send(TO, b"a")
    sender.send(TO, b"b")
    assert data_of(chain) == [b"b"]


def test_a_restart_joins_the_very_same_transaction(chain: SlowChain) -> None:
    left_behind(chain, b"a")
    wallet(chain).send(TO, b"a")
    assert data_of(chain) == [b"a"] and chain.sent == 1


def test_a_restart_waits_for_what_is_priced_as_the_market_asks_and_asks_again_whether_it_is_still_to_be_done(chain: SlowChain) -> None:
    left_behind(chain, b"a", cap=22 * GWEI)
    quantity = chain.quantity

    def estimate(method: str, *params: Any) -> int:
        chain.refuses = "Rollup: epoch is recorded" if chain.mined else ""
        return quantity(method, *params)

    chain.quantity = estimate  # type: ignore[method-assign]
    with pytest.raises(Reverted, match="epoch is recorded"):
        wallet(chain).send(TO, b"a")
    assert data_of(chain) == [b"a"] and chain.sent == 1 and chain.pool == {}


def test_a_restart_replaces_what_can_not_be_mined_at_its_price(chain: SlowChain) -> None:
    left_behind(chain, b"a", cap=5 * GWEI, tip=GWEI)
    wallet(chain).send(TO, b"a")
    assert data_of(chain) == [b"a"] and chain.sent == 2


def test_a_wallet_that_others_use_sends_nothing_past_what_waits_there(chain: SlowChain) -> None:
    left_behind(chain, b"somebody's")
    with pytest.raises(TransactionFailed, match=r"1 transactions of wallet 0x\w{40} wait to be mined and go first"):
        wallet(chain, alone=False).send(TO, b"a")
    chain.wait(BLOCK_S)
    wallet(chain, alone=False).send(TO, b"a")
    assert data_of(chain) == [b"somebody's", b"a"]


def test_several_that_were_begun_are_in_one_block_and_the_first_is_looked_after_for_the_second(chain: SlowChain) -> None:
    begin = wallet(chain, alone=False).begin
    first, second = begin.send(TO, b"a"), begin.send(TO, b"b")
    assert set(chain.pool) == {0, 1}
    chain.base = 40 * GWEI
    second.receipt()
    first.receipt()
    assert data_of(chain) == [b"a", b"b"] and chain.sent == 4


def test_nothing_is_waited_for_when_the_process_ends(chain: SlowChain) -> None:
    sender = wallet(chain)
    begun = sender.begin.send(TO, b"a")
    chain.stops = True
    with pytest.raises(TransactionFailed, match="the process ends"):
        begun.receipt()
    with pytest.raises(TransactionFailed, match="nothing is sent"):
        sender.send(TO, b"b")
    assert chain.sent == 1


def test_what_the_node_refuses_for_itself_is_told(chain: SlowChain) -> None:
    def refuses(method: str, params: list[str], check: Any) -> bytes:
        raise RpcError(method, -32000, "insufficient funds")

    chain.checked = refuses  # type: ignore[method-assign]
    with pytest.raises(RpcError, match="insufficient funds"):
        wallet(chain).send(TO, b"a")


def test_offers_in_place_of_an_unknown_price_end_at_a_few_times_the_markets() -> None:
    market = Market(10 * GWEI, GWEI)
    fees = market.offer
    for _ in range(99):
        fees = market.dearer(fees)
    assert 4 * market.offer.gas <= fees.gas < 5 * market.offer.gas
    blobs = Market(GWEI, GWEI, GWEI)
    assert blobs.dearer(blobs.offer) == Fees(*(2 * item for item in (3 * GWEI, GWEI, 4 * GWEI)))


def test_an_event_is_what_ends_it() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(TransactionFailed, match="nothing is sent"):
        Sender(SlowChain(), KEY, stopping=stopping).send(TO, b"")  # type: ignore[arg-type]
