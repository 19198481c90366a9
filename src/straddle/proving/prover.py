"""Client of the prover binary (native/cmd/straddle-prover): one subprocess a command, JSON in and out, progress on the way."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import platformdirs

from straddle.primitives.errors import Actionable
from straddle.primitives.nesting import decode_json
from straddle.proving.keys import Proof, ProverOutputError, VerifyingKey
from straddle.proving.witness import PublicInputs

BINARY = "straddle-prover"
PACKAGED = Path(__file__).resolve().parents[1] / "_native" / BINARY
CHECKOUT = Path(__file__).resolve().parents[3] / "native" / "bin" / BINARY

_FIGURE_MAX = 1e18
_TAIL_LINES = 20
"""How many lines of the prover's log an error repeats."""


class WitnessFile(Protocol):
    """A witness of any circuit: straddle.proving.witness.Witness, straddle.proving.holdings.HoldingsWitness."""

    @property
    def public(self) -> PublicInputs:
        """The public inputs that it is bound to."""

    def to_json(self, *, indent: int | None = 1) -> str:
        """Its file."""


class ProverError(Actionable):
    """The prover is missing or failed; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A report on the way; `done` is between 0 and 1 where a fraction is known."""

    stage: str
    done: float | None = None


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether the circuit accepts a witness, and if not, why (the reader's or the solver's error).

    `solver` is what the solver says by itself, whatever the reader refused; only `check_many` asks, and it is None where the witness cannot reach the solver.
    """

    ok: bool
    error: str = ""
    solver: bool | None = None


@dataclass(frozen=True, slots=True)
class ProveResult:
    """A proof and what it cost."""

    proof: Proof
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Circuit:
    """Identity of a compiled circuit: keys fit one digest only."""

    name: str
    constraints: int
    digest: str


def default_cache() -> Path:
    """Directory of proving keys: keys of every circuit lie in a folder named by its digest."""
    return platformdirs.user_cache_path("straddle", appauthor=False) / "keys"


def find_binary() -> Path | None:
    """The prover of this checkout or package, or the one on PATH."""
    found = shutil.which(BINARY)
    return next((path for path in (CHECKOUT, PACKAGED, Path(found) if found else None) if path is not None and path.exists()), None)


class Prover:
    """The prover's commands. ProverError when it is missing or fails; ProverOutputError when it prints nonsense."""

    def __init__(self, binary: Path | None = None, cache: Path | None = None) -> None:
        found = binary or find_binary()
        if found is None or not found.exists():
            raise ProverError(f"{BINARY}: not found at {binary or CHECKOUT}, build it with `make setup`")
        self.binary = found
        self.cache = cache or default_cache()

    def circuit(self, name: str, progress: ProgressCallback | None = None) -> Circuit:
        """What the circuit of this name is. Compiled only when this binary has not compiled it before."""
        self.cache.mkdir(parents=True, exist_ok=True)
        raw = self._run(["circuit", "--preset", name, "--cache", str(self.cache)], progress)
        match raw:
            case {"preset": str(found), "constraints": int(constraints), "digest": str(digest)} if found == name:
                return Circuit(name, constraints, digest)
        raise ProverOutputError(f"circuit: {raw!r}, expected preset {name!r}, constraints and digest")

    def rows(self, name: str, progress: ProgressCallback | None = None) -> dict[str, float]:
        """Kind of row -> constraints that one more of it costs."""
        return {kind: _figure("rows", kind, constraints) for kind, constraints in self._run(["rows", "--preset", name], progress).items()}

    def has_keys(self, circuit: Circuit) -> bool:
        """Whether the cache holds the circuit's keys."""
        return (self.cache / circuit.digest / "manifest.json").is_file()

    def setup(self, preset: str, progress: ProgressCallback | None = None) -> VerifyingKey:
        """Make the preset's keys, or find them in the cache."""
        self.cache.mkdir(parents=True, exist_ok=True)
        return VerifyingKey.from_json(self._run(["setup", "--preset", preset, "--cache", str(self.cache)], progress))

    def check(self, witness: WitnessFile, progress: ProgressCallback | None = None) -> CheckResult:
        """Whether the circuit accepts the witness; no keys needed."""
        return _verdict(self._run_with_witness(["check"], witness, progress, verdict=True))

    def check_many(self, witnesses: Sequence[WitnessFile], progress: ProgressCallback | None = None) -> list[CheckResult]:
        """`check` of each, compiling each circuit once."""
        with tempfile.TemporaryDirectory(prefix="straddle-") as directory:
            path = Path(directory) / "witnesses.jsonl"
            path.write_text("".join(witness.to_json(indent=None) + "\n" for witness in witnesses))
            lines = self._output(["check-many", "--witnesses", str(path)], progress).splitlines()
        if len(lines) != len(witnesses):
            raise ProverOutputError(f"check-many: {len(lines)} answers, expected {len(witnesses)}")
        return [_verdict(json_object("check-many", line)) for line in lines]

    def prove(self, witness: WitnessFile, progress: ProgressCallback | None = None) -> ProveResult:
        """Prove with the keys in the cache (`setup` first)."""
        return prove_result(witness, self._run_with_witness(["prove", "--cache", str(self.cache)], witness, progress))

    def _run_with_witness(self, command: list[str], witness: WitnessFile, progress: ProgressCallback | None, *, verdict: bool = False) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="straddle-") as directory:
            path = Path(directory) / "witness.json"
            path.write_text(witness.to_json())
            return self._run([*command, "--witness", str(path)], progress, verdict=verdict)

    def _run(self, arguments: list[str], progress: ProgressCallback | None, *, verdict: bool = False) -> dict[str, Any]:
        return json_object(arguments[0], self._output(arguments, progress, verdict=verdict))

    def _output(self, arguments: list[str], progress: ProgressCallback | None, *, verdict: bool = False) -> str:
        """What one command prints. With `verdict`, an exit code other than 0 is an answer as long as there is output."""
        process = start(self.binary, arguments, subprocess.DEVNULL)
        assert process.stdout is not None and process.stderr is not None
        tail: list[str] = []
        # Both pipes are read at once: a full one would stop the prover.
        reader = threading.Thread(target=follow, args=(process.stderr, progress, tail), daemon=True)
        try:
            reader.start()
            output = process.stdout.read()
            code = process.wait()
            reader.join()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
            process.stderr.close()
        if code != 0 and not (verdict and output.strip()):
            raise ProverError(f"{BINARY} {arguments[0]}: exit code {code}\n" + "\n".join([*tail, output.strip()]).strip())
        return output


