// Package argument is the only way in which the batch circuit ties its tables together.
//
// What it guarantees to whoever builds on it:
//  1. Tables own their cells: allocating a cell commits it (it is fixed before any challenge is drawn) and range-checks it.
//  2. An Expr comes from cells and constants only and carries the integer interval that follows from the range checks.
//  3. A Sum states that, at every key, the total of multiplier * weights vanishes over the integers: the engine refuses to compile if a total, or a
//     lane of a packed total, could overflow.
//  4. Only the engine sees challenges. Values that depend on one have another Go type, and no cell can be made after Seal.
//  5. Keys are tuples; each component has its own power of the challenge, sums never share an equation, so keys of different sums never alias.
//  6. Sums that hold totals need a table with unique keys: strictly ascending, or indexed by constants.
//
// Soundness: each sum is an identity of rational functions in the evaluation point and the folding challenge; both are hashes of the Groth16
// commitment to all cells. Partial fractions and Schwartz-Zippel give an error of at most (contributions * tuple length) / r per sum, about 2^-235.
package argument

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/multicommit"
	"github.com/consensys/gnark/std/rangecheck"

	"straddle/native/circuit/poseidon"
)

// Layer collects the cells, sums and hooks of one circuit. Make it first in Define, call Seal last.
type Layer struct {
	api        frontend.API
	checker    frontend.Rangechecker
	committed  []frontend.Variable
	tables     []*Table
	sums       []*Sum
	lookups    []*Lookup
	totals     []*Total
	hooks      []hook
	groups     []string
	errs       []error
	sealed     bool
	unbound    func(column string) bool
	visit      func(l *Layer, label string)
	postponed  map[*Tuple]drawn
	powerCache []drawn
	products   *constraint.BlueprintID // of assertProduct, once made
}

type hook struct {
	label string
	call  func(api frontend.API, challenge frontend.Variable) error
}

// Option changes a layer for a test.
type Option func(*Layer)

// WithoutBinding leaves the cells of some columns, named "table/column", neither committed nor range-checked. It exists for the tests that the audits
// notice.
func WithoutBinding(skip func(column string) bool) Option {
	return func(l *Layer) { l.unbound = skip }
}

// WithTrace has visit called when a group, and after sealing a sum or a hook, begins. It exists for the tests that ask which statement refuses a witness.
func WithTrace(visit func(l *Layer, label string)) Option {
	return func(l *Layer) { l.visit = visit }
}

// New makes the layer of a circuit. The range checker must exist before the first commitment callback, hence "first in Define".
func New(api frontend.API, options ...Option) *Layer {
	l := &Layer{api: api, checker: rangecheck.New(api), unbound: func(string) bool { return false },
		visit: func(*Layer, string) {}, postponed: map[*Tuple]drawn{}}
	for _, option := range options {
		option(l)
	}
	return l
}

func (l *Layer) fail(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("argument: "+format, args...))
}

func (l *Layer) open(what string) {
	if l.sealed {
		panic("argument: " + what + " after Seal")
	}
}

// API is the circuit's API, for gadgets outside the layer.
func (l *Layer) API() frontend.API { return l.api }

// Bind fixes a gadget's variables before its challenge is drawn (schnorr.Binder). It makes no Expr.
func (l *Layer) Bind(vs ...frontend.Variable) {
	l.open("Bind")
	for _, v := range vs {
		if _, constant := l.api.Compiler().ConstantValue(v); !constant {
			l.committed = append(l.committed, v)
		}
	}
}

// RangeCheck asserts 0 <= v < 2^bits (schnorr.Binder).
func (l *Layer) RangeCheck(v frontend.Variable, bits int) {
	l.open("RangeCheck")
	l.check(v, bits, "")
}

// check is the only way to the range checker. The subject, for the trace, is a column, or else the group.
func (l *Layer) check(v frontend.Variable, bits int, column string) {
	if bits > 1 { // the checker asserts narrower ones at once
		subject := column
		if column == "" && len(l.groups) > 0 {
			subject = l.groups[len(l.groups)-1]
		}
		l.visit(l, CheckLabel+subject)
	}
	l.checker.Check(v, bits)
}

// CheckLabel starts the trace's label of a range check, whose constraint comes later: they follow "range checks" in the order of these labels.
const CheckLabel = "check: "

// AfterSeal has f called with a challenge of its own once everything is committed (schnorr.Binder).
func (l *Layer) AfterSeal(label string, f func(api frontend.API, challenge frontend.Variable) error) {
	l.open("AfterSeal")
	if taken := slices.ContainsFunc(l.hooks, func(h hook) bool { return h.label == label }); taken || label == pointLabel || label == foldLabel {
		l.fail("AfterSeal: the label %q is taken; two gadgets must not share a challenge", label)
	}
	l.hooks = append(l.hooks, hook{label, f})
}

