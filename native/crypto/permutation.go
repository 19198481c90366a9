package crypto

import (
	"fmt"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
)

// wideState is the state of the wide permutation.
type wideState [WideWidth]fr.Element

// wideConstants are gnark-crypto's parameters of the wide permutation, laid out for permuteWide.
type wideConstants struct {
	full             [WideFull]wideState // round keys of the full rounds, first half then second
	partial          [WidePartial]fr.Element
	diagonalMinusOne wideState // the internal matrix is ones everywhere, plus this on the diagonal
}

var wide = sync.OnceValue(func() *wideConstants {
	parameters := poseidon2.NewParameters(WideWidth, WideFull, WidePartial)
	var c wideConstants
	copy(c.diagonalMinusOne[:], parameters.DiagM1)
	full := 0
	for round, keys := range parameters.RoundKeys {
		if partial := round - WideFull/2; partial >= 0 && partial < WidePartial {
			c.partial[partial] = keys[0]
			for i := 1; i < len(keys); i++ {
				if !keys[i].IsZero() {
					panic(fmt.Sprintf("crypto: partial round %d adds a key to element %d", round, i))
				}
			}
			continue
		}
		copy(c.full[full][:], keys)
		full++
	}
	return &c
})

// permuteWide is gnark-crypto's Permutation of width 16.
func permuteWide(state *wideState) {
	if hasLanes() {
		permuteLanes(state)
		return
	}
	permuteVector(state)
}

// minWideLanes states at once cost less than one by one.
const minWideLanes = 7

// permuteWideMany is permuteWide of each state.
func permuteWideMany(states []wideState) {
	for len(states) >= minWideLanes && hasLanes() {
		if len(states) >= lanes {
			permuteManyLanes((*[lanes]wideState)(states))
			states = states[lanes:]
			continue
		}
		var padded [lanes]wideState
		copy(padded[:], states)
		permuteManyLanes(&padded)
		copy(states, padded[:])
		return
	}
	for i := range states {
		permuteWide(&states[i])
	}
}

// permuteVector is permuteWide where lanes.c does not run. It uses whatever fr.Vector has: one call multiplies all sixteen elements of the state by the
// diagonal, or raises them in the S-boxes of a full round.
func permuteVector(state *wideState) {
	c := wide()
	multiplyExternal(state)
	for round := range WideFull / 2 {
		fullRound(state, &c.full[round])
	}
	for round := range WidePartial {
		partialRound(state, &c.partial[round], &c.diagonalMinusOne)
	}
	for round := WideFull / 2; round < WideFull; round++ {
		fullRound(state, &c.full[round])
	}
}

func fullRound(state, keys *wideState) {
	var base, power wideState
	b, p := fr.Vector(base[:]), fr.Vector(power[:])
	b.Add(state[:], keys[:])
	p.Mul(b, b)
	p.Mul(p, p)
	p.Mul(p, b)
	*state = power
	multiplyExternal(state)
}

func partialRound(state *wideState, key *fr.Element, diagonalMinusOne *wideState) {
	var base fr.Element
	base.Add(&state[0], key)
	state[0].SetZero() // the others are summed while the S-box is computed
	total := sumOf(state)
	state[0].Square(&base).Square(&state[0]).Mul(&state[0], &base)
	total.Add(&total, &state[0])

	var totals wideState
	for i := range totals {
		totals[i] = total
	}
	s := fr.Vector(state[:])
	s.Mul(s, diagonalMinusOne[:])
	s.Add(s, totals[:])
}

// sumOf adds the elements of a state pairwise. Vector additions, even of one element, have no branches to mispredict.
func sumOf(state *wideState) fr.Element {
	var sums [WideWidth / 2]fr.Element
	s := fr.Vector(sums[:])
	s.Add(state[:WideWidth/2], state[WideWidth/2:])
	for n := WideWidth / 4; n > 0; n /= 2 {
		low := s[:n]
		low.Add(low, s[n:2*n])
	}
	return sums[0]
}

// multiplyExternal applies circ(2 M, M, M, M) with the block M = (5 7 1 3, 4 6 1 1, 1 3 5 7, 1 1 4 6) of the Poseidon2 paper. The four blocks are
// transposed, so that one vector holds the same element of each.
func multiplyExternal(state *wideState) {
	var rows [9][4]fr.Element
	for i := range state {
		rows[i%4][i/4] = state[i]
	}
	s0, s1, s2, s3 := fr.Vector(rows[0][:]), fr.Vector(rows[1][:]), fr.Vector(rows[2][:]), fr.Vector(rows[3][:])
	t0, t1, t2, t3 := fr.Vector(rows[4][:]), fr.Vector(rows[5][:]), fr.Vector(rows[6][:]), fr.Vector(rows[7][:])
	sums := fr.Vector(rows[8][:])
	t0.Add(s0, s1)
	t1.Add(s2, s3)
	t2.Add(s1, s1)
	t2.Add(t2, t1)
	t3.Add(s3, s3)
	t3.Add(t3, t0)
	s3.Add(t1, t1)
	s3.Add(s3, s3)
	s3.Add(s3, t3)
	s1.Add(t0, t0)
	s1.Add(s1, s1)
	s1.Add(s1, t2)
	s0.Add(t3, s1)
	s2.Add(t2, s3)

	for i := range state {
		state[i] = rows[i%4][i/4]
	}
	s := fr.Vector(state[:])
	sums.Add(s[:4], s[4:8])
	sums.Add(sums, s[8:12])
	sums.Add(sums, s[12:])
	for i := 0; i < WideWidth; i += 4 {
		block := s[i : i+4]
		block.Add(block, sums)
	}
}
