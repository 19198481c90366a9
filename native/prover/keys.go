package prover

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend/groth16"
)

// Names inside the directory of a circuit's keys.
const (
	provingFile   = "proving.key"
	verifyingFile = "verifying.key"
	manifestFile  = "manifest.json" // written last: its presence says that the keys are complete
	lockFile      = "lock"

	partialSuffix = ".partial"
)

// ErrNoKeys says that the cache holds no keys of the circuit.
var ErrNoKeys = errors.New("no keys in the cache")

// Keys are the keys of one circuit.
type Keys struct {
	proving   groth16.ProvingKey
	verifying groth16.VerifyingKey
}

type manifest struct {
	Note        string            `json:"note"`
	Preset      string            `json:"preset"`
	Circuit     string            `json:"circuit"`
	Constraints int               `json:"constraints"`
	SHA256      map[string]string `json:"sha256"`
}

// Cache is a directory with one directory of keys for each circuit digest, and the identities of circuits (identities.go).
type Cache struct{ Directory string }

func (c Cache) path(circuit Identity, name string) string {
	return filepath.Join(c.Directory, circuit.Digest, name)
}

// Setup finds the circuit's keys in the cache, or makes and stores them. Of several processes one makes them and the others wait. report may be nil.
func (c Cache) Setup(circuit *Circuit, report Report) (*Keys, error) {
	keys, err := c.Load(circuit.Identity)
	if !errors.Is(err, ErrNoKeys) {
		return keys, err
	}
	if err := os.MkdirAll(filepath.Join(c.Directory, circuit.Digest), 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(c.path(circuit.Identity, lockFile), report)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c.clear(circuit.Identity)
	if keys, err = c.Load(circuit.Identity); !errors.Is(err, ErrNoKeys) { // another process was faster
		return keys, err
	}
	stop := estimate("setup", setupCPUSeconds(circuit.Constraints), report)
	proving, verifying, err := groth16.Setup(circuit.system)
	stop()
	if err != nil {
		return nil, err
	}
	return &Keys{proving, verifying}, c.store(circuit, &Keys{proving, verifying}, report)
}

// clear removes what a process that was killed while it stored keys left behind. The lock is held.
func (c Cache) clear(circuit Identity) {
	left, _ := filepath.Glob(c.path(circuit, "*"+partialSuffix))
	for _, path := range left {
		os.Remove(path)
	}
}

// lock takes the file's exclusive lock, which the operating system drops if the process dies.
func lock(path string, report Report) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	descriptor := int(file.Fd())
	if err = syscall.Flock(descriptor, syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		report.send(Progress{Stage: "waiting for another process's setup"})
		for {
			if err = syscall.Flock(descriptor, syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}

func (c Cache) store(circuit *Circuit, keys *Keys, report Report) error {
	m := manifest{Note: "development set-up, unsafe: whoever made it can forge proofs", Preset: circuit.Name, Circuit: circuit.Digest,
		Constraints: circuit.Constraints, SHA256: map[string]string{}}
	report.send(Progress{Stage: "storing keys"})
	for _, key := range []struct {
		name  string
		write func(io.Writer) (int64, error)
	}{{provingFile, keys.proving.WriteRawTo}, {verifyingFile, keys.verifying.WriteRawTo}} {
		hash := sha256.New()
		err := writeAtomically(c.path(circuit.Identity, key.name), func(w io.Writer) error {
			_, err := key.write(io.MultiWriter(w, hash))
			return err
		})
		if err != nil {
			return err
		}
		m.SHA256[key.name] = hex.EncodeToString(hash.Sum(nil))
	}
	return writeAtomically(c.path(circuit.Identity, manifestFile), func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", " ")
		return encoder.Encode(m)
	})
}

// writeAtomically writes a file that appears under its name only when it is complete and on the disk.
func writeAtomically(path string, write func(io.Writer) error) error {
	partial := fmt.Sprintf("%s.%d%s", path, os.Getpid(), partialSuffix) // nobody else's
	file, err := os.Create(partial)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	err = errors.Join(write(buffered), buffered.Flush(), file.Sync(), file.Close())
	if err != nil {
		os.Remove(partial)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(partial, path)
}

// Load reads the keys of a circuit after comparing the files' hashes with the manifest's. It returns ErrNoKeys if there are none.
func (c Cache) Load(circuit Identity) (*Keys, error) {
	keys := &Keys{groth16.NewProvingKey(ecc.BN254), groth16.NewVerifyingKey(ecc.BN254)}
	m, err := c.manifest(circuit)
	if err != nil {
		return nil, err
	}
	for _, key := range []struct {
		name string
		read func(io.Reader) (int64, error)
	}{{provingFile, keys.proving.UnsafeReadFrom}, {verifyingFile, keys.verifying.ReadFrom}} {
		path := c.path(circuit, key.name)
		if err := checkHash(path, m.SHA256[key.name]); err != nil {
			return nil, err
		}
		if err := readFile(path, func(r io.Reader) error { _, err := key.read(r); return err }); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// LoadVerifying reads the verifying key only.
func (c Cache) LoadVerifying(circuit Identity) (groth16.VerifyingKey, error) {
	m, err := c.manifest(circuit)
	if err != nil {
		return nil, err
	}
	path := c.path(circuit, verifyingFile)
	if err := checkHash(path, m.SHA256[verifyingFile]); err != nil {
		return nil, err
	}
	key := groth16.NewVerifyingKey(ecc.BN254)
	return key, readFile(path, func(r io.Reader) error { _, err := key.ReadFrom(r); return err })
}

func (c Cache) manifest(circuit Identity) (*manifest, error) {
	path := c.path(circuit, manifestFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s of circuit %s (run setup)", ErrNoKeys, circuit.Name, circuit.Digest)
	}
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w (remove its directory to make new keys)", path, err)
	}
	if m.Circuit != circuit.Digest {
		return nil, fmt.Errorf("%s: keys of circuit %q, expected %q", path, m.Circuit, circuit.Digest)
	}
	return m, nil
}

func checkHash(path, want string) error {
	hash := sha256.New()
	if err := readFile(path, func(r io.Reader) error { _, err := io.Copy(hash, r); return err }); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s: sha256 %s, expected %s by the manifest (remove its directory to make new keys)", path, got, want)
	}
	return nil
}

func readFile(path string, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := read(bufio.NewReaderSize(file, 1<<20)); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
