"""Layer 1 of a run: anvil, the contracts, the wallets, and the poster that writes to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.commitments.policy import Data
from straddle.core import messages
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.l1.anvil import Anvil
from straddle.l1.deploying import CircuitKeys, deploy
from straddle.l1.deployment import Deployment, RollupConfig
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.choice import PATIENCE_S
from straddle.node.config import DemoConfig
from straddle.node.layer1 import PosterChain
from straddle.node.market import Market
from straddle.node.policy import placing_of, settling_of
from straddle.node.terms import MEMBERS
from straddle.node.traders import Trader, address_of, wallet_of
from straddle.node.version import exchange_params
from straddle.proving.prover import Progress
from straddle.sequencer.batch_file import BatchFile, BatchRecord
from straddle.sequencer.placing import Certifier
from straddle.sequencer.poster import BatchProver, Facts, Landed, Poster, Sent, SignedEpoch
from straddle.sequencer.receipts import LogIdentity


class Display(Protocol):
    """Who is told how far the run is."""

    def stage(self, name: str, detail: str = "") -> None:
        """A new stage begins."""

    def progress(self, detail: str, done: float | None = None) -> None:
        """Within the stage; `done` from 0 to 1 where it is known."""


@dataclass(frozen=True, slots=True)
class TableCost:
    """What publishing a risk table took on layer 1."""

    gas: int
    data_bytes: int
    """Of its inputs."""


@dataclass(frozen=True, slots=True)
class _MeteredTable:
    """A table on its way, whose cost is kept when it has landed."""

    sent: Sent
    data_bytes: int
    tables: list[TableCost]

    def landed(self) -> Landed:
        """When it is mined."""
        landed = self.sent.landed()
        self.tables.append(TableCost(landed.gas, self.data_bytes))
        return landed


@dataclass(frozen=True, slots=True)
class _MeteredChain(PosterChain):
    """Keeps the cost of what the oracles publish, which no batch's record holds."""

    tables: list[TableCost] = field(default_factory=list)

    def submit_epoch(self, epoch: SignedEpoch) -> Sent:
        """Record a signed epoch, and its cost."""
        return _MeteredTable(PosterChain.submit_epoch(self, epoch), len(epoch.inputs), self.tables)


class Network:
    """Layer 1 of a run: anvil, contracts, wallets."""

    def __init__(self, config: DemoConfig, market: Market, anvil: Anvil, keys: CircuitKeys) -> None:
        self.config = config
        self.anvil = anvil
        self.tables: list[TableCost] = []
        self.operator = wallet_of(config.seed, "operator")
        self.sequencer = wallet_of(config.seed, "sequencer")
        self._parameters = market.parameters
        self.params = exchange_params(config.circuit, market.parameters)
        oracles = sorted((wallet_of(config.seed, f"oracle-{i}") for i in range(config.oracles)), key=address_of)
        self.secrets = tuple(bytes(wallet.key) for wallet in oracles[: config.threshold])
        count = MEMBERS if config.terms.data is Data.COMMITTEE else 0
        self.members = sorted((wallet_of(config.seed, f"member-{i}") for i in range(count)), key=address_of)
        """Of the data committee, ascending by address; none under other policies."""
        for wallet in (self.operator, self.sequencer):
            anvil.fund(wallet.address)
        self.deployment = self._deploy(keys, tuple(wallet.address for wallet in oracles))
        self.client = RollupClient(anvil.rpc, self.deployment)
        self.identity = LogIdentity(self.deployment.chain_id, self.deployment.rollup_number)

    @property
    def domain(self) -> int:
        """What every signature is bound to."""
        return messages.domain(self.identity.chain_id, self.identity.rollup)

    def join(self, trader: Trader, amount_micros: int) -> None:
        """A trader deposits, which opens an account, and sets its key."""
        self.anvil.fund(trader.wallet.address)
        self.client.mint(Sender(self.anvil.rpc, bytes(self.operator.key)), trader.wallet.address, amount_micros)
        sender = Sender(self.anvil.rpc, bytes(trader.wallet.key))
        trader.account = self.client.deposit(sender, amount_micros).account
        self.client.set_key(sender, trader.account, trader.key.public, trader.key.base)

    def insure(self, amount_micros: int) -> None:
        """The operator pays into the insurance fund."""
        sender = Sender(self.anvil.rpc, bytes(self.operator.key))
        self.client.mint(sender, self.operator.address, amount_micros)
        self.client.deposit(sender, amount_micros, INSURANCE_ACCOUNT)

    def poster(
        self,
        path: Path,
        prover: BatchProver,
        report: Callable[[BatchRecord], None],
        workers: int = 1,
        certifier: Certifier | None = None,
        patience_s: float = PATIENCE_S,
    ) -> Poster:
        """The poster of this rollup, paid by the sequencer's wallet. `workers` proofs are made at a time; `certifier` is the way to a committee."""
        chain = _MeteredChain(self.client, Sender(self.anvil.rpc, bytes(self.sequencer.key)), self._reach, tables=self.tables)
        file = BatchFile(path, report)
        placing = placing_of(self.deployment, file, chain, self.params, self.config.circuit, certifier, patience_s=patience_s)
        settling = settling_of(self.deployment, file, chain)
        return Poster(file, self._facts(), chain, prover, placing=placing, settling=settling, workers=workers)

    def _reach(self, time_ms: int) -> None:
        """Layer 1's clock has passed a table's time."""
        self.anvil.set_time_at_least(-(-time_ms // 1000) + 1)

    def _facts(self) -> Facts:
        deployment = self.deployment
        return Facts(
            params=self.params,
            preset=self.config.circuit,
            domain=self.domain,
            chain_id=deployment.chain_id,
            rollup=deployment.rollup_number,
            vk_id=deployment.vk_id,
            genesis_root=deployment.config.genesis_root,
            beneficiary=address_of(self.sequencer),
        )

    def _deploy(self, keys: CircuitKeys, oracles: tuple[str, ...]) -> Deployment:
        preset = self.config.circuit
        committed = CommittedState.genesis(self.params, address_of(self.operator))
        config = RollupConfig(
            sequencer=self.sequencer.address,
            operator=self.operator.address,
            oracles=oracles,
            threshold=self.config.threshold,
            genesis_root=committed.root,
            params_hash=params_hash(self.params),
            account_depth=preset.account_depth,
            queue_rows=preset.queue,
            withdrawal_rows=preset.withdrawals,
            body_cells=preset.body_words,
            **self.config.terms.fields([wallet.address for wallet in self.members]),
        )
        return deploy(self.anvil.rpc, Sender(self.anvil.rpc, bytes(self.operator.key)), keys, config, parameters=self._parameters)


def shown(display: Display, what: str) -> Callable[[Progress], None]:
    """The prover's progress on the display, under a heading."""
    return lambda progress: display.progress(f"{what}: {progress.stage}", progress.done)
