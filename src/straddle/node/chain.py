"""Layer 1 of a running node: an anvil of its own whose state outlives it, or one at an address; the deployment's record; the queue as it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

from straddle.commitments.ledger import CommittedState
from straddle.commitments.params import params_hash
from straddle.l1.anvil import Anvil
from straddle.l1.contracts import load
from straddle.l1.deploying import CircuitKeys, Tell, deploy
from straddle.l1.deployment import Deployment, RollupConfig
from straddle.l1.history import BLOCKS_PER_QUERY, HistoryError, QueueEntryAdded
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import ConnectionFailed, Rpc, RpcError
from straddle.l1.sender import Sender, TransactionFailed
from straddle.node.config import ConfigError, read_parameters
from straddle.node.keys import NodeKeys
from straddle.node.settings import TABLE_AGE_S, Settings
from straddle.node.version import exchange_params, terms_of
from straddle.primitives.errors import Actionable
from straddle.primitives.files import FileError, read_text, write_atomically
from straddle.risk.market_parameters import DEFAULT_MARKET, MarketParameters

LAYER1_ERRORS = (ConnectionFailed, RpcError, TransactionFailed)
"""What passes: layer 1 does not answer, or refuses for now."""
LEAD_S = 1_800
"""A chain of the node's own starts this long before the recording, for deployment and deposits."""
FUNDS_WEI = 10**21


class ChainMismatch(Actionable):
    """Layer 1 is not where this node's folder was; the message says what differs and what to do."""


