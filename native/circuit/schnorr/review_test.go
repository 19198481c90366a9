package schnorr

import (
	"math/big"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
	"github.com/consensys/gnark/constraint"
	bn254 "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"straddle/native/crypto"
)

// Tests of a reviewer who did not write the gadget and was asked to forge.

// ---- Forgeries that choose one wire after the challenge ----

// lateForgery is a universal forgery: one false point of s balances the equation, and one value chosen when the challenge is known balances the
// lookups. The last digit of s is 63 and no other is, so that hints can recognise its table.
type lateForgery struct {
	signed
	digits [ScalarDigits]int64
	point  constantPoint // in place of 64^42 G, the last table's last row
}

const lastPlace = ScalarDigits - 1

func newLateForgery(r *rand.Rand) *lateForgery {
	f := &lateForgery{signed: signed{key: keyWithoutOwner(), message: randomMessage(r)}}
	f.sig.R.ScalarMultiplicationBase(randomSecret(r))
	balance := f.key
	balance.ScalarMultiplication(&balance, crypto.ShortChallenge(crypto.Challenge(&f.sig.R, &f.key, f.message)))
	balance.Add(&balance, &f.sig.R)
	f.sig.S = new(big.Int)
	for j := range f.digits {
		f.digits[j] = int64(r.Intn(scalarTableSize - 1))
		if j == lastPlace {
			f.digits[j] = scalarTableSize - 1
		}
		part := new(big.Int).Mul(big.NewInt(f.digits[j]+1), powerOfTwo(scalarWindow*j))
		f.sig.S.Add(f.sig.S, part)
		if j != lastPlace {
			var p te.PointAffine
			p.ScalarMultiplicationBase(part.Mod(part, crypto.Order()))
			balance = add2(balance, negated(p))
		}
	}
	f.sig.S.Mod(f.sig.S, crypto.Order())
	f.point = fromEdwards(&balance)
	return f
}

func (f *lateForgery) circuit(lastDigit *big.Int) *circuit {
	a := assign(f.signed)
	for j, d := range f.digits {
		a.Signatures[0].S[j] = d
	}
	a.Signatures[0].S[lastPlace] = lastDigit
	return a
}

// options are the forger's hints: the false point, and the multiplicity of the row that it should be.
func (f *lateForgery) options(multiplicity *big.Int) []solver.Option {
	selects := func(m *big.Int, in, out []*big.Int) error {
		honest := append([]*big.Int{}, in...)
		honest[lastPlace] = big.NewInt(scalarTableSize - 1)
		err := fixedSelectHint(m, honest, out)
		out[2*lastPlace].Set(f.point.U)
		out[2*lastPlace+1].Set(f.point.V)
		return err
	}
	counts := func(m *big.Int, in, out []*big.Int) error {
		if len(out) == challengeTableSize || below(in[0], scalarTableSize-1) {
			return countHint(m, in, out)
		}
		for i := range out {
			out[i].SetUint64(0)
		}
		out[scalarTableSize-1].Set(multiplicity)
		return nil
	}
	return []solver.Option{override(fixedSelectHint, selects), override(countHint, counts)}
}

// foldNatively is index + u v + v y + u y^2 + (table + 1) y^3.
func foldNatively(y *fr.Element, table int64, index, u, v *big.Int) fr.Element {
	var f, e fr.Element
	f.SetInt64(table + 1)
	for _, coefficient := range []*big.Int{u, v, new(big.Int).Add(new(big.Int).Mul(u, v), index)} {
		f.Mul(&f, y).Add(&f, e.SetBigInt(coefficient))
	}
	return f
}

// folds are the false query with digit 63 and the row of the table that it should have met.
func (f *lateForgery) folds(root *big.Int) (x, query, row fr.Element) {
	y := crypto.Compress(*new(fr.Element).SetBigInt(root), crypto.AsciiElement("schnorr.lookup"))
	x = crypto.Compress(y, crypto.AsciiElement("schnorr.lookup.point"))
	index, honest := big.NewInt(scalarTableSize-1), fixedMultiples()[lastPlace][scalarTableSize-1]
	return x, foldNatively(&y, lastPlace, index, f.point.U, f.point.V), foldNatively(&y, lastPlace, index, honest.U, honest.V)
}

