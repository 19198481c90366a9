"""Build hook: compiles native/clib (Go, with C in native/crypto) into src/straddle/_native/libstraddle.so and native/kernel (C) into
src/straddle/core/_kernel*.so, for wheels and editable installs alike.

`python hatch_build.py` does the same without installing.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = Path("src/straddle/_native/libstraddle.so")
PACKAGE = "./clib"
SOURCES = ("native/go.mod", "native/go.sum", "native/crypto/*.go", "native/crypto/*.[ch]", "native/clib/*.go")

KERNEL = Path("src/straddle/core") / f"_kernel{sysconfig.get_config_var('EXT_SUFFIX')}"
KERNEL_SOURCES = ("native/kernel/*.h", "native/kernel/*.c")
KERNEL_FLAGS = ("-std=c11", "-O3", "-DNDEBUG", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")
"""No -march=native: a wheel runs on any machine of its architecture."""


class NativeLibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled library into the wheel, which thereby belongs to one platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build if needed; called by hatchling before it collects files."""
        build_library(Path(self.root))
        if build_kernel(Path(self.root)) is not None:
            build_data["artifacts"].append(str(KERNEL))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(str(LIBRARY))


def build_library(root: Path) -> bool:
    """Compile the library unless the one in place was made from the same sources; says whether it compiled.

    Raises RuntimeError when Go or a C compiler is missing, or the compilation fails.
    """
    target = root / LIBRARY
    digest = source_digest(root)
    if _is_current(target, digest):
        return False
    command = [find_go(), "build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath", f"-ldflags=-s -w -X main.sourceDigest={digest}"]
    _compile(command, [PACKAGE], target, root / "native", "compiling native/clib failed (it needs Go and a C compiler)")
    return True


def build_kernel(root: Path) -> bool | None:
    """Compile the margin kernel unless the one in place was made from the same sources; says whether it compiled. None, with a warning, when this Python came
    without its headers: straddle.core.kernel then runs in plain Python, with the same results.

    Raises RuntimeError when a C compiler is missing, or the compilation fails.
    """
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        print(f"margin kernel not compiled: no Python.h in {headers} (python3-dev or the like); margin will be computed in plain Python", file=sys.stderr)
        return None
    target = root / KERNEL
    digest = source_digest(root, KERNEL_SOURCES)
    if _is_current(target, digest):
        return False
    sources = [str(path) for path in sorted(root.glob(KERNEL_SOURCES[-1]))]
    command = [*find_cc(), *KERNEL_FLAGS, f"-I{headers}", f'-DSOURCE_DIGEST="{digest}"']
    _compile(command, sources, target, root, "compiling native/kernel failed")
    return True


def _is_current(target: Path, digest: str) -> bool:
    return target.exists() and digest.encode() in target.read_bytes()


def _compile(command: list[str], inputs: list[str], target: Path, directory: Path, failure: str) -> None:
    """Run a compiler, `-o` and its inputs added, in a directory. Raises RuntimeError with its output when it fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # A process may have the old library mapped, and two builds may run at once: compile aside, then rename.
    scratch = target.with_name(f"{target.name.split('.')[0]}.{os.getpid()}.so")
    command = [*command, "-o", str(scratch), *inputs]
    try:
        run = subprocess.run(command, cwd=directory, env=os.environ | {"CGO_ENABLED": "1"}, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{failure}:\n{' '.join(command)}\n{run.stderr}")
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_suffix(".h").unlink(missing_ok=True)  # cgo writes a header that nobody here uses


def source_digest(root: Path, patterns: tuple[str, ...] = SOURCES) -> str:
    """SHA-256 over the names and contents of sources, Go's tests left out; what is compiled from them carries it."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            if not path.name.endswith("_test.go"):
                content = path.read_bytes()
                digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return f"straddle-source-{digest.hexdigest()}"


def find_go() -> str:
    """The go command: on PATH, or in the bin directory of the running environment."""
    for directory in (None, Path(sys.prefix) / "bin", Path(sys.executable).parent):
        found = shutil.which("go", path=None if directory is None else str(directory))
        if found is not None:
            return found
    version = next((line.split()[1] for line in (Path(__file__).parent / "native/go.mod").read_text().splitlines() if line.startswith("go ")), "")
    raise RuntimeError(f"Straddle's native library needs the Go compiler, and `go` is neither on PATH nor in {sys.prefix}/bin: install Go {version} or later")


def find_cc() -> list[str]:
    """The C compiler's command: CC of the environment, or the first of the usual names on PATH."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        found = shutil.which(name)
        if found is not None:
            return [found]
    raise RuntimeError("Straddle's margin kernel needs a C compiler, and none of cc, gcc, clang is on PATH: install one, or set CC")


if __name__ == "__main__":
    for path, built in ((LIBRARY, build_library(Path(__file__).parent)), (KERNEL, build_kernel(Path(__file__).parent))):
        print({True: "built", False: "up to date", None: "left out"}[built], path)
