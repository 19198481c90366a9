"""`straddle up`, `status` and `verify --vk-id` on the command line: what is printed, what is refused, exit codes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.reference import documented, status_keys
from typer.testing import CliRunner

from straddle.cli.common import output
from straddle.cli.display import TerminalDisplay
from straddle.cli.main import app
from straddle.cli.up import _agreed
from straddle.node.config import ConfigError
from straddle.node.resuming import Loss
from straddle.node.settings import Settings

runner = CliRunner()


def settlement(**changes: Any) -> dict[str, Any]:
    now = {
        "time_s": 1_600_000_000, "frozen": False, "permissionless": False, "unanswered": 0, "oldest_unanswered_s": None, "open_challenges": 0,
        "reserved_wei": 0, "owed_wei": 0, "wallet_wei": 10**18,
    }  # fmt: skip
    fields: dict[str, Any] = {
        "policy": "ZK rollup, data in calldata", "challenge_window_s": 0, "proposer_bond_wei": 0, "challenger_bond_wei": 0, "members": {},
        "clocks": {"PROVING_WINDOW_S": 86_400, "PERMISSIONLESS_AFTER_S": 604_800, "FREEZE_AFTER_S": 864_000},
    }  # fmt: skip
    return {**fields, "now": {**now, **changes.pop("now", {})}, **changes}


def status(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "version": "1", "preset": "nano", "chain_id": 1, "rollup": "0x" + "ab" * 20, "vk_id": "0x" + "cd" * 32, "layer1_url": "http://127.0.0.1:1",
        "started_from": "genesis", "resumed_from": None,
        "sequence": 1234, "state_root": "0x1", "market_state": "open", "market_time_ms": 1_590_103_200_000, "epoch": 7,
        "market": {"allowed": "open", "reason": "", "by_hand": "open", "recording_ends_ms": 1_603_497_600_000},
        "epoch_age_ms": 1500, "index_ticks": 908_700, "instruments": 3, "accounts": 4, "auctions": 1, "open_orders": 5,
        "batches": {"open": 9, "open_entries": 3, "closed": 8, "proposed": 8, "proved": 7, "verified": 6, "lag": 2, "lag_max": 8, "slots": None},
        "settlement": settlement(), "solvency": None,
        "money": {"cash": 5_000_000, "vault_row": 5_000_000, "conservation_error": 0}, "layer1_block": 12, "groups": 1, "snapshot_seconds": 0.1, "problems": [],
    }  # fmt: skip
    return fields | changes


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server that answers everything with one body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_configuration_is_printed_and_read_again(tmp_path: Path) -> None:
    result = runner.invoke(app, ["up", "--print-config", "--preset", "nano", "--port", "0", "--speed", "2.5"])
    assert result.exit_code == 0
    path = tmp_path / "config.toml"
    path.write_text(result.output)
    settings = Settings.load(path)
    assert (settings.preset, settings.api.port, settings.market.speed) == ("nano", 0, 2.5)
    assert runner.invoke(app, ["up", "--print-config", "--config", str(path)]).output == result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "huge"], "preset: 'huge', expected one of nano"),
        (["--speed", "-1"], "market.speed: -1.0, expected a number from 0.01"),
        (["--l1", "localhost"], "layer1.url: 'localhost', expected an address"),
        (["--config", "nowhere.toml"], "--config nowhere.toml: "),
        (["--yes"], "--yes: expected with --resume-from-layer1 only"),
    ],
)
def test_a_setting_that_cannot_be_ends_with_its_name(arguments: list[str], message: str) -> None:
    result = runner.invoke(app, ["up", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_port_that_is_taken_ends_with_the_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = runner.invoke(app, ["up", "--preset", "nano", "--data", str(tmp_path / "d"), "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 2 and "cannot be listened on" in result.stderr
    assert not (tmp_path / "d").exists()


def test_a_status_is_a_table() -> None:
    with answering(json.dumps(status()).encode()) as url:
        result = runner.invoke(app, ["status", "--url", url], env={"COLUMNS": "150"})
    assert result.exit_code == 0
    for part in (
        "entry 1,234",
        "8 closed, 8 proposed, 7 proved, 6 final",
        "2 batches; from 8 on",
        "1.5 s old",
        "4, 1 of them for sale",
        "2020-05-21 23:20:00 UTC",
        "0x" + "cd" * 16,  # a narrow console breaks the line
    ):
        assert part in result.output
    with answering(json.dumps(status(index_ticks=None, epoch_age_ms=None, money={"cash": 0, "vault_row": None, "conservation_error": None})).encode()) as url:
        result = runner.invoke(app, ["status", "--url", url])
    assert result.exit_code == 0 and "no table yet" in result.output and "not read yet" in result.output


def test_a_market_that_is_shut_says_why_and_until_when() -> None:
    market = {"allowed": "reduce_only", "reason": "the recording ends at noon", "by_hand": "halted", "recording_ends_ms": 1_590_103_200_000 + 2 * 3_600_000}
    with answering(json.dumps(status(market_state="halted", market=market)).encode()) as url:
        result = runner.invoke(app, ["status", "--url", url], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for part in (
        "halted, 2020-05-21 23:20:00 UTC",
        "reduce_only: the recording ends at noon",
        "halted, until straddle market open",
        "ends in 2 hours of the market",
    ):
        assert part in result.output
    with answering(json.dumps(status(market=market | {"recording_ends_ms": 1})).encode()) as url:
        assert "has ended" in runner.invoke(app, ["status", "--url", url], env={"COLUMNS": "200"}).output


def test_a_resumed_log_is_shown_with_the_batch_where_it_begins() -> None:
    origin = {"batch": 7, "sequence": 1200, "log": "resumed-2"}
    with answering(json.dumps(status(resumed_from=origin)).encode()) as url:
        result = runner.invoke(app, ["status", "--url", url], env={"COLUMNS": "200"})
    assert "entry 1,234; resumed after entry 1,200, at batch 7 of layer 1 (folder resumed-2)" in result.output


@pytest.mark.parametrize(("yes", "terminal", "answer"), [(True, False, True), (False, True, True), (False, True, False), (False, False, None)])
def test_what_a_resumption_costs_is_said_and_asked(yes: bool, terminal: bool, answer: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """None: there is nobody to ask."""
    loss = Loss("batch 4 was not proposed in time", 3, 17, 2, Path("exchange"))
    asked: list[str] = []

    def ask(question: str) -> bool | None:
        asked.append(question)
        return answer

    display = SimpleNamespace(ask=ask)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: terminal))
    with output.capture() as said:
        if answer is None:
            with pytest.raises(ConfigError, match="--resume-from-layer1: nobody to ask; expected --yes, or a terminal"):
                _agreed(cast(TerminalDisplay, display), loss, yes=yes)
        else:
            assert _agreed(cast(TerminalDisplay, display), loss, yes=yes) is answer
    assert len(asked) == (terminal and not yes)
    for part in ("batch 4 was not proposed in time", "after batch 3", "17 log entries", "2 open orders", "stays in exchange"):
        assert part in said.get()


def test_every_key_of_the_status_is_documented() -> None:
    """That a node answers with these is looked at in tests/integration/test_node.py."""
    page = documented("api.md", "### Status")
    solvency = {"every_hours": 6.0, "batch": None, "time_ms": None}
    assert len(page) == len(set(page)) and set(page) == status_keys(status(solvency=solvency))


def shown(found: dict[str, Any], **changes: Any) -> str:
    with answering(json.dumps(status(settlement=found, **changes)).encode()) as url:
        result = runner.invoke(app, ["status", "--url", url], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.output


def test_the_proofs_of_solvency_that_the_node_publishes_are_shown() -> None:
    solvency = {"every_hours": 6.0, "batch": 12, "time_ms": 1_590_103_200_000 - 7_200_000}
    assert "batch 12 proved and published, 2 hours of the market ago; every 6 hours of the market" in shown(settlement(), solvency=solvency)
    nothing = {"every_hours": 6.0, "batch": None, "time_ms": None}
    assert "nothing published yet, every 6 hours of the market" in shown(settlement(), solvency=nothing) and "solvency" not in shown(settlement())


def test_the_policy_its_stakes_and_clocks_are_shown() -> None:
    zk = shown(settlement())
    assert "ZK rollup, data in calldata; a batch is final with its proof" in zk and "stakes" not in zk
    assert "every queue entry is answered for good; anyone may propose after 7 days, freeze after 10 days" in zk
    stakes = {"challenge_window_s": 604_800, "proposer_bond_wei": 10**17, "challenger_bond_wei": 5 * 10**16}
    now = {
        "open_challenges": 2,
        "reserved_wei": 4 * 10**17,
        "owed_wei": 10**17,
        "wallet_wei": 10**18,
        "unanswered": 3,
        "oldest_unanswered_s": 1_600_000_000 - 90_061,
    }
    optimistic = shown(settlement(policy="optimistic rollup, data in blobs", **stakes, now=now))
    for part in (
        "final 7 days after its proposal",
        "2 open challenges; 0.3 ETH of bonds held, 0.1 ETH to collect; a challenge costs 0.05 ETH",
        "2 proposals within their window",
        "3 entries wait for a final batch, the oldest for 25:01:01 h",
    ):
        assert part in optimistic
    away = shown(settlement(policy="validium", members={"0x" + "1" * 40: "", "0x" + "2" * 40: "no member answers"}, now={"frozen": True}))
    assert "2 members, 1 did not certify the newest batch; 0x22222222...: no member answers" in away
    assert "proposals have ended for ever" in away


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "rollup"], "rollup.policy: 'rollup', expected one of zk, optimistic, validium"),
        (["--policy", "optimistic", "--data-in", "committee"], "rollup.data: committee, expected calldata or blob with policy optimistic"),
        (["--policy", "validium", "--data-in", "blob"], "rollup.data: blob, expected committee with policy validium"),
        (["--data-in", "paper"], "rollup.data: 'paper', expected one of"),
    ],
)
def test_policies_that_cannot_be_are_refused(arguments: list[str], message: str) -> None:
    for command in (["up"], ["demo", "--preset", "nano"]):
        result = runner.invoke(app, [*command, *arguments])
        assert result.exit_code == 2 and message in result.stderr


def test_problems_are_exit_code_1() -> None:
    with answering(json.dumps(status(problems=["the vault and the accounts differ"])).encode()) as url:
        result = runner.invoke(app, ["status", "--url", url])
    assert result.exit_code == 1 and "does not hold: the vault and the accounts differ" in result.stderr


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"{}", b'{"sequence": 1}'])
def test_what_is_no_node_is_exit_code_2(body: bytes) -> None:
    with answering(body) as url:
        result = runner.invoke(app, ["status", "--url", url])
    assert result.exit_code == 2 and "a node of `straddle up`" in " ".join(result.stderr.split())


def test_nobody_there_is_exit_code_2() -> None:
    for url, message in (("http://127.0.0.1:1", "no node answers"), ("nonsense", "expected an address"), ("http://[bad", "expected an address")):
        result = runner.invoke(app, ["status", "--url", url])
        assert result.exit_code == 2 and f"--url{':' if 'address' in message else ''} " in result.stderr and message in result.stderr
