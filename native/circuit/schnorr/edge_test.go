package schnorr

import (
	"math/big"
	"math/rand"
	"sync/atomic"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"

	"straddle/native/crypto"
)

func add2(p, q te.PointAffine) te.PointAffine {
	p.Add(&p, &q)
	return p
}

func negated(p te.PointAffine) te.PointAffine {
	p.Neg(&p)
	return p
}

// The circuit and crypto.Verify agree on valid, damaged and degenerate signatures.
func TestAgreementWithNativeVerification(t *testing.T) {
	r := rand.New(rand.NewSource(20))
	ccs := compile(t, shape(1, 0))
	t8, t4, t2, identity := torsion()
	secret, message := randomSecret(r), randomMessage(r)
	key, zero, one := crypto.PublicKey(secret), new(big.Int), big.NewInt(1)
	minus := new(big.Int).Sub(crypto.Order(), secret)
	nonce := randomSecret(r)
	var R te.PointAffine
	R.ScalarMultiplicationBase(nonce)
	offCurve := te.PointAffine{X: randomElement(r)}
	offCurve.Y.SetOne()
	offCurve.Y.Neg(&offCurve.Y) // (x, -1) maps to the point of order two if the curve is not checked
	negativeOne := offCurve.Y
	swapped := te.PointAffine{X: R.Y, Y: R.X}

	cases := map[string]signed{
		"R = G":                signWith(key, crypto.Base(), secret, one, message),
		"R = -G":               signWith(key, negated(crypto.Base()), secret, new(big.Int).Sub(crypto.Order(), one), message),
		"R = A":                signWith(key, key, secret, secret, message),
		"R = -A":               signWith(key, negated(key), secret, minus, message),
		"R = O":                signWith(key, identity, secret, zero, message),
		"R of order 2":         signWith(key, t2, secret, zero, message),
		"R of order 4":         signWith(key, t4, secret, zero, message),
		"R of order 8":         signWith(key, t8, secret, zero, message),
		"R + order 2":          signWith(key, add2(R, t2), secret, nonce, message),
		"R + order 4":          signWith(key, add2(R, t4), secret, nonce, message),
		"R + order 8":          signWith(key, add2(R, t8), secret, nonce, message),
		"R = (x, -1)":          signWith(key, offCurve, secret, zero, message),
		"R = (0, 0)":           signWith(key, te.PointAffine{}, secret, zero, message),
		"R = (0, 2)":           signWith(key, te.PointAffine{Y: *new(fr.Element).SetUint64(2)}, secret, zero, message),
		"R = (1, 1)":           signWith(key, te.PointAffine{X: fr.One(), Y: fr.One()}, secret, zero, message),
		"R = (0, -1)":          signWith(key, te.PointAffine{Y: negativeOne}, secret, zero, message),
		"R swapped":            signWith(key, swapped, secret, nonce, message),
		"R negated":            signWith(key, negated(R), secret, nonce, message),
		"R negated, s negated": signWith(key, negated(R), secret, new(big.Int).Sub(crypto.Order(), nonce), message),
		"s = 0, R = -cA": func() signed { // no R is the hash's fixed point: R and c do not fit
			return signed{key, message, crypto.Signature{R: R, S: zero}}
		}(),
		"another's key":  signWith(crypto.PublicKey(nonce), R, secret, nonce, message),
		"negated key":    signWith(negated(key), R, secret, nonce, message),
		"key = -G":       signWith(negated(crypto.Base()), R, new(big.Int).Sub(crypto.Order(), one), nonce, message),
		"key = G, R = G": signWith(crypto.Base(), crypto.Base(), one, one, message),
		"zero message":   signWith(key, R, secret, nonce, [crypto.MessageWords]fr.Element{}),
		"key = O":        signWith(identity, R, zero, nonce, message),
		"key of order 2": signWith(t2, R, zero, nonce, message),
		"key of order 4": signWith(t4, R, zero, nonce, message),
		"key of order 8": signWith(t8, R, zero, nonce, message),
		"unset key":      signWith(te.PointAffine{}, R, zero, nonce, message),
		"key off curve":  signWith(offCurve, R, zero, nonce, message),
	}
	valid := 0
	for i := range 20 {
		s := signRandom(r, randomSecret(r))
		cases["honest "+string(rune('a'+i))] = s
		s.sig.S = new(big.Int).Xor(s.sig.S, powerOfTwo(r.Intn(250)))
		cases["s with a flipped bit "+string(rune('a'+i))] = s
	}
	for name, s := range cases {
		err := solve(t, ccs, assign(s))
		if s.native() {
			valid++
			if err != nil {
				t.Errorf("%s: natively valid, the circuit refuses: %v", name, err)
			}
		} else {
			mustRefuse(t, name, err)
		}
	}
	if valid < 27 || valid > len(cases)-20 {
		t.Errorf("%d of %d cases are valid: the cases do not test both sides", valid, len(cases))
	}
}

