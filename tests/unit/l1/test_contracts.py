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


def another_digit(content):
    """Of the code: a contract would be deployed that nobody wrote."""
    place = content.index(b'"bytecode"') + 40
    return content[:place] + (b"0" if content[place : place + 1] != b"0" else b"1") + content[place + 1 :]


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: b"{}", lambda content: b"[" * 200_000, lambda content: content[:-1], another_digit])
def test_a_damaged_entry_is_replaced(source, tmp_path, damage):
    cache = tmp_path / "cache"
    good = fresh(source, cache)
    (entry,) = cache.iterdir()
    content = entry.read_bytes()
    entry.write_bytes(damage(content))
    found = fresh(source, cache)
    assert (found.bytecode, found.runtime, found.abi) == (good.bytecode, good.runtime, good.abi)
    assert entry.read_bytes() == content


def test_a_change_in_an_imported_module_counts(tmp_path, monkeypatch):
    copy = tmp_path / "contracts"
    shutil.copytree(contracts_directory(), copy)
    monkeypatch.setattr(contracts, "contracts_directory", lambda: copy)
    before = contracts._digest(copy / "Rollup.vy")
    module = copy / "modules" / "twisted_edwards.vy"
    module.write_text(module.read_text().replace("range(3)", "range(2)"))
    assert contracts._digest(copy / "Rollup.vy") != before


def test_errors_say_what_was_expected(source, tmp_path):
    with pytest.raises(ContractError, match="no contract 'Bank'; expected one of Committee, Exits, Groth16Verifier, Rollup, Solvency, TestUSDC, Vault"):
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
    with pytest.raises(ContractError, match=r"a dynamic argument has .* bytes, expected at most 65536"):
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


def test_calls_with_nested_arguments_survive_the_round_trip():
    rollup = load("Rollup")
    opening = (b"\1" * 48, b"\2" * 48, 77)
    assert rollup.decode_call(rollup.encode_call("propose_blob", b"\3" * 64, 5, opening))[1] == {
        "effects": b"\3" * 64, "data_commitment": 5, "opening": opening,
    }  # fmt: skip
    certificates = tuple((27, i, i + 1) for i in range(6))
    assert rollup.decode_call(rollup.encode_call("propose_certified", b"\3" * 64, 5, certificates))[1]["certificates"] == certificates


def test_nested_arguments_are_read_as_the_evm_does():
    """Offsets in a struct count from its beginning; tails may come in any order, with gaps, and beyond the end lie zeros."""
    rollup = load("Rollup")

    def word(value):
        return value.to_bytes(32, "big")

    struct = word(0xE0) + word(0x60) + word(77) + word(48) + b"\2" * 48 + b"\xff" * 16 + b"\xee" * 32 + word(48) + b"\1" * 40  # 8 bytes are missing at the end
    arguments = word(0x60 + 32) + word(5) + word(0x60 + 32 + 64) + b"\xdd" * 32 + word(32) + b"\3" * 32 + struct
    name, found = rollup.decode_call(rollup.selector("propose_blob") + arguments)
    assert (name, found) == ("propose_blob", {"effects": b"\3" * 32, "data_commitment": 5, "opening": (b"\1" * 40 + bytes(8), b"\2" * 48, 77)})
    long = word(0x60) + word(5) + word(0x80) + word(0) + word(2**200)
    with pytest.raises(ContractError, match=r"a dynamic argument has .* bytes, expected at most 65536"):
        rollup.decode_call(rollup.selector("propose_certified") + long)


def test_contracts_fit_the_size_limits():
    """EIP-170 and EIP-3860. What immutables add to the deployed code tests/contracts measures."""
    for name in contracts.NAMES:
        contract = load(name)
        assert len(contract.runtime) < 24_576 and len(contract.bytecode) < 49_152
