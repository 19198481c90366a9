package prover

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend"
	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/backend/solidity"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/logger"

	"straddle/native/circuit"
	"straddle/native/circuit/batch"
	"straddle/native/circuit/ledger"
)

func init() { logger.Disable() }

// tiny is cheap to set up; it is not a preset.
var tiny = circuit.Preset{Name: "tiny", AccountDepth: 2, SlotDepth: 1, Accounts: 1, Positions: 2, Instruments: 1, Signatures: 1, Orders: 1, Legs: 1,
	Fills: 1, Queue: 1, Withdrawals: 1, Transfers: 1, Takeovers: 1, Deleverages: 1, Listings: 1}

func compileTiny(t testing.TB) *Circuit {
	t.Helper()
	c, err := compile(tiny.Name, batch.New(tiny))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDigestNamesTheCircuit(t *testing.T) {
	first, second := compileTiny(t), compileTiny(t)
	if first.Digest != second.Digest {
		t.Fatal("two compilations of one circuit have different digests")
	}
	other := tiny
	other.SlotDepth = 2
	c, err := compile(other.Name, batch.New(other))
	if err != nil {
		t.Fatal(err)
	}
	if c.Digest == first.Digest {
		t.Fatal("two circuits have one digest")
	}
}

func encoded(t testing.TB, key groth16.VerifyingKey) string {
	t.Helper()
	data, err := json.Marshal(EncodeVerifyingKey(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestCache: two set-ups at once make one pair of keys; loading gives the same; every damage is noticed.
func TestCache(t *testing.T) {
	c, cache := compileTiny(t), Cache{t.TempDir()}
	if _, err := cache.Load(c.Identity); !errors.Is(err, ErrNoKeys) {
		t.Fatalf("empty cache: %v", err)
	}
	var keys [2]*Keys
	var errs [2]error
	var group sync.WaitGroup
	var stages sync.Map
	for i := range keys {
		group.Go(func() {
			keys[i], errs[i] = cache.Setup(c, func(p Progress) { stages.Store(p.Stage, true) })
		})
	}
	group.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	want := encoded(t, keys[0].Verifying())
	if encoded(t, keys[1].Verifying()) != want {
		t.Fatal("two set-ups at once made different keys")
	}
	if _, ok := stages.Load("setup"); !ok {
		t.Fatal("no progress reported")
	}
	loaded, err := cache.Load(c.Identity)
	if err != nil || encoded(t, loaded.Verifying()) != want {
		t.Fatalf("loaded keys differ: %v", err)
	}
	if vk, err := cache.LoadVerifying(c.Identity); err != nil || encoded(t, vk) != want {
		t.Fatalf("loaded verifying key differs: %v", err)
	}

	directory := filepath.Join(cache.Directory, c.Digest)
	for _, name := range []string{provingFile, verifyingFile, manifestFile} {
		path := filepath.Join(directory, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 1
		if name == manifestFile {
			bad = bytes.Replace(good, []byte(`"proving.key": "`), []byte(`"proving.key": "0`), 1)
		}
		for _, damage := range [][]byte{bad, good[:len(good)/2]} {
			if err := os.WriteFile(path, damage, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := cache.Load(c.Identity); err == nil || errors.Is(err, ErrNoKeys) {
				t.Errorf("damaged %s: %v", name, err)
			}
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(directory, manifestFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Load(c.Identity); !errors.Is(err, ErrNoKeys) {
		t.Errorf("keys whose storing was cut off: %v", err)
	}
	if partial, _ := filepath.Glob(filepath.Join(directory, "*.partial")); len(partial) > 0 {
		t.Errorf("left behind: %v", partial)
	}
}

func nanoAssignment(t testing.TB) *batch.Circuit {
	t.Helper()
	data, err := os.ReadFile("../circuit/batch/testdata/nano.json")
	if err != nil {
		t.Fatal(err)
	}
	w, err := batch.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	assignment, err := batch.Assign(w)
	if err != nil {
		t.Fatal(err)
	}
	return assignment
}

// sharedCache is the one that users have: keys of the nano circuits take a minute, and the Python tests need them too.
func sharedCache(t testing.TB) Cache {
	t.Helper()
	directory, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return Cache{filepath.Join(directory, "straddle", "keys")}
}

// TestProveNano takes real keys, made when there are none, and makes a real proof, which other public inputs do not verify, and which a cheating batch does not get.
func TestProveNano(t *testing.T) {
	if testing.Short() {
		t.Skip("proves a circuit of 150,000 constraints three times: 15 CPU seconds, and a minute for keys when there are none")
	}
	c, err := Compile("nano", nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := sharedCache(t).Setup(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	proof, cost, err := c.Prove(keys, &Assignment{"nano", nanoAssignment(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("proved in %.1f s, %.1f CPU s", cost.WallSeconds, cost.CPUSeconds)
	if len(proof.Public) != 5 || len(proof.B) != 4 || len(EncodeVerifyingKey(keys.Verifying()).K) != 7 {
		t.Fatalf("shape of the proof: %+v", proof)
	}
	for _, word := range append(append([]string{}, proof.Public...), proof.A...) {
		if len(word) != 66 || !strings.HasPrefix(word, "0x") {
			t.Errorf("word %q", word)
		}
	}
	cheating := nanoAssignment(t)
	cheating.Private.Accounts[1].Sides[1].Cash = 1
	if _, _, err := c.Prove(keys, &Assignment{"nano", cheating}); err == nil || !strings.Contains(err.Error(), "does not satisfy the statement") {
		t.Errorf("a cheating batch: %v", err)
	}
	verifyOthers(t, c, keys)
}

// verifyOthers proves once more and verifies against changed public inputs.
func verifyOthers(t *testing.T, c *Circuit, keys *Keys) {
	t.Helper()
	assignment := nanoAssignment(t)
	w, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := groth16.Prove(c.system, keys.proving, w, solidity.WithProverTargetSolidityVerifier(backend.GROTH16))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(p *ledger.Public){
		"beneficiary": func(p *ledger.Public) { p.Beneficiary = 1 },
		"z":           func(p *ledger.Public) { p.Z = 1 },
		"c":           func(p *ledger.Public) { p.C = 0 },
		"y_effects":   func(p *ledger.Public) { p.YEffects = p.YBody },
		"y_body":      func(p *ledger.Public) { p.YBody = 0 },
	} {
		other := *assignment
		change(&other.Public)
		public, err := frontend.NewWitness(&other, ecc.BN254.ScalarField(), frontend.PublicOnly())
		if err != nil {
			t.Fatal(err)
		}
		if groth16.Verify(proof, keys.verifying, public, solidity.WithVerifierTargetSolidityVerifier(backend.GROTH16)) == nil {
			t.Errorf("the proof verifies with another %s", name)
		}
	}
}

func TestRowKinds(t *testing.T) {
	p, err := planBatch(false)(tiny)
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := p.rowCosts()
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) != 13 || kinds["order"] < kinds["fill"] || kinds["fill"] <= 0 {
		t.Fatal(kinds)
	}
}
