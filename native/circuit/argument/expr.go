package argument

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark/frontend"
)

type kind int

const (
	integer kind = iota // interval known and proved
	field               // an element of the field: a digest, a key coordinate
	packed              // several integers in lanes of one element
)

// Expr is a value that is fixed by the commitment: a cell, a constant, or a sum or product of such. There is no way to make one from a raw
// variable. Integer expressions carry the interval that their cells' range checks imply. The zero Expr is not valid.
type Expr struct {
	layer    *Layer
	variable frontend.Variable
	kind     kind
	interval Interval // integer
	lanes    *Lanes   // packed
	cell     *packedCell
}

// Const is the integer constant c: an int, an int64 or a *big.Int.
func (l *Layer) Const(c any) Expr {
	n := toBig(c)
	return l.integer(new(big.Int).Set(n), Interval{n, n}, "constant")
}

// FieldConst is a constant element of the field, as a digest would be.
func (l *Layer) FieldConst(c *big.Int) Expr {
	return Expr{layer: l, variable: new(big.Int).Set(c), kind: field}
}

func toBig(c any) *big.Int {
	switch n := c.(type) {
	case int:
		return big.NewInt(int64(n))
	case int64:
		return big.NewInt(n)
	case *big.Int:
		return n
	}
	panic(fmt.Sprintf("argument: constant of type %T, expected int, int64 or *big.Int", c))
}

// integer makes an integer expression and refuses one that could wrap around the modulus.
func (l *Layer) integer(v frontend.Variable, i Interval, what string) Expr {
	if new(big.Int).Lsh(i.Magnitude(), 1).Cmp(modulus) >= 0 {
		l.fail("%s: the interval %s reaches half the modulus", what, i)
	}
	return Expr{layer: l, variable: v, interval: i}
}

// Raw is the variable, for hashes and gadgets outside the layer. What comes back from them must enter a table as a cell.
func (e Expr) Raw() frontend.Variable { return e.variable }

// Interval is the integer interval; it panics for elements and packed expressions.
func (e Expr) Interval() Interval {
	if e.kind != integer {
		panic("argument: only integer expressions have an interval")
	}
	return e.interval
}

// Plus is the sum. An element plus anything is an element.
func (e Expr) Plus(others ...Expr) Expr {
	sum := e
	for _, o := range others {
		sum = sum.plus(o)
	}
	return sum
}

func (e Expr) plus(o Expr) Expr {
	e.unpacked(o)
	v := e.layer.api.Add(e.variable, o.variable)
	if e.kind == field || o.kind == field {
		return Expr{layer: e.layer, variable: v, kind: field}
	}
	return e.layer.integer(v, e.interval.plus(o.interval), "sum")
}

// Minus is the difference.
func (e Expr) Minus(o Expr) Expr { return e.plus(o.Negated()) }

// Negated is the negative.
func (e Expr) Negated() Expr { return e.Scaled(-1) }

// Scaled is the product with a constant: an int, an int64 or a *big.Int.
func (e Expr) Scaled(c any) Expr { return e.Times(e.layer.Const(c)) }

// Shifted is the product with 2^bits.
func (e Expr) Shifted(bits int) Expr { return e.Scaled(power(bits)) }

// Times is the product: one constraint unless a factor is constant. A product that is constant zero stays an integer.
func (e Expr) Times(o Expr) Expr {
	e.unpacked(o)
	v := e.layer.api.Mul(e.variable, o.variable)
	if e.kind == field || o.kind == field {
		return Expr{layer: e.layer, variable: v, kind: field}
	}
	return e.layer.integer(v, e.interval.times(o.interval), "product")
}

// Not is 1 - e, for a flag.
func (e Expr) Not() Expr {
	if !e.isFlag() {
		e.layer.fail("Not: expected a flag")
	}
	return e.layer.Const(1).Minus(e)
}

func (e Expr) isFlag() bool {
	return e.kind == integer && e.interval.Low.Sign() >= 0 && e.interval.High.Cmp(big.NewInt(1)) <= 0
}

// isConst says whether an integer expression can have one value only.
func (e Expr) isConst(c int64) bool {
	n := big.NewInt(c)
	return e.kind == integer && e.interval.Low.Cmp(n) == 0 && e.interval.High.Cmp(n) == 0
}

func (e Expr) unpacked(o Expr) {
	if e.kind == packed || o.kind == packed {
		panic("argument: packed expressions take part in tuples only, not in arithmetic")
	}
	if e.layer == nil || e.layer != o.layer {
		panic("argument: expressions of different layers, or an empty expression")
	}
}

// SumOf adds expressions, such as a column; of none it is 0.
func (l *Layer) SumOf(es []Expr) Expr {
	sum := l.Const(0)
	for _, e := range es {
		sum = sum.plus(e)
	}
	return sum
}
