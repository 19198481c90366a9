"""The machine and the version that figures belong to."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from straddle import __version__


@dataclass(frozen=True, slots=True)
class Description:
    """What a figure needs to be compared with another."""

    commit: str
    """Of the checkout, with '+' when it was changed; the version of an installed package."""
    facts: Mapping[str, Any]


@cache
def describe() -> Description:
    """This machine, this version."""
    facts = {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }
    commit = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return Description(f"{commit}{'+' if changed else ''}" if commit else f"version {__version__}", facts)


def git(*arguments: str) -> str:
    """What git says in this checkout; empty where there is none."""
    try:
        return subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")
