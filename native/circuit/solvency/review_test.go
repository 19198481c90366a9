package solvency

import (
	"fmt"
	"maps"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	fcs "github.com/consensys/gnark/frontend/cs"
	"github.com/consensys/gnark/std/math/bits"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Written by a reviewer who did not write the circuit and was asked to forge an exit (k = 0) or to hide a liability. An attack is what a prover with free
// choice of every cell and every hint could present, made consistent elsewhere (trees, paths, digests, C and the y); the solver has to refuse it.

type reviewAttack struct {
	name     string
	id       int64 // of the exit; 0: on the solvency chunk
	plan     func(f *fixture)
	witness  func(w *Witness)
	cells    func(c *Private)
	options  func() []solver.Option
	harmless string // why the solver may take it
}

func (a *reviewAttack) run(t *testing.T) {
	ccs, f := compiled(t, nanoSolvency), newFixture(1)
	if a.id != 0 {
		ccs, f = compiled(t, nanoExit), f.exit(a.id)
	}
	if a.plan != nil {
		a.plan(f)
	}
	w := f.witness()
	if a.witness != nil {
		a.witness(w)
	}
	c := fill(f.chunk, w)
	if a.cells != nil {
		a.cells(&c.Private)
	}
	publish(c)
	var options []solver.Option
	if a.options != nil {
		options = a.options()
	}
	err := inspect.Solve(ccs, c, options...)
	switch {
	case err == nil && a.harmless == "":
		t.Fatal("FORGERY ACCEPTED")
	case err == nil:
		t.Log("accepted: ", a.harmless)
	default:
		t.Log("refused by", ccs.PlaceOf(err))
		if a.harmless != "" {
			t.Error("expected to be accepted")
		}
	}
}

// override replaces a hint after the honest one has run.
func override(hint solver.Hint, change func(inputs, outputs []*big.Int)) func() []solver.Option {
	return func() []solver.Option {
		return []solver.Option{solver.OverrideHint(solver.GetHintID(hint), func(field *big.Int, inputs, outputs []*big.Int) error {
			if err := hint(field, inputs, outputs); err != nil {
				return err
			}
			change(inputs, outputs)
			for _, o := range outputs {
				o.Mod(o, fr.Modulus())
			}
			return nil
		})}
	}
}

// bitsHint cuts a number into bits.
var bitsHint = bits.GetHints()[1]

func plus(v variable, n int64) *big.Int { return new(big.Int).Add(inspect.Number(v), num(n)) }

// TestReviewExits forges exits of one account.
func TestReviewExits(t *testing.T) {
	dropAll := func(w *Witness) { w.Positions = nil }
	for _, a := range []reviewAttack{
		{name: "control: an honest exit", id: rich, harmless: "honest"},
		{name: "somebody else's id on one's own leaf and path", id: rich, witness: func(w *Witness) {
			w.Header.Chunk = num(broke)
			for j := range w.Positions {
				w.Positions[j].Account = num(broke)
			}
		}},
		{name: "id + 2^depth: the same path bits, another account", id: rich, witness: func(w *Witness) {
			w.Header.Chunk = num(rich + 256)
			for j := range w.Positions {
				w.Positions[j].Account = num(rich + 256)
			}
		}},
		{name: "another owner", id: rich, cells: func(c *Private) { c.Accounts[0].Leaf.Owner = 0xbad }},
		{name: "more cash", id: rich, cells: func(c *Private) {
			a := &c.Accounts[0]
			a.Leaf.Cash, a.Claim = plus(a.Leaf.Cash, 1_000_000), plus(a.Claim, 1_000_000)
		}},
		{name: "cash and claim by r", id: broke, cells: func(c *Private) { // debt d as the claim r - d
			a := &c.Accounts[0]
			a.Claim, a.Debt = new(big.Int).Sub(fr.Modulus(), inspect.Number(a.Debt)), 0
		}},
		{name: "claim above and debt below by the same", id: rich, cells: func(c *Private) {
			a := &c.Accounts[0]
			a.Claim, a.Debt = plus(a.Claim, 77), 77
		}},
		{name: "negative debt", id: rich, cells: func(c *Private) {
			a := &c.Accounts[0]
			a.Claim, a.Debt = 0, new(big.Int).Neg(inspect.Number(a.Claim))
		}},
		{name: "short positions dropped, digest kept", id: thin, plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position {
				return slices.DeleteFunc(all, func(p Position) bool { return p.Size.Sign() < 0 })
			}
		}},
		{name: "all positions dropped, digest kept, has_positions 0", id: broke, witness: dropAll},
		{name: "all positions dropped, has_positions 1", id: broke, witness: dropAll, cells: func(c *Private) { c.Accounts[0].HasPositions = 1 }},
		{name: "all positions dropped, a token from an unused row", id: broke, witness: dropAll, cells: func(c *Private) {
			c.Accounts[0].HasPositions = 1 // the unused row carries the digest and the account
			c.Positions[0].Account, c.Positions[0].Digest = broke, c.Accounts[0].Leaf.PositionsDigest
		}},
		{name: "long positions of another account beside", id: thin, plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position { return append(all, Position{num(rich), num(put), num(1 << 30)}) }
		}},
		{name: "an account before the chunk with r - x as its key", id: thin, plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position { return append([]Position{{num(1), num(put), num(1 << 30)}}, all...) }
		}},
		{name: "a used row in instrument 0 with the null row", id: thin, plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position { return append([]Position{{num(thin), num(0), num(1)}}, all...) }
		}},
		{name: "the digest's row in a retired instrument: the null row", id: thin, cells: func(c *Private) {
			for k := range c.Positions[0].Risk {
				c.Positions[0].Risk[k] = 0
			}
		}},
		{name: "the owner's word of a null place", id: 7, cells: func(c *Private) { c.Accounts[0].Leaf.Owner, c.Accounts[0].Claim = 5, 5 }},
		{name: "a null place with a claim", id: 7, cells: func(c *Private) { c.Accounts[0].Claim = 5 }},
		{name: "account 0 with a position", id: rich, witness: func(w *Witness) { w.Header.Chunk = num(0) }},
	} {
		t.Run(a.name, a.run)
	}
}

