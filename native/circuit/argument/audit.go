package argument

import (
	"errors"
	"fmt"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/constraint"
	cs "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"
)

// Crossing is a wire that was made before the challenge, enters a constraint after it, and is not fixed by what was committed. A prover may choose its
// value after seeing the challenge: a forgery.
type Crossing struct {
	Wire       int
	Constraint string // the first constraint after the challenge that it enters
}

// Audit checks compiled constraints mechanically: every wire that enters after the challenge was committed before it, or follows from committed wires
// through earlier constraints. It lists the wires for which that fails.
func Audit(compiled constraint.ConstraintSystem) ([]Crossing, error) {
	system, ok := compiled.(*cs.R1CS)
	if !ok {
		return nil, fmt.Errorf("audit: %T, expected an R1CS over BN254", compiled)
	}
	commitments, ok := system.GetCommitments().(constraint.Groth16Commitments)
	if !ok || len(commitments) != 1 {
		return nil, fmt.Errorf("audit: expected exactly one commitment, found %d", len(commitments))
	}
	if len(commitments[0].PublicAndCommitmentCommitted) > 0 {
		return nil, errors.New("audit: public inputs are committed; layer 1's challenge hashes the commitment alone")
	}
	a := auditor{system: system, rows: system.GetR1Cs(), challenge: commitments[0].CommitmentIndex}
	a.known = make([]bool, a.challenge)
	a.known[0] = true
	for _, wire := range commitments[0].PrivateCommitted {
		a.known[wire] = true
	}
	a.findFirst()
	a.propagate()
	return a.crossings(), nil
}

// Unbound lists the columns, as "table/column", with a cell that the compiled circuit does not commit. Audit asks what enters the arguments; this asks,
// for every cell whether it does or not, that it is bound.
func (l *Layer) Unbound(compiled constraint.ConstraintSystem) ([]string, error) {
	commitments, ok := compiled.GetCommitments().(constraint.Groth16Commitments)
	if !ok || len(commitments) != 1 {
		return nil, errors.New("audit: expected exactly one Groth16 commitment")
	}
	committed := map[uint32]bool{}
	for _, wire := range commitments[0].PrivateCommitted {
		committed[uint32(wire)] = true
	}
	var unbound []string
	for _, t := range l.tables {
		for i, name := range t.columns {
			if !slices.ContainsFunc(t.cells[i], func(cell frontend.Variable) bool { return !l.allCommitted(cell, committed) }) {
				continue
			}
			unbound = append(unbound, t.name+"/"+name)
		}
	}
	return unbound, nil
}

// allCommitted says whether every wire of a cell is committed.
func (l *Layer) allCommitted(cell frontend.Variable, committed map[uint32]bool) bool {
	var encoded []uint32 // number of terms, then coefficient and wire of each
	l.api.Compiler().ToCanonicalVariable(cell).Compress(&encoded)
	for i := 2; i < len(encoded); i += 2 {
		if wire := encoded[i]; wire != 0 && !committed[wire] {
			return false
		}
	}
	return true
}

type auditor struct {
	system    *cs.R1CS
	rows      []constraint.R1C
	challenge int // wires are numbered in the order of their making: smaller numbers came before the challenge
	first     int // first constraint with the challenge
	known     []bool
}

func (a *auditor) findFirst() {
	for a.first = range a.rows {
		for _, side := range sides(&a.rows[a.first]) {
			for _, term := range side {
				if int(term.VID) >= a.challenge {
					return
				}
			}
		}
	}
}

func sides(row *constraint.R1C) [3]constraint.LinearExpression {
	return [3]constraint.LinearExpression{row.L, row.R, row.O}
}

// propagate extends known by wires that a constraint before the challenge determines.
func (a *auditor) propagate() {
	for changed := true; changed; {
		changed = false
		for i := range a.first {
			if wire, ok := a.determined(&a.rows[i]); ok {
				a.known[wire] = true
				changed = true
			}
		}
	}
}

// determined finds the one unknown wire of L * R = O if its value follows: L and R known and the wire in O; or L a constant other than 0 and the wire
// with different weight in R and O.
func (a *auditor) determined(row *constraint.R1C) (int, bool) {
	left, leftUnknown := a.unknown(row.L)
	right, rightUnknown := a.unknown(row.R)
	out, outUnknown := a.unknown(row.O)
	switch {
	case leftUnknown == 0 && rightUnknown == 0 && outUnknown == 1:
		return out, true
	case leftUnknown == 0 && rightUnknown == 1 && outUnknown <= 1:
		if outUnknown == 1 && out != right {
			return 0, false
		}
		return right, a.linear(row.L, row.R, row.O, right)
	case rightUnknown == 0 && leftUnknown == 1 && outUnknown <= 1:
		if outUnknown == 1 && out != left {
			return 0, false
		}
		return left, a.linear(row.R, row.L, row.O, left)
	}
	return 0, false
}

func (a *auditor) unknown(side constraint.LinearExpression) (wire, count int) {
	for _, term := range side {
		if !a.known[term.VID] {
			wire = int(term.VID)
			count++
		}
	}
	return wire, count
}

// linear says whether constant * side = out fixes the wire.
func (a *auditor) linear(constant, side, out constraint.LinearExpression, wire int) bool {
	var c fr.Element
	for _, term := range constant {
		if term.VID != 0 {
			return false
		}
		c.Add(&c, a.coefficient(term))
	}
	var weight fr.Element
	for _, term := range side {
		if int(term.VID) == wire {
			weight.Add(&weight, a.coefficient(term))
		}
	}
	weight.Mul(&weight, &c)
	for _, term := range out {
		if int(term.VID) == wire {
			weight.Sub(&weight, a.coefficient(term))
		}
	}
	return !weight.IsZero()
}

func (a *auditor) coefficient(term constraint.Term) *fr.Element {
	return &a.system.Coefficients[term.CoeffID()]
}

func (a *auditor) crossings() []Crossing {
	var found []Crossing
	seen := map[int]bool{}
	for i := a.first; i < len(a.rows); i++ {
		for _, side := range sides(&a.rows[i]) {
			for _, term := range side {
				wire := int(term.VID)
				if wire >= a.challenge || a.known[wire] || seen[wire] {
					continue
				}
				seen[wire] = true
				found = append(found, Crossing{wire, a.rows[i].String(a.system)})
			}
		}
	}
	return found
}
