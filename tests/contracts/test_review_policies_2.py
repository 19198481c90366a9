"""Review of exits and solvency, on the real rollup with mocked proofs: attempts to be paid twice or too much, to choose the marks, to lock the others, to
show solvent what is not; and reentrancy through the token and through whoever is paid."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from support.statements import BODY_CELLS, Statement, contract

from straddle.l1.contracts import load, load_path
from straddle.l1.deploying import created_address

ALICE, BOB, CAROL, EVE, PROVER = ("0x" + f"{n:040x}" for n in (0xA1, 0xB0, 0xCA, 0xE7, 0x9407))
NOBODY = "0x" + "00" * 20
DEPLOYER = "0x" + f"{0xDE2:040x}"
USDC = 1_000_000
DAY_S = 86_400
BOND, STAKE = 10**18, 3 * 10**17
RISK, MARKS = 77, 815
FEE_WEI = 10**12

HOSTILE_TOKEN = """
# pragma version 0.4.3
# pragma evm-version cancun
balanceOf: public(HashMap[address, uint256])
target: address
planned: Bytes[4000]
went_through: public(bool)
called: public(uint256)

@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount

@external
def approve(spender: address, amount: uint256):
    pass

@external
def plan(target: address, planned: Bytes[4000]):
    self.target = target
    self.planned = planned
    self.went_through = False
    self.called = 0

@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    self._call()
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    self._call()
    return True

@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._call()
    self.balanceOf[msg.sender] -= amount
    self.balanceOf[receiver] += amount
    self._call()
    return True

@internal
def _call():
    if len(self.planned) > 0:
        self.called += 1
        if raw_call(self.target, self.planned, revert_on_failure=False):
            self.went_through = True
"""
"""Calls whatever it was told to before and after each movement, as the token's hooks of an ERC-777 would."""


def fails(reason: str):
    return pytest.raises(Exception, match=f"^{reason}$")


class Life:
    """A real exchange with real exits; accounts 3 to 5 of 50, 30 and 20 USDC, of which Alice drew 4."""

    def __init__(self, chain, new_exchange, **changes) -> None:
        self.chain = chain
        self.exchange = x = new_exchange(chain, exits=created_address(DEPLOYER, 0), **changes)
        self.exits = chain.deploy(contract("Exits"), x.rollup.address, x.verifier.address, BODY_CELLS, sender=DEPLOYER)
        self.solvency = chain.deploy(contract("Solvency"), x.rollup.address, x.verifier.address, 2, BODY_CELLS, sender=DEPLOYER)
        self.rollup, self.verifier = x.rollup, x.verifier
        for who in (EVE, PROVER):
            chain.fund(who)
        for who, amount in ((ALICE, 50), (BOB, 30), (CAROL, 20)):
            x.deposit(who, amount * USDC)
        x.submit_epoch(risk_root=RISK)
        x.propose_and_prove(x.batch(withdrawals=[(3, ALICE, 4 * USDC)]))
        self.root = x.roots[-1]

    def send(self, function: str, *args, who: str = EVE):
        return self.chain.send(who, self.exits, function, *args)

    def read(self, function: str, *args):
        return self.chain.call(self.exits, function, *args)

    def statement(self, account: int, owner: str, equity: int, **changes) -> Statement:
        return Statement(self.root, MARKS, account, {account: (owner, equity)}, domain=self.exchange.read("domain")).but(**changes)

    def arguments(self, said: Statement, **changes):
        return said.arguments(self, self.verifier, **changes)

    def claim(self, account: int, owner: str, equity: int, **changes):
        return self.send("claim", *self.arguments(self.statement(account, owner, equity, **changes)))

    def freeze(self) -> None:
        self.chain.warp((21 if self.exchange.optimistic else 10) * DAY_S + 4 * DAY_S + 1)
        self.exchange.send(EVE, "freeze")

    def row(self) -> int:
        return self.chain.call(self.exchange.vault, "rows", self.rollup.address)

    def claimable(self, who: str) -> int:
        return self.chain.call(self.exchange.vault, "claimable", who)

    def table(self, risk_root: int = MARKS, **made) -> tuple[int, int]:
        self.exchange.submit_epoch(risk_root=risk_root, **made)
        return self.exchange.epoch, self.exchange.time_ms

    def opened(self):
        """Frozen after an unanswered deposit of Eve's, open, with marks, at the first moment of claims."""
        self.exchange.deposit(EVE, 5 * USDC)
        self.freeze()
        self.send("open")
        self.send("set_marks", *self.table(), *self.arguments(self.statement(3, ALICE, 40 * USDC)))
        self.chain.warp(3 * DAY_S + 1)
        return self


