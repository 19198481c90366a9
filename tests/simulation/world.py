"""The simulation: a node under random commands and faults, watched by an auditor that believes nothing that it can count itself."""

from __future__ import annotations

import shutil
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from support.audit import audit_batch, audit_exchange, audit_rule, audit_trades
from support.market import picture, secret

from straddle.commitments.ledger import CommittedState
from straddle.core.commands import Command, InternalEpoch, L1Deposit, L1SetKey, L2Trade, L2Withdraw
from straddle.core.events import OrderRejected
from straddle.core.orders import Order
from straddle.core.rejections import Rejection
from straddle.sequencer.journal import JournalError
from straddle.sequencer.poster import SignedEpoch, Status
from straddle.sequencer.receipts import Receipt
from straddle.sequencer.sequencer import Accepted, SequencerStopped

from .layer1 import FINALITY_BLOCKS, CheckingProver, Interrupted, ReorgingLayer1
from .node import OPERATOR, PARAMS, PRESET, SIGNER, DiskImage, Node
from .traffic import ACCOUNTS, Traffic

FAULTS = {"restart": 4, "kill": 4, "torn": 4, "disk full": 2, "reorg": 20, "oracle": 6, "slow prover": 10, "interrupted post": 20}
FAULT_SHARE = 0.025
"""Faults a step."""
STEPS_AN_EPISODE = 600
"""A longer journal makes every restart's replay longer and shows nothing else."""


class Finding(AssertionError):
    """Something that must not be. Says how to see it again."""


def open_accounts(layer1: ReorgingLayer1) -> None:
    """Every trader's first deposit and key, in final blocks."""
    for account in ACCOUNTS:
        layer1.mine([L1Deposit(0, account, 0x1000 + account, 200_000_000)])
    for account in ACCOUNTS:
        layer1.mine([L1SetKey(0, account, 0x1000 + account, secret(account).public)])
    for _ in range(FINALITY_BLOCKS):
        layer1.mine([])


