package schnorr

import (
	"math/big"
	"math/rand"
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

	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// Tests of a reviewer who did not write the gadget and was asked to forge.

// ---- Forgeries that choose one wire after the challenge ----

// lateForgery is a universal forgery: one false point of s balances the equation, and one value chosen when the challenge is known balances the
// lookups. The last digit of s is 63 and no other is, so that hints can recognise its table.
type lateForgery struct {
	signed
	digits   [ScalarDigits]int64
	false_   constantPoint // in place of (d + 1) 64^41 G
	lateEdit func(count []*big.Int)
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
	f.false_ = fromEdwards(&balance)
	return f
}

func (f *lateForgery) circuit(lastDigit any) *circuit {
	a := assign(f.signed)
	for j, d := range f.digits {
		a.Signatures[0].S[j] = d
	}
	a.Signatures[0].S[lastPlace] = lastDigit
	return a
}

// options are the forger's hints. The count of the last table is that of the digit 63, then edited.
func (f *lateForgery) options(edit func(counts []*big.Int)) []solver.Option {
	return []solver.Option{
		override(fixedSelectHint, func(m *big.Int, in, out []*big.Int) error {
			honest := append([]*big.Int{}, in...)
			honest[lastPlace] = big.NewInt(scalarTableSize - 1)
			err := fixedSelectHint(m, honest, out)
			out[2*lastPlace].Set(f.false_.U)
			out[2*lastPlace+1].Set(f.false_.V)
			return err
		}),
		override(countHint, func(m *big.Int, in, out []*big.Int) error {
			if len(out) == scalarTableSize && !below(in[0], scalarTableSize-1) {
				err := countHint(m, []*big.Int{big.NewInt(scalarTableSize - 1)}, out)
				edit(out)
				return err
			}
			return countHint(m, in, out)
		}),
	}
}

// challenges are the lookup's y and x under a root.
func challenges(root *big.Int) (y, x fr.Element) {
	var e fr.Element
	e.SetBigInt(root)
	y = crypto.Compress(e, crypto.AsciiElement("schnorr.lookup"))
	return y, crypto.Compress(y, crypto.AsciiElement("schnorr.lookup.point"))
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
	y, x := challenges(root)
	index, honest := big.NewInt(scalarTableSize-1), fixedMultiples()[lastPlace][scalarTableSize-1]
	return x, foldNatively(&y, lastPlace, index, f.false_.U, f.false_.V), foldNatively(&y, lastPlace, index, honest.U, honest.V)
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

// A multiplicity that is chosen after the challenge forges for any key; so the multiplicities must be bound, though they are "only" counts.
func TestLateMultiplicityForges(t *testing.T) {
	f := newLateForgery(rand.New(rand.NewSource(50)))
	if f.native() {
		t.Fatal("the forgery is natively valid")
	}
	late := func(root *big.Int) func(counts []*big.Int) { // (x - row)/(x - query) rows count as one query
		return func(counts []*big.Int) {
			x, query, row := f.folds(root)
			row.Sub(&x, &row)
			query.Sub(&x, &query)
			row.Div(&row, &query).BigInt(counts[scalarTableSize-1])
		}
	}
	early := func([]*big.Int) {}
	assignment, sound := f.circuit(int64(scalarTableSize-1)), compile(t, shape(1, 0))
	layered := &layerCircuit{assignment.Accounts[0], assignment.Messages[0], assignment.Signatures[0]}

	unbound := shape(1, 0)
	unbound.dropBound = map[int]bool{15 + 3*ways*challengeTableSize + 3*ScalarDigits*scalarTableSize - 1: true} // see TestEverythingAfterTheChallengeWasBound
	weak := compile(t, unbound)
	root, err := solveWithRoot(t, weak, assignment, nil, f.options(early)...)
	mustRefuse(t, "before the challenge is known", err)
	if _, err := solveWithRoot(t, weak, assignment, nil, f.options(late(root))...); err != nil {
		t.Errorf("the attack fails against an unbound multiplicity: %v", err)
	}
	for name, target := range map[string]struct {
		ccs        constraint.ConstraintSystem
		assignment frontend.Circuit
	}{"test binder": {sound, assignment}, "argument layer": {compile(t, &layerCircuit{}), layered}} {
		root, err := solveWithRoot(t, target.ccs, target.assignment, nil, f.options(early)...)
		mustRefuse(t, name, err)
		_, err = solveWithRoot(t, target.ccs, target.assignment, nil, f.options(late(root))...)
		mustRefuse(t, name, err)
		// And everything rests on the challenge: who predicts it forges.
		known := big.NewInt(123456789)
		if _, err := solveWithRoot(t, target.ccs, target.assignment, known, f.options(late(known))...); err != nil {
			t.Errorf("%s: the attack fails with a predicted challenge: %v", name, err)
		}
	}
}

// A digit of s that is chosen after the challenge forges: it enters nothing but its query, where it can balance any point.
func TestLateDigitForges(t *testing.T) {
	f := newLateForgery(rand.New(rand.NewSource(51)))
	late := func(root *big.Int) *big.Int { // query + digit - 63 = row
		_, query, row := f.folds(root)
		var d fr.Element
		d.SetInt64(scalarTableSize-1).Add(&d, &row).Sub(&d, &query)
		return toBig(&d)
	}
	nothing := func([]*big.Int) {}
	c := shape(1, 0)
	c.dropBound = map[int]bool{15 + 3*ways*challengeTableSize + 3*ScalarDigits*scalarTableSize + 3*ways*digitsPerWay + 3*lastPlace: true}
	for name, target := range map[string]struct {
		c     *circuit
		fixed *big.Int
		falls bool
	}{"sound": {shape(1, 0), nil, false}, "unbound": {c, nil, true}, "predicted": {shape(1, 0), big.NewInt(77), true}} {
		ccs := compile(t, target.c)
		root, err := solveWithRoot(t, ccs, f.circuit(int64(scalarTableSize-1)), target.fixed, f.options(nothing)...)
		mustRefuse(t, name, err)
		_, err = solveWithRoot(t, ccs, f.circuit(late(root)), target.fixed, f.options(nothing)...)
		if target.falls && err != nil {
			t.Errorf("%s: the attack fails: %v", name, err)
		} else if !target.falls {
			mustRefuse(t, name, err)
		}
	}
}

// ---- Free wires ----

// freeWires lists the wires that are not pinned at a solution when public inputs, committed wires and the challenge are held fixed: it peels the
// Jacobian of all constraints. A wire is pinned by a constraint in which every other wire with a non-zero derivative is pinned. gnark's solver is not
// involved: it would give a free slope (0/0) the value 0.
func freeWires(ccs constraint.ConstraintSystem, w []fr.Element, known map[int]bool) []int {
	system := ccs.(*bn254.R1CS)
	rows := system.GetR1Cs()
	derivatives := make([]map[int]bool, len(rows))
	users := map[int][]int{}
	var queue []int
	for i := range rows {
		gradient := map[int]*fr.Element{}
		evaluate := func(side constraint.LinearExpression) (sum fr.Element) {
			for _, term := range side {
				var e fr.Element
				e.Mul(&system.Coefficients[term.CoeffID()], &w[term.WireID()])
				sum.Add(&sum, &e)
			}
			return sum
		}
		accumulate := func(side constraint.LinearExpression, factor fr.Element) {
			for _, term := range side {
				var e fr.Element
				e.Mul(&system.Coefficients[term.CoeffID()], &factor)
				if gradient[term.WireID()] == nil {
					gradient[term.WireID()] = new(fr.Element)
				}
				gradient[term.WireID()].Add(gradient[term.WireID()], &e)
			}
		}
		minusOne := fr.One()
		minusOne.Neg(&minusOne)
		accumulate(rows[i].L, evaluate(rows[i].R))
		accumulate(rows[i].R, evaluate(rows[i].L))
		accumulate(rows[i].O, minusOne)
		derivatives[i] = map[int]bool{}
		for wire, d := range gradient {
			if !known[wire] && !d.IsZero() {
				derivatives[i][wire] = true
				users[wire] = append(users[wire], i)
			}
		}
		queue = append(queue, i)
	}
	pinned := map[int]bool{}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		if len(derivatives[i]) != 1 {
			continue
		}
		for wire := range derivatives[i] {
			pinned[wire] = true
			for _, user := range users[wire] {
				delete(derivatives[user], wire)
				queue = append(queue, user)
			}
		}
	}
	var free []int
	for wire := range w {
		if !known[wire] && !pinned[wire] {
			free = append(free, wire)
		}
	}
	return free
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
	base := signWith(crypto.Base(), crypto.Base(), big.NewInt(1), big.NewInt(1), randomMessage(r))                         // A = R = G
	_ = t8
	for name, list := range map[string][]signed{"honest": honest, "R = A, and A = R = G": {zero, base}} {
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

type slopeCircuit struct {
	P, Q frontend.Variable
	V, W frontend.Variable
}

func (c *slopeCircuit) Define(api frontend.API) error {
	add(api, montgomery{c.P, c.V}, montgomery{c.Q, c.W})
	return nil
}

// The control of the test above: where p = q the slope is free indeed, the test sees it, and a vector with another slope satisfies the constraints.
func TestFreeSlopeIsSeen(t *testing.T) {
	ccs := compile(t, &slopeCircuit{})
	p, q := fixedMultiples()[0][4], fixedMultiples()[0][6]
	known := map[int]bool{0: true, 1: true, 2: true, 3: true, 4: true}
	for name, c := range map[string]struct {
		q    constantPoint
		free bool
	}{"p + q": {q, false}, "p + p": {p, true}} {
		w, _ := solution(t, ccs, &slopeCircuit{P: p.U, V: p.V, Q: c.q.U, W: c.q.V})
		if free := freeWires(ccs, w, known); (len(free) > 0) != c.free {
			t.Errorf("%s: %d free wires", name, len(free))
		}
		if !c.free {
			continue
		}
		slope, square, product := &w[len(w)-3], &w[len(w)-2], &w[len(w)-1]
		var b, u, e fr.Element
		slope.SetUint64(987654321)
		square.Mul(slope, b.SetBigInt(montgomeryB)).Mul(square, slope)
		u.Sub(square, e.SetBigInt(montgomeryA)).Sub(&u, e.SetBigInt(new(big.Int).Lsh(p.U, 1)))
		product.Mul(e.SetBigInt(p.U).Sub(&e, &u), slope)
		if row := violated(ccs, w); row >= 0 {
			t.Errorf("%s: constraint %d refuses another slope", name, row)
		}
		product.Double(product)
		if violated(ccs, w) < 0 {
			t.Error("the check of constraints checks nothing")
		}
	}
}

func violated(ccs constraint.ConstraintSystem, w []fr.Element) int {
	system := ccs.(*bn254.R1CS)
	for i, row := range system.GetR1Cs() {
		var value [3]fr.Element
		for k, side := range sidesOf(row) {
			for _, term := range side {
				var e fr.Element
				e.Mul(&system.Coefficients[term.CoeffID()], &w[term.WireID()])
				value[k].Add(&value[k], &e)
			}
		}
		if value[0].Mul(&value[0], &value[1]); !value[0].Equal(&value[2]) {
			return i
		}
	}
	return -1
}

func sidesOf(row constraint.R1C) [3]constraint.LinearExpression {
	return [3]constraint.LinearExpression{row.L, row.R, row.O}
}

// ---- Tables of adversarial keys ----

// Every point with a Montgomery form, torsion included: the first exceptional addition of the table, if any, is p + (-p) with v != 0, which has no
// witness. 0/0 is never reached first. The circuit agrees.
func TestTablesOfAdversarialKeys(t *testing.T) {
	r := rand.New(rand.NewSource(53))
	t8, _, _, identity := torsion()
	for _, prime := range []te.PointAffine{identity, crypto.Base(), negated(crypto.Base()), crypto.PublicKey(randomSecret(r)), offsetBase()} {
		small := identity
		for multiple := range 8 {
			key := add2(prime, small)
			small = add2(small, t8)
			if key.X.IsZero() {
				continue // refused by toMontgomery, see TestPointsWithoutMontgomeryForm
			}
			degenerate := false
			sum := key
			for k := 1; k < challengeTableSize && !degenerate; k++ { // sum = k key
				double, inverse := k > 1 && sum.Equal(&key), add2(sum, key)
				degenerate = inverse.IsZero()
				if double {
					t.Fatalf("multiple %d of the torsion: %d P = P is reached", multiple, k)
				}
				if degenerate && sum.X.IsZero() {
					t.Fatalf("multiple %d of the torsion: the inverse has v = 0", multiple)
				}
				sum = inverse
			}
			if !prime.IsZero() && degenerate {
				t.Errorf("multiple %d of the torsion: a key of large order has no table", multiple)
			}
			err := solve(t, compile(t, &tableCircuit{}), &tableCircuit{pointOf(key)})
			if degenerate {
				mustRefuse(t, "table", err)
			} else if err != nil {
				t.Errorf("multiple %d of the torsion: %v", multiple, err)
			}
		}
	}
}

type tableCircuit struct{ P Point }

func (c *tableCircuit) Define(api frontend.API) error {
	base := toMontgomery(api, c.P)
	point := double(api, base)
	for range challengeTableSize - 2 {
		point = add(api, point, base)
	}
	return nil
}

// The facts about the curve on which the completeness of AssertMultiple's doublings and the list of exceptional additions rest.
func TestCurveFacts(t *testing.T) {
	one := fr.One()
	minusOne := *new(fr.Element).Neg(&one)
	discriminant := new(fr.Element).SetBigInt(montgomeryA)
	discriminant.Square(discriminant).Sub(discriminant, new(fr.Element).SetUint64(4))
	if !curve.A.Equal(&minusOne) || minusOne.Legendre() != 1 || curve.D.Legendre() != -1 {
		t.Error("expected a = -1, a square, and d not a square: else additions of Edwards points have exceptions")
	}
	if discriminant.Legendre() != -1 {
		t.Error("more than one point of order two")
	}
	order := crypto.Order()
	cofactor := new(big.Int).Div(new(big.Int).Add(fr.Modulus(), big.NewInt(1)), order)
	if !order.ProbablyPrime(20) || cofactor.Cmp(big.NewInt(8)) > 0 || cofactor.Cmp(big.NewInt(7)) < 0 {
		t.Errorf("order %s, r / order about %s", order, cofactor)
	}
	var g te.PointAffine
	g.ScalarMultiplication(&curve.Base, order)
	if !g.IsZero() {
		t.Error("the order of G is not l")
	}
	// a point of order 8 exists and the curve has (Hasse) 8 l points: the 2-part is cyclic
	bound := new(big.Int).Sub(new(big.Int).Lsh(order, 3), new(big.Int).Add(fr.Modulus(), big.NewInt(1)))
	if limit := new(big.Int).Lsh(new(big.Int).Sqrt(fr.Modulus()), 1); bound.CmpAbs(limit) > 0 {
		t.Error("8 l is outside Hasse's interval")
	}
}

// ---- Folding ----

type foldCircuit struct {
	Y, Digit, U, V, Fold frontend.Variable
	table                int64
	constant             *constantPoint
}

func (c *foldCircuit) Define(api frontend.API) error {
	p := montgomery{c.U, c.V}
	if c.constant != nil {
		p = c.constant.variable()
	}
	api.AssertIsEqual(newFolder(api, c.Y).fold(c.table, c.Digit, p), c.Fold)
	return nil
}

// Constant rows and variable rows fold to the same polynomial in y, and its coefficients give the row back.
func TestFoldIsOneInjectivePolynomial(t *testing.T) {
	r := rand.New(rand.NewSource(54))
	for _, table := range []int64{0, 1, ScalarDigits - 1, ScalarDigits, 1000} {
		p := fixedMultiples()[r.Intn(ScalarDigits)][r.Intn(scalarTableSize)]
		for _, constant := range []*constantPoint{nil, &p} {
			ccs := compile(t, &foldCircuit{table: table, constant: constant})
			for _, digit := range []*big.Int{new(big.Int), big.NewInt(63), new(big.Int).Sub(fr.Modulus(), big.NewInt(1)), new(big.Int).Rand(r, fr.Modulus())} {
				y := randomElement(r)
				fold := foldNatively(&y, table, digit, p.U, p.V)
				good := &foldCircuit{Y: y, Digit: digit, U: p.U, V: p.V, Fold: fold}
				if err := solve(t, ccs, good); err != nil {
					t.Errorf("table %d, constant %t: %v", table, constant != nil, err)
				}
				good.Fold = *fold.Double(&fold)
				mustRefuse(t, "fold", solve(t, ccs, good))
			}
		}
	}
	// rows that agree in index + u v, in u, in v or in the table, but are not equal
	u, v, d := big.NewInt(20), big.NewInt(30), big.NewInt(5)
	same := map[[4]fr.Element]bool{}
	rows := 0
	for table := range int64(3) {
		for _, row := range [][3]*big.Int{{d, u, v}, {d, v, u}, {big.NewInt(6), u, v}, {big.NewInt(5 + 20), u, big.NewInt(29)}, {big.NewInt(5 + 30), big.NewInt(19), v},
			{big.NewInt(605), new(big.Int), v}, {big.NewInt(605), u, new(big.Int)}, {big.NewInt(605), new(big.Int), new(big.Int)}} {
			var at [4]fr.Element // four values determine a polynomial of degree 3
			for i := range at {
				at[i].SetInt64(int64(i))
				at[i] = foldNatively(&at[i], table, row[0], row[1], row[2])
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

type offsetCircuit struct {
	Challenge, U, V frontend.Variable
}

func (c *offsetCircuit) Define(api frontend.API) error {
	p := randomOffset(api, c.Challenge)
	api.AssertIsEqual(p.U, c.U)
	api.AssertIsEqual(p.V, c.V)
	return nil
}

// The offset is H + (low 252 bits + 1 + 4 + ... + 4^125) G of the canonical challenge: one T for each challenge, also where challenge + r has 254 bits.
func TestOffsetOfChallenge(t *testing.T) {
	r := rand.New(rand.NewSource(55))
	ccs := compile(t, &offsetCircuit{})
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
		if err := solve(t, ccs, &offsetCircuit{c, p.U, p.V}); err != nil {
			t.Errorf("challenge %s: %v", c, err)
		}
		other := new(big.Int).Add(c, fr.Modulus())
		if other.BitLen() > fr.Bits {
			continue
		}
		q := offset(other)
		err := solve(t, ccs, &offsetCircuit{c, q.U, q.V}, solver.OverrideHint(nbits, func(_ *big.Int, _, out []*big.Int) error {
			for i := range out {
				out[i].SetUint64(uint64(other.Bit(i)))
			}
			return nil
		}))
		mustRefuse(t, "bits of challenge + r", err)
	}
}

var _ = poseidon.TagWord
