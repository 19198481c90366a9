"""What an owner does on layer 1 with an Ethereum key: which accounts it has, what it asks for and what that costs, and what became of what it asked.

Requests are checked before anything is sent: layer 1 keeps the gas of what it refuses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from straddle.commitments.data import Effects
from straddle.commitments.effects import decode_effects
from straddle.core.accounts import FEE_ACCOUNT, INSURANCE_ACCOUNT, NO_KEY, PublicKey
from straddle.core.commands import L1ForceWithdraw
from straddle.l1.contracts import load
from straddle.l1.data import DataReader
from straddle.l1.events import QueueEntryAdded
from straddle.l1.history import BLOCKS_PER_QUERY, HistoryReader, Outline
from straddle.l1.queue import owned_entries
from straddle.l1.rollup import QueuedEntry, RollupClient
from straddle.l1.sender import Sender
from straddle.node.leaving import dollars
from straddle.node.steps import utc
from straddle.node.version import preset_of
from straddle.primitives.errors import Actionable
from straddle.primitives.keys import SecretKey

EVERYTHING = 2**63 - 1
"""The most that a forced withdrawal can ask for, micro-dollars: all that may be withdrawn is paid."""
LIMIT_BPS_MAX = 10_000


class OwnerError(Actionable):
    """A request that layer 1 would refuse, or an account that is not the owner's."""


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a queue entry asks for, ready to be sent."""

    what: str
    fee_wei: int
    send: Callable[[], QueuedEntry]


@dataclass(frozen=True, slots=True)
class Owner:
    """An Ethereum key and the accounts that it owns."""

    client: RollupClient
    sender: Sender

    def account(self, wanted: int | None) -> int:
        """`wanted`, or the one account there is. OwnerError: there is none, several, or it is somebody else's."""
        return one_account(self.client, self.sender.address, wanted)

    def deposit(self, amount: int, account: int, whose: str) -> Request:
        """Of micro-dollars into an account that the address `whose` has; 0: into a new one for it."""
        self._check_open()
        least, token, have = self.client.minimum_deposit(), self.client.deployment.token, self.client.token_balance(self.sender.address)
        if amount < least:
            raise OwnerError(f"--amount: {dollars(amount)}, expected at least {dollars(least)}")
        if have < amount:
            raise OwnerError(f"--amount: {dollars(amount)}, expected at most {dollars(have)}, what {self.sender.address} has of token {token}")
        where = f"account {account}" if account else "a new account"
        return Request(f"deposit of {dollars(amount)} of token {token} into {where}", 0, partial(self.client.deposit, self.sender, amount, account, whose))

    def set_key(self, account: int, key: SecretKey) -> Request:
        """A new trading key."""
        return self._request(_key_text(key.public), account, partial(self.client.set_key, self.sender, account, key.public, key.base))

    def revoke_key(self, account: int) -> Request:
        """No trading key any more."""
        return self._request(_key_text(NO_KEY), account, partial(self.client.revoke_key, self.sender, account))

    def force_withdraw(self, account: int, amount: int = EVERYTHING) -> Request:
        """Of at most so many micro-dollars, without the operator's consent."""
        if not 0 < amount <= EVERYTHING:
            raise OwnerError(f"--amount: {amount} micro-dollars, expected 1 to {EVERYTHING}")
        return self._request(_withdrawal_text(amount), account, partial(self.client.force_withdraw, self.sender, account, amount))

    def force_close(self, account: int, limit_bps: int) -> Request:
        """An auction of the whole portfolio, at a discount of at most `limit_bps` of the maintenance margin that it sets free."""
        if not 0 <= limit_bps <= LIMIT_BPS_MAX:
            raise OwnerError(f"--limit-bps: {limit_bps}, expected 0 to {LIMIT_BPS_MAX}")
        return self._request(_close_text(limit_bps), account, partial(self.client.force_close, self.sender, account, limit_bps))

    def pull(self) -> int:
        """Everything that the vault holds for the owner, micro-dollars; 0: there was nothing, and nothing was sent."""
        amount = self.client.claimable(self.sender.address)
        if amount:
            self.client.pull(self.sender)
        return amount

    def mint(self, amount: int) -> None:
        """Test dollars for the owner's wallet. OwnerError: the exchange's token is no test token."""
        token = self.client.deployment.token
        if not self.client.rpc.code(token).startswith(load("TestUSDC").runtime):
            raise OwnerError(f"--mint: token {token} is no TestUSDC of this version, expected a development chain's exchange")
        self.client.mint(self.sender, self.sender.address, amount)

    def _request(self, what: str, account: int, send: Callable[[], QueuedEntry]) -> Request:
        self._check_open()
        fee, have = self.client.deployment.config.request_fee_wei, self.client.rpc.balance_wei(self.sender.address)
        if have <= fee:
            raise OwnerError(f"--key: {self.sender.address} has {have} wei, expected more than the request fee of {fee} wei, for gas")
        return Request(f"{what}, account {account}", fee, send)

    def _check_open(self) -> None:
        if self.client.frozen():
            raise OwnerError(f"rollup {self.client.deployment.rollup} is frozen: its queue takes nothing any more. `straddle exit` is the way out")


