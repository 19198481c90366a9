"""Transactions on a chain that takes its time: none is sent twice, and none stays behind a price that the market has outgrown."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from straddle.commitments.blob import BLOB_BYTES, BlobError
from straddle.l1 import offers
from straddle.l1.fees import Fees
from straddle.l1.rpc import Reverted, RpcError
from straddle.l1.sender import Sender, TransactionFailed
from tests.support.wallet_node import BLOCK_S, GWEI, Item, Refused, WalletNode, clocked

KEY = keccak(b"a wallet")
TO = "0x" + "22" * 20
BLOBS = [bytes(BLOB_BYTES)]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> WalletNode:
    return clocked(WalletNode(), monkeypatch)


def wallet(node: WalletNode, *, alone: bool = True, **options: Any) -> Sender:
    return Sender(node.rpc(), KEY, alone=alone, stopping=node, **options)  # type: ignore[arg-type]


def left_behind(node: WalletNode, data: bytes, cap: int = 21 * GWEI, tip: int = GWEI) -> None:
    """A transaction of an earlier process at the wallet's next number."""
    fields = {"chainId": 1, "nonce": node.pending, "gas": 125_000, "maxFeePerGas": cap, "maxPriorityFeePerGas": tip, "value": 0, "data": data}
    node.take(bytes(Account.from_key(KEY).sign_transaction({"type": 2, "to": TO, **fields}).raw_transaction))


def given_up(node: WalletNode, sender: Sender, data: bytes) -> None:
    """A call that was not mined in time."""
    node.stands = True
    with pytest.raises(TransactionFailed, match="may still be"):
        sender.send(TO, data)
    node.stands = False


# ---- prices


