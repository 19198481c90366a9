package schnorr

import (
	"math/big"
	"math/rand"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"

	"straddle/native/crypto"
)

// Every attack here is a complete adversarial witness. Each runs against the gadget, which must refuse it, and against a gadget weakened in the one
// point that the attack needs, which must accept it: so the attack is real and the refusal has the reason that it should have.

// refusedUnlessWeakened compiles the circuit twice and expects only the weakened one to accept the attack.
func refusedUnlessWeakened(t *testing.T, assignment *circuit, weaken func(c *circuit), attack ...solver.Option) {
	t.Helper()
	sound := shape(len(assignment.Accounts), assignment.of...)
	weak := shape(len(assignment.Accounts), assignment.of...)
	weaken(weak)
	if err := solve(t, compile(t, weak), assignment, attack...); err != nil {
		t.Errorf("the attack fails against the weakened gadget: %v", err)
	}
	mustRefuse(t, "attack", solve(t, compile(t, sound), assignment, attack...))
}

// closeWithLookups is Close with another lookup argument; nil leaves it out.
func closeWithLookups(change func(api frontend.API, l lookups) lookups) func(c *circuit) {
	return func(c *circuit) {
		c.closeWith = func(g *Gadget) {
			g.closeFixedTables()
			g.binder.Bind(g.lookups.bound()...)
			g.closed = true
			if change != nil {
				changed := change(g.binder.API(), g.lookups)
				g.binder.AfterSeal("schnorr.lookup", changed.check)
			}
		}
	}
}

// flatIndex is where a table starts if all tables share one index space, as in the prototype that was broken.
func flatIndex(table int64) int64 {
	if table < ScalarDigits {
		return table * scalarTableSize
	}
	return ScalarDigits*scalarTableSize + (table-ScalarDigits)*challengeTableSize
}

func sharedIndexSpace(api frontend.API, l lookups) lookups {
	var flat lookups
	for _, e := range l.entries {
		flat.entries = append(flat.entries, entry{0, flatIndex(e.table) + e.index, e.point, e.multiplicity})
	}
	for _, q := range l.queries {
		flat.queries = append(flat.queries, query{0, api.Add(q.digit, flatIndex(q.table)), q.point})
	}
	return flat
}

func withoutTags(_ frontend.API, l lookups) lookups {
	var flat lookups
	for _, e := range l.entries {
		flat.entries = append(flat.entries, entry{0, e.index, e.point, e.multiplicity})
	}
	for _, q := range l.queries {
		flat.queries = append(flat.queries, query{0, q.digit, q.point})
	}
	return flat
}

func multipleOf(p te.PointAffine, k *big.Int) constantPoint {
	p.ScalarMultiplication(&p, new(big.Int).Mod(k, crypto.Order()))
	return fromEdwards(&p)
}

func signedValue(x *big.Int) *big.Int {
	if x.Cmp(new(big.Int).Rsh(fr.Modulus(), 1)) > 0 {
		return new(big.Int).Sub(x, fr.Modulus())
	}
	return new(big.Int).Set(x)
}

// honestMultiples answers every query truthfully, even for digits outside the table: (d + 1) P for any d, P being one of the given points.
func honestMultiples(points ...te.PointAffine) solver.Hint {
	return func(_ *big.Int, in, out []*big.Int) error {
		for _, p := range points {
			base := fromEdwards(&p)
			if base.U.Cmp(in[0]) != 0 || base.V.Cmp(in[challengeTableSize]) != 0 {
				continue
			}
			for j, d := range in[2*challengeTableSize:] {
				q := multipleOf(p, new(big.Int).Add(signedValue(d), big.NewInt(1)))
				out[2*j].Set(q.U)
				out[2*j+1].Set(q.V)
			}
		}
		return nil
	}
}

// countInside counts the digits that the table has, and ignores the others.
func countInside(_ *big.Int, in, out []*big.Int) error {
	for i := range out {
		out[i].SetUint64(0)
	}
	for _, d := range in {
		if below(d, int64(len(out))) {
			out[d.Int64()].Add(out[d.Int64()], big.NewInt(1))
		}
	}
	return nil
}

