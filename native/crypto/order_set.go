package crypto

import (
	"fmt"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

const (
	// SetDepth is the depth of an order set's tree.
	SetDepth = 6
	// MaxSetOrders is the number of its leaves.
	MaxSetOrders = 1 << SetDepth
)

// SetNode is a node of an order set's tree: an empty right side, which is 0, passes the left one through, so that a set of one order hashes nothing but its leaf.
func SetNode(left, right fr.Element) fr.Element {
	if right.IsZero() {
		return left
	}
	return Compress(left, right)
}

// SetLevels lists the nodes of an order set's tree, level after level from the leaves to the root, without the empty ones to their right. It panics unless
// there are 1 to MaxSetOrders leaves.
func SetLevels(leaves []fr.Element) [SetDepth + 1][]fr.Element {
	if len(leaves) < 1 || len(leaves) > MaxSetOrders {
		panic(fmt.Sprintf("crypto: a set of %d orders, expected 1 to %d", len(leaves), MaxSetOrders))
	}
	levels := [SetDepth + 1][]fr.Element{leaves}
	var left, right [MaxSetOrders / 2]fr.Element
	for level := range SetDepth {
		below := levels[level]
		pairs := len(below) / 2
		above := make([]fr.Element, (len(below)+1)/2)
		for i := range pairs {
			left[i], right[i] = below[2*i], below[2*i+1]
		}
		CompressMany(above[:pairs], left[:pairs], right[:pairs])
		for i := range pairs {
			if right[i].IsZero() { // no hash is, but SetNode says what would follow
				above[i] = left[i]
			}
		}
		if len(below)%2 == 1 {
			above[pairs] = below[2*pairs]
		}
		levels[level+1] = above
	}
	return levels
}

// foldLevels replaces the leaves of each of several sets by its root, in place. Each level of all of them is hashed together: the higher ones have few nodes.
func foldLevels(sets [][]fr.Element) {
	var left, right []fr.Element
	for range SetDepth {
		left, right = left[:0], right[:0]
		for _, nodes := range sets {
			for i := 0; i+1 < len(nodes); i += 2 {
				left, right = append(left, nodes[i]), append(right, nodes[i+1])
			}
		}
		CompressMany(left, left, right)
		hashed := left
		for i, nodes := range sets {
			pairs, odd := len(nodes)/2, len(nodes)%2
			for j := range pairs {
				if !nodes[2*j+1].IsZero() { // no hash is, but SetNode says what would follow
					nodes[j] = hashed[j]
				} else {
					nodes[j] = nodes[2*j]
				}
			}
			if odd == 1 {
				nodes[pairs] = nodes[2*pairs]
			}
			hashed, sets[i] = hashed[pairs:], nodes[:pairs+odd]
		}
	}
}

// SetRoot is the root of an order set's tree: what the set's signature signs.
func SetRoot(leaves []fr.Element) fr.Element { return SetLevels(leaves)[SetDepth][0] }

// SetPath lists the siblings of the leaf at index, from the leaf up; 0 where there is none.
func SetPath(leaves []fr.Element, index int) (path [SetDepth]fr.Element) {
	levels := SetLevels(leaves)
	for level := range path {
		if sibling := index>>level ^ 1; sibling < len(levels[level]) {
			path[level] = levels[level][sibling]
		}
	}
	return path
}

// FoldSet is the root that a leaf at index has under a path of siblings in an order set's tree.
func FoldSet(leaf fr.Element, index uint64, path []fr.Element) fr.Element {
	node := leaf
	for level, sibling := range path {
		if index>>level&1 == 0 {
			node = SetNode(node, sibling)
		} else {
			node = SetNode(sibling, node)
		}
	}
	return node
}

// SetHeadWords is the number of words of a set's message before its root: domain, kind, account and key epoch. After the root there is a 0.
const SetHeadWords = MessageWords - 2

// SignedSet is an order set as its owner signed it.
type SignedSet struct {
	Key         te.PointAffine
	Head        [SetHeadWords]fr.Element
	Terms, Legs []fr.Element // of 1 to MaxSetOrders orders
	Signature   *Signature   // nil if its encoding is not even one: such a set has a root, but is not valid
}

// signed is the set's message with the root of its tree.
func (s *SignedSet) signed(root fr.Element) signedMessage {
	message := [MessageWords]fr.Element{SetHeadWords: root}
	copy(message[:], s.Head[:])
	return signedMessage{s.Key, message, s.Signature}
}

// CheckSets checks sets on all cores: the root of each, and whether its signature is valid. Leaves are hashed together, and so are the challenges of a
// worker's portion, which many sets of one order gain by.
func CheckSets(sets []SignedSet) ([]fr.Element, []bool) {
	var leaves, legs []fr.Element
	ends := make([]int, len(sets)+1)
	for i := range sets {
		leaves, legs = append(leaves, sets[i].Terms...), append(legs, sets[i].Legs...)
		ends[i+1] = len(leaves)
	}
	CompressParallel(leaves, leaves, legs)
	roots, valid := make([]fr.Element, len(sets)), make([]bool, len(sets))
	inChunks((len(sets)+verifyChunk-1)/verifyChunk, 1, func(chunk int) {
		first, end := chunk*verifyChunk, min((chunk+1)*verifyChunk, len(sets))
		nodes := make([][]fr.Element, 0, verifyChunk)
		signed := make([]signedMessage, 0, verifyChunk)
		for i := first; i < end; i++ {
			nodes = append(nodes, leaves[ends[i]:ends[i+1]])
		}
		foldLevels(nodes)
		for i := first; i < end; i++ {
			roots[i] = nodes[i-first][0]
			signed = append(signed, sets[i].signed(roots[i]))
		}
		copy(valid[first:end], verifyTogether(signed))
	})
	return roots, valid
}

// DecodeSets reads sets of counts[i] orders: keys of 64 bytes, heads of 4 words, (terms, legs) of one order after the other, signatures of 96 bytes. Words
// that are not below the modulus and counts out of range are errors; a key or signature that is not well formed only makes its set invalid.
func DecodeSets(counts []int64, keys, heads, orders, signatures []byte) ([]SignedSet, error) {
	sets := make([]SignedSet, len(counts))
	headWords, err := DecodeWords(heads)
	if err != nil {
		return nil, err
	}
	words, err := DecodeWords(orders)
	if err != nil {
		return nil, err
	}
	if len(keys) != len(sets)*PointBytes || len(signatures) != len(sets)*SignatureBytes || len(headWords) != len(sets)*SetHeadWords {
		return nil, fmt.Errorf("crypto: keys, heads or signatures are not those of %d sets", len(sets))
	}
	for i := range sets {
		s, count := &sets[i], counts[i]
		if count < 1 || count > MaxSetOrders || int64(len(words)) < 2*count {
			return nil, fmt.Errorf("crypto: set %d has %d orders, expected 1 to %d, as many as there are words for", i, count, MaxSetOrders)
		}
		copy(s.Head[:], headWords[i*SetHeadWords:])
		s.Terms, s.Legs = make([]fr.Element, count), make([]fr.Element, count)
		for j := range s.Terms {
			s.Terms[j], s.Legs[j] = words[2*j], words[2*j+1]
		}
		words = words[2*count:]
		key, keyErr := DecodePoint(keys[i*PointBytes : (i+1)*PointBytes])
		signature, signatureErr := DecodeSignature(signatures[i*SignatureBytes : (i+1)*SignatureBytes])
		if keyErr == nil && signatureErr == nil {
			s.Key, s.Signature = key, signature
		}
	}
	if len(words) != 0 {
		return nil, fmt.Errorf("crypto: %d words of orders are left over", len(words))
	}
	return sets, nil
}
