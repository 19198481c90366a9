package schnorr

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
)

// Hints compute what the constraints then check; nothing relies on them.
func init() {
	solver.RegisterHint(digitsHint, selectHint, fixedSelectHint, countHint, unsetHint)
}

// digitsHint: value -> its lowest base-16 digits.
func digitsHint(_ *big.Int, in, out []*big.Int) error {
	rest, mask := new(big.Int).Set(in[0]), big.NewInt(1<<challengeWindow-1)
	for i := range out {
		out[i].And(rest, mask)
		rest.Rsh(rest, challengeWindow)
	}
	return nil
}

// selectHint: 16 u, 16 v, digits -> u, v of the table at each digit.
func selectHint(_ *big.Int, in, out []*big.Int) error {
	for j, d := range in[2*challengeTableSize:] {
		if !below(d, challengeTableSize) {
			return fmt.Errorf("schnorr: challenge digit %d is %s, expected less than %d", j, d, challengeTableSize)
		}
		out[2*j].Set(in[d.Int64()])
		out[2*j+1].Set(in[challengeTableSize+d.Int64()])
	}
	return nil
}

// fixedSelectHint: digits of s -> u, v of the fixed table at each.
func fixedSelectHint(_ *big.Int, in, out []*big.Int) error {
	for j, d := range in {
		if !below(d, scalarTableSize) {
			return fmt.Errorf("schnorr: digit %d of s is %s, expected less than %d", j, d, scalarTableSize)
		}
		p := fixedMultiples()[j][d.Int64()]
		out[2*j].Set(p.U)
		out[2*j+1].Set(p.V)
	}
	return nil
}

// countHint: digits -> how often each value below len(out) occurs.
func countHint(_ *big.Int, in, out []*big.Int) error {
	for i := range out {
		out[i].SetUint64(0)
	}
	for j, d := range in {
		if !below(d, int64(len(out))) {
			return fmt.Errorf("schnorr: counted digit %d is %s, expected less than %d", j, d, len(out))
		}
		out[d.Int64()].Add(out[d.Int64()], big.NewInt(1))
	}
	return nil
}

// unsetHint: x, y -> 1 if both are 0, else 0.
func unsetHint(_ *big.Int, in, out []*big.Int) error {
	out[0].SetUint64(0)
	if in[0].Sign() == 0 && in[1].Sign() == 0 {
		out[0].SetUint64(1)
	}
	return nil
}

func below(d *big.Int, bound int64) bool { return d.IsInt64() && d.Int64() >= 0 && d.Int64() < bound }

// hint calls a hint; an error is a wrong number of inputs or outputs, a programming error.
func hint(api frontend.API, f solver.Hint, outputs int, inputs ...frontend.Variable) []frontend.Variable {
	out, err := api.NewHint(f, outputs, inputs...)
	if err != nil {
		panic(err)
	}
	return out
}
