package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Deleverages prove:
//  1. Used rows come first. The account is `bankrupt`: seized, its old equity below 0, its new equity at most 0.
//  2. The price lies within the instrument's band around the mark, and never on the winner's side of it; the instrument expires after the batch's time.
//     What the winner gives up beyond the mark is the account's `relief`.
//  3. size lots, of either sign, move from the account to the winner for size * (price - funding) of cash.
//  4. Both positions are `reduced` by the batch: they neither grow nor turn over.

// DeleverageRow moves lots of one instrument out of a bankrupt account. Size is what the winner's position changes by.
type DeleverageRow struct {
	Used, Account, Winner, Instrument variable
	Mark, Funding, Band               variable // the instrument's
	Size, Price                       variable
}

type deleverageTable struct {
	table                             *argument.Table
	used, account, winner, instrument argument.Column
	mark, funding, band, size, price  argument.Column
}

func allocateDeleverages(l *argument.Layer, rows []DeleverageRow) deleverageTable {
	t := l.Table("deleverages", len(rows))
	number := func(name string, n int, get func(*DeleverageRow) variable) argument.Column {
		return t.Bits(name, n, ledger.Column(rows, get))
	}
	signed := func(name string, n int, get func(*DeleverageRow) variable) argument.Column {
		return t.Signed(name, n, ledger.Column(rows, get))
	}
	return deleverageTable{
		table: t, used: t.Bool("used", ledger.Column(rows, func(r *DeleverageRow) variable { return r.Used })),
		account:    number("account", accountBits, func(r *DeleverageRow) variable { return r.Account }),
		winner:     number("winner", accountBits, func(r *DeleverageRow) variable { return r.Winner }),
		instrument: number("instrument", 32, func(r *DeleverageRow) variable { return r.Instrument }),
		mark:       signed("mark", ledger.WeightBits+2, func(r *DeleverageRow) variable { return r.Mark }),
		funding:    signed("funding", ledger.WeightBits+1, func(r *DeleverageRow) variable { return r.Funding }),
		band:       number("band", ledger.WeightBits, func(r *DeleverageRow) variable { return r.Band }),
		size:       signed("size", ledger.SizeBits+1, func(r *DeleverageRow) variable { return r.Size }),
		price:      signed("price", priceBits, func(r *DeleverageRow) variable { return r.Price }),
	}
}

func (b *builder) stateDeleverages() {
	t, l := &b.deleverages, b.l
	l.Group("deleverages")
	for i, used := range t.used {
		b.ties.bankrupt.Require(used, l.Tuple(t.account[i]))
		b.ties.reduced.Require(used, l.Tuple(t.account[i], t.instrument[i]))
		b.ties.reduced.Require(used, l.Tuple(t.winner[i], t.instrument[i]))
		b.ties.quotes.Require(used, l.Tuple(t.instrument[i], t.mark[i], t.funding[i], t.band[i]))
		distance := t.price[i].Minus(t.mark[i])
		l.AssertNotNegative(t.band[i].Minus(distance))
		l.AssertNotNegative(t.band[i].Plus(distance))

		relief := t.size[i].Times(distance)
		l.AssertNotNegative(relief)
		b.ties.relief.Add(l.Tuple(t.account[i]), used, l.Tuple(relief))

		lots := l.Tuple(t.size[i])
		b.ties.moves.Add(l.Tuple(t.winner[i], t.instrument[i]), used, lots)
		b.ties.moves.Add(l.Tuple(t.account[i], t.instrument[i]), used.Negated(), lots)
		paid := l.Tuple(t.size[i].Times(t.price[i].Minus(t.funding[i])))
		b.ties.cash.Add(l.Tuple(t.winner[i]), used.Negated(), paid)
		b.ties.cash.Add(l.Tuple(t.account[i]), used, paid)
	}
}
