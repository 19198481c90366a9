package batch

import (
	"math/big"
	"slices"

	"straddle/native/circuit/ledger"
)

// dropClose leaves out the forced close.
func dropClose(f *fixture) {
	f.queue = f.queue[:entryClosing]
	f.new[idle].auction = f.old[idle].auction
}

// auctionOf sets both words of an account's auction, as so long before the table's time.
func auctionOf(f *fixture, id int64, old, now func(time int64) int64) {
	time := f.header.TimeMs.Int64()
	f.old[id].auction, f.new[id].auction = old(time), now(time)
}

// since is an auction that began so long ago; forcedSince a forced one with a limit of 100 basis points; none is none.
func since(ms int64) func(int64) int64 { return func(time int64) int64 { return time - ms } }
func forcedSince(ms int64) func(int64) int64 {
	return func(time int64) int64 { return forcedWord(time-ms, 100) }
}
func none(int64) int64 { return 0 }

// endedBy makes an account row claim one way in which its auction ended.
func endedBy(row int, way byte) func(c *Private) {
	return func(c *Private) {
		a := &c.Accounts[row].Auction
		a.EndedCovered, a.EndedSold, a.EndedOver = ledger.Bit(way == 'c'), ledger.Bit(way == 's'), ledger.Bit(way == 'o')
	}
}

func cheatsAuctions() []cheat {
	const group, rangeOf, tree = "auctions: begin, end and age", "range of auctions: begin, end and age", "accounts: tree"
	move := func(id int64, old, now func(int64) int64) func(f *fixture) {
		return func(f *fixture) { auctionOf(f, id, old, now) }
	}
	return []cheat{
		{name: "begun above maintenance margin", want: group, plan: move(sender, none, since(0))},
		{name: "begun above maintenance margin, as if below", want: rangeOf, plan: move(sender, none, since(0)),
			cells: func(c *Private) { c.Accounts[rowSender].Auction.Below = 1 }},
		{name: "begun earlier than the table's time", want: tree, plan: move(reducing, none, since(1))},
		{name: "begun again", want: group, plan: move(reducing, since(9), since(0)), cells: func(c *Private) { c.Accounts[rowReducing].Auction.Begun = 1 }},
		{name: "start moved", want: tree, plan: move(spreader, since(9), since(8))},
		{name: "ended while below", want: rangeOf, plan: move(broke, since(9), none)},
		{name: "dropped silently", want: tree, plan: move(spreader, since(9), none), cells: endedBy(rowSpreader, '-')},
		{name: "ended where there is none", want: group, cells: endedBy(rowSender, 'c')},
		{name: "begun twice at once", want: "auctions: word", plan: func(f *fixture) {
			f.new[idle].auction, f.new[reducing].auction = 0, f.new[idle].auction
			f.queue[entryClosing].Account, f.queue[entryClosing].Owner = num(reducing), f.old[reducing].owner
		}, cells: func(c *Private) { c.Accounts[rowReducing].Auction.Begun = 1 }},
		{name: "control forced close of an open account", plan: func(f *fixture) {
			f.new[idle].auction, f.new[reducing].auction = 0, f.new[idle].auction
			f.queue[entryClosing].Account, f.queue[entryClosing].Owner = num(reducing), f.old[reducing].owner
		}},
		{name: "control forced, ended with nothing left", plan: move(sender, forcedSince(9), none)},
		{name: "control forced, ended after its time", plan: move(rich, forcedSince(600_000), none)},
		{name: "forced, ended early", want: group, plan: move(rich, forcedSince(599_999), none)},
		{name: "forced, ended early by a false age", want: rangeOf, plan: move(rich, forcedSince(599_999), none),
			cells: func(c *Private) { c.Accounts[rowRich].Auction.AgeMs = 600_000 }},
		{name: "forced, ended with something left", want: group, plan: move(rich, forcedSince(9), none), cells: endedBy(rowRich, 's')},
		{name: "forced, ended as covered", want: group, plan: move(rich, forcedSince(9), none), cells: endedBy(rowRich, 'c')},
		{name: "not forced, ended for its age", want: group, plan: move(rich, since(700_000), none), cells: func(c *Private) {
			endedBy(rowRich, 'o')(c)
			c.Accounts[rowRich].Auction.AgeMs = 600_000
		}},
		{name: "closed account's auction begun", want: "accounts: digests", plan: func(f *fixture) { dropClose(f); auctionOf(f, idle, none, since(0)) }},
		{name: "a closed account below by its cash", want: "accounts: digests", plan: func(f *fixture) {
			dropClose(f)
			auctionOf(f, idle, none, since(0))
			f.shiftCash(idle, num(-50))
		}},
		{name: "closed account's auction ended", want: "accounts: digests", plan: func(f *fixture) { dropClose(f); auctionOf(f, idle, since(9), none) }},
		{name: "control forced close during an auction", plan: move(idle, since(9), since(9))},
		{name: "control forced close during a forced auction", plan: move(idle, forcedSince(9), forcedSince(9))},
		{name: "clock restarted by a forced close", want: tree, plan: func(f *fixture) {
			auctionOf(f, idle, since(9), func(time int64) int64 { return forcedWord(time, 300) })
		}},
		{name: "clock restarted by a forced close, as if there was no auction", want: "auctions: word", plan: func(f *fixture) {
			auctionOf(f, idle, since(9), func(time int64) int64 { return forcedWord(time, 300) })
		}, cells: func(c *Private) { c.Accounts[rowIdle].Auction.InAuction = 0 }},
		{name: "forced close without an entry", want: "sum forced closes", plan: func(f *fixture) { f.queue = f.queue[:entryClosing] }, cells: func(c *Private) {
			a := &c.Accounts[rowIdle].Auction
			a.Begun, a.Closing, a.CloseLimit = 0, 1, 300
		}},
		{name: "forced close ignored", want: "sum forced closes", plan: func(f *fixture) { f.new[idle].auction = 0 },
			cells: func(c *Private) { c.Accounts[rowIdle].Auction.Closing, c.Accounts[rowIdle].Auction.CloseLimit = 0, 0 }},
		{name: "forced close with another limit", want: "sum forced closes", plan: func(f *fixture) {
			f.new[idle].auction = forcedWord(f.header.TimeMs.Int64(), 301)
		}, cells: func(c *Private) { c.Accounts[rowIdle].Auction.CloseLimit = 301 }},
		{name: "a start of 0", want: "range of auctions: word",
			plan: move(idle, func(int64) int64 { return forcedWord(0, 5) }, func(int64) int64 { return forcedWord(0, 5) })},
		{name: "parts of the word that overlap", want: "range of accounts/auction_start_ms", plan: move(idle, forcedSince(9), forcedSince(9)),
			cells: func(c *Private) {
				a := &c.Accounts[rowIdle].Auction
				a.StartMs, a.Forced = total(a.StartMs, ledger.Power(startBits)), 0
			}},
		{name: "discount of 0", want: "range of header: parameters", plan: func(f *fixture) { f.header.DiscountBps = num(0) }},
		{name: "no auction time", want: "range of header: parameters", plan: func(f *fixture) { f.header.AuctionMs = num(0) }},
	}
}

