"""The simulator in the suite: a short run with every fault, the same run twice, and a long one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from .world import FAULTS, Finding, Simulation


def run(seed: str, folder: Path, commands: int, fault_share: float = 0.1) -> Simulation:
    simulation = Simulation(seed, folder, fault_share=fault_share)
    simulation.run(commands)
    return simulation


def run_many(seeds: range, folder: Path, commands: int) -> Counter[str]:
    return sum((run(f"suite/{seed}", folder / str(seed), commands).counts for seed in seeds), Counter[str]())


def test_a_short_run_with_every_fault_has_no_finding(tmp_path: Path) -> None:
    counts = run_many(range(6), tmp_path, 350)
    assert {f"fault: {name}" for name in FAULTS} <= counts.keys()
    assert counts["blocks undone"] > 5 and counts["posted again"] > 0 and counts["interrupted"] > 5 and counts["checked"] > 5 and counts["batches"] > 60


def test_a_run_replays_from_its_seed(tmp_path: Path) -> None:
    first, again, other = (run(seed, tmp_path / name, 120) for name, seed in (("a", "x/1"), ("b", "x/1"), ("c", "x/2")))
    assert first.digest == again.digest != other.digest
    assert first.counts == again.counts


def test_a_finding_names_seed_and_step(tmp_path: Path) -> None:
    simulation = Simulation("bad/1", tmp_path)
    while not simulation.auditor.deposited:
        simulation.step()
    simulation.node.sequencer.exchange.accounts[3].cash += 1
    with pytest.raises(Finding, match=r"seed 'bad/1', step \d+, command \d+: "):
        simulation.run(2_000)


@pytest.mark.slow
def test_a_longer_run_has_no_finding(tmp_path: Path) -> None:
    counts = run_many(range(100, 120), tmp_path, 600)
    assert counts["batches"] > 400
