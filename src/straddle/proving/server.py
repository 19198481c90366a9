"""A prover process that stays: it compiles the circuit and loads the keys once, then proves one witness after another."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from straddle.proving.prover import BINARY, Progress, ProgressCallback, Prover, ProverError, ProveResult, WitnessFile, follow, json_object, prove_result, start

CLOSE_SECONDS = 5.0


class ProvingServer:
    """`prove` as `Prover.prove`, for one preset whose keys are in the cache. One caller at a time; `end` is for any thread.

    The process starts at the first proof. ProverError when it refuses a witness or dies; a dead one is started again by the next proof. It ends when its
    input does, so it cannot outlive this program.
    """

    def __init__(self, prover: Prover, preset: str) -> None:
        self._prover = prover
        self._preset = preset
        self._process: subprocess.Popen[str] | None = None
        self._progress: ProgressCallback | None = None
        self._log: list[str] = []
        self._follower: threading.Thread | None = None
        self._starting = threading.Lock()
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def prove(self, witness: WitnessFile, progress: ProgressCallback | None = None) -> ProveResult:
        """The proof of a witness, checked to be of its public inputs."""
        self._progress = progress
        try:
            with tempfile.TemporaryDirectory(prefix="straddle-") as directory:
                path = Path(directory) / "witness.json"
                path.write_text(witness.to_json())
                answer = self._ask(str(path))
            proved = None if "error" in answer else prove_result(witness, answer)
        except BaseException:
            self.close()  # an interrupted answer, or one to something else, would be followed by the next one's
            raise
        finally:
            self._progress = None
        if proved is None:
            raise ProverError(f"{BINARY} serve: {answer['error']}")
        return proved

    def end(self) -> None:
        """End the process at once and for good, whatever it does: a proof in the making raises ProverError, and so does every later one."""
        with self._starting:
            self._ended, process = True, self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process, which is not proving."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        with suppress(OSError):  # it died with something unread
            process.stdin.close()
        try:
            process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._follower is not None:
            self._follower.join()
        process.stdout.close()
        process.stderr.close()

    def _ask(self, request: str) -> dict[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None
        with suppress(OSError):  # dead: its silence will say so
            process.stdin.write(request + "\n")
            process.stdin.flush()
        return self._answer(process)

    def _start(self) -> subprocess.Popen[str]:
        arguments = ["serve", "--preset", self._preset, "--cache", str(self._prover.cache)]
        with self._starting:
            if self._ended:
                raise ProverError(f"{BINARY} serve: it was ended")
            process = start(self._prover.binary, arguments, subprocess.PIPE)
            self._process, self._log = process, []
        assert process.stderr is not None
        self._follower = threading.Thread(target=follow, args=(process.stderr, self._report, self._log), daemon=True)
        self._follower.start()
        if self._answer(process).get("ready") is not True:
            raise ProverError(f"{BINARY} serve: did not say that it is ready")
        return process

    def _report(self, report: Progress) -> None:
        if self._progress is not None:
            self._progress(report)

    def _answer(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            code = process.wait()
            if self._follower is not None:
                self._follower.join()
            raise ProverError(f"{BINARY} serve: exit code {code}\n" + "\n".join(self._log))
        return json_object("serve", line)