def start(binary: Path, arguments: Sequence[str], stdin: int) -> subprocess.Popen[str]:
    """The prover with pipes for what it prints, in which bytes that are no text are replaced. ProverError: it cannot be run."""
    try:
        return subprocess.Popen([str(binary), *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ProverError(f"{binary} cannot be run: {error.strerror or error}, expected the prover, build it with `make setup`") from error


def prove_result(witness: WitnessFile, raw: dict[str, Any]) -> ProveResult:
    """The prover's answer as a proof of this witness; ProverOutputError when it is of another."""
    proof = Proof.from_json(raw)
    expected = witness.public
    if proof.public != (expected.c, expected.z, expected.y_effects, expected.y_body, expected.beneficiary):
        raise ProverOutputError("prove: the proof is for other public inputs than the witness's")
    return ProveResult(proof, *(_figure("prove", name, raw.get(name, 0.0)) for name in ("cpu_seconds", "wall_seconds")))


def json_object(command: str, text: str) -> dict[str, Any]:
    """The JSON object that a command printed; ProverOutputError when it is none."""
    try:
        raw = decode_json(text)
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise ProverOutputError(f"{BINARY} {command}: {text[:200]!r}, expected a JSON object")
    return raw


def _verdict(raw: dict[str, Any]) -> CheckResult:
    if not isinstance(raw.get("ok"), bool):
        raise ProverOutputError(f"check: {raw!r}, expected a key ok with true or false")
    solver = raw.get("solver")
    if not isinstance(solver, bool | None):
        raise ProverOutputError(f"check: solver {solver!r}, expected true, false or nothing")
    return CheckResult(raw["ok"], str(raw.get("error", "")), solver)


def _figure(command: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _FIGURE_MAX:
        raise ProverOutputError(f"{command}: {name} {value!r}, expected a number from 0 to {_FIGURE_MAX:g}")
    return float(value)


def follow(stream: IO[str] | Iterable[str], progress: ProgressCallback | None, tail: list[str]) -> None:
    """Pass progress lines on; keep the last other lines for an error message."""
    for line in stream:
        report = _parse_progress(line)
        if report is None:
            tail.append(line.rstrip())
            del tail[:-_TAIL_LINES]
        elif progress is not None:
            try:
                progress(report)
            except Exception as error:  # a broken display must not stop the reading, or the prover would hang on a full pipe
                tail.append(f"progress callback failed: {error!r}")
                progress = None


def _parse_progress(line: str) -> Progress | None:
    try:
        raw = decode_json(line)
    except ValueError:
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("stage"), str):
        return None
    done = raw.get("done")
    return Progress(raw["stage"], float(done) if isinstance(done, int | float) and 0 <= done <= 1 else None)
