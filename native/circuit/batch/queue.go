package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/schnorr"
)

// The queue proves:
//  1. Used rows come first; each is a deposit (kind 1), a key (2), a forced withdrawal (3) or a forced close (4).
//  2. The account is touched, and its new owner is the entry's.
//  3. A deposit adds its amount to the account's deposits. A key entry gives the account the key and its multiple M = 2^64 key, zeros for a revocation.
//     A forced withdrawal gives (asked, paid) and a forced close its limit to exactly one account row, the account's, which judges them.
//  4. Every account row's `entries` is the number of its entries.
//  5. What an entry does not use is 0, and an unused row is 0.

// Kinds of queue entries.
const (
	entryDeposit       = 1
	entryKey           = 2
	entryForceWithdraw = 3
	entryForceClose    = 4
)

// QueueRow is one entry of layer 1's queue. Amount is that of a deposit, what a forced withdrawal asks for, or the limit_bps of a forced close.
type QueueRow struct {
	Used, IsDeposit, IsKey, IsWithdrawal, IsClose variable
	Account, Owner, Amount, Paid                  variable
	KeyX, KeyY, MultipleX, MultipleY              variable
}

type queueTable struct {
	table                                         *argument.Table
	used, isDeposit, isKey, isWithdrawal, isClose argument.Column
	account, owner, amount, paid                  argument.Column
	keyX, keyY, multipleX, multipleY              argument.Column
}

func allocateQueue(l *argument.Layer, rows []QueueRow) queueTable {
	t := l.Table("queue", len(rows))
	element := func(name string, get func(*QueueRow) variable) argument.Column {
		return t.Field(name, ledger.Column(rows, get))
	}
	flag := func(name string, get func(*QueueRow) variable) argument.Column {
		return t.Bool(name, ledger.Column(rows, get))
	}
	return queueTable{
		table: t, used: flag("used", func(r *QueueRow) variable { return r.Used }),
		isDeposit:    flag("is_deposit", func(r *QueueRow) variable { return r.IsDeposit }),
		isKey:        flag("is_key", func(r *QueueRow) variable { return r.IsKey }),
		isWithdrawal: flag("is_withdrawal", func(r *QueueRow) variable { return r.IsWithdrawal }),
		isClose:      flag("is_close", func(r *QueueRow) variable { return r.IsClose }),
		account:      t.Bits("account", accountBits, ledger.Column(rows, func(r *QueueRow) variable { return r.Account })),
		owner:        t.Bits("owner", 160, ledger.Column(rows, func(r *QueueRow) variable { return r.Owner })),
		amount:       t.Bits("amount", amountBits, ledger.Column(rows, func(r *QueueRow) variable { return r.Amount })),
		paid:         t.Bits("paid", amountBits, ledger.Column(rows, func(r *QueueRow) variable { return r.Paid })),
		keyX:         element("key_x", func(r *QueueRow) variable { return r.KeyX }),
		keyY:         element("key_y", func(r *QueueRow) variable { return r.KeyY }),
		multipleX:    element("multiple_x", func(r *QueueRow) variable { return r.MultipleX }),
		multipleY:    element("multiple_y", func(r *QueueRow) variable { return r.MultipleY }),
	}
}

func (b *builder) stateQueue() {
	t, l := &b.queue, b.l
	b.l.Group("queue: entries")
	for i, used := range t.used {
		isKey := t.isKey[i]
		l.AssertEqual(used, t.isDeposit[i].Plus(isKey, t.isWithdrawal[i], t.isClose[i]))
		l.AssertZeroIf(isKey, t.amount[i])
		l.AssertZeroIf(isKey.Not(), t.keyX[i])
		l.AssertZeroIf(isKey.Not(), t.keyY[i])
		l.AssertZeroIf(t.isWithdrawal[i].Not(), t.paid[i])
		l.AssertZeroIf(used.Not(), t.account[i].Plus(t.owner[i], t.amount[i]))
		b.ties.owners.Require(used, l.Tuple(t.account[i], t.owner[i]))
		b.ties.queueTotals.Add(l.Tuple(t.account[i]), l.Const(1), l.Tuple(t.isDeposit[i].Times(t.amount[i]), used))
		b.ties.rekeys.Put(isKey, t.account[i], t.keyX[i], t.keyY[i], t.multipleX[i], t.multipleY[i])
		b.ties.forced.Put(t.isWithdrawal[i], t.account[i], t.amount[i], t.paid[i])
		b.ties.closes.Put(t.isClose[i], t.account[i], t.amount[i])
	}
	b.l.Group("queue: multiples")
	for i := range t.used {
		schnorr.AssertMultiple(b.api, schnorr.Point{X: t.keyX[i].Raw(), Y: t.keyY[i].Raw()},
			schnorr.Point{X: t.multipleX[i].Raw(), Y: t.multipleY[i].Raw()})
	}
}

// words are the three words of entry i in the effects.
func (t *queueTable) words(i int) []variable {
	const outcome = 200
	kind := t.used[i].Plus(t.isKey[i], t.isWithdrawal[i].Scaled(entryForceWithdraw-1), t.isClose[i].Scaled(entryForceClose-1))
	return []variable{
		kind.Plus(t.account[i].Shifted(8), t.owner[i].Shifted(40), t.used[i].Shifted(outcome)).Raw(),
		t.amount[i].Plus(t.keyX[i]).Raw(), t.paid[i].Plus(t.keyY[i]).Raw(),
	}
}
