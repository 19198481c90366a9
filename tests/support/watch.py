"""A watcher with its wallet on a stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from straddle.l1.history import BlobSource, BodySource
from straddle.watcher.agent import Agent, BatchProver, Duties
from straddle.watcher.examine import Verdict
from straddle.watcher.follow import Follower
from straddle.watcher.store import Store
from straddle.watcher.watcher import Watcher
from tests.differential.scenes import PRESET
from tests.support.stage import Stage

CHALLENGER = Duties(challenge=True)


@dataclass
class Watch:
    """A watcher with its wallet, and what it said."""

    stage: Stage
    folder: Path
    name: str = "watchman"
    duties: Duties = CHALLENGER
    prover: BatchProver | None = None
    blobs: BlobSource | None = None
    bodies: BodySource | None = None
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        deployment, rpc = self.stage.deployment, self.stage.anvil.rpc
        self.store = Store(self.folder / self.name, deployment.chain_id, deployment.rollup)
        follower = Follower(rpc, deployment, self.store, blobs=self.blobs, bodies=self.bodies)
        self.watcher = Watcher(follower, deployment, PRESET, self.stage.params, self.store, report=self.said.append)
        self.wallet = self.stage.people[self.name]
        self.agent = Agent(self.watcher, self.stage.client, self.wallet, self.duties, prover=self.prover, report=self.said.append)

    def step(self) -> None:
        self.watcher.step()
        self.agent.act()

    def verdicts(self) -> list[Verdict]:
        self.watcher.step()
        return [Verdict(judged.verdict) for _, judged in self.watcher.standing()]

    def close(self) -> None:
        self.agent.close()
        self.store.close()

    @property
    def wei(self) -> int:
        return self.stage.anvil.rpc.balance_wei(self.wallet.address)
