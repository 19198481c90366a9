package batch

import (
	"math/big"

	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/ledger"
	"straddle/native/circuit/poseidon"
)

// setRoot folds a leaf up a path of an order set, in whose tree an empty right side passes through (crypto.FoldSet).
func setRoot(api frontend.API, leaf variable, bits, path []variable) variable {
	for level, sibling := range path {
		left := api.Select(bits[level], sibling, leaf)
		right := api.Sub(api.Add(sibling, leaf), left)
		leaf = api.Select(api.IsZero(right), left, poseidon.Compress(api, left, right))
	}
	return leaf
}

// nullLeaf is the leaf of an account that does not exist.
func nullLeaf(slotDepth int) *big.Int { return ledger.ToBig(ledger.NullAccount(slotDepth).Hash()) }