// TestReviewWords: every part of every word moved, with C and the y of the moved words, while the tables stay honest. A part of a word that the circuit
// left open would pass.
func TestReviewWords(t *testing.T) {
	for _, id := range []int64{0, rich, fund, broke, 7} {
		ccs, f := compiled(t, nanoSolvency), newFixture(1)
		if id != 0 {
			ccs, f = compiled(t, nanoExit), f.exit(id)
		}
		w := f.witness()
		effects, body := vector(f.chunk, w)
		for k := range len(effects) + len(body) {
			places := []int{0, 96, 160, 224}
			if os.Getenv("STRADDLE_SLOW") != "" {
				places = []int{0, 24, 56, 95, 96, 112, 128, 160, 168, 191, 223, 224, 247, 250}
			}
			for _, bit := range places {
				for _, sign := range []int64{1, -1} {
					words := slices.Concat(effects, body)
					step := ledger.ToElement(new(big.Int).Mul(num(sign), ledger.Power(bit)))
					words[k].Add(&words[k], &step)
					lie := publicOf(words[:len(effects)], words[len(effects):], w)
					c := fill(f.chunk, w)
					c.Public.C, c.Public.YEffects, c.Public.YBody = lie.C, lie.YEffects, lie.YBody
					if inspect.Solve(ccs, c) == nil {
						t.Errorf("id %d: word %d moved at bit %d: FORGERY ACCEPTED", id, k, bit)
					}
					if bit == 0 && sign == 1 { // C honest, only the y of the posted words
						c.Public.C = fill(f.chunk, w).Public.C
						if inspect.Solve(ccs, c) == nil {
							t.Errorf("id %d: y of another word %d: FORGERY ACCEPTED", id, k)
						}
					}
				}
			}
		}
		// words moved between effects and body, and a sponge of another statement
		c := fill(f.chunk, w)
		c.Public.C = ledger.ToBig(crypto.Sponge("straddle.data", slices.Concat(effects, body)...))
		if inspect.Solve(ccs, c) == nil {
			t.Error("the batch's tag: FORGERY ACCEPTED")
		}
		c.Public.C = ledger.ToBig(crypto.Sponge(tag, append(slices.Concat(effects, body), fr.Element{})...))
		if inspect.Solve(ccs, c) == nil {
			t.Error("one word more: FORGERY ACCEPTED")
		}
	}
}

