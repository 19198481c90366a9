# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Points of the trading keys' curve
@license Apache-2.0
@notice -x^2 + y^2 = 1 + D x^2 y^2 over the scalar field of BN254, as in gnark-crypto's ecc/bn254/twistededwards. Cofactor 8, identity (0, 1).
@dev -1 is a square and D is not one, so the formulas below hold for every point of the curve.
"""

R: constant(uint256) = 21888242871839275222246405745257275088548364400416034343698204186575808495617
D: constant(uint256) = 12181644023421730124874158521699555681764249180949974110617291017600649128846


@internal
@pure
def _is_on_curve(point: uint256[2]) -> bool:
    """
    Whether the affine point lies on the curve, with canonical coordinates.
    """
    if point[0] >= R or point[1] >= R:
        return False
    xx: uint256 = uint256_mulmod(point[0], point[0], R)
    yy: uint256 = uint256_mulmod(point[1], point[1], R)
    right: uint256 = uint256_addmod(1, uint256_mulmod(D, uint256_mulmod(xx, yy, R), R), R)
    return uint256_addmod(yy, R - xx, R) == right


@internal
@pure
def _is_eight_times(point: uint256[2], base: uint256[2]) -> bool:
    """
    Whether point = 8 base: three doublings in projective coordinates (X : Y : Z), then a comparison without division.
    `base` must be on the curve and `point` canonical. If it holds, `point` is on the curve and in the prime-order subgroup.
    """
    x: uint256 = base[0]
    y: uint256 = base[1]
    z: uint256 = 1
    for i: uint256 in range(3):
        # dbl-2008-bbjlp (Bernstein, Birkner, Joye, Lange, Peters: Twisted Edwards curves), a = -1
        b: uint256 = uint256_addmod(x, y, R)
        b = uint256_mulmod(b, b, R)
        c: uint256 = uint256_mulmod(x, x, R)
        d: uint256 = uint256_mulmod(y, y, R)
        f: uint256 = uint256_addmod(d, R - c, R)
        h: uint256 = uint256_mulmod(z, z, R)
        j: uint256 = uint256_addmod(f, R - uint256_addmod(h, h, R), R)
        x = uint256_mulmod(uint256_addmod(b, R - uint256_addmod(c, d, R), R), j, R)
        y = uint256_mulmod(f, uint256_addmod(R - c, R - d, R), R)
        z = uint256_mulmod(f, j, R)
    return z != 0 and uint256_mulmod(point[0], z, R) == x and uint256_mulmod(point[1], z, R) == y
