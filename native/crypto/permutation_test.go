package crypto

import (
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
)

// TestWidePermutation compares permuteWide with gnark-crypto's permutation: extreme states, then a long chain in which each output is the next input.
func TestWidePermutation(t *testing.T) {
	plain := poseidon2.NewPermutation(WideWidth, WideFull, WidePartial)
	var last fr.Element
	last.SetInt64(-1)
	states := make([]wideState, 2+2*WideWidth)
	for i := range WideWidth {
		states[1][i] = last
		states[2+2*i][i].SetOne()
		states[3+2*i][i] = last
	}
	for n, state := range states {
		for step := range 20 {
			want := state
			permute(plain, want[:])
			permuteWide(&state)
			if state != want {
				t.Fatalf("state %d, step %d: %s, expected %s", n, step, text(state[0]), text(want[0]))
			}
		}
	}
}

func BenchmarkWidePermutation(b *testing.B) {
	plain := poseidon2.NewPermutation(WideWidth, WideFull, WidePartial)
	var state wideState
	b.Run("gnark-crypto", func(b *testing.B) {
		for b.Loop() {
			permute(plain, state[:])
		}
	})
	b.Run("vector", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			permuteWide(&state)
		}
	})
}