def test_a_price_that_the_market_outgrows_is_raised_at_the_same_number(node: WalletNode) -> None:
    """The tip rises too, or nodes would not take the replacement."""
    begun = wallet(node).begin.send(TO, b"a")
    node.base = 40 * GWEI
    begun.receipt()
    assert node.executed == [b"a"] and len(node.sent) == 2 and node.pool == {}
    assert node.mined[0].prices == (81 * GWEI, 9 * GWEI // 8)


@pytest.mark.parametrize("tip", [GWEI, 9 * GWEI // 8])
def test_what_pays_enough_is_never_made_dearer(node: WalletNode, tip: int) -> None:
    """Suggested tips move a little with every block."""
    begun = wallet(node).begin.send(TO, b"a")
    node.tip, node.stands = tip, True
    node.on_clock(100, lambda: setattr(node, "stands", False))
    begun.receipt()
    assert len(node.sent) == 1 and node.mined[0].prices == (21 * GWEI, GWEI)


def test_a_tip_of_nothing_is_raised_too(node: WalletNode) -> None:
    node.tip = 0
    begun = wallet(node).begin.send(TO, b"a")
    node.base = 40 * GWEI
    begun.receipt()
    assert node.mined[0].prices == (80 * GWEI, 1)


def test_a_node_cannot_make_a_wallet_pay_a_tip_without_end(node: WalletNode) -> None:
    node.tip = 10**24
    wallet(node).send(TO, b"a")
    assert node.mined[0].prices == (70 * GWEI, 50 * GWEI)


def test_nothing_is_sent_above_the_most_that_a_wallet_may_pay(node: WalletNode) -> None:
    sender = wallet(node, most=Fees(30 * GWEI, 2 * GWEI, 9 * GWEI))
    node.base = 31 * GWEI
    with pytest.raises(TransactionFailed, match=r"the base fee is 31.000 gwei a unit of gas, expected at most 30.000"):
        sender.send(TO, b"a")
    node.base, node.blob_base = 30 * GWEI, 10 * GWEI
    with pytest.raises(TransactionFailed, match=r"the base fee is 10.000 gwei a unit of blob gas, expected at most 9.000"):
        sender.send(TO, b"a", blobs=BLOBS)
    assert node.sent == []
    begun = sender.begin.send(TO, b"a")
    node.base = 31 * GWEI  # it waits, at the most
    with pytest.raises(TransactionFailed, match=r"it pays at most 30.000 gwei a gas, the base fee is 31.000"):
        begun.receipt()
    node.base = 29 * GWEI
    sender.send(TO, b"a")
    assert node.executed == [b"a"] and len(node.sent) == 1


def test_a_gas_limit_that_no_transaction_may_have_is_refused(node: WalletNode) -> None:
    node.gas = (1 << 24) + 1
    with pytest.raises(TransactionFailed, match=r"16777217 gas, expected at most 16777216"):
        wallet(node).send(TO, b"a")


# ---- what was given up


def test_what_was_not_mined_in_time_is_the_same_transaction_when_it_is_sent_again(node: WalletNode) -> None:
    sender = wallet(node)
    node.stands = True
    with pytest.raises(TransactionFailed, match=r"number 0 of wallet 0x\w{40}, was not mined within 120 s and may still be: it pays at most 21.000 gwei a gas"):
        sender.send(TO, b"a")
    node.stands = False
    sender.send(TO, b"a")
    sender.send(TO, b"b")
    assert node.executed == [b"a", b"b"] and len(node.sent) == 2


def test_what_was_mined_meanwhile_is_not_sent_again_and_its_receipt_is_given_once(node: WalletNode) -> None:
    sender = wallet(node)
    given_up(node, sender, b"a")
    node.mine()
    node.reverts = lambda data, before: "it is done" if data in before else ""
    assert sender.send(TO, b"a").transaction_hash == node.mined[0].name
    with pytest.raises(Reverted, match="it is done"):  # this one is meant
        sender.send(TO, b"a")
    assert node.executed == [b"a"]


def test_another_call_takes_the_place_of_one_that_was_given_up(node: WalletNode) -> None:
    sender = wallet(node)
    given_up(node, sender, b"a")
    sender.send(TO, b"b")
    assert node.executed == [b"b"]


def test_when_the_one_that_was_replaced_is_mined_the_other_comes_after_it(node: WalletNode) -> None:
    """A block's maker may not have seen the replacement."""
    sender = wallet(node)
    given_up(node, sender, b"a")
    begun = sender.begin.send(TO, b"b")
    node.pool[0] = node.sent[0]
    assert begun.receipt().transaction_hash == node.mined[1].name
    assert sender.send(TO, b"a").transaction_hash == node.mined[0].name
    assert node.executed == [b"a", b"b"]


def test_one_that_is_left_is_the_same_when_it_is_sent_again(node: WalletNode) -> None:
    sender = wallet(node)
    first, second = sender.begin.send(TO, b"a"), sender.begin.send(TO, b"b")
    second.leave()
    first.receipt()
    sender.send(TO, b"b")
    assert node.executed == [b"a", b"b"]


# ---- several, and those of others


def test_a_restart_joins_the_very_same_transaction(node: WalletNode) -> None:
    left_behind(node, b"a")
    wallet(node).send(TO, b"a")
    assert node.executed == [b"a"] and len(node.sent) == 1


def test_a_restart_waits_for_what_is_priced_as_the_market_asks_and_asks_again_whether_it_is_still_to_be_done(node: WalletNode) -> None:
    left_behind(node, b"a", cap=22 * GWEI)
    node.reverts = lambda data, before: "Rollup: epoch is recorded" if data in before else ""
    with pytest.raises(Reverted, match="epoch is recorded"):
        wallet(node).send(TO, b"a")
    assert node.executed == [b"a"] and len(node.sent) == 1 and node.pool == {}


def test_a_restart_replaces_what_can_not_be_mined_at_its_price(node: WalletNode) -> None:
    """It may have been offered when tips were higher."""
    left_behind(node, b"a", cap=5 * GWEI, tip=GWEI)
    node.tip = GWEI // 10
    wallet(node).send(TO, b"a")
    assert node.executed == [b"a"] and len(node.sent) == 2


def test_a_wallet_that_others_use_sends_nothing_past_what_waits_there(node: WalletNode) -> None:
    left_behind(node, b"somebody's")
    with pytest.raises(TransactionFailed, match=r"1 transactions of wallet 0x\w{40} wait to be mined and go first"):
        wallet(node, alone=False).send(TO, b"a")
    node.mine()
    wallet(node, alone=False).send(TO, b"a")
    assert node.executed == [b"somebody's", b"a"]


def test_several_that_were_begun_are_in_one_block_and_the_first_is_looked_after_for_the_second(node: WalletNode) -> None:
    """The second is tried after the first, which it may need."""
    node.reverts = lambda data, before: "not yet" if data == b"b" and b"a" not in before else ""
    begin = wallet(node, alone=False).begin
    first, second = begin.send(TO, b"a"), begin.send(TO, b"b")
    assert set(node.pool) == {0, 1}
    node.base = 40 * GWEI
    second.receipt()
    first.receipt()
    assert node.executed == [b"a", b"b"] and len(node.sent) == 4


def test_those_with_blobs_and_those_without_wait_for_each_other(node: WalletNode) -> None:
    """As geth's pools ask; several of one kind go together."""
    begin = wallet(node).begin
    begun = [begin.send(TO, b"a"), begin.send(TO, b"b"), begin.send(TO, b"c", blobs=BLOBS), begin.send(TO, b"d", blobs=BLOBS), begin.send(TO, b"e")]
    assert [len(block) for block in node.chain] == [2, 2]
    assert [sending.receipt().block_number for sending in begun] == [0, 0, 1, 1, 2]


def test_threads_get_a_number_each(node: WalletNode) -> None:
    begin = wallet(node).begin
    with ThreadPoolExecutor(8) as executor:
        begun = list(executor.map(lambda number: begin.send(TO, bytes([number])), range(24)))
    for sending in begun:
        sending.receipt()
    assert sorted(node.executed) == [bytes([number]) for number in range(24)]


def test_what_cannot_be_signed_takes_no_number(node: WalletNode) -> None:
    sender = wallet(node)
    with pytest.raises(BlobError, match="7, expected 1 to 6"):
        sender.send(TO, b"a", blobs=BLOBS * 7)
    sender.send(TO, b"b")
    assert node.executed == [b"b"]


def test_the_book_of_what_was_sent_stays_short(node: WalletNode) -> None:
    sender = wallet(node)
    for number in range(2 * offers.REMEMBERED):
        sender.send(TO, bytes([number]))
    assert len(sender._offers._all) == offers.REMEMBERED + 1


# ---- layer 1 goes back; nodes that lie


def test_what_a_reorg_undoes_and_drops_is_given_again_for_those_behind_it(node: WalletNode) -> None:
    sender = wallet(node)
    sender.send(TO, b"a")
    second = sender.begin.send(TO, b"b")
    node.reorg(1, keep=False)
    second.receipt()
    assert node.executed == [b"a", b"b"]


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_reorg_undoes_may_be_sent_again(node: WalletNode, keep: bool) -> None:
    sender = wallet(node)
    sender.send(TO, b"a")
    node.reorg(1, keep=keep)
    sender.send(TO, b"a")
    assert node.executed == [b"a"] and node.pool == {}


def test_a_node_that_is_behind_another_at_the_same_address_does_not_make_one_of_two(node: WalletNode) -> None:
    sender = wallet(node)
    first = sender.send(TO, b"a")
    node.nonce_lag = 1
    node.on_clock(node.now + 1, lambda: setattr(node, "nonce_lag", 0))
    assert sender.send(TO, b"a").transaction_hash != first.transaction_hash
    assert node.executed == [b"a", b"a"]


def test_a_receipt_of_another_transaction_is_not_taken(node: WalletNode) -> None:
    node.receipt = lambda name: {"status": "0x1", "transactionHash": "0x" + "11" * 32, "blockNumber": "0x1", "gasUsed": "0x1", "logs": []}  # type: ignore
    with pytest.raises(TransactionFailed, match=r"may still be.*answered with transaction 0x1111"):
        wallet(node).send(TO, b"a")


def test_a_receipt_may_come_long_after_its_block(node: WalletNode) -> None:
    """While the node knows the transaction, nobody else's was mined in its place."""
    receipt = node.receipt
    node.receipt = lambda name: receipt(name) if node.now > 90 else None  # type: ignore[method-assign]
    wallet(node).send(TO, b"a")
    assert node.executed == [b"a"] and node.now > 90


def test_why_a_transaction_failed_may_be_unknown_but_not_that_it_did(node: WalletNode) -> None:
    receipt = node.receipt
    node.receipt = lambda name: found | {"status": "0x0"} if (found := receipt(name)) else None  # type: ignore[method-assign]
    with pytest.raises(TransactionFailed, match=r"transaction 0x\w{64} failed in block 0: no reason to be had \(eth_call: eth_call: unknown"):
        wallet(node).send(TO, b"a")


def test_what_is_mined_in_its_place_by_others_is_told_and_the_call_may_be_sent_again(node: WalletNode) -> None:
    sender = wallet(node)
    begun = sender.begin.send(TO, b"a")
    node.pool[0] = Item("0x" + "11" * 32, 0, GWEI, 99 * GWEI, 0, b"somebody's")
    with pytest.raises(TransactionFailed, match=r"another transaction was mined in place of 0x\w{64}, number 0"):
        begun.receipt()
    sender.send(TO, b"a")
    assert node.executed == [b"somebody's", b"a"]


def test_numbers_that_are_always_taken_end_at_the_deadline(node: WalletNode) -> None:
    """A node whose answers contradict each other: the number is free, then too low, then mined."""
    answer, asked = node.answer, iter(range(10**6))

    def liar(method: str, params: list[Any]) -> Any:
        if method == "eth_sendRawTransaction":
            raise Refused("nonce too low")
        if method == "eth_getTransactionCount":
            return hex(next(asked))
        return answer(method, params)

    node.answer = liar  # type: ignore[method-assign]
    with pytest.raises(TransactionFailed, match="were mined at the numbers that were free"):
        wallet(node).send(TO, b"a")


def test_what_a_raised_price_cannot_pay_is_waited_for_all_the_same(node: WalletNode) -> None:
    """The first offer is still there."""
    begun = wallet(node).begin.send(TO, b"a")

    def poor(raw: bytes) -> str:
        raise Refused("insufficient funds for gas * price + value")

    node.base, node.take = 40 * GWEI, poor  # type: ignore[method-assign]
    node.on_clock(50, lambda: setattr(node, "base", 20 * GWEI))
    begun.receipt()
    assert node.executed == [b"a"] and len(node.sent) == 1


def test_what_the_node_refuses_for_itself_is_told(node: WalletNode) -> None:
    def refuses(raw: bytes) -> str:
        raise Refused("insufficient funds")

    sender, node.take = wallet(node), refuses  # type: ignore[method-assign]
    with pytest.raises(RpcError, match="insufficient funds"):
        sender.send(TO, b"a")
    del node.take
    sender.send(TO, b"b")
    assert node.executed == [b"b"] and node.mined[0].prices == (21 * GWEI, GWEI)


# ---- the end


def test_nothing_is_waited_for_when_the_process_ends(node: WalletNode) -> None:
    sender = wallet(node)
    begun = sender.begin.send(TO, b"a")
    node.stops = True
    with pytest.raises(TransactionFailed, match="the process ends"):
        begun.receipt()
    with pytest.raises(TransactionFailed, match="nothing is sent"):
        sender.send(TO, b"b")
    assert len(node.sent) == 1


def test_an_event_is_what_ends_it() -> None:
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(TransactionFailed, match="nothing is sent"):
        Sender(WalletNode().rpc(), KEY, stopping=stopping).send(TO, b"")


def test_a_block_takes_twelve_seconds() -> None:
    """What the tests above count on."""
    node = WalletNode()
    node.sleep(3 * BLOCK_S)
    assert len(node.chain) == 3