@pytest.fixture
def life(chain, new_exchange) -> Life:
    return Life(chain, new_exchange)


# ---------------------------------------------------------------- the freeze


@pytest.mark.parametrize("policy", [1, 2])
def test_a_batch_proposed_before_the_freeze_may_end_it_and_nothing_moves_after_open(chain, new_exchange, policy):
    """Proven after the freeze: its withdrawals leave the row before `open` and not after it; then every entrance is closed for good."""
    life = Life(chain, new_exchange, policy=policy)
    x = life.exchange
    x.deposit(EVE, 5 * USDC)
    chain.warp(((14 + 7) if policy == 2 else 10) * DAY_S + 4 * DAY_S)
    x.submit_epoch(risk_root=RISK)
    last = x.batch(withdrawals=[(4, BOB, 9 * USDC)])
    x.propose(last)
    chain.warp(1)
    x.send(EVE, "freeze")
    with fails("Exits: proposals are left"):
        life.send("open")
    with fails("Rollup: not frozen, or proposals are left|Rollup: only EXITS pays exits"):
        x.send(EVE, "pay_exit", EVE, 1)
    x.prove(last)
    opened = life.send("open").log("Opened")
    assert opened == {"state_root": x.roots[-1], "row": 92 * USDC, "queue_first": 4, "queue_end": 4}
    late = [
        lambda: x.prove(last), lambda: x.finalise(last), lambda: x.propose(x.batch()), lambda: x.propose_and_prove(x.batch(), sender=EVE),
        lambda: x.void(2), lambda: x.send(EVE, "freeze"), lambda: x.deposit(EVE, 5 * USDC), lambda: life.send("open"),
        lambda: x.send(chain.fund(ALICE), "force_withdraw", 3, USDC, value_wei=FEE_WEI),
    ]  # fmt: skip
    for call in late:
        with pytest.raises(Exception, match=r"^(Rollup|Exits): "):
            call()
    assert life.row() == 92 * USDC
    # The deposit was answered by the last batch: it is in the state, and not reclaimed on top.
    with fails("Exits: entry is not an unanswered one"):
        life.send("reclaim", 3, x.queue[3])


def test_a_deposit_in_the_block_of_the_freeze_is_before_or_after_it(life):
    """Before: reclaimed in full. After: refused, and the token stays where it was."""
    x = life.exchange
    x.deposit(BOB, 5 * USDC)
    life.chain.warp(10 * DAY_S + 1)
    x.deposit(EVE, 7 * USDC)
    x.send(EVE, "freeze")
    with fails("Rollup: frozen"):
        x.deposit(EVE, 7 * USDC)
    assert life.chain.call(x.token, "balanceOf", EVE) == 7 * USDC
    life.send("open")
    life.send("reclaim", 4, x.queue[4])
    assert life.claimable(EVE) == 7 * USDC


def test_the_freeze_needs_an_entry_that_waits(life):
    x = life.exchange
    life.chain.warp(400 * DAY_S)
    with fails("Rollup: no entry has waited long enough"):
        x.send(EVE, "freeze")
    x.deposit(EVE, 5 * USDC)
    life.chain.warp(10 * DAY_S)
    with fails("Rollup: no entry has waited long enough"):
        x.send(EVE, "freeze")
    x.submit_epoch(risk_root=RISK)
    x.propose_and_prove(x.batch(), sender=EVE)
    life.chain.warp(1)
    with fails("Rollup: no entry has waited long enough"):
        x.send(EVE, "freeze")


