# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Groth16 verifier
@license Apache-2.0
@notice Verifies gnark's Groth16 proofs over BN254 with five public inputs and one commitment (Pedersen, with its proof of knowledge).
@dev
Notation: e is the pairing, groups are written additively, targets multiplicatively. gnark's verifier wants two equations,

    G := e(-A, B) e(alpha, beta) e(X, gamma) e(C, delta) = 1
    Q := e(commitment, -sigma g) e(pok, g)               = 1

with X = K_0 + sum public_i K_(i+1) + h K_6 + commitment and h = keccak256(commitment) mod r (no public input is committed, so nothing else enters h).

Folding. Both are checked as one product, G Q^rho = 1, with rho = keccak256(vk_id, proof, public inputs) mod r. This is sound:
 1. G and Q lie in the target group of prime order r. The precompile refuses points off the curve and G2 points outside the subgroup, G1 has cofactor 1,
    and the key's points were checked at deployment.
 2. G and Q are functions of (key, proof, public inputs), every word of which is an input of the hash; so they are fixed before rho is known.
 3. For fixed (G, Q) != (1, 1): if Q = 1 the product is G, which is not 1; if Q != 1, Q generates the group, so exactly one rho mod r satisfies
    G Q^rho = 1. rho is keccak's output mod r: the bias is below 6/2^256 a value, so each hash query succeeds with probability below 2^-253.
    There is no birthday effect: each query has its own, single target. Forging by the folding alone takes about 2^253 queries, far above the curve's security.
 4. Non-canonical encodings do not help: coordinates >= p are refused by the precompile or here, public inputs >= r here. Proofs stay malleable as Groth16
    proofs are ((A, B) -> (k A, B / k)): nothing may treat a proof's bytes as unique.
rho multiplies the two points of Q rather than the four of G: two scalar multiplications instead of four, and 45,000 gas of a second pairing call saved.

