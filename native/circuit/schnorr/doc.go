// Package schnorr verifies the Schnorr signatures of docs/protocol/hashing.md inside a circuit, at about 1,400 constraints each, hash included.
//
// # What is proved
//
// For every call Verify(A, M, m, (R, s)), given that M = 2^64 A and that A is in the prime subgroup and not the identity:
//
//  1. R, A and M are on the curve and have x != 0: none is the identity, of order two, or the unset key (0, 0).
//  2. h = sponge("straddle.signature", [R, A, m]), and h = sum d_j 16^j + 2^128 high with 0 <= high < floor(r / 2^128): with the digits in 0..15 by
//     point 4 the right side is below r, so the split is the only one. Honest hashes with high = floor(r / 2^128), one in 2^126, cannot be proved.
//  3. The points 1P..16P of P = A and P = M are computed from P; the tables (k + 1) 64^j G are constants.
//  4. Each digit and its point stand together in the table meant for them. One log-derivative argument covers all tables. A row folds to
//     index + (u + y)(v + y^2) + table y^3: as a polynomial in y its coefficients are u v + index, v, u and table + 1, which determine the row.
//     The table is a constant of the circuit and no digit is ever added to it, so a digit cannot reach another table; and as a table holds each index
//     of 0..15 (0..63) once and no other, this is the digits' range check. The sum of multiplicities is not checked because it need not be.
//  5. 2^64 T + sum of the points of s = 2^64 T + R + sum of the points of c, as points of the whole curve, that is s G = R + c A without cofactor.
//
// AssertMultiple(A, M) proves M = 2^64 A for A on the curve, and M = (0, 0) for the unset key (0, 0).
//
// # One commitment
//
// R, A, M, m, h, the digits of c and of s, every queried point, every table point and every multiplicity are bound before any challenge exists. After
// it come the offset T = H + t G (challenge "schnorr.offset"), the accumulations of point 5, and the sums of point 4 (challenge "schnorr.lookup").
//
//  1. Suppose that the committed values are not a valid signature. Either (a) some query is not in its table, or (b) all are, and the equation of
//     point 5 is false. Which one holds is a fact about committed values: no challenge changes it.
//  2. In case (a) the two sums differ as rational functions. Two different rows fold alike for at most 3 values of y, and then x is a root of a
//     non-zero polynomial of degree at most entries + queries (a row queried n times keeps its pole, as 0 < n < r): with N of both, the error is below
//     (3 N^2 + N) / r, about 2^-227 for N = 6,000. The point x is a hash of the challenge, drawn after everything. A multiplicity 0 over a
//     denominator 0 falls under the same count.
//  3. In case (b) the committed points are what their digits say. If no addition below is exceptional the two sides of point 5 are the true group
//     elements and differ. The exceptional offsets are counted below: about 2^-244 for a signature.
//  4. Cases (a) and (b) are bounded separately and the errors add. So it does not matter that both challenges come from one commitment; only each
//     alone must be unpredictable when the values are committed. They are derived with different labels all the same.
//  5. Grinding: 2^k attempts at commitments multiply these errors by 2^k.
//
// # Incomplete additions
//
// The addition p + q is wrong only if u_p = u_q. For p = -q the slope is (non-zero)/0: no witness, unless p = q is the point of order two. For p = q
// the slope is 0/0, FREE, and would allow a forgery. A doubling has denominator 0 only for the point of order two, where its numerator is 1: no witness.
// No sum can be the identity, as that is the case p = -q. (gnark's solver sets a free slope to 0, so a test with the solver alone shows nothing
// here: this list is the argument.)
//
//  1. Tables, kP + P for k = 2..15. kP = P or kP = -P needs the order of P to divide k - 1 or k + 1: it is 2, 4 or 8, never l or a multiple. Order 2
//     is excluded by x != 0. For order 4 the row k = 3, for order 8 the row k = 7, meets kP = -P with v != 0 first: no witness. So a small key has none.
//     The slopes are never free in a satisfiable circuit, whatever A and M are.
//  2. Accumulation of c A, additions of (d + 1)A 16^j parts: the accumulator is 2^i T + P with P fixed by committed values. It equals +-Q for at most
//     one T each. Likewise the last addition, R, and the 42 additions of s G to 2^64 T. So there are at most 75 free cases a signature. T takes
//     each value for at most 3 of the t < 2^252, and t has at most 4 challenges: probability below 75 * 12 / r, under 2^-243.
//  3. Doublings of the accumulator: the point of order two for at most one T each: no witness, same probability. 64 doublings of T itself: T is in the
//     prime subgroup, of odd order: never.
//  4. The sum T = H + sum (d_j + 1) 4^j G: an equality of its additions gives the logarithm of H to the base G, which nobody knows (H comes from a
//     hash), and it would have to occur at a random t. Bits of t are those of the canonical challenge: there is one T for each commitment.
//  5. R of order two has no witness (x != 0); natively it fails because R = s G - c A is in the prime subgroup. R of order 4 or 8, or with a torsion
//     component, is a correct point of point 5 and fails the equation, because A is in the subgroup. R on no curve fails point 1.
//  6. s = 0, R = +-A, R = +-G, equal digits and related keys are no special cases: the accumulators are random.
//
// # What the caller must ensure
//
//  1. A and M come from one authenticated leaf and were never set apart: with a free M anybody signs for any key (see TestFreeMultipleForges).
//  2. Registration proves A = 8 B with B on the curve, A not the identity. Off the subgroup, a circuit signature may differ from a native one.
//  3. Nothing identifies an order by s (any representative modulo l is accepted) or by the 128-bit challenge (two messages can share one at 2^64 work).
//
// Agreement with crypto.Verify: for a registered key, what the circuit can prove is what crypto.Verify accepts, up to the probabilities above and to s:
// a native s of l or more is refused because its encoding is, while digits of s + l are just other digits of s.
package schnorr
