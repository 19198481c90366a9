"""What a watcher does on layer 1 by itself: challenge, void, prove, finalise, collect. Layer 1 is asked before each step, so that none is taken twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from straddle.commitments.challenge import Place
from straddle.l1.events import BatchHeader, BatchProposed
from straddle.l1.rollup import RollupClient
from straddle.l1.rpc import Reverted, RpcError
from straddle.l1.sender import Sender, TransactionFailed
from straddle.proving.prover import ProverError, ProveResult
from straddle.proving.witness import Witness
from straddle.watcher.examine import Verdict
from straddle.watcher.watcher import Watcher, WatchError

CHALLENGE_GAS = 200_000
"""Of a challenge and the void that follows it, with room: what a wallet needs besides the bond."""
LAST_PART = 3
"""In the last third of its window a wrong batch is challenged whatever becomes of those before it."""


class BatchProver(Protocol):
    """Who makes proofs (straddle.proving.prover.Prover is one)."""

    def prove(self, witness: Witness) -> ProveResult:
        """Prove."""


@dataclass(frozen=True, slots=True)
class Duties:
    """What the agent does. Voiding and collecting go with either."""

    challenge: bool = False
    """Challenge wrong batches with the wallet's own bond."""
    prove: bool = False
    """Prove batches that others challenged and that hold, and finalise what has waited long enough."""


@dataclass(frozen=True, slots=True)
class _Words:
    """A batch as the contract's calls take it."""

    effects_words: Sequence[int]
    body_words: Sequence[int]
    place: Place


