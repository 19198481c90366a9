"""Build hook: compiles native/clib into src/straddle/_native/libstraddle.so, for wheels and editable installs alike.

`python hatch_build.py` does the same without installing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = Path("src/straddle/_native/libstraddle.so")
PACKAGE = "./clib"
SOURCES = ("native/go.mod", "native/go.sum", "native/crypto/*.go", "native/clib/*.go")


class NativeLibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled library into the wheel, which thereby belongs to one platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build if needed; called by hatchling before it collects files."""
        build_library(Path(self.root))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append(str(LIBRARY))


def build_library(root: Path) -> bool:
    """Compile the library unless the one in place was made from the same sources; says whether it compiled.

    Raises RuntimeError when Go or a C compiler is missing, or the compilation fails.
    """
    target = root / LIBRARY
    digest = source_digest(root)
    if target.exists() and digest.encode() in target.read_bytes():
        return False
    go = find_go()
    target.parent.mkdir(parents=True, exist_ok=True)
    # A process may have the old library mapped, and two builds may run at once: compile aside, then rename.
    scratch = target.with_name(f"{target.stem}.{os.getpid()}.so")
    command = [go, "build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath", f"-ldflags=-s -w -X main.sourceDigest={digest}", "-o", str(scratch), PACKAGE]
    try:
        run = subprocess.run(command, cwd=root / "native", env=os.environ | {"CGO_ENABLED": "1"}, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"compiling native/clib failed (it needs Go and a C compiler):\n{' '.join(command)}\n{run.stderr}")
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
        scratch.with_suffix(".h").unlink(missing_ok=True)  # cgo writes a header that nobody here uses
    return True


def source_digest(root: Path) -> str:
    """SHA-256 over the names and contents of the Go sources, tests left out; the library carries it."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
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


if __name__ == "__main__":
    print("built" if build_library(Path(__file__).parent) else "up to date", LIBRARY)
