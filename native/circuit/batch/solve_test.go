package batch

import (
	"sync"
	"testing"
	"time"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/logger"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
)

func init() { logger.Disable() }

func nanoPreset(t testing.TB) circuit.Preset {
	t.Helper()
	p, err := circuit.PresetByName("nano")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var nano = sync.OnceValues(func() (constraint.ConstraintSystem, error) {
	p, err := circuit.PresetByName("nano")
	if err != nil {
		return nil, err
	}
	return frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, New(p))
})

func compiledNano(t testing.TB) constraint.ConstraintSystem {
	t.Helper()
	ccs, err := nano()
	if err != nil {
		t.Fatal(err)
	}
	return ccs
}

// solve returns the solver's verdict.
func solve(t testing.TB, ccs constraint.ConstraintSystem, c *Circuit, options ...solver.Option) error {
	t.Helper()
	w, err := frontend.NewWitness(c, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	return ccs.IsSolved(w, append(options, argument.SolveWithoutProof())...)
}

func TestHonestBatchSolves(t *testing.T) {
	ccs := compiledNano(t)
	t.Log("constraints", ccs.GetNbConstraints())
	for seed := int64(1); seed <= 3; seed++ {
		f := newFixture(t, nanoPreset(t), seed)
		start := time.Now()
		if err := solve(t, ccs, fill(f.preset, f.witness())); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		t.Log("solved in", time.Since(start))
	}
}
