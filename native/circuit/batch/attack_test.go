package batch

import (
	"strings"
	"testing"

	"straddle/native/circuit/inspect"
)

// TestAttack01EveryHintIsRecomputed: whichever output of whichever hint a prover alters, no batch is accepted. The circuit with the body in a blob uses
// every hint of this module but one, which copies a public input and which no circuit here needs.
func TestAttack01EveryHintIsRecomputed(t *testing.T) {
	samples := 6
	if testing.Short() {
		samples = 3
	}
	c, _ := inBlob(t, 1, nil)
	refused, accepted, err := inspect.AlteredHints(compiledBlob(t), c, samples, inspect.FreeOutputs)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range accepted {
		t.Errorf("%s: an altered output is accepted", name)
	}
	for _, name := range inspect.OwnHints("copyHint") {
		if refused[name] < samples {
			t.Errorf("%s: %d outputs altered and refused, expected %d", name, refused[name], samples)
		}
	}
	t.Log(refused)
}

// TestAttack02NothingIsChosenAfterTheChallenge: C, z and the y are those of the data, then a cell of the data is another. Where the y follow it, which
// anybody can compute once z is known, C does not; where C follows too, it is not the C that z was drawn from, and layer 1 has another z.
func TestAttack02NothingIsChosenAfterTheChallenge(t *testing.T) {
	f := newFixture(t, nanoPreset(t), 1)
	w := f.witness()
	for _, late := range []struct {
		name    string
		follows bool
	}{{"the y stay", false}, {"the y follow", true}} {
		t.Run(late.name, func(t *testing.T) {
			c := fill(f.preset, w)
			old := c.Public
			bump(&c.Private.Header.LogRoot, 1)
			publish(c)
			if number(c.Public.C).Cmp(number(old.C)) == 0 || number(c.Public.YEffects).Cmp(number(old.YEffects)) == 0 {
				t.Fatal("the change is not in the data")
			}
			if solve(t, compiledNano(t), c) != nil {
				t.Fatal("the changed batch is wrong by itself")
			}
			c.Public.C = old.C
			if !late.follows {
				c.Public = old
			}
			err := solve(t, compiledNano(t), c)
			if err == nil {
				t.Fatal("accepted")
			}
			if place := compiledNano(t).PlaceOf(err); !strings.HasPrefix(place, "vector: ") {
				t.Errorf("refused by %q", place)
			}
		})
	}
}
