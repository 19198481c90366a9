package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Takeovers prove:
//  1. Used rows come first; each is a bid or the insurance fund's, whose winner is account 2.
//  2. A bid is signed by the winner: it takes this fraction of this account for at most its limit, before its expiry, and the payment is no more. It is
//     the one action of the winner's account row.
//  3. The winner's account row passes rule (a).
//  4. (account, winner, fraction, fund) is taken by exactly one account row, the seized account's; its position rows hand over the slices.
//  5. The payment, of either sign, moves from the winner to the account.

// TakeoverRow is one slice of a seized portfolio handed over. Limit, ExpiryMs and Nonce are the bid's.
type TakeoverRow struct {
	Used, Bid, Fund, Account, Winner, Fraction variable
	Payment, Limit, ExpiryMs, Nonce            variable
}

type takeoverTable struct {
	table                                      *argument.Table
	used, bid, fund, account, winner, fraction argument.Column
	payment, limit, expiryMs, nonce            argument.Column
}

func allocateTakeovers(l *argument.Layer, rows []TakeoverRow) takeoverTable {
	t := l.Table("takeovers", len(rows))
	return takeoverTable{
		table: t, used: t.Bool("used", ledger.Column(rows, func(r *TakeoverRow) variable { return r.Used })),
		bid:      t.Bool("bid", ledger.Column(rows, func(r *TakeoverRow) variable { return r.Bid })),
		fund:     t.Bool("fund", ledger.Column(rows, func(r *TakeoverRow) variable { return r.Fund })),
		account:  t.Bits("account", accountBits, ledger.Column(rows, func(r *TakeoverRow) variable { return r.Account })),
		winner:   t.Bits("winner", accountBits, ledger.Column(rows, func(r *TakeoverRow) variable { return r.Winner })),
		fraction: t.Bits("fraction_bps", fractionBits, ledger.Column(rows, func(r *TakeoverRow) variable { return r.Fraction })),
		payment:  t.Signed("payment", 64, ledger.Column(rows, func(r *TakeoverRow) variable { return r.Payment })),
		limit:    t.Signed("limit", 64, ledger.Column(rows, func(r *TakeoverRow) variable { return r.Limit })),
		expiryMs: t.Bits("expiry_ms", 48, ledger.Column(rows, func(r *TakeoverRow) variable { return r.ExpiryMs })),
		nonce:    t.Bits("nonce", 64, ledger.Column(rows, func(r *TakeoverRow) variable { return r.Nonce })),
	}
}

func (b *builder) stateTakeovers() {
	t, l := &b.takeovers, b.l
	l.Group("takeovers")
	for i, used := range t.used {
		bid, fund := t.bid[i], t.fund[i]
		l.AssertEqual(used, bid.Plus(fund))
		l.AssertZeroIf(fund, t.winner[i].Minus(l.Const(fundAccount)))
		l.AssertNotNegative(bid.Times(t.limit[i].Minus(t.payment[i])))
		l.AssertNotNegative(bid.Times(t.expiryMs[i].Minus(b.header.timeMs).Minus(l.Const(1))))
		payload := t.nonce[i].Plus(t.account[i].Shifted(64), t.fraction[i].Shifted(96), t.limit[i].Plus(l.Const(1).Shifted(63)).Shifted(110),
			t.expiryMs[i].Shifted(174))
		b.ties.signed.Require(bid, l.Tuple(t.winner[i], l.Const(kindBid), payload))
		b.ties.actions.Put(bid, t.winner[i], t.nonce[i], l.Const(0), l.Const(0))
		b.ties.covered.Require(used, l.Tuple(t.winner[i]))
		b.ties.takeovers.Put(used, t.account[i], t.winner[i], t.fraction[i], fund)
		paid := l.Tuple(t.payment[i])
		b.ties.cash.Add(l.Tuple(t.winner[i]), used.Negated(), paid)
		b.ties.cash.Add(l.Tuple(t.account[i]), used, paid)
	}
}
