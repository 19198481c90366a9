package batch

import (
	"math/bits"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Fills prove:
//  1. Taker and maker are used leg rows with the account, instrument, side and limit that the fill names, on opposite sides: lots and fees are added to
//     the leg rows under those very keys, and nothing may stay elsewhere. Lots and fees are >= 0, so what stays elsewhere is 0.
//  2. The price lies between the limits and within the instrument's band around the mark; the instrument expires after the batch's time (instruments.go).
//  3. Positions move by +-size, cash by -+size * (price - funding) - fee; account 1 gets the fees.
//  4. An unused row has no lots and no fees. A used row of no lots moves nothing, whatever it refers to.

// FillRow is one trade in an instrument.
type FillRow struct {
	Used, Taker, Maker                                 variable // indices of leg rows
	TakerAccount, MakerAccount, TakerLimit, MakerLimit variable
	Instrument, Side                                   variable // the taker's side
	Mark, Funding, Band                                variable // the instrument's
	Price, Size, TakerFee, MakerFee                    variable
}

type fillTable struct {
	table                                              *argument.Table
	used, taker, maker                                 argument.Column
	takerAccount, makerAccount, takerLimit, makerLimit argument.Column
	instrument, side, mark, funding, band              argument.Column
	price, size, takerFee, makerFee                    argument.Column
}

func allocateFills(l *argument.Layer, p circuit.Preset, rows []FillRow) fillTable {
	t := l.Table("fills", len(rows))
	number := func(name string, n int, get func(*FillRow) variable) argument.Column {
		return t.Bits(name, n, ledger.Column(rows, get))
	}
	signed := func(name string, n int, get func(*FillRow) variable) argument.Column {
		return t.Signed(name, n, ledger.Column(rows, get))
	}
	element := func(name string, get func(*FillRow) variable) argument.Column {
		return t.Field(name, ledger.Column(rows, get))
	}
	index := bits.Len(uint(p.Legs))
	return fillTable{
		table: t, used: t.Bool("used", ledger.Column(rows, func(r *FillRow) variable { return r.Used })),
		taker:        number("taker", index, func(r *FillRow) variable { return r.Taker }),
		maker:        number("maker", index, func(r *FillRow) variable { return r.Maker }),
		takerAccount: element("taker_account", func(r *FillRow) variable { return r.TakerAccount }),
		makerAccount: element("maker_account", func(r *FillRow) variable { return r.MakerAccount }),
		takerLimit:   signed("taker_limit", priceBits, func(r *FillRow) variable { return r.TakerLimit }),
		makerLimit:   signed("maker_limit", priceBits, func(r *FillRow) variable { return r.MakerLimit }),
		instrument:   element("instrument", func(r *FillRow) variable { return r.Instrument }),
		side:         t.Bool("side", ledger.Column(rows, func(r *FillRow) variable { return r.Side })),
		mark:         signed("mark", ledger.WeightBits+2, func(r *FillRow) variable { return r.Mark }),
		funding:      signed("funding", ledger.WeightBits+1, func(r *FillRow) variable { return r.Funding }),
		band:         number("band", ledger.WeightBits, func(r *FillRow) variable { return r.Band }),
		price:        signed("price", priceBits, func(r *FillRow) variable { return r.Price }),
		size:         number("size", ledger.SizeBits, func(r *FillRow) variable { return r.Size }),
		takerFee:     number("taker_fee", feeBits, func(r *FillRow) variable { return r.TakerFee }),
		makerFee:     number("maker_fee", feeBits, func(r *FillRow) variable { return r.MakerFee }),
	}
}

func (b *builder) stateFills() {
	t, l := &b.fills, b.l
	l.Group("fills: price")
	for i := range t.used {
		b.stateFillPrice(i)
	}
	l.Group("fills: flows")
	for i := range t.used {
		b.stateFillFlows(i)
	}
}

// sign is +1 where the taker buys, -1 where it sells.
func (t *fillTable) sign(l *argument.Layer, i int) argument.Expr {
	return t.side[i].Scaled(2).Minus(l.Const(1))
}

// stateFillPrice is item 2.
func (b *builder) stateFillPrice(i int) {
	t, l := &b.fills, b.l
	b.ties.quotes.Require(t.used[i], l.Tuple(t.instrument[i], t.mark[i], t.funding[i], t.band[i]))
	sign, price := t.sign(l, i), t.price[i]
	l.AssertNotNegative(sign.Times(t.takerLimit[i].Minus(price)))
	l.AssertNotNegative(sign.Times(price.Minus(t.makerLimit[i])))
	distance := price.Minus(t.mark[i])
	l.AssertNotNegative(t.band[i].Minus(distance))
	l.AssertNotNegative(t.band[i].Plus(distance))
}

// stateFillFlows is items 1, 3 and 4.
func (b *builder) stateFillFlows(i int) {
	t, l := &b.fills, b.l
	one := l.Const(1)
	l.AssertZeroIf(t.used[i].Not(), t.size[i].Plus(t.takerFee[i], t.makerFee[i]))
	lots := t.sign(l, i).Times(t.size[i])
	cost := lots.Times(t.price[i])
	leg := func(index, account, side, limit, cost, fee argument.Expr) {
		b.ties.legFills.Add(l.Tuple(index, account, t.instrument[i], side, limit), one, l.Tuple(t.size[i], cost, fee))
	}
	leg(t.taker[i], t.takerAccount[i], t.side[i], t.takerLimit[i], cost, t.takerFee[i])
	leg(t.maker[i], t.makerAccount[i], t.side[i].Not(), t.makerLimit[i], cost.Negated(), t.makerFee[i])

	b.ties.moves.Add(l.Tuple(t.takerAccount[i], t.instrument[i]), one, l.Tuple(lots))
	b.ties.moves.Add(l.Tuple(t.makerAccount[i], t.instrument[i]), one, l.Tuple(lots.Negated()))
	paid := cost.Minus(lots.Times(t.funding[i]))
	b.ties.cash.Add(l.Tuple(t.takerAccount[i]), one, l.Tuple(paid.Plus(t.takerFee[i]).Negated()))
	b.ties.cash.Add(l.Tuple(t.makerAccount[i]), one, l.Tuple(paid.Minus(t.makerFee[i])))
	b.ties.cash.Add(l.Tuple(l.Const(feeAccount)), one, l.Tuple(t.takerFee[i].Plus(t.makerFee[i])))
}
