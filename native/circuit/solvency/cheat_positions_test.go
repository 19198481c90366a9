package solvency

import (
	"math/big"
	"slices"

	"straddle/native/circuit/ledger"
)

func cheatsPositions() []cheat {
	const digests, rows = "sum digests", "rows: used first, keys ascending"
	drop := func(account, instrument int64) func(f *fixture) {
		return func(f *fixture) {
			f.positionsOf = func(all []Position) []Position {
				return slices.Delete(all, row(all, account, instrument), row(all, account, instrument)+1)
			}
		}
	}
	change := func(f *fixture, edit func(all []Position) []Position) { f.positionsOf = edit }
	return []cheat{
		{name: "a liability hidden: a short option dropped", want: digests, plan: drop(thin, put)},
		{name: "a liability hidden: the first row of an account dropped", want: digests, plan: drop(broke, call)},
		{name: "a liability hidden: the last row of all dropped", want: digests, plan: drop(other, perpetual)},
		{name: "a size changed", want: digests, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { all[row(all, thin, put)].Size = num(-249); return all })
		}},
		{name: "a size turned over", want: digests, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { all[row(all, broke, perpetual)].Size = num(600); return all })
		}},
		{name: "a position moved to another account", want: digests, plan: func(f *fixture) {
			change(f, func(all []Position) []Position {
				from, to := row(all, rich, future), row(all, broke, perpetual)+1
				all = slices.Insert(all, to, Position{num(broke), num(future), all[from].Size})
				return slices.Delete(all, from, from+1)
			})
		}},
		{name: "a position in another instrument", want: digests, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { all[row(all, broke, perpetual)].Instrument = num(future); return all })
		}},
		{name: "a position invented", want: digests, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { return append(all, Position{num(other), num(future), num(1000)}) })
		}},
		{name: "a position of an account elsewhere", want: digests, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { return append(all, Position{num(elsewhere), num(call), num(40)}) })
		}},
		{name: "a position of account 0", want: "range of " + rows, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { return append([]Position{{num(0), num(call), num(-5)}}, all...) })
		}},
		{name: "a row twice", want: "range of " + rows, plan: func(f *fixture) {
			change(f, func(all []Position) []Position { return append(all, all[len(all)-1]) })
		}},
		{name: "rows of an account swapped", want: "range of " + rows, plan: func(f *fixture) {
			change(f, func(all []Position) []Position {
				j := row(all, rich, call)
				all[j], all[j+1] = all[j+1], all[j]
				return all
			})
		}},
		{name: "accounts' rows swapped", want: "range of " + rows, plan: func(f *fixture) {
			change(f, func(all []Position) []Position {
				return append(slices.Clone(all[row(all, other, call):]), all[:row(all, other, call)]...)
			})
		}},
		{name: "a size of 0 in the digest", want: "range of positions: sizes", plan: func(f *fixture) {
			f.accounts[other].zeroSize = future
			change(f, func(all []Position) []Position { return append(all, Position{num(other), num(future), num(0)}) })
		}},
		{name: "control: a size at its bound", plan: func(f *fixture) {
			f.accounts[rich].positions[call] = ledger.Less(ledger.Power(40), 1)
			f.instrument(call).Value, f.accounts[rich].cash = num(1), num(1<<50)
		}},
		{name: "a size beyond its bound", want: "range of positions/long", plan: func(f *fixture) {
			f.accounts[rich].positions[call] = ledger.Power(40)
			f.instrument(call).Value, f.accounts[rich].cash = num(1), num(1<<50)
		}},
	}
}

func cheatsPositionRows() []cheat {
	const sizes, digests, rows = "positions: sizes", "positions: digests", "rows: used first, keys ascending"
	w := newFixture(1).witness()
	last, first := len(w.Positions)-1, row(w.Positions, broke, call) // first of its account, a continuing one follows
	return []cheat{
		{name: "long and short parts raised together", want: sizes, cells: func(c *Private) {
			c.Positions[first].Long, c.Positions[first].Short = num(301), num(1)
		}},
		{name: "a position in an unused row", want: sizes, cells: func(c *Private) { c.Positions[last+1].Long = 5 }},
		{name: "a position in an unused row, of an account", want: rows, cells: func(c *Private) {
			c.Positions[last+1].Account, c.Positions[last+1].Long = rich, 5
		}},
		{name: "an instrument in an unused row", want: rows, cells: func(c *Private) { c.Positions[last+1].Instrument = call }},
		{name: "the last row unused", want: rows, cells: func(c *Private) { c.Positions[last].Used = 0 }},
		{name: "a row in the middle unused", want: rows, cells: func(c *Private) { c.Positions[first].Used = 0 }},
		{name: "an unused row used", want: "range of " + sizes, cells: func(c *Private) { c.Positions[last+1].Used = 1 }},
		{name: "an account's digest begun anew", want: "range of " + rows, cells: func(c *Private) { c.Positions[first+1].Continues = 0 }},
		{name: "an account's digest continued from another", want: rows, cells: func(c *Private) { c.Positions[first].Continues = 1 }},
		{name: "the first row continues", want: rows, cells: func(c *Private) { c.Positions[0].Continues = 1 }},
		{name: "another digest", want: digests, cells: func(c *Private) { c.Positions[first].Digest = 5 }},
		{name: "an account beyond 24 bits", want: "range of positions/account", cells: func(c *Private) {
			for j := row(w.Positions, other, call); j <= last; j++ {
				c.Positions[j].Account = ledger.Power(24)
			}
		}},
		{name: "an instrument beyond 32 bits", want: "range of positions/instrument", cells: func(c *Private) {
			c.Positions[last].Instrument = ledger.Power(32)
		}},
		{name: "a short part beyond 40 bits", want: "range of positions/short", cells: func(c *Private) {
			c.Positions[row(w.Positions, thin, future)].Short = ledger.Power(40)
		}},
		{name: "another value, in the totals too", want: "sum risk rows", plan: func(f *fixture) { f.instrument(call).Value = num(5) }, cells: honestTable},
		{name: "another delta, in the totals too", want: "sum risk rows", plan: func(f *fixture) { f.instrument(put).Deltas[47] = num(5) }, cells: honestTable},
		{name: "another charge, in the totals too", want: "sum risk rows", plan: func(f *fixture) { f.instrument(put).ShortMM = num(0) }, cells: honestTable},
		{name: "an initial charge, in the totals too", want: "sum risk rows", plan: func(f *fixture) { f.instrument(put).LongIM = num(777) }, cells: honestTable},
		{name: "the null instrument's row, in the totals too", want: "sum risk rows", plan: func(f *fixture) {
			null := *ledger.NullInstrument()
			null.ID = num(perpetual)
			*f.instrument(perpetual) = null
		}, cells: honestTable},
		{name: "an option called linear, in the totals too", want: "sum risk rows", plan: func(f *fixture) { f.instrument(put).Linear = num(1) }, cells: honestTable},
		{name: "another value than in the totals", want: "sum risk totals", cells: func(c *Private) { c.Positions[first].Risk[ledger.LaneValues] = 5 }},
		{name: "another instrument's row", want: "sum charge totals", cells: func(c *Private) { copy(c.Positions[first].Risk, c.Positions[first+1].Risk) }},
		{name: "an instrument's row in an unused row", want: "sum risk rows", cells: func(c *Private) {
			copy(c.Positions[last+1].Risk, c.Positions[first].Risk)
		}},
	}
}