// TestReviewDigests plays tricks with folds, runs and tokens in the solvency chunk.
func TestReviewDigests(t *testing.T) {
	twins := func(f *fixture) { // two accounts with the same positions, thus the same digest
		for _, id := range []int64{rich, other} {
			f.accounts[id].positions = map[int64]*big.Int{call: num(-40), put: num(9)}
		}
	}
	omit := func(id int64) func(f *fixture) {
		return func(f *fixture) {
			twins(f)
			f.positionsOf = func(all []Position) []Position {
				return slices.DeleteFunc(all, func(p Position) bool { return p.Account.Int64() == id })
			}
		}
	}
	first := func(c *Private, id int64) int {
		return slices.IndexFunc(c.Positions, func(r PositionRow) bool { return inspect.Number(r.Account).Int64() == id })
	}
	for _, a := range []reviewAttack{
		{name: "control: twins", plan: twins, harmless: "honest"},
		{name: "one run for two accounts of one digest, has_positions 1", plan: omit(other), cells: func(c *Private) { c.Accounts[other].HasPositions = 1 }},
		{name: "the first twin omitted", plan: omit(rich), cells: func(c *Private) { c.Accounts[rich].HasPositions = 1 }},
		{name: "a run of two accounts: the second continues from the first's digest", cells: func(c *Private) {
			j := first(c, broke)
			c.Positions[j].Continues = 1
			c.Positions[j].Digest = c.Positions[j-1].Digest
		}},
		{name: "a digest restarted in the middle", cells: func(c *Private) { c.Positions[first(c, rich)+1].Continues = 0 }},
		{name: "has_positions -1", cells: func(c *Private) { c.Accounts[rich].HasPositions = new(big.Int).Sub(fr.Modulus(), num(1)) }},
		{name: "used 2", cells: func(c *Private) { c.Positions[0].Used = 2 }},
		{name: "used 1/2", cells: func(c *Private) { c.Positions[0].Used = new(big.Int).ModInverse(num(2), fr.Modulus()) }},
		{name: "a row after the unused ones", cells: func(c *Private) { c.Positions[len(c.Positions)-1] = c.Positions[0] }},
		{name: "a size twice, once long and once short in one row", cells: func(c *Private) { c.Positions[0].Short = c.Positions[0].Long }},
		{name: "the empty digest with rows of size 0", plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position { return append([]Position{{num(fees), num(call), num(0)}}, all...) }
		}, cells: func(c *Private) { c.Accounts[fees].HasPositions = 1 }},
	} {
		t.Run(a.name, a.run)
	}
}

// TestReviewTables gives values from rows that the risk root does not have.
func TestReviewTables(t *testing.T) {
	ghost := func(c *Private, used int) *ledger.InstrumentRow {
		r := &c.Instruments[5]
		r.Used, r.Value = used, 1<<30
		return r
	}
	repack := func(c *Private, j int, id int64, value int64) {
		r := ledger.NullInstrument()
		r.Value = num(value)
		for k, v := range ledger.PlanRisk(len(c.Positions)).Values(r) {
			c.Positions[j].Risk[k] = v
		}
		c.Positions[j].Instrument = id
	}
	for _, a := range []reviewAttack{
		{name: "an unused instrument row provides", plan: func(f *fixture) {
			f.accounts[rich].positions = map[int64]*big.Int{9: num(100)}
		}, cells: func(c *Private) {
			ghost(c, 0).ID = 9
			c.Accounts[rich].Margin.Value = num(100 << 30)
			c.Accounts[rich].Claim = plus(c.Accounts[rich].Claim, 100<<30)
			for j := range c.Positions {
				if inspect.Number(c.Positions[j].Account).Int64() == rich {
					repack(c, j, 9, 1<<30)
				}
			}
		}},
		{name: "an unused row with a used flag and id 0", cells: func(c *Private) { ghost(c, 1) }},
		{name: "a used row that the root does not have", cells: func(c *Private) { ghost(c, 1).ID = 9 }},
		{name: "used -1 cancels a multiplicity", cells: func(c *Private) { ghost(c, -1).ID = 9 }},
		{name: "an unused row's cells, any values", cells: func(c *Private) {
			r := ghost(c, 0)
			r.Linear, r.Funding, r.Band, r.LongMM, r.ExpiryMs, r.Deltas[3] = 1, -5, 7, 8, 9, -10
			c.Nets[5] = 44
		}, harmless: "an unused row provides nothing and is in no word"},
		{name: "lanes of values shifted: value - 1, linear + 1/stride", cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneValues].Shifts[1]
			risk := c.Positions[0].Risk
			risk[ledger.LaneValues] = new(big.Int).Add(inspect.Number(risk[ledger.LaneValues]), ledger.Power(stride))
		}},
		{name: "value and linear value trade lanes in the totals", cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneValues].Shifts[1]
			m := &c.Accounts[rich].Margin
			m.Value = new(big.Int).Add(inspect.Number(m.Value), ledger.Power(stride))
			m.LinearValue = plus(m.LinearValue, -1)
		}},
		{name: "two scenarios trade in their lane", cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneDeltas].Shifts[1]
			m := &c.Accounts[rich].Margin
			m.Surplus[0], m.Surplus[1] = new(big.Int).Add(inspect.Number(m.Surplus[0]), ledger.Power(stride)), plus(m.Surplus[1], -1)
		}},
		{name: "charges trade in their lane", cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneLong].Shifts[1]
			m := &c.Accounts[rich].Margin
			m.ChargeIM, m.ChargeMM = new(big.Int).Add(inspect.Number(m.ChargeIM), ledger.Power(stride)), plus(m.ChargeMM, -1)
		}},
		{name: "values of one account given to another", cells: func(c *Private) {
			a, b := &c.Accounts[rich], &c.Accounts[other]
			a.Margin.Value, a.Claim = plus(a.Margin.Value, 1000), plus(a.Claim, 1000)
			b.Margin.Value, b.Claim = plus(b.Margin.Value, -1000), plus(b.Claim, -1000)
		}},
		{name: "nets traded between two rows", cells: func(c *Private) { c.Nets[0], c.Nets[1] = plus(c.Nets[0], 3), plus(c.Nets[1], -3) }},
		{name: "a net carried into the next packed field", cells: func(c *Private) {
			c.Nets[0], c.Nets[1] = new(big.Int).Add(inspect.Number(c.Nets[0]), ledger.Power(56)), plus(c.Nets[1], -1)
		}},
		{name: "a row called settled to hide its net", cells: func(c *Private) { c.Instruments[0].Settled = 1 }},
	} {
		t.Run(a.name, a.run)
	}
}

