package batch

import (
	"math/big"
	"slices"
)

// position finds the row of an account and instrument.
func position(c *Private, account, instrument int64) *PositionRow {
	for j := range c.Positions {
		r := &c.Positions[j]
		if number(r.Account).Int64() == account && number(r.Instrument).Int64() == instrument {
			return r
		}
	}
	panic("no such position row")
}

// emptyRow gives the fresh account a position row of no lots, before and after.
func emptyRow(f *fixture) { f.old[fresh].positions[2], f.new[fresh].positions[2] = num(0), num(0) }

func cheatsPositions() []cheat {
	move := func(f *fixture, id, instrument, by int64) { f.new[id].move(instrument, num(by)) }
	return []cheat{
		{name: "lots from nothing", want: "sum position moves", plan: func(f *fixture) { move(f, rich, 2, 1) }},
		{name: "pospair", want: "sum position moves", plan: func(f *fixture) { move(f, rich, 1, 1); move(f, fresh, 1, -1) }},
		{name: "lots moved between instruments", want: "sum position moves", plan: func(f *fixture) { move(f, rich, 2, 1); move(f, rich, 4, -1) }},
		{name: "a position row of an account that is not touched", want: "sum digests", plan: func(f *fixture) {
			f.old[bystander].move(2, num(5))
			f.new[bystander].move(2, num(5))
			f.positionsOf = func(rows []Position) []Position { return append(rows, f.positionRows(bystander)...) }
		}},
		{name: "one position in two rows", want: "range of rows: used first", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position {
				i := slices.IndexFunc(rows, func(p Position) bool { return p.Account.Int64() == reducing })
				half := Position{rows[i].Account, rows[i].Instrument, num(100), num(0)}
				rest := Position{rows[i].Account, rows[i].Instrument, total(rows[i].Old, -100), rows[i].New}
				return slices.Replace(rows, i, i+1, half, rest)
			}
		}},
		{name: "rows of an account out of order", want: "range of rows: used first", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position {
				i := slices.IndexFunc(rows, func(p Position) bool { return p.Account.Int64() == repairing })
				rows[i], rows[i+1] = rows[i+1], rows[i]
				return rows
			}
		}},
		{name: "the last row of an account given to the next", want: "sum ", witness: func(w *Witness) {
			i := slices.IndexFunc(w.Positions, func(p Position) bool { return p.Account.Int64() == repairing })
			w.Positions[i-1].Account = num(repairing)
			w.Positions[i-1].Instrument = num(2)
		}},
		{name: "an account's rows split in two runs", want: "rows: used first", cells: func(c *Private) { position(c, rich, 2).Continues = 0 }},
		{name: "two accounts' rows joined", want: "rows: used first", cells: func(c *Private) { position(c, repairing, 3).Continues = 1 }},
		{name: "a padding row with lots", want: "positions: long and short parts", cells: func(c *Private) {
			r := &c.Positions[len(c.Positions)-1]
			r.Sides[before].Long, r.Sides[after].Long = 5, 5
		}},
		{name: "a padding row with lots that cancel in the digest word", want: "positions: long and short parts", cells: func(c *Private) {
			r := &c.Positions[len(c.Positions)-1]
			r.Sides[after].Long, r.Sides[before].Short = 1, power(39)
		}},
		{name: "a padding row with an instrument", want: "rows: used first", cells: func(c *Private) { c.Positions[len(c.Positions)-1].Instrument = 2 }},
		{name: "long and short at once", want: "positions: long and short parts", cells: func(c *Private) {
			s := &position(c, rich, 2).Sides[after]
			bump(&s.Long, 7)
			bump(&s.Short, 7)
		}},
		{name: "a size of 2^40", want: "range of positions/old long", plan: func(f *fixture) {
			f.old[rich].positions[2], f.new[rich].positions[2] = power(40), power(40)
			f.shiftCash(rich, power(61))
		}},
		{name: "control a size of 2^40 - 1", plan: func(f *fixture) {
			most := new(big.Int).Sub(power(40), num(1))
			f.old[rich].positions[2], f.new[rich].positions[2] = most, most
			f.shiftCash(rich, power(61))
		}},
		{name: "control a row with nothing in it", plan: emptyRow},
		{name: "risk row of another instrument", want: "sum risk rows", plan: emptyRow, cells: func(c *Private) {
			position(c, fresh, 2).Risk = position(c, rich, 4).Risk
		}},
		{name: "null risk row for a real instrument", want: "sum risk rows", plan: emptyRow, cells: func(c *Private) {
			position(c, fresh, 2).Risk = c.Positions[len(c.Positions)-1].Risk
		}},
		{name: "a used row of instrument 0", want: "sum risk rows", plan: func(f *fixture) { f.old[fresh].positions[0], f.new[fresh].positions[0] = num(0), num(0) }},
		{name: "a delta changed", want: "sum risk", cells: func(c *Private) { bump(&position(c, rich, 1).Risk[laneDeltas+3], 1) }},
		{name: "an instrument that the table lacks", want: "sum risk rows", plan: func(f *fixture) {
			f.old[rich].positions[99], f.new[rich].positions[99] = num(3), num(3)
		}},
		{name: "a digest that skips a position", want: "positions: digests", cells: func(c *Private) {
			r := position(c, rich, 2)
			r.Sides[after].Digest = position(c, rich, 1).Sides[after].Digest
		}},
	}
}

