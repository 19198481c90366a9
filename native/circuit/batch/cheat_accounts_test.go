package batch

import (
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Rows of the fixture's accounts.
const (
	rowFee, rowRich, rowRepairing, rowReducing, rowFresh             = 0, 1, 2, 3, 4
	rowSender, rowBidder, rowBroke, rowSpreader, rowIdle, rowPadding = 5, 6, 7, 8, 9, 10
)

// bump adds to a cell.
func bump(x *variable, by int64) { *x = total(*x, by) }

// dropTrading leaves out fills, orders and their sets; queue entries, actions, takeover and deleveraging stay.
func dropTrading(f *fixture) {
	for i := range f.fills {
		f.book(&f.fills[i], -1)
	}
	f.fills, f.orders = nil, nil
	f.signatures = f.signatures[signWithdrawal:]
	f.withdrawals[0].Signature, f.cancels[repairing] = 0, signCancel-signWithdrawal
	f.transfers[0].Signature, f.takeovers[0].Signature = len(f.signatures)+signTransfer, len(f.signatures)+signBid
	f.new[reducing].auction = 0 // it may not be below any more
}

func dropWithdrawal(f *fixture) {
	f.new[rich].cash.Add(f.new[rich].cash, f.withdrawals[0].Amount)
	f.new[rich].actionNonce = f.old[rich].actionNonce
	f.withdrawals = nil
}

func cheatsAccountTree() []cheat {
	return []cheat{
		{name: "control honest"},
		{name: "control without trading", plan: dropTrading},
		{name: "an account without positions and orders", plan: func(f *fixture) {
			f.old[bystander].cash, f.new[bystander].cash = num(9), num(9)
			f.touched = []int64{feeAccount, rich, repairing, reducing, bystander, fresh, sender, bidder, broke, spreader, idle}
		}},
		{name: "same account in two rows", want: "rows: used first, keys ascending", plan: func(f *fixture) {
			f.accountRows = func(rows []Account) []Account {
				again := rows[rowRich]
				again.Old = again.New
				return slices.Insert(rows, rowRich+1, again)
			}
		}, cells: func(c *Private) {
			r := &c.Accounts[rowRich+1] // the second row claims nothing of its own
			r.Rekeyed, r.Acting, r.Paying, r.HasPositions, r.Steps, r.HasOrders, r.Entries, r.Withdrawn, r.Deposits = 0, 0, 0, 1, 0, 0, 0, 0, 0
		}},
		{name: "accounts out of order", want: "range of rows: used first, keys ascending", plan: func(f *fixture) {
			f.touched[1], f.touched[2] = repairing, rich
			f.positionsOf = func(rows []Position) []Position {
				slices.SortStableFunc(rows, func(a, b Position) int { return a.Account.Cmp(b.Account) })
				return rows
			}
		}},
		{name: "the null account as a used row", want: "range of rows: used first, keys ascending", plan: func(f *fixture) {
			f.old[0], f.new[0] = f.old[fresh].copy(), f.old[fresh].copy()
			f.touched = append([]int64{0}, f.touched...)
		}},
		{name: "an unused row carries cash", want: "accounts: null rows", cells: func(c *Private) { bump(&c.Accounts[rowPadding].Sides[after].Cash, 1) }},
		{name: "an unused row with an id", want: "rows: used first", cells: func(c *Private) { bump(&c.Accounts[rowPadding].ID, 9) }},
		{name: "an unused row with flags", want: "accounts: null rows", cells: func(c *Private) {
			bump(&c.Accounts[rowPadding].Sides[before].Flags, 1)
			bump(&c.Accounts[rowPadding].Sides[after].Flags, 1)
		}},
		{name: "a used row declared unused", want: "rows: used first", cells: func(c *Private) { c.Accounts[rowReducing].Used = 0 }},
		{name: "more cash before and after", want: "accounts: tree", witness: func(w *Witness) {
			w.Accounts[rowFee].Old.Cash = total(w.Accounts[rowFee].Old.Cash, 1000)
			w.Accounts[rowFee].New.Cash = total(w.Accounts[rowFee].New.Cash, 1000)
		}},
		{name: "another new root", want: "accounts: tree", cells: func(c *Private) { bump(&c.Header.NewAccountsRoot, 1) }},
		{name: "an account beyond the tree", want: "accounts: tree", cells: func(c *Private) { bump(&c.Accounts[rowFresh].ID, 1<<8) }},
		{name: "more account rows than were touched", want: "accounts: tree", plan: func(f *fixture) {
			f.accountRows = func(rows []Account) []Account { // a leaf that the tree does not hold
				null := *ledger.NullAccount(f.preset.SlotDepth)
				extra := Account{ID: num(200), Old: null, New: null, Path: rows[0].Path, CancelSignature: -1}
				return append(rows, extra)
			}
		}},
	}
}

func cheatsAccountKeys() []cheat {
	other := num(424242)
	return []cheat{
		{name: "owner changed", want: "accounts: owner and key", plan: func(f *fixture) { f.new[reducing].owner = num(666) }},
		{name: "owner changed with the help of a queue entry", want: "accounts: owner and key", plan: func(f *fixture) {
			f.new[rich].owner = num(666)
			f.queue[1].Owner, f.withdrawals[0].Owner = num(666), num(666)
		}},
		{name: "owner changed as if created", want: "accounts: owner and key", plan: func(f *fixture) {
			f.new[rich].owner = num(666)
			f.queue[1].Owner, f.withdrawals[0].Owner = num(666), num(666)
		}, cells: func(c *Private) { c.Accounts[rowRich].Created = 1 }},
		{name: "created without an entry", want: "range of accounts: owner and key", plan: func(f *fixture) {
			f.setForced(0, 0)
			f.queue = slices.Delete(f.queue, entryForced, entryClosing)
			f.queue[0].Account = num(sender) // of the same owner
			f.new[fresh].cash.Sub(f.new[fresh].cash, f.queue[0].Amount)
			f.new[sender].cash.Add(f.new[sender].cash, f.queue[0].Amount)
		}},
		{name: "created with another owner than the entry's", want: "sum owners", plan: func(f *fixture) { f.new[fresh].owner = num(666) }},
		{name: "key changed without an entry", want: "sum rekeys", plan: func(f *fixture) {
			f.new[reducing].secret, f.new[reducing].keyEpoch = other, f.old[reducing].keyEpoch+1
		}, cells: func(c *Private) { c.Accounts[rowReducing].Rekeyed = 1 }},
		{name: "key changed unflagged", want: "accounts: owner and key", plan: func(f *fixture) { f.new[reducing].secret = other }},
		{name: "multiple changed alone", want: "accounts: owner and key", plan: func(f *fixture) { f.new[reducing].multipleOf = other }},
		{name: "a key other than the entry's", want: "sum rekeys", plan: func(f *fixture) { f.new[rich].secret = other }},
		{name: "a multiple of another key", want: "sum rekeys", plan: func(f *fixture) { f.new[rich].multipleOf = other }},
		{name: "a multiple of another key in the entry too", want: "queue: multiples", plan: func(f *fixture) { f.new[rich].multipleOf = other },
			cells: func(c *Private) {
				key := crypto.PublicKey(other)
				multiple := crypto.Multiple(&key)
				c.Queue[1].MultipleX, c.Queue[1].MultipleY = ledger.ToBig(multiple.X), ledger.ToBig(multiple.Y)
			}},
		{name: "key entry ignored", want: "sum rekeys", plan: func(f *fixture) {
			f.new[rich].secret, f.new[rich].keyEpoch = f.old[rich].secret, f.old[rich].keyEpoch
		}, cells: func(c *Private) { c.Accounts[rowRich].Rekeyed = 0 }},
		{name: "revocation ignored", want: "sum rekeys", plan: func(f *fixture) {
			f.new[repairing].secret, f.new[repairing].keyEpoch = f.old[repairing].secret, f.old[repairing].keyEpoch
		}, cells: func(c *Private) { c.Accounts[rowRepairing].Rekeyed = 0 }},
		{name: "key epoch not raised", want: "accounts: owner and key", plan: func(f *fixture) { f.new[rich].keyEpoch = f.old[rich].keyEpoch }},
		{name: "key epoch raised twice", want: "accounts: owner and key", plan: func(f *fixture) { f.new[rich].keyEpoch = f.old[rich].keyEpoch + 2 }},
		{name: "key epoch raised for nothing", want: "accounts: owner and key", plan: func(f *fixture) { f.new[reducing].keyEpoch++ }},
		{name: "two key entries for one account", want: "sum rekeys", plan: func(f *fixture) { f.queue = append(f.queue, f.queue[1]) }},
		{name: "flags set", want: "accounts: owner and key", plan: func(f *fixture) { f.new[reducing].flags = 1 }},
	}
}

func cheatsNonces() []cheat {
	return []cheat{
		{name: "min_nonce raised unflagged", want: "accounts: nonces", plan: func(f *fixture) { f.new[reducing].minNonce = 5 }},
		{name: "min_nonce raised unsigned", want: "sum signed", plan: func(f *fixture) { f.new[reducing].minNonce = 5 },
			cells: func(c *Private) { c.Accounts[rowReducing].Cancelled = 1 }},
		{name: "min_nonce raised further than signed", want: "sum signed", plan: func(f *fixture) { f.new[repairing].minNonce = 22 }},
		{name: "min_nonce lowered by a signed cancel", want: "range of accounts: nonces", plan: func(f *fixture) {
			dropTrading(f)
			f.old[repairing].minNonce = 50
		}},
		{name: "control cancel that changes nothing", plan: func(f *fixture) {
			dropTrading(f)
			f.old[repairing].minNonce = 21
		}},
		{name: "cancel of another account", want: "sum signed", plan: func(f *fixture) { f.signatures[signCancel].account = reducing }},
		{name: "cancel under the new key", want: "schnorr.offset", plan: func(f *fixture) {
			f.queue[2].KeyX, f.queue[2].KeyY = f.queue[1].KeyX, f.queue[1].KeyY
			f.new[repairing].secret = f.new[rich].secret
			f.signatures[signCancel].secret = f.new[rich].secret
		}},
		{name: "a withdrawal's payload as a cancel", want: "sum signed", plan: func(f *fixture) { f.signatures[signCancel].kind = kindWithdrawal }},
		{name: "action_nonce kept", want: "range of accounts: nonces", plan: func(f *fixture) { f.old[rich].actionNonce = 4 }},
		{name: "action_nonce lowered", want: "range of accounts: nonces", plan: func(f *fixture) { f.old[rich].actionNonce = 9 }},
		{name: "action_nonce raised for nothing", want: "accounts: nonces", plan: func(f *fixture) { f.new[reducing].actionNonce = 8 }},
		{name: "action_nonce raised as if acting", want: "sum actions", plan: func(f *fixture) { f.new[spreader].actionNonce = 8 },
			cells: func(c *Private) { c.Accounts[rowSpreader].Acting = 1 }},
		{name: "action_nonce other than the row's", want: "sum actions", plan: func(f *fixture) { f.new[rich].actionNonce = 5 }},
	}
}

func cheatsCash() []cheat {
	add := func(f *fixture, id, by int64) { f.new[id].cash.Add(f.new[id].cash, num(by)) }
	return []cheat{
		{name: "cash from nothing", want: "sum cash", plan: func(f *fixture) { add(f, rich, 1000) }},
		{name: "cash lost", want: "sum cash", plan: func(f *fixture) { add(f, rich, -1000) }},
		{name: "cashpair", want: "sum cash", plan: func(f *fixture) { add(f, rich, -1000); add(f, reducing, 1000) }},
		{name: "fees kept by an account", want: "sum cash", plan: func(f *fixture) { add(f, feeAccount, -1); add(f, reducing, 1) }},
		{name: "fees to account 2", want: "sum cash", plan: func(f *fixture) {
			f.new[2].cash, f.new[feeAccount].cash = total(f.new[feeAccount].cash, -5), num(5)
			f.touched = slices.Insert(f.touched, 1, int64(fundAccount))
		}},
		{name: "fees to account 2 alone", want: "sum cash", plan: func(f *fixture) {
			f.new[2].cash, f.new[feeAccount].cash = total(f.new[feeAccount].cash, -5), num(5)
			f.touched[0] = fundAccount
		}},
		{name: "fees to nobody", want: "sum cash", plan: func(f *fixture) {
			f.new[feeAccount].cash = num(5)
			f.touched = f.touched[1:]
		}},
		{name: "control no fees and no fee account", plan: func(f *fixture) {
			for i := range f.fills {
				f.resize(i, f.fills[i].Size.Int64(), 0, 0)
			}
			f.touched = f.touched[1:]
		}},
		{name: "deposit not credited", want: "sum cash", plan: func(f *fixture) { add(f, fresh, -1_000) }},
		{name: "deposit credited twice", want: "sum cash", plan: func(f *fixture) { add(f, fresh, 5_000_000) }},
		{name: "deposit credited to another account", want: "sum cash", plan: func(f *fixture) { add(f, fresh, -4_000_000); add(f, rich, 4_000_000) }},
		{name: "deposits overstated", want: "sum queue totals", plan: func(f *fixture) { add(f, fresh, 1) },
			cells: func(c *Private) { bump(&c.Accounts[rowFresh].Deposits, 1) }},
		{name: "deposits understated", want: "sum queue totals", plan: func(f *fixture) { add(f, fresh, -1) },
			cells: func(c *Private) { bump(&c.Accounts[rowFresh].Deposits, -1) }},
		{name: "deposits moved between rows", want: "sum queue totals", plan: func(f *fixture) { add(f, fresh, -1); add(f, rich, 1) },
			cells: func(c *Private) { bump(&c.Accounts[rowFresh].Deposits, -1); bump(&c.Accounts[rowRich].Deposits, 1) }},
		{name: "withdrawal not deducted", want: "sum cash", plan: func(f *fixture) { add(f, rich, 777) }},
		{name: "withdrawal deducted from another account", want: "sum cash", plan: func(f *fixture) { add(f, rich, 777); add(f, reducing, -777) }},
		{name: "withdrawn understated", want: "sum actions", plan: func(f *fixture) { add(f, rich, 7) },
			cells: func(c *Private) { bump(&c.Accounts[rowRich].Withdrawn, -7) }},
		{name: "withdrawn without withdrawing", want: "accounts: nonces", plan: func(f *fixture) { add(f, reducing, -7) },
			cells: func(c *Private) { c.Accounts[rowReducing].Withdrawn = 7 }},
		{name: "funding left out of a trade", want: "sum cash", plan: func(f *fixture) {
			saved := f.instruments[perpetual-1].Funding
			f.book(&f.fills[3], -1)
			f.instruments[perpetual-1].Funding = num(0)
			f.book(&f.fills[3], 1)
			f.instruments[perpetual-1].Funding = saved
			f.shiftCash(repairing, num(1<<40)) // out of the margin rule's reach
		}},
		{name: "cash of -2^63", want: "range of accounts: cash", plan: func(f *fixture) {
			f.old[bystander].cash, f.new[bystander].cash = new(big.Int).Neg(ledger.Power(63)), new(big.Int).Neg(ledger.Power(63))
			f.touched = []int64{feeAccount, rich, repairing, reducing, bystander, fresh, sender, bidder, broke, spreader, idle}
		}},
		{name: "control cash of 1 - 2^63", plan: func(f *fixture) {
			f.old[bystander].cash, f.new[bystander].cash = new(big.Int).Sub(num(1), ledger.Power(63)), new(big.Int).Sub(num(1), ledger.Power(63))
			f.touched = []int64{feeAccount, rich, repairing, reducing, bystander, fresh, sender, bidder, broke, spreader, idle}
		}},
		{name: "cash beyond 64 bits", want: "range of accounts/new cash", plan: func(f *fixture) {
			f.old[feeAccount].cash = new(big.Int).Sub(ledger.Power(63), num(1))
			f.new[feeAccount].cash.Add(f.new[feeAccount].cash, new(big.Int).Sub(f.old[feeAccount].cash, num(5)))
		}},
	}
}

func cheatsChains() []cheat {
	return []cheat{
		{name: "positions denied", want: "accounts: digests and slot chains", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position {
				return slices.DeleteFunc(rows, func(p Position) bool { return p.Account.Int64() == reducing })
			}
		}},
		{name: "one position left out", want: "sum digests", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position { // an old one that did not trade
				return slices.DeleteFunc(rows, func(p Position) bool { return p.Account.Int64() == rich && p.Instrument.Int64() == 2 })
			}
		}},
		{name: "positions claimed without rows", want: "sum digests", cells: func(c *Private) {
			c.Accounts[rowFresh].HasPositions, c.Accounts[rowFresh].Empty = 1, 0
		}},
		{name: "positions and none", want: "accounts: digests", cells: func(c *Private) { c.Accounts[rowFresh].HasPositions = 1 }},
		{name: "a closed account as an empty one", want: "accounts: digests",
			cells: func(c *Private) { c.Accounts[rowIdle].Empty, c.Accounts[rowIdle].Closed = 1, 0 }},
		{name: "a closed account pays", want: "accounts: digests", plan: func(f *fixture) { f.closed[rich] = true }},
		{name: "a closed account loses cash", want: "range of margin: rule", plan: func(f *fixture) {
			f.new[idle].cash = num(-1)
		}},
		{name: "a closed account by rule a", want: "accounts: digests", cells: ruleOf(rowIdle, 'a')},
		{name: "a closed account's positions changed", want: "accounts: digests", plan: func(f *fixture) { f.new[idle].move(2, num(1)) }},
		{name: "an unused row that is empty", want: "accounts: digests", cells: func(c *Private) { c.Accounts[rowPadding].Empty = 1 }},
		{name: "an unused row with orders", want: "accounts: digests", cells: func(c *Private) {
			c.Accounts[rowPadding].HasOrders, c.Accounts[rowPadding].Steps = 1, 1
		}},
		{name: "orders denied in the data", want: "accounts: digests", cells: func(c *Private) { c.Accounts[rowRich].HasOrders = 0 }},
		{name: "orders claimed in the data", want: "range of accounts: digests", cells: func(c *Private) { c.Accounts[rowFresh].HasOrders = 1 }},
		{name: "slots changed without an order", want: "sum slots", plan: func(f *fixture) {
			f.keepSlots[fresh] = true
			f.new[fresh].slots[3] = SlotState{num(3), num(0), num(0)}
		}},
		{name: "slots reset after the orders", want: "sum slots", plan: func(f *fixture) { f.keepSlots[rich] = true }},
		{name: "one step fewer", want: "sum slots", cells: func(c *Private) { bump(&c.Accounts[rowRich].Steps, -1) }},
		{name: "orders on a detached root", want: "sum slots", cells: func(c *Private) {
			r := &c.Orders[richBuysPerp] // another slot state under the same path: a root that the account never had
			fake := SlotState{num(19), num(0), num(0)}
			path := make([]fr.Element, len(r.SlotPath))
			for k := range path {
				path[k] = ledger.ToElement(number(r.SlotPath[k]))
			}
			r.SlotNonce = num(19)
			r.RootBefore = ledger.ToBig(crypto.Fold(fake.leaf(), number(r.Nonce).Uint64()%16, path))
		}},
	}
}