// TestReviewHints lies in the hints of lookups, range checks and bits.
func TestReviewHints(t *testing.T) {
	wrongRow := func(c *Private) { // a value that no row has, in the totals too
		plan := ledger.PlanRisk(len(c.Positions))
		stride := plan.Lanes[ledger.LaneValues].Shifts[0]
		j := 0
		size := new(big.Int).Sub(inspect.Number(c.Positions[j].Long), inspect.Number(c.Positions[j].Short))
		id := inspect.Number(c.Positions[j].Account).Int64()
		risk := c.Positions[j].Risk
		risk[ledger.LaneValues] = new(big.Int).Add(inspect.Number(risk[ledger.LaneValues]), ledger.Power(stride))
		a := &c.Accounts[id]
		a.Margin.Value = new(big.Int).Add(inspect.Number(a.Margin.Value), size)
		a.Claim = new(big.Int).Add(inspect.Number(a.Claim), size)
	}
	for at := range 8 {
		for _, by := range []int64{1, -1} {
			a := reviewAttack{name: fmt.Sprintf("multiplicity %d by %d", at, by),
				options: override(argument.MultiplicityHint, func(_, out []*big.Int) { out[at].Add(out[at], num(by)) })}
			if at == 5 || at == 6 {
				a.harmless = "an unused row's multiplicity is multiplied by 0"
			}
			t.Run(a.name, a.run)
			a.name, a.cells, a.harmless = a.name+" for a value that no row has", wrongRow, ""
			t.Run(a.name, a.run)
		}
	}
	for _, a := range []reviewAttack{
		{name: "multiplicities that cancel", options: override(argument.MultiplicityHint, func(_, out []*big.Int) {
			out[0].Add(out[0], num(1))
			out[1].Sub(out[1], num(1))
		})},
		{name: "a multiplicity in an unused row", options: override(argument.MultiplicityHint, func(_, out []*big.Int) { out[5].SetInt64(1234) }),
			harmless: "times a flag of 0"},
		{name: "path bits of another place", options: override(bitsHint, func(in, out []*big.Int) {
			if len(out) == 5 {
				out[0].SetInt64(1)
			}
		})},
		{name: "path bits 2 and -1", options: override(bitsHint, func(in, out []*big.Int) {
			if len(out) == 5 {
				out[0].SetInt64(2)
				out[1].Sub(out[1], num(1))
			}
		})},
	} {
		t.Run(a.name, a.run)
	}
}

