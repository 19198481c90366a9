package batch

import (
	"fmt"
	"math/big"
	"math/rand"
	"slices"
	"testing"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint/solver"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
)

// Written by a reviewer who did not write blob.go and was asked to prove the value of other cells than the batch's. The prover below chooses every limb,
// quotient, remainder, carry and borrow.

// lyingReductions has every reduction answered by lie, or honestly where lie returns false. Outputs are taken modulo r.
func lyingReductions(lie func(call int, sum *big.Int, inputs, outputs []*big.Int) bool) solver.Option {
	calls := 0
	return solver.OverrideHint(solver.GetHintID(ReductionHint), func(field *big.Int, inputs, outputs []*big.Int) error {
		sum := new(big.Int)
		for k, digit := range inputs {
			sum.Add(sum, new(big.Int).Lsh(digit, uint(limbBits*k)))
		}
		if !lie(calls, sum, inputs, outputs) {
			if err := ReductionHint(field, inputs, outputs); err != nil {
				return err
			}
		}
		calls++
		for _, o := range outputs {
			o.Mod(o, fr.Modulus())
		}
		return nil
	})
}

// reduceTo answers a reduction with this remainder, which must be the sum modulo p, over the integers.
func reduceTo(sum, remainder *big.Int, inputs, outputs []*big.Int) bool {
	whole, rest := new(big.Int).DivMod(new(big.Int).Sub(sum, remainder), blobModulus, new(big.Int))
	if rest.Sign() != 0 {
		panic("not a representative")
	}
	quotient, remains, p, carry := digits(whole), digits(remainder), digits(blobModulus), new(big.Int)
	for k := range len(inputs) - 1 {
		carry.Add(carry, inputs[k])
		for i := max(0, k-limbs+1); i <= min(k, limbs-1); i++ {
			carry.Sub(carry, new(big.Int).Mul(quotient[i], p[k-i]))
		}
		if k < limbs {
			carry.Sub(carry, remains[k])
			outputs[k].Set(quotient[k])
			outputs[limbs+k].Set(remains[k])
		}
		carry.Rsh(carry, limbBits)
		outputs[2*limbs+k].Set(carry)
	}
	return true
}

// TestReviewBlobRepresentatives: the value plus n p is proved for n = 0, and for n = 1 where it stays below 2^255, and for nothing else. The one beyond
// is a representative of the same value modulo p, so it helps no other blob (the argument in blob.go counts it).
func TestReviewBlobRepresentatives(t *testing.T) {
	ccs, rnd, top := compiledBlob(t), rand.New(rand.NewSource(5)), new(big.Int).Lsh(least(1), residueBits)
	seen := map[bool]int{}
	for tries := 0; tries < 60 && (seen[true] < 2 || seen[false] < 3); tries++ {
		z := new(big.Int).Rand(rnd, fr.Modulus())
		c, body := inBlob(t, 1, z)
		value := blobPolynomial(body, z)
		second := new(big.Int).Add(value, blobModulus)
		fits := second.Cmp(top) < 0
		if seen[fits] >= 3 {
			continue
		}
		seen[fits]++
		for n := int64(-1); n <= 3; n++ {
			other := new(big.Int).Add(value, new(big.Int).Mul(least(n), blobModulus))
			c.Public.YBody = new(big.Int).Mod(other, fr.Modulus())
			lie := lyingReductions(func(_ int, sum *big.Int, inputs, outputs []*big.Int) bool {
				rest := new(big.Int).Mod(sum, blobModulus)
				return rest.Cmp(value) == 0 && reduceTo(sum, other, inputs, outputs)
			})
			accepted := refusal(t, ccs, c, append(inspect.LenientCount(), lie)...) == ""
			if accepted != (n == 0 || n == 1 && fits) {
				t.Errorf("value + %d p (fits: %v): accepted %v", n, fits, accepted)
			}
		}
	}
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("not both cases met: %v", seen)
	}
}