class Auditor:
    """What was acknowledged, and what follows from it."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.deposited = 0
        self.withdrawn = 0
        self.signed: dict[tuple[int, int, int], Order] = {}
        self.filled: Counter[tuple[int, int]] = Counter()
        self.batches = 0

    def acknowledged(self, node: Node, command: Command, accepted: Accepted) -> None:
        place = accepted.receipt.place
        assert place.sequence == len(self.receipts) + 1, f"receipt {place.sequence} follows receipt {len(self.receipts)}"
        assert not self.receipts or place.previous_hash == self.receipts[-1].place.hash
        self.receipts.append(accepted.receipt)
        if isinstance(command, L1Deposit):
            self.deposited += command.amount
        elif isinstance(command, L2Withdraw):
            self.withdrawn += command.amount
        elif isinstance(command, L2Trade):
            refused = {event.order for event in accepted.events if isinstance(event, OrderRejected)}
            account = command.order_set.account
            self.signed.update({(account, order.nonce, order.revision): order for order in command.order_set.orders if order not in refused})

    def look(self, node: Node) -> None:
        """Conservation, positions, books, reservations, the rule; and the batches that were closed since."""
        exchange = node.sequencer.exchange
        audit_exchange(exchange, self.deposited, self.withdrawn)
        audit_rule(exchange)
        for closed in node.closed[self.batches :]:
            audit_batch(closed.batch, exchange.params)
        self.batches = len(node.closed)

    def after_restart(self, node: Node, rng: Random) -> None:
        """Every acknowledged command is in the log where its receipt says. The last hash covers all before it; some receipts are compared in full."""
        for receipt in [*rng.sample(self.receipts, min(8, len(self.receipts))), *self.receipts[-1:]]:
            assert node.sequencer.receipt(receipt.place.sequence) == receipt
        if self.receipts:
            assert self.receipts[-1].signer == SIGNER.address


class Simulation:
    """One episode. Everything in it follows from `seed`."""

    def __init__(self, seed: str, folder: Path, check_every: int = 10, fault_share: float = FAULT_SHARE) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.folder = folder
        self.fault_share = fault_share
        self.step_number = 0
        self.commands = 0
        self.counts: Counter[str] = Counter()
        self.layer1 = ReorgingLayer1()
        self.prover = CheckingProver(PRESET, check_every)
        self.auditor = Auditor()
        self.traffic = Traffic(self.rng)
        self._generation = 0
        self.node = Node(self._next_folder(), self.layer1, self.prover)
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
            self._fault(rng.choices(list(FAULTS), list(FAULTS.values()))[0])
        chance = rng.random()
        if chance < 0.04:
            self.layer1.mine([self.traffic.layer1_entry() for _ in range(rng.choice((0, 1, 1, 2)))])
        elif chance < 0.06:
            self._close_batch()
        elif chance < 0.08:
            self._post()
        self._submit([self._next_command() for _ in range(rng.choice((1, 1, 1, 2, 12)))])
        if self.step_number % 10 == 0:
            self.auditor.look(self.node)

    def finish(self) -> None:
        """Everything to layer 1, and the state rebuilt from there alone."""
        self._close_batch()
        self.prover.stalls, self.layer1.interrupt_in = 0, None
        self.node.poster.post()
        self.auditor.look(self.node)
        self._restart_from(None)
        assert self.layer1.proven == len(self.node.closed), f"{self.layer1.proven} batches proven, expected {len(self.node.closed)}"
        assert {record.status for record in self.node.poster.records()} <= {Status.VERIFIED}
        assert len(set(self.prover.proofs)) == len(self.prover.proofs), "a proof was made twice"
        rebuilt = CommittedState.genesis(PARAMS, OPERATOR)
        for batch in self.layer1.proposed:
            first = batch.effects.queue_first
            rebuilt.apply_data(batch.effects, batch.body, self.layer1.queue[first : first + len(batch.effects.queue)])
        assert rebuilt.root == self.node.sequencer.state_root
        self.counts["batches"] += len(self.node.closed)
        self.counts["checked"] += self.prover.checked
        self._count_posted()

    @property
    def digest(self) -> str:
        """Of all that was acknowledged: equal for equal seeds."""
        last = self.auditor.receipts[-1].place.hash if self.auditor.receipts else b""
        return sha256(last + repr((sorted(self.counts.items()), self.node.sequencer.state_root)).encode()).hexdigest()

    # ---- commands

    def _next_command(self) -> Command:
        command = self.traffic.next(self.node.sequencer.exchange, self.layer1.queue[: self.layer1.final_queue])
        if isinstance(command, InternalEpoch):  # kept before it is used: a node that dies in between can still post it
            self.node.poster.add_epoch(SignedEpoch(command.table.epoch, command.table.time_ms, 7, b"", ()))
        return command

    def _submit(self, commands: list[Command]) -> None:
        node = self.node
        watch = len(commands) == 1 and self.rng.random() < 0.1
        before, batch = picture(node.sequencer.exchange) if watch else None, node.sequencer.exchange.open_batch.number
        answers = node.sequencer.submit_many(commands)
        self._acknowledge(commands, answers)
        if watch and isinstance(answers[0], Rejection) and node.sequencer.exchange.open_batch.number == batch:
            assert picture(node.sequencer.exchange) == before, f"{answers[0].code} changed the state"

    def _acknowledge(self, commands: list[Command], answers: list[Accepted | Rejection]) -> None:
        exchange = self.node.sequencer.exchange
        for command, answer in zip(commands, answers, strict=True):
            self.commands += 1
            self.counts[type(command).__name__ + (" accepted" if isinstance(answer, Accepted) else f" {answer.code}")] += 1
            if isinstance(answer, Accepted):
                self.auditor.acknowledged(self.node, command, answer)
                if len(commands) == 1:  # in a group the table may have changed since
                    audit_trades(exchange, answer.events, self.auditor.signed, self.auditor.filled)
            else:
                assert answer.message

    def _close_batch(self) -> None:
        exchange = self.node.sequencer.exchange
        if exchange.trading_open and exchange.open_batch.first_sequence != exchange.next_sequence:
            self.node.sequencer.close_batch()

    def _post(self) -> None:
        try:
            self.node.poster.post()
        except Interrupted:
            self.counts["interrupted"] += 1

    # ---- faults

    def _fault(self, name: str) -> None:
        self.counts[f"fault: {name}"] += 1
        rng = self.rng
        if name == "restart":
            self._restart_from(None)
        elif name == "kill":
            self._restart_from(DiskImage(self.node.folder))
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
        elif name == "slow prover":
            self.prover.stalls = rng.randint(1, 4)
        else:
            self.layer1.interrupt_in = rng.randint(1, 4)
            self._post()

    def _restart_from(self, image: DiskImage | None) -> None:
        """The node again, from its folder or from what a kill left; it is as it was."""
        before = self._picture()
        self._reopen(image)
        assert self._picture() == before, "the restarted node is not as it was"
        self.auditor.after_restart(self.node, self.rng)

    def _tear(self) -> None:
        """Killed in the middle of a write: the group is there as a whole or not at all, whatever part of it reached the disk."""
        start, before = DiskImage(self.node.folder), self._picture()
        commands = [self._next_command() for _ in range(self.rng.randint(1, 6))]
        start.files |= {name: content for name, content in DiskImage(self.node.folder).files.items() if name.startswith("poster")}  # its epochs
        answers = self.node.sequencer.submit_many(commands)
        after = self._picture()
        share = self.rng.choice((self.rng.random(), 1.0))
        self._reopen(start.torn(DiskImage(self.node.folder), share))
        found = self._picture()
        assert found in (before, after), "a torn write left something in between"
        self.counts["torn: whole" if found == after else "torn: nothing"] += 1
        if found == after:
            self._acknowledge_quietly(commands, answers)
        self.auditor.after_restart(self.node, self.rng)

    def _acknowledge_quietly(self, commands: list[Command], answers: list[Accepted | Rejection]) -> None:
        for command, answer in zip(commands, answers, strict=True):
            self.commands += 1
            if isinstance(answer, Accepted):
                self.auditor.acknowledged(self.node, command, answer)

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
        self._reopen(DiskImage(self.node.folder))
        assert self._picture() == before, "the restarted node is not as it was before the disk was full"
        self.auditor.after_restart(self.node, self.rng)

    def _reopen(self, image: DiskImage | None) -> None:
        self.node.close()
        self._count_posted()
        folder = self.node.folder
        if image is not None:
            shutil.rmtree(folder)
            folder = self._next_folder()
            image.write(folder)
        self.auditor.batches = min(self.auditor.batches, len(self.node.closed))
        self.node = Node(folder, self.layer1, self.prover)

    def _count_posted(self) -> None:
        self.counts["posted again"] += sum(times - 1 for times in self.node.posted.values() if times > 1)

    def _picture(self) -> tuple[Any, ...]:
        sequencer = self.node.sequencer
        return sequencer.sequence, sequencer.state_root, self.node.journal.head, len(self.node.closed), picture(sequencer.exchange)

    def _next_folder(self) -> Path:
        self._generation += 1
        folder = self.folder / f"{self._generation}"
        folder.mkdir(parents=True)
        return folder
