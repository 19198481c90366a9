# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Signatures of several
@license Apache-2.0
@notice What oracles and committee members sign with: Ethereum keys, each signer once.
"""

from modules import errors

struct Signature:
    v: uint256
    r: uint256
    s: uint256

# Half the order of secp256k1: a signature with a larger s is the malleated twin of one with a smaller s.
HALF_SECP256K1_N: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168


@internal
@view
def _next_signer(digest: bytes32, signature: Signature, last: address) -> address:
    """
    Signer of the digest, who must come after the last one.
    """
    if signature.s > HALF_SECP256K1_N:
        errors._raise("Signers: signature is malleated")
    signer: address = ecrecover(digest, signature.v, signature.r, signature.s)
    # Rejects the zero address too, which a failed recovery returns.
    if convert(signer, uint160) <= convert(last, uint160):
        errors._raise("Signers: signers must be valid and ascend strictly")
    return signer
