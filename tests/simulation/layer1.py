"""A layer 1 in memory that goes back: blocks of transactions, the last few of which a reorg undoes. It keeps the rules that the contracts keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from straddle.commitments.preset import Preset
from straddle.core.commands import L1Deposit
from straddle.l1.sender import TransactionFailed
from straddle.proving.checker import check
from straddle.proving.keys import Proof
from straddle.proving.prover import ProveResult
from straddle.proving.vector import PostedBatch
from straddle.proving.witness import Witness
from straddle.sequencer.poster import SignedEpoch
from straddle.sequencer.round import Landed

from .traffic import Entry

FINALITY_BLOCKS = 6


class Interrupted(Exception):
    """Layer 1 or the prover does not answer this time."""


class Killed(BaseException):
    """The node ends in the middle of a round."""


@dataclass(frozen=True)
class Undo:
    """How a reorg takes a transaction back."""

    run: Callable[[], None]
    entry: Entry | None = None


@dataclass(eq=False)
class Waiting:
    """A transaction on its way; the same call is the same transaction, as `Sender` has it. What no longer holds when it is mined fails."""

    layer1: ReorgingLayer1
    call: tuple[str, int, bytes]
    check: Callable[[], None]
    apply: Callable[[], None]
    undo: Callable[[], None]
    unheard: bool = False
    """Nobody hears that it was mined."""
    failed: bool = False

    def landed(self) -> Landed:
        self.layer1.may_kill()
        if self.unheard:
            raise Interrupted("the answer is lost")
        self.layer1.mine_waiting()
        self.layer1.may_kill()
        if self.failed:
            raise TransactionFailed("failed when it was mined")
        return Landed(f"{self.layer1.transactions:#x}", 1)


class ReorgingLayer1:
    """What the contracts hold, and the queue. `interrupt_in` counts down over transactions: at 1 the next one is lost, at 0 its answer is; `kill_in` over the
    poster's steps. What is sent waits for a block, and builds on what waits before it."""

    def __init__(self) -> None:
        self.epochs: dict[int, SignedEpoch] = {}
        self.proposed: list[PostedBatch] = []
        self.proven = 0
        self.final_proven = 0
        """Batches proven in blocks that no reorg takes back."""
        self.credited = 0
        """Micro-dollars that owners may claim, or have claimed, by the batches proven."""
        self.queue: list[Entry] = []
        self.final_queue = 0
        """Entries that no reorg takes back: what a node may answer."""
        self.transactions = 0
        self.interrupt_in: int | None = None
        self.kill_in: int | None = None
        self.shared_blocks = 0
        """Blocks with several transactions of the poster's."""
        self._pool: list[Waiting] = []
        self._blocks: list[list[Undo]] = []
        self._heights: list[tuple[int, int]] = []
        """After each block: length of the queue, batches proven."""
        self._final_height = 0

    def mine(self, entries: list[Entry]) -> None:
        """A block with whatever waits, and users' transactions. Their place in the queue follows from the order."""
        block, pool = [], list(self._pool)
        self._pool.clear()
        self.shared_blocks += len(pool) > 1
        for waiting in pool:
            try:
                waiting.check()
            except AssertionError:  # users' entries or a reorg came between
                waiting.failed = True
            else:
                waiting.apply()
                block.append(Undo(waiting.undo))
        for entry in entries:
            placed = replace(entry, queue_index=len(self.queue))
            self.queue.append(placed)
            block.append(Undo(lambda: (self.queue.pop(), None)[1], placed))
        self._seal(block)

    def mine_waiting(self) -> None:
        """A block, if anything waits for one."""
        if self._pool:
            self.mine([])

    def reorg(self, depth: int, rng: Random) -> int:
        """Takes back up to `depth` blocks that are not final; users' entries come again in another order. Blocks undone."""
        depth = min(depth, len(self._blocks) - self._final_height)
        entries = []
        for _ in range(depth):
            for undo in reversed(self._blocks.pop()):
                undo.run()
                entries += [undo.entry] if undo.entry else []
            self._heights.pop()
        rng.shuffle(entries)
        for entry in entries:
            self.mine([entry])
        return depth

    def deposited(self, queue_pointer: int) -> int:
        """Micro-dollars of the deposits before an entry of the queue: what the vault holds of them, or owners were credited."""
        return sum(entry.amount for entry in self.queue[:queue_pointer] if isinstance(entry, L1Deposit))

    # ---- what the poster asks for

    def head(self) -> str:
        """Another one after every block, and after every reorg."""
        return f"{len(self._blocks)} {self.transactions}"

    def epoch_hash(self, epoch: int) -> bytes | None:
        return self.epochs[epoch].hash if epoch in self.epochs else None

    def proposed_batch(self) -> int:
        return len(self.proposed)

    def final_batch(self) -> int:
        return self.proven

    def header_hash(self, batch_number: int) -> bytes:
        assert self.proven <= batch_number <= len(self.proposed)
        return self.proposed[batch_number - 1].header_hash

    def submit_epoch(self, epoch: SignedEpoch) -> Waiting:
        def check() -> None:
            assert epoch.epoch not in self.epochs, f"epoch {epoch.epoch} is recorded already"

        def apply() -> None:
            self.epochs[epoch.epoch] = epoch

        return self._send(("epoch", epoch.epoch, epoch.hash), check, apply, lambda: (self.epochs.pop(epoch.epoch), None)[1])

    def propose(self, batch: PostedBatch, certificates: Sequence[bytes] = ()) -> Waiting:
        effects = batch.effects

        def check() -> None:
            parent = self.proposed[-1].effects if self.proposed else None
            assert effects.batch_number == len(self.proposed) + 1
            assert set(range(parent.epoch if parent else 1, effects.epoch + 1)) <= self.epochs.keys()
            assert parent is None or (effects.old_state_root, effects.first_sequence) == (parent.new_state_root, parent.last_sequence + 1)
            assert effects.queue == tuple(self.queue[effects.queue_first : effects.queue_first + len(effects.queue)])

        call = ("propose", effects.batch_number, batch.header_hash)
        return self._send(call, check, lambda: self.proposed.append(batch), lambda: (self.proposed.pop(), None)[1])

    def prove(self, batch: PostedBatch, proof: Proof) -> Waiting:
        public, effects = batch.witness.public, batch.effects
        leaves = sum(withdrawal.amount for withdrawal in effects.withdrawals) + sum(effects.paid)

        def check() -> None:
            assert self.proven < len(self.proposed) and batch.header_hash == self.proposed[self.proven].header_hash
            assert proof.public == (public.c, public.z, public.y_effects, public.y_body, public.beneficiary)

        def step(by: int) -> None:
            self.proven += by
            self.credited += by * leaves

        return self._send(("prove", effects.batch_number, batch.header_hash), check, lambda: step(1), lambda: step(-1))

    def may_kill(self) -> None:
        """Before or after a step of the poster's."""
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in <= 0:
                self.kill_in = None
                raise Killed

    def _send(self, call: tuple[str, int, bytes], check: Callable[[], None], apply: Callable[[], None], undo: Callable[[], None]) -> Waiting:
        self.may_kill()
        for same in (waiting for waiting in self._pool if waiting.call == call):
            same.unheard = False
            return same
        if self.interrupt_in is not None:
            self.interrupt_in -= 1
            if self.interrupt_in == 1:
                raise Interrupted("the transaction is lost")
        for waiting in self._pool:
            waiting.apply()
        try:
            check()
        finally:
            for waiting in reversed(self._pool):
                waiting.undo()
        sent = Waiting(self, call, check, apply, undo)
        self._pool.append(sent)
        if self.interrupt_in is not None and self.interrupt_in <= 0:
            self.interrupt_in, sent.unheard = None, True
        self.may_kill()
        return sent

    def _seal(self, block: list[Undo]) -> None:
        self.transactions += 1
        self._blocks.append(block)
        self._heights.append((len(self.queue), self.proven))
        self._final_height = max(self._final_height, len(self._blocks) - FINALITY_BLOCKS)
        if self._final_height:
            self.final_queue, self.final_proven = self._heights[self._final_height - 1]


class CheckingProver:
    """In the prover's place: the independent checker of the statement, on one batch of `every`. It refuses what could not be proved."""

    def __init__(self, preset: Preset, every: int, first: int = 0) -> None:
        """Batches with number % `every` == `first` are checked."""
        self.proofs: list[int] = []
        self.checked = 0
        self.stalls = 0
        """Times that the prover is not ready yet."""
        self._preset = preset
        self._every = every
        self._first = first

    def prove(self, witness: Witness) -> ProveResult:
        if self.stalls:
            self.stalls -= 1
            raise Interrupted("the prover is busy")
        number = witness.header.batch_number
        if number % self._every == self._first:
            failure = check(witness, self._preset)
            assert failure is None, f"batch {number} could not be proved: {failure}"
            self.checked += 1
        self.proofs.append(number)
        public = witness.public
        words = (public.c, public.z, public.y_effects, public.y_body, public.beneficiary)
        return ProveResult(Proof((1, 2), (3, 4, 5, 6), (7, 8), (9, 10), (11, 12), words), 2.0, 1.5)
