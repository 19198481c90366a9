# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A rollup that is told its state: what Exits and Solvency read, and its row in a real vault
"""

from interfaces import IRollup
from interfaces import IRollupState
from interfaces import IVault

implements: IRollup
implements: IRollupState

EXITS: public(immutable(address))
VAULT: public(immutable(address))
ACCOUNT_LIMIT: public(immutable(uint256))

frozen: public(bool)
proposed_batch: public(uint256)
final_batch: public(uint256)
state_root: public(uint256)
next_account: public(uint256)
queue_answered: public(uint256)
queue_length: public(uint256)
queue_hashes: public(HashMap[uint256, bytes32])
epoch_hashes: public(HashMap[uint256, bytes32])
final_epoch: uint256


@deploy
def __init__(vault: address, exits: address, account_limit: uint256):
    VAULT = vault
    EXITS = exits
    ACCOUNT_LIMIT = account_limit
    self.next_account = 3
    self.state_root = 999


@external
@view
def domain() -> uint256:
    return 1234567


@external
@view
def batch(batch_number: uint256) -> IRollupState.Batch:
    assert batch_number == self.final_batch
    return IRollupState.Batch(header_hash=empty(bytes32), state_root=self.state_root, cursor=7 | (8 << 64) | (self.final_epoch << 128) | (9 << 192))


@external
def on_deposit(account: uint256, owner: address, amount: uint256):
    assert msg.sender == VAULT and not self.frozen
    target: uint256 = account
    if target == 0:
        target = self.next_account
        self.next_account = target + 1
    self._enqueue(1, target, owner, amount, 0)


@external
def enqueue(kind: uint256, account: uint256, owner: address, word_1: uint256, word_2: uint256):
    self._enqueue(kind, account, owner, word_1, word_2)


@external
def record(epoch: uint256, time_ms: uint256, risk_root: uint256):
    self.epoch_hashes[epoch] = keccak256(abi_encode(time_ms, risk_root))


@external
def finalise(state_root: uint256, answered: uint256, epoch: uint256):
    self.final_batch += 1
    self.proposed_batch = self.final_batch
    self.state_root = state_root
    self.queue_answered = answered
    self.final_epoch = epoch


@external
def propose():
    self.proposed_batch += 1


@external
def void():
    self.proposed_batch = self.final_batch


@external
def freeze():
    self.frozen = True


@external
def credit(owner: address, amount: uint256):
    extcall IVault(VAULT).credit(owner, amount)


@external
def pay_exit(owner: address, amount: uint256):
    assert msg.sender == EXITS and self.frozen and self.proposed_batch == self.final_batch
    extcall IVault(VAULT).credit(owner, amount)


@internal
def _enqueue(kind: uint256, account: uint256, owner: address, word_1: uint256, word_2: uint256):
    length: uint256 = self.queue_length
    self.queue_length = length + 1
    self.queue_hashes[length + 1] = keccak256(abi_encode(self.queue_hashes[length], kind, account, owner, word_1, word_2))
