package argument

import (
	"math/big"
	"slices"
	"testing"

	"github.com/consensys/gnark/constraint/solver"
)

func big64(x []int64) []*big.Int {
	values := make([]*big.Int, len(x))
	for i := range x {
		values[i] = big.NewInt(x[i])
	}
	return values
}

func honest(s statement) []*big.Int {
	if s.name == "lanes" {
		return lanesInput()
	}
	return big64(s.honest)
}

// TestStatements accepts the honest witness and refuses every single cell changed, except those listed.
func TestStatements(t *testing.T) {
	harmless := map[string][]int{
		"lookup": {7, 8}, // the tuple of a query that is not active
		"totals": {17},   // what an unused row holds
	}
	for _, s := range statements() {
		t.Run(s.name, func(t *testing.T) {
			ccs := s.mustCompile(t)
			values := honest(s)
			if !acceptsBig(t, ccs, values) {
				t.Fatal("honest witness refused")
			}
			for i := range values {
				changed := slices.Clone(values)
				changed[i] = new(big.Int).Add(values[i], big.NewInt(1))
				if got := acceptsBig(t, ccs, changed); got != slices.Contains(harmless[s.name], i) {
					t.Errorf("input %d plus 1: accepted %v", i, got)
				}
			}
		})
	}
}

// TestAuditAcceptsStatements: nothing enters after the challenge that was not committed.
func TestAuditAcceptsStatements(t *testing.T) {
	for _, s := range statements() {
		ccs, layer, err := s.compile(t)
		if err != nil {
			t.Fatal(err)
		}
		crossings, err := Audit(ccs)
		if err != nil || len(crossings) > 0 {
			t.Errorf("%s: %v %v", s.name, crossings, err)
		}
		if unbound, err := layer.Unbound(ccs); err != nil || len(unbound) > 0 {
			t.Errorf("%s: unbound %v %v", s.name, unbound, err)
		}
	}
}

// TestAuditNoticesEveryUnboundColumn removes the binding of one column at a time. Only a column whose cells follow from bound ones may pass.
func TestAuditNoticesEveryUnboundColumn(t *testing.T) {
	total := 0
	for _, s := range statements() {
		_, layer, err := s.compile(t)
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range layer.Columns() {
			ccs, layer, err := s.compile(t, WithoutBinding(func(name string) bool { return name == column }))
			if err != nil {
				t.Fatalf("%s without %s: %v", s.name, column, err)
			}
			crossings, err := Audit(ccs)
			if err != nil {
				t.Fatal(err)
			}
			if len(crossings) == 0 && column != "pairs/continues" { // which enters no sum
				t.Errorf("%s: the audit does not notice that %s is not bound", s.name, column)
			}
			if unbound, err := layer.Unbound(ccs); err != nil || !slices.Equal(unbound, []string{column}) {
				t.Errorf("%s without %s: unbound %v, %v", s.name, column, unbound, err)
			}
			total++
		}
	}
	if total < 25 {
		t.Fatalf("only %d columns tried", total)
	}
}

func TestRanges(t *testing.T) {
	define := func(alloc func(tb *Table, x []v)) func(l *Layer, x []v, _ v) {
		return func(l *Layer, x []v, _ v) {
			alloc(l.Table("t", 1), x)
			f := l.Flow("f") // a layer seals only with something to prove
			f.Put(l.Const(1), l.Const(1))
			f.Take(l.Const(1), l.Const(1))
		}
	}
	for _, c := range []struct {
		name    string
		alloc   func(tb *Table, x []v)
		in, out []int64
	}{
		{"bits", func(tb *Table, x []v) { tb.Bits("x", 8, x) }, []int64{0, 255}, []int64{-1, 256, 1 << 40}},
		{"signed", func(tb *Table, x []v) { tb.Signed("x", 8, x) }, []int64{-128, 0, 127}, []int64{-129, 128}},
		{"bool", func(tb *Table, x []v) { tb.Bool("x", x) }, []int64{0, 1}, []int64{-1, 2}},
		{"bits 1", func(tb *Table, x []v) { tb.Bits("x", 1, x) }, []int64{0, 1}, []int64{-1, 2}},
		{"not negative", func(tb *Table, x []v) {
			e := tb.Signed("x", 8, x)[0]
			tb.layer.AssertNotNegative(e.Scaled(3).Plus(tb.layer.Const(30)))
		}, []int64{-10, 127}, []int64{-11}},
		{"zero if", func(tb *Table, x []v) { tb.layer.AssertZeroIf(tb.layer.Const(1), tb.Bits("x", 8, x)[0]) }, []int64{0}, []int64{1}},
	} {
		s := statement{c.name, []int64{0}, define(c.alloc)}
		ccs := s.mustCompile(t)
		for _, x := range c.in {
			if !accepts(t, ccs, []int64{x}) {
				t.Errorf("%s: %d refused", c.name, x)
			}
		}
		for _, x := range c.out {
			if accepts(t, ccs, []int64{x}) {
				t.Errorf("%s: %d accepted", c.name, x)
			}
		}
	}
}

