package crypto

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

func newCase(name string, A te.PointAffine, msg [MessageWords]fr.Element, sig Signature) signatureVector {
	v := signatureVector{Name: name, Public: coordinates(A), Signature: [3]string{text(sig.R.X), text(sig.R.Y), sig.S.String()}}
	copy(v.Words[:], texts(msg[:]))
	return v
}

func (v signatureVector) valid() signatureVector {
	v.Valid = true
	return v
}

func (v signatureVector) withSecret(secret *big.Int) signatureVector {
	v.Secret = secret.String()
	return v
}

// torsion8 is a point of order 8.
func torsion8() te.PointAffine {
	for i := 0; ; i++ {
		p := curvePoint(i)
		p.ScalarMultiplication(&p, Order())
		q := p
		q.Double(&q).Double(&q)
		if !q.IsZero() {
			return p
		}
	}
}

// curvePoint is a point of the whole curve, outside the subgroup seven times in eight.
func curvePoint(i int) te.PointAffine {
	for n := 1000 * i; ; n++ {
		var p te.PointAffine
		one, numerator, denominator := fr.One(), fr.Element{}, fr.Element{}
		p.Y = element("curve", n)
		numerator.Square(&p.Y)
		denominator.Mul(&numerator, &curve.D)
		numerator.Sub(&one, &numerator)
		denominator.Sub(&curve.A, &denominator)
		p.X.Div(&numerator, &denominator)
		if p.X.Sqrt(&p.X) != nil {
			return p
		}
	}
}

func times(p te.PointAffine, n int64) te.PointAffine {
	p.ScalarMultiplication(&p, big.NewInt(n))
	return p
}

func sum(p, q te.PointAffine) te.PointAffine {
	p.Add(&p, &q)
	return p
}

func negative(p te.PointAffine) te.PointAffine {
	p.Neg(&p)
	return p
}

// equationHolds checks s G = R + c A alone, without any refusal: what a careless verifier would accept.
func equationHolds(A te.PointAffine, msg [MessageWords]fr.Element, sig Signature) bool {
	var left, right te.PointAffine
	base := Base()
	left.ScalarMultiplication(&base, sig.S)
	right.ScalarMultiplication(&A, ShortChallenge(Challenge(&sig.R, &A, msg)))
	right.Add(&right, &sig.R)
	return left.Equal(&right)
}

// forged makes a signature that satisfies the equation under a defective key A = a G + torsion: R = k G - c torsion, where c must be guessed modulo 8
// and the message ground until the guess is right.
func forged(a, k *big.Int, torsion te.PointAffine) (te.PointAffine, [MessageWords]fr.Element, Signature) {
	aG, kG := Base(), Base()
	aG.ScalarMultiplicationBase(a)
	kG.ScalarMultiplicationBase(k)
	A := sum(aG, torsion)
	msg := message(77)
	for i := 0; ; i++ {
		msg[5].SetInt64(int64(i))
		guess := int64(i % 8)
		sig := Signature{R: sum(kG, negative(times(torsion, guess)))}
		c := ShortChallenge(Challenge(&sig.R, &A, msg))
		sig.S = new(big.Int).Mul(c, a)
		sig.S.Add(sig.S, k).Mod(sig.S, Order())
		if sig.R.IsZero() && k.Sign() != 0 || !equationHolds(A, msg, sig) {
			continue
		}
		return A, msg, sig
	}
}