// solveWithRoot solves with a commitment that is a hash of the committed values, or `fixed`; it reports the root that was drawn. gnark's random mask in
// the commitment is made constant.
func solveWithRoot(t *testing.T, ccs constraint.ConstraintSystem, assignment frontend.Circuit, fixed *big.Int, options ...solver.Option) (*big.Int, error) {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	masked, root := false, new(big.Int)
	for id, name := range ccs.(*bn254.R1CS).MHintsDependencies {
		if strings.HasSuffix(name, "hints.Randomize") {
			masked = true
			options = append(options, solver.OverrideHint(id, func(_ *big.Int, _, out []*big.Int) error { out[0].SetInt64(5); return nil }))
		}
	}
	if !masked {
		t.Fatal("no mask in the commitment: has gnark changed?")
	}
	commit := func(m *big.Int, in, out []*big.Int) error {
		if err := commitmentHint(m, in, out); err != nil {
			return err
		}
		if fixed != nil {
			out[0].Set(fixed)
		}
		root.Set(out[0])
		return nil
	}
	err = ccs.IsSolved(witness, append(options, override(cs.Bsb22CommitmentComputePlaceholder, commit))...)
	return root, err
}

// One multiplicity, or one digit of s, that is chosen after the challenge forges for any key; so all must be bound, though multiplicities are "only"
// counts, and such a digit enters nothing but its query.
func TestAttack02LateChoicesForge(t *testing.T) {
	const fixed = 15 + 3*ways*challengeTableSize // places as in TestEverythingAfterTheChallengeWasBound
	const queries = fixed + 3*ScalarDigits*scalarTableSize
	f, row := newLateForgery(rand.New(rand.NewSource(50))), big.NewInt(scalarTableSize-1)
	if f.native() {
		t.Fatal("the forgery is natively valid")
	}
	for name, attack := range map[string]struct {
		place int
		late  func(root *big.Int) (digit, multiplicity *big.Int)
	}{
		"multiplicity": {queries - 1, func(root *big.Int) (digit, multiplicity *big.Int) { // so many rows count as one false query
			x, query, honest := f.folds(root)
			return row, toBig(honest.Sub(&x, &honest).Div(&honest, query.Sub(&x, &query)))
		}},
		"digit": {queries + 3*ways*digitsPerWay + 3*lastPlace, func(root *big.Int) (digit, multiplicity *big.Int) { // the false query folds like the row
			_, query, honest := f.folds(root)
			honest.Sub(&honest, &query)
			return toBig(honest.Add(&honest, query.SetBigInt(row))), big.NewInt(1)
		}},
	} {
		run := func(variant string, ccs constraint.ConstraintSystem, layered bool, predicted *big.Int, falls bool) {
			try := func(digit, multiplicity *big.Int) (*big.Int, error) {
				var assignment frontend.Circuit = f.circuit(digit)
				if c := f.circuit(digit); layered {
					assignment = &layerCircuit{c.Accounts[0], c.Messages[0], c.Signatures[0]}
				}
				return solveWithRoot(t, ccs, assignment, predicted, f.options(multiplicity)...)
			}
			root, err := try(row, big.NewInt(1))
			mustRefuse(t, name+", "+variant+", before the challenge is known", err)
			if _, err = try(attack.late(root)); !falls {
				mustRefuse(t, name+", "+variant, err)
			} else if err != nil {
				t.Errorf("%s, %s: the attack fails: %v", name, variant, err)
			}
		}
		sound, layer, weak := compile(t, shape(1, 0)), compile(t, &layerCircuit{}), shape(1, 0)
		weak.dropBound = map[int]bool{attack.place: true}
		run("bound", sound, false, nil, false)
		run("bound by the layer", layer, true, nil, false)
		run("not bound", compile(t, weak), false, nil, true)
		run("bound under a predicted challenge", sound, false, big.NewInt(123456789), true)
		run("bound by the layer under a predicted challenge", layer, true, big.NewInt(123456789), true)
	}
}

