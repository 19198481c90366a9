// Package inspect is for the tests of circuits: which statement a constraint belongs to, and the cells of a witness one by one.
package inspect

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/constraint/solver"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"straddle/native/circuit/argument"
)

// Traced is a compiled circuit that knows which statement each constraint belongs to.
type Traced struct {
	constraint.ConstraintSystem
	starts []int    // first constraint of each label
	labels []string // groups, sums, hooks
	checks []string // subjects of the range checks, in their order
}

// Compile compiles the circuit that make gives for the layer's options.
func Compile(make func(options ...argument.Option) frontend.Circuit) (*Traced, error) {
	c := &Traced{}
	circuit := make(argument.WithTrace(func(l *argument.Layer, label string) {
		if subject, ok := strings.CutPrefix(label, argument.CheckLabel); ok {
			c.checks = append(c.checks, subject)
			return
		}
		c.starts, c.labels = append(c.starts, constraintsSoFar(l.API())), append(c.labels, label)
	}))
	var err error
	c.ConstraintSystem, err = frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit)
	return c, err
}

// constraintsSoFar asks gnark's builder, which does not say by itself.
func constraintsSoFar(api frontend.API) int {
	field := reflect.ValueOf(api.Compiler()).Elem().FieldByName("cs")
	open := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface()
	return open.(interface{ GetNbConstraints() int }).GetNbConstraints()
}

// place names the statement of a constraint: a group, a sum, or what a range check checks.
func (c *Traced) place(number int) string {
	label, start := "allocation", 0
	for i := range c.starts {
		if c.starts[i] <= number {
			label, start = c.labels[i], c.starts[i]
		}
	}
	if label == "range checks" && number-start < len(c.checks) {
		return "range of " + c.checks[number-start]
	}
	return label
}

// Stated lists the groups and sums with constraints or range checks of their own.
func (c *Traced) Stated() (labels []string) {
	for i, label := range c.labels {
		if label == "range checks" || label == "challenges" {
			continue
		}
		alone := i+1 < len(c.starts) && c.starts[i] == c.starts[i+1]
		if !alone || slices.Contains(c.checks, label) {
			labels = append(labels, label)
		}
	}
	return labels
}

var constraintNumber = regexp.MustCompile(`constraint #(\d+) is not satisfied`)

// PlaceOf names the statement that refused, or repeats the error of a hint.
func (c *Traced) PlaceOf(err error) string {
	if m := constraintNumber.FindStringSubmatch(err.Error()); m != nil {
		number, _ := strconv.Atoi(m[1])
		return c.place(number)
	}
	return err.Error()
}

// RefusedBy compares a refusal's place. The honest hints of a range check fail by themselves where the value leaves the range but not the limbs.
func RefusedBy(place, want string) bool {
	return want != "" && (strings.Contains(place, want) || strings.HasPrefix(want, "range of") && strings.Contains(place, "query element not in table"))
}

// Solve returns the solver's verdict on an assigned circuit; it panics if a cell is not assigned, which is no verdict.
func Solve(ccs constraint.ConstraintSystem, assigned frontend.Circuit, options ...solver.Option) error {
	w, err := frontend.NewWitness(assigned, ecc.BN254.ScalarField())
	if err != nil {
		panic(err)
	}
	return ccs.IsSolved(w, append(options, argument.SolveWithoutProof())...)
}

// Cell is one variable of a circuit's inputs.
type Cell struct {
	Path string // Accounts[1].Sides[0].Cash
	At   reflect.Value
}

// Cells lists the variables below a pointer to a struct.
func Cells(inputs any) []Cell { return cells(reflect.ValueOf(inputs).Elem(), "") }

func cells(v reflect.Value, path string) []Cell {
	var found []Cell
	switch {
	case v.Type() == reflect.TypeFor[frontend.Variable]():
		return []Cell{{path, v}}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			found = append(found, cells(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."))...)
		}
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		for i := range v.Len() {
			found = append(found, cells(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return found
}

// Number is the value of a cell.
func Number(v frontend.Variable) *big.Int {
	switch n := v.(type) {
	case *big.Int:
		return n
	case fr.Element:
		return n.BigInt(new(big.Int))
	case *fr.Element:
		return n.BigInt(new(big.Int))
	}
	r := reflect.ValueOf(v)
	if r.CanUint() {
		return new(big.Int).SetUint64(r.Uint())
	}
	return big.NewInt(r.Int())
}

// Quoted is a witness as JSON in which numbers beyond 2^53 are strings, as readers of JSON want them.
func Quoted(w any) ([]byte, error) {
	data, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	var walk func(v any) any
	walk = func(v any) any {
		switch x := v.(type) {
		case map[string]any:
			for k := range x {
				x[k] = walk(x[k])
			}
		case []any:
			for i := range x {
				x[i] = walk(x[i])
			}
		case json.Number:
			if n, _ := new(big.Int).SetString(x.String(), 10); n.BitLen() > 53 {
				return x.String()
			}
		}
		return v
	}
	data, err = json.MarshalIndent(walk(tree), "", " ")
	return append(data, '\n'), err
}
