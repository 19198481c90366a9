package batch

import (
	"math/big"
	"testing"

	"straddle/native/circuit/ledger"
)

// Written by the reviewer of the accounts half of statement version 2, who did not write it and was asked to forge and steal (see review_test.go for
// the terms). The thief here is a sequencer with accounts of its own: everything that needs no signature of the victim is tried.

// reviewReprice has the deleveraging at a price so far from the mark, and the bid such that the seized account's equity changes by this much.
func reviewReprice(f *fixture, off, gain int64) {
	f.deleverage(-1)
	f.deleverages[0].Price = total(f.instruments[3].Mark(), off)
	f.deleverage(1)
	f.lose(num(-gain))
}

// reviewPoor leaves the seized account this old equity and an auction at its end, forced by its owner at this limit.
func reviewPoor(f *fixture, equity, limit int64) {
	dropDeleverage(f)
	f.setOldEquity(broke, num(equity))
	auctionOf(f, broke, func(time int64) int64 { return forcedWord(time-600_000, limit) }, func(time int64) int64 { return forcedWord(time-600_000, limit) })
}

func TestReviewSeizedPortfoliosFeedNobody(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "a counterparty is closed out at the band's end, and the winner of the bid takes the difference", plan: func(f *fixture) {
			reviewReprice(f, -5000, 0)
		}},
		{name: "an accomplice is closed out at the other end, and the winner of the bid pays", plan: func(f *fixture) {
			reviewReprice(f, 5000, 0)
		}},
		{name: "an accomplice is closed out at the other end, and the insurance fund pays", plan: func(f *fixture) {
			reviewReprice(f, 5000, 0)
			fundTakes(f)
			gain(f, 0)
		}},
		{name: "an owner's own second account buys an account below maintenance margin for its whole maintenance margin less", plan: func(f *fixture) {
			reviewPoor(f, 1, 10_000)
			f.lose(f.allowedLoss(num(10_000)))
		}, cells: func(c *Private) { c.Accounts[rowBroke].Auction.Below = 0 }},
		{name: "the discount of an account without equity", plan: func(f *fixture) {
			reviewPoor(f, 0, 0)
			f.lose(num(1))
		}},
		{name: "the discount of a bankrupt account", plan: func(f *fixture) {
			reviewPoor(f, -1_000_000, 0)
			f.lose(num(1))
		}},
		{name: "an old bid takes an empty portfolio for all that it offered", plan: func(f *fixture) {
			reviewPoor(f, -1_000_000, 0)
			f.slice(-1)
			for _, side := range []map[int64]*state{f.old, f.new} {
				side[broke].positions = map[int64]*big.Int{}
			}
			f.setOldEquity(broke, num(-5))
			f.pay(num(1<<40), num(1<<40))
		}},
		{name: "a bid pays more than the slice is worth", plan: func(f *fixture) {
			solvent(f, -1)
			f.lose(num(-1))
		}},
	})
}

