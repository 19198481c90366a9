package schnorr

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

const (
	signatureTag = "straddle.signature"

	// The challenge: 32 base-16 digits, in as many ways as an account stores multiples of its key (A and 2^64 A).
	challengeWindow    = 4
	challengeTableSize = 1 << challengeWindow
	ways               = 2
	digitsPerWay       = crypto.ChallengeDigits / ways
	challengeBits      = challengeWindow * crypto.ChallengeDigits

	// ScalarDigits base-64 digits, each in 0..63, stand for s; see Signature.
	ScalarDigits    = 42
	scalarWindow    = 6
	scalarTableSize = 1 << scalarWindow

	// The offset T = H + t G: t has 126 base-4 digits, each in 1..4.
	offsetDigits = 126
)

// Window guards: a negative constant does not compile.
const (
	orderBits = 251 // of l, the order of the prime subgroup

	_ = uint(-(crypto.ChallengeDigits % ways))                    // every digit of the challenge is looked up
	_ = uint(challengeWindow*digitsPerWay - crypto.MultipleShift) // the second way starts exactly
	_ = uint(crypto.MultipleShift - challengeWindow*digitsPerWay) // at the account's multiple
	_ = uint(scalarWindow*ScalarDigits - orderBits)               // digits of s reach every residue modulo l
	_ = uint(2*offsetDigits - orderBits)                          // so do those of t,
	_ = uint(fr.Bits - 2*offsetDigits)                            // which are bits of one challenge
	_ = uint(fr.Bits - 1 - challengeBits)                         // the hash is longer than the short challenge
)

// Binder is the circuit's argument layer as seen from here. It owns the one commitment of the circuit.
type Binder interface {
	// API of the circuit, for what happens before the commitment.
	API() frontend.API
	// RangeCheck asserts 0 <= v < 2^bits.
	RangeCheck(v frontend.Variable, bits int)
	// Bind puts values under the commitment: they are fixed before any challenge is drawn. Constants may be among them.
	Bind(vs ...frontend.Variable)
	// AfterSeal registers f, run once when everything is committed, with a challenge derived from the commitment and the label.
	AfterSeal(label string, f func(api frontend.API, challenge frontend.Variable) error)
}

// Point is a point in Edwards coordinates.
type Point struct{ X, Y frontend.Variable }

// Signature is a signature's witness: R in Edwards coordinates and digits of s, s = sum of (S[j] + 1) 64^j modulo l. Any representative of s modulo l
// is accepted: s enters nothing but s G, and what identifies an order is its leaf, never its signature.
type Signature struct {
	RX, RY frontend.Variable
	S      [ScalarDigits]frontend.Variable
}

// verification is what one signature leaves for the check after the commitment: s G = R + sum of the key's parts, all committed points.
type verification struct {
	nonce     montgomery
	key       [ways][]montgomery // 16 points each, lowest digit first
	generator []montgomery       // 42 points
}

// Gadget verifies signatures in one circuit; they share the tables of the generator and the random offset.
type Gadget struct {
	binder        Binder
	lookups       lookups
	fixedTables   [ScalarDigits]int64
	verifications []verification
	scalarDigits  [ScalarDigits][]frontend.Variable // of all signatures, by place
	closed        bool
}

// New makes a gadget. Call Verify for every signature and then Close, before the binder is sealed.
func New(binder Binder) *Gadget {
	g := &Gadget{binder: binder}
	for j := range g.fixedTables {
		g.fixedTables[j] = g.lookups.newTable()
	}
	return g
}

