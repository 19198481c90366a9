package prover

import (
	"os"
	"strings"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend"
	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/backend/solidity"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/solvency"
)

// chunkOf reads a fixture of the solvency circuits.
func chunkOf(t testing.TB, name string) *Assignment {
	t.Helper()
	data, err := os.ReadFile("../circuit/solvency/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	assignment, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return assignment
}

// TestProveSolvency takes real keys, made when there are none, and makes proofs of the exit and the solvency circuit. A changed claim gets no proof, other public inputs do not verify,
// nor does the other circuit's key.
func TestProveSolvency(t *testing.T) {
	if testing.Short() {
		t.Skip("proves circuits of 17,000 and 38,000 constraints, and takes 25 CPU seconds for keys when there are none")
	}
	cache, public := sharedCache(t), map[string]bool{}
	for _, name := range []string{"nano-exit", "nano-solvency"} {
		assignment := chunkOf(t, name)
		if assignment.Circuit != name {
			t.Fatalf("%s: circuit %q", name, assignment.Circuit)
		}
		c, err := Compile(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := cache.Setup(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		proof, cost, err := c.Prove(keys, assignment)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d constraints, proved in %.1f s, %.1f CPU s", name, c.Constraints, cost.WallSeconds, cost.CPUSeconds)
		if len(proof.Public) != 5 || len(EncodeVerifyingKey(keys.Verifying()).K) != 7 {
			t.Fatalf("shape of the proof: %+v", proof)
		}
		public[proof.Public[0]] = true
		refuseOthers(t, c, keys, assignment)
	}
	if len(public) != 2 {
		t.Error("two circuits with one commitment")
	}
}

func refuseOthers(t *testing.T, c *Circuit, keys *Keys, assignment *Assignment) {
	t.Helper()
	inputs := assignment.inputs.(*solvency.Circuit)
	w, err := frontend.NewWitness(inputs, ecc.BN254.ScalarField())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := groth16.Prove(c.system, keys.proving, w, solidity.WithProverTargetSolidityVerifier(backend.GROTH16))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *solvency.Circuit){
		"c": func(c *solvency.Circuit) { c.Public.C = 0 }, "z": func(c *solvency.Circuit) { c.Public.Z = 1 },
		"y_effects": func(c *solvency.Circuit) { c.Public.YEffects = c.Public.YBody }, "y_body": func(c *solvency.Circuit) { c.Public.YBody = 0 },
		"beneficiary": func(c *solvency.Circuit) { c.Public.Beneficiary = 1 },
	} {
		other := *inputs
		change(&other)
		public, err := frontend.NewWitness(&other, ecc.BN254.ScalarField(), frontend.PublicOnly())
		if err != nil {
			t.Fatal(err)
		}
		if groth16.Verify(proof, keys.verifying, public, solidity.WithVerifierTargetSolidityVerifier(backend.GROTH16)) == nil {
			t.Errorf("%s: the proof verifies with another %s", c.Name, name)
		}
	}
	inputs.Private.Accounts[0].Claim = 12345
	if _, _, err := c.Prove(keys, assignment); err == nil || !strings.Contains(err.Error(), "does not satisfy the statement") {
		t.Errorf("%s: another claim: %v", c.Name, err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"nano-": "expected one of [nano nano-blob nano-exit nano-solvency]", "demo-swap": "expected one of [demo demo-blob demo-exit demo-solvency]",
		"huge-exit": "expected one of [demo nano standard]", "nano-exit-exit": "expected one of", "": "expected one of", "-exit": "expected one of",
	} {
		if _, err := Compile(name, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestEverySize: the sizes of every preset's circuits are valid, and a row of each table costs something.
func TestEverySize(t *testing.T) {
	for _, preset := range []string{"nano", "demo", "standard"} {
		for _, suffix := range []string{"exit", "solvency"} {
			if _, err := planOf(preset + "-" + suffix); err != nil {
				t.Error(err)
			}
		}
	}
	kinds, err := RowKinds("nano-solvency")
	if err != nil {
		t.Fatal(err)
	}
	if len(kinds) != 3 || kinds["account"] < kinds["instrument"] || kinds["instrument"] < kinds["position"] || kinds["position"] <= 0 {
		t.Fatal(kinds)
	}
}
