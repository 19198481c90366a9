"""The engine compiled by mypyc: which of its modules, and their build. `engine_process.py` runs the benchmark's flows on it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from benchmarks.measure import cpu_seconds

CACHE = platformdirs.user_cache_path("straddle", appauthor=False) / "compiled"
OPTIONS = ("--explicit-package-bases", "--namespace-packages")
SECONDS_MAX = 900
_SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
_RECORD = "built.json"


class BuildError(RuntimeError):
    """mypyc or the C compiler is missing or failed; the message is its last words."""


@dataclass(frozen=True, slots=True)
class Sources:
    """A tree of packages, of which some modules are to be compiled. Names are paths from `root`, of files or folders."""

    root: Path
    compiled: tuple[str, ...]
    imported: tuple[str, ...]
    """What those import besides: mypyc reads it."""
    left_out: Mapping[str, str]
    """Modules of `compiled` that stay Python's, and why."""

    def files(self) -> list[str]:
        """Everything that mypyc reads."""
        found = [path for name in (*self.compiled, *self.imported) for path in self._below(name)]
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def modules(self) -> list[str]:
        """Those that are compiled. ValueError when one is left out that is not there."""
        found = {path.relative_to(self.root).as_posix() for name in self.compiled for path in self._below(name) if path.suffix == ".py"}
        missing = sorted(self.left_out.keys() - found)
        if missing:
            raise ValueError(f"left_out: {', '.join(missing)}, expected modules below {', '.join(self.compiled)}")
        return sorted(name for name in found - self.left_out.keys() if not name.endswith("/__init__.py"))

    def digest(self) -> str:
        """Of all that the compiled modules follow from."""
        found = hashlib.sha256(json.dumps([self.modules(), OPTIONS, sys.version, importlib.metadata.version("mypy")]).encode())
        for name in self.files():
            content = (self.root / name).read_bytes()
            found.update(f"{name} {len(content)}\n".encode() + content)
        return found.hexdigest()[:32]

    def _below(self, name: str) -> list[Path]:
        place = self.root / name
        return [place] if place.is_file() else [*place.rglob("*.py"), *place.rglob("*.pyi")]


_SLOTS = "the C kernel reads its objects by their slots, which a compiled class does not have"
_UNUSED = "unused where there is a C kernel"
ENGINE = Sources(
    root=Path(__file__).resolve().parents[1] / "src",
    compiled=("straddle/core", "straddle/operations", "straddle/transition.py"),
    imported=("straddle/__init__.py", "straddle/primitives"),
    left_out={
        "straddle/core/orders.py": _SLOTS,
        "straddle/core/book.py": _SLOTS,
        "straddle/core/events.py": _SLOTS,
        "straddle/core/units.py": _SLOTS,
        "straddle/core/rejections.py": "compiled, it cannot be imported: KeyError 'object', at a field of that type",
        "straddle/core/messages.py": "the benchmark replaces its order_set_payload, and compiled callers would not notice",
        "straddle/core/kernel.py": "chooses between the C kernel and its definition",
        "straddle/core/kernel_reference.py": _UNUSED,
        "straddle/core/cap_reference.py": _UNUSED,
    },
)


@dataclass(frozen=True, slots=True)
class Build:
    """A folder of extension modules, at the places of the modules that they stand in for."""

    folder: Path
    cpu_seconds: float
    """Of mypyc and the C compiler, when it was made."""

    @property
    def size_bytes(self) -> int:
        """Of all of it, without debugging information."""
        return sum(path.stat().st_size for path in self.folder.rglob(f"*{_SUFFIX}"))


def build(sources: Sources, cache: Path = CACHE) -> Build:
    """The sources, compiled, unless the cache has them; the cache keeps nothing else. BuildError when they cannot be compiled."""
    folder = cache / sources.digest()
    if not (folder / _RECORD).exists():
        print(f"    compiling {len(sources.modules())} modules with mypyc, once for these sources: a minute or two", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            made = _compile(sources, Path(scratch))
            shutil.rmtree(cache, ignore_errors=True)
            shutil.copytree(made, folder)
    return Build(folder, json.loads((folder / _RECORD).read_text())["cpu_seconds"])


def _compile(sources: Sources, scratch: Path) -> Path:
    """A folder with the extension modules alone: without the Python modules, nothing can be taken for compiled that is not."""
    copy, made = scratch / "sources", scratch / "made"
    for name in sources.files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(sources.root / name, copy / name)
    begun = cpu_seconds()
    _run([sys.executable, "-m", "mypyc", *OPTIONS, *sources.modules()], copy)
    spent = cpu_seconds() - begun
    for path in copy.rglob(f"*{_SUFFIX}"):
        place = path.relative_to(copy)
        if place.parts[0] != "build":
            (made / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, made / place)
    missing = [name for name in sources.modules() if not (made / name).with_suffix(_SUFFIX).exists()]
    if missing:
        raise BuildError(f"mypyc made no {', '.join(missing)}")
    (made / _RECORD).write_text(json.dumps({"cpu_seconds": spent}))
    return made


def _run(command: list[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=os.environ | {"MYPYC_DEBUG_LEVEL": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"mypyc: not done after {SECONDS_MAX} s") from error
    if done.returncode:
        raise BuildError("mypyc: " + " / ".join(done.stdout.strip().splitlines()[-3:]))
