"""Random lives of an exchange on layer 1, under every policy: tokens are conserved to the unit and wei to the wei, and the contracts agree with a plain model
after every step, refusals included."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

USERS = ["0x" + f"{0xA0 + i:040x}" for i in range(4)]
EXITS = "0x" + f"{0xE817:040x}"
USDC = 1_000_000
FEE_WEI = 10**12
BOND, STAKE = 10**18, 3 * 10**17
BURNT = "0x000000000000000000000000000000000000dEaD"
HOUR_S, DAY_S = 3600, 86_400
TABLE_AGE_S, PROVING_S, OVERDUE_S = 900, DAY_S, 7 * DAY_S
WINDOW_S, ALLOWANCE_S = 7 * DAY_S, 600
STUCK_S = 22 * DAY_S


@dataclass
class Pending:
    """A proposal."""

    batch: object
    proposer: str
    proposed_at_s: int
    proven: bool = False
    challenger: str | None = None
    due_s: int = 0
    prover: str = ""

    @property
    def open(self) -> bool:
        return self.challenger is not None and not self.proven

    @property
    def payouts(self) -> list[tuple[str, int]]:
        return [(owner, amount) for _, owner, amount in (*self.batch.withdrawals, *self.batch.forced)]

    @property
    def queue_end(self) -> int:
        return (self.batch.effects[9] & (2**64 - 1)) + (self.batch.effects[9] >> 64)


@dataclass
class Model:
    """What the contracts should hold."""

    optimistic: bool
    row: int = 0
    claimable: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USERS, 0))
    paid: int = 0
    deposited: int = 0
    fees: int = 0
    owed: dict[str, int] = field(default_factory=dict)
    accounts: int = 3
    times: list[int] = field(default_factory=list)
    """Of the queue's entries."""
    answered: int = 0
    """Entries that final batches have answered."""
    last_request: dict[tuple[str, int], int] = field(default_factory=dict)
    """(kind of request, account) -> number of entries up to its last one."""
    voided: list = field(default_factory=list)
    """Batches voided last, as long as nothing else was proposed since."""
    final: int = 0
    root: int = 999
    pending: list[Pending] = field(default_factory=list)
    frozen: bool = False
    frozen_at_s: int = 0

    @property
    def proposed(self) -> int:
        """Entries that proposals answer."""
        return self.pending[-1].queue_end if self.pending else self.answered

    def waits_longer(self, index: int, now_s: int, period_s: int) -> bool:
        return index < len(self.times) and now_s > self.times[index] + period_s

    def permissionless(self, now_s: int) -> bool:
        return self.waits_longer(self.proposed if self.optimistic else self.answered, now_s, OVERDUE_S)

    def owe(self, who: str, wei: int) -> None:
        self.owed[who] = self.owed.get(who, 0) + wei

    def settle(self) -> None:
        """The oldest proposal is final."""
        first = self.pending.pop(0)
        self.final += 1
        self.root, self.answered = first.batch.effects[3], first.queue_end
        if self.optimistic:
            self.owe(first.proposer, BOND)
            if first.challenger:
                self.owe(first.prover, STAKE)
        for owner, amount in first.payouts:
            self.row -= amount
            self.claimable[owner] += amount

    def prove(self, pending: Pending, prover: str) -> None:
        pending.proven, pending.prover = True, prover
        if pending is self.pending[0]:
            self.settle()

    def drop(self, first: int, *, fraudulent: bool = True) -> None:
        """Proposals from the `first` one on, for want of a proof of that one, or because another batch comes, or because nobody could make them final."""
        gone = self.pending[first:]
        for place, pending in enumerate(gone):
            if self.optimistic:
                if place == 0 and fraudulent:  # half of a wrong batch's bond is burnt
                    self.owe(pending.challenger, BOND // 2)
                    self.owe(BURNT, BOND // 2)
                else:
                    self.owe(pending.proposer, BOND)
                if pending.challenger:
                    self.owe(pending.challenger, STAKE)
        self.voided = [pending.batch for pending in gone]
        del self.pending[first:]


def make_machine(make_exchange, optimistic: bool):
    class Layer1(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.x = make_exchange()
            self.model = Model(optimistic)
            for user in USERS:
                self.x.chain.fund(user)
            self.x.submit_epoch()

        @property
        def now_s(self) -> int:
            return self.x.chain.time_s

        # ---- the queue

        @rule(who=st.sampled_from(USERS), amount=st.integers(USDC - 1, 1000 * USDC), pick=st.integers(0, 100))
        def deposit(self, who, amount, pick):
            model = self.model
            account = 0 if pick % 3 == 0 else 1 + pick % (model.accounts - 1)
            if account == 0 and model.accounts == 16:
                account = 3
            if model.frozen or amount < USDC:
                refused(lambda: self.x.deposit(who, amount, account))
                return
            self.x.deposit(who, amount, account)
            model.accounts += account == 0
            model.row += amount
            model.deposited += amount
            model.times.append(self.now_s)

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
            payouts=st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 50 * USDC)), max_size=2),
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
            for i, (owner, amount) in enumerate(payouts):
                if amount <= available:
                    withdrawals.append((3 + i, owner, amount))
                    available -= amount
            kept = x.roots, x.queue_ends, x.last_sequences
            x.roots, x.queue_ends, x.last_sequences = (values[: parent + 1] for values in kept)
            first, count = x.queue_ends[-1], min(entries, len(model.times) - x.queue_ends[-1])
            for entry, share in zip((entry for entry in x.queue[first : first + count] if entry[0] == 3), shares, strict=False):
                forced.append(min(entry[3] * share // 100, available))
                available -= forced[-1]
            batch = x.batch(entries=count, withdrawals=withdrawals, forced=forced, new_root=x.chain.evm.result.gas_used + 1)
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

        @precondition(lambda self: self.model.pending)
        @rule(which=st.integers(0, 5), spoil=st.sampled_from([False, False, True]), prover=st.sampled_from(USERS))
        def prove(self, which, spoil, prover):
            pending = self.model.pending[which % len(self.model.pending)]
            if spoil or pending.proven or (not optimistic and pending is not self.model.pending[0]):
                refused(lambda: self.x.prove(pending.batch, prover, proof=[1] * 12 if spoil else None))
                return
            self.x.prove(pending.batch, prover)
            self.model.prove(pending, prover)

        @precondition(lambda self: self.model.pending)
        @rule(which=st.integers(0, 5), who=st.sampled_from(USERS))
        def challenge(self, which, who):
            pending = self.model.pending[which % len(self.model.pending)]
            in_time = self.now_s <= pending.proposed_at_s + WINDOW_S
            if not optimistic or pending.proven or pending.challenger or not in_time:
                refused(lambda: self.x.challenge(pending.batch, who))
                return
            self.x.challenge(pending.batch, who)
            pending.challenger = who
            pending.due_s = self.now_s + PROVING_S + ALLOWANCE_S * sum(other.open for other in self.model.pending)

        @precondition(lambda self: self.model.pending)
        @rule(which=st.sampled_from([0, 0, 0, 1]))
        def finalise(self, which):
            pending = self.model.pending[which % len(self.model.pending)]
            over = pending.challenger is None and self.now_s > pending.proposed_at_s + WINDOW_S
            if not optimistic or pending is not self.model.pending[0] or not (pending.proven or over):
                refused(lambda: self.x.finalise(pending.batch))
                return
            self.x.finalise(pending.batch)
            self.model.settle()

        @precondition(lambda self: self.model.pending)
        @rule(which=st.integers(0, 5), expire=st.booleans())
        def void(self, which, expire):
            model = self.model
            which %= len(model.pending)
            pending = model.pending[which]
            if expire:
                self.x.chain.warp(PROVING_S + 6 * ALLOWANCE_S + 1)
            overdue = self.now_s > pending.due_s and pending.open if optimistic else self.now_s > pending.proposed_at_s + PROVING_S
            stuck = optimistic and model.frozen and self.now_s > model.frozen_at_s + WINDOW_S + STUCK_S
            if not overdue and not stuck:
                refused(lambda: self.x.void(model.final + 1 + which))
                return
            self.x.void(model.final + 1 + which)
            model.drop(which, fraudulent=overdue)

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

        @rule(who=st.sampled_from(USERS))
        def pull(self, who):
            if self.model.claimable[who]:
                self.x.chain.send(who, self.x.vault, "pull")
                self.model.paid += self.model.claimable[who]
                self.model.claimable[who] = 0
            else:
                refused(lambda: self.x.chain.send(who, self.x.vault, "pull"))

        @rule(pick=st.integers(0, 4))
        def collect_wei(self, pick):
            who = [*USERS, self.x.sequencer][pick]
            amount, before = self.model.owed.pop(who, 0), self.x.chain.evm.get_balance(who)
            if not amount:
                refused(lambda: self.x.send(who, "collect_wei"))
                return
            self.x.send(who, "collect_wei")
            assert self.x.chain.evm.get_balance(who) == before + amount

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
        def tokens_are_conserved(self):
            x, model = self.x, self.model
            row = x.chain.call(x.vault, "rows", x.rollup.address)
            claimable = {user: x.chain.call(x.vault, "claimable", user) for user in USERS}
            assert x.chain.call(x.token, "balanceOf", x.vault.address) == row + sum(claimable.values())
            assert (row, claimable) == (model.row, model.claimable)
            assert model.deposited == row + sum(claimable.values()) + model.paid

        @invariant()
        def wei_is_conserved(self):
            """The contract has the fees, the bonds of what stands, and what it owes; and owes each what the model says."""
            x, model = self.x, self.model
            held = sum(BOND + STAKE * (pending.challenger is not None) for pending in model.pending) if optimistic else 0
            reserved = held + sum(model.owed.values())
            assert x.read("reserved_wei") == reserved
            assert x.chain.evm.get_balance(x.rollup.address) == reserved + model.fees
            assert {who: x.read("wei_owed", who) for who in model.owed} == model.owed
            assert x.read("open_challenges") == sum(pending.open for pending in model.pending)

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


def refused(action) -> None:
    try:
        action()
    except Exception as error:
        assert type(error).__name__ == "Reverted", error
        return
    raise AssertionError("this must revert")


@pytest.mark.parametrize(
    ("policy", "examples"),
    [({}, 50), ({"data": 3}, 20), ({"policy": 2}, 70), ({"data": 2}, 3), ({"policy": 2, "data": 2}, 3)],
    ids=["zk", "validium", "optimistic", "zk-blob", "optimistic-blob"],
)
def test_layer_1_lives(chain, new_exchange, policy, examples):
    chain_type = type(chain)
    run_state_machine_as_test(
        make_machine(lambda: new_exchange(chain_type(), account_depth=4, **policy), policy.get("policy") == 2),
        settings=settings(max_examples=examples, stateful_step_count=80, deadline=None, suppress_health_check=list(HealthCheck)),
    )