// ---- Free wires ----

// freeWires lists the wires that are not pinned at a solution when public inputs, committed wires and the challenge are held fixed: it peels the
// Jacobian of all constraints. A wire is pinned by a constraint in which every other wire with a non-zero derivative is pinned. gnark's solver is not
// involved: it would give a free slope (0/0) the value 0.
func freeWires(ccs constraint.ConstraintSystem, w []fr.Element, known map[int]bool) (free []int) {
	system := ccs.(*bn254.R1CS)
	rows, users, pinned := []map[int]bool{}, map[int][]int{}, map[int]bool{}
	var queue []int
	for i, row := range system.GetR1Cs() {
		rows = append(rows, map[int]bool{})
		for wire, derivative := range gradient(system, &row, w) {
			if !known[wire] && !derivative.IsZero() {
				rows[i][wire] = true
				users[wire] = append(users[wire], i)
			}
		}
		queue = append(queue, i)
	}
	for ; len(queue) > 0; queue = queue[1:] {
		if len(rows[queue[0]]) != 1 {
			continue
		}
		for wire := range rows[queue[0]] {
			pinned[wire] = true
			for _, user := range users[wire] {
				delete(rows[user], wire)
				queue = append(queue, user)
			}
		}
	}
	for wire := range w {
		if !known[wire] && !pinned[wire] {
			free = append(free, wire)
		}
	}
	return free
}

// gradient is the derivative of L R - O by each wire.
func gradient(system *bn254.R1CS, row *constraint.R1C, w []fr.Element) map[int]*fr.Element {
	derivatives := map[int]*fr.Element{}
	left, right, minusOne := evaluate(system, row.L, w), evaluate(system, row.R, w), fr.One()
	minusOne.Neg(&minusOne)
	for _, side := range []struct {
		terms  constraint.LinearExpression
		factor fr.Element
	}{{row.L, right}, {row.R, left}, {row.O, minusOne}} {
		for _, term := range side.terms {
			if derivatives[term.WireID()] == nil {
				derivatives[term.WireID()] = new(fr.Element)
			}
			product := new(fr.Element).Mul(&system.Coefficients[term.CoeffID()], &side.factor)
			derivatives[term.WireID()].Add(derivatives[term.WireID()], product)
		}
	}
	return derivatives
}

func evaluate(system *bn254.R1CS, side constraint.LinearExpression, w []fr.Element) (sum fr.Element) {
	for _, term := range side {
		sum.Add(&sum, new(fr.Element).Mul(&system.Coefficients[term.CoeffID()], &w[term.WireID()]))
	}
	return sum
}

// solution is the full vector of wires, and the wires that no prover can choose after the challenge.
func solution(t *testing.T, ccs constraint.ConstraintSystem, assignment frontend.Circuit) ([]fr.Element, map[int]bool) {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	solved, err := ccs.Solve(witness, override(cs.Bsb22CommitmentComputePlaceholder, commitmentHint))
	if err != nil {
		t.Fatal(err)
	}
	known := map[int]bool{}
	for wire := range ccs.GetNbPublicVariables() {
		known[wire] = true
	}
	for _, commitment := range ccs.GetCommitments().(constraint.Groth16Commitments) {
		known[commitment.CommitmentIndex] = true
		for _, wire := range commitment.PrivateCommitted {
			known[wire] = true
		}
	}
	return solved.(*bn254.R1CSSolution).W, known
}

