"""The plain model of a rollup on layer 1, and the part of its random lives in which proposals become final or void: what state machines of the contracts share.

The bonds, windows and fees are those of tests/contracts/conftest.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.odd_token import GOOD, Kind

USERS = ["0x" + f"{0xA0 + i:040x}" for i in range(4)]
USDC = 1_000_000
FEE_WEI = 10**12
BOND, STAKE = 10**18, 3 * 10**17
REWARD = 5 * 10**14
"""For a proof, at the base fee of pyrevm, 0."""
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
    given: int = 0
    """Tokens that came to the vault without a deposit."""
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
    final_batch: object = None
    """The newest final one."""
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

    def payable(self, pending: Pending) -> bool:
        """Whether the row has what a batch pays."""
        return sum(amount for _, amount in pending.payouts) <= self.row

    def owe(self, who: str, wei: int) -> None:
        self.owed[who] = self.owed.get(who, 0) + wei

    def settle(self) -> None:
        """The oldest proposal is final."""
        first = self.pending.pop(0)
        self.final += 1
        self.final_batch, self.root, self.answered = first.batch, first.batch.effects[3], first.queue_end
        if self.optimistic:
            self.owe(first.proposer, BOND)
            if first.challenger:
                self.owe(first.prover, REWARD)
        for owner, amount in first.payouts:
            self.row -= amount
            self.claimable[owner] += amount

    def prove(self, pending: Pending, prover: str) -> None:
        pending.proven, pending.prover = True, prover
        if pending.challenger:
            self.owe(pending.challenger, STAKE - REWARD)
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
                    self.owe(pending.challenger, REWARD if pending.proven else STAKE)
        self.voided = [pending.batch for pending in gone]
        del self.pending[first:]


def is_refused(action) -> bool:
    try:
        action()
    except Exception as error:
        assert type(error).__name__ == "Reverted", error
        return True
    return False


def refused(action) -> None:
    assert is_refused(action), "this must revert"


class Proposals(RuleBasedStateMachine):
    """Needs `x`, an exchange on a mock verifier, and its `model`."""

    parties = USERS
    """Who is paid."""
    kind: Kind = GOOD
    """How the token behaves."""

    @property
    def now_s(self) -> int:
        return self.x.chain.time_s

    @precondition(lambda self: self.model.pending)
    @rule(which=st.integers(0, 5), spoil=st.sampled_from([False, False, True]), prover=st.sampled_from(USERS))
    def prove(self, which, spoil, prover):
        pending = self.model.pending[which % len(self.model.pending)]
        oldest = pending is self.model.pending[0]
        if spoil or pending.proven or not (oldest or self.model.optimistic) or (oldest and not self.model.payable(pending)):
            refused(lambda: self.x.prove(pending.batch, prover, proof=[1] * 12 if spoil else None))
            return
        self.x.prove(pending.batch, prover)
        self.model.prove(pending, prover)

    @precondition(lambda self: self.model.pending)
    @rule(which=st.integers(0, 5), who=st.sampled_from(USERS))
    def challenge(self, which, who):
        pending = self.model.pending[which % len(self.model.pending)]
        in_time = self.now_s <= pending.proposed_at_s + WINDOW_S
        if not self.model.optimistic or pending.proven or pending.challenger or not in_time:
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
        in_turn = self.model.optimistic and pending is self.model.pending[0]
        if not in_turn or not (pending.proven or over) or not self.model.payable(pending):
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
        overdue = self.now_s > pending.due_s and pending.open if self.model.optimistic else self.now_s > pending.proposed_at_s + PROVING_S
        stuck = self.model.optimistic and model.frozen and self.now_s > model.frozen_at_s + WINDOW_S + STUCK_S
        if not overdue and not stuck:
            refused(lambda: self.x.void(model.final + 1 + which))
            return
        self.x.void(model.final + 1 + which)
        model.drop(which, fraudulent=overdue)

    @precondition(lambda self: self.model.final_batch)
    @rule(prover=st.sampled_from(USERS))
    def replay(self, prover):
        """What is final is final once."""
        batch = self.model.final_batch
        refused(lambda: self.x.prove(batch, prover))
        refused(lambda: self.x.finalise(batch))
        refused(lambda: self.x.propose(batch))

    def pay_in(self, who: str, amount: int, account: int = 0, owner: str = "") -> None:
        """A deposit that is taken."""
        self.x.deposit(who, amount, account, owner)
        self.model.accounts += account == 0
        self.model.row += amount
        self.model.deposited += amount
        self.model.times.append(self.now_s)

    @rule(pick=st.integers(0, 4))
    def pull(self, pick):
        x, model, token = self.x, self.model, self.x.token
        who = self.parties[pick % len(self.parties)]
        calldata = x.vault.contract.encode_call("pull")
        pull = lambda: x.chain.send(who, x.vault, "pull") if who != token.address else x.chain.send(USERS[0], token, "act", x.vault.address, calldata, 0)  # noqa: E731
        if not model.claimable[who] or not self.kind.is_paid:
            refused(pull)
            return
        before = x.chain.call(token, "balanceOf", who)
        pull()
        assert x.chain.call(token, "balanceOf", who) == before + model.claimable[who] + self.kind.leaving.bonus - self.kind.leaving.fee
        model.paid += model.claimable[who]
        model.claimable[who] = 0

    @rule(pick=st.integers(0, 4))
    def collect_wei(self, pick):
        who = [*USERS, self.x.sequencer][pick]
        amount, before = self.model.owed.pop(who, 0), self.x.chain.evm.get_balance(who)
        if not amount:
            refused(lambda: self.x.send(who, "collect_wei"))
            return
        self.x.send(who, "collect_wei")
        assert self.x.chain.evm.get_balance(who) == before + amount

    @invariant()
    def tokens_are_conserved(self):
        x, model = self.x, self.model
        row = x.chain.call(x.vault, "rows", x.rollup.address)
        claimable = {who: x.chain.call(x.vault, "claimable", who) for who in self.parties}
        assert x.chain.call(x.token, "balanceOf", x.vault.address) == row + sum(claimable.values()) + model.given
        assert (row, claimable) == (model.row, model.claimable)
        assert model.deposited == row + sum(claimable.values()) + model.paid

    @invariant()
    def wei_is_conserved(self):
        """The contract has the fees, the bonds of what stands, and what it owes; and owes each what the model says."""
        x, model = self.x, self.model
        held = sum(BOND + (0 if pending.challenger is None else REWARD if pending.proven else STAKE) for pending in model.pending) if model.optimistic else 0
        reserved = held + sum(model.owed.values())
        assert x.read("reserved_wei") == reserved
        assert x.chain.evm.get_balance(x.rollup.address) == reserved + model.fees
        assert {who: x.read("wei_owed", who) for who in model.owed} == model.owed
        assert x.read("open_challenges") == sum(pending.open for pending in model.pending)
