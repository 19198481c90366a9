package batch

import (
	"math/big"
	"slices"

	"straddle/native/circuit/ledger"
)

// netOf is what a combination's leg prices come to for one unit of the plan's spread: instrument 1 less twice instrument 3.
func netOf(f *fixture, first, second int) *big.Int {
	return total(f.fills[first].Price, product(-2, f.fills[second].Price))
}

// limitSpread sets the limit of the spreader's order, of which there are two executions, at the worst net, or by so much below.
func limitSpread(f *fixture, by int64) {
	worst := netOf(f, fillSpread1, fillSpread3)
	if second := netOf(f, fillImplied1, fillImplied3); second.Cmp(worst) > 0 {
		worst = second
	}
	for _, row := range []int{spreadBuys, spreadBuysAgain} {
		f.orders[row].Limit = ledger.Less(worst, by)
	}
}

// legAt finds the leg row of a place of an order row.
func legAt(c *Private, order, place int64) *LegRow {
	for k := range c.Legs {
		r := &c.Legs[k]
		if number(r.Used).Sign() > 0 && number(r.Order).Int64() == order && total(r.Place[0], product(2, r.Place[1])).Int64() == place {
			return r
		}
	}
	panic("no such leg row")
}

func cheatsLegs() []cheat {
	return slices.Concat(cheatsLegTerms(), cheatsLegRows(), cheatsOutrights(), cheatsReduceOnly())
}

// cheatsLegTerms breaks limit, fee cap and proportion of a combination.
func cheatsLegTerms() []cheat {
	return []cheat{
		{name: "control net at the buyer's limit", plan: func(f *fixture) { limitSpread(f, 0) }},
		{name: "net above the buyer's limit", want: "range of orders/limit_slack", plan: func(f *fixture) { limitSpread(f, 1) }},
		{name: "control net at the seller's limit", plan: func(f *fixture) { f.orders[richSellsSpread].Limit = netOf(f, fillSpread1, fillSpread3) }},
		{name: "net below the seller's limit", want: "range of orders/limit_slack", plan: func(f *fixture) {
			f.orders[richSellsSpread].Limit = total(netOf(f, fillSpread1, fillSpread3), 1)
		}},
		{name: "net above the limit with an invented slack", want: "sum order legs", plan: func(f *fixture) { limitSpread(f, 1) }, cells: func(c *Private) {
			c.Orders[spreadBuys].LimitSlack, c.Orders[spreadBuysAgain].LimitSlack = 0, 0
		}},
		{name: "a cost understated", want: "sum leg fills", cells: func(c *Private) {
			bump(&legAt(c, spreadBuys, 0).Cost, -5)
			bump(&c.Orders[spreadBuys].LimitSlack, 5)
		}},
		{name: "a fee understated", want: "sum leg fills", cells: func(c *Private) {
			bump(&legAt(c, spreadBuys, 0).Fee, -1)
			bump(&c.Orders[spreadBuys].FeeSlack, 1)
		}},
		{name: "a combination's fees above the cap", want: "range of orders/fee_slack", plan: func(f *fixture) {
			most := new(big.Int).Quo(ledger.Less(f.orders[spreadBuys].Fee, 1), f.orders[spreadBuys].Fill)
			f.orders[spreadBuys].FeeCap, f.orders[spreadBuysAgain].FeeCap = most, most
		}},
		{name: "more lots of a leg than its ratio", want: "sum leg fills", plan: func(f *fixture) {
			f.resize(fillSpread3, f.fills[fillSpread3].Size.Int64()+1, 0, 0)
		}},
		{name: "fewer lots of a leg than its ratio", want: "sum leg fills", plan: func(f *fixture) { f.resize(fillImplied3, 29, 0, 0) }},
		{name: "units understated", want: "range of orders/limit_slack", plan: func(f *fixture) { f.executed(spreadBuysAgain, 14) }},
		{name: "units overstated", want: "sum leg fills", plan: func(f *fixture) { f.executed(spreadBuysAgain, 16) }},
		{name: "another fill in a leg than in its order", want: "sum leg fills", cells: func(c *Private) { bump(&legAt(c, spreadBuys, 1).Fill, 1) }},
		{name: "more units than the order's size over two executions", want: "range of orders: fill and sequence", plan: func(f *fixture) {
			filled := total(f.orders[spreadBuys].Fill, f.orders[spreadBuysAgain].Fill, -1)
			f.orders[spreadBuys].Size, f.orders[spreadBuysAgain].Size = filled, filled
		}},
	}
}

