package argument

import (
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
)

// assertProduct asserts a * b = c in one constraint. The API would take two, and a wire for the product.
func (l *Layer) assertProduct(a, b, c frontend.Variable) {
	compiler := l.api.Compiler()
	if l.products == nil {
		blueprint := compiler.AddBlueprint(&constraint.BlueprintGenericR1C{})
		l.products = &blueprint
	}
	linear := func(v frontend.Variable) constraint.LinearExpression {
		terms := compiler.ToCanonicalVariable(v).(constraint.LinearExpression)
		if _, constant := compiler.ConstantValue(v); constant {
			terms = constraint.LinearExpression{{CID: terms[0].CID}} // wire 0 is one
		}
		return terms
	}
	var calldata []uint32
	(&constraint.BlueprintGenericR1C{}).CompressR1C(&constraint.R1C{L: linear(a), R: linear(b), O: linear(c)}, &calldata)
	compiler.AddInstruction(*l.products, calldata)
}

// AssertProduct asserts a * b = c, over the integers if all three are: one constraint, where Times and AssertEqual take two.
func (l *Layer) AssertProduct(a, b, c Expr) {
	a.unpacked(b)
	a.unpacked(c)
	if a.kind == integer && b.kind == integer && c.kind == integer {
		l.integer(0, a.interval.times(b.interval).plus(c.interval.negated()), "difference of a product") // refuses to wrap around
	}
	l.assertProduct(a.variable, b.variable, c.variable)
}