def test_after_a_theft_the_rest_is_shared_and_not_locked_up(chain, new_exchange):
    """Nobody watched for a week: a false batch took 60 of 96 USDC. The honest one after it cannot be paid. Freeze, a month, void, equal shares for all."""
    life = Life(chain, new_exchange, policy=2)
    x = life.exchange
    theft = x.batch(withdrawals=[(5, EVE, 60 * USDC)])
    x.propose(theft)
    unpayable = [x.batch(withdrawals=[(3, ALICE, 46 * USDC)])]
    x.propose(unpayable[0])
    for _ in range(3):
        unpayable.append(x.batch())
        x.propose(unpayable[-1])
    chain.warp(7 * DAY_S + 1)
    x.finalise(theft)
    life.root = x.roots[2]
    # Proofs of mere descendants change nothing.
    x.prove(unpayable[2])
    x.deposit(EVE, 5 * USDC)
    with fails("Vault: row too low"):
        x.finalise(unpayable[0])
    chain.warp(24 * DAY_S + 1)
    x.send(EVE, "freeze")
    wait = 7 * DAY_S + 22 * DAY_S
    chain.warp(wait)
    with fails("Rollup: batch has no overdue challenge"):
        x.void(3)
    with fails("Exits: proposals are left"):
        life.send("open")
    chain.warp(1)
    x.void(3)
    assert x.read("wei_owed", x.sequencer) == 6 * BOND
    life.send("open")
    chain.warp(3 * DAY_S + 1)
    life.send("set_final_marks", x.time_ms, RISK)
    for account, owner, equity in ((3, ALICE, 46), (4, BOB, 30), (5, CAROL, 20)):
        life.claim(account, owner, equity * USDC, risk_root=RISK)
    chain.warp(14 * DAY_S)
    life.send("count_deposits", x.queue[3:])
    for account in (3, 4, 5):
        life.send("collect", account)
    life.send("reclaim", 3, x.queue[3])
    shares = [36 * USDC * equity // 96 for equity in (46, 30, 20)]
    assert [life.claimable(who) for who in (ALICE, BOB, CAROL)] == [shares[0] + 4 * USDC, *shares[1:]]
    assert life.claimable(EVE) == 65 * USDC


def test_the_way_out_of_what_cannot_be_paid_undoes_nothing_before_the_freeze(chain, new_exchange):
    life = Life(chain, new_exchange, policy=2)
    x = life.exchange
    x.propose(x.batch())
    chain.warp(1000 * DAY_S)
    with fails("Rollup: batch has no overdue challenge"):
        x.void(2)


# ---------------------------------------------------------------- marks


def test_nobody_chooses_the_marks(life):
    """Of the tables since the opening the earliest: no backdating before it, no later one, none of the same time, none without a proof, none afterwards."""
    x = life.exchange
    x.deposit(EVE, 5 * USDC)
    before = life.table(MARKS + 1)
    life.freeze()
    signed_before_open = 1000 * life.chain.time_s
    life.chain.warp(10)
    life.send("open")
    opened_at = life.chain.time_s
    life.chain.warp(100)

    def set_marks(at, root, **changes):
        said = life.statement(3, ALICE, 40 * USDC, risk_root=root).but(**changes)
        return life.send("set_marks", *at, *life.arguments(said))

    for at, root in (
        (before, MARKS + 1), (life.table(MARKS + 2, time_ms=signed_before_open), MARKS + 2), (life.table(MARKS + 3, time_ms=1000 * opened_at - 1), MARKS + 3),
    ):  # fmt: skip
        with fails("Exits: table is older than the exits"):
            set_marks(at, root)
    late = life.table(MARKS + 4, time_ms=1000 * opened_at + 50_000)
    early = life.table(MARKS, time_ms=1000 * opened_at + 1)
    same = life.table(MARKS + 5, time_ms=1000 * opened_at + 1)
    set_marks(late, MARKS + 4)
    with fails("Exits: epoch, time and risk root were not recorded"):
        set_marks((late[0], early[1]), MARKS + 4)
    with fails("Exits: epoch, time and risk root were not recorded"):
        set_marks((late[0], 1000 * opened_at), MARKS + 4)
    with fails("Exits: epoch, time and risk root were not recorded"):
        set_marks((0, 1000 * opened_at), MARKS + 4)
    with fails("Exits: not of the final state"):
        set_marks(early, MARKS, state_root=x.roots[0])
    with fails("Statement: invalid proof"):
        said = life.statement(3, ALICE, 40 * USDC)
        life.send("set_marks", *early, *life.arguments(said, proof=[1] * 12))
    set_marks(early, MARKS)
    for at, root in ((late, MARKS + 4), (same, MARKS + 5), (early, MARKS)):
        with fails("Exits: the marks are not later than this table"):
            set_marks(at, root)
    with fails("Exits: a newer table may still come"):
        life.send("set_final_marks", x.time_ms, RISK)
    life.chain.warp(3 * DAY_S - 100)
    with fails("Exits: claims have not begun"):
        life.claim(3, ALICE, 40 * USDC)
    life.chain.warp(1)
    for call in (lambda: set_marks(early, MARKS), lambda: life.send("set_final_marks", x.time_ms, RISK)):
        with fails("Exits: the marks are fixed"):
            call()
    life.claim(3, ALICE, 40 * USDC)
    with fails("Exits: not on the marks"):
        life.claim(4, BOB, 30 * USDC, risk_root=MARKS + 4)


def test_a_table_recorded_late_is_still_only_one_of_its_time(life):
    """Signed between the opening and now and recorded on the last day: it counts if it is the earliest, which is what the rule says; from before, never."""
    x = life.exchange
    x.deposit(EVE, 5 * USDC)
    life.freeze()
    signed = 1000 * life.chain.time_s - 1
    life.send("open")
    life.chain.warp(3 * DAY_S)
    at = life.table(time_ms=signed)
    with fails("Exits: table is older than the exits"):
        life.send("set_marks", *at, *life.arguments(life.statement(3, ALICE, 40 * USDC)))
    at = life.table(time_ms=signed + 1)
    life.send("set_marks", *at, *life.arguments(life.statement(3, ALICE, 40 * USDC)))


def test_the_final_marks_are_the_final_batchs_alone(life):
    """Neither an earlier batch's table nor one that a voided batch used."""
    x = life.exchange
    first = (x.time_ms, RISK)
    x.submit_epoch(risk_root=RISK + 1)
    second = (x.time_ms, RISK + 1)
    x.propose_and_prove(x.batch(entries=0))
    life.chain.warp(1)
    x.submit_epoch(risk_root=RISK + 2)
    x.deposit(EVE, 5 * USDC)
    x.propose(x.batch(entries=0))
    life.freeze()
    x.void()
    life.send("open")
    life.chain.warp(3 * DAY_S + 1)
    for at in (first, (x.time_ms, RISK + 2), (second[0], RISK), (0, 0)):
        if at != second:
            with fails("Exits: epoch, time and risk root were not recorded"):
                life.send("set_final_marks", *at)
    life.send("set_final_marks", *second)


# ---------------------------------------------------------------- claims


def test_an_account_is_paid_once(life):
    life.opened()
    x = life.exchange
    life.claim(3, ALICE, 40 * USDC)
    for equity in (40 * USDC, 1, 41 * USDC):
        with fails("Exits: already claimed"):
            life.claim(3, ALICE, equity)
    with fails("Exits: claims are still open"):
        life.send("collect", 3)
    life.claim(4, BOB, 30 * USDC)
    life.chain.warp(14 * DAY_S)
    with fails("Exits: claims are over"):
        life.claim(5, CAROL, 20 * USDC)
    with fails("Exits: deposits are not counted yet"):
        life.send("collect", 3)
    life.send("count_deposits", x.queue[3:])
    life.send("collect", 3)
    for account in (3, 5, 0, 2**255):
        with fails("Exits: nothing to collect"):
            life.send("collect", account)
    with fails("Exits: claims are over"):
        life.claim(3, ALICE, 40 * USDC)
    life.send("collect", 4)
    life.send("reclaim", 3, x.queue[3])
    assert (life.claimable(ALICE), life.claimable(BOB), life.claimable(EVE)) == (44 * USDC, 30 * USDC, 5 * USDC)
    assert life.row() == 101 * USDC - 75 * USDC


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({7: int(EVE, 16) | 9 << 160 | 4 << 224}, "Exits: no such account"), ({7: int(EVE, 16) | 9 << 160 | 1 << 248 | 3 << 224}, "Exits: no such account"),
        ({7: 9 << 160 | 3 << 224}, "Exits: no such account"), ({7: int(EVE, 16) | 3 << 224}, "Exits: nothing to claim"), ({7: 0}, "Exits: no such account"),
        ({3: 4}, "Exits: no such account"), ({3: 3 | 1 << 24}, "Statement: wrong chunk size"), ({3: 3 | 1 << 32}, "Statement: wrong chunk size"),
        ({3: 256}, "Statement: chunk is outside the tree"), ({3: 2**24 - 1}, "Statement: chunk is outside the tree"), ({0: 1}, "Statement: wrong domain"),
        ({1: 1}, "Exits: not of the final state"), ({2: 1}, "Exits: not on the marks"),
    ],
)  # fmt: skip
def test_no_line_but_an_accounts_own_is_claimed(life, words, reason):
    """Even with a proof: what the circuit would refuse as well."""
    life.opened()
    with fails(reason):
        life.claim(3, ALICE, 40 * USDC, words=words)


