"""A running node behind its interface: the calls of `straddle.api` as jobs of the writer, and the server itself."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import uvicorn

from straddle import __version__
from straddle.api import views
from straddle.api.app import Api
from straddle.api.service import Receipted, Unavailable
from straddle.core.commands import Command
from straddle.core.rejections import Rejection
from straddle.core.state import Exchange
from straddle.node.conservation import MoneyCheck
from straddle.node.running import Node
from straddle.node.writer import WriterBusy, WriterStopped
from straddle.primitives.plain import to_plain
from straddle.sequencer.codec import command_of
from straddle.sequencer.poster import Status
from straddle.sequencer.receipts import Receipt
from straddle.sequencer.sequencer import Accepted

T = TypeVar("T")

CONNECTIONS_MAX = 1_000
MESSAGE_BYTES_MAX = 64 * 1024
GRACE_S = 3


class Served:
    """`straddle.api.service.Service` of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._money = MoneyCheck()

    def command(self, operation: object, content: dict[str, Any]) -> Command:
        """CodecError (a ValueError) names the field that does not fit."""
        return command_of(operation, content)

    async def submit(self, commands: Sequence[Command]) -> list[Receipted | Rejection]:
        """As one of the writer's groups, or a part of one."""
        answers = await self._wait(lambda: self._node.writer.submit(commands))
        return [Receipted(receipt_json(answer.receipt), answer.events) if isinstance(answer, Accepted) else answer for answer in answers]

    async def read(self, view: Callable[[Exchange], T]) -> T:
        """Between two groups."""
        found: T = await self._wait(lambda: self._node.writer.call(lambda: view(self._node.sequencer.exchange)))
        return found

    async def saved(self, account: int) -> Mapping[str, Any] | None:
        """The account and its path in the state of the newest closed batch."""

        identity = self._node.identity
        view = functools.partial(views.saved, account=account, chain_id=identity.chain_id, rollup=identity.rollup)
        found: Mapping[str, Any] | None = await self._wait(lambda: self._node.writer.call(lambda: view(self._node.sequencer.committed)))
        return found

    async def receipt(self, sequence: int) -> Mapping[str, Any] | None:
        """Signed anew, by itself: not as one of the group that it was answered in."""

        def look() -> Receipt | None:
            try:
                return self._node.sequencer.receipt(sequence)
            except KeyError:
                return None

        found = await self._wait(lambda: self._node.writer.call(look))
        return None if found is None else receipt_json(found)

    async def status(self) -> Mapping[str, Any]:
        """The node as a whole, docs/reference/api.md."""
        status: Mapping[str, Any] = await self._wait(lambda: self._node.writer.call(lambda: node_status(self._node, self._money)))
        return status

    def parameters(self) -> Mapping[str, Any]:
        """Those of the deployment's record."""
        return dataclasses.asdict(self._node.deployment.parameters)

    def trades(self, instrument: int | None, limit: int) -> list[Mapping[str, Any]]:
        """From memory: since the start, and what was replayed at it."""
        return self._node.tape.trades(instrument, limit)

    def batches(self, first: int, limit: int) -> list[Mapping[str, Any]]:
        """From the poster's file."""
        return [to_plain(record) for record in self._node.poster.records(first, limit)]

    async def _wait(self, job: Callable[[], Any]) -> Any:
        try:
            return await asyncio.wrap_future(job())
        except (WriterBusy, WriterStopped) as error:
            raise Unavailable(str(error)) from error


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """docs/reference/receipts.md; hashes and the signature as hex."""
    place = receipt.place
    return {
        "chain_id": place.identity.chain_id,
        "rollup": f"{place.identity.rollup:#042x}",
        "epoch": place.epoch,
        "sequence": place.sequence,
        "previous_hash": "0x" + place.previous_hash.hex(),
        "command_hash": "0x" + place.command_hash.hex(),
        "deadline_ms": place.deadline_ms,
        "hash": "0x" + place.hash.hex(),
        "signature": "0x" + receipt.signature.hex(),
        "siblings": ["0x" + sibling.hex() for sibling in receipt.siblings],
    }


