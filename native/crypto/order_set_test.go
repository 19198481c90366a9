package crypto

import (
	"bytes"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// setRootByDefinition folds 64 leaves, absent ones 0, level by level with the node of docs/protocol/hashing.md.
func setRootByDefinition(leaves []fr.Element) fr.Element {
	nodes := make([]fr.Element, MaxSetOrders)
	copy(nodes, leaves)
	for ; len(nodes) > 1; nodes = nodes[:len(nodes)/2] {
		for i := range len(nodes) / 2 {
			nodes[i] = SetNode(nodes[2*i], nodes[2*i+1])
		}
	}
	return nodes[0]
}

func setLeaves(count int) []fr.Element {
	leaves := make([]fr.Element, count)
	for i := range leaves {
		leaves[i] = element("order", i)
	}
	return leaves
}

func TestSetTree(t *testing.T) {
	if one := element("order", 0); SetRoot([]fr.Element{one}) != one || SetNode(fr.Element{}, one) != Compress(fr.Element{}, one) {
		t.Error("what passes through")
	}
	for count := 1; count <= MaxSetOrders; count++ {
		leaves := setLeaves(count)
		root := SetRoot(leaves)
		if root != setRootByDefinition(leaves) {
			t.Fatalf("root of %d orders", count)
		}
		for i := range leaves {
			path := SetPath(leaves, i)
			if FoldSet(leaves[i], uint64(i), path[:]) != root {
				t.Fatalf("path of order %d of %d", i, count)
			}
		}
		if count > 1 {
			gap := slices.Clone(leaves)
			gap[count/2] = fr.Element{}
			if SetRoot(gap) != setRootByDefinition(gap) {
				t.Fatalf("root of %d orders, one of them 0", count)
			}
		}
	}
	mustPanic(t, "no orders", func() { SetRoot(nil) })
	mustPanic(t, "65 orders", func() { SetRoot(setLeaves(MaxSetOrders + 1)) })
}

// signedSets encodes sets of these sizes by three keys, with their roots.
func signedSets(counts []int64) (keys, heads, orders, signatures []byte, roots []fr.Element) {
	put := func(out *[]byte, words ...fr.Element) {
		for _, word := range words {
			encoded := word.Bytes()
			*out = append(*out, encoded[:]...)
		}
	}
	for i, count := range counts {
		var leaves []fr.Element
		for j := range int(count) {
			terms, legs := element("terms", 100*i+j), element("legs", j)
			put(&orders, terms, legs)
			leaves = append(leaves, Compress(terms, legs))
		}
		root := setRootByDefinition(leaves)
		msg := [MessageWords]fr.Element{element("domain", 0), element("kind", 0), element("account", i), element("epoch", i), root}
		put(&heads, msg[:SetHeadWords]...)
		A, sig := PublicKey(secretOf(i%3)), Sign(secretOf(i%3), msg)
		key, signature := EncodePoint(&A), EncodeSignature(&sig)
		keys, signatures, roots = append(keys, key[:]...), append(signatures, signature[:]...), append(roots, root)
	}
	return keys, heads, orders, signatures, roots
}

func TestCheckSets(t *testing.T) {
	counts := []int64{1, 64, 2, 3, 17, 1, 33, 63, 5}
	keys, heads, orders, signatures, roots := signedSets(counts)
	sets, err := DecodeSets(counts, keys, heads, orders, signatures)
	if err != nil {
		t.Fatal(err)
	}
	if got, valid := CheckSets(sets); slices.Contains(valid, false) || !slices.Equal(got, roots) {
		t.Fatalf("as signed: %v", valid)
	}
	spoil := func(what string, buf []byte, at int, invalid int) {
		t.Helper()
		before := slices.Clone(buf)
		buf[at] ^= 1
		sets, err := DecodeSets(counts, keys, heads, orders, signatures)
		if err != nil {
			t.Fatal(what, err)
		}
		if _, valid := CheckSets(sets); slices.Index(valid, false) != invalid || slices.Contains(valid[invalid+1:], false) {
			t.Errorf("%s: %v", what, valid)
		}
		copy(buf, before)
	}
	spoil("terms of the second set's last order", orders, 2*WordBytes*64+WordBytes-1, 1)
	spoil("legs of the first order", orders, 2*WordBytes-1, 0)
	spoil("head of the fourth", heads, 3*SetHeadWords*WordBytes+WordBytes-1, 3)
	spoil("signature of the last", signatures, 9*SignatureBytes-1, 8)
	spoil("key of the third", keys, 3*PointBytes-1, 2)
	keys[0], signatures[SignatureBytes] = 0xff, 0xff // no elements: invalid, not an error
	sets, err = DecodeSets(counts, keys, heads, orders, signatures)
	if err != nil {
		t.Fatal(err)
	}
	got, valid := CheckSets(sets)
	if valid[0] || valid[1] || !valid[2] || !slices.Equal(got, roots) {
		t.Errorf("encodings that are none: %v", valid)
	}
	for what, spoiled := range map[string]func() ([]SignedSet, error){
		"counts": func() ([]SignedSet, error) {
			return DecodeSets([]int64{0, 1}, keys[:128], heads[:256], orders, signatures[:192])
		},
		"more": func() ([]SignedSet, error) {
			return DecodeSets([]int64{65}, keys[:64], heads[:128], orders, signatures[:96])
		},
		"rest": func() ([]SignedSet, error) {
			return DecodeSets(counts[:8], keys[:512], heads[:1024], orders, signatures[:768])
		},
		"short": func() ([]SignedSet, error) { return DecodeSets(counts, keys, heads, orders[:4096], signatures) },
		"heads": func() ([]SignedSet, error) { return DecodeSets(counts, keys, heads[32:], orders, signatures) },
		"word": func() ([]SignedSet, error) {
			return DecodeSets(counts, keys, heads, bytes.Repeat([]byte{0xff}, len(orders)), signatures)
		},
	} {
		if _, err := spoiled(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// TestCheckManySets is about sets whose trees and challenges are hashed side by side: more of them than one portion.
func TestCheckManySets(t *testing.T) {
	var counts []int64
	for i := range 2*verifyChunk + 5 {
		counts = append(counts, int64(1+i*i%MaxSetOrders))
	}
	keys, heads, orders, signatures, roots := signedSets(counts)
	for _, invalid := range []int{-1, 0, verifyChunk, len(counts) - 1} {
		if invalid >= 0 {
			signatures[invalid*SignatureBytes+SignatureBytes-1] ^= 1
		}
		sets, err := DecodeSets(counts, keys, heads, orders, signatures)
		if err != nil {
			t.Fatal(err)
		}
		got, valid := CheckSets(sets)
		if !slices.Equal(got, roots) || slices.Index(valid, false) != invalid || invalid >= 0 && slices.Contains(valid[invalid+1:], false) {
			t.Errorf("set %d invalid: %v", invalid, valid)
		}
		if invalid >= 0 {
			signatures[invalid*SignatureBytes+SignatureBytes-1] ^= 1
		}
	}
}