// A mixed-order key never passes registration. With it the circuit still has no signature with R off the curve (the prototype had).
func TestMixedOrderKeyDoesNotAdmitOffCurveNonce(t *testing.T) {
	r := rand.New(rand.NewSource(21))
	ccs := compile(t, shape(1, 0))
	_, _, t2, _ := torsion()
	secret := randomSecret(r)
	key := add2(crypto.PublicKey(secret), t2)
	R := te.PointAffine{X: randomElement(r), Y: t2.Y}
	for tries := 0; ; tries++ {
		s := signWith(key, R, secret, new(big.Int), randomMessage(r))
		if crypto.ShortChallenge(crypto.Challenge(&R, &key, s.message)).Bit(0) == 1 { // c A = c secret G + T2, so R = T2 would do
			mustRefuse(t, "R = (x, -1)", solve(t, ccs, assign(s)))
			return
		}
	}
}

// The unset key verifies nothing, whatever the multiple.
func TestUnsetKeyVerifiesNothing(t *testing.T) {
	r := rand.New(rand.NewSource(22))
	ccs := compile(t, shape(1, 0))
	s := signWith(te.PointAffine{}, crypto.Base(), new(big.Int), big.NewInt(1), randomMessage(r))
	for _, multiple := range []te.PointAffine{{}, crypto.Base(), {Y: fr.One()}} {
		a := assign(s)
		a.Accounts[0].Multiple = pointOf(multiple)
		mustRefuse(t, "unset key", solve(t, ccs, a))
	}
	valid := signRandom(r, randomSecret(r))
	a := assign(valid)
	a.Accounts[0].Multiple = Point{0, 0}
	mustRefuse(t, "valid key, unset multiple", solve(t, ccs, a))
	a.Accounts[0] = account{Point{0, 0}, pointOf(crypto.Multiple(&valid.key))}
	mustRefuse(t, "unset key, valid multiple", solve(t, ccs, a))
}

// Other digits of the same s modulo l are accepted, as documented; any other digits are not.
func TestDigitsOfS(t *testing.T) {
	r := rand.New(rand.NewSource(23))
	ccs := compile(t, shape(1, 0))
	s := signRandom(r, randomSecret(r))
	digits := scalarDigitsOf(s.sig.S)
	value := new(big.Int)
	for j, d := range digits {
		value.Add(value, new(big.Int).Mul(big.NewInt(d), powerOfTwo(scalarWindow*j)))
	}
	value.Add(value, crypto.Order())
	if value.BitLen() > scalarWindow*ScalarDigits {
		t.Fatal("s + l does not fit: choose another seed")
	}
	a := assign(s)
	for j := range digits {
		rest := new(big.Int).Rsh(value, uint(scalarWindow*j))
		a.Signatures[0].S[j] = rest.And(rest, big.NewInt(scalarTableSize-1))
	}
	if err := solve(t, ccs, a); err != nil {
		t.Errorf("digits of s + l: %v", err)
	}
	tolerant := []solver.Option{override(countHint, countInside), override(fixedSelectHint, fixedMultiplesOfAnyDigit)}
	for j := range digits {
		for _, step := range []int64{1, -1, scalarTableSize} {
			a := assign(s)
			a.Signatures[0].S[j] = digits[j] + step
			mustRefuse(t, "altered digit of s", solve(t, ccs, a, tolerant...))
		}
		if j+1 < ScalarDigits { // same sum, one digit outside the table
			a := assign(s)
			a.Signatures[0].S[j], a.Signatures[0].S[j+1] = digits[j]+scalarTableSize, digits[j+1]-1
			mustRefuse(t, "digit of s outside the table", solve(t, ccs, a, tolerant...))
		}
	}
}

