package batch

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint/solver"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// A body in a blob proves:
//  1. Z is below r, limb by limb: layer 1 takes z as it is, and no other number that is z modulo r, for the point.
//  2. y_body is, modulo r, the value at z of the polynomial over BLS12-381's scalar field (modulus p) whose coefficients 1, 2, .. are the cells.
//
// Everything is stated about integers, in limbs that are cells of the argument layer, whose intervals show that nothing wraps around r. No challenge of
// the layer takes part: there is nothing here for its audit.
//
// Why the value modulo r is enough. Let B be the body's polynomial, fixed by C, and P the blob's, fixed by its versioned hash; both are fixed before z,
// which is a hash of them. Layer 1 has y = P(z), 0 <= y < p, from the precompile; here Y = B(z) modulo p, 0 <= Y < 2^255, is any representative that the
// limbs allow; and y = Y modulo r. As 2^255 < 3r, y = Y + jr with -2 <= j <= 2: z is a root of one of five polynomials P - B - jr of degree below 4096
// over the field of p elements. Unless one of them is 0, that happens for at most 5 * 4095 of the r values of z. If one is 0, P and B differ in
// coefficient 0 at most, which therefore carries nothing and which nobody reads.

// BlobSuffix ends the preset's name in a witness whose body lies in a blob.
const BlobSuffix = "blob"

const (
	limbs       = 3
	limbBits    = 78  // the upper limb has the rest; accounts, orders and positions fall apart here best
	residueBits = 255 // bit length of p
	pointBits   = 254 // bit length of r
	maxCells    = 4095
)

var blobModulus = ecc.BLS12_381.ScalarField()

func init() { solver.RegisterHint(PointHint, ReductionHint) }

// inBlob says whether the body lies in a blob.
func (w *Witness) inBlob() bool { return strings.HasSuffix(w.Preset, "-"+BlobSuffix) }

// sizes are those of the preset that the witness names.
func (w *Witness) sizes() (circuit.Preset, error) {
	p, err := circuit.PresetByName(strings.TrimSuffix(w.Preset, "-"+BlobSuffix))
	if err != nil {
		return p, fmt.Errorf("preset: %w", err)
	}
	return p, nil
}

// fitsBlob refuses presets whose body is too long for a blob.
func fitsBlob(p circuit.Preset) error {
	cells := p.Accounts + 2*((p.Orders+2)/3) + (p.Positions+3)/4 + p.Listings
	if cells > maxCells {
		return fmt.Errorf("preset %q: a body of %d cells, expected at most %d in a blob", p.Name, cells, maxCells)
	}
	return nil
}

// blobValue is y_body of a body in a blob.
func blobValue(body []fr.Element, z *big.Int) fr.Element {
	value := new(big.Int)
	for i := len(body) - 1; i >= 0; i-- {
		value.Add(value, ledger.ToBig(body[i]))
		value.Mul(value, z)
		value.Mod(value, blobModulus)
	}
	return ledger.ToElement(value.Mod(value, ecc.BN254.ScalarField()))
}

// residue is an integer in limbs of 78 bits, of which only the value modulo p counts.
type residue [limbs]argument.Expr

// convolution is the product of two residues before carries: an integer in digits of 78 bits that overflow.
type convolution [2*limbs - 1]argument.Expr

// stateBlob evaluates group by group, upper group first: value = value * z^size + sum of cells[i] * z^(i + 1).
func (b *builder) stateBlob(cells []bodyCell) {
	b.l.Group("vector: point of the blob")
	z := b.point()
	b.l.Group("vector: powers of the point")
	size := 1
	for size*size < len(cells) {
		size++
	}
	powers := []residue{z}
	for len(powers) < size {
		var next convolution
		b.zero(next[:])
		b.accumulate(&next, powers[len(powers)-1], z)
		powers = append(powers, b.reduce(fmt.Sprintf("power %d of the point", len(powers)+1), &next))
	}
	b.l.Group("vector: value of the blob")
	var value residue
	b.zero(value[:])
	for first := (len(cells) - 1) / size * size; first >= 0; first -= size {
		var sum convolution
		b.zero(sum[:])
		b.accumulate(&sum, value, powers[size-1])
		for i := first; i < min(first+size, len(cells)); i++ {
			b.accumulate(&sum, b.residueOf(cells[i]), powers[i-first])
		}
		value = b.reduce(fmt.Sprintf("value from cell %d", first), &sum)
	}
	b.api.AssertIsEqual(b.modulo(value), b.public.YBody)
}

