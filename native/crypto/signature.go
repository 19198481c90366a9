package crypto

import (
	"crypto/sha512"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

const (
	// MessageWords is the number of words that a signature covers.
	MessageWords = 6
	// ChallengeDigits base-16 digits, each in 1..16, make the short challenge.
	ChallengeDigits = 32
	challengeBits   = 4 * ChallengeDigits
	// MultipleShift: an account stores 2^MultipleShift times its key.
	MultipleShift = 64
	cofactor      = 8
	// challengeWords: R, A and the message.
	challengeWords = 4 + MessageWords

	signatureTag = "straddle.signature"
	nonceTag     = "straddle.nonce"
)

var (
	curve         = te.GetEdwardsCurve()
	repunit       = computeRepunit()
	challengeMask = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), challengeBits), big.NewInt(1))
	cofactorInv   = new(big.Int).ModInverse(big.NewInt(cofactor), &curve.Order)
)

// Signature is a Schnorr signature (R, s): valid if s G = R + c A, without cofactor.
type Signature struct {
	R te.PointAffine
	S *big.Int
}

// Order is the order l of the prime subgroup, a fresh copy.
func Order() *big.Int { return new(big.Int).Set(&curve.Order) }

// Base is the generator G.
func Base() te.PointAffine { return curve.Base }

// Repunit is 1 + 16 + ... + 16^31, a fresh copy: added to a 128-bit number it moves every base-16 digit from 0..15 to 1..16.
func Repunit() *big.Int { return new(big.Int).Set(repunit) }

func computeRepunit() *big.Int {
	sum := new(big.Int)
	for range ChallengeDigits {
		sum.Lsh(sum, 4).Add(sum, big.NewInt(1))
	}
	return sum
}

// Challenge is the full hash h of a signature.
func Challenge(R, A *te.PointAffine, msg [MessageWords]fr.Element) fr.Element {
	return Sponge(signatureTag, R.X, R.Y, A.X, A.Y, msg[0], msg[1], msg[2], msg[3], msg[4], msg[5])
}

// ShortChallenge is c = (h mod 2^128) + Repunit(), the multiplier of A.
func ShortChallenge(h fr.Element) *big.Int {
	c := h.BigInt(new(big.Int))
	return c.And(c, challengeMask).Add(c, repunit)
}

// ValidSecret says whether a secret lies in [1, l).
func ValidSecret(secret *big.Int) bool {
	return secret != nil && secret.Sign() > 0 && secret.Cmp(&curve.Order) < 0
}

// PublicKey is A = a G. It panics unless the secret a lies in [1, l).
func PublicKey(secret *big.Int) te.PointAffine {
	mustBeSecret(secret)
	var A te.PointAffine
	A.ScalarMultiplicationBase(secret)
	return A
}

// KeyBase is the point B with A = 8 B that layer 1 asks for. It panics unless the secret lies in [1, l).
func KeyBase(secret *big.Int) te.PointAffine {
	mustBeSecret(secret)
	b := new(big.Int).Mul(secret, cofactorInv)
	var B te.PointAffine
	B.ScalarMultiplicationBase(b.Mod(b, &curve.Order))
	return B
}

// Multiple is 2^64 A; that of the unset key (0, 0) is (0, 0).
func Multiple(A *te.PointAffine) te.PointAffine {
	if IsUnset(A) {
		return te.PointAffine{}
	}
	var e te.PointExtended
	e.FromAffine(A)
	for range MultipleShift {
		e.Double(&e)
	}
	var M te.PointAffine
	M.FromExtended(&e)
	return M
}

// IsUnset says whether A is the unset key (0, 0), which is not on the curve.
func IsUnset(A *te.PointAffine) bool { return A.X.IsZero() && A.Y.IsZero() }

// ValidKey says whether A is on the curve, in the prime subgroup and not the identity.
func ValidKey(A *te.PointAffine) bool {
	return A.IsOnCurve() && !A.IsZero() && A.IsInSubGroup()
}

// Sign signs six words with a nonce derived from secret and message: equal inputs give equal signatures. It panics unless the secret lies in [1, l).
// Not constant in time: for a signer whose timing others can measure, use another implementation.
func Sign(secret *big.Int, msg [MessageWords]fr.Element) Signature {
	A := PublicKey(secret)
	k := nonce(secret, msg)
	var R te.PointAffine
	R.ScalarMultiplicationBase(k)
	s := ShortChallenge(Challenge(&R, &A, msg))
	s.Mul(s, secret).Add(s, k).Mod(s, &curve.Order)
	return Signature{R: R, S: s}
}

