package circuit

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed solvency.json
var chunksJSON []byte

// Chunk is the sizes of a circuit of the solvency statement: 2^K accounts and their position rows. Depths and instruments are the preset's.
type Chunk struct {
	Preset    Preset `json:"-"`
	Name      string `json:"-"` // nano-exit, nano-solvency
	K         int    `json:"k"`
	Positions int    `json:"positions"`
}

// ChunkByName finds the sizes of PRESET-exit or PRESET-solvency in solvency.json.
func ChunkByName(name string) (Chunk, error) {
	base, kind, _ := strings.Cut(name, "-")
	preset, err := PresetByName(base)
	if err != nil {
		return Chunk{}, err
	}
	sizes := map[string]map[string]Chunk{}
	if err := json.Unmarshal(chunksJSON, &sizes); err != nil {
		return Chunk{}, fmt.Errorf("solvency.json: %w", err)
	}
	chunk, ok := sizes[base][kind]
	if !ok {
		return Chunk{}, fmt.Errorf("preset %q: expected %s-exit or %s-solvency", name, base, base)
	}
	chunk.Preset, chunk.Name = preset, name
	return chunk, chunk.validate()
}

// validate refuses sizes beyond which the sums of the statement could leave their words.
func (c Chunk) validate() error {
	const mostK, mostPositions = 16, 1 << 14
	if c.K < 0 || c.K > mostK || c.K >= c.Preset.AccountDepth {
		return fmt.Errorf("preset %q: k is %d, expected 0 to %d", c.Name, c.K, min(mostK, c.Preset.AccountDepth-1))
	}
	if c.Positions < 1 || c.Positions > mostPositions {
		return fmt.Errorf("preset %q: positions is %d, expected 1 to %d", c.Name, c.Positions, mostPositions)
	}
	return nil
}

// Accounts is the number of accounts of a chunk.
func (c Chunk) Accounts() int { return 1 << c.K }

// PathLength is the number of siblings between a chunk's subtree and the root of the account tree.
func (c Chunk) PathLength() int { return c.Preset.AccountDepth - c.K }
