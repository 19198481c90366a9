package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/schnorr"
)

// The queue proves:
//  1. Used rows come first; each is a deposit (kind 1) or a key (kind 2).
//  2. The account is touched, and its new owner is the entry's.
//  3. A deposit adds its amount to the account's deposits. A key entry gives the account the key and its multiple M = 2^64 key, zeros for a revocation.
//  4. Every account row's `entries` is the number of its entries.
//  5. What an entry does not use is 0, and an unused row is 0.

// QueueRow is one entry of layer 1's queue.
type QueueRow struct {
	Used, IsKey, Account, Owner, Amount variable
	KeyX, KeyY, MultipleX, MultipleY    variable
}

type queueTable struct {
	table                               *argument.Table
	used, isKey, account, owner, amount argument.Column
	keyX, keyY, multipleX, multipleY    argument.Column
}

func allocateQueue(l *argument.Layer, rows []QueueRow) queueTable {
	t := l.Table("queue", len(rows))
	element := func(name string, get func(*QueueRow) variable) argument.Column {
		return t.Field(name, column(rows, get))
	}
	return queueTable{
		table: t, used: t.Bool("used", column(rows, func(r *QueueRow) variable { return r.Used })),
		isKey:     t.Bool("is_key", column(rows, func(r *QueueRow) variable { return r.IsKey })),
		account:   t.Bits("account", 32, column(rows, func(r *QueueRow) variable { return r.Account })),
		owner:     t.Bits("owner", 160, column(rows, func(r *QueueRow) variable { return r.Owner })),
		amount:    t.Bits("amount", 63, column(rows, func(r *QueueRow) variable { return r.Amount })),
		keyX:      element("key_x", func(r *QueueRow) variable { return r.KeyX }),
		keyY:      element("key_y", func(r *QueueRow) variable { return r.KeyY }),
		multipleX: element("multiple_x", func(r *QueueRow) variable { return r.MultipleX }),
		multipleY: element("multiple_y", func(r *QueueRow) variable { return r.MultipleY }),
	}
}

func (b *builder) stateQueue() {
	t, l := &b.queue, b.l
	b.l.Group("queue: entries")
	for i, used := range t.used {
		isKey := t.isKey[i]
		l.AssertZeroIf(isKey, used.Not())
		l.AssertZeroIf(isKey, t.amount[i])
		l.AssertZeroIf(isKey.Not(), t.keyX[i])
		l.AssertZeroIf(isKey.Not(), t.keyY[i])
		l.AssertZeroIf(used.Not(), t.account[i].Plus(t.owner[i], t.amount[i]))
		b.ties.owners.Require(used, l.Tuple(t.account[i], t.owner[i]))
		b.ties.queueTotals.Add(l.Tuple(t.account[i]), used, l.Tuple(t.amount[i], l.Const(1)))
		b.ties.rekeys.Put(isKey, t.account[i], t.keyX[i], t.keyY[i], t.multipleX[i], t.multipleY[i])
	}
	b.l.Group("queue: multiples")
	for i := range t.used {
		schnorr.AssertMultiple(b.api, schnorr.Point{X: t.keyX[i].Raw(), Y: t.keyY[i].Raw()},
			schnorr.Point{X: t.multipleX[i].Raw(), Y: t.multipleY[i].Raw()})
	}
}

// words are the three words of entry i in the effects.
func (t *queueTable) words(l *argument.Layer, i int) []variable {
	const outcome = 200
	return []variable{
		t.used[i].Plus(t.isKey[i], t.account[i].Shifted(8), t.owner[i].Shifted(40), t.used[i].Shifted(outcome)).Raw(),
		t.amount[i].Plus(t.keyX[i]).Raw(), t.keyY[i].Raw(),
	}
}