// unuse makes a leg row one of padding after the order row's legs.
func unuse(r *LegRow, order int) {
	r.Used, r.Continues, r.Place[0], r.Order, r.Ratio, r.Sell, r.Reduce = 0, 0, 0, order, 0, 0, 0
}

// cheatsLegRows leaves out, doubles, exchanges and invents legs. The last leg row is the second one of the second execution of the spread.
func cheatsLegRows() []cheat {
	const last = 12
	return []cheat{
		{name: "a leg left out", want: "sum order legs", cells: func(c *Private) { unuse(&c.Legs[last], spreadBuysAgain) }},
		{name: "a leg twice at its place", want: "legs: order and place", cells: func(c *Private) {
			c.Legs[last+1] = c.Legs[last] // half its ratio each, and instruments that add up to its own
			c.Legs[last].Ratio, c.Legs[last+1].Ratio = 1, 1
			c.Legs[last].Instrument, c.Legs[last+1].Instrument = 1, 2
		}},
		{name: "a place left out", want: "legs: order and place", cells: func(c *Private) { c.Legs[last].Place = [2]variable{0, 1} }},
		{name: "an execution's legs apart", want: "legs: order and place", cells: func(c *Private) { c.Legs[last].Continues, c.Legs[last].Place[0] = 0, 0 }},
		{name: "an order without legs", want: "sum order legs", cells: func(c *Private) {
			for k := last - 1; k < len(c.Legs); k++ {
				unuse(&c.Legs[k], spreadBuys)
			}
		}},
		{name: "the first leg continues", want: "legs: order and place", cells: func(c *Private) { c.Legs[0].Continues, c.Legs[0].Place[0] = 1, 1 }},
		{name: "a leg of an order row that is not used", want: "sum order", cells: func(c *Private) {
			r := &c.Legs[last+1]
			r.Used, r.Order, r.Instrument, r.Ratio = 1, unusedOrder, 1, 1
		}},
		{name: "another instrument than signed", want: "sum signed", witness: func(w *Witness) { w.Legs[last].Instrument = num(2) }},
		{name: "another instrument in the leg row than in the legs word", want: "sum order legs", cells: func(c *Private) { legAt(c, spreadBuys, 1).Instrument = 2 }},
		{name: "legs word of another order", want: "sum order legs", cells: func(c *Private) {
			c.Legs[0].Instrument = 3 // the leaf stays the signed one's
		}},
		{name: "legs word of another order under the signed root", want: "sum order legs", cells: func(c *Private) {
			c.Orders[richBuys1].Legs = c.Orders[richSells3].Legs
		}},
		{name: "bought where the order sells, by the sell bit", want: "range of orders/limit_slack", witness: func(w *Witness) { w.Legs[last].Sell = num(0) }},
		{name: "the sell bit in the leg row alone", want: "sum order legs", cells: func(c *Private) { legAt(c, spreadBuys, 1).Sell = 0 }},
		{name: "the side of the order in the leg row", want: "sum leg fills", cells: func(c *Private) { legAt(c, spreadBuys, 1).Side = 0 }},
		{name: "a ratio of 0", want: "range of legs: terms", plan: func(f *fixture) {
			f.orders[spreadBuys].legs[1].Ratio = num(0)
		}},
		{name: "a ratio of 128", want: "range of legs/ratio", plan: func(f *fixture) { f.orders[spreadBuys].legs[1].Ratio = num(128) }},
		{name: "a leg row of an unused order number", want: "legs: order and place", cells: func(c *Private) { c.Legs[len(c.Legs)-1].Order = 3 }},
		{name: "an unused leg row that sells", want: "legs: terms", cells: func(c *Private) { c.Legs[len(c.Legs)-1].Sell = 1 }},
		{name: "the account of a leg", want: "sum ", cells: func(c *Private) { legAt(c, spreadBuys, 1).Account = rich }},
	}
}

