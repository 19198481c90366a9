"""The engine in a process of its own, plain or compiled, which runs the benchmark's flows when it is told to: `EngineProcess` here, `main` there.

The process is told in lines of JSON. It makes each flow itself, from the seed, and times itself: only its own CPU seconds count.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.compiled import ENGINE, Build
from benchmarks.flow import Tally

ROOT = Path(__file__).resolve().parents[1]


class ProcessError(RuntimeError):
    """The process ended, or could not do what it was told; the message is its last words."""


class EngineProcess:
    """One flow at a time: `prepare`, `run`, then `end_state`. ProcessError when it fails; it has ended then."""

    def __init__(self, build: Build | None) -> None:
        """`build`: what stands in for modules of the engine; None for the engine as it is."""
        places = [] if build is None else [str(build.folder)]
        path = [*places, str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.engine_process", *places],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def prepare(self, flow: str, orders: int) -> None:
        """Make the first `orders` orders of a flow (a name of `engine_flows.FLOWS`) and an exchange for them."""
        self._ask("prepare", flow, orders)

    def run(self) -> Tally | None:
        """Run what was prepared; what was traded, where the flow counts it."""
        traded = self._ask("run")
        return None if traded is None else Tally(**traded)

    def end_state(self) -> str:
        """A digest of the exchange after the run, and of every batch that it closed."""
        return str(self._ask("end_state"))

    def cpu_seconds(self) -> float:
        """What the process has used so far."""
        return float(self._ask("cpu_seconds"))

    def close(self) -> None:
        """End the process."""
        with self._errors:
            self._process.communicate()

    def _ask(self, *request: str | int) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:  # it is gone: its last answer is an empty line
            code = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-1:]
            raise ProcessError(f"the process ended with exit code {code}{': ' if last else ''}{''.join(last)}") from error


# ---- the process


def stand_in(folder: Path) -> None:
    """Let the extension modules of a build stand in for the package's own; ImportError when one of them is not the one that is found."""
    for name in sorted({Path(module).parent for module in ENGINE.modules()}):
        importlib.import_module(".".join(name.parts)).__path__.insert(0, str(folder / name))
    for module in ENGINE.modules():
        found = Path(str(importlib.import_module(module.removesuffix(".py").replace("/", ".")).__file__))
        if folder not in found.parents:
            raise ImportError(f"{module}: found {found}, expected an extension module below {folder}")


def main() -> None:
    """Answer requests on standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a flow might print is not an answer
    if len(sys.argv) > 1:
        stand_in(Path(sys.argv[1]))
    from benchmarks.engine_flows import FLOWS  # not before the compiled modules are in place

    flow, ready = next(iter(FLOWS.values())), None
    for line in sys.stdin:
        request, *arguments = json.loads(line)
        answer: Any = None
        if request == "prepare":
            flow = FLOWS[arguments[0]]
            ready = flow.prepare(arguments[1])
            gc.collect()
        elif request == "run":
            traded = flow.run(ready)
            answer = None if traded is None else asdict(traded)
        elif request == "end_state":
            answer = flow.end_state(ready)
        elif request == "cpu_seconds":
            answer = time.process_time()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
