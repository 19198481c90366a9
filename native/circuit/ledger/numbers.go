// Package ledger is what every circuit over the state has in common: account leaves, digests of positions, the risk table, what positions add up to
// (equity, scan loss, charges), roots, and the vector that layer 1 evaluates. Each thing stands here twice, in constraints and natively for witnesses.
package ledger

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
)

type variable = frontend.Variable

// Column collects one field of every row.
func Column[R any](rows []R, get func(*R) frontend.Variable) []frontend.Variable {
	vs := make([]variable, len(rows))
	for i := range rows {
		vs[i] = get(&rows[i])
	}
	return vs
}

// Bit is 1 if b holds, else 0.
func Bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ToBig is an element as an integer.
func ToBig(e fr.Element) *big.Int { return e.BigInt(new(big.Int)) }

// ToElement is an integer modulo r.
func ToElement(n *big.Int) (e fr.Element) {
	e.SetBigInt(n)
	return e
}

// Elements are integers modulo r.
func Elements(ns []*big.Int) []fr.Element {
	es := make([]fr.Element, len(ns))
	for i, n := range ns {
		es[i] = ToElement(n)
	}
	return es
}

// Packed lays numbers out at bit positions: number, position, number, position, ...
func Packed(parts ...any) *big.Int {
	sum := new(big.Int)
	for i := 0; i < len(parts); i += 2 {
		sum.Add(sum, new(big.Int).Lsh(parts[i].(*big.Int), uint(parts[i+1].(int))))
	}
	return sum
}

// Word is packed numbers as an element.
func Word(parts ...any) fr.Element { return ToElement(Packed(parts...)) }

// Offset is n + 2^bits.
func Offset(n *big.Int, bits int) *big.Int { return new(big.Int).Add(n, Power(bits)) }

// Less is n - by.
func Less(n *big.Int, by int64) *big.Int { return new(big.Int).Sub(n, big.NewInt(by)) }

// Power is 2^bits.
func Power(bits int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(bits)) }
