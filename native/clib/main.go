// Command clib is the C-shared library behind straddle.primitives (build mode c-shared). Every function takes plain buffers of 32-byte big-endian
// words and returns a status; none keeps a pointer, and a Go panic becomes a status.
package main

/*
#include <stdint.h>
*/
import "C"

import (
	"math/big"
	"unsafe"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"golang.org/x/crypto/sha3"

	"straddle/native/crypto"
)

// abiVersion changes whenever a signature or a meaning below does; the Python side refuses another.
const abiVersion = 1

// Statuses. Python's native.py lists the same numbers.
const (
	statusOK           C.int = 0
	statusBadWord      C.int = 1 // an input word is not below the modulus
	statusBadArgument  C.int = 2 // a count, tag or length is out of range
	statusBadSecret    C.int = 3 // a secret is outside [1, l)
	statusBadPublicKey C.int = 4 // not a point of the prime subgroup, or the identity
	statusPanic        C.int = 99
)

// maxWords bounds every count, so that sizes in bytes cannot overflow.
const maxWords = 1 << 26

// sourceDigest is set by the build; hatch_build.py finds it in the file to tell whether the library is up to date.
var sourceDigest = "unset"

func main() {}

// guard turns a panic into a status: unwinding through C is undefined.
func guard(code *C.int) {
	if recover() != nil {
		*code = statusPanic
	}
}

func view(p *C.uint8_t, size int) []byte { return unsafe.Slice((*byte)(p), size) }

func badCount(count C.int64_t) bool { return count < 0 || count > maxWords }

func putWord(out []byte, e fr.Element) {
	word := e.Bytes()
	copy(out, word[:])
}

//export straddle_abi_version
func straddle_abi_version() C.int { return abiVersion }

//export straddle_source_digest
func straddle_source_digest(size C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(size) || int(size) < len(sourceDigest) {
		return statusBadArgument
	}
	clear(view(out, int(size)))
	copy(view(out, int(size)), sourceDigest)
	return statusOK
}

// straddle_compress hashes count pairs (64 bytes each) into count words.
//
//export straddle_compress
func straddle_compress(pairs *C.uint8_t, count C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(count) {
		return statusBadArgument
	}
	n := int(count)
	words, err := crypto.DecodeWords(view(pairs, 2*n*crypto.WordBytes))
	if err != nil {
		return statusBadWord
	}
	result := view(out, n*crypto.WordBytes)
	crypto.InParallel(n, func(i int) {
		putWord(result[i*crypto.WordBytes:], crypto.Compress(words[2*i], words[2*i+1]))
	})
	return statusOK
}

// straddle_sponge hashes count words under a tag.
//
//export straddle_sponge
func straddle_sponge(tag *C.uint8_t, tagSize C.int64_t, in *C.uint8_t, count C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(tagSize) || badCount(count) || count == 0 {
		return statusBadArgument
	}
	name := string(view(tag, int(tagSize)))
	if crypto.CheckTag(name) != nil {
		return statusBadArgument
	}
	words, err := crypto.DecodeWords(view(in, int(count)*crypto.WordBytes))
	if err != nil {
		return statusBadWord
	}
	putWord(view(out, crypto.WordBytes), crypto.Sponge(name, words...))
	return statusOK
}

// straddle_keccak256 writes the 32-byte hash of size bytes.
//
//export straddle_keccak256
func straddle_keccak256(data *C.uint8_t, size C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if size < 0 {
		return statusBadArgument
	}
	hash := sha3.NewLegacyKeccak256()
	hash.Write(view(data, int(size)))
	hash.Sum(view(out, hash.Size())[:0])
	return statusOK
}

// straddle_merkle_path writes depth + 1 nodes, from the leaf up to the root, of a leaf at index under a path of depth siblings.
//
//export straddle_merkle_path
func straddle_merkle_path(leaf *C.uint8_t, index C.uint64_t, siblings *C.uint8_t, depth C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if depth < 0 || depth > crypto.MaxDepth || uint64(index)>>uint(depth) != 0 {
		return statusBadArgument
	}
	start, err := crypto.DecodeWords(view(leaf, crypto.WordBytes))
	if err != nil {
		return statusBadWord
	}
	path, err := crypto.DecodeWords(view(siblings, int(depth)*crypto.WordBytes))
	if err != nil {
		return statusBadWord
	}
	result := view(out, (int(depth)+1)*crypto.WordBytes)
	for level, node := range crypto.FoldNodes(start[0], uint64(index), path) {
		putWord(result[level*crypto.WordBytes:], node)
	}
	return statusOK
}

// straddle_public_key writes A and the B with A = 8 B: 128 bytes.
//
//export straddle_public_key
func straddle_public_key(secret *C.uint8_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	a := new(big.Int).SetBytes(view(secret, crypto.WordBytes))
	if !crypto.ValidSecret(a) {
		return statusBadSecret
	}
	A, B := crypto.PublicKey(a), crypto.KeyBase(a)
	encodedA, encodedB := crypto.EncodePoint(&A), crypto.EncodePoint(&B)
	result := view(out, 2*crypto.PointBytes)
	copy(result, encodedA[:])
	copy(result[crypto.PointBytes:], encodedB[:])
	return statusOK
}

// straddle_key_multiple writes 2^64 A; zeros for the unset key.
//
//export straddle_key_multiple
func straddle_key_multiple(key *C.uint8_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	A, err := crypto.DecodePoint(view(key, crypto.PointBytes))
	if err != nil {
		return statusBadWord
	}
	if !crypto.IsUnset(&A) && !crypto.ValidKey(&A) {
		return statusBadPublicKey
	}
	M := crypto.Multiple(&A)
	encoded := crypto.EncodePoint(&M)
	copy(view(out, crypto.PointBytes), encoded[:])
	return statusOK
}

// straddle_sign writes the signature (96 bytes) of six words.
//
//export straddle_sign
func straddle_sign(secret *C.uint8_t, words *C.uint8_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	a := new(big.Int).SetBytes(view(secret, crypto.WordBytes))
	if !crypto.ValidSecret(a) {
		return statusBadSecret
	}
	msg, err := crypto.DecodeMessage(view(words, crypto.MessageBytes))
	if err != nil {
		return statusBadWord
	}
	sig := crypto.Sign(a, msg)
	encoded := crypto.EncodeSignature(&sig)
	copy(view(out, crypto.SignatureBytes), encoded[:])
	return statusOK
}

// straddle_verify writes one byte for each of count signatures: 1 valid, 0 not.
//
//export straddle_verify
func straddle_verify(keys *C.uint8_t, words *C.uint8_t, signatures *C.uint8_t, count C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(count) {
		return statusBadArgument
	}
	n := int(count)
	valid, err := crypto.VerifyManyEncoded(view(keys, n*crypto.PointBytes), view(words, n*crypto.MessageBytes),
		view(signatures, n*crypto.SignatureBytes))
	if err != nil {
		return statusBadWord
	}
	result := view(out, n)
	clear(result)
	for i, ok := range valid {
		if ok {
			result[i] = 1
		}
	}
	return statusOK
}