// dropDeleverage leaves out the deleveraging.
func dropDeleverage(f *fixture) {
	f.deleverage(-1)
	f.deleverages = nil
}

// solvent gives the seized account this much old equity more than its maintenance margin, rounded up, and no deleveraging.
func solvent(f *fixture, above int64) {
	dropDeleverage(f)
	need := new(big.Int).Add(f.standingOf(broke).maintenance[before], num(ledger.BpsInWhole-1))
	f.setOldEquity(broke, total(need.Div(need, num(ledger.BpsInWhole)), above))
	f.lose(num(0))
}

// fundTakes makes the takeover the insurance fund's.
func fundTakes(f *fixture) {
	t := &f.takeovers[0]
	f.pay(num(0), num(0))
	f.slice(-1)
	f.new[bidder].actionNonce = 0
	f.old[fundAccount].cash, f.new[fundAccount].cash = num(1<<45), num(1<<45)
	f.signatures = f.signatures[:len(f.signatures)-1]
	f.transfers[0].Signature, t.Signature, t.Winner, t.Nonce, t.ExpiryMs = len(f.signatures)-1, -1, num(fundAccount), num(0), num(0)
	f.slice(1)
	f.touched = slices.Insert(f.touched, 1, int64(fundAccount))
}

// gain has the insurance fund pay so much that the seized account gains this much equity.
func gain(f *fixture, micros int64) {
	j := f.standingOf(broke)
	gained := new(big.Int).Sub(j.equity[after], j.equity[before])
	t := &f.takeovers[0]
	by := total(micros, new(big.Int).Neg(gained.Quo(gained, num(ledger.BpsInWhole))))
	t.Payment = total(t.Payment, by)
	f.new[fundAccount].cash.Sub(f.new[fundAccount].cash, by)
	f.new[broke].cash.Add(f.new[broke].cash, by)
}

