package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Transfers prove:
//  1. Used rows come first; the amount is > 0 in a used row, 0 in an unused one.
//  2. The account has signed (nonce, amount, to) as a transfer.
//  3. (account, nonce, amount) is the one action of the account row, which pays it; `to` receives it among its deposits.
//  4. Both accounts have a row and, after the batch, the same owner.

// TransferRow is one transfer between two accounts of an owner.
type TransferRow struct{ Used, Account, To, Owner, Amount, Nonce variable }

type transferTable struct {
	table                                   *argument.Table
	used, account, to, owner, amount, nonce argument.Column
}

func allocateTransfers(l *argument.Layer, rows []TransferRow) transferTable {
	t := l.Table("transfers", len(rows))
	return transferTable{
		table: t, used: t.Bool("used", ledger.Column(rows, func(r *TransferRow) variable { return r.Used })),
		account: t.Bits("account", accountBits, ledger.Column(rows, func(r *TransferRow) variable { return r.Account })),
		to:      t.Bits("to", accountBits, ledger.Column(rows, func(r *TransferRow) variable { return r.To })),
		owner:   t.Bits("owner", 160, ledger.Column(rows, func(r *TransferRow) variable { return r.Owner })),
		amount:  t.Bits("amount", amountBits, ledger.Column(rows, func(r *TransferRow) variable { return r.Amount })),
		nonce:   t.Bits("nonce", 64, ledger.Column(rows, func(r *TransferRow) variable { return r.Nonce })),
	}
}

func (b *builder) stateTransfers() {
	t, l := &b.transfers, b.l
	l.Group("transfers")
	for i, used := range t.used {
		l.AssertNotNegative(t.amount[i].Minus(used))
		l.AssertZeroIf(used.Not(), t.amount[i])
		payload := t.nonce[i].Plus(t.amount[i].Shifted(64), t.to[i].Shifted(128))
		b.ties.signed.Require(used, l.Tuple(t.account[i], l.Const(kindTransfer), payload))
		b.ties.owners.Require(used, l.Tuple(t.account[i], t.owner[i]))
		b.ties.owners.Require(used, l.Tuple(t.to[i], t.owner[i]))
		b.ties.actions.Put(used, t.account[i], t.nonce[i], l.Const(1), t.amount[i])
		b.ties.queueTotals.Add(l.Tuple(t.to[i]), l.Const(1), l.Tuple(t.amount[i], l.Const(0)))
	}
}
