package ledger

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
)

// Public are the public inputs, in the order of layer 1.
type Public struct {
	C           variable // sponge of effects and body
	Z           variable // layer 1's challenge
	YEffects    variable // effects at Z
	YBody       variable // body at Z
	Beneficiary variable // address, 160 bits
}

// PublicValues are the public inputs of a witness.
type PublicValues struct {
	C           *big.Int `json:"c" range:"field"`
	Z           *big.Int `json:"z" range:"field"`
	YEffects    *big.Int `json:"y_effects" range:"field"`
	YBody       *big.Int `json:"y_body" range:"field"`
	Beneficiary *big.Int `json:"beneficiary" range:"160"`
}

// Cells are the inputs' cells.
func (p *PublicValues) Cells() Public { return Public{p.C, p.Z, p.YEffects, p.YBody, p.Beneficiary} }

// Check compares C and the y with what the rest of the witness makes them.
func (p *PublicValues) Check(want *PublicValues) error {
	return First([]error{
		Mismatch("public.c", p.C, ToElement(want.C)),
		Mismatch("public.y_effects", p.YEffects, ToElement(want.YEffects)),
		Mismatch("public.y_body", p.YBody, ToElement(want.YBody)),
	})
}

// Evaluate is the value at z of the polynomial with these coefficients, lowest first.
func Evaluate(api frontend.API, words []frontend.Variable, z frontend.Variable) frontend.Variable {
	value := words[len(words)-1]
	for i := len(words) - 2; i >= 0; i-- {
		value = api.Add(api.Mul(value, z), words[i])
	}
	return value
}

// EvaluateAt is Evaluate, natively.
func EvaluateAt(words []fr.Element, z fr.Element) (y fr.Element) {
	for i := len(words) - 1; i >= 0; i-- {
		y.Mul(&y, &z)
		y.Add(&y, &words[i])
	}
	return y
}

// First is the first error that is one.
func First(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Mismatch is an error, naming the path, unless a witness gives what was computed.
func Mismatch(path string, given *big.Int, computed fr.Element) error {
	if element := ToElement(given); element.Equal(&computed) {
		return nil
	}
	return fmt.Errorf("%s: %s, expected %s by the rest of the witness", path, given, ToBig(computed))
}

// Length is an error, naming the path, unless a list has the length that is wanted.
func Length(path string, got, want int) error {
	if got != want {
		return fmt.Errorf("%s: %d elements, expected %d", path, got, want)
	}
	return nil
}
