package crypto

import (
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
)

// narrowConstants are gnark-crypto's round keys of the narrow permutation.
type narrowConstants struct {
	full    [NarrowFull][NarrowWidth]fr.Element // first half, then second
	partial [NarrowPartial]fr.Element
}

var narrow = sync.OnceValue(func() *narrowConstants {
	var c narrowConstants
	full := 0
	for round, keys := range poseidon2.NewParameters(NarrowWidth, NarrowFull, NarrowPartial).RoundKeys {
		if partial := round - NarrowFull/2; partial >= 0 && partial < NarrowPartial {
			c.partial[partial] = keys[0]
			continue
		}
		copy(c.full[full][:], keys)
		full++
	}
	return &c
})

// Compress hashes two elements into one: perm([l, r])[1] + r.
func Compress(l, r fr.Element) fr.Element {
	out := permuteNarrow(l, r)
	out.Add(&out, &r)
	return out
}

// permuteNarrow is the second element of gnark-crypto's Permutation of width 2. Its time is that of a chain of multiplications, so whatever the next S-box
// does not wait for is taken out of that chain.
func permuteNarrow(x, y fr.Element) fr.Element {
	c := narrow()
	mixExternal(&x, &y)
	for round := range NarrowFull / 2 {
		fullRoundNarrow(&x, &y, &c.full[round])
	}
	// A partial round: s = (x + key)^5, x = 2 s + y, y = s + 3 y.
	steadyAdd(&x, &x, &c.partial[0])
	for round := range NarrowPartial - 1 {
		var s, keyed, tripled fr.Element
		steadyAdd(&keyed, &y, &c.partial[round+1])
		steadyDoubleAdd(&tripled, &y, &y)
		s.Square(&x).Square(&s).Mul(&s, &x)
		steadyDoubleAdd(&x, &s, &keyed)
		steadyAdd(&y, &tripled, &s)
	}
	var s, tripled fr.Element
	s.Square(&x).Square(&s).Mul(&s, &x)
	steadyDoubleAdd(&tripled, &y, &y)
	steadyDoubleAdd(&x, &s, &y)
	steadyAdd(&y, &tripled, &s)
	for round := NarrowFull / 2; round < NarrowFull; round++ {
		fullRoundNarrow(&x, &y, &c.full[round])
	}
	return y
}

func fullRoundNarrow(x, y *fr.Element, keys *[NarrowWidth]fr.Element) {
	var a, b fr.Element
	steadyAdd(&a, x, &keys[0])
	steadyAdd(&b, y, &keys[1])
	x.Square(&a)
	y.Square(&b)
	x.Square(x)
	y.Square(y)
	x.Mul(x, &a)
	y.Mul(y, &b)
	mixExternal(x, y)
}

// mixExternal multiplies by (2 1, 1 2).
func mixExternal(x, y *fr.Element) {
	first := *x
	steadyDoubleAdd(x, x, y)
	steadyDoubleAdd(y, y, &first)
}

// CompressMany writes Compress(left[i], right[i]) to out[i]; out may be one of the others. It panics unless the lengths are equal.
func CompressMany(out, left, right []fr.Element) {
	if len(left) != len(out) || len(right) != len(out) {
		panic("crypto: CompressMany of slices of different lengths")
	}
	for start := 0; start < len(out); start += lanes {
		end := min(start+lanes, len(out))
		if end-start >= minLanes && hasLanes() {
			compressLanes(out[start:end], left[start:end], right[start:end])
			continue
		}
		for i := start; i < end; i++ {
			out[i] = Compress(left[i], right[i])
		}
	}
}

// compressChunk pairs are a worker's portion.
const compressChunk = 4 * lanes

// CompressParallel is CompressMany on all cores.
func CompressParallel(out, left, right []fr.Element) {
	inChunks((len(out)+compressChunk-1)/compressChunk, 1, func(i int) {
		start, end := i*compressChunk, min((i+1)*compressChunk, len(out))
		CompressMany(out[start:end], left[start:end], right[start:end])
	})
}
