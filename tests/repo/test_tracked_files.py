"""Nothing of one machine, and no registry, stands in a tracked file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Assembled so that this file does not contain what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.~$}])/(?:work|home|root|Users|tmp/[\w.]+)/[\w.]+")
REGISTRY_SETTING = re.compile(r"(index-url|GOPROXY|npm_config_registry|^registry)\s*=", re.MULTILINE)
REGISTRY_HOSTS = re.compile(r"(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|proxy\.golang\.org|npmmirror\.com)")
LOCK_ADDRESS = re.compile(r"https?://")
BINARY = {".png", ".jpg", ".so", ".gz", ".bin", ".ico", ".woff2"}
THIS = Path("tests/repo/test_tracked_files.py")


def is_lock(path: Path) -> bool:
    return path.suffix == ".lock" or path.name in {"package-lock.json", ".npmrc"} or path.name.startswith("requirements")


def offences(path: Path, text: str) -> list[str]:
    """What in the file names a machine or a registry."""
    found = [f"{path}: path of one machine: {match.group()}" for match in MACHINE_PATHS.finditer(text)]
    found += [f"{path}: registry setting: {match.group()}" for match in REGISTRY_SETTING.finditer(text)]
    found += [f"{path}: registry address: {match.group()}" for match in REGISTRY_HOSTS.finditer(text)]
    if is_lock(path):
        found += [f"{path}: address in a lock file: {text[match.start() : match.start() + 60]}" for match in LOCK_ADDRESS.finditer(text)]
    return found


def test_tracked_files_name_no_machine_and_no_registry(root: Path, tracked: list[Path]) -> None:
    assert Path("Makefile") in tracked
    found = []
    for path in tracked:
        if path != THIS and path.suffix not in BINARY:
            found += offences(path, (root / path).read_text(encoding="utf-8", errors="replace"))
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "x = '/home/someone/straddle'"),
        ("a.md", "see " + "/".join(("", "work", "main", "docs"))),
        ("a.toml", "index-url" + ' = "x"'),
        ("a.py", "get('https://pypi.org/simple')"),
        ("package-lock.json", '"resolved": "https://example.com/x.tgz"'),
        ("requirements.lock", "x @ https://example.com/x.whl"),
    ],
)
def test_the_check_finds(name: str, text: str) -> None:
    assert offences(Path(name), text)


@pytest.mark.parametrize(
    ("name", "text"), [("a.md", "https://eips.ethereum.org/EIPS/eip-7623"), ("a.py", "path = root / 'home'"), ("a.md", "/".join(("1", "work", "2")))]
)
def test_the_check_allows(name: str, text: str) -> None:
    assert offences(Path(name), text) == []