func makeRefusals() []signatureVector {
	secret, msg := secretOf(0), message(0)
	A, sig := PublicKey(secret), Sign(secretOf(0), message(0))
	var identity te.PointAffine
	identity.Y.SetOne()

	var out []signatureVector
	add := func(name string, edit func(v *signatureVector)) {
		v := newCase(name, A, msg, sig)
		edit(&v)
		out = append(out, v)
	}
	plus := func(decimal *string, n *big.Int) {
		x, _ := new(big.Int).SetString(*decimal, 10)
		*decimal = x.Add(x, n).String()
	}
	one := big.NewInt(1)
	add("s + l", func(v *signatureVector) { plus(&v.Signature[2], Order()) })
	add("s + 2 l", func(v *signatureVector) { plus(&v.Signature[2], new(big.Int).Lsh(Order(), 1)) })
	add("s = l", func(v *signatureVector) { v.Signature[2] = Order().String() })
	add("s = 0", func(v *signatureVector) { v.Signature[2] = "0" })
	add("s + 1", func(v *signatureVector) { plus(&v.Signature[2], one) })
	add("s negated", func(v *signatureVector) { v.Signature[2] = new(big.Int).Sub(Order(), sig.S).String() })
	add("R.x + r", func(v *signatureVector) { plus(&v.Signature[0], fr.Modulus()) })
	add("R.y + r", func(v *signatureVector) { plus(&v.Signature[1], fr.Modulus()) })
	add("A.x + r", func(v *signatureVector) { plus(&v.Public[0], fr.Modulus()) })
	add("A.y + r", func(v *signatureVector) { plus(&v.Public[1], fr.Modulus()) })
	add("R off the curve", func(v *signatureVector) { plus(&v.Signature[0], one) })
	add("R = (0, 0)", func(v *signatureVector) { v.Signature[0], v.Signature[1] = "0", "0" })
	add("R = A", func(v *signatureVector) { v.Signature[0], v.Signature[1] = v.Public[0], v.Public[1] })
	add("R negated", func(v *signatureVector) { v.Signature[0] = text(negative(sig.R).X) })
	add("R and s negated", func(v *signatureVector) {
		v.Signature[0], v.Signature[2] = text(negative(sig.R).X), new(big.Int).Sub(Order(), sig.S).String()
	})
	add("R + torsion", func(v *signatureVector) { p := coordinates(sum(sig.R, torsion8())); copy(v.Signature[:], p[:]) })
	add("A off the curve", func(v *signatureVector) { plus(&v.Public[1], one) })
	add("A unset", func(v *signatureVector) { v.Public = [2]string{"0", "0"} })
	add("A unset, all zero", func(v *signatureVector) { v.Public, v.Signature = [2]string{"0", "0"}, [3]string{"0", "0", "0"} })
	add("A unset, R the identity, s = 0", func(v *signatureVector) { v.Public, v.Signature = [2]string{"0", "0"}, [3]string{"0", "1", "0"} })
	add("A negated", func(v *signatureVector) { v.Public = coordinates(negative(A)) })
	add("A of another", func(v *signatureVector) { v.Public = coordinates(PublicKey(secretOf(1))) })
	for i := range msg {
		add(fmt.Sprintf("word %d changed", i), func(v *signatureVector) { v.Words[i] = text(element("changed", i)) })
	}
	add("words 2 and 3 swapped", func(v *signatureVector) { v.Words[2], v.Words[3] = v.Words[3], v.Words[2] })
	return append(out, makeForgeries(secret)...)
}

// makeForgeries satisfy the equation; only a refusal stops them.
func makeForgeries(secret *big.Int) []signatureVector {
	zero, k := new(big.Int), big.NewInt(123456789)
	T := torsion8()
	var none te.PointAffine
	none.Y.SetOne()
	var out []signatureVector
	add := func(name string, a, k *big.Int, torsion te.PointAffine) {
		A, msg, sig := forged(a, k, torsion)
		out = append(out, newCase("forged: "+name, A, msg, sig))
	}
	add("R the identity", secret, zero, none)
	add("A the identity", zero, k, none)
	add("A and R the identity", zero, zero, none)
	for _, order := range []int64{2, 4, 8} {
		add(fmt.Sprintf("A = a G + torsion of order %d", order), secret, k, times(T, 8/order))
		add(fmt.Sprintf("A torsion of order %d", order), zero, k, times(T, 8/order))
	}
	return out
}

// TestForgeriesNeedTheRefusals keeps the forged vectors sharp: each would pass a verifier that checks the equation alone.
func TestForgeriesNeedTheRefusals(t *testing.T) {
	count := 0
	for _, v := range makeForgeries(secretOf(0)) {
		words := [MessageWords]fr.Element(parseAll(t, v.Words[:]))
		A := te.PointAffine{X: parse(t, v.Public[0]), Y: parse(t, v.Public[1])}
		sig := Signature{te.PointAffine{X: parse(t, v.Signature[0]), Y: parse(t, v.Signature[1])}, number(t, v.Signature[2])}
		if !equationHolds(A, words, sig) {
			t.Errorf("%s: the equation does not hold, the vector is vacuous", v.Name)
		}
		if Verify(&A, words, &sig) {
			t.Errorf("%s: accepted", v.Name)
		}
		count++
	}
	if count != 9 {
		t.Errorf("%d forgeries, expected 9", count)
	}
}
