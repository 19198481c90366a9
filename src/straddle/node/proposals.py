"""Proposals that stand on layer 1, and what anyone can do so that they become final or go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from straddle.commitments.challenge import Place, challenge, evaluate
from straddle.l1.deployment import Deployment
from straddle.l1.history import BatchProposed
from straddle.l1.rollup import RollupClient
from straddle.l1.sender import Sender
from straddle.node.steps import Step


@dataclass(frozen=True, slots=True)
class StandingBatch:
    """A proposal as the contract's calls take it again, and the public inputs that its header holds, for a beneficiary of 0."""

    effects_words: tuple[int, ...]
    body_words: tuple[int, ...]
    place: Place
    public: tuple[int, int, int, int, int]

    @classmethod
    def of(cls, deployment: Deployment, batch: BatchProposed) -> Self:
        """Of what was read from layer 1. A body that nobody has is not needed for `finalise`."""
        body, c = batch.body or (), batch.data_commitment
        facts = (deployment.chain_id, deployment.rollup_number, deployment.vk_id, batch.batch_number, batch.parent_header_hash)
        z = challenge(*facts, batch.effects, body, c, batch.place)
        return cls(batch.effects, body, batch.place, (c, z, evaluate(batch.effects, z), batch.y_body, 0))


@dataclass(frozen=True, slots=True)
class Settling:
    """The way of the oldest proposals to their end."""

    client: RollupClient
    stage: StrEnum
    batch: Callable[[int], BatchProposed]
    """A proposal by number, as layer 1 has it."""
    changed: Callable[[], None] = lambda: None
    """Told after a step."""

    def step(self, now_s: int) -> Step:
        """The next one, by layer 1's clock. There must be proposals."""
        first, last = self.client.final_batch() + 1, self.client.proposed_batch()
        proposed_s = self.client.batch(first).proposed_at_s
        if not self.client.deployment.config.optimistic:
            due = proposed_s + self.client.clock("PROVING_WINDOW_S")
            return Step(self.stage, f"void proposals {first} to {last}, unless they are proved before", due, self._void(first) if now_s > due else None)
        if self.may_finalise(now_s):
            return Step(self.stage, f"finalise batch {first}", now_s, self._finalise(first))
        overdue = self._overdue(range(first, last + 1), now_s)
        if overdue:
            return Step(self.stage, f"void proposals {overdue} to {last}: the answer to a challenge is overdue", now_s, self._void(overdue))
        oldest = self.client.stake(first)
        if oldest.challenged:
            return Step(self.stage, f"void proposals {first} to {last}, unless batch {first} is proved before", oldest.due_s)
        return Step(self.stage, f"finalise batch {first}", proposed_s + self.client.clock("CHALLENGE_WINDOW_S"))

    def may_finalise(self, now_s: int) -> bool:
        """Whether the oldest proposal can become final without a proof of its own. There must be proposals."""
        first = self.client.final_batch() + 1
        stake = self.client.stake(first)
        return stake.proven or (not stake.challenged and now_s > self.client.batch(first).proposed_at_s + self.client.clock("CHALLENGE_WINDOW_S"))

    def _overdue(self, numbers: range, now_s: int) -> int:
        """The oldest with an overdue challenge, or 0. A window holds thousands: they are asked for only while there are challenges to be found."""
        left, overdue = self.client.open_challenges(), 0
        for number in reversed(numbers):
            if not left:
                break
            stake = self.client.stake(number)
            left -= stake.challenged
            overdue = number if stake.challenged and now_s > stake.due_s else overdue
        return overdue

    def _void(self, first: int) -> Callable[[Sender], str]:
        def act(sender: Sender) -> str:
            self.client.void(sender, first)
            self.changed()
            return f"proposals from {first} on voided"

        return act

    def _finalise(self, number: int) -> Callable[[Sender], str]:
        def act(sender: Sender) -> str:
            batch = StandingBatch.of(self.client.deployment, self.batch(number))
            self.client.finalise(sender, batch, batch.public)
            self.changed()
            return f"batch {number} final"

        return act