func cheatsSeizures() []cheat {
	const group, rangeOf, ages = "auctions: seized accounts", "range of auctions: seized accounts", "range of auctions: begin, end and age"
	loseNow := func(f *fixture, more int64) { f.lose(total(f.allowedLoss(f.header.DiscountBps), more)) }
	lose := func(f *fixture, more int64) { solvent(f, -1); loseNow(f, more) }
	fund := func(rest func(f *fixture)) func(f *fixture) {
		return func(f *fixture) { dropDeleverage(f); fundTakes(f); rest(f) }
	}
	return []cheat{
		{name: "control the largest discount", plan: func(f *fixture) { lose(f, 0) }},
		{name: "a micro-dollar more", want: rangeOf, plan: func(f *fixture) { lose(f, 1) }},
		{name: "control the largest discount after a long time", plan: func(f *fixture) { auctionOf(f, broke, since(900_000), since(900_000)); lose(f, 0) }},
		{name: "age of more than the auction's time", want: ages, plan: func(f *fixture) { auctionOf(f, broke, since(900_000), since(900_000)); lose(f, 1) },
			cells: func(c *Private) { c.Accounts[rowBroke].Auction.AgeMs = 900_000 }},
		{name: "age of more than the time since the start", want: ages, plan: func(f *fixture) { lose(f, 1) },
			cells: func(c *Private) { c.Accounts[rowBroke].Auction.AgeMs = 600_000 }},
		{name: "no auction", want: group, plan: func(f *fixture) { auctionOf(f, broke, none, none) }},
		{name: "begun and sold at once", want: group, plan: func(f *fixture) { auctionOf(f, broke, none, since(0)) }},
		{name: "control just below maintenance margin", plan: func(f *fixture) { solvent(f, -1) }},
		{name: "at maintenance margin", want: group, plan: func(f *fixture) { solvent(f, 0) }},
		{name: "at maintenance margin, as if below", want: ages, plan: func(f *fixture) { solvent(f, 0) },
			cells: func(c *Private) { c.Accounts[rowBroke].Auction.Below = 1 }},
		{name: "deposits ignored", want: group, plan: func(f *fixture) {
			solvent(f, -1)
			f.queue = append(f.queue, Entry{num(entryDeposit), num(broke), f.old[broke].owner, num(1), num(0), num(0), num(0)})
			f.new[broke].cash = total(f.new[broke].cash, 1)
		}},
		{name: "understated old equity", want: "sum risk totals old", plan: func(f *fixture) { solvent(f, 0); f.lose(num(5)) }, cells: func(c *Private) {
			c.Accounts[rowBroke].Auction.Below = 1
			bump(&c.Accounts[rowBroke].Margin[before].Value, -1)
		}},
		{name: "overstated maintenance margin", want: "margin: exact scan loss", plan: func(f *fixture) { solvent(f, 0) }, cells: func(c *Private) {
			c.Accounts[rowBroke].Auction.Below = 1
			shiftLoss(rowBroke, before, ledger.Power(60))(c)
		}},
		{name: "with orders", want: group, plan: func(f *fixture) { auctionOf(f, repairing, since(9), since(9)) }, cells: func(c *Private) {
			ruleOf(rowRepairing, '-')(c)
			c.Accounts[rowRepairing].Seizure.Seized = 1
		}},
		{name: "with an action", want: "margin: rule", cells: func(c *Private) { ruleOf(rowSender, '-')(c); c.Accounts[rowSender].Seizure.Seized = 1 }},
		{name: "seized and by a rule", want: "margin: rule", cells: ruleOf(rowBroke, 'c')},
		{name: "not seized", want: group, cells: func(c *Private) { ruleOf(rowBroke, 'c')(c); c.Accounts[rowBroke].Seizure.Seized = 0 }},
		{name: "room lowered", want: "range of margin: rule", plan: func(f *fixture) {
			f.header.KMm, f.header.DiscountBps = num(65_535), num(10_000)
			auctionOf(f, broke, since(900_000), since(900_000))
			solvent(f, -1)
			j := f.standingOf(broke)
			fall := new(big.Int).Sub(j.initial[before], j.initial[after])
			f.lose(total(fall.Div(fall, num(ledger.BpsInWhole)), 1))
		}},
		{name: "control a forced auction", plan: func(f *fixture) {
			solvent(f, 1<<40)
			auctionOf(f, broke, forcedSince(300_000), forcedSince(300_000))
			f.lose(f.allowedLoss(num(100)))
		}},
		{name: "a forced auction's limit exceeded", want: rangeOf, plan: func(f *fixture) {
			solvent(f, 1<<40)
			auctionOf(f, broke, forcedSince(300_000), forcedSince(300_000))
			f.lose(total(f.allowedLoss(num(100)), 1))
		}},
		{name: "a forced auction at the discount for those below", want: ages, plan: func(f *fixture) {
			solvent(f, 1<<40)
			auctionOf(f, broke, forcedSince(300_000), forcedSince(300_000))
			loseNow(f, 0)
		}, cells: func(c *Private) { c.Accounts[rowBroke].Auction.Below = 1 }},
		{name: "control a forced auction of an account below", plan: func(f *fixture) {
			auctionOf(f, broke, func(time int64) int64 { return forcedWord(time-300_000, 0) }, func(time int64) int64 { return forcedWord(time-300_000, 0) })
			lose(f, 0)
		}},
		{name: "control the fund takes", plan: fund(func(f *fixture) { gain(f, 0) })},
		{name: "control the fund pays up to nothing left", plan: fund(func(f *fixture) { gain(f, 1_000_000) })},
		{name: "a gift of the fund", want: rangeOf, plan: fund(func(f *fixture) { gain(f, 1_000_001) })},
		{name: "a gift of the fund, as if bankrupt", want: rangeOf, plan: fund(func(f *fixture) { gain(f, 1_000_001) }),
			cells: func(c *Private) { c.Accounts[rowBroke+1].Seizure.Bankrupt = 1 }},
		{name: "a gift of the fund to a solvent account", want: rangeOf, plan: func(f *fixture) { solvent(f, -1); fundTakes(f); gain(f, 1) }},
		{name: "control the fund takes from a solvent account", plan: func(f *fixture) { solvent(f, -1); fundTakes(f); gain(f, 0) }},
		{name: "the fund's takeover as a bid's", want: "sum sold portfolios", plan: fund(func(f *fixture) { gain(f, 0) }),
			cells: func(c *Private) { c.Accounts[rowBroke+1].Seizure.Fund = 0 }},
		{name: "a fund below initial margin", want: "sum covered", plan: fund(func(f *fixture) {
			f.slice(-1)
			f.takeovers[0].FractionBps = num(0) // rule c holds
			gain(f, 0)
			f.shiftCash(fundAccount, new(big.Int).Neg(ledger.Power(46)))
		}), cells: ruleOf(1, 'c')},
		{name: "another account as the fund", want: "takeovers", plan: fund(func(f *fixture) { gain(f, 0) }), cells: func(c *Private) {
			c.Takeovers[0].Winner = bidder
		}},
		{name: "a bankrupt account that is not seized", want: group, cells: func(c *Private) { c.Accounts[rowSender].Seizure.Bankrupt = 1 }},
	}
}