// TestUniqueKeys: totals rest on the row rules.
func TestUniqueKeys(t *testing.T) {
	ccs := func() func(x []int64) bool {
		s := totals()
		ccs := s.mustCompile(t)
		return func(x []int64) bool { return accepts(t, ccs, append(slices.Clone(s.honest[:9]), x...)) }
	}()
	for _, c := range []struct {
		name string
		rows []int64
		want bool
	}{
		{"honest", []int64{1, 7, 75, 1, 9, 30, 0, 0, 0}, true},
		{"total split over two rows of one key", []int64{1, 7, 70, 1, 7, 5, 1, 9, 30}, false},
		{"descending", []int64{1, 9, 30, 1, 7, 75, 0, 0, 0}, false},
		{"gap in the used rows", []int64{1, 7, 75, 0, 0, 0, 1, 9, 30}, false},
		{"key 0", []int64{1, 0, 0, 1, 7, 75, 1, 9, 30}, false},
		{"unused row with a key", []int64{1, 7, 75, 1, 9, 30, 0, 11, 0}, false},
		{"a key nobody holds", []int64{1, 7, 75, 0, 0, 0, 0, 0, 0}, false},
		{"unused row as holder", []int64{1, 7, 75, 0, 9, 30, 0, 0, 0}, false},
		{"value moved between keys", []int64{1, 7, 76, 1, 9, 29, 0, 0, 0}, false},
		{"an empty extra row", []int64{1, 7, 75, 1, 9, 30, 1, 11, 0}, true},
		{"an extra row with value", []int64{1, 7, 75, 1, 9, 30, 1, 11, 1}, false},
	} {
		if got := ccs(c.rows); got != c.want {
			t.Errorf("%s: accepted %v", c.name, got)
		}
	}
}

func TestPairRules(t *testing.T) {
	s := pairs()
	ccs := s.mustCompile(t)
	for _, c := range []struct {
		name string
		rows []int64 // used, continues, high, low
		want bool
	}{
		{"honest", s.honest[:16], true},
		{"equal pair twice", []int64{1, 0, 2, 5, 1, 1, 2, 5, 1, 0, 3, 1, 0, 0, 0, 0}, false},
		{"equal pair that claims a new high part", []int64{1, 0, 2, 5, 1, 0, 2, 5, 1, 0, 3, 1, 0, 0, 0, 0}, false},
		{"same high part not marked", []int64{1, 0, 2, 5, 1, 0, 2, 9, 1, 0, 3, 1, 0, 0, 0, 0}, false},
		{"other high part marked as the same", []int64{1, 0, 2, 5, 1, 1, 2, 9, 1, 1, 3, 10, 0, 0, 0, 0}, false},
		{"low part descending", []int64{1, 0, 2, 9, 1, 1, 2, 5, 1, 0, 3, 1, 0, 0, 0, 0}, false},
		{"high part descending", []int64{1, 0, 3, 1, 1, 0, 2, 5, 1, 1, 2, 9, 0, 0, 0, 0}, false},
		{"first row continues", []int64{1, 1, 2, 5, 1, 1, 2, 9, 1, 0, 3, 1, 0, 0, 0, 0}, false},
		{"unused row continues", []int64{1, 0, 2, 5, 1, 1, 2, 9, 1, 0, 3, 1, 0, 1, 3, 2}, false},
		{"unused row with a low part", []int64{1, 0, 2, 5, 1, 1, 2, 9, 1, 0, 3, 1, 0, 0, 0, 4}, false},
		{"high part 0", []int64{1, 0, 0, 1, 1, 0, 2, 5, 1, 1, 2, 9, 0, 0, 0, 0}, false},
		{"a low part beyond its range", []int64{1, 0, 2, 5, 1, 1, 2, 256, 1, 0, 3, 1, 0, 0, 0, 0}, false},
		{"another honest one", []int64{1, 0, 1, 5, 1, 0, 2, 4, 1, 1, 2, 5, 1, 1, 2, 255}, true},
	} {
		x := append(slices.Clone(c.rows), 0, 0, 0, 0, 0, 0, 0, 0)
		for i := 0; i < 16; i += 4 { // the counts follow
			if c.rows[i] == 1 {
				x[16+c.rows[i+2]]++
				x[20+c.rows[i+2]] += c.rows[i+3]
			}
		}
		if got := accepts(t, ccs, x); got != c.want {
			t.Errorf("%s: accepted %v", c.name, got)
		}
	}
}