// fixedMultiplesOfAnyDigit answers (d + 1) 64^j G for digits outside the table too; -1 gives G, as the identity has no coordinates.
func fixedMultiplesOfAnyDigit(_ *big.Int, in, out []*big.Int) error {
	for j, d := range in {
		factor := new(big.Int).Add(signedValue(d), big.NewInt(1))
		if factor.Sign() == 0 {
			factor.SetInt64(1)
		}
		p := multipleOf(crypto.Base(), factor.Mul(factor, powerOfTwo(scalarWindow*j)))
		out[2*j].Set(p.U)
		out[2*j+1].Set(p.V)
	}
	return nil
}

func TestAlteredInputsAreRefused(t *testing.T) {
	r := rand.New(rand.NewSource(24))
	ccs := compile(t, shape(2, 0, 1))
	list := []signed{signRandom(r, randomSecret(r)), signRandom(r, randomSecret(r))}
	if err := solve(t, ccs, assign(list...)); err != nil {
		t.Fatal(err)
	}
	plusOne := func(v frontend.Variable) frontend.Variable {
		e, one := v.(fr.Element), fr.One()
		return *new(fr.Element).Add(&e, &one)
	}
	for j := range crypto.MessageWords {
		a := assign(list...)
		a.Messages[1][j] = plusOne(a.Messages[1][j])
		mustRefuse(t, "message word", solve(t, ccs, a))
	}
	for name, change := range map[string]func(c *circuit){
		"R.x":               func(c *circuit) { c.Signatures[1].RX = plusOne(c.Signatures[1].RX) },
		"R.y":               func(c *circuit) { c.Signatures[1].RY = plusOne(c.Signatures[1].RY) },
		"A.x":               func(c *circuit) { c.Accounts[1].Key.X = plusOne(c.Accounts[1].Key.X) },
		"A.y":               func(c *circuit) { c.Accounts[1].Key.Y = plusOne(c.Accounts[1].Key.Y) },
		"M.x":               func(c *circuit) { c.Accounts[1].Multiple.X = plusOne(c.Accounts[1].Multiple.X) },
		"M.y":               func(c *circuit) { c.Accounts[1].Multiple.Y = plusOne(c.Accounts[1].Multiple.Y) },
		"another account":   func(c *circuit) { c.Accounts[1] = c.Accounts[0] },
		"another multiple":  func(c *circuit) { c.Accounts[1].Multiple = c.Accounts[0].Multiple },
		"another signature": func(c *circuit) { c.Signatures[1] = c.Signatures[0] },
		"another message":   func(c *circuit) { c.Messages[1] = c.Messages[0] },
		"another's s":       func(c *circuit) { c.Signatures[1].S = c.Signatures[0].S },
		"key and multiple exchanged": func(c *circuit) {
			c.Accounts[1].Key, c.Accounts[1].Multiple = c.Accounts[1].Multiple, c.Accounts[1].Key
		},
	} {
		a := assign(list...)
		change(a)
		mustRefuse(t, name, solve(t, ccs, a))
	}
}

// Every output of every hint is altered alone; the hints after it answer truthfully for the altered value where they can.
func TestAttack01AlteredHintOutputsAreRefused(t *testing.T) {
	r := rand.New(rand.NewSource(25))
	ccs := compile(t, shape(1, 0))
	s := signRandom(r, randomSecret(r))
	a := assign(s)
	tolerant := map[string]solver.Hint{
		"digits": digitsHint, "select": honestMultiples(s.key, crypto.Multiple(&s.key)), "fixed": fixedMultiplesOfAnyDigit, "count": countInside,
	}
	original := map[string]solver.Hint{"digits": digitsHint, "select": selectHint, "fixed": fixedSelectHint, "count": countHint}
	run := func(alter string, at int64) (outputs int64, err error) {
		options := []solver.Option{solver.WithNbTasks(1)}
		var seen atomic.Int64
		for name := range original {
			options = append(options, override(original[name], func(m *big.Int, in, out []*big.Int) error {
				if err := tolerant[name](m, in, out); err != nil || name != alter {
					return err
				}
				for _, x := range out {
					if seen.Add(1)-1 == at {
						x.Add(x, big.NewInt(1)).Mod(x, m)
					}
				}
				return nil
			}))
		}
		err = solve(t, ccs, a, options...)
		return seen.Load(), err
	}
	for name := range original {
		total, err := run(name, -1)
		if err != nil || total == 0 {
			t.Fatalf("%s: %d outputs, %v", name, total, err)
		}
		step := int64(1)
		if name == "count" && total > 200 { // both account tables whole, then a sample of the constant ones
			step = 37
		}
		tested := 0
		for at := int64(0); at < total; at++ {
			if at >= ways*challengeTableSize && at%step != 0 {
				continue
			}
			_, err := run(name, at)
			mustRefuse(t, name, err)
			tested++
		}
		t.Logf("%s: %d outputs, %d altered", name, total, tested)
	}
}

