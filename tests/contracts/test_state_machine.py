"""Random lives of an exchange on layer 1: money is conserved to the unit, and the contracts agree with a plain model after every step."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

USERS = ["0x" + f"{0xA0 + i:040x}" for i in range(4)]
USDC = 1_000_000
FEE_WEI = 10**12
DAY_S = 86_400


@dataclass
class Model:
    """What the contracts should hold."""

    row: int = 0
    claimable: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USERS, 0))
    paid: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USERS, 0))
    deposited: int = 0
    accounts: int = 3
    entries: int = 0
    answered: int = 0
    """Entries that proven batches have answered."""
    proposed: int = 0
    """Entries that proposals answer."""
    last_request: dict[tuple[str, int], int] = field(default_factory=dict)
    """(kind of request, account) -> number of entries up to its last one."""
    voided: list = field(default_factory=list)
    """Batches voided last, as long as nothing else was proposed since."""
    proven: int = 0
    pending: list = field(default_factory=list)
    proven_root: int = 999
    proposed_at: list[int] = field(default_factory=list)


def queue_end(batch) -> int:
    return (batch.effects[9] & (2**64 - 1)) + (batch.effects[9] >> 64)


def make_machine(make_exchange):
    class Layer1(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.x = make_exchange()
            self.model = Model()
            for user in USERS:
                self.x.chain.fund(user)

        # ---- the queue

        @rule(who=st.sampled_from(USERS), amount=st.integers(USDC, 1000 * USDC), pick=st.integers(0, 100))
        def deposit(self, who, amount, pick):
            account = 0 if pick % 3 == 0 else 1 + pick % (self.model.accounts - 1)
            if account == 0 and self.model.accounts == 16:
                account = 3
            self.x.deposit(who, amount, account)
            self.model.accounts += account == 0
            self.model.row += amount
            self.model.deposited += amount
            self.model.entries += 1

        @rule(who=st.sampled_from(USERS), amount=st.integers(0, USDC - 1))
        def deposit_too_little(self, who, amount):
            refused(lambda: self.x.deposit(who, amount))

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
            if self.model.last_request.get((kind, account), 0) > self.model.proposed:
                refused(lambda: self.x.send(owner, kind, account, *words, value_wei=FEE_WEI))
                return
            self.x.send(owner, kind, account, *words, value_wei=FEE_WEI)
            self.model.entries += 1
            self.model.last_request[kind, account] = self.model.entries

        # ---- batches

        @rule()
        def epoch(self):
            self.x.submit_epoch()

        @precondition(lambda self: self.x.epoch > 0 and len(self.model.pending) < 5)
        @rule(
            entries=st.integers(0, 4),
            payouts=st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 50 * USDC)), max_size=2),
            shares=st.lists(st.integers(0, 100), min_size=4, max_size=4),
            at_once=st.sampled_from([True, False, False]),
            fresh=st.sampled_from([True, True, False]),
        )
        def propose(self, entries, payouts, shares, at_once, fresh):
            x, model = self.x, self.model
            if fresh:
                x.submit_epoch()
            # A sound proof never pays more than the row holds.
            available = model.row - sum(amount for batch in model.pending for _, _, amount in (*batch.withdrawals, *batch.forced))
            withdrawals = []
            for i, (owner, amount) in enumerate(payouts):
                if amount <= available:
                    withdrawals.append((3 + i, owner, amount))
                    available -= amount
            first, count = x.queue_ends[-1], min(entries, model.entries - x.queue_ends[-1])
            forced = []
            for entry, share in zip((entry for entry in x.queue[first : first + count] if entry[0] == 3), shares, strict=False):
                forced.append(min(entry[3] * share // 100, available))
                available -= forced[-1]
            batch = x.batch(entries=count, withdrawals=withdrawals, forced=forced, new_root=x.chain.evm.result.gas_used + 1)
            if x.chain.time_s * 1000 > x.time_ms + 900_000:
                refused(lambda: x.propose(batch))
                return
            model.proposed = queue_end(batch)
            model.voided = []
            if at_once and not model.pending:
                x.propose_and_prove(batch)
                self._settle(batch)
            else:
                x.propose(batch)
                model.pending.append(batch)
                model.proposed_at.append(x.chain.time_s)

        @precondition(lambda self: self.model.pending)
        @rule(which=st.integers(0, 4), spoil=st.booleans())
        def prove(self, which, spoil):
            which %= len(self.model.pending)
            batch = self.model.pending[which]
            if which or spoil:
                refused(lambda: self.x.prove(batch, proof=[1] * 12 if spoil else None))
                return
            self.x.prove(batch)
            self.model.pending.pop(0)
            self.model.proposed_at.pop(0)
            self._settle(batch)

        def _settle(self, batch):
            self.model.proven += 1
            self.model.proven_root = batch.effects[3]
            self.model.answered = queue_end(batch)
            for _, owner, amount in (*batch.withdrawals, *batch.forced):
                self.model.row -= amount
                self.model.claimable[owner] += amount

        @rule(expire=st.booleans())
        def void(self, expire):
            if expire and self.model.pending:
                self.x.chain.warp(DAY_S + 1)
            if self.model.pending and self.x.chain.time_s > self.model.proposed_at[0] + DAY_S:
                self.x.void()
                self.model.voided = list(self.model.pending)
                self.model.pending.clear()
                self.model.proposed = self.model.answered
                self.model.proposed_at.clear()
            else:
                refused(self.x.void)

        @precondition(lambda self: self.model.voided)
        @rule()
        def propose_again(self):
            """The oldest voided batch, whatever the age of its table by now."""
            x, batch = self.x, self.model.voided[0]
            table_ms = batch.effects[4] >> 64
            if x.chain.time_s * 1000 > table_ms + 900_000 + 2 * DAY_S * 1000:
                refused(lambda: x.propose(batch))
                return
            x.propose(batch)
            self.model.voided.pop(0)
            self.model.pending.append(batch)
            self.model.proposed_at.append(x.chain.time_s)
            self.model.proposed = queue_end(batch)

        # ---- money out, time, mischief

        @rule(who=st.sampled_from(USERS))
        def pull(self, who):
            if self.model.claimable[who]:
                self.x.chain.send(who, self.x.vault, "pull")
                self.model.paid[who] += self.model.claimable[who]
                self.model.claimable[who] = 0
            else:
                refused(lambda: self.x.chain.send(who, self.x.vault, "pull"))

        @rule(seconds=st.sampled_from([1, 60, 800, 901, DAY_S]))
        def warp(self, seconds):
            self.x.chain.warp(seconds)

        @rule(who=st.sampled_from(USERS), amount=st.integers(1, USDC))
        def steal(self, who, amount):
            refused(lambda: self.x.chain.send(who, self.x.vault, "credit", who, amount))
            refused(lambda: self.x.send(who, "on_deposit", 0, who, amount * USDC))

        # ---- what always holds

        @invariant()
        def money_is_conserved(self):
            x, model = self.x, self.model
            row = x.chain.call(x.vault, "rows", x.rollup.address)
            claimable = {user: x.chain.call(x.vault, "claimable", user) for user in USERS}
            assert x.chain.call(x.token, "balanceOf", x.vault.address) == row + sum(claimable.values())
            assert (row, claimable) == (model.row, model.claimable)
            assert model.deposited == row + sum(claimable.values()) + sum(model.paid.values())

        @invariant()
        def chain_of_batches_is_the_models(self):
            x, model = self.x, self.model
            proven, proposed = x.read("proven_batch"), x.read("proposed_batch")
            assert (proven, proposed) == (model.proven, model.proven + len(model.pending))
            assert x.read("state_root") == model.proven_root
            assert x.read("batch", proposed)[0] == x.headers[-1]
            assert x.read("queue_length") == model.entries
            assert x.read("batch", proposed)[2] >> 64 & (2**64 - 1) == x.queue_ends[-1]
            assert x.read("next_account") == model.accounts

    return Layer1


def refused(action) -> None:
    try:
        action()
    except Exception as error:
        assert type(error).__name__ == "Reverted", error
        return
    raise AssertionError("this must revert")


def test_layer_1_lives(chain, new_exchange):
    chain_type = type(chain)
    run_state_machine_as_test(
        make_machine(lambda: new_exchange(chain_type(), account_depth=4)),
        settings=settings(max_examples=40, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)),
    )