Precompiles. Vyper's ecadd and ecmul revert when the precompile fails, and the pairing's success flag, length and value are all checked, so a call that is
starved of gas ends in a revert or in False.
"""

from interfaces import IVerifier

implements: IVerifier

# Order of the curve's groups, and of its base field.
R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
P: constant(uint256) = 21888242871839275222246405745257275088696311157297823662689037894645226208583
PAIRING: constant(address) = 0x0000000000000000000000000000000000000008

# G2 coordinates are in the precompile's order: x imaginary, x real, y imaginary, y real.
ALPHA: immutable(uint256[2])
BETA: immutable(uint256[4])
GAMMA: immutable(uint256[4])
DELTA: immutable(uint256[4])
K: immutable(uint256[2][7])
PEDERSEN_G: immutable(uint256[4])
PEDERSEN_G_SIGMA_NEG: immutable(uint256[4])
VK_ID: immutable(bytes32)


@deploy
def __init__(
    alpha: uint256[2],
    beta: uint256[4],
    gamma: uint256[4],
    delta: uint256[4],
    k: uint256[2][7],
    pedersen_g: uint256[4],
    pedersen_g_sigma_neg: uint256[4],
):
    """
    @param k Points of the constant, the five public inputs, the commitment, in this order.
    """
    # With gamma = +-delta, X and C trade places; with beta = +-gamma or beta = +-delta, A absorbs X or C: anyone forges. A set-up that forgot its second
    # phase ends like this. A point and its negative share x.
    assert not self._same_x(gamma, delta), "Groth16Verifier: gamma equals delta up to sign"
    assert not self._same_x(beta, gamma), "Groth16Verifier: beta equals gamma up to sign"
    assert not self._same_x(beta, delta), "Groth16Verifier: beta equals delta up to sign"
    # sigma = +-1 is known to everybody, and with it the proof of knowledge proves nothing.
    assert not self._same_x(pedersen_g, pedersen_g_sigma_neg), "Groth16Verifier: sigma is 1 up to sign"

    assert self._is_g1(alpha), "Groth16Verifier: alpha is not a point of G1"
    for point: uint256[2] in k:
        assert self._is_g1(point), "Groth16Verifier: a K point is not a point of G1"
    assert self._are_g2([beta, gamma, delta, pedersen_g, pedersen_g_sigma_neg]), "Groth16Verifier: a point is not a point of G2"

    ALPHA = alpha
    BETA = beta
    GAMMA = gamma
    DELTA = delta
    K = k
    PEDERSEN_G = pedersen_g
    PEDERSEN_G_SIGMA_NEG = pedersen_g_sigma_neg
    VK_ID = keccak256(abi_encode(alpha, beta, gamma, delta, k, pedersen_g, pedersen_g_sigma_neg))


@external
@view
def vk_id() -> bytes32:
    """
    @notice keccak256 of the key's 36 words in the constructor's order.
    """
    return VK_ID


@external
@view
def verify(proof: uint256[12], public_inputs: uint256[5]) -> bool:
    """
    @param proof A (2 words), B (4), C (2), commitment (2), proof of knowledge (2).
    @param public_inputs Each must be below r: x + r is refused.
    @return Whether the proof is valid. Without enough gas: reverts or False.
    """
    for value: uint256 in public_inputs:
        if value >= R:
            return False
    commitment: uint256[2] = [proof[8], proof[9]]
    proof_of_knowledge: uint256[2] = [proof[10], proof[11]]
    # ecmul would revert on a point off the curve; a caller deserves an answer. Infinity is refused too: an honest commitment is never there.
    if proof[1] >= P or not self._is_g1(commitment) or not self._is_g1(proof_of_knowledge):
        return False

    h: uint256 = convert(keccak256(abi_encode(commitment)), uint256) % R
    x: uint256[2] = ecadd(K[0], commitment)
    for i: uint256 in range(5):
        x = ecadd(x, ecmul(K[i + 1], public_inputs[i]))
    x = ecadd(x, ecmul(K[6], h))

    rho: uint256 = convert(keccak256(abi_encode(VK_ID, proof, public_inputs)), uint256) % R
    commitment_rho: uint256[2] = ecmul(commitment, rho)
    proof_of_knowledge_rho: uint256[2] = ecmul(proof_of_knowledge, rho)
    minus_a_y: uint256 = (P - proof[1]) % P
    b: uint256[4] = [proof[2], proof[3], proof[4], proof[5]]

    ok: bool = False
    answer: Bytes[32] = b""
    ok, answer = raw_call(
        PAIRING,
        abi_encode(
            proof[0], minus_a_y, b,
            ALPHA, BETA,
            x, GAMMA,
            proof[6], proof[7], DELTA,
            commitment_rho, PEDERSEN_G_SIGMA_NEG,
            proof_of_knowledge_rho, PEDERSEN_G,
        ),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return ok and len(answer) == 32 and convert(answer, uint256) == 1


@internal
@pure
def _same_x(p: uint256[4], q: uint256[4]) -> bool:
    return p[0] == q[0] and p[1] == q[1]


@internal
@pure
def _is_g1(point: uint256[2]) -> bool:
    """
    On the curve y^2 = x^3 + 3 with canonical coordinates; infinity, encoded as (0, 0), is not. G1 is the whole curve.
    """
    x: uint256 = point[0]
    y: uint256 = point[1]
    if x >= P or y >= P:
        return False
    return uint256_mulmod(y, y, P) == uint256_addmod(uint256_mulmod(uint256_mulmod(x, x, P), x, P), 3, P)


@internal
@view
def _are_g2(points: uint256[4][5]) -> bool:
    """
    The pairing precompile fails on a G2 point off the twist or outside the subgroup. It accepts infinity, which is excluded here.
    """
    for point: uint256[4] in points:
        if point[0] == 0 and point[1] == 0 and point[2] == 0 and point[3] == 0:
            return False
    generator: uint256[2] = [1, 2]
    ok: bool = False
    answer: Bytes[32] = b""
    ok, answer = raw_call(
        PAIRING,
        abi_encode(generator, points[0], generator, points[1], generator, points[2], generator, points[3], generator, points[4]),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    return ok and len(answer) == 32
