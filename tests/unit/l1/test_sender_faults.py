"""Whatever single thing goes wrong between a wallet and its node: a call that is sent until it succeeds is executed exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_utils.crypto import keccak

from straddle.l1.rpc import ConnectionFailed, RpcError
from straddle.l1.sender import Receipt, Sender, Sending, TransactionFailed
from tests.support.wallet_node import BLOCK_S, WalletNode, clocked

KEY = keccak(b"a wallet")
TO = "0x" + "22" * 20
FAILED = (ConnectionFailed, RpcError, TransactionFailed)
FAULTS = {
    "lost": "lost",
    "late": "late",
    "refused": '!{"error": {"code": -32005, "message": "limit exceeded"}}',
    "refused, and done": '{"error": {"code": -32603, "message": "internal error"}}',
    "no answer known": '!{"result": null}',
    "another type": '{"result": {"a": [1]}}',
    "no JSON": "<html>",
}


def wallet(node: WalletNode, *, alone: bool = True) -> Sender:
    return Sender(node.rpc(), KEY, alone=alone, stopping=node)  # type: ignore[arg-type]


def until_done(node: WalletNode, step: Callable[[], Receipt]) -> Receipt:
    for _ in range(8):
        try:
            return step()
        except FAILED:
            node.sleep(5.0)
    raise AssertionError("never done")


def failing(first: int, calls: int, what: str) -> Callable[[str], str]:
    """Requests from one on go wrong, so many of them."""
    count = iter(range(10**9))
    return lambda method: what if first <= next(count) < first + calls else ""


def one_by_one(node: WalletNode) -> list[tuple[bytes, Receipt]]:
    sender, done = wallet(node), []
    for data in (b"a", b"b", b"a"):  # the third is meant: a second time
        done.append((data, until_done(node, lambda data=data: sender.send(TO, data))))  # type: ignore[misc]
    return done


def together(node: WalletNode) -> list[tuple[bytes, Receipt]]:
    """All are begun, then asked for; those that failed are sent again."""
    sender, begun = wallet(node), list[tuple[bytes, Sending | None]]()
    for data in (b"a", b"b", b"c"):
        try:
            begun.append((data, sender.begin.send(TO, data)))
        except FAILED:
            begun.append((data, None))
    done = []
    for data, sending in begun:
        try:
            assert sending is not None
            done.append((data, sending.receipt()))
        except (*FAILED, AssertionError):
            done.append((data, until_done(node, lambda data=data: sender.send(TO, data))))  # type: ignore[misc]
    return done


@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.parametrize("course", [one_by_one, together])
def test_a_call_is_executed_exactly_once_whatever_fails_once(course: Any, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five requests where the reads are tried again: all of those fail too."""
    calls = 5 if what in ("lost", "late") else 1
    plain = clocked(WalletNode(), monkeypatch, look_s=3.0)
    course(plain)
    wrong = []
    for first in range(len(plain.methods) + 1):
        node = clocked(WalletNode(), monkeypatch, look_s=3.0)
        node.fault = failing(first, calls, FAULTS[what])
        try:
            check(node, course(node))
        except AssertionError as error:
            wrong.append((first, node.methods[first : first + 1], str(error)[:200]))
    assert wrong == []


def check(node: WalletNode, done: list[tuple[bytes, Receipt]]) -> None:
    """Each receipt is one call's, and nothing else was executed."""
    node.sleep(3 * BLOCK_S)
    data_of = {item.name: item.data for item in node.mined}
    assert [data for data, _ in done] == [data_of[receipt.transaction_hash] for _, receipt in done]
    assert sorted(receipt.transaction_hash for _, receipt in done) == sorted(data_of)
    assert node.pool == {}
