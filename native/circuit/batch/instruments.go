package batch

import (
	"fmt"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
)

// Instruments prove:
//  1. Used rows come first and their ids ascend strictly from 1 up.
//  2. Every field has its width.
//  3. The rows, from the new listings root on, hash to the risk root that the oracles signed.
//  4. They are what position rows look up; an unused position row finds instrument 0, all zeros, and a used one does not.
//  5. Quotes are those of instruments (`tradable`) that expire after the batch's time. A settled one has expired; settlement words declare its value.

// InstrumentRow is one row of the risk table.
type InstrumentRow struct {
	Used, ID, ExpiryMs, Linear, Settled, Tradable variable
	Value, Funding, Band                          variable
	LongIM, LongMM, ShortIM, ShortMM              variable
	Deltas                                        [Scenarios]variable
}

type instrumentTable struct {
	table                                         *argument.Table
	used, id, expiryMs, linear, settled, tradable argument.Column
	value, funding, band                          argument.Column
	longIM, longMM, shortIM, shortMM              argument.Column
	deltas                                        [Scenarios]argument.Column
}

func allocateInstruments(l *argument.Layer, rows []InstrumentRow) instrumentTable {
	t := l.Table("instruments", len(rows))
	charge := func(name string, get func(*InstrumentRow) variable) argument.Column {
		return t.Bits(name, weightBits, column(rows, get))
	}
	signed := func(name string, get func(*InstrumentRow) variable) argument.Column {
		return t.Signed(name, weightBits+1, column(rows, get))
	}
	it := instrumentTable{
		table: t, used: t.Bool("used", column(rows, func(r *InstrumentRow) variable { return r.Used })),
		id:       t.Bits("id", 32, column(rows, func(r *InstrumentRow) variable { return r.ID })),
		expiryMs: t.Bits("expiry_ms", 48, column(rows, func(r *InstrumentRow) variable { return r.ExpiryMs })),
		linear:   t.Bool("linear", column(rows, func(r *InstrumentRow) variable { return r.Linear })),
		settled:  t.Bool("settled", column(rows, func(r *InstrumentRow) variable { return r.Settled })),
		tradable: t.Bool("tradable", column(rows, func(r *InstrumentRow) variable { return r.Tradable })),
		value:    signed("value", func(r *InstrumentRow) variable { return r.Value }),
		funding:  signed("funding", func(r *InstrumentRow) variable { return r.Funding }),
		band:     charge("band", func(r *InstrumentRow) variable { return r.Band }),
		longIM:   charge("long_im", func(r *InstrumentRow) variable { return r.LongIM }),
		longMM:   charge("long_mm", func(r *InstrumentRow) variable { return r.LongMM }),
		shortIM:  charge("short_im", func(r *InstrumentRow) variable { return r.ShortIM }),
		shortMM:  charge("short_mm", func(r *InstrumentRow) variable { return r.ShortMM }),
	}
	for s := range it.deltas {
		it.deltas[s] = signed(fmt.Sprintf("delta[%d]", s), func(r *InstrumentRow) variable { return r.Deltas[s] })
	}
	return it
}

func (b *builder) stateInstruments() {
	t, l := &b.instruments, b.l
	l.Group("instruments: risk root")
	root := b.header.listingsRoot[after].Raw()
	for i, used := range t.used {
		words := append([]variable{root}, t.words(l, i)...)
		root = b.api.Select(used.Raw(), poseidon.Sponge(b.api, "straddle.risk", words...), root)
	}
	l.AssertIs(b.header.riskRoot, root)

	l.Group("instruments: settled or tradable")
	one := l.Const(1)
	for i, used := range t.used {
		settled, tradable := t.settled[i], t.tradable[i]
		l.AssertZeroIf(used.Not(), settled.Plus(tradable))
		age := b.header.timeMs.Minus(t.expiryMs[i])
		l.AssertNotNegative(settled.Times(age).Minus(tradable.Times(age.Plus(one)))) // -1 where both are set
		b.ties.settlements.Provide(settled, l.Tuple(t.id[i], t.value[i]))
		b.ties.quotes.Provide(tradable, l.Tuple(t.id[i], t.value[i].Plus(t.funding[i]), t.funding[i], t.band[i]))
	}
	l.Group("instruments: looked up")
	for i, used := range t.used {
		row := t.risk(l, b.plan, i)
		key := append([]argument.Expr{one, t.id[i], l.Const(i + 1), t.settled[i]}, row[laneLong:]...)
		b.ties.riskRows.Provide(used, l.Tuple(key...).Then(l.Tuple(row[:laneLong]...)))
	}
	null := make([]argument.Expr, 4+laneCount)
	for k := range null {
		null[k] = l.Const(0)
	}
	b.ties.riskRows.Provide(one, l.Tuple(null...))
}

// words are w0 .. w9 of docs/protocol/risk.md.
func (t *instrumentTable) words(l *argument.Layer, i int) []variable {
	half := l.Const(1).Shifted(weightBits)
	words := []variable{
		t.id[i].Plus(t.expiryMs[i].Shifted(32), t.linear[i].Shifted(80), t.settled[i].Shifted(81), t.value[i].Plus(half).Shifted(88),
			t.funding[i].Plus(half).Shifted(128), t.band[i].Shifted(168)).Raw(),
		t.longIM[i].Plus(t.longMM[i].Shifted(40), t.shortIM[i].Shifted(80), t.shortMM[i].Shifted(120)).Raw(),
	}
	const deltasAWord, deltaBits = 6, 40
	for s := 0; s < Scenarios; s += deltasAWord {
		word := l.Const(0)
		for k := range deltasAWord {
			word = word.Plus(t.deltas[s+k][i].Plus(half).Shifted(deltaBits * k))
		}
		words = append(words, word.Raw())
	}
	return words
}

// risk packs row i as position rows carry it.
func (t *instrumentTable) risk(l *argument.Layer, plan riskPlan, i int) []argument.Expr {
	linear := t.linear[i].Times(t.value[i])
	row := []argument.Expr{l.Pack(plan.lanes[laneValues], t.value[i], linear)}
	for s := 0; s < Scenarios; s += deltasALane {
		row = append(row, l.Pack(plan.lanes[laneDeltas], t.deltas[s][i], t.deltas[s+1][i]))
	}
	return append(row, l.Pack(plan.lanes[laneLong], t.longIM[i], t.longMM[i]), l.Pack(plan.lanes[laneShort], t.shortIM[i], t.shortMM[i]),
		l.Pack(plan.lanes[laneOption], t.linear[i].Not().Times(t.value[i])),
		l.Pack(plan.lanes[lanePayout], t.settled[i].Times(t.value[i])))
}
