"""What follows from the policy of a rollup: its circuits, and how its poster works."""

from __future__ import annotations

from collections.abc import Callable

from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.core.params import Params
from straddle.l1.deploying import CircuitKeys, StatementKey
from straddle.l1.deployment import Deployment
from straddle.node.choice import PATIENCE_S
from straddle.node.config import ConfigError
from straddle.node.layer1 import PosterChain
from straddle.node.settings import TABLE_AGE_S
from straddle.proving.presets import load_holdings_preset
from straddle.proving.prover import Progress, Prover
from straddle.proving.vector import circuit_name
from straddle.sequencer.batch_file import BatchFile
from straddle.sequencer.placing import Certifier, OnLayer1, Placing, WithCommittee
from straddle.sequencer.settling import ProveAlways, ProveWhenChallenged, Settling


def circuit_keys(prover: Prover, preset: str, data: Data, progress: Callable[[Progress], None] | None = None) -> CircuitKeys:
    """The verifying keys of a rollup's circuits, made when the cache has none: batches, exits, solvency."""
    sizes = {kind: load_holdings_preset(preset, kind) for kind in ("exit", "solvency")}
    statements = {kind: StatementKey(prover.setup(f"{preset}-{kind}", progress), holdings.chunk_bits, holdings.body_words) for kind, holdings in sizes.items()}
    return CircuitKeys(prover.setup(circuit_name(preset, data), progress), **statements)


def settling_of(deployment: Deployment, file: BatchFile, chain: PosterChain, *, early: bool = False) -> Settling:
    """How the poster makes batches of a rollup final. `early`: all are proved before their window is over, where nobody has to."""
    return ProveWhenChallenged(file, chain, early=early) if deployment.config.optimistic else ProveAlways(file, chain)


def pace_ms(deployment: Deployment, slots: int) -> int:
    """Time between two batches that are not full, so that a window of them takes three quarters of the slots; at most half of a table's age. 0: no window."""
    if not deployment.config.optimistic:
        return 0
    return min(1000 * deployment.config.challenge_window_s * 4 // (3 * slots), 500 * TABLE_AGE_S)


def placing_of(
    deployment: Deployment,
    file: BatchFile,
    chain: PosterChain,
    params: Params,
    preset: Preset,
    certifier: Certifier | None = None,
    *,
    patience_s: float = PATIENCE_S,
) -> Placing:
    """Where the poster puts the bodies of a rollup's batches. ConfigError: a committee without a way to it."""
    config = deployment.config
    if config.data is not Data.COMMITTEE:
        return OnLayer1(config.data)
    if certifier is None:
        raise ConfigError("committee.members: none, expected addresses with URLs: the rollup's data lie with a committee")
    return WithCommittee(file, chain, certifier, preset, params, int(config.operator, 16), config.member_threshold, patience_s=patience_s)
