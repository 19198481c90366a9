package batch

import "math/big"

// totals are the sums over the position rows of one side of an account.
type totals struct {
	value, linear, chargeIM, chargeMM, shortOptions, loss *big.Int
	scenarios                                             []*big.Int
}

func (f *filler) totals(account *big.Int, side int) *totals {
	t := &totals{value: new(big.Int), linear: new(big.Int), chargeIM: new(big.Int), chargeMM: new(big.Int), shortOptions: new(big.Int),
		loss: new(big.Int), scenarios: make([]*big.Int, Scenarios)}
	for s := range t.scenarios {
		t.scenarios[s] = new(big.Int)
	}
	for j := range f.w.Positions {
		p := &f.w.Positions[j]
		if p.Account.Cmp(account) == 0 {
			t.add(p.size(side), f.instrument(p.Instrument))
		}
	}
	for _, sum := range t.scenarios {
		if loss := new(big.Int).Neg(sum); loss.Cmp(t.loss) > 0 {
			t.loss = loss
		}
	}
	return t
}

func (t *totals) add(size *big.Int, r *Instrument) {
	accumulate := func(sum, a, b *big.Int) { sum.Add(sum, new(big.Int).Mul(a, b)) }
	long, short := parts(size)
	accumulate(t.value, size, r.Value)
	if r.Linear.Sign() != 0 {
		accumulate(t.linear, size, r.Value)
	} else {
		accumulate(t.shortOptions, short, r.Value)
	}
	accumulate(t.chargeIM, long, r.LongIM)
	accumulate(t.chargeIM, short, r.ShortIM)
	accumulate(t.chargeMM, long, r.LongMM)
	accumulate(t.chargeMM, short, r.ShortMM)
	for s, sum := range t.scenarios {
		accumulate(sum, size, r.Deltas[s])
	}
}

// judged is what the rules compare, as standing in margin.go.
type judged struct {
	equity, initial, maintenance, room [2]*big.Int
	settled                            *big.Int
}

func (j *judged) below() bool { return j.equity[before].Cmp(j.maintenance[before]) < 0 }

// fillMargin fills the totals of both sides of an account row.
func (f *filler) fillMargin(row *AccountRow, r *Account, d *dealings) *judged {
	scale, j := big.NewInt(bpsInWhole), &judged{}
	for side := range sideNames {
		t := f.totals(r.ID, side)
		m := MarginFields{Value: t.value, LinearValue: t.linear, ScanLoss: t.loss, ChargeIM: t.chargeIM, ChargeMM: t.chargeMM, ShortOptions: t.shortOptions}
		for s := range m.Surplus {
			m.Surplus[s] = new(big.Int).Add(t.loss, t.scenarios[s])
		}
		row.Margin[side] = m
		cash := r.New.Cash
		if side == before {
			cash = new(big.Int).Add(r.Old.Cash, d.deposits)
		}
		j.equity[side] = new(big.Int).Mul(new(big.Int).Add(cash, t.value), scale)
		requirement := func(k, charge *big.Int) *big.Int {
			return new(big.Int).Add(new(big.Int).Mul(k, t.loss), new(big.Int).Mul(charge, scale))
		}
		j.initial[side], j.maintenance[side] = requirement(f.w.Header.KIm, t.chargeIM), requirement(f.w.Header.KMm, t.chargeMM)
		j.room[side] = new(big.Int).Sub(j.equity[side], j.initial[side])
		j.settled = new(big.Int).Sub(new(big.Int).Add(cash, t.linear), t.shortOptions) // of the new side in the end
	}
	return j
}

// fillRule picks the rule that an account row passes; if none does, the solver refuses whichever it is.
func fillRule(row *AccountRow, j *judged, used bool, d *dealings) {
	row.RuleA, row.RuleB, row.RuleC = 0, 0, 0
	switch {
	case !used || d.seized:
	case !d.hasPositions && !d.empty:
		row.RuleC = 1
	case j.room[after].Sign() >= 0:
		row.RuleA = 1
	case j.room[after].Cmp(j.room[before]) >= 0 && j.equity[after].Cmp(j.maintenance[after]) >= 0:
		row.RuleB = 1
	case j.equity[after].Cmp(j.equity[before]) >= 0 && j.initial[after].Cmp(j.initial[before]) <= 0:
		row.RuleC = 1
	default:
		row.RuleA = 1
	}
}
