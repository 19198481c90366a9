"""Exits and Solvency on the real Rollup: a life from the first deposit over the freeze to the last payment."""

from __future__ import annotations

import pytest
from support.statements import BODY_CELLS, Statement, contract

from straddle.l1.deploying import created_address

ALICE, BOB, CAROL, EVE, STRANGER = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xCA, 0xE7, 0x57))
DEPLOYER = "0x" + f"{0xDE2:040x}"
USDC = 1_000_000
DAY_S = 86_400
RISK, MARKS = 77, 815


def fails(reason: str):
    return pytest.raises(Exception, match=f"^{reason}$")


class Life:
    """A real exchange with real exits; only the proofs are mocked."""

    def __init__(self, chain, new_exchange, **changes) -> None:
        self.chain = chain
        self.exchange = x = new_exchange(chain, exits=created_address(DEPLOYER, 0), **changes)
        self.exits = chain.deploy(contract("Exits"), x.rollup.address, x.verifier.address, BODY_CELLS, sender=DEPLOYER)
        self.solvency = chain.deploy(contract("Solvency"), x.rollup.address, x.verifier.address, 2, BODY_CELLS, sender=DEPLOYER)
        self.rollup, self.verifier = x.rollup, x.verifier
        chain.fund(EVE)
        for who, amount in ((ALICE, 50), (BOB, 30), (CAROL, 20)):
            x.deposit(who, amount * USDC)
        x.submit_epoch(risk_root=RISK)
        x.propose_and_prove(x.batch(withdrawals=[(3, ALICE, 4 * USDC)]))
        self.root = x.roots[-1]

    def send(self, function: str, *args):
        return self.chain.send(EVE, self.exits, function, *args)

    def statement(self, account: int, owner: str, equity: int, **changes) -> Statement:
        return Statement(self.root, MARKS, account, {account: (owner, equity)}, domain=self.exchange.read("domain")).but(**changes)

    def arguments(self, said: Statement):
        return said.arguments(self, self.verifier)

    def freeze(self) -> None:
        """Ten days after an entry that nobody answers."""
        self.chain.warp(10 * DAY_S + 1)
        self.exchange.send(EVE, "freeze")

    def row(self) -> int:
        return self.chain.call(self.exchange.vault, "rows", self.rollup.address)

    def claimable(self, who: str) -> int:
        return self.chain.call(self.exchange.vault, "claimable", who)


@pytest.fixture
def life(chain, new_exchange) -> Life:
    return Life(chain, new_exchange)


def test_from_the_first_deposit_to_the_last_payment(life):
    x, chain = life.exchange, life.chain
    x.deposit(BOB, 7 * USDC, 3)
    x.submit_epoch(risk_root=RISK)
    x.propose(x.batch())
    x.deposit(EVE, 5 * USDC)
    life.freeze()
    with fails("Exits: proposals are left"):
        life.send("open")
    x.void()
    opened = life.send("open").log("Opened")
    assert opened == {"state_root": life.root, "row": 108 * USDC, "queue_first": 3, "queue_end": 5}

    x.submit_epoch(risk_root=MARKS)
    said = life.statement(3, ALICE, 40 * USDC)
    life.send("set_marks", x.epoch, x.time_ms, *life.arguments(said))
    chain.warp(3 * DAY_S + 1)
    for account, owner, equity in ((3, ALICE, 40), (4, BOB, 36), (5, CAROL, 20)):
        life.send("claim", *life.arguments(life.statement(account, owner, equity * USDC)))
    chain.warp(14 * DAY_S)
    # The voided batch answered Bob's second deposit; it counts as unanswered again.
    life.send("count_deposits", x.queue[3:])
    assert chain.call(life.exits, "pool") == 96 * USDC
    for account in (3, 4, 5):
        life.send("collect", account)
    for index in (3, 4):
        life.send("reclaim", index, x.queue[index])
    # Alice owns the account that Bob paid into, and pulls what was hers before the freeze too.
    assert [life.claimable(who) for who in (ALICE, BOB, CAROL, EVE)] == [51 * USDC, 36 * USDC, 20 * USDC, 5 * USDC]
    assert life.row() == 0
    for who in (ALICE, BOB, CAROL, EVE):
        chain.send(who, x.vault, "pull")
    assert chain.call(x.token, "balanceOf", x.vault.address) == 0