def accounts_of(client: RollupClient, owner: str) -> tuple[int, ...]:
    """The accounts of an address, ascending."""
    found = {entry.account for entry in owned_entries(client.rpc, client.deployment, owner)}
    if owner == client.deployment.config.operator:
        found |= {FEE_ACCOUNT, INSURANCE_ACCOUNT}  # they are there from the start, without an entry
    return tuple(sorted(found))


def one_account(client: RollupClient, owner: str, wanted: int | None) -> int:
    """`wanted`, or the one account that an address has. OwnerError: it has none, or several, or `wanted` is somebody else's."""
    rollup = client.deployment.rollup
    if wanted is not None:
        found = client.owner_of(wanted)
        if found != owner:
            whose = f"belongs to {found}" if int(found, 16) else "does not exist"
            raise OwnerError(f"--account: {wanted} {whose}, expected an account of {owner} on rollup {rollup}")
        return wanted
    accounts = accounts_of(client, owner)
    if not accounts:
        raise OwnerError(f"{owner} has no account on rollup {rollup}. `straddle account deposit` opens one")
    if len(accounts) > 1:
        raise OwnerError(f"--account: missing, expected one of {', '.join(map(str, accounts))}, which {owner} has on rollup {rollup}")
    return accounts[0]


# ---- what became of it


@dataclass(frozen=True, slots=True)
class Answer:
    """The batch that answers a queue entry."""

    batch: int
    final: bool
    paid: int | None
    """What a forced withdrawal is paid, micro-dollars."""


class Answers:
    """Who answered which entry, of all batches that are final or stand. The batch is found by halving: of thousands a few are read."""

    def __init__(self, client: RollupClient) -> None:
        rpc, deployment = client.rpc, client.deployment
        self._preset, self._data, self._outline = preset_of(deployment), DataReader(rpc, deployment), Outline(rpc.block_number())
        self._effects: dict[int, Effects] = {}
        reader, last = HistoryReader(deployment, self._outline), self._outline.to_block
        for start in range(deployment.start_block, last + 1, BLOCKS_PER_QUERY):
            for raw in rpc.logs(deployment.log_addresses, start, min(start + BLOCKS_PER_QUERY - 1, last)):
                reader.take(raw)

    def of(self, index: int) -> Answer | None:
        """The answer of a queue entry; None while it waits."""
        place = bisect_right(range(len(self._outline.batches)), index, key=self._queue_end)
        if place == len(self._outline.batches):
            return None
        effects = self._effects_of(place)
        forced = [entry.queue_index for entry in effects.queue if isinstance(entry, L1ForceWithdraw)]
        paid = dict(zip(forced, effects.paid, strict=True))
        return Answer(effects.batch_number, effects.batch_number <= len(self._outline.final), paid.get(index))

    def _queue_end(self, place: int) -> int:
        effects = self._effects_of(place)
        return effects.queue_first + len(effects.queue)

    def _effects_of(self, place: int) -> Effects:
        if place not in self._effects:
            self._effects[place] = decode_effects(self._data.batch(self._outline.batches[place]).effects, self._preset)
        return self._effects[place]


def entry_text(entry: QueueEntryAdded) -> str:
    """What an entry asks for."""
    match entry.kind:
        case 1:
            return f"deposit of {dollars(entry.word_1)}"
        case 2:
            return _key_text(PublicKey(entry.word_1, entry.word_2))
        case 3:
            return _withdrawal_text(entry.word_1)
        case _:
            return _close_text(entry.word_1)


def outcome_text(client: RollupClient, index: int, answer: Answer | None) -> str:
    """What became of an entry, or who may answer it from when on."""
    if answer is not None:
        paid = "" if answer.paid is None else f", which pays {dollars(answer.paid)}"
        return f"answered by batch {answer.batch}{paid}" + ("" if answer.final else "; the batch is not final yet")
    if client.frozen():
        return "never answered: the rollup is frozen. A deposit comes back with `straddle exit`"
    asked = client.entry_time_s(index)
    anyone, freeze = (utc(asked + client.clock(name)) for name in ("PERMISSIONLESS_AFTER_S", "FREEZE_AFTER_S"))
    return f"waits since {utc(asked)}. Anyone may answer it after {anyone} (straddle answer), freeze the rollup after {freeze} (straddle exit)"


def _key_text(key: PublicKey) -> str:
    return f"trading key {key.x:#066x}, {key.y:#066x}" if any(key) else "trading key revoked"


def _withdrawal_text(amount: int) -> str:
    return "forced withdrawal of " + ("all that may be withdrawn" if amount == EVERYTHING else f"at most {dollars(amount)}")


def _close_text(limit_bps: int) -> str:
    return f"forced close at a discount of at most {limit_bps} bps"
