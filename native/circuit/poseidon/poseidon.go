// Package poseidon holds the circuit versions of the two hashes of docs/protocol/hashing.md.
//
//	Compress(left, right)   Poseidon2 of width 2: 186 constraints
//	Sponge(tag, words...)   Poseidon2 of width 16: 555 constraints for every 15 words
//
// Both give the same values as straddle/native/crypto. The permutations (round keys as big integers) are made once per
// compiled circuit and kept in the compiler's key-value store.
package poseidon

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/std/permutation/poseidon2"
)

const (
	spongeWidth         = 16
	spongeFullRounds    = 8
	spongePartialRounds = 57
	spongeRate          = spongeWidth - 1

	tagBytesMax    = 24
	lengthPosition = 200 // the number of words sits above the tag's 192 bits
)

// Compress returns perm([left, right])[1] + right, the node of a Merkle tree or the step of a chain.
func Compress(api frontend.API, left, right frontend.Variable) frontend.Variable {
	return permutation(api, compressKey{}, poseidon2.NewPoseidon2).Compress(left, right)
}

// Sponge returns the hash of one or more words under a tag of 1 to 24 bytes. The tag and the number of words are compile-time
// constants and fill the capacity. It panics on an empty or too long tag and on an empty list: both are programming errors.
func Sponge(api frontend.API, tag string, words ...frontend.Variable) frontend.Variable {
	perm := permutation(api, spongeKey{}, func(api frontend.API) (*poseidon2.Permutation, error) {
		return poseidon2.NewPoseidon2FromParameters(api, spongeWidth, spongeFullRounds, spongePartialRounds)
	})
	state := make([]frontend.Variable, spongeWidth)
	state[0] = capacity(tag, len(words))
	for i := 1; i < spongeWidth; i++ {
		state[i] = 0
	}
	for start := 0; start < len(words); start += spongeRate {
		for i, word := range words[start:min(start+spongeRate, len(words))] {
			state[1+i] = api.Add(state[1+i], word)
		}
		if err := perm.Permutation(state); err != nil {
			panic(err) // only a wrong width, which is constant here
		}
	}
	return state[1]
}

// TagWord is the big-endian integer of a tag's bytes: ascii(tag) in the specification.
func TagWord(tag string) *big.Int {
	if len(tag) < 1 || len(tag) > tagBytesMax {
		panic(fmt.Sprintf("poseidon: tag %q has %d bytes, expected 1 to %d", tag, len(tag), tagBytesMax))
	}
	return new(big.Int).SetBytes([]byte(tag))
}

func capacity(tag string, words int) *big.Int {
	if words == 0 {
		panic(fmt.Sprintf("poseidon: sponge %q of no words, expected at least one", tag))
	}
	length := new(big.Int).Lsh(big.NewInt(int64(words)), lengthPosition)
	return length.Add(length, TagWord(tag))
}

type (
	compressKey struct{}
	spongeKey   struct{}
)

// keyValueStore is the part of gnark's builders (internal/kvstore) in which gadgets keep per-circuit objects.
type keyValueStore interface {
	SetKeyValue(key, value any)
	GetKeyValue(key any) any
}

func permutation(api frontend.API, key any, create func(frontend.API) (*poseidon2.Permutation, error)) *poseidon2.Permutation {
	store, cached := api.Compiler().(keyValueStore)
	if cached {
		if perm, ok := store.GetKeyValue(key).(*poseidon2.Permutation); ok {
			return perm
		}
	}
	perm, err := create(api)
	if err != nil {
		panic(err) // only a field other than BN254's
	}
	if cached {
		store.SetKeyValue(key, perm)
	}
	return perm
}
