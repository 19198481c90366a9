"""Takes signed epochs and closed batches to layer 1: data first, so that the table's age never runs out behind a slow prover, then what makes them final.

What depends on the policy is in two strategies: `placing` (where the body goes) and `settling` (whether a proof is made for every batch, several at a
time, or for those that are challenged). Whatever can go by now goes in one round, so that one block may hold it (`round`): however slow the blocks are, the
poster needs no more of them for many batches than for one. A round is recorded in SQLite before the next begins, and layer 1 is asked what it already has, so
a restart at any point goes on without posting or proving twice. Layer 1 may go back: what it forgot in a reorg is posted again, with the proof that was kept. A
challenge window of batches is on disk, not in memory (`kept`).

    closed -> proposed -> proved -> verified
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from straddle.commitments.challenge import genesis_header_hash
from straddle.commitments.data import QueueEntry
from straddle.commitments.effects import decode_effects
from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.core.params import Params
from straddle.proving.build import HeaderFacts, post_change
from straddle.proving.keys import Proof
from straddle.proving.prover import ProveResult
from straddle.proving.vector import ChainFacts, PostedBatch, bind
from straddle.proving.witness import Witness
from straddle.sequencer.batch_file import BatchFile, BatchRecord, PosterError, SignedEpoch, Status, StoredBatch
from straddle.sequencer.foreign import other_batch, unknown_batch
from straddle.sequencer.kept import Kept, KeptBatches
from straddle.sequencer.placing import OnLayer1, Placing
from straddle.sequencer.round import TRANSACTIONS_MAX, Landed, Round, RoundOver, Sent
from straddle.sequencer.sequencer import ClosedBatch
from straddle.sequencer.settling import Pending, ProveAlways, Settling

__all__ = ["BatchProver", "BatchRecord", "Facts", "Landed", "Layer1", "Poster", "PosterError", "Sent", "SignedEpoch", "Status"]

KEPT_BATCHES = 8 * TRANSACTIONS_MAX
"""Final batches that are kept, in case that a reorg of layer 1 undoes them: as many as eight blocks can make final. A restart from the whole journal has them
all."""


class Layer1(Protocol):
    """What the poster needs of layer 1. What it sends may build on what it sent before and has not landed; REFUSALS (`round`): it is not taken."""

    def head(self) -> str:
        """What tells the newest block from any other."""

    def epoch_hash(self, epoch: int) -> bytes | None:
        """Hash of the table that is recorded for an epoch; None: none is."""

    def submit_epoch(self, epoch: SignedEpoch) -> Sent:
        """Submit a signed epoch."""

    def proposed_batch(self) -> int:
        """Number of the newest proposal."""

    def final_batch(self) -> int:
        """Number of the newest final batch."""

    def header_hash(self, batch_number: int) -> bytes:
        """Header hash of the newest final batch or of a proposal after it."""

    def propose(self, batch: PostedBatch, certificates: Sequence[bytes]) -> Sent:
        """Propose the batch; with a committee's certificates when its body lies there."""

    def prove(self, batch: PostedBatch, proof: Proof) -> Sent:
        """Prove a proposal."""


class BatchProver(Protocol):
    """What the poster needs of the prover."""

    def prove(self, witness: Witness) -> ProveResult:
        """Prove."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What stays the same for all batches; `rollup` and `beneficiary` are addresses as integers."""

    params: Params
    preset: Preset
    domain: int
    chain_id: int
    rollup: int
    vk_id: bytes
    genesis_root: int
    beneficiary: int