// narrowTableRows are the positions' table rows with a width: elsewhere the lookup among the instruments is enough.
func (b *builder) narrowTableRows() argument.Column {
	const bits = 10 // circuit.Preset holds no more instruments
	rows := b.positions.tableRow
	vs := make([]variable, len(rows))
	for j, row := range rows {
		vs[j] = row.Raw()
	}
	return b.l.Table("positions of the blob", len(rows)).Bits("table_row", bits, vs)
}

// listingCells are the listings' words in parts. An unused row's fields may hold anything: each part is 0 by itself.
func (b *builder) listingCells() (cells []bodyCell) {
	for j, used := range b.listings.used {
		var cell bodyCell
		for k, part := range b.residueOf(b.listings.cell(b.l, j)) {
			cell = append(cell, cellPart{used.Times(part), limbBits * k})
		}
		cells = append(cells, cell)
	}
	return cells
}

// residueOf sorts a cell's parts into limbs by where they begin. They may reach beyond a limb: what counts is that no sum of products wraps around.
func (b *builder) residueOf(c bodyCell) (r residue) {
	b.zero(r[:])
	for _, part := range c {
		k := min(part.bit/limbBits, limbs-1)
		r[k] = r[k].Plus(part.value.Shifted(part.bit - limbBits*k))
	}
	return r
}

func (b *builder) zero(es []argument.Expr) {
	for i := range es {
		es[i] = b.l.Const(0)
	}
}

// accumulate adds a product to a sum of products.
func (b *builder) accumulate(sum *convolution, a, c residue) {
	for i := range a {
		for j := range c {
			sum[i+j] = sum[i+j].Plus(a[i].Times(c[j]))
		}
	}
}

// modulo is a residue as an element of the circuit's field.
func (b *builder) modulo(r residue) variable {
	return b.api.Add(r[0].Raw(), b.api.Mul(r[1].Raw(), ledger.Power(limbBits)), b.api.Mul(r[2].Raw(), ledger.Power(2*limbBits)))
}

// digits cuts a number into limbs.
func digits(n *big.Int) (ds [limbs]*big.Int) {
	mask := new(big.Int).Sub(ledger.Power(limbBits), big.NewInt(1))
	for k := range ds {
		ds[k] = new(big.Int).Rsh(n, uint(limbBits*k))
		if k < limbs-1 {
			ds[k].And(ds[k], mask)
		}
	}
	return ds
}

// cells allocates the limbs of a number of so many bits.
func (b *builder) limbCells(t *argument.Table, name string, bits int, vs []variable) (r residue) {
	b.zero(r[:])
	for k := range r {
		width := bits - limbBits*k
		if k < limbs-1 {
			width = min(width, limbBits)
		}
		r[k] = t.Bits(fmt.Sprintf("%s[%d]", name, k), width, vs[k:k+1])[0]
	}
	return r
}

// point is z in limbs. That they make no number from r up follows from r - 1 - z, with borrows: none of its limbs is negative.
func (b *builder) point() residue {
	hinted, err := b.api.NewHint(PointHint, limbs+limbs-1, b.public.Z)
	if err != nil {
		panic(err) // only for a wrong number of inputs
	}
	t := b.l.Table("point of the blob", 1)
	z := b.limbCells(t, "limb", pointBits, hinted[:limbs])
	b.api.AssertIsEqual(b.modulo(z), b.public.Z)
	most := digits(new(big.Int).Sub(ecc.BN254.ScalarField(), big.NewInt(1)))
	borrowed := b.l.Const(0)
	for k := range z {
		left := b.l.Const(most[k]).Minus(z[k]).Minus(borrowed)
		if k < limbs-1 {
			borrowed = t.Bool(fmt.Sprintf("borrow[%d]", k), hinted[limbs+k:limbs+k+1])[0]
			left = left.Plus(borrowed.Shifted(limbBits))
		}
		b.l.AssertNotNegative(left)
	}
	return z
}

