package schnorr

import (
	"math/rand"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/constraint"
	bn254 "github.com/consensys/gnark/constraint/bn254"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/argument"
	"straddle/native/crypto"
)

// unboundWires lists the wires from before the commitment that enter a constraint together with a wire from after it without being committed. A prover
// could choose such a value when the challenge is known.
func unboundWires(t *testing.T, ccs constraint.ConstraintSystem) map[int]bool {
	t.Helper()
	commitments := ccs.GetCommitments().(constraint.Groth16Commitments)
	if len(commitments) != 1 {
		t.Fatalf("%d commitments, expected one", len(commitments))
	}
	if n := len(commitments[0].PublicAndCommitmentCommitted); n != 0 {
		t.Errorf("%d public inputs are committed, expected none", n)
	}
	committed := map[int]bool{}
	for _, wire := range commitments[0].PrivateCommitted {
		committed[wire] = true
	}
	challenge, unbound := commitments[0].CommitmentIndex, map[int]bool{}
	for _, r := range ccs.(*bn254.R1CS).GetR1Cs() {
		late, early := false, []int{}
		for _, side := range []constraint.LinearExpression{r.L, r.R, r.O} {
			for _, term := range side {
				wire := term.WireID()
				late = late || wire >= challenge
				if wire >= ccs.GetNbPublicVariables() && wire < challenge && !committed[wire] {
					early = append(early, wire)
				}
			}
		}
		if late {
			for _, wire := range early {
				unbound[wire] = true
			}
		}
	}
	return unbound
}

func TestEverythingAfterTheChallengeWasBound(t *testing.T) {
	if unbound := unboundWires(t, compile(t, shape(2, 0, 1, 0))); len(unbound) > 0 {
		t.Errorf("%d wires enter after the challenge without being bound", len(unbound))
	}
	// The audit notices each kind of value that is left out. Places in the list of bound values of one signature:
	const (
		nonce    = 7                                      // after R, A, M and h
		accounts = 15                                     // the message's six words come before
		fixed    = accounts + 3*ways*challengeTableSize   // u, v, multiplicity of the account tables
		queries  = fixed + 3*ScalarDigits*scalarTableSize // the same of the constant tables
		scalars  = queries + 3*ways*digitsPerWay          // digit, u, v of each query
		lastS    = scalars + 3*(ScalarDigits-1)
	)
	for name, place := range map[string]int{
		"R.u": nonce, "R.v": nonce + 1, "last point of A's table": accounts + 3*15, "last point of M's table": accounts + 3*31 + 1,
		"multiplicity of A's table": accounts + 2, "multiplicity of M's table": accounts + 3*31 + 2,
		"first constant multiplicity": fixed + 2, "last constant multiplicity": queries - 1,
		"first digit of c": queries, "point of c, u": queries + 1, "point of c, v": queries + 2, "last point of c": scalars - 1,
		"first digit of s": scalars, "point of s, u": scalars + 1, "point of s, v": scalars + 2,
		"last digit of s": lastS, "last point of s": lastS + 2,
	} {
		c := shape(1, 0)
		c.dropBound = map[int]bool{place: true}
		if len(unboundWires(t, compile(t, c))) == 0 {
			t.Errorf("%s is not bound and the audit does not notice", name)
		}
	}
}

func TestGroth16(t *testing.T) {
	r := rand.New(rand.NewSource(30))
	ccs := compile(t, shape(1, 0))
	pk, vk, err := groth16.Setup(ccs)
	if err != nil {
		t.Fatal(err)
	}
	s := signRandom(r, randomSecret(r))
	prove := func(s signed) (groth16.Proof, error) {
		witness, err := frontend.NewWitness(assign(s), ecc.BN254.ScalarField())
		if err != nil {
			t.Fatal(err)
		}
		return groth16.Prove(ccs, pk, witness)
	}
	proof, err := prove(s)
	if err != nil {
		t.Fatal(err)
	}
	public, err := frontend.NewWitness(shape(0), ecc.BN254.ScalarField(), frontend.PublicOnly())
	if err != nil {
		t.Fatal(err)
	}
	if err := groth16.Verify(proof, vk, public); err != nil {
		t.Fatal(err)
	}
	s.message[0] = randomElement(r)
	if _, err := prove(s); err == nil {
		t.Fatal("a wrong message is proved")
	}
}

// layerCircuit runs the gadget on the real argument layer.
type layerCircuit struct {
	Account   account
	Message   [crypto.MessageWords]frontend.Variable
	Signature Signature
}

func (c *layerCircuit) Define(api frontend.API) error {
	layer := argument.New(api)
	var binder Binder = layer
	gadget := New(binder)
	gadget.Verify(c.Account.Key, c.Account.Multiple, c.Message, c.Signature)
	gadget.Close()
	return layer.Seal()
}

func TestWithArgumentLayer(t *testing.T) {
	ccs := compile(t, &layerCircuit{})
	crossings, err := argument.Audit(ccs)
	if err != nil || len(crossings) > 0 {
		t.Fatal(err, crossings)
	}
	r := rand.New(rand.NewSource(31))
	s := signRandom(r, randomSecret(r))
	filled := assign(s)
	a := &layerCircuit{filled.Accounts[0], filled.Messages[0], filled.Signatures[0]}
	if err := solve(t, ccs, a); err != nil {
		t.Fatal(err)
	}
	a.Message[5] = 1
	mustRefuse(t, "wrong message", solve(t, ccs, a))
}
