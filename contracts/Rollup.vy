# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Rollup
@license Apache-2.0
@notice One exchange. Policy: a proof is required. Data: calldata. docs/protocol/layer1.md and data.md specify it.
@dev Nothing here can be changed after deployment, and nobody is privileged except the sequencer, who alone proposes.

     Batches form a chain. proven <= proposed; batches above `proven` are proposals, which run ahead and move nothing. Batch n lives in
     `batches[n % BATCH_SLOTS]`, where its predecessor of 256 batches ago is overwritten: reused slots cost 5,000 gas instead of 22,100, and a
     proposal may never overwrite the newest proven batch.
"""

from interfaces import IRollup
from interfaces import IVault
from interfaces import IVerifier
from modules import epochs
from modules import queue

implements: IRollup
initializes: epochs
initializes: queue

exports: (
    queue.on_deposit,
    queue.set_key,
    queue.force_withdraw,
    queue.force_close,
    queue.collect_fees,
    queue.owner_of,
    queue.next_account,
    queue.queue_length,
    queue.queue_hashes,
    queue.queue_proposed,
    queue.ACCOUNT_LIMIT,
    queue.REQUEST_FEE_WEI,
    queue.MINIMUM_DEPOSIT,
    epochs.submit_epoch,
    epochs.is_oracle,
    epochs.epoch_hashes,
    epochs.THRESHOLD,
    epochs.ORACLE_COUNT,
    epochs.PARAMS_HASH,
)

event BatchProposed:
    batch_number: indexed(uint256)
    header_hash: indexed(bytes32)
    state_root: uint256

event BatchProven:
    batch_number: indexed(uint256)
    header_hash: indexed(bytes32)
    state_root: uint256
    beneficiary: address

event BatchesVoided:
    first: indexed(uint256)
    last: uint256

struct Config:
    vault: IVault
    verifier: IVerifier
    sequencer: address
    operator: address
    oracles: DynArray[address, MAX_ORACLES]
    threshold: uint256
    genesis_root: uint256
    params_hash: uint256
    account_depth: uint256
    queue_rows: uint256
    withdrawal_rows: uint256
    body_cells: uint256
    request_fee_wei: uint256

struct Batch:
    header_hash: bytes32
    state_root: uint256
    # last_sequence(64) | queue_end(64) | epoch(64) | proposed_at_s(64)
    cursor: uint256

# What a proof says about a batch: the first four public inputs, and the hash of the body as posted.
struct Header:
    body_hash: bytes32
    data_commitment: uint256
    challenge: uint256
    effects_value: uint256
    body_value: uint256

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
MASK_64: constant(uint256) = 2**64 - 1
LOW_248: constant(uint256) = 2**248

CHALLENGE_TAG: constant(bytes32) = keccak256("straddle.z.calldata")

# Bounds of every loop and list. The arrays lie in memory at full length, so generous bounds cost gas in every proposal.
MAX_ORACLES: constant(uint256) = 16
MAX_QUEUE_ROWS: constant(uint256) = 32
MAX_WITHDRAWAL_ROWS: constant(uint256) = 16
MAX_EFFECTS: constant(uint256) = 10 + 3 * MAX_QUEUE_ROWS + MAX_WITHDRAWAL_ROWS
MAX_BODY_CELLS: constant(uint256) = 512
BATCH_SLOTS: constant(uint256) = 256
MAX_BATCH_ENTRIES: constant(uint256) = 2**24

QUEUE_WORD: constant(uint256) = 10
OUTCOME_APPLIED: constant(uint256) = 1
KIND_FORCED_WITHDRAWAL: constant(uint256) = 3

MAX_TABLE_AGE_MS: public(constant(uint256)) = 15 * 60 * 1000
PROVING_WINDOW_S: public(constant(uint256)) = 24 * 60 * 60

VAULT: public(immutable(IVault))
VERIFIER: public(immutable(IVerifier))
VK_ID: public(immutable(bytes32))
SEQUENCER: public(immutable(address))
GENESIS_ROOT: public(immutable(uint256))
QUEUE_ROWS: public(immutable(uint256))
WITHDRAWAL_ROWS: public(immutable(uint256))
BODY_CELLS: public(immutable(uint256))

proposed_batch: public(uint256)
proven_batch: public(uint256)
batches: Batch[BATCH_SLOTS]


@deploy
def __init__(config: Config):
    """
    @param config `oracles` ascend strictly; `operator` owns the fee and the insurance account; rows and cells are the preset's.
    """
    assert config.vault.address.is_contract, "Rollup: vault is not a contract"
    assert config.verifier.address.is_contract, "Rollup: verifier is not a contract"
    assert config.sequencer != empty(address), "Rollup: sequencer is zero"
    assert config.genesis_root > 0 and config.genesis_root < R, "Rollup: genesis root is not a field element above 0"
    assert config.queue_rows > 0 and config.queue_rows <= MAX_QUEUE_ROWS, "Rollup: queue rows must be 1 to 32"
    assert config.withdrawal_rows > 0 and config.withdrawal_rows <= MAX_WITHDRAWAL_ROWS, "Rollup: withdrawal rows must be 1 to 16"
    assert config.body_cells > 0 and config.body_cells <= MAX_BODY_CELLS, "Rollup: body cells must be 1 to 512"

    VAULT = config.vault
    VERIFIER = config.verifier
    VK_ID = staticcall config.verifier.vk_id()
    SEQUENCER = config.sequencer
    GENESIS_ROOT = config.genesis_root
    QUEUE_ROWS = config.queue_rows
    WITHDRAWAL_ROWS = config.withdrawal_rows
    BODY_CELLS = config.body_cells

    epochs.__init__(config.oracles, config.threshold, config.params_hash)
    queue.__init__(config.vault.address, config.operator, config.sequencer, config.account_depth, config.request_fee_wei)
    self.batches[0].header_hash = keccak256(concat(b"straddle.genesis", convert(config.genesis_root, bytes32)))
    self.batches[0].state_root = config.genesis_root


# ---------------------------------------------------------------- batches


@external
def propose(effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256):
    """
    @notice Appends a batch to the chain of proposals. By the sequencer, directly.
    @param effects Words of docs/protocol/data.md, 32 bytes each, all of them.
    @param body Cells, 32 bytes each; trailing zero cells may be left out.
    """
    self._propose(effects, body, data_commitment)


@external
def prove(effects: Bytes[32 * MAX_EFFECTS], header: Header, proof: uint256[12], beneficiary: address):
    """
    @notice Proves the oldest unproved proposal: its root becomes current, its withdrawals, forced ones included, are credited. By anyone.
    @param effects As proposed. Repeated because calldata is cheaper than storing them.
    @param beneficiary Address that the proof was made for; a copied proof cannot name another.
    """
    self._prove(effects, header, proof, beneficiary)


@external
def propose_and_prove(
    effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256, proof: uint256[12], beneficiary: address
):
    """
    @notice `propose`, then `prove`, of a batch whose parent is proven.
    """
    header: Header = self._propose(effects, body, data_commitment)
    self._prove(effects, header, proof, beneficiary)


@external
def void():
    """
    @notice Removes every unproved proposal once the oldest has gone without a proof for 24 hours. By anyone.
    @dev The queue pointer, the epoch and the log sequence of the next proposal come from the newest proven batch again.
    """
    first: uint256 = self.proven_batch + 1
    last: uint256 = self.proposed_batch
    assert first <= last, "Rollup: nothing to void"
    proposed_at_s: uint256 = self.batches[first % BATCH_SLOTS].cursor >> 192
    assert block.timestamp > proposed_at_s + PROVING_WINDOW_S, "Rollup: the proving window is open"
    self.proposed_batch = self.proven_batch
    queue.queue_proposed = self._queue_answered()
    log BatchesVoided(first=first, last=last)


# ---------------------------------------------------------------- views


@external
@view
def state_root() -> uint256:
    """
    @notice Root of the newest proven batch: the current state.
    """
    return self.batches[self.proven_batch % BATCH_SLOTS].state_root


@external
@view
def batch(batch_number: uint256) -> Batch:
    """
    @notice The newest proven batch, or a proposal after it.
    """
    assert batch_number >= self.proven_batch and batch_number <= self.proposed_batch, "Rollup: batch is neither the newest proven nor a proposal"
    return self.batches[batch_number % BATCH_SLOTS]


@external
@view
def queue_answered() -> uint256:
    """
    @notice Queue entries that proven batches have answered.
    """
    return self._queue_answered()


@external
@view
def domain() -> uint256:
    """
    @notice What every signed message and every batch is bound to.
    """
    return self._domain()


# ---------------------------------------------------------------- internal


@internal
@view
def _queue_answered() -> uint256:
    return (self.batches[self.proven_batch % BATCH_SLOTS].cursor >> 64) & MASK_64


@internal
@view
def _domain() -> uint256:
    digest: bytes32 = keccak256(concat(b"straddle.domain", convert(chain.id, bytes32), convert(self, bytes20)))
    return convert(digest, uint256) % LOW_248


@internal
def _propose(effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256) -> Header:
    assert msg.sender == SEQUENCER, "Rollup: only the sequencer proposes"
    # An account with delegated code (EIP-7702) may call itself, and from there call here with other data than its transaction's.
    assert msg.sender == tx.origin and not msg.sender.is_contract, "Rollup: call directly, the data must lie in the transaction"
    assert len(effects) == 32 * (QUEUE_WORD + 3 * QUEUE_ROWS + WITHDRAWAL_ROWS), "Rollup: wrong effects length"
    assert len(body) % 32 == 0 and len(body) <= 32 * BODY_CELLS, "Rollup: wrong body length"
    batch_number: uint256 = self.proposed_batch + 1
    assert batch_number < self.proven_batch + BATCH_SLOTS, "Rollup: too many unproved proposals"

    parent: Batch = self.batches[(batch_number - 1) % BATCH_SLOTS]
    cursor: uint256 = self._check_effects(effects, batch_number, parent)
    header: Header = Header(
        body_hash=keccak256(body), data_commitment=data_commitment, challenge=0, effects_value=0, body_value=0
    )
    effects_hash: bytes32 = keccak256(effects)
    header.challenge = convert(
        keccak256(
            abi_encode(
                CHALLENGE_TAG, chain.id, self, VK_ID, batch_number, parent.header_hash, effects_hash, header.body_hash, data_commitment
            )
        ),
        uint256,
    ) % R
    assert data_commitment < R, "Rollup: data commitment is not a field element"

    # Horner, from the last word to the first.
    count: uint256 = len(effects) // 32
    for i: uint256 in range(count, bound=MAX_EFFECTS):
        word: uint256 = extract32(effects, 32 * (count - 1 - i), output_type=uint256)
        assert word < R, "Rollup: effects word is not a field element"
        header.effects_value = uint256_addmod(uint256_mulmod(header.effects_value, header.challenge, R), word, R)
    count = len(body) // 32
    for i: uint256 in range(count, bound=MAX_BODY_CELLS):
        word: uint256 = extract32(body, 32 * (count - 1 - i), output_type=uint256)
        assert word < R, "Rollup: body cell is not a field element"
        header.body_value = uint256_addmod(uint256_mulmod(header.body_value, header.challenge, R), word, R)

    proposal: Batch = Batch(
        header_hash=self._header_hash(parent.header_hash, batch_number, effects_hash, header),
        state_root=extract32(effects, 32 * 3, output_type=uint256),
        cursor=cursor,
    )
    self._check_age(batch_number, proposal.header_hash, extract32(effects, 128, output_type=uint256) >> 64)
    self.batches[batch_number % BATCH_SLOTS] = proposal
    self.proposed_batch = batch_number
    queue_end: uint256 = (cursor >> 64) & MASK_64
    if queue_end != queue.queue_proposed:
        queue.queue_proposed = queue_end
    log BatchProposed(batch_number=batch_number, header_hash=proposal.header_hash, state_root=proposal.state_root)
    return header


@internal
@view
def _check_effects(effects: Bytes[32 * MAX_EFFECTS], batch_number: uint256, parent: Batch) -> uint256:
    """
    Everything in the effects that layer 1 knows better. Returns the batch's cursor.
    """
    assert extract32(effects, 0, output_type=uint256) == self._domain(), "Rollup: wrong domain"
    assert extract32(effects, 32, output_type=uint256) == batch_number, "Rollup: wrong batch number"
    assert extract32(effects, 64, output_type=uint256) == parent.state_root, "Rollup: old root is not the parent's new root"
    assert extract32(effects, 160, output_type=uint256) == epochs.PARAMS_HASH, "Rollup: wrong params hash"

    word: uint256 = extract32(effects, 128, output_type=uint256)
    epoch: uint256 = word & MASK_64
    time_ms: uint256 = word >> 64
    risk_root: uint256 = extract32(effects, 192, output_type=uint256)
    assert epochs._is_recorded(epoch, time_ms, risk_root), "Rollup: epoch, time and risk root were not recorded"
    assert epoch >= (parent.cursor >> 128) & MASK_64, "Rollup: epoch decreases"
    word = extract32(effects, 224, output_type=uint256)
    last_sequence: uint256 = word >> 64
    assert word & MASK_64 == (parent.cursor & MASK_64) + 1, "Rollup: first sequence does not follow the parent's last"
    assert last_sequence >= word & MASK_64, "Rollup: last sequence is before the first"
    # A jump to the end of the range would leave no number for the next batch.
    assert last_sequence < (word & MASK_64) + MAX_BATCH_ENTRIES, "Rollup: batch covers too many log entries"

    queue_end: uint256 = self._check_queue(effects, (parent.cursor >> 64) & MASK_64)
    self._check_withdrawals(effects)
    return last_sequence | (queue_end << 64) | (epoch << 128) | (block.timestamp << 192)


@internal
@view
def _check_age(batch_number: uint256, header_hash: bytes32, time_ms: uint256):
    """
    The table is recent, or was when this very batch, with these very parents, was proposed the first time and voided for want of a proof: what traders
    have receipts for may be proposed again, for as long as a proof may have taken once more.
    """
    # submit_epoch has checked that the time was not in the future.
    if block.timestamp * 1000 <= time_ms + MAX_TABLE_AGE_MS:
        return
    voided: Batch = self.batches[batch_number % BATCH_SLOTS]
    assert voided.header_hash == header_hash, "Rollup: risk table is too old"
    assert block.timestamp * 1000 <= time_ms + MAX_TABLE_AGE_MS + 2000 * PROVING_WINDOW_S, "Rollup: risk table is too old"


@internal
@view
def _check_queue(effects: Bytes[32 * MAX_EFFECTS], queue_first: uint256) -> uint256:
    """
    The answered entries are the queue's next ones, in order, and unused rows are zero. Returns the pointer after them.
    """
    word: uint256 = extract32(effects, 288, output_type=uint256)
    count: uint256 = word >> 64
    assert word & MASK_64 == queue_first, "Rollup: queue range does not follow the parent's"
    assert count <= QUEUE_ROWS, "Rollup: too many queue entries"
    digest: bytes32 = queue.queue_hashes[queue_first]
    for i: uint256 in range(QUEUE_ROWS, bound=MAX_QUEUE_ROWS):
        offset: uint256 = 32 * (QUEUE_WORD + 3 * i)
        entry: uint256 = extract32(effects, offset, output_type=uint256)
        word_1: uint256 = extract32(effects, offset + 32, output_type=uint256)
        word_2: uint256 = extract32(effects, offset + 64, output_type=uint256)
        if i >= count:
            assert entry | word_1 | word_2 == 0, "Rollup: unused queue row is not zero"
            continue
        assert entry >> 200 == OUTCOME_APPLIED, "Rollup: wrong queue outcome"
        if entry & 255 == KIND_FORCED_WITHDRAWAL:
            # The queue holds what was asked for; the batch says, and proves, what it pays.
            assert word_2 <= word_1, "Rollup: forced withdrawal pays more than was asked"
            word_2 = 0
        digest = keccak256(
            abi_encode(digest, entry & 255, (entry >> 8) & (2**32 - 1), (entry >> 40) & (2**160 - 1), word_1, word_2)
        )
    assert digest == queue.queue_hashes[queue_first + count], "Rollup: queue entries differ from the queue"
    return queue_first + count


@internal
@view
def _check_withdrawals(effects: Bytes[32 * MAX_EFFECTS]):
    """
    Well-formed rows, so that crediting them cannot fail.
    """
    for i: uint256 in range(WITHDRAWAL_ROWS, bound=MAX_WITHDRAWAL_ROWS):
        word: uint256 = extract32(effects, 32 * (QUEUE_WORD + 3 * QUEUE_ROWS + i), output_type=uint256)
        if word == 0:
            continue
        amount: uint256 = (word >> 160) & MASK_64
        assert amount > 0 and amount < 2**63, "Rollup: withdrawal amount must be 1 to 2^63 - 1"
        assert word & (2**160 - 1) != 0, "Rollup: withdrawal to the zero address"
        assert word >> 224 < queue.ACCOUNT_LIMIT, "Rollup: withdrawal from no account"


@internal
def _prove(effects: Bytes[32 * MAX_EFFECTS], header: Header, proof: uint256[12], beneficiary: address):
    batch_number: uint256 = self.proven_batch + 1
    assert batch_number <= self.proposed_batch, "Rollup: no proposal to prove"
    parent_header_hash: bytes32 = self.batches[(batch_number - 1) % BATCH_SLOTS].header_hash
    header_hash: bytes32 = self.batches[batch_number % BATCH_SLOTS].header_hash
    assert self._header_hash(parent_header_hash, batch_number, keccak256(effects), header) == header_hash, "Rollup: not the oldest unproved proposal"
    public_inputs: uint256[5] = [
        header.data_commitment, header.challenge, header.effects_value, header.body_value, convert(beneficiary, uint256)
    ]
    assert staticcall VERIFIER.verify(proof, public_inputs), "Rollup: invalid proof"

    self.proven_batch = batch_number
    log BatchProven(
        batch_number=batch_number,
        header_hash=header_hash,
        state_root=extract32(effects, 32 * 3, output_type=uint256),
        beneficiary=beneficiary,
    )
    for i: uint256 in range(WITHDRAWAL_ROWS, bound=MAX_WITHDRAWAL_ROWS):
        word: uint256 = extract32(effects, 32 * (QUEUE_WORD + 3 * QUEUE_ROWS + i), output_type=uint256)
        if word != 0:
            owner: address = convert(convert(word & (2**160 - 1), uint160), address)
            extcall VAULT.credit(owner, (word >> 160) & MASK_64)
    for i: uint256 in range(extract32(effects, 288, output_type=uint256) >> 64, bound=MAX_QUEUE_ROWS):
        offset: uint256 = 32 * (QUEUE_WORD + 3 * i)
        entry: uint256 = extract32(effects, offset, output_type=uint256)
        if entry & 255 == KIND_FORCED_WITHDRAWAL:
            paid: uint256 = extract32(effects, offset + 64, output_type=uint256)
            if paid != 0:
                extcall VAULT.credit(convert(convert((entry >> 40) & (2**160 - 1), uint160), address), paid)


@internal
@view
def _header_hash(parent_header_hash: bytes32, batch_number: uint256, effects_hash: bytes32, header: Header) -> bytes32:
    return keccak256(
        abi_encode(
            parent_header_hash,
            batch_number,
            effects_hash,
            header.body_hash,
            header.data_commitment,
            header.challenge,
            header.effects_value,
            header.body_value,
        )
    )