func nonce(secret *big.Int, msg [MessageWords]fr.Element) *big.Int {
	var word [32]byte
	hash := sha512.New()
	hash.Write([]byte(nonceTag))
	hash.Write(secret.FillBytes(word[:]))
	for i := range msg {
		word = msg[i].Bytes()
		hash.Write(word[:])
	}
	k := new(big.Int).SetBytes(hash.Sum(nil))
	if k.Mod(k, &curve.Order).Sign() == 0 {
		panic("crypto: zero nonce") // a 251-bit coincidence; signing with it would publish c * secret
	}
	return k
}

// Verify accepts a signature if s G = R + c A. It refuses s outside [0, l), R or A off the curve or the identity, and A outside the prime subgroup
// (R then lies in the subgroup by the equation). Keys that it has seen lately cost less; see keyCache.
func Verify(A *te.PointAffine, msg [MessageWords]fr.Element, sig *Signature) bool {
	return verify(verificationKeys, A, msg, sig)
}

func verify(keys *keyCache, A *te.PointAffine, msg [MessageWords]fr.Element, sig *Signature) bool {
	return balances(keys, A, Challenge(&sig.R, A, msg), sig)
}

// signedMessage is what a signature is verified against.
type signedMessage struct {
	key       te.PointAffine
	message   [MessageWords]fr.Element
	signature *Signature // nil if its encoding is not even one: it is not valid
}

// verifyTogether says of each message whether its signature is valid, as Verify does. The challenges are hashed together, which sixteen gain by. The equations
// are checked one by one: a random combination of them would accept an R with a part of small order in up to one of two cases, since nothing here multiplies
// by the cofactor, and to check that every R lies in the subgroup costs more than the combination saves.
func verifyTogether(signed []signedMessage) []bool {
	valid := make([]bool, len(signed))
	if len(signed) < minWideLanes {
		for i := range signed {
			s := &signed[i]
			valid[i] = s.signature != nil && Verify(&s.key, s.message, s.signature)
		}
		return valid
	}
	words := make([]fr.Element, 0, challengeWords*len(signed))
	for i := range signed {
		s := &signed[i]
		var R te.PointAffine
		if s.signature != nil {
			R = s.signature.R
		}
		words = append(append(words, R.X, R.Y, s.key.X, s.key.Y), s.message[:]...)
	}
	for i, h := range SpongeMany(signatureTag, challengeWords, words) {
		s := &signed[i]
		valid[i] = s.signature != nil && balances(verificationKeys, &s.key, h, s.signature)
	}
	return valid
}

// balances says whether a signature by a valid key holds for the challenge h.
func balances(keys *keyCache, A *te.PointAffine, h fr.Element, sig *Signature) bool {
	if sig.S == nil || sig.S.Sign() < 0 || sig.S.Cmp(&curve.Order) >= 0 || !sig.R.IsOnCurve() || sig.R.IsZero() {
		return false
	}
	table, valid := keys.lookup(A)
	if !valid {
		return false
	}
	var acc te.PointExtended // s G - c A, which must be R
	if table != nil {
		acc = table.minusChallenge(h)
	} else {
		product := mulChallenge(A, h)
		acc.Neg(&product)
	}
	s := scalarOf(sig.S)
	generatorTable().addMultiple(&acc, &s, false)
	return equalsAffine(&acc, &sig.R)
}

// mulChallenge is c A for the short challenge c of h: one of 16 multiples of A for each base-16 digit of c, which are the nibbles of h plus one.
func mulChallenge(A *te.PointAffine, h fr.Element) te.PointExtended {
	var multiples [16]te.PointExtended
	multiples[0].FromAffine(A)
	for i := 1; i < len(multiples); i++ {
		multiples[i].MixedAdd(&multiples[i-1], A)
	}
	low := h.Bytes()
	nibbles := low[fr.Bytes-challengeBits/8:]
	acc := multiples[nibbles[0]>>4]
	for i := 1; i < ChallengeDigits; i++ {
		for range 4 {
			acc.Double(&acc)
		}
		nibble := nibbles[i/2] >> (4 * (1 - i%2)) & 15
		acc.Add(&acc, &multiples[nibble])
	}
	return acc
}

func mustBeSecret(secret *big.Int) {
	if !ValidSecret(secret) {
		panic("crypto: secret outside [1, l)") // the value stays out of the message
	}
}
