package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const nanoFile = "../../circuit/batch/testdata/nano.json"

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
		`preset "huge": expected one of`:    {"circuit", "--preset", "huge"},
		"no such file":                      {"prove", "--cache", "x", "--witness", "/nonexistent"},
		"no keys in the cache":              {"serve", "--preset", "nano", "--cache", t.TempDir()},
		"no keys in the cache: nano of cir": {"prove", "--cache", t.TempDir(), "--witness", nanoFile},
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