class DevChain:
    """A chain whose clock the node moves to each table's time: anvil, started here, or by somebody else at `url`."""

    def __init__(self, url: str, state: Path, genesis_time_s: int, port: int = 0) -> None:
        """`url` empty: an anvil of our own at `port`, 0 for a free one."""
        self._state = state
        self._anvil = None if url else Anvil(genesis_time_s, port=port)
        self._genesis_time_s = genesis_time_s
        self._rpc = Rpc(url, name="layer1.url (--l1)") if url else None
        self._keeping = threading.Lock()

    def __enter__(self) -> Self:
        if self._anvil is None:
            self._check_foreign()
            return self
        self._anvil.start()
        if self._state.exists():
            try:
                begun = self.time_s()
                self._anvil.rpc.call("anvil_loadState", [read_text("layer 1", self._state)])
                if self.time_s() >= begun:  # anvil's clock would go on from where it was started, and with the next block back
                    self.rpc.call("evm_setNextBlockTimestamp", [self.time_s() + 1])
            except (RpcError, FileError) as error:
                self._anvil.stop()
                raise ChainMismatch(f"layer 1: its kept state {self._state} cannot be loaded: {error}. Put it back from a copy") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._anvil is None:
            self.rpc.close()
            return
        with suppress(*LAYER1_ERRORS):  # it died: what was kept last stays
            self.keep()
        self._anvil.stop()

    @property
    def rpc(self) -> Rpc:
        """Client of the chain."""
        if self._rpc is not None:
            return self._rpc
        assert self._anvil is not None
        return self._anvil.rpc

    @property
    def trouble(self) -> str:
        """Why the chain will not come back before a restart; empty as far as is known."""
        if self._anvil is None or not self._anvil.has_ended:
            return ""
        return f"layer 1: the node's own anvil has ended; what it had at the last step is in {self._state.name}: restart the node"

    def keep(self) -> None:
        """Put the state of a chain of the node's own on disk: whatever the node takes from it must outlive a crash. For any thread."""
        if self._anvil is not None:
            with self._keeping:  # of two dumps the later one must stay
                write_atomically(self._state, str(self.rpc.call("anvil_dumpState")).encode())

    def reach(self, time_ms: int) -> None:
        """Layer 1's clock has passed a table's time."""
        wanted = -(-time_ms // 1000) + 1
        if wanted > self.time_s():
            self.rpc.call("evm_setNextBlockTimestamp", [wanted])
            self.rpc.call("evm_mine")

    def time_s(self) -> int:
        """Time of the newest block."""
        return self.rpc.time_s()

    def fund(self, address: str) -> None:
        """Give an account test ether when it has little."""
        if self.rpc.balance_wei(address) < FUNDS_WEI // 100:
            self.rpc.call("anvil_setBalance", [address, hex(FUNDS_WEI)])

    def check_clock(self, market_ms: int) -> None:
        """ConfigError when the chain is so far ahead of the market's clock that it would take no table."""
        if self.time_s() > market_ms // 1000 + TABLE_AGE_S:
            raise ConfigError(
                f"layer1.url: the chain's clock is at {self.time_s()} s, expected at most {market_ms // 1000 + TABLE_AGE_S} s, 15 minutes after the recorded "
                f"market's: start anvil with --timestamp {self._genesis_time_s}"
            )

    def _check_foreign(self) -> None:
        version = str(self.rpc.call("web3_clientVersion"))
        if not version.lower().startswith("anvil"):
            raise ConfigError(f"layer1.url: {version} answers, expected anvil: a recorded market needs a chain whose clock can be set to the recording's")


def kept_deployment(record: Path) -> Deployment | None:
    """The deployment of an exchange's folder; None before there is one. FileError, DeploymentError: its record is damaged."""
    return Deployment.from_json(read_text("deployment", record)) if record.exists() else None


def chosen_parameters(settings: Settings, kept: Deployment | None) -> MarketParameters:
    """The market's parameters: of the file that the settings name; else those of the deployment, if there is one; else the defaults."""
    if settings.market.parameters:
        return read_parameters("market.parameters", Path(settings.market.parameters))
    return kept.parameters if kept is not None else DEFAULT_MARKET


def open_deployment(
    path: Path,
    kept: Deployment | None,
    chain: DevChain,
    settings: Settings,
    parameters: MarketParameters,
    keys: NodeKeys,
    circuits: CircuitKeys,
    members: Sequence[str] = (),
    tell: Tell = lambda step, done: None,
) -> Deployment:
    """The deployment that is kept in `path`, held against the chain and the settings, or a new one, with these members of its data committee if it has one.
    `tell` hears of each step of a new one.

    DeploymentError, ChainMismatch: something differs.
    """
    for wallet in (keys.operator, keys.sequencer):
        chain.fund(wallet.address)
    wanted = _rollup_config(settings, parameters, keys, members)
    if kept is not None:
        kept.check(chain.rpc)
        _check_parameters(path, kept, parameters)
        for name in (item.name for item in fields(RollupConfig)):
            found, expected = getattr(kept.config, name), getattr(wanted, name)
            if found != expected:
                raise ChainMismatch(
                    f"deployment {path}: {name} {found}, but the settings and keys give {expected}. Use those of the deployment, or an empty folder"
                )
        if kept.vk_id != circuits.batch.id:
            found, expected = kept.vk_id.hex(), circuits.batch.id.hex()
            raise ChainMismatch(
                f"deployment {path}: vk_id 0x{found}, but this machine's key of {settings.preset} is 0x{expected}. Expected the proving keys of the set-up "
                "that it was deployed with, in this machine's cache"
            )
        return kept
    deployment = deploy(chain.rpc, Sender(chain.rpc, bytes(keys.operator.key), alone=True), circuits, wanted, parameters=parameters, tell=tell)
    chain.keep()
    write_atomically(path, deployment.to_json().encode())
    return deployment


def _check_parameters(path: Path, deployment: Deployment, parameters: MarketParameters) -> None:
    """The record's are the rollup's, and these are they. DeploymentError, ChainMismatch: not so."""
    terms_of(deployment)
    if changed := deployment.parameters.differences(parameters):
        raise ChainMismatch(
            f"deployment {path}: its market's parameters are fixed: {'; '.join(changed)}. Leave market.parameters out, or start in an empty folder"
        )


def _rollup_config(settings: Settings, parameters: MarketParameters, keys: NodeKeys, members: Sequence[str]) -> RollupConfig:
    preset, params = settings.circuit, exchange_params(settings.circuit, parameters)
    committed = CommittedState.genesis(params, int(keys.operator.address, 16))
    return RollupConfig(
        sequencer=keys.sequencer.address,
        operator=keys.operator.address,
        oracles=tuple(wallet.address for wallet in keys.oracles),
        threshold=settings.epochs.threshold,
        genesis_root=committed.root,
        params_hash=params_hash(params),
        account_depth=preset.account_depth,
        queue_rows=preset.queue,
        withdrawal_rows=preset.withdrawals,
        body_cells=preset.body_words,
        **settings.terms.fields(members),
    )


@dataclass(frozen=True, slots=True)
class Settlement:
    """The rollup's clocks and stakes at one block. Times are unix seconds of layer 1, amounts wei."""

    time_s: int
    frozen: bool
    permissionless: bool
    unanswered: int
    """Queue entries that no final batch has answered."""
    oldest_unanswered_s: int | None
    """When the oldest of them was made."""
    open_challenges: int
    reserved_wei: int
    """Bonds that the contract holds, and wei that it owes."""
    owed_wei: int
    """Of it, to the sequencer."""
    wallet_wei: int
    """What the sequencer's wallet holds."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Layer 1 at one block."""

    block: int
    proposed: int
    """Newest proposal."""
    final: int
    """Newest final batch."""
    row_micros: int
    """What the vault holds for the rollup."""
    deposits: tuple[tuple[int, int], ...]
    """(queue index, micro-dollars) of every deposit ever queued, up to this block."""
    settlement: Settlement
    """What the policy's clocks and bonds say."""


class QueueReader:
    """Follows the queue; what it has shown once comes from blocks with enough confirmations."""

    def __init__(self, client: RollupClient, confirmations: int) -> None:
        self._client = client
        self._confirmations = confirmations
        self._contract = load("Rollup")
        self._next_block = client.deployment.start_block
        self._anchor = (0, "")
        """(number, hash) of the newest block that was read for good."""
        self.entries: list[QueueEntryAdded] = []
        """Confirmed entries, by index."""
        self._highest = 0
        """Newest block that was ever read for good."""
        self.readings = 1
        """Counts the times that the queue was read from its beginning."""

    def look(self, again: Callable[[], bool] = lambda: True) -> Observation:
        """Read what is new; all from the beginning when layer 1 went back. The newest block's state. HistoryError when the queue has a gap.

        A block that comes meanwhile makes it read again as long as `again` says so; ConnectionFailed then.
        """
        while again():
            block = self._client.rpc.block_number()
            if block + 1 < self._next_block or not self._stands():
                self._restart()
            confirmed = block - self._confirmations
            self._take(confirmed)
            unconfirmed = self._read(self._next_block, block)
            proposed, final, row = self._client.proposed_batch(), self._client.final_batch(), self._client.row()
            if self._client.rpc.block_number() == block:
                deposits = tuple((entry.index, entry.word_1) for entry in [*self.entries, *unconfirmed] if entry.kind == 1)
                return Observation(block, proposed, final, row, deposits, self._settlement())
        raise ConnectionFailed("layer 1: blocks come faster than they can be read")

    @property
    def is_behind(self) -> bool:
        """Layer 1 went back and is not as high again as it was: entries that are missing may still come."""
        return self._next_block <= self._highest

    def _settlement(self) -> Settlement:
        client = self._client
        answered, length = client.queue_answered(), client.queue_length()
        return Settlement(
            time_s=client.rpc.time_s(),
            frozen=client.frozen(),
            permissionless=client.permissionless(),
            unanswered=length - answered,
            oldest_unanswered_s=client.entry_time_s(answered) if answered < length else None,
            open_challenges=client.open_challenges(),
            reserved_wei=client.reserved_wei(),
            owed_wei=client.wei_owed(client.deployment.config.sequencer),
            wallet_wei=client.rpc.balance_wei(client.deployment.config.sequencer),
        )

    def _take(self, last: int) -> None:
        if last < self._next_block:
            return
        anchor = (last, self._hash(last))
        found = self._read(self._next_block, last)
        if self._hash(last) != anchor[1]:
            raise HistoryError("layer 1 went back while its queue was read. Reading it again")
        for entry in found:
            if entry.index != len(self.entries):
                known = len(self.entries)
                self._restart()
                raise HistoryError(f"queue entry {entry.index} follows entry {known - 1}: layer 1 left some out. Reading it again")
            self.entries.append(entry)
        self._anchor, self._next_block = anchor, last + 1
        self._highest = max(self._highest, last)

    def _stands(self) -> bool:
        """Whether the blocks that were read are still in the chain."""
        number, known = self._anchor
        return not known or self._hash(number) == known

    def _hash(self, number: int) -> str:
        return str(self._client.rpc.block(number)["hash"])

    def _read(self, first: int, last: int) -> list[QueueEntryAdded]:
        found = []
        for start in range(first, last + 1, BLOCKS_PER_QUERY):
            for raw in self._client.rpc.logs(self._client.deployment.rollup, start, min(start + BLOCKS_PER_QUERY - 1, last)):
                log = self._contract.decode_log([bytes.fromhex(topic[2:]) for topic in raw["topics"]], bytes.fromhex(raw["data"][2:]))
                if log is not None and log.name == "QueueEntryAdded":
                    block_number, log_index = int(raw["blockNumber"], 16), int(raw["logIndex"], 16)
                    values = dict(log.fields) | {"owner": int(log.fields["owner"], 16)}
                    found.append(QueueEntryAdded(block_number=block_number, log_index=log_index, transaction_hash=str(raw["transactionHash"]), **values))
        return found

    def _restart(self) -> None:
        self.entries.clear()
        self._next_block, self._anchor = self._client.deployment.start_block, (0, "")
        self.readings += 1


__all__ = ["LAYER1_ERRORS", "ChainMismatch", "DevChain", "Observation", "QueueReader", "open_deployment"]
