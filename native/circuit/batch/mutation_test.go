package batch

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

// number is the value of a cell.
func number(v variable) *big.Int { return inspect.Number(v) }

// usedRows are the rows of the fixture by table.
func usedRows(w *Witness) map[string]int {
	return map[string]int{"Header": 1, "Accounts": len(w.Accounts), "Positions": len(w.Positions), "Instruments": len(w.Instruments),
		"Listings": len(w.Listings), "Signatures": len(w.Signatures), "Orders": len(w.Orders), "Legs": len(w.Legs),
		"Fills": len(w.Fills), "Queue": len(w.Queue), "Withdrawals": len(w.Withdrawals), "Transfers": len(w.Transfers), "Takeovers": len(w.Takeovers),
		"Deleverages": len(w.Deleverages)}
}

// harmlessCells are the cells of used rows that a prover may change, with the reason.
var harmlessCells = map[string]string{}

var rowOf = regexp.MustCompile(`^(\w+)(?:\[(\d+)\])?`)

// TestEveryCellMatters changes one cell of a used row at a time, by one and to a random element, and expects the solver to refuse. By default it tries
// a seeded sample; STRADDLE_SLOW=1 tries them all (about ten minutes).
func TestEveryCellMatters(t *testing.T) {
	const sample = 160
	ccs, f := compiledNano(t), newFixture(t, nanoPreset(t), 1)
	w := f.witness()
	c := fill(f.preset, w)
	used := usedRows(w)
	var all []inspect.Cell
	for _, x := range inspect.Cells(&c.Private) {
		m := rowOf.FindStringSubmatch(x.Path)
		row := 0
		fmt.Sscan(m[2], &row)
		if row < used[m[1]] {
			all = append(all, x)
		}
	}
	if len(all) < 1500 {
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
		for name, value := range map[string]*big.Int{"plus 1": new(big.Int).Add(number(honest), num(1)), "random": random} {
			x.At.Set(reflect.ValueOf(value))
			err := solve(t, ccs, c)
			if _, harmless := harmlessCells[field.ReplaceAllString(x.Path, "")]; (err == nil) != harmless {
				t.Errorf("%s %s: %v", x.Path, name, err)
			}
		}
		x.At.Set(reflect.ValueOf(honest))
	}
	if err := solve(t, ccs, c); err != nil {
		t.Fatalf("the honest batch no longer solves: %v", err)
	}
}
