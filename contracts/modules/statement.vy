# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Statement
@license Apache-2.0
@notice Part of Exits and Solvency: what docs/protocol/solvency.md proves of a chunk of accounts, at a state root and on a risk table.
@dev Whoever uses it compares the two roots; domain, size of the chunk and form are checked here.
"""

from interfaces import IRollupState
from interfaces import IVerifier

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
CHALLENGE_TAG: constant(bytes32) = keccak256("straddle.z.solvency")

# Bounds of every loop and list.
MAX_CHUNK_EXPONENT: constant(uint256) = 8
MAX_EFFECTS: constant(uint256) = ACCOUNT_WORD + 2**MAX_CHUNK_EXPONENT
MAX_BODY_CELLS: constant(uint256) = 256

# Places in the effects.
STATE_ROOT_WORD: constant(uint256) = 1
RISK_ROOT_WORD: constant(uint256) = 2
CHUNK_WORD: constant(uint256) = 3
ACCOUNT_WORD: constant(uint256) = 7

ROLLUP: public(immutable(IRollupState))
VERIFIER: public(immutable(IVerifier))
VK_ID: public(immutable(bytes32))
DOMAIN: immutable(uint256)
CHUNK_EXPONENT: public(immutable(uint256))
BODY_CELLS: public(immutable(uint256))


@deploy
def __init__(rollup: IRollupState, verifier: IVerifier, chunk_exponent: uint256, body_cells: uint256):
    """
    @param chunk_exponent A chunk has 2^chunk_exponent accounts: that of the verifier's circuit.
    @param body_cells Cells of the net positions: that of the verifier's circuit.
    """
    assert rollup.address.is_contract, "Statement: rollup is not a contract"
    assert verifier.address.is_contract, "Statement: verifier is not a contract"
    assert chunk_exponent <= MAX_CHUNK_EXPONENT, "Statement: chunk exponent must be 0 to 8"
    assert body_cells > 0 and body_cells <= MAX_BODY_CELLS, "Statement: body cells must be 1 to 256"
    ROLLUP = rollup
    VERIFIER = verifier
    VK_ID = staticcall verifier.vk_id()
    DOMAIN = staticcall rollup.domain()
    CHUNK_EXPONENT = chunk_exponent
    BODY_CELLS = body_cells


@internal
@view
def _check(
    effects: Bytes[32 * MAX_EFFECTS], body: Bytes[32 * MAX_BODY_CELLS], data_commitment: uint256, proof: uint256[12], beneficiary: address
) -> uint256:
    """
    The proof is one of this rollup's statement with these effects and this body (trailing zero cells may be left out). Returns the chunk.
    """
    assert len(effects) == 32 * (ACCOUNT_WORD + (1 << CHUNK_EXPONENT)), "Statement: wrong effects length"
    assert len(body) % 32 == 0 and len(body) <= 32 * BODY_CELLS, "Statement: wrong body length"
    assert data_commitment < R, "Statement: data commitment is not a field element"
    assert extract32(effects, 0, output_type=uint256) == DOMAIN, "Statement: wrong domain"
    chunk: uint256 = extract32(effects, 32 * CHUNK_WORD, output_type=uint256)
    assert chunk >> 24 == CHUNK_EXPONENT, "Statement: wrong chunk size"
    chunk &= 2**24 - 1
    # The circuit opens the chunk in the tree; a place beyond it must not exist here either.
    assert chunk << CHUNK_EXPONENT < staticcall ROLLUP.ACCOUNT_LIMIT(), "Statement: chunk is outside the tree"

    challenge: uint256 = convert(
        keccak256(abi_encode(CHALLENGE_TAG, chain.id, ROLLUP, VK_ID, keccak256(effects), keccak256(body), data_commitment)), uint256
    ) % R
    # Horner, from the last word to the first.
    effects_value: uint256 = 0
    count: uint256 = len(effects) // 32
    for i: uint256 in range(count, bound=MAX_EFFECTS):
        word: uint256 = extract32(effects, 32 * (count - 1 - i), output_type=uint256)
        assert word < R, "Statement: effects word is not a field element"
        effects_value = uint256_addmod(uint256_mulmod(effects_value, challenge, R), word, R)
    body_value: uint256 = 0
    count = len(body) // 32
    for i: uint256 in range(count, bound=MAX_BODY_CELLS):
        word: uint256 = extract32(body, 32 * (count - 1 - i), output_type=uint256)
        assert word < R, "Statement: body cell is not a field element"
        body_value = uint256_addmod(uint256_mulmod(body_value, challenge, R), word, R)
    public_inputs: uint256[5] = [data_commitment, challenge, effects_value, body_value, convert(beneficiary, uint256)]
    assert staticcall VERIFIER.verify(proof, public_inputs), "Statement: invalid proof"
    return chunk


@internal
@view
def _is_recorded(epoch: uint256, time_ms: uint256, risk_root: uint256) -> bool:
    """
    Whether the oracles signed this table for the epoch.
    """
    return staticcall ROLLUP.epoch_hashes(epoch) == keccak256(abi_encode(time_ms, risk_root))


@internal
@view
def _final_epoch() -> uint256:
    """
    Epoch of the table of the newest final batch; 0 before the first.
    """
    return (staticcall ROLLUP.batch(staticcall ROLLUP.final_batch())).cursor >> 128 & (2**64 - 1)