func TestNoFreeWires(t *testing.T) {
	r := rand.New(rand.NewSource(52))
	t8, _, _, _ := torsion()
	secret := randomSecret(r)
	honest := []signed{signRandom(r, secret), signRandom(r, randomSecret(r))}
	zero := signWith(crypto.PublicKey(secret), crypto.PublicKey(secret), secret, secret, [crypto.MessageWords]fr.Element{}) // R = A
	base := signWith(crypto.Base(), crypto.Base(), big.NewInt(1), big.NewInt(1), randomMessage(r))                          // A = R = G
	// A key of mixed order, as an unused row may hold: natively refused, provable where the multiplier of A itself is a multiple of 8.
	mixed := signed{key: add2(honest[0].key, t8)}
	for suitable := false; !suitable; {
		nonce := randomSecret(r)
		var R te.PointAffine
		R.ScalarMultiplicationBase(nonce)
		mixed = signWith(mixed.key, R, secret, nonce, randomMessage(r))
		c := crypto.ShortChallenge(crypto.Challenge(&R, &mixed.key, mixed.message))
		suitable = c.And(c, big.NewInt(7)).Sign() == 0
	}
	if mixed.native() {
		t.Error("a key of mixed order is natively valid")
	}
	for name, list := range map[string][]signed{"honest": honest, "R = A, and A = R = G": {zero, base}, "mixed order": {mixed, honest[1]}} {
		c := shape(2, 0, 1)
		c.assertMultiple = true
		ccs := compile(t, c)
		w, known := solution(t, ccs, assign(list...))
		if free := freeWires(ccs, w, known); len(free) > 0 {
			t.Errorf("%s: %d of %d wires are free, first %v", name, len(free), len(w), free[0])
		}
	}
	ccs := compile(t, &layerCircuit{})
	filled := assign(honest[0])
	w, known := solution(t, ccs, &layerCircuit{filled.Accounts[0], filled.Messages[0], filled.Signatures[0]})
	if free := freeWires(ccs, w, known); len(free) > 0 {
		t.Errorf("argument layer: %d of %d wires are free", len(free), len(w))
	}
}

// formula is a circuit over a list of inputs.
type formula struct {
	In     []frontend.Variable
	define func(api frontend.API, in []frontend.Variable)
}

func (f *formula) Define(api frontend.API) error {
	f.define(api, f.In)
	return nil
}

func compileFormula(t *testing.T, inputs int, define func(api frontend.API, in []frontend.Variable)) constraint.ConstraintSystem {
	return compile(t, &formula{make([]frontend.Variable, inputs), define})
}

func inputs(values ...frontend.Variable) *formula { return &formula{In: values} }

// The control of the test above: where p = q the slope is free indeed, the test sees it, and a vector with another slope satisfies the constraints.
func TestFreeSlopeIsSeen(t *testing.T) {
	ccs := compileFormula(t, 4, func(api frontend.API, in []frontend.Variable) {
		add(api, montgomery{in[0], in[1]}, montgomery{in[2], in[3]})
	})
	p, q := fixedMultiples()[0][4], fixedMultiples()[0][6]
	known := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true}
	w, _ := solution(t, ccs, inputs(p.U, p.V, q.U, q.V))
	if free := freeWires(ccs, w, known); len(free) != 0 {
		t.Errorf("p + q: %d free wires", len(free))
	}
	w, _ = solution(t, ccs, inputs(p.U, p.V, p.U, p.V))
	if free := freeWires(ccs, w, known); len(free) == 0 {
		t.Error("p + p: the free slope is not seen")
	}
	slope, square, product := &w[len(w)-3], &w[len(w)-2], &w[len(w)-1]
	var b, u, e fr.Element
	slope.SetUint64(987654321)
	square.Mul(slope, b.SetBigInt(montgomeryB)).Mul(square, slope)
	u.Sub(square, e.SetBigInt(montgomeryA)).Sub(&u, e.SetBigInt(new(big.Int).Lsh(p.U, 1)))
	product.Mul(e.SetBigInt(p.U).Sub(&e, &u), slope)
	if violated(ccs, w) {
		t.Error("p + p: another slope is refused")
	}
	if product.Double(product); !violated(ccs, w) {
		t.Error("the check of constraints checks nothing")
	}
}

func violated(ccs constraint.ConstraintSystem, w []fr.Element) bool {
	system := ccs.(*bn254.R1CS)
	return slices.ContainsFunc(system.GetR1Cs(), func(row constraint.R1C) bool {
		left, right, out := evaluate(system, row.L, w), evaluate(system, row.R, w), evaluate(system, row.O, w)
		return !left.Mul(&left, &right).Equal(&out)
	})
}