def test_neither_words_beyond_the_modulus_nor_other_lengths(life):
    life.opened()
    r = 21888242871839275222246405745257275088548364400416034343698204186575808495617
    said = life.statement(3, ALICE, 40 * USDC)
    effects, body, c, proof, beneficiary = life.arguments(said)
    for i in range(8):
        word = said.effects[i] + r
        spoilt = effects[: 32 * i] + word.to_bytes(32, "big") + effects[32 * i + 32 :]
        with pytest.raises(Exception, match=r"^(Statement|Exits): "):
            life.send("claim", spoilt, body, c, proof, beneficiary)
    for cut in (effects[:-32], effects[:-1], b""):
        with pytest.raises(Exception, match=r"^(Statement: wrong effects length|Exits: .*|)$"):
            life.send("claim", cut, body, c, proof, beneficiary)
    for longer in (body + bytes(32), body[:-1], r.to_bytes(32, "big") + body[32:]):
        with pytest.raises(Exception, match=r"^Statement: "):
            life.send("claim", effects, longer, c, proof, beneficiary)
    for changes in ({"c": c + r}, {"beneficiary": EVE}):
        with pytest.raises(Exception, match=r"^Statement: "):
            life.send("claim", *life.arguments(said, **changes))


# ---------------------------------------------------------------- deposits


