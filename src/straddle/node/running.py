"""A running exchange in one folder: started, caught up with its journal, held against layer 1, and only then open for orders.

deployment.json  keys.json  journal.sqlite  poster.sqlite  snapshots/  layer1.state (of a chain of its own)  blobs/ (where data lie in blobs)
resumed-N/ (journal, poster's file and snapshots since the N-th resumption)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self, get_args

from straddle.api.hub import Hub
from straddle.api.tape import Tape
from straddle.commitments.data import QueueEntry
from straddle.commitments.policy import Data
from straddle.committee.client import CommitteeClient
from straddle.core import messages
from straddle.core.rejections import Rejection
from straddle.l1.blobs import BlobArchive
from straddle.l1.history import HistoryError
from straddle.l1.queue import queue_commands
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.agreement import check_agreement
from straddle.node.chain import LAYER1_ERRORS, LEAD_S, ChainMismatch, DevChain, Observation, QueueReader, chosen_parameters, kept_deployment, open_deployment
from straddle.node.clock import MarketClock, Timekeeper
from straddle.node.conservation import leaving_in
from straddle.node.feed import OracleReplay, RecordedMarket
from straddle.node.keys import NodeKeys, warn_of_readers
from straddle.node.layer1 import PosterChain
from straddle.node.market_state import ByHand
from straddle.node.members import DevCommittee, MembersCertifier, connect
from straddle.node.network import Display, shown
from straddle.node.operator import Operator
from straddle.node.policy import circuit_keys, pace_ms, placing_of, settling_of
from straddle.node.posting import Posting, ProverPool
from straddle.node.resuming import BLOBS, JOURNAL, POSTER, SNAPSHOTS, Loss, Resuming, Terms, log_folder, past_of
from straddle.node.settings import Settings
from straddle.node.slots import MANY, Slots
from straddle.node.solvency_thread import HOUR_MS, SolvencyThread
from straddle.node.upkeep import OperatorError
from straddle.node.version import exchange_params
from straddle.node.writer import Writer, WriterStopped
from straddle.primitives.plain import to_plain
from straddle.proving.prover import Prover
from straddle.proving.vector import circuit_name
from straddle.sequencer.batch_file import BatchFile
from straddle.sequencer.journal import Journal
from straddle.sequencer.poster import KEPT_BATCHES, BatchRecord, Facts, Poster, PosterError, Status
from straddle.sequencer.receipts import LogIdentity
from straddle.sequencer.sequencer import ClosedBatch, Logged, Sequencer
from straddle.sequencer.snapshots import Restored, SnapshotError, SnapshotStore

INCLUSION_MS = 600_000
"""Receipts promise inclusion within ten minutes of market time."""
QUEUE_GROUP = 256
"""Queue entries that go to the writer together."""
QUEUE_COMMANDS = get_args(QueueEntry)
CLOCKS = ("PROVING_WINDOW_S", "PERMISSIONLESS_AFTER_S", "FREEZE_AFTER_S")
"""The contract's periods that `straddle status` shows."""