// Verify asserts that sig is a signature of key on the message. key and multiple must come from one authenticated account leaf, for which
// registration proved that key is in the prime subgroup and not the identity (or unset, under which nothing verifies) and AssertMultiple held. No
// value may be a public input of the circuit: use committed copies.
func (g *Gadget) Verify(key, multiple Point, message [crypto.MessageWords]frontend.Variable, sig Signature) {
	if g.closed {
		panic("schnorr: Verify after Close")
	}
	if len(g.verifications) == 0 { // registered here, not in Close: a circuit that forgets Close must not compile
		g.binder.AfterSeal("schnorr.offset", func(api frontend.API, challenge frontend.Variable) error {
			if !g.closed {
				return errors.New("schnorr: Verify without Close")
			}
			return g.checkEquations(api, challenge)
		})
	}
	api := g.binder.API()
	hash := poseidon.Sponge(api, signatureTag, append([]frontend.Variable{sig.RX, sig.RY, key.X, key.Y}, message[:]...)...)
	digits := g.challengeDigits(hash)
	v := verification{nonce: toMontgomery(api, Point{sig.RX, sig.RY})}
	for way, base := range [ways]Point{key, multiple} {
		v.key[way] = g.selectMultiples(toMontgomery(api, base), digits[way*digitsPerWay:(way+1)*digitsPerWay])
	}
	v.generator = g.selectFixed(sig.S)
	g.binder.Bind(sig.RX, sig.RY, key.X, key.Y, multiple.X, multiple.Y, hash, v.nonce.U, v.nonce.V)
	g.binder.Bind(message[:]...)
	g.verifications = append(g.verifications, v)
}

// Close builds the lookup argument and schedules the checks that need challenges.
func (g *Gadget) Close() {
	if g.closed {
		panic("schnorr: Close called twice")
	}
	g.closed = true
	if len(g.verifications) == 0 {
		return
	}
	g.closeFixedTables()
	g.binder.Bind(g.lookups.bound()...)
	g.binder.AfterSeal("schnorr.lookup", g.lookups.check)
}

// challengeDigits splits the hash: h = sum of d_j 16^j + 2^128 high, with digits d_j in 0..15 (by the lookups that consume them) and
// 0 <= high < floor(r / 2^128), so that the right side stays below r and the split is the canonical one. The honest prover fails for
// high = floor(r / 2^128), one hash in 2^126.
func (g *Gadget) challengeDigits(hash frontend.Variable) []frontend.Variable {
	api := g.binder.API()
	digits := hint(api, digitsHint, crypto.ChallengeDigits, hash)
	terms := make([]frontend.Variable, len(digits))
	for j := range digits {
		terms[j] = api.Mul(digits[j], powerOfTwo(challengeWindow*j))
	}
	inverse := new(big.Int).ModInverse(powerOfTwo(challengeBits), fr.Modulus())
	high := api.Mul(api.Sub(hash, sum(api, terms)), inverse)
	bound := new(big.Int).Rsh(fr.Modulus(), challengeBits)
	g.binder.RangeCheck(high, bound.BitLen())
	g.binder.RangeCheck(api.Sub(new(big.Int).Sub(bound, big.NewInt(1)), high), bound.BitLen())
	return digits
}

// selectMultiples looks (d + 1) P up for every digit d, in a table of P, 2P, ..., 16P made here.
func (g *Gadget) selectMultiples(base montgomery, digits []frontend.Variable) []montgomery {
	api := g.binder.API()
	var multiples [challengeTableSize]montgomery
	multiples[0] = base
	multiples[1] = double(api, base)
	for k := 2; k < challengeTableSize; k++ {
		multiples[k] = add(api, multiples[k-1], base)
	}
	inputs := make([]frontend.Variable, 2*challengeTableSize, 2*challengeTableSize+len(digits))
	for k, p := range multiples {
		inputs[k], inputs[challengeTableSize+k] = p.U, p.V
	}
	selected := hint(api, selectHint, 2*len(digits), append(inputs, digits...)...)
	counts := hint(api, countHint, challengeTableSize, digits...)
	table := g.lookups.newTable()
	for k := range multiples {
		g.lookups.entries = append(g.lookups.entries, entry{table, int64(k), multiples[k], counts[k]})
	}
	points := make([]montgomery, len(digits))
	for j := range points {
		points[j] = montgomery{selected[2*j], selected[2*j+1]}
		g.lookups.queries = append(g.lookups.queries, query{table, digits[j], points[j]})
	}
	return points
}

// selectFixed looks (d_j + 1) 64^j G up for every digit of s, in the shared constant tables.
func (g *Gadget) selectFixed(digits [ScalarDigits]frontend.Variable) []montgomery {
	selected := hint(g.binder.API(), fixedSelectHint, 2*len(digits), digits[:]...)
	points := make([]montgomery, len(digits))
	for j := range points {
		points[j] = montgomery{selected[2*j], selected[2*j+1]}
		g.lookups.queries = append(g.lookups.queries, query{g.fixedTables[j], digits[j], points[j]})
		g.scalarDigits[j] = append(g.scalarDigits[j], digits[j])
	}
	return points
}

