package poseidon

import (
	"math/big"
	"math/rand"
	"testing"

	"github.com/consensys/gnark-crypto/ecc"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/frontend/cs/r1cs"

	"straddle/native/crypto"
)

type hashCircuit struct {
	Words    []frontend.Variable
	Sponge   frontend.Variable
	Compress frontend.Variable
	tag      string
}

func (c *hashCircuit) Define(api frontend.API) error {
	api.AssertIsEqual(Sponge(api, c.tag, c.Words...), c.Sponge)
	api.AssertIsEqual(Compress(api, c.Words[0], c.Words[len(c.Words)-1]), c.Compress)
	return nil
}

func TestHashesAgreeWithNative(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for _, count := range []int{1, 2, 10, 13, 15, 16, 30, 31} {
		tag := "straddle.test"
		ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &hashCircuit{Words: make([]frontend.Variable, count), tag: tag})
		if err != nil {
			t.Fatal(err)
		}
		words := make([]fr.Element, count)
		assignment := &hashCircuit{Words: make([]frontend.Variable, count)}
		for i := range words {
			words[i].SetBigInt(new(big.Int).Rand(random, fr.Modulus()))
			assignment.Words[i] = words[i]
		}
		compressed := crypto.Compress(words[0], words[count-1])
		solve := func(sponge, compress fr.Element) error {
			assignment.Sponge, assignment.Compress = sponge, compress
			witness, err := frontend.NewWitness(assignment, ecc.BN254.ScalarField())
			if err != nil {
				t.Fatal(err)
			}
			return ccs.IsSolved(witness)
		}
		hash := crypto.Sponge(tag, words...)
		if err := solve(hash, compressed); err != nil {
			t.Fatalf("%d words: %v", count, err)
		}
		one := fr.One()
		if solve(*new(fr.Element).Add(&hash, &one), compressed) == nil || solve(hash, *new(fr.Element).Add(&compressed, &one)) == nil {
			t.Fatalf("%d words: a wrong hash is accepted", count)
		}
		// other tag, other length: other hash
		for _, other := range []fr.Element{crypto.Sponge("straddle.tesu", words...), crypto.Sponge(tag, append(words, fr.Element{})...)} {
			if solve(other, compressed) == nil {
				t.Fatalf("%d words: the hash of another tag or length is accepted", count)
			}
		}
	}
}

type countCircuit struct {
	Words  [15]frontend.Variable
	sponge bool
}

func (c *countCircuit) Define(api frontend.API) error {
	if c.sponge {
		Sponge(api, "straddle.test", c.Words[:]...)
	} else {
		Compress(api, c.Words[0], c.Words[1])
	}
	return nil
}

func TestConstraintCounts(t *testing.T) {
	for _, c := range []struct {
		sponge bool
		most   int
	}{{false, 186}, {true, 555}} {
		ccs, err := frontend.Compile(ecc.BN254.ScalarField(), r1cs.NewBuilder, &countCircuit{sponge: c.sponge}, frontend.IgnoreUnconstrainedInputs())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("sponge %v: %d constraints", c.sponge, ccs.GetNbConstraints())
		if ccs.GetNbConstraints() > c.most {
			t.Errorf("sponge %v: %d constraints, expected at most %d", c.sponge, ccs.GetNbConstraints(), c.most)
		}
	}
}

func TestBadTagsAndEmptyListsPanic(t *testing.T) {
	for name, f := range map[string]func(){
		"empty tag": func() { TagWord("") },
		"long tag":  func() { TagWord("straddle.abcdefghijklmnop") },
		"no words":  func() { capacity("straddle.test", 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	if TagWord("ab").Int64() != 'a'*256+'b' {
		t.Error("the tag is not big-endian")
	}
}
