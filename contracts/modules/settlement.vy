# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Settlement
@license Apache-2.0
@notice Part of Rollup: the effects of a batch, which layer 1 checks and acts on. docs/protocol/data.md specifies their words.
"""

from interfaces import IVault
from modules import epochs
from modules import errors
from modules import queue

uses: epochs
uses: queue

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
MASK_64: constant(uint256) = 2**64 - 1
LOW_248: constant(uint256) = 2**248

MAX_QUEUE_ROWS: constant(uint256) = 32
MAX_WITHDRAWAL_ROWS: constant(uint256) = 16
MAX_WORDS: constant(uint256) = 10 + 3 * MAX_QUEUE_ROWS + MAX_WITHDRAWAL_ROWS
MAX_BATCH_ENTRIES: constant(uint256) = 2**24

QUEUE_WORD: constant(uint256) = 10
OUTCOME_APPLIED: constant(uint256) = 1
KIND_FORCED_WITHDRAWAL: constant(uint256) = 3

QUEUE_ROWS: public(immutable(uint256))
WITHDRAWAL_ROWS: public(immutable(uint256))


@deploy
def __init__(queue_rows: uint256, withdrawal_rows: uint256):
    """
    @param queue_rows The preset's, `withdrawal_rows` too.
    """
    assert queue_rows > 0 and queue_rows <= MAX_QUEUE_ROWS, "Rollup: queue rows must be 1 to 32"
    assert withdrawal_rows > 0 and withdrawal_rows <= MAX_WITHDRAWAL_ROWS, "Rollup: withdrawal rows must be 1 to 16"
    QUEUE_ROWS = queue_rows
    WITHDRAWAL_ROWS = withdrawal_rows


@internal
@view
def _check_length(effects: Bytes[32 * MAX_WORDS]):
    if len(effects) != 32 * (QUEUE_WORD + 3 * QUEUE_ROWS + WITHDRAWAL_ROWS):
        errors._raise("Rollup: wrong effects length")


@internal
@view
def _domain() -> uint256:
    digest: bytes32 = keccak256(concat(b"straddle.domain", convert(chain.id, bytes32), convert(self, bytes20)))
    return convert(digest, uint256) % LOW_248


@internal
@view
def _check(effects: Bytes[32 * MAX_WORDS], batch_number: uint256, parent_root: uint256, parent_cursor: uint256) -> uint256:
    """
    Everything in the effects that layer 1 knows better. Returns the batch's cursor.
    """
    if extract32(effects, 0, output_type=uint256) != self._domain():
        errors._raise("Rollup: wrong domain")
    if extract32(effects, 32, output_type=uint256) != batch_number:
        errors._raise("Rollup: wrong batch number")
    if extract32(effects, 64, output_type=uint256) != parent_root:
        errors._raise("Rollup: old root is not the parent's new root")
    if extract32(effects, 160, output_type=uint256) != epochs.PARAMS_HASH:
        errors._raise("Rollup: wrong params hash")

    word: uint256 = extract32(effects, 128, output_type=uint256)
    epoch: uint256 = word & MASK_64
    time_ms: uint256 = word >> 64
    risk_root: uint256 = extract32(effects, 192, output_type=uint256)
    if not epochs._is_recorded(epoch, time_ms, risk_root):
        errors._raise("Rollup: epoch, time and risk root were not recorded")
    if epoch < (parent_cursor >> 128) & MASK_64:
        errors._raise("Rollup: epoch decreases")
    word = extract32(effects, 224, output_type=uint256)
    last_sequence: uint256 = word >> 64
    if word & MASK_64 != (parent_cursor & MASK_64) + 1:
        errors._raise("Rollup: first sequence does not follow the parent's last")
    if last_sequence < word & MASK_64:
        errors._raise("Rollup: last sequence is before the first")
    # A jump to the end of the range would leave no number for the next batch.
    if last_sequence >= (word & MASK_64) + MAX_BATCH_ENTRIES:
        errors._raise("Rollup: batch covers too many log entries")

    queue_end: uint256 = self._check_queue(effects, (parent_cursor >> 64) & MASK_64)
    self._check_withdrawals(effects)
    return last_sequence | (queue_end << 64) | (epoch << 128) | (block.timestamp << 192)


@internal
@view
def _check_queue(effects: Bytes[32 * MAX_WORDS], queue_first: uint256) -> uint256:
    """
    The answered entries are the queue's next ones, in order, and unused rows are zero. Returns the pointer after them.
    """
    word: uint256 = extract32(effects, 288, output_type=uint256)
    count: uint256 = word >> 64
    if word & MASK_64 != queue_first:
        errors._raise("Rollup: queue range does not follow the parent's")
    if count > QUEUE_ROWS:
        errors._raise("Rollup: too many queue entries")
    # Otherwise batches that answer nothing, proven first, could keep everybody's out that answer the queue.
    if count == 0 and queue._is_overdue(queue_first):
        errors._raise("Rollup: the batch must answer an entry, the oldest is overdue")
    digest: bytes32 = queue.queue_hashes[queue_first]
    for i: uint256 in range(QUEUE_ROWS, bound=MAX_QUEUE_ROWS):
        offset: uint256 = 32 * (QUEUE_WORD + 3 * i)
        entry: uint256 = extract32(effects, offset, output_type=uint256)
        word_1: uint256 = extract32(effects, offset + 32, output_type=uint256)
        word_2: uint256 = extract32(effects, offset + 64, output_type=uint256)
        if i >= count:
            if entry | word_1 | word_2 != 0:
                errors._raise("Rollup: unused row is not zero")
            continue
        if entry >> 200 != OUTCOME_APPLIED:
            errors._raise("Rollup: wrong queue outcome")
        if entry & 255 == KIND_FORCED_WITHDRAWAL:
            # The queue holds what was asked for; the batch says, and proves, what it pays.
            if word_2 > word_1:
                errors._raise("Rollup: forced withdrawal pays more than was asked")
            word_2 = 0
        digest = keccak256(
            abi_encode(digest, entry & 255, (entry >> 8) & (2**32 - 1), (entry >> 40) & (2**160 - 1), word_1, word_2)
        )
    if digest != queue.queue_hashes[queue_first + count]:
        errors._raise("Rollup: queue entries differ from the queue")
    return queue_first + count


@internal
@view
def _check_withdrawals(effects: Bytes[32 * MAX_WORDS]):
    """
    Well-formed rows, so that crediting them cannot fail.
    """
    for i: uint256 in range(WITHDRAWAL_ROWS, bound=MAX_WITHDRAWAL_ROWS):
        word: uint256 = extract32(effects, 32 * (QUEUE_WORD + 3 * QUEUE_ROWS + i), output_type=uint256)
        if word == 0:
            continue
        amount: uint256 = (word >> 160) & MASK_64
        if amount == 0 or amount >= 2**63:
            errors._raise("Rollup: withdrawal amount must be 1 to 2^63 - 1")
        if word & (2**160 - 1) == 0:
            errors._raise("Rollup: withdrawal to nobody")
        if word >> 224 >= queue.ACCOUNT_LIMIT:
            errors._raise("Rollup: no such account")


@internal
def _pay(effects: Bytes[32 * MAX_WORDS], vault: IVault):
    """
    What a final batch pays: its withdrawals, and its forced ones.
    """
    for i: uint256 in range(WITHDRAWAL_ROWS, bound=MAX_WITHDRAWAL_ROWS):
        word: uint256 = extract32(effects, 32 * (QUEUE_WORD + 3 * QUEUE_ROWS + i), output_type=uint256)
        if word != 0:
            self._credit(vault, word, (word >> 160) & MASK_64)
    for i: uint256 in range(extract32(effects, 288, output_type=uint256) >> 64, bound=MAX_QUEUE_ROWS):
        offset: uint256 = 32 * (QUEUE_WORD + 3 * i)
        entry: uint256 = extract32(effects, offset, output_type=uint256)
        if entry & 255 == KIND_FORCED_WITHDRAWAL:
            paid: uint256 = extract32(effects, offset + 64, output_type=uint256)
            if paid != 0:
                self._credit(vault, entry >> 40, paid)


@internal
def _credit(vault: IVault, owner: uint256, amount: uint256):
    """
    Credits the address in the lowest 160 bits.
    """
    extcall vault.credit(convert(convert(owner & (2**160 - 1), uint160), address), amount)
