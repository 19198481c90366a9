"""The simulation: a node under random commands and faults, watched by an auditor that believes nothing that it can count itself."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import wait
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from support.audit import audit_kept, carried
from support.market import OPERATOR, picture, secret

from straddle.commitments.ledger import CommittedState
from straddle.core.accounts import INSURANCE_ACCOUNT
from straddle.core.commands import Command, InternalDeleverage, InternalEpoch, InternalLiquidate, L1Deposit, L1SetKey, L2Bid
from straddle.core.events import Event, OrderCancelled, OrderRejected, TakenOver
from straddle.core.rejections import Rejection
from straddle.sequencer.journal import JournalError
from straddle.sequencer.poster import SignedEpoch, Status
from straddle.sequencer.sequencer import Accepted, SequencerStopped

from .auditor import Auditor
from .layer1 import FINALITY_BLOCKS, CheckingProver, Interrupted, Killed, ReorgingLayer1
from .node import CAPACITY, PARAMS, ROOMY, DiskImage, Node, preset_of
from .traffic import ACCOUNTS, Traffic, owner_of

FAULTS = {
    "restart": 2, "kill": 2, "torn": 2, "disk full": 1, "journal alone": 1, "reorg": 12, "oracle": 8, "slow prover": 8, "interrupted post": 12, "crash": 12,
    "killed post": 4,
}  # fmt: skip
FAULT_SHARE = 0.02
"""Faults a step."""
COMMANDS_AN_EPISODE = 2_000
CHECK_EVERY = 20
"""One batch of so many goes through the checker of the statement."""
LOOK_EVERY = 20
"""Steps between looks at what the engine keeps along."""
GROUPS = (1, 2, 4, 12, 32)
"""Commands of a group."""
WATCHED_SHARE = 0.03
"""Of the single commands: a refusal is held against a picture of everything."""
CARRIED_SHARE = 0.2
"""Of the groups: whoever carried its open orders before must do so after it. Of every group that seizes something, whatever its size."""
FIRST_DEPOSIT = 300_000_000
SMALL_SHARE, REBUILD_SHARE = 0.2, 0.1
"""Episodes on the small preset; those whose state is rebuilt from layer 1 and from the whole journal at their end."""


class Finding(AssertionError):
    """Something that must not be. Says how to see it again."""


def open_accounts(layer1: ReorgingLayer1) -> None:
    """First deposit and key of every trader and of the insurance fund, in final blocks."""
    for account in (*ACCOUNTS, INSURANCE_ACCOUNT):
        layer1.mine([L1Deposit(0, account, owner_of(account), FIRST_DEPOSIT)])
        layer1.mine([L1SetKey(0, account, owner_of(account), secret(account).public)])
    for _ in range(FINALITY_BLOCKS):
        layer1.mine([])


def name_of(event: Event) -> str:
    """What is counted of an event."""
    name = type(event).__name__
    if isinstance(event, TakenOver):
        return f"{name} by {'the fund' if event.winner == INSURANCE_ACCOUNT else 'a bid'}"
    if isinstance(event, OrderCancelled):
        return f"{name} {event.reason}"
    return f"{name} {event.rejection.code}" if isinstance(event, OrderRejected) else name


class Simulation:
    """One episode. Everything in it follows from `seed`."""

    def __init__(self, seed: str, folder: Path, check_every: int = CHECK_EVERY, fault_share: float = FAULT_SHARE, rebuild_share: float = REBUILD_SHARE) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.folder = folder
        self.fault_share = fault_share
        self.rebuild_share = rebuild_share
        self.step_number = 0
        self.commands = 0
        self.counts: Counter[str] = Counter()
        self.capacity = CAPACITY if self.rng.random() < SMALL_SHARE else ROOMY
        self.layer1 = ReorgingLayer1()
        self.prover = CheckingProver(preset_of(self.capacity), check_every, first=Random(f"{seed} checks").randrange(check_every))
        self.auditor = Auditor()
        self.traffic = Traffic(self.rng)
        self._generation = 0
        self.node = self._open(self._next_folder(), snapshots=False)
        open_accounts(self.layer1)

    def run(self, commands: int) -> None:
        """At least so many commands, then the end: all posted, all rebuilt from layer 1. Finding names seed and step."""
        try:
            while self.commands < commands:
                self.step()
            self.finish()
        except Exception as error:
            raise Finding(f"seed {self.seed!r}, step {self.step_number}, command {self.commands}: {type(error).__name__}: {error}") from error
        finally:
            self.node.close()

    def step(self) -> None:
        """A group of commands, or a fault, or what else goes on around the node."""
        self.step_number += 1
        rng = self.rng
        if rng.random() < self.fault_share:
            self.fault(rng.choices(list(FAULTS), list(FAULTS.values()))[0])
        chance = rng.random()
        if chance < 0.05:
            self.layer1.mine([self.traffic.layer1_entry() for _ in range(rng.choice((0, 1, 1, 2)))])
        elif chance < 0.06:
            self._close_batch()
        elif chance < 0.08:
            self._post()
        elif chance < 0.085:
            self.snapshot()
        self._submit(self._group(rng.choice(GROUPS)))
        self._look(deeply=self.step_number % LOOK_EVERY == 0)

    def snapshot(self) -> None:
        """As the node writes one now and then."""
        self.node.snapshot(self.layer1.final_proven)
        self.counts["snapshots"] += 1

    def finish(self) -> None:
        """Everything to layer 1; now and then the state from the whole journal, and from layer 1 alone."""
        self._close_batch()
        self.prover.stalls, self.layer1.interrupt_in, self.layer1.kill_in = 0, None, None
        while self.node.poster._proofs:  # of which the prover may have refused some
            self._post()
        self.node.poster.post()
        self._look(deeply=True)
        batches = self.node.journal.batches
        assert self.layer1.proven == batches, f"{self.layer1.proven} batches proven, expected {batches}"
        assert self.layer1.credited == self.auditor.ledger.paid_out, f"{self.layer1.credited} credited, expected {self.auditor.ledger.paid_out}"
        assert {record.status for record in self.node.poster.records()} <= {Status.VERIFIED}
        assert len(set(self.prover.proofs)) == len(self.prover.proofs), "a proof was made twice"
        if self.rng.random() < self.rebuild_share:
            self._restart_from(None, snapshots=False)
            self._rebuild()
        self.counts["batches"] += batches
        self.counts["batches checked"] += self.prover.checked
        self._count_posted()

    def _rebuild(self) -> None:
        """The committed state from what was posted, without this node."""
        rebuilt = CommittedState.genesis(PARAMS, OPERATOR)
        for batch in self.layer1.proposed:
            first = batch.effects.queue_first
            rebuilt.apply_data(batch.effects, batch.body, self.layer1.queue[first : first + len(batch.effects.queue)])
        assert rebuilt.root == self.node.sequencer.state_root, "layer 1's data lead to another root"
        self.counts["rebuilt from layer 1"] += 1

    @property
    def digest(self) -> str:
        """Of all that was acknowledged: equal for equal seeds."""
        last = self.auditor.receipts[-1].place.hash if self.auditor.receipts else b""
        return sha256(last + repr((sorted(self.counts.items()), self.node.sequencer.state_root)).encode()).hexdigest()

    def _look(self, *, deeply: bool) -> None:
        self.auditor.look(self.node, self.layer1, deeply=deeply)

    # ---- commands

    def _next_command(self) -> Command:
        return self._kept(self.traffic.next(self.node.sequencer.exchange, self.layer1.queue[: self.layer1.final_queue]))

    def _group(self, count: int) -> list[Command]:
        """Commands that follow from the state as it is; a table ends the group, since it changes most of what follows."""
        commands: list[Command] = []
        while len(commands) < count and not (commands and isinstance(commands[-1], InternalEpoch)):
            commands.append(self._next_command())
        return commands

    def _kept(self, command: Command) -> Command:
        """The next epoch is kept before it is used: a node that dies in between can still post it. No oracle signs one out of turn."""
        table = self.node.sequencer.exchange.table
        if isinstance(command, InternalEpoch) and command.table.epoch == (table.epoch + 1 if table else 1):
            self.node.poster.add_epoch(SignedEpoch(command.table.epoch, command.table.time_ms, 7, b"", ()))
        return command

    def _submit(self, commands: list[Command]) -> None:
        node = self.node
        watch = len(commands) == 1 and self.rng.random() < WATCHED_SHARE
        before, batch = picture(node.sequencer.exchange) if watch else None, node.sequencer.exchange.open_batch.number
        seizing = any(isinstance(command, InternalLiquidate | InternalDeleverage | L2Bid) for command in commands)
        left = carried(node.sequencer.exchange) if seizing or self.rng.random() < CARRIED_SHARE else {}
        answers = node.sequencer.submit_many(commands)
        self._acknowledge(commands, answers)
        if not isinstance(commands[-1], InternalEpoch):  # a table changes what everybody carries
            audit_kept(node.sequencer.exchange, left)
        if watch and isinstance(answers[0], Rejection) and node.sequencer.exchange.open_batch.number == batch:
            assert picture(node.sequencer.exchange) == before, f"{answers[0].code} changed the state"

    def _acknowledge(self, commands: list[Command], answers: list[Accepted | Rejection]) -> None:
        for command, answer in zip(commands, answers, strict=True):
            self.commands += 1
            if isinstance(answer, Accepted):
                self.counts[f"{type(command).__name__} accepted"] += 1
                self.counts.update(map(name_of, answer.events))
                self.auditor.acknowledged(command, answer)
            else:
                assert answer.message
                self.counts[f"{type(command).__name__} {answer.code}"] += 1

    def _close_batch(self) -> None:
        exchange = self.node.sequencer.exchange
        if exchange.trading_open and exchange.open_batch.first_sequence != exchange.next_sequence:
            self.node.sequencer.close_batch()

    def _post(self) -> None:
        try:
            self.node.poster.post()
        except Interrupted:
            self.counts["interrupted"] += 1
        except Killed:
            self.counts["killed while posting"] += 1
            wait(self.node.poster._proofs.values())  # what they write must not be torn
            self._restart_from(DiskImage(self.node.folder))

    # ---- faults

    def fault(self, name: str) -> None:
        self.counts[f"fault: {name}"] += 1
        rng = self.rng
        if name == "restart":
            self._restart_from(None)
        elif name == "kill":
            self._restart_from(DiskImage(self.node.folder))
        elif name == "journal alone":
            self._restart_from(None, snapshots=False)
        elif name == "torn":
            self._tear()
        elif name == "disk full":
            self._fill_disk()
        elif name == "reorg":
            if rng.random() < 0.5:
                self._close_batch()
                self._post()
            self.counts["blocks undone"] += self.layer1.reorg(rng.randint(1, FINALITY_BLOCKS - 1), rng)
        elif name == "oracle":
            self.traffic.oracle_stopped = rng.randint(20, 200)
        elif name == "crash":
            self.traffic.prices.crashing = True
            self._submit([self._kept(self.traffic.epoch(self.node.sequencer.exchange))])
        elif name == "slow prover":
            self.prover.stalls = rng.randint(1, 4)
        elif name == "killed post":
            self.layer1.kill_in = rng.randint(1, 12)
            self._close_batch()
            self._post()
        else:
            self.layer1.interrupt_in = rng.randint(1, 4)
            self._post()

    def _restart_from(self, image: DiskImage | None, *, snapshots: bool = True) -> None:
        """The node again, from its folder or from what a kill left; it is as it was."""
        before = self._picture()
        self.auditor.recount(self.node)
        self._reopen(image, snapshots=snapshots)
        assert self._picture() == before, "the restarted node is not as it was"
        self.auditor.after_restart(self.node, self.rng)

    def _tear(self) -> None:
        """Killed in the middle of a write: the group is there as a whole or not at all, whatever part of it reached the disk."""
        self.auditor.recount(self.node)
        start, before = DiskImage(self.node.folder), self._picture()
        commands = self._group(self.rng.randint(1, 6))
        start.files |= {name: content for name, content in DiskImage(self.node.folder).files.items() if name.startswith("poster")}  # its epochs
        answers = self.node.sequencer.submit_many(commands)
        after = self._picture()
        share = self.rng.choice((self.rng.random(), 1.0))
        self._reopen(start.torn(DiskImage(self.node.folder), share))
        found = self._picture()
        assert found in (before, after), "a torn write left something in between"
        self.counts["torn: whole" if found == after else "torn: nothing"] += 1
        if found == after:
            self._acknowledge(commands, answers)
        self.auditor.after_restart(self.node, self.rng)

    def _fill_disk(self) -> None:
        """No room: an error that says so, nothing more is accepted, and a restart has all that was acknowledged and nothing else."""
        self.node.fill_disk()
        before = self._picture()
        for _ in range(200):
            command = self._next_command()
            try:
                answers = self.node.sequencer.submit_many([command])
            except JournalError as error:
                assert "full" in str(error) and "restart" in str(error)
                break
            self._acknowledge([command], answers)
            before = self._picture()
        else:
            return
        try:
            self.node.sequencer.submit_many([command])
        except SequencerStopped:
            pass
        else:
            raise AssertionError("accepted a command after the disk failed")
        self.auditor.recount(self.node)
        self._reopen(DiskImage(self.node.folder))
        assert self._picture() == before, "the restarted node is not as it was before the disk was full"
        self.auditor.after_restart(self.node, self.rng)

    def _reopen(self, image: DiskImage | None, *, snapshots: bool = True) -> None:
        self.node.close()
        self._count_posted()
        folder = self.node.folder
        if image is not None:
            shutil.rmtree(folder)
            folder = self._next_folder()
            image.write(folder)
        self.node = self._open(folder, snapshots=snapshots)
        assert self.node.passed_over == []
        self.counts["restarts from a snapshot"] += self.node.start.sequence > 0

    def _open(self, folder: Path, *, snapshots: bool) -> Node:
        return Node(folder, self.layer1, self.prover, capacity=self.capacity, snapshots=snapshots, batches_max=self.layer1.final_proven)

    def _count_posted(self) -> None:
        self.counts["posted again"] += sum(times - 1 for times in self.node.posted.values() if times > 1)

    def _picture(self) -> tuple[Any, ...]:
        sequencer = self.node.sequencer
        return sequencer.sequence, sequencer.state_root, self.node.journal.head, self.node.journal.batches, picture(sequencer.exchange)

    def _next_folder(self) -> Path:
        self._generation += 1
        folder = self.folder / f"{self._generation}"
        folder.mkdir(parents=True)
        return folder
