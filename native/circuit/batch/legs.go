package batch

import (
	"fmt"
	"math/big"
	"math/bits"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Legs prove:
//  1. Used rows come first, those of an order row together and in the order of the order rows; their places count from 0 to at most 3.
//  2. Account, side, limit, fill, multi and reduce-only flag are those of the order row.
//  3. Words, costs and fees add up to those of the order row, which has at least one leg (orders.go). The ratio is at least 1.
//  4. A leg of an outright order (`multi` 0) has place 0, ratio 1 and is bought.
//  5. lots = ratio * fill, cost and fees are the sums over the leg's fills (fills.go), which name its account, instrument, side and limit: the side is
//     the order's, turned over where the leg sells; an outright's limit is the order's, a leg of a combination has none.
//  6. Reduce-only: the account's position in the instrument only shrinks.

// LegRow is one leg of an order row.
type LegRow struct {
	Used, Continues, Order                    variable    // Continues: a leg of the same order row as the leg before
	Place                                     [2]variable // bits, lowest first
	Instrument, Ratio, Sell                   variable
	Account, Side, Limit, Fill, Multi, Reduce variable // the order row's
	Cost, Fee                                 variable // Cost: lots * price, negative for a sale
}

type legTable struct {
	table                                     *argument.Table
	used, continues, order                    argument.Column
	place                                     [2]argument.Column
	instrument, ratio, sell                   argument.Column
	account, side, limit, fill, multi, reduce argument.Column
	cost, fee                                 argument.Column
}

const ratioBits = 7

// costBits holds the cost of one leg: of all fills, at any price.
func costBits(p circuit.Preset) int { return ledger.SizeBits + priceBits + bits.Len(uint(2*p.Fills)) }

func allocateLegs(l *argument.Layer, p circuit.Preset, rows []LegRow) legTable {
	t := l.Table("legs", len(rows))
	flag := func(name string, get func(*LegRow) variable) argument.Column {
		return t.Bool(name, ledger.Column(rows, get))
	}
	number := func(name string, bits int, get func(*LegRow) variable) argument.Column {
		return t.Bits(name, bits, ledger.Column(rows, get))
	}
	g := legTable{
		table: t, used: flag("used", func(r *LegRow) variable { return r.Used }),
		continues:  flag("continues", func(r *LegRow) variable { return r.Continues }),
		order:      number("order", bits.Len(uint(p.Orders)), func(r *LegRow) variable { return r.Order }),
		instrument: number("instrument", 32, func(r *LegRow) variable { return r.Instrument }),
		ratio:      number("ratio", ratioBits, func(r *LegRow) variable { return r.Ratio }),
		sell:       flag("sell", func(r *LegRow) variable { return r.Sell }),
		account:    t.Field("account", ledger.Column(rows, func(r *LegRow) variable { return r.Account })),
		side:       flag("side", func(r *LegRow) variable { return r.Side }),
		limit:      t.Field("limit", ledger.Column(rows, func(r *LegRow) variable { return r.Limit })),
		fill:       number("fill", ledger.SizeBits, func(r *LegRow) variable { return r.Fill }),
		multi:      flag("multi", func(r *LegRow) variable { return r.Multi }),
		reduce:     flag("reduce", func(r *LegRow) variable { return r.Reduce }),
		cost:       t.Signed("cost", costBits(p), ledger.Column(rows, func(r *LegRow) variable { return r.Cost })),
		fee:        number("fee", orderFeeBits, func(r *LegRow) variable { return r.Fee }),
	}
	for k := range g.place {
		g.place[k] = flag(fmt.Sprintf("place bit %d", k), func(r *LegRow) variable { return r.Place[k] })
	}
	return g
}

func (b *builder) stateLegs() {
	for _, part := range []struct {
		group string
		state func(i int)
	}{{"legs: order and place", b.stateLegPlace}, {"legs: terms", b.stateLegTerms}, {"legs: sums", b.stateLegSums}} {
		b.l.Group(part.group)
		for i := range b.legs.used {
			part.state(i)
		}
	}
}

// at is the place of leg row i.
func (t *legTable) at(i int) argument.Expr { return t.place[0][i].Plus(t.place[1][i].Shifted(1)) }

// stateLegPlace is item 1: a row starts the next order row or takes the next place of the same one, so no (order, place) comes twice.
func (b *builder) stateLegPlace(i int) {
	t, l := &b.legs, b.l
	order, next := l.Const(-1), l.Const(0) // of the row before
	if i > 0 {
		order, next = t.order[i-1], t.at(i-1).Plus(l.Const(1))
	}
	l.AssertZeroIf(t.continues[i], t.used[i].Not())
	starts := t.used[i].Minus(t.continues[i]) // 0 or 1, since a row that continues is used
	if i == 0 {
		l.AssertZero(t.continues[i])
		starts = l.Const(1) // an unused row has the number of the order row before
	}
	l.AssertEqual(t.order[i], order.Plus(starts))
	l.AssertProduct(t.continues[i], next, t.at(i))
}

// stateLegTerms is items 2, 4 and 6.
func (b *builder) stateLegTerms(i int) {
	t, l := &b.legs, b.l
	used := t.used[i]
	b.ties.orderTerms.Require(used, l.Tuple(t.order[i], t.account[i], t.side[i], t.limit[i], t.fill[i], t.multi[i], t.reduce[i]))
	l.AssertNotNegative(t.ratio[i].Minus(used))
	l.AssertZeroIf(used.Not(), t.ratio[i].Plus(t.sell[i]))
	l.AssertZeroIf(t.multi[i].Not(), t.at(i).Plus(t.sell[i], t.ratio[i]).Minus(used)) // no part is negative
	b.ties.reduced.Require(t.reduce[i], l.Tuple(t.account[i], t.instrument[i]))
}

// stateLegSums is items 3 and 5.
func (b *builder) stateLegSums(i int) {
	t, l := &b.legs, b.l
	one := l.Const(1)
	shift := one
	for k, bit := range t.place {
		shift = shift.Times(one.Plus(bit[i].Scaled(new(big.Int).Sub(ledger.Power(legBits<<k), big.NewInt(1)))))
	}
	word := t.instrument[i].Plus(t.ratio[i].Shifted(32), t.sell[i].Shifted(32+ratioBits)).Times(shift)
	b.ties.orderLegs.Add(l.Tuple(t.order[i]), t.used[i], l.Tuple(word.Plus(one.Shifted(legsBits)), t.cost[i], t.fee[i]))

	side := t.side[i].Plus(t.sell[i]).Minus(t.side[i].Times(t.sell[i]).Scaled(2))
	none := side.Scaled(2).Minus(one).Scaled(highestLimit())
	limit := t.limit[i].Plus(t.multi[i].Times(none.Minus(t.limit[i])))
	b.ties.legFills.Hold(i, l.Tuple(t.ratio[i].Times(t.fill[i]), t.cost[i], t.fee[i]), t.account[i], t.instrument[i], side, limit)
}

// highestLimit is the limit of a buyer who takes every price; its negative is the seller's.
func highestLimit() *big.Int { return new(big.Int).Sub(ledger.Power(priceBits-1), big.NewInt(1)) }