func cheatsTakeovers() []cheat {
	resign := func(f *fixture) { f.signedBy(signBid).payload = bidPayload(&f.takeovers[0]) }
	return []cheat{
		{name: "control paid at the limit", plan: func(f *fixture) { f.pay(f.takeovers[0].Payment, f.takeovers[0].Payment) }},
		{name: "payment above the limit", want: "range of takeovers", plan: func(f *fixture) {
			f.pay(f.takeovers[0].Payment, ledger.Less(f.takeovers[0].Payment, 1))
		}},
		{name: "a higher limit than was signed", want: "sum signed", plan: func(f *fixture) {
			f.pay(f.takeovers[0].Payment, ledger.Less(f.takeovers[0].Payment, 1))
			f.takeovers[0].Limit = f.takeovers[0].Payment
		}},
		{name: "unsigned", want: "sum signed", plan: func(f *fixture) { f.signedBy(signBid).kind = kindTransfer }},
		{name: "bid of another account", want: "sum signed", plan: func(f *fixture) { f.signedBy(signBid).account = rich }},
		{name: "bid for another account", want: "sum signed", plan: func(f *fixture) {
			f.takeovers[0].Account = num(reducing)
			resign(f)
			f.takeovers[0].Account = num(broke)
		}},
		{name: "bid for another fraction", want: "sum signed", plan: func(f *fixture) {
			f.takeovers[0].FractionBps = num(brokeFraction - 1)
			resign(f)
			f.takeovers[0].FractionBps = num(brokeFraction)
		}},
		{name: "an expired bid", want: "range of takeovers", plan: func(f *fixture) { f.takeovers[0].ExpiryMs = f.header.TimeMs; resign(f) }},
		{name: "a bid that expires later than was signed", want: "sum signed", plan: func(f *fixture) {
			f.takeovers[0].ExpiryMs = total(f.takeovers[0].ExpiryMs, 1)
		}},
		{name: "nonce used before", want: "range of accounts: nonces", plan: func(f *fixture) { f.old[bidder].actionNonce = 9 }},
		{name: "payment not received", want: "sum cash", plan: func(f *fixture) { solvent(f, -1); f.lose(num(5)); f.new[broke].cash = total(f.new[broke].cash, 1) }},
		{name: "payment not made", want: "sum cash", plan: func(f *fixture) { f.new[bidder].cash = total(f.new[bidder].cash, 1) }},
		{name: "another winner's lots", want: "sum position moves", plan: func(f *fixture) {
			f.new[sender].positions, f.new[bidder].positions = f.new[bidder].positions, f.new[sender].positions
		}},
		{name: "more than the whole", want: "range of auctions: seized accounts", plan: func(f *fixture) {
			dropDeleverage(f)
			f.slice(-1)
			f.takeovers[0].FractionBps = num(10_100)
			f.slice(1)
			f.lose(num(0))
		}},
		{name: "sold twice", want: "sum ", plan: func(f *fixture) { f.takeovers = append(f.takeovers, f.takeovers[0]) }},
		{name: "not handed over", want: "sum ", cells: func(c *Private) {
			s := &c.Accounts[rowBroke].Seizure
			s.Auctioned, s.Winner, s.Fraction = 0, 0, 0
		}},
		{name: "a fraction of an account that is not sold", want: "auctions: seized accounts", cells: func(c *Private) { c.Accounts[rowRich].Seizure.Fraction = 5 }},
		{name: "sold without being seized", want: "auctions: seized accounts", cells: func(c *Private) { c.Accounts[rowRich].Seizure.Auctioned = 1 }},
		{name: "positions that do not know of the sale", want: "sum sales", cells: func(c *Private) {
			c.Positions[0].Winner = bidder // rich is not sold, no slice moves
		}},
		{name: "a winner below initial margin", want: "margin: rule", plan: func(f *fixture) {
			f.shiftCash(bidder, new(big.Int).Neg(ledger.Power(45)))
		}, cells: ruleOf(rowBidder, 'c')},
		{name: "a winner below initial margin, as if not", want: "range of margin: rule", plan: func(f *fixture) {
			f.shiftCash(bidder, new(big.Int).Neg(ledger.Power(45)))
		}, cells: ruleOf(rowBidder, 'a')},
		{name: "a row of both kinds", want: "takeovers", cells: func(c *Private) { c.Takeovers[0].Fund = 1 }},
		{name: "a row of neither kind", want: "takeovers", cells: func(c *Private) { c.Takeovers[0].Bid = 0 }},
		{name: "an unused row with a bid", want: "takeovers", cells: func(c *Private) { c.Takeovers[1].Bid = 1 }},
		{name: "a limit of 2^63", want: "range of takeovers/limit", cells: func(c *Private) { c.Takeovers[0].Limit = ledger.Power(63) }},
	}
}

