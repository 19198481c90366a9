"""docs/guides/trade.md, as a reader follows it: two traders run its commands and its script against a node."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from support.node_process import PROOF_S, Running, up, wait_for
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.l1.rpc import Rpc
from straddle.l1.sender import Sender

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nano_keys")]

PAGE = (Path(__file__).parents[2] / "docs/guides/trade.md").read_text()
SCRIPT = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = {line.split()[2]: shlex.split(line)[1:] for line in re.findall(r"^    \.venv/bin/straddle account .*$", PAGE, re.MULTILINE)}
"""Command -> what the page says after `straddle`."""
DEVELOPMENT_KEY = re.search(r"^    echo (\w+) > my-key$", PAGE, re.MULTILINE)
CONFIG = """preset = "nano"
[rollup]
policy = "optimistic"
challenge_seconds = 3600
[market]
speed = 600.0
[epochs]
seconds = 600
[batches]
seconds = 1.0
[layer1]
poll_seconds = 0.2
"""


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, node: Running, folder: Path, name: str, key: str) -> None:
        status = node.get("/status")
        self.node, self.key, self.trading, self.script = node, folder / name, folder / f"{name}-trading", folder / "trade.py"
        self.key.write_text(key + "\n")
        self.words = {"LAYER-1": status["layer1_url"], "ROLLUP": status["rollup"], "my-key": str(self.key), "my-trading-key": str(self.trading)}
        with Rpc(status["layer1_url"]) as rpc:
            self.address = Sender(rpc, bytes.fromhex(key)).address
            if not rpc.balance_wei(self.address):
                rpc.call("anvil_setBalance", [self.address, hex(10**20)])

    def account(self, command: str, *more: str) -> str:
        """A command of the page, with this reader's words in the places of its; what it says."""
        arguments = [self.words.get(word, word) for word in COMMANDS[command]]
        result = CliRunner().invoke(app, [*arguments, *more], env={"COLUMNS": "300"})
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    def join(self) -> None:
        said = self.account("deposit", "--mint")
        found = re.search(r"for account (\d+)", said)
        assert found, said
        self.number = int(found[1])
        self.account("set-key")
        wait_for(lambda: self.node.http.get(f"/accounts/{self.number}").json().get("has_key"), 60, self.node.log)

    def trade(self, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The page's script."""
        monkeypatch.setattr("sys.argv", ["trade.py", self.node.url, str(self.key), str(self.trading), str(self.number), side])
        runpy.run_path(str(self.script), run_name="__main__")


def test_two_readers_of_the_page_join_trade_and_are_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert SCRIPT and DEVELOPMENT_KEY and set(COMMANDS) == {"deposit", "set-key", "show", "pull", "force-withdraw", "force-close", "revoke-key"}
    (tmp_path / "trade.py").write_text(SCRIPT[1])
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    with up(tmp_path / "exchange", config) as node:
        buyer, seller = Reader(node, tmp_path, "buyer", DEVELOPMENT_KEY[1]), Reader(node, tmp_path, "seller", keccak(b"seller").hex())
        for reader in (buyer, seller):
            reader.join()
        buyer.trade("buy", monkeypatch)
        seller.trade("sell", monkeypatch)
        assert "'event': 'trade'" in capsys.readouterr().out
        bought, sold = (node.get(f"/accounts/{reader.number}")["positions"] for reader in (buyer, seller))
        assert [(leg["instrument"], -leg["size_lots"]) for leg in sold] == [(leg["instrument"], leg["size_lots"]) for leg in bought] and len(bought) == 2
        assert bought[0]["size_lots"] == -bought[1]["size_lots"] > 0, "the first leg is bought, the second sold"
        wait_for(lambda: "1.000000 USDC (straddle account pull)" in seller.account("show"), PROOF_S, node.log)
        assert f"pulled 1.000000 USDC to {seller.address}" in seller.account("pull")
        for command in ("force-withdraw", "force-close", "revoke-key"):
            buyer.account(command)
        wait_for(lambda: buyer.account("show").count("answered by batch") == 5, 60, node.log)
        assert not node.get(f"/accounts/{buyer.number}")["has_key"] and node.get("/status")["problems"] == []
        assert node.stop() == 0