class Poster:
    """One rollup's way to layer 1. Closed batches come in order; `post` takes them as far as they go, `advance` only as far as it goes without waiting.

    One thread at a time adds and posts; epochs, records and their reports may come from others.
    """

    def __init__(
        self,
        file: BatchFile,
        facts: Facts,
        layer1: Layer1,
        prover: BatchProver,
        *,
        placing: Placing | None = None,
        settling: Settling | None = None,
        kept_batches: int = KEPT_BATCHES,
        workers: int = 1,
        after_batch: int = 0,
    ) -> None:
        """`file` holds the batches' status and is closed with the poster. Without `placing` and `settling`: calldata, and a proof always. `workers` proofs are
        made at a time, each in a thread.

        Batches up to `after_batch` will not be added (a restart from a snapshot): those that are not final are in the file. PosterError: it does not know that
        batch.
        """
        self._facts = facts
        self._layer1 = layer1
        self._prover = prover
        self._kept_batches = kept_batches
        self._workers = workers
        self._file = file
        self._placing = placing or OnLayer1(Data.CALLDATA)
        self._settling = settling or ProveAlways(file, layer1)
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="prover")
        self._proofs: dict[int, Future[None]] = {}
        """Batch -> its proof in the making."""
        self._kept = KeptBatches(file, self._bind, genesis_header_hash(facts.genesis_root), after_batch)
        self._final = max(file.numbers(Status.VERIFIED), default=0)
        """Newest final batch when layer 1 was last asked."""
        self._early = file.known(self._final).epoch if self._final else 0
        """Epochs up to this one were on layer 1 when it was last asked; those before the newest final batch are not asked for again."""
        self.newest_epoch = max((signed.epoch for signed in file.epochs(self._early)), default=self._early)
        """The newest signed one. When it is signed, the batches on tables before the last one are closed."""
        self._news = threading.Event()
        """Epochs or batches came since layer 1 was last asked."""
        self._idle_at = ""
        """Head of layer 1 at which nothing was left to do; empty when there may be."""

    @property
    def kept(self) -> range:
        """The batches that are not final, and the last ones that are: those that `post` can take to layer 1."""
        return self._kept.numbers

    def posted(self, number: int) -> PostedBatch:
        """A kept batch as it goes to layer 1."""
        return self._kept.find(number).posted

    def answered(self, after: int) -> list[QueueEntry]:
        """The queue entries that the kept batches after one answer, in order."""
        numbers = [number for number in self._kept.numbers if number > after]
        return [entry for number in numbers for entry in decode_effects(self._file.effects(number), self._facts.preset).queue]

    def leaving(self, after: int) -> dict[int, int]:
        """Micro-dollars that each kept batch after one takes out of the exchange: signed and forced withdrawals."""
        found = {}
        for number in self._kept.numbers:
            if number > after:
                effects = decode_effects(self._file.effects(number), self._facts.preset)
                found[number] = sum(withdrawal.amount for withdrawal in effects.withdrawals) + sum(effects.paid)
        return found

    def add_epoch(self, epoch: SignedEpoch) -> None:
        """The next signed epoch, the one before it being in the journal. Kept, so that a restart can still submit it; one that did not get as far as the
        journal is replaced by its like."""
        self._file.save_epoch(epoch)
        self.newest_epoch = epoch.epoch
        self._news.set()

    def epochs(self, after: int, last: int) -> list[SignedEpoch]:
        """Signed epochs after one, up to another, in order."""
        return self._file.epochs(after, last)

    def add(self, closed: ClosedBatch) -> None:
        """The next closed batch (the replayed ones too, after a restart). PosterError when it is not the one that was posted before."""
        facts, number = self._facts, closed.batch.number
        known = self.record(number)
        data = Data[known.data.upper()] if known else self._placing.data
        head = HeaderFacts(facts.domain, closed.log_root)
        parent = self._kept.header_hash
        posted = post_change(closed.change, closed.batch, facts.params, facts.preset, head, self._chain_facts(parent, data))
        if known is not None and known.header_hash != posted.header_hash.hex():
            raise PosterError(f"batch {number}: header hash {posted.header_hash.hex()}, expected {known.header_hash} as posted before the restart")
        keep = number + self._kept_batches > self._final
        if keep:
            self._file.save_witness(number, posted.effects_words, posted.witness)
        if known is None:
            if self._placing.data is Data.COMMITTEE:
                self._file.store(_stored(posted, parent))
            root, size = f"{posted.effects.new_state_root:#066x}", _layer1_bytes(posted)
            header, epoch = posted.header_hash.hex(), posted.effects.epoch
            self._file.save(BatchRecord(number, Status.CLOSED, header, root, data_bytes=size, epoch=epoch, data=_name(data)))
        self._kept.add(posted, keep=keep)
        self._news.set()

    def post(self) -> list[BatchRecord]:
        """Take every batch that is not final as far as it goes by proofs, oldest first, those that layer 1 forgot in a reorg too; the records of those that
        became final.

        What layer 1 or the prover raises comes through; call again to go on. PosterError: layer 1 holds other batches than this node's.
        """
        done = self.advance()
        while self._proofs:
            self.wait()
            done += self.advance()
        return done

    def advance(self, rounds: int = 1_000_000, newest_epoch: int | None = None) -> list[BatchRecord]:
        """As `post`, but proofs that are being made are left alone, and at most so many rounds; the records of those batches that became final.

        Epochs go without a batch too: those before `newest_epoch`, which is of a moment before the last batch was added (without: of now). When nothing was
        left to do and nothing new came, neither here nor on layer 1, that is all that is asked there.
        """
        until = self.newest_epoch if newest_epoch is None else newest_epoch
        self._collect_proofs()
        head = self._layer1.head()
        if head == self._idle_at and not self._news.is_set():
            return []
        self._idle_at = ""
        self._news.clear()
        final = self._ask_final()
        oldest = self._kept.numbers.start
        before = {number for number in self._file.numbers(Status.VERIFIED, oldest) if number <= final}
        for _ in range(rounds):
            if not self._go_on(final, until):
                self._idle_at = head
                break
            final = self._ask_final()
        self._note_final(final)
        return [self._file.known(number) for number in self._file.numbers(Status.VERIFIED, oldest) if number not in before]

    @property
    def is_idle(self) -> bool:
        """Nothing was left to do when layer 1 was last asked."""
        return bool(self._idle_at)

    def wait(self, timeout_s: float | None = None) -> None:
        """Until one of the proofs in the making is finished, or failed."""
        wait(self._proofs.values(), timeout_s, FIRST_COMPLETED)

    def record(self, number: int) -> BatchRecord | None:
        """What is known of a batch, or None."""
        return self._file.record(number)

    def records(self, first: int = 1, limit: int = -1) -> list[BatchRecord]:
        """Batches from `first` on, in order, at most `limit` (-1: all)."""
        return self._file.records(first, limit)

    def close(self) -> None:
        """Close the file, when no proof is in the making any more: end the prover's processes first."""
        self._executor.shutdown(cancel_futures=True)
        self._file.close()

    def _ask_final(self) -> int:
        """Newest final batch, one of this node's or the one before the oldest that is kept."""
        final = self._final = self._layer1.final_batch()
        if final > self._kept.newest:
            raise unknown_batch(final, self._layer1.header_hash(final), self._kept.newest, final=True)
        self._kept.forget(final - self._kept_batches)
        oldest = self._kept.numbers.start
        if final + 1 < oldest:
            self._go_back(final + 1)
            raise PosterError(
                f"batch {final}: the newest that layer 1 still has, and the oldest kept here is {oldest}. Restart the node: it makes all of them again"
            )
        if oldest <= final:
            self._check_header(self._kept.find(final))
        return final

    def _go_back(self, first: int) -> None:
        """What is noted as final from a batch on is not, if layer 1 went back."""
        for number in self._file.numbers(Status.VERIFIED, first):
            self._file.update(number, status=Status.PROVED if self._file.proof(number) else Status.PROPOSED)

    def _note_final(self, final: int) -> None:
        """The kept batches that layer 1 turned out to have made final."""
        for status in (Status.CLOSED, Status.PROPOSED, Status.PROVED):
            for number in self._file.numbers(status):
                if number <= final:
                    self._file.update(number, status=Status.VERIFIED)

    def _go_on(self, final: int, newest_epoch: int) -> bool:
        """One round: whatever can go by now, after the newest final batch. Whether there was anything."""
        self._note_final(final)
        self._go_back(final + 1)
        pending = self._kept.after(final, self._settling.slots)
        standing = pending[: max(0, self._ask_proposed() - final)]
        if standing and not self._agrees(standing[-1]):  # a header binds those before it: the newest speaks for all
            self._find_places(standing)
        self._note_proposed(final + 1, final + len(standing))
        self._collect_proofs()
        self._start_proofs(self._settling.wanted(standing))
        with Round() as sent:
            if standing:
                room = TRANSACTIONS_MAX if len(standing) == len(pending) else TRANSACTIONS_MAX // 2
                with sent.part(room):  # data goes on whatever becomes of finality, however much of it there is
                    self._settling.settle(standing, self._finished_proof, sent)
            for kept in pending[len(standing) :]:
                self._propose(kept, sent)
            if len(standing) == len(pending):  # what binds whoever goes on from here is not sent before a batch that layer 1 may not take
                self._submit_early(newest_epoch, sent)
        return sent.count > 0

    def _ask_proposed(self) -> int:
        """Newest proposal, one of this node's."""
        proposed, newest = self._layer1.proposed_batch(), self._kept.newest
        if proposed > newest:
            raise unknown_batch(proposed, self._layer1.header_hash(proposed), newest, final=False)
        return proposed

    def _note_proposed(self, first: int, last: int) -> None:
        """The standing batches of which layer 1's answer was lost."""
        for number in self._file.numbers(Status.CLOSED, first):
            if number <= last:
                self._file.update(number, status=Status.PROPOSED)

    def _propose(self, kept: Kept, sent: Round) -> None:
        """A batch, behind the tables that it needs."""
        self._submit_epochs(kept.parent_epoch, kept.epoch, sent)
        certificates = self._placing.prepare(kept.number, partial(self._rebind, kept))

        def note(landed: Landed) -> None:
            changes = {"propose_transaction": landed.transaction_hash, "propose_gas": landed.gas, "blob_gas": landed.blob_gas}
            self._file.update(kept.number, status=Status.PROPOSED, **changes)

        sent.send(lambda: self._layer1.propose(kept.posted, certificates), note)

    def _rebind(self, kept: Kept, data: Data) -> None:
        """The batch lies elsewhere: it has another header, and so have all after it. None of them is on layer 1."""
        if kept.data is data:
            return
        changes = []
        for item, posted in self._kept.rebind(kept, data):
            header, name, size = item.header_hash.hex(), _name(item.data), _layer1_bytes(posted)
            record = replace(self._file.known(item.number), status=Status.CLOSED, header_hash=header, data=name, data_bytes=size)
            changes.append((record, _stored(posted, item.parent_header_hash)))
        self._file.rebound(changes)

    def _bind(self, witness: Witness, parent: bytes, data: Data) -> PostedBatch:
        return bind(witness, self._facts.preset, self._chain_facts(parent, data))

    def _chain_facts(self, parent: bytes, data: Data) -> ChainFacts:
        facts = self._facts
        return ChainFacts(facts.chain_id, facts.rollup, facts.vk_id, parent, facts.beneficiary, data)

    def _agrees(self, kept: Kept) -> bool:
        """Layer 1 has this node's batch."""
        return self._layer1.header_hash(kept.number) == kept.header_hash

    def _check_header(self, kept: Kept) -> None:
        if not self._agrees(kept):
            raise other_batch(kept.number, self._layer1.header_hash(kept.number), kept.header_hash)

    def _find_places(self, standing: Sequence[Kept]) -> None:
        """A proposal that was given up, since the batch was to lie elsewhere by then, may have been mined after all: it stands where it is."""
        for kept in standing:
            other = Data.COMMITTEE if kept.data is Data.CALLDATA else Data.CALLDATA
            if self._placing.data is Data.COMMITTEE and not self._agrees(kept):
                there = self._bind(kept.posted.witness, kept.parent_header_hash, other)
                if self._layer1.header_hash(kept.number) == there.header_hash:
                    self._rebind(kept, other)
            self._check_header(kept)

    def _submit_early(self, newest_epoch: int, sent: Round) -> None:
        """Every signed epoch before the newest, which a crash may still replace: after hours without a trade the next batch does not wait for all of them. Nor
        those after it: a batch on a table in between may be closed and not added, and where a table moves layer 1's clock it would be too late for it."""
        there = True
        for signed in self._file.epochs(self._early, newest_epoch - 1):
            there = self._submit_epoch(signed, sent) and there
            if there:
                self._early = signed.epoch

    def _submit_epochs(self, parent_epoch: int, epoch: int, sent: Round) -> None:
        """Every signed epoch after the parent's, up to the batch's: funding accrues over those without a batch too, so watchers need them all."""
        for signed in self._file.epochs(parent_epoch, epoch):
            self._submit_epoch(signed, sent)
        if epoch not in sent.epochs and self._layer1.epoch_hash(epoch) is None:
            if self._file.epochs(epoch - 1, epoch):  # layer 1 went back since it was asked what stands
                raise RoundOver
            raise PosterError(f"epoch {epoch}: neither on layer 1 nor signed here, expected it before its first batch")

    def _submit_epoch(self, signed: SignedEpoch, sent: Round) -> bool:
        """Send an epoch, unless layer 1 has it; whether it has."""
        recorded = self._layer1.epoch_hash(signed.epoch)
        if recorded is None:
            sent.send(lambda: self._layer1.submit_epoch(signed))
            sent.epochs.add(signed.epoch)
        elif recorded != signed.hash:
            raise PosterError(
                f"epoch {signed.epoch}: layer 1 has another table on record, hash {recorded.hex()}, expected {signed.hash.hex()} of time "
                f"{signed.time_ms} ms and risk root {signed.risk_root:#x}: the oracles signed two, and no batch on this one can be proposed"
            )
        return recorded is not None

    def _start_proofs(self, wanted: Sequence[Pending]) -> None:
        """The first of those without a proof: one for each worker, and one behind it, so that none is idle while a block is waited for."""
        for item in wanted:
            if len(self._proofs) >= 2 * self._workers:
                return
            if item.number not in self._proofs and self._file.proof(item.number) is None:
                self._proofs[item.number] = self._executor.submit(self._prove, item.number, item.posted)

    def _collect_proofs(self) -> None:
        """Those that are finished are kept already; what the prover raised comes through."""
        done = [self._proofs.pop(batch) for batch in [batch for batch, future in self._proofs.items() if future.done()]]
        if done:
            self._idle_at = ""
        for future in done:
            future.result()

    def _finished_proof(self, number: int) -> Proof | None:
        """The batch's proof when it is made and noted."""
        return None if number in self._proofs else self._file.proof(number)

    def _prove(self, number: int, posted: PostedBatch) -> None:
        """The proof, made once and kept (in a worker's thread), unless the batch lies elsewhere by now."""
        result = self._prover.prove(posted.witness)
        if not self._file.save_proof(number, posted.header_hash, result.proof):
            return
        self._file.update(number, status=Status.PROVED, prove_wall_seconds=result.wall_seconds, prove_cpu_seconds=result.cpu_seconds)


def _stored(posted: PostedBatch, parent_header_hash: bytes) -> StoredBatch:
    effects, words = posted.effects, (posted.effects_words, posted.body_words)
    return StoredBatch(effects.batch_number, parent_header_hash, posted.header_hash, posted.place, *words, posted.witness.public.c, effects.epoch)


def _layer1_bytes(posted: PostedBatch) -> int:
    """Effects and, unless it lies with a committee, body."""
    body = 0 if posted.place.data is Data.COMMITTEE else len(posted.body_words)
    return 32 * (len(posted.effects_words) + body)


def _name(data: Data) -> str:
    return data.name.lower()
