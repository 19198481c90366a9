package crypto

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

// verifyPlainly is the definition, without tables or a cache and with gnark-crypto's arithmetic: what Verify must agree with on every input.
func verifyPlainly(A *te.PointAffine, msg [MessageWords]fr.Element, sig *Signature) bool {
	if sig.S == nil || sig.S.Sign() < 0 || sig.S.Cmp(Order()) >= 0 || !sig.R.IsOnCurve() || sig.R.IsZero() || !ValidKey(A) {
		return false
	}
	var left, right te.PointAffine
	left.ScalarMultiplicationBase(sig.S)
	right.ScalarMultiplication(A, ShortChallenge(Challenge(&sig.R, A, msg)))
	return left.Equal(right.Add(&right, &sig.R))
}

type verifyCase struct {
	name string
	A    te.PointAffine
	msg  [MessageWords]fr.Element
	sig  Signature
}

// sharedCases are the shared vectors that decode; the others never reach Verify.
func sharedCases(t *testing.T) []verifyCase {
	t.Helper()
	var out []verifyCase
	for _, v := range shared(t, "signatures.json", makeSignatures).Signatures {
		A, err := DecodePoint(integers(t, v.Public[:]...))
		sig, sigErr := DecodeSignature(integers(t, v.Signature[:]...))
		if err == nil && sigErr == nil {
			out = append(out, verifyCase{v.Name, A, [MessageWords]fr.Element(parseAll(t, v.Words[:])), *sig})
		}
	}
	return out
}

// randomCases holds signatures by random keys and damaged ones: bits of s, R or the key moved by the generator or by torsion, negations, points off the
// curve, s outside its range.
func randomCases(seed uint64, count int) []verifyCase {
	random := rand.New(rand.NewPCG(seed, 4))
	T, base := torsion8(), Base()
	shifts := []te.PointAffine{base, T, times(T, 2), times(T, 4), times(T, -3)}
	out := make([]verifyCase, count)
	for i := range out {
		secret := secretOf(2 + random.IntN(3))
		msg := message(random.IntN(1000))
		c := verifyCase{fmt.Sprintf("random %d.%d", seed, i), PublicKey(secret), msg, Sign(secret, msg)}
		switch random.IntN(12) {
		case 0:
			c.sig.S.SetBit(c.sig.S, random.IntN(256), uint(random.IntN(2)))
		case 1:
			c.sig.R = sum(c.sig.R, shifts[random.IntN(len(shifts))])
		case 2:
			c.A = sum(c.A, shifts[random.IntN(len(shifts))])
		case 3:
			c.A, c.sig.R, c.sig.S = negative(c.A), negative(c.sig.R), new(big.Int).Sub(Order(), c.sig.S)
		case 4:
			c.sig.S.Add(c.sig.S, Order())
		case 5:
			c.sig.S.Neg(c.sig.S)
		case 6:
			c.A.X.SetUint64(random.Uint64())
		case 7:
			c.sig.R.Y.SetUint64(random.Uint64())
		case 8: // both sides move by the generator: the equation holds for the wrong challenge
			c.sig.R, c.sig.S = sum(c.sig.R, base), new(big.Int).Add(c.sig.S, big.NewInt(1))
		}
		out[i] = c
	}
	return out
}

