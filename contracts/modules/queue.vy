# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Queue
@license Apache-2.0
@notice Part of Rollup: the accounts that it has given out, and the hash chain of deposits, keys, forced withdrawals and forced closes that its
        batches must answer in order.
@dev Only entries that a batch can apply are admitted, so no entry can hold the queue up.
"""

from modules import errors
from modules import twisted_edwards

event QueueEntryAdded:
    index: indexed(uint256)
    account: indexed(uint256)
    owner: indexed(address)
    kind: uint256
    word_1: uint256
    word_2: uint256

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
KIND_DEPOSIT: constant(uint256) = 1
KIND_KEY: constant(uint256) = 2
KIND_FORCED_WITHDRAWAL: constant(uint256) = 3
KIND_FORCED_CLOSE: constant(uint256) = 4
FEE_ACCOUNT: constant(uint256) = 1
INSURANCE_ACCOUNT: constant(uint256) = 2
FIRST_USER_ACCOUNT: constant(uint256) = 3

MINIMUM_DEPOSIT: public(constant(uint256)) = 1_000_000
PERMISSIONLESS_AFTER_S: public(constant(uint256)) = 7 * 24 * 60 * 60
MAX_LIMIT_BPS: constant(uint256) = 10_000
# Deposits that wait for a proposal. More than a window's proposals can answer would open permissionless mode against a sequencer that does what it can.
MAX_WAITING: constant(uint256) = 2**13

DEPOSITS_FROM: immutable(address)
REQUEST_FEE_WEI: public(immutable(uint256))
ACCOUNT_LIMIT: public(immutable(uint256))

owner_of: public(HashMap[uint256, address])
next_account: public(uint256)
queue_length: public(uint256)
queue_hashes: public(HashMap[uint256, bytes32])
# Entries that proposed batches answer; taken back when they are voided.
queue_proposed: public(uint256)
# Set once, when an entry has waited too long. A frozen rollup takes no entries and no proposals.
frozen: public(bool)
frozen_at_s: uint256
# kind -> account -> the queue's length after its last request of that kind.
last_request: HashMap[uint256, HashMap[uint256, uint256]]
# Block times of the entries in seconds, four a word: entry i at bit 64 (i % 4) of word i / 4.
entry_times: HashMap[uint256, uint256]


@deploy
def __init__(vault: address, operator: address, account_depth: uint256, request_fee_wei: uint256):
    """
    @param operator Owner of the fee account and the insurance account, which exist from the start.
    """
    assert operator != empty(address), "Rollup: operator is zero"
    assert account_depth >= 3 and account_depth <= 24, "Rollup: account depth must be 3 to 24"
    DEPOSITS_FROM = vault
    REQUEST_FEE_WEI = request_fee_wei
    ACCOUNT_LIMIT = 1 << account_depth
    self.owner_of[FEE_ACCOUNT] = operator
    self.owner_of[INSURANCE_ACCOUNT] = operator
    self.next_account = FIRST_USER_ACCOUNT


@external
def on_deposit(account: uint256, owner: address, amount: uint256):
    """
    @notice Called by the vault when `amount` has arrived, for an owner that is not zero. Account 0 opens a new account for `owner`; into another one
            anybody may pay who names its owner.
    """
    if msg.sender != DEPOSITS_FROM:
        errors._raise("Rollup: only the vault reports deposits")
    if amount < MINIMUM_DEPOSIT:
        errors._raise("Rollup: deposit below minimum")
    if self.queue_length >= self.queue_proposed + MAX_WAITING:
        errors._raise("Rollup: the queue is full")
    target: uint256 = account
    if target == 0:
        target = self.next_account
        if target >= ACCOUNT_LIMIT:
            errors._raise("Rollup: no account left")
        self.next_account = target + 1
        self.owner_of[target] = owner
    if self.owner_of[target] != owner:
        errors._raise("Rollup: not the account's owner")
    self._enqueue(KIND_DEPOSIT, target, owner, amount, 0)


@external
@payable
def set_key(account: uint256, key: uint256[2], base: uint256[2]):
    """
    @notice Queues a new trading key for the caller's account; (0, 0) for both revokes the key. Costs exactly `REQUEST_FEE_WEI`.
    @param key Affine point, key = 8 base: this proves that it lies in the prime-order subgroup.
    @param base Any point of the curve.
    """
    if key[0] != 0 or key[1] != 0 or base[0] != 0 or base[1] != 0:
        if key[0] >= R or key[1] >= R:
            errors._raise("Rollup: key coordinate is not a field element")
        if not twisted_edwards._is_on_curve(base):
            errors._raise("Rollup: base is not on the curve")
        # x = 0 only at the identity, once the point is known to lie in the subgroup.
        if key[0] == 0:
            errors._raise("Rollup: key is the identity")
        if not twisted_edwards._is_eight_times(key, base):
            errors._raise("Rollup: key is not 8 times base")
    self._request(KIND_KEY, account, key[0], key[1])


@external
@payable
def force_withdraw(account: uint256, amount: uint256):
    """
    @notice Queues a withdrawal that needs no trading key and no consent: the batch that answers it pays min(amount, withdrawable) to the owner.
    @param amount Micro-dollars, 1 to 2^63 - 1.
    """
    if amount == 0 or amount >= 2**63:
        errors._raise("Rollup: forced amount must be 1 to 2^63 - 1")
    self._request(KIND_FORCED_WITHDRAWAL, account, amount, 0)


@external
@payable
def force_close(account: uint256, limit_bps: uint256):
    """
    @notice Queues an auction of the account's whole portfolio.
    @param limit_bps Largest discount that its owner accepts, in basis points of the maintenance margin that it sets free.
    """
    if limit_bps > MAX_LIMIT_BPS:
        errors._raise("Rollup: limit must be at most 10000 basis points")
    self._request(KIND_FORCED_CLOSE, account, limit_bps, 0)


@external
@view
def entry_time_s(index: uint256) -> uint256:
    """
    @notice Block time of an entry in seconds, 0 when there is none.
    """
    return self._entry_time_s(index)


@internal
@payable
def _request(kind: uint256, account: uint256, word_1: uint256, word_2: uint256):
    """
    What only the owner may ask for. A batch answers one request of a kind an account, in the queue's order: a run of them would hold everybody's
    entries up, a batch each. Proposals count as answers: a key that leaks must be revocable before the batch that set it is proved.
    """
    if self.owner_of[account] != msg.sender:
        errors._raise("Rollup: not the account's owner")
    if msg.value != REQUEST_FEE_WEI:
        errors._raise("Rollup: wrong request fee")
    if self.last_request[kind][account] > self.queue_proposed:
        errors._raise("Rollup: the account's last request of this kind is not answered yet")
    self._enqueue(kind, account, msg.sender, word_1, word_2)
    self.last_request[kind][account] = self.queue_length


@internal
def _enqueue(kind: uint256, account: uint256, owner: address, word_1: uint256, word_2: uint256):
    if self.frozen:
        errors._raise("Rollup: frozen")
    index: uint256 = self.queue_length
    self.queue_length = index + 1
    self.queue_hashes[index + 1] = keccak256(abi_encode(self.queue_hashes[index], kind, account, owner, word_1, word_2))
    self.entry_times[index // 4] |= block.timestamp << (64 * (index % 4))
    log QueueEntryAdded(index=index, account=account, owner=owner, kind=kind, word_1=word_1, word_2=word_2)


@internal
@view
def _entry_time_s(index: uint256) -> uint256:
    return (self.entry_times[index // 4] >> (64 * (index % 4))) & (2**64 - 1)


@internal
@view
def _waits_longer(index: uint256, period_s: uint256) -> bool:
    """
    Whether the entry exists and is older than the period.
    """
    time_s: uint256 = self._entry_time_s(index)
    return time_s != 0 and block.timestamp > time_s + period_s


@internal
@view
def _is_overdue(index: uint256) -> bool:
    """
    Whether the entry exists and has waited so long that anyone may answer it.
    """
    return self._waits_longer(index, PERMISSIONLESS_AFTER_S)
