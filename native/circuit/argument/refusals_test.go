package argument

import (
	"math/big"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
)

// TestRefusesOverflow: what could wrap around the modulus, or leave its lane, does not compile.
func TestRefusesOverflow(t *testing.T) {
	narrow := &Lanes{Shifts: []int{0, 17}, Intervals: []Interval{SignedBits(8), SignedBits(8)}}
	refusesToCompile(t, "narrow stride", "overflows a stride of 17", 14, withLanes(narrow))
	high := &Lanes{Shifts: []int{0, 240}, Intervals: []Interval{SignedBits(8), SignedBits(8)}}
	refusesToCompile(t, "top lane", "reaches the modulus", 14, withLanes(high))

	refusesToCompile(t, "total of many", "reaches the modulus", 2, func(l *Layer, x []v, _ v) {
		c := l.Table("t", 2).Bits("x", 100, x)
		s := l.Sum("s")
		big := c[0].Shifted(100) // each term is below the modulus, the bound of eight hundred is not
		for range 1 << 5 {
			s.Add(l.Tuple(l.Const(0)), big, l.Tuple(c[1].Shifted(51)))
		}
	})
	refusesToCompile(t, "sum of two words", "reaches half the modulus", 2, func(l *Layer, x []v, _ v) {
		c := l.Table("t", 2).Bits("x", 250, x)
		c[0].Plus(c[1].Scaled(8))
	})
	refusesToCompile(t, "product", "reaches half the modulus", 2, func(l *Layer, x []v, _ v) {
		c := l.Table("t", 2).Bits("x", 130, x)
		c[0].Times(c[1])
	})
	refusesToCompile(t, "comparison", "reach the modulus", 1, func(l *Layer, x []v, _ v) {
		l.AssertBits(l.Table("t", 1).Signed("x", 250, x)[0], 254)
	})
	refusesToCompile(t, "comparison of a negative interval", "holds no such value", 1, func(l *Layer, x []v, _ v) {
		l.AssertNotNegative(l.Table("t", 1).Bits("x", 8, x)[0].Minus(l.Const(300)))
	})
}

// withLanes is the statement lanes with another layout.
func withLanes(plan *Lanes) func(l *Layer, x []v, _ v) {
	return func(l *Layer, x []v, _ v) {
		t := l.Table("t", 2)
		a, b := t.Signed("a", 8, x[:2]), t.Signed("b", 8, x[2:4])
		size := t.Signed("size", 8, x[4:6])
		s := l.Sum("s")
		for i := range a {
			s.Add(l.Tuple(l.Const(0)), size[i], l.Tuple(l.Pack(plan, a[i], b[i])))
		}
		s.Add(l.Tuple(l.Const(0)), size[0], l.Tuple(l.Pack(plan, a[1], b[0])))
		s.Add(l.Tuple(l.Const(0)), size[1], l.Tuple(l.Pack(plan, a[0], b[1])))
		s.Add(l.Tuple(l.Const(0)), size[1], l.Tuple(l.Pack(plan, a[0], b[0])))
		s.Add(l.Tuple(l.Const(0)), size[0], l.Tuple(l.Pack(plan, a[0], b[0])))
		s.Add(l.Tuple(l.Const(0)), size[0], l.Tuple(l.Pack(plan, a[0], b[0])))
		s.Add(l.Tuple(l.Const(0)), size[0], l.Tuple(l.Pack(plan, a[0], b[0])))
	}
}

