"""Configuration of `straddle up`: one TOML file. Every key has a default, a range and a meaning; a refusal names the key, its value and what was expected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from eth_utils.address import is_address, to_checksum_address

from straddle.commitments.policy import Data
from straddle.commitments.preset import Preset
from straddle.l1.fees import GWEI, Fees
from straddle.node.choice import DATA_PLACES, PATIENCE_S, POLICIES, chosen_policy
from straddle.node.config import CHAIN_FILE, PRICES_FILE, ConfigError, data_directory
from straddle.node.terms import CHALLENGE_WINDOW_S, CHALLENGER_BOND_WEI, MEMBER_THRESHOLD, MEMBERS, PROPOSER_BOND_WEI, PROVING_ALLOWANCE_S, PolicyTerms
from straddle.primitives.files import read_toml
from straddle.primitives.urls import is_service
from straddle.proving.presets import all_presets

TABLE_AGE_S = 900
"""Layer 1 takes no batch on an older table (Rollup.vy, MAX_TABLE_AGE_MS)."""
POSTING_S = 60
"""Kept free for the transactions of a batch that had to wait for its quorum."""
FEWEST_INSTRUMENTS = 4
"""The perpetual, and a future, a call and a put of one expiry."""


def _key(default: Any, help_: str, low: int | float | None = None, high: int | float | None = None, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help_, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class MarketSettings:
    """The recorded market that the oracle replays."""

    chain: str = _key("", "Recorded option chain, CSV with the columns of data/README.md; empty: the one that comes with Straddle.")
    prices: str = _key("", "Recorded hourly candles of the underlying, CSV; empty: those that come with Straddle.")
    parameters: str = _key("", "The market's numbers, a file (docs/reference/parameters.md): margin, auctions, fees, the risk table, listing; empty: the "
                               "defaults; fixed at deployment, and kept in deployment.json.")  # fmt: skip
    seed: int = _key(1, "The minutes inside each recorded hour follow from it.", 0, 2**63 - 1)
    instruments: int = _key(0, "Instruments listed at a time at most, the perpetual among them; 0: as many as the preset has room for (144 with demo, 256 with "
                            "standard). Some half of them are listed at first, the rest where the index goes.", 0, 10_000)  # fmt: skip
    speed: float = _key(1.0, "Seconds of the recording for each second of yours.", 0.01, 10_000.0)
    closing_minutes: int = _key(60, "Minutes of the market before the end of the candles from which on it is reduce-only. Nothing can be withdrawn later than "
                                "10 minutes of yours after the end (docs/guides/run-an-exchange.md).", 0, 10_000)  # fmt: skip


@dataclass(frozen=True)
class EpochSettings:
    """Risk epochs."""

    seconds: int = _key(60, "Market seconds from one risk table to the next at most.", 1, 900)
    move_bps: int = _key(50, "A new risk table as soon as the index has moved so far since the last one, basis points; 0: however far.", 0, 10_000)
    clock_ms: int = _key(250, "Market milliseconds from one telling of the time to the engine to the next at least: the resolution of orders' dates and of "
                         "protections' intervals and freezes. One log entry each, and only ahead of signed commands.", 1, 60_000)  # fmt: skip
    oracles: int = _key(3, "Oracles of the development committee; fixed at deployment.", 1, 16)
    threshold: int = _key(2, "Oracles that sign each table; fixed at deployment.", 1, 16)


@dataclass(frozen=True)
class BatchSettings:
    """When a batch is closed, besides when its preset is full or its epoch ends."""

    seconds: float = _key(
        30.0, "Seconds of yours after which a batch with something to prove is closed; optimistic: fewer (docs/protocol/policies.md).", 0.1, 3_600.0
    )
    entries: int = _key(100_000, "Log entries after which a batch is closed.", 1, 2**24 - 10_000)
    lag_max: int = _key(8, "Closed batches that layer 1 has not verified (optimistic: does not have); from here on the market is cancel-only, until half of "
                        "them are.", 1, 200)  # fmt: skip


@dataclass(frozen=True)
class ProverSettings:
    """Proofs."""

    workers: int = _key(1, "Prover processes; each proves one batch at a time and holds the proving key in memory.", 1, 64)


@dataclass(frozen=True)
class Layer1Settings:
    """The chain that the exchange settles on."""

    url: str = _key("", "JSON-RPC address; empty: an anvil of the node's own, whose state is kept in the data folder.")
    port: int = _key(0, "Port on 127.0.0.1 of an anvil of the node's own; 0: a free one, which the node tells. Without meaning when url is given.", 0, 65_535)
    confirmations: int = _key(0, "Blocks on top of one before its deposits and keys count. 0 suits a development chain, which has no reorgs.", 0, 10_000)
    poll_seconds: float = _key(1.0, "Time between two looks at layer 1.", 0.05, 60.0)
    max_gas_gwei: int = _key(
        1_000, "Most that the sequencer's wallet pays for a unit of gas, tip included; while the base fee is above it, nothing is posted.", 1, 10**6
    )
    max_tip_gwei: int = _key(50, "Most of it for the proposer of a block, whatever the layer-1 node says is usual.", 0, 10**6)
    max_blob_gas_gwei: int = _key(5_000, "Most for a unit of blob gas.", 1, 10**6)

    @property
    def most(self) -> Fees:
        """What a unit of gas may cost, wei."""
        return Fees(self.max_gas_gwei * GWEI, self.max_tip_gwei * GWEI, self.max_blob_gas_gwei * GWEI)


@dataclass(frozen=True)
class RollupSettings:
    """The policy. What is fixed at deployment cannot change in a folder that has a deployment.json."""

    policy: str = _key("zk", "zk: every batch is proved; optimistic: a batch is proved when challenged; validium: zk with data at a committee; fixed at "
                       "deployment.", choices=POLICIES)  # fmt: skip
    data: str = _key("", "Where bodies lie: calldata or blob; empty: calldata, with validium the committee; fixed at deployment.", choices=("", *DATA_PLACES))
    proposer_bond_gwei: int = _key(PROPOSER_BOND_WEI // 10**9, "Optimistic: stands behind each proposal until it is final; fixed at deployment.", 1, 10**12)
    challenger_bond_gwei: int = _key(CHALLENGER_BOND_WEI // 10**9, "Optimistic: what a challenge costs when it was wrong; fixed at deployment.", 1, 10**12)
    challenge_seconds: int = _key(CHALLENGE_WINDOW_S, "Optimistic: how long a proposal may be challenged; fixed at deployment.", 3_600, 30 * 24 * 3_600)
    allowance_seconds: int = _key(PROVING_ALLOWANCE_S, "Optimistic: by so much each open challenge puts off an answer; fixed at deployment.", 1, 3_600)
    prove: str = _key("challenged", "Optimistic: challenged proves what is challenged, early every batch, so that none waits.", choices=("challenged", "early"))


@dataclass(frozen=True)
class CommitteeSettings:
    """The data committee of a validium."""

    members: str = _key("", "ADDRESS@URL of each member, separated by spaces; empty: members of the node's own, for development; fixed at deployment.")
    own: int = _key(MEMBERS, "Members of the node's own where members names none, a process each; fixed at deployment.", 1, 16)
    threshold: int = _key(MEMBER_THRESHOLD, "Certificates that a batch needs, more than two thirds of the members; fixed at deployment.", 1, 16)
    patience_seconds: float = _key(PATIENCE_S, "Market seconds without a quorum after which batches go to layer 1, behind a copy of the state.", 0.0, 900.0)

    @property
    def urls(self) -> dict[str, str]:
        """Address -> URL. ConfigError: malformed."""
        found: dict[str, str] = {}
        for text in self.members.split():
            address, at, url = text.partition("@")
            if not at or not is_address(address) or not is_service(url):
                raise ConfigError(f"committee.members: {text!r}, expected ADDRESS@URL, such as 0x...@http://127.0.0.1:9001")
            if to_checksum_address(address) in found:
                raise ConfigError(f"committee.members: {address} twice, expected each member once")
            found[to_checksum_address(address)] = url
        return found


@dataclass(frozen=True)
class ApiSettings:
    """HTTP and WebSocket."""

    host: str = _key("127.0.0.1", "Address to listen on. The interface knows no users: keep it to this machine, or put a gateway before it.")
    port: int = _key(8645, "Port; 0: a free one, which the node tells.", 0, 65_535)


@dataclass(frozen=True)
class SnapshotSettings:
    """Snapshots beside the journal."""

    batches: int = _key(4, "Batches from one snapshot to the next; a restart replays what came after the last one.", 1, 10_000)


@dataclass(frozen=True)
class SolvencySettings:
    """Proofs of solvency, which the node publishes by itself."""

    every_hours: float = _key(
        0.0, "Market hours from one published proof that the exchange is solvent to the next; 0: never. The operator's key pays.", 0, 8_760
    )


@dataclass(frozen=True)
class Settings:
    """All of it. `Settings.load` reads a file; the constructor checks."""

    preset: str = _key(
        "demo", "Sizes of the batch circuit (native/circuit/presets.json): nano for a quick look; fixed at deployment.", choices=tuple(all_presets())
    )
    market: MarketSettings = field(default_factory=MarketSettings)
    epochs: EpochSettings = field(default_factory=EpochSettings)
    batches: BatchSettings = field(default_factory=BatchSettings)
    prover: ProverSettings = field(default_factory=ProverSettings)
    rollup: RollupSettings = field(default_factory=RollupSettings)
    committee: CommitteeSettings = field(default_factory=CommitteeSettings)
    layer1: Layer1Settings = field(default_factory=Layer1Settings)
    api: ApiSettings = field(default_factory=ApiSettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    solvency: SolvencySettings = field(default_factory=SolvencySettings)

    def __post_init__(self) -> None:
        _check_values(self, "")
        if self.epochs.threshold > self.epochs.oracles:
            raise ConfigError(f"epochs.threshold: {self.epochs.threshold}, expected at most epochs.oracles, {self.epochs.oracles}")
        if self.market.instruments and not FEWEST_INSTRUMENTS <= self.market.instruments <= self.room:
            raise ConfigError(
                f"market.instruments: {self.market.instruments}, expected 0, or {FEWEST_INSTRUMENTS} (the perpetual; a future, a call and a put of one expiry) "
                f"to {self.room} with preset {self.preset}"
            )
        members = len(self.committee.urls) or self.committee.own
        if self.terms.data is Data.COMMITTEE and not 2 * members < 3 * self.committee.threshold <= 3 * members:
            raise ConfigError(f"committee.threshold: {self.committee.threshold}, expected more than two thirds of {members} members and at most all")
        patience_max = max(0, TABLE_AGE_S - self.epochs.seconds - POSTING_S)
        if self.terms.data is Data.COMMITTEE and self.committee.patience_seconds > patience_max:
            raise ConfigError(
                f"committee.patience_seconds: {self.committee.patience_seconds:g}, expected at most {patience_max}: layer 1 takes a batch until its table "
                f"is {TABLE_AGE_S} s old, of which epochs.seconds = {self.epochs.seconds} may pass before it is closed, and {POSTING_S} to post it"
            )
        if self.layer1.url and not is_service(self.layer1.url):
            raise ConfigError(f"layer1.url: {self.layer1.url!r}, expected an address such as http://127.0.0.1:8545")

    @property
    def circuit(self) -> Preset:
        """The preset's sizes."""
        return all_presets()[self.preset]

    @property
    def terms(self) -> PolicyTerms:
        """The policy as it is deployed. ConfigError: its choices do not go together."""
        chosen = self.rollup
        bonds = (chosen.proposer_bond_gwei * 10**9, chosen.challenger_bond_gwei * 10**9)
        times = (chosen.challenge_seconds, chosen.allowance_seconds)
        return PolicyTerms(*chosen_policy(chosen.policy, chosen.data), *bonds, *times, self.committee.threshold)

    @property
    def room(self) -> int:
        """The most that can be listed: a market maker quotes everything, and one account may hold half of a batch's position rows."""
        return min(self.circuit.instruments, self.circuit.positions // 2)

    @property
    def listed(self) -> int:
        """Instruments that are listed at a time at most."""
        return self.market.instruments or self.room

    @property
    def recordings(self) -> tuple[Path, Path]:
        """The files of the market: chain and prices. ConfigError when one is not there."""
        found = []
        for name, standard in (("chain", CHAIN_FILE), ("prices", PRICES_FILE)):
            chosen = getattr(self.market, name)
            path = Path(chosen) if chosen else data_directory() / standard
            if not path.is_file():
                raise ConfigError(f"market.{name}: {path}, expected a readable file")
            found.append(path)
        return found[0], found[1]

    @classmethod
    def load(cls, path: Path | None, changes: Mapping[str, Any] | None = None) -> Settings:
        """From a TOML file (None: defaults); `changes` maps dotted keys to values that come before the file's, None to leave them."""
        raw = {} if path is None else read_toml("--config", path)
        for key, value in (changes or {}).items():
            if value is not None:
                *tables, name = key.split(".")
                place = raw
                for table in tables:
                    place = place.setdefault(table, {})
                    if not isinstance(place, dict):
                        raise ConfigError(f"{table}: {place!r}, expected a table")
                place[name] = value
        settings: Settings = _from_table(cls, raw, "")
        return settings

    def to_toml(self) -> str:
        """The whole configuration as a file that gives it again, each key with its meaning."""
        return "\n".join(_toml(self, "")).strip() + "\n"


def _from_table(cls: type[Any], raw: Mapping[str, Any], where: str) -> Any:
    known = {item.name for item in fields(cls)}
    hints = get_type_hints(cls)
    values = {}
    for name, value in raw.items():
        if name not in known:
            raise ConfigError(f"{where}{name}: no such key, expected one of {', '.join(where + key for key in sorted(known))}")
        if is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}{name}: {value!r}, expected a table [{where}{name}]")
            value = _from_table(hints[name], value, f"{where}{name}.")
        values[name] = value
    settings = cls(**values)
    _check_values(settings, where)
    return settings


