package crypto

import (
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
)

// TestWidePermutation compares permuteWide, and what it is where lanes.c does not run, with gnark-crypto's permutation: extreme states, then a long chain in which each output is the next input.
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
			want, vector := state, state
			permute(plain, want[:])
			permuteWide(&state)
			permuteVector(&vector)
			if state != want || vector != want {
				t.Fatalf("state %d, step %d: %s, expected %s", n, step, text(state[0]), text(want[0]))
			}
		}
	}
}

// TestWidePermutationOfMany compares permuteWideMany of every length with permuteWide: extreme states, and a chain in which outputs are the next inputs.
func TestWidePermutationOfMany(t *testing.T) {
	var last fr.Element
	last.SetInt64(-1)
	states := make([]wideState, 2*lanes+1)
	for n := range states {
		for i := range states[n] {
			switch {
			case n == 1 || n == i+2:
				states[n][i] = last
			case n > lanes+1:
				states[n][i] = element("many", WideWidth*n+i)
			}
		}
	}
	for step := range 40 {
		for count := range len(states) + 1 {
			if step > 2 && count%lanes != step%lanes {
				continue
			}
			want, got := append([]wideState{}, states[:count]...), append([]wideState{}, states[:count]...)
			for i := range want {
				permuteWide(&want[i])
			}
			permuteWideMany(got)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("step %d, %d states at once: state %d is %s, expected %s", step, count, i, text(got[i][0]), text(want[i][0]))
				}
			}
		}
		permuteWideMany(states)
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
		for b.Loop() {
			permuteVector(&state)
		}
	})
	b.Run("as used", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			permuteWide(&state)
		}
	})
}

func BenchmarkWidePermutationOfMany(b *testing.B) {
	var states [lanes]wideState
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			for i := range states {
				permuteWide(&states[i])
			}
		}
	})
	b.Run("at once", func(b *testing.B) {
		for b.Loop() {
			permuteWideMany(states[:])
		}
	})
}

func BenchmarkCompress(b *testing.B) {
	left, right := setLeaves(MaxSetOrders), setLeaves(MaxSetOrders)
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			left[0] = Compress(left[0], right[0])
		}
	})
	b.Run("64", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			CompressMany(left, left, right)
		}
	})
	b.Run("order set of 64", func(b *testing.B) {
		for b.Loop() {
			SetRoot(left)
		}
	})
}

// permute is gnark-crypto's own permutation, which fails only for a state of another width.
func permute(permutation *poseidon2.Permutation, state []fr.Element) {
	if err := permutation.Permutation(state); err != nil {
		panic(err)
	}
}

// TestCompress compares Compress and CompressMany of every length with gnark-crypto's permutation, extremes and many others.
func TestCompress(t *testing.T) {
	plain := poseidon2.NewPermutation(NarrowWidth, NarrowFull, NarrowPartial)
	var zero, one, last fr.Element
	one.SetOne()
	last.SetInt64(-1)
	left, right := []fr.Element{zero, zero, last, last, one, last}, []fr.Element{zero, last, zero, last, last, one}
	for i := range 3*lanes + 1 {
		left, right = append(left, element("left", i)), append(right, element("right", i))
	}
	want := make([]fr.Element, len(left))
	for i := range left {
		state := []fr.Element{left[i], right[i]}
		permute(plain, state)
		want[i].Add(&state[1], &right[i])
		if got := Compress(left[i], right[i]); got != want[i] {
			t.Fatalf("pair %d: %s, expected %s", i, text(got), text(want[i]))
		}
	}
	for n := range len(left) + 1 {
		out := slices.Clone(left[:n])
		CompressMany(out, out, right[:n])
		if !slices.Equal(out, want[:n]) {
			t.Fatalf("%d pairs at once differ from one by one", n)
		}
	}
	for step := range 200 { // outputs are the next inputs
		n := 1 + step%(2*lanes)
		for i := range n {
			state := []fr.Element{left[i], right[i]}
			permute(plain, state)
			want[i].Add(&state[1], &right[i])
		}
		CompressMany(left[:n], left[:n], right[:n])
		if !slices.Equal(left[:n], want[:n]) {
			t.Fatalf("step %d of the chain", step)
		}
	}
	mustPanic(t, "lengths", func() { CompressMany(left[:2], left[:2], right[:1]) })
}

// TestSpongeMany compares SpongeMany with Sponge: one and several permutations a row, portions that are full and not.
func TestSpongeMany(t *testing.T) {
	for _, width := range []int{1, 10, SpongeRate, SpongeRate + 1, 2*SpongeRate + 3} {
		for _, count := range []int{0, 1, minWideLanes, lanes, 2*lanes + 1} {
			words := make([]fr.Element, width*count)
			for i := range words {
				words[i] = element("words", i)
			}
			hashes := SpongeMany("many", width, words)
			if len(hashes) != count {
				t.Fatalf("%d hashes of %d rows", len(hashes), count)
			}
			for i, hash := range hashes {
				if want := Sponge("many", words[i*width:(i+1)*width]...); hash != want {
					t.Fatalf("%d rows of %d words: row %d is %s, expected %s", count, width, i, text(hash), text(want))
				}
			}
		}
	}
	mustPanic(t, "half a row", func() { SpongeMany("many", 2, make([]fr.Element, 3)) })
	mustPanic(t, "no words", func() { SpongeMany("many", 0, nil) })
}