// digitsOf overrides the split of one hash.
func digitsOf(hash *big.Int, digits []*big.Int) solver.Hint {
	return func(m *big.Int, in, out []*big.Int) error {
		if in[0].Cmp(hash) != 0 {
			return digitsHint(m, in, out)
		}
		for j := range out {
			out[j].Mod(digits[j], fr.Modulus())
		}
		return nil
	}
}

func base16(x *big.Int) []*big.Int {
	digits := make([]*big.Int, crypto.ChallengeDigits)
	for j := range digits {
		digits[j] = new(big.Int).And(new(big.Int).Rsh(x, uint(4*j)), big.NewInt(15))
	}
	return digits
}

func hashOf(s signed) *big.Int {
	h := crypto.Challenge(&s.sig.R, &s.key, s.message)
	return toBig(&h)
}

// The universal forgery of the prototype: digits d = x - (start of the victim's table) keep their sum right, while each query `start + d` lands in the
// generator's table, so that c A becomes a known multiple of G.
func TestForgeryByTableAliasing(t *testing.T) {
	r := rand.New(rand.NewSource(7))
	victim := keyWithoutOwner()
	mask := new(big.Int).Sub(powerOfTwo(challengeBits), big.NewInt(1))
	start := func(way int) *big.Int { return big.NewInt(flatIndex(ScalarDigits + int64(way))) }
	shift := new(big.Int)
	for j := range crypto.ChallengeDigits {
		shift.Add(shift, new(big.Int).Mul(start(j/digitsPerWay), powerOfTwo(4*j)))
	}
	forged := signed{key: victim, message: randomMessage(r)}
	var digits, hits []*big.Int
	var places [ScalarDigits]int64
	for unique := false; !unique; { // the count hint below recognises place 0 by its digit
		nonce := randomSecret(r)
		forged.sig.R.ScalarMultiplicationBase(nonce)
		moved := new(big.Int).Add(hashOf(forged), shift)
		hits = base16(moved.And(moved, mask))
		digits = nil
		exponent := nonce
		for j, x := range hits {
			digits = append(digits, new(big.Int).Sub(x, start(j/digitsPerWay)))
			exponent.Add(exponent, new(big.Int).Mul(new(big.Int).Add(x, big.NewInt(1)), powerOfTwo(4*(j%digitsPerWay))))
		}
		forged.sig.S = exponent.Mod(exponent, crypto.Order())
		places = scalarDigitsOf(forged.sig.S)
		unique = true
		for _, d := range places[1:] {
			unique = unique && d != places[0]
		}
	}
	if forged.native() {
		t.Fatal("the forgery is natively valid")
	}
	selectAliased := func(_ *big.Int, in, out []*big.Int) error {
		way := 0
		if multiple := crypto.Multiple(&victim); fromEdwards(&multiple).U.Cmp(in[0]) == 0 {
			way = 1
		}
		for j, d := range in[2*challengeTableSize:] {
			x := new(big.Int).Add(signedValue(d), start(way))
			p := fixedMultiples()[0][x.Int64()]
			out[2*j].Set(p.U)
			out[2*j+1].Set(p.V)
		}
		return nil
	}
	countAliased := func(m *big.Int, in, out []*big.Int) error {
		if err := countInside(m, in, out); err != nil {
			return err
		}
		if len(out) == scalarTableSize && in[0].Cmp(big.NewInt(places[0])) == 0 {
			for _, x := range hits {
				out[x.Int64()].Add(out[x.Int64()], big.NewInt(1))
			}
		}
		return nil
	}
	refusedUnlessWeakened(t, assign(forged), closeWithLookups(sharedIndexSpace),
		override(digitsHint, digitsOf(hashOf(forged), digits)), override(selectHint, selectAliased), override(countHint, countAliased))
}