def _check_values(settings: Any, where: str) -> None:
    """Types, ranges and choices of one table's keys."""
    hints = get_type_hints(type(settings))
    for item in fields(settings):
        kind, value, key = hints[item.name], getattr(settings, item.name), f"{where}{item.name}"
        if is_dataclass(kind):
            _check_values(value, f"{key}.")
            continue
        low, high, choices = (item.metadata[name] for name in ("low", "high", "choices"))
        if kind is str:
            if not isinstance(value, str) or (choices and value not in choices):
                raise ConfigError(f"{key}: {value!r}, expected {'one of ' + ', '.join(choices) if choices else 'a text'}")
        elif isinstance(value, bool) or not isinstance(value, int if kind is int else int | float) or not low <= value <= high:
            raise ConfigError(f"{key}: {value!r}, expected {'an integer' if kind is int else 'a number'} from {low} to {high}")


def _toml(settings: Any, table: str) -> list[str]:
    lines: list[str] = []
    nested = []
    for item in fields(settings):
        value = getattr(settings, item.name)
        if is_dataclass(value):
            nested.append((item.name, value))
            continue
        low, high = item.metadata["low"], item.metadata["high"]
        span = "" if low is None else f" {low} to {high}."
        lines += [f"# {item.metadata['help']}{span}", f"{item.name} = {json.dumps(value)}"]
    if table and lines:
        lines = ["", f"[{table}]", *lines]
    for name, value in nested:
        lines += _toml(value, name)
    return lines
