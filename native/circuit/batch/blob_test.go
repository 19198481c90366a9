package batch

import (
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	bls "github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
)

var nanoBlob = sync.OnceValues(func() (*inspect.Traced, error) { return compileTraced("nano", true) })

func compiledBlob(t testing.TB) *inspect.Traced {
	t.Helper()
	ccs, err := nanoBlob()
	if err != nil {
		t.Fatal(err)
	}
	return ccs
}

// inBlob is a fixture's batch with its body in a blob, and the body.
func inBlob(t testing.TB, seed int64, z *big.Int) (*Circuit, []fr.Element) {
	t.Helper()
	p := nanoPreset(t)
	w := newFixture(t, p, seed).witness()
	w.Preset += "-" + BlobSuffix
	if z != nil {
		w.Public.Z = z
	}
	w.Public = publicValues(p, w)
	c, err := Assign(w)
	if err != nil {
		t.Fatal(err)
	}
	_, body := vector(p, w)
	return c, body
}

// blobPolynomial evaluates with another library's field.
func blobPolynomial(body []fr.Element, z *big.Int) *big.Int {
	var value, point, cell bls.Element
	point.SetBigInt(z)
	for i := len(body) - 1; i >= 0; i-- {
		value.Add(&value, cell.SetBigInt(ledger.ToBig(body[i]))).Mul(&value, &point)
	}
	return value.BigInt(new(big.Int))
}

func least(n int64) *big.Int { return big.NewInt(n) }

// TestHonestBlobSolves: also at the ends of z's range, where limbs are 0 or borrow.
func TestHonestBlobSolves(t *testing.T) {
	ccs := compiledBlob(t)
	calldata := compiledNano(t)
	t.Logf("%d constraints more than in calldata", ccs.GetNbConstraints()-calldata.GetNbConstraints())
	most := new(big.Int).Sub(fr.Modulus(), least(1))
	for i, z := range []*big.Int{nil, least(0), least(1), most, new(big.Int).Lsh(least(1), limbBits), new(big.Int).Lsh(least(1), 2*limbBits)} {
		c, body := inBlob(t, int64(i%3+1), z)
		want := blobPolynomial(body, number(c.Public.Z))
		if number(c.Public.YBody).Cmp(want.Mod(want, fr.Modulus())) != 0 {
			t.Errorf("z %v: the witness's y is not the polynomial's value", z)
		}
		if err := solve(t, ccs, c); err != nil {
			t.Errorf("z %v: %v", z, err)
		}
	}
}

// TestBlobAudit: one commitment, nothing free enters after the challenge, every cell is bound.
func TestBlobAudit(t *testing.T) {
	if crossings, err := argument.Audit(compiledBlob(t).ConstraintSystem); err != nil || len(crossings) > 0 {
		t.Errorf("%d crossings, %v", len(crossings), err)
	}
	var layer *argument.Layer
	c := New(tiny)
	c.Blob, c.Inspect = true, func(l *argument.Layer) { layer = l }
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(layer.Columns(), "value from cell 0/remainder[2]") {
		t.Error("no columns of the blob's value")
	}
	if unbound, err := layer.Unbound(ccs); err != nil || len(unbound) > 0 {
		t.Errorf("unbound %v, %v", unbound, err)
	}
}

// TestBlobRepresentatives: as many values of y give one public input as the argument in blob.go counts.
func TestBlobRepresentatives(t *testing.T) {
	highest := new(big.Int).Lsh(least(1), residueBits)
	r := fr.Modulus()
	if blobModulus.BitLen() != residueBits || r.BitLen() != pointBits {
		t.Fatal("limbs of other moduli")
	}
	if highest.Cmp(new(big.Int).Mul(r, least(3))) >= 0 {
		t.Error("2^255 is not below 3r: more than five representatives")
	}
}

