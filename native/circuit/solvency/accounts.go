package solvency

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/poseidon"
)

// Accounts prove, for the 2^k places of the chunk; place p holds account chunk * 2^k + p:
//  1. The leaves hash to the chunk's subtree root, which opens at `chunk` under the accounts root. A place without an account holds the null leaf, which
//     is a leaf like any other: its cells are what they must be.
//  2. The positions digest is that of the account's position rows (`has_positions`), or the empty one.
//  3. Values, deltas and charges are the totals of the position rows, the scan loss is exact.
//  4. claim - debt = equity = cash + value, both of 64 bits, one of them 0.
//  5. `below` is 1 exactly if 10^4 equity < 10^4 MM = k_mm L + 10^4 C_mm.

// AccountRow is one place of the chunk.
type AccountRow struct {
	Leaf         ledger.LeafFields
	Auction      variable
	HasPositions variable
	Margin       ledger.MarginFields
	Claim, Debt  variable
	Below        variable
}

type accountTable struct {
	table                              *argument.Table
	leaf                               ledger.LeafColumns
	auction, hasPositions, claim, debt argument.Column
	below                              argument.Column
	margin                             ledger.MarginColumns
}

// equityBits hold a claim or a debt.
const equityBits = 64

func allocateAccounts(l *argument.Layer, plan ledger.RiskPlan, rows []AccountRow) accountTable {
	t := l.Table("accounts", len(rows))
	values := func(get func(*AccountRow) variable) []variable { return ledger.Column(rows, get) }
	return accountTable{
		table: t, leaf: ledger.AllocateLeaves(t, "", rows, func(r *AccountRow) *ledger.LeafFields { return &r.Leaf }),
		auction:      t.Bits("auction", ledger.AuctionBits, values(func(r *AccountRow) variable { return r.Auction })),
		hasPositions: t.Bool("has_positions", values(func(r *AccountRow) variable { return r.HasPositions })),
		claim:        t.Bits("claim", equityBits, values(func(r *AccountRow) variable { return r.Claim })),
		debt:         t.Bits("debt", equityBits, values(func(r *AccountRow) variable { return r.Debt })),
		below:        t.Bool("below", values(func(r *AccountRow) variable { return r.Below })),
		margin:       ledger.AllocateMargin(t, plan, "", rows, func(r *AccountRow) *ledger.MarginFields { return &r.Margin }),
	}
}

// base is the id of the chunk's first account.
func (b *builder) base() argument.Expr { return b.header.chunk.Shifted(b.chunk.K) }

// id is the account at a place.
func (b *builder) id(place int) argument.Expr { return b.base().Plus(b.l.Const(place)) }

func (b *builder) stateAccounts(path []variable) {
	t, l := &b.accounts, b.l
	l.Group("accounts: tree")
	b.stateTree(path)
	l.Group("accounts: digests")
	empty := l.FieldConst(ledger.ToBig(ledger.EmptyPositions()))
	for p, has := range t.hasPositions {
		l.AssertZeroIf(has.Not(), t.leaf.PositionsDigest[p].Minus(empty))
		b.digests.Take(has, b.id(p), t.leaf.PositionsDigest[p])
	}
	l.Group("accounts: totals")
	for p := range t.claim {
		b.risk.Hold(l, b.plan, &t.margin, p)
	}
	l.Group("accounts: exact scan loss")
	for p := range t.claim {
		t.margin.StateExactScanLoss(b.api, p)
	}
	l.Group("accounts: equity")
	for p := range t.claim {
		l.AssertEqual(b.equity(p), t.leaf.Cash[p].Plus(t.margin.Value[p]))
		l.AssertProduct(t.claim[p], t.debt[p], l.Const(0))
	}
}

// stateTree is item 1.
func (b *builder) stateTree(path []variable) {
	level := make([]variable, len(b.accounts.claim))
	for p := range level {
		level[p] = b.accounts.leaf.Hash(b.api, p, b.accounts.auction[p])
	}
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := range len(level) / 2 {
			level[i] = poseidon.Compress(b.api, level[2*i], level[2*i+1])
		}
	}
	bits := b.api.ToBinary(b.header.chunk.Raw(), len(path)) // the chunk lies within the tree
	b.l.AssertIs(b.header.accountsRoot, ledger.MerkleRoot(b.api, level[0], bits, path))
}

// equity is that of a place.
func (b *builder) equity(p int) argument.Expr { return b.accounts.claim[p].Minus(b.accounts.debt[p]) }

// stateBelow is item 5 and gives what the account lacks, times 10^4.
func (b *builder) stateBelow(p int) (shortfall argument.Expr) {
	t, l := &b.accounts, b.l
	maintenance := b.header.kMm.Times(t.margin.ScanLoss[p]).Plus(t.margin.ChargeMM[p].Scaled(ledger.BpsInWhole))
	gap := maintenance.Minus(b.equity(p).Scaled(ledger.BpsInWhole))
	shortfall = t.below[p].Times(gap)
	l.AssertNotNegative(shortfall.Scaled(2).Minus(gap).Minus(t.below[p])) // gap >= 1 where it is below, gap <= 0 elsewhere
	return shortfall
}