// TestVerifyAgreesWithTheDefinition runs every case cold, warm (validity known), hot (with a table) and through a cache of two keys that always evicts.
func TestVerifyAgreesWithTheDefinition(t *testing.T) {
	cases := append(sharedCases(t), randomCases(1, 150)...)
	roomy, tiny := newKeyCache(MaxCachedKeys), newKeyCache(2)
	accepted, tables := 0, 0
	for round := range usesBeforeTable + 2 {
		for _, c := range cases {
			want := verifyPlainly(&c.A, c.msg, &c.sig)
			for name, keys := range map[string]*keyCache{"cold": newKeyCache(1), "roomy": roomy, "tiny": tiny, "shared": verificationKeys} {
				if got := verify(keys, &c.A, c.msg, &c.sig); got != want {
					t.Errorf("%s, %s cache, round %d: %v, expected %v", c.name, name, round, got, want)
				}
			}
			if want {
				accepted++
			}
		}
	}
	for _, element := range roomy.entries {
		if entry := element.Value.(*cachedKey); entry.table != nil {
			tables++
		}
	}
	if tables < 4 || tiny.recent.Len() != 2 || len(tiny.entries) != 2 {
		t.Errorf("%d tables, %d keys in the tiny cache: the paths were not exercised", tables, tiny.recent.Len())
	}
	if total := len(cases) * (usesBeforeTable + 2); accepted < total/5 || accepted > total*4/5 {
		t.Errorf("%d of %d accepted: the test is lopsided", accepted, total)
	}
}

// TestBothCoordinatesOfRCount signs with commitments that share one coordinate with the point that the equation gives.
func TestBothCoordinatesOfRCount(t *testing.T) {
	secret, k, msg := secretOf(0), big.NewInt(987654321), message(5)
	A, kG := PublicKey(secret), Base()
	kG.ScalarMultiplicationBase(k)
	mirrored := te.PointAffine{X: kG.X, Y: *new(fr.Element).Neg(&kG.Y)}
	for _, c := range []struct {
		name string
		R    te.PointAffine
		want bool
	}{{"R = k G", kG, true}, {"R.x negated", negative(kG), false}, {"R.y negated", mirrored, false}, {"both negated", negative(mirrored), false}} {
		s := ShortChallenge(Challenge(&c.R, &A, msg))
		sig := Signature{c.R, s.Mul(s, secret).Add(s, k).Mod(s, Order())}
		keys := newKeyCache(1)
		for use := range usesBeforeTable + 2 {
			if got := verify(keys, &A, msg, &sig); got != c.want || got != verifyPlainly(&A, msg, &sig) {
				t.Errorf("%s, use %d: %v, expected %v", c.name, use+1, got, c.want)
			}
		}
	}
}

// TestKeyCache follows one key from its first use to its table and out again, and sees that no invalid key is kept.
func TestKeyCache(t *testing.T) {
	keys := newKeyCache(2)
	A, B, C := PublicKey(secretOf(0)), PublicKey(secretOf(1)), PublicKey(secretOf(2))
	for use := 1; use <= usesBeforeTable+2; use++ {
		if table, valid := keys.lookup(&A); !valid || (table != nil) != (use > usesBeforeTable) {
			t.Fatalf("use %d: valid %v, table %v", use, valid, table != nil)
		}
	}
	T, identity := torsion8(), te.PointAffine{Y: fr.One()}
	for i, bad := range []te.PointAffine{{}, identity, T, sum(A, T), {X: A.X, Y: A.X}} {
		for range usesBeforeTable + 2 {
			if _, valid := keys.lookup(&bad); valid {
				t.Errorf("invalid key %d is valid", i)
			}
		}
	}
	keys.remember(&A) // as a goroutine does that found A missing at the same time as another
	if table, _ := keys.lookup(&A); table == nil || len(keys.entries) != 1 || keys.recent.Len() != 1 {
		t.Errorf("%d keys, %d in order, expected 1 with its table", len(keys.entries), keys.recent.Len())
	}
	keys.lookup(&B)
	keys.lookup(&A) // B is now the one used least recently
	keys.lookup(&C)
	if _, found := keys.entries[B]; found || len(keys.entries) != 2 || keys.recent.Len() != 2 {
		t.Error("B was not the one dropped")
	}
	if table, _ := keys.lookup(&A); table == nil {
		t.Error("A lost its table")
	}
	keys.lookup(&B)
	keys.lookup(&C)
	if table, valid := keys.lookup(&A); table != nil || !valid {
		t.Error("A came back with a table at its first use")
	}
}