// TestBlobRefusals changes public inputs and cells of an honest batch; the rest is made consistent where a cheating prover would.
func TestBlobRefusals(t *testing.T) {
	ccs := compiledBlob(t)
	plus := func(v variable, d int64) *big.Int { return new(big.Int).Add(number(v), least(d)) }
	for _, cheat := range []struct {
		name, want string
		change     func(c *Circuit, body []fr.Element)
	}{
		{"another y", "vector: value of the blob", func(c *Circuit, _ []fr.Element) { c.Public.YBody = plus(c.Public.YBody, 1) }},
		{"the y of calldata", "vector: value of the blob", func(c *Circuit, body []fr.Element) {
			c.Public.YBody = ledger.ToBig(ledger.EvaluateAt(body, ledger.ToElement(number(c.Public.Z))))
		}},
		{"cells from coefficient 0 on", "vector: value of the blob", func(c *Circuit, body []fr.Element) {
			y := blobPolynomial(body, number(c.Public.Z))
			inverse := new(big.Int).ModInverse(number(c.Public.Z), blobModulus)
			c.Public.YBody = y.Mod(y.Mul(y, inverse), blobModulus).Mod(y, fr.Modulus())
		}},
		{"another cell in the blob", "vector: value of the blob", func(c *Circuit, body []fr.Element) {
			body[len(body)-1].SetUint64(1)
			c.Public.YBody = ledger.ToBig(blobValue(body, number(c.Public.Z)))
		}},
		{"another cell in the batch", "vector: value of the blob", func(c *Circuit, _ []fr.Element) {
			y := c.Public.YBody
			c.Private.Listings[0].PositionCapLots = plus(c.Private.Listings[0].PositionCapLots, 1)
			publish(c)
			c.Public.YBody = y
		}},
		{"a point elsewhere", "vector: evaluations", func(c *Circuit, body []fr.Element) {
			c.Public.Z = plus(c.Public.Z, 1)
			c.Public.YBody = ledger.ToBig(blobValue(body, number(c.Public.Z)))
		}},
	} {
		t.Run(cheat.name, func(t *testing.T) {
			c, body := inBlob(t, 1, nil)
			cheat.change(c, body)
			if place := refusal(t, ccs, c); !inspect.RefusedBy(place, cheat.want) {
				t.Errorf("refused by %q, expected %q", place, cheat.want)
			}
		})
	}
}

func refusal(t *testing.T, ccs *inspect.Traced, c *Circuit, options ...solver.Option) string {
	t.Helper()
	if err := solve(t, ccs, c, options...); err != nil {
		return ccs.PlaceOf(err)
	}
	return ""
}

// TestBlobPoint: the value at another point than z, with honest limbs of that point; and at z + r, whose limbs are z modulo r.
func TestBlobPoint(t *testing.T) {
	ccs, z := compiledBlob(t), least(12345)
	at := func(point *big.Int, borrows ...int64) (*Circuit, solver.Option) {
		c, body := inBlob(t, 1, z)
		y := blobPolynomial(body, point)
		c.Public.YBody = y.Mod(y, fr.Modulus())
		return c, solver.OverrideHint(solver.GetHintID(PointHint), func(field *big.Int, _, outputs []*big.Int) error {
			err := PointHint(field, []*big.Int{point}, outputs)
			for k, borrow := range borrows {
				outputs[limbs+k].SetInt64(borrow)
			}
			return err
		})
	}
	c, honest := at(z)
	if place := refusal(t, ccs, c, honest); place != "" {
		t.Fatalf("z itself: refused by %q", place)
	}
	c, lie := at(least(12346))
	if place := refusal(t, ccs, c, lie); !inspect.RefusedBy(place, "vector: point of the blob") {
		t.Errorf("another point: refused by %q", place)
	}
	for _, borrows := range [][]int64{{0, 0}, {0, 1}, {1, 0}, {1, 1}} {
		c, lie := at(new(big.Int).Add(z, fr.Modulus()), borrows...)
		if place := refusal(t, ccs, c, lie); !inspect.RefusedBy(place, "range of vector: point of the blob") {
			t.Errorf("z + r, borrows %v: refused by %q", borrows, place)
		}
	}
}

// TestBlobReductionEndsInZero: a sum with another quotient whose digits agree up to the last one, so that only the last digit tells.
func TestBlobReductionEndsInZero(t *testing.T) {
	ccs := compiledBlob(t)
	c, _ := inBlob(t, 1, nil)
	beyond := new(big.Int).Lsh(least(1), (2*limbs-2)*limbBits)
	less := new(big.Int).Div(beyond, blobModulus) // less * p = beyond - s
	s := new(big.Int).Sub(beyond, new(big.Int).Mul(less, blobModulus))
	lied := 0
	lie := solver.OverrideHint(solver.GetHintID(ReductionHint), func(field *big.Int, inputs, outputs []*big.Int) error {
		sum := new(big.Int)
		for k, digit := range inputs {
			sum.Add(sum, new(big.Int).Lsh(digit, uint(limbBits*k)))
		}
		quotient, remainder := new(big.Int).DivMod(sum, blobModulus, new(big.Int))
		if quotient.Cmp(less) < 0 || remainder.Cmp(s) < 0 {
			return ReductionHint(field, inputs, outputs)
		}
		// sum = (quotient - less) * p + (remainder - s) + beyond: the digits below are those of a sum that is smaller by `beyond`.
		smaller := slices.Clone(inputs)
		smaller[len(inputs)-1] = new(big.Int).Sub(inputs[len(inputs)-1], least(1))
		lied++
		return ReductionHint(field, smaller, outputs)
	})
	place := refusal(t, ccs, c, lie)
	if lied == 0 {
		t.Fatal("no sum allowed the lie")
	}
	if !inspect.RefusedBy(place, "vector: powers of the point") {
		t.Errorf("refused by %q", place)
	}
}

