package schnorr

import (
	"github.com/consensys/gnark/frontend"

	"straddle/native/crypto"
)

// AssertMultiple asserts M = 2^64 A, and for the unset key A = (0, 0) that M = (0, 0). A must otherwise be on the curve; doublings are complete there,
// so every such A has exactly one M (that A lies in the prime subgroup is layer 1's check). About 330 constraints.
func AssertMultiple(api frontend.API, A, M Point) {
	// unset = 1 forces A = (0, 0). unset = 0 forces A on the curve, where (0, 0) is not. So unset is 1 exactly for the unset key.
	unset := hint(api, unsetHint, 1, A.X, A.Y)[0]
	api.AssertIsBoolean(unset)
	api.AssertIsEqual(api.Mul(unset, A.X), 0)
	api.AssertIsEqual(api.Mul(unset, A.Y), 0)

	// The unset key is replaced by the identity (0, 1), whose doublings stay there, and taken back at the end.
	x, y := A.X, api.Add(A.Y, unset)
	assertOnCurve(api, x, y)
	for range crypto.MultipleShift {
		x, y = doubleEdwards(api, x, y)
	}
	api.AssertIsEqual(M.X, x)
	api.AssertIsEqual(M.Y, api.Sub(y, unset))
}

// doubleEdwards doubles a point of the curve: (2xy/(y^2 - x^2), (y^2 + x^2)/(2 - y^2 + x^2)). The denominators are 1 + d x^2 y^2 and 1 - d x^2 y^2
// by the curve's equation, never zero as d is not a square. 5 constraints.
func doubleEdwards(api frontend.API, x, y frontend.Variable) (frontend.Variable, frontend.Variable) {
	xx, yy, xy := api.Mul(x, x), api.Mul(y, y), api.Mul(x, y)
	difference := api.Sub(yy, xx)
	return api.DivUnchecked(api.Mul(xy, 2), difference), api.DivUnchecked(api.Add(yy, xx), api.Sub(2, difference))
}
