// Package circuit holds the presets: the sizes that a compiled batch circuit is made for.
package circuit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

//go:embed presets.json
var presetsJSON []byte

// maxInstruments is what a position row's ten bits can name; 0 is no instrument.
const maxInstruments = 1023

// Preset is the number of rows of each table and the depths of the trees.
type Preset struct {
	Name         string `json:"-"`
	AccountDepth int    `json:"account_depth"`
	SlotDepth    int    `json:"slot_depth"`
	Accounts     int    `json:"accounts"`
	Positions    int    `json:"positions"`
	Instruments  int    `json:"instruments"`
	Signatures   int    `json:"signatures"`
	Orders       int    `json:"orders"`
	Legs         int    `json:"legs"`
	Fills        int    `json:"fills"`
	Queue        int    `json:"queue"`
	Withdrawals  int    `json:"withdrawals"`
	Transfers    int    `json:"transfers"`
	Takeovers    int    `json:"takeovers"`
	Deleverages  int    `json:"deleverages"`
	Listings     int    `json:"listings"`
}

// PresetByName finds a preset of presets.json.
func PresetByName(name string) (Preset, error) {
	presets := map[string]Preset{}
	if err := json.Unmarshal(presetsJSON, &presets); err != nil {
		return Preset{}, fmt.Errorf("presets.json: %w", err)
	}
	preset, ok := presets[name]
	if !ok {
		names := make([]string, 0, len(presets))
		for n := range presets {
			names = append(names, n)
		}
		slices.Sort(names)
		return Preset{}, fmt.Errorf("preset %q: expected one of %v", name, names)
	}
	preset.Name = name
	return preset, preset.validate()
}

// validate refuses sizes that the circuit's words cannot hold.
func (p Preset) validate() error {
	const rows = 1 << 16
	for _, size := range []struct {
		name     string
		n, least int
		most     int
	}{
		{"account_depth", p.AccountDepth, 2, 24}, {"slot_depth", p.SlotDepth, 1, 32},
		{"accounts", p.Accounts, 1, rows}, {"positions", p.Positions, 1, rows}, {"instruments", p.Instruments, 1, maxInstruments},
		{"signatures", p.Signatures, 1, rows}, {"orders", p.Orders, 1, rows}, {"legs", p.Legs, 1, rows}, {"fills", p.Fills, 1, rows},
		{"queue", p.Queue, 1, rows - 1}, {"withdrawals", p.Withdrawals, 1, rows}, {"transfers", p.Transfers, 1, rows},
		{"takeovers", p.Takeovers, 1, rows}, {"deleverages", p.Deleverages, 1, rows}, {"listings", p.Listings, 1, rows},
	} {
		if size.n < size.least || size.n > size.most {
			return fmt.Errorf("preset %q: %s is %d, expected %d to %d", p.Name, size.name, size.n, size.least, size.most)
		}
	}
	return nil
}
