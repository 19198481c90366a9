package prover

import (
	"os"
	"path/filepath"
	"testing"
)

// TestIdentity: the second time nothing is compiled; a damaged file, another circuit's or another program's is compiled anew.
func TestIdentity(t *testing.T) {
	const name = "nano-exit"
	cache := Cache{t.TempDir()}
	ask := func(want int) Identity {
		t.Helper()
		compiled := 0
		found, err := cache.Identity(name, func(p Progress) {
			if p.Stage == "compiled" {
				compiled++
			}
		})
		if err != nil || compiled != want {
			t.Fatalf("%d compilations, expected %d: %v", compiled, want, err)
		}
		return found
	}
	first := ask(1)
	circuit, err := Compile(name, nil)
	if err != nil || circuit.Identity != first || first.Name != name || ask(0) != first {
		t.Fatalf("%v of %v: %v", first, circuit, err)
	}
	files, err := filepath.Glob(filepath.Join(cache.Directory, identities, "*", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v: %v", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "[]", string(good[:len(good)/2]), `{"preset":"nano","constraints":1,"digest":"` + first.Digest + `"}`,
		`{"preset":"nano-exit","constraints":0,"digest":"` + first.Digest + `"}`, `{"preset":"nano-exit","constraints":1,"digest":"../../keys"}`} {
		if err := os.WriteFile(files[0], []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		if found := ask(1); found != first {
			t.Errorf("%q: %v", bad, found)
		}
	}
	if err := os.Rename(filepath.Dir(files[0]), filepath.Join(cache.Directory, identities, "another program")); err != nil {
		t.Fatal(err)
	}
	ask(1)
	if _, err := cache.Identity("nano-huge", nil); err == nil {
		t.Error("an unknown circuit has an identity")
	}
}

// TestIdentityInAFolderThatCannotBeWritten: only the memory is missing.
func TestIdentityInAFolderThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if found, err := (Cache{path}).Identity("nano-exit", nil); err != nil || found.Digest == "" {
		t.Errorf("%v: %v", found, err)
	}
}