def test_parts_cannot_be_counted_wrongly(life):
    """Twice, from another place, with a smaller amount, in another order, as another kind, beyond the end."""
    x = life.exchange
    for amount in (5, 7, 11):
        x.deposit(EVE, amount * USDC, 3)
    life.chain.fund(ALICE)
    x.send(ALICE, "force_withdraw", 3, 50 * USDC, value_wei=FEE_WEI)
    life.freeze()
    life.send("open")
    unanswered = x.queue[3:]
    wrong = [
        x.queue[:1], unanswered[1:], unanswered[::-1], [unanswered[0], unanswered[0]], [(*unanswered[0][:3], USDC, 0)], [(2, *unanswered[0][1:])], x.queue,
        [(*unanswered[0][:3], unanswered[0][3], 1)],
    ]  # fmt: skip
    for part in wrong:
        with pytest.raises(Exception, match=r"^(QueueWalk: entries differ from the queue|Exits: entries beyond the queue's end)$"):
            life.send("count_deposits", part)
    with fails("Exits: no entries"):
        life.send("count_deposits", [])
    life.send("count_deposits", unanswered[:2])
    with fails("QueueWalk: entries differ from the queue"):
        life.send("count_deposits", unanswered[:2])
    life.send("count_deposits", unanswered[2:])
    with fails("Exits: entries beyond the queue's end"):
        life.send("count_deposits", unanswered[:1])
    assert (life.read("set_aside"), life.read("pool")) == (23 * USDC, 96 * USDC)
    # A forced withdrawal is no deposit, by whatever name.
    asked = unanswered[3]
    for entry in (asked, (1, *asked[1:])):
        with pytest.raises(Exception, match=r"^(QueueWalk: entries differ from the queue|Exits: entry is not a deposit)$"):
            life.send("reclaim", 6, entry)
    for index, entry in ((2, x.queue[2]), (7, unanswered[0]), (2**256 - 1, unanswered[0]), (4, unanswered[0])):
        with pytest.raises(Exception, match=r"^(QueueWalk: entries differ from the queue|Exits: entry is not an unanswered one)$"):
            life.send("reclaim", index, entry)
    for index in (3, 4, 5):
        life.send("reclaim", index, x.queue[index])
        with fails("Exits: deposit already reclaimed"):
            life.send("reclaim", index, x.queue[index])
    # To the owner of the account, not to who paid.
    assert (life.claimable(ALICE), life.claimable(EVE)) == (27 * USDC, 0)


