// Package prover makes and keeps the keys of batch circuits and proves batches with them.
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

	"straddle/native/circuit"
	"straddle/native/circuit/batch"
)

// Circuit is a compiled batch circuit. Digest names its exact constraints: keys fit one digest only.
type Circuit struct {
	Preset      circuit.Preset
	Constraints int
	Digest      string
	system      constraint.ConstraintSystem
}

// Compile compiles a preset's circuit.
func Compile(preset string) (*Circuit, error) {
	p, err := circuit.PresetByName(preset)
	if err != nil {
		return nil, err
	}
	return compile(p)
}

func compile(p circuit.Preset) (*Circuit, error) {
	system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, batch.New(p))
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	if _, err := system.WriteTo(digest); err != nil {
		return nil, fmt.Errorf("digest of the circuit: %w", err)
	}
	return &Circuit{p, system.GetNbConstraints(), hex.EncodeToString(digest.Sum(nil)), system}, nil
}

// RowKinds is what one more row of each table costs, in constraints, at the preset's depths. Measured on small circuits, so a few constraints off from
// what it is in the whole.
func RowKinds(p circuit.Preset) (map[string]float64, error) {
	base := p
	const rows, more = 12, 12 // whole cells of the data: three order rows in two, four position rows in one
	tables := []struct {
		name string
		rows *int
	}{
		{"account", &base.Accounts}, {"position", &base.Positions}, {"instrument", &base.Instruments}, {"listing", &base.Listings},
		{"signature", &base.Signatures}, {"order", &base.Orders}, {"leg", &base.Legs}, {"fill", &base.Fills}, {"queue", &base.Queue},
		{"withdrawal", &base.Withdrawals}, {"transfer", &base.Transfers}, {"takeover", &base.Takeovers}, {"deleverage", &base.Deleverages},
	}
	for _, table := range tables {
		*table.rows = rows
	}
	count := func() (int, error) {
		system, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, batch.New(base))
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
	for _, table := range tables {
		*table.rows += more
		total, err := count()
		if err != nil {
			return nil, err
		}
		*table.rows -= more
		kinds[table.name] = float64(total-least) / more
	}
	return kinds, nil
}
