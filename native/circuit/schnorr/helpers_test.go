package schnorr

import (
	"crypto/sha256"
	"math/big"
	"math/rand"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/std/multicommit"
	"github.com/consensys/gnark/std/rangecheck"

	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// testBinder is the smallest argument layer: gnark's range checks, and one commitment over everything bound.
type testBinder struct {
	api             frontend.API
	check           frontend.Rangechecker
	bound           []frontend.Variable
	skipRangeChecks bool         // a weakened layer
	drop            map[int]bool // bound values left out of the commitment
	after           []struct {
		label string
		f     func(frontend.API, frontend.Variable) error
	}
}

func newTestBinder(api frontend.API) *testBinder {
	return &testBinder{api: api, check: rangecheck.New(api)} // before the first WithCommitment: its deferred part then runs first
}

func (b *testBinder) API() frontend.API { return b.api }
func (b *testBinder) RangeCheck(v frontend.Variable, bits int) {
	if !b.skipRangeChecks {
		b.check.Check(v, bits)
	}
}
func (b *testBinder) Bind(vs ...frontend.Variable) { b.bound = append(b.bound, vs...) }
func (b *testBinder) AfterSeal(label string, f func(frontend.API, frontend.Variable) error) {
	b.after = append(b.after, struct {
		label string
		f     func(frontend.API, frontend.Variable) error
	}{label, f})
}

func (b *testBinder) seal() {
	var variables []frontend.Variable
	for i, v := range b.bound {
		if b.drop[i] {
			continue
		}
		if _, constant := b.api.Compiler().ConstantValue(v); !constant {
			variables = append(variables, v)
		}
	}
	multicommit.WithCommitment(b.api, func(api frontend.API, root frontend.Variable) error {
		for _, a := range b.after {
			if err := a.f(api, poseidon.Compress(api, root, poseidon.TagWord(a.label))); err != nil {
				return err
			}
		}
		return nil
	}, variables...)
}

// account is a key with its multiple, as in an account's leaf.
type account struct{ Key, Multiple Point }

// circuit verifies signature i under account of[i].
type circuit struct {
	Accounts           []account
	Messages           [][crypto.MessageWords]frontend.Variable
	Signatures         []Signature
	of                 []int
	assertMultiple     bool
	closeWith          func(g *Gadget) // in place of g.Close, for weakened variants
	withoutRangeChecks bool
	dropBound          map[int]bool
}

func shape(accounts int, of ...int) *circuit {
	return &circuit{Accounts: make([]account, accounts), of: of,
		Messages: make([][crypto.MessageWords]frontend.Variable, len(of)), Signatures: make([]Signature, len(of))}
}

func (c *circuit) Define(api frontend.API) error {
	binder := newTestBinder(api)
	binder.skipRangeChecks, binder.drop = c.withoutRangeChecks, c.dropBound
	gadget := New(binder)
	for i, k := range c.of {
		gadget.Verify(c.Accounts[k].Key, c.Accounts[k].Multiple, c.Messages[i], c.Signatures[i])
	}
	if c.assertMultiple {
		for _, a := range c.Accounts {
			AssertMultiple(api, a.Key, a.Multiple)
		}
	}
	if c.closeWith != nil {
		c.closeWith(gadget)
	} else {
		gadget.Close()
	}
	binder.seal()
	return nil
}

func compile(t testing.TB, c frontend.Circuit) constraint.ConstraintSystem {
	t.Helper()
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c, frontend.IgnoreUnconstrainedInputs())
	if err != nil {
		t.Fatal(err)
	}
	return ccs
}

// commitmentHint stands for the commitment: a hash of all committed values.
func commitmentHint(modulus *big.Int, in, out []*big.Int) error {
	hash := sha256.New()
	for _, x := range in {
		hash.Write(x.FillBytes(make([]byte, 32)))
	}
	out[0].SetBytes(hash.Sum(nil))
	out[0].Mod(out[0], modulus)
	return nil
}

