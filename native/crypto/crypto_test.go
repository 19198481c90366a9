package crypto

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestTagsAndLengths(t *testing.T) {
	word := element("word", 0)
	for _, tag := range []string{"", strings.Repeat("x", 25), "caf\xc3\xa9", "a\x00"} {
		mustPanic(t, "tag "+tag, func() { Sponge(tag, word) })
	}
	mustPanic(t, "no words", func() { Sponge("tag") })
	capacity, ascii := TagElement("straddle.data", 3), AsciiElement("straddle.data")
	difference := new(fr.Element).Sub(&capacity, &ascii).BigInt(new(big.Int))
	if difference.Cmp(new(big.Int).Lsh(big.NewInt(3), 200)) != 0 {
		t.Errorf("the length adds %s", difference)
	}
	if ascii.BigInt(new(big.Int)).Cmp(new(big.Int).SetBytes([]byte("straddle.data"))) != 0 {
		t.Error("ascii")
	}
	if padded, plain := Sponge("tag", word, fr.Element{}), Sponge("tag", word); padded.Equal(&plain) {
		t.Error("a trailing zero does not change the hash")
	}
}

// TestTreeAgainstDense compares the sparse tree with a full one.
func TestTreeAgainstDense(t *testing.T) {
	const depth = 5
	sparse := NewTree(depth, element("default", 0))
	dense := make([]fr.Element, 1<<depth)
	for i := range dense {
		dense[i] = element("default", 0)
	}
	for step := range 60 {
		index := uint64(step*step*7+step) % (1 << depth)
		before := sparse.Copy()
		leaf := element("leaf", step%50)
		if step%9 == 8 {
			leaf = element("default", 0) // back to the default
		}
		old := sparse.Root()
		sparse.Set(index, leaf)
		dense[index] = leaf
		if root := sparse.Root(); root != denseRoot(dense) || root != Fold(leaf, index, sparse.Path(index)) {
			t.Fatalf("step %d: roots differ", step)
		}
		if before.Root() != old {
			t.Fatalf("step %d: the copy changed", step)
		}
	}
	for i := range dense {
		if sparse.Get(uint64(i)) != dense[i] {
			t.Errorf("leaf %d", i)
		}
	}
	mustPanic(t, "index", func() { sparse.Get(1 << depth) })
	mustPanic(t, "depth", func() { NewTree(MaxDepth+1, fr.Element{}) })
}

func denseRoot(leaves []fr.Element) fr.Element {
	for len(leaves) > 1 {
		next := make([]fr.Element, len(leaves)/2)
		for i := range next {
			next[i] = Compress(leaves[2*i], leaves[2*i+1])
		}
		leaves = next
	}
	return leaves[0]
}

func TestShortChallenge(t *testing.T) {
	if want, _ := new(big.Int).SetString(strings.Repeat("1", ChallengeDigits), 16); Repunit().Cmp(want) != 0 {
		t.Errorf("repunit %x", Repunit())
	}
	A := PublicKey(secretOf(1))
	var last fr.Element
	last.SetInt64(-1)
	for _, h := range []fr.Element{{}, last, element("h", 1), element("h", 2)} {
		c := ShortChallenge(h)
		want := new(big.Int).Mod(h.BigInt(new(big.Int)), new(big.Int).Lsh(big.NewInt(1), 128))
		if want.Add(want, Repunit()); c.Cmp(want) != 0 {
			t.Errorf("challenge %s, expected %s", c, want)
		}
		var plain, windowed te.PointAffine
		plain.ScalarMultiplication(&A, c)
		product := mulChallenge(&A, h)
		if windowed.FromExtended(&product); !plain.Equal(&windowed) {
			t.Errorf("c A differs for h = %s", h.String())
		}
	}
}

func TestKeyPoints(t *testing.T) {
	for i := range 4 {
		A, B := PublicKey(secretOf(i)), KeyBase(secretOf(i))
		if eight := times(B, cofactor); !eight.Equal(&A) || !ValidKey(&B) {
			t.Errorf("key %d: 8 B != A", i)
		}
		var M te.PointAffine
		M.ScalarMultiplication(&A, new(big.Int).Lsh(big.NewInt(1), MultipleShift))
		if got := Multiple(&A); !got.Equal(&M) {
			t.Errorf("key %d: multiple", i)
		}
	}
	var unset te.PointAffine
	if M := Multiple(&unset); !IsUnset(&M) || ValidKey(&unset) {
		t.Error("the unset key")
	}
	for _, secret := range []*big.Int{nil, big.NewInt(0), big.NewInt(-1), Order()} {
		if ValidSecret(secret) {
			t.Errorf("secret %s is valid", secret)
		}
		mustPanic(t, "secret", func() { Sign(secret, message(0)) })
	}
}

