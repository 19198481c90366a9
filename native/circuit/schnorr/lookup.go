package schnorr

import (
	"math/big"

	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/poseidon"
)

// entry is one row of a lookup table: the point at an index. Table and index are compile-time constants; multiplicity is what the prover says the
// number of queries is.
type entry struct {
	table, index int64
	point        montgomery
	multiplicity frontend.Variable
}

// query claims that the point stands at index `digit` of the table. The table is a compile-time constant, so a digit can never reach another table;
// as every table holds all indices below its size and no others, an answered query also proves the digit's range.
type query struct {
	table int64
	digit frontend.Variable
	point montgomery
}

// lookups is one log-derivative argument over all tables: sum over entries of multiplicity/(x - fold) = sum over queries of 1/(x - fold).
type lookups struct {
	tables  int64
	entries []entry
	queries []query
}

// newTable reserves the next table tag.
func (l *lookups) newTable() int64 {
	l.tables++
	return l.tables - 1
}

// bound lists everything that enters the argument and is not a compile-time constant.
func (l *lookups) bound() []frontend.Variable {
	var list []frontend.Variable
	for _, e := range l.entries {
		list = append(list, e.point.U, e.point.V, e.multiplicity)
	}
	for _, q := range l.queries {
		list = append(list, q.digit, q.point.U, q.point.V)
	}
	return list
}

// check is run once, after every value in bound() was committed.
func (l *lookups) check(api frontend.API, challenge frontend.Variable) error {
	folder := newFolder(api, challenge)
	x := poseidon.Compress(api, challenge, poseidon.TagWord("schnorr.lookup.point"))
	var left, right []frontend.Variable
	for _, e := range l.entries {
		left = append(left, api.DivUnchecked(e.multiplicity, api.Sub(x, folder.fold(e.table, e.index, e.point))))
	}
	for _, q := range l.queries {
		right = append(right, api.DivUnchecked(1, api.Sub(x, folder.fold(q.table, q.digit, q.point))))
	}
	api.AssertIsEqual(sum(api, left), sum(api, right))
	return nil
}

// folder folds a row into one element: index + (u + y)(v + y^2) + table y^3, a polynomial in the challenge y whose coefficients
// u v + index, v, u, table + 1 determine (table, index, u, v).
type folder struct {
	api       frontend.API
	y, y2, y3 frontend.Variable
}

func newFolder(api frontend.API, challenge frontend.Variable) folder {
	y2 := api.Mul(challenge, challenge)
	return folder{api, challenge, y2, api.Mul(y2, challenge)}
}

func (f folder) fold(table int64, index frontend.Variable, p montgomery) frontend.Variable {
	u, uConstant := p.U.(*big.Int)
	v, vConstant := p.V.(*big.Int)
	if uConstant && vConstant { // no constraint: the same polynomial, its coefficients being constants
		return f.api.Add(new(big.Int).Mul(u, v), index, f.api.Mul(f.y, v), f.api.Mul(f.y2, u), f.api.Mul(f.y3, table+1))
	}
	return f.api.Add(f.api.Mul(f.api.Add(p.U, f.y), f.api.Add(p.V, f.y2)), index, f.api.Mul(f.y3, table))
}

// sum is the sum of any number of variables.
func sum(api frontend.API, list []frontend.Variable) frontend.Variable {
	return api.Add(0, 0, list...)
}
