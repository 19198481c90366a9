"""Whether this machine holds the proving key that a contract's proofs need. None is made for it: a new set-up's would not be the contract's."""

from __future__ import annotations

from pathlib import Path

from straddle.l1.deployment import DeploymentError
from straddle.proving.keys import VerifyingKey
from straddle.proving.prover import ProgressCallback, Prover, ProverError


def held_key(prover: Prover, circuit: str, vk_id: bytes, progress: ProgressCallback | None = None) -> VerifyingKey:
    """The verifying key of the circuit's keys in the prover's cache. DeploymentError: there are none, or not those of the contract's `vk_id`."""
    found = prover.circuit(circuit, progress)
    place = prover.cache / found.digest
    remedy = (
        f"expected the one with vk_id 0x{vk_id.hex()} that was published with the exchange, in {place} (--keys FOLDER: in another place than {prover.cache})"
    )
    if not prover.has_keys(found):
        raise DeploymentError(f"proving key of {circuit}: this machine has none, {remedy}")
    key = prover.setup(circuit, progress)
    if key.id != vk_id:
        raise DeploymentError(f"proving key of {circuit}: this machine's has vk_id 0x{key.id.hex()}, {remedy}")
    return key


def key_report(cache: Path | None, circuit: str, vk_id: bytes, progress: ProgressCallback | None = None) -> str:
    """A sentence for whoever will need the key later, and has time to look for it now."""
    try:
        held_key(Prover(cache=cache), circuit, vk_id, progress)
    except (ProverError, DeploymentError) as error:
        return f"not at hand. {error}"
    return f"at hand: this machine has the exchange's key of {circuit}"
