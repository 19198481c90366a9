package argument

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc"
)

var modulus = ecc.BN254.ScalarField()

// Interval is a closed range of integers.
type Interval struct{ Low, High *big.Int }

// Unsigned is [0, 2^bits - 1].
func Unsigned(bits int) Interval {
	return Interval{new(big.Int), new(big.Int).Sub(power(bits), big.NewInt(1))}
}

// SignedBits is [-2^(bits-1), 2^(bits-1) - 1].
func SignedBits(bits int) Interval {
	half := power(bits - 1)
	return Interval{new(big.Int).Neg(half), new(big.Int).Sub(half, big.NewInt(1))}
}

func power(bits int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(bits)) }

func (i Interval) String() string { return fmt.Sprintf("[%s, %s]", i.Low, i.High) }

// Magnitude is the greatest absolute value.
func (i Interval) Magnitude() *big.Int {
	low, high := new(big.Int).Abs(i.Low), new(big.Int).Abs(i.High)
	if low.Cmp(high) > 0 {
		return low
	}
	return high
}

func (i Interval) contains(j Interval) bool {
	return i.Low.Cmp(j.Low) <= 0 && i.High.Cmp(j.High) >= 0
}

func (i Interval) plus(j Interval) Interval {
	return Interval{new(big.Int).Add(i.Low, j.Low), new(big.Int).Add(i.High, j.High)}
}

func (i Interval) negated() Interval {
	return Interval{new(big.Int).Neg(i.High), new(big.Int).Neg(i.Low)}
}

func (i Interval) times(j Interval) Interval {
	corners := []*big.Int{
		new(big.Int).Mul(i.Low, j.Low), new(big.Int).Mul(i.Low, j.High),
		new(big.Int).Mul(i.High, j.Low), new(big.Int).Mul(i.High, j.High),
	}
	low, high := corners[0], corners[0]
	for _, c := range corners[1:] {
		if c.Cmp(low) < 0 {
			low = c
		}
		if c.Cmp(high) > 0 {
			high = c
		}
	}
	return Interval{low, high}
}