class Agent:
    """Acts for one watcher with one wallet, which nobody else should use meanwhile. `act` after each step of the watcher."""

    def __init__(
        self, watcher: Watcher, client: RollupClient, sender: Sender, duties: Duties, *, prover: BatchProver | None = None, report: Callable[[str], None]
    ) -> None:
        """`report` hears of every step, and of what prevents one. `prover` is needed to prove."""
        self._watcher, self._client, self._sender, self._duties, self._report = watcher, client, sender, duties, report
        self._prover = prover
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="prover")
        self._proof: tuple[BatchHeader, Future[ProveResult]] | None = None
        self._failed: set[bytes] = set()
        """Headers of batches whose proof could not be made: a second try would fail in the same way."""
        self.troubles: dict[str, str] = {}
        """What could not be done at the last `act` -> why."""

    def act(self) -> None:
        """Whatever is due now. ConnectionFailed, RpcError: layer 1 does not answer; call again after the next step."""
        self.troubles, before = {}, self.troubles
        if self._waiting():
            self.troubles["wallet"] = f"{self._sender.address} has a transaction that waits to be mined: nothing else is sent until it is"
        else:
            now_s = self._client.rpc.time_s()
            self._void(now_s)
            if self._duties.challenge:
                self._challenge(now_s)
            if self._duties.prove:
                self._prove()
                self._finalise(now_s)
            self._collect()
        for what, why in self.troubles.items():
            if before.get(what) != why:
                self._report(f"cannot {what}: {why}")

    def close(self) -> None:
        """Ends when a proof in the making does: end the prover's process first."""
        self._executor.shutdown(cancel_futures=True)

    # ---- steps

    def _void(self, now_s: int) -> None:
        """The lowest batch whose answer is overdue goes, and with it all after it."""
        for number, challenge in sorted(self._watcher.history.challenges.items()):
            stake = self._client.stake(number) if self._stands(number, challenge.header_hash) else None
            if stake is None or not stake.challenged or now_s <= stake.due_s:
                continue
            while self._client.proposed_batch() >= number and self._try(f"void batch {number}", partial(self._client.void, self._sender, number)):
                pass
            return

    def _challenge(self, now_s: int) -> None:
        """The first wrong batch at once: what follows goes with it, and may be a proper step from its false state, whose proof would take the bond.

        Yet the first one may turn out to be provable, and late. So a later one is challenged too when its window comes to its end before that is settled.
        """
        window = self._client.deployment.config.challenge_window_s
        earlier = False
        for posted, judged in self._watcher.standing():
            number = posted.batch_number
            if not Verdict(judged.verdict).challenged or number in self._watcher.history.proven:
                continue
            if number not in self._watcher.history.challenges and self._stands(number, posted.header_hash) and self._open(number):
                since_s = now_s - self._client.batch(number).proposed_at_s
                if since_s > window:
                    self.troubles[f"challenge batch {number}"] = "its window is over"
                elif (not earlier or since_s > window - window // LAST_PART) and self._has_funds(number):
                    self._try(f"challenge batch {number}", partial(self._client.challenge, self._sender, number, posted.header_hash))
            earlier = True

    def _prove(self) -> None:
        """The challenged batch whose answer is due first, one at a time, as long as it holds."""
        self._post_proof()
        if self._proof is not None or self._prover is None:
            return
        challenges = self._watcher.history.challenges
        waiting = [posted for posted, judged in self._watcher.standing() if judged.verdict == Verdict.HOLDS and posted.batch_number in challenges]
        waiting = [posted for posted in waiting if posted.header_hash not in self._failed]
        for posted in sorted(waiting, key=lambda posted: challenges[posted.batch_number].due_s)[:1]:
            try:
                witness = self._watcher.witness(posted, int(self._sender.address, 16))
            except WatchError as error:
                self.troubles[f"prove batch {posted.batch_number}"] = str(error)
                return
            self._report(f"batch {posted.batch_number} holds and is challenged: proving it")
            self._proof = posted, self._executor.submit(self._prover.prove, witness)

    def _post_proof(self) -> None:
        """A finished proof goes to layer 1, if its batch still waits for one."""
        if self._proof is None or not self._proof[1].done():
            return
        posted, future = self._proof
        self._proof = None
        number = posted.batch_number
        try:
            proof = future.result().proof
        except (ProverError, OSError) as error:
            self._failed.add(posted.header_hash)
            self._report(f"cannot prove batch {number}: {error}")
            return
        if self._stands(number, posted.header_hash) and not self._client.stake(number).proven:
            self._try(f"prove batch {number}", lambda: self._client.prove(self._sender, _words(self._watcher.batch(posted)), proof))

    def _finalise(self, now_s: int) -> None:
        """The oldest proposals, as far as they are proven, or unchallenged after their window; none that this watcher finds wrong."""
        window = self._client.deployment.config.challenge_window_s
        for posted, judged in self._watcher.standing():
            number = posted.batch_number
            if not self._stands(number, posted.header_hash) or self._client.final_batch() != number - 1:
                return
            stake = self._client.stake(number)
            if not stake.proven and (stake.challenged or now_s <= self._client.batch(number).proposed_at_s + window):
                return
            if not stake.proven and judged.verdict not in (Verdict.HOLDS, Verdict.REBUILT):
                self.troubles[f"finalise batch {number}"] = f"it is {judged.verdict}, and nobody challenged it in time"
                return
            whole = self._watcher.batch(posted)
            public = self._watcher.examiner.public(whole)
            words = (public.c, public.z, public.y_effects, public.y_body, public.beneficiary)
            if not self._try(f"finalise batch {number}", partial(self._client.finalise, self._sender, _words(whole), words)):
                return

    def _collect(self) -> None:
        """What bonds came back or were won."""
        owed = self._client.wei_owed(self._sender.address)
        if owed:
            self._try(f"collect {owed} wei", lambda: self._client.collect_wei(self._sender))

    # ---- parts

    def _waiting(self) -> bool:
        """A transaction of the wallet (from before a restart, say) is not mined yet."""
        return self._client.rpc.nonce(self._sender.address) != self._client.rpc.nonce(self._sender.address, "pending")

    def _stands(self, number: int, header_hash: bytes) -> bool:
        """The proposal that was judged is still the one of that number, on the newest block."""
        try:
            standing = self._client.final_batch() < number <= self._client.proposed_batch()
            return standing and self._client.header_hash(number) == header_hash
        except Reverted:
            return False

    def _open(self, number: int) -> bool:
        """Neither challenged nor proven, on the newest block: this watcher's own challenge from before a restart is seen here too."""
        stake = self._client.stake(number)
        return not stake.proven and int(stake.challenger, 16) == 0

    def _has_funds(self, number: int) -> bool:
        rpc, address, bond = self._client.rpc, self._sender.address, self._client.deployment.config.challenger_bond_wei
        needed = bond + CHALLENGE_GAS * rpc.quantity("eth_gasPrice")
        found = rpc.balance_wei(address)
        if found < needed:
            self.troubles[f"challenge batch {number}"] = f"{address} has {found} wei, expected at least {needed} (the bond of {bond} and gas): send it the rest"
        return found >= needed

    def _try(self, what: str, step: Callable[[], object]) -> bool:
        """One transaction; somebody else may have been faster."""
        try:
            step()
        except (Reverted, TransactionFailed, RpcError) as error:
            self.troubles[what] = str(error)
            return False
        self._report(f"done: {what}")
        return True


def _words(posted: BatchProposed) -> _Words:
    return _Words(posted.effects, posted.body or (), posted.place)