func cheatsInstruments() []cheat {
	return []cheat{
		{name: "a row of the table changed", want: "instruments: risk root", cells: func(c *Private) { bump(&c.Instruments[3].Band, 1) }},
		{name: "a row left out", want: "instruments: risk root", plan: func(f *fixture) {
			extra := f.instruments[0]
			extra.ID = num(6)
			f.instruments = append(f.instruments, extra)
		}, witness: func(w *Witness) { w.Instruments = w.Instruments[:5] }},
		{name: "a row twice", want: "rows: used first", witness: func(w *Witness) {
			w.Instruments = slices.Insert(slices.Clone(w.Instruments), 1, w.Instruments[0])
			w.Header.RiskRoot = toBig(riskRoot(w))
		}},
		{name: "rows out of order", want: "rows: used first", witness: func(w *Witness) {
			w.Instruments = slices.Clone(w.Instruments)
			w.Instruments[0], w.Instruments[1] = w.Instruments[1], w.Instruments[0]
			w.Header.RiskRoot = toBig(riskRoot(w))
		}},
		{name: "a row with id 0", want: "range of rows: used first", witness: func(w *Witness) {
			null := *nullInstrument()
			null.Value = num(7)
			w.Instruments = slices.Insert(slices.Clone(w.Instruments), 0, null)
			w.Header.RiskRoot = toBig(riskRoot(w))
		}},
		{name: "a table for other listings", want: "instruments: risk root", witness: func(w *Witness) {
			kept := w.Header.NewListingsRoot
			w.Header.NewListingsRoot = w.Header.OldListingsRoot
			w.Header.RiskRoot = toBig(riskRoot(w))
			w.Header.NewListingsRoot = kept
		}},
		{name: "an unused row that serves lookups", want: "sum ", cells: func(c *Private) {
			spare := c.Instruments[0]
			spare.Used = 0
			spare.ID = 0
			spare.Value = 1
			c.Instruments[len(c.Instruments)-1] = spare
			position(c, rich, 1).Risk[laneValues] = 1
		}},
		{name: "value beyond 40 bits", want: "range of instruments/value", plan: func(f *fixture) { f.instruments[1].Value = power(39) }},
		{name: "value below 40 bits", want: "range of instruments/value", plan: func(f *fixture) { f.instruments[1].Value = less(new(big.Int).Neg(power(39)), 1) }},
		{name: "delta beyond 40 bits", want: "range of instruments/delta[5]", plan: func(f *fixture) { setDelta(f, 1, 5, power(39)) }},
		{name: "control delta of 2^39 - 1", plan: func(f *fixture) { setDelta(f, 1, 5, less(power(39), 1)) }},
		{name: "control delta of -2^39", plan: func(f *fixture) {
			setDelta(f, 1, 5, new(big.Int).Neg(power(39)))
			f.shiftCash(rich, power(60))
		}},
		{name: "charge beyond 39 bits", want: "range of instruments/short_im", plan: func(f *fixture) { f.instruments[1].ShortIM = power(39) }},
		{name: "linear 2", want: "allocation", plan: func(f *fixture) { f.instruments[1].Linear = num(2) }},
	}
}

// setDelta changes one delta; the slice is shared with no other fixture.
func setDelta(f *fixture, row, scenario int, delta *big.Int) {
	f.instruments[row].Deltas[scenario] = delta
}

func cheatsListings() []cheat {
	chain := func(w *Witness) {
		w.Header.NewListingsRoot = toBig(listingsRoot(w))
		w.Header.RiskRoot = toBig(riskRoot(w))
	}
	list := func(change func(l *Listing)) func(w *Witness) {
		return func(w *Witness) {
			w.Listings = slices.Clone(w.Listings)
			change(&w.Listings[1])
			chain(w)
		}
	}
	return []cheat{
		{name: "control another strike", witness: list(func(l *Listing) { l.StrikeTicks = num(5) })},
		{name: "an id skipped", want: "listings: chain", witness: list(func(l *Listing) { l.ID = num(8) })},
		{name: "an id twice", want: "listings: chain", witness: list(func(l *Listing) { l.ID = num(6) })},
		{name: "kind 0", want: "range of listings: ids and fields", witness: list(func(l *Listing) { l.Kind = num(0) })},
		{name: "control kind 3", witness: list(func(l *Listing) { l.Kind = num(3) })},
		{name: "kind 4", want: "range of listings/kind", witness: list(func(l *Listing) { l.Kind = num(4) })},
		{name: "another underlying", want: "listings: chain", witness: list(func(l *Listing) { l.Underlying = num(2) })},
		{name: "strike beyond 40 bits", want: "range of listings/strike_ticks", witness: list(func(l *Listing) { l.StrikeTicks = power(40) })},
		{name: "tick beyond 24 bits", want: "range of listings/tick_ticks", witness: list(func(l *Listing) { l.TickTicks = power(24) })},
		{name: "another new listings root", want: "listings: chain", witness: func(w *Witness) { w.Header.NewListingsRoot = num(1); w.Header.RiskRoot = toBig(riskRoot(w)) }},
		{name: "a listing unused", want: "listings: chain", cells: func(c *Private) { c.Listings[1].Used = 0 }},
		{name: "a listing after an unused row", want: "rows: used first", cells: func(c *Private) {
			c.Listings[3], c.Listings[1].Used = c.Listings[1], 0
		}},
		{name: "ids beyond 32 bits", want: "range of listings: ids and fields", plan: func(f *fixture) {
			f.listings = f.listings[:1]
		}, witness: func(w *Witness) {
			w.Header.OldListingCount = less(power(32), 1)
			w.Listings = slices.Clone(w.Listings)
			w.Listings[0].ID = power(32)
			chain(w)
		}},
	}
}
