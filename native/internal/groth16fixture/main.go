// Command groth16fixture writes the fixture of the verifier contract's tests: a verifying key and two proofs of a small circuit with the shape of the
// batch circuit seen from layer 1, five public inputs and one commitment.
//
//	cd native && go run ./internal/groth16fixture > ../tests/contracts/fixtures/groth16.json
package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark/backend"
	"github.com/consensys/gnark/backend/groth16"
	groth16bn254 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/backend/solidity"
	"github.com/consensys/gnark/constraint"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"
	"github.com/consensys/gnark/logger"
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

type proofJSON struct {
	A          []string `json:"a"`
	B          []string `json:"b"`
	C          []string `json:"c"`
	Commitment []string `json:"commitment"`
	Pok        []string `json:"pok"`
	Public     []string `json:"public"`
}

type keyJSON struct {
	Alpha             []string   `json:"alpha"`
	Beta              []string   `json:"beta"`
	Gamma             []string   `json:"gamma"`
	Delta             []string   `json:"delta"`
	K                 [][]string `json:"k"`
	PedersenG         []string   `json:"pedersen_g"`
	PedersenGSigmaNeg []string   `json:"pedersen_g_sigma_neg"`
}

type fixture struct {
	VerifyingKey keyJSON     `json:"verifying_key"`
	Proofs       []proofJSON `json:"proofs"`
}

func word(e fp.Element) string {
	b := e.Bytes()
	return fmt.Sprintf("0x%x", b[:])
}

func g1(p *bn254.G1Affine) []string { return []string{word(p.X), word(p.Y)} }

// g2 lists coordinates as the pairing precompile wants them: imaginary part first.
func g2(p *bn254.G2Affine) []string {
	return []string{word(p.X.A1), word(p.X.A0), word(p.Y.A1), word(p.Y.A0)}
}

func keyToJSON(vk *groth16bn254.VerifyingKey) keyJSON {
	key := keyJSON{
		Alpha: g1(&vk.G1.Alpha), Beta: g2(&vk.G2.Beta), Gamma: g2(&vk.G2.Gamma), Delta: g2(&vk.G2.Delta),
		PedersenG: g2(&vk.CommitmentKeys[0].G), PedersenGSigmaNeg: g2(&vk.CommitmentKeys[0].GSigmaNeg),
	}
	for i := range vk.G1.K {
		key.K = append(key.K, g1(&vk.G1.K[i]))
	}
	return key
}

func prove(ccs constraint.ConstraintSystem, pk groth16.ProvingKey, vk groth16.VerifyingKey, seed int64) (proofJSON, error) {
	c := assignment(seed)
	witness, err := frontend.NewWitness(c, ecc.BN254.ScalarField())
	if err != nil {
		return proofJSON{}, err
	}
	proof, err := groth16.Prove(ccs, pk, witness, solidity.WithProverTargetSolidityVerifier(backend.GROTH16))
	if err != nil {
		return proofJSON{}, err
	}
	public, err := witness.Public()
	if err != nil {
		return proofJSON{}, err
	}
	if err := groth16.Verify(proof, vk, public, solidity.WithVerifierTargetSolidityVerifier(backend.GROTH16)); err != nil {
		return proofJSON{}, err
	}
	p := proof.(*groth16bn254.Proof)
	out := proofJSON{A: g1(&p.Ar), B: g2(&p.Bs), C: g1(&p.Krs), Commitment: g1(&p.Commitments[0]), Pok: g1(&p.CommitmentPok)}
	for _, value := range c.Public {
		out.Public = append(out.Public, fmt.Sprintf("0x%064x", value))
	}
	return out, nil
}

func run() error {
	logger.Disable() // it writes to standard output
	ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &circuit{})
	if err != nil {
		return err
	}
	pk, vk, err := groth16.Setup(ccs)
	if err != nil {
		return err
	}
	out := fixture{VerifyingKey: keyToJSON(vk.(*groth16bn254.VerifyingKey))}
	for _, seed := range []int64{3, 1 << 40} {
		proof, err := prove(ccs, pk, vk, seed)
		if err != nil {
			return err
		}
		out.Proofs = append(out.Proofs, proof)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	return encoder.Encode(out)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "groth16fixture:", err)
		os.Exit(1)
	}
}