// cheatsOutrights has an outright order average its limit over several fills, as a combination may, and has other orders pass for one.
func cheatsOutrights() []cheat {
	average := func(f *fixture) { // between the prices of the two fills
		f.orders[richBuys1].Limit = total(f.fills[0].Price, 50)
	}
	unlimited := func(c *Private, order bool) {
		if order {
			c.Orders[richBuys1].Multi = 1
		}
		legAt(c, richBuys1, 0).Multi = 1
		c.Fills[0].TakerLimit, c.Fills[1].MakerLimit = highestLimit(), highestLimit()
	}
	return []cheat{
		{name: "averaged limit", want: "range of fills: price", plan: average},
		{name: "averaged limit, the leg called one of several", want: "sum order terms", plan: average, cells: func(c *Private) { unlimited(c, false) }},
		{name: "averaged limit, the order called one of several legs", want: "range of orders: legs", plan: average, cells: func(c *Private) {
			unlimited(c, true)
		}},
		{name: "averaged limit, another leg counted", want: "sum order legs", plan: average, cells: func(c *Private) {
			unlimited(c, true)
			c.Orders[richBuys1].More = 1
		}},
		{name: "a combination called outright", want: "legs: terms", cells: func(c *Private) {
			c.Orders[spreadBuys].Multi = 0
			for place := range int64(2) {
				legAt(c, spreadBuys, place).Multi = 0
			}
		}},
		{name: "one leg of ratio 2", want: "legs: terms", plan: func(f *fixture) { f.orders[richBuysPerp].legs[0].Ratio = num(2); f.executed(richBuysPerp, 300) }},
		{name: "one leg, sold", want: "legs: terms", plan: func(f *fixture) {
			f.orders[richBuysPerp].legs[0].Sell, f.orders[richBuysPerp].Side = num(1), num(0)
		}},
		{name: "one leg at the second place", want: "legs: order and place", plan: func(f *fixture) { f.orders[richBuysPerp].legs[0].Place = num(1) }},
	}
}

// cheatsReduceOnly has reduce-only orders open, grow and turn positions.
func cheatsReduceOnly() []cheat {
	opens := func(f *fixture) { f.orders[richBuysPerp].Flags = num(1 << reduceFlag) }
	turns := func(f *fixture) { // the short position of the reduce-only order becomes a long one
		f.resize(2, 800, 0, 0)
		enrich(f, repairing)
	}
	grows := func(f *fixture) {
		f.orders[richBuys1].Flags, f.old[rich].positions[1] = num(1<<reduceFlag), num(10)
		f.new[rich].move(1, num(410))
	}
	return []cheat{
		{name: "reduce-only opens a position", want: "sum reduced", plan: opens},
		{name: "reduce-only opens a position that is called reduced", want: "range of positions: reduced", plan: opens, cells: func(c *Private) {
			position(c, rich, perpetual).Reduced = 1
		}},
		{name: "reduce-only grows a position", want: "sum reduced", plan: grows},
		{name: "reduce-only grows a position that is called reduced", want: "range of positions: reduced", plan: grows, cells: func(c *Private) {
			position(c, rich, 1).Reduced = 1
		}},
		{name: "reduce-only turns a position", want: "sum reduced", plan: turns},
		{name: "reduce-only turns a position that is called reduced", want: "positions: reduced", plan: turns, cells: func(c *Private) {
			position(c, repairing, 3).Reduced = 1
		}},
		{name: "reduce-only forgotten in the leg row", want: "sum order terms", cells: func(c *Private) { legAt(c, repairBuys3, 0).Reduce = 0 }},
		{name: "reduced position of another account", want: "sum ", plan: opens, cells: func(c *Private) { legAt(c, richBuysPerp, 0).Account = repairing }},
		{name: "control reduce-only closes a position", plan: func(f *fixture) { f.orders[repairSellsPerp].Flags = num(1 << reduceFlag) }},
	}
}