func TestReviewClosedAccounts(t *testing.T) {
	closedRow := func(c *Private) *AccountRow { return &c.Accounts[rowIdle] }
	reviewRefused(t, []reviewAttack{
		{name: "a closed account pays for another one", plan: func(f *fixture) {
			f.new[idle].cash = total(f.new[idle].cash, -7)
			f.new[sender].cash = total(f.new[sender].cash, 7)
		}},
		{name: "a closed account pays what came in and more", plan: func(f *fixture) {
			f.queue = append(f.queue, Entry{num(entryDeposit), num(idle), f.old[idle].owner, num(5), num(0), num(0), num(0)})
			f.new[idle].cash = total(f.new[idle].cash, -2)
			f.new[sender].cash = total(f.new[sender].cash, 7)
		}},
		{name: "a short position hidden, rule a claimed", plan: func(f *fixture) {
			f.old[idle].positions, f.new[idle].positions = map[int64]*big.Int{2: num(-1 << 30)}, map[int64]*big.Int{2: num(-1 << 30)}
		}, cells: ruleOf(rowIdle, 'a')},
		{name: "a position hidden as if there was none", cells: func(c *Private) { closedRow(c).Closed, closedRow(c).Empty = 0, 1 }},
		{name: "a position hidden in a row that is neither", cells: func(c *Private) { closedRow(c).Closed = 0 }},
		{name: "a closed account seized", plan: func(f *fixture) { auctionOf(f, idle, forcedSince(9), forcedSince(9)) }, cells: func(c *Private) {
			ruleOf(rowIdle, '-')(c)
			closedRow(c).Seizure.Seized = 1
		}},
		{name: "the winner of a bid is closed", plan: func(f *fixture) { f.closed[bidder] = true }},
		{name: "the winner of a bid is closed, rule a claimed", plan: func(f *fixture) { f.closed[bidder] = true }, cells: ruleOf(rowBidder, 'a')},
		{name: "the winner of a bid for nothing is closed", plan: func(f *fixture) {
			f.slice(-1)
			f.takeovers[0].FractionBps = num(0)
			f.fair()
			f.old[bidder].positions, f.new[bidder].positions = map[int64]*big.Int{2: num(-9)}, map[int64]*big.Int{2: num(-9)}
			f.closed[bidder] = true
		}, cells: ruleOf(rowBidder, 'a')},
		{name: "closed against without its rows", plan: func(f *fixture) {
			f.deleverage(-1)
			f.deleverages[0].Winner, f.deleverages[0].Instrument = num(idle), num(4)
			f.deleverage(1)
		}},
		{name: "the insurance fund takes and is closed", plan: func(f *fixture) {
			dropDeleverage(f)
			fundTakes(f)
			gain(f, 0)
			f.closed[fundAccount] = true
			f.old[fundAccount].positions[2], f.new[fundAccount].positions[2] = num(-5), num(-5)
		}},
		{name: "a transfer from a closed account", plan: func(f *fixture) {
			f.old[sender].positions, f.new[sender].positions = map[int64]*big.Int{2: num(-9)}, map[int64]*big.Int{2: num(-9)}
			f.closed[sender] = true
		}, cells: ruleOf(rowSender, 'a')},
		{name: "half of the positions shown", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position {
				var kept []Position
				for _, r := range rows {
					if r.Account.Int64() != broke || r.Instrument.Int64() != 4 {
						kept = append(kept, r)
					}
				}
				return kept
			}
		}},
	})
}

