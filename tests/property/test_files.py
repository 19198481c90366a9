"""Every file that a user hands over or a disk may spoil: damaged at random, it gives what it gave, or an error of ours that tells what is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from straddle.commitments.layout import DataError
from straddle.commitments.ledger import CommittedState
from straddle.commitments.saved import SavedAccount, save_account
from straddle.core.params import Params
from straddle.l1.deployment import Deployment, DeploymentError, RollupConfig
from straddle.node.config import ConfigError, read_parameters
from straddle.node.keys import NodeKeys, named_key, open_trading_key
from straddle.primitives.errors import Actionable
from straddle.risk.candles import load_candles
from straddle.risk.csv_rows import RecordingError
from straddle.risk.market_parameters import DEFAULT_MARKET
from straddle.risk.recording import load_chain
from straddle.sequencer.batch_file import BatchFile, BatchRecord, PosterError, SignedEpoch, Status
from straddle.sequencer.journal import BatchMark, Journal, JournalError, Pending
from straddle.sequencer.receipts import LogIdentity
from tests.support.damage import damaged

DATA = Path(__file__).parents[2] / "data"
LOG = LogIdentity(31337, 0x1234)
ROUNDS = 120


def chain_file(folder: Path) -> Path:
    rows = (DATA / "deribit_btc_options_2020-05-21.csv").read_text().splitlines(keepends=True)
    (folder / "chain.csv").write_text("".join(rows[:25]))
    return folder / "chain.csv"


def candles_file(folder: Path) -> Path:
    rows = (DATA / "coinbase_btcusd_1h_2019-09_2020-10.csv").read_text().splitlines(keepends=True)
    (folder / "candles.csv").write_text("".join(rows[:60]))
    return folder / "candles.csv"


def keys_file(folder: Path) -> Path:
    NodeKeys.open(folder / "keys.json", 2)
    return folder / "keys.json"


def trading_file(folder: Path) -> Path:
    open_trading_key(folder / "trading.key")
    return folder / "trading.key"


def parameters_file(folder: Path) -> Path:
    (folder / "parameters.json").write_text(DEFAULT_MARKET.to_json())
    return folder / "parameters.json"


def deployment_file(folder: Path) -> Path:
    zero = "0x" + "00" * 20
    config = RollupConfig(
        sequencer=zero, operator=zero, account_depth=20, queue_rows=8, withdrawal_rows=4, body_cells=100, oracles=(zero,), threshold=1,
        genesis_root=5, params_hash=7,
    )  # fmt: skip
    (folder / "deployment.json").write_text(Deployment(31337, 1, zero, zero, zero, zero, b"v" * 32, config, zero).to_json())
    return folder / "deployment.json"


def journal_file(folder: Path) -> Path:
    journal = Journal(folder / "journal.sqlite", LOG)
    journal.append([*(Pending(1, 1000 + i, f"command {i}".encode()) for i in range(40)), BatchMark(1, 40, 77)])
    journal.close()
    return folder / "journal.sqlite"


def poster_file(folder: Path) -> Path:
    file = BatchFile(folder / "poster.sqlite", lambda record: None)
    for i in range(1, 20):
        file.save_epoch(SignedEpoch(i, 1_000 * i, 7, b"inputs" * 20, (b"s" * 65,)))
        file.save(BatchRecord(i, Status.CLOSED, "ab" * 32, "0x5", epoch=i))
    file.close()
    return folder / "poster.sqlite"


def saved_file(folder: Path) -> Path:
    state = CommittedState.genesis(Params(8, 4, 10_000, 8_000, 7), 0xA11CE)
    (folder / "saved.json").write_text(save_account(state, 1, 31337, 0xABCDEF).to_json())
    return folder / "saved.json"


def read_poster(path: Path) -> Any:
    file = BatchFile(path, lambda record: None)
    try:
        return file.epochs(0), file.records()
    finally:
        file.close()


def read_saved(path: Path) -> Any:
    saved = SavedAccount.from_json(path.read_text("utf-8", "replace"))
    saved.check(CommittedState.genesis(Params(8, 4, 10_000, 8_000, 7), 0xA11CE).root)
    return saved


def read_keys(path: Path) -> Any:
    found = NodeKeys.open(path, 2)
    named_key(path, "oracle_0")
    return [account.address for account in (found.operator, found.sequencer, *found.oracles)]


def read_journal(path: Path) -> Any:
    journal = Journal(path, LOG)
    try:
        with suppress(KeyError):  # what a snapshot asks before anything else was read
            journal.mark(1)
            journal.entry(20)
        return list(journal.items()), journal.head
    finally:
        journal.close()


CASES: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any], tuple[type[Exception], ...]]] = {
    "recorded chain": (chain_file, load_chain, (RecordingError,)),
    "candles": (candles_file, load_candles, (RecordingError,)),
    "keys": (keys_file, read_keys, (ConfigError,)),
    "trading key": (trading_file, lambda path: open_trading_key(path).value, (ConfigError,)),
    "parameters": (parameters_file, lambda path: read_parameters("market.parameters", path), (ConfigError, Actionable)),
    "deployment": (deployment_file, lambda path: Deployment.from_json(path.read_text("utf-8", "replace")), (DeploymentError,)),
    "journal": (journal_file, read_journal, (JournalError,)),
    "poster": (poster_file, read_poster, (PosterError,)),
    "saved account": (saved_file, read_saved, (DataError,)),
}

GUARDED = {"journal"}
"""Its hashes tell of every change."""


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_file_is_told_or_does_no_harm(name: str, tmp_path: Path) -> None:
    make, read, errors = CASES[name]
    (tmp_path / "good").mkdir()
    good = make(tmp_path / "good")
    content, told = good.read_bytes(), 0
    expected = read(good) if name in GUARDED else None
    for i in range(ROUNDS):
        rng, folder = Random(f"{name}/{i}"), tmp_path / "bad"
        shutil.copytree(good.parent, folder)
        path = folder / good.name
        path.write_bytes(damaged(rng, content))
        try:
            found = read(path)
            assert expected in (None, found), f"damage {i} is not told"
        except errors as error:
            assert len(str(error)) > 10
            told += 1
        shutil.rmtree(folder)
    assert told > ROUNDS // 10


@pytest.mark.parametrize("name", sorted(set(CASES) - {"deployment", "saved account"}))
def test_a_folder_in_place_of_a_file_is_told(name: str, tmp_path: Path) -> None:
    _, read, errors = CASES[name]
    with pytest.raises(errors):
        read(tmp_path)
