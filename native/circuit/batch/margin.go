package batch

import (
	"fmt"

	"straddle/native/circuit/argument"
)

// The margin rule proves, for every account row, with the totals of its position rows on both sides of the batch:
//  1. equity = cash + value; deposits of the batch count on the old side too.
//  2. The scan loss is exact on both sides: every surplus[s] = L + acc[s] is >= 0, L >= 0, and L * prod surplus[s] = 0.
//  3. 10^4 IM = k_im L + 10^4 C_im, 10^4 MM = k_mm L + 10^4 C_mm, settled = cash + linear value - value of options short.
//  4. Exactly one of the rules holds: (a) equity >= IM; (b) equity - IM not lowered and new equity >= new MM; (c) equity not lowered, IM not raised; or
//     the account is `seized`: equity - IM not lowered, and what auctions.go adds.
//  5. An account that acts passes (a); one that pays for its action has new settled cash >= 0 (with forced payments: forced.go).

// MarginFields are the totals of one side of an account.
type MarginFields struct {
	Value, LinearValue variable            // of all positions, of the linear ones
	ScanLoss           variable            // L
	Surplus            [Scenarios]variable // L + acc[s], acc[s] = sum of size * delta[s]
	ChargeIM, ChargeMM variable
	ShortOptions       variable // value of the options held short
}

type marginColumns struct {
	value, linearValue, scanLoss     argument.Column
	surplus                          [Scenarios]argument.Column
	chargeIM, chargeMM, shortOptions argument.Column
}

func allocateMargin(t *argument.Table, plan riskPlan, rows []AccountRow, side int) marginColumns {
	values := func(get func(*MarginFields) variable) []variable {
		return column(rows, func(r *AccountRow) variable { return get(&r.Margin[side]) })
	}
	signed := func(name string, get func(*MarginFields) variable) argument.Column {
		return t.Signed(sideNames[side]+" "+name, plan.totalBits+1, values(get))
	}
	number := func(name string, bits int, get func(*MarginFields) variable) argument.Column {
		return t.Bits(sideNames[side]+" "+name, bits, values(get))
	}
	m := marginColumns{
		value:        signed("value", func(f *MarginFields) variable { return f.Value }),
		linearValue:  signed("linear_value", func(f *MarginFields) variable { return f.LinearValue }),
		scanLoss:     number("scan_loss", plan.totalBits, func(f *MarginFields) variable { return f.ScanLoss }),
		chargeIM:     number("charge_im", plan.totalBits, func(f *MarginFields) variable { return f.ChargeIM }),
		chargeMM:     number("charge_mm", plan.totalBits, func(f *MarginFields) variable { return f.ChargeMM }),
		shortOptions: signed("short_options", func(f *MarginFields) variable { return f.ShortOptions }),
	}
	for s := range m.surplus {
		m.surplus[s] = number(fmt.Sprintf("surplus[%d]", s), plan.totalBits+1, func(f *MarginFields) variable { return f.Surplus[s] })
	}
	return m
}

// standing is what the rules compare: money times 10^4 of both sides of a row, but for settled, in micro-dollars of the new side.
type standing struct {
	equity, initial, maintenance, room [2]argument.Expr // room = equity - initial
	settled                            argument.Expr
}

func (b *builder) stateMargin() []standing {
	b.l.Group("margin: totals")
	for side := range sideNames {
		for i := range b.accounts.used {
			b.stateMarginTotals(side, i)
		}
	}
	b.l.Group("margin: exact scan loss")
	for side := range sideNames {
		for i := range b.accounts.used {
			product := b.accounts.margin[side].scanLoss[i].Raw()
			for s := range Scenarios {
				product = b.api.Mul(product, b.accounts.margin[side].surplus[s][i].Raw())
			}
			b.api.AssertIsEqual(product, 0)
		}
	}
	b.l.Group("margin: rule")
	standings := make([]standing, len(b.accounts.used))
	for i := range standings {
		standings[i] = b.judge(i)
		b.stateMarginRule(i, &standings[i])
	}
	return standings
}

// stateMarginTotals ties the totals of one side of row i to the position rows.
func (b *builder) stateMarginTotals(side, i int) {
	m, l := &b.accounts.margin[side], b.l
	totals := []argument.Expr{l.Pack(b.plan.lanes[laneValues], m.value[i], m.linearValue[i])}
	loss := m.scanLoss[i]
	for s := 0; s < Scenarios; s += deltasALane {
		totals = append(totals, l.Pack(b.plan.lanes[laneDeltas], m.surplus[s][i].Minus(loss), m.surplus[s+1][i].Minus(loss)))
	}
	b.ties.riskTotals[side].Hold(i, l.Tuple(totals...))
	b.ties.chargeTotals[side].Hold(i, l.Tuple(l.Pack(b.plan.lanes[laneLong], m.chargeIM[i], m.chargeMM[i]), m.shortOptions[i]))
}

// judge is items 1 and 3.
func (b *builder) judge(i int) standing {
	t, h := &b.accounts, &b.header
	var j standing
	for side := range sideNames {
		m := &t.margin[side]
		cash := t.sides[side].cash[i]
		if side == before {
			cash = cash.Plus(t.deposits[i])
		}
		j.equity[side] = cash.Plus(m.value[i]).Scaled(bpsInWhole)
		j.initial[side] = h.kIm.Times(m.scanLoss[i]).Plus(m.chargeIM[i].Scaled(bpsInWhole))
		j.maintenance[side] = h.kMm.Times(m.scanLoss[i]).Plus(m.chargeMM[i].Scaled(bpsInWhole))
		j.room[side] = j.equity[side].Minus(j.initial[side])
	}
	j.settled = t.sides[after].cash[i].Plus(t.margin[after].linearValue[i]).Minus(t.margin[after].shortOptions[i])
	return j
}

// stateMarginRule is items 4 and 5. Only one of the flags is 1, so that one check serves all rules.
func (b *builder) stateMarginRule(i int, j *standing) {
	t, l := &b.accounts, b.l
	seized := t.seizure.seized[i]
	l.AssertEqual(t.ruleA[i].Plus(t.ruleB[i], t.ruleC[i], seized), t.used[i])
	l.AssertNotNegative(t.ruleA[i].Times(j.room[after]).Plus(
		t.ruleB[i].Plus(seized).Times(j.room[after].Minus(j.room[before])), t.ruleC[i].Times(j.equity[after].Minus(j.equity[before]))))
	l.AssertNotNegative(t.ruleB[i].Times(j.equity[after].Minus(j.maintenance[after])).Plus(
		t.ruleC[i].Times(j.initial[before].Minus(j.initial[after]))))
	l.AssertZeroIf(t.acting[i], t.ruleA[i].Not())
	b.ties.covered.Provide(t.ruleA[i], l.Tuple(t.id[i]))
}