func cheatsDeleverages() []cheat {
	resize := func(lots int64) func(f *fixture) {
		return func(f *fixture) {
			f.deleverage(-1)
			f.deleverages[0].Size = num(lots)
			f.deleverages[0].Price = total(f.instruments[3].Mark(), 7*num(lots).Sign())
			f.deleverage(1)
			f.fair()
		}
	}
	reprice := func(off int64) func(f *fixture) {
		return func(f *fixture) {
			f.deleverage(-1)
			f.deleverages[0].Price = total(f.instruments[3].Mark(), off)
			f.deleverage(1)
			f.fair()
		}
	}
	solventNow := func(f *fixture) { f.setOldEquity(broke, num(1)); f.lose(num(1)) }
	return []cheat{
		{name: "control at the band's end", plan: reprice(-5000)},
		{name: "control at the mark", plan: reprice(0)},
		{name: "price on the winner's side of the mark", want: "range of accounts/relief", plan: reprice(1)},
		{name: "price on the winner's side of the mark beside another", want: "range of deleverages", plan: func(f *fixture) {
			again := f.deleverages[0]
			f.deleverages = append([]Deleverage{{again.Account, again.Winner, again.Instrument, num(-1), total(f.instruments[3].Mark(), 1)}}, again)
			f.deleverage(1)
			f.fair()
		}},
		{name: "what the winner gives up is hidden", want: "sum relief", plan: func(f *fixture) { fundTakes(f); gain(f, 210) },
			cells: func(c *Private) { c.Accounts[rowBroke+1].Seizure.Relief = 0 }},
		{name: "what the winner gives up leaves by the bid", want: "range of auctions: seized accounts", plan: func(f *fixture) { f.lose(num(-209)) }},
		{name: "price above the band", want: "range of deleverages", plan: func(f *fixture) {
			f.deleverage(-1)
			d := &f.deleverages[0]
			d.Instrument, d.Size, d.Price = num(1), num(5), total(f.instruments[0].Mark(), 5001)
			f.deleverage(1)
			f.fair()
		}},
		{name: "price below the band", want: "range of deleverages", plan: reprice(-5001)},
		{name: "control all of the winner's lots that fit", plan: resize(-61)},
		{name: "the account's position turns over", want: "sum reduced", plan: resize(-62)},
		{name: "the winner's position grows", want: "sum reduced", plan: resize(5)},
		{name: "the winner's position turns over", want: "sum reduced", plan: func(f *fixture) {
			for _, side := range []map[int64]*state{f.old, f.new} {
				side[rich].move(4, num(-50)) // 20 lots left to give
			}
		}},
		{name: "of a solvent account", want: "sum bankrupt", plan: solventNow},
		{name: "of a solvent account, as if bankrupt", want: "range of auctions: seized accounts", plan: solventNow,
			cells: func(c *Private) { c.Accounts[rowBroke].Seizure.Bankrupt = 1 }},
		{name: "of an account that ends with equity", want: "range of auctions: seized accounts", plan: func(f *fixture) { f.lose(num(-1_000_001)) }},
		{name: "of an account that ends with equity, as if bankrupt", want: "range of auctions: seized accounts", plan: func(f *fixture) { f.lose(num(-1_000_001)) },
			cells: func(c *Private) { c.Accounts[rowBroke].Seizure.Bankrupt = 1 }},
		{name: "of another account", want: "sum bankrupt", cells: func(c *Private) { c.Deleverages[0].Account = reducing }},
		{name: "of an instrument that expires", want: "sum quotes", plan: func(f *fixture) { f.instruments[3].ExpiryMs = f.header.TimeMs }},
		{name: "another mark", want: "sum quotes", plan: func(f *fixture) { fundTakes(f); gain(f, 210) }, cells: func(c *Private) {
			bump(&c.Deleverages[0].Mark, -1)
			bump(&c.Accounts[rowBroke+1].Seizure.Relief, -30)
		}},
		{name: "not paid", want: "sum cash", plan: func(f *fixture) { f.new[rich].cash = total(f.new[rich].cash, 1) }},
		{name: "lots left out", want: "sum position moves", plan: func(f *fixture) { f.new[rich].move(4, num(1)) }},
		{name: "a position not known to shrink", want: "sum reduced", cells: func(c *Private) {
			for j := range c.Positions {
				if number(c.Positions[j].Account).Int64() == rich && number(c.Positions[j].Instrument).Int64() == 4 {
					c.Positions[j].Reduced = 0
				}
			}
		}},
	}
}
