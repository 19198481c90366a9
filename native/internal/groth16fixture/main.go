// Command groth16fixture writes fixtures of the verifier contract's tests: a verifying key and proofs. Without arguments, those of a small circuit with
// the shape that every circuit has seen from layer 1, five public inputs and one commitment; else those of the circuit that the witness files name.
//
//	cd native && go run ./internal/groth16fixture > ../tests/contracts/fixtures/groth16.json
//	cd native && go run ./internal/groth16fixture circuit/solvency/testdata/nano-exit{,-debt}.json > ../tests/contracts/fixtures/nano-exit.json
//	cd native && go run ./internal/groth16fixture circuit/solvency/testdata/nano-solvency.json > ../tests/contracts/fixtures/nano-solvency.json
package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend"
	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/backend/solidity"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/logger"

	"straddle/native/prover"
)

// publicInputs is the number of public inputs of a batch proof.
const publicInputs = 5

// circuit proves: Public[i] = Secret[i]^2 + Secret[i+1] (indices mod 5), with a commitment to the secrets whose challenge is not zero.
type circuit struct {
	Public [publicInputs]frontend.Variable `gnark:",public"`
	Secret [publicInputs]frontend.Variable
}

func (c *circuit) Define(api frontend.API) error {
	committer, ok := api.Compiler().(frontend.Committer)
	if !ok {
		return fmt.Errorf("%T does not commit", api.Compiler())
	}
	challenge, err := committer.Commit(c.Secret[:]...)
	if err != nil {
		return err
	}
	api.AssertIsDifferent(challenge, 0)
	for i := range c.Public {
		next := c.Secret[(i+1)%publicInputs]
		api.AssertIsEqual(c.Public[i], api.Add(api.Mul(c.Secret[i], c.Secret[i]), next))
	}
	return nil
}

// assignment derives the public inputs from secrets seed, seed+1, ...
func assignment(seed int64) *circuit {
	var c circuit
	for i := range c.Public {
		s, next := seed+int64(i), seed+int64((i+1)%publicInputs)
		c.Secret[i] = s
		c.Public[i] = new(big.Int).Add(new(big.Int).Mul(big.NewInt(s), big.NewInt(s)), big.NewInt(next))
	}
	return &c
}

type fixture struct {
	VerifyingKey *prover.VerifyingKey `json:"verifying_key"`
	Proofs       []*prover.Proof      `json:"proofs"`
}

func prove(ccs constraint.ConstraintSystem, pk groth16.ProvingKey, vk groth16.VerifyingKey, seed int64) (*prover.Proof, error) {
	c := assignment(seed)
	witness, err := frontend.NewWitness(c, ecc.BN254.ScalarField())
	if err != nil {
		return nil, err
	}
	proof, err := groth16.Prove(ccs, pk, witness, solidity.WithProverTargetSolidityVerifier(backend.GROTH16))
	if err != nil {
		return nil, err
	}
	public, err := witness.Public()
	if err != nil {
		return nil, err
	}
	if err := groth16.Verify(proof, vk, public, solidity.WithVerifierTargetSolidityVerifier(backend.GROTH16)); err != nil {
		return nil, err
	}
	return prover.EncodeProof(proof, public), nil
}

// ofSmallCircuit makes keys and proofs of the small circuit.
func ofSmallCircuit() (*fixture, error) {
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &circuit{})
	if err != nil {
		return nil, err
	}
	pk, vk, err := groth16.Setup(ccs)
	if err != nil {
		return nil, err
	}
	out := &fixture{VerifyingKey: prover.EncodeVerifyingKey(vk)}
	for _, seed := range []int64{3, 1 << 40} {
		proof, err := prove(ccs, pk, vk, seed)
		if err != nil {
			return nil, err
		}
		out.Proofs = append(out.Proofs, proof)
	}
	return out, nil
}

// ofWitnesses makes fresh keys and proofs of the circuit that all these files are for.
func ofWitnesses(paths []string) (*fixture, error) {
	out := &fixture{}
	var compiled *prover.Circuit
	var keys *prover.Keys
	cache, err := os.MkdirTemp("", "straddle-keys-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(cache)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		assignment, err := prover.Read(data)
		if err != nil {
			return nil, err
		}
		if compiled == nil {
			if compiled, err = prover.Compile(assignment.Circuit, nil); err != nil {
				return nil, err
			}
			if keys, err = (prover.Cache{Directory: cache}).Setup(compiled, nil); err != nil {
				return nil, err
			}
			out.VerifyingKey = prover.EncodeVerifyingKey(keys.Verifying())
		}
		if assignment.Circuit != compiled.Name {
			return nil, fmt.Errorf("%s: circuit %s, expected %s as before", path, assignment.Circuit, compiled.Name)
		}
		proof, _, err := compiled.Prove(keys, assignment)
		if err != nil {
			return nil, err
		}
		out.Proofs = append(out.Proofs, proof)
	}
	return out, nil
}

func run(witnesses []string) error {
	logger.Disable() // it writes to standard output
	make := ofSmallCircuit
	if len(witnesses) > 0 {
		make = func() (*fixture, error) { return ofWitnesses(witnesses) }
	}
	out, err := make()
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	return encoder.Encode(out)
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "groth16fixture:", err)
		os.Exit(1)
	}
}
