package solvency

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

// TestAudit: nothing enters the arguments after the challenge unless it was committed before.
func TestAudit(t *testing.T) {
	for name, make := range map[string]compile{"nano-solvency": nanoSolvency, "nano-exit": nanoExit} {
		crossings, err := argument.Audit(compiled(t, make).ConstraintSystem)
		if err != nil || len(crossings) > 0 {
			t.Errorf("%s: %d crossings, %v", name, len(crossings), err)
		}
	}
}

// tiny is the smallest circuit with two rows in every table.
var tiny = circuit.Chunk{Preset: circuit.Preset{Name: "tiny", AccountDepth: 2, SlotDepth: 1, Instruments: 2}, Name: "tiny-solvency", K: 1, Positions: 2}

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
		if !slices.Contains(unbound, column) {
			t.Errorf("%s without its binding goes unnoticed", column)
		}
	}
}

// followsOrStaysOut says why the audit need not notice that a column is unbound: its cells enter no argument, or follow from others that are bound.
var followsOrStaysOut = map[string]string{}

func excuse(reason string, table string, columns ...string) {
	for _, column := range columns {
		followsOrStaysOut[table+"/"+column] = reason
	}
}

func init() {
	const out = "enters no argument, only constraints before the challenge"
	const compared = "follows from the committed limbs of a comparison and from cells that are bound"
	excuse(out, "header", "domain", "accounts_root", "listings_root", "listing_count", "batch_number", "queue_pointer", "k_im_bps", "k_mm_bps",
		"discount_bps", "auction_ms", "risk_digest", "risk_root")
	excuse(out, "accounts", "owner", "key_x", "key_y", "multiple_x", "multiple_y", "key_epoch", "cash", "orders_root", "min_nonce", "action_nonce",
		"flags", "auction", "claim", "debt")
	excuse(out, "instruments", "expiry_ms", "tradable", "funding", "band")
	excuse("claim less debt less cash, which are bound", "accounts", "value")
	excuse("the hash of cells that are bound", "positions", "digest")
	excuse(compared, "accounts", "below")
	excuse(compared, "positions", "used", "long", "short")
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
	numbered := regexp.MustCompile(`\[(\d+)\]$`)
	for i, column := range columns {
		middle := i+1 < len(columns) && numbered.MatchString(columns[i+1])
		if m := numbered.FindStringSubmatch(column); m != nil && m[1] != "0" && middle || i%every != 0 {
			continue
		}
		t.Run(column, func(t *testing.T) {
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