// TestReviewRanges leaves every range where leaving it would pay, by a prover whose hints do not object.
func TestReviewRanges(t *testing.T) {
	minus := func(v variable) *big.Int { return new(big.Int).Sub(fr.Modulus(), inspect.Number(v)) }
	for _, a := range []reviewAttack{
		{name: "control", id: rich, harmless: "honest"},
		{name: "negative equity as a claim of r - d", id: broke, cells: func(c *Private) {
			a := &c.Accounts[0]
			a.Claim, a.Debt = minus(a.Debt), 0
		}},
		{name: "a claim as a debt of r - c", id: rich, cells: func(c *Private) {
			a := &c.Accounts[0]
			a.Claim, a.Debt = 0, minus(a.Claim)
		}},
		{name: "a claim of 64 bits and one", id: fees, plan: func(f *fixture) {
			f.accounts[fees].cash, f.accounts[fees].positions = ledger.Less(ledger.Power(63), 1), map[int64]*big.Int{call: ledger.Power(33)}
			f.instrument(call).Value = ledger.Power(31)
		}},
		{name: "the loss below the true one: a surplus of -1", id: thin, cells: func(c *Private) {
			m := &c.Accounts[0].Margin
			m.ScanLoss = plus(m.ScanLoss, -1)
			for s := range m.Surplus {
				m.Surplus[s] = plus(m.Surplus[s], -1)
			}
		}},
		{name: "no loss at all", id: thin, cells: func(c *Private) {
			m := &c.Accounts[0].Margin
			for s := range m.Surplus {
				m.Surplus[s] = new(big.Int).Sub(inspect.Number(m.Surplus[s]), inspect.Number(m.ScanLoss))
			}
			m.ScanLoss = 0
		}},
		{name: "a thin account called safe", id: thin, cells: func(c *Private) { c.Accounts[0].Below = 0 }},
		{name: "a rich account called below", id: rich, cells: func(c *Private) { c.Accounts[0].Below = 1 }},
		{name: "scenarios trade in their lane", id: rich, cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneDeltas].Shifts[1]
			m := &c.Accounts[0].Margin
			m.Surplus[0], m.Surplus[1] = new(big.Int).Add(inspect.Number(m.Surplus[0]), ledger.Power(stride)), plus(m.Surplus[1], -1)
		}},
		{name: "charges trade in their lane", id: rich, cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneLong].Shifts[1]
			m := &c.Accounts[0].Margin
			m.ChargeIM, m.ChargeMM = new(big.Int).Add(inspect.Number(m.ChargeIM), ledger.Power(stride)), plus(m.ChargeMM, -1)
		}},
		{name: "value and linear value trade in their lane, the claim follows", id: rich, cells: func(c *Private) {
			stride := ledger.PlanRisk(len(c.Positions)).Lanes[ledger.LaneValues].Shifts[1]
			a := &c.Accounts[0]
			a.Margin.Value = new(big.Int).Add(inspect.Number(a.Margin.Value), ledger.Power(stride))
			a.Claim = new(big.Int).Add(inspect.Number(a.Claim), ledger.Power(stride))
			a.Margin.LinearValue = plus(a.Margin.LinearValue, -1)
		}},
		{name: "instrument and size trade in the digest's word", id: rich, plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position { // size + 1, instrument - 2^32
				all[0].Size = new(big.Int).Add(all[0].Size, num(1))
				all[0].Instrument = new(big.Int).Sub(all[0].Instrument, ledger.Power(32))
				return all
			}
		}},
		{name: "a net carried into the next", cells: func(c *Private) {
			c.Nets[0], c.Nets[1] = new(big.Int).Add(inspect.Number(c.Nets[0]), ledger.Power(56)), plus(c.Nets[1], -1)
		}},
		{name: "debts carried into the number below", cells: func(c *Private) { // 2^96 less of debt, one more below
			c.Accounts[broke].Debt = new(big.Int).Sub(inspect.Number(c.Accounts[broke].Debt), ledger.Power(96))
			c.Accounts[fees].Below = 1
		}},
		{name: "rows swapped", plan: func(f *fixture) {
			f.positionsOf = func(all []Position) []Position { all[0], all[1] = all[1], all[0]; return all }
		}},
	} {
		a.options = func() []solver.Option { return inspect.LenientCount() }
		t.Run(a.name, a.run)
	}
}

