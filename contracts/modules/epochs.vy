# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Epochs
@license Apache-2.0
@notice Part of Rollup: the risk tables that enough oracles signed. docs/protocol/risk.md specifies what they sign.
"""

event EpochSubmitted:
    epoch: indexed(uint256)
    time_ms: uint256
    risk_root: uint256
    inputs_hash: bytes32

struct Signature:
    v: uint256
    r: uint256
    s: uint256

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
# Half the order of secp256k1: a signature with a larger s is the malleated twin of one with a smaller s.
HALF_SECP256K1_N: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
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
def submit_epoch(epoch: uint256, time_ms: uint256, risk_root: uint256, inputs: Bytes[MAX_INPUTS_BYTES], signatures: DynArray[Signature, MAX_ORACLES]):
    """
    @notice Records a risk table that the oracles signed. Anyone may; must be called directly, so that `inputs` are found in the transaction's calldata.
    @param signatures At least `THRESHOLD`, ascending by signer.
    @dev Each epoch is recorded once, in any order: recording a later one early must not lock the ones before it out. Proposals enforce the order.
    """
    # An account with delegated code (EIP-7702) may call itself, and from there call here with other data than its transaction's.
    assert msg.sender == tx.origin and not msg.sender.is_contract, "Rollup: call directly, the data must lie in the transaction"
    assert epoch > 0 and epoch <= MAX_EPOCH, "Rollup: epoch must be 1 to 2^64 - 1"
    assert self.epoch_hashes[epoch] == empty(bytes32), "Rollup: epoch already recorded"
    assert risk_root < R, "Rollup: risk root is not a field element"
    assert time_ms <= block.timestamp * 1000, "Rollup: table time is in the future"
    assert len(signatures) >= THRESHOLD, "Rollup: too few signatures"

    inputs_hash: bytes32 = keccak256(inputs)
    digest: bytes32 = keccak256(abi_encode(EPOCH_TAG, chain.id, self, epoch, time_ms, PARAMS_HASH, risk_root, inputs_hash))
    last: address = empty(address)
    for signature: Signature in signatures:
        assert signature.s <= HALF_SECP256K1_N, "Rollup: signature is malleated"
        signer: address = ecrecover(digest, signature.v, signature.r, signature.s)
        # Rejects the zero address too, which a failed recovery returns.
        assert convert(signer, uint160) > convert(last, uint160), "Rollup: signers must be valid and ascend strictly"
        assert self.is_oracle[signer], "Rollup: signer is not an oracle"
        last = signer
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