func override(original, with solver.Hint) solver.Option {
	return solver.OverrideHint(solver.GetHintID(original), with)
}

func solve(t testing.TB, ccs constraint.ConstraintSystem, assignment frontend.Circuit, options ...solver.Option) error {
	t.Helper()
	witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	return ccs.IsSolved(witness, append(options, override(cs.Bsb22CommitmentComputePlaceholder, commitmentHint))...)
}

// mustRefuse fails the test unless a constraint (not a hint's complaint) refuses.
func mustRefuse(t testing.TB, name string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted", name)
	} else if !unsatisfied(err) {
		t.Errorf("%s: refused by a hint, not by a constraint: %v", name, err)
	}
}

func unsatisfied(err error) bool {
	return strings.Contains(err.Error(), "is not satisfied")
}

// signed is one signature with what it is claimed for.
type signed struct {
	key     te.PointAffine
	message [crypto.MessageWords]fr.Element
	sig     crypto.Signature
}

func randomElement(r *rand.Rand) (e fr.Element) {
	e.SetBigInt(new(big.Int).Rand(r, fr.Modulus()))
	return e
}

func randomSecret(r *rand.Rand) *big.Int {
	secret := new(big.Int).Rand(r, new(big.Int).Sub(crypto.Order(), big.NewInt(1)))
	return secret.Add(secret, big.NewInt(1))
}

func randomMessage(r *rand.Rand) (m [crypto.MessageWords]fr.Element) {
	for i := range m {
		m[i] = randomElement(r)
	}
	return m
}

func signRandom(r *rand.Rand, secret *big.Int) signed {
	m := randomMessage(r)
	return signed{crypto.PublicKey(secret), m, crypto.Sign(secret, m)}
}

func (s signed) native() bool { return crypto.Verify(&s.key, s.message, &s.sig) }

func pointOf(p te.PointAffine) Point { return Point{p.X, p.Y} }

func accountOf(key te.PointAffine) account {
	return account{pointOf(key), pointOf(crypto.Multiple(&key))}
}

// assign fills a circuit of one account per signature.
func assign(list ...signed) *circuit {
	c := shape(len(list), make([]int, len(list))...)
	for i, s := range list {
		c.Accounts[i] = accountOf(s.key)
		c.of[i] = i
		c.set(i, s)
	}
	return c
}

func (c *circuit) set(i int, s signed) {
	for j := range s.message {
		c.Messages[i][j] = s.message[j]
	}
	c.Signatures[i] = Assign(s.sig)
}

// signWith is a signature with a chosen R = nonce G + torsion (or anything else), under a secret: s = nonce + c secret.
func signWith(key, R te.PointAffine, secret, nonce *big.Int, message [crypto.MessageWords]fr.Element) signed {
	s := crypto.ShortChallenge(crypto.Challenge(&R, &key, message))
	s.Mul(s, secret).Add(s, nonce).Mod(s, crypto.Order())
	return signed{key, message, crypto.Signature{R: R, S: s}}
}

// torsion is a point of order 8, with its doublings of order 4, 2 and 1.
func torsion() (t8, t4, t2, identity te.PointAffine) {
	for i := uint64(2); ; i++ {
		var y fr.Element
		y.SetUint64(i)
		b := y.Bytes()
		for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
		if _, err := t8.SetBytes(b[:]); err != nil || !t8.IsOnCurve() {
			continue
		}
		t8.ScalarMultiplication(&t8, crypto.Order())
		t4.Double(&t8)
		t2.Double(&t4)
		identity.Double(&t2)
		if !t2.IsZero() && identity.IsZero() {
			return
		}
	}
}

// keyWithoutOwner is a point of the subgroup whose logarithm nobody knows.
func keyWithoutOwner() te.PointAffine {
	p := offsetBase()
	p.Double(&p)
	return p
}
