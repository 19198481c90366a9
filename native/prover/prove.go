package prover

import (
	"fmt"
	"syscall"
	"time"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254"
	"github.com/consensys/gnark-crypto/ecc/bn254/fp"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/backend"
	"github.com/consensys/gnark/backend/groth16"
	groth16bn254 "github.com/consensys/gnark/backend/groth16/bn254"
	"github.com/consensys/gnark/backend/solidity"
	"github.com/consensys/gnark/backend/witness"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/argument"
)

// Proof is a proof for layer 1: 32-byte hex words, G2 coordinates imaginary part first.
type Proof struct {
	A          []string `json:"a"`
	B          []string `json:"b"`
	C          []string `json:"c"`
	Commitment []string `json:"commitment"`
	Pok        []string `json:"pok"`
	Public     []string `json:"public"`
}

// VerifyingKey is a verifying key for layer 1, likewise.
type VerifyingKey struct {
	Alpha             []string   `json:"alpha"`
	Beta              []string   `json:"beta"`
	Gamma             []string   `json:"gamma"`
	Delta             []string   `json:"delta"`
	K                 [][]string `json:"k"`
	PedersenG         []string   `json:"pedersen_g"`
	PedersenGSigmaNeg []string   `json:"pedersen_g_sigma_neg"`
}

// Cost is what a proof took.
type Cost struct {
	CPUSeconds  float64 `json:"cpu_seconds"`
	WallSeconds float64 `json:"wall_seconds"`
}

// Check solves the circuit for an assignment, without a proof.
func (c *Circuit) Check(assignment *Assignment) error {
	w, err := frontend.NewWitness(assignment.inputs, ecc.BN254.ScalarField())
	if err != nil {
		return err
	}
	return c.system.IsSolved(w, argument.SolveWithoutProof())
}

// Prove proves an assignment and verifies the proof as layer 1 does.
func (c *Circuit) Prove(keys *Keys, assignment *Assignment) (*Proof, Cost, error) {
	w, err := frontend.NewWitness(assignment.inputs, ecc.BN254.ScalarField())
	if err != nil {
		return nil, Cost{}, err
	}
	start, cpu := time.Now(), cpuSeconds()
	proof, err := groth16.Prove(c.system, keys.proving, w, solidity.WithProverTargetSolidityVerifier(backend.GROTH16))
	cost := Cost{cpuSeconds() - cpu, time.Since(start).Seconds()}
	if err != nil {
		return nil, cost, fmt.Errorf("the witness does not satisfy the statement: %w", err)
	}
	public, err := w.Public()
	if err != nil {
		return nil, cost, err
	}
	if err := groth16.Verify(proof, keys.verifying, public, solidity.WithVerifierTargetSolidityVerifier(backend.GROTH16)); err != nil {
		return nil, cost, fmt.Errorf("own proof does not verify (keys of another circuit?): %w", err)
	}
	return EncodeProof(proof, public), cost, nil
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime) + seconds(usage.Stime)
}

func word(e fp.Element) string {
	b := e.Bytes()
	return fmt.Sprintf("0x%x", b[:])
}

func g1(p *bn254.G1Affine) []string { return []string{word(p.X), word(p.Y)} }

func g2(p *bn254.G2Affine) []string {
	return []string{word(p.X.A1), word(p.X.A0), word(p.Y.A1), word(p.Y.A0)}
}

// EncodeProof writes a proof and its public inputs for layer 1. The proof must have one commitment.
func EncodeProof(proof groth16.Proof, public witness.Witness) *Proof {
	p := proof.(*groth16bn254.Proof)
	out := &Proof{A: g1(&p.Ar), B: g2(&p.Bs), C: g1(&p.Krs), Commitment: g1(&p.Commitments[0]), Pok: g1(&p.CommitmentPok)}
	for _, e := range public.Vector().(fr.Vector) {
		b := e.Bytes()
		out.Public = append(out.Public, fmt.Sprintf("0x%x", b[:]))
	}
	return out
}

// EncodeVerifyingKey writes a verifying key for layer 1.
func EncodeVerifyingKey(key groth16.VerifyingKey) *VerifyingKey {
	vk := key.(*groth16bn254.VerifyingKey)
	out := &VerifyingKey{Alpha: g1(&vk.G1.Alpha), Beta: g2(&vk.G2.Beta), Gamma: g2(&vk.G2.Gamma), Delta: g2(&vk.G2.Delta),
		PedersenG: g2(&vk.CommitmentKeys[0].G), PedersenGSigmaNeg: g2(&vk.CommitmentKeys[0].GSigmaNeg)}
	for i := range vk.G1.K {
		out.K = append(out.K, g1(&vk.G1.K[i]))
	}
	return out
}

// Verifying is the verifying key of a pair.
func (k *Keys) Verifying() groth16.VerifyingKey { return k.verifying }