// A query answered from another account's table: the attacker's signature passes as the victim's.
func TestForgeryFromAnotherAccountsTable(t *testing.T) {
	r := rand.New(rand.NewSource(8))
	secret := randomSecret(r)
	own := signRandom(r, secret)
	victim := keyWithoutOwner()
	nonce := randomSecret(r)
	var R te.PointAffine
	R.ScalarMultiplicationBase(nonce)
	forged := signWith(victim, R, secret, nonce, randomMessage(r))
	if forged.native() {
		t.Fatal("the forgery is natively valid")
	}
	bases := [2][ways]te.PointAffine{{own.key, crypto.Multiple(&own.key)}, {victim, crypto.Multiple(&victim)}}
	selectOther := func(m *big.Int, in, out []*big.Int) error {
		for way, p := range bases[1] {
			if fromEdwards(&p).U.Cmp(in[0]) == 0 {
				for j, d := range in[2*challengeTableSize:] {
					q := multipleOf(bases[0][way], new(big.Int).Add(d, big.NewInt(1)))
					out[2*j].Set(q.U)
					out[2*j+1].Set(q.V)
				}
				return nil
			}
		}
		return selectHint(m, in, out)
	}
	digits := [2][]*big.Int{base16(hashOf(own)), base16(hashOf(forged))}
	countOther := func(m *big.Int, in, out []*big.Int) error {
		if len(out) != challengeTableSize {
			return countHint(m, in, out)
		}
		for way := range ways {
			part := func(i int) []*big.Int { return digits[i][way*digitsPerWay : (way+1)*digitsPerWay] }
			if equal(in, part(0)) {
				return countHint(m, append(append([]*big.Int{}, in...), part(1)...), out)
			}
		}
		return countHint(m, nil, out)
	}
	refusedUnlessWeakened(t, assign(own, forged), closeWithLookups(withoutTags), override(selectHint, selectOther), override(countHint, countOther))
}

func equal(a, b []*big.Int) bool {
	for i := range a {
		if a[i].Cmp(b[i]) != 0 {
			return false
		}
	}
	return len(a) == len(b)
}

// Points that are not in the table but sum to the right value: only the lookups can refuse them.
func TestQueriesOutsideTheTableAreRefused(t *testing.T) {
	r := rand.New(rand.NewSource(9))
	s := signRandom(r, randomSecret(r))
	evil := func(m *big.Int, in, out []*big.Int) error {
		if err := selectHint(m, in, out); err != nil {
			return err
		}
		base := s.key
		if fromEdwards(&base).U.Cmp(in[0]) != 0 {
			return nil
		}
		digit := func(j int) *big.Int { return in[2*challengeTableSize+j] }
		for j := range digitsPerWay - 1 { // the first place where the next digit leaves a point when P is taken away
			if digit(j+1).Sign() > 0 {
				lower := multipleOf(base, new(big.Int).Add(digit(j), big.NewInt(17)))
				upper := multipleOf(base, digit(j+1))
				out[2*j].Set(lower.U)
				out[2*j+1].Set(lower.V)
				out[2*j+2].Set(upper.U)
				out[2*j+3].Set(upper.V)
				return nil
			}
		}
		panic("no place")
	}
	refusedUnlessWeakened(t, assign(s), closeWithLookups(nil), override(selectHint, evil))
}

// Digits outside 0..15 with the right sum and with true multiples: the lookups are the digits' range check.
func TestDigitsOutsideTheTableAreRefused(t *testing.T) {
	r := rand.New(rand.NewSource(10))
	s := signRandom(r, randomSecret(r))
	for _, step := range []int64{1, -1} {
		digits := base16(hashOf(s))
		for j := range digitsPerWay - 1 { // both new points must exist
			low, high := digits[j].Int64()+16*step, digits[j+1].Int64()-step
			if low != -1 && high != -1 {
				digits[j], digits[j+1] = big.NewInt(low), big.NewInt(high)
				break
			}
		}
		refusedUnlessWeakened(t, assign(s), closeWithLookups(nil), override(digitsHint, digitsOf(hashOf(s), digits)),
			override(selectHint, honestMultiples(s.key, crypto.Multiple(&s.key))), override(countHint, countInside))
	}
}

