package batch

import (
	"math/bits"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Accounts prove:
//  1. Used rows come first, ids ascend strictly from 1 up; an unused row has id 0, holds the null leaf on both sides and opens nothing.
//  2. The old leaf opens at id under the running root and the new leaf gives the next one, from the old to the new accounts root.
//  3. The owner is unchanged, or was 0 and is set by a queue entry (`created`). Key, multiple and key epoch are unchanged, or (`rekeyed`) those of
//     exactly one queue entry with the key epoch raised by 1. flags are unchanged.
//  4. min_nonce is unchanged, or (`cancelled`) not lower and signed under the old key. action_nonce is unchanged, or (`acting`) that of exactly one
//     withdrawal, transfer or bid and strictly greater.
//  5. cash_new - cash_old = deposits - withdrawn + flows of fills, takeovers, deleverages and settled positions, and all fees for account 1;
//     cash_new > -2^63. withdrawn is what the one action (`paying`) or the forced withdrawal (forced.go) pays.
//  6. The margin rule (margin.go), or the conditions of a seizure (auctions.go).
//  7. The positions digests are those of the position rows (`has_positions`); or the account is `empty`, with the empty digest on both sides; or it is
//     `closed`: both digests are equal, and as nobody looks at its positions it may only be paid into: rule (c), no order, no action, no forced
//     withdrawal, no auction begun or ended.
//  8. The slot chain leads from (id, 0, old orders root) to (id, steps, new orders root); `has_orders` says that steps is not 0.
//  9. The auction word (auctions.go).

const (
	accountBits = 24 // of an id: the data hold no more, no tree is deeper
	amountBits  = 63 // of money paid in or out
)

// AccountRow is one touched account.
type AccountRow struct {
	Used, ID                                    variable
	Sides                                       [2]ledger.LeafFields // old, new
	Path                                        []variable           // siblings, from the leaf up
	Created, Rekeyed, Cancelled, Acting, Paying variable
	HasPositions, Empty, Closed, HasOrders      variable
	Deposits, Entries, Withdrawn, Steps         variable
	Margin                                      [2]ledger.MarginFields
	RuleA, RuleB, RuleC                         variable
	Force                                       ForceFields
	Auction                                     AuctionFields
	Seizure                                     SeizureFields
}

type accountTable struct {
	table                                       *argument.Table
	rows                                        []AccountRow
	used, id                                    argument.Column
	sides                                       [2]ledger.LeafColumns
	created, rekeyed, cancelled, acting, paying argument.Column
	hasPositions, empty, closed, hasOrders      argument.Column
	deposits, entries, withdrawn, steps         argument.Column
	margin                                      [2]ledger.MarginColumns
	ruleA, ruleB, ruleC                         argument.Column
	force                                       forceColumns
	auction                                     auctionColumns
	seizure                                     seizureColumns
}

func allocateAccounts(l *argument.Layer, plan ledger.RiskPlan, p circuit.Preset, rows []AccountRow) accountTable {
	t := l.Table("accounts", len(rows))
	flag := func(name string, get func(*AccountRow) variable) argument.Column {
		return t.Bool(name, ledger.Column(rows, get))
	}
	number := func(name string, n int, get func(*AccountRow) variable) argument.Column {
		return t.Bits(name, n, ledger.Column(rows, get))
	}
	a := accountTable{
		table: t, rows: rows, used: flag("used", func(r *AccountRow) variable { return r.Used }),
		id:           number("id", accountBits, func(r *AccountRow) variable { return r.ID }),
		created:      flag("created", func(r *AccountRow) variable { return r.Created }),
		rekeyed:      flag("rekeyed", func(r *AccountRow) variable { return r.Rekeyed }),
		cancelled:    flag("cancelled", func(r *AccountRow) variable { return r.Cancelled }),
		acting:       flag("acting", func(r *AccountRow) variable { return r.Acting }),
		paying:       flag("paying", func(r *AccountRow) variable { return r.Paying }),
		hasPositions: flag("has_positions", func(r *AccountRow) variable { return r.HasPositions }),
		empty:        flag("empty", func(r *AccountRow) variable { return r.Empty }),
		closed:       flag("closed", func(r *AccountRow) variable { return r.Closed }),
		hasOrders:    flag("has_orders", func(r *AccountRow) variable { return r.HasOrders }),
		deposits:     number("deposits", amountBits+bits.Len(uint(p.Queue+p.Transfers)), func(r *AccountRow) variable { return r.Deposits }),
		entries:      number("entries", bits.Len(uint(p.Queue)), func(r *AccountRow) variable { return r.Entries }),
		withdrawn:    number("withdrawn", amountBits, func(r *AccountRow) variable { return r.Withdrawn }),
		steps:        number("steps", stepBits(p), func(r *AccountRow) variable { return r.Steps }),
		ruleA:        flag("rule_a", func(r *AccountRow) variable { return r.RuleA }),
		ruleB:        flag("rule_b", func(r *AccountRow) variable { return r.RuleB }),
		ruleC:        flag("rule_c", func(r *AccountRow) variable { return r.RuleC }),
		force:        allocateForce(t, rows),
		auction:      allocateAuction(t, rows),
		seizure:      allocateSeizure(t, p, rows),
	}
	for side := range sideNames {
		a.sides[side] = ledger.AllocateLeaves(t, sideNames[side]+" ", rows, func(r *AccountRow) *ledger.LeafFields { return &r.Sides[side] })
		a.margin[side] = ledger.AllocateMargin(t, plan, sideNames[side]+" ", rows, func(r *AccountRow) *ledger.MarginFields { return &r.Margin[side] })
	}
	return a
}

// stepBits holds 0 .. number of order rows.
func stepBits(p circuit.Preset) int { return bits.Len(uint(p.Orders)) }

// leaf hashes one side of row i.
func (b *builder) leaf(side, i int) variable {
	return b.accounts.sides[side].Hash(b.api, i, b.accounts.auction.word[side][i])
}

func (b *builder) stateAccounts() {
	b.stateAuctionWords()
	b.stateAccountTree()
	b.stateAccountKeys()
	b.stateAccountNonces()
	b.stateCash()
	b.stateAccountChains()
	standings := b.stateMargin()
	b.stateForced(standings)
	b.stateAuctions(standings)
	b.stateSeizures(standings)
}

// stateAccountTree is items 1 and 2.
func (b *builder) stateAccountTree() {
	b.l.Group("accounts: null rows")
	t, api := &b.accounts, b.api
	null := nullLeaf(b.preset.SlotDepth)
	leaves := make([][2]variable, len(t.used))
	for i := range t.used {
		unused := t.used[i].Not().Raw()
		for side := range sideNames {
			leaves[i][side] = b.leaf(side, i)
			api.AssertIsEqual(api.Mul(unused, api.Sub(leaves[i][side], null)), 0)
		}
	}
	b.l.Group("accounts: tree")
	root := b.header.accountsRoot[before].Raw()
	for i := range t.used {
		node := leaves[i]
		for level, right := range api.ToBinary(t.id[i].Raw(), b.preset.AccountDepth) {
			for side := range sideNames {
				node[side] = ledger.MerkleNode(api, right, node[side], t.rows[i].Path[level])
			}
		}
		used := t.used[i].Raw()
		api.AssertIsEqual(api.Mul(used, api.Sub(node[before], root)), 0)
		root = api.Select(used, node[after], root)
	}
	b.l.AssertIs(b.header.accountsRoot[after], root)
}

// stateAccountKeys is item 3.
func (b *builder) stateAccountKeys() {
	b.l.Group("accounts: owner and key")
	t, l := &b.accounts, b.l
	old, now := &t.sides[before], &t.sides[after]
	for i, used := range t.used {
		created, rekeyed := t.created[i], t.rekeyed[i]
		l.AssertZeroIf(created.Not(), now.Owner[i].Minus(old.Owner[i]))
		l.AssertZeroIf(created, old.Owner[i])
		l.AssertNotNegative(t.entries[i].Minus(created))
		b.ties.owners.Provide(used, l.Tuple(t.id[i], now.Owner[i]))
		b.ties.queueTotals.Hold(i, l.Tuple(t.deposits[i], t.entries[i]))

		for _, pair := range [][2]argument.Column{{old.KeyX, now.KeyX}, {old.KeyY, now.KeyY}, {old.MultipleX, now.MultipleX}, {old.MultipleY, now.MultipleY}} {
			l.AssertZeroIf(rekeyed.Not(), pair[after][i].Minus(pair[before][i]))
		}
		l.AssertEqual(now.KeyEpoch[i], old.KeyEpoch[i].Plus(rekeyed))
		l.AssertEqual(now.Flags[i], old.Flags[i])
		b.ties.rekeys.Take(rekeyed, t.id[i], now.KeyX[i], now.KeyY[i], now.MultipleX[i], now.MultipleY[i])
		b.ties.accountKeys.Provide(used, l.Tuple(t.id[i], old.KeyX[i], old.KeyY[i], old.MultipleX[i], old.MultipleY[i], old.KeyEpoch[i]))
	}
}

// stateAccountNonces is item 4.
func (b *builder) stateAccountNonces() {
	b.l.Group("accounts: nonces")
	t, l := &b.accounts, b.l
	old, now := &t.sides[before], &t.sides[after]
	for i, used := range t.used {
		rise := now.MinNonce[i].Minus(old.MinNonce[i])
		l.AssertZeroIf(t.cancelled[i].Not(), rise)
		l.AssertNotNegative(rise)
		b.ties.signed.Require(t.cancelled[i], l.Tuple(t.id[i], l.Const(kindCancel), now.MinNonce[i]))
		b.ties.minNonces.Provide(used, l.Tuple(t.id[i], old.MinNonce[i]))

		rise = now.ActionNonce[i].Minus(old.ActionNonce[i])
		l.AssertZeroIf(t.acting[i].Not(), rise)
		l.AssertNotNegative(rise.Minus(t.acting[i]))
		l.AssertZeroIf(t.paying[i], t.acting[i].Not())
		l.AssertZero(l.Const(1).Minus(t.paying[i]).Minus(t.force.forced[i]).Times(t.withdrawn[i])) // never both: forced.go
		b.ties.actions.Take(t.acting[i], t.id[i], now.ActionNonce[i], t.paying[i], t.withdrawn[i])
	}
}

// stateCash is item 5; the other tables add their flows.
func (b *builder) stateCash() {
	b.l.Group("accounts: cash")
	t := &b.accounts
	for i := range t.used {
		flow := t.sides[after].Cash[i].Minus(t.sides[before].Cash[i]).Minus(t.deposits[i]).Plus(t.withdrawn[i])
		b.ties.cash.Hold(i, b.l.Tuple(flow))
		b.l.AssertNotNegative(t.sides[after].Cash[i].Plus(b.l.Const(1).Shifted(63)).Minus(b.l.Const(1))) // -2^63 is no cash
	}
}

// stateAccountChains is items 7 and 8.
func (b *builder) stateAccountChains() {
	b.l.Group("accounts: digests and slot chains")
	t, l := &b.accounts, b.l
	old, now := &t.sides[before], &t.sides[after]
	empty := l.FieldConst(ledger.ToBig(ledger.EmptyPositions()))
	for i, used := range t.used {
		has := t.hasPositions[i]
		l.AssertEqual(has.Plus(t.empty[i], t.closed[i]), used)
		l.AssertZeroIf(has.Not(), now.PositionsDigest[i].Minus(old.PositionsDigest[i]))
		l.AssertZeroIf(t.empty[i], old.PositionsDigest[i].Minus(empty))
		l.AssertZeroIf(t.closed[i], t.ruleC[i].Not().Plus(t.steps[i], t.acting[i], t.force.forced[i], t.auction.begun[i], t.auction.ended(i)))
		b.ties.digests.Take(has, t.id[i], old.PositionsDigest[i], now.PositionsDigest[i])

		l.AssertZeroIf(t.hasOrders[i].Not(), t.steps[i])
		l.AssertNotNegative(t.steps[i].Minus(t.hasOrders[i]))
		l.AssertZeroIf(used.Not(), t.steps[i])
		b.ties.slots.Put(used, t.id[i], l.Const(0), old.OrdersRoot[i])
		b.ties.slots.Take(used, t.id[i], t.steps[i], now.OrdersRoot[i])
	}
}
