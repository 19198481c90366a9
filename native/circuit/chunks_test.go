package circuit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestChunks: every preset has both circuits, every account can leave, a chunk of nano can never hold too many positions, and the reference lists the sizes.
func TestChunks(t *testing.T) {
	reference, err := os.ReadFile("../../docs/reference/witness.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, preset := range []string{"nano", "demo", "standard"} {
		for _, kind := range []string{"exit", "solvency"} {
			c, err := ChunkByName(preset + "-" + kind)
			if err != nil {
				t.Fatal(err)
			}
			if row := fmt.Sprintf("| `%s` | %d | %d | %d |", c.Name, c.K, c.Accounts(), c.Positions); !strings.Contains(string(reference), row) {
				t.Errorf("docs/reference/witness.md lacks %s", row)
			}
			if kind == "exit" && (c.K != 0 || c.Positions < c.Preset.Positions/2) {
				t.Errorf("%s: k %d and %d positions; an account may hold %d", c.Name, c.K, c.Positions, c.Preset.Positions/2)
			}
		}
	}
	nano, err := ChunkByName("nano-solvency")
	if err != nil || nano.Positions < nano.Accounts()*nano.Preset.Instruments {
		t.Errorf("%+v %v", nano, err)
	}
}

func TestChunkRefusals(t *testing.T) {
	for name, want := range map[string]string{"huge-exit": "expected one of", "nano": "expected nano-exit or nano-solvency", "nano-blob": "expected nano-exit"} {
		if _, err := ChunkByName(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := PresetByName("nano")
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Chunk{
		"k is -1, expected 0 to 7": {Preset: p, K: -1, Positions: 1}, "k is 8, expected 0 to 7": {Preset: p, K: 8, Positions: 1},
		"positions is 0": {Preset: p, K: 1}, "positions is 16385, expected 1 to 16384": {Preset: p, K: 1, Positions: 1<<14 + 1},
	} {
		if err := c.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %s", err, want)
		}
	}
}