func (g *Gadget) closeFixedTables() {
	for j, row := range fixedMultiples() {
		counts := hint(g.binder.API(), countHint, scalarTableSize, g.scalarDigits[j]...)
		for k, p := range row {
			g.lookups.entries = append(g.lookups.entries, entry{g.fixedTables[j], int64(k), p.variable(), counts[k]})
		}
	}
}

// checkEquations asserts 2^64 T + s G = 2^64 T + R + c A for every signature, T = H + t G being random and unknown when the points were committed.
func (g *Gadget) checkEquations(api frontend.API, challenge frontend.Variable) error {
	offset := randomOffset(api, challenge)
	shifted := offset
	for range challengeWindow * digitsPerWay {
		shifted = double(api, shifted)
	}
	for _, v := range g.verifications {
		right := offset
		for j := digitsPerWay - 1; j >= 0; j-- {
			for range challengeWindow {
				right = double(api, right)
			}
			for way := range v.key {
				right = add(api, right, v.key[way][j])
			}
		}
		right = add(api, right, v.nonce)
		left := shifted
		for _, p := range v.generator {
			left = add(api, left, p)
		}
		api.AssertIsEqual(left.U, right.U)
		api.AssertIsEqual(left.V, right.V)
	}
	return nil
}

// randomOffset is H + sum of (d_j + 1) 4^j G with the lowest 252 bits of the canonical challenge as the digits d_j.
func randomOffset(api frontend.API, challenge frontend.Variable) montgomery {
	bits := api.ToBinary(challenge, fr.Bits)
	base := offsetBase()
	point := fromEdwards(&base).variable()
	base = curve.Base
	for j := range offsetDigits {
		multiples := constantMultiples(base, 4)
		point = add(api, point, selectConstant(api, bits[2*j], bits[2*j+1], multiples))
		base.Double(&base)
		base.Double(&base)
	}
	return point
}

// selectConstant is the multiple number low + 2 high of four constants, for bits low and high: 1 constraint.
func selectConstant(api frontend.API, low, high frontend.Variable, p []constantPoint) montgomery {
	both := api.Mul(low, high)
	interpolate := func(p0, p1, p2, p3 *big.Int) frontend.Variable {
		minus := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
		return api.Add(p0, api.Mul(low, minus(p1, p0)), api.Mul(high, minus(p2, p0)), api.Mul(both, new(big.Int).Add(minus(p3, p1), minus(p0, p2))))
	}
	return montgomery{interpolate(p[0].U, p[1].U, p[2].U, p[3].U), interpolate(p[0].V, p[1].V, p[2].V, p[3].V)}
}

func powerOfTwo(n int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }

// SignatureAssignment is a Signature that holds values.
type SignatureAssignment = Signature

// Assign is the witness of a native signature. It does not verify it; it panics if sig.S is nil.
func Assign(sig crypto.Signature) SignatureAssignment {
	assignment := Signature{RX: sig.R.X, RY: sig.R.Y}
	for j, d := range scalarDigitsOf(sig.S) {
		assignment.S[j] = d
	}
	return assignment
}

// scalarDigitsOf are the digits d_j with s = sum of (d_j + 1) 64^j modulo l.
func scalarDigitsOf(s *big.Int) (digits [ScalarDigits]int64) {
	rest := new(big.Int).Set(s)
	for j := range ScalarDigits {
		rest.Sub(rest, powerOfTwo(scalarWindow*j))
	}
	rest.Mod(rest, &curve.Order)
	for j := range digits {
		digits[j] = new(big.Int).And(rest, big.NewInt(scalarTableSize-1)).Int64()
		rest.Rsh(rest, scalarWindow)
	}
	if rest.Sign() != 0 {
		panic(fmt.Sprintf("schnorr: s = %s does not fit %d digits", s, ScalarDigits)) // l < 2^252
	}
	return digits
}
