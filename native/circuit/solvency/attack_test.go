package solvency

import (
	"slices"
	"strings"
	"testing"

	"straddle/native/circuit/inspect"
)

// TestAttack01EveryHintIsRecomputed: whichever output of whichever hint a prover alters, no claim and no chunk is accepted.
func TestAttack01EveryHintIsRecomputed(t *testing.T) {
	c, err := Assign(newFixture(1).witness())
	if err != nil {
		t.Fatal(err)
	}
	refused, accepted, err := inspect.AlteredHints(compiled(t, nanoSolvency), c, 6, inspect.FreeOutputs)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range accepted {
		t.Errorf("%s: an altered output is accepted", name)
	}
	for _, name := range inspect.OwnHints("copyHint") {
		if refused[name] < 6 {
			t.Errorf("%s: %d outputs altered and refused, expected 6", name, refused[name])
		}
	}
	t.Log(refused)
}

// TestAlteredHintsReachTheSolver: outputs that decide nothing are accepted when they are altered, so that a refusal says something.
func TestAlteredHintsReachTheSolver(t *testing.T) {
	c, err := Assign(newFixture(1).witness())
	if err != nil {
		t.Fatal(err)
	}
	const samples = 50 // which outputs they are depends on the solver's order, and some decide something
	_, accepted, err := inspect.AlteredHints(compiled(t, nanoSolvency), c, samples, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"solver.InvZeroHint", "argument.MultiplicityHint"} {
		if !slices.ContainsFunc(accepted, func(hint string) bool { return strings.HasSuffix(hint, name) }) {
			t.Errorf("%s: not one of %v", name, accepted)
		}
	}
}