// TestReviewBorders: sums and equities at the ends of their ranges neither wrap nor are refused where the specification admits them.
func TestReviewBorders(t *testing.T) {
	most := ledger.Less(ledger.Power(63), 1)
	top := func(id int64) func(f *fixture) {
		return func(f *fixture) { // equity 2^64 - 1 + id
			f.accounts[fees].positions = map[int64]*big.Int{call: ledger.Power(32)}
			f.instrument(call).Value = ledger.Power(31)
			f.accounts[fees].cash = new(big.Int).Add(most, num(id))
		}
	}
	for _, a := range []reviewAttack{
		{name: "exit of 2^64 - 1", id: fees, plan: top(0), harmless: "honest"},
		{name: "exit of 2^64 as 0", id: fees, plan: top(1), cells: func(c *Private) { c.Accounts[0].Claim = 0 }},
		{name: "all accounts at most", plan: func(f *fixture) {
			for id := range f.accounts {
				f.accounts[id].cash, f.accounts[id].positions = most, map[int64]*big.Int{}
			}
		}, harmless: "honest"},
		{name: "all accounts at least", plan: func(f *fixture) {
			for id := range f.accounts {
				f.accounts[id].cash, f.accounts[id].positions = new(big.Int).Neg(most), map[int64]*big.Int{}
			}
		}, harmless: "honest"},
		{name: "largest positions that cancel", plan: func(f *fixture) {
			size := ledger.Less(ledger.Power(40), 1)
			f.accounts[rich].positions = map[int64]*big.Int{call: size, put: new(big.Int).Neg(size), perpetual: size, future: new(big.Int).Neg(size)}
			for _, id := range []int64{call, put, perpetual, future} {
				r := f.instrument(id)
				r.Value = ledger.Less(ledger.Power(39), 1)
				for s := range r.Deltas {
					r.Deltas[s] = new(big.Int).Neg(ledger.Power(39))
				}
				r.LongMM, r.ShortMM, r.LongIM, r.ShortIM = num(0), num(0), num(0), num(0)
			}
		}, harmless: "honest"},
		{name: "below flipped by a maintenance margin of r", cells: func(c *Private) { c.Accounts[thin].Below = 0 }},
	} {
		t.Run(a.name, a.run)
	}
}

// TestReviewNetLaneOfZero: layer 1 reads a lane of 0 as an unused row, so no chunk may reach a net of -2^55.
func TestReviewNetLaneOfZero(t *testing.T) {
	for _, name := range []string{"nano-exit", "nano-solvency", "demo-exit", "demo-solvency", "standard-exit", "standard-solvency"} {
		chunk := mustChunk(name)
		if reach := new(big.Int).Mul(num(int64(chunk.Positions)), ledger.Power(ledger.SizeBits)); reach.BitLen() > netBits-1 {
			t.Errorf("%s: nets reach %d bits", name, reach.BitLen())
		}
	}
}

// TestReviewEveryAccountCanLeave: nothing PROVES P_max, it binds the engine only. What the batch circuit lets an account have is a position in every
// instrument that its position rows can open; the exit circuit has to hold that, or a sequencer that fills enough of somebody's orders locks him in.
func TestReviewEveryAccountCanLeave(t *testing.T) {
	for _, preset := range []string{"nano", "demo", "standard"} {
		p, err := circuit.PresetByName(preset)
		if err != nil {
			t.Fatal(err)
		}
		most, exit := min(p.Instruments, p.Positions), mustChunk(preset+"-exit")
		if exit.Positions < most {
			t.Errorf("%s: an account can come to hold %d positions, its exit circuit takes %d", exit.Name, most, exit.Positions)
		}
	}
}

// tangent is what a wire does when the free cells move a little: by direction, the rate.
type tangent map[int]fr.Element

func (v tangent) add(o tangent, by *fr.Element) {
	for d, rate := range o {
		rate.Mul(&rate, by)
		sum := v[d]
		if sum.Add(&sum, &rate); sum.IsZero() {
			delete(v, d)
		} else {
			v[d] = sum
		}
	}
}

// freedom finds the directions in which the cells of a solved circuit could move while every constraint but the range checks stays satisfied, to first
// order and at every challenge. fixed says which cells do not move, being bound by hashes.
type freedom struct {
	rows      []constraint.R1C
	system    *cs.R1CS
	end       int // constraints from here on are the range checker's arguments
	isRange   []bool
	known     map[int]tangent
	names     []string
	equations []tangent
}

func (x *freedom) side(values fr.Vector, side constraint.LinearExpression) (value fr.Element, moves tangent, unknown map[int]fr.Element) {
	moves, unknown = tangent{}, map[int]fr.Element{}
	for _, term := range side {
		coefficient, wire := x.system.Coefficients[term.CID], int(term.VID)
		var part fr.Element
		part.Mul(&coefficient, &values[wire])
		value.Add(&value, &part)
		if t, ok := x.known[wire]; ok {
			moves.add(t, &coefficient)
		} else {
			sum := unknown[wire]
			unknown[wire] = *sum.Add(&sum, &coefficient)
		}
	}
	return value, moves, unknown
}

