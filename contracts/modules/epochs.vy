# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Epochs
@license Apache-2.0
@notice Part of Rollup: the risk tables that enough oracles signed. docs/protocol/risk.md specifies what they sign.
"""

from modules import errors
from modules import signers

event EpochSubmitted:
    epoch: indexed(uint256)
    time_ms: uint256
    risk_root: uint256
    inputs_hash: bytes32

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
EPOCH_TAG: constant(bytes32) = 0x7374726164646c652e65706f6368000000000000000000000000000000000000  # "straddle.epoch"
MAX_EPOCH: constant(uint256) = 2**64 - 1
MAX_ORACLES: constant(uint256) = 16
MAX_INPUTS_BYTES: constant(uint256) = 32768

THRESHOLD: public(immutable(uint256))
ORACLE_COUNT: public(immutable(uint256))
PARAMS_HASH: public(immutable(uint256))

is_oracle: public(HashMap[address, bool])
epoch_hashes: public(HashMap[uint256, bytes32])


@deploy
def __init__(oracles: DynArray[address, MAX_ORACLES], threshold: uint256, params_hash: uint256):
    """
    @param oracles Ascending strictly.
    """
    assert threshold > 0 and threshold <= len(oracles), "Rollup: threshold must be 1 to the number of oracles"
    assert params_hash > 0 and params_hash < R, "Rollup: params hash is not a field element above 0"
    THRESHOLD = threshold
    ORACLE_COUNT = len(oracles)
    PARAMS_HASH = params_hash
    last: address = empty(address)
    for oracle: address in oracles:
        assert convert(oracle, uint160) > convert(last, uint160), "Rollup: oracles must ascend strictly and not be zero"
        self.is_oracle[oracle] = True
        last = oracle


@external
def submit_epoch(epoch: uint256, time_ms: uint256, risk_root: uint256, inputs: Bytes[MAX_INPUTS_BYTES], signatures: DynArray[signers.Signature, MAX_ORACLES]):
    """
    @notice Records a risk table that the oracles signed. Anyone may; must be called directly, so that `inputs` are found in the transaction's calldata.
    @param signatures At least `THRESHOLD`, ascending by signer.
    @dev Each epoch is recorded once, in any order: recording a later one early must not lock the ones before it out. Proposals enforce the order.
    """
    # An account with delegated code (EIP-7702) may call itself, and from there call here with other data than its transaction's.
    if msg.sender != tx.origin or msg.sender.is_contract:
        errors._raise("Rollup: call directly, the data must lie in the transaction")
    if epoch == 0 or epoch > MAX_EPOCH:
        errors._raise("Rollup: epoch must be 1 to 2^64 - 1")
    if self.epoch_hashes[epoch] != empty(bytes32):
        errors._raise("Rollup: epoch already recorded")
    if risk_root >= R:
        errors._raise("Rollup: risk root is not a field element")
    if time_ms > block.timestamp * 1000:
        errors._raise("Rollup: table time is in the future")
    if len(signatures) < THRESHOLD:
        errors._raise("Rollup: too few signatures")

    inputs_hash: bytes32 = keccak256(inputs)
    digest: bytes32 = keccak256(abi_encode(EPOCH_TAG, chain.id, self, epoch, time_ms, PARAMS_HASH, risk_root, inputs_hash))
    last: address = empty(address)
    for signature: signers.Signature in signatures:
        last = signers._next_signer(digest, signature, last)
        if not self.is_oracle[last]:
            errors._raise("Rollup: signer is not an oracle")
    self.epoch_hashes[epoch] = self._hash(time_ms, risk_root)
    log EpochSubmitted(epoch=epoch, time_ms=time_ms, risk_root=risk_root, inputs_hash=inputs_hash)


@internal
@view
def _is_recorded(epoch: uint256, time_ms: uint256, risk_root: uint256) -> bool:
    """
    Whether this table was recorded for the epoch. An epoch without a record has hash 0, which nothing hashes to.
    """
    return self.epoch_hashes[epoch] == self._hash(time_ms, risk_root)


@internal
@pure
def _hash(time_ms: uint256, risk_root: uint256) -> bytes32:
    return keccak256(abi_encode(time_ms, risk_root))
