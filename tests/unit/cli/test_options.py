"""Options with the usual slips: one line that names the option and what was expected, and exit code 2."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from straddle.cli.display import TerminalDisplay
from straddle.cli.main import app
from straddle.committee import running as committee
from straddle.primitives.urls import UrlError, checked_url

from .test_up import answering, status

NOBODY = "http://127.0.0.1:9"
ROLLUP = "0x" + "ab" * 20


@pytest.mark.parametrize(
    "url", ["http://localhost:port", "localhost:8545", "127.0.0.1", "", "http://", "ftp://host", "http://host:99999", "http://a b", "http://[::1"]
)
@pytest.mark.parametrize("command", [("watch",), ("solvency",), ("answer",), ("exit", "--account", "3")])
def test_an_address_of_layer_1_that_is_none(url: str, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*command, "--l1", url, "--rollup", ROLLUP])
    assert result.exit_code == 2, result.output
    assert f"--l1: {url!r}, expected an address such as http://127.0.0.1:8545" in result.stderr and len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["watch", "--l1", NOBODY, "--deployment", "FILE"], b"\xff\xfe", "--deployment FILE: byte 0 is no text, expected a file of text"),
        (["watch", "--l1", NOBODY, "--deployment", "FILE"], None, "--deployment FILE: No such file or directory, expected a file that can be read"),
        (["watch", "--l1", NOBODY, "--deployment", "FILE"], b"[" * 100_000 + b"]" * 100_000, "brackets nested deeper than 16 levels"),
        (["verify", "--l1", NOBODY, "--deployment", "FILE"], b"\xff\xfe", "--deployment FILE: byte 0 is no text"),
        (["demo", "--parameters", "FILE"], None, "--parameters FILE: No such file or directory, expected a file that can be read"),
        (["demo", "--parameters", "FILE"], b"{", "--parameters FILE: "),
        (["demo", "--parameters", "FILE"], b'{"fees": {"taker": 3}}', "--parameters FILE: fees.taker: no such key, expected one of fees.taker_bps"),
        (["compare", "--parameters", "FILE"], b'{"margin": {"k_im_bps": 1}}', "--parameters FILE: margin.k_mm_bps = 8000: expected at most margin.k_im_bps, 1"),
        (["status", "--url", "http://localhost:port"], b"", "--url: 'http://localhost:port', expected an address"),
    ],
)
def test_a_file_or_an_address_that_cannot_be_read(arguments: list[str], content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(app, [str(path) if word == "FILE" else word for word in arguments])
    assert result.exit_code == 2 and message.replace("FILE", str(path)) in result.stderr, result.output
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"rollup": "[/]"}, "a status that cannot be shown (MarkupError: "),
        ({"money": []}, "a status that cannot be shown (TypeError: "),
        ({"index_ticks": "9"}, "a status that cannot be shown (TypeError: "),
        ({"problems": 7}, "a status that cannot be shown (TypeError: "),
        ({"market": {}}, "a status that cannot be shown (KeyError: 'reason'), expected that of a node of version "),
    ],
)
def test_a_status_that_is_none_is_told(answer: dict[str, object], said: str) -> None:
    with answering(json.dumps(status(**answer)).encode()) as url:
        result = CliRunner().invoke(app, ["status", "--url", url])
    assert result.exit_code == 2 and f"--url {url}: {said}" in result.stderr, result.output


def test_a_name_with_brackets_is_shown_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brackets are the terminal's markup."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process keeps its own

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(committee, "time", SimpleNamespace(sleep=interrupt))
    result = CliRunner().invoke(app, ["member", "--deployment", "no[/]ne", "--l1", NOBODY, "--folder", str(tmp_path)])
    assert result.exit_code == 0 and "waits for no[/]ne" in result.output.replace("\n", "") and "stopped" in result.output, result.output
    shown = io.StringIO()
    TerminalDisplay(Console(file=shown, width=200)).stage("journal", "data[/]/log[bold]")
    TerminalDisplay(Console(file=shown, width=200)).progress("data[/]")
    assert "data[/]/log[bold]" in shown.getvalue() and "  data[/]" in shown.getvalue()


def test_a_folder_is_never_made_of_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (["watch", "--l1", NOBODY, "--rollup", ROLLUP, "--folder", "http://member:9645"], ["up", "--data", "http://member:9645"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2 and "expected a folder, not an address" in " ".join(result.stderr.replace("│", " ").split()), result.output
    assert list(tmp_path.iterdir()) == []


def test_addresses_of_services() -> None:
    assert checked_url("--l1", "https://[::1]:8545/key/") == "https://[::1]:8545/key"
    with pytest.raises(UrlError, match=r"^--peer: "):
        checked_url("--peer", "http://")


def test_helps_say_what_an_option_means() -> None:
    for command, expected in (
        (["demo"], "as many as the preset has room for, at most 6"),
        (["watch"], "a member, a watcher or a beacon node, or a folder of blobs"),
    ):
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "300"}, terminal_width=300)
        assert expected in " ".join(shown.output.replace("│", " ").split()), shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "--l1", "http://localhost:port"], "layer1.url: 'http://localhost:port', expected an address"),
        (["member", "--deployment", "none", "--l1", "http://localhost:port"], "l1: 'http://localhost:port', expected an address"),
        (["member", "--deployment", "none", "--l1", NOBODY, "--peer", "http://a b"], "peers: 'http://a b', expected an address"),
    ],
)
def test_a_command_that_runs_on_refuses_it_before_it_begins(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and message in result.stderr, result.output
    assert list(tmp_path.iterdir()) == []
