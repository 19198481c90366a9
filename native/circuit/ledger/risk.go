package ledger

import (
	"math/big"
	"math/bits"

	"straddle/native/circuit/argument"
)

// RiskPlan is how a risk row's numbers are packed for position rows: value and linear value, the deltas two by two, long and short charges, the value
// of an option short, and the payout: the value if settled.
type RiskPlan struct {
	Lanes     []*argument.Lanes
	TotalBits int // magnitude of a total over all positions: 2^TotalBits
}

// Indices into RiskPlan.Lanes.
const (
	LaneValues  = 0 // value, value if linear
	LaneDeltas  = 1 // Scenarios/2 elements
	LaneLong    = LaneDeltas + Scenarios/2
	LaneShort   = LaneLong + 1
	LaneOption  = LaneShort + 1 // value unless linear
	LanePayout  = LaneOption + 1
	LaneCount   = LanePayout + 1
	DeltasALane = 2
)

// PlanRisk derives strides from what so many positions can add up to; Seal checks it against the true bounds.
func PlanRisk(positions int) RiskPlan {
	totalBits := SizeBits + WeightBits + bits.Len(uint(positions))
	// holders carry L + acc and L apart: a difference of totals reaches 2^(totalBits + 1), the position rows add 2^totalBits
	bound := new(big.Int).Lsh(big.NewInt(1), uint(totalBits+2))
	plan := RiskPlan{TotalBits: totalBits}
	signed, unsigned := argument.SignedBits(WeightBits+1), argument.Unsigned(WeightBits)
	pair := func(value argument.Interval) {
		plan.Lanes = append(plan.Lanes, argument.PlanLanes([]argument.Interval{value, value}, []*big.Int{bound, bound})...)
	}
	pair(signed)
	for range Scenarios / DeltasALane {
		pair(signed)
	}
	pair(unsigned)
	pair(unsigned)
	for range LaneCount - LaneOption {
		plan.Lanes = append(plan.Lanes, argument.PlanLanes([]argument.Interval{signed}, []*big.Int{bound})...)
	}
	if len(plan.Lanes) != LaneCount {
		panic("ledger: too many positions for two lanes an element")
	}
	return plan
}

// Pack packs row i as position rows carry it.
func (plan RiskPlan) Pack(l *argument.Layer, t *InstrumentTable, i int) []argument.Expr {
	linear := t.Linear[i].Times(t.Value[i])
	row := []argument.Expr{l.Pack(plan.Lanes[LaneValues], t.Value[i], linear)}
	for s := 0; s < Scenarios; s += DeltasALane {
		row = append(row, l.Pack(plan.Lanes[LaneDeltas], t.Deltas[s][i], t.Deltas[s+1][i]))
	}
	return append(row, l.Pack(plan.Lanes[LaneLong], t.LongIM[i], t.LongMM[i]), l.Pack(plan.Lanes[LaneShort], t.ShortIM[i], t.ShortMM[i]),
		l.Pack(plan.Lanes[LaneOption], t.Linear[i].Not().Times(t.Value[i])),
		l.Pack(plan.Lanes[LanePayout], t.Settled[i].Times(t.Value[i])))
}

// Values packs a risk row natively, as position rows carry it.
func (plan RiskPlan) Values(row *Instrument) []*big.Int {
	zero := new(big.Int)
	linear, option, payout := zero, row.Value, zero
	if row.Linear.Sign() != 0 {
		linear, option = row.Value, zero
	}
	if row.Settled.Sign() != 0 {
		payout = row.Value
	}
	packedRow := []*big.Int{plan.Lanes[LaneValues].Value([]*big.Int{row.Value, linear})}
	for s := 0; s < Scenarios; s += DeltasALane {
		packedRow = append(packedRow, plan.Lanes[LaneDeltas].Value(row.Deltas[s:s+DeltasALane]))
	}
	return append(packedRow,
		plan.Lanes[LaneLong].Value([]*big.Int{row.LongIM, row.LongMM}),
		plan.Lanes[LaneShort].Value([]*big.Int{row.ShortIM, row.ShortMM}), option, payout)
}