// ---- Tables of adversarial keys ----

// Every point with a Montgomery form, torsion included: the first exceptional addition of the table, if any, is p + (-p) with v != 0, which has no
// witness. 0/0 is never reached first. The circuit agrees.
func TestTablesOfAdversarialKeys(t *testing.T) {
	r := rand.New(rand.NewSource(53))
	t8, _, _, identity := torsion()
	ccs := compileFormula(t, 2, func(api frontend.API, in []frontend.Variable) {
		base := toMontgomery(api, Point{in[0], in[1]})
		point := double(api, base)
		for range challengeTableSize - 2 {
			point = add(api, point, base)
		}
	})
	for _, prime := range []te.PointAffine{identity, crypto.Base(), negated(crypto.Base()), crypto.PublicKey(randomSecret(r)), offsetBase()} {
		key := prime
		for torsion := range 8 {
			if !key.X.IsZero() { // else refused by toMontgomery, see TestPointsWithoutMontgomeryForm
				degenerate, sum := false, key
				for k := 1; k < challengeTableSize && !degenerate; k++ { // sum = k key
					next := add2(sum, key)
					degenerate = next.IsZero()
					if k > 1 && sum.Equal(&key) || degenerate && sum.X.IsZero() {
						t.Fatalf("torsion %d: %d P + P is 0/0", torsion, k)
					}
					sum = next
				}
				err := solve(t, ccs, inputs(key.X, key.Y))
				if degenerate {
					mustRefuse(t, "table", err)
				}
				if degenerate != prime.IsZero() || !degenerate && err != nil {
					t.Errorf("torsion %d: degenerate %t, %v", torsion, degenerate, err)
				}
			}
			key = add2(key, t8)
		}
	}
}

// The facts about the curve on which the completeness of AssertMultiple's doublings and the list of exceptional additions rest.
func TestCurveFacts(t *testing.T) {
	minusOne, discriminant := new(fr.Element).SetInt64(-1), new(fr.Element).SetBigInt(montgomeryA)
	discriminant.Square(discriminant).Sub(discriminant, new(fr.Element).SetUint64(4))
	if !curve.A.Equal(minusOne) || minusOne.Legendre() != 1 || curve.D.Legendre() != -1 {
		t.Error("expected a = -1, a square, and d not a square: else additions of Edwards points have exceptions")
	}
	if discriminant.Legendre() != -1 {
		t.Error("more than one point of order two")
	}
	order := crypto.Order()
	var g te.PointAffine
	g.ScalarMultiplication(&curve.Base, order)
	if !order.ProbablyPrime(20) || !g.IsZero() {
		t.Error("G is not of prime order l")
	}
	// 8 l divides the number of points, as torsion() finds one of order 8; and it is the only multiple of 8 l in Hasse's interval
	distance := new(big.Int).Sub(new(big.Int).Lsh(order, 3), fr.Modulus())
	if distance.CmpAbs(new(big.Int).Lsh(new(big.Int).Sqrt(fr.Modulus()), 1)) > 0 {
		t.Error("the cofactor is not 8")
	}
}

// ---- Folding ----

