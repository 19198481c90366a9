package batch

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
)

// TestAuditOfNano: nothing enters the arguments, nor the signatures' checks, after the challenge unless it was committed before.
func TestAuditOfNano(t *testing.T) {
	crossings, err := argument.Audit(compiledNano(t).ConstraintSystem)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range crossings {
		if i < 10 {
			t.Errorf("wire %d enters after the challenge and is free before it: %s", c.Wire, c.Constraint)
		}
	}
	if len(crossings) > 0 {
		t.Fatalf("%d crossings", len(crossings))
	}
}

// tiny is the smallest circuit with every table: two rows each.
var tiny = circuit.Preset{Name: "tiny", AccountDepth: 2, SlotDepth: 1, Accounts: 2, Positions: 2, Instruments: 1, Signatures: 1, Orders: 2, Legs: 2, Fills: 1,
	Queue: 1, Withdrawals: 1, Transfers: 1, Takeovers: 1, Deleverages: 1, Listings: 1}

// compileTiny also returns the sealed layer, for its columns.
func compileTiny(t *testing.T, options ...argument.Option) (ccs constraint.ConstraintSystem, layer *argument.Layer) {
	t.Helper()
	c := New(tiny)
	c.Options = options
	c.Inspect = func(l *argument.Layer) { layer = l }
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c)
	if err != nil {
		t.Fatal(err)
	}
	return ccs, layer
}

// TestEveryCellIsCommitted: no column is unbound; and the check sees each column whose binding is removed.
func TestEveryCellIsCommitted(t *testing.T) {
	ccs, layer := compileTiny(t)
	if unbound, err := layer.Unbound(ccs); err != nil || len(unbound) > 0 {
		t.Fatalf("unbound %v, %v", unbound, err)
	}
	ccs, layer = compileTiny(t, argument.WithoutBinding(func(string) bool { return true }))
	unbound, err := layer.Unbound(ccs)
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range layer.Columns() {
		if _, other := boundByTheGadget[column]; slices.Contains(unbound, column) == other {
			t.Errorf("%s without its binding: unbound %v", column, !other)
		}
	}
	if len(unbound) < 300 {
		t.Fatalf("%d unbound columns", len(unbound))
	}
}

// boundByTheGadget are cells that the signature gadget commits once more: key, multiple and message.
var boundByTheGadget = map[string]bool{"header/domain": true, "signatures/account": true, "signatures/kind": true, "signatures/payload": true,
	"signatures/key_x": true, "signatures/key_y": true, "signatures/multiple_x": true, "signatures/multiple_y": true, "signatures/key_epoch": true}

// followsOrStaysOut says why the audit need not notice that a column is unbound: its cells enter no argument, or follow from others that are bound.
var followsOrStaysOut = map[string]string{}

func excuse(reason string, table string, columns ...string) {
	for _, column := range columns {
		followsOrStaysOut[table+"/"+column] = reason
	}
}

func init() {
	for column := range boundByTheGadget {
		followsOrStaysOut[column] = "bound by the signature gadget too"
	}
	const out = "enters no argument, only constraints before the challenge"
	const compared = "follows from the committed limbs of a comparison and from cells that are bound"
	const numbered = "follows from the numbering of the rows and from the other flags, which are bound"
	const divided = "follows from the division and from cells that are bound"
	excuse(out, "listings", "used", "listing", "retirement", "kind", "expiry_ms", "tick_ticks", "min_lots", "position_cap_lots")
	excuse(compared, "listings", "id")
	excuse(numbered, "listings", "settlement")
	excuse(compared, "instruments", "expiry_ms")
	excuse(out, "orders", "continues", "nonce", "revision", "expiry_ms", "size", "flags", "slot_nonce", "slot_revision", "slot_filled", "same", "sequence")
	excuse(compared, "orders", "fill", "used", "multi", "more")
	excuse(numbered, "legs", "used", "continues", "order", "place bit 0", "place bit 1")
	excuse(compared, "legs", "ratio")
	excuse(divided, "positions", "sliced", "rest")
	excuse(compared, "fills", "mark", "band", "price")
}

// TestAuditNoticesEveryUnboundColumn removes the binding of one column at a time and expects the audit of the compiled constraints to object. Of
// numbered columns only the first and the last are tried, and by default only every fourth column (a circuit is compiled for each): STRADDLE_SLOW=1
// tries the others too.
func TestAuditNoticesEveryUnboundColumn(t *testing.T) {
	_, layer := compileTiny(t)
	columns := layer.Columns()
	for column := range followsOrStaysOut {
		if !slices.Contains(columns, column) {
			t.Errorf("excused, but there is no column %s", column)
		}
	}
	every := 4
	if os.Getenv("STRADDLE_SLOW") != "" {
		every = 1
	}
	tried := 0
	numbered := regexp.MustCompile(`\[(\d+)\]$`)
	for i, column := range columns {
		middle := i+1 < len(columns) && numbered.MatchString(columns[i+1])
		if m := numbered.FindStringSubmatch(column); m != nil && m[1] != "0" && middle {
			continue
		}
		if tried++; tried%every != 0 {
			continue
		}
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			ccs, _ := compileTiny(t, argument.WithoutBinding(func(name string) bool { return name == column }))
			crossings, err := argument.Audit(ccs)
			if err != nil {
				t.Fatal(err)
			}
			if reason := followsOrStaysOut[column]; (len(crossings) == 0) != (reason != "") {
				t.Errorf("%d crossings without its binding (excuse: %q)", len(crossings), reason)
			}
		})
	}
}
