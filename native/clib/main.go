// Command clib is the C-shared library behind straddle.primitives (build mode c-shared). Every function takes plain buffers of 32-byte big-endian
// words and returns a status; none keeps a pointer, and a Go panic becomes a status.
package main

/*
#include <stdint.h>
*/
import "C"

import (
	"math/big"
	"slices"
	"unsafe"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"golang.org/x/crypto/sha3"

	"straddle/native/crypto"
)

// abiVersion changes whenever a signature or a meaning below does; the Python side refuses another.
const abiVersion = 3

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

func putWords(out []byte, words []fr.Element) {
	for i := range words {
		putWord(out[i*crypto.WordBytes:], words[i])
	}
}

func putFlags(out []byte, flags []bool) {
	clear(out)
	for i, set := range flags {
		if set {
			out[i] = 1
		}
	}
}

// split takes pairs apart.
func split(words []fr.Element) (left, right []fr.Element) {
	left, right = make([]fr.Element, len(words)/2), make([]fr.Element, len(words)/2)
	for i := range left {
		left[i], right[i] = words[2*i], words[2*i+1]
	}
	return left, right
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
	left, right := split(words)
	crypto.CompressParallel(left, left, right)
	putWords(view(out, n*crypto.WordBytes), left)
	return statusOK
}

// straddle_order_set writes the nodes of the tree of count orders, of which it gets (terms, legs): level after level from the leaves to the root, without the
// empty nodes to their right. out holds room words, which must be as many as there are nodes.
//
//export straddle_order_set
func straddle_order_set(orders *C.uint8_t, count, room C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if count < 1 || count > crypto.MaxSetOrders || badCount(room) {
		return statusBadArgument
	}
	words, err := crypto.DecodeWords(view(orders, 2*int(count)*crypto.WordBytes))
	if err != nil {
		return statusBadWord
	}
	terms, legs := split(words)
	crypto.CompressMany(terms, terms, legs)
	levels := crypto.SetLevels(terms)
	nodes := slices.Concat(levels[:]...)
	if len(nodes) != int(room) {
		return statusBadArgument
	}
	putWords(view(out, len(nodes)*crypto.WordBytes), nodes)
	return statusOK
}

// straddle_check_sets checks count signed sets on all cores. sizes are their numbers of orders, 8 bytes each; then a key of 64 bytes for each, a head of 4 words
// (domain, kind, account, key epoch), (terms, legs) of one order after the other, and a signature of 96 bytes. Writes the root of each set (32 bytes), then one
// byte for each: 1 valid, 0 not.
//
//export straddle_check_sets
func straddle_check_sets(sizes *C.int64_t, count C.int64_t, keys, heads, orders *C.uint8_t, orderCount C.int64_t, signatures, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(count) || badCount(orderCount) {
		return statusBadArgument
	}
	n := int(count)
	sets, err := crypto.DecodeSets(unsafe.Slice((*int64)(sizes), n), view(keys, n*crypto.PointBytes), view(heads, n*crypto.SetHeadWords*crypto.WordBytes),
		view(orders, 2*int(orderCount)*crypto.WordBytes), view(signatures, n*crypto.SignatureBytes))
	if err != nil {
		return statusBadWord
	}
	roots, valid := crypto.CheckSets(sets)
	result := view(out, n*(crypto.WordBytes+1))
	putWords(result, roots)
	putFlags(result[n*crypto.WordBytes:], valid)
	return statusOK
}

// straddle_sponge hashes each of count rows of width words under a tag, on all cores.
//
//export straddle_sponge
func straddle_sponge(tag *C.uint8_t, tagSize C.int64_t, in *C.uint8_t, count, width C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(tagSize) || badCount(count) || badCount(width) || width == 0 || badCount(count*width) {
		return statusBadArgument
	}
	name := string(view(tag, int(tagSize)))
	if crypto.CheckTag(name) != nil {
		return statusBadArgument
	}
	words, err := crypto.DecodeWords(view(in, int(count*width)*crypto.WordBytes))
	if err != nil {
		return statusBadWord
	}
	putWords(view(out, int(count)*crypto.WordBytes), crypto.SpongeMany(name, int(width), words))
	return statusOK
}

// straddle_keccak256 writes the 32-byte hash of each of count pieces, which lie one after the other; sizes are theirs in bytes, 8 bytes each, total their sum.
//
//export straddle_keccak256
func straddle_keccak256(sizes *C.int64_t, count C.int64_t, data *C.uint8_t, total C.int64_t, out *C.uint8_t) (code C.int) {
	defer guard(&code)
	if badCount(count) || total < 0 {
		return statusBadArgument
	}
	rest, hash := view(data, int(total)), sha3.NewLegacyKeccak256()
	result := view(out, int(count)*crypto.WordBytes)
	for i, size := range unsafe.Slice((*int64)(sizes), int(count)) {
		if size < 0 || size > int64(len(rest)) {
			return statusBadArgument
		}
		hash.Reset()
		hash.Write(rest[:size])
		hash.Sum(result[i*crypto.WordBytes : i*crypto.WordBytes])
		rest = rest[size:]
	}
	if len(rest) != 0 {
		return statusBadArgument
	}
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
	putFlags(view(out, n), valid)
	return statusOK
}
