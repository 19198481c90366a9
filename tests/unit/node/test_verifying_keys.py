"""Whoever knows a key's set-up forges what it verifies: every key of a rollup is named, and its circuits are the batch preset's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from straddle.l1.deployment import Deployment, DeploymentError, RollupConfig, StatementContract
from straddle.node.config import ConfigError
from straddle.node.verifying_keys import check_keys, check_sizes, verifying_keys
from straddle.proving.presets import load_holdings_preset, load_preset

SOMEBODY = "0x" + "a1" * 20
BATCH, EXITS, SOLVENCY = (bytes([i]) * 32 for i in (1, 2, 3))


@pytest.fixture
def record() -> Deployment:
    nano = load_preset("nano")
    config = RollupConfig(SOMEBODY, SOMEBODY, (SOMEBODY,), 1, 7, 8, nano.account_depth, nano.queue, nano.withdrawals, nano.body_words)
    exits, solvency = (load_holdings_preset("nano", kind) for kind in ("exit", "solvency"))
    return Deployment(
        31337, 1, SOMEBODY, SOMEBODY, SOMEBODY, SOMEBODY, BATCH, config, SOMEBODY,
        exits=StatementContract(SOMEBODY, SOMEBODY, EXITS, exits.chunk_bits, exits.body_words),
        solvency=StatementContract(SOMEBODY, SOMEBODY, SOLVENCY, solvency.chunk_bits, solvency.body_words),
    )  # fmt: skip


def test_every_key_is_shown(record):
    assert verifying_keys(record) == {"batch": BATCH, "exits": EXITS, "solvency": SOLVENCY}
    assert verifying_keys(replace(record, exits=None, solvency=None)) == {"batch": BATCH}


def test_only_the_keys_that_were_named_count_as_expected(record):
    assert check_keys(record, {"batch": None, "exits": None, "solvency": None}) == frozenset()
    assert check_keys(record, {"batch": BATCH.hex(), "exits": "0x" + EXITS.hex(), "solvency": None}) == {"batch", "exits"}


@pytest.mark.parametrize("name", ["batch", "exits", "solvency"])
def test_another_key_is_refused_by_name(record, name):
    with pytest.raises(DeploymentError, match=f"{name} vk_id: 0x.*expected 0x{'ff' * 32}"):
        check_keys(record, {name: "ff" * 32})
    with pytest.raises(ConfigError, match="vk-id: 'zz', expected 32 bytes in hex"):
        check_keys(record, {name: "zz"})


def test_a_key_of_a_contract_that_is_not_there_is_refused(record):
    with pytest.raises(DeploymentError, match="exits: no such contract"):
        check_keys(replace(record, exits=None), {"exits": EXITS.hex()})


def test_sizes_that_nobody_could_prove_to_are_refused(record):
    check_sizes(record)
    for kind, changed in (("exit", {"body_cells": 1}), ("exit", {"chunk_exponent": 1})):
        with pytest.raises(DeploymentError, match=f"{kind}: .*expected those of nano-{kind}"):
            check_sizes(replace(record, exits=replace(record.exits, **changed)))
    with pytest.raises(DeploymentError, match=r"solvency: .*expected those of nano-solvency"):
        check_sizes(replace(record, solvency=replace(record.solvency, chunk_exponent=0)))


def test_a_rollup_of_other_sizes_is_not_judged(record):
    check_sizes(replace(record, config=replace(record.config, queue_rows=5), exits=replace(record.exits, body_cells=1)))
