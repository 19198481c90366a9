package argument

import (
	"math/big"

	"github.com/consensys/gnark/frontend"
)

// Tuple is a list of expressions that the engine folds with one challenge. Folding happens once a tuple, however often it is used.
type Tuple struct {
	items []Expr
	tail  *Tuple
}

// Tuple makes a tuple.
func (l *Layer) Tuple(items ...Expr) *Tuple {
	for _, item := range items {
		if item.layer != l {
			panic("argument: tuple with an expression of another layer, or an empty expression")
		}
	}
	return &Tuple{items: items}
}

// Then is the tuple followed by another one, whose folding is shared.
func (t *Tuple) Then(tail *Tuple) *Tuple {
	if t.tail != nil {
		panic("argument: a tuple takes one tail")
	}
	return &Tuple{items: t.items, tail: tail}
}

func (t *Tuple) flat() []Expr {
	if t.tail == nil {
		return t.items
	}
	return append(append([]Expr{}, t.items...), t.tail.flat()...)
}

func (l *Layer) fold(api frontend.API, t *Tuple) drawn {
	if value, ok := l.postponed[t]; ok {
		return value
	}
	terms := []frontend.Variable{0, 0}
	for i, item := range t.items {
		terms = append(terms, api.Mul(l.power(api, i).v, item.variable))
	}
	if t.tail != nil {
		terms = append(terms, api.Mul(l.power(api, len(t.items)).v, l.fold(api, t.tail).v))
	}
	value := drawn{api.Add(terms[0], terms[1], terms[2:]...)}
	l.postponed[t] = value
	return value
}

// Sum states that at every key the total of multiplier * weight vanishes, for each weight of the tuple and each of its lanes.
type Sum struct {
	layer         *Layer
	name          string
	contributions []contribution
	keyLength     int
	weightLength  int
}

type contribution struct {
	key        *Tuple
	multiplier Expr
	weights    *Tuple
	provider   bool // its multiplier is a lookup's multiplicity
	holder     bool // of a total: at most one holder has any given key
}

// Sum makes an empty sum.
func (l *Layer) Sum(name string) *Sum {
	l.open("Sum " + name)
	for _, s := range l.sums {
		if s.name == name {
			l.fail("sum %q made twice", name)
		}
	}
	s := &Sum{layer: l, name: name}
	l.sums = append(l.sums, s)
	return s
}

// Add contributes multiplier * weights at a key.
func (s *Sum) Add(key *Tuple, multiplier Expr, weights *Tuple) {
	s.layer.open("Add to " + s.name)
	if len(s.contributions) == 0 {
		s.keyLength, s.weightLength = len(key.flat()), len(weights.flat())
	}
	if len(key.flat()) != s.keyLength || len(weights.flat()) != s.weightLength {
		s.layer.fail("sum %q: a key of %d and weights of %d components, expected %d and %d",
			s.name, len(key.flat()), len(weights.flat()), s.keyLength, s.weightLength)
	}
	s.contributions = append(s.contributions, contribution{key: key, multiplier: multiplier, weights: weights})
}

// verify refuses totals that could overflow: a vanishing sum modulo r must be a vanishing sum of integers, in every lane.
func (s *Sum) verify() {
	for slot := range s.weightLength {
		var lanes *Lanes
		var bounds, held []*big.Int
		for _, c := range s.contributions {
			weight := c.weights.flat()[slot]
			if c.provider {
				continue // a multiplicity: it must equal a count of queries, whatever element it is
			}
			intervals, ok := s.intervals(c, weight, &lanes)
			if !ok {
				return
			}
			for len(bounds) < len(intervals) {
				bounds, held = append(bounds, new(big.Int)), append(held, new(big.Int))
			}
			if len(intervals) != len(bounds) {
				s.layer.fail("sum %q: weight %d mixes packed and plain values", s.name, slot)
				return
			}
			for i, interval := range intervals {
				bound := interval.times(c.multiplier.interval).Magnitude()
				switch {
				case !c.holder:
					bounds[i].Add(bounds[i], bound)
				case bound.Cmp(held[i]) > 0:
					held[i].Set(bound)
				}
			}
		}
		for i := range bounds {
			bounds[i].Add(bounds[i], held[i])
		}
		if lanes == nil {
			lanes = &Lanes{Shifts: []int{0}}
		}
		if err := lanes.fits(bounds); err != nil {
			s.layer.fail("sum %q: weight %d: %w", s.name, slot, err)
		}
	}
}

// intervals lists the weight's interval, or those of its lanes, and checks that everything has one.
func (s *Sum) intervals(c contribution, weight Expr, lanes **Lanes) ([]Interval, bool) {
	if c.multiplier.kind != integer {
		s.layer.fail("sum %q: a multiplier without interval", s.name)
		return nil, false
	}
	switch weight.kind {
	case integer:
		return []Interval{weight.interval}, true
	case packed:
		if weight.cell != nil && !weight.cell.trusted {
			s.layer.fail("sum %q: no unconditional lookup vouches for the lanes of %s", s.name, weight.cell.name)
			return nil, false
		}
		if *lanes != nil && !(*lanes).sameLayout(weight.lanes) {
			s.layer.fail("sum %q: different lane layouts meet", s.name)
			return nil, false
		}
		*lanes = weight.lanes
		return weight.lanes.Intervals, true
	}
	s.layer.fail("sum %q: a weight without interval (put elements into the key)", s.name)
	return nil, false
}

// argue asserts sum multiplier * fold(weights) / (point - fold(key)) = 0.
func (s *Sum) argue(api frontend.API, point drawn) {
	terms := []frontend.Variable{0, 0}
	for _, c := range s.contributions {
		numerator := api.Mul(c.multiplier.variable, s.layer.fold(api, c.weights).v)
		terms = append(terms, api.DivUnchecked(numerator, api.Sub(point.v, s.layer.fold(api, c.key).v)))
	}
	api.AssertIsEqual(api.Add(terms[0], terms[1], terms[2:]...), 0)
}
