"""Random ends of a real rollup under every policy (proofs are mocked): proposals stand at the freeze and become final, void, or stay stuck; then whatever is
claimed, reclaimed and collected, in whatever order, no more than the row is paid, and nobody's bond is lost."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from support.layer1_life import BURNT, DAY_S, HOUR_S, STUCK_S, USDC, USERS, WINDOW_S, Model, Pending, Proposals, refused
from support.statements import BODY_CELLS, Statement, contract

from straddle.l1.deploying import created_address

CALLER, DEPLOYER = ("0x" + f"{n:040x}" for n in (0xCA11, 0xDE2))
BENEFICIARY = "0x" + f"{0xBEEF:040x}"
MARKS_S, CLAIMS_S = 3 * DAY_S, 14 * DAY_S
EARLY, TABLE, MARKS = 7, 814, 815
"""Risk roots: of batches, of tables before the exits are open, of those after."""
OTHERS_MONEY = ("deposits of others", "more than the row")
"""What a batch that nobody challenges in time may pay, and no proof allows."""


def make_machine(chain_type, new_exchange, policy):
    optimistic = policy.get("policy") == 2

    class End(Proposals):
        @initialize(
            deposits=st.lists(st.tuples(st.sampled_from(USERS), st.integers(USDC, 100 * USDC)), min_size=2, max_size=6),
            final=st.integers(0, 3),
            losses=st.integers(-40, 40),
            standing=st.lists(
                st.tuples(st.sampled_from(["nothing", "its own", *(OTHERS_MONEY if optimistic else ())]), st.sampled_from(USERS), st.booleans()), max_size=3
            ),
            is_quick=st.booleans(),
        )
        def freeze(self, deposits, final, losses, standing, is_quick):
            """Some entries are answered by final batches, and some proposals stand; then nobody answers the rest, and one of the accounts may be below zero.
            With `is_quick` life begins when the exits have their marks."""
            chain = chain_type()
            self.x = x = new_exchange(chain, exits=created_address(DEPLOYER, 0), **policy)
            self.exits = chain.deploy(contract("Exits"), x.rollup.address, x.verifier.address, BODY_CELLS, sender=DEPLOYER)
            self.rollup, self.verifier, self.losses = x.rollup, x.verifier, losses
            self.model, self.opened_at, self.marks, self.tables = Model(optimistic), 0, None, []
            self.reclaimed, self.claimed, self.collected = {}, {}, {}
            for who in (CALLER, *USERS):
                chain.fund(who)
            for i, (who, amount) in enumerate(deposits):
                self.pay_in(who, amount)
                x.send(who, "force_withdraw", 3 + i, amount, value_wei=x.config.request_fee_wei)
                self.model.times.append(self.now_s)
                self.model.fees += x.config.request_fee_wei
            x.submit_epoch(risk_root=EARLY)
            for _ in range(final):
                self._propose("nothing", USERS[0], at_once=True)
            for who in USERS[:3]:
                self.pay_in(who, 3 * USDC)
            wait_s = 17 * DAY_S + WINDOW_S if optimistic else 10 * DAY_S
            chain.warp(wait_s - HOUR_S)
            x.submit_epoch(risk_root=EARLY)
            for pays, who, challenged in standing:
                if self._propose(pays, who) and optimistic and challenged:
                    self.challenge(len(self.model.pending) - 1, who)
            chain.warp(HOUR_S + 1)
            x.send(CALLER, "freeze")
            self.model.frozen, self.model.frozen_at_s = True, self.now_s
            self.entries = list(x.queue)
            if is_quick:
                self.settle_proposals()
                self.open()
                self.record_table()
                self.set_marks(0)

        def _propose(self, pays, who, at_once=False):
            """Whether there was a proposal: it answers the next entries, as an overdue queue wants, but never the last. `pays` says whose money."""
            x, model = self.x, self.model
            end = min(model.proposed + x.preset.queue, len(model.times) - 1)
            if end == model.proposed and not at_once:
                return False
            leaving = sum(amount for pending in model.pending for _, amount in pending.payouts)
            inside = sum(amount for kind, _, _, amount, _ in x.queue[:end] if kind == 1) - leaving
            amount = {"nothing": 0, "its own": inside // 3, "deposits of others": model.row - leaving, "more than the row": model.row + 1}[pays]
            batch = x.batch(entries=end - model.proposed, withdrawals=[(3, who, amount)] if amount > 0 else ())
            (x.propose_and_prove if at_once else x.propose)(batch)
            model.pending.append(Pending(batch, x.sequencer, self.now_s))
            if at_once:
                model.prove(model.pending[-1], BENEFICIARY)
            return True

        def statement(self, account, lines, risk_root):
            return Statement(self.model.root, risk_root, account, lines, domain=self.x.read("domain")).arguments(self, self.verifier)

        @property
        def chain(self):
            return self.x.chain

        def attempt(self, allowed, function, *args):
            """Whether it was done, which must be whether it is allowed."""
            if allowed:
                self.chain.send(CALLER, self.exits, function, *args)
            else:
                refused(lambda: self.chain.send(CALLER, self.exits, function, *args))
            return allowed

        def pay(self, who, amount):
            self.model.row -= amount
            self.model.claimable[who] += amount

        def age(self, least_s, most_s):
            """Whether the exits are open for longer than one time and no longer than another."""
            return bool(self.opened_at) and least_s < self.now_s - self.opened_at <= most_s

        # ---- until the exits are open

        @rule(seconds=st.sampled_from([DAY_S, 5 * DAY_S]))
        def wait(self, seconds):
            self.chain.warp(seconds)

        @precondition(lambda self: self.marks and self.age(-1, MARKS_S))
        @rule()
        def wait_for_claims(self):
            self.chain.warp(self.opened_at + MARKS_S + 1 - self.now_s)

        @precondition(lambda self: self.claimed and self.age(-1, MARKS_S + CLAIMS_S))
        @rule()
        def wait_for_shares(self):
            self.chain.warp(self.opened_at + MARKS_S + CLAIMS_S + 1 - self.now_s)

        @precondition(lambda self: not self.opened_at)
        @rule()
        def open(self):
            model = self.model
            if not self.attempt(not self.opened_at and not model.pending, "open"):
                return
            self.opened_at, self.answered, self.counted = self.now_s, model.answered, model.answered
            self.row = model.row
            self.aside = sum(amount for kind, _, _, amount, _ in self.entries[self.answered :] if kind == 1)
            owners = {account: (owner, amount) for kind, account, owner, amount, _ in self.entries[: self.answered] if kind == 1}
            # All that proofs leave to the accounts is what lies in the row for them; who stole more left them claims on nothing.
            inside = sum(amount for _, amount in owners.values())
            pool = self.row - self.aside if self.row >= self.aside else inside
            self.equities = {account: (owner, amount * pool // inside) for account, (owner, amount) in owners.items()}
            if owners:
                first, last = min(owners), max(owners)
                self.change(first, pool - sum(equity for _, equity in self.equities.values()) - pool * self.losses // 20)
                self.change(last, pool * self.losses // 20)

        def change(self, account, amount):
            owner, equity = self.equities[account]
            self.equities[account] = (owner, equity + amount)

        # ---- marks

        @precondition(lambda self: len(self.tables) < 4)
        @rule()
        def record_table(self):
            risk_root = MARKS if self.opened_at else TABLE
            self.x.submit_epoch(risk_root=risk_root)
            self.tables.append((self.x.epoch, self.x.time_ms, risk_root))

        @precondition(lambda self: self.tables and not self.age(MARKS_S + DAY_S, 10**9))
        @rule(pick=st.integers(0, 3))
        def set_marks(self, pick):
            epoch, time_ms, risk_root = table = self.tables[pick % len(self.tables)]
            allowed = self.age(-1, MARKS_S) and time_ms >= 1000 * self.opened_at and (self.marks is None or time_ms < self.marks[1])
            if self.attempt(allowed, "set_marks", epoch, time_ms, *self.statement(0, {}, risk_root)):
                self.marks = table

        @precondition(lambda self: self.opened_at and not self.marks)
        @rule()
        def set_final_marks(self):
            final = self.model.final_batch
            epoch, time_ms = (final.effects[4] & (2**64 - 1), final.effects[4] >> 64) if final else (0, 0)
            if self.attempt(bool(self.age(MARKS_S, 10**9) and self.marks is None and final), "set_final_marks", time_ms, EARLY):
                self.marks = (epoch, time_ms, EARLY)

        # ---- deposits, claims, shares

        @precondition(lambda self: self.opened_at)
        @rule(count=st.integers(0, 7))
        def count_deposits(self, count):
            entries = self.entries[self.counted : self.counted + count]
            if self.attempt(bool(entries), "count_deposits", entries):
                self.counted += len(entries)

        @precondition(lambda self: self.opened_at)
        @rule()
        def count_all_deposits(self):
            self.count_deposits(len(self.entries))

        @precondition(lambda self: self.opened_at)
        @rule(index=st.integers(0, 14))
        def reclaim(self, index):
            index %= len(self.entries)
            kind, _, who, amount, _ = entry = self.entries[index]
            is_unanswered = index >= self.answered and kind == 1 and index not in self.reclaimed
            if self.attempt(is_unanswered and amount <= self.model.row, "reclaim", index, entry):
                self.reclaimed[index] = amount
                self.pay(who, amount)

        @precondition(lambda self: self.marks)
        @rule(pick=st.integers(0, 6))
        def claim_one(self, pick):
            self.claim([*self.equities, 2, 12][pick % (len(self.equities) + 2)])

        def claim(self, account):
            who, equity = self.equities.get(account, ("0x0", 0))
            allowed = equity > 0 and account not in self.claimed and self.age(MARKS_S, MARKS_S + CLAIMS_S)
            if self.attempt(allowed, "claim", *self.statement(account, {account: (who, equity)}, self.marks[2])):
                self.claimed[account] = equity

        @precondition(lambda self: self.opened_at)
        @rule(pick=st.integers(0, 6))
        def collect_one(self, pick):
            self.collect([*self.equities, 2, 12][pick % (len(self.equities) + 2)])

        def collect(self, account):
            is_due = account in self.claimed and account not in self.collected and self.counted == len(self.entries)
            if self.attempt(is_due and self.age(MARKS_S + CLAIMS_S, 10**9), "collect", account):
                pool, total = max(0, self.row - self.aside), sum(self.claimed.values())
                self.collected[account] = self.claimed[account] * min(pool, total) // total
                self.pay(self.equities[account][0], self.collected[account])

        @precondition(lambda self: self.marks and self.age(MARKS_S, MARKS_S + CLAIMS_S))
        @rule()
        def claim_everything(self):
            for account in self.equities:
                self.claim(account)

        @precondition(lambda self: self.age(MARKS_S + CLAIMS_S, 10**9))
        @rule()
        def collect_everything(self):
            self.count_all_deposits()
            for account in tuple(self.claimed):
                self.collect(account)

        @rule(who=st.sampled_from(USERS))
        def steal(self, who):
            for target, function in ((self.rollup, "pay_exit"), (self.x.vault, "credit")):
                refused(lambda target=target, function=function: self.chain.send(CALLER, target, function, who, 1))

        # ---- the end of every life

        def teardown(self):
            """Nothing is left standing, who still can claims, all that is left is collected and reclaimed, and every bond is back."""
            if not hasattr(self, "entries"):
                return
            self.settle_proposals()
            if not self.opened_at:
                self.open()
            if self.age(-1, MARKS_S):
                if self.marks is None:
                    self.record_table()
                    self.set_marks(len(self.tables) - 1)
                self.chain.warp(MARKS_S + 1)
            if self.marks is None:
                self.set_final_marks()
            if self.age(MARKS_S, MARKS_S + CLAIMS_S):
                if self.marks:
                    self.claim_everything()
                self.chain.warp(CLAIMS_S + 1)
            self.collect_everything()
            for index in range(self.answered, len(self.entries)):
                if index not in self.reclaimed:
                    self.reclaim(index)
            self.tokens_are_conserved()
            self.wei_is_conserved()
            self.shares_are_fair()
            assert set(self.collected) == set(self.claimed)
            for pick in range(len(USERS) + 1):
                self.collect_wei(pick)
            assert set(self.model.owed) <= {BURNT, BENEFICIARY}

        def settle_proposals(self):
            """What can be final is; what is overdue is void; and what nobody could make final goes when it has stood for long enough."""
            model = self.model
            while model.pending:
                first = model.pending[0]
                if first.open or not optimistic:
                    self.void(0, expire=True)
                elif not model.payable(first):
                    self.chain.warp(max(0, model.frozen_at_s + WINDOW_S + STUCK_S + 1 - self.now_s))
                    self.void(0, expire=False)
                else:
                    self.chain.warp(max(0, first.proposed_at_s + WINDOW_S + 1 - self.now_s))
                    self.finalise(0)

        @invariant()
        def the_row_is_what_is_owed_and_the_pool(self):
            """Unless a batch that nobody challenged took deposits of others: then what is left is paid as long as it lasts."""
            if self.opened_at:
                deposits = self.aside - sum(self.reclaimed.values())
                if self.row >= self.aside:
                    assert self.model.row == deposits + (self.row - self.aside) - sum(self.collected.values())
                else:
                    assert self.model.row == self.row - sum(self.reclaimed.values()) and sum(self.collected.values()) == 0

        @invariant()
        def shares_are_fair(self):
            """When all have claimed, a pool that covers them pays in full; otherwise everybody's share is the same but for rounding."""
            if not self.collected or self.row < self.aside:
                return
            owed = {account: equity for account, (_, equity) in self.equities.items() if equity > 0}
            if set(self.claimed) == set(owed) and all(equity >= 0 for _, equity in self.equities.values()):
                assert all(amount == owed[account] for account, amount in self.collected.items())
            pool, total = self.row - self.aside, sum(self.claimed.values())
            assert all(0 <= self.claimed[account] * min(pool, total) - amount * total < total for account, amount in self.collected.items())

    return End


@pytest.mark.parametrize(("policy", "examples"), [({}, 100), ({"data": 3}, 60), ({"policy": 2}, 160)], ids=["zk", "validium", "optimistic"])
def test_exits_pay_what_there_is(chain, new_exchange, policy, examples):
    run_state_machine_as_test(
        make_machine(type(chain), new_exchange, policy),
        settings=settings(max_examples=examples, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)),
    )