def test_without_a_new_table_the_final_batchs_are_the_marks(life):
    x = life.exchange
    time_ms = x.time_ms
    x.submit_epoch(risk_root=RISK + 1)
    x.deposit(EVE, 5 * USDC)
    life.freeze()
    life.send("open")
    life.chain.warp(3 * DAY_S + 1)
    with fails("Exits: epoch, time and risk root were not recorded"):
        life.send("set_final_marks", x.time_ms, RISK + 1)
    life.send("set_final_marks", time_ms, RISK)
    life.send("claim", *life.arguments(life.statement(5, CAROL, 20 * USDC, risk_root=RISK)))


def test_a_frozen_rollup_takes_nothing_more(life):
    """Neither deposits nor requests nor proposals: row and queue stand still but for exits."""
    x, chain = life.exchange, life.chain
    x.deposit(EVE, 5 * USDC)
    life.freeze()
    before = (life.row(), x.read("queue_length"), x.read("next_account"))
    fee = x.config.request_fee_wei
    calls = [
        lambda: x.deposit(BOB, 5 * USDC),
        lambda: x.deposit(BOB, 5 * USDC, 4),
        lambda: x.send(chain.fund(BOB), "force_withdraw", 4, 1, value_wei=fee),
        lambda: x.send(BOB, "force_close", 4, 1, value_wei=fee),
        lambda: x.send(BOB, "set_key", 4, (0, 0), (0, 0), value_wei=fee),
        lambda: x.propose(x.batch()),
        lambda: x.send(EVE, "pay_exit", EVE, 1),
        lambda: x.send(x.sequencer, "pay_exit", EVE, 1),
    ]
    x.submit_epoch(risk_root=RISK)
    for call in calls:
        with pytest.raises(Exception, match=r"^Rollup: "):
            call()
    assert before == (life.row(), x.read("queue_length"), x.read("next_account"))


def test_exits_do_not_open_while_the_rollup_lives(life):
    with fails("Exits: rollup is not frozen"):
        life.send("open")


def test_the_rollup_pays_exits_when_frozen_and_settled_and_not_before(chain, new_exchange):
    """Whatever the exits contract would call: a stranger stands in its place."""
    x = new_exchange(chain, exits=chain.fund(STRANGER))
    x.deposit(EVE, 5 * USDC)
    x.submit_epoch(risk_root=RISK)
    x.propose(x.batch(entries=0))

    def pay(amount: int = USDC):
        return x.send(STRANGER, "pay_exit", EVE, amount)

    with fails("Rollup: not frozen, or proposals are left"):
        pay()
    chain.warp(10 * DAY_S + 1)
    x.send(EVE, "freeze")
    with fails("Rollup: not frozen, or proposals are left"):
        pay()
    x.void()
    pay()
    with fails("Vault: row too low"):
        pay(4 * USDC + 1)
    assert chain.call(x.vault, "claimable", EVE) == USDC


def test_the_rollup_is_shown_solvent(life):
    x, chain = life.exchange, life.chain
    x.deposit(EVE, 5 * USDC, 4)
    domain = x.read("domain")
    lines = [{1: (x.config.operator, 0), 2: (x.config.operator, 0), 3: (ALICE, 40 * USDC)}, {4: (BOB, 36 * USDC), 5: (CAROL, 20 * USDC)}]
    chain.send(EVE, life.solvency, "begin", x.epoch, x.time_ms, RISK)
    for i, fund in ((0, 0), (1, None)):
        said = Statement(life.root, RISK, i, lines[i], [3 - 6 * i], 2, domain=domain, fund=fund)
        chain.send(EVE, life.solvency, "publish", *said.arguments(life, life.verifier))
    chain.send(EVE, life.solvency, "count_deposits", x.queue[3:])
    shown = chain.send(EVE, life.solvency, "conclude").log("Solvent")
    assert (shown["batch_number"], shown["epoch"], shown["liabilities"], shown["fund"]) == (1, 1, 96 * USDC, 0)
