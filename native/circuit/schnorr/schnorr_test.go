package schnorr

import (
	"math/big"
	"math/rand"
	"strings"
	"testing"

	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
	"github.com/consensys/gnark/frontend"

	"straddle/native/crypto"
)

func TestSeveralSignaturesOfSeveralAccounts(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	secrets := []*big.Int{randomSecret(r), randomSecret(r), big.NewInt(1)}
	of := []int{0, 1, 0, 2, 0, 1}
	build := shape(3, of...)
	build.assertMultiple = true
	ccs := compile(t, build)
	a := shape(3, of...)
	for i, k := range of {
		s := signRandom(r, secrets[k])
		a.Accounts[k] = accountOf(s.key)
		a.set(i, s)
	}
	a.set(4, signed{crypto.PublicKey(secrets[0]), randomMessage(r), crypto.Signature{}}.signedBy(secrets[0]))
	if err := solve(t, ccs, a); err != nil {
		t.Fatal(err)
	}
	a.Signatures[3], a.Signatures[5] = a.Signatures[5], a.Signatures[3]
	mustRefuse(t, "exchanged signatures", solve(t, ccs, a))
}

func (s signed) signedBy(secret *big.Int) signed {
	s.sig = crypto.Sign(secret, s.message)
	return s
}

func TestConstraintsPerSignature(t *testing.T) {
	count := func(n int) int {
		of := make([]int, n)
		for i := range of {
			of[i] = i
		}
		return compile(t, shape(n, of...)).GetNbConstraints()
	}
	few, many := count(4), count(12)
	each := float64(many-few) / 8
	t.Logf("%.1f constraints a signature, hash included, and about %.0f shared by all", each, float64(many)-12*each)
	if each > 1500 {
		t.Errorf("%.1f constraints a signature, expected at most 1,500", each)
	}
}

func TestConstants(t *testing.T) {
	if bits := crypto.Order().BitLen(); bits != orderBits {
		t.Errorf("l has %d bits, expected %d", bits, orderBits)
	}
	base := offsetBase()
	if !crypto.ValidKey(&base) {
		t.Error("the offset's base is not in the prime subgroup")
	}
	for _, place := range [][2]int{{0, 0}, {0, 63}, {1, 0}, {20, 5}, {41, 63}} {
		j, k := place[0], place[1]
		expected := multipleOf(crypto.Base(), new(big.Int).Mul(big.NewInt(int64(k+1)), powerOfTwo(scalarWindow*j)))
		got := fixedMultiples()[j][k]
		if got.U.Cmp(expected.U) != 0 || got.V.Cmp(expected.V) != 0 {
			t.Errorf("fixed multiple %v is wrong", place)
		}
	}
	r := rand.New(rand.NewSource(2))
	last := new(big.Int).Sub(crypto.Order(), big.NewInt(1))
	for _, s := range []*big.Int{new(big.Int), big.NewInt(1), last, randomSecret(r)} {
		value := new(big.Int)
		for j, d := range scalarDigitsOf(s) {
			value.Add(value, new(big.Int).Mul(big.NewInt(d+1), powerOfTwo(scalarWindow*j)))
		}
		if value.Mod(value, crypto.Order()).Cmp(s) != 0 {
			t.Errorf("the digits of %s give %s", s, value)
		}
	}
}

// additionCircuit uses the curve arithmetic alone.
type additionCircuit struct {
	P, Q, Sum, Double Point
}

func (c *additionCircuit) Define(api frontend.API) error {
	p, q := toMontgomery(api, c.P), toMontgomery(api, c.Q)
	for _, pair := range [][2]montgomery{{add(api, p, q), toMontgomery(api, c.Sum)}, {double(api, p), toMontgomery(api, c.Double)}} {
		api.AssertIsEqual(pair[0].U, pair[1].U)
		api.AssertIsEqual(pair[0].V, pair[1].V)
	}
	return nil
}

func TestMontgomeryArithmetic(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	ccs := compile(t, &additionCircuit{})
	t8, _, _, _ := torsion()
	for range 5 {
		p, q := crypto.PublicKey(randomSecret(r)), add2(crypto.PublicKey(randomSecret(r)), t8)
		var twice te.PointAffine
		twice.Double(&p)
		if err := solve(t, ccs, &additionCircuit{pointOf(p), pointOf(q), pointOf(add2(p, q)), pointOf(twice)}); err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, "wrong sum", solve(t, ccs, &additionCircuit{pointOf(p), pointOf(q), pointOf(add2(p, t8)), pointOf(twice)}))
		mustRefuse(t, "wrong double", solve(t, ccs, &additionCircuit{pointOf(p), pointOf(q), pointOf(add2(p, q)), pointOf(q)}))
		mustRefuse(t, "p - p", solve(t, ccs, &additionCircuit{pointOf(p), pointOf(negated(p)), pointOf(q), pointOf(twice)}))
	}
}

type pointCircuit struct{ P Point }

func (c *pointCircuit) Define(api frontend.API) error {
	toMontgomery(api, c.P)
	return nil
}

// The map alone refuses these points, whatever follows: a free coordinate, which the solver would set to 0, must not exist.
func TestPointsWithoutMontgomeryForm(t *testing.T) {
	ccs := compile(t, &pointCircuit{})
	t8, t4, t2, identity := torsion()
	for _, p := range []te.PointAffine{crypto.Base(), t8, t4} {
		if err := solve(t, ccs, &pointCircuit{pointOf(p)}); err != nil {
			t.Error(err)
		}
	}
	off := crypto.Base()
	off.X.Double(&off.X)
	for _, p := range []te.PointAffine{t2, identity, {}, off, {X: t8.X, Y: t2.Y}, {X: t8.X, Y: identity.Y}} {
		mustRefuse(t, "point", solve(t, ccs, &pointCircuit{pointOf(p)}))
	}
}

type misuseCircuit struct {
	X      frontend.Variable
	misuse func(g *Gadget)
}

func (c *misuseCircuit) Define(api frontend.API) error {
	g := New(newTestBinder(api))
	g.Close() // without signatures: nothing to do
	c.misuse(g)
	return nil
}

func TestMisusePanics(t *testing.T) {
	for name, misuse := range map[string]func(g *Gadget){
		"Close twice": func(g *Gadget) { g.Close() },
		"Verify after Close": func(g *Gadget) {
			g.Verify(Point{}, Point{}, [crypto.MessageWords]frontend.Variable{}, Signature{})
		},
	} {
		compile(t, &misuseCircuit{misuse: func(g *Gadget) {
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "schnorr: ") {
					t.Errorf("%s: no panic of the gadget", name)
				}
			}()
			misuse(g)
		}})
	}
}
