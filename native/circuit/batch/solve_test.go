package batch

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/logger"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/inspect"
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

var nano = sync.OnceValues(func() (*inspect.Traced, error) { return compileTraced("nano", false) })

func compileTraced(name string, blob bool) (*inspect.Traced, error) {
	p, err := circuit.PresetByName(name)
	if err != nil {
		return nil, err
	}
	return inspect.Compile(func(options ...argument.Option) frontend.Circuit {
		c := New(p)
		c.Blob, c.Options = blob, options
		return c
	})
}

func compiledNano(t testing.TB) *inspect.Traced {
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
	return inspect.Solve(ccs, c, options...)
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

// TestFixtureIsNotVacuous: every table has a used and a padding row, and every flag both values in used rows.
func TestFixtureIsNotVacuous(t *testing.T) {
	p := nanoPreset(t)
	w := newFixture(t, p, 1).witness()
	c, used := &fill(p, w).Private, usedRows(w)
	tables := reflect.ValueOf(c).Elem()
	for i := range tables.NumField() {
		name := tables.Type().Field(i).Name
		if rows := tables.Field(i); name != "Header" && (used[name] == 0 || used[name] >= rows.Len()) {
			t.Errorf("%s: %d of %d rows used", name, used[name], rows.Len())
		}
	}
	seen := map[string]map[string]bool{}
	for _, x := range inspect.Cells(c) {
		m := rowOf.FindStringSubmatch(x.Path)
		row, _ := strconv.Atoi(m[2])
		if row < used[m[1]] {
			name := strings.Replace(x.Path, "["+m[2]+"]", "", 1)
			if seen[name] == nil {
				seen[name] = map[string]bool{}
			}
			seen[name][number(x.At.Interface()).String()] = true
		}
	}
	for _, flag := range []string{"Accounts.Created", "Accounts.Rekeyed", "Accounts.Cancelled", "Accounts.Acting", "Accounts.HasPositions", "Accounts.RuleA",
		"Accounts.RuleB", "Accounts.RuleC", "Positions.Continues", "Orders.Continues", "Orders.Same", "Orders.Side", "Orders.Reduce", "Orders.Multi",
		"Instruments.Linear", "Instruments.Settled", "Instruments.Tradable", "Positions.Settled", "Positions.WasShort", "Positions.Reduced", "Legs.Sell", "Legs.Side",
		"Legs.Multi", "Legs.Reduce", "Legs.Continues", "Listings.Listing", "Listings.Settlement", "Listings.Retirement",
		"Queue.IsKey", "Fills.Side"} {
		if !seen[flag]["0"] || !seen[flag]["1"] {
			t.Errorf("%s has one value only: %v", flag, seen[flag])
		}
	}
	for _, field := range []string{"Positions.Sides[0].Long", "Positions.Sides[0].Short", "Positions.Sides[1].Long", "Positions.Sides[1].Short",
		"Orders.SlotFilled", "Orders.SlotNonce", "Orders.Step", "Accounts.Steps", "Accounts.Entries", "Queue.KeyX"} {
		if !seen[field]["0"] || len(seen[field]) < 2 {
			t.Errorf("%s is always or never 0: %v", field, seen[field])
		}
	}
}

// TestDemoPreset compiles, audits and solves the large preset.
func TestDemoPreset(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles 900,000 constraints: ten seconds")
	}
	p := mustPreset("demo")
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, New(p))
	if err != nil {
		t.Fatal(err)
	}
	t.Log("constraints", ccs.GetNbConstraints())
	f := newFixture(t, p, 1)
	if err := solve(t, ccs, fill(p, f.witness())); err != nil {
		t.Error(err)
	}
	if crossings, err := argument.Audit(ccs); err != nil || len(crossings) > 0 {
		t.Errorf("%d crossings, %v", len(crossings), err)
	}
}

func mustPreset(name string) circuit.Preset {
	p, err := circuit.PresetByName(name)
	if err != nil {
		panic(err)
	}
	return p
}
