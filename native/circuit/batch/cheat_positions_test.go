package batch

import (
	"math/big"
	"slices"

	"straddle/native/circuit/ledger"
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
		{name: "a position row of an account that is not touched", want: "sum sales", plan: func(f *fixture) {
			f.old[bystander].move(2, num(5))
			f.new[bystander].move(2, num(5))
			f.positionsOf = func(rows []Position) []Position {
				i := slices.IndexFunc(rows, func(p Position) bool { return p.Account.Int64() > bystander })
				return slices.Insert(rows, i, f.positionRows(bystander)...)
			}
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
			r.Sides[after].Long, r.Sides[before].Short = 1, ledger.Power(39)
		}},
		{name: "a padding row with an instrument", want: "rows: used first", cells: func(c *Private) { c.Positions[len(c.Positions)-1].Instrument = 2 }},
		{name: "long and short at once", want: "positions: long and short parts", cells: func(c *Private) {
			s := &position(c, rich, 2).Sides[after]
			bump(&s.Long, 7)
			bump(&s.Short, 7)
		}},
		{name: "a size of 2^40", want: "range of positions/old long", plan: func(f *fixture) {
			f.old[rich].positions[2], f.new[rich].positions[2] = ledger.Power(40), ledger.Power(40)
			f.shiftCash(rich, ledger.Power(61))
		}},
		{name: "control a size of 2^40 - 1", plan: func(f *fixture) {
			most := new(big.Int).Sub(ledger.Power(40), num(1))
			f.old[rich].positions[2], f.new[rich].positions[2] = most, most
			f.shiftCash(rich, ledger.Power(61))
		}},
		{name: "control a row with nothing in it", plan: emptyRow},
		{name: "a settled position kept", want: "positions: settled", plan: func(f *fixture) {
			f.new[rich].positions[expired] = num(-20)
			f.new[rich].cash.Add(f.new[rich].cash, new(big.Int).Mul(num(20), f.instruments[expired-1].Value))
		}},
		{name: "a settled position kept as if it were not settled", want: "sum risk rows", plan: func(f *fixture) {
			f.new[rich].positions[expired] = num(-20)
			f.new[rich].cash.Add(f.new[rich].cash, new(big.Int).Mul(num(20), f.instruments[expired-1].Value))
		}, cells: func(c *Private) {
			r := position(c, rich, expired)
			r.Settled, r.Risk[ledger.LanePayout] = 0, num(0)
		}},
		{name: "a settled position kept in part", want: "positions: settled", plan: func(f *fixture) { move(f, rich, expired, -5) }},
		{name: "a settled position paid twice", want: "sum cash", plan: func(f *fixture) {
			f.new[spreader].cash.Add(f.new[spreader].cash, new(big.Int).Mul(num(20), f.instruments[expired-1].Value))
		}},
		{name: "the payout of another instrument", want: "sum risk rows", plan: func(f *fixture) {
			f.new[spreader].cash.Add(f.new[spreader].cash, num(20*7))
		}, cells: func(c *Private) { bump(&position(c, spreader, expired).Risk[ledger.LanePayout], 7) }},
		{name: "a payout of an instrument that is not settled", want: "sum risk rows", plan: func(f *fixture) {
			f.new[rich].cash.Add(f.new[rich].cash, new(big.Int).Mul(num(50), f.instruments[1].Value))
		}, cells: func(c *Private) { position(c, rich, 2).Risk[ledger.LanePayout] = c.Instruments[1].Value }},
		{name: "a position called settled", want: "sum risk rows", plan: func(f *fixture) { f.new[rich].positions[2] = num(0) },
			cells: func(c *Private) { position(c, rich, 2).Settled = 1 }},
		{name: "control another settled instrument", plan: func(f *fixture) { f.settle(2) }},
		{name: "the row of another instrument in the data", want: "sum risk rows", cells: func(c *Private) { bump(&position(c, rich, 2).TableRow, 1) }},
		{name: "risk row of another instrument", want: "sum risk rows", plan: emptyRow, cells: func(c *Private) {
			other := position(c, rich, 4)
			position(c, fresh, 2).Risk, position(c, fresh, 2).TableRow = other.Risk, other.TableRow
		}},
		{name: "null risk row for a real instrument", want: "sum risk rows", plan: emptyRow, cells: func(c *Private) {
			position(c, fresh, 2).Risk, position(c, fresh, 2).TableRow = c.Positions[len(c.Positions)-1].Risk, 0
		}},
		{name: "a used row of instrument 0", want: "sum risk rows", plan: func(f *fixture) { f.old[fresh].positions[0], f.new[fresh].positions[0] = num(0), num(0) }},
		{name: "a delta changed", want: "sum risk", cells: func(c *Private) { bump(&position(c, rich, 1).Risk[ledger.LaneDeltas+3], 1) }},
		{name: "an instrument that the table lacks", want: "sum risk rows", plan: func(f *fixture) {
			f.old[rich].positions[99], f.new[rich].positions[99] = num(3), num(3)
		}},
		{name: "a digest that skips a position", want: "positions: digests", cells: func(c *Private) {
			r := position(c, rich, 2)
			r.Sides[after].Digest = position(c, rich, 1).Sides[after].Digest
		}},
	}
}

