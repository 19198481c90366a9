package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// merkleNode is the parent of a node and its sibling; right, a bit, says that the node is the right child.
func merkleNode(api frontend.API, right, node, sibling variable) variable {
	left := api.Select(right, sibling, node)
	return poseidon.Compress(api, left, api.Sub(api.Add(sibling, node), left))
}

// merkleRoot folds a leaf up a path; bits say, from the leaf up, where the node is a right child.
func merkleRoot(api frontend.API, leaf variable, bits, path []variable) variable {
	for level := range path {
		leaf = merkleNode(api, bits[level], leaf, path[level])
	}
	return leaf
}

// setRoot folds a leaf up a path of an order set, in whose tree an empty right side passes through (crypto.FoldSet).
func setRoot(api frontend.API, leaf variable, bits, path []variable) variable {
	for level, sibling := range path {
		left := api.Select(bits[level], sibling, leaf)
		right := api.Sub(api.Add(sibling, leaf), left)
		leaf = api.Select(api.IsZero(right), left, poseidon.Compress(api, left, right))
	}
	return leaf
}

func toBig(e fr.Element) *big.Int { return e.BigInt(new(big.Int)) }

func toElement(n *big.Int) (e fr.Element) {
	e.SetBigInt(n)
	return e
}

// emptyPositions is the digest of no positions.
func emptyPositions() fr.Element { return crypto.AsciiElement("straddle.positions") }

// emptySlots is the root of a slot tree that nothing has touched.
func emptySlots(depth int) fr.Element {
	return crypto.NewTree(depth, crypto.Compress(fr.Element{}, fr.Element{})).Root()
}

// nullLeaf is the leaf of an account that does not exist.
func nullLeaf(slotDepth int) *big.Int { return toBig(nullAccount(slotDepth).leaf()) }