func TestReviewRequests(t *testing.T) {
	again := func(f *fixture, entry int) { f.queue = append(f.queue, f.queue[entry]) }
	reviewRefused(t, []reviewAttack{
		{name: "a forced withdrawal answered for two entries", plan: func(f *fixture) { again(f, entryForced) },
			cells: func(c *Private) { c.Accounts[rowFresh].Withdrawn = 1_000_000 }},
		{name: "two forced withdrawals paid together", plan: func(f *fixture) {
			f.setForced(500_000, 500_000)
			again(f, entryForced)
			f.new[fresh].cash = total(f.new[fresh].cash, -500_000)
		}},
		{name: "two forced closes", plan: func(f *fixture) { again(f, entryClosing) }},
		{name: "an entry of two kinds", cells: func(c *Private) { c.Queue[entryForced].IsDeposit = 1 }},
		{name: "an entry of two kinds that cancel", cells: func(c *Private) { c.Queue[entryForced].IsDeposit, c.Queue[entryForced].IsKey = 1, reviewMinus(1) }},
		{name: "an unused entry pays", cells: func(c *Private) { c.Queue[reviewPaddingEntry].Paid = 5 }},
		{name: "an unused entry withdraws", cells: func(c *Private) { c.Queue[reviewPaddingEntry].IsWithdrawal = 1 }},
		{name: "an amount of 2^63", plan: func(f *fixture) { f.setForced(0, brought); f.queue[entryForced].Amount = ledger.Power(63) }},
		{name: "a payment below zero", plan: func(f *fixture) { f.setForced(5, -5) }},
		{name: "a forced withdrawal of account 0", cells: func(c *Private) { c.Queue[entryForced].Account, c.Queue[entryForced].Owner = 0, 0 }},
		{name: "a transfer to account 0", plan: func(f *fixture) {
			f.new[fresh].cash = total(f.new[fresh].cash, -250_000)
			f.transfers[0].To = num(0)
			f.signedBy(signTransfer).payload = transferPayload(&f.transfers[0])
		}},
		{name: "a transfer to an account that does not exist, whose owner is 0", plan: func(f *fixture) {
			f.old[13] = newState(0, nil)
			f.new[13] = newState(0, nil)
			f.touched = append(f.touched, 13)
			f.new[fresh].cash, f.new[13].cash = total(f.new[fresh].cash, -250_000), num(250_000)
			f.transfers[0].To = num(13)
			f.signedBy(signTransfer).payload = transferPayload(&f.transfers[0])
		}},
		{name: "a transfer to an account of 32 bits", plan: func(f *fixture) {
			f.transfers[0].To = total(ledger.Power(24), fresh)
			f.signedBy(signTransfer).payload = transferPayload(&f.transfers[0])
		}},
		{name: "a transfer and a bid with one action", plan: func(f *fixture) {
			f.signatures = append(f.signatures, &planSigned{account: bidder, kind: kindTransfer})
			tr := Transfer{num(bidder), num(fresh), num(3), num(9), len(f.signatures) - 1}
			f.signatures[len(f.signatures)-1].payload = transferPayload(&tr)
			f.old[bidder].owner, f.new[bidder].owner = f.new[fresh].owner, f.new[fresh].owner
			f.transfers = append(f.transfers, tr)
			f.new[bidder].cash, f.new[fresh].cash = total(f.new[bidder].cash, -3), total(f.new[fresh].cash, 3)
			f.signatures = append(f.signatures[:len(f.signatures)-3], f.signatures[len(f.signatures)-1], f.signatures[len(f.signatures)-3], f.signatures[len(f.signatures)-2])
			f.transfers[1].Signature, f.transfers[0].Signature, f.takeovers[0].Signature = len(f.signatures)-3, len(f.signatures)-2, len(f.signatures)-1
		}},
		{name: "a forced withdrawal hides what is withdrawable behind a second signed action", plan: func(f *fixture) { forceOn(f, sender, 5, 5) }},
		{name: "an auction that begins in the future", plan: func(f *fixture) { auctionOf(f, broke, since(-1), since(-1)) }},
		{name: "an auction without a start", plan: func(f *fixture) {
			auctionOf(f, broke, func(int64) int64 { return forcedWord(0, 100) }, func(int64) int64 { return forcedWord(0, 100) })
		}},
		{name: "bit 63 of an auction's word", plan: func(f *fixture) {
			auctionOf(f, broke, func(time int64) int64 { return time }, func(time int64) int64 { return time })
		}, cells: func(c *Private) { c.Accounts[rowBroke].Auction.LimitBps = ledger.Power(limitBits) }},
		{name: "the loser is the winner", plan: func(f *fixture) {
			f.slice(-1)
			f.takeovers[0].Winner = num(broke)
			f.slice(1)
			f.new[bidder].actionNonce, f.new[broke].actionNonce = 0, 9
			f.signedBy(signBid).account = broke
			f.signedBy(signBid).payload = bidPayload(&f.takeovers[0])
		}},
		{name: "a bidder's second account is closed against to its profit by a payment of the bidder", plan: func(f *fixture) {
			reviewReprice(f, 4999, 0)
		}},
	})
}

// TestReviewDenialEdges: honest batches at the edges of the rules of a seizure.
func TestReviewDenialEdges(t *testing.T) {
	for name, plan := range map[string]func(f *fixture){
		"equity of exactly 0, sold at the marks": func(f *fixture) { reviewPoor(f, 0, 0); f.lose(num(0)) },
		"the discount takes all that there is":   func(f *fixture) { reviewPoor(f, 3, 0); f.lose(num(3)) },
		"a bankrupt account sold at the marks":   func(f *fixture) { reviewPoor(f, -1, 0); f.lose(num(0)) },
		"the fund makes up for all":              func(f *fixture) { reviewPoor(f, -77, 0); fundTakes(f); gain(f, 77) },
		"the fund and a closing make up for all": func(f *fixture) { fundTakes(f); gain(f, 1_000_000) },
		"a transfer to oneself": func(f *fixture) {
			f.new[fresh].cash, f.new[sender].cash = total(f.new[fresh].cash, -250_000), total(f.new[sender].cash, 250_000)
			f.transfers[0].To = num(sender)
			f.signedBy(signTransfer).payload = transferPayload(&f.transfers[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, nanoPreset(t), 1)
			plan(f)
			reviewAccepted(t, f)
		})
	}
}