// TestAttack01BlobHintsAreChecked has the prover give other limbs, borrows, quotients, remainders and carries than the honest ones, alone and so that their
// number stays the same.
func TestAttack01BlobHintsAreChecked(t *testing.T) {
	ccs := compiledBlob(t)
	type change func(outputs []*big.Int)
	add := func(at int, d *big.Int) change {
		return func(outputs []*big.Int) { outputs[at].Mod(outputs[at].Add(outputs[at], d), fr.Modulus()) }
	}
	both := func(a, b change) change { return func(outputs []*big.Int) { a(outputs); b(outputs) } }
	radix := new(big.Int).Lsh(least(1), limbBits)
	inverse := new(big.Int).ModInverse(radix, fr.Modulus())
	lies := map[string]change{
		"overflowing limb of the quotient":  both(add(0, radix), add(1, least(-1))),
		"overflowing limb of the remainder": both(add(limbs, radix), add(limbs+1, least(-1))),
		"overflowing middle limb":           both(add(limbs+1, radix), add(limbs+2, least(-1))),
		"carry in the field only":           both(add(limbs, least(1)), add(2*limbs, new(big.Int).Neg(inverse))),
	}
	for at := range 2*limbs + 4 {
		lies["output "+string(rune('0'+at))] = add(at, least(1))
	}
	for name, lie := range lies {
		c, _ := inBlob(t, 1, nil)
		override := solver.OverrideHint(solver.GetHintID(ReductionHint), func(field *big.Int, inputs, outputs []*big.Int) error {
			if err := ReductionHint(field, inputs, outputs); err != nil {
				return err
			}
			lie(outputs)
			return nil
		})
		if place := refusal(t, ccs, c, override); !inspect.RefusedBy(place, "vector: powers of the point") && !inspect.RefusedBy(place, "range of power 2 of the point") {
			t.Errorf("%s: refused by %q", name, place)
		}
	}
	for at := range limbs { // a borrow that is not needed does no harm where the next limb can spare it
		c, _ := inBlob(t, 1, nil)
		override := solver.OverrideHint(solver.GetHintID(PointHint), func(field *big.Int, inputs, outputs []*big.Int) error {
			err := PointHint(field, inputs, outputs)
			add(at, least(1))(outputs)
			return err
		})
		if place := refusal(t, ccs, c, override); place == "" {
			t.Errorf("limb %d of the point: accepted", at)
		}
	}
}

// TestBlobIgnoresUnusedListings: an unused row may hold anything, and its cell is 0 in the blob as in the sponge.
func TestBlobIgnoresUnusedListings(t *testing.T) {
	c, _ := inBlob(t, 1, nil)
	row := &c.Private.Listings[len(c.Private.Listings)-1]
	if number(row.Used).Sign() != 0 {
		t.Fatal("the last row is used")
	}
	row.PositionCapLots, row.MinLots, row.ExpiryMs = 5, 6, 7
	if err := solve(t, compiledBlob(t), c); err != nil {
		t.Error(err)
	}
}

// TestBlobHoldsTheBody: a preset whose body is longer than a blob does not compile; every preset's is as long as its vector.
func TestBlobHoldsTheBody(t *testing.T) {
	p := nanoPreset(t)
	_, body := inBlob(t, 1, nil)
	p.Listings += maxCells - len(body)
	if err := fitsBlob(p); err != nil {
		t.Errorf("%d cells: %v", maxCells, err)
	}
	p.Listings++
	c := New(p)
	c.Blob = true
	if _, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c); err == nil || !strings.Contains(err.Error(), "a body of 4096 cells") {
		t.Errorf("4096 cells: %v", err)
	}
}