// TestSubgroup compares gnark-crypto's pairing-based test, which ValidKey uses, with multiplication by the order, over all cosets of the torsion.
func TestSubgroup(t *testing.T) {
	T := torsion8()
	inside := 0
	for i := range 40 {
		p := curvePoint(i)
		if i%2 == 0 {
			p = sum(PublicKey(secretOf(i+2)), times(T, int64(i/2%8)))
		}
		killed := p
		killed.ScalarMultiplication(&killed, Order())
		if killed.IsZero() {
			inside++
		}
		if got := ValidKey(&p); got != (killed.IsZero() && !p.IsZero()) {
			t.Errorf("point %d: valid %v", i, got)
		}
	}
	for i := range int64(8) {
		if p := times(T, i); ValidKey(&p) {
			t.Errorf("torsion point %d is valid", i)
		}
	}
	if inside < 3 || inside > 20 {
		t.Errorf("%d of 40 points inside the subgroup: the test is lopsided", inside)
	}
}

func TestSignaturesDependOnEverything(t *testing.T) {
	sig := Sign(secretOf(0), message(0))
	if again := Sign(secretOf(0), message(0)); again.S.Cmp(sig.S) != 0 || again.R != sig.R {
		t.Error("signing is not deterministic")
	}
	if other := Sign(secretOf(0), message(1)); other.R == sig.R {
		t.Error("two messages share a nonce")
	}
	if other := Sign(secretOf(1), message(0)); other.R == sig.R {
		t.Error("two keys share a nonce")
	}
	A := PublicKey(secretOf(0))
	for _, s := range []*big.Int{nil, new(big.Int).Neg(sig.S), new(big.Int).Sub(sig.S, Order())} {
		if Verify(&A, message(0), &Signature{sig.R, s}) {
			t.Errorf("s = %s accepted", s)
		}
	}
}

func TestVerifyMany(t *testing.T) {
	var keys, messages, signatures []byte
	const count = 50
	for i := range count {
		A, sig := PublicKey(secretOf(i%3)), Sign(secretOf(i%3), message(i))
		key, encoded := EncodePoint(&A), EncodeSignature(&sig)
		encoded[SignatureBytes-1] ^= byte(i % 5 / 4) // every fifth is broken
		keys, signatures = append(keys, key[:]...), append(signatures, encoded[:]...)
		for _, word := range message(i) {
			bytes := word.Bytes()
			messages = append(messages, bytes[:]...)
		}
	}
	valid, err := VerifyManyEncoded(keys, messages, signatures)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range valid {
		if ok != (i%5 != 4) {
			t.Errorf("signature %d: valid %v", i, ok)
		}
	}
	if _, err := VerifyManyEncoded(keys[1:], messages, signatures); err == nil {
		t.Error("lengths that do not match")
	}
	copy(messages[33*MessageBytes:], fr.Modulus().Bytes())
	if _, err := VerifyManyEncoded(keys, messages, signatures); err == nil {
		t.Error("a message word = r")
	}
}

func TestInChunks(t *testing.T) {
	for _, count := range []int{0, 1, 15, 16, 17, 1000} {
		done := make([]int, count)
		inChunks(count, 16, func(i int) { done[i]++ })
		for i, n := range done {
			if n != 1 {
				t.Errorf("%d of %d was done %d times", i, count, n)
			}
		}
	}
	for _, chunk := range []int{1, 3, 4} {
		done := make([]int, 11)
		inChunks(len(done), chunk, func(i int) { done[i]++ })
		if got := fmt.Sprint(done); got != "[1 1 1 1 1 1 1 1 1 1 1]" {
			t.Errorf("chunks of %d: %s", chunk, got)
		}
	}
	mustPanic(t, "a worker's panic", func() {
		inChunks(100, 16, func(i int) {
			if i == 63 {
				panic("work")
			}
		})
	})
}
