package crypto

/*
#cgo CFLAGS: -O2 -std=c11 -Wall -Wextra
#cgo noescape lanes_narrow
#cgo nocallback lanes_narrow
#cgo noescape lanes_narrow_half
#cgo nocallback lanes_narrow_half
#cgo noescape lanes_wide
#cgo nocallback lanes_wide
#cgo noescape lanes_wide_many
#cgo nocallback lanes_wide_many
#include "lanes.h"
*/
import "C"

import (
	"math/big"
	"sync"
	"unsafe"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

const (
	// lanes elements are computed with side by side, which pays from minLanes pairs on.
	lanes    = C.LANES
	minLanes = 2
	limbBits = C.LIMB_BITS
	// Numbers of lanes.c are multiplied modulo r with a division by 2^laneBits.
	laneBits = C.LIMBS * limbBits
)

// hasLanes says whether this machine runs lanes.c.
var hasLanes = sync.OnceValue(func() bool { return C.lanes_supported() == 1 })

var laneField = sync.OnceValue(func() *C.struct_field {
	r, limb := fr.Modulus(), power2(limbBits)
	inverse := new(big.Int).ModInverse(r, limb)
	return &C.struct_field{
		modulus:       limbsOf(r),
		complement:    limbsOf(new(big.Int).Sub(power2(laneBits), r)),
		inverse:       C.uint64_t(inverse.Sub(limb, inverse).Uint64()),
		reciprocal:    C.uint64_t(new(big.Int).Div(power2(laneBits), r).Uint64()),
		into:          limbsOf(new(big.Int).Mod(power2(2*laneBits-256), r)),
		out:           limbsOf(new(big.Int).Mod(power2(256), r)),
		modulus_words: wordsOfInt(r),
		twice:         wordsOfInt(new(big.Int).Lsh(r, 1)),
		inverse_word:  C.uint64_t(new(big.Int).Sub(power2(64), new(big.Int).ModInverse(r, power2(64))).Uint64()),
		power:         limbsOf(new(big.Int).Mod(power2(4*laneBits-3*256+4), r)),
	}
})

var narrowLaneKeys = sync.OnceValue(func() *C.struct_narrow_keys {
	var keys C.struct_narrow_keys
	for round, pair := range narrow().full {
		for place := range pair {
			keys.full[round][place] = laneConstant(&pair[place])
		}
	}
	for round := range narrow().partial {
		keys.partial[round] = laneConstant(&narrow().partial[round])
	}
	return &keys
})

func power2(n int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }

// laneConstant is 2^laneBits e mod r.
func laneConstant(e *fr.Element) C.limbs {
	n := e.BigInt(new(big.Int))
	return limbsOf(n.Mod(n.Lsh(n, laneBits), fr.Modulus()))
}

func limbsOf(n *big.Int) (out C.limbs) {
	rest, limb, mask := new(big.Int).Set(n), new(big.Int), new(big.Int).Sub(power2(limbBits), big.NewInt(1))
	for i := range out {
		out[i] = C.uint64_t(limb.And(rest, mask).Uint64())
		rest.Rsh(rest, limbBits)
	}
	return out
}

// compressLanes is Compress for 1 to `lanes` pairs on a machine that hasLanes.
func compressLanes(out, left, right []fr.Element) {
	var x, y, z [lanes]fr.Element
	copy(x[:], left)
	copy(y[:], right)
	if len(out) <= lanes/2 {
		C.lanes_narrow_half(laneField(), narrowLaneKeys(), words(&x), words(&y), words(&z))
	} else {
		C.lanes_narrow(laneField(), narrowLaneKeys(), words(&x), words(&y), words(&z))
	}
	for i := range out {
		subtractModulus(&z[i], z[i][0], z[i][1], z[i][2], z[i][3])
		steadyAdd(&out[i], &z[i], &y[i])
	}
}

func words(elements *[lanes]fr.Element) *C.uint64_t { return (*C.uint64_t)(unsafe.Pointer(elements)) }

var wideLaneKeys = sync.OnceValue(func() *C.struct_wide_keys {
	var keys C.struct_wide_keys
	put := func(to *[C.LIMBS][lanes]C.uint64_t, i int, limbs C.limbs) {
		for j := range limbs {
			to[j][i] = limbs[j]
		}
	}
	c := wide()
	for round := range c.full {
		for i := range c.full[round] {
			put(&keys.full[round], i, limbsOf(montgomery(&c.full[round][i])))
		}
	}
	for i := range c.diagonalMinusOne {
		put((*[C.LIMBS][lanes]C.uint64_t)(&keys.diagonal), i, laneConstant(&c.diagonalMinusOne[i]))
	}
	for round := range c.partial {
		keys.partial[round] = wordsOf(&c.partial[round])
	}
	one, first := fr.One(), c.diagonalMinusOne[0]
	keys.first = wordsOf(first.Add(&first, &one))
	return &keys
})

// montgomery is 2^256 e mod r, as which an element is stored.
func montgomery(e *fr.Element) *big.Int {
	n := e.BigInt(new(big.Int))
	return n.Mod(n.Lsh(n, 256), fr.Modulus())
}

func wordsOfInt(n *big.Int) (out C.words) {
	for i, word := range n.Bits() {
		out[i] = C.uint64_t(word)
	}
	return out
}

func wordsOf(e *fr.Element) (out C.words) {
	for i, word := range e {
		out[i] = C.uint64_t(word)
	}
	return out
}

// permuteLanes is permuteWide on a machine that hasLanes.
func permuteLanes(state *wideState) {
	C.lanes_wide(laneField(), wideLaneKeys(), words((*[lanes]fr.Element)(state)))
	for i := range state {
		e := &state[i]
		subtractModulus(e, e[0], e[1], e[2], e[3])
	}
}

var wideManyKeys = sync.OnceValue(func() *C.struct_wide_many_keys {
	var keys C.struct_wide_many_keys
	c := wide()
	for round := range c.full {
		for i := range c.full[round] {
			keys.full[round][i] = laneConstant(&c.full[round][i])
		}
	}
	for round := range c.partial {
		keys.partial[round] = laneConstant(&c.partial[round])
	}
	for i := range c.diagonalMinusOne {
		keys.diagonal[i] = laneConstant(&c.diagonalMinusOne[i])
	}
	return &keys
})

// permuteManyLanes is permuteWide of sixteen states on a machine that hasLanes.
func permuteManyLanes(states *[lanes]wideState) {
	C.lanes_wide_many(laneField(), wideManyKeys(), (*C.uint64_t)(unsafe.Pointer(states)))
	for i := range states {
		for j := range states[i] {
			e := &states[i][j]
			subtractModulus(e, e[0], e[1], e[2], e[3])
		}
	}
}