// TestFlowIsAPath: neither a circulation beside the path nor a swap of steps passes.
func TestFlowIsAPath(t *testing.T) {
	s := flow()
	ccs := s.mustCompile(t)
	for name, x := range map[string][]int64{
		"steps swapped":     {4, 2, 1, 4, 2, 9, 1, 9},
		"circulation":       {1, 9, 5, 6, 6, 5, 1, 9},
		"detached last row": {1, 4, 4, 9, 2, 2, 1, 9},
	} {
		if accepts(t, ccs, x) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestKeysDoNotAlias: components of a tuple have their own powers of the challenge, so no value in one imitates another.
func TestKeysDoNotAlias(t *testing.T) {
	s := lookup()
	ccs := s.mustCompile(t)
	for name, x := range map[string][]int64{
		"swapped components":      {1, 30, 3, 1, 5, 50, 0, 0, 0, 3, 30, 5, 50},
		"carry between them":      {1, 4, 30 - 256, 1, 5, 50, 0, 0, 0, 3, 30, 5, 50},
		"row mixed from two rows": {1, 3, 50, 1, 5, 30, 0, 0, 0, 3, 30, 5, 50},
		"sum kept":                {1, 2, 31, 1, 5, 50, 0, 0, 0, 3, 30, 5, 50},
	} {
		if accepts(t, ccs, x) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestAttack01DishonestMultiplicities: no choice of multiplicities helps a query for what the table lacks, nor moves counts between rows.
func TestAttack01DishonestMultiplicities(t *testing.T) {
	s := lookup()
	ccs := s.mustCompile(t)
	absent := []int64{1, 4, 40, 1, 5, 50, 0, 6, 61, 3, 30, 5, 50}
	duplicate := []int64{1, 3, 30, 1, 3, 30, 0, 6, 61, 3, 30, 3, 30}
	for _, c := range []struct {
		name  string
		x     []int64
		count []int64
		want  bool
	}{
		{"honest", s.honest, []int64{1, 1}, true},
		{"traded", s.honest, []int64{2, 0}, false},
		{"negative", s.honest, []int64{3, -1}, false},
		{"absent", absent, []int64{0, 1}, false},
		{"absent, counted elsewhere", absent, []int64{1, 1}, false},
		{"absent, negative", absent, []int64{-1, 2}, false},
		{"equal rows share a count", duplicate, []int64{5, -3}, true}, // harmless: the tuple is in the table
		{"equal rows, wrong sum", duplicate, []int64{5, -4}, false},
	} {
		evil := solver.OverrideHint(solver.GetHintID(MultiplicityHint), func(_ *big.Int, _, outputs []*big.Int) error {
			for i := range outputs {
				outputs[i].SetInt64(c.count[i])
			}
			return nil
		})
		if got := accepts(t, ccs, c.x, evil); got != c.want {
			t.Errorf("%s: accepted %v", c.name, got)
		}
	}
}

// TestLaneCarries: amounts carried from one lane to the next, and packed values that no instrument has.
func TestLaneCarries(t *testing.T) {
	s := lanes()
	ccs := s.mustCompile(t)
	stride := lanesPlan().Shifts[1]
	add := func(x []*big.Int, i int, d *big.Int) { x[i] = new(big.Int).Add(x[i], d) }
	for name, cheat := range map[string]func(x []*big.Int){
		"total carries up": func(x []*big.Int) {
			add(x, 12, power(stride))
			add(x, 13, big.NewInt(-1))
		},
		"total carries down": func(x []*big.Int) {
			add(x, 12, new(big.Int).Neg(power(stride)))
			add(x, 13, big.NewInt(1))
		},
		"row carries": func(x []*big.Int) {
			add(x, 7, power(stride))
			add(x, 8, big.NewInt(-1))
		},
		"packed cell and total changed alike": func(x []*big.Int) {
			add(x, 2, big.NewInt(1))
			add(x, 12, big.NewInt(3))
		},
		"packed cell of the other instrument": func(x []*big.Int) {
			x[2] = x[5]
			x[12] = big.NewInt(3*7 - 4*7)
			x[13] = big.NewInt(3*100 - 4*100)
		},
	} {
		x := lanesInput()
		cheat(x)
		if acceptsBig(t, ccs, x) {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestAttack01CopiesAreCompared: a committed copy of a public input is that input, whatever the prover answers.
func TestAttack01CopiesAreCompared(t *testing.T) {
	s := public()
	ccs := s.mustCompile(t)
	for answer := range int64(10) {
		evil := solver.OverrideHint(solver.GetHintID(copyHint), func(_ *big.Int, _, outputs []*big.Int) error {
			outputs[0].SetInt64(answer)
			return nil
		})
		if got := accepts(t, ccs, []int64{answer}, evil); got != (answer == s.honest[0]) {
			t.Errorf("%d for %d: accepted %v", answer, s.honest[0], got)
		}
	}
}