// Group names the constraint group that the following statements belong to, once each.
func (l *Layer) Group(name string) {
	if slices.Contains(l.groups, name) {
		l.fail("group %q named twice", name)
	}
	l.groups = append(l.groups, name)
	l.visit(l, name)
}

// Groups lists the constraint groups in the order of the circuit.
func (l *Layer) Groups() []string { return slices.Clone(l.groups) }

// Columns lists every column as "table/column".
func (l *Layer) Columns() []string {
	var names []string
	for _, t := range l.tables {
		for _, c := range t.columns {
			names = append(names, t.name+"/"+c)
		}
	}
	return names
}

// Public is a committed copy of a public input, as an element. Public inputs themselves stay out of the commitment, so that layer 1's challenge is
// the hash of the commitment alone.
func (l *Layer) Public(name string, v frontend.Variable) Expr {
	copied, err := l.api.NewHint(copyHint, 1, v)
	if err != nil {
		panic(err) // only for a wrong number of inputs
	}
	l.api.AssertIsEqual(v, copied[0])
	return l.Table("public "+name, 1).Field("copy", copied)[0]
}

// AssertEqual asserts a = b: over the integers when both are integers, in the field otherwise.
func (l *Layer) AssertEqual(a, b Expr) {
	a.unpacked(b)
	l.api.AssertIsEqual(a.variable, b.variable)
}

// AssertIs asserts that an expression equals a raw variable, such as the output of a hash.
func (l *Layer) AssertIs(e Expr, v frontend.Variable) { l.api.AssertIsEqual(v, e.variable) }

// AssertZero asserts e = 0.
func (l *Layer) AssertZero(e Expr) { l.AssertEqual(e, l.Const(0)) }

// AssertZeroIf asserts e = 0 where the flag is 1.
func (l *Layer) AssertZeroIf(flag, e Expr) {
	if !flag.isFlag() {
		l.fail("AssertZeroIf: expected a flag, got the interval %s", flag.interval)
	}
	l.AssertProduct(flag, e, l.Const(0))
}

// AssertNotNegative asserts e >= 0; the bits checked follow from the interval.
func (l *Layer) AssertNotNegative(e Expr) {
	i := e.Interval()
	if i.High.Sign() < 0 {
		l.fail("AssertNotNegative: the interval %s holds no such value", i)
		return
	}
	l.AssertBits(e, i.High.BitLen())
}

// AssertBits asserts 0 <= e < 2^bits. It refuses an interval in which a negative value could pass modulo r.
func (l *Layer) AssertBits(e Expr, bits int) {
	i := e.Interval()
	if reach := new(big.Int).Add(power(bits), i.Magnitude()); reach.Cmp(modulus) >= 0 {
		l.fail("AssertBits: %d bits and the interval %s reach the modulus", bits, i)
		return
	}
	l.open("AssertBits")
	l.check(e.variable, bits, "")
}

// Seal ends allocation, checks every sum, lane and rule, and schedules the arguments. Its error lists all violations.
func (l *Layer) Seal() error {
	l.open("Seal")
	for _, lookup := range l.lookups {
		lookup.close()
	}
	for _, total := range l.totals {
		total.close()
	}
	for _, sum := range l.sums {
		sum.verify()
	}
	if len(l.errs) > 0 {
		return errors.Join(l.errs...)
	}
	l.sealed = true
	l.visit(l, "range checks")
	multicommit.WithCommitment(l.api, l.argue, l.committed...)
	return nil
}

// drawn is a value that depends on a challenge. It never becomes an Expr or a cell.
type drawn struct{ v frontend.Variable }

// argue runs after everything is committed.
func (l *Layer) argue(api frontend.API, root frontend.Variable) error {
	l.visit(l, "challenges")
	draw := func(label string) frontend.Variable { return poseidon.Compress(api, root, poseidon.TagWord(label)) }
	point := drawn{draw(pointLabel)}
	l.powerCache = []drawn{{1}, {draw(foldLabel)}}
	for _, sum := range l.sums {
		l.visit(l, "sum "+sum.name)
		sum.argue(api, point)
	}
	for _, h := range l.hooks {
		l.visit(l, h.label)
		if err := h.call(api, draw(h.label)); err != nil {
			return fmt.Errorf("%s: %w", h.label, err)
		}
	}
	return nil
}

// Labels of the layer's own two challenges.
const (
	pointLabel = "argument.point"
	foldLabel  = "argument.fold"
)

// power is the folding challenge to the n.
func (l *Layer) power(api frontend.API, n int) drawn {
	for len(l.powerCache) <= n {
		last := l.powerCache[len(l.powerCache)-1]
		l.powerCache = append(l.powerCache, drawn{api.Mul(last.v, l.powerCache[1].v)})
	}
	return l.powerCache[n]
}
