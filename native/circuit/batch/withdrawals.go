package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Withdrawals prove:
//  1. Used rows come first, accounts ascend strictly and have 24 bits, the amount is > 0; an unused row is 0.
//  2. The account has signed (nonce, amount) as a withdrawal.
//  3. (account, nonce, amount) is the one action of the account row, which pays it; the owner is the account's.

// WithdrawalRow is one withdrawal.
type WithdrawalRow struct{ Used, Account, Owner, Amount, Nonce variable }

type withdrawalTable struct {
	table                               *argument.Table
	used, account, owner, amount, nonce argument.Column
}

func allocateWithdrawals(l *argument.Layer, rows []WithdrawalRow) withdrawalTable {
	t := l.Table("withdrawals", len(rows))
	return withdrawalTable{
		table: t, used: t.Bool("used", ledger.Column(rows, func(r *WithdrawalRow) variable { return r.Used })),
		account: t.Bits("account", accountBits, ledger.Column(rows, func(r *WithdrawalRow) variable { return r.Account })),
		owner:   t.Bits("owner", 160, ledger.Column(rows, func(r *WithdrawalRow) variable { return r.Owner })),
		amount:  t.Bits("amount", amountBits, ledger.Column(rows, func(r *WithdrawalRow) variable { return r.Amount })),
		nonce:   t.Bits("nonce", 64, ledger.Column(rows, func(r *WithdrawalRow) variable { return r.Nonce })),
	}
}

func (b *builder) stateWithdrawals() {
	t, l := &b.withdrawals, b.l
	l.Group("withdrawals")
	for i, used := range t.used {
		l.AssertNotNegative(t.amount[i].Minus(used))
		l.AssertZeroIf(used.Not(), t.owner[i].Plus(t.amount[i]))
		b.ties.signed.Require(used, l.Tuple(t.account[i], l.Const(kindWithdrawal), t.nonce[i].Plus(t.amount[i].Shifted(64))))
		b.ties.owners.Require(used, l.Tuple(t.account[i], t.owner[i]))
		b.ties.actions.Put(used, t.account[i], t.nonce[i], l.Const(1), t.amount[i])
	}
}

// word is row i in the effects.
func (t *withdrawalTable) word(i int) variable {
	return t.owner[i].Plus(t.amount[i].Shifted(160), t.account[i].Shifted(224)).Raw()
}
