// Package crypto holds the hashes, trees, keys and signatures of docs/protocol/hashing.md, natively. It is the reference that the circuits are
// tested against, and the code that the Python side calls through native/clib.
package crypto

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// Round numbers of the two Poseidon2 permutations.
const (
	NarrowWidth   = 2
	NarrowFull    = 6
	NarrowPartial = 50

	WideWidth   = 16
	WideFull    = 8
	WidePartial = 57

	// SpongeRate is the number of words that one wide permutation absorbs; element 0 is the capacity.
	SpongeRate = WideWidth - 1
)

const (
	maxTagBytes = 24
	// lengthShift is the bit of the capacity element at which the number of words sits, clear of the longest tag's 192 bits.
	lengthShift = 200
	// maxWords keeps ascii(tag) + words * 2^200 below the modulus.
	maxWords = 1 << 48
)

// lengthUnit is 2^lengthShift.
var lengthUnit = *new(fr.Element).SetBigInt(new(big.Int).Lsh(big.NewInt(1), lengthShift))

// Sponge hashes one or more words under a tag of 1 to 24 ASCII bytes. It panics on a bad tag or no words: both are programming errors.
func Sponge(tag string, words ...fr.Element) fr.Element {
	if len(words) == 0 {
		panic(fmt.Sprintf("crypto: sponge %q of no words", tag))
	}
	var state wideState
	state[0] = TagElement(tag, len(words))
	for start := 0; start < len(words); start += SpongeRate {
		chunk := words[start:min(start+SpongeRate, len(words))]
		for i := range chunk {
			state[1+i].Add(&state[1+i], &chunk[i])
		}
		permuteWide(&state)
	}
	return state[1]
}

// SpongeMany is Sponge of each row of `width` words, on all cores. It panics on a bad tag, width or number of words.
func SpongeMany(tag string, width int, words []fr.Element) []fr.Element {
	if width < 1 || len(words)%width != 0 {
		panic(fmt.Sprintf("crypto: %d words for sponges %q of %d", len(words), tag, width))
	}
	out := make([]fr.Element, len(words)/width)
	capacity := TagElement(tag, width)
	inChunks((len(out)+lanes-1)/lanes, 1, func(chunk int) {
		first := chunk * lanes
		states := make([]wideState, min(lanes, len(out)-first))
		for i := range states {
			states[i][0] = capacity
		}
		for start := 0; start < width; start += SpongeRate {
			for i := range states {
				row := words[(first+i)*width:]
				for j, word := range row[start:min(start+SpongeRate, width)] {
					states[i][1+j].Add(&states[i][1+j], &word)
				}
			}
			permuteWideMany(states)
		}
		for i := range states {
			out[first+i] = states[i][1]
		}
	})
	return out
}

// TagElement is the sponge's initial capacity: ascii(tag) + n * 2^200 for n words.
func TagElement(tag string, n int) fr.Element {
	if n < 1 || n >= maxWords {
		panic(fmt.Sprintf("crypto: sponge %q of %d words, expected 1 to 2^48 - 1", tag, n))
	}
	capacity := AsciiElement(tag)
	var length fr.Element
	length.SetUint64(uint64(n)).Mul(&length, &lengthUnit)
	return *capacity.Add(&capacity, &length)
}

// AsciiElement reads the tag's bytes as a big-endian integer.
func AsciiElement(tag string) fr.Element {
	if err := CheckTag(tag); err != nil {
		panic(err)
	}
	var out fr.Element
	out.SetBytes([]byte(tag))
	return out
}

// CheckTag says whether a tag is 1 to 24 ASCII bytes.
func CheckTag(tag string) error {
	if len(tag) < 1 || len(tag) > maxTagBytes {
		return fmt.Errorf("crypto: tag %q has %d bytes, expected 1 to %d", tag, len(tag), maxTagBytes)
	}
	for i := range len(tag) {
		if tag[i] < 0x20 || tag[i] > 0x7e {
			return fmt.Errorf("crypto: tag %q is not printable ASCII", tag)
		}
	}
	return nil
}