func TestOtherSplitsOfTheHashAreRefused(t *testing.T) {
	r := rand.New(rand.NewSource(11))
	unchecked := func(c *circuit) { c.withoutRangeChecks = true }

	t.Run("a challenge of the attacker's choice", func(t *testing.T) {
		victim := keyWithoutOwner()
		digits := base16(new(big.Int).Rand(r, powerOfTwo(challengeBits)))
		c := new(big.Int)
		for j, d := range digits {
			c.Add(c, new(big.Int).Mul(new(big.Int).Add(d, big.NewInt(1)), powerOfTwo(4*j)))
		}
		forged := signed{key: victim, message: randomMessage(r), sig: crypto.Signature{S: randomSecret(r)}}
		forged.sig.R.ScalarMultiplication(&victim, c.Mod(c, crypto.Order()))
		forged.sig.R.Neg(&forged.sig.R)
		var sG te.PointAffine
		sG.ScalarMultiplicationBase(forged.sig.S)
		forged.sig.R.Add(&forged.sig.R, &sG)
		if forged.native() {
			t.Fatal("the forgery is natively valid")
		}
		refusedUnlessWeakened(t, assign(forged), unchecked, override(digitsHint, digitsOf(hashOf(forged), digits)))
	})

	// h + k r has other digits. For k = 1 below 2^254 only the second range check of the high part refuses; for k = -1 near h = r only the first.
	t.Run("the digits of h + k r", func(t *testing.T) {
		secret := randomSecret(r)
		limit := new(big.Int).Rsh(fr.Modulus(), challengeBits)
		for _, k := range []int64{1, -1, 2, -2, 5} {
			var forged signed
			var nonce, h, other *big.Int
			for suitable := false; !suitable; {
				nonce = randomSecret(r)
				forged = signed{key: crypto.PublicKey(secret), message: randomMessage(r)}
				forged.sig.R.ScalarMultiplicationBase(nonce)
				h = hashOf(forged)
				other = new(big.Int).Add(h, new(big.Int).Mul(fr.Modulus(), big.NewInt(k)))
				high := new(big.Int).Rsh(other, challengeBits)
				complement := new(big.Int).Sub(limit, high)
				suitable = (k != 1 || high.BitLen() <= limit.BitLen()) && (k != -1 || complement.BitLen() <= limit.BitLen())
			}
			digits := base16(other)
			c := new(big.Int).And(other, new(big.Int).Sub(powerOfTwo(challengeBits), big.NewInt(1)))
			c.Add(c, crypto.Repunit()).Mul(c, secret).Add(c, nonce)
			forged.sig.S = c.Mod(c, crypto.Order())
			if forged.native() {
				t.Fatal("the forgery is natively valid")
			}
			refusedUnlessWeakened(t, assign(forged), unchecked, override(digitsHint, digitsOf(h, digits)))
		}
	})
}

// A free multiple forges for any key: the gadget relies on registration, and AssertMultiple is what registration uses.
func TestFreeMultipleForges(t *testing.T) {
	r := rand.New(rand.NewSource(12))
	victim := keyWithoutOwner()
	nonce, logarithm := randomSecret(r), randomSecret(r)
	forged := signed{key: victim, message: randomMessage(r)}
	forged.sig.R.ScalarMultiplicationBase(nonce)
	low, high := new(big.Int), new(big.Int)
	for j, d := range base16(hashOf(forged)) {
		part := low
		if j >= digitsPerWay {
			part = high
		}
		part.Add(part, new(big.Int).Mul(new(big.Int).Add(d, big.NewInt(1)), powerOfTwo(4*(j%digitsPerWay))))
	}
	// M such that low A + high M = logarithm G
	var multiple, lowA te.PointAffine
	multiple.ScalarMultiplicationBase(logarithm)
	lowA.ScalarMultiplication(&victim, low)
	lowA.Neg(&lowA)
	multiple.Add(&multiple, &lowA)
	multiple.ScalarMultiplication(&multiple, new(big.Int).ModInverse(high, crypto.Order()))
	forged.sig.S = nonce.Add(nonce, logarithm).Mod(nonce, crypto.Order())
	if forged.native() {
		t.Fatal("the forgery is natively valid")
	}
	assignment := assign(forged)
	assignment.Accounts[0].Multiple = pointOf(multiple)
	if err := solve(t, compile(t, shape(1, 0)), assignment); err != nil {
		t.Errorf("the attack fails against a free multiple: %v", err)
	}
	bound := shape(1, 0)
	bound.assertMultiple = true
	mustRefuse(t, "forged multiple", solve(t, compile(t, bound), assignment))
}
