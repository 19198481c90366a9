package schnorr

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
	"github.com/consensys/gnark/frontend"
)

// Edwards form -x^2 + y^2 = 1 + d x^2 y^2 and Montgomery form B v^2 = u^3 + A u^2 + u of the same curve, with
// u = (1 + y)/(1 - y), v = u/x, A = 2(a + d)/(a - d), B = 4/(a - d), a = -1.
var (
	curve                     = te.GetEdwardsCurve()
	edwardsD                  = toBig(&curve.D)
	montgomeryA, montgomeryB  = montgomeryCoefficients()
	offsetBase                = sync.OnceValue(findOffsetBase)
	fixedMultiples            = sync.OnceValue(computeFixedMultiples)
	montgomeryA2, montgomery2 = new(big.Int).Lsh(montgomeryA, 1), new(big.Int).Lsh(montgomeryB, 1)
)

// montgomery is a point of the curve other than the identity, in affine Montgomery coordinates.
type montgomery struct{ U, V frontend.Variable }

// constantPoint is a montgomery point known at compile time.
type constantPoint struct{ U, V *big.Int }

func (p constantPoint) variable() montgomery { return montgomery{p.U, p.V} }

func montgomeryCoefficients() (a, b *big.Int) {
	var sum, inverse, four fr.Element
	inverse.Sub(&curve.A, &curve.D).Inverse(&inverse)
	sum.Add(&curve.A, &curve.D).Double(&sum).Mul(&sum, &inverse)
	four.SetUint64(4)
	four.Mul(&four, &inverse)
	return toBig(&sum), toBig(&four)
}

// fromEdwards maps a constant point with x != 0.
func fromEdwards(p *te.PointAffine) constantPoint {
	var numerator, denominator, one, u, v fr.Element
	one.SetOne()
	numerator.Add(&one, &p.Y)
	denominator.Sub(&one, &p.Y)
	u.Div(&numerator, &denominator)
	v.Div(&u, &p.X)
	return constantPoint{toBig(&u), toBig(&v)}
}

func toBig(e *fr.Element) *big.Int { return e.BigInt(new(big.Int)) }

// add is the incomplete addition, 3 constraints. For p = -q it is unsatisfiable unless v = 0; for p = q the slope is free: the caller must
// exclude that case (see the package comment).
func add(api frontend.API, p, q montgomery) montgomery {
	slope := api.DivUnchecked(api.Sub(q.V, p.V), api.Sub(q.U, p.U))
	u := api.Sub(api.Mul(api.Mul(slope, montgomeryB), slope), montgomeryA, p.U, q.U)
	v := api.Sub(api.Mul(api.Sub(p.U, u), slope), p.V)
	return montgomery{u, v}
}

// double costs 4 constraints and is unsatisfiable for the point of order two: there v = 0 and the numerator is 1.
func double(api frontend.API, p montgomery) montgomery {
	square := api.Mul(p.U, p.U)
	numerator := api.Add(api.Mul(square, 3), api.Mul(p.U, montgomeryA2), 1)
	slope := api.DivUnchecked(numerator, api.Mul(p.V, montgomery2))
	u := api.Sub(api.Mul(api.Mul(slope, montgomeryB), slope), montgomeryA, p.U, p.U)
	v := api.Sub(api.Mul(api.Sub(p.U, u), slope), p.V)
	return montgomery{u, v}
}

// toMontgomery asserts that (x, y) is on the curve and x != 0, and maps it. It is unsatisfiable for points off the curve, the identity (0, 1), the
// point of order two (0, -1) and the unset key (0, 0). 7 constraints.
func toMontgomery(api frontend.API, p Point) montgomery {
	assertOnCurve(api, p.X, p.Y)
	inverse := api.Inverse(p.X) // x != 0; on the curve it follows that y != 1 and y != -1
	u := api.DivUnchecked(api.Add(p.Y, 1), api.Sub(1, p.Y))
	return montgomery{u, api.Mul(u, inverse)}
}

func assertOnCurve(api frontend.API, x, y frontend.Variable) {
	xx, yy := api.Mul(x, x), api.Mul(y, y)
	api.AssertIsEqual(api.Sub(yy, xx), api.Add(api.Mul(api.Mul(xx, edwardsD), yy), 1))
}

// findOffsetBase hashes to a point of the prime subgroup: nobody knows its logarithm to the base G.
func findOffsetBase() te.PointAffine {
	for counter := 0; ; counter++ {
		compressed := sha256.Sum256(fmt.Appendf(nil, "straddle.schnorr.offset %d", counter))
		compressed[31] &= 0x1f // little-endian y below 2^253
		var p te.PointAffine
		if _, err := p.SetBytes(compressed[:]); err != nil || !p.IsOnCurve() {
			continue
		}
		p.ScalarMultiplication(&p, big.NewInt(8))
		if !p.IsZero() && p.IsInSubGroup() {
			return p
		}
	}
}

// computeFixedMultiples is row j, column k: (k + 1) 64^j G, for the digits of s.
func computeFixedMultiples() [][]constantPoint {
	rows := make([][]constantPoint, ScalarDigits)
	base := curve.Base
	for j := range rows {
		rows[j] = make([]constantPoint, scalarTableSize)
		multiple := base
		for k := range rows[j] {
			rows[j][k] = fromEdwards(&multiple)
			if k+1 < scalarTableSize {
				multiple.Add(&multiple, &base)
			}
		}
		base = multiple // 64 times the row's base
	}
	return rows
}

// constantMultiples is the list p, 2p, ..., np.
func constantMultiples(p te.PointAffine, n int) []constantPoint {
	list := make([]constantPoint, n)
	multiple := p
	for k := range list {
		if k > 0 {
			multiple.Add(&multiple, &p)
		}
		list[k] = fromEdwards(&multiple)
	}
	return list
}
