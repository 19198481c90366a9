package argument

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/consensys/gnark/frontend"
)

// Column is one expression for each row of a table.
type Column []Expr

// Table owns columns of cells, all with the same number of rows.
type Table struct {
	layer   *Layer
	name    string
	rows    int
	columns []string
	cells   [][]frontend.Variable // by column
	used    Column
	keys    []Column // of a table with unique keys
	indexed bool     // its key is the constant row number
}

// Table makes an empty table.
func (l *Layer) Table(name string, rows int) *Table {
	l.open("Table " + name)
	for _, t := range l.tables {
		if t.name == name {
			l.fail("table %q made twice", name)
		}
	}
	t := &Table{layer: l, name: name, rows: rows}
	l.tables = append(l.tables, t)
	return t
}

// bind commits a column's cells; it reports whether the caller is to range-check them.
func (t *Table) bind(name string, vs []frontend.Variable) bool {
	t.layer.open("column " + name)
	if len(vs) != t.rows {
		panic(fmt.Sprintf("argument: %s/%s: %d cells for %d rows", t.name, name, len(vs), t.rows))
	}
	if slices.Contains(t.columns, name) {
		t.layer.fail("column %s/%s made twice", t.name, name)
	}
	t.columns, t.cells = append(t.columns, name), append(t.cells, vs)
	if t.layer.unbound(t.name + "/" + name) {
		return false
	}
	t.layer.committed = append(t.layer.committed, vs...)
	return true
}

func (t *Table) column(vs []frontend.Variable, e Expr) Column {
	column := make(Column, len(vs))
	for i, v := range vs {
		column[i] = e
		column[i].layer, column[i].variable = t.layer, v
	}
	return column
}

// Bits allocates cells in [0, 2^bits).
func (t *Table) Bits(name string, bits int, vs []frontend.Variable) Column {
	if t.bind(name, vs) {
		for _, v := range vs {
			t.layer.check(v, bits, t.name+"/"+name)
		}
	}
	return t.column(vs, Expr{interval: Unsigned(bits)})
}

// Signed allocates cells in [-2^(bits-1), 2^(bits-1)).
func (t *Table) Signed(name string, bits int, vs []frontend.Variable) Column {
	if t.bind(name, vs) {
		for _, v := range vs {
			t.layer.check(t.layer.api.Add(v, power(bits-1)), bits, t.name+"/"+name)
		}
	}
	return t.column(vs, Expr{interval: SignedBits(bits)})
}

// Bool allocates cells in {0, 1}.
func (t *Table) Bool(name string, vs []frontend.Variable) Column {
	if t.bind(name, vs) {
		for _, v := range vs {
			t.layer.api.AssertIsBoolean(v)
		}
	}
	return t.column(vs, Expr{interval: Unsigned(1)})
}

// Field allocates cells that are elements of the field: digests, coordinates. They are committed and not range-checked.
func (t *Table) Field(name string, vs []frontend.Variable) Column {
	t.bind(name, vs)
	return t.column(vs, Expr{kind: field})
}

// Packed allocates cells with several integers each. Their lanes are worth nothing until an unconditional lookup against a table that packs
// range-checked cells has vouched for each of them; a sum that uses them before refuses to compile.
func (t *Table) Packed(name string, lanes *Lanes, vs []frontend.Variable) Column {
	t.bind(name, vs)
	column := t.column(vs, Expr{kind: packed, lanes: lanes})
	for i := range column {
		column[i].cell = &packedCell{name: fmt.Sprintf("%s/%s[%d]", t.name, name, i)}
	}
	return column
}

// UsedFirst states that used rows come first: the flags are 1..1 0..0.
func (t *Table) UsedFirst(used Column) {
	for i := range used {
		if !used[i].isFlag() {
			t.layer.fail("%s: UsedFirst wants flags", t.name)
			return
		}
		if i > 0 {
			t.layer.AssertZeroIf(used[i], used[i-1].Not())
		}
	}
	t.used = used
}

// Ascending makes the keys unique: used rows have strictly ascending keys from 1 up, unused rows have key 0. The table must be UsedFirst.
func (t *Table) Ascending(key Column) {
	l := t.layer
	if !t.canOrder(key) {
		return
	}
	for i := range key {
		previous := l.Const(0)
		if i > 0 {
			previous = key[i-1]
		}
		l.AssertBits(t.used[i].Times(key[i].Minus(previous).Minus(l.Const(1))), key[i].interval.High.BitLen())
		l.AssertZeroIf(t.used[i].Not(), key[i])
	}
	t.keys = []Column{key}
}

// AscendingPairs makes the pairs (high, low) of used rows strictly ascending with high >= 1; unused rows have (0, 0). continues[i] says that row i has
// the high part of row i - 1. The table must be UsedFirst.
func (t *Table) AscendingPairs(continues, high, low Column) {
	l := t.layer
	if !t.canOrder(high) || !t.canOrder(low) {
		return
	}
	one := l.Const(1)
	for i := range high {
		beforeHigh, beforeLow := l.Const(0), l.Const(0)
		if i == 0 {
			l.AssertZero(continues[0])
		} else {
			beforeHigh, beforeLow = high[i-1], low[i-1]
			l.AssertZeroIf(continues[i], t.used[i].Not())
			l.AssertZeroIf(continues[i], high[i].Minus(beforeHigh))
		}
		starts := t.used[i].Minus(continues[i]) // 0 or 1, since a row that continues is used
		rise := starts.Times(high[i].Minus(beforeHigh).Minus(one))
		if i > 0 {
			rise = rise.Plus(continues[i].Times(low[i].Minus(beforeLow).Minus(one)))
		}
		l.AssertBits(rise, max(high[i].interval.High.BitLen(), low[i].interval.High.BitLen()))
		l.AssertZeroIf(t.used[i].Not(), high[i].Plus(low[i]))
	}
	t.keys = []Column{high, low}
}

// Indexed makes the row number the key.
func (t *Table) Indexed() { t.indexed = true }

func (t *Table) canOrder(key Column) bool {
	if t.used == nil {
		t.layer.fail("%s: an ascending key needs UsedFirst before it", t.name)
		return false
	}
	for _, k := range key {
		if k.kind != integer || k.interval.Low.Sign() < 0 {
			t.layer.fail("%s: an ascending key wants cells of Bits", t.name)
			return false
		}
	}
	return true
}

// key is the unique key of row i; ok is false if the table has no such rule.
func (t *Table) key(i int) (key []Expr, ok bool) {
	if t.indexed {
		return []Expr{t.layer.Const(big.NewInt(int64(i)))}, true
	}
	for _, column := range t.keys {
		key = append(key, column[i])
	}
	return key, t.keys != nil
}
