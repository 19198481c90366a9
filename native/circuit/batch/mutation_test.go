package batch

import (
	"fmt"
	"math/big"
	"math/rand"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// cell is one variable of the private inputs.
type cell struct {
	path string // Accounts[1].Sides[0].Cash
	at   reflect.Value
}

// cells lists the variables below a value.
func cells(v reflect.Value, path string) []cell {
	var found []cell
	switch {
	case v.Type() == reflect.TypeFor[variable]():
		return []cell{{path, v}}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			found = append(found, cells(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."))...)
		}
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		for i := range v.Len() {
			found = append(found, cells(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return found
}

// number is the value of a cell.
func number(v variable) *big.Int {
	switch n := v.(type) {
	case *big.Int:
		return n
	case fr.Element:
		return toBig(n)
	case *fr.Element:
		return toBig(*n)
	}
	r := reflect.ValueOf(v)
	if r.CanUint() {
		return new(big.Int).SetUint64(r.Uint())
	}
	return big.NewInt(r.Int())
}

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
	var all []cell
	for _, x := range cells(reflect.ValueOf(&c.Private).Elem(), "") {
		m := rowOf.FindStringSubmatch(x.path)
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
		honest := x.at.Interface()
		random := new(big.Int).Rand(rnd, fr.Modulus())
		for name, value := range map[string]*big.Int{"plus 1": new(big.Int).Add(number(honest), num(1)), "random": random} {
			x.at.Set(reflect.ValueOf(value))
			err := solve(t, ccs, c)
			if _, harmless := harmlessCells[field.ReplaceAllString(x.path, "")]; (err == nil) != harmless {
				t.Errorf("%s %s: %v", x.path, name, err)
			}
		}
		x.at.Set(reflect.ValueOf(honest))
	}
	if err := solve(t, ccs, c); err != nil {
		t.Fatalf("the honest batch no longer solves: %v", err)
	}
}
