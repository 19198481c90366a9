package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Instruments prove:
//  1. Used rows come first and their ids ascend strictly from 1 up.
//  2. Every field has its width.
//  3. The rows, from the new listings root on, hash to the risk root that the oracles signed.
//  4. They are what position rows look up; an unused position row finds instrument 0, all zeros, and a used one does not.
//  5. Quotes are those of instruments (`tradable`) that expire after the batch's time. A settled one has expired; settlement words declare its value.

func (b *builder) stateInstruments() {
	t, l := &b.instruments, b.l
	l.Group("instruments: risk root")
	l.AssertIs(b.header.riskRoot, t.RiskRoot(l, b.header.listingsRoot[after].Raw()))

	l.Group("instruments: settled or tradable")
	one := l.Const(1)
	for i, used := range t.Used {
		settled, tradable := t.Settled[i], t.Tradable[i]
		l.AssertZeroIf(used.Not(), settled.Plus(tradable))
		age := b.header.timeMs.Minus(t.ExpiryMs[i])
		l.AssertNotNegative(settled.Times(age).Minus(tradable.Times(age.Plus(one)))) // -1 where both are set
		b.ties.settlements.Provide(settled, l.Tuple(t.ID[i], t.Value[i]))
		b.ties.quotes.Provide(tradable, l.Tuple(t.ID[i], t.Value[i].Plus(t.Funding[i]), t.Funding[i], t.Band[i]))
	}
	l.Group("instruments: looked up")
	for i, used := range t.Used {
		row := b.plan.Pack(l, t, i)
		key := append([]argument.Expr{one, t.ID[i], l.Const(i + 1), t.Settled[i]}, row[ledger.LaneLong:]...)
		b.ties.riskRows.Provide(used, l.Tuple(key...).Then(l.Tuple(row[:ledger.LaneLong]...)))
	}
	null := make([]argument.Expr, 4+ledger.LaneCount)
	for k := range null {
		null[k] = l.Const(0)
	}
	b.ties.riskRows.Provide(one, l.Tuple(null...))
}
