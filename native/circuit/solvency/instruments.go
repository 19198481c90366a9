package solvency

import "straddle/native/circuit/argument"

// Instruments prove:
//  1. Used rows come first, their ids ascend strictly from 1 up, every field has its width; an unused row is neither settled nor tradable.
//  2. The rows, from the state's listings root on, hash to the risk root.
//  3. They are what position rows look up; an unused position row finds instrument 0, all zeros, and a used one does not.
//  4. net is the sum of the sizes in the row's instrument, within 56 bits.

const netBits = 56

func (b *builder) stateInstruments() {
	t, l := &b.instruments, b.l
	l.Group("instruments: risk root")
	l.AssertIs(b.header.riskRoot, t.RiskRoot(l, b.header.listingsRoot.Raw()))

	l.Group("instruments: unused rows")
	for i, used := range t.Used {
		l.AssertZeroIf(used.Not(), t.Settled[i])
		l.AssertZero(t.Tradable[i]) // nothing is traded here
	}
	l.Group("instruments: looked up")
	for i, used := range t.Used {
		row := b.plan.Pack(l, t, i)
		b.riskRows.Provide(used, riskKey(l, l.Const(1), t.ID[i], row).Then(l.Tuple(riskWeights(row)...)))
		b.netSizes.Hold(i, l.Tuple(b.nets[i]))
	}
	null := make([]argument.Expr, len(b.plan.Lanes))
	for k := range null {
		null[k] = l.Const(0)
	}
	b.riskRows.Provide(l.Const(1), riskKey(l, l.Const(0), l.Const(0), null).Then(l.Tuple(riskWeights(null)...)))
}
