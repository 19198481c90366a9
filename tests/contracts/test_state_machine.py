"""Random lives of an exchange on layer 1, under every policy: tokens are conserved to the unit and wei to the wei, and the contracts agree with a plain model
after every step, refusals included."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from support.layer1_life import DAY_S, FEE_WEI, HOUR_S, OVERDUE_S, PROVING_S, TABLE_AGE_S, USDC, USERS, WINDOW_S, Model, Pending, Proposals, refused
from support.odd_life import OddTokens

EXITS = "0x" + f"{0xE817:040x}"


def make_machine(make_exchange, optimistic: bool, is_odd: bool):
    class Layer1(OddTokens if is_odd else Proposals):
        @initialize()
        def start(self) -> None:
            self.x = make_exchange()
            self.model = Model(optimistic)
            self.new_roots = itertools.count(1000)
            """Each once: a batch that is equal to a voided one is proposed again, not proposed, and may be older."""
            for user in USERS:
                self.x.chain.fund(user)
            self.x.submit_epoch()
            if is_odd:
                self.adopt()

        # ---- the queue

        @rule(who=st.sampled_from(USERS), amount=st.integers(USDC - 1, 1000 * USDC), pick=st.integers(0, 100))
        def deposit(self, who, amount, pick):
            model = self.model
            account = 0 if pick % 3 == 0 else 1 + pick % (model.accounts - 1)
            if account == 0 and model.accounts == 16:
                account = 3
            if model.frozen or amount < USDC or not self.kind.is_taken:
                refused(lambda: self.x.deposit(who, amount, account))
            else:
                self.pay_in(who, amount, account)

        @precondition(lambda self: self.model.accounts > 3)
        @rule(
            pick=st.integers(0, 100),
            thief=st.sampled_from(USERS),
            kind=st.sampled_from(["set_key", "force_withdraw", "force_close"]),
            amount=st.integers(1, 9999),
        )
        def request(self, pick, thief, kind, amount):
            account = 3 + pick % (self.model.accounts - 3)
            owner = self.x.read("owner_of", account)
            if owner not in USERS:
                return
            words = ((0, 0), (0, 0)) if kind == "set_key" else (amount,)
            if thief != owner:
                refused(lambda: self.x.send(thief, kind, account, *words, value_wei=FEE_WEI))
            if self.model.frozen or self.model.last_request.get((kind, account), 0) > self.model.proposed:
                refused(lambda: self.x.send(owner, kind, account, *words, value_wei=FEE_WEI))
                return
            self.x.send(owner, kind, account, *words, value_wei=FEE_WEI)
            self.model.times.append(self.now_s)
            self.model.fees += FEE_WEI
            self.model.last_request[kind, account] = len(self.model.times)

        # ---- batches

        @rule()
        def epoch(self):
            self.x.submit_epoch()

        @precondition(lambda self: len(self.model.pending) < 6)
        @rule(
            entries=st.integers(0, 4),
            payouts=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 50 * USDC)), max_size=2),
            shares=st.lists(st.integers(0, 100), min_size=4, max_size=4),
            at_once=st.booleans(),
            fresh=st.sampled_from([True, True, True, False]),
            other=st.sampled_from(USERS),
            intrudes=st.integers(0, 9),
        )
        def propose(self, entries, payouts, shares, at_once, fresh, other, intrudes):
            x, model = self.x, self.model
            # Seldom where it is refused, often where it is not.
            other = other if intrudes < (6 if model.permissionless(self.now_s) else 1) else None
            at_once = at_once and (bool(other) or optimistic or not model.pending or intrudes > 8)
            if fresh:
                x.submit_epoch()
            drops = other and not optimistic and at_once and model.pending and model.permissionless(self.now_s)
            batch = self._batch(entries, payouts, shares, model.final if drops else model.final + len(model.pending))
            post = x.propose_and_prove if at_once else x.propose
            if not self._may_propose(batch, at_once, other):
                refused(lambda: post(batch, sender=other))
                return
            if drops:
                model.drop(0)
                x.forget(model.final + 1)
            post(batch, sender=other)
            model.voided = []
            model.pending.append(Pending(batch, other or x.sequencer, self.now_s))
            if at_once:
                model.prove(model.pending[-1], "0x" + "00" * 18 + "beef")

        def _batch(self, entries, payouts, shares, parent: int):
            """On batch `parent`; what stands after it is left out of account. A sound proof never pays more than the row holds."""
            x, model = self.x, self.model
            available = model.row - sum(amount for pending in model.pending[: parent - model.final] for _, amount in pending.payouts)
            withdrawals, forced = [], []
            for i, (who, amount) in enumerate(payouts):
                if amount <= available:
                    withdrawals.append((3 + i, self.parties[who % len(self.parties)], amount))
                    available -= amount
            kept = x.roots, x.queue_ends, x.last_sequences
            x.roots, x.queue_ends, x.last_sequences = (values[: parent + 1] for values in kept)
            first, count = x.queue_ends[-1], min(entries, len(model.times) - x.queue_ends[-1])
            for entry, share in zip((entry for entry in x.queue[first : first + count] if entry[0] == 3), shares, strict=False):
                forced.append(min(entry[3] * share // 100, available))
                available -= forced[-1]
            batch = x.batch(entries=count, withdrawals=withdrawals, forced=forced, new_root=next(self.new_roots))
            x.roots, x.queue_ends, x.last_sequences = kept
            return batch

        def _may_propose(self, batch, at_once, other) -> bool:
            x, model = self.x, self.model
            if model.frozen or self.now_s * 1000 > x.time_ms + TABLE_AGE_S * 1000:
                return False
            if other and (not model.permissionless(self.now_s) or not (optimistic or at_once)):
                return False
            if batch.effects[9] >> 64 == 0 and model.waits_longer(batch.effects[9] & (2**64 - 1), self.now_s, OVERDUE_S):
                return False
            return optimistic or bool(other) or not (at_once and model.pending)

        @precondition(lambda self: self.model.voided)
        @rule()
        def propose_again(self):
            """The oldest voided batch, whatever the age of its table by now."""
            x, model = self.x, self.model
            batch = model.voided[0]
            table_s = (batch.effects[4] >> 64) // 1000
            idle = batch.effects[9] >> 64 == 0 and model.waits_longer(batch.effects[9] & (2**64 - 1), self.now_s, OVERDUE_S)
            if model.frozen or idle or self.now_s > table_s + TABLE_AGE_S + 2 * PROVING_S:
                refused(lambda: x.propose(batch))
                return
            x.propose(batch)
            model.voided.pop(0)
            model.pending.append(Pending(batch, x.sequencer, self.now_s))

        # ---- the end

        @rule(silence=st.sampled_from([False, False, False, True]))
        def freeze(self, silence):
            wait_s = 17 * DAY_S + WINDOW_S if optimistic else 10 * DAY_S
            if silence:
                self.x.chain.warp(wait_s)
            if self.model.frozen or not self.model.waits_longer(self.model.answered, self.now_s, wait_s):
                refused(lambda: self.x.send(USERS[0], "freeze"))
                return
            self.x.send(USERS[0], "freeze")
            self.model.frozen, self.model.frozen_at_s = True, self.now_s

        @precondition(lambda self: self.model.frozen or len(self.model.times) % 4 == 1)
        @rule(who=st.sampled_from(USERS), share=st.integers(0, 101), caller=st.sampled_from([EXITS, EXITS, EXITS, USERS[0]]))
        def credit_an_exit(self, who, share, caller):
            model = self.model
            amount = model.row * share // 100
            if caller != EXITS or not model.frozen or model.pending or amount > model.row:
                refused(lambda: self.x.send(caller, "pay_exit", who, amount))
                return
            self.x.send(caller, "pay_exit", who, amount)
            model.row -= amount
            model.claimable[who] += amount

        # ---- money out, time, mischief

        @rule()
        def collect_fees(self):
            before = self.x.chain.evm.get_balance(self.x.sequencer)
            self.x.send(USERS[1], "collect_fees")
            assert self.x.chain.evm.get_balance(self.x.sequencer) == before + self.model.fees
            self.model.fees = 0

        @rule(seconds=st.sampled_from([1, 60, 800, 901, HOUR_S, DAY_S, DAY_S, 7 * DAY_S, 12 * DAY_S]))
        def warp(self, seconds):
            self.x.chain.warp(seconds)

        @precondition(lambda self: len(self.model.times) % 4 == 2)
        @rule(who=st.sampled_from(USERS), amount=st.integers(1, USDC))
        def steal(self, who, amount):
            refused(lambda: self.x.chain.send(who, self.x.vault, "credit", who, amount))
            refused(lambda: self.x.send(who, "on_deposit", 0, who, amount * USDC))

        # ---- what always holds

        @invariant()
        def chain_of_batches_is_the_models(self):
            x, model = self.x, self.model
            final, proposed = x.read("final_batch"), x.read("proposed_batch")
            assert (final, proposed) == (model.final, model.final + len(model.pending))
            assert (x.read("state_root"), x.read("queue_answered"), x.read("queue_proposed")) == (model.root, model.answered, model.proposed)
            assert x.read("batch", proposed)[0] == x.headers[-1]
            assert (x.read("queue_length"), x.read("next_account")) == (len(model.times), model.accounts)
            assert (x.read("frozen"), x.read("permissionless")) == (model.frozen, model.permissionless(self.now_s))
            for place, pending in enumerate(model.pending if optimistic else ()):
                stake = x.read("stake", final + 1 + place)
                assert stake == (pending.proposer, pending.challenger or "0x" + "00" * 20, pending.due_s, pending.proven)

    return Layer1


@pytest.mark.parametrize(
    ("policy", "is_odd", "examples"),
    [
        ({}, False, 50),
        ({"data": 3}, False, 20),
        ({"policy": 2}, False, 70),
        ({"data": 2}, False, 3),
        ({"policy": 2, "data": 2}, False, 3),
        ({}, True, 30),
        ({"policy": 2}, True, 30),
    ],
    ids=["zk", "validium", "optimistic", "zk-blob", "optimistic-blob", "zk on odd tokens", "optimistic on odd tokens"],
)
def test_layer_1_lives(chain, new_exchange, mock, policy, is_odd, examples):
    def make_exchange():
        fresh = type(chain)()
        token = {"token": fresh.deploy(mock("OddToken"))} if is_odd else {}
        return new_exchange(fresh, account_depth=4, **policy, **token)

    run_state_machine_as_test(
        make_machine(make_exchange, policy.get("policy") == 2, is_odd),
        settings=settings(max_examples=examples, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)),
    )
