package batch

import (
	"math/big"
	"testing"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
)

func cheatsQueue() []cheat {
	return []cheat{
		{name: "control a deposit to an account that exists", plan: func(f *fixture) {
			f.queue = append(f.queue, Entry{num(entryDeposit), num(rich), f.old[rich].owner, num(9), num(0), num(0), num(0)})
			f.new[rich].cash.Add(f.new[rich].cash, num(9))
		}},
		{name: "a deposit to an account without a row", want: "sum ", plan: func(f *fixture) {
			f.queue = append(f.queue, Entry{num(entryDeposit), num(bystander), f.old[bystander].owner, num(9), num(0), num(0), num(0)})
		}},
		{name: "a deposit of 0 to an account without a row", want: "sum owners", plan: func(f *fixture) {
			f.queue = append(f.queue, Entry{num(entryDeposit), num(bystander), f.old[bystander].owner, num(0), num(0), num(0), num(0)})
		}},
		{name: "a deposit by another owner", want: "sum owners", plan: func(f *fixture) {
			f.queue = append(f.queue, Entry{num(entryDeposit), num(rich), num(666), num(9), num(0), num(0), num(0)})
			f.new[rich].cash.Add(f.new[rich].cash, num(9))
		}},
		{name: "a key entry by another owner", want: "sum owners", plan: func(f *fixture) { f.queue[1].Owner = num(666) }},
		{name: "an entry not counted", want: "sum queue totals", cells: func(c *Private) { bump(&c.Accounts[rowRich].Entries, -1) }},
		{name: "a deposit with a key", want: "queue: entries", cells: func(c *Private) { c.Queue[0].KeyX = c.Queue[1].KeyX }},
		{name: "a key entry with an amount", want: "queue: entries", plan: func(f *fixture) {
			f.new[rich].cash.Add(f.new[rich].cash, num(9))
		}, cells: func(c *Private) { c.Queue[1].Amount = 9; c.Accounts[rowRich].Deposits = 9 }},
		{name: "a deposit as a key entry", want: "queue: entries", cells: func(c *Private) { c.Queue[0].IsKey = 1 }},
		{name: "an unused entry with an amount", want: "queue: entries", cells: func(c *Private) { c.Queue[5].Amount = 9 }},
		{name: "an unused entry with an account", want: "queue: entries", cells: func(c *Private) { c.Queue[5].Account = 9 }},
		{name: "an unused key entry", want: "queue: entries", cells: func(c *Private) { c.Queue[5].IsKey = 1 }},
		{name: "an entry after an unused row", want: "rows: used first", cells: func(c *Private) {
			c.Queue[5], c.Queue[4] = c.Queue[4], c.Queue[5]
		}},
		{name: "a revocation with a multiple", want: "queue: multiples", cells: func(c *Private) { c.Queue[2].MultipleY = 1 }},
		{name: "a key off the curve", want: "queue: multiples", cells: func(c *Private) { bump(&c.Queue[1].KeyX, 1) }},
		{name: "a negative deposit", want: "range of ", plan: func(f *fixture) {
			f.setForced(1, 1)
			f.new[fresh].cash = total(f.new[fresh].cash, -1, new(big.Int).Neg(f.queue[0].Amount))
			f.queue[0].Amount = num(-1)
		}},
	}
}

func cheatsWithdrawals() []cheat {
	return []cheat{
		{name: "more than was signed", want: "sum signed", plan: func(f *fixture) {
			f.withdrawals[0].Amount = num(778)
			f.new[rich].cash.Sub(f.new[rich].cash, num(1))
		}},
		{name: "another nonce than was signed", want: "sum signed", plan: func(f *fixture) {
			f.withdrawals[0].Nonce = num(5)
			f.new[rich].actionNonce = 5
		}},
		{name: "amount and nonce that share the signed word", want: "range of withdrawals/nonce", plan: func(f *fixture) {
			f.withdrawals[0].Nonce = new(big.Int).Add(num(4), ledger.Power(64))
			f.withdrawals[0].Amount = num(776)
			f.new[rich].cash.Add(f.new[rich].cash, num(1))
		}},
		{name: "unsigned", want: "sum signed", plan: func(f *fixture) { f.signatures[signWithdrawal].kind = kindCancel }},
		{name: "signed by another account", want: "sum signed", plan: func(f *fixture) { f.signatures[signWithdrawal].account = reducing }},
		{name: "to another owner", want: "sum owners", plan: func(f *fixture) { f.withdrawals[0].Owner = num(666) }},
		{name: "of another account", want: "accounts: nonces", plan: func(f *fixture) { f.withdrawals[0].Account = num(reducing) }},
		{name: "twice", want: "rows: used first", plan: func(f *fixture) { f.withdrawals = append(f.withdrawals, f.withdrawals[0]) }},
		{name: "of nothing", want: "range of withdrawals", plan: func(f *fixture) {
			f.withdrawals[0].Amount = num(0)
			f.signatures[signWithdrawal].payload = num(4)
			f.new[rich].cash.Add(f.new[rich].cash, num(777))
		}},
		{name: "not paid out but deducted", want: "sum actions", cells: func(c *Private) { c.Withdrawals[0] = WithdrawalRow{0, 0, 0, 0, 0} }},
		{name: "paid from an unused row", want: "withdrawals", cells: func(c *Private) { c.Withdrawals[1].Amount = 9 }},
		{name: "an unused row with an owner", want: "withdrawals", cells: func(c *Private) { c.Withdrawals[1].Owner = 9 }},
		{name: "an unused row with an account", want: "rows: used first", cells: func(c *Private) { c.Withdrawals[1].Account = 9 }},
		{name: "an account beyond 24 bits", want: "range of withdrawals/account", cells: func(c *Private) { c.Withdrawals[0].Account = 1 << 24 }},
	}
}

