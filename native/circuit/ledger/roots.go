package ledger

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit"
	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// ParamsHash is the hash of the parameters of a preset's rollup: k_im, k_mm, discount_bps, auction_ms and the risk digest.
func ParamsHash(api frontend.API, p circuit.Preset, kIm, kMm, discountBps, auctionMs, riskDigest frontend.Variable) frontend.Variable {
	return poseidon.Sponge(api, "straddle.params", p.AccountDepth, p.SlotDepth, kIm, kMm, discountBps, auctionMs, riskDigest)
}

// StateRoot is the state root of its parts.
func StateRoot(api frontend.API, accounts, listings, count, number, pointer, params frontend.Variable) frontend.Variable {
	return poseidon.Sponge(api, "straddle.state", accounts, listings, count, number, pointer, params)
}

// ParamsHashOf is ParamsHash, natively.
func ParamsHashOf(p circuit.Preset, kIm, kMm, discountBps, auctionMs, riskDigest *big.Int) fr.Element {
	return crypto.Sponge("straddle.params", fr.NewElement(uint64(p.AccountDepth)), fr.NewElement(uint64(p.SlotDepth)),
		ToElement(kIm), ToElement(kMm), ToElement(discountBps), ToElement(auctionMs), ToElement(riskDigest))
}

// StateRootOf is StateRoot, natively.
func StateRootOf(accounts, listings, count, number, pointer *big.Int, params fr.Element) fr.Element {
	return crypto.Sponge("straddle.state", ToElement(accounts), ToElement(listings), ToElement(count), ToElement(number), ToElement(pointer), params)
}

// MerkleNode is the parent of a node and its sibling; right, a bit, says that the node is the right child.
func MerkleNode(api frontend.API, right, node, sibling frontend.Variable) frontend.Variable {
	left := api.Select(right, sibling, node)
	return poseidon.Compress(api, left, api.Sub(api.Add(sibling, node), left))
}

// MerkleRoot folds a leaf up a path; bits say, from the leaf up, where the node is a right child.
func MerkleRoot(api frontend.API, leaf frontend.Variable, bits, path []frontend.Variable) frontend.Variable {
	for level := range path {
		leaf = MerkleNode(api, bits[level], leaf, path[level])
	}
	return leaf
}