// run goes through constraints first..end-1 until nothing follows any more; a wire that nothing determines becomes a direction of its own.
func (x *freedom) run(values fr.Vector, first int) {
	done := make([]bool, x.end)
	for {
		changed, stuck := false, -1
		for i := first; i < x.end; i++ {
			if done[i] || x.isRange[i] {
				continue
			}
			l, dl, ul := x.side(values, x.rows[i].L)
			r, dr, ur := x.side(values, x.rows[i].R)
			_, do, uo := x.side(values, x.rows[i].O)
			one := fr.One()
			var minusOne fr.Element
			minusOne.Neg(&one)
			rest, unknown := tangent{}, map[int]fr.Element{}
			rest.add(dl, &r)
			rest.add(dr, &l)
			rest.add(do, &minusOne)
			collect := func(us map[int]fr.Element, by fr.Element) {
				for wire, c := range us {
					c.Mul(&c, &by)
					sum := unknown[wire]
					unknown[wire] = *sum.Add(&sum, &c)
				}
			}
			collect(ul, r)
			collect(ur, l)
			collect(uo, minusOne)
			total := len(unknown)
			for wire, c := range unknown {
				if c.IsZero() {
					delete(unknown, wire)
				}
			}
			switch {
			case len(unknown) == 0 && total == 0:
				done[i], changed = true, true
				if len(rest) > 0 {
					x.equations = append(x.equations, rest)
				}
			case len(unknown) == 0: // says nothing about the wires that it has, to first order
				done[i], changed = true, true
				if len(rest) > 0 {
					x.equations = append(x.equations, rest)
				}
			case len(unknown) == 1:
				for wire, c := range unknown {
					c.Inverse(&c).Neg(&c)
					moved := tangent{}
					moved.add(rest, &c)
					x.known[wire] = moved
				}
				done[i], changed = true, true
			default:
				for wire := range unknown {
					if stuck < 0 || wire < stuck {
						stuck = wire
					}
				}
			}
		}
		if changed {
			continue
		}
		if stuck < 0 {
			return
		}
		x.free(stuck, fmt.Sprintf("wire %d", stuck))
	}
}

func (x *freedom) free(wire int, name string) {
	x.known[wire] = tangent{len(x.names): fr.One()}
	x.names = append(x.names, name)
}

// TestReviewNoFreeCells: in a small chunk, once the cells that go into hashes (leaf, header, used instrument rows) are fixed, nothing else can move:
// neither alone nor together. It sees what a mutation of one cell cannot: cells that compensate each other. What it does not see are the ranges: numbers
// packed into one element could trade with each other in the field. So it moves one number of each element at a time, in four passes.
func TestReviewNoFreeCells(t *testing.T) {
	for _, test := range []struct {
		k, rows int
		number  int64
	}{{0, 5, rich}, {1, 6, 2}} {
		for pass := range 4 {
			t.Run(fmt.Sprintf("k=%d pass %d", test.k, pass), func(t *testing.T) {
				if os.Getenv("STRADDLE_SLOW") == "" && (test.k > 0 || pass > 0) {
					t.Skip("eight seconds a pass")
				}
				reviewFreedom(t, test.k, test.rows, test.number, pass)
			})
		}
	}
}

// packedAway says whether a cell stays in a pass, as another one of its element moves.
func packedAway(path string, pass int) bool {
	place := func(pattern string) int {
		m := regexp.MustCompile(pattern).FindStringSubmatch(path)
		if m == nil {
			return -1
		}
		n := 0
		fmt.Sscan(m[1], &n)
		return n
	}
	has := func(pattern string) bool { return regexp.MustCompile(pattern).MatchString(path) }
	odd := pass%2 == 1
	return has(`Surplus`) && place(`Surplus\[(\d+)`)%2 != pass%2 || has(`^Nets`) && place(`Nets\[(\d+)`)%4 != pass ||
		has(`\.(LinearValue|ChargeMM)$`) && !odd || has(`Margin\.(Value|ChargeIM|ScanLoss)$`) && odd ||
		has(`^Positions\[\d+\]\.(Long|Short)$`) && pass == 3 || has(`^Positions\[\d+\]\.Instrument$`) && pass < 3
}

