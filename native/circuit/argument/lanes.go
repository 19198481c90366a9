package argument

import (
	"fmt"
	"math/big"
	"slices"
)

// Lanes lays several integers out in one field element: lane i sits at bit Shifts[i].
type Lanes struct {
	Shifts    []int
	Intervals []Interval // of the values packed, by lane
}

// packedCell is the identity of a committed packed cell, whose lanes nobody has range-checked.
type packedCell struct {
	name    string
	trusted bool
}

// PlanLanes spreads values with the given intervals over as few elements as possible, in order. total[i] bounds the magnitude of any total, and of any
// difference of totals, that lane i takes part in. A plan with too narrow totals is not unsafe: Seal computes the true bounds and refuses it.
func PlanLanes(values []Interval, totals []*big.Int) []*Lanes {
	var plan []*Lanes
	var current *Lanes
	var used *big.Int // bound of the packed total so far
	for i, value := range values {
		width := totals[i].BitLen() + 1
		if current != nil {
			top := current.Shifts[len(current.Shifts)-1] + totals[i-1].BitLen() + 1
			reach := new(big.Int).Lsh(totals[i], uint(top))
			if reach.Add(reach, used).Cmp(modulus) < 0 {
				current.Shifts = append(current.Shifts, top)
				current.Intervals = append(current.Intervals, value)
				used = reach
				continue
			}
		}
		if new(big.Int).Lsh(totals[i], 1).Cmp(modulus) >= 0 {
			panic(fmt.Sprintf("argument: a total of %d bits does not fit an element", width))
		}
		current = &Lanes{Shifts: []int{0}, Intervals: []Interval{value}}
		used = totals[i]
		plan = append(plan, current)
	}
	return plan
}

// Value packs integers natively, as the witness needs them; the result may be negative.
func (lanes *Lanes) Value(values []*big.Int) *big.Int {
	sum := new(big.Int)
	for i, v := range values {
		sum.Add(sum, new(big.Int).Lsh(v, uint(lanes.Shifts[i])))
	}
	return sum
}

// Pack packs integer expressions, one for each lane, at no cost. Their own intervals count.
func (l *Layer) Pack(lanes *Lanes, values ...Expr) Expr {
	if len(values) != len(lanes.Shifts) {
		panic(fmt.Sprintf("argument: %d values for %d lanes", len(values), len(lanes.Shifts)))
	}
	sum := l.Const(0).variable
	intervals := make([]Interval, len(values))
	for i, v := range values {
		intervals[i] = v.Interval()
		sum = l.api.Add(sum, l.api.Mul(v.variable, power(lanes.Shifts[i])))
	}
	return Expr{layer: l, variable: sum, kind: packed, lanes: &Lanes{Shifts: lanes.Shifts, Intervals: intervals}}
}

func (lanes *Lanes) sameLayout(other *Lanes) bool { return slices.Equal(lanes.Shifts, other.Shifts) }

// fits says whether totals of the given magnitudes stay apart in these lanes and below the modulus.
func (lanes *Lanes) fits(bounds []*big.Int) error {
	reach := new(big.Int)
	for i, bound := range bounds {
		if i+1 < len(bounds) {
			if stride := lanes.Shifts[i+1] - lanes.Shifts[i]; bound.Cmp(power(stride)) >= 0 {
				return fmt.Errorf("lane %d: a total of %d bits overflows a stride of %d", i, bound.BitLen(), stride)
			}
		}
		reach.Add(reach, new(big.Int).Lsh(bound, uint(lanes.Shifts[i])))
	}
	if reach.Cmp(modulus) >= 0 {
		return fmt.Errorf("packed total of %d bits reaches the modulus", reach.BitLen())
	}
	return nil
}
