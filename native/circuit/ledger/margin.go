package ledger

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/argument"
)

// MarginFields are what an account's positions add up to.
type MarginFields struct {
	Value, LinearValue variable            // of all positions, of the linear ones
	ScanLoss           variable            // L
	Surplus            [Scenarios]variable // L + acc[s], acc[s] = sum of size * delta[s]
	ChargeIM, ChargeMM variable
	ShortOptions       variable // value of the options held short
}

// MarginColumns are the totals of a table's rows.
type MarginColumns struct {
	Value, LinearValue, ScanLoss     argument.Column
	Surplus                          [Scenarios]argument.Column
	ChargeIM, ChargeMM, ShortOptions argument.Column
}

// AllocateMargin makes the columns; prefix comes before their names.
func AllocateMargin[R any](t *argument.Table, plan RiskPlan, prefix string, rows []R, of func(*R) *MarginFields) MarginColumns {
	values := func(get func(*MarginFields) variable) []variable {
		return Column(rows, func(r *R) variable { return get(of(r)) })
	}
	signed := func(name string, get func(*MarginFields) variable) argument.Column {
		return t.Signed(prefix+name, plan.TotalBits+1, values(get))
	}
	number := func(name string, bits int, get func(*MarginFields) variable) argument.Column {
		return t.Bits(prefix+name, bits, values(get))
	}
	m := MarginColumns{
		Value:        signed("value", func(f *MarginFields) variable { return f.Value }),
		LinearValue:  signed("linear_value", func(f *MarginFields) variable { return f.LinearValue }),
		ScanLoss:     number("scan_loss", plan.TotalBits, func(f *MarginFields) variable { return f.ScanLoss }),
		ChargeIM:     number("charge_im", plan.TotalBits, func(f *MarginFields) variable { return f.ChargeIM }),
		ChargeMM:     number("charge_mm", plan.TotalBits, func(f *MarginFields) variable { return f.ChargeMM }),
		ShortOptions: signed("short_options", func(f *MarginFields) variable { return f.ShortOptions }),
	}
	for s := range m.Surplus {
		m.Surplus[s] = number(fmt.Sprintf("surplus[%d]", s), plan.TotalBits+1, func(f *MarginFields) variable { return f.Surplus[s] })
	}
	return m
}

// RiskTotals tie the totals of account rows to position rows: by account, sizes times values and deltas, and long and short parts times charges.
type RiskTotals struct{ risk, charges *argument.Total }

// NewRiskTotals makes the totals of a table of accounts; suffix ends their names.
func NewRiskTotals(l *argument.Layer, suffix string, accounts *argument.Table) RiskTotals {
	return RiskTotals{l.Total("risk totals"+suffix, accounts), l.Total("charge totals"+suffix, accounts)}
}

// Weights are the parts of a position's packed risk row that its size (Risk), its long and its short part multiply.
type Weights struct{ Risk, long, short *argument.Tuple }

// Weigh makes the weights of a packed risk row.
func Weigh(l *argument.Layer, row []argument.Expr) Weights {
	return Weights{l.Tuple(row[:LaneLong]...), l.Tuple(row[LaneLong], l.Const(0)), l.Tuple(row[LaneShort], row[LaneOption])}
}

// Add contributes a position.
func (r RiskTotals) Add(account *argument.Tuple, long, short argument.Expr, w Weights) {
	r.risk.Add(account, long.Minus(short), w.Risk)
	r.charges.Add(account, long, w.long)
	r.charges.Add(account, short, w.short)
}

// Hold says that the totals of row i are those of its cells.
func (r RiskTotals) Hold(l *argument.Layer, plan RiskPlan, m *MarginColumns, i int) {
	totals := []argument.Expr{l.Pack(plan.Lanes[LaneValues], m.Value[i], m.LinearValue[i])}
	loss := m.ScanLoss[i]
	for s := 0; s < Scenarios; s += DeltasALane {
		totals = append(totals, l.Pack(plan.Lanes[LaneDeltas], m.Surplus[s][i].Minus(loss), m.Surplus[s+1][i].Minus(loss)))
	}
	r.risk.Hold(i, l.Tuple(totals...))
	r.charges.Hold(i, l.Tuple(l.Pack(plan.Lanes[LaneLong], m.ChargeIM[i], m.ChargeMM[i]), m.ShortOptions[i]))
}

// StateExactScanLoss asserts that L of row i is max(0, -acc[s] of every s): every surplus[s] = L + acc[s] is >= 0 and L >= 0 by their allocation, and
// L * prod surplus[s] = 0.
func (m *MarginColumns) StateExactScanLoss(api frontend.API, i int) {
	product := m.ScanLoss[i].Raw()
	for s := range Scenarios {
		product = api.Mul(product, m.Surplus[s][i].Raw())
	}
	api.AssertIsEqual(product, 0)
}

// Totals are sums over the positions of an account.
type Totals struct {
	Value, Linear, ChargeIM, ChargeMM, ShortOptions, Loss *big.Int
	Scenarios                                             []*big.Int
}

// NewTotals are the totals of no positions.
func NewTotals() *Totals {
	t := &Totals{Value: new(big.Int), Linear: new(big.Int), ChargeIM: new(big.Int), ChargeMM: new(big.Int), ShortOptions: new(big.Int),
		Loss: new(big.Int), Scenarios: make([]*big.Int, Scenarios)}
	for s := range t.Scenarios {
		t.Scenarios[s] = new(big.Int)
	}
	return t
}

// Add adds a position and brings the loss up to date.
func (t *Totals) Add(size *big.Int, r *Instrument) {
	accumulate := func(sum, a, b *big.Int) { sum.Add(sum, new(big.Int).Mul(a, b)) }
	long, short := Parts(size)
	accumulate(t.Value, size, r.Value)
	if r.Linear.Sign() != 0 {
		accumulate(t.Linear, size, r.Value)
	} else {
		accumulate(t.ShortOptions, short, r.Value)
	}
	accumulate(t.ChargeIM, long, r.LongIM)
	accumulate(t.ChargeIM, short, r.ShortIM)
	accumulate(t.ChargeMM, long, r.LongMM)
	accumulate(t.ChargeMM, short, r.ShortMM)
	t.Loss = new(big.Int)
	for s, sum := range t.Scenarios {
		accumulate(sum, size, r.Deltas[s])
		if loss := new(big.Int).Neg(sum); loss.Cmp(t.Loss) > 0 {
			t.Loss = loss
		}
	}
}

// Cells are the totals' cells.
func (t *Totals) Cells() MarginFields {
	m := MarginFields{Value: t.Value, LinearValue: t.Linear, ScanLoss: t.Loss, ChargeIM: t.ChargeIM, ChargeMM: t.ChargeMM, ShortOptions: t.ShortOptions}
	for s := range m.Surplus {
		m.Surplus[s] = new(big.Int).Add(t.Loss, t.Scenarios[s])
	}
	return m
}

// BpsInWhole is 10^4: money times it is compared with requirements.
const BpsInWhole = 10_000

// Requirement is 10^4 IM or MM: k * L + 10^4 * charge.
func (t *Totals) Requirement(k, charge *big.Int) *big.Int {
	return new(big.Int).Add(new(big.Int).Mul(k, t.Loss), new(big.Int).Mul(charge, big.NewInt(BpsInWhole)))
}