// TestReviewBlobAllRepresentatives: with the greater representative wherever it fits, in powers too, the result is still the value, or the value plus p.
func TestReviewBlobAllRepresentatives(t *testing.T) {
	ccs, rnd, top, greater := compiledBlob(t), rand.New(rand.NewSource(6)), new(big.Int).Lsh(least(1), residueBits), 0
	for range 12 {
		z := new(big.Int).Rand(rnd, fr.Modulus())
		c, body := inBlob(t, 2, z)
		value := blobPolynomial(body, z)
		lie := func() solver.Option {
			return lyingReductions(func(_ int, sum *big.Int, inputs, outputs []*big.Int) bool {
				second := new(big.Int).Mod(sum, blobModulus)
				isValue := second.Cmp(value) == 0
				if second.Add(second, blobModulus); isValue || second.Cmp(top) >= 0 || second.Cmp(sum) > 0 {
					return false // no such representative, or with a negative quotient
				}
				greater++
				return reduceTo(sum, second, inputs, outputs)
			})
		}
		if place := refusal(t, ccs, c, lie()); place != "" {
			t.Errorf("refused by %q", place)
		}
		c.Public.YBody = new(big.Int).Add(number(c.Public.YBody), least(1))
		if refusal(t, ccs, c, lie()) == "" {
			t.Error("FORGERY ACCEPTED")
		}
	}
	if greater == 0 {
		t.Error("no greater representative met")
	}
}

// TestReviewBlobFieldSolutions: a remainder that the prover wishes, with quotient and carries that satisfy every digit modulo r but are no small
// integers; tried in each limb of the quotient, and in every reduction.
func TestReviewBlobFieldSolutions(t *testing.T) {
	ccs, r := compiledBlob(t), fr.Modulus()
	radix := new(big.Int).ModInverse(new(big.Int).Lsh(least(1), limbBits), r)
	p := digits(blobModulus)
	solveDigits := func(inputs []*big.Int, quotient, remainder [limbs]*big.Int) (carries []*big.Int, last *big.Int) {
		carry := new(big.Int)
		for k := range inputs {
			carry.Add(carry, inputs[k])
			for i := max(0, k-limbs+1); i <= min(k, limbs-1); i++ {
				carry.Sub(carry, new(big.Int).Mul(quotient[i], p[k-i]))
			}
			if k < limbs {
				carry.Sub(carry, remainder[k])
			}
			if k == len(inputs)-1 {
				return carries, carry.Mod(carry, r)
			}
			carry.Mod(carry.Mul(carry, radix), r)
			carries = append(carries, new(big.Int).Set(carry))
		}
		return nil, nil
	}
	for free := range limbs {
		for wish := range 3 {
			c, _ := inBlob(t, 1, nil)
			applied := false
			var target int
			lie := func(call int, sum *big.Int, inputs, outputs []*big.Int) bool {
				if call != target {
					return false
				}
				applied = true
				whole, rest := new(big.Int).DivMod(sum, blobModulus, new(big.Int))
				remainder := digits(rest.Add(rest, new(big.Int).Lsh(least(1), uint(limbBits*wish))))
				quotient := digits(whole)
				quotient[free] = new(big.Int)
				_, zero := solveDigits(inputs, quotient, remainder)
				quotient[free] = least(1)
				_, one := solveDigits(inputs, quotient, remainder)
				slope := new(big.Int).Sub(one, zero)
				quotient[free] = new(big.Int).Mul(new(big.Int).Neg(zero), slope.ModInverse(slope.Mod(slope, r), r))
				quotient[free].Mod(quotient[free], r)
				carries, last := solveDigits(inputs, quotient, remainder)
				if last.Sign() != 0 {
					panic("no solution modulo r")
				}
				for k := range limbs {
					outputs[k].Set(quotient[k])
					outputs[limbs+k].Set(remainder[k])
				}
				for k := range carries {
					outputs[2*limbs+k].Set(carries[k])
				}
				return true
			}
			place := refusal(t, ccs, c, append(inspect.LenientCount(), lyingReductions(lie))...)
			if !applied || !inspect.RefusedBy(place, "range of") {
				t.Errorf("free limb %d, remainder + 2^%d: applied %v, refused by %q", free, limbBits*wish, applied, place)
			}
		}
	}
}

