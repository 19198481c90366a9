"""A rollup of any policy on anvil with a few batches closed: contracts, sequencer, poster and proofs are real, the market is the recorded one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from straddle.l1.anvil import Anvil
from straddle.l1.history import read_history
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.config import DemoConfig
from straddle.node.demo import CHAIN_LEAD_S
from straddle.node.exchange import Exchange, Identity
from straddle.node.market import Market, load_market
from straddle.node.network import Network
from straddle.node.policy import circuit_keys
from straddle.node.terms import ZK_ROLLUP, PolicyTerms
from straddle.node.traders import Trader, address_of
from straddle.proving.prover import Prover
from straddle.proving.server import ProvingServer
from straddle.proving.vector import circuit_name
from straddle.sequencer.placing import Certifier
from straddle.sequencer.poster import BatchProver, BatchRecord, Poster

DEPOSIT = 100_000_000_000


@dataclass
class Loop:
    """A running rollup. `trade` closes one more batch."""

    anvil: Anvil
    market: Market
    network: Network
    exchange: Exchange
    poster: Poster
    traders: list[Trader]
    steps: list[BatchRecord]
    folder: Path
    prover: BatchProver
    posters: Callable[[], Poster]
    """Another poster on the same file, after the first was closed: a restart."""

    @property
    def client(self) -> RollupClient:
        return self.network.client

    @property
    def sender(self) -> Sender:
        """The sequencer's wallet."""
        return Sender(self.anvil.rpc, bytes(self.network.sequencer.key))

    def stranger(self, name: str = "stranger") -> Sender:
        """Somebody with ether."""
        made = Sender(self.anvil.rpc, bytes(31) + bytes([sum(name.encode()) % 251 + 1]))
        self.anvil.fund(made.address)
        return made

    def trade(self) -> None:
        """A quote and a few trades; the batch is closed."""
        maker = next(one for one in self.exchange.crowd.makers if one.trader is self.traders[0])
        taker = next(one for one in self.exchange.crowd.takers if one.trader is self.traders[1])
        crowd = dataclasses.replace(self.exchange.crowd, makers=[maker], takers=[taker])
        crowd.quote()
        crowd.trade(crowd.hot(1), crowd.takers)
        self.exchange.session.finish_batch()

    def next_epoch(self) -> None:
        """A minute later in the market."""
        session = self.exchange.session
        session.open_epoch(session.table.time_ms + 60_000)


@contextmanager
def open_loop(
    prover: Prover,
    folder: Path,
    terms: PolicyTerms = ZK_ROLLUP,
    *,
    proving: BatchProver | None = None,
    certifier: Callable[[Network], Certifier] | None = None,
    patience_s: float = 0.0,
) -> Iterator[Loop]:
    """Deployed, deposited, the first batch (deposits, keys, listings) closed. `patience_s`: with a committee whose quorum is away."""
    config = DemoConfig.recorded(preset="nano", makers=2, takers=2, terms=terms)
    market = load_market(config)
    with Anvil(market.path.start_ms // 1000 - CHAIN_LEAD_S) as anvil, ProvingServer(prover, circuit_name("nano", terms.data)) as server:
        proving = proving or server
        network = Network(config, market, anvil, circuit_keys(prover, "nano", terms.data))
        way = certifier(network) if certifier else None
        steps: list[BatchRecord] = []

        def make_poster() -> Poster:
            return network.poster(folder / "poster.sqlite", proving, steps.append, certifier=way, patience_s=patience_s)

        poster = make_poster()
        identity = Identity(network.identity, network.domain, network.params, address_of(network.operator), network.sequencer, network.secrets)
        loop = Loop(
            anvil,
            market,
            network,
            Exchange(config, market, identity, folder, lambda closed: loop.poster.add(closed)),
            poster,
            [],
            steps,
            folder,
            proving,
            make_poster,
        )
        session, exchange = loop.exchange.session, loop.exchange
        session.on_epoch = lambda signed: loop.poster.add_epoch(signed)
        (maker, _), (taker, _) = exchange.crowd.makers, exchange.crowd.takers
        loop.traders = [maker.trader, taker.trader]
        for trader in loop.traders:
            network.join(trader, DEPOSIT)
        session.list_instruments(market.instruments)
        session.open_epoch(market.path.start_ms)
        for command in queue_commands(read_history(anvil.rpc, network.deployment).queue):
            session.submit(command)
        session.finish_batch()
        try:
            yield loop
        finally:
            loop.poster.close()
            exchange.sequencer.close()
