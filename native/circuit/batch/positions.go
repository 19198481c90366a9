package batch

import (
	"fmt"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Positions prove:
//  1. Used rows come first and ascend strictly by (account, instrument); an unused row has account, instrument and both sizes 0.
//  2. Old and new sizes lie within +-(2^40 - 1): each is long - short, both of 40 bits, one of them 0.
//  3. The digests of both sides, restarted at each account, zero sizes skipped, are those of the account row.
//  4. Place in the risk table, settled flag, payout and the packed value, deltas and charges are those of the instrument row; only an unused row has
//     those of instrument 0.
//  5. A position in a settled instrument is 0 afterwards, and the account gets old size * payout in cash.
//  6. Fraction and winner are those of the account row. The slice, floor(old lots * fraction / 10^4) lots to the old size's side, 0 if settled, goes to
//     the winner.
//  7. new - old is the lots of fills, deleveraging and slices that reach (account, instrument), less the slice, less the old size if settled.
//  8. `reduced`: the new size lies between 0 and the old one.
//  9. Values, deltas and charges times the sizes add up to the totals of the account row, on both sides.
//  10. Every used row belongs to a used account row (by 3: its digest is taken there).

// SideFields is one side of a position: size = long - short.
type SideFields struct{ Long, Short, Digest variable }

// PositionRow is one position of a touched account.
type PositionRow struct {
	Used, Account, Instrument variable
	Continues                 variable // same account as the row before
	Sides                     [2]SideFields
	WasShort                  variable   // the old size is negative
	TableRow, Settled         variable   // the instrument's place in the risk table, from 1
	Risk                      []variable // the instrument's row, packed
	Fraction, Winner          variable   // of the account's takeover
	Sliced, Rest              variable   // old lots * fraction = 10^4 sliced + rest
	Reduced                   variable
}

type positionTable struct {
	table                                *argument.Table
	used, account, instrument, continues argument.Column
	long, short, digest                  [2]argument.Column
	wasShort, tableRow, settled, reduced argument.Column
	fraction, winner, sliced, rest       argument.Column
	risk                                 []argument.Column
}

func allocatePositions(l *argument.Layer, plan ledger.RiskPlan, rows []PositionRow) positionTable {
	t := l.Table("positions", len(rows))
	p := positionTable{
		table: t, used: t.Bool("used", ledger.Column(rows, func(r *PositionRow) variable { return r.Used })),
		account:    t.Bits("account", 32, ledger.Column(rows, func(r *PositionRow) variable { return r.Account })),
		instrument: t.Bits("instrument", 32, ledger.Column(rows, func(r *PositionRow) variable { return r.Instrument })),
		continues:  t.Bool("continues", ledger.Column(rows, func(r *PositionRow) variable { return r.Continues })),
		wasShort:   t.Bool("was_short", ledger.Column(rows, func(r *PositionRow) variable { return r.WasShort })),
		tableRow:   t.Field("table_row", ledger.Column(rows, func(r *PositionRow) variable { return r.TableRow })),
		settled:    t.Bool("settled", ledger.Column(rows, func(r *PositionRow) variable { return r.Settled })),
		reduced:    t.Bool("reduced", ledger.Column(rows, func(r *PositionRow) variable { return r.Reduced })),
		fraction:   t.Bits("fraction", fractionBits, ledger.Column(rows, func(r *PositionRow) variable { return r.Fraction })),
		winner:     t.Field("winner", ledger.Column(rows, func(r *PositionRow) variable { return r.Winner })),
		sliced:     t.Bits("sliced", ledger.SizeBits, ledger.Column(rows, func(r *PositionRow) variable { return r.Sliced })),
		rest:       t.Bits("rest", fractionBits, ledger.Column(rows, func(r *PositionRow) variable { return r.Rest })),
	}
	for side, name := range sideNames {
		p.long[side] = t.Bits(name+" long", ledger.SizeBits, ledger.Column(rows, func(r *PositionRow) variable { return r.Sides[side].Long }))
		p.short[side] = t.Bits(name+" short", ledger.SizeBits, ledger.Column(rows, func(r *PositionRow) variable { return r.Sides[side].Short }))
		p.digest[side] = t.Field(name+" digest", ledger.Column(rows, func(r *PositionRow) variable { return r.Sides[side].Digest }))
	}
	for k, lanes := range plan.Lanes {
		p.risk = append(p.risk, t.Packed(fmt.Sprintf("risk[%d]", k), lanes, ledger.Column(rows, func(r *PositionRow) variable { return r.Risk[k] })))
	}
	return p
}

func (p *positionTable) size(side, j int) argument.Expr {
	return p.long[side][j].Minus(p.short[side][j])
}

func (b *builder) statePositions() {
	for _, part := range []struct {
		group string
		state func(j int)
	}{
		{"positions: long and short parts", b.statePositionParts}, {"positions: digests", b.statePositionDigests}, {"positions: settled", b.stateSettled},
		{"positions: slices and moves", b.statePositionMoves}, {"positions: reduced", b.stateReduced}, {"positions: risk", b.statePositionRisk},
	} {
		b.l.Group(part.group)
		for j := range b.positions.used {
			part.state(j)
		}
	}
}

// lots is the magnitude of a size.
func (p *positionTable) lots(side, j int) argument.Expr {
	return p.long[side][j].Plus(p.short[side][j])
}

// statePositionParts is item 2.
func (b *builder) statePositionParts(j int) {
	p, l := &b.positions, b.l
	l.AssertZeroIf(p.wasShort[j], p.long[before][j])
	l.AssertZeroIf(p.wasShort[j].Not(), p.short[before][j])
	l.AssertProduct(p.long[after][j], p.short[after][j], l.Const(0))
	l.AssertZeroIf(p.used[j].Not(), p.lots(before, j).Plus(p.lots(after, j)))
}

// stateSettled is item 5.
func (b *builder) stateSettled(j int) {
	p, l := &b.positions, b.l
	l.AssertZeroIf(p.settled[j], p.lots(after, j))
	b.ties.cash.Add(l.Tuple(p.account[j]), p.size(before, j), l.Tuple(p.risk[ledger.LanePayout][j]))
}

// statePositionMoves is items 6 and 7.
func (b *builder) statePositionMoves(j int) {
	p, l := &b.positions, b.l
	b.ties.sales.Require(p.used[j], l.Tuple(p.account[j], p.fraction[j], p.winner[j]))
	whole := l.Const(ledger.BpsInWhole)
	forSale := p.settled[j].Not().Times(p.lots(before, j))
	l.AssertProduct(forSale, p.fraction[j], p.sliced[j].Times(whole).Plus(p.rest[j]))
	l.AssertBits(whole.Minus(l.Const(1)).Minus(p.rest[j]), fractionBits)
	slice := l.Const(1).Minus(p.wasShort[j].Scaled(2)).Times(p.sliced[j])
	b.ties.moves.Add(l.Tuple(p.winner[j], p.instrument[j]), l.Const(1), l.Tuple(slice))
	b.ties.moves.Hold(j, l.Tuple(p.size(after, j).Minus(p.size(before, j)).Plus(slice, p.settled[j].Times(p.size(before, j)))))
}

// stateReduced is item 8.
func (b *builder) stateReduced(j int) {
	p, l := &b.positions, b.l
	long, short := p.long[after][j], p.short[after][j]
	crossed := short.Plus(p.wasShort[j].Times(long.Minus(short))) // lots on the side where the old size was not
	l.AssertProduct(p.reduced[j], crossed, l.Const(0))
	l.AssertNotNegative(p.reduced[j].Times(p.lots(before, j).Minus(p.lots(after, j))))
	b.ties.reduced.Provide(p.reduced[j], l.Tuple(p.account[j], p.instrument[j]))
}

// statePositionDigests is item 3.
func (b *builder) statePositionDigests(j int) {
	p, l, api := &b.positions, b.l, b.api
	empty := ledger.ToBig(ledger.EmptyPositions())
	for side := range sideNames {
		var previous variable = empty
		if j > 0 {
			previous = api.Select(p.continues[j].Raw(), p.digest[side][j-1].Raw(), empty)
		}
		size := p.size(side, j)
		folded := ledger.FoldPosition(l, previous, p.instrument[j], size)
		l.AssertIs(p.digest[side][j], api.Select(api.IsZero(size.Raw()), previous, folded))
	}
	last := p.used[j]
	if j+1 < len(p.used) {
		last = last.Minus(p.continues[j+1]) // 0 or 1: a row that continues follows a used one
	}
	b.ties.digests.Put(last, p.account[j], p.digest[before][j], p.digest[after][j])
}

// statePositionRisk is items 4 and 9.
func (b *builder) statePositionRisk(j int) {
	p, l := &b.positions, b.l
	var row []argument.Expr
	for k := range p.risk {
		row = append(row, p.risk[k][j])
	}
	weights := ledger.Weigh(l, row)
	key := append([]argument.Expr{p.used[j], p.instrument[j], p.tableRow[j], p.settled[j]}, row[ledger.LaneLong:]...)
	b.ties.riskRows.Require(l.Const(1), l.Tuple(key...).Then(weights.Risk))
	account := l.Tuple(p.account[j])
	for side := range sideNames {
		b.ties.risk[side].Add(account, p.long[side][j], p.short[side][j], weights)
	}
}
