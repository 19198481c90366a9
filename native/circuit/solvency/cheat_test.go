package solvency

import (
	"math/big"
	"slices"
	"testing"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
)

// cheat is a dishonest chunk: the plan, the witness or the cells of the honest one changed, and everything else made consistent again, C and the y
// included, as a cheating prover would. want names the statement that refuses (inspect.Traced.PlaceOf); empty: accepted, as a control beside a refusal.
type cheat struct {
	name    string
	want    string
	plan    func(f *fixture)
	witness func(w *Witness)
	cells   func(c *Private)
}

// TestCheats runs the cheats of every table, and then asks whether every constraint group and every sum has refused one.
func TestCheats(t *testing.T) {
	ccs, refused, complete := compiled(t, nanoSolvency), map[string]bool{}, true
	for _, table := range []struct {
		name   string
		cheats []cheat
	}{
		{"accounts", cheatsAccounts()}, {"leaf", cheatsLeaf()}, {"positions", cheatsPositions()}, {"position rows", cheatsPositionRows()},
		{"instruments", cheatsInstruments()}, {"margin", cheatsMargin()}, {"equity", cheatsEquity()}, {"below", cheatsBelow()},
	} {
		entered := false
		t.Run(table.name, func(t *testing.T) {
			entered = true
			for _, c := range table.cheats {
				ran := false
				t.Run(c.name, func(t *testing.T) {
					ran = true
					if place := c.run(t, ccs); place != "" {
						refused[place] = true
					}
				})
				complete = complete && ran
			}
		})
		complete = complete && entered
	}
	if complete && !t.Failed() { // not with -run on a part
		for _, label := range ccs.Stated() {
			if !refused[label] && !refused["range of "+label] && !othersRefuse[label] {
				t.Errorf("no cheat is refused by %q", label)
			}
		}
	}
}

// othersRefuse are statements that TestPublicInputs has refuse something, and groups that only compute.
var othersRefuse = map[string]bool{"header: beneficiary": true, "vector: commitment": true, "vector: evaluations": true, "vector: state root": true,
	"vector: accounts": true, "vector: nets": true, "instruments: looked up": true}

// run returns the statement that refused the cheat, "" if none did.
func (c *cheat) run(t *testing.T, ccs *inspect.Traced) (place string) {
	t.Helper()
	f := newFixture(1)
	if c.plan != nil {
		c.plan(f)
	}
	w := f.witness()
	if c.witness != nil {
		c.witness(w)
	}
	filled := fill(f.chunk, w)
	if c.cells != nil {
		c.cells(&filled.Private)
	}
	publish(filled)
	if err := inspect.Solve(ccs, filled); err != nil {
		place = ccs.PlaceOf(err)
	}
	switch {
	case place == "" && c.want != "":
		t.Errorf("accepted, expected a refusal by %q", c.want)
	case place != "" && !inspect.RefusedBy(place, c.want):
		t.Errorf("refused by %q, expected %q", place, c.want)
	}
	return place
}

func minus(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

// row is the position row of an account in an instrument.
func row(rows []Position, account, instrument int64) int {
	return slices.IndexFunc(rows, func(r Position) bool {
		return r.Account.Int64() == account && r.Instrument.Int64() == instrument
	})
}

func cheatsAccounts() []cheat {
	const tree = "accounts: tree"
	null := func(f *fixture) ledger.Leaf { return *ledger.NullAccount(f.chunk.Preset.SlotDepth) }
	return []cheat{
		{name: "an account left out", want: tree, witness: func(w *Witness) {
			w.Accounts[fees] = null(newFixture(1))
		}},
		{name: "an account left out with its positions", want: tree, witness: func(w *Witness) {
			w.Accounts[broke] = null(newFixture(1))
			w.Positions = slices.DeleteFunc(w.Positions, func(r Position) bool { return r.Account.Int64() == broke })
		}},
		{name: "an account counted twice, at a null place", want: tree, witness: func(w *Witness) { w.Accounts[7] = w.Accounts[fees] }},
		{name: "two accounts swapped", want: tree, witness: func(w *Witness) { w.Accounts[0], w.Accounts[fees] = w.Accounts[fees], w.Accounts[0] }},
		{name: "money at a null place", want: tree, witness: func(w *Witness) { w.Accounts[7].Cash = num(5) }},
		{name: "the chunk called the next one", want: tree, witness: func(w *Witness) {
			w.Header.Chunk = num(1)
			for j := range w.Positions {
				w.Positions[j].Account = new(big.Int).Add(w.Positions[j].Account, num(8))
			}
		}},
		{name: "a chunk beyond the tree", want: tree, witness: func(w *Witness) {
			w.Header.Chunk = num(32)
			for j := range w.Positions {
				w.Positions[j].Account = new(big.Int).Add(w.Positions[j].Account, num(256))
			}
		}},
		{name: "another accounts root", want: tree, witness: func(w *Witness) { w.Header.AccountsRoot = num(5) }},
		{name: "another path", want: tree, witness: func(w *Witness) { w.Path[2] = num(5) }},
		{name: "positions denied", want: "accounts: digests", cells: func(c *Private) { c.Accounts[broke].HasPositions = 0 }},
		{name: "positions claimed of none", want: "sum digests", cells: func(c *Private) { c.Accounts[fees].HasPositions = 1 }},
		{name: "a flag of 2", want: "allocation", cells: func(c *Private) { c.Accounts[rich].HasPositions = 2 }},
	}
}

// cheatsLeaf alters every field of a leaf.
func cheatsLeaf() (cheats []cheat) {
	fields := map[string]func(l *ledger.Leaf) **big.Int{
		"owner": func(l *ledger.Leaf) **big.Int { return &l.Owner }, "key_x": func(l *ledger.Leaf) **big.Int { return &l.KeyX },
		"key_y": func(l *ledger.Leaf) **big.Int { return &l.KeyY }, "multiple_x": func(l *ledger.Leaf) **big.Int { return &l.MultipleX },
		"multiple_y": func(l *ledger.Leaf) **big.Int { return &l.MultipleY }, "key_epoch": func(l *ledger.Leaf) **big.Int { return &l.KeyEpoch },
		"cash": func(l *ledger.Leaf) **big.Int { return &l.Cash }, "orders_root": func(l *ledger.Leaf) **big.Int { return &l.OrdersRoot },
		"min_nonce": func(l *ledger.Leaf) **big.Int { return &l.MinNonce }, "action_nonce": func(l *ledger.Leaf) **big.Int { return &l.ActionNonce },
		"flags": func(l *ledger.Leaf) **big.Int { return &l.Flags }, "auction": func(l *ledger.Leaf) **big.Int { return &l.Auction },
	}
	for name, field := range fields {
		cheats = append(cheats, cheat{name: name, want: "accounts: tree", witness: func(w *Witness) {
			at := field(&w.Accounts[rich])
			*at = new(big.Int).Add(*at, num(1))
		}})
	}
	return append(cheats,
		cheat{name: "positions_digest", want: "sum digests", witness: func(w *Witness) { w.Accounts[rich].PositionsDigest = num(5) }},
		cheat{name: "cash beyond 64 bits", want: "range of accounts/cash", plan: func(f *fixture) { f.accounts[fees].cash = ledger.Power(63) }},
	)
}
