# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Exits
@license Apache-2.0
@notice Pays out a frozen rollup, with nobody's permission. docs/protocol/exits.md specifies it.
@dev What it pays, to the unit: at most the vault's row at `open`. Deposits that no final batch answered are paid in full, claims share the rest.
     The rollup is frozen and without proposals at `open`, and stays so: its final root, its row and its queue no longer move but by what is paid here.
"""

from interfaces import IRollupState
from interfaces import IVault
from interfaces import IVerifier
from modules import queue_walk
from modules import statement

initializes: statement

exports: (statement.ROLLUP, statement.VERIFIER, statement.VK_ID, statement.BODY_CELLS)

event Opened:
    state_root: uint256
    row: uint256
    queue_first: uint256
    queue_end: uint256

event DepositsCounted:
    queue_counted: uint256
    set_aside: uint256

event Reclaimed:
    index: indexed(uint256)
    owner: indexed(address)
    amount: uint256

event MarksSet:
    epoch: indexed(uint256)
    time_ms: uint256
    risk_root: uint256

event Claimed:
    account: indexed(uint256)
    owner: indexed(address)
    amount: uint256

event Collected:
    account: indexed(uint256)
    owner: indexed(address)
    amount: uint256

MARKS_PERIOD_S: public(constant(uint256)) = 3 * 24 * 60 * 60
CLAIM_PERIOD_S: public(constant(uint256)) = 14 * 24 * 60 * 60

KIND_DEPOSIT: constant(uint256) = 1
EFFECTS_BYTES: constant(uint256) = 32 * (statement.ACCOUNT_WORD + 1)
BODY_BYTES: constant(uint256) = 32 * statement.MAX_BODY_CELLS
ACCOUNT_SHIFT: constant(uint256) = 224

# When `open` was called, in seconds; 0 before. What it found:
opened_at: public(uint256)
state_root: public(uint256)
row: public(uint256)
queue_first: public(uint256)
queue_end: public(uint256)

# Entries below this are counted; the deposits among them add up to `set_aside`.
queue_counted: public(uint256)
set_aside: public(uint256)
is_reclaimed: public(HashMap[uint256, bool])

# Epoch 0: no marks yet.
marks_epoch: public(uint256)
marks_time_ms: public(uint256)
marks_root: public(uint256)

# owner(160) | amount(64) | account(24): the account's word in the effects, until it is collected.
claims: public(HashMap[uint256, uint256])
total_claims: public(uint256)


@deploy
def __init__(rollup: IRollupState, verifier: IVerifier, body_cells: uint256):
    """
    @param rollup Was deployed to let this address pay exits.
    @param verifier Of the exit circuit.
    """
    statement.__init__(rollup, verifier, 0, body_cells)
    assert staticcall rollup.EXITS() == self, "Exits: rollup names another contract"


@external
def open():
    """
    @notice Fixes what is paid out: the final state, the row, the unanswered part of the queue. By anyone, once the rollup is frozen and settled.
    """
    assert self.opened_at == 0, "Exits: already open"
    assert staticcall statement.ROLLUP.frozen(), "Exits: rollup is not frozen"
    assert staticcall statement.ROLLUP.proposed_batch() == staticcall statement.ROLLUP.final_batch(), "Exits: proposals are left"
    self.opened_at = block.timestamp
    self.state_root = staticcall statement.ROLLUP.state_root()
    self.row = staticcall IVault(staticcall statement.ROLLUP.VAULT()).rows(statement.ROLLUP.address)
    self.queue_first = staticcall statement.ROLLUP.queue_answered()
    self.queue_end = staticcall statement.ROLLUP.queue_length()
    self.queue_counted = self.queue_first
    log Opened(state_root=self.state_root, row=self.row, queue_first=self.queue_first, queue_end=self.queue_end)


# ---------------------------------------------------------------- deposits that no final batch answered


@external
def count_deposits(entries: DynArray[queue_walk.Entry, queue_walk.MAX_ENTRIES]):
    """
    @notice Sets the deposits among the next unanswered entries aside. By anyone, as often as it takes to reach the end.
    @param entries The queue's, from `queue_counted` on.
    """
    assert self.opened_at > 0, "Exits: not open"
    assert len(entries) > 0, "Exits: no entries"
    counted: uint256 = self.queue_counted + len(entries)
    assert counted <= self.queue_end, "Exits: entries beyond the queue's end"
    self.set_aside += queue_walk._deposits(statement.ROLLUP, self.queue_counted, entries)
    self.queue_counted = counted
    log DepositsCounted(queue_counted=counted, set_aside=self.set_aside)


@external
def reclaim(index: uint256, entry: queue_walk.Entry):
    """
    @notice Pays a deposit that no final batch answered to the owner of the account that it was for. By anyone.
    @param index Its place in the queue.
    """
    assert self.opened_at > 0, "Exits: not open"
    assert index >= self.queue_first and index < self.queue_end, "Exits: entry is not an unanswered one"
    assert entry.kind == KIND_DEPOSIT, "Exits: entry is not a deposit"
    assert not self.is_reclaimed[index], "Exits: deposit already reclaimed"
    amount: uint256 = queue_walk._deposits(statement.ROLLUP, index, [entry])
    self.is_reclaimed[index] = True
    log Reclaimed(index=index, owner=entry.owner, amount=amount)
    extcall statement.ROLLUP.pay_exit(entry.owner, amount)


# ---------------------------------------------------------------- marks


@external
def set_marks(
    epoch: uint256,
    time_ms: uint256,
    effects: Bytes[EFFECTS_BYTES],
    body: Bytes[BODY_BYTES],
    data_commitment: uint256,
    proof: uint256[12],
    beneficiary: address,
):
    """
    @notice Makes a recorded table the marks, if its time is not before `open` and earlier than that of the marks so far. By anyone, for three days.
    @param effects Of an exit statement about any place of the tree on this table. It shows that the table has the final state's listings: no claim could
           ever be proved on another one.
    """
    assert self.opened_at > 0, "Exits: not open"
    assert block.timestamp <= self.opened_at + MARKS_PERIOD_S, "Exits: the marks are fixed"
    assert time_ms >= 1000 * self.opened_at, "Exits: table is older than the exits"
    assert self.marks_epoch == 0 or time_ms < self.marks_time_ms, "Exits: the marks are not later than this table"
    risk_root: uint256 = extract32(effects, 32 * statement.RISK_ROOT_WORD, output_type=uint256)
    assert statement._is_recorded(epoch, time_ms, risk_root), "Exits: epoch, time and risk root were not recorded"
    self._check_state(effects)
    statement._check(effects, body, data_commitment, proof, beneficiary)
    self._set_marks(epoch, time_ms, risk_root)


@external
def set_final_marks(time_ms: uint256, risk_root: uint256):
    """
    @notice Makes the table of the final batch the marks, if three days brought no other. By anyone.
    """
    assert self.opened_at > 0, "Exits: not open"
    assert block.timestamp > self.opened_at + MARKS_PERIOD_S, "Exits: a newer table may still come"
    assert self.marks_epoch == 0, "Exits: the marks are fixed"
    epoch: uint256 = statement._final_epoch()
    assert epoch > 0, "Exits: no batch was ever final, nothing can be claimed"
    assert statement._is_recorded(epoch, time_ms, risk_root), "Exits: epoch, time and risk root were not recorded"
    self._set_marks(epoch, time_ms, risk_root)


# ---------------------------------------------------------------- claims


@external
def claim(effects: Bytes[EFFECTS_BYTES], body: Bytes[BODY_BYTES], data_commitment: uint256, proof: uint256[12], beneficiary: address):
    """
    @notice Records what an account is worth at the marks. By anyone, once an account.
    @param effects Of the exit statement about the account. A copied call does no harm: the owner in it is paid.
    """
    assert self.marks_epoch > 0, "Exits: no marks yet"
    start: uint256 = self.opened_at + MARKS_PERIOD_S
    assert block.timestamp > start, "Exits: claims have not begun"
    assert block.timestamp <= start + CLAIM_PERIOD_S, "Exits: claims are over"
    self._check_state(effects)
    assert extract32(effects, 32 * statement.RISK_ROOT_WORD, output_type=uint256) == self.marks_root, "Exits: not on the marks"
    account: uint256 = statement._check(effects, body, data_commitment, proof, beneficiary)

    word: uint256 = extract32(effects, 32 * statement.ACCOUNT_WORD, output_type=uint256)
    owner: address = self._owner(word)
    amount: uint256 = self._amount(word)
    assert word >> ACCOUNT_SHIFT == account and owner != empty(address), "Exits: no such account"
    assert amount > 0, "Exits: nothing to claim"
    assert self.claims[account] == 0, "Exits: already claimed"
    self.claims[account] = word
    self.total_claims += amount
    log Claimed(account=account, owner=owner, amount=amount)


@external
def collect(account: uint256):
    """
    @notice Pays an account's share, when the time for claims is over and the deposits are counted, to its owner in the vault. By anyone.
    """
    word: uint256 = self.claims[account]
    assert word != 0, "Exits: nothing to collect"
    assert block.timestamp > self.opened_at + MARKS_PERIOD_S + CLAIM_PERIOD_S, "Exits: claims are still open"
    pool: uint256 = self._pool()
    # Nobody can claim any more, so this is the end of it.
    self.claims[account] = 0
    # Rounded down; below 2^64 * 2^62.
    amount: uint256 = self._amount(word) * min(pool, self.total_claims) // self.total_claims
    owner: address = self._owner(word)
    log Collected(account=account, owner=owner, amount=amount)
    if amount > 0:
        extcall statement.ROLLUP.pay_exit(owner, amount)


@external
@view
def pool() -> uint256:
    """
    @notice What the claims share, once the deposits are counted.
    """
    return self._pool()


# ---------------------------------------------------------------- internal


@internal
@view
def _pool() -> uint256:
    assert self.opened_at > 0, "Exits: not open"
    assert self.queue_counted == self.queue_end, "Exits: deposits are not counted yet"
    # The deposits lie in the row as long as the proofs are sound.
    return self.row - min(self.row, self.set_aside)


@internal
@view
def _check_state(effects: Bytes[EFFECTS_BYTES]):
    assert extract32(effects, 32 * statement.STATE_ROOT_WORD, output_type=uint256) == self.state_root, "Exits: not of the final state"


@internal
def _set_marks(epoch: uint256, time_ms: uint256, risk_root: uint256):
    self.marks_epoch = epoch
    self.marks_time_ms = time_ms
    self.marks_root = risk_root
    log MarksSet(epoch=epoch, time_ms=time_ms, risk_root=risk_root)


@internal
@pure
def _owner(word: uint256) -> address:
    return convert(convert(word & (2**160 - 1), uint160), address)


@internal
@pure
def _amount(word: uint256) -> uint256:
    return (word >> 160) & (2**64 - 1)
