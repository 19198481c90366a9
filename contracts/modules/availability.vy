# pragma version 0.4.3
# pragma evm-version cancun
# pragma nonreentrancy on
"""
@title Availability
@license Apache-2.0
@notice Part of Rollup: bodies that are not calldata. docs/protocol/policies.md specifies where they lie and what is checked of them.
"""

from interfaces import ICommittee
from modules import errors
from modules import signers

# What shows that the commitment of the transaction's blob 0, as a polynomial, has `value` at z.
struct Opening:
    commitment: Bytes[48]
    proof: Bytes[48]
    value: uint256

MAX_MEMBERS: constant(uint256) = 16
CERTIFICATE_TAG: constant(bytes32) = 0x7374726164646c652e6365727469666963617465000000000000000000000000  # "straddle.certificate"
POINT_EVALUATION: constant(address) = 0x000000000000000000000000000000000000000A
# What the precompile returns for a right opening: field elements a blob, and the order of the field.
FIELD_ELEMENTS: constant(uint256) = 4096
BLS_MODULUS: constant(uint256) = 52435875175126190479447740508185965837690552500527637822603658699938581184513

COMMITTEE: public(immutable(address))

# header hash -> whether the batch was proposed in calldata because its committee was away
without_committee: HashMap[bytes32, bool]


@deploy
def __init__(committee: address):
    COMMITTEE = committee


@internal
@view
def _blob_value(versioned_hash: bytes32, z: uint256, opening: Opening) -> uint256:
    """
    The value at z of the polynomial in the blob, below the order of BLS12-381's scalar field.
    """
    # With too little gas left for it the precompile fails like with a wrong opening: nothing passes.
    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        POINT_EVALUATION,
        concat(versioned_hash, convert(z, bytes32), convert(opening.value, bytes32), opening.commitment, opening.proof),
        max_outsize=64,
        is_static_call=True,
        revert_on_failure=False,
    )
    # The answer as well: where the precompile is missing, the call of an empty account succeeds.
    if not success or answer != abi_encode(FIELD_ELEMENTS, BLS_MODULUS):
        errors._raise("Rollup: the blob does not have this value")
    return opening.value


@internal
@view
def _check_certificates(batch_number: uint256, header_hash: bytes32, certificates: DynArray[signers.Signature, MAX_MEMBERS]):
    digest: bytes32 = keccak256(abi_encode(CERTIFICATE_TAG, chain.id, self, batch_number, header_hash))
    if not staticcall ICommittee(COMMITTEE).check(digest, certificates):
        errors._raise("Rollup: not certified")


@internal
@view
def _check_snapshot(parent_header_hash: bytes32, parent_root: uint256):
    """
    A body in calldata rebuilds the state from its parent's, so that must be on layer 1: as the proposer's snapshot, or by the parent's own calldata.
    """
    if not self.without_committee[parent_header_hash]:
        if not staticcall ICommittee(COMMITTEE).has_snapshot(msg.sender, parent_root):
            errors._raise("Rollup: the caller has posted no snapshot of the parent's state")
