package batch

import (
	"math/big"

	"straddle/native/circuit/ledger"
)

// forceOf makes an account row claim one case of a forced withdrawal.
func forceOf(row int, name byte) func(c *Private) {
	return func(c *Private) {
		f := &c.Accounts[row].Force
		f.Full, f.ShortRoom, f.ShortSettled = ledger.Bit(name == 'f'), ledger.Bit(name == 'r'), ledger.Bit(name == 's')
		f.NoneRoom, f.NoneSettled = ledger.Bit(name == 'R'), ledger.Bit(name == 'S')
	}
}

// forceOn moves the forced withdrawal to the account with rule (b), short of its initial margin.
func forceOn(f *fixture, id int64, asked, paid int64) {
	f.setForced(0, 0)
	e := &f.queue[entryForced]
	e.Account, e.Owner, e.Amount, e.Paid = num(id), f.old[id].owner, num(asked), num(paid)
	f.new[id].cash = total(f.new[id].cash, -paid)
}

// optionHolder gives the bystander an option that it holds without orders, and cash on both sides that leaves this much settled.
func optionHolder(f *fixture, lots, settled int64) {
	for _, side := range []map[int64]*state{f.old, f.new} {
		side[bystander].positions = map[int64]*big.Int{2: num(lots)}
	}
	f.touched = []int64{feeAccount, rich, repairing, reducing, bystander, fresh, sender, bidder, broke, spreader, idle}
	f.shiftCash(bystander, new(big.Int).Sub(num(settled), f.standingOf(bystander).settled))
}

const brought = 5_250_000 // what fresh has before the forced withdrawal: a deposit and a transfer

func cheatsForced() []cheat {
	const group, rangeOf = "accounts: forced withdrawals", "range of accounts: forced withdrawals"
	return []cheat{
		{name: "control all that there is", plan: func(f *fixture) { f.setForced(brought, brought) }},
		{name: "control more than there is", plan: func(f *fixture) { f.setForced(brought+1, brought) }},
		{name: "control short of settled cash, the other case", plan: func(f *fixture) { f.setForced(brought+1, brought) }, cells: forceOf(rowFresh, 'r')},
		{name: "too little", want: rangeOf, plan: func(f *fixture) { f.setForced(1_000_000, 999_999) }},
		{name: "too little, for lack of settled cash", want: group, plan: func(f *fixture) { f.setForced(1_000_000, 999_999) }, cells: forceOf(rowFresh, 's')},
		{name: "too little as if in full", want: group, plan: func(f *fixture) { f.setForced(1_000_000, 999_999) }, cells: forceOf(rowFresh, 'f')},
		{name: "a micro-dollar less than there is", want: rangeOf, plan: func(f *fixture) { f.setForced(brought+1, brought-1) }},
		{name: "more than was asked", want: group, plan: func(f *fixture) { f.setForced(1_000_000, 1_000_001) }},
		{name: "more than was asked, as if short", want: rangeOf, plan: func(f *fixture) { f.setForced(brought-1, brought) }, cells: forceOf(rowFresh, 's')},
		{name: "more than there is", want: rangeOf, plan: func(f *fixture) { f.setForced(brought+1, brought+1) }, cells: func(c *Private) {
			forceOf(rowFresh, 'f')(c)
			ruleOf(rowFresh, 'a')(c)
		}},
		{name: "nothing although withdrawable", want: rangeOf, plan: func(f *fixture) { f.setForced(1_000_000, 0) }, cells: forceOf(rowFresh, 'R')},
		{name: "nothing although settled", want: rangeOf, plan: func(f *fixture) { f.setForced(1_000_000, 0) }, cells: forceOf(rowFresh, 'S')},
		{name: "nothing as if short", want: rangeOf, plan: func(f *fixture) { f.setForced(1_000_000, 0) }},
		{name: "no case", want: group, cells: forceOf(rowFresh, '-')},
		{name: "two cases", want: group, cells: func(c *Private) { c.Accounts[rowFresh].Force.ShortRoom = 1 }},
		{name: "not answered", want: "sum forced withdrawals", plan: func(f *fixture) { f.setForced(1_000_000, 0) },
			cells: func(c *Private) {
				forceOf(rowFresh, '-')(c)
				c.Accounts[rowFresh].Force.Forced, c.Accounts[rowFresh].Force.Asked = 0, 0
			}},
		{name: "paid and not deducted", want: "sum cash", plan: func(f *fixture) { f.new[fresh].cash = total(f.new[fresh].cash, 1_000_000) }},
		{name: "deducted and not paid", want: "sum forced withdrawals", cells: func(c *Private) { c.Queue[entryForced].Paid = 0 }},
		{name: "another amount asked", want: "sum forced withdrawals", plan: func(f *fixture) { f.setForced(brought+1, brought) },
			cells: func(c *Private) { bump(&c.Accounts[rowFresh].Force.Asked, 1) }},
		{name: "paid for a deposit", want: "queue: entries", cells: func(c *Private) { c.Queue[0].Paid = 1 }},
		{name: "with orders", want: group, plan: func(f *fixture) { forceOn(f, rich, 5, 5) }},
		{name: "with an action", want: group, plan: func(f *fixture) { forceOn(f, sender, 5, 5) }},
		{name: "of a seized account", want: group, plan: func(f *fixture) { forceOn(f, broke, 5, 0) }},
		{name: "of a closed account", want: "accounts: digests and slot chains", plan: func(f *fixture) { forceOn(f, idle, 5, 0) }},
		{name: "of another account", want: "sum ", cells: func(c *Private) { c.Queue[entryForced].Account = sender }},
		{name: "control of long options only", plan: func(f *fixture) { optionHolder(f, 50, -5); forceOn(f, bystander, 5, 0) }},
		{name: "control of what is settled beside long options", plan: func(f *fixture) {
			optionHolder(f, 50, 7)
			forceOn(f, bystander, 9, 7)
		}},
		{name: "not all that is settled beside long options", want: rangeOf, plan: func(f *fixture) {
			optionHolder(f, 50, 7)
			forceOn(f, bystander, 9, 6)
		}},
		{name: "unsettled value", want: group, plan: func(f *fixture) {
			optionHolder(f, 50, 7)
			forceOn(f, bystander, 9, 8)
		}, cells: func(c *Private) { forceOf(4, 's')(c) }},
		{name: "refused by an inflated scan loss", want: "margin: exact scan loss", plan: func(f *fixture) {
			optionHolder(f, 50, 7)
			forceOn(f, bystander, 7, 0)
		}, cells: func(c *Private) {
			shiftLoss(4, before, ledger.Power(60))(c)
			shiftLoss(4, after, ledger.Power(60))(c)
			forceOf(4, 'R')(c)
			ruleOf(4, 'c')(c)
		}},
		{name: "a short margin claimed", want: rangeOf, plan: func(f *fixture) {
			optionHolder(f, 50, 7)
			forceOn(f, bystander, 9, 6)
		}, cells: func(c *Private) { forceOf(4, 'r')(c) }},
	}
}