// cheatsSlices change what a takeover moves. The takeover of the plan moves 83 of the bankrupt account's 250 lots of instrument 1, and 29 of the 90 short.
func cheatsSlices() []cheat {
	slice := func(f *fixture, lots int64) { // at a price with room on both sides
		f.new[broke].move(1, num(-lots))
		f.new[bidder].move(1, num(lots))
		solvent(f, -1)
		f.lose(num(5))
	}
	keepShort := func(f *fixture) { // the auction is over by far: the discount of the long slice alone
		f.new[broke].move(4, num(-29))
		f.new[bidder].move(4, num(29))
		auctionOf(f, broke, since(900_000), since(900_000))
		solvent(f, -1)
		f.lose(num(0))
	}
	return []cheat{
		{name: "a slice not in proportion", want: "sum position moves", plan: func(f *fixture) { slice(f, -1) }},
		{name: "a slice not in proportion, in its cell too", want: "positions: slices and moves", plan: func(f *fixture) { slice(f, 1) },
			cells: func(c *Private) { bump(&position(c, broke, 1).Sliced, 1) }},
		{name: "a slice rounded up", want: "range of positions/rest", plan: func(f *fixture) { slice(f, 1) }, cells: func(c *Private) {
			bump(&position(c, broke, 1).Sliced, 1)
			bump(&position(c, broke, 1).Rest, -ledger.BpsInWhole)
		}},
		{name: "a slice rounded down once more", want: "range of positions", plan: func(f *fixture) { slice(f, -1) }, cells: func(c *Private) {
			bump(&position(c, broke, 1).Sliced, -1)
			bump(&position(c, broke, 1).Rest, ledger.BpsInWhole)
		}},
		{name: "the slice of one position only", want: "sum position moves", plan: keepShort},
		{name: "another fraction for one position", want: "sum sales", plan: keepShort, cells: func(c *Private) {
			r := position(c, broke, 4)
			r.Fraction, r.Sliced, r.Rest = 0, 0, 0
		}},
		{name: "a slice given to another winner", want: "sum position moves", plan: func(f *fixture) {
			f.new[bidder].move(1, num(-83))
			f.new[rich].move(1, num(83))
		}},
		{name: "a slice given to another winner, in the row too", want: "sum sales", plan: func(f *fixture) {
			f.new[bidder].move(1, num(-83))
			f.new[rich].move(1, num(83))
		}, cells: func(c *Private) { position(c, broke, 1).Winner = rich }},
		{name: "a slice of an account that is not for sale", want: "sum sales", plan: func(f *fixture) {
			f.new[rich].move(2, num(-5))
			f.new[bidder].move(2, num(5))
		}, cells: func(c *Private) {
			r := position(c, rich, 2)
			r.Fraction, r.Sliced, r.Winner = 1000, 5, bidder
		}},
		{name: "a short position sliced as a long one", want: "positions: long and short parts", cells: func(c *Private) { position(c, broke, 4).WasShort = 0 }},
		{name: "a long position sliced as a short one", want: "positions: long and short parts", cells: func(c *Private) { position(c, broke, 1).WasShort = 1 }},
	}
}

