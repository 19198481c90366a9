# pragma version 0.4.3
# pragma evm-version cancun
"""
@title A verifier for tests of the contracts around it
@dev "Proves" by repeating the hash of the public inputs: proofs exist for everything, and none fits another statement.
"""


@external
@view
def vk_id() -> bytes32:
    return keccak256("mock")


@external
@view
def verify(proof: uint256[12], public_inputs: uint256[5]) -> bool:
    return convert(proof[0], bytes32) == keccak256(abi_encode(public_inputs))
