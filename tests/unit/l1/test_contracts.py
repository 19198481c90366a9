"""Compilation, its cache, and the ABI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from straddle.l1 import contracts
from straddle.l1.contracts import ContractError, contracts_directory, load, load_path

HERE = Path(__file__).parent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "Counter.vy"
    path.write_text("# pragma version 0.4.3\ncount: public(uint256)\n\n\n@external\ndef add(amount: uint256):\n    self.count += amount\n")
    return path


def fresh(path: Path, cache: Path):
    """As a new process would load it."""
    load_path.cache_clear()
    return load_path(path, cache)


def test_the_cache_saves_the_compiler(source, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = fresh(source, cache)
    assert len(list(cache.iterdir())) == 1

    def forbidden(path):
        raise AssertionError("compiled again")

    monkeypatch.setattr(contracts, "_compile", forbidden)
    again = fresh(source, cache)
    assert (again.abi, again.bytecode, again.name) == (first.abi, first.bytecode, "Counter")


def test_changed_sources_are_compiled_again(source, tmp_path):
    first = fresh(source, tmp_path / "cache")
    source.write_text(source.read_text().replace("+= amount", "+= 2 * amount"))
    assert fresh(source, tmp_path / "cache").bytecode != first.bytecode


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"name": "Counter", "abi": [], "bytecode": "zz"}'])
def test_a_damaged_entry_is_replaced(source, tmp_path, content):
    cache = tmp_path / "cache"
    good = fresh(source, cache)
    (entry,) = cache.iterdir()
    entry.write_text(content)
    assert fresh(source, cache).bytecode == good.bytecode
    assert fresh(source, cache).abi == good.abi


def test_a_change_in_an_imported_module_counts(tmp_path, monkeypatch):
    copy = tmp_path / "contracts"
    shutil.copytree(contracts_directory(), copy)
    monkeypatch.setattr(contracts, "contracts_directory", lambda: copy)
    before = contracts._digest(copy / "Rollup.vy")
    module = copy / "modules" / "twisted_edwards.vy"
    module.write_text(module.read_text().replace("range(3)", "range(2)"))
    assert contracts._digest(copy / "Rollup.vy") != before


def test_errors_say_what_was_expected(source, tmp_path):
    with pytest.raises(ContractError, match="no contract 'Bank'; expected one of Groth16Verifier, Rollup, TestUSDC, Vault"):
        load("Bank")
    with pytest.raises(ContractError, match="no contract source"):
        load_path(tmp_path / "Nowhere.vy")
    source.write_text("# pragma version 0.4.3\nfoo: uint\n")
    with pytest.raises(ContractError, match=r"Counter\.vy does not compile"):
        fresh(source, tmp_path / "cache")
    rollup = load("Rollup")
    with pytest.raises(ContractError, match="Rollup has no function 'rob'"):
        rollup.encode_call("rob")
    with pytest.raises(ContractError, match=r"Rollup\.set_key takes 3 arguments \(account, key, base\), got 1"):
        rollup.encode_call("set_key", 1)
    with pytest.raises(ContractError, match=r"Rollup\.set_key: "):
        rollup.encode_call("set_key", -1, (0, 0), (0, 0))
    with pytest.raises(ContractError, match="calls no function of Rollup"):
        rollup.decode_call(b"\1\2\3\4")
    with pytest.raises(ContractError, match=r"argument of type bytes has .* bytes, expected at most 65536"):
        rollup.decode_call(rollup.selector("propose") + b"\1")
    with pytest.raises(ContractError, match="no event 'Robbed'"):
        rollup.event_topic("Robbed")


def test_calls_survive_the_round_trip():
    rollup = load("Rollup")
    header = (b"\7" * 32, 1, 2, 3, 4)
    calldata = rollup.encode_call("prove", b"\1" * 64, header, list(range(12)), "0x" + "ab" * 20)
    assert rollup.decode_call(calldata) == (
        "prove",
        {"effects": b"\1" * 64, "header": header, "proof": tuple(range(12)), "beneficiary": "0x" + "ab" * 20},
    )


def test_contracts_fit_the_size_limit():
    """EIP-170: 24,576 bytes. The creation code is an upper bound but for the immutables, which only Vyper's creation code knows."""
    for name in contracts.NAMES:
        assert len(load(name).bytecode) < 23_000
