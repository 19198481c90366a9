package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	nanoFile = "../../circuit/batch/testdata/nano.json"
	exitFile = "../../circuit/solvency/testdata/nano-exit.json"
)

func call(t *testing.T, arguments ...string) (out, log string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err = run(arguments, strings.NewReader(""), &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

func TestUsageErrors(t *testing.T) {
	for want, arguments := range map[string][]string{
		"usage":                             {},
		`unknown command "forge"`:           {"forge"},
		"--preset is missing":               {"circuit"},
		"--cache is missing":                {"setup", "--preset", "nano"},
		"--witness is missing":              {"check"},
		`unexpected argument "x"`:           {"check", "--witness", "y", "x"},
		"flag provided but not defined":     {"check", "--wetness", "y"},
		`preset "huge": expected one of`:    {"rows", "--preset", "huge"},
		"no such file":                      {"prove", "--cache", "x", "--witness", "/nonexistent"},
		"no keys in the cache":              {"serve", "--preset", "nano", "--cache", t.TempDir()},
		"no keys in the cache: nano of cir": {"prove", "--cache", t.TempDir(), "--witness", nanoFile},
		"no keys in the cache: nano-exit o": {"prove", "--cache", t.TempDir(), "--witness", exitFile},
		`preset "nano-swap": expected one `: {"circuit", "--preset", "nano-swap", "--cache", t.TempDir()},
	} {
		if _, _, err := call(t, arguments...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, expected %q", arguments, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	out, log, err := call(t, "check", "--witness", nanoFile)
	if err != nil || strings.TrimSpace(out) != `{"ok":true}` {
		t.Fatalf("%s %v", out, err)
	}
	for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
		var progress struct{ Stage string }
		if json.Unmarshal([]byte(line), &progress) != nil || progress.Stage == "" {
			t.Errorf("progress line %q", line)
		}
	}
	good, err := os.ReadFile(nanoFile)
	if err != nil {
		t.Fatal(err)
	}
	for want, edit := range map[string][2]string{
		"beneficiary: missing":                  {`"beneficiary"`, `"beneficiaries"`},
		"public.y_body: ":                       {`"y_body": "`, `"y_body": "1`},
		"constraint #":                          {`"cancel_signature": 5`, `"cancel_signature": -1`}, // a min_nonce that nobody signed
		"witness: not JSON":                     {`{`, `[`},
		`preset: preset "huge": expected one o`: {`"nano"`, `"huge"`},
	} {
		path := filepath.Join(t.TempDir(), "witness.json")
		if err := os.WriteFile(path, bytes.Replace(good, []byte(edit[0]), []byte(edit[1]), 1), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _, err := call(t, "check", "--witness", path)
		var answer struct {
			OK    *bool
			Error string
		}
		if err != nil || json.Unmarshal([]byte(out), &answer) != nil || answer.OK == nil || *answer.OK || !strings.Contains(answer.Error, want) {
			t.Errorf("%q: %s %v", want, out, err)
		}
	}
}

// line is a file's JSON without line breaks.
func line(t *testing.T, data []byte) string {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		t.Fatal(err)
	}
	return compact.String() + "\n"
}

// TestCheckManyCircuits: the witness of each line names its circuit; of a wrong one the reader's word and the solver's come apart.
func TestCheckManyCircuits(t *testing.T) {
	var lines strings.Builder
	exit, err := os.ReadFile(exitFile)
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := os.ReadFile(strings.Replace(exitFile, "exit", "solvency", 1))
	if err != nil {
		t.Fatal(err)
	}
	lines.WriteString(line(t, exit))
	lines.WriteString(line(t, chunk))
	lines.WriteString(line(t, bytes.Replace(exit, []byte(`"size": -400`), []byte(`"size": -300`), 1)))   // less of a liability
	lines.WriteString(line(t, bytes.Replace(exit, []byte(`"nano-exit"`), []byte(`"nano-solvency"`), 1))) // one account for eight
	path := filepath.Join(t.TempDir(), "witnesses.jsonl")
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _, err := call(t, "check-many", "--witnesses", path)
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSpace(out), "\n")
	for i, want := range []string{`{"ok":true,"solver":true}`, `{"ok":true,"solver":true}`, `{"ok":false,"error":"accounts[0].positions_digest: `,
		`{"ok":false,"error":"accounts: 1 elements, expected 8"}`} {
		if i >= len(answers) || !strings.HasPrefix(answers[i], want) {
			t.Errorf("line %d: %v, expected %s", i, answers, want)
		}
	}
	if !strings.Contains(answers[2], `"solver":false`) {
		t.Errorf("the solver takes a smaller liability: %s", answers[2])
	}
}

// TestCircuitAndRows: what a circuit is, and what one more row of each kind costs.
func TestCircuitAndRows(t *testing.T) {
	out, _, err := call(t, "circuit", "--preset", "nano-exit", "--cache", t.TempDir())
	var circuit struct {
		Preset, Digest string
		Constraints    int
	}
	if err != nil || json.Unmarshal([]byte(out), &circuit) != nil || circuit.Preset != "nano-exit" || len(circuit.Digest) != 64 || circuit.Constraints < 10_000 {
		t.Errorf("%s %v", out, err)
	}
	out, _, err = call(t, "rows", "--preset", "nano-exit")
	rows := map[string]float64{}
	if err != nil || json.Unmarshal([]byte(out), &rows) != nil || rows["account"] < rows["position"] || rows["position"] <= 0 {
		t.Errorf("%s %v", out, err)
	}
}

// TestExitFromSetupToProof is what an owner runs, and serve beside it, which refuses a witness of another circuit.
func TestExitFromSetupToProof(t *testing.T) {
	if testing.Short() {
		t.Skip("sets up a circuit of 17,000 constraints")
	}
	cache := t.TempDir()
	for _, compilations := range []int{1, 0} { // the second time its identity is known
		_, log, err := call(t, "setup", "--preset", "nano-exit", "--cache", cache)
		if found := strings.Count(log, `"stage":"compiled"`); err != nil || found != compilations {
			t.Fatalf("%d compilations, expected %d: %v", found, compilations, err)
		}
	}
	out, _, err := call(t, "prove", "--cache", cache, "--witness", exitFile)
	if err != nil || !strings.Contains(out, `"public":["0x`) {
		t.Fatalf("%s %v", out, err)
	}
	var stdout, stderr bytes.Buffer
	if err := run([]string{"serve", "--preset", "nano-exit", "--cache", cache}, strings.NewReader(exitFile+"\n"+nanoFile+"\n"), &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if len(answers) != 3 || !strings.Contains(answers[1], `"commitment"`) || !strings.Contains(answers[2], `preset: \"nano\", this prover serves \"nano-exit\"`) {
		t.Errorf("%v", answers)
	}
}
