"""What was published through Solvency is read from transactions, and what they say is held against their logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from eth_abi.abi import encode
from support.holdings import CHUNKS

from straddle.commitments.holdings import ClaimLine, Holdings, encode_body, encode_effects
from straddle.l1.contracts import load
from straddle.l1.deployment import Deployment, DeploymentError, RollupConfig, StatementContract
from straddle.l1.exits import ExitsClient
from straddle.l1.history import HistoryError
from straddle.l1.rollup import words_bytes
from straddle.l1.rpc import Rpc
from straddle.l1.solvency import SolvencyClient

ADDRESS, PUBLISHER, OTHER = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20
CHUNK = Holdings(5, 6, 7, 0, 2, 50, 40, 0, 1, 99, -8, (ClaimLine(3, 0xA3, 40),), (4, -4))
CONTRACT = load("Solvency")


def deployment() -> Deployment:
    config = RollupConfig(ADDRESS, ADDRESS, (), 1, 1, 1, 8, 6, 2, 40)
    return Deployment(1, 1, ADDRESS, ADDRESS, ADDRESS, ADDRESS, b"v" * 32, config, ADDRESS, solvency=StatementContract(ADDRESS, ADDRESS, b"v" * 32, 2, 2))


class Chain:
    """A node that knows these logs and transactions."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.transactions: dict[str, dict[str, Any]] = {}

    def block_number(self) -> int:
        return len(self.found)

    def logs(self, address: str, first: int, last: int) -> list[dict[str, Any]]:
        return [log for log in self.found if first <= int(log["blockNumber"], 16) <= last]

    def transaction(self, transaction_hash: str) -> dict[str, Any]:
        return self.transactions[transaction_hash]

    def log(self, name: str, *indexed: Any, **plain: tuple[str, Any]) -> str:
        topics = [CONTRACT.event_topic(name)] + [encode(["address" if isinstance(item, str) else "uint256"], [item]) for item in indexed]
        data = encode([kind for kind, _ in plain.values()], [value for _, value in plain.values()])
        block = len(self.found) + 1
        hashed = f"0x{block:064x}"
        self.found.append({"topics": ["0x" + topic.hex() for topic in topics], "data": "0x" + data.hex(), "blockNumber": hex(block), "logIndex": "0x0",
                           "transactionHash": hashed})  # fmt: skip
        return hashed

    def begin(self, publisher: str) -> None:
        number = {"state_root": ("uint256", 6), "risk_root": ("uint256", 7), "chunks": ("uint256", 1)}
        self.log("RunBegun", publisher, 12, **number)

    def publish(self, publisher: str, chunk: Holdings = CHUNK, **changes: Any) -> None:
        arguments = (words_bytes(encode_effects(chunk, CHUNKS)), words_bytes(encode_body(chunk.nets, CHUNKS)[:1]), 1, [0] * 12, ADDRESS)
        hashed = self.log("ChunkPublished", publisher, 12, chunk=("uint256", 0))
        self.transactions[hashed] = {"to": ADDRESS, "input": "0x" + CONTRACT.encode_call("publish", *arguments).hex()} | changes

    def conclude(self, publisher: str) -> None:
        names = ("epoch", "time_ms", "liabilities", "below", "lacking_e4")
        self.log("Solvent", publisher, 12, **{name: ("uint256", i) for i, name in enumerate(names)}, fund=("int256", -8))


def client(chain: Chain) -> SolvencyClient:
    return SolvencyClient(cast(Rpc, chain), deployment())


def test_concluded_runs_are_read_with_their_chunks() -> None:
    chain = Chain()
    chain.publish(OTHER)  # of a run whose beginning is not read
    chain.begin(PUBLISHER)
    chain.publish(PUBLISHER, replace(CHUNK, cash=1))
    chain.begin(OTHER)
    chain.begin(PUBLISHER)  # anew: what was published before is gone
    chain.publish(PUBLISHER)
    chain.publish(OTHER)
    chain.conclude(PUBLISHER)
    (solvent,) = client(chain).published()
    assert (solvent.publisher, solvent.batch_number, solvent.fund, solvent.lacking_e4) == (PUBLISHER, 12, -8, 4)
    assert (solvent.begun_block, solvent.block_number, solvent.state_root, solvent.risk_root) == (5, 8, 6, 7)
    assert solvent.chunks == (CHUNK,)
    chain.conclude(OTHER)
    assert [item.publisher for item in client(chain).published()] == [PUBLISHER, OTHER]
    assert client(chain).published(7) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"to": OTHER}, "calls publish at 0x3333"),
        ({"input": "0x" + CONTRACT.encode_call("conclude").hex()}, "calls conclude"),
        ({"input": "0x12345678"}, "calls no function of Solvency"),
        ({"input": "0x" + CONTRACT.encode_call("publish", bytes(32), b"", 1, [0] * 12, ADDRESS).hex()}, "effects: 1 words"),
    ],
)
def test_a_transaction_that_is_not_what_its_log_says_is_refused(changes: dict[str, str], message: str) -> None:
    chain = Chain()
    chain.begin(PUBLISHER)
    chain.publish(PUBLISHER, **changes)
    chain.conclude(PUBLISHER)
    with pytest.raises(HistoryError, match=message):
        client(chain).published()


def test_another_chunk_than_the_logs_is_refused() -> None:
    chain = Chain()
    chain.begin(PUBLISHER)
    chain.publish(PUBLISHER, replace(CHUNK, chunk=1, fund_equity=None, lines=()))
    with pytest.raises(HistoryError, match="chunk 1, its log says 0"):
        client(chain).published()


def test_a_rollup_without_the_contracts_is_refused() -> None:
    none = replace(deployment(), solvency=None)
    with pytest.raises(DeploymentError, match="--solvency: missing, expected the address of rollup"):
        SolvencyClient(cast(Rpc, Chain()), none)
    with pytest.raises(DeploymentError, match="no Exits contract of this version"):
        ExitsClient(cast(Rpc, Chain()), none)