// PointHint cuts z into limbs and tells which limbs of r - 1 - z borrow from the next one.
func PointHint(field *big.Int, inputs, outputs []*big.Int) error {
	z, most := digits(inputs[0]), digits(new(big.Int).Sub(field, big.NewInt(1)))
	borrowed := new(big.Int)
	for k := range z {
		outputs[k].Set(z[k])
		if k < limbs-1 {
			left := new(big.Int).Sub(most[k], z[k])
			borrowed = big.NewInt(int64(ledger.Bit(left.Sub(left, borrowed).Sign() < 0)))
			outputs[limbs+k].Set(borrowed)
		}
	}
	return nil
}

// reduce finds a residue below 2^255 that is the sum modulo p: sum = quotient * p + remainder, digit by digit with carries.
func (b *builder) reduce(name string, sum *convolution) residue {
	greatest := new(big.Int)
	inputs := make([]variable, len(sum))
	for k, digit := range sum {
		greatest.Add(greatest, new(big.Int).Lsh(digit.Interval().High, uint(limbBits*k)))
		inputs[k] = digit.Raw()
	}
	hinted, err := b.api.NewHint(ReductionHint, 2*limbs+len(sum)-1, inputs...)
	if err != nil {
		panic(err) // only for a wrong number of inputs
	}
	t := b.l.Table(name, 1)
	quotient := b.limbCells(t, "quotient", greatest.Div(greatest, blobModulus).BitLen(), hinted[:limbs])
	remainder := b.limbCells(t, "remainder", residueBits, hinted[limbs:2*limbs])
	p, carry := digits(blobModulus), b.l.Const(0)
	for k := range sum {
		left := sum[k].Plus(carry)
		for i := max(0, k-limbs+1); i <= min(k, limbs-1); i++ {
			left = left.Minus(quotient[i].Scaled(p[k-i]))
		}
		if k < limbs {
			left = left.Minus(remainder[k])
		}
		if k == len(sum)-1 {
			b.l.AssertZero(left)
			break
		}
		bits := left.Interval().Magnitude().BitLen() - limbBits + 1
		carry = t.Signed(fmt.Sprintf("carry[%d]", k), bits, hinted[2*limbs+k:2*limbs+k+1])[0]
		b.l.AssertEqual(left, carry.Shifted(limbBits))
	}
	return remainder
}

// ReductionHint divides the number with these digits by p: limbs of quotient and remainder, then the carries.
func ReductionHint(_ *big.Int, inputs, outputs []*big.Int) error {
	sum := new(big.Int)
	for k, digit := range inputs {
		sum.Add(sum, new(big.Int).Lsh(digit, uint(limbBits*k)))
	}
	whole, rest := new(big.Int).DivMod(sum, blobModulus, new(big.Int))
	quotient, remainder, p := digits(whole), digits(rest), digits(blobModulus)
	carry := new(big.Int)
	for k := range len(inputs) - 1 {
		carry.Add(carry, inputs[k])
		for i := max(0, k-limbs+1); i <= min(k, limbs-1); i++ {
			carry.Sub(carry, new(big.Int).Mul(quotient[i], p[k-i]))
		}
		if k < limbs {
			carry.Sub(carry, remainder[k])
			outputs[k].Set(quotient[k])
			outputs[limbs+k].Set(remainder[k])
		}
		carry.Rsh(carry, limbBits) // exact
		outputs[2*limbs+k].Set(carry)
	}
	return nil
}