@pytest.mark.parametrize("seed", range(4))
def test_no_more_than_the_row_is_paid_in_any_order(chain, new_exchange, seed):
    """Random equities, negative ones among them, random claims, collects, reclaims and counts in any order, each tried more than once."""
    rng = random.Random(seed)
    life = Life(chain, new_exchange)
    x = life.exchange
    people = ["0x" + f"{0xF00 + i:040x}" for i in range(8)]
    for who in people:
        x.deposit(who, rng.randint(1, 50) * USDC)
    x.submit_epoch(risk_root=RISK)
    for _ in range(2):
        x.propose_and_prove(x.batch())
    life.root = x.roots[-1]
    for i in range(5):
        x.deposit(people[i], rng.randint(1, 9) * USDC, rng.choice([0, 3, 6]))
    owners = {3: ALICE, 4: BOB, 5: CAROL} | {6 + i: who for i, who in enumerate(people)}
    answered = x.queue_ends[-1]
    row, pending = life.row(), sum(entry[3] for entry in x.queue[answered:])
    total = row - pending
    equities = {account: rng.randint(1, 2 * total // len(owners)) for account in owners}
    # Their sum is the pool, thanks to a debtor; or claims that exceed it.
    debtor = rng.choice(list(owners))
    equities[debtor] += total - sum(equities.values())
    life.freeze()
    life.send("open")
    life.send("set_marks", *life.table(), *life.arguments(life.statement(3, ALICE, 5)))
    life.chain.warp(3 * DAY_S + 1)
    claimed = {}
    for account in rng.sample(sorted(owners), len(owners)):
        if equities[account] > 0 and rng.random() < 0.9:
            life.claim(account, owners[account], equities[account])
            claimed[account] = equities[account]
    life.chain.warp(14 * DAY_S)
    before = {who: life.claimable(who) for who in owners.values()}
    actions = [("collect", account) for account in claimed] * 2 + [("reclaim", i) for i in range(answered, len(x.queue))] * 2 + [("count", 1)] * 8
    rng.shuffle(actions)
    collected, reclaimed = {}, set()
    for kind, what in actions + [("count", 1)] * 8 + [("collect", account) for account in claimed]:
        try:
            if kind == "collect":
                collected[what] = life.send("collect", what).log("Collected")["amount"]
            elif kind == "reclaim":
                life.send("reclaim", what, x.queue[what])
                reclaimed.add(what)
            else:
                at = life.read("queue_counted")
                life.send("count_deposits", x.queue[at : at + 1])
        except Exception as error:
            assert str(error).split(":")[0] == "Exits", error
        paid = sum(collected.values()) + sum(x.queue[i][3] for i in reclaimed)
        assert life.row() == row - paid >= 0
    assert set(collected) == set(claimed)
    pool, asked = total, sum(claimed.values())
    assert collected == {account: amount * min(pool, asked) // asked for account, amount in claimed.items()}
    assert sum(life.claimable(who) - before[who] for who in set(owners.values())) == sum(collected.values()) + sum(x.queue[i][3] for i in reclaimed)


# ---------------------------------------------------------------- solvency


def chunk(life, i: int, lines, nets, **changes) -> Statement:
    return Statement(life.root, RISK, i, lines, nets, 2, domain=life.exchange.read("domain")).but(**changes)


def lines_of(life):
    operator = life.exchange.config.operator
    return [{1: (operator, 0), 2: (operator, 0), 3: (ALICE, 46 * USDC)}, {4: (BOB, 30 * USDC), 5: (CAROL, 20 * USDC)}]


def run(life, who: str, function: str, *args):
    return life.chain.send(who, life.solvency, function, *args)


def publish(life, who: str, said: Statement):
    return run(life, who, "publish", *life.arguments(said))


def test_runs_do_not_touch_each_other(life):
    """Two runs, chunk by chunk in turns, of two states, with a deposit and a batch in between: each ends with its own truth."""
    x, (first, second) = life.exchange, lines_of(life)
    run(life, EVE, "begin", x.epoch, x.time_ms, RISK)
    old = life.root
    publish(life, EVE, chunk(life, 0, first, [3]))
    x.deposit(BOB, 8 * USDC, 4)
    x.submit_epoch(risk_root=RISK)
    x.propose_and_prove(x.batch(withdrawals=[(5, CAROL, USDC)]))
    new = x.roots[-1]
    run(life, PROVER, "begin", x.epoch, x.time_ms, RISK)
    with fails("Solvency: not the next chunk"):
        publish(life, PROVER, chunk(life, 1, second, [-3], state_root=new))
    with fails("Solvency: not of the run's state"):
        publish(life, PROVER, chunk(life, 0, first, [3], state_root=old))
    publish(life, PROVER, chunk(life, 0, first, [5], state_root=new))
    with fails("Solvency: not the next chunk"):
        publish(life, PROVER, chunk(life, 0, first, [5], state_root=new))
    with fails("Solvency: not of the run's state"):
        publish(life, EVE, chunk(life, 1, second, [-3], state_root=new))
    x.deposit(EVE, 5 * USDC)
    publish(life, EVE, chunk(life, 1, second, [-3], state_root=old))
    with fails("Solvency: entries beyond the queue's end"):
        run(life, EVE, "count_deposits", x.queue[3:])
    shown = run(life, EVE, "conclude").log("Solvent")
    assert (shown["publisher"].lower(), shown["batch_number"], shown["liabilities"]) == (EVE, 1, 96 * USDC)
    with fails("Solvency: no run"):
        run(life, EVE, "conclude")
    publish(life, PROVER, chunk(life, 1, {4: (BOB, 38 * USDC), 5: (CAROL, 19 * USDC)}, [-5], state_root=new))
    with fails("Solvency: no chunk is missing"):
        publish(life, PROVER, chunk(life, 2, {}, [0], state_root=new))
    assert run(life, PROVER, "conclude").log("Solvent")["liabilities"] == 103 * USDC
    for function in ("conclude",):
        with fails("Solvency: no run"):
            run(life, BOB, function)
    with fails("Solvency: no chunk is missing"):
        publish(life, BOB, chunk(life, 0, first, [3]))


@pytest.mark.parametrize(
    "nets", [([3], [-4]), ([3], [0, -3]), ([3, -3], [0]), ([3, 0, 0, 0, 1], [-3]), ([0, 0, 0, 3], [0, 0, 0, 0, -3]), ([2**55 - 1], [-(2**55)]), ([1], [2])]
)
def test_positions_of_one_instrument_do_not_pay_for_anothers(life, nets):
    x = life.exchange
    run(life, EVE, "begin", x.epoch, x.time_ms, RISK)
    for i, lines in enumerate(lines_of(life)):
        publish(life, EVE, chunk(life, i, lines, nets[i]))
    with fails("Solvency: positions do not add up to zero"):
        run(life, EVE, "conclude")


def test_a_body_cut_short_has_the_same_positions(life):
    """Left-out zero cells change no exponent; a cell in another's place does."""
    x, lines = life.exchange, lines_of(life)
    for nets, cut, good in ((([3], [-3]), 1, True), (([0, 0, 0, 0, 3], [-3]), 0, False)):
        run(life, EVE, "begin", x.epoch, x.time_ms, RISK)
        publish(life, EVE, chunk(life, 0, lines[0], nets[0]))
        said = chunk(life, 1, lines[1], nets[1])
        cells = said.body[: len(said.body) - cut] if cut else said.body

        class Cut(Statement):
            body = property(lambda self, cells=cells: cells)

        cut_said = Cut(**{name: getattr(said, name) for name in said.__dataclass_fields__})
        publish(life, EVE, cut_said)
        if good:
            run(life, EVE, "conclude")
        else:
            with fails("Solvency: positions do not add up to zero"):
                run(life, EVE, "conclude")


def test_deposits_are_counted_from_the_runs_place_once(life):
    x, lines = life.exchange, lines_of(life)
    x.deposit(BOB, 5 * USDC, 4)
    x.deposit(BOB, 6 * USDC, 4)
    run(life, EVE, "begin", x.epoch, x.time_ms, RISK)
    for i in range(2):
        publish(life, EVE, chunk(life, i, lines[i], [3 - 6 * i]))
    with fails("Solvency: deposits are not counted yet"):
        run(life, EVE, "conclude")
    for part in (x.queue[4:5], x.queue[2:4], [(1, 4, BOB, 11 * USDC, 0)], [(2, *x.queue[3][1:])]):
        with fails("QueueWalk: entries differ from the queue"):
            run(life, EVE, "count_deposits", part)
    run(life, EVE, "count_deposits", x.queue[3:4])
    with fails("QueueWalk: entries differ from the queue"):
        run(life, EVE, "count_deposits", x.queue[3:4])
    run(life, EVE, "count_deposits", x.queue[4:5])
    run(life, EVE, "conclude")


def test_a_run_of_a_frozen_rollup_hides_no_payment(life):
    """After exits have drawn on the row it no longer covers what the state says; a run begun before still speaks of its own moment."""
    x = life.exchange
    life.opened()
    lines = lines_of(life)
    life.send("reclaim", 3, x.queue[3])
    x.submit_epoch(risk_root=RISK)
    run(life, EVE, "begin", x.epoch, x.time_ms, RISK)
    for i in range(2):
        publish(life, EVE, chunk(life, i, lines[i], [3 - 6 * i]))
    run(life, EVE, "count_deposits", x.queue[3:])
    with fails("Solvency: equities and unanswered deposits are not the row"):
        run(life, EVE, "conclude")


# ---------------------------------------------------------------- reentrancy


@pytest.fixture
def hostile(chain, new_exchange, tmp_path):
    """An exchange on a token with hooks, frozen or not, with something to collect everywhere."""
    path = tmp_path / "HostileToken.vy"
    path.write_text(HOSTILE_TOKEN)
    token = chain.deploy(load_path(path))
    return SimpleNamespace(token=token, life=Life(chain, new_exchange, token=token))


def test_a_token_with_hooks_moves_nothing_but_itself(hostile):
    """From inside a deposit and from inside a pull: no batch becomes final, nobody else is paid, no row is read half-way."""
    life, token = hostile.life, hostile.token
    x, chain = life.exchange, life.chain
    x.deposit(EVE, 5 * USDC)
    x.submit_epoch(risk_root=RISK)
    batch = x.batch(withdrawals=[(4, BOB, USDC)])
    x.propose(batch)
    vault, rollup, solvency = load("Vault"), load("Rollup"), contract("Solvency")
    calls = [
        (x.vault.address, vault.encode_call("pull")), (x.vault.address, vault.encode_call("credit", EVE, 0)),
        (x.vault.address, vault.encode_call("deposit", x.rollup.address, 0, EVE, 0)), (x.vault.address, vault.encode_call("rows", x.rollup.address)),
        (x.rollup.address, rollup.encode_call("prove", batch.effects_bytes, x.header(batch), x.mock_proof(batch, EVE), EVE)),
        (life.solvency.address, solvency.encode_call("begin", x.epoch, x.time_ms, RISK)),
    ]  # fmt: skip
    before = (life.row(), life.claimable(ALICE))
    for i, (target, data) in enumerate(calls):
        chain.send(EVE, token, "plan", target, data)
        x.deposit(EVE, USDC)
        assert chain.call(token, "called") == 2 and not chain.call(token, "went_through"), i
    chain.send(EVE, token, "plan", NOBODY, b"")
    assert (life.row(), x.read("final_batch")) == (before[0] + len(calls) * USDC, 1)
    chain.fund(ALICE)
    for i, (target, data) in enumerate(calls[:5]):
        chain.send(EVE, token, "plan", target, data)
        snapshot = chain.evm.snapshot()
        chain.send(ALICE, x.vault, "pull")
        assert chain.call(token, "called") == 2 and not chain.call(token, "went_through"), i
        assert (chain.call(token, "balanceOf", ALICE), life.claimable(ALICE)) == (4 * USDC, 0)
        chain.evm.revert(snapshot)


def test_exits_are_not_entered_from_a_pull(hostile):
    life, token = hostile.life, hostile.token
    life.opened()
    x, chain = life.exchange, life.chain
    life.claim(3, ALICE, 40 * USDC)
    chain.warp(14 * DAY_S)
    life.send("count_deposits", x.queue[3:])
    exits = contract("Exits")
    for data in (exits.encode_call("collect", 3), exits.encode_call("reclaim", 3, x.queue[3])):
        chain.send(EVE, token, "plan", life.exits.address, data)
        snapshot = chain.evm.snapshot()
        chain.send(chain.fund(ALICE), x.vault, "pull")
        assert chain.call(token, "called") == 2 and not chain.call(token, "went_through")
        chain.evm.revert(snapshot)
    chain.send(EVE, token, "plan", NOBODY, b"")
    life.send("collect", 3)
    life.send("reclaim", 3, x.queue[3])
    assert (life.claimable(ALICE), life.claimable(EVE)) == (44 * USDC, 5 * USDC)