// honestTable puts the honest risk table back after a plan in which positions count by another one.
func honestTable(c *Private) {
	f := newFixture(1)
	honest := fill(f.chunk, f.witness())
	c.Instruments, c.Header.RiskRoot = honest.Private.Instruments, honest.Private.Header.RiskRoot
}

func cheatsInstruments() []cheat {
	const root, unused, rows = "instruments: risk root", "instruments: unused rows", "rows: used first, keys ascending"
	resign := func(w *Witness) {
		w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.ListingsRoot, w.Instruments))
	}
	return []cheat{
		{name: "an instrument missing", want: "sum risk rows", witness: func(w *Witness) { w.Instruments = w.Instruments[:4] }},
		{name: "an instrument missing that nobody holds", want: root, plan: func(f *fixture) {
			delete(f.accounts[rich].positions, future)
			delete(f.accounts[thin].positions, future)
		}, witness: func(w *Witness) { w.Instruments = w.Instruments[:4] }},
		{name: "an instrument missing in table and root", want: "sum risk rows", plan: func(f *fixture) { f.instruments = f.instruments[:4] }},
		{name: "an instrument added", want: root, witness: func(w *Witness) {
			r := w.Instruments[4]
			r.ID = num(9)
			w.Instruments = append(slices.Clone(w.Instruments), r)
		}},
		{name: "the table of other listings", want: root, witness: func(w *Witness) {
			w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(num(5), w.Instruments))
		}},
		{name: "another listings root", want: root, witness: func(w *Witness) { w.Header.ListingsRoot = num(5) }},
		{name: "a value changed", want: root, witness: func(w *Witness) {
			w.Instruments = slices.Clone(w.Instruments)
			w.Instruments[0].Value = num(1)
		}},
		{name: "another risk root", want: root, witness: func(w *Witness) { w.Header.RiskRoot = num(5) }},
		{name: "rows swapped in table and root", want: "range of " + rows, witness: func(w *Witness) {
			w.Instruments = slices.Clone(w.Instruments)
			w.Instruments[0], w.Instruments[1] = w.Instruments[1], w.Instruments[0]
			resign(w)
		}},
		{name: "a row twice in table and root", want: "range of " + rows, witness: func(w *Witness) {
			w.Instruments = append(slices.Clone(w.Instruments), w.Instruments[4])
			resign(w)
		}},
		{name: "an unused row with an id", want: rows, cells: func(c *Private) { c.Instruments[5].ID = 9 }},
		{name: "an unused row before a used one", want: rows, cells: func(c *Private) { c.Instruments[2].Used = 0 }},
		{name: "an unused row settled", want: unused, cells: func(c *Private) { c.Instruments[5].Settled = 1 }},
		{name: "an instrument tradable", want: unused, cells: func(c *Private) { c.Instruments[0].Tradable = 1 }},
		{name: "a value beyond 40 bits", want: "range of instruments/value", plan: func(f *fixture) { f.instrument(call).Value = ledger.Power(39) }},
		{name: "a charge beyond 39 bits", want: "range of instruments/short_mm", plan: func(f *fixture) { f.instrument(put).ShortMM = ledger.Power(39) }},
		{name: "a delta below 40 bits", want: "range of instruments/delta", plan: func(f *fixture) {
			f.instrument(put).Deltas[7] = ledger.Less(new(big.Int).Neg(ledger.Power(39)), 1)
		}},
		{name: "a net hidden", want: "sum net sizes", cells: func(c *Private) { c.Nets[0] = 0 }},
		{name: "a net of a settled row", want: "sum net sizes", cells: func(c *Private) { c.Nets[3] = 0 }},
		{name: "a net beyond its word", want: "range of instruments/net", cells: func(c *Private) { c.Nets[0] = ledger.Power(55) }},
		{name: "control: a net in an unused row, which counts for nothing", cells: func(c *Private) { c.Nets[6] = 5 }},
	}
}