// TestReviewBlobPoint: other limbs and borrows for the same z.
func TestReviewBlobPoint(t *testing.T) {
	ccs := compiledBlob(t)
	radix, r := new(big.Int).Lsh(least(1), limbBits), fr.Modulus()
	for name, lie := range map[string]func(out []*big.Int){
		"limb 0 overflows into 1": func(out []*big.Int) { out[0].Add(out[0], radix); out[1].Sub(out[1], least(1)) },
		"limb 1 overflows into 2": func(out []*big.Int) { out[1].Add(out[1], radix); out[2].Sub(out[2], least(1)) },
		"limb 0 negative":         func(out []*big.Int) { out[0].Sub(out[0], radix); out[1].Add(out[1], least(1)) },
		"all in limb 0":           func(out []*big.Int) { out[0].Set(zOf(out)); out[1].SetInt64(0); out[2].SetInt64(0) },
		"borrow of 2":             func(out []*big.Int) { out[limbs].SetInt64(2) },
		"borrow of -1":            func(out []*big.Int) { out[limbs].SetInt64(-1) },
		"upper limb + 2^98":       func(out []*big.Int) { out[2].Add(out[2], new(big.Int).Lsh(least(1), pointBits-2*limbBits)) },
	} {
		c, _ := inBlob(t, 1, nil)
		place := refusal(t, ccs, c, solver.OverrideHint(solver.GetHintID(PointHint), func(field *big.Int, inputs, outputs []*big.Int) error {
			err := PointHint(field, inputs, outputs)
			lie(outputs)
			for _, o := range outputs {
				o.Mod(o, r)
			}
			return err
		}))
		if place == "" {
			t.Errorf("%s: accepted", name)
		}
		t.Log(name, "refused by", place)
	}
}

func zOf(out []*big.Int) *big.Int {
	return ledger.Packed(out[0], 0, out[1], limbBits, out[2], 2*limbBits)
}

// TestReviewBlobOfOtherCells: blobs of other polynomials than the body's. Each is opened honestly, as the precompile does, and its value modulo r put
// before the circuit of the honest body. Only a blob that differs by a multiple of r in coefficient 0 may pass, and its reader gets the same cells.
func TestReviewBlobOfOtherCells(t *testing.T) {
	ccs, r := compiledBlob(t), fr.Modulus()
	c, body := inBlob(t, 1, nil)
	z := number(c.Public.Z)
	open := func(coefficients []*big.Int) *big.Int { // from coefficient 0 on
		var value, point, coefficient bls.Element
		point.SetBigInt(z)
		for _, k := range slices.Backward(coefficients) {
			value.Mul(&value, &point).Add(&value, coefficient.SetBigInt(k))
		}
		return value.BigInt(new(big.Int))
	}
	honest := []*big.Int{new(big.Int)}
	for _, cell := range body {
		honest = append(honest, ledger.ToBig(cell))
	}
	put := func(name string, coefficients []*big.Int, sameCells bool) {
		t.Helper()
		c.Public.YBody = new(big.Int).Mod(open(coefficients), r)
		if refusal(t, ccs, c) == "" && !sameCells {
			t.Errorf("%s: FORGERY ACCEPTED", name)
		}
	}
	put("honest", honest, true)
	passed := 0
	for j := int64(-3); j <= 3; j++ {
		shift := new(big.Int).Mul(least(j), r)
		for at := range 6 {
			lie := slices.Clone(honest)
			lie[at] = new(big.Int).Add(lie[at], shift)
			put(fmt.Sprintf("coefficient %d by %d r", at, j), lie, at == 0 || j == 0)
		}
		lie := slices.Clone(honest)
		lie[0] = new(big.Int).Mod(shift, blobModulus)
		if y := new(big.Int).Mod(open(lie), r); y.Cmp(new(big.Int).Mod(open(honest), r)) == 0 {
			passed++
		}
	}
	t.Logf("%d of 7 constants pass in coefficient 0", passed)
	put("a cell beyond the preset", append(slices.Clone(honest), least(1)), false)
	put("cell 4095", slices.Concat(honest, zeros(maxCells-len(honest)), []*big.Int{least(1)}), false)
	for at := 1; at < len(honest); at++ {
		lie := slices.Clone(honest)
		lie[at] = new(big.Int).Add(lie[at], least(1))
		put(fmt.Sprintf("cell %d plus 1", at), lie, false)
	}
	swapped := slices.Clone(honest)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	put("two cells swapped", swapped, false)
	put("cells from coefficient 0", honest[1:], false)
	put("cells from coefficient 2", append([]*big.Int{new(big.Int)}, honest...), false)
	put("nothing", zeros(1), false)
}

