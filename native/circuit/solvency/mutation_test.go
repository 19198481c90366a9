package solvency

import (
	"fmt"
	"math/big"
	"math/rand"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit/inspect"
)

var rowOf = regexp.MustCompile(`^(\w+)(\[(\d+)\])?`)

// usedRow is the row number of a cell, in brackets, and whether the witness uses that row. Every place of the chunk is used, the null ones too.
func usedRow(path string, w *Witness) (string, bool) {
	m, row := rowOf.FindStringSubmatch(path), 0
	fmt.Sscan(m[3], &row)
	rows := map[string]int{"Header": 1, "Accounts": len(w.Accounts), "Path": len(w.Path), "Positions": len(w.Positions), "Instruments": len(w.Instruments),
		"Nets": len(w.Instruments)}
	return m[2], row < rows[m[1]]
}

// harmlessCells are the cells of used rows that a prover may change, with the reason: none.
var harmlessCells = map[string]string{}

// TestEveryCellMatters changes one cell of a used row at a time, by one and to a random element, and expects the solver to refuse. By default it tries
// a seeded sample; STRADDLE_SLOW=1 tries them all.
func TestEveryCellMatters(t *testing.T) {
	const sample = 160
	ccs, f := compiled(t, nanoSolvency), newFixture(1)
	w := f.witness()
	c := fill(f.chunk, w)
	var all []inspect.Cell
	for _, x := range inspect.Cells(&c.Private) {
		if _, used := usedRow(x.Path, w); used {
			all = append(all, x)
		}
	}
	if len(all) < 1200 {
		t.Fatalf("only %d cells", len(all))
	}
	rnd := rand.New(rand.NewSource(int64(len(all))))
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if os.Getenv("STRADDLE_SLOW") == "" {
		all = all[:sample]
	}
	field := regexp.MustCompile(`\[\d+\]`)
	for _, x := range all {
		honest := x.At.Interface()
		random := new(big.Int).Rand(rnd, fr.Modulus())
		for name, value := range map[string]*big.Int{"plus 1": new(big.Int).Add(inspect.Number(honest), num(1)), "random": random} {
			x.At.Set(reflect.ValueOf(value))
			err := inspect.Solve(ccs, c)
			if _, harmless := harmlessCells[field.ReplaceAllString(x.Path, "")]; (err == nil) != harmless {
				t.Errorf("%s %s: %v", x.Path, name, err)
			}
		}
		x.At.Set(reflect.ValueOf(honest))
	}
	if err := inspect.Solve(ccs, c); err != nil {
		t.Fatalf("the honest chunk no longer solves: %v", err)
	}
}