// TestRefusesMisuse: rules that keep sums meaningful.
func TestRefusesMisuse(t *testing.T) {
	one := func(l *Layer) *Tuple { return l.Tuple(l.Const(1)) }
	plan := lanesPlan()
	packedCells := func(l *Layer, x []v, tie func(k *Lookup, cell Expr)) {
		cell := l.Table("holdings", 1).Packed("row", plan, x[:1])[0]
		k := l.Lookup("rows")
		tie(k, cell)
		l.Sum("s").Add(one(l), l.Const(1), l.Tuple(cell))
	}
	integers := func(l *Layer, x []v, bits int) Column { return l.Table("i", 2).Bits("i", bits, x[1:3]) }
	for _, c := range []struct {
		name, want string
		define     func(l *Layer, x []v, public v)
	}{
		{"packed cell nobody looked up", "no unconditional lookup vouches for the lanes of holdings/row[0]", func(l *Layer, x []v, _ v) {
			packedCells(l, x, func(k *Lookup, cell Expr) {
				i := integers(l, x, 6)
				k.Require(l.Const(1), l.Tuple(i[0]))
				k.Provide(l.Const(1), l.Tuple(i[1]))
			})
		}},
		{"packed cell looked up under a flag", "no unconditional lookup vouches", func(l *Layer, x []v, _ v) {
			packedCells(l, x, func(k *Lookup, cell Expr) {
				i := integers(l, x, 6)
				k.Require(l.Table("f", 1).Bool("f", x[3:4])[0], l.Tuple(cell))
				k.Provide(l.Const(1), l.Tuple(l.Pack(plan, i[0], i[1])))
			})
		}},
		{"packed cell looked up among elements", "not packed from integers", func(l *Layer, x []v, _ v) {
			packedCells(l, x, func(k *Lookup, cell Expr) {
				k.Require(l.Const(1), l.Tuple(cell))
				k.Provide(l.Const(1), l.Tuple(l.Table("f", 1).Field("f", x[3:4])[0]))
			})
		}},
		{"packed cell looked up among packed cells", "not packed from integers", func(l *Layer, x []v, _ v) {
			packedCells(l, x, func(k *Lookup, cell Expr) {
				k.Require(l.Const(1), l.Tuple(cell))
				k.Provide(l.Const(1), l.Tuple(l.Table("f", 1).Packed("f", plan, x[3:4])[0]))
			})
		}},
		{"packed cell looked up among wider values", "declared", func(l *Layer, x []v, _ v) {
			packedCells(l, x, func(k *Lookup, cell Expr) {
				i := integers(l, x, 9)
				k.Require(l.Const(1), l.Tuple(cell))
				k.Provide(l.Const(1), l.Tuple(l.Pack(plan, i[0], i[1])))
			})
		}},
		{"packed cell looked up in another layout", "another layout", func(l *Layer, x []v, _ v) {
			packedCells(l, x, func(k *Lookup, cell Expr) {
				i := integers(l, x, 6)
				k.Require(l.Const(1), l.Tuple(cell))
				k.Provide(l.Const(1), l.Tuple(l.Pack(&Lanes{Shifts: []int{0, 60}}, i[0], i[1])))
			})
		}},
		{"layouts meet", "different lane layouts meet", func(l *Layer, x []v, _ v) {
			i, s := integers(l, x, 6), l.Sum("s")
			s.Add(one(l), l.Const(1), l.Tuple(l.Pack(plan, i[0], i[1])))
			s.Add(one(l), l.Const(1), l.Tuple(l.Pack(&Lanes{Shifts: []int{0, 60}}, i[0], i[1])))
		}},
		{"packed meets plain", "mixes packed and plain", func(l *Layer, x []v, _ v) {
			i, s := integers(l, x, 6), l.Sum("s")
			s.Add(one(l), l.Const(1), l.Tuple(l.Pack(plan, i[0], i[1])))
			s.Add(one(l), l.Const(1), l.Tuple(i[0]))
		}},
		{"element as weight", "a weight without interval", func(l *Layer, x []v, _ v) {
			l.Sum("s").Add(one(l), l.Const(1), l.Tuple(l.Table("f", 1).Field("f", x[:1])[0]))
		}},
		{"element as multiplier", "a multiplier without interval", func(l *Layer, x []v, _ v) {
			l.Sum("s").Add(one(l), l.Table("f", 1).Field("f", x[:1])[0], one(l))
		}},
		{"key of another length", "a key of 2 and weights of 1 components, expected 1 and 1", func(l *Layer, x []v, _ v) {
			s := l.Sum("s")
			s.Add(one(l), l.Const(1), one(l))
			s.Add(l.Tuple(l.Const(1), l.Const(1)), l.Const(1), one(l))
		}},
		{"total without unique keys", "has no unique key", func(l *Layer, x []v, _ v) {
			l.Total("s", l.Table("t", 1)).Hold(0, one(l))
		}},
		{"total that a row does not hold", `row 1 of "t" holds nothing`, func(l *Layer, x []v, _ v) {
			tb := l.Table("t", 2)
			tb.Indexed()
			l.Total("s", tb).Hold(0, one(l))
		}},
		{"total held twice", "row 0 holds twice", func(l *Layer, x []v, _ v) {
			tb := l.Table("t", 1)
			tb.Indexed()
			total := l.Total("s", tb)
			total.Hold(0, one(l))
			total.Hold(0, one(l))
		}},
		{"ascending without used", "needs UsedFirst", func(l *Layer, x []v, _ v) {
			tb := l.Table("t", 1)
			tb.Ascending(tb.Bits("x", 8, x[:1]))
		}},
		{"ascending elements", "wants cells of Bits", func(l *Layer, x []v, _ v) {
			tb := l.Table("t", 1)
			tb.UsedFirst(tb.Bool("u", x[:1]))
			tb.Ascending(tb.Field("x", x[1:2]))
		}},
		{"used flags that are none", "wants flags", func(l *Layer, x []v, _ v) {
			tb := l.Table("t", 1)
			tb.UsedFirst(tb.Bits("u", 2, x[:1]))
		}},
		{"lookup under a number", "expected a flag", func(l *Layer, x []v, _ v) {
			k := l.Lookup("k")
			k.Require(l.Const(-1), one(l))
			k.Provide(l.Const(1), one(l))
		}},
		{"provided under a number", "expected a flag", func(l *Layer, x []v, _ v) {
			k := l.Lookup("k")
			k.Require(l.Const(1), one(l))
			k.Provide(l.Table("t", 1).Bits("x", 2, x[:1])[0], one(l))
		}},
		{"lookup in nothing", "nothing provided", func(l *Layer, x []v, _ v) { l.Lookup("k").Require(l.Const(1), one(l)) }},
		{"two tables of one name", "made twice", func(l *Layer, x []v, _ v) { l.Table("t", 1); l.Table("t", 1) }},
		{"two columns of one name", "made twice", func(l *Layer, x []v, _ v) {
			tb := l.Table("t", 1)
			tb.Field("x", x[:1])
			tb.Field("x", x[1:2])
		}},
		{"two sums of one name", "made twice", func(l *Layer, x []v, _ v) { l.Sum("s"); l.Flow("s") }},
		{"two groups of one name", "named twice", func(l *Layer, x []v, _ v) { l.Group("g"); l.Group("g") }},
		{"two gadgets of one label", "is taken", func(l *Layer, x []v, _ v) {
			l.AfterSeal("a", func(frontend.API, frontend.Variable) error { return nil })
			l.AfterSeal("a", func(frontend.API, frontend.Variable) error { return nil })
		}},
		{"a gadget with the layer's label", "is taken", func(l *Layer, x []v, _ v) {
			l.AfterSeal(pointLabel, func(frontend.API, frontend.Variable) error { return nil })
		}},
	} {
		refusesToCompile(t, c.name, c.want, 5, c.define)
	}
}