type multipleCircuit struct{ A, M Point }

func (c *multipleCircuit) Define(api frontend.API) error {
	AssertMultiple(api, c.A, c.M)
	return nil
}

func TestAssertMultiple(t *testing.T) {
	r := rand.New(rand.NewSource(26))
	ccs := compile(t, &multipleCircuit{})
	t.Logf("%d constraints", ccs.GetNbConstraints())
	unset, one := te.PointAffine{}, te.PointAffine{Y: fr.One()}
	t8, _, t2, _ := torsion()
	key := crypto.PublicKey(randomSecret(r))
	multiple := crypto.Multiple(&key)
	mixed := add2(key, t8)
	otherKey := crypto.PublicKey(randomSecret(r))
	scaled := func(n int) (p te.PointAffine) {
		p.ScalarMultiplication(&key, powerOfTwo(n))
		return p
	}
	for name, c := range map[string]struct {
		a, m  te.PointAffine
		valid bool
	}{
		"honest":                     {key, multiple, true},
		"unset":                      {unset, unset, true},
		"G":                          {crypto.Base(), func() te.PointAffine { g := crypto.Base(); return crypto.Multiple(&g) }(), true},
		"mixed order, true multiple": {mixed, multiple, true}, // 2^64 removes the torsion; layer 1 refuses such keys
		"identity":                   {one, one, true},        // likewise; nothing verifies under it
		"M = A":                      {key, key, false},
		"M = 2^63 A":                 {key, scaled(63), false},
		"M = 2^65 A":                 {key, scaled(65), false},
		"M negated":                  {key, negated(multiple), false},
		"M + order 2":                {key, add2(multiple, t2), false},
		"M of another key":           {key, crypto.Multiple(&otherKey), false},
		"M unset":                    {key, unset, false},
		"M = (0, -1 + y)":            {unset, te.PointAffine{Y: *new(fr.Element).Neg(&one.Y)}, false},
		"unset key, M = O":           {unset, one, false},
		"unset key, M free":          {unset, multiple, false},
		"identity, M unset":          {one, unset, false},
		// with the selector -1 the unset key would become (0, -1), whose multiple is (0, 1)
		"unset key, M = (0, 2)": {unset, te.PointAffine{Y: *new(fr.Element).SetUint64(2)}, false},
		// with the selector 1 the key (0, -2) would become (0, -1)
		"key (0, -2), M unset": {te.PointAffine{Y: *new(fr.Element).SetInt64(-2)}, unset, false},
		"off the curve":        {te.PointAffine{X: key.X, Y: fr.One()}, multiple, false},
		"x = 0":                {te.PointAffine{Y: *new(fr.Element).SetUint64(5)}, unset, false},
		"y = 0":                {te.PointAffine{X: key.X}, unset, false},
		"(x, 0), M = O":        {te.PointAffine{X: key.X}, one, false},
	} {
		const honestFlag = 99
		for _, flag := range []int64{honestFlag, 0, 1, 2, -1} {
			hint := unsetHint
			if flag != honestFlag {
				hint = func(m *big.Int, _, out []*big.Int) error { out[0].Mod(big.NewInt(flag), m); return nil }
			}
			honest := flag == honestFlag || flag == 0 && c.a != unset || flag == 1 && c.a == unset
			err := solve(t, ccs, &multipleCircuit{pointOf(c.a), pointOf(c.m)}, override(unsetHint, hint))
			if c.valid && honest {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			} else {
				mustRefuse(t, name, err)
			}
		}
	}
}
