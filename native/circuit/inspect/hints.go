package inspect

import (
	"fmt"
	"math/big"
	"math/rand"
	"strings"
	"sync/atomic"

	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
)

// Free tells whether an output of a hint may take other values by design: it decides nothing.
type Free func(inputs []*big.Int, at int) bool

// AlteredHints solves a circuit again and again, each time with one output of one hint raised by 1: the first output, the last and some others of
// every hint that the circuit uses, gnark's included. It returns how many outputs of each hint were refused, and the hints of which one was accepted.
// A hint that refuses what follows from an altered output answers 0 instead, so that constraints refuse and not another hint.
func AlteredHints(system constraint.ConstraintSystem, assigned frontend.Circuit, samples int, free map[string]Free) (refused map[string]int, accepted []string, err error) {
	hints := usedHints(system)
	refused = map[string]int{}
	solve := func(name string, at int64) (outputs int64, err error) {
		var seen atomic.Int64
		var options []solver.Option
		for id, hint := range hints {
			used := solver.GetHintName(hint)
			options = append(options, solver.OverrideHint(id, func(field *big.Int, inputs, outputs []*big.Int) error {
				if hint(field, inputs, outputs) != nil {
					for _, x := range outputs {
						x.SetInt64(0)
					}
				}
				for k, x := range outputs {
					if used == name && (free[short(used)] == nil || !free[short(used)](inputs, k)) && seen.Add(1)-1 == at {
						x.Mod(x.Add(x, big.NewInt(1)), field)
					}
				}
				return nil
			}))
		}
		err = Solve(system, assigned, options...)
		return seen.Load(), err
	}
	random := rand.New(rand.NewSource(1))
	for _, hint := range hints {
		name := solver.GetHintName(hint)
		total, err := solve(name, -1)
		if err != nil {
			return nil, nil, err // the honest circuit
		}
		if total == 0 {
			continue
		}
		places := []int64{0, total - 1}
		for len(places) < samples {
			places = append(places, random.Int63n(total))
		}
		for _, at := range places {
			if _, err := solve(name, at); err == nil {
				accepted = append(accepted, name)
			} else {
				refused[name]++
			}
		}
	}
	return refused, accepted, nil
}

// usedHints are those of a circuit but for the commitment, which is random.
func usedHints(system constraint.ConstraintSystem) map[solver.HintID]solver.Hint {
	if traced, ok := system.(*Traced); ok {
		system = traced.ConstraintSystem
	}
	used := map[solver.HintID]solver.Hint{}
	for _, hint := range solver.GetRegisteredHints() {
		name, ok := system.(*cs.R1CS).MHintsDependencies[solver.GetHintID(hint)]
		if ok && !strings.HasSuffix(name, "CommitmentComputePlaceholder") && !strings.HasSuffix(name, "hints.Randomize") {
			used[solver.GetHintID(hint)] = hint
		}
	}
	return used
}

// OwnHints are the names of the hints that this module has registered, without those that are named.
func OwnHints(without ...string) []string {
	var own []string
	for _, hint := range solver.GetRegisteredHints() {
		name := solver.GetHintName(hint)
		excluded := false
		for _, other := range without {
			excluded = excluded || short(name) == other
		}
		if strings.HasPrefix(name, "straddle/") && !excluded {
			own = append(own, name)
		}
	}
	return own
}

// short is a hint's name without its package.
func short(name string) string { return name[strings.LastIndex(name, ".")+1:] }

// FreeOutputs are the outputs that decide nothing: the count of a row that provides no tuple, the inverse of 0, a borrow that the next limb can spare.
var FreeOutputs = map[string]Free{
	"InvZeroHint": func(inputs []*big.Int, _ int) bool { return inputs[0].Sign() == 0 },
	"MultiplicityHint": func(inputs []*big.Int, at int) bool { // inputs: number of queries, length, then flag and tuple of queries and rows
		flag := 2 + (int(inputs[0].Int64())+at)*(int(inputs[1].Int64())+1)
		return inputs[flag].Sign() == 0
	},
	"PointHint": func(_ []*big.Int, at int) bool { return at >= 3 }, // three limbs, then the borrows
}

// LenientCount lets the range checker's own hint count what lies outside its table as nothing, so that a constraint has to refuse, not the honest hint.
func LenientCount() []solver.Option {
	for _, hint := range solver.GetRegisteredHints() {
		if !strings.HasSuffix(solver.GetHintName(hint), "logderivarg.countHint") {
			continue
		}
		return []solver.Option{solver.OverrideHint(solver.GetHintID(hint), func(_ *big.Int, inputs, outputs []*big.Int) error {
			rows, width := int(inputs[0].Int64()), int(inputs[1].Int64())
			if width != 1 {
				return fmt.Errorf("a table of %d columns", width)
			}
			at := map[string]*big.Int{}
			for i, entry := range inputs[2 : 2+rows] {
				outputs[i].SetInt64(0)
				at[entry.String()] = outputs[i]
			}
			for _, query := range inputs[2+rows:] {
				if count, ok := at[query.String()]; ok {
					count.Add(count, big.NewInt(1))
				}
			}
			return nil
		})}
	}
	panic("no count hint")
}
