package crypto

import (
	"fmt"
	"maps"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// MaxDepth is the deepest tree: indices are 64-bit.
const MaxDepth = 63

// Tree is a sparse Merkle tree of 2^depth leaves in which untouched leaves hold a default. Bit k of an index (k = 0 lowest) says whether the node
// at level k is a right child. Not safe for concurrent writes.
type Tree struct {
	depth    int
	defaults []fr.Element            // by level: the root of an untouched subtree
	nodes    []map[uint64]fr.Element // by level: nodes off the default
}

// NewTree makes a tree whose leaves all hold defaultLeaf. It panics unless 0 <= depth <= MaxDepth.
func NewTree(depth int, defaultLeaf fr.Element) *Tree {
	if depth < 0 || depth > MaxDepth {
		panic(fmt.Sprintf("crypto: tree depth %d, expected 0 to %d", depth, MaxDepth))
	}
	t := &Tree{depth: depth, defaults: make([]fr.Element, depth+1), nodes: make([]map[uint64]fr.Element, depth+1)}
	t.defaults[0] = defaultLeaf
	for level := range t.nodes {
		t.nodes[level] = map[uint64]fr.Element{}
		if level > 0 {
			t.defaults[level] = Compress(t.defaults[level-1], t.defaults[level-1])
		}
	}
	return t
}

// Depth is the number of levels below the root.
func (t *Tree) Depth() int { return t.depth }

// Root is the tree's root.
func (t *Tree) Root() fr.Element { return t.node(t.depth, 0) }

// Get is the leaf at index.
func (t *Tree) Get(index uint64) fr.Element {
	t.checkIndex(index)
	return t.node(0, index)
}

// Set writes a leaf and the nodes above it.
func (t *Tree) Set(index uint64, leaf fr.Element) {
	for level, node := range FoldNodes(leaf, index, t.Path(index)) {
		t.nodes[level][index>>level] = node
	}
}

// Path lists the siblings of the leaf at index, from the leaf up.
func (t *Tree) Path(index uint64) []fr.Element {
	t.checkIndex(index)
	path := make([]fr.Element, t.depth)
	for level := range path {
		path[level] = t.node(level, (index>>level)^1)
	}
	return path
}

// Copy is an independent copy.
func (t *Tree) Copy() *Tree {
	c := &Tree{depth: t.depth, defaults: t.defaults, nodes: make([]map[uint64]fr.Element, len(t.nodes))}
	for level := range t.nodes {
		c.nodes[level] = maps.Clone(t.nodes[level])
	}
	return c
}

func (t *Tree) node(level int, index uint64) fr.Element {
	if node, ok := t.nodes[level][index]; ok {
		return node
	}
	return t.defaults[level]
}

func (t *Tree) checkIndex(index uint64) {
	if index>>t.depth != 0 {
		panic(fmt.Sprintf("crypto: leaf index %d in a tree of depth %d", index, t.depth))
	}
}

// Fold is the root that a leaf at index has under a path of siblings.
func Fold(leaf fr.Element, index uint64, path []fr.Element) fr.Element {
	return FoldNodes(leaf, index, path)[len(path)]
}

// FoldNodes lists the nodes from the leaf up to the root.
func FoldNodes(leaf fr.Element, index uint64, path []fr.Element) []fr.Element {
	nodes := make([]fr.Element, len(path)+1)
	nodes[0] = leaf
	for level := range path {
		if index>>level&1 == 0 {
			nodes[level+1] = Compress(nodes[level], path[level])
		} else {
			nodes[level+1] = Compress(path[level], nodes[level])
		}
	}
	return nodes
}
