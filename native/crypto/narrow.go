package crypto

import (
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
)

const (
	// lanes states are permuted side by side where there are many: fr.Vector works on them with AVX-512 IFMA where there is such a thing, and elsewhere their
	// multiplications still do not wait for each other.
	lanes = 16
	// minLanes is the number of states from which that is faster than one after another.
	minLanes = 4
)

// narrowConstants are gnark-crypto's round keys of the narrow permutation; in vectors they are repeated for each lane.
type narrowConstants struct {
	full        [NarrowFull][NarrowWidth]fr.Element // first half, then second
	partial     [NarrowPartial]fr.Element
	fullLanes   [NarrowFull][NarrowWidth][lanes]fr.Element
	partialLane [NarrowPartial][lanes]fr.Element
}

var narrow = sync.OnceValue(func() *narrowConstants {
	var c narrowConstants
	full := 0
	for round, keys := range poseidon2.NewParameters(NarrowWidth, NarrowFull, NarrowPartial).RoundKeys {
		if partial := round - NarrowFull/2; partial >= 0 && partial < NarrowPartial {
			c.partial[partial] = keys[0]
			for i := range lanes {
				c.partialLane[partial][i] = keys[0]
			}
			continue
		}
		for place, key := range keys {
			c.full[full][place] = key
			for i := range lanes {
				c.fullLanes[full][place][i] = key
			}
		}
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
		if end-start >= minLanes {
			compressLanes(out[start:end], left[start:end], right[start:end])
			continue
		}
		for i := start; i < end; i++ {
			out[i] = Compress(left[i], right[i])
		}
	}
}

// CompressParallel is CompressMany on all cores.
func CompressParallel(out, left, right []fr.Element) {
	inChunks((len(out)+lanes-1)/lanes, 1, func(i int) {
		start, end := i*lanes, min((i+1)*lanes, len(out))
		CompressMany(out[start:end], left[start:end], right[start:end])
	})
}

// compressLanes is Compress for 1 to `lanes` pairs at once.
func compressLanes(out, left, right fr.Vector) {
	c := narrow()
	n := len(out)
	var buffers [4][lanes]fr.Element
	x, y, s, sum := fr.Vector(buffers[0][:n]), fr.Vector(buffers[1][:n]), fr.Vector(buffers[2][:n]), fr.Vector(buffers[3][:n])
	mix := func(a, b fr.Vector) { // x = 2 a + b, y = a + 2 b
		sum.Add(a, b)
		x.Add(a, sum)
		y.Add(b, sum)
	}
	fullRound := func(round int) {
		for place, element := range [NarrowWidth]fr.Vector{x, y} {
			element.Add(element, c.fullLanes[round][place][:n])
			powerLanes(s, element)
			copy(element, s)
		}
		mix(x, y)
	}
	mix(left, right)
	for round := range NarrowFull / 2 {
		fullRound(round)
	}
	for round := range NarrowPartial {
		x.Add(x, c.partialLane[round][:n])
		powerLanes(s, x)
		sum.Add(s, y)
		x.Add(s, sum)
		y.Add(y, y)
		y.Add(y, sum)
	}
	for round := NarrowFull / 2; round < NarrowFull; round++ {
		fullRound(round)
	}
	v := fr.Vector(out)
	v.Add(y, right)
}

// powerLanes writes the fifth powers of x.
func powerLanes(out, x fr.Vector) {
	out.Mul(x, x)
	out.Mul(out, out)
	out.Mul(out, x)
}