// TestKeyCacheInParallel is for the race detector: goroutines that evict one another's keys.
func TestKeyCacheInParallel(t *testing.T) {
	for _, capacity := range []int{1, 2, 8} {
		keys := newKeyCache(capacity)
		var group sync.WaitGroup
		for worker := range 4 {
			group.Go(func() {
				for i, c := range randomCases(uint64(10+worker), 40) {
					if got, want := verify(keys, &c.A, c.msg, &c.sig), verifyPlainly(&c.A, c.msg, &c.sig); got != want {
						t.Errorf("worker %d, case %d: %v, expected %v", worker, i, got, want)
					}
				}
			})
		}
		group.Wait()
		if len(keys.entries) > capacity || len(keys.entries) != keys.recent.Len() {
			t.Errorf("%d entries, %d in order, capacity %d", len(keys.entries), keys.recent.Len(), capacity)
		}
	}
}

// edgeScalars are integers of up to `bits` bits whose windows carry, are empty or full.
func edgeScalars(bits uint) []*big.Int {
	top := new(big.Int).Lsh(big.NewInt(1), bits)
	out := []*big.Int{new(big.Int).Sub(top, big.NewInt(1))}
	for _, n := range []int64{0, 1, 15, 16, 17, 128, 129} {
		out = append(out, big.NewInt(n))
	}
	for _, divisor := range []int64{2, 3, 7, 31, 33, 127, 129, 255} { // patterns that repeat
		out = append(out, new(big.Int).Div(top, big.NewInt(divisor)))
	}
	random := rand.New(rand.NewPCG(9, 9))
	for range 20 {
		n := new(big.Int)
		for limb := range bits / 32 {
			n.Or(n, new(big.Int).Lsh(new(big.Int).SetUint64(uint64(random.Uint32())), 32*limb))
		}
		out = append(out, n)
	}
	return out
}

// TestWindowTables compares multiples from the tables with gnark-crypto's, from the identity and from other starting points, for G and for keys.
func TestWindowTables(t *testing.T) {
	T := torsion8()
	check := func(name string, table *windowTable, P te.PointAffine, n *big.Int) {
		t.Helper()
		var want te.PointAffine
		want.ScalarMultiplication(&P, n)
		for _, start := range []te.PointAffine{{Y: fr.One()}, P, negative(P), want, negative(want), T} {
			var acc te.PointExtended
			acc.FromAffine(&start)
			s := scalarOf(n)
			table.addMultiple(&acc, &s, false)
			moved := sum(start, want)
			if !equalsAffine(&acc, &moved) || acc.Z.IsZero() {
				t.Errorf("%s: sum with %s times the point", name, n)
			}
			table.addMultiple(&acc, &s, true)
			var xy, tz fr.Element
			if xy.Mul(&acc.X, &acc.Y); !equalsAffine(&acc, &start) || !xy.Equal(tz.Mul(&acc.T, &acc.Z)) {
				t.Errorf("%s: difference with %s times the point", name, n)
			}
		}
	}
	last := new(big.Int).Sub(Order(), big.NewInt(1))
	for _, n := range append(edgeScalars(250), last, new(big.Int).Rsh(last, 1)) {
		check("G", generatorTable(), Base(), n)
	}
	for i := range 3 {
		A := PublicKey(secretOf(i))
		table := newKeyTable(&A)
		for _, n := range edgeScalars(challengeBits) {
			check(fmt.Sprintf("key %d", i), table.windows, A, n)
			var h fr.Element
			h.SetBigInt(n) // c = n + Repunit()
			product, fast := mulChallenge(&A, h), table.minusChallenge(h)
			var want te.PointAffine
			want.FromExtended(&product)
			if want.Neg(&want); !equalsAffine(&fast, &want) {
				t.Errorf("key %d: -c A for h = %s", i, n)
			}
		}
	}
	base := Base()
	for _, width := range []int{1, 4, 5, 8} { // every width of window takes the largest scalar and refuses the next
		for _, size := range []int{1, 7, 8, 63, 64, 127, 128, 251} {
			table := newWindowTable(&base, width, size)
			next := new(big.Int).Lsh(big.NewInt(1), uint(size))
			check(fmt.Sprintf("windows of %d bits", width), table, base, new(big.Int).Sub(next, big.NewInt(1)))
			mustPanic(t, "a scalar beyond the table", func() {
				acc, n := te.PointExtended{Y: fr.One(), Z: fr.One()}, scalarOf(next)
				table.addMultiple(&acc, &n, false)
			})
		}
	}
}