func cheatsInstruments() []cheat {
	return []cheat{
		{name: "a row of the table changed", want: "instruments: risk root", cells: func(c *Private) { bump(&c.Instruments[1].Band, 1) }},
		{name: "a row left out", want: "instruments: risk root", plan: func(f *fixture) {
			extra := f.instruments[0]
			extra.ID = num(7)
			f.instruments = append(f.instruments, extra)
		}, witness: func(w *Witness) { w.Instruments = w.Instruments[:6] }},
		{name: "a row twice", want: "rows: used first", witness: func(w *Witness) {
			w.Instruments = slices.Insert(slices.Clone(w.Instruments), 1, w.Instruments[0])
			w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
		}},
		{name: "rows out of order", want: "rows: used first", witness: func(w *Witness) {
			w.Instruments = slices.Clone(w.Instruments)
			w.Instruments[0], w.Instruments[1] = w.Instruments[1], w.Instruments[0]
			w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
		}},
		{name: "a row with id 0", want: "range of rows: used first", witness: func(w *Witness) {
			null := *ledger.NullInstrument()
			null.Value = num(7)
			w.Instruments = slices.Insert(slices.Clone(w.Instruments), 0, null)
			w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
		}},
		{name: "a table for other listings", want: "instruments: risk root", witness: func(w *Witness) {
			kept := w.Header.NewListingsRoot
			w.Header.NewListingsRoot = w.Header.OldListingsRoot
			w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
			w.Header.NewListingsRoot = kept
		}},
		{name: "an unused row that serves lookups", want: "sum ", cells: func(c *Private) {
			spare := c.Instruments[0]
			spare.Used, spare.Tradable, spare.ID = 0, 0, 0
			spare.Value = 1
			c.Instruments[len(c.Instruments)-1] = spare
			position(c, rich, 1).Risk[ledger.LaneValues] = 1
		}},
		{name: "an unused row that quotes", want: "instruments: settled or tradable", cells: func(c *Private) { c.Instruments[len(c.Instruments)-1].Tradable = 1 }},
		{name: "an unused row that settles", want: "instruments: settled or tradable", cells: func(c *Private) { c.Instruments[len(c.Instruments)-1].Settled = 1 }},
		{name: "settled before its expiry", want: "range of instruments: settled or tradable", plan: func(f *fixture) {
			f.instruments[expired-1].ExpiryMs = total(f.header.TimeMs, 1)
		}, witness: func(w *Witness) { w.Instruments[expired-1].Settled = num(1) }, cells: func(c *Private) { c.Instruments[expired-1].Tradable = 0 }},
		{name: "control settled at its expiry", plan: func(f *fixture) { f.instruments[expired-1].ExpiryMs = f.header.TimeMs }},
		{name: "value beyond 40 bits", want: "range of instruments/value", plan: func(f *fixture) { f.instruments[1].Value = ledger.Power(39) }},
		{name: "value below 40 bits", want: "range of instruments/value", plan: func(f *fixture) {
			f.instruments[1].Value = ledger.Less(new(big.Int).Neg(ledger.Power(39)), 1)
		}},
		{name: "delta beyond 40 bits", want: "range of instruments/delta[5]", plan: func(f *fixture) { setDelta(f, 1, 5, ledger.Power(39)) }},
		{name: "control delta of 2^39 - 1", plan: func(f *fixture) { setDelta(f, 1, 5, ledger.Less(ledger.Power(39), 1)) }},
		{name: "control delta of -2^39", plan: func(f *fixture) {
			setDelta(f, 1, 5, new(big.Int).Neg(ledger.Power(39)))
			f.shiftCash(rich, ledger.Power(60))
		}},
		{name: "charge beyond 39 bits", want: "range of instruments/short_im", plan: func(f *fixture) { f.instruments[1].ShortIM = ledger.Power(39) }},
		{name: "linear 2", want: "allocation", plan: func(f *fixture) { f.instruments[1].Linear = num(2) }},
	}
}

// setDelta changes one delta; the slice is shared with no other fixture.
func setDelta(f *fixture, row, scenario int, delta *big.Int) {
	f.instruments[row].Deltas[scenario] = delta
}

