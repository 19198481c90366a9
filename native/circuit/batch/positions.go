package batch

import (
	"fmt"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
)

// Positions prove:
//  1. Used rows come first and ascend strictly by (account, instrument); an unused row has account, instrument and both sizes 0.
//  2. Old and new sizes lie within +-(2^40 - 1): each is long - short, both of 40 bits, one of them 0.
//  3. The digests of both sides, restarted at each account, zero sizes skipped, are those of the account row.
//  4. The packed value, deltas and charges are those of the instrument row; only an unused row has those of instrument 0.
//  5. new - old is the sum of the fills of (account, instrument).
//  6. Values, deltas and charges times the sizes add up to the totals of the account row, on both sides.
//  7. Every used row belongs to a used account row (by 3: its digest is taken there).

// SideFields is one side of a position: size = long - short.
type SideFields struct{ Long, Short, Digest variable }

// PositionRow is one position of a touched account.
type PositionRow struct {
	Used, Account, Instrument variable
	Continues                 variable // same account as the row before
	Sides                     [2]SideFields
	Risk                      []variable // the instrument's row, packed
}

type positionTable struct {
	table                                *argument.Table
	used, account, instrument, continues argument.Column
	long, short, digest                  [2]argument.Column
	risk                                 []argument.Column
}

func allocatePositions(l *argument.Layer, plan riskPlan, rows []PositionRow) positionTable {
	t := l.Table("positions", len(rows))
	p := positionTable{
		table: t, used: t.Bool("used", column(rows, func(r *PositionRow) variable { return r.Used })),
		account:    t.Bits("account", 32, column(rows, func(r *PositionRow) variable { return r.Account })),
		instrument: t.Bits("instrument", 32, column(rows, func(r *PositionRow) variable { return r.Instrument })),
		continues:  t.Bool("continues", column(rows, func(r *PositionRow) variable { return r.Continues })),
	}
	for side, name := range sideNames {
		p.long[side] = t.Bits(name+" long", sizeBits, column(rows, func(r *PositionRow) variable { return r.Sides[side].Long }))
		p.short[side] = t.Bits(name+" short", sizeBits, column(rows, func(r *PositionRow) variable { return r.Sides[side].Short }))
		p.digest[side] = t.Field(name+" digest", column(rows, func(r *PositionRow) variable { return r.Sides[side].Digest }))
	}
	for k, lanes := range plan.lanes {
		p.risk = append(p.risk, t.Packed(fmt.Sprintf("risk[%d]", k), lanes, column(rows, func(r *PositionRow) variable { return r.Risk[k] })))
	}
	return p
}

func (p *positionTable) size(side, j int) argument.Expr {
	return p.long[side][j].Minus(p.short[side][j])
}

func (b *builder) statePositions() {
	p, l := &b.positions, b.l
	l.Group("positions: long and short parts")
	for j, used := range p.used {
		for side := range sideNames {
			l.AssertZero(p.long[side][j].Times(p.short[side][j]))
			l.AssertZeroIf(used.Not(), p.long[side][j].Plus(p.short[side][j]))
		}
	}
	b.statePositionDigests()
	l.Group("positions: moves")
	for j := range p.used {
		b.ties.moves.Hold(j, l.Tuple(p.size(after, j).Minus(p.size(before, j))))
	}
	l.Group("positions: risk")
	for j := range p.used {
		b.statePositionRisk(j)
	}
}

// statePositionDigests is item 3.
func (b *builder) statePositionDigests() {
	b.l.Group("positions: digests")
	p, l, api := &b.positions, b.l, b.api
	empty := toBig(emptyPositions())
	for j, used := range p.used {
		for side := range sideNames {
			var previous variable = empty
			if j > 0 {
				previous = api.Select(p.continues[j].Raw(), p.digest[side][j-1].Raw(), empty)
			}
			size := p.size(side, j)
			word := p.instrument[j].Plus(size.Plus(l.Const(1).Shifted(sizeBits)).Shifted(32))
			folded := poseidon.Compress(api, previous, word.Raw())
			l.AssertIs(p.digest[side][j], api.Select(api.IsZero(size.Raw()), previous, folded))
		}
		last := used
		if j+1 < len(p.used) {
			last = used.Minus(p.continues[j+1]) // 0 or 1: a row that continues follows a used one
		}
		b.ties.digests.Put(last, p.account[j], p.digest[before][j], p.digest[after][j])
	}
}

// statePositionRisk is items 4 and 6.
func (b *builder) statePositionRisk(j int) {
	p, l := &b.positions, b.l
	var row []argument.Expr
	for k := range p.risk {
		row = append(row, p.risk[k][j])
	}
	weights := l.Tuple(row[:laneLong]...)
	b.ties.riskRows.Require(l.Const(1), l.Tuple(append([]argument.Expr{p.used[j], p.instrument[j]}, row[laneLong:]...)...).Then(weights))
	account := l.Tuple(p.account[j])
	long, short := l.Tuple(row[laneLong], l.Const(0)), l.Tuple(row[laneShort], row[laneOption])
	for side := range sideNames {
		b.ties.riskTotals[side].Add(account, p.size(side, j), weights)
		b.ties.chargeTotals[side].Add(account, p.long[side][j], long)
		b.ties.chargeTotals[side].Add(account, p.short[side][j], short)
	}
}
