package crypto

import (
	"math/bits"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// Limbs of the modulus, lowest first.
const (
	modulus0 = 0x43e1f593f0000001
	modulus1 = 0x2833e84879b97091
	modulus2 = 0xb85045b68181585d
	modulus3 = 0x30644e72e131a029
)

// steadyAdd is fr.Element's Add without a branch. Of hashes' elements every second sum exceeds the modulus, so a processor mispredicts each second branch.
func steadyAdd(z, x, y *fr.Element) {
	s0, carry := bits.Add64(x[0], y[0], 0)
	s1, carry := bits.Add64(x[1], y[1], carry)
	s2, carry := bits.Add64(x[2], y[2], carry)
	s3, _ := bits.Add64(x[3], y[3], carry)
	subtractModulus(z, s0, s1, s2, s3)
}

// steadyDoubleAdd is 2 x + y: at most 3 r, which is less than 2^256.
func steadyDoubleAdd(z, x, y *fr.Element) {
	d0, d1, d2, d3 := x[0]<<1, x[1]<<1|x[0]>>63, x[2]<<1|x[1]>>63, x[3]<<1|x[2]>>63
	s0, carry := bits.Add64(d0, y[0], 0)
	s1, carry := bits.Add64(d1, y[1], carry)
	s2, carry := bits.Add64(d2, y[2], carry)
	s3, _ := bits.Add64(d3, y[3], carry)
	var t fr.Element
	subtractModulus(&t, s0, s1, s2, s3)
	subtractModulus(z, t[0], t[1], t[2], t[3])
}

// subtractModulus writes s, less the modulus if it is not below it.
func subtractModulus(z *fr.Element, s0, s1, s2, s3 uint64) {
	t0, borrow := bits.Sub64(s0, modulus0, 0)
	t1, borrow := bits.Sub64(s1, modulus1, borrow)
	t2, borrow := bits.Sub64(s2, modulus2, borrow)
	t3, borrow := bits.Sub64(s3, modulus3, borrow)
	keep := -borrow // all ones if s is below the modulus
	z[0], z[1], z[2], z[3] = t0^keep&(t0^s0), t1^keep&(t1^s1), t2^keep&(t2^s2), t3^keep&(t3^s3)
}
