package batch

import (
	"math/big"
	"math/rand"
)

func (f *fixture) planOrders(rnd *rand.Rand) {
	outright := func(account, nonce, revision, instrument, side, flags int64) *planOrder {
		limit := f.instruments[instrument-1].Mark().Int64() + (2*side-1)*1000
		return planned(account, nonce, revision, side, limit, flags, leg(0, instrument, 1, 0))
	}
	spread := func(account, nonce, side int64) *planOrder { // a lot of instrument 1 against two of instrument 3
		limit := f.instruments[0].Mark().Int64() - 2*f.instruments[2].Mark().Int64() + (2*side-1)*3000
		return planned(account, nonce, 0, side, limit, 0, leg(0, 1, 1, 0), leg(1, 3, 2, 1))
	}
	const reduce = 1 << reduceFlag
	again := spread(spreader, 50, 1) // two executions of one order
	sets := map[int64][]*planOrder{
		rich: {outright(rich, 17, 1, 1, 1, 1), outright(rich, 34, 0, 3, 0, 0), outright(rich, 35, 2, perpetual, 1, 2),
			spread(rich, 36, 0)},
		repairing: {outright(repairing, 4, 0, 3, 1, reduce), outright(repairing, 20, 0, perpetual, 0, 0)},
		reducing:  {outright(reducing, 8, 0, 1, 0, 4), outright(reducing, 8, 1, 1, 0, reduce)},
		spreader:  {again},
	}
	for i, account := range []int64{rich, repairing, reducing, spreader} {
		for at, o := range sets[account] {
			o.set, o.at = i, at
			f.orders = append(f.orders, o)
		}
		spare := outright(account, 900+rnd.Int63n(50), 0, 2, 1, 0) // signed and not filled
		f.signatures = append(f.signatures, &planSigned{account: account, kind: kindOrderSet, orders: append(sets[account], spare)})
	}
	second := *again.Order
	f.orders = append(f.orders, &planOrder{&second, again.legs, again.set, again.at})
	for i, o := range f.orders {
		o.Sequence = num(41 + int64(i))
	}
}

// leg is a leg whose order row the witness sets.
func leg(place, instrument, ratio, sell int64) Leg {
	return Leg{0, num(place), num(instrument), num(ratio), num(sell)}
}

// planned is an order that has not filled.
func planned(account, nonce, revision, side, limit, flags int64, legs ...Leg) *planOrder {
	return &planOrder{legs: legs, Order: &Order{Account: num(account), Nonce: num(nonce), Revision: num(revision), ExpiryMs: num(1_590_103_260_000),
		Size: num(1000), Limit: num(limit), Side: num(side), FeeCap: num(10), Flags: num(flags), Fill: num(0), Fee: num(0)}}
}

// Rows of f.orders, and the first of the unused ones.
const (
	richBuys1, richSells3, richBuysPerp, richSellsSpread = 0, 1, 2, 3
	repairBuys3, repairSellsPerp                         = 4, 5
	reduceSells1, reduceSells1Again                      = 6, 7
	spreadBuys, spreadBuysAgain                          = 8, 9
	unusedOrder                                          = 10
)

// legRow is the leg row of a place of an order row.
func (f *fixture) legRow(order, place int) int {
	row := place
	for _, o := range f.orders[:order] {
		row += len(o.legs)
	}
	return row
}

// legOrder is the order of a leg row, and the leg.
func (f *fixture) legOrder(row int) (*planOrder, *Leg) {
	for _, o := range f.orders {
		if row < len(o.legs) {
			return o, &o.legs[row]
		}
		row -= len(o.legs)
	}
	panic("fixture: no such leg row")
}

func (f *fixture) planFills(rnd *rand.Rand) {
	fill := func(taker, maker int, shade, size int64) {
		_, traded := f.legOrder(taker)
		price := f.instruments[traded.Instrument.Int64()-1].Mark().Int64() + shade
		f.trade(Fill{taker, maker, num(price), num(size), num(rnd.Int63n(size * 3)), num(rnd.Int63n(size * 3))})
	}
	at := f.legRow
	fill(at(richBuys1, 0), at(reduceSells1, 0), 700, 60+rnd.Int63n(40))
	fill(at(reduceSells1Again, 0), at(richBuys1, 0), 800, 30)
	fill(at(repairBuys3, 0), at(richSells3, 0), -900, 100+rnd.Int63n(100))
	fill(at(richBuysPerp, 0), at(repairSellsPerp, 0), 900, 600) // closes the position
	fill(at(repairBuys3, 0), at(richSells3, 0), -500, 10)
	units := 20 + rnd.Int63n(20)
	f.executed(spreadBuys, units)
	f.executed(richSellsSpread, units)
	fill(at(spreadBuys, 0), at(richSellsSpread, 0), 50, units)
	fill(at(spreadBuys, 1), at(richSellsSpread, 1), -70, 2*units)
	f.executed(spreadBuysAgain, 15) // against outright orders
	fill(at(spreadBuysAgain, 0), at(reduceSells1, 0), 600, 15)
	fill(at(repairBuys3, 0), at(spreadBuysAgain, 1), -600, 30)
}

// Fills of the plan: the legs of combinations.
const fillSpread1, fillSpread3, fillImplied1, fillImplied3, unusedFill = 5, 6, 7, 8, 9

// executed books the units of a combination's execution, whose legs are traded apart.
func (f *fixture) executed(order int, units int64) { f.orders[order].Fill = num(units) }

// trade books a fill on the orders, positions and cash of the plan.
func (f *fixture) trade(fill Fill) {
	f.fills = append(f.fills, fill)
	f.book(&fill, 1)
}

// book applies a fill (or, with times = -1, takes it back). The units of a combination stay as executed says.
func (f *fixture) book(fill *Fill, times int64) {
	for i, row := range []int{fill.Taker, fill.Maker} {
		o, leg := f.legOrder(row)
		lots := new(big.Int).Mul(fill.Size, num(times))
		if len(o.legs) == 1 {
			o.Fill = total(o.Fill, lots)
		}
		fee := new(big.Int).Mul([]*big.Int{fill.TakerFee, fill.MakerFee}[i], num(times))
		o.Fee = total(o.Fee, fee)
		if o.Side.Cmp(leg.Sell) == 0 {
			lots.Neg(lots)
		}
		account, id := f.new[o.Account.Int64()], leg.Instrument.Int64()
		account.move(id, lots)
		paid := lots.Mul(lots, new(big.Int).Sub(fill.Price, f.funding(id)))
		account.cash.Sub(account.cash, paid).Sub(account.cash, fee)
		f.new[feeAccount].cash.Add(f.new[feeAccount].cash, fee)
	}
}

// reprice books fill i again at another price.
func (f *fixture) reprice(i int, price *big.Int) {
	f.book(&f.fills[i], -1)
	f.fills[i].Price = price
	f.book(&f.fills[i], 1)
}

// resize books fill i again with another size and other fees.
func (f *fixture) resize(i int, size, takerFee, makerFee int64) {
	f.book(&f.fills[i], -1)
	f.fills[i].Size, f.fills[i].TakerFee, f.fills[i].MakerFee = num(size), num(takerFee), num(makerFee)
	f.book(&f.fills[i], 1)
}
