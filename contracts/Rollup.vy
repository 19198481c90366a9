# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Rollup
@license Apache-2.0
@notice One exchange. Two choices are made at deployment and never again: when a batch needs a proof, and where its body lies. docs/protocol/policies.md,
        layer1.md and data.md specify it.
@dev Nothing here can be changed after deployment, and nobody is privileged except the sequencer, who alone proposes as long as it answers the queue.

     Batches form a chain. final <= proposed; batches above `final_batch` are proposals, which run ahead and move nothing. Batch n lives in
     `batches[n % SLOTS]`, where its predecessor of `SLOTS` batches ago is overwritten: reused slots cost 5,000 gas instead of 22,100, and a proposal may
     never overwrite the newest final batch.

     Every clock: a period of p seconds that begins at t is over when the block time is above t + p.
"""

from interfaces import IRollup
from interfaces import IVault
from interfaces import IVerifier
from modules import availability
from modules import bonds
from modules import epochs
from modules import errors
from modules import queue
from modules import settlement
from modules import signers

implements: IRollup
initializes: availability
initializes: bonds
initializes: epochs
initializes: queue
initializes: settlement[epochs := epochs, queue := queue]

exports: (
    queue.on_deposit,
    queue.set_key,
    queue.force_withdraw,
    queue.force_close,
    queue.owner_of,
    queue.next_account,
    queue.queue_length,
    queue.queue_hashes,
    queue.queue_proposed,
    queue.entry_time_s,
    queue.frozen,
    queue.PERMISSIONLESS_AFTER_S,
    queue.ACCOUNT_LIMIT,
    queue.REQUEST_FEE_WEI,
    queue.MINIMUM_DEPOSIT,
    epochs.submit_epoch,
    epochs.is_oracle,
    epochs.epoch_hashes,
    epochs.THRESHOLD,
    epochs.ORACLE_COUNT,
    epochs.PARAMS_HASH,
    bonds.collect_wei,
    bonds.collect_fees,
    bonds.wei_owed,
    bonds.reserved_wei,
    bonds.open_challenges,
    bonds.PROPOSER_BOND_WEI,
    bonds.CHALLENGER_BOND_WEI,
    bonds.PROVING_ALLOWANCE_S,
    availability.COMMITTEE,
    settlement.QUEUE_ROWS,
    settlement.WITHDRAWAL_ROWS,
)

event BatchProposed:
    batch_number: indexed(uint256)
    header_hash: indexed(bytes32)
    state_root: uint256

event BatchProven:
    batch_number: indexed(uint256)
    header_hash: indexed(bytes32)
    beneficiary: address

event BatchFinalised:
    batch_number: indexed(uint256)
    header_hash: indexed(bytes32)
    state_root: uint256
    beneficiary: address

event BatchesVoided:
    first: indexed(uint256)
    last: uint256

event Frozen:
    pass

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
    policy: uint256
    data: uint256
    committee: address
    exits: address
    proposer_bond_wei: uint256
    challenger_bond_wei: uint256
    challenge_window_s: uint256
    proving_allowance_s: uint256

struct Batch:
    header_hash: bytes32
    state_root: uint256
    # last_sequence(64) | queue_end(64) | epoch(64) | proposed_at_s(64)
    cursor: uint256

# What a proof says about a batch: the first four public inputs, and what stands for the body: its hash, its blob's versioned hash, or 0.
struct Header:
    body_hash: bytes32
    data_commitment: uint256
    challenge: uint256
    effects_value: uint256
    body_value: uint256

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
MASK_64: constant(uint256) = 2**64 - 1

PROOF_REQUIRED: constant(uint256) = 1
PROOF_WHEN_CHALLENGED: constant(uint256) = 2
IN_CALLDATA: constant(uint256) = 1
IN_BLOB: constant(uint256) = 2
AT_COMMITTEE: constant(uint256) = 3

CALLDATA_TAG: constant(bytes32) = keccak256("straddle.z.calldata")
BLOB_TAG: constant(bytes32) = keccak256("straddle.z.blob")
COMMITTEE_TAG: constant(bytes32) = keccak256("straddle.z.committee")

# Bounds of every loop and list. The arrays lie in memory at full length, so generous bounds cost gas in every proposal.
MAX_ORACLES: constant(uint256) = 16
MAX_MEMBERS: constant(uint256) = 16
MAX_EFFECTS: constant(uint256) = 10 + 3 * 32 + 16
MAX_BODY_CELLS: constant(uint256) = 512
MAX_SLOTS: constant(uint256) = 4096
# Each may pay two strangers: 12 million gas at worst.
MAX_VOIDED_AT_ONCE: constant(uint256) = 256

HOUR_S: constant(uint256) = 60 * 60
DAY_S: constant(uint256) = 24 * HOUR_S
MAX_TABLE_AGE_MS: public(constant(uint256)) = 15 * 60 * 1000
PROVING_WINDOW_S: public(constant(uint256)) = DAY_S
# With the window, from the freeze on: the longest answer to a challenge (a day and what others add to it), and a week to make the last batch final.
STUCK_AFTER_S: constant(uint256) = (1 + 14 + 7) * DAY_S

VAULT: public(immutable(IVault))
VERIFIER: public(immutable(IVerifier))
VK_ID: public(immutable(bytes32))
SEQUENCER: public(immutable(address))
EXITS: public(immutable(address))
GENESIS_ROOT: public(immutable(uint256))
BODY_CELLS: public(immutable(uint256))
POLICY: public(immutable(uint256))
DATA: public(immutable(uint256))
CHALLENGE_WINDOW_S: public(immutable(uint256))
FREEZE_AFTER_S: public(immutable(uint256))
SLOTS: immutable(uint256)

proposed_batch: public(uint256)
final_batch: public(uint256)
batches: Batch[MAX_SLOTS]


@deploy
def __init__(config: Config):
    """
    @param config `oracles` ascend strictly; `operator` owns the fee and the insurance account; rows and cells are the preset's; `committee` only with its
           data; bonds, window and allowance only where a proof is required when challenged; `exits` is what pays when all this has stopped.
    """
    assert config.vault.address.is_contract, "Rollup: vault is not a contract"
    assert config.verifier.address.is_contract, "Rollup: verifier is not a contract"
    assert config.sequencer != empty(address), "Rollup: sequencer is zero"
    assert config.exits != empty(address), "Rollup: exits is zero"
    assert config.genesis_root > 0 and config.genesis_root < R, "Rollup: genesis root is not a field element above 0"
    assert config.body_cells > 0 and config.body_cells <= MAX_BODY_CELLS, "Rollup: body cells must be 1 to 512"
    self._check_policy(config)

    VAULT = config.vault
    VERIFIER = config.verifier
    VK_ID = staticcall config.verifier.vk_id()
    SEQUENCER = config.sequencer
    EXITS = config.exits
    GENESIS_ROOT = config.genesis_root
    BODY_CELLS = config.body_cells
    POLICY = config.policy
    DATA = config.data
    CHALLENGE_WINDOW_S = config.challenge_window_s
    SLOTS = 256 if config.policy == PROOF_REQUIRED else MAX_SLOTS
    # Time to propose and prove, and three days more; or a day to propose, the window, the longest answer (24 hours and 14 days), and a day more.
    FREEZE_AFTER_S = 10 * DAY_S if config.policy == PROOF_REQUIRED else 17 * DAY_S + config.challenge_window_s

    epochs.__init__(config.oracles, config.threshold, config.params_hash)
    queue.__init__(config.vault.address, config.operator, config.account_depth, config.request_fee_wei)
    settlement.__init__(config.queue_rows, config.withdrawal_rows)
    bonds.__init__(config.sequencer, config.proposer_bond_wei, config.challenger_bond_wei, config.proving_allowance_s)
    availability.__init__(config.committee)
    self.batches[0].header_hash = keccak256(concat(b"straddle.genesis", convert(config.genesis_root, bytes32)))
    self.batches[0].state_root = config.genesis_root


@internal
@view
def _check_policy(config: Config):
    assert config.policy == PROOF_REQUIRED or config.policy == PROOF_WHEN_CHALLENGED, "Rollup: policy must be 1 or 2"
    assert config.data >= IN_CALLDATA and config.data <= AT_COMMITTEE, "Rollup: data must be 1, 2 or 3"
    if config.data == AT_COMMITTEE:
        assert config.policy == PROOF_REQUIRED, "Rollup: what a committee withholds cannot be challenged"
        assert config.committee.is_contract, "Rollup: committee is not a contract"
    else:
        assert config.committee == empty(address), "Rollup: committee without committee data"
    if config.policy == PROOF_REQUIRED:
        unused: uint256 = config.proposer_bond_wei | config.challenger_bond_wei | config.challenge_window_s | config.proving_allowance_s
        assert unused == 0, "Rollup: bonds, window and allowance must be 0 where a proof is required"
    else:
        assert config.proposer_bond_wei > 0 and config.proposer_bond_wei < 2**96, "Rollup: proposer bond must be 1 to 2^96 - 1 wei"
        assert config.challenger_bond_wei > 0 and config.challenger_bond_wei < 2**96, "Rollup: challenger bond must be 1 to 2^96 - 1 wei"
        assert config.challenge_window_s >= HOUR_S and config.challenge_window_s <= 30 * DAY_S, "Rollup: challenge window must be 1 hour to 30 days"
        assert config.proving_allowance_s > 0 and config.proving_allowance_s <= HOUR_S, "Rollup: proving allowance must be 1 second to 1 hour"


# ---------------------------------------------------------------- batches


@external
@payable
def propose(effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256):
    """
    @notice Appends a batch to the chain of proposals. By the sequencer, directly, with the proposer's bond. Body in calldata.
    @param effects Words of docs/protocol/data.md, 32 bytes each, all of them.
    @param body Cells, 32 bytes each; trailing zero cells may be left out.
    """
    self._propose(effects, body, data_commitment, False)


@external
@payable
def propose_blob(effects: Bytes[32 * MAX_EFFECTS], data_commitment: uint256, opening: availability.Opening):
    """
    @notice `propose` with the body in blob 0 of the transaction.
    @param opening Of the blob's commitment at z.
    """
    self._propose_blob(effects, data_commitment, opening, False)


@external
def propose_certified(effects: Bytes[32 * MAX_EFFECTS], data_commitment: uint256, certificates: DynArray[signers.Signature, MAX_MEMBERS]):
    """
    @notice `propose` with the body at the committee's members.
    @param certificates Over the header, at least the committee's threshold, ascending by signer.
    """
    self._propose_certified(effects, data_commitment, certificates, False)


@external
def prove(effects: Bytes[32 * MAX_EFFECTS], header: Header, proof: uint256[12], beneficiary: address):
    """
    @notice Proves a proposal, by anyone: the oldest one; where proofs are needed only when challenged, any. The oldest becomes final.
    @param effects As proposed. Repeated because calldata is cheaper than storing them.
    @param header As proposed; under a committee with the proof's `body_value`.
    @param beneficiary Address that the proof was made for; a copied proof cannot name another. An open challenge pays it what the proof costs.
    """
    self._prove(effects, header, proof, beneficiary)


@external
@payable
def propose_and_prove(
    effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256, proof: uint256[12], beneficiary: address
):
    """
    @notice `propose`, then `prove`. In permissionless mode by anyone; what is proposed and unproved goes first, where a proof is required.
    """
    header: Header = self._propose(effects, body, data_commitment, True)
    self._prove(effects, header, proof, beneficiary)


@external
@payable
def propose_blob_and_prove(
    effects: Bytes[32 * MAX_EFFECTS], data_commitment: uint256, opening: availability.Opening, proof: uint256[12], beneficiary: address
):
    """
    @notice `propose_blob`, then `prove`.
    """
    header: Header = self._propose_blob(effects, data_commitment, opening, True)
    self._prove(effects, header, proof, beneficiary)


@external
def propose_certified_and_prove(
    effects: Bytes[32 * MAX_EFFECTS],
    data_commitment: uint256,
    certificates: DynArray[signers.Signature, MAX_MEMBERS],
    body_value: uint256,
    proof: uint256[12],
    beneficiary: address,
):
    """
    @notice `propose_certified`, then `prove`.
    """
    header: Header = self._propose_certified(effects, data_commitment, certificates, True)
    header.body_value = body_value
    self._prove(effects, header, proof, beneficiary)


@external
def finalise(effects: Bytes[32 * MAX_EFFECTS], header: Header):
    """
    @notice Makes the oldest proposal final without a proof of its own: it was proven before its turn, or its window is over and nobody challenged it.
    @param effects As proposed, `header` too.
    """
    if POLICY != PROOF_WHEN_CHALLENGED:
        errors._raise("Rollup: a proof is required")
    batch_number: uint256 = self.final_batch + 1
    header_hash: bytes32 = self._check_header(batch_number, effects, header)
    stake: bonds.Stake = bonds._stake_of(batch_number)
    unchallenged: bool = stake.challenger == empty(address) and block.timestamp > self._proposed_at_s(batch_number) + CHALLENGE_WINDOW_S
    if not (stake.proven or unchallenged):
        errors._raise("Rollup: batch is neither proven nor past its window unchallenged")
    self._finalise(batch_number, header_hash, effects, empty(address))


@external
@payable
def challenge(batch_number: uint256, header_hash: bytes32):
    """
    @notice Demands a proof of a proposal within its window. By anyone, with the challenger's bond and nothing else.
    @param header_hash What the challenger has examined: a reorg may put another batch in its place.
    """
    if POLICY != PROOF_WHEN_CHALLENGED:
        errors._raise("Rollup: a proof is required")
    self._check_is_proposal(batch_number)
    if block.timestamp > self._proposed_at_s(batch_number) + CHALLENGE_WINDOW_S:
        errors._raise("Rollup: the challenge window is over")
    if self.batches[batch_number % SLOTS].header_hash != header_hash:
        errors._raise("Rollup: not what was proposed")
    bonds._challenge(batch_number, header_hash)


@external
def void(batch_number: uint256):
    """
    @notice Removes a proposal that has gone without its proof for too long, and all after it. By anyone.
    @dev Where bonds are paid back, at most 256 proposals a call, the newest first: call again until it is gone. The queue pointer, the epoch and the log
         sequence of the next proposal come from the newest batch that stands again.
    """
    self._check_is_proposal(batch_number)
    first: uint256 = batch_number
    if POLICY == PROOF_REQUIRED:
        if block.timestamp <= self._proposed_at_s(batch_number) + PROVING_WINDOW_S:
            errors._raise("Rollup: proving window is open")
    else:
        fraudulent: bool = bonds._is_unanswered(batch_number)
        # Long after a freeze also what nobody could make final: withdrawals that the row cannot pay. It would bar all exits.
        if not fraudulent and not (queue.frozen and block.timestamp > queue.frozen_at_s + CHALLENGE_WINDOW_S + STUCK_AFTER_S):
            errors._raise("Rollup: batch has no overdue challenge")
        end: uint256 = self.proposed_batch + 1
        if end > batch_number + MAX_VOIDED_AT_ONCE:
            first = end - MAX_VOIDED_AT_ONCE
        for number: uint256 in range(first, end, bound=MAX_VOIDED_AT_ONCE):
            bonds._settle_void(number, fraudulent and number == batch_number)
    self._drop(first)


# ---------------------------------------------------------------- the end


@external
def freeze():
    """
    @notice Ends the exchange when no final batch has answered the oldest queue entry for too long. By anyone. Proposals are proven, voided or finalised
            as ever; then `EXITS` pays.
    """
    if queue.frozen:
        errors._raise("Rollup: frozen")
    if not queue._waits_longer(self._queue_answered(), FREEZE_AFTER_S):
        errors._raise("Rollup: no entry has waited long enough")
    queue.frozen = True
    queue.frozen_at_s = block.timestamp
    log Frozen()


@external
def pay_exit(owner: address, amount: uint256):
    """
    @notice Credits an exit from the vault's row. By `EXITS`, when nothing else can move the row any more.
    """
    if msg.sender != EXITS:
        errors._raise("Rollup: only EXITS pays exits")
    if not queue.frozen or self.proposed_batch != self.final_batch:
        errors._raise("Rollup: not frozen, or proposals are left")
    extcall VAULT.credit(owner, amount)


# ---------------------------------------------------------------- views


@external
@view
def state_root() -> uint256:
    """
    @notice Root of the newest final batch: the current state.
    """
    return self.batches[self.final_batch % SLOTS].state_root


@external
@view
def batch(batch_number: uint256) -> Batch:
    """
    @notice The newest final batch, or a proposal after it.
    """
    if batch_number != self.final_batch:
        self._check_is_proposal(batch_number)
    return self.batches[batch_number % SLOTS]


@external
@view
def stake(batch_number: uint256) -> bonds.Stake:
    """
    @notice Who has bonds in a proposal, whether it is proven, and when the answer to its challenge is due. All zero where a proof is required.
    """
    self._check_is_proposal(batch_number)
    return bonds._stake_of(batch_number)


@external
@view
def queue_answered() -> uint256:
    """
    @notice Queue entries that final batches have answered.
    """
    return self._queue_answered()


@external
@view
def permissionless() -> bool:
    """
    @notice Whether an entry has gone unanswered for so long that anyone may propose.
    """
    return self._is_permissionless()


@external
@view
def domain() -> uint256:
    """
    @notice What every signed message and every batch is bound to.
    """
    return settlement._domain()


# ---------------------------------------------------------------- internal


@internal
@view
def _check_is_proposal(batch_number: uint256):
    if batch_number <= self.final_batch or batch_number > self.proposed_batch:
        errors._raise("Rollup: no such proposal")


@internal
@view
def _check_direct():
    # An account with delegated code (EIP-7702) may call itself, and from there call here with other data than its transaction's.
    if msg.sender != tx.origin or msg.sender.is_contract:
        errors._raise("Rollup: call directly, the data must lie in the transaction")


@internal
@view
def _proposed_at_s(batch_number: uint256) -> uint256:
    return self.batches[batch_number % SLOTS].cursor >> 192


@internal
@view
def _queue_answered() -> uint256:
    return (self.batches[self.final_batch % SLOTS].cursor >> 64) & MASK_64


@internal
@view
def _is_permissionless() -> bool:
    # Where a proof is required, an unproved proposal answers nothing yet: it could be void tomorrow.
    unanswered: uint256 = queue.queue_proposed
    if POLICY == PROOF_REQUIRED:
        unanswered = self._queue_answered()
    return queue._is_overdue(unanswered)


@internal
@payable
def _propose(effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256, at_once: bool) -> Header:
    if DATA == IN_BLOB:
        errors._raise("Rollup: the body must be a blob")
    if len(body) % 32 != 0 or len(body) > 32 * BODY_CELLS:
        errors._raise("Rollup: wrong body length")
    header: Header = self._begin(effects, CALLDATA_TAG, keccak256(body), data_commitment, at_once)
    # Horner, from the last word to the first.
    count: uint256 = len(body) // 32
    for i: uint256 in range(count, bound=MAX_BODY_CELLS):
        word: uint256 = extract32(body, 32 * (count - 1 - i), output_type=uint256)
        if word >= R:
            errors._raise("Rollup: body cell is not a field element")
        header.body_value = uint256_addmod(uint256_mulmod(header.body_value, header.challenge, R), word, R)
    if DATA == AT_COMMITTEE:
        parent: Batch = self.batches[self.proposed_batch % SLOTS]
        availability._check_snapshot(parent.header_hash, parent.state_root)
        availability.without_committee[self._append(effects, header)] = True
    else:
        self._append(effects, header)
    return header


@internal
@payable
def _propose_blob(effects: Bytes[32 * MAX_EFFECTS], data_commitment: uint256, opening: availability.Opening, at_once: bool) -> Header:
    if DATA != IN_BLOB:
        errors._raise("Rollup: no blobs here")
    versioned_hash: bytes32 = blobhash(0)
    if versioned_hash == empty(bytes32):
        errors._raise("Rollup: the transaction has no blob")
    header: Header = self._begin(effects, BLOB_TAG, versioned_hash, data_commitment, at_once)
    header.body_value = availability._blob_value(versioned_hash, header.challenge, opening) % R
    self._append(effects, header)
    return header


@internal
def _propose_certified(
    effects: Bytes[32 * MAX_EFFECTS], data_commitment: uint256, certificates: DynArray[signers.Signature, MAX_MEMBERS], at_once: bool
) -> Header:
    if DATA != AT_COMMITTEE:
        errors._raise("Rollup: no committee")
    header: Header = self._begin(effects, COMMITTEE_TAG, empty(bytes32), data_commitment, at_once)
    header_hash: bytes32 = self._append(effects, header)
    availability._check_certificates(self.proposed_batch, header_hash, certificates)
    return header


@internal
def _begin(effects: Bytes[32 * MAX_EFFECTS], tag: bytes32, body_hash: bytes32, data_commitment: uint256, at_once: bool) -> Header:
    """
    Who may propose, z, and the effects' value at z. `at_once`: a proof follows in the same call.
    """
    self._check_direct()
    if queue.frozen:
        errors._raise("Rollup: frozen")
    if msg.sender != SEQUENCER:
        if not self._is_permissionless():
            errors._raise("Rollup: only the sequencer proposes")
        if POLICY == PROOF_REQUIRED:
            if not at_once:
                errors._raise("Rollup: others than the sequencer must prove at once")
            # So that nobody keeps others out by proposing what he does not prove.
            if self.proposed_batch != self.final_batch:
                self._drop(self.final_batch + 1)
    settlement._check_length(effects)
    if data_commitment >= R:
        errors._raise("Rollup: data commitment is not a field element")
    batch_number: uint256 = self.proposed_batch + 1
    parent_header_hash: bytes32 = self.batches[(batch_number - 1) % SLOTS].header_hash
    digest: bytes32 = keccak256(
        abi_encode(tag, chain.id, self, VK_ID, batch_number, parent_header_hash, keccak256(effects), body_hash, data_commitment)
    )
    header: Header = Header(
        body_hash=body_hash, data_commitment=data_commitment, challenge=convert(digest, uint256) % R, effects_value=0, body_value=0
    )
    # Horner, from the last word to the first.
    count: uint256 = len(effects) // 32
    for i: uint256 in range(count, bound=MAX_EFFECTS):
        word: uint256 = extract32(effects, 32 * (count - 1 - i), output_type=uint256)
        if word >= R:
            errors._raise("Rollup: effects word is not a field element")
        header.effects_value = uint256_addmod(uint256_mulmod(header.effects_value, header.challenge, R), word, R)
    return header


@internal
@payable
def _append(effects: Bytes[32 * MAX_EFFECTS], header: Header) -> bytes32:
    """
    Checks the effects and appends the batch. Returns its header hash.
    """
    batch_number: uint256 = self.proposed_batch + 1
    if batch_number >= self.final_batch + SLOTS:
        errors._raise("Rollup: too many proposals")
    if msg.value != bonds.PROPOSER_BOND_WEI:
        errors._raise("Rollup: wrong proposer bond")
    parent: Batch = self.batches[(batch_number - 1) % SLOTS]
    proposal: Batch = Batch(
        header_hash=self._header_hash(parent.header_hash, batch_number, keccak256(effects), header),
        state_root=extract32(effects, 32 * 3, output_type=uint256),
        cursor=settlement._check(effects, batch_number, parent.state_root, parent.cursor),
    )
    self._check_age(batch_number, proposal.header_hash, extract32(effects, 128, output_type=uint256) >> 64)
    self.batches[batch_number % SLOTS] = proposal
    self.proposed_batch = batch_number
    queue_end: uint256 = (proposal.cursor >> 64) & MASK_64
    if queue_end != queue.queue_proposed:
        queue.queue_proposed = queue_end
    if POLICY == PROOF_WHEN_CHALLENGED:
        bonds._stake(batch_number)
    log BatchProposed(batch_number=batch_number, header_hash=proposal.header_hash, state_root=proposal.state_root)
    return proposal.header_hash


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
    voided: Batch = self.batches[batch_number % SLOTS]
    if voided.header_hash != header_hash:
        errors._raise("Rollup: risk table is too old")
    if block.timestamp * 1000 > time_ms + MAX_TABLE_AGE_MS + 2000 * PROVING_WINDOW_S:
        errors._raise("Rollup: risk table is too old")


@internal
def _prove(effects: Bytes[32 * MAX_EFFECTS], header: Header, proof: uint256[12], beneficiary: address):
    settlement._check_length(effects)
    batch_number: uint256 = extract32(effects, 32, output_type=uint256)
    oldest: uint256 = self.final_batch + 1
    if POLICY == PROOF_REQUIRED and batch_number > oldest:
        errors._raise("Rollup: not the oldest unproved proposal")
    header_hash: bytes32 = self._check_header(batch_number, effects, header)
    public_inputs: uint256[5] = [
        header.data_commitment, header.challenge, header.effects_value, header.body_value, convert(beneficiary, uint256)
    ]
    if not staticcall VERIFIER.verify(proof, public_inputs):
        errors._raise("Rollup: invalid proof")

    if POLICY == PROOF_WHEN_CHALLENGED:
        bonds._settle_proof(batch_number, beneficiary)
    if batch_number == oldest:
        self._finalise(batch_number, header_hash, effects, beneficiary)
    else:
        log BatchProven(batch_number=batch_number, header_hash=header_hash, beneficiary=beneficiary)


@internal
@view
def _check_header(batch_number: uint256, effects: Bytes[32 * MAX_EFFECTS], header: Header) -> bytes32:
    """
    The proposal's header hash, which effects and header must give.
    """
    self._check_is_proposal(batch_number)
    parent_header_hash: bytes32 = self.batches[(batch_number - 1) % SLOTS].header_hash
    header_hash: bytes32 = self.batches[batch_number % SLOTS].header_hash
    if self._header_hash(parent_header_hash, batch_number, keccak256(effects), header) != header_hash:
        errors._raise("Rollup: not what was proposed")
    return header_hash


@internal
def _finalise(batch_number: uint256, header_hash: bytes32, effects: Bytes[32 * MAX_EFFECTS], beneficiary: address):
    """
    The oldest proposal's root becomes current; its withdrawals are credited, forced ones included.
    """
    self.final_batch = batch_number
    if POLICY == PROOF_WHEN_CHALLENGED:
        bonds._settle_finality(batch_number)
    log BatchFinalised(
        batch_number=batch_number,
        header_hash=header_hash,
        state_root=extract32(effects, 32 * 3, output_type=uint256),
        beneficiary=beneficiary,
    )
    settlement._pay(effects, VAULT)


@internal
def _drop(first: uint256):
    """
    Proposals from `first` on stand no longer; the queue pointer is their parent's.
    """
    log BatchesVoided(first=first, last=self.proposed_batch)
    self.proposed_batch = first - 1
    queue.queue_proposed = (self.batches[(first - 1) % SLOTS].cursor >> 64) & MASK_64


@internal
@view
def _header_hash(parent_header_hash: bytes32, batch_number: uint256, effects_hash: bytes32, header: Header) -> bytes32:
    # Nobody but the prover knows the value of a body that only the committee has: C fixes it.
    body_value: uint256 = header.body_value if header.body_hash != empty(bytes32) else 0
    return keccak256(
        abi_encode(
            parent_header_hash,
            batch_number,
            effects_hash,
            header.body_hash,
            header.data_commitment,
            header.challenge,
            header.effects_value,
            body_value,
        )
    )