func reviewFreedom(t *testing.T, k, rows int, number int64, pass int) {
	f := newFixture(1)
	f.chunk.K, f.chunk.Positions, f.chunk.Preset.Instruments = k, rows, 6
	f.header.Chunk = num(number)
	traced, err := inspect.Compile(func(options ...argument.Option) frontend.Circuit {
		c := New(f.chunk)
		c.Options = options
		c.Inspect = func(l *argument.Layer) {
			l.AfterSeal("review", func(frontend.API, frontend.Variable) error { return nil })
		}
		return c
	})
	if err != nil {
		t.Fatal(err)
	}
	w := f.witness()
	assigned := fill(f.chunk, w)
	full, err := frontend.NewWitness(assigned, fr.Modulus())
	if err != nil {
		t.Fatal(err)
	}
	system := traced.ConstraintSystem.(*cs.R1CS)
	x := &freedom{rows: system.GetR1Cs(), system: system, known: map[int]tangent{}}
	x.isRange = make([]bool, len(x.rows))
	post := -1
	x.end = len(x.rows)
	for i := range x.rows {
		place := traced.PlaceOf(fmt.Errorf("constraint #%d is not satisfied", i))
		x.isRange[i] = strings.HasPrefix(place, "range of") || strings.HasPrefix(place, "range checks")
		if place == "challenges" && post < 0 {
			post = i
		}
		if place == "review" {
			x.end = i
			break
		}
	}
	values := func() fr.Vector {
		var challenge fr.Element
		challenge.MustSetRandom()
		solution, err := system.Solve(full, solver.OverrideHint(solver.GetHintID(fcs.Bsb22CommitmentComputePlaceholder),
			func(_ *big.Int, _, outputs []*big.Int) error { challenge.BigInt(outputs[0]); return nil }))
		if err != nil {
			t.Fatal(err)
		}
		return solution.(*cs.R1CSSolution).W
	}
	first := values()
	public, commitment := system.GetNbPublicVariables(), system.GetCommitments().(constraint.Groth16Commitments)[0].CommitmentIndex
	for wire := range public {
		x.known[wire] = tangent{}
	}
	x.known[commitment] = tangent{}
	bound := regexp.MustCompile(`^(Header|Path|Accounts\[\d+\]\.(Leaf|Auction))`)
	for i, cell := range inspect.Cells(&assigned.Private) {
		wire := public + i
		if value := ledger.ToElement(inspect.Number(cell.At.Interface())); !first[wire].Equal(&value) {
			t.Fatalf("wire %d is not %s", wire, cell.Path)
		}
		_, used := usedRow(cell.Path, w)
		if bound.MatchString(cell.Path) || packedAway(cell.Path, pass) || used && strings.HasPrefix(cell.Path, "Instruments") && !strings.HasSuffix(cell.Path, "Tradable") {
			x.known[wire] = tangent{}
		} else {
			x.free(wire, cell.Path)
		}
	}
	x.run(first, 0)
	directions := len(x.names)
	for range directions { // each challenge gives one equation a sum
		for wire := range x.known { // what depends on the challenge
			if wire > commitment {
				delete(x.known, wire)
			}
		}
		x.run(values(), post)
		if len(x.names) != directions {
			t.Fatalf("a wire after the challenge is free: %v", x.names[directions:])
		}
	}
	unused, cells, wires := regexp.MustCompile(fmt.Sprintf(`^(Instruments|Nets)\[%d\]`, len(w.Instruments))), 0, 0
	for _, name := range x.kernel() {
		switch {
		case unused.MatchString(name):
			cells++
		case strings.HasPrefix(name, "wire"):
			wires++
		default:
			t.Errorf("%s can move", name)
		}
	}
	t.Logf("%d directions, %d equations; free: %d cells of the unused instrument row, %d multiplicities", directions, len(x.equations), cells, wires)
	if wires > 1 {
		t.Errorf("%d multiplicities can move, expected that of the unused instrument row", wires)
	}
	if cells == 0 {
		t.Error("nothing is free: the test is blind")
	}
}

// kernel names the directions that the equations leave open, alone or together.
func (x *freedom) kernel() (open []string) {
	pivots := map[int]tangent{} // by direction, which has rate 1 there and 0 in the others
	reduce := func(e tangent) tangent {
		for changed := true; changed; {
			changed = false
			for d, rate := range e {
				if p, ok := pivots[d]; ok {
					rate.Neg(&rate)
					e.add(p, &rate)
					changed = true
					break
				}
			}
		}
		return e
	}
	for _, e := range x.equations {
		e = reduce(maps.Clone(e))
		least := -1
		for d := range e {
			if least < 0 || d < least {
				least = d
			}
		}
		if least < 0 {
			continue
		}
		inverse := e[least]
		inverse.Inverse(&inverse)
		scaled := tangent{}
		scaled.add(e, &inverse)
		for _, p := range pivots {
			if rate, ok := p[least]; ok {
				rate.Neg(&rate)
				p.add(scaled, &rate)
			}
		}
		pivots[least] = scaled
	}
	for d, name := range x.names {
		if p, ok := pivots[d]; !ok || len(p) > 1 {
			open = append(open, name)
		}
	}
	return open
}
