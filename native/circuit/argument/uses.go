package argument

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
)

func init() { solver.RegisterHint(copyHint, MultiplicityHint) }

// Total is a sum whose totals are held by a table with unique keys: contributions at a key add up to what the row with that key holds, and to nothing
// at keys that no used row has.
type Total struct {
	sum    *Sum
	table  *Table
	held   []bool
	active Column
}

// Total makes the total of a table. Rows that are unused hold nothing.
func (l *Layer) Total(name string, table *Table) *Total {
	t := &Total{sum: l.Sum(name), table: table, held: make([]bool, table.rows), active: table.used}
	if _, ok := table.key(0); !ok {
		l.fail("total %q: table %q has no unique key (ascending or indexed)", name, table.name)
	}
	l.totals = append(l.totals, t)
	return t
}

// Add contributes multiplier * weights to the row with this key.
func (t *Total) Add(key *Tuple, multiplier Expr, weights *Tuple) { t.sum.Add(key, multiplier, weights) }

// Hold says what the total of row i is. Extra key components beyond the table's own may follow.
func (t *Total) Hold(i int, weights *Tuple, extraKey ...Expr) {
	l := t.sum.layer
	if t.held[i] {
		l.fail("total %q: row %d holds twice", t.sum.name, i)
	}
	t.held[i] = true
	key, _ := t.table.key(i)
	multiplier := l.Const(-1)
	if t.active != nil {
		multiplier = t.active[i].Negated()
	}
	t.sum.Add(l.Tuple(append(key, extraKey...)...), multiplier, weights)
	t.sum.contributions[len(t.sum.contributions)-1].holder = true
}

func (t *Total) close() {
	for i, held := range t.held {
		if !held {
			t.sum.layer.fail("total %q: row %d of %q holds nothing", t.sum.name, i, t.table.name)
		}
	}
}

// Flow is a sum of unit tokens: at every tuple as many are put as taken.
type Flow struct{ sum *Sum }

// Flow makes an empty flow.
func (l *Layer) Flow(name string) *Flow { return &Flow{l.Sum(name)} }

// Put adds count tokens; take them by a negative count. Counts are small integers, mostly flags.
func (f *Flow) Put(count Expr, token ...Expr) {
	l := f.sum.layer
	f.sum.Add(l.Tuple(token...), count, l.Tuple(l.Const(1)))
}

// Take removes count tokens.
func (f *Flow) Take(count Expr, token ...Expr) { f.Put(count.Negated(), token...) }

// Lookup states that every required tuple is among the provided ones.
type Lookup struct {
	sum       *Sum
	queries   []query
	providers []query
}

type query struct {
	active Expr
	key    *Tuple
}

// Lookup makes an empty lookup.
func (l *Layer) Lookup(name string) *Lookup {
	lookup := &Lookup{sum: l.Sum(name)}
	l.lookups = append(l.lookups, lookup)
	return lookup
}

// Require states that the tuple is provided wherever the flag is 1.
func (k *Lookup) Require(flag Expr, key *Tuple) {
	l := k.sum.layer
	if !flag.isFlag() {
		l.fail("lookup %q: expected a flag", k.sum.name)
	}
	k.queries = append(k.queries, query{flag, key})
	k.sum.Add(key, flag, l.Tuple(l.Const(1)))
}

// Provide offers a tuple wherever the flag is 1.
func (k *Lookup) Provide(flag Expr, key *Tuple) {
	if !flag.isFlag() {
		k.sum.layer.fail("lookup %q: expected a flag", k.sum.name)
	}
	k.providers = append(k.providers, query{flag, key})
}

// close allocates the multiplicities and vouches for packed cells.
func (k *Lookup) close() {
	l := k.sum.layer
	if len(k.providers) == 0 || len(k.queries) == 0 {
		l.fail("lookup %q: nothing provided or nothing required", k.sum.name)
		return
	}
	length := len(k.providers[0].key.flat())
	inputs := []frontend.Variable{len(k.queries), length}
	for _, q := range append(append([]query{}, k.queries...), k.providers...) {
		inputs = append(inputs, q.active.variable)
		for _, item := range q.key.flat() {
			inputs = append(inputs, item.variable)
		}
	}
	outputs, err := l.api.NewHint(MultiplicityHint, len(k.providers), inputs...)
	if err != nil {
		panic(err) // only for a wrong number of inputs
	}
	counts := l.Table("lookup "+k.sum.name, len(k.providers)).Field("multiplicity", outputs)
	for i, p := range k.providers {
		k.sum.contributions = append(k.sum.contributions, contribution{
			key: p.key, multiplier: counts[i].Times(p.active).Negated(), weights: l.Tuple(l.Const(1)), provider: true})
		if len(p.key.flat()) != k.sum.keyLength {
			l.fail("lookup %q: provides %d components, requires %d", k.sum.name, len(p.key.flat()), k.sum.keyLength)
			return
		}
	}
	k.vouch()
}

// vouch marks packed cells whose every possible value was packed from range-checked cells.
func (k *Lookup) vouch() {
	for _, q := range k.queries {
		for position, item := range q.key.flat() {
			if item.cell == nil || !q.active.isConst(1) {
				continue
			}
			if problem := k.provides(position, item.lanes); problem != "" {
				k.sum.layer.fail("lookup %q: cannot vouch for %s: %s", k.sum.name, item.cell.name, problem)
				continue
			}
			item.cell.trusted = true
		}
	}
}

func (k *Lookup) provides(position int, lanes *Lanes) string {
	for _, p := range k.providers {
		item := p.key.flat()[position]
		switch {
		case item.isConst(0): // every lane 0
			for _, interval := range lanes.Intervals {
				if !interval.contains(Interval{new(big.Int), new(big.Int)}) {
					return "a constant 0 outside the lanes' intervals"
				}
			}
		case item.kind != packed || item.cell != nil:
			return "a provided value that is not packed from integers"
		case !item.lanes.sameLayout(lanes):
			return "a provided value in another layout"
		default:
			for i, interval := range item.lanes.Intervals {
				if !lanes.Intervals[i].contains(interval) {
					return fmt.Sprintf("lane %d provides %s, declared %s", i, interval, lanes.Intervals[i])
				}
			}
		}
	}
	return ""
}

func copyHint(_ *big.Int, inputs, outputs []*big.Int) error {
	outputs[0].Set(inputs[0])
	return nil
}

// MultiplicityHint counts how often each provided tuple is required. Inputs: number of queries, tuple length, then for each query and each provider
// its flag and tuple. The counts are committed and checked by the lookup; a test replaces this hint by a dishonest one.
func MultiplicityHint(_ *big.Int, inputs, outputs []*big.Int) error {
	queries, length := int(inputs[0].Int64()), int(inputs[1].Int64())
	entry := func(i int) (active bool, key string) {
		row := inputs[2+i*(length+1) : 2+(i+1)*(length+1)]
		for _, v := range row[1:] {
			key += v.Text(62) + ","
		}
		return row[0].Sign() != 0, key
	}
	provided := map[string]int{}
	for i := range outputs {
		outputs[i].SetInt64(0)
		if active, key := entry(queries + i); active {
			if _, known := provided[key]; !known {
				provided[key] = i
			}
		}
	}
	for i := range queries {
		if active, key := entry(i); active {
			if at, ok := provided[key]; ok {
				outputs[at].Add(outputs[at], big.NewInt(1))
			}
		}
	}
	return nil
}
