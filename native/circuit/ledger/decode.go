package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
)

// Decode reads a witness file into a struct. Unknown and missing keys, numbers out of range and values of the wrong kind are errors that name the field.
// The range tag of a number is its width in bits; "s" marks signed ones (two's complement range), "m" a bound on the magnitude, "field" an element of the
// field; a..b are bounds.
func Decode[W any](data []byte) (*W, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("witness: not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("witness: something follows the JSON object")
	}
	w := new(W)
	if err := decodeInto(reflect.ValueOf(w).Elem(), tree, "witness", ""); err != nil {
		return nil, err
	}
	return w, nil
}

var bigIntType = reflect.TypeFor[*big.Int]()

// decodeInto sets target from a JSON value; limits is the range tag of its field.
func decodeInto(target reflect.Value, value any, path, limits string) error {
	switch {
	case target.Type() == bigIntType:
		n, err := decodeInteger(value, path, limits)
		if err == nil {
			target.Set(reflect.ValueOf(n))
		}
		return err
	case target.Kind() == reflect.Struct:
		return decodeStruct(target, value, path)
	case target.Kind() == reflect.Slice:
		items, ok := value.([]any)
		if !ok {
			return wrongKind(path, value, "an array")
		}
		target.Set(reflect.MakeSlice(target.Type(), len(items), len(items)))
		for i, item := range items {
			if err := decodeInto(target.Index(i), item, fmt.Sprintf("%s[%d]", path, i), limits); err != nil {
				return err
			}
		}
		return nil
	case target.Kind() == reflect.Int:
		n, err := decodeInteger(value, path, "s32")
		if err == nil {
			target.SetInt(n.Int64())
		}
		return err
	case target.Kind() == reflect.String:
		s, ok := value.(string)
		if !ok {
			return wrongKind(path, value, "a string")
		}
		target.SetString(s)
		return nil
	}
	panic("ledger: witness field of type " + target.Type().String())
}

func decodeStruct(target reflect.Value, value any, path string) error {
	object, ok := value.(map[string]any)
	if !ok {
		return wrongKind(path, value, "an object")
	}
	prefix := path + "."
	if path == "witness" {
		prefix = ""
	}
	known := map[string]bool{}
	for i := range target.NumField() {
		field := target.Type().Field(i)
		key := field.Tag.Get("json")
		known[key] = true
		item, present := object[key]
		if !present {
			return fmt.Errorf("%s%s: missing", prefix, key)
		}
		if err := decodeInto(target.Field(i), item, prefix+key, field.Tag.Get("range")); err != nil {
			return err
		}
	}
	var unknown []string
	for key := range object {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("%s%s: unknown field", prefix, unknown[0])
	}
	return nil
}

func wrongKind(path string, value any, expected string) error {
	return fmt.Errorf("%s: %s, expected %s", path, describe(value), expected)
}

func describe(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("string %q", v)
	case json.Number:
		return "number " + v.String()
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	}
	return fmt.Sprint(value)
}

// decodeInteger takes a JSON integer or a string of decimal digits.
func decodeInteger(value any, path, limits string) (*big.Int, error) {
	var text string
	switch v := value.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	const longest = 80 // digits: more than any range holds
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > longest || strings.Trim(digits, "0123456789") != "" {
		return nil, wrongKind(path, value, "an integer or a string of decimal digits")
	}
	n, _ := new(big.Int).SetString(text, 10)
	low, high := bounds(limits)
	if n.Cmp(low) < 0 || n.Cmp(high) > 0 {
		return nil, fmt.Errorf("%s: %s, expected %s to %s", path, n, low, high)
	}
	return n, nil
}

// bounds reads a range tag (see Decode).
func bounds(limits string) (low, high *big.Int) {
	one := big.NewInt(1)
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			panic("ledger: range tag " + limits)
		}
		return n
	}
	switch {
	case limits == "field":
		return new(big.Int), new(big.Int).Sub(fr.Modulus(), one)
	case strings.Contains(limits, ".."):
		from, to, _ := strings.Cut(limits, "..")
		return big.NewInt(int64(number(from))), big.NewInt(int64(number(to)))
	case limits[0] == 's':
		half := Power(number(limits[1:]) - 1)
		return new(big.Int).Neg(half), new(big.Int).Sub(half, one)
	case limits[0] == 'm':
		most := new(big.Int).Sub(Power(number(limits[1:])), one)
		return new(big.Int).Neg(most), most
	}
	return new(big.Int), new(big.Int).Sub(Power(number(limits)), one)
}
