"""The prover's client against a stand-in program that speaks its protocol, and misbehaves on demand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from straddle.primitives.hashing import keccak256
from straddle.proving.keys import Proof, ProverOutputError, VerifyingKey
from straddle.proving.prover import Circuit, Progress, Prover, ProverError, default_cache
from straddle.proving.witness import Witness
from tests.differential.stories import STORIES


def words(count: int, start: int) -> list[str]:
    return [f"0x{start + i:064x}" for i in range(count)]


KEY = {
    "alpha": words(2, 1), "beta": words(4, 3), "gamma": words(4, 7), "delta": words(4, 11), "k": [words(2, 15 + 2 * i) for i in range(7)],
    "pedersen_g": words(4, 29), "pedersen_g_sigma_neg": words(4, 33),
}  # fmt: skip
PROOF = {"a": words(2, 1), "b": words(4, 3), "c": words(2, 7), "commitment": words(2, 9), "pok": words(2, 11)}


@pytest.fixture(scope="module")
def witness() -> Witness:
    return STORIES["reduce_only"]().closed[1].posted.witness


def stand_in(directory: Path, output: Any, *, code: int = 0, log: str = "") -> Prover:
    """A prover that prints `output`, logs `log`, keeps its arguments and exits with `code`."""
    program = directory / "straddle-prover"
    text = output if isinstance(output, str) else json.dumps(output)
    body = (
        f"#!{sys.executable}\nimport sys, json, shutil\nargs = sys.argv[1:]\njson.dump(args, open({str(directory / 'args')!r}, 'w'))\n"
        f"if '--witness' in args: shutil.copy(args[args.index('--witness') + 1], {str(directory / 'witness')!r})\n"
        f"sys.stderr.write({log!r})\nsys.stdout.write({text!r})\nsys.exit({code})\n"
    )
    program.write_text(body)
    program.chmod(0o755)
    return Prover(program, directory / "cache")


def public(witness: Witness) -> list[str]:
    values = witness.public
    return [f"0x{value:064x}" for value in (values.c, values.z, values.y_effects, values.y_body, values.beneficiary)]


def test_setup_gives_the_key_and_reports_progress(tmp_path: Path) -> None:
    reports: list[Progress] = []
    prover = stand_in(tmp_path, KEY, log='{"stage": "setup", "done": 0.4}\nwarming up\n{"stage": "write"}\n')
    key = prover.setup("nano", reports.append)
    assert reports == [Progress("setup", 0.4), Progress("write", None)]
    assert key.to_json() == KEY
    assert key.id == keccak256(b"".join(i.to_bytes(32, "big") for i in range(1, 37)))
    assert json.loads((tmp_path / "args").read_text()) == ["setup", "--preset", "nano", "--cache", str(tmp_path / "cache")]


def test_a_failing_progress_callback_does_not_stop_the_prover(tmp_path: Path) -> None:
    def fail(_: Progress) -> None:
        raise RuntimeError("display")

    log = '{"stage": "setup"}\n' * 20_000  # more than a pipe holds
    assert isinstance(stand_in(tmp_path, KEY, log=log).setup("nano", fail), VerifyingKey)


def test_check_hands_over_the_witness_and_returns_the_verdict(tmp_path: Path, witness: Witness) -> None:
    assert stand_in(tmp_path, {"ok": True}).check(witness).ok
    assert Witness.from_json((tmp_path / "witness").read_text()) == witness
    for code in (0, 1):
        refused = stand_in(tmp_path, {"ok": False, "error": "constraint 7"}, code=code).check(witness)
        assert (refused.ok, refused.error) == (False, "constraint 7")
    with pytest.raises(ProverOutputError, match="expected a key ok"):
        stand_in(tmp_path, {"okay": True}).check(witness)


def test_check_many_gives_one_verdict_a_witness(tmp_path: Path, witness: Witness) -> None:
    output = '{"ok": true, "solver": true}\n{"ok": false, "error": "reader", "solver": true}\n{"ok": false, "error": "range"}\n'
    results = stand_in(tmp_path, output).check_many([witness] * 3)
    assert [(item.ok, item.error, item.solver) for item in results] == [(True, "", True), (False, "reader", True), (False, "range", None)]
    assert json.loads((tmp_path / "args").read_text())[0] == "check-many"
    with pytest.raises(ProverOutputError, match="3 answers, expected 2"):
        stand_in(tmp_path, output).check_many([witness] * 2)
    with pytest.raises(ProverOutputError, match="expected a JSON object"):
        stand_in(tmp_path, "nonsense\n").check_many([witness])


def test_prove_gives_the_proof_of_this_witness(tmp_path: Path, witness: Witness) -> None:
    result = stand_in(tmp_path, {**PROOF, "public": public(witness), "cpu_seconds": 2.5, "wall_seconds": 1.5}).prove(witness)
    assert result.proof.words == tuple(range(1, 13))
    assert (result.cpu_seconds, result.wall_seconds) == (2.5, 1.5)
    with pytest.raises(ProverOutputError, match="other public inputs"):
        stand_in(tmp_path, {**PROOF, "public": words(5, 1)}).prove(witness)


@pytest.mark.parametrize(
    "change", [{"b": words(3, 1)}, {"pok": None}, {"a": ["0x1", "zz"]}, {"c": "0x12"}, {"a": ["-0x1", "0x1"]}, {"a": ["0x1", "0x" + "f" * 65]}]
)
def test_malformed_proofs_are_named(change: dict[str, Any], witness: Witness) -> None:
    with pytest.raises(ProverOutputError, match=next(iter(change))):
        Proof.from_json({**PROOF, "public": public(witness), **change})


def test_malformed_keys_are_named() -> None:
    with pytest.raises(ProverOutputError, match=r"k: .*expected 7 points"):
        VerifyingKey.from_json({**KEY, "k": KEY["k"][:6]})
    with pytest.raises(ProverOutputError, match="delta: None, expected 4 words"):
        VerifyingKey.from_json({key: value for key, value in KEY.items() if key != "delta"})


@pytest.mark.parametrize("output", [b"", b"\xff\xfe{}", b"[" * 200_000, b'{"ok": true', b'{"ok": 1}', b'{"ok": true, "solver": 7}', b'"ok"', b"nan"])
def test_whatever_the_prover_prints_is_an_answer_or_told(tmp_path: Path, witness: Witness, output: bytes) -> None:
    prover = stand_in(tmp_path, "")
    prover.binary.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stderr.buffer.write(b'\\xff\\xfe\\n' + b'[' * 100_000)\nsys.stdout.buffer.write({output!r})\n"
    )
    for ask in (lambda: prover.check(witness), lambda: prover.setup("nano"), lambda: prover.circuit("nano")):
        with pytest.raises(ProverOutputError):
            ask()


def test_reports_on_the_way_never_stop_the_reading(tmp_path: Path) -> None:
    """A full pipe would stop the prover."""
    reports: list[Progress] = []
    odd = ['{"stage": "a", "done": 1e400}', '{"stage": "b", "done": 1' + "0" * 400 + "}", '{"stage": "c", "done": NaN}', '{"stage": 1}', "[" * 100_000]
    prover = stand_in(tmp_path, KEY, log="\n".join([*odd, '{"stage": "d", "done": true}'] * 1_000) if len(odd) < 5 else "\n".join(odd) + "\n" + "x" * 200_000)
    assert isinstance(prover.setup("nano", reports.append), VerifyingKey)
    assert [(report.stage, report.done) for report in reports] == [("a", None), ("b", None), ("c", None)]


@pytest.mark.parametrize(
    ("raw", "name"), [({"fill": "many"}, "fill"), ({"fill": None}, "fill"), ({"fill": -1}, "fill"), ({"fill": 10**400}, "fill"), ({"fill": True}, "fill")]
)
def test_figures_that_are_none_are_named(tmp_path: Path, raw: dict[str, Any], name: str) -> None:
    with pytest.raises(ProverOutputError, match=rf"rows: {name} .*, expected a number from 0"):
        stand_in(tmp_path, raw).rows("nano")


def test_costs_that_are_none_are_named(tmp_path: Path, witness: Witness) -> None:
    with pytest.raises(ProverOutputError, match="prove: cpu_seconds 'long', expected a number"):
        stand_in(tmp_path, {**PROOF, "public": public(witness), "cpu_seconds": "long"}).prove(witness)


@pytest.mark.parametrize("content", [b"", b"\x7fELF nothing", b"#!/no/such/interpreter\n"])
def test_a_binary_that_cannot_be_run_is_told(tmp_path: Path, content: bytes) -> None:
    prover = stand_in(tmp_path, KEY)
    prover.binary.write_bytes(content)
    with pytest.raises(ProverError, match=r"straddle-prover cannot be run: .*make setup"):
        prover.setup("nano")
    prover.binary.chmod(0o644)
    with pytest.raises(ProverError, match="straddle-prover cannot be run: Permission denied"):
        prover.setup("nano")


def test_failures_say_what_the_prover_said(tmp_path: Path, witness: Witness) -> None:
    with pytest.raises(ProverError, match=r"setup: exit code 3\nout of memory"):
        stand_in(tmp_path, "", code=3, log="out of memory\n").setup("nano")
    with pytest.raises(ProverError, match="check: exit code 2"):
        stand_in(tmp_path, "", code=2).check(witness)
    with pytest.raises(ProverOutputError, match="expected a JSON object"):
        stand_in(tmp_path, "[1]").circuit("nano")
    with pytest.raises(ProverOutputError, match=r"circuit: .*expected preset 'nano', constraints and digest"):
        stand_in(tmp_path, {"preset": "demo", "constraints": 7, "digest": "ab"}).circuit("nano")
    with pytest.raises(ProverError, match="not found"):
        Prover(tmp_path / "missing")


def test_a_circuit_and_whether_its_keys_are_there(tmp_path: Path) -> None:
    prover = stand_in(tmp_path, {"preset": "nano", "constraints": 7, "digest": "ab"})
    circuit = prover.circuit("nano")
    assert circuit == Circuit("nano", 7, "ab") and not prover.has_keys(circuit)
    (prover.cache / "ab").mkdir()
    (prover.cache / "ab" / "manifest.json").write_text("{}")
    assert prover.has_keys(circuit)
    assert stand_in(tmp_path, {"fill": 12.5, "order": 3}).rows("nano") == {"fill": 12.5, "order": 3.0}


def test_keys_are_cached_under_the_users_cache() -> None:
    assert default_cache().parts[-2:] == ("straddle", "keys")