func cheatsListings() []cheat {
	chain := func(w *Witness) {
		w.Header.NewListingsRoot = ledger.ToBig(listingsRoot(w))
		w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
	}
	list := func(row int, change func(l *Listing)) func(w *Witness) {
		return func(w *Witness) {
			w.Listings = slices.Clone(w.Listings)
			change(&w.Listings[row])
			chain(w)
		}
	}
	return []cheat{
		{name: "control another strike", witness: list(3, func(l *Listing) { l.StrikeTicks = num(5) })},
		{name: "an id skipped", want: "listings: ids and fields", witness: list(3, func(l *Listing) { l.ID = num(10) })},
		{name: "an id twice", want: "listings: ids and fields", witness: list(3, func(l *Listing) { l.ID = num(8) })},
		{name: "kind 0", want: "range of listings/kind", witness: list(3, func(l *Listing) { l.Kind = num(0) })},
		{name: "control kind 3", witness: list(3, func(l *Listing) { l.Kind = num(3) })},
		{name: "a listing of kind 5", want: "range of listings/kind", witness: list(3, func(l *Listing) { l.Kind = num(5) }), cells: func(c *Private) {
			c.Listings[3].Listing, c.Listings[3].Settlement, c.Listings[3].Kind = 1, 0, 4
		}},
		{name: "another underlying", want: "listings: chain", witness: list(3, func(l *Listing) { l.Underlying = num(2) })},
		{name: "strike beyond 40 bits", want: "range of listings/strike_ticks", witness: list(3, func(l *Listing) { l.StrikeTicks = ledger.Power(40) })},
		{name: "tick beyond 24 bits", want: "range of listings/tick_ticks", witness: list(3, func(l *Listing) { l.TickTicks = ledger.Power(24) })},
		{name: "another new listings root", want: "listings: chain", witness: func(w *Witness) {
			w.Header.NewListingsRoot = num(1)
			w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
		}},
		{name: "a word unused", want: "listings: chain", cells: func(c *Private) { c.Listings[3].Used, c.Listings[3].Listing, c.Listings[3].ID = 0, 0, 0 }},
		{name: "a word after an unused row", want: "rows: used first", cells: func(c *Private) {
			c.Listings[5], c.Listings[3] = c.Listings[3], c.Listings[5]
		}},
		{name: "a second group's word", want: "rows: used first", cells: func(c *Private) { c.Listings[wordsAtOnce] = c.Listings[3] }},
		{name: "control words in two groups", plan: func(f *fixture) { f.listings = twoGroups(f) }},
		{name: "a second group left out", want: "listings: chain", plan: func(f *fixture) { f.listings = twoGroups(f) }, witness: func(w *Witness) {
			all := w.Listings
			w.Listings = all[:wordsAtOnce]
			chain(w)
			w.Listings = all
		}},
		{name: "ids beyond 32 bits", want: "range of listings: ids and fields", plan: func(f *fixture) {
			f.listings = f.listings[:1]
		}, witness: func(w *Witness) {
			w.Header.OldListingCount = ledger.Less(ledger.Power(32), 1)
			w.Listings = slices.Clone(w.Listings)
			w.Listings[0].ID = ledger.Power(32)
			chain(w)
		}},
		{name: "a settlement at another value", want: "sum settlements", witness: list(1, func(l *Listing) { l.StrikeTicks = total(l.StrikeTicks, 1) })},
		{name: "a settlement of an instrument that is not settled", want: "sum settlements", witness: list(1, func(l *Listing) {
			l.ID, l.StrikeTicks = num(2), num(5)
		})},
		{name: "a settlement of an instrument that is not settled, at its value", want: "sum settlements", plan: func(f *fixture) {
			f.listings[1].ID, f.listings[1].StrikeTicks = num(2), f.instruments[1].Value
		}},
		{name: "a settlement with a cap", want: "listings: ids and fields", witness: list(1, func(l *Listing) { l.PositionCapLots = num(1) })},
		{name: "a settlement with an expiry", want: "listings: ids and fields", witness: list(1, func(l *Listing) { l.ExpiryMs = num(1) })},
		{name: "control a settlement again", plan: func(f *fixture) { f.listings = append(f.listings, f.listings[1]) }},
		{name: "control a retirement of what the batch lists", witness: list(2, func(l *Listing) { l.ID = num(9) })},
		{name: "a retirement of what is not listed", want: "range of listings: ids and fields", witness: list(2, func(l *Listing) { l.ID = num(10) })},
		{name: "a retirement of nothing", want: "range of listings: ids and fields", witness: list(2, func(l *Listing) { l.ID = num(0) })},
		{name: "a retirement with a value", want: "listings: ids and fields", witness: list(2, func(l *Listing) { l.StrikeTicks = num(1) })},
		{name: "a retirement counted as a listing", want: "listings: ids and fields", cells: func(c *Private) { c.Listings[2].Listing = 1 }},
		{name: "a retirement that is a settlement too", want: "listings: ids and fields", cells: func(c *Private) { c.Listings[2].Settlement = 1 }},
	}
}

// twoGroups fills the first group of words and begins a second one.
func twoGroups(f *fixture) []Listing {
	words := slices.Clone(f.listings)
	for len(words) <= wordsAtOnce {
		words = append(words, f.listings[2])
	}
	return words
}
