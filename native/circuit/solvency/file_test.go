package solvency

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"straddle/native/circuit/inspect"
)

var update = flag.Bool("update", false, "rewrite testdata")

// files are the fixture's witnesses, which other packages and the Python tests read: the chunk, the exit of an account with options and a future, that
// of one of negative equity, and that of one without positions.
var files = map[string]func() *Witness{
	"testdata/nano-solvency.json":   func() *Witness { return newFixture(1).witness() },
	"testdata/nano-exit.json":       func() *Witness { return newFixture(1).exit(rich).witness() },
	"testdata/nano-exit-debt.json":  func() *Witness { return newFixture(1).exit(broke).witness() },
	"testdata/nano-exit-empty.json": func() *Witness { return newFixture(1).exit(fees).witness() },
}

func TestFilesAreTheFixture(t *testing.T) {
	for name, make := range files {
		want, err := inspect.Quoted(make())
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s is not what the fixture makes; run go test -run FilesAre -update", name)
		}
		w, err := Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Assign(w)
		if err != nil {
			t.Fatal(err)
		}
		ccs := nanoExit
		if strings.Contains(name, "solvency") {
			ccs = nanoSolvency
		}
		if err := inspect.Solve(compiled(t, ccs), c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadingRefuses edits the file's text and expects an error that names the field.
func TestReadingRefuses(t *testing.T) {
	data, err := os.ReadFile("testdata/nano-solvency.json")
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	in := func(v any, index int) object { return v.([]any)[index].(object) }
	for _, c := range []struct {
		want string
		edit func(tree object)
	}{
		{"header.colour: unknown field", func(tree object) { tree["header"].(object)["colour"] = 1 }},
		{"fills: unknown field", func(tree object) { tree["fills"] = []any{} }},
		{"header.chunk: missing", func(tree object) { delete(tree["header"].(object), "chunk") }},
		{"accounts[3].auction: missing", func(tree object) { delete(in(tree["accounts"], 3), "auction") }},
		{"header.chunk: 32, expected 0 to 31", func(tree object) { tree["header"].(object)["chunk"] = 32 }},
		{"header.chunk: -1, expected 0 to", func(tree object) { tree["header"].(object)["chunk"] = -1 }},
		{"positions[0].size: number 1.5, expected an integer", func(tree object) { in(tree["positions"], 0)["size"] = 1.5 }},
		{"positions[0].size: -1099511627776, expected", func(tree object) { in(tree["positions"], 0)["size"] = -1 << 40 }},
		{`preset: preset "huge": expected one of`, func(tree object) { tree["preset"] = "huge" }},
		{`preset: preset "nano": expected nano-exit or nano-solvency`, func(tree object) { tree["preset"] = "nano" }},
		{`preset: preset "nano-blob": expected nano-exit or nano-solvency`, func(tree object) { tree["preset"] = "nano-blob" }},
		{"accounts: 8 elements, expected 1", func(tree object) { tree["preset"] = "nano-exit" }},
		{"accounts: 7 elements, expected 8", func(tree object) { tree["accounts"] = tree["accounts"].([]any)[1:] }},
		{"path: 4 elements, expected 5", func(tree object) { tree["path"] = tree["path"].([]any)[1:] }},
		{`positions: 57 rows, preset "nano-solvency" holds 56`, func(tree object) {
			rows := tree["positions"].([]any)
			for len(rows) < 57 {
				rows = append(rows, rows[0])
			}
			tree["positions"] = rows
		}},
		{`instruments: 8 rows, preset "nano-solvency" holds 7`, func(tree object) {
			rows := tree["instruments"].([]any)
			tree["instruments"] = append(rows, rows[0], rows[1], rows[2])
		}},
		{"instruments[1].deltas: 47 elements, expected 48", func(tree object) {
			in(tree["instruments"], 1)["deltas"] = in(tree["instruments"], 1)["deltas"].([]any)[1:]
		}},
		{"accounts[2].positions_digest: ", func(tree object) { in(tree["positions"], 0)["size"] = 13 }},
		{"positions[13].account: 9, expected one of the chunk, 0 to 7", func(tree object) {
			tree["positions"] = append(tree["positions"].([]any), object{"account": 9, "instrument": 1, "size": 40})
		}},
		{"header.accounts_root: the accounts do not open", func(tree object) { in(tree["accounts"], 3)["cash"] = 1 }},
		{"header.accounts_root: the accounts do not open", func(tree object) { tree["path"].([]any)[0] = "5" }},
		{"header.risk_root: ", func(tree object) { in(tree["instruments"], 0)["value"] = 1 }},
		{"public.c: 1, expected", func(tree object) { tree["public"].(object)["c"] = 1 }},
		{"public.c: ", func(tree object) { tree["header"].(object)["batch_number"] = 42 }},
		{"public.y_effects: 1, expected", func(tree object) { tree["public"].(object)["y_effects"] = 1 }},
		{"public.y_body: 1, expected", func(tree object) { tree["public"].(object)["y_body"] = 1 }},
		{"public.beneficiary: ", func(tree object) {
			tree["public"].(object)["beneficiary"] = "1461501637330902918203684832716283019655932542976"
		}},
	} {
		t.Run(c.want, func(t *testing.T) {
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.UseNumber()
			var tree object
			if err := decoder.Decode(&tree); err != nil {
				t.Fatal(err)
			}
			c.edit(tree)
			edited, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			w, err := Decode(edited)
			if err == nil {
				_, err = Assign(w)
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestUncheckedReachesTheSolver: what reading refuses, the solver refuses too.
func TestUncheckedReachesTheSolver(t *testing.T) {
	w := newFixture(1).witness()
	w.Accounts[rich].Cash = num(1)
	c, err := AssignUnchecked(w)
	if err != nil {
		t.Fatal(err)
	}
	if inspect.Solve(compiled(t, nanoSolvency), c) == nil {
		t.Fatal("accepted")
	}
}
