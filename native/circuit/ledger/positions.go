package ledger

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// SizeBits: |size| < 2^SizeBits lots.
const SizeBits = 40

// EmptyPositions is the digest of no positions.
func EmptyPositions() fr.Element { return crypto.AsciiElement("straddle.positions") }

// FoldPosition continues a positions digest in the circuit, whatever the size.
func FoldPosition(l *argument.Layer, digest frontend.Variable, instrument, size argument.Expr) frontend.Variable {
	word := instrument.Plus(size.Plus(l.Const(1).Shifted(SizeBits)).Shifted(32))
	return poseidon.Compress(l.API(), digest, word.Raw())
}

// PositionStep continues a positions digest; zero sizes are skipped.
func PositionStep(digest fr.Element, instrument, size *big.Int) fr.Element {
	if size.Sign() == 0 {
		return digest
	}
	return crypto.Compress(digest, Word(instrument, 0, Offset(size, SizeBits), 32))
}

// Parts are the long and the short part of a size.
func Parts(size *big.Int) (long, short *big.Int) {
	if size.Sign() >= 0 {
		return size, new(big.Int)
	}
	return new(big.Int), new(big.Int).Neg(size)
}
