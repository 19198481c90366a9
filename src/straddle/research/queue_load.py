"""How long an attacker can keep everybody's forced requests waiting, and what it costs him by the cheapest ways.

A proof takes the same time whatever its batch holds. The cheapest entry is a further deposit into one account: no fee, the money is his, and a batch answers as
many as it has queue rows. The fewest entries a batch are answered when position rows run out first (an account at its cap of positions in every entry), and as
few, without any position, when a forced withdrawal and a deposit of the same account take turns: what touches an account after its forced withdrawal waits for
the next batch. tests/differential/test_worst_queue.py has the engine answer both. Accounts serve again once their request is answered: opening them is not
counted. Deposits are refused while as many entries wait as the contract lets; requests are not, and go on costing their fee.
"""

from __future__ import annotations

from dataclasses import dataclass

from straddle.commitments.preset import Preset
from straddle.research.prices import Prices

HOUR_S = 3_600
WEEK_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class EntryCosts:
    """Of entries, and what layer 1 says of its queue; measured and read, none assumed."""

    deposit_gas: int
    """A further deposit into an account that exists."""
    request_gas: int
    """A forced withdrawal."""
    fee_wei: int
    """Of a request."""
    minimum_deposit_micros: int
    waiting_most: int
    """Entries at which deposits are refused."""
    block_gas: int
    """That a block of this layer 1 holds."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to fill the queue."""

    entries_a_batch: int
    gas_an_entry: float
    dollars_an_entry: float
    """Gas and fee; a deposit itself is not lost."""
    hours_to_drain: float
    """A queue as full as deposits can make it, by one prover on this machine."""
    dollars_to_fill: float
    dollars_for_a_week: float
    """To keep that prover busy until permissionless mode."""


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What a prover answers, and what keeping it busy costs."""

    proof_seconds: float
    """Wall time of one proof on this machine."""
    costs: EntryCosts
    cheapest: Attack
    """By the price of an entry."""
    slowest: Attack
    """By the proofs that an entry takes."""
    block_proof_seconds: float
    """To answer what one full block can hold of the slowest."""


def worst_entries_a_batch(preset: Preset, positions_cap: int) -> int:
    """That a batch answers over a queue, whatever it holds. ValueError for a cap that does not fit the preset."""
    if not 0 < positions_cap <= preset.positions:
        raise ValueError(f"positions_cap: {positions_cap}, expected 1 to {preset.positions}")
    return min(preset.queue, preset.accounts, preset.positions // positions_cap)


def queue_load(preset: Preset, positions_cap: int, proof_seconds: float, costs: EntryCosts, prices: Prices) -> QueueLoad:
    """ValueError for a proof that takes no time, or a cap that does not fit the preset."""
    if not proof_seconds > 0:
        raise ValueError(f"proof_seconds: {proof_seconds}, expected above 0")
    fee = prices.dollars_of_wei(costs.fee_wei)
    worst, pair_gas = worst_entries_a_batch(preset, positions_cap), (costs.deposit_gas + costs.request_gas) / 2

    def attack(entries_a_batch: int, gas: float, fee_usd: float) -> Attack:
        entry = prices.dollars(gas) + fee_usd
        proofs = -(-costs.waiting_most // entries_a_batch)
        a_week = WEEK_S / proof_seconds * entries_a_batch
        return Attack(entries_a_batch, gas, entry, proofs * proof_seconds / HOUR_S, costs.waiting_most * entry, a_week * entry)

    block = costs.block_gas / pair_gas / worst * proof_seconds
    return QueueLoad(proof_seconds, costs, attack(preset.queue, costs.deposit_gas, 0.0), attack(worst, pair_gas, fee / 2), block)