// TestCompleteness pins what addNiels relies on: a = -1 is a square and d is not; and adds all pairs of torsion points, their sums with others too.
func TestCompleteness(t *testing.T) {
	var minusOne fr.Element
	minusOne.SetInt64(-1)
	if !curve.A.Equal(&minusOne) || curve.A.Legendre() != 1 || curve.D.Legendre() != -1 {
		t.Fatal("the addition law is not complete on this curve")
	}
	if bits := curve.Order.BitLen(); bits != orderBits {
		t.Fatalf("the order has %d bits", bits)
	}
	var points []te.PointAffine
	for i := range int64(8) {
		p := times(torsion8(), i)
		points = append(points, p, sum(p, Base()), sum(p, negative(Base())))
	}
	for i := range points {
		for j := range points {
			var p, q te.PointExtended
			p.FromAffine(&points[i])
			q.FromAffine(&points[j])
			niels := toNiels([]te.PointExtended{q})[0]
			for _, subtract := range []bool{false, true} {
				acc, other := p, points[j]
				if subtract {
					other = negative(other)
				}
				addNiels(&acc, &niels, subtract)
				if want := sum(points[i], other); acc.Z.IsZero() || !equalsAffine(&acc, &want) {
					t.Errorf("points %d and %d, subtract %v", i, j, subtract)
				}
			}
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	A, msg := PublicKey(secretOf(0)), message(0)
	sig := Sign(secretOf(0), msg)
	verified := func(b *testing.B, ok bool) {
		if !ok {
			b.Fatal("refused")
		}
	}
	b.Run("definition", func(b *testing.B) {
		for b.Loop() {
			verified(b, verifyPlainly(&A, msg, &sig))
		}
	})
	b.Run("unknown key", func(b *testing.B) {
		for b.Loop() {
			verified(b, verify(newKeyCache(1), &A, msg, &sig))
		}
	})
	b.Run("key with a table", func(b *testing.B) {
		for b.Loop() {
			verified(b, Verify(&A, msg, &sig))
		}
	})
	b.Run("challenge alone", func(b *testing.B) {
		for b.Loop() {
			Challenge(&sig.R, &A, msg)
		}
	})
	b.Run("making a key's table", func(b *testing.B) {
		for b.Loop() {
			newKeyTable(&A)
		}
	})
	b.Run("making the generator's table", func(b *testing.B) {
		for b.Loop() {
			newWindowTable(&curve.Base, generatorWindowBits, orderBits)
		}
	})
}

// BenchmarkVerifyMany verifies 1,024 signatures by 64 keys on all cores; one operation is the whole batch.
func BenchmarkVerifyMany(b *testing.B) {
	var keys, messages, signatures []byte
	const count = 1024
	for i := range count {
		secret := secretOf(i % 64)
		A, sig := PublicKey(secret), Sign(secret, message(i))
		key, encoded := EncodePoint(&A), EncodeSignature(&sig)
		keys, signatures = append(keys, key[:]...), append(signatures, encoded[:]...)
		for _, word := range message(i) {
			bytes := word.Bytes()
			messages = append(messages, bytes[:]...)
		}
	}
	for b.Loop() {
		valid, err := VerifyManyEncoded(keys, messages, signatures)
		if err != nil || !valid[count-1] {
			b.Fatal(err, "refused")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/count, "ns/signature")
}
