"""The verifying keys of a rollup, and whether they are the ones that somebody trusts: whoever made a key's set-up can forge what it verifies, exits too."""

from __future__ import annotations

from collections.abc import Mapping

from straddle.l1.deployment import Deployment, DeploymentError
from straddle.node.config import ConfigError
from straddle.proving.presets import all_presets, load_holdings_preset

OPTIONS = {"batch": "--vk-id", "exits": "--exits-vk-id", "solvency": "--solvency-vk-id"}
"""By which option of `straddle verify` a key is named. A wrong key of batches or exits costs everybody's money; one of solvency deceives."""


def verifying_keys(record: Deployment) -> dict[str, bytes]:
    """Ids of the keys by statement; those that the rollup has."""
    found = {"batch": record.vk_id}
    for name, contract in (("exits", record.exits), ("solvency", record.solvency)):
        if contract is not None:
            found[name] = contract.vk_id
    return found


def check_keys(record: Deployment, expected: Mapping[str, str | None]) -> frozenset[str]:
    """The statements whose key was named and is the record's; that the contracts have the record's is checked against the chain.

    ConfigError: no id; DeploymentError: another one.
    """
    keys, trusted = verifying_keys(record), set()
    for name, text in expected.items():
        if text is None:
            continue
        try:
            wanted = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            wanted = b""
        if len(wanted) != 32:
            raise ConfigError(f"{OPTIONS[name]}: {text!r}, expected 32 bytes in hex")
        if name not in keys:
            raise DeploymentError(f"{name}: no such contract in the record, expected one with the key 0x{wanted.hex()} ({OPTIONS[name]})")
        if wanted != keys[name]:
            raise DeploymentError(f"{name} vk_id: 0x{keys[name].hex()} in the record, expected 0x{wanted.hex()} ({OPTIONS[name]})")
        trusted.add(name)
    return frozenset(trusted)


def check_sizes(record: Deployment) -> None:
    """Exits and solvency have the sizes of the circuits that belong to the rollup's batches, or nobody could ever prove to them. DeploymentError.

    A rollup whose batches have sizes of no preset known here is not judged.
    """
    config = record.config
    sizes = (config.account_depth, config.queue_rows, config.withdrawal_rows, config.body_cells)
    presets = [name for name, preset in all_presets().items() if (preset.account_depth, preset.queue, preset.withdrawals, preset.body_words) == sizes]
    for kind, contract in (("exit", record.exits), ("solvency", record.solvency)):
        if contract is None or not presets:
            continue
        circuits = [load_holdings_preset(name, kind) for name in presets]
        if all((circuit.chunk_bits, circuit.body_words) != (contract.chunk_exponent, contract.body_cells) for circuit in circuits):
            found = f"2^{contract.chunk_exponent} accounts, {contract.body_cells} cells"
            raise DeploymentError(f"{kind}: {contract.address} takes {found}, expected those of {' or '.join(circuit.name for circuit in circuits)}")
