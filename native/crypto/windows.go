package crypto

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

const (
	// The generator's table: 32 windows of 8 bits, 128 points each, 393 KB in all.
	generatorWindowBits = 8
	orderBits           = 251
)

// nielsPoint is an affine point prepared for addition, which then costs 7 multiplications.
type nielsPoint struct {
	yPlusX, yMinusX, twoDXY fr.Element
}

// scalar is an unsigned integer, lowest limb first.
type scalar [4]uint64

// scalarOf converts n, which must lie in [0, 2^256).
func scalarOf(n *big.Int) scalar {
	var buf [32]byte
	n.FillBytes(buf[:])
	return scalar{binary.BigEndian.Uint64(buf[24:]), binary.BigEndian.Uint64(buf[16:]), binary.BigEndian.Uint64(buf[8:]), binary.BigEndian.Uint64(buf[:])}
}

// window is the integer in `width` bits from bit `start` on; bits beyond the last limb are 0.
func (s *scalar) window(start, width int) int {
	limb, shift := start/64, start%64
	value := s[limb] >> shift
	if shift+width > 64 && limb+1 < len(s) {
		value |= s[limb+1] << (64 - shift)
	}
	return int(value & (1<<width - 1))
}

func (s *scalar) bitLength() int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] != 0 {
			return 64*i + bits.Len64(s[i])
		}
	}
	return 0
}

// windowTable holds 1, 2, ..., 2^(width-1) times 2^(width i) P for a fixed point P and each window i of a scalar, so that a multiple of P is one addition
// for each window and no doubling.
type windowTable struct {
	width, windows, scalarBits int
	points                     []nielsPoint // window after window
}

// newWindowTable makes the table of P for scalars below 2^scalarBits. The highest window holds fewer than `width` bits of them, hence no carry leaves it.
func newWindowTable(P *te.PointAffine, width, scalarBits int) *windowTable {
	t := &windowTable{width: width, windows: scalarBits/width + 1, scalarBits: scalarBits}
	half := 1 << (width - 1)
	multiples := make([]te.PointExtended, t.windows*half)
	var base te.PointExtended
	base.FromAffine(P)
	for start := 0; start < len(multiples); start += half {
		multiples[start] = base
		for m := 1; m < half; m++ {
			multiples[start+m].Add(&multiples[start+m-1], &base)
		}
		base.Double(&multiples[start+half-1])
	}
	t.points = toNiels(multiples)
	return t
}

// toNiels normalises the points with one inversion.
func toNiels(points []te.PointExtended) []nielsPoint {
	inverses := make([]fr.Element, len(points))
	for i := range points {
		inverses[i] = points[i].Z
	}
	inverses = fr.BatchInvert(inverses)
	out := make([]nielsPoint, len(points))
	for i := range points {
		var x, y fr.Element
		x.Mul(&points[i].X, &inverses[i])
		y.Mul(&points[i].Y, &inverses[i])
		out[i].yPlusX.Add(&y, &x)
		out[i].yMinusX.Sub(&y, &x)
		out[i].twoDXY.Mul(&x, &y).Mul(&out[i].twoDXY, &curve.D).Double(&out[i].twoDXY)
	}
	return out
}

// addMultiple adds n P to the accumulator, or subtracts it. It panics unless n is below 2^scalarBits.
func (t *windowTable) addMultiple(acc *te.PointExtended, n *scalar, subtract bool) {
	if n.bitLength() > t.scalarBits {
		panic(fmt.Sprintf("crypto: a scalar of %d bits, the table is for %d", n.bitLength(), t.scalarBits))
	}
	half := 1 << (t.width - 1)
	carry := 0
	for i := range t.windows {
		digit := n.window(i*t.width, t.width) + carry
		carry = 0
		negative := subtract
		if digit > half { // digits lie in -half + 1 .. half
			digit, carry, negative = 2*half-digit, 1, !subtract
		}
		if digit != 0 {
			addNiels(acc, &t.points[i*half+digit-1], negative)
		}
	}
}

// addNiels adds a point to the accumulator, or subtracts it: add-2008-hwcd-3 with the second Z = 1 (Hisil, Wong, Carter, Dawson, eprint 2008/522, 3.1).
//
// It needs no case for doublings, inverses, the identity or points of small order. With t = d x1 x2 y1 y2 the new Z is 4 Z1^2 (1 - t)(1 + t), and t^2 = 1
// cannot happen for two points of the curve over Fr, because -1 = i^2 is a square (r = 1 mod 4) and d is not: with t^2 = 1 the curve's equations give
// (i x1 + t y1)^2 = d x1^2 y1^2 (i x2 + y2)^2 and (i x1 - t y1)^2 = d x1^2 y1^2 (i x2 - y2)^2, so d would be a square unless x2 = y2 = 0, which makes t = 0
// (Bernstein and Lange, eprint 2007/286, theorem 3.3, with a = i^2). Every input here is on the curve: tables are made of valid keys and of G.
func addNiels(acc *te.PointExtended, p *nielsPoint, subtract bool) {
	plus, minus := &p.yPlusX, &p.yMinusX
	if subtract { // -(x, y) = (-x, y)
		plus, minus = minus, plus
	}
	var a, b, c, d, e, f, g, h fr.Element
	a.Sub(&acc.Y, &acc.X)
	a.Mul(&a, minus)
	b.Add(&acc.Y, &acc.X)
	b.Mul(&b, plus)
	c.Mul(&acc.T, &p.twoDXY)
	d.Double(&acc.Z)
	e.Sub(&b, &a)
	h.Add(&b, &a)
	f.Sub(&d, &c)
	g.Add(&d, &c)
	if subtract {
		f, g = g, f
	}
	acc.X.Mul(&e, &f)
	acc.Y.Mul(&g, &h)
	acc.T.Mul(&e, &h)
	acc.Z.Mul(&f, &g)
}

// equalsAffine compares without an inversion; Z is not zero.
func equalsAffine(acc *te.PointExtended, p *te.PointAffine) bool {
	var x, y fr.Element
	x.Mul(&p.X, &acc.Z)
	y.Mul(&p.Y, &acc.Z)
	return x.Equal(&acc.X) && y.Equal(&acc.Y)
}

var generatorTable = sync.OnceValue(func() *windowTable {
	return newWindowTable(&curve.Base, generatorWindowBits, orderBits)
})
