package argument

import "testing"

// TestAssertProduct: one constraint, which holds for the product only; constants on any side; and no product that could wrap around.
func TestAssertProduct(t *testing.T) {
	define := func(state func(l *Layer, c Column)) statement {
		return statement{"product", []int64{3, 7, 21}, func(l *Layer, x []v, _ v) {
			c := l.Table("t", 3).Signed("x", 8, x)
			if state != nil {
				state(l, c)
			}
			l.Sum("s").Add(l.Tuple(c[0]), l.Const(1), l.Tuple(l.Const(0))) // something to commit
		}}
	}
	none := define(nil)
	without := none.mustCompile(t).GetNbConstraints()
	for name, state := range map[string]func(l *Layer, c Column){
		"cells":               func(l *Layer, c Column) { l.AssertProduct(c[0], c[1], c[2]) },
		"sums":                func(l *Layer, c Column) { l.AssertProduct(c[0].Plus(c[1]), c[2], c[2].Scaled(10)) },
		"a constant factor":   func(l *Layer, c Column) { l.AssertProduct(l.Const(7), c[0], c[2]) },
		"a constant product":  func(l *Layer, c Column) { l.AssertProduct(c[0], c[1], l.Const(21)) },
		"the product nothing": func(l *Layer, c Column) { l.AssertProduct(c[0].Minus(l.Const(3)), c[1], l.Const(0)) },
	} {
		s := define(state)
		ccs := s.mustCompile(t)
		if got := ccs.GetNbConstraints() - without; got != 1 {
			t.Errorf("%s: %d constraints, expected 1", name, got)
		}
		if !accepts(t, ccs, s.honest) {
			t.Errorf("%s: refused", name)
		}
		if accepts(t, ccs, []int64{4, 7, 21}) {
			t.Errorf("%s: accepted 4 for 3", name)
		}
	}
	refusesToCompile(t, "product", "reaches half the modulus", 2, func(l *Layer, x []v, _ v) {
		c := l.Table("t", 2).Bits("x", 130, x)
		l.AssertProduct(c[0], c[1], l.Const(0))
	})
}
