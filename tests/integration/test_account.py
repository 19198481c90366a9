"""`straddle account` on a real chain: what an owner asks of layer 1 with nothing but an Ethereum key, and what became of it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from support import stage as told
from typer.testing import CliRunner

from straddle.cli.main import app
from straddle.l1.anvil import Anvil, AnvilError, find_anvil
from straddle.node.keys import open_trading_key

DOLLARS = 10**6
FEE = "request fee 1,000,000,000,000 wei (0.000001 ETH), and gas, paid by 0x"


class Person:
    """Somebody at a terminal."""

    def __init__(self, stage: told.Stage, folder: Path, name: str) -> None:
        self.stage, self.folder, self.file = stage, folder, folder / name
        self.file.write_text(keccak(name.encode()).hex())
        self.address = stage.people[name].address

    def run(self, command: str, *arguments: object, code: int = 0) -> str:
        """`straddle account`; what it says, on one line."""
        where = ("--l1", self.stage.anvil.rpc.url, "--rollup", self.stage.deployment.rollup, "--key", self.file)
        result = CliRunner().invoke(app, ["account", command, *map(str, (*where, *arguments))], env={"COLUMNS": "300"})
        said = " ".join((result.output + (result.stderr if result.stderr_bytes else "")).split())
        assert result.exit_code == code, said
        return said


@pytest.fixture
def stage() -> told.Stage:  # type: ignore[misc]
    try:
        find_anvil()
    except AnvilError as error:
        pytest.skip(f"needs `make setup`: {error}")
    with Anvil(told.START_S) as anvil:
        yield told.Stage(anvil)


def settle(stage: told.Stage, *, paid: int = 0) -> None:
    """What waits is answered by a batch, and that and all before it become final."""
    stage.open_epoch()
    stage.answer(paid=paid)
    stage.post()
    stage.pass_time(told.WINDOW_S + 1)
    for posted in stage.posted[stage.client.final_batch() :]:
        public = posted.batch.witness.public
        stage.client.finalise(stage.people["anybody"], posted.batch, (public.c, public.z, public.y_effects, public.y_body, public.beneficiary))


def test_an_owner_pays_in_trades_no_more_and_is_paid_out(stage: told.Stage, tmp_path: Path) -> None:
    alice, trading = Person(stage, tmp_path, "alice"), tmp_path / "trading"
    assert "none on this rollup: `straddle account deposit` opens one" in alice.run("show")
    assert "has no account on rollup 0x" in alice.run("force-withdraw", code=2)
    assert "expected at most 0.000000 USDC, what 0x" in alice.run("deposit", "--amount", 100, code=2)
    said = alice.run("deposit", "--amount", "100.25", "--mint")
    assert "deposit of 100.250000 USDC of token 0x" in said and "into a new account: no request fee, and gas" in said and "for account 3" in said, said
    said = alice.run("set-key", "--trading-key", trading)
    assert f"trading key made in {trading}" in said and FEE in said and "Anyone may answer it after" in said, said
    assert stat.S_IMODE(trading.stat().st_mode) == 0o600
    stage.answer()
    stage.post()
    found = stage.state.account(3).account
    assert found.key == open_trading_key(trading).public and found.cash == 100_250_000
    said = alice.run("show")
    assert "answered by batch 1; the batch is not final yet" in said and f"{open_trading_key(trading).public.x:#066x}" in said, said

    said = alice.run("force-withdraw", "--amount", "12.5")
    assert "forced withdrawal of at most 12.500000 USDC, account 3: " + FEE in said and "freeze the rollup after" in said, said
    assert "the account's last request of this kind is not answered yet" in alice.run("force-withdraw", code=2)
    alice.run("force-close", "--limit-bps", 50)
    alice.run("revoke-key")
    assert alice.run("show").count("waits since 2020-05-22") == 3
    assert "nothing to pull" in alice.run("pull")
    settle(stage, paid=12_500_000)
    said = alice.run("show")
    for part in (
        "answered by batch 2, which pays 12.500000 USDC",
        "forced close at a discount of at most 50 bps",
        "trading key revoked",
        "12.500000 USDC (straddle",
    ):
        assert part in said, (part, said)
    assert not any(stage.state.account(3).account.key)
    assert "pulled 12.500000 USDC to 0x" in alice.run("pull") and stage.client.token_balance(alice.address) == 12_500_000
    assert "trading key read from" in alice.run("set-key", "--trading-key", trading)


def test_one_of_several_accounts_is_named_and_others_money_is_not_sent_by_mistake(stage: told.Stage, tmp_path: Path) -> None:
    alice, bob = (Person(stage, tmp_path, name) for name in ("alice", "bob"))
    alice.run("deposit", "--amount", 1, "--mint")
    assert "into account 3" in alice.run("deposit", "--amount", 2, "--mint"), "the one that there is"
    assert "for account 4" in alice.run("deposit", "--amount", 3, "--mint", "--new")
    for command in (
        ("deposit", "--amount", 1),
        ("force-withdraw",),
        ("force-close", "--limit-bps", 0),
        ("revoke-key",),
        ("set-key", "--trading-key", tmp_path / "t"),
    ):
        assert f"--account: missing, expected one of 3, 4, which {alice.address} has" in alice.run(*command, code=2)
    assert "all that may be withdrawn, account 4" in alice.run("force-withdraw", "--account", 4)
    assert f"--account: 3 belongs to {alice.address}, expected an account of {bob.address}" in bob.run("force-withdraw", "--account", 3, code=2)
    assert "--account: 9 does not exist" in bob.run("force-withdraw", "--account", 9, code=2)
    before = stage.client.queue_length()
    assert f"--account: 3 belongs to {alice.address}" in bob.run("deposit", "--amount", 5, "--account", 3, "--mint", code=2)
    assert "expected together with --account" in bob.run("deposit", "--amount", 5, "--owner", alice.address, code=2)
    assert "--new: expected without --account 3" in bob.run("deposit", "--amount", 5, "--account", 3, "--new", "--owner", alice.address, code=2)
    assert stage.client.queue_length() == before
    assert "into account 3" in bob.run("deposit", "--amount", 5, "--account", 3, "--owner", alice.address, "--mint")
    operator = Person(stage, tmp_path, "operator")
    assert "expected one of 1, 2" in operator.run("force-withdraw", code=2)
    assert "into account 2" in operator.run("deposit", "--amount", 7, "--account", 2, "--mint"), "the insurance fund"
    stage.answer()
    assert [stage.now[account].cash for account in (2, 3, 4)] == [7 * DOLLARS, 8 * DOLLARS, 3 * DOLLARS]


def test_what_layer_1_would_refuse_is_not_sent(stage: told.Stage, tmp_path: Path) -> None:
    alice = Person(stage, tmp_path, "alice")
    for text in ("", "0.0000001", "-1", "1e3", "1,000", "9" * 13):
        assert "--amount: " in alice.run("deposit", f"--amount={text}", code=2)
    assert "expected at least 1.000000 USDC" in alice.run("deposit", "--amount", "0.999999", "--mint", code=2)
    alice.run("deposit", "--amount", 1, "--mint")
    assert "--amount: 0 micro-dollars, expected 1 to" in alice.run("force-withdraw", "--amount", 0, code=2)
    stage.anvil.rpc.call("anvil_setBalance", [alice.address, "0x1"])
    assert "has 1 wei, expected more than the request fee of 1000000000000 wei" in alice.run("force-withdraw", code=2)
    stage.anvil.fund(alice.address)
    stage.pass_time(30 * 86_400)
    stage.client.freeze(stage.people["anybody"])
    for command in (("deposit", "--amount", 1), ("force-withdraw",), ("revoke-key",)):
        assert "is frozen: its queue takes nothing any more. `straddle exit` is the way out" in alice.run(*command, code=2)
    assert "never answered: the rollup is frozen. A deposit comes back with `straddle exit`" in alice.run("show")
