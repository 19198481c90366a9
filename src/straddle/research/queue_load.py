"""How long an attacker can keep everybody's forced requests waiting, and what it costs him.

A proof takes the same time whatever its batch holds. A batch answers as many entries as it has queue rows, fewer when their accounts hold so many positions
that the position rows run out first: the worst is an account at its cap of positions in every entry. (What touches an account after its forced withdrawal
waits for the next batch, so that one batch may answer a single entry; over several it is no fewer. tests/differential/test_worst_queue.py has the engine
answer such queues.) Each entry needs an account of its own (a second request of a kind waits for the answer to the first), so an entry costs the minimum
deposit (which the attacker gets back), its gas, the request's gas and its fee.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from straddle.commitments.preset import Preset
from straddle.research.prices import Prices

DAY_S = 86_400
WEI_IN_ETHER = 10**18


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """What a prover answers, and what keeping it busy costs."""

    proof_seconds: float
    """Wall time of one proof on this machine."""
    entries_a_batch: int
    worst_entries_a_batch: int
    entries_a_day: float
    worst_entries_a_day: float
    gas_an_entry: int
    dollars_an_entry: float
    """Gas of account and request, and the fee; the minimum deposit is not lost."""
    deposit_an_entry: float
    dollars_for_a_day: float
    """To put a day's work of ordinary entries before everybody else's."""
    dollars_for_a_week: float
    """To reach permissionless mode: 7 days."""
    worst_proof_seconds_a_full_queue_block: float
    """Proving time of what one layer-1 block of 30 million gas can hold, at the worst."""

    def figures(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def queue_load(preset: Preset, positions_cap: int, proof_seconds: float, account_gas: int, request_gas: int, fee_wei: int, prices: Prices) -> QueueLoad:
    """ValueError for a proof that takes no time, or a cap that does not fit the preset."""
    if not proof_seconds > 0 or not 0 < positions_cap <= preset.positions:
        raise ValueError(f"queue load: {proof_seconds} s a proof, {positions_cap} positions, expected above 0 s and 1 to {preset.positions} positions")
    most = min(preset.queue, preset.accounts)
    worst = min(most, preset.positions // positions_cap)
    a_day, worst_a_day = (DAY_S / proof_seconds * entries for entries in (most, worst))
    dollars = prices.dollars(account_gas + request_gas) + fee_wei / WEI_IN_ETHER * prices.ether_usd
    block = 30_000_000 // (account_gas + request_gas)
    return QueueLoad(
        proof_seconds=proof_seconds,
        entries_a_batch=most,
        worst_entries_a_batch=worst,
        entries_a_day=a_day,
        worst_entries_a_day=worst_a_day,
        gas_an_entry=account_gas + request_gas,
        dollars_an_entry=dollars,
        deposit_an_entry=1.0,
        dollars_for_a_day=dollars * a_day,
        dollars_for_a_week=7 * dollars * a_day,
        worst_proof_seconds_a_full_queue_block=block / worst * proof_seconds,
    )
