package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// The margin rule proves, for every account row, with the totals of its position rows on both sides of the batch:
//  1. equity = cash + value; deposits of the batch count on the old side too.
//  2. The scan loss is exact on both sides: every surplus[s] = L + acc[s] is >= 0, L >= 0, and L * prod surplus[s] = 0.
//  3. 10^4 IM = k_im L + 10^4 C_im, 10^4 MM = k_mm L + 10^4 C_mm, settled = cash + linear value - value of options short.
//  4. Exactly one of the rules holds: (a) equity >= IM; (b) equity - IM not lowered and new equity >= new MM; (c) equity not lowered, IM not raised; or
//     the account is `seized`: equity - IM not lowered, and what auctions.go adds.
//  5. An account that acts passes (a); one that pays for its action has new settled cash >= 0 (with forced payments: forced.go).

// standing is what the rules compare: money times 10^4 of both sides of a row, but for settled, in micro-dollars of the new side.
type standing struct {
	equity, initial, maintenance, room [2]argument.Expr // room = equity - initial
	settled                            argument.Expr
}

func (b *builder) stateMargin() []standing {
	b.l.Group("margin: totals")
	for side := range sideNames {
		for i := range b.accounts.used {
			b.ties.risk[side].Hold(b.l, b.plan, &b.accounts.margin[side], i)
		}
	}
	b.l.Group("margin: exact scan loss")
	for side := range sideNames {
		for i := range b.accounts.used {
			b.accounts.margin[side].StateExactScanLoss(b.api, i)
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

// judge is items 1 and 3.
func (b *builder) judge(i int) standing {
	t, h := &b.accounts, &b.header
	var j standing
	for side := range sideNames {
		m := &t.margin[side]
		cash := t.sides[side].Cash[i]
		if side == before {
			cash = cash.Plus(t.deposits[i])
		}
		j.equity[side] = cash.Plus(m.Value[i]).Scaled(ledger.BpsInWhole)
		j.initial[side] = h.kIm.Times(m.ScanLoss[i]).Plus(m.ChargeIM[i].Scaled(ledger.BpsInWhole))
		j.maintenance[side] = h.kMm.Times(m.ScanLoss[i]).Plus(m.ChargeMM[i].Scaled(ledger.BpsInWhole))
		j.room[side] = j.equity[side].Minus(j.initial[side])
	}
	j.settled = t.sides[after].Cash[i].Plus(t.margin[after].LinearValue[i]).Minus(t.margin[after].ShortOptions[i])
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
