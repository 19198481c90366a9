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
	Fills        int    `json:"fills"`
	Queue        int    `json:"queue"`
	Withdrawals  int    `json:"withdrawals"`
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
	for _, size := range []struct {
		name     string
		n, least int
		most     int
	}{
		{"account_depth", p.AccountDepth, 2, 24}, {"slot_depth", p.SlotDepth, 1, 32},
		{"accounts", p.Accounts, 1, 1 << 16}, {"positions", p.Positions, 2, 1 << 16}, {"instruments", p.Instruments, 1, 1 << 16},
		{"signatures", p.Signatures, 1, 1 << 16}, {"orders", p.Orders, 1, 1 << 16}, {"fills", p.Fills, 1, 1 << 16},
		{"queue", p.Queue, 1, 1<<16 - 1}, {"withdrawals", p.Withdrawals, 1, 1 << 16}, {"listings", p.Listings, 1, 1 << 16},
	} {
		if size.n < size.least || size.n > size.most {
			return fmt.Errorf("preset %q: %s is %d, expected %d to %d", p.Name, size.name, size.n, size.least, size.most)
		}
	}
	if p.Positions%2 != 0 {
		return fmt.Errorf("preset %q: positions is %d, expected an even number (two rows share a cell of the data)", p.Name, p.Positions)
	}
	return nil
}