def node_status(node: Node, check: MoneyCheck) -> dict[str, Any]:
    """In the writer's thread. Amounts in micro-dollars, times in unix milliseconds of the market."""
    exchange, seen, posting = node.sequencer.exchange, node.observed, node.posting
    now, table, money = node.clock.now_ms(), exchange.table, check.look(exchange, seen, node.pending_withdrawals)
    problems = [text for text in (node.layer1_problem, posting.problem, node.by_hand.problem) if text]
    if node.solvency and node.solvency.problem:
        problems.append(f"solvency: {node.solvency.problem}")
    if money.error:
        problems.append(f"conservation: the vault and the accounts differ by {money.error} micro-dollars")
    return {
        "version": __version__,
        "preset": node.settings.preset,
        "chain_id": node.identity.chain_id,
        "rollup": f"{node.identity.rollup:#042x}",
        "vk_id": "0x" + node.deployment.vk_id.hex(),
        "layer1_url": node.chain.rpc.url,
        "started_from": node.started_from,
        "resumed_from": resumed_from(node),
        "sequence": exchange.next_sequence - 1,
        "state_root": f"{node.sequencer.state_root:#066x}",
        "market_state": exchange.market_state.value,
        "market": market_status(node),
        "market_time_ms": now,
        "epoch": table.epoch if table else 0,
        "epoch_age_ms": now - table.time_ms if table else None,
        "index_ticks": table.index_ticks if table else None,
        "instruments": len(exchange.instruments),
        "accounts": len(exchange.accounts),
        "auctions": sum(account.auction is not None for account in exchange.accounts.values()),
        "open_orders": sum(map(len, exchange.open_orders.values())),
        "batches": {
            "open": exchange.open_batch.number,
            "open_entries": exchange.next_sequence - exchange.open_batch.first_sequence,
            "closed": node.journal.batches,
            "proposed": seen.proposed if seen else None,
            "proved": posting.count(Status.PROVED, Status.VERIFIED),
            "verified": seen.final if seen else None,
            "lag": node.lag(),
            "lag_max": node.settings.batches.lag_max,
            "slots": node.slots.left,
        },
        "money": {"cash": money.cash, "vault_row": money.vault_row, "conservation_error": money.error},
        "settlement": settlement_status(node),
        "solvency": solvency_status(node),
        "layer1_block": seen.block if seen else None,
        "groups": node.writer.groups,
        "snapshot_seconds": round(node.snapshot_seconds, 4),
        "problems": problems,
    }


def market_status(node: Node) -> dict[str, Any]:
    """What the market's state follows from, and how far the recording goes."""
    allowed = node.operator.allowed
    return {
        "allowed": allowed.state.value,
        "reason": allowed.reason,
        "by_hand": node.by_hand.state.value,
        "recording_ends_ms": node.market.path.end_ms,
    }


def resumed_from(node: Node) -> dict[str, Any] | None:
    """The batch of layer 1 after which the log begins and the log's last number then; None when it begins at genesis."""
    origin = node.journal.origin
    return None if origin is None else {"batch": origin.batch_number, "sequence": origin.last_sequence, "log": node.journal.path.parent.name}


def solvency_status(node: Node) -> dict[str, Any] | None:
    """The newest proof that the node published; None when it publishes none, null where it did not yet."""
    if node.solvency is None:
        return None
    batch, time_ms = node.solvency.published or (None, None)
    return {"every_hours": node.settings.solvency.every_hours, "batch": batch, "time_ms": time_ms}


def settlement_status(node: Node) -> dict[str, Any]:
    """The policy, and where its clocks and bonds stand. Times are unix seconds of layer 1, amounts wei; None where layer 1 was not read yet."""
    config, seen = node.deployment.config, node.observed.settlement if node.observed else None
    return {
        "policy": config.policy,
        "challenge_window_s": config.challenge_window_s,
        "proposer_bond_wei": config.proposer_bond_wei,
        "challenger_bond_wei": config.challenger_bond_wei,
        "clocks": dict(node.clocks),
        "members": {address: node.committee.problems.get(address, "") for address in config.members} if node.committee else {},
        "now": None if seen is None else to_plain(seen),
    }


def http_server(api: Api) -> uvicorn.Server:
    """What speaks HTTP and WebSocket for the interface."""
    config = uvicorn.Config(
        api.app(),
        log_level="warning",
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES_MAX,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    return uvicorn.Server(config)


def serve(node: Node, listener: socket.socket) -> None:
    """Until a signal (SIGINT, SIGTERM) or the node's failure."""
    server = http_server(Api(Served(node), node.hub, node.tape))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        node.hub.attach(loop)
        node.on_failure = lambda: setattr(server, "should_exit", True)
        if node.failed.is_set():
            return
        try:
            await server.serve(sockets=[listener])
        finally:
            node.hub.detach()

    asyncio.run(run())
