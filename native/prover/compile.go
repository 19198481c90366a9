// Package prover makes and keeps the keys of circuits and proves witnesses with them.
//
// The set-up made here is a development set-up: whoever runs it could keep its secrets and forge proofs.
package prover

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
)

// Identity is what tells one circuit from another. Digest names its exact constraints: keys fit one digest only.
type Identity struct {
	Name        string `json:"preset"`
	Constraints int    `json:"constraints"`
	Digest      string `json:"digest"`
}

// Circuit is a compiled circuit.
type Circuit struct {
	Identity
	system constraint.ConstraintSystem
}

// Compile compiles the circuit of this name (circuits.go). report may be nil.
func Compile(name string, report Report) (*Circuit, error) {
	p, err := planOf(name)
	if err != nil {
		return nil, err
	}
	report.send(Progress{Stage: "compile"})
	circuit, err := compile(name, p.circuit())
	if err == nil {
		report.send(Progress{Stage: "compiled", Constraints: circuit.Constraints})
	}
	return circuit, err
}

func compile(name string, circuit frontend.Circuit) (*Circuit, error) {
	system, err := constraints(circuit)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	if _, err := system.WriteTo(digest); err != nil {
		return nil, fmt.Errorf("digest of the circuit: %w", err)
	}
	return &Circuit{Identity{name, system.GetNbConstraints(), hex.EncodeToString(digest.Sum(nil))}, system}, nil
}

func constraints(circuit frontend.Circuit) (constraint.ConstraintSystem, error) {
	return frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, circuit)
}

// RowKinds is what one more row of each table costs, in constraints, at the preset's depths. Measured on small circuits, so a few constraints off from
// what it is in the whole.
func RowKinds(name string) (map[string]float64, error) {
	p, err := planOf(name)
	if err != nil {
		return nil, err
	}
	return p.rowCosts()
}

// rowCosts shrinks every table of the plan to its least size and lets one after the other grow.
func (p *plan) rowCosts() (map[string]float64, error) {
	for _, table := range p.tables {
		*table.size = table.least
	}
	count := func() (int, error) {
		system, err := constraints(p.circuit())
		if err != nil {
			return 0, err
		}
		return system.GetNbConstraints(), nil
	}
	least, err := count()
	if err != nil {
		return nil, err
	}
	kinds := map[string]float64{}
	for _, table := range p.tables {
		*table.size += table.more
		total, err := count()
		if err != nil {
			return nil, err
		}
		*table.size -= table.more
		kinds[table.name] = float64(total-least) / float64(table.more)
	}
	return kinds, nil
}
