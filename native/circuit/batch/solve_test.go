package batch

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

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

// traced is a compiled circuit that knows which statement each constraint belongs to.
type traced struct {
	constraint.ConstraintSystem
	starts []int    // first constraint of each label
	labels []string // groups, sums, hooks
	checks []string // subjects of the range checks, in their order
}

var nano = sync.OnceValues(func() (*traced, error) {
	p, err := circuit.PresetByName("nano")
	if err != nil {
		return nil, err
	}
	c, system := New(p), &traced{}
	c.Options = []argument.Option{argument.WithTrace(func(l *argument.Layer, label string) {
		if subject, ok := strings.CutPrefix(label, argument.CheckLabel); ok {
			system.checks = append(system.checks, subject)
			return
		}
		system.starts, system.labels = append(system.starts, constraintsSoFar(l.API())), append(system.labels, label)
	})}
	system.ConstraintSystem, err = frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c)
	return system, err
})

// constraintsSoFar asks gnark's builder, which does not say by itself.
func constraintsSoFar(api frontend.API) int {
	field := reflect.ValueOf(api.Compiler()).Elem().FieldByName("cs")
	open := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface()
	return open.(interface{ GetNbConstraints() int }).GetNbConstraints()
}

// place names the statement of a constraint: a group, a sum, or what a range check checks.
func (c *traced) place(number int) string {
	label, start := "allocation", 0
	for i := range c.starts {
		if c.starts[i] <= number {
			label, start = c.labels[i], c.starts[i]
		}
	}
	if label == "range checks" && number-start < len(c.checks) {
		return "range of " + c.checks[number-start]
	}
	return label
}

var constraintNumber = regexp.MustCompile(`constraint #(\d+) is not satisfied`)

// placeOf names the statement that refused, or repeats the error of a hint.
func (c *traced) placeOf(err error) string {
	if m := constraintNumber.FindStringSubmatch(err.Error()); m != nil {
		number, _ := strconv.Atoi(m[1])
		return c.place(number)
	}
	return err.Error()
}

func compiledNano(t testing.TB) *traced {
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
		if err := solve(t, ccs, fill(f.preset, f.witness())); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func mustPreset(name string) circuit.Preset {
	p, err := circuit.PresetByName(name)
	if err != nil {
		panic(err)
	}
	return p
}
