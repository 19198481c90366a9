"""Documentation tells the truth about where things are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(markdown: str) -> set[str]:
    """The anchors that the page's headings get."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", markdown), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, by file or by anchor."""
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path.read_text())):
            broken.append(target)
    return broken


def test_every_link_resolves(root: Path, tracked: list[Path]) -> None:
    pages = [path for path in tracked if path.suffix == ".md"]
    assert len(pages) > 10
    broken = {str(page): targets for page in pages if (targets := broken_links(root / page))}
    assert broken == {}


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One heading\n[a](none.md) [b](#one-heading) [c](#two) [d](https://example.com)\n```\n[e](none.md)\n```\n")
    assert broken_links(page) == ["none.md", "#two"]


def test_every_decision_record_is_indexed(root: Path) -> None:
    folder = root / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert records
    assert [name for name in records if name not in index] == []
    for name in records:
        text = (folder / name).read_text()
        for heading in ("## Context", "## Decision", "## Consequence"):
            assert heading in text, f"{name} has no {heading}"


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_annotated_trees_name_what_exists(root: Path, document: str) -> None:
    """Every path in the first code block that looks like a tree is there."""
    missing = [path for path in tree_paths((root / document).read_text()) if not (root / path).exists()]
    assert missing == []


def tree_paths(markdown: str) -> list[str]:
    """Paths of the ```tree block: two spaces a level, `name/` for a folder, a phrase after two spaces."""
    paths: list[str] = []
    stack: list[str] = []
    for block in re.findall(r"^```tree\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if not line.strip():
                continue
            depth = (len(line) - len(line.lstrip())) // 2
            name = line.split()[0]
            stack = [*stack[:depth], name]
            paths.append("".join(stack))
    return paths


def test_tree_paths_nest() -> None:
    assert tree_paths("```tree\na/  first\n  b/  second\n    c.py  third\nd  last\n```\n") == ["a/", "a/b/", "a/b/c.py", "d"]