// Constant rows and variable rows fold to the same polynomial in y, and its coefficients give the row back.
func TestFoldIsOneInjectivePolynomial(t *testing.T) {
	r := rand.New(rand.NewSource(54))
	for _, table := range []int64{0, 1, ScalarDigits - 1, ScalarDigits, 1000} {
		p := fixedMultiples()[r.Intn(ScalarDigits)][r.Intn(scalarTableSize)]
		for _, constant := range []*constantPoint{nil, &p} {
			ccs := compileFormula(t, 5, func(api frontend.API, in []frontend.Variable) { // y, digit, u, v, fold
				point := montgomery{in[2], in[3]}
				if constant != nil {
					point = constant.variable()
				}
				api.AssertIsEqual(newFolder(api, in[0]).fold(table, in[1], point), in[4])
			})
			for _, digit := range []*big.Int{new(big.Int), big.NewInt(63), new(big.Int).Sub(fr.Modulus(), big.NewInt(1)), new(big.Int).Rand(r, fr.Modulus())} {
				y := randomElement(r)
				fold := foldNatively(&y, table, digit, p.U, p.V)
				if err := solve(t, ccs, inputs(y, digit, p.U, p.V, fold)); err != nil {
					t.Errorf("table %d, constant %t: %v", table, constant != nil, err)
				}
				mustRefuse(t, "fold", solve(t, ccs, inputs(y, digit, p.U, p.V, *fold.Double(&fold))))
			}
		}
	}
	// rows that agree in index + u v, in u, in v or in the table, but are not equal
	same, rows := map[[4]fr.Element]bool{}, 0
	for table := range int64(3) {
		for _, row := range [][3]int64{{5, 20, 30}, {5, 30, 20}, {6, 20, 30}, {25, 20, 29}, {35, 19, 30}, {605, 0, 30}, {605, 20, 0}, {605, 0, 0}} {
			var at [4]fr.Element // four values determine a polynomial of degree 3
			for i := range at {
				at[i] = foldNatively(new(fr.Element).SetInt64(int64(i)), table, big.NewInt(row[0]), big.NewInt(row[1]), big.NewInt(row[2]))
			}
			same[at] = true
			rows++
		}
	}
	if len(same) != rows {
		t.Errorf("%d rows fold to %d polynomials", rows, len(same))
	}
}

// ---- The offset ----

// The offset is H + (low 252 bits + 1 + 4 + ... + 4^125) G of the canonical challenge: one T for each challenge, also where challenge + r has 254 bits.
func TestOffsetOfChallenge(t *testing.T) {
	r := rand.New(rand.NewSource(55))
	ccs := compileFormula(t, 3, func(api frontend.API, in []frontend.Variable) { // challenge, u, v
		point := randomOffset(api, in[0])
		api.AssertIsEqual(point.U, in[1])
		api.AssertIsEqual(point.V, in[2])
	})
	var nbits solver.HintID
	for id, name := range ccs.(*bn254.R1CS).MHintsDependencies {
		if strings.HasSuffix(name, "bits.nBits") {
			nbits = id
		}
	}
	if nbits == 0 {
		t.Fatal("no hint for the bits: has gnark changed?")
	}
	small := new(big.Int).Sub(powerOfTwo(fr.Bits), fr.Modulus()) // below this, challenge + r has 254 bits too
	offset := func(bits *big.Int) constantPoint {
		e := new(big.Int).And(bits, new(big.Int).Sub(powerOfTwo(2*offsetDigits), big.NewInt(1)))
		for j := range offsetDigits {
			e.Add(e, powerOfTwo(2*j))
		}
		var p te.PointAffine
		p.ScalarMultiplicationBase(e.Mod(e, crypto.Order()))
		p = add2(p, offsetBase())
		return fromEdwards(&p)
	}
	for _, c := range []*big.Int{new(big.Int), big.NewInt(1), new(big.Int).Sub(fr.Modulus(), big.NewInt(1)), new(big.Int).Rand(r, small)} {
		p := offset(c)
		if err := solve(t, ccs, inputs(c, p.U, p.V)); err != nil {
			t.Errorf("challenge %s: %v", c, err)
		}
		other := new(big.Int).Add(c, fr.Modulus())
		if other.BitLen() > fr.Bits {
			continue
		}
		q := offset(other)
		err := solve(t, ccs, inputs(c, q.U, q.V), solver.OverrideHint(nbits, func(_ *big.Int, _, out []*big.Int) error {
			for i := range out {
				out[i].SetUint64(uint64(other.Bit(i)))
			}
			return nil
		}))
		mustRefuse(t, "bits of challenge + r", err)
	}
}

// A gadget that is never closed proves nothing about its signatures, so a circuit with one must not compile.
func TestVerifyWithoutCloseDoesNotCompile(t *testing.T) {
	c := shape(1, 0)
	c.closeWith = func(*Gadget) {}
	if _, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c); err == nil || !strings.Contains(err.Error(), "without Close") {
		t.Fatalf("compiled without Close: %v", err)
	}
}
