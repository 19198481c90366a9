# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Bonds
@license Apache-2.0
@notice Part of Rollup: all its wei. The stakes of those who propose and challenge batches that need a proof only when challenged, and the request fees.
@dev balance = request fees not collected + reserved_wei, and reserved_wei = bonds held + sum of wei_owed, to the wei (wei sent here otherwise counts as fees).
     Which batches stand, and when, is Rollup's business: it calls each function below once for each event in a batch's life.
"""

from modules import errors

event BatchChallenged:
    batch_number: indexed(uint256)
    header_hash: indexed(bytes32)
    challenger: indexed(address)
    due_s: uint256

event WeiCollected:
    owner: indexed(address)
    amount_wei: uint256

event FeesCollected:
    amount_wei: uint256

struct Stake:
    proposer: address
    challenger: address
    due_s: uint256
    proven: bool

# proposer(160) | proven(1) and challenger(160) | due_s(64): two slots instead of four.
struct PackedStake:
    proposer: uint256
    challenger: uint256

STAKE_SLOTS: constant(uint256) = 4096
ADDRESS_MASK: constant(uint256) = 2**160 - 1
PROVEN: constant(uint256) = 2**160
# Nobody has its key: what is owed to it is burnt, and still counted.
BURNT: constant(address) = 0x000000000000000000000000000000000000dEaD
# What a prover needs for one batch, however few are challenged.
ANSWER_TIME_S: constant(uint256) = 24 * 60 * 60
# What a proof costs: the gas of `prove` with some room, at the block's base fee, and a fixed part for making it, minutes of a few cores.
# The challenger pays this and no more, and has the rest back with the proof: a proposer that hides why its valid batches hold would otherwise empty the
# watchers' wallets before it proposes a false one.
PROOF_GAS: constant(uint256) = 400_000
PROOF_WORK_WEI: constant(uint256) = 5 * 10**14
# What challenges may add to it. Without a bound, whoever proposes and challenges 4,095 batches of his own puts the end of a false one off for months.
MAX_ALLOWANCE_S: constant(uint256) = 14 * 24 * 60 * 60

FEES_TO: immutable(address)
PROPOSER_BOND_WEI: public(immutable(uint256))
CHALLENGER_BOND_WEI: public(immutable(uint256))
PROVING_ALLOWANCE_S: public(immutable(uint256))

# Batch n in slot n % 4096. Written whole by `_stake`; what an older batch left there is never read.
stakes: PackedStake[STAKE_SLOTS]
# Whose proof answered the challenge of the batch in the same slot, and what it is worth: beneficiary(160) | reward in wei(96). Written with every such proof.
answers: uint256[STAKE_SLOTS]
# Challenges without a proof, of batches that stand.
open_challenges: public(uint256)
reserved_wei: public(uint256)
wei_owed: public(HashMap[address, uint256])


@deploy
def __init__(fees_to: address, proposer_bond_wei: uint256, challenger_bond_wei: uint256, proving_allowance_s: uint256):
    """
    @param fees_to Gets the request fees.
    """
    FEES_TO = fees_to
    PROPOSER_BOND_WEI = proposer_bond_wei
    CHALLENGER_BOND_WEI = challenger_bond_wei
    PROVING_ALLOWANCE_S = proving_allowance_s


@external
def collect_wei():
    """
    @notice Pays what is owed to the caller.
    """
    amount: uint256 = self.wei_owed[msg.sender]
    if amount == 0:
        errors._raise("Rollup: no wei owed")
    self.wei_owed[msg.sender] = 0
    self.reserved_wei -= amount
    log WeiCollected(owner=msg.sender, amount_wei=amount)
    raw_call(msg.sender, b"", value=amount)


@external
def collect_fees():
    """
    @notice Pays the collected fees to the sequencer. Separate from the requests, which must not depend on the sequencer accepting them.
    """
    amount: uint256 = self.balance - self.reserved_wei
    log FeesCollected(amount_wei=amount)
    raw_call(FEES_TO, b"", value=amount)


@internal
@payable
def _stake(batch_number: uint256):
    """
    A batch is proposed.
    """
    self.reserved_wei += msg.value
    self.stakes[batch_number % STAKE_SLOTS] = PackedStake(proposer=convert(msg.sender, uint256), challenger=0)


@internal
@payable
def _challenge(batch_number: uint256, header_hash: bytes32):
    stake: Stake = self._stake_of(batch_number)
    if msg.value != CHALLENGER_BOND_WEI:
        errors._raise("Rollup: wrong challenger bond")
    if stake.proven:
        errors._raise("Rollup: batch is proven")
    if stake.challenger != empty(address):
        errors._raise("Rollup: batch already challenged")
    self.reserved_wei += msg.value
    challenges: uint256 = self.open_challenges + 1
    self.open_challenges = challenges
    # Whoever challenges everything at once gets each answer later, and no batch undone for want of time.
    due_s: uint256 = block.timestamp + ANSWER_TIME_S + min(challenges * PROVING_ALLOWANCE_S, MAX_ALLOWANCE_S)
    self.stakes[batch_number % STAKE_SLOTS].challenger = convert(msg.sender, uint256) | (due_s << 160)
    log BatchChallenged(batch_number=batch_number, header_hash=header_hash, challenger=msg.sender, due_s=due_s)


@internal
def _settle_proof(batch_number: uint256, beneficiary: address):
    """
    A batch is proven: an open challenge pays for the proof, and has what that leaves of its bond.
    """
    stake: Stake = self._stake_of(batch_number)
    if stake.proven:
        errors._raise("Rollup: batch is proven")
    self.stakes[batch_number % STAKE_SLOTS].proposer = convert(stake.proposer, uint256) | PROVEN
    if stake.challenger != empty(address):
        self.open_challenges -= 1
        # A base fee that overflows this would long have stopped every transaction.
        reward: uint256 = min(CHALLENGER_BOND_WEI, unsafe_add(unsafe_mul(PROOF_GAS, block.basefee), PROOF_WORK_WEI))
        self.answers[batch_number % STAKE_SLOTS] = convert(beneficiary, uint256) | (reward << 160)
        self.wei_owed[stake.challenger] += unsafe_sub(CHALLENGER_BOND_WEI, reward)


@internal
def _settle_finality(batch_number: uint256):
    """
    A batch is final: its proposer has his bond back, and who answered its challenge the reward.
    """
    stake: Stake = self._stake_of(batch_number)
    self.wei_owed[stake.proposer] += PROPOSER_BOND_WEI
    if stake.challenger != empty(address):
        answer: uint256 = self.answers[batch_number % STAKE_SLOTS]
        self.wei_owed[convert(convert(answer & ADDRESS_MASK, uint160), address)] += answer >> 160


@internal
def _settle_void(batch_number: uint256, fraudulent: bool):
    """
    A batch is void: `fraudulent`, for want of an answer, then its challenger has its own bond and half of the proposer's; or with its ancestor, then everybody
    has his own back. The other half is lost: who challenges his own false batches would otherwise hold everybody up for nothing.
    """
    stake: Stake = self._stake_of(batch_number)
    if fraudulent:
        burnt: uint256 = PROPOSER_BOND_WEI // 2
        self.wei_owed[BURNT] += burnt
        self.wei_owed[stake.challenger] += PROPOSER_BOND_WEI - burnt
    else:
        self.wei_owed[stake.proposer] += PROPOSER_BOND_WEI
    if stake.challenger != empty(address):
        held: uint256 = CHALLENGER_BOND_WEI
        if stake.proven:
            held = self.answers[batch_number % STAKE_SLOTS] >> 160
        else:
            self.open_challenges -= 1
        self.wei_owed[stake.challenger] += held


@internal
@view
def _is_unanswered(batch_number: uint256) -> bool:
    """
    Whether the batch was challenged and its proof is overdue.
    """
    stake: Stake = self._stake_of(batch_number)
    return stake.challenger != empty(address) and not stake.proven and block.timestamp > stake.due_s


@internal
@view
def _stake_of(batch_number: uint256) -> Stake:
    packed: PackedStake = self.stakes[batch_number % STAKE_SLOTS]
    return Stake(
        proposer=convert(convert(packed.proposer & ADDRESS_MASK, uint160), address),
        challenger=convert(convert(packed.challenger & ADDRESS_MASK, uint160), address),
        due_s=packed.challenger >> 160,
        proven=packed.proposer & PROVEN != 0,
    )