func cheatsTransfers() []cheat {
	resign := func(f *fixture) { f.signedBy(signTransfer).payload = transferPayload(&f.transfers[0]) }
	return []cheat{
		{name: "more than was signed", want: "sum signed", plan: func(f *fixture) {
			payload := f.signedBy(signTransfer).payload
			f.setTransfer(250_001)
			f.signedBy(signTransfer).payload = payload
		}},
		{name: "unsigned", want: "sum signed", plan: func(f *fixture) { f.signedBy(signTransfer).kind = kindCancel }},
		{name: "by a withdrawal's signature", want: "sum signed", plan: func(f *fixture) {
			s := f.signedBy(signTransfer)
			s.kind, s.payload = kindWithdrawal, total(f.transfers[0].Nonce, new(big.Int).Lsh(f.transfers[0].Amount, 64))
		}},
		{name: "a withdrawal by a transfer's signature", want: "sum signed", plan: func(f *fixture) { f.signatures[signWithdrawal].kind = kindTransfer }},
		{name: "signed by the receiver", want: "sum signed", plan: func(f *fixture) { f.signedBy(signTransfer).account = rich }},
		{name: "to another account than was signed", want: "sum signed", plan: func(f *fixture) {
			f.transfers[0].To = num(bidder)
			f.old[bidder].owner, f.new[bidder].owner = f.new[fresh].owner, f.new[fresh].owner
			f.new[fresh].cash, f.new[bidder].cash = total(f.new[fresh].cash, -250_000), total(f.new[bidder].cash, 250_000)
		}},
		{name: "to another owner's account", want: "sum owners", plan: func(f *fixture) { f.old[sender].owner, f.new[sender].owner = num(666), num(666) }},
		{name: "to an account without a row", want: "sum ", plan: func(f *fixture) {
			f.transfers[0].To = num(bystander)
			f.new[fresh].cash = total(f.new[fresh].cash, -250_000)
			resign(f)
		}},
		{name: "not received", want: "sum cash", plan: func(f *fixture) { f.new[fresh].cash = total(f.new[fresh].cash, -250_000) }},
		{name: "not sent", want: "sum cash", plan: func(f *fixture) { f.new[sender].cash = total(f.new[sender].cash, 250_000) }},
		{name: "outflow hidden", want: "sum actions", plan: func(f *fixture) { f.new[sender].cash = total(f.new[sender].cash, 250_000) },
			cells: func(c *Private) { c.Accounts[rowSender].Withdrawn = 0 }},
		{name: "outflow of an action that does not pay", want: "accounts: nonces", cells: func(c *Private) { c.Accounts[rowSender].Paying = 0 }},
		{name: "of nothing", want: "range of transfers", plan: func(f *fixture) { f.setTransfer(0) }},
		{name: "a negative amount", want: "range of ", plan: func(f *fixture) { f.setTransfer(-5) }},
		{name: "nonce used before", want: "range of accounts: nonces", plan: func(f *fixture) { f.old[sender].actionNonce = 7 }},
		{name: "a nonce used by two rows", want: "sum actions", plan: func(f *fixture) {
			f.transfers = append(f.transfers, f.transfers[0])
			f.new[sender].cash, f.new[fresh].cash = total(f.new[sender].cash, -250_000), total(f.new[fresh].cash, 250_000)
		}},
		{name: "a withdrawal of the same nonce", want: "sum ", plan: func(f *fixture) {
			f.withdrawals = append(f.withdrawals, Withdrawal{num(sender), f.old[sender].owner, num(5), num(7), 0})
			f.new[sender].cash = total(f.new[sender].cash, -5)
		}},
		{name: "an action that the account denies", want: "sum actions", plan: func(f *fixture) { f.new[bidder].actionNonce = 0 },
			cells: func(c *Private) { c.Accounts[rowBidder].Acting = 0 }},
		{name: "acting without rule a", want: "margin: rule", cells: ruleOf(rowSender, 'c')},
		{name: "an unused row with an amount", want: "transfers", cells: func(c *Private) { c.Transfers[1].Amount = 5 }},
	}
}
