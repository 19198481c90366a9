"""The staying prover's client against a stand-in that speaks its protocol, and misbehaves on demand."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from straddle.proving import server as module
from straddle.proving.keys import ProverOutputError
from straddle.proving.prover import Progress, Prover, ProverError
from straddle.proving.server import ProvingServer
from straddle.proving.witness import Witness
from tests.unit.proving.test_prover import PROOF, public, witness, words  # noqa: F401 (a fixture)


def stand_in(directory: Path, answers: list[object], *, first: object = {"ready": True}) -> ProvingServer:
    """A server that says `first`, then gives one answer a request; None makes it die. It counts its starts and keeps the last witness."""
    program = directory / "straddle-prover"
    program.write_text(
        f"""#!{sys.executable}
import json, shutil, sys
open({str(directory / "starts")!r}, "a").write(json.dumps(sys.argv[1:]) + "\\n")
print({json.dumps(first)!r}, flush=True)
sys.stderr.write('{{"stage": "load keys"}}\\n')
for line, answer in zip(sys.stdin, json.loads({json.dumps(answers)!r})):
    shutil.copy(line.strip(), {str(directory / "witness")!r})
    if answer is None:
        sys.exit("out of memory")
    sys.stderr.write('{{"stage": "prove"}}\\n')
    sys.stderr.flush()
    print(json.dumps(answer), flush=True)
"""
    )
    program.chmod(0o755)
    return ProvingServer(Prover(program, directory / "cache"), "nano")


BUSY = """
import time
for line in sys.stdin:
    open(sys.argv[-1] + "/../begun", "w")
    time.sleep(600)
"""


def starts(directory: Path) -> list[list[str]]:
    return [json.loads(line) for line in (directory / "starts").read_text().splitlines()]


def test_one_process_proves_many(tmp_path: Path, witness: Witness) -> None:  # noqa: F811
    answer = {**PROOF, "public": public(witness), "cpu_seconds": 2.5, "wall_seconds": 1.5}
    reports: list[Progress] = []
    with stand_in(tmp_path, [answer] * 3) as server:
        for _ in range(3):
            assert server.prove(witness, reports.append).proof.words == tuple(range(1, 13))
        assert Witness.from_json((tmp_path / "witness").read_text()) == witness
    assert starts(tmp_path) == [["serve", "--preset", "nano", "--cache", str(tmp_path / "cache")]]
    assert Progress("prove") in reports


def test_a_refused_witness_leaves_the_server_running(tmp_path: Path, witness: Witness) -> None:  # noqa: F811
    with stand_in(tmp_path, [{"error": "constraint #7"}, {**PROOF, "public": public(witness)}]) as server:
        with pytest.raises(ProverError, match="serve: constraint #7"):
            server.prove(witness)
        server.prove(witness)
    assert len(starts(tmp_path)) == 1


def test_a_dead_server_is_reported_and_started_again(tmp_path: Path, witness: Witness) -> None:  # noqa: F811
    with stand_in(tmp_path, [None]) as server:
        for _ in range(2):
            with pytest.raises(ProverError, match=r"exit code 1\nout of memory"):
                server.prove(witness)
    assert len(starts(tmp_path)) == 2


def test_a_proof_of_something_else_is_refused(tmp_path: Path, witness: Witness) -> None:  # noqa: F811
    with stand_in(tmp_path, [{**PROOF, "public": words(5, 1)}]) as server, pytest.raises(ProverOutputError, match="other public inputs"):
        server.prove(witness)


@pytest.mark.parametrize("first", [{"ready": False}, {"error": "no keys"}])
def test_a_server_that_is_not_ready_is_refused(tmp_path: Path, witness: Witness, first: object) -> None:  # noqa: F811
    with stand_in(tmp_path, [], first=first) as server, pytest.raises(ProverError, match="did not say that it is ready"):
        server.prove(witness)


def test_closing_without_a_proof_is_quiet(tmp_path: Path) -> None:
    stand_in(tmp_path, []).close()
    assert not (tmp_path / "begun").exists()


def test_a_proof_in_the_making_ends_with_the_process(tmp_path: Path, witness: Witness) -> None:  # noqa: F811
    """`close` would wait for the answer; whoever stops does not."""
    server = stand_in(tmp_path, [{"error": "never said"}])
    program = tmp_path / "straddle-prover"
    (tmp_path / "cache").mkdir()
    program.write_text(program.read_text().replace("for line, answer in", BUSY + "for line, answer in"))
    with ThreadPoolExecutor(1) as pool:
        proving = pool.submit(server.prove, witness)
        while server._process is None or not (tmp_path / "begun").exists():
            assert not proving.done()
        server.end()
        with pytest.raises(ProverError, match="serve: exit code -9"):
            proving.result()
    with pytest.raises(ProverError, match="it was ended"):
        server.prove(witness)
    server.close()
    assert len(starts(tmp_path)) == 1


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[" * 200_000, b"", b'"ready"', b'{"a": ["0x1"]}', b'{"ready": tru'])
def test_a_server_that_talks_nonsense_is_told_and_not_believed_again(tmp_path: Path, witness: Witness, line: bytes) -> None:  # noqa: F811
    """What it says later may be the answer to anything."""
    server = stand_in(tmp_path, [])
    program = tmp_path / "straddle-prover"
    nonsense = f"sys.stdin.readline()\nsys.stdout.buffer.write({line!r} + b'\\n')\nsys.stdout.buffer.flush()\nsys.stdin.read()\n"
    program.write_text(program.read_text().split("for line, answer")[0] + nonsense)
    for _ in range(2):
        with pytest.raises(ProverOutputError):
            server.prove(witness)
    server.close()
    assert len(starts(tmp_path)) == 2


def test_a_server_that_does_not_end_is_killed(tmp_path: Path, witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    server = stand_in(tmp_path, [{**PROOF, "public": public(witness)}])
    program = tmp_path / "straddle-prover"
    program.write_text(program.read_text() + "import time\ntime.sleep(600)\n")
    server.prove(witness)
    process = server._process
    server.close()
    assert process is not None and process.returncode == -9


def test_a_binary_that_cannot_be_run_is_told(tmp_path: Path, witness: Witness) -> None:  # noqa: F811
    server = stand_in(tmp_path, [])
    (tmp_path / "straddle-prover").write_bytes(b"nothing")
    with pytest.raises(ProverError, match="straddle-prover cannot be run"):
        server.prove(witness)
