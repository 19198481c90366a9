"""Helpers for tests that talk to anvil without `Sender`."""

from __future__ import annotations

import time

from straddle.l1.rpc import Rpc


def wait_until_mined(rpc: Rpc, transaction_hash: str) -> None:
    """anvil mines after it has answered; AssertionError when the transaction is not mined within ten seconds."""
    for _ in range(1_000):
        if rpc.call("eth_getTransactionReceipt", [transaction_hash]) is not None:
            return
        time.sleep(0.01)
    raise AssertionError(f"transaction {transaction_hash} was not mined")
