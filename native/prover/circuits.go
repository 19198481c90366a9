package prover

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit"
	"straddle/native/circuit/batch"
	"straddle/native/circuit/solvency"
)

// kind is a sort of circuit, made for every preset. A circuit's name is the preset's, followed by "-" and the suffix of its kind if it has one; a
// witness file has it under "preset".
type kind struct {
	plan func(preset circuit.Preset) (*plan, error)
	// read makes a circuit's inputs from a witness file; checked, it first refuses roots and public values that the rest of the witness does not give.
	read func(data []byte, checked bool) (frontend.Circuit, error)
}

// kinds by the suffix of their names.
var kinds = map[string]kind{
	"":               {planBatch(false), reader(batch.Decode, batch.Assign, batch.AssignUnchecked)},
	batch.BlobSuffix: {planBatch(true), reader(batch.Decode, batch.Assign, batch.AssignUnchecked)},
	"exit":           {planSolvency("exit"), reader(solvency.Decode, solvency.Assign, solvency.AssignUnchecked)},
	"solvency":       {planSolvency("solvency"), reader(solvency.Decode, solvency.Assign, solvency.AssignUnchecked)},
}

// plan is a circuit before it is compiled, with sizes that may still change.
type plan struct {
	circuit func() frontend.Circuit
	tables  []table
}

// table is the size of one table, and from what size on how many rows more are compared to tell what a row costs.
type table struct {
	name        string
	size        *int
	least, more int
}

// parse finds preset and kind of a circuit's name.
func parse(name string) (circuit.Preset, kind, error) {
	base, suffix, _ := strings.Cut(name, "-")
	preset, err := circuit.PresetByName(base)
	if err != nil {
		return circuit.Preset{}, kind{}, err
	}
	found, ok := kinds[suffix]
	if !ok || name == base+"-" {
		var known []string
		for _, suffix := range slices.Sorted(maps.Keys(kinds)) {
			known = append(known, strings.TrimSuffix(base+"-"+suffix, "-"))
		}
		return circuit.Preset{}, kind{}, fmt.Errorf("preset %q: expected one of %v", name, known)
	}
	return preset, found, nil
}

func planOf(name string) (*plan, error) {
	preset, found, err := parse(name)
	if err != nil {
		return nil, err
	}
	return found.plan(preset)
}

// Assignment is a witness as the inputs of the circuit that it names.
type Assignment struct {
	Circuit string
	inputs  frontend.Circuit
}

// Read makes the inputs of a witness file's circuit. It recomputes roots and public values and refuses a mismatch by the field's name.
func Read(data []byte) (*Assignment, error) { return read(data, true) }

// ReadUnchecked is Read without the comparison of roots: a cheating witness is for the solver to refuse.
func ReadUnchecked(data []byte) (*Assignment, error) { return read(data, false) }

func read(data []byte, checked bool) (*Assignment, error) {
	var file struct {
		Preset any `json:"preset"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("witness: not JSON, or not an object: %w", err)
	}
	name, ok := file.Preset.(string)
	if !ok {
		return nil, fmt.Errorf("preset: %v, expected a string", file.Preset)
	}
	_, found, err := parse(name)
	if err != nil {
		return nil, fmt.Errorf("preset: %w", err)
	}
	inputs, err := found.read(data, checked)
	if err != nil {
		return nil, err
	}
	return &Assignment{name, inputs}, nil
}

// reader puts together how a kind reads its witness files.
func reader[W any, C frontend.Circuit](decode func([]byte) (W, error), assign, unchecked func(W) (C, error)) func([]byte, bool) (frontend.Circuit, error) {
	return func(data []byte, checked bool) (frontend.Circuit, error) {
		w, err := decode(data)
		if err != nil {
			return nil, err
		}
		fill := assign
		if !checked {
			fill = unchecked
		}
		inputs, err := fill(w)
		if err != nil {
			return nil, err // not inputs: a nil pointer in an interface is not nil
		}
		return inputs, nil
	}
}

// planBatch is the circuit of a batch whose body lies in a blob or elsewhere.
func planBatch(blob bool) func(circuit.Preset) (*plan, error) {
	return func(p circuit.Preset) (*plan, error) {
		made := &plan{circuit: func() frontend.Circuit {
			c := batch.New(p)
			c.Blob = blob
			return c
		}}
		const rows = 12 // whole cells of the data: three order rows in two, four position rows in one
		for _, t := range []struct {
			name string
			size *int
		}{
			{"account", &p.Accounts}, {"position", &p.Positions}, {"instrument", &p.Instruments}, {"listing", &p.Listings},
			{"signature", &p.Signatures}, {"order", &p.Orders}, {"leg", &p.Legs}, {"fill", &p.Fills}, {"queue", &p.Queue},
			{"withdrawal", &p.Withdrawals}, {"transfer", &p.Transfers}, {"takeover", &p.Takeovers}, {"deleverage", &p.Deleverages},
		} {
			made.tables = append(made.tables, table{t.name, t.size, rows, rows})
		}
		return made, nil
	}
}

// planSolvency is a circuit of the solvency statement.
func planSolvency(suffix string) func(circuit.Preset) (*plan, error) {
	return func(p circuit.Preset) (*plan, error) {
		chunk, err := circuit.ChunkByName(p.Name + "-" + suffix)
		if err != nil {
			return nil, err
		}
		made := &plan{circuit: func() frontend.Circuit { return solvency.New(chunk) }}
		const rows = 12 // whole cells of the data: four instrument rows in one
		made.tables = []table{
			{"account", &chunk.K, 0, 1}, // from one account to two
			{"position", &chunk.Positions, rows, rows}, {"instrument", &chunk.Preset.Instruments, rows, rows},
		}
		return made, nil
	}
}
