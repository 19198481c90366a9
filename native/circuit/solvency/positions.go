package solvency

import (
	"fmt"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Positions prove:
//  1. Used rows come first and ascend strictly by (account, instrument), neither of them 0.
//  2. The size is long - short, both of 40 bits, one of them 0, not both; both are 0 in an unused row.
//  3. The digest, restarted at each account, reaches the account's row from its last position row: so each used row belongs to an account of the chunk.
//  4. The packed value, deltas and charges are those of the instrument row; only an unused row has those of instrument 0.
//  5. Sizes times values, deltas and charges add up to the totals of the account row, sizes to the net of the instrument row.

// PositionRow is one position of an account of the chunk.
type PositionRow struct {
	Used, Account, Instrument variable
	Continues                 variable // same account as the row before
	Long, Short, Digest       variable
	Risk                      []variable // the instrument's row, packed
}

type positionTable struct {
	table                                *argument.Table
	used, account, instrument, continues argument.Column
	long, short, digest                  argument.Column
	risk                                 []argument.Column
}

func allocatePositions(l *argument.Layer, plan ledger.RiskPlan, rows []PositionRow) positionTable {
	t := l.Table("positions", len(rows))
	values := func(get func(*PositionRow) variable) []variable { return ledger.Column(rows, get) }
	p := positionTable{
		table: t, used: t.Bool("used", values(func(r *PositionRow) variable { return r.Used })),
		account:    t.Bits("account", accountBits, values(func(r *PositionRow) variable { return r.Account })),
		instrument: t.Bits("instrument", 32, values(func(r *PositionRow) variable { return r.Instrument })),
		continues:  t.Bool("continues", values(func(r *PositionRow) variable { return r.Continues })),
		long:       t.Bits("long", ledger.SizeBits, values(func(r *PositionRow) variable { return r.Long })),
		short:      t.Bits("short", ledger.SizeBits, values(func(r *PositionRow) variable { return r.Short })),
		digest:     t.Field("digest", values(func(r *PositionRow) variable { return r.Digest })),
	}
	for k, lanes := range plan.Lanes {
		p.risk = append(p.risk, t.Packed(fmt.Sprintf("risk[%d]", k), lanes, values(func(r *PositionRow) variable { return r.Risk[k] })))
	}
	return p
}

func (b *builder) statePositions() {
	for _, part := range []struct {
		group string
		state func(j int)
	}{
		{"positions: sizes", b.statePositionSize}, {"positions: digests", b.statePositionDigest}, {"positions: risk", b.statePositionRisk},
	} {
		b.l.Group(part.group)
		for j := range b.positions.used {
			part.state(j)
		}
	}
}

// statePositionSize is item 2.
func (b *builder) statePositionSize(j int) {
	p, l := &b.positions, b.l
	lots := p.long[j].Plus(p.short[j])
	l.AssertProduct(p.long[j], p.short[j], l.Const(0))
	l.AssertZeroIf(p.used[j].Not(), lots)
	l.AssertNotNegative(lots.Minus(p.used[j]))
}

// statePositionDigest is item 3. The digest of an unused row reaches nobody.
func (b *builder) statePositionDigest(j int) {
	p, l := &b.positions, b.l
	var previous variable = ledger.ToBig(ledger.EmptyPositions())
	if j > 0 {
		previous = b.api.Select(p.continues[j].Raw(), p.digest[j-1].Raw(), previous)
	}
	l.AssertIs(p.digest[j], ledger.FoldPosition(l, previous, p.instrument[j], p.long[j].Minus(p.short[j])))
	last := p.used[j]
	if j+1 < len(p.used) {
		last = last.Minus(p.continues[j+1]) // 0 or 1: a row that continues follows a used one
	}
	b.digests.Put(last, p.account[j], p.digest[j])
}

// statePositionRisk is items 4 and 5. An unused row adds a size of 0, to whatever key.
func (b *builder) statePositionRisk(j int) {
	p, l := &b.positions, b.l
	var row []argument.Expr
	for k := range p.risk {
		row = append(row, p.risk[k][j])
	}
	weights := ledger.Weigh(l, row)
	b.riskRows.Require(l.Const(1), riskKey(l, p.used[j], p.instrument[j], row).Then(weights.Risk))
	b.risk.Add(l.Tuple(p.account[j].Minus(b.base())), p.long[j], p.short[j], weights)
	b.netSizes.Add(l.Tuple(p.instrument[j]), l.Const(1), l.Tuple(p.long[j].Minus(p.short[j])))
}

// riskKey and riskWeights are the two parts of what a position row looks up.
func riskKey(l *argument.Layer, used, instrument argument.Expr, row []argument.Expr) *argument.Tuple {
	return l.Tuple(append([]argument.Expr{used, instrument}, row[ledger.LaneLong:]...)...)
}

func riskWeights(row []argument.Expr) []argument.Expr { return row[:ledger.LaneLong] }