class Node:
    """Everything that runs, as a context manager: inside it orders are taken. `failed` is set when it must end."""

    def __init__(self, settings: Settings, folder: Path, display: Display, resume: Callable[[Loss], bool] | None = None) -> None:
        """`resume`: begin a new log after the newest final batch of layer 1, if there is no other way on; asked whether that may cost what it does."""
        self._resume = resume
        self.settings, self.folder, self.display = settings, folder, display
        self.hub = Hub()
        self.tape = Tape(self.hub)
        self.failed = threading.Event()
        self.failure: BaseException | None = None
        self.on_failure: Callable[[], None] = lambda: None
        """Called once, from any thread, when the node must end."""
        self.observed: Observation | None = None
        """Layer 1 when it was last looked at."""
        self.layer1_problem = ""
        self.pending_withdrawals: dict[int, int] = {}
        """Closed batch -> what it withdraws, micro-dollars."""
        self.answered: list[QueueEntry] = []
        """Queue entries that the exchange has taken in, in order: those of this run, and those of earlier ones that layer 1 had not proved at its start."""
        self._compared = (0, 0)
        """(reading of the queue, entries of `answered`) that layer 1 still has."""
        self.committee: CommitteeClient | None = None
        """The members, where data lie with them."""
        self.solvency: SolvencyThread | None = None
        """Publishes that the exchange is solvent, if the settings say so."""
        self._awaited = Status.VERIFIED
        """A batch that is so far waits for nobody."""
        self.started_from = ""
        self.snapshot_seconds = 0.0
        """What the last snapshot took."""
        self._stack = ExitStack()
        self._stopping = threading.Event()

    # ---- start

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stopping.set()
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """In order: nothing new from layer 1 or the clock, what waits is written, a last snapshot, then the rest."""
        self._stopping.set()
        self._stack.close()

    def _open(self) -> None:
        settings, display, enter = self.settings, self.display, self._stack.enter_context
        self.folder.mkdir(parents=True, exist_ok=True)
        self.by_hand = ByHand(self.folder)
        display.stage("market", "reading the recordings, fitting the surface")
        record = self.folder / "deployment.json"
        parameters = chosen_parameters(settings, kept := kept_deployment(record))
        self.market = RecordedMarket.load(settings, parameters)
        keys = NodeKeys.open(self.folder / "keys.json", settings.epochs.oracles)
        self._warn(warn_of_readers(self.folder / "keys.json"))
        display.stage("keys", f"proving keys of preset {settings.preset} (made once, then kept)")
        prover, terms = Prover(), settings.terms
        circuits = circuit_keys(prover, settings.preset, terms.data, shown(display, "set-up"))
        display.stage("layer 1", settings.layer1.url or "an anvil of the node's own")
        genesis_s = self.market.path.start_ms // 1000 - LEAD_S
        self.chain = enter(DevChain(settings.layer1.url, self.folder / "layer1.state", genesis_s, settings.layer1.port))
        members = settings.committee.urls
        own = enter(DevCommittee(self.folder / "members", settings.committee.own)) if terms.data is Data.COMMITTEE and not members else None
        addresses = own.addresses if own else list(members)
        self.deployment = open_deployment(record, kept, self.chain, settings, parameters, keys, circuits, addresses, display.progress)
        if terms.data is Data.COMMITTEE:
            display.stage("committee", f"{len(own.addresses)} members of the node's own" if own else f"{len(members)} members")
            urls = own.start(record, self.chain.rpc.url) if own else members
            self.committee = enter(connect(self.deployment, urls))
        self.client = RollupClient(self.chain.rpc, self.deployment)
        self.clocks = {name: self.client.clock(name) for name in CLOCKS}
        self.identity = LogIdentity(self.deployment.chain_id, self.deployment.rollup_number)
        secrets = tuple(bytes(wallet.key) for wallet in keys.oracles[: settings.epochs.threshold])
        self.oracle = OracleReplay(self.market, self.identity, secrets)
        params, domain = exchange_params(settings.circuit, parameters), messages.domain(self.identity.chain_id, self.identity.rollup)
        self.terms = Terms(settings.circuit, params, parameters.fees, domain, int(keys.operator.address, 16))
        if self._resume is not None:
            self._begin_anew(keys, self._resume)
        display.stage("journal", str(log_folder(self.folder)))
        self._catch_up(keys, ProverPool(prover, circuit_name(settings.preset, terms.data), settings.prover.workers))
        self._check_committed()
        if settings.solvency.every_hours:
            self.solvency = SolvencyThread.of(self.client, settings.preset, prover, keys.operator, self.folder / BLOBS, self.committee)
        self._start()

    def _begin_anew(self, keys: NodeKeys, agreed: Callable[[Loss], bool]) -> None:
        self.display.stage("resuming", "the state that layer 1 has")
        past = past_of(self.chain.rpc, self.deployment, self.folder, self.committee)
        resuming = Resuming(self.folder, self.client, self.identity, self.terms, keys.sequencer, past, self.settings.layer1.confirmations, self.notice)
        self.notice(f"a new log begins in {resuming.resume(agreed)}")

    def _catch_up(self, keys: NodeKeys, provers: ProverPool) -> None:
        """Journal, snapshot, poster, sequencer: the state that was acknowledged."""
        log = log_folder(self.folder)
        self.journal = Journal(log / JOURNAL, self.identity)
        self._stack.callback(self.journal.close)
        self.snapshots = SnapshotStore(log / SNAPSHOTS, self.identity)
        begun = time.perf_counter()
        self.posting = Posting(self._fail, self._batch_moved, self.chain.keep)
        file, final = BatchFile(log / POSTER, self.posting.report), self.client.final_batch()
        self._stack.callback(file.close)
        restored = self.snapshots.restore(self.journal, file.reach(final), self._warn)
        start = restored or self.terms.beginning(self.journal)
        try:
            self.poster = self._poster(keys, provers, file, start)
        except PosterError as error:
            if restored is None:
                raise
            self._warn(f"{error}; the whole journal is replayed instead of the part after the snapshot")
            restored, start = None, self.terms.beginning(self.journal)
            self.poster = self._poster(keys, provers, file, start)
        self._stack.callback(self.poster.close)
        self._stack.callback(provers.close)  # before the poster, which waits for its proofs: a restart makes them again
        self.posting.open(self.poster)
        exchange = start.exchange
        self.answered = [*self.poster.answered(final), *exchange.open_batch.queue]
        self.pending_withdrawals = self.poster.leaving(final)
        self.sequencer = Sequencer(
            exchange,
            start.committed,
            self.journal,
            keys.sequencer,
            clock_ms=lambda: exchange.table.time_ms if exchange.table else self.market.path.start_ms,
            inclusion_ms=INCLUSION_MS,
            on_batch=self._batch_closed,
            on_logged=self._logged,
            may_close=self.slots.may_close,
            start=start.position,
        )
        replayed, origin = self.journal.sequence - start.position.sequence, self.journal.origin
        self._snapshot_batches = start.position.batches
        self.started_from = f"snapshot at entry {start.position.sequence}" if restored else f"batch {origin.batch_number} of layer 1" if origin else "genesis"
        if self.journal.sequence:
            self.display.progress(f"{replayed} entries replayed from {self.started_from} in {time.perf_counter() - begun:.1f} s")
        else:
            self.display.progress("empty: a new exchange")

    def _poster(self, keys: NodeKeys, provers: ProverPool, file: BatchFile, start: Restored) -> Poster:
        deployment, params = self.deployment, self.terms.params
        facts = Facts(
            params=params,
            preset=self.settings.circuit,
            domain=self.terms.domain,
            chain_id=deployment.chain_id,
            rollup=deployment.rollup_number,
            vk_id=deployment.vk_id,
            genesis_root=deployment.config.genesis_root,
            beneficiary=int(keys.sequencer.address, 16),
        )
        archive = BlobArchive(self.folder / BLOBS) if deployment.config.data is Data.BLOB else None
        sender = Sender(self.chain.rpc, bytes(keys.sequencer.key), alone=True, stopping=self.posting.stopping, most=self.settings.layer1.most)
        chain = PosterChain(self.client, sender, self.chain.reach, archive)
        config = self.settings
        certifier = MembersCertifier(deployment, self.committee, keys.sequencer) if self.committee else None
        placing = placing_of(deployment, file, chain, params, config.circuit, certifier, patience_s=config.committee.patience_seconds / config.market.speed)
        settling = settling_of(deployment, file, chain, early=config.rollup.prove == "early")
        self._awaited = settling.awaited
        self.slots = Slots(settling.slots, lambda: self.journal.batches - self.posting.verified, self._bonds, pace_ms(deployment, settling.slots))
        workers = config.prover.workers
        return Poster(file, facts, chain, provers, placing=placing, settling=settling, workers=workers, after_batch=start.position.batches)

    def _check_committed(self) -> None:
        """The replayed state is what layer 1 has proved, or follows from it. Before anybody may send an order."""
        genesis_root = self.deployment.config.genesis_root
        check_agreement(self.client, self.journal, genesis_root)
        exchange = self.sequencer.exchange
        if self.sequencer.state_root != (self.journal.batch_root(self.journal.batches) if self.journal.batches else genesis_root):
            raise ChainMismatch(f"state root {self.sequencer.state_root:#x} after the replay is not the journal's")
        market_ms = max(self.market.path.start_ms, exchange.table.time_ms if exchange.table else 0, exchange.time_ms)
        if self.journal.sequence or self.journal.origin:  # layer 1's clock may have gone on while the exchange was away
            market_ms = max(market_ms, min(1000 * self.chain.time_s(), self.market.path.end_ms))
        self.chain.check_clock(market_ms)
        self.clock = MarketClock(market_ms, self.settings.market.speed, self.market.path.end_ms)

    def _start(self) -> None:
        """The threads, each ended before what it uses."""
        first = Timekeeper(self.sequencer, self.clock, self.settings.epochs.clock_ms)
        self.writer = Writer(self.sequencer, first=first, between=self._between, on_failure=self._fail)
        self.operator = Operator(
            self.settings,
            self.writer,
            self.sequencer,
            self.oracle,
            self.poster,
            self.clock,
            self.by_hand,
            lag=self.lag,
            slots=self.slots,
            trouble=lambda: self.chain.trouble,
            notice=self.notice,
            on_failure=self._fail,
        )
        self.queue = QueueReader(self.client, self.settings.layer1.confirmations)
        watcher = threading.Thread(target=self._watch, name="layer 1")
        self._stack.callback(self.posting.stop)
        self.writer.start()
        self._stack.callback(self._last_snapshot)
        self._stack.callback(self.writer.stop)
        self.operator.open()
        self._look()
        self.posting.start()
        watcher.start()
        self._stack.callback(watcher.join)
        self.operator.start()
        self._stack.callback(self.operator.stop)
        if self.solvency:
            self._stack.callback(self.solvency.stop)
            self.solvency.start(int(self.settings.solvency.every_hours * HOUR_MS), self.clock.now_ms, self.chain.keep, self.notice, self._fail)

    # ---- while it runs

    def lag(self) -> int:
        """Closed batches that wait for the poster or the prover."""
        return self.journal.batches - self.posting.reached(self._awaited)

    def _bonds(self) -> int:
        """Closed batches that are not proposed, and more, that the wallet had bonds for when layer 1 was looked at last."""
        if self.observed is None or not self.deployment.config.optimistic:
            return MANY
        waiting = self.journal.batches - self.posting.reached(Status.PROPOSED)
        return self.observed.settlement.wallet_wei // self.deployment.config.proposer_bond_wei - waiting

    def notice(self, text: str) -> None:
        """Something that the operator should see."""
        self.display.progress(text)

    def _watch(self) -> None:
        pause = self.settings.layer1.poll_seconds
        try:
            while not self._stopping.wait(pause):
                self._look()
        except WriterStopped:
            return
        except BaseException as error:
            self._fail(error)

    def _look(self) -> None:
        """Layer 1's newest state, and its queue into the exchange."""
        try:
            self.observed = self.queue.look(lambda: not self._stopping.is_set())
            self._end_window(self.observed)
            self._check_answered()
            self._take_queue()
            self.layer1_problem = ""
        except (*LAYER1_ERRORS, HistoryError) as error:
            self.layer1_problem = self.chain.trouble or str(error)

    def _end_window(self, seen: Observation) -> None:
        """A development chain's clock stands while nothing is posted: it goes on to the end of the oldest window when the market's clock has passed it."""
        if self.deployment.config.optimistic and seen.final < seen.proposed:
            over_s = self.client.batch(seen.final + 1).proposed_at_s + self.deployment.config.challenge_window_s
            if self.clock.now_ms() > 1000 * over_s:
                self.chain.reach(1000 * over_s)

    def _take_queue(self) -> None:
        pointer = self.sequencer.exchange.queue_pointer
        if pointer >= len(self.queue.entries):
            return
        self.chain.keep()  # a chain of our own must still have them after a crash
        commands = queue_commands(self.queue.entries[pointer:])
        while commands and (room := min(self.slots.queue_room, QUEUE_GROUP)):
            group, commands = commands[:room], commands[room:]
            for command, answer in zip(group, self.writer.submit(group).result(), strict=True):
                if isinstance(answer, Rejection):
                    raise OperatorError(f"queue entry {command.queue_index} refused: {answer.code.value}, {answer.message}")

    def _check_answered(self) -> None:
        """Nothing that the exchange has answered is gone from layer 1's queue: such a batch could never be proved. ChainMismatch names the first that is."""
        reading, compared = self._compared
        count = len(self.answered)  # the writer adds to them meanwhile
        for command in self.answered[compared if reading == self.queue.readings else 0 : count]:
            place = command.queue_index
            found = next(iter(queue_commands(self.queue.entries[place : place + 1])), None)
            if found is None and self.queue.is_behind:
                raise HistoryError(f"layer 1 went back: queue entry {place}, which the exchange has answered, is waited for")
            if found != command:
                raise ChainMismatch(
                    f"queue entry {place}: the exchange has answered {command}, but layer 1 now has {found}. Layer 1 went back further than "
                    f"layer1.confirmations = {self.settings.layer1.confirmations}: no batch since can be proved. Start from a copy of the folder that is older "
                    "than the entry, with more confirmations"
                )
        self._compared = (self.queue.readings, count)

    def _batch_closed(self, closed: ClosedBatch) -> None:
        self.pending_withdrawals[closed.batch.number] = leaving_in(closed.batch)
        if self.observed is not None:
            for number in [number for number in self.pending_withdrawals if number <= self.observed.final - KEPT_BATCHES]:  # layer 1 may go back
                del self.pending_withdrawals[number]
        self.posting.add(closed)

    def _logged(self, entries: Sequence[Logged]) -> None:
        self.answered += [entry.command for entry in entries if isinstance(entry.command, QUEUE_COMMANDS)]
        self.tape.record(entries)
        self.oracle.record(entries)

    def _batch_moved(self, record: BatchRecord) -> None:
        self.hub.publish("batches", lambda: to_plain(record))
        if record.status is Status.VERIFIED:
            self.notice(f"batch {record.number} final on layer 1")

    def _between(self) -> None:
        """In the writer's thread."""
        self.tape.flush(self.sequencer.exchange)
        if self.journal.batches - self._snapshot_batches >= self.settings.snapshots.batches:
            self._snapshot()

    def _snapshot(self) -> None:
        begun = time.perf_counter()
        self._snapshot_batches = self.journal.batches
        try:
            self.snapshots.write(self.sequencer.exchange, self.sequencer.committed, self.sequencer.position)
            self.snapshots.prune(self.posting.reached(Status.CLOSED))
        except (OSError, SnapshotError) as error:
            self._warn(f"no snapshot was written: {error}; a restart takes longer, nothing is lost")
        self.snapshot_seconds = time.perf_counter() - begun

    def _last_snapshot(self) -> None:
        """After the writer has ended, so that the next start is quick."""
        if self.failure is None:
            self._snapshot()

    def _warn(self, text: str | None) -> None:
        if text:
            self.display.progress(f"warning: {text}")

    def _fail(self, error: BaseException) -> None:
        """The first failure ends the node."""
        if not self.failed.is_set():
            self.failure = error
            self.failed.set()
            self.on_failure()