// TestNothingAfterSeal: cells, sums and bindings after Seal panic.
func TestNothingAfterSeal(t *testing.T) {
	for name, late := range map[string]func(l *Layer, tb *Table, s *Sum, x []v){
		"cell":        func(l *Layer, tb *Table, s *Sum, x []v) { tb.Field("late", x[:1]) },
		"table":       func(l *Layer, tb *Table, s *Sum, x []v) { l.Table("late", 1) },
		"sum":         func(l *Layer, tb *Table, s *Sum, x []v) { l.Sum("late") },
		"part":        func(l *Layer, tb *Table, s *Sum, x []v) { s.Add(l.Tuple(l.Const(1)), l.Const(0), l.Tuple(l.Const(1))) },
		"binding":     func(l *Layer, tb *Table, s *Sum, x []v) { l.Bind(x[0]) },
		"range check": func(l *Layer, tb *Table, s *Sum, x []v) { l.RangeCheck(x[0], 8) },
		"comparison":  func(l *Layer, tb *Table, s *Sum, x []v) { l.AssertBits(l.Const(1), 8) },
		"hook":        func(l *Layer, tb *Table, s *Sum, x []v) { l.AfterSeal("late", nil) },
		"second seal": func(l *Layer, tb *Table, s *Sum, x []v) { _ = l.Seal() },
	} {
		c := &afterSeal{X: make([]v, 1), call: late}
		_, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, c)
		if err == nil || !strings.Contains(err.Error(), "after Seal") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

type afterSeal struct {
	X    []v
	call func(l *Layer, tb *Table, s *Sum, x []v)
}

func (c *afterSeal) Define(api frontend.API) error {
	l := New(api)
	tb := l.Table("t", 1)
	x := tb.Bits("x", 8, c.X)[0]
	s := l.Sum("s")
	s.Add(l.Tuple(l.Const(1)), x, l.Tuple(l.Const(1)))
	if err := l.Seal(); err != nil {
		return err
	}
	c.call(l, tb, s, c.X)
	return nil
}

// TestAuditRefusesCommittedPublicInputs: layer 1's challenge is a hash of the commitment alone.
func TestAuditRefusesCommittedPublicInputs(t *testing.T) {
	s := statement{"", []int64{5}, func(l *Layer, x []v, p v) {
		f := l.Flow("f")
		f.Put(l.Const(1), l.Table("t", 1).Field("p", []v{p})[0])
		f.Take(l.Const(1), l.Table("u", 1).Field("x", x)[0])
	}}
	if _, err := Audit(s.mustCompile(t)); err == nil || !strings.Contains(err.Error(), "public inputs are committed") {
		t.Fatal(err)
	}
}

func TestIntervals(t *testing.T) {
	i := func(a, b int64) Interval { return Interval{big.NewInt(a), big.NewInt(b)} }
	for _, c := range []struct{ got, want Interval }{
		{Unsigned(3), i(0, 7)}, {SignedBits(3), i(-4, 3)}, {i(-2, 3).plus(i(5, 6)), i(3, 9)}, {i(-2, 3).negated(), i(-3, 2)},
		{i(-2, 3).times(i(-5, 7)), i(-15, 21)}, {i(-2, -1).times(i(-5, -4)), i(4, 10)}, {i(2, 3).times(i(0, 1)), i(0, 3)},
	} {
		if c.got.String() != c.want.String() {
			t.Errorf("%s, expected %s", c.got, c.want)
		}
	}
	if m := i(-9, 3).Magnitude(); m.Int64() != 9 {
		t.Error(m)
	}
}

// TestPlanLanes: as many lanes as the totals leave room for, strides above them.
func TestPlanLanes(t *testing.T) {
	values := []Interval{SignedBits(40), SignedBits(40), SignedBits(40), SignedBits(40)}
	for bits, want := range map[int]int{60: 1, 80: 2, 89: 2, 120: 2, 130: 4} {
		totals := make([]*big.Int, len(values))
		for k := range totals {
			totals[k] = power(bits)
		}
		if plan := PlanLanes(values, totals); len(plan) != want {
			t.Errorf("%d bits: %d elements, expected %d", bits, len(plan), want)
		}
	}
	plan := lanesPlan()
	if got := plan.Value([]*big.Int{big.NewInt(-1), big.NewInt(2)}); got.Cmp(new(big.Int).Sub(power(plan.Shifts[1]+1), big.NewInt(1))) != 0 {
		t.Error(got)
	}
}
