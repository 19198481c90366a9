"""Random ends of a real rollup (proofs are mocked): whatever is claimed, reclaimed and collected, in whatever order, no more than the row is paid."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from support.statements import BODY_CELLS, Statement, contract

from straddle.l1.deploying import created_address

USERS = ["0x" + f"{0xA0 + i:040x}" for i in range(4)]
CALLER, DEPLOYER = ("0x" + f"{n:040x}" for n in (0xCA11, 0xDE2))
USDC = 1_000_000
DAY_S = 86_400
MARKS = 815


def make_machine(chain_type, new_exchange):
    class Exit(RuleBasedStateMachine):
        @initialize(
            deposits=st.lists(st.tuples(st.sampled_from(USERS), st.integers(USDC, 100 * USDC)), min_size=2, max_size=6),
            batches=st.integers(0, 3),
            losses=st.integers(-40, 40),
            pulled=st.integers(0, 100),
            standing=st.sampled_from(["nothing", "voided", "proven"]),
        )
        def freeze(self, deposits, batches, losses, pulled, standing):
            """Some entries are answered and the accounts trade, one may end below zero; then nobody answers, with a proposal standing or not."""
            chain = self.chain = chain_type()
            self.x = x = new_exchange(chain, exits=created_address(DEPLOYER, 0))
            self.exits = chain.deploy(contract("Exits"), x.rollup.address, x.verifier.address, BODY_CELLS, sender=DEPLOYER)
            self.rollup, self.verifier = x.rollup, x.verifier
            chain.fund(CALLER)
            for i, (who, amount) in enumerate(deposits):
                x.deposit(who, amount)
                x.send(who, "force_withdraw", 3 + i, amount, value_wei=x.config.request_fee_wei)
            x.submit_epoch(risk_root=7)
            for _ in range(batches):
                x.propose_and_prove(x.batch())
            if standing != "nothing":
                x.deposit(USERS[1], 3 * USDC)
                # It pays what it can pay of what is final: a hundredth of the row a batch.
                paid = self.row_now() // 100 if batches else 0
                x.propose(last := x.batch(withdrawals=[(3, USERS[0], paid)] if paid else ()))
            x.deposit(USERS[2], 2 * USDC)
            chain.warp(10 * DAY_S + 1)
            x.send(CALLER, "freeze")
            if standing == "voided":
                x.void()
            elif standing == "proven":
                x.prove(last)
            self.entries, self.answered = list(x.queue), x.read("queue_answered")
            self.root = x.read("state_root")
            self.equities = {account: (owner, amount) for kind, account, owner, amount, _ in self.entries[: self.answered] if kind == 1}
            if self.equities:
                money = sum(amount for _, amount in self.equities.values())
                withdrawn = sum(amount for _, _, amount in last.withdrawals) if standing == "proven" else 0
                # What was paid out and what was lost comes off the first account, which may fall below zero; the last one won it.
                self._change(min(self.equities), -withdrawn - money * losses // 20 - money * pulled // 1000)
                self._change(max(self.equities), money * losses // 20)
            self.send("open")
            self.row = self.row_now()
            self.before = {who: self.claimable(who) for who in USERS}
            x.submit_epoch(risk_root=MARKS)
            self.send("set_marks", x.epoch, x.time_ms, *self.statement(0, {}))
            self.opened_at, self.counted = chain.time_s, self.answered
            self.reclaimed, self.claimed, self.collected = {}, {}, {}

        def statement(self, account, lines):
            return Statement(self.root, MARKS, account, lines, domain=self.x.read("domain")).arguments(self, self.verifier)

        def row_now(self):
            return self.chain.call(self.x.vault, "rows", self.rollup.address)

        def claimable(self, who):
            return self.chain.call(self.x.vault, "claimable", who)

        def _change(self, account, amount):
            who, equity = self.equities[account]
            self.equities[account] = (who, equity + amount)

        def send(self, function, *args):
            return self.chain.send(CALLER, self.exits, function, *args)

        def attempt(self, allowed, function, *args):
            """Whether it was done, which must be whether it is allowed."""
            try:
                self.send(function, *args)
            except Exception as error:
                assert type(error).__name__ == "Reverted" and not allowed, (function, str(error))
                return False
            assert allowed, f"{function} must be refused"
            return True

        @property
        def age_s(self):
            return self.chain.time_s - self.opened_at

        @rule(count=st.integers(0, 5))
        def count_deposits(self, count):
            entries = self.entries[self.counted : self.counted + count]
            if self.attempt(bool(entries), "count_deposits", entries):
                self.counted += len(entries)

        @rule(index=st.integers(0, 11))
        def reclaim(self, index):
            index %= len(self.entries)
            kind, _, who, amount, _ = entry = self.entries[index]
            if self.attempt(index >= self.answered and kind == 1 and index not in self.reclaimed, "reclaim", index, entry):
                self.reclaimed[index] = (who, amount)

        @rule(account=st.integers(2, 8))
        def claim(self, account):
            who, equity = self.equities.get(account, ("0x0", 0))
            allowed = equity > 0 and account not in self.claimed and 3 * DAY_S < self.age_s <= 17 * DAY_S
            if self.attempt(allowed, "claim", *self.statement(account, {account: (who, equity)})):
                self.claimed[account] = equity

        @rule(account=st.integers(2, 8))
        def collect(self, account):
            is_counted = self.counted == len(self.entries)
            allowed = account in self.claimed and account not in self.collected and self.age_s > 17 * DAY_S and is_counted
            if self.attempt(allowed, "collect", account):
                pool = self.row - sum(amount for kind, _, _, amount, _ in self.entries[self.answered :] if kind == 1)
                total = sum(self.claimed.values())
                self.collected[account] = self.claimed[account] * min(pool, total) // total

        @precondition(lambda self: 3 * DAY_S < self.age_s <= 17 * DAY_S)
        @rule()
        def claim_everything(self):
            for account in self.equities:
                self.claim(account)

        @precondition(lambda self: self.age_s > 17 * DAY_S)
        @rule()
        def collect_everything(self):
            self.count_deposits(len(self.entries))
            for account in tuple(self.claimed):
                self.collect(account)

        @rule(days=st.sampled_from([1, 4, 12]))
        def wait(self, days):
            self.chain.warp(days * DAY_S)

        @rule(who=st.sampled_from(USERS))
        def steal(self, who):
            for target, function in ((self.rollup, "pay_exit"), (self.x.vault, "credit")):
                try:
                    self.chain.send(CALLER, target, function, who, 1)
                except Exception as error:
                    assert type(error).__name__ == "Reverted"
                else:
                    raise AssertionError(f"{function} must be refused")

        def teardown(self):
            """The end of every life: who still can claims, all that is left is collected and reclaimed."""
            if not hasattr(self, "opened_at"):
                return
            if self.age_s <= 3 * DAY_S:
                self.chain.warp(4 * DAY_S)
            if self.age_s <= 17 * DAY_S:
                self.claim_everything()
                self.chain.warp(15 * DAY_S)
            self.collect_everything()
            for index in range(len(self.entries)):
                self.reclaim(index)
            self.money_is_conserved()
            self.shares_are_fair()
            assert set(self.collected) == set(self.claimed)

        @invariant()
        def money_is_conserved(self):
            paid = sum(amount for _, amount in self.reclaimed.values()) + sum(self.collected.values())
            assert self.row_now() == self.row - paid >= 0
            for who in USERS:
                due = sum(amount for owner, amount in self.reclaimed.values() if owner == who)
                due += sum(amount for account, amount in self.collected.items() if self.equities[account][0] == who)
                assert self.claimable(who) == self.before[who] + due

        @invariant()
        def shares_are_fair(self):
            """When all have claimed, a pool that covers them pays in full; otherwise everybody's share is the same but for rounding."""
            owed = {account: equity for account, (_, equity) in self.equities.items() if equity > 0}
            if self.collected and set(self.claimed) == set(owed) and all(equity >= 0 for _, equity in self.equities.values()):
                assert all(amount == owed[account] for account, amount in self.collected.items())

    return Exit


def test_exits_pay_what_there_is(chain, new_exchange):
    run_state_machine_as_test(make_machine(type(chain), new_exchange), settings=settings(max_examples=60, stateful_step_count=30, deadline=None))
