"""The interface over a small exchange: the engine, the journal and the writer are real, only layer 1 and its poster are not there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from eth_account import Account as EthereumAccount
from starlette.testclient import TestClient
from support.market import CALL, DOMAIN, Market
from support.market import ROOMY as CAPACITY

from straddle.api import views
from straddle.api.app import Api
from straddle.api.hub import Hub
from straddle.api.service import Receipted, Unavailable
from straddle.api.tape import Tape
from straddle.commitments.ledger import CommittedState
from straddle.core.commands import Command
from straddle.core.rejections import Rejection
from straddle.core.state import Exchange
from straddle.node.served import receipt_json
from straddle.node.writer import Writer, WriterBusy, WriterStopped
from straddle.sequencer.codec import command_of
from straddle.sequencer.journal import Journal
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import Accepted, Sequencer

T = TypeVar("T")
IDENTITY = LogIdentity(31337, 0x1234)


class Small:
    """`Service` over a sequencer whose market is open and whose traders are 3 and 4."""

    def __init__(self, folder: Path) -> None:
        self.market = Market()
        self.market.join(3, 4)
        self.hub = Hub()
        self.tape = Tape(self.hub)
        params = self.market.exchange.params
        exchange = Exchange.genesis(domain=DOMAIN, operator=0xA11CE, params=params, capacity=CAPACITY)
        self.sequencer = Sequencer(
            exchange,
            CommittedState.genesis(params, 0xA11CE),
            Journal(folder / "journal.sqlite", IDENTITY),
            EthereumAccount.from_key(b"\7" * 32),
            clock_ms=lambda: 5_000,
            inclusion_ms=60_000,
            on_batch=lambda closed: None,
            on_logged=self.tape.record,
        )
        for command in self.market.commands:
            assert command is None or isinstance(self.sequencer.submit(command), Accepted)
        self.sequencer.close_batch()
        self.failures: list[BaseException] = []
        self.writer = Writer(self.sequencer, between=lambda: self.tape.flush(exchange), on_failure=self.failures.append)
        self.writer.start()

    def command(self, operation: object, content: dict[str, Any]) -> Command:
        return command_of(operation, content)

    async def submit(self, commands: Sequence[Command]) -> list[Receipted | Rejection]:
        try:
            answers = await asyncio.wrap_future(self.writer.submit(commands))
        except (WriterBusy, WriterStopped) as error:
            raise Unavailable(str(error)) from error
        return [Receipted(receipt_json(answer.receipt), answer.events) if isinstance(answer, Accepted) else answer for answer in answers]

    async def read(self, view: Callable[[Exchange], T]) -> T:
        try:
            return await asyncio.wrap_future(self.writer.call(lambda: view(self.sequencer.exchange)))
        except WriterStopped as error:
            raise Unavailable(str(error)) from error

    async def receipt(self, sequence: int) -> Mapping[str, Any] | None:
        return receipt_json(self.sequencer.receipt(sequence)) if sequence <= self.sequencer.sequence else None

    async def saved(self, account: int) -> Mapping[str, Any] | None:
        return views.saved(self.sequencer.committed, account, IDENTITY.chain_id, IDENTITY.rollup)

    async def status(self) -> Mapping[str, Any]:
        return {"sequence": self.sequencer.sequence}

    def parameters(self) -> Mapping[str, Any]:
        return {"fees": {"taker_bps": 3}}

    def trades(self, instrument: int | None, limit: int) -> list[Mapping[str, Any]]:
        return self.tape.trades(instrument, limit)

    def batches(self, first: int, limit: int) -> list[Mapping[str, Any]]:
        return [{"number": number} for number in range(first, first + limit)]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    service = Small(tmp_path_factory.mktemp("small"))
    yield service
    service.writer.stop()
    service.sequencer.close()
    assert service.failures == []


@pytest.fixture(scope="session")
def client(small: Small) -> Iterator[TestClient]:
    with TestClient(Api(small, small.hub, small.tape).app(), raise_server_exceptions=False) as client:
        assert client.portal is not None
        client.portal.call(attach, small.hub)
        yield client
        small.hub.detach()


async def attach(hub: Hub) -> None:
    hub.attach(asyncio.get_running_loop())


INSTRUMENT = CALL