func zeros(n int) (all []*big.Int) {
	for range n {
		all = append(all, new(big.Int))
	}
	return all
}

// TestReviewBlobUnusedRows: whatever a prover writes into rows that are not used, the circuit refuses it, or the body does not have it. A negative part
// would be one number in C (modulo r) and another in the blob (modulo p).
func TestReviewBlobUnusedRows(t *testing.T) {
	ccs := compiledBlob(t)
	c, honest := inBlob(t, 1, nil)
	p := &c.Private
	a, o, q, l := &p.Accounts[len(p.Accounts)-1], &p.Orders[len(p.Orders)-1], &p.Positions[len(p.Positions)-1], &p.Listings[len(p.Listings)-1]
	for _, used := range []variable{a.Used, o.Used, q.Used, l.Used} {
		if number(used).Sign() != 0 {
			t.Fatal("the last row is used")
		}
	}
	now := &a.Sides[after]
	for name, cell := range map[string]*variable{
		"account id": &a.ID, "has_positions": &a.HasPositions, "has_orders": &a.HasOrders, "cash": &now.Cash, "min_nonce": &now.MinNonce,
		"action_nonce": &now.ActionNonce, "begun": &a.Auction.Begun, "ended covered": &a.Auction.EndedCovered, "ended sold": &a.Auction.EndedSold,
		"ended over": &a.Auction.EndedOver, "closing": &a.Auction.Closing, "in auction": &a.Auction.InAuction,
		"order continues": &o.Continues, "nonce": &o.Nonce, "revision": &o.Revision, "fill": &o.Fill, "sequence": &o.Sequence, "slot filled": &o.SlotFilled, "same": &o.Same,
		"position continues": &q.Continues, "table row": &q.TableRow, "long": &q.Sides[after].Long, "short": &q.Sides[after].Short, "instrument": &q.Instrument,
		"listing id": &l.ID, "kind": &l.Kind, "cap": &l.PositionCapLots, "listing": &l.Listing, "settlement": &l.Settlement, "retirement": &l.Retirement,
	} {
		before := *cell
		for _, value := range []int64{1, -1, 2, 3} {
			*cell = new(big.Int).Mod(least(value), fr.Modulus())
			publish(c)
			_, body := vectorOfCells(c)
			c.Public.YBody = ledger.ToBig(blobValue(body, number(c.Public.Z)))
			if refusal(t, ccs, c) == "" && !slices.Equal(body, honest) {
				t.Errorf("%s = %d: the body has it", name, value)
			}
		}
		*cell = before
	}
	publish(c)
	c.Public.YBody = ledger.ToBig(blobValue(honest, number(c.Public.Z)))
	if place := refusal(t, ccs, c); place != "" {
		t.Fatalf("the honest batch: refused by %q", place)
	}
}
