package prover

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// identities is the folder, beside the keys, of what programs found when they compiled: identities/<sha256 of the program>/<circuit>.json. Compiling is
// deterministic, so a program that has compiled a circuit once knows its digest; another build of it has another hash, and compiles.
const identities = "identities"

// Identity tells what the circuit of this name is. It compiles only what this very program has not compiled before with this cache. report may be nil.
func (c Cache) Identity(name string, report Report) (Identity, error) {
	if _, err := planOf(name); err != nil {
		return Identity{}, err
	}
	if known, ok := c.Known(name); ok {
		return known, nil
	}
	circuit, err := c.Compile(name, report)
	if err != nil {
		return Identity{}, err
	}
	return circuit.Identity, nil
}

// Compile compiles a circuit and remembers its identity. report may be nil.
func (c Cache) Compile(name string, report Report) (*Circuit, error) {
	circuit, err := Compile(name, report)
	if err == nil {
		_ = c.remember(circuit.Identity) // a cache that cannot be written, somebody else's say, is none the less one to read from
	}
	return circuit, err
}

// Known is what this program found when it compiled the circuit of this name; false as well of a file that cannot be read or is damaged: it is written anew.
func (c Cache) Known(name string) (Identity, bool) {
	path, err := c.identityFile(name)
	if err != nil {
		return Identity{}, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Identity{}, false
	}
	var found Identity
	if err := json.Unmarshal(data, &found); err != nil {
		return Identity{}, false
	}
	digest, err := hex.DecodeString(found.Digest)
	return found, err == nil && len(digest) == sha256.Size && found.Name == name && found.Constraints > 0
}

func (c Cache) remember(circuit Identity) error {
	path, err := c.identityFile(circuit.Name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeAtomically(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(circuit) })
}

func (c Cache) identityFile(name string) (string, error) {
	program, err := program()
	return filepath.Join(c.Directory, identities, program, name+".json"), err
}

// program is the SHA-256 of the executable.
var program = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	err = readFile(path, func(r io.Reader) error { _, err := io.Copy(hash, r); return err })
	return hex.EncodeToString(hash.Sum(nil)), err
})
