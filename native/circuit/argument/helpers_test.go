package argument

import (
	"math/big"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/logger"
)

func init() { logger.Disable() }

type v = frontend.Variable

// small is a circuit whose inputs are one list, stated by a function.
type small struct {
	Public  v `gnark:",public"`
	X       []v
	State   func(l *Layer, x []v, public v) `gnark:"-"`
	Options []Option                        `gnark:"-"`
	layer   *Layer
}

func (c *small) Define(api frontend.API) error {
	l := New(api, c.Options...)
	c.layer = l
	api.AssertIsEqual(api.Mul(c.Public, c.Public), 25) // used, without being fixed
	c.State(l, c.X, c.Public)
	return l.Seal()
}

// statement is a small circuit under test.
type statement struct {
	name   string
	honest []int64
	define func(l *Layer, x []v, public v)
}

func (s *statement) compile(t testing.TB, options ...Option) (constraint.ConstraintSystem, *Layer, error) {
	t.Helper()
	c := &small{X: make([]v, len(s.honest)), State: s.define, Options: options}
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c)
	return ccs, c.layer, err
}

func (s *statement) mustCompile(t testing.TB) constraint.ConstraintSystem {
	t.Helper()
	ccs, _, err := s.compile(t)
	if err != nil {
		t.Fatal(err)
	}
	return ccs
}

func accepts(t testing.TB, ccs constraint.ConstraintSystem, x []int64, options ...solver.Option) bool {
	t.Helper()
	values := make([]*big.Int, len(x))
	for i := range x {
		values[i] = big.NewInt(x[i])
	}
	return acceptsBig(t, ccs, values, options...)
}

func acceptsBig(t testing.TB, ccs constraint.ConstraintSystem, x []*big.Int, options ...solver.Option) bool {
	t.Helper()
	c := &small{Public: 5, X: make([]v, len(x))}
	for i := range x {
		c.X[i] = x[i]
	}
	w, err := frontend.NewWitness(c, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	return ccs.IsSolved(w, append(options, SolveWithoutProof())...) == nil
}

// refusesToCompile expects an error with these words.
func refusesToCompile(t *testing.T, name, want string, inputs int, define func(l *Layer, x []v, public v)) {
	t.Helper()
	s := statement{name, make([]int64, inputs), define}
	if _, _, err := s.compile(t); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, expected %q", name, err, want)
	}
}
