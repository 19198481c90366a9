package batch

import (
	"math/big"

	"straddle/native/circuit/ledger"
)

// judged is what the rules compare, as standing in margin.go.
type judged struct {
	equity, initial, maintenance, room [2]*big.Int
	settled                            *big.Int
}

func (j *judged) below() bool { return j.equity[before].Cmp(j.maintenance[before]) < 0 }

// totals are the sums over the position rows of one side of an account.
func (f *filler) totals(account *big.Int, side int) *ledger.Totals {
	t := ledger.NewTotals()
	for j := range f.w.Positions {
		p := &f.w.Positions[j]
		if p.Account.Cmp(account) == 0 {
			t.Add(p.size(side), f.instruments.Get(p.Instrument))
		}
	}
	return t
}

// fillMargin fills the totals of both sides of an account row.
func (f *filler) fillMargin(row *AccountRow, r *Account, d *dealings) *judged {
	scale, j := big.NewInt(ledger.BpsInWhole), &judged{}
	for side := range sideNames {
		t := f.totals(r.ID, side)
		row.Margin[side] = t.Cells()
		cash := r.New.Cash
		if side == before {
			cash = new(big.Int).Add(r.Old.Cash, d.deposits)
		}
		j.equity[side] = new(big.Int).Mul(new(big.Int).Add(cash, t.Value), scale)
		j.initial[side], j.maintenance[side] = t.Requirement(f.w.Header.KIm, t.ChargeIM), t.Requirement(f.w.Header.KMm, t.ChargeMM)
		j.room[side] = new(big.Int).Sub(j.equity[side], j.initial[side])
		j.settled = new(big.Int).Sub(new(big.Int).Add(cash, t.Linear), t.ShortOptions) // of the new side in the end
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