// TestCheatPublicInputs changes public inputs, or cells that are nothing but data, without making the others follow.
func TestCheatPublicInputs(t *testing.T) {
	ccs, p := compiledNano(t), nanoPreset(t)
	w := newFixture(t, p, 1).witness()
	for _, c := range []struct {
		name, want string
		change     func(c *Circuit)
	}{
		{"control", "", func(c *Circuit) {}},
		{"C", "vector: commitment", func(c *Circuit) { bump(&c.Public.C, 1) }},
		{"y_effects", "vector: evaluations", func(c *Circuit) { bump(&c.Public.YEffects, 1) }},
		{"y_body", "vector: evaluations", func(c *Circuit) { bump(&c.Public.YBody, 1) }},
		{"the y exchanged", "vector: evaluations", func(c *Circuit) { c.Public.YBody, c.Public.YEffects = c.Public.YEffects, c.Public.YBody }},
		{"z", "vector: evaluations", func(c *Circuit) { bump(&c.Public.Z, 1) }},
		{"zeros", "vector: ", func(c *Circuit) { c.Public = ledger.Public{C: 0, Z: 0, YEffects: 0, YBody: 0, Beneficiary: 0} }},
		{"beneficiary of 161 bits", "range of header: beneficiary", func(c *Circuit) { c.Public.Beneficiary = ledger.Power(160) }},
		{"control another beneficiary", "", func(c *Circuit) { c.Public.Beneficiary = 5 }},
		{"k_im 0", "vector: ", func(c *Circuit) { c.Private.Header.KIm = 0 }},
		{"k_mm", "vector: ", func(c *Circuit) { bump(&c.Private.Header.KMm, 1) }},
		{"discount_bps", "vector: ", func(c *Circuit) { bump(&c.Private.Header.DiscountBps, 1) }},
		{"auction_ms", "vector: ", func(c *Circuit) { bump(&c.Private.Header.AuctionMs, 1) }},
		{"time", "vector: ", func(c *Circuit) { // earlier: a bid of the fixture expires one millisecond after it; ages may be smaller than they are
			bump(&c.Private.Header.TimeMs, -1)
			for i := range c.Private.Accounts {
				if age := &c.Private.Accounts[i].Auction.AgeMs; total(*age, 0).Sign() > 0 {
					bump(age, -1)
				}
			}
		}},
		{"epoch", "vector: ", func(c *Circuit) { bump(&c.Private.Header.Epoch, 1) }},
		{"batch number", "vector: ", func(c *Circuit) { bump(&c.Private.Header.BatchNumber, 1) }},
		{"queue pointer", "vector: ", func(c *Circuit) { bump(&c.Private.Header.OldQueuePointer, 1) }},
		{"log root", "vector: ", func(c *Circuit) { bump(&c.Private.Header.LogRoot, 1) }},
		{"log root of 249 bits", "range of header/log_root", func(c *Circuit) {
			c.Private.Header.LogRoot = ledger.Power(248)
			publish(c)
		}},
		{"last sequence", "vector: ", func(c *Circuit) { bump(&c.Private.Header.LastSequence, 1) }},
		{"sequence of an order", "vector: ", func(c *Circuit) { bump(&c.Private.Orders[0].Sequence, 1) }},
		{"a word that keeps the sum of two fields", "range of header", func(c *Circuit) {
			bump(&c.Private.Header.Epoch, -1)
			c.Private.Header.TimeMs = total(c.Private.Header.TimeMs, new(big.Int).ModInverse(ledger.Power(64), modulusOf()))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			filled := fill(p, w)
			c.change(filled)
			err := solve(t, ccs, filled)
			if err == nil && c.want != "" || err != nil && !inspect.RefusedBy(ccs.PlaceOf(err), c.want) {
				place := ""
				if err != nil {
					place = ccs.PlaceOf(err)
				}
				t.Errorf("error %v by %q, expected %q", err, place, c.want)
			}
		})
	}
}
