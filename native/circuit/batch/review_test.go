package batch

import (
	"math/big"
	"math/rand"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"testing"

	"straddle/native/circuit"
	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Written by a reviewer who did not write the circuit and was asked to forge. An attack is what a prover with free choice of every cell could present,
// made consistent elsewhere (trees, paths, digests, C and the y); the solver has to refuse it. A denial is an honest batch at some edge of the
// statement; the solver has to take it, or somebody's exit is blocked.

type reviewAttack struct {
	name    string
	plan    func(f *fixture)
	witness func(w *Witness)
	cells   func(c *Private)
}

// reviewRefused asserts that the solver refuses each attack, and says in the log which statement does.
func reviewRefused(t *testing.T, attacks []reviewAttack) {
	t.Helper()
	ccs, p := compiledNano(t), nanoPreset(t)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			f := newFixture(t, p, 1)
			if a.plan != nil {
				a.plan(f)
			}
			w := f.witness()
			if a.witness != nil {
				a.witness(w)
			}
			c := fill(p, w)
			if a.cells != nil {
				a.cells(&c.Private)
			}
			publish(c)
			err := solve(t, ccs, c)
			if err == nil {
				t.Fatal("FORGERY ACCEPTED")
			}
			t.Log("refused by", ccs.PlaceOf(err))
		})
	}
}

func reviewAccepted(t *testing.T, f *fixture) {
	t.Helper()
	ccs := compiledNano(t)
	w := f.witness()
	c, err := AssignUnchecked(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := solve(t, ccs, c); err != nil {
		t.Fatalf("HONEST BATCH REFUSED by %s: %v", ccs.PlaceOf(err), err)
	}
}

// reviewBlank is an exchange with the two operator's accounts and a batch that does nothing.
func reviewBlank(p circuit.Preset) *fixture {
	f := &fixture{preset: p, old: map[int64]*state{}, new: map[int64]*state{}, cancels: map[int64]int{}, closed: map[int64]bool{}, keepSlots: map[int64]bool{}}
	f.header = Header{Domain: num(77), BatchNumber: num(1), Epoch: num(0), TimeMs: num(1_590_103_200_000), FirstSequence: num(1), LastSequence: num(1),
		LogRoot: num(0), KIm: num(10_000), KMm: num(8_000), DiscountBps: num(500), AuctionMs: num(600_000), RiskDigest: num(5), OldQueuePointer: num(0)}
	f.public = ledger.PublicValues{Z: num(12345), Beneficiary: num(0)}
	for id := int64(1); id <= 2; id++ {
		f.old[id] = newState(0xfee, nil)
		f.new[id] = f.old[id].copy()
	}
	return f
}

func (f *fixture) reviewAccount(id int64, s *state) {
	f.old[id], f.new[id] = s, s.copy()
	f.touched = append(f.touched, id)
}

func (f *fixture) reviewDeposit(id, amount int64) {
	f.queue = append(f.queue, Entry{num(entryDeposit), num(id), f.new[id].owner, num(amount), num(0), num(0), num(0)})
	f.new[id].cash = new(big.Int).Add(f.new[id].cash, num(amount))
}

// reviewKey answers a key entry; a nil secret revokes.
func (f *fixture) reviewKey(id int64, secret *big.Int) {
	e := Entry{num(entryKey), num(id), f.new[id].owner, num(0), num(0), num(0), num(0)}
	if secret != nil {
		key := crypto.PublicKey(secret)
		e.KeyX, e.KeyY = ledger.ToBig(key.X), ledger.ToBig(key.Y)
	}
	f.queue = append(f.queue, e)
	f.new[id].secret = secret
	f.new[id].keyEpoch++
}

func reviewInstrument(id int64) ledger.Instrument {
	r := *ledger.NullInstrument()
	r.ID, r.ExpiryMs, r.Band = num(id), new(big.Int).Sub(ledger.Power(48), num(1)), new(big.Int).Sub(ledger.Power(39), num(1))
	r.Deltas = make([]*big.Int, ledger.Scenarios)
	for s := range r.Deltas {
		r.Deltas[s] = num(0)
	}
	return r
}

// ---------------------------------------------------------------- denials

func TestReviewDenialNothingHappens(t *testing.T) {
	f := reviewBlank(nanoPreset(t))
	f.public.Beneficiary = new(big.Int).Sub(ledger.Power(160), num(1))
	reviewAccepted(t, f)
	f.header.BatchNumber, f.header.Epoch = new(big.Int).Sub(ledger.Power(64), num(1)), new(big.Int).Sub(ledger.Power(64), num(1))
	f.header.TimeMs, f.header.LastSequence = new(big.Int).Sub(ledger.Power(48), num(1)), new(big.Int).Sub(ledger.Power(64), num(1))
	f.header.OldQueuePointer = new(big.Int).Sub(ledger.Power(64), num(1))
	f.header.KIm, f.header.KMm = num(65535), num(65535)
	reviewAccepted(t, f)
}

func TestReviewDenialQueueEntriesOfOneAccount(t *testing.T) {
	f := reviewBlank(nanoPreset(t))
	f.reviewAccount(255, newState(0, nil)) // the last id of the tree: opened, funded twice and given a key in one batch
	f.new[255].owner = new(big.Int).Sub(ledger.Power(160), num(1))
	f.reviewDeposit(255, 1<<62)
	f.reviewDeposit(255, 1<<61)
	f.reviewKey(255, num(99))
	reviewAccepted(t, f)

	f = reviewBlank(nanoPreset(t))
	f.reviewAccount(3, newState(5, num(9)))
	f.reviewAccount(4, newState(5, nil))
	f.reviewAccount(5, newState(5, nil))
	f.old[5].cash, f.new[5].cash = num(-1<<40), num(-1<<40)
	f.reviewKey(3, num(9)) // the same key again
	f.reviewKey(4, nil)    // revokes what was not set
	f.reviewDeposit(5, 7)  // to a bankrupt account
	reviewAccepted(t, f)
}

// TestReviewDenialExtremes fills every position row with the largest numbers that the cells hold. The account passes by rule c.
func TestReviewDenialExtremes(t *testing.T) {
	for _, sign := range []int64{1, -1} {
		for _, cash := range []*big.Int{new(big.Int).Sub(ledger.Power(63), num(2)), new(big.Int).Sub(num(1), ledger.Power(63))} {
			p := nanoPreset(t)
			f := reviewBlank(p)
			s := newState(5, nil)
			s.cash = cash
			for i := range int64(p.Instruments) {
				r := reviewInstrument(1<<32 - int64(p.Instruments) + i)
				r.Value, r.Funding = new(big.Int).Neg(ledger.Power(39)), new(big.Int).Neg(ledger.Power(39))
				r.LongIM, r.LongMM, r.ShortIM, r.ShortMM = r.Band, r.Band, r.Band, r.Band
				r.Linear = num(i % 2)
				for k := range r.Deltas {
					r.Deltas[k] = new(big.Int).Neg(ledger.Power(39))
				}
				f.instruments = append(f.instruments, r)
				s.positions[r.ID.Int64()] = num(sign * (1<<40 - 1))
			}
			f.reviewAccount(3, s)
			f.reviewAccount(4, s.copy())
			f.reviewDeposit(3, 1)
			f.header.KIm, f.header.KMm = num(65535), num(65535)
			reviewAccepted(t, f)
		}
	}
}

// TestReviewDenialFullTables leaves few padding rows and puts every order field at an end of its range.
func TestReviewDenialFullTables(t *testing.T) {
	p := nanoPreset(t)
	f := reviewBlank(p)
	f.touched = []int64{feeAccount}
	top := func(bits int) *big.Int { return new(big.Int).Sub(ledger.Power(bits), num(1)) }
	for id := int64(1); id <= 6; id++ {
		r := reviewInstrument(id)
		r.Linear, r.Funding = num(id%2), num(id)
		f.instruments = append(f.instruments, r)
		f.listings = append(f.listings, Listing{num(id), num(1 + id%3), num(1), top(48), top(40), top(24), top(32), top(40)})
	}
	f.instruments[0].ExpiryMs = new(big.Int).Add(f.header.TimeMs, num(1))
	for id := int64(3); id <= 7; id++ {
		s := newState(100+id, num(1000+id))
		s.cash, s.minNonce = num(1<<55), 7
		if id < 5 {
			for k := int64(1); k <= 6; k++ {
				s.positions[k] = num((2*k - 7) * (2*id - 7))
			}
		}
		f.reviewAccount(id, s)
	}
	order := func(account int64, nonce *big.Int, side int64, limit *big.Int) *planOrder {
		return &planOrder{legs: []Leg{leg(0, 1, 1, 0)}, Order: &Order{Account: num(account), Nonce: nonce, Revision: top(16),
			ExpiryMs: total(f.header.TimeMs, 1), Size: top(40), Limit: limit, Side: num(side), FeeCap: top(32), Flags: num(7), Fill: num(0), Fee: num(0), Sequence: num(1)}}
	}
	high, low := top(39), new(big.Int).Neg(ledger.Power(39))
	for account := int64(3); account <= 4; account++ {
		side := 4 - account // 3 buys, 4 sells
		limit := low
		if side == 1 {
			limit = high
		}
		set := []*planOrder{order(account, num(7), side, limit), order(account, num(16), side, num(5)), order(account, num(32), side, limit), order(account, top(64), side, limit)}
		f.signatures = append(f.signatures, &planSigned{account: account, kind: kindOrderSet, orders: set})
		for at, o := range set {
			o.set, o.at = int(account-3), at
			f.orders = append(f.orders, o)
		}
	}
	for i := range 4 {
		f.trade(Fill{i, 4 + i, num(5), num(2), num(0), new(big.Int).Mul(num(1), top(32))})
	}
	f.trade(Fill{4, 0, num(5), num(1), num(0), num(0)})
	f.trade(Fill{4, 0, num(5), num(1), num(3), num(0)})
	for account := int64(5); account <= 6; account++ {
		f.signatures = append(f.signatures, &planSigned{account: account, kind: kindWithdrawal, payload: new(big.Int).Add(top(63), new(big.Int).Lsh(num(1<<55), 64))})
		f.withdrawals = append(f.withdrawals, Withdrawal{num(account), f.old[account].owner, num(1 << 55), top(63), int(account - 3)})
		f.new[account].actionNonce = 1<<63 - 1
		f.new[account].cash = num(0)
	}
	f.signatures = append(f.signatures, &planSigned{account: 7, kind: kindCancel, payload: num(7)}, // raises nothing
		&planSigned{account: 7, kind: kindOrderSet, orders: []*planOrder{order(7, num(1), 0, low)}})
	f.cancels[7] = 4
	for range 3 {
		f.reviewDeposit(7, 3)
	}
	f.reviewKey(7, nil)
	reviewAccepted(t, f)
}

// TestReviewDenialSelfTrade: an account that buys from itself, in an instrument in which it holds nothing and has no position row.
func TestReviewDenialSelfTrade(t *testing.T) {
	f := reviewBlank(nanoPreset(t))
	f.instruments = []ledger.Instrument{reviewInstrument(1)}
	s := newState(5, num(9))
	s.cash = num(1000)
	f.reviewAccount(3, s)
	f.reviewSelfTrade(3)
	f.positionsOf = func([]Position) []Position { return nil }
	delete(f.new[3].positions, 1)
	reviewAccepted(t, f)
}

// reviewSelfTrade signs a buy and a sell of instrument 1 for the account and fills one against the other.
func (f *fixture) reviewSelfTrade(account int64) {
	set := make([]*planOrder, 2)
	for side := range set {
		o := planned(account, int64(1+side), 0, int64(side), 3, 0, leg(0, 1, 1, 0))
		o.ExpiryMs, o.FeeCap, o.Sequence, o.set, o.at = total(f.header.TimeMs, 9), num(0), num(1), len(f.signatures), side
		set[side] = o
		f.orders = append(f.orders, o)
	}
	f.signatures = append(f.signatures, &planSigned{account: account, kind: kindOrderSet, orders: set})
	f.trade(Fill{len(f.orders) - 2, len(f.orders) - 1, num(3), num(10), num(0), num(0)})
}

// TestReviewDenialExactMargin: equity equal to the requirement, settled equal to 0, everything withdrawn that may be.
func TestReviewDenialExactMargin(t *testing.T) {
	f := reviewBlank(nanoPreset(t))
	r := reviewInstrument(1)
	r.Value, r.LongIM, r.Deltas[47] = num(100), num(7), num(-13)
	f.instruments = []ledger.Instrument{r}
	s := newState(5, num(9))
	s.cash, s.positions[1] = num(777), num(10)
	f.reviewAccount(3, s)
	f.signatures = []*planSigned{{account: 3, kind: kindWithdrawal, payload: new(big.Int).Add(num(1), new(big.Int).Lsh(num(777), 64))}}
	f.withdrawals = []Withdrawal{{num(3), num(5), num(777), num(1), 0}}
	f.new[3].cash, f.new[3].actionNonce = num(0), 1 // equity 1000, IM 10 * 13 + 10 * 7, settled 0
	reviewAccepted(t, f)
}

// ---------------------------------------------------------------- forgeries: padding rows and flags

func reviewMinus(n int64) *big.Int { return num(-n) }

func reviewLess(v variable, by *big.Int) *big.Int { return new(big.Int).Sub(number(v), by) }

func reviewMore(v variable, by *big.Int) *big.Int { return new(big.Int).Add(number(v), by) }

// Rows of the fixture's circuit: the account rows are fee, rich, repairing, reducing, fresh, five others, then one of padding.
const (
	reviewFeeRow, reviewRichRow, reviewRepairingRow, reviewReducingRow, reviewFreshRow, reviewPaddingRow = 0, 1, 2, 3, 4, 10
	reviewPaddingOrder, reviewPaddingLeg, reviewPaddingFill, reviewPaddingSignature                      = unusedOrder, 13, unusedFill, 8
	reviewPaddingPosition, reviewPaddingEntry, reviewPaddingInstrument, reviewPaddingListing             = 17, 5, 6, 4
)

func TestReviewPaddingRowsGiveNothing(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "cash invented, balanced by an unused account row", cells: func(c *Private) {
			c.Accounts[reviewPaddingRow].Sides[after].Cash = reviewMinus(5)
		}},
		{name: "an unused account row takes a withdrawal", cells: func(c *Private) {
			c.Accounts[reviewPaddingRow].Acting, c.Accounts[reviewPaddingRow].Paying, c.Accounts[reviewPaddingRow].Withdrawn = 1, 1, 5
			c.Withdrawals[1] = WithdrawalRow{0, 0, 0, 5, 1}
		}},
		{name: "an unused withdrawal row pays", cells: func(c *Private) {
			c.Withdrawals[1] = WithdrawalRow{0, 0, 666, 1 << 40, 0}
		}},
		{name: "an unused withdrawal row with owner and amount of sum 0", cells: func(c *Private) {
			c.Withdrawals[1] = WithdrawalRow{0, 0, 666, reviewMinus(666), 0}
		}},
		{name: "a used withdrawal row of account 0", cells: func(c *Private) {
			c.Withdrawals[1] = WithdrawalRow{1, 0, 666, 1 << 40, 1}
		}},
		{name: "an unused position row moves lots away", cells: func(c *Private) {
			c.Positions[reviewPaddingPosition].Sides[after].Long = 5
		}},
		{name: "an unused position row with an account", cells: func(c *Private) {
			c.Positions[reviewPaddingPosition].Account = 6
		}},
		{name: "an unused order row holds a fill", cells: func(c *Private) {
			c.Orders[reviewPaddingOrder].Fill, c.Orders[reviewPaddingOrder].Size = 4, 100
		}},
		{name: "an unused leg row holds a fill", cells: func(c *Private) {
			c.Legs[reviewPaddingLeg] = c.Legs[5]
			c.Legs[reviewPaddingLeg].Used = 0
		}},
		{name: "a fill against an unused leg row", cells: func(c *Private) {
			f := c.Fills[4]
			f.Taker, f.TakerAccount, f.Size, f.TakerFee, f.MakerFee = reviewPaddingLeg, 0, 4, 0, 0
			c.Fills[reviewPaddingFill] = f
			r := &c.Legs[reviewPaddingLeg]
			r.Instrument, r.Side, r.Limit, r.Ratio, r.Fill = f.Instrument, f.Side, f.TakerLimit, 1, 4
			c.Orders[richSells3].Fill, c.Legs[richSells3].Fill = reviewMore(c.Orders[richSells3].Fill, num(4)), reviewMore(c.Legs[richSells3].Fill, num(4))
		}},
		{name: "a fill against no leg row", cells: func(c *Private) {
			f := c.Fills[4]
			f.Taker, f.TakerAccount, f.Size, f.TakerFee, f.MakerFee = 15, 6, 4, 0, 0
			c.Fills[reviewPaddingFill] = f
			c.Orders[richSells3].Fill, c.Legs[richSells3].Fill = reviewMore(c.Orders[richSells3].Fill, num(4)), reviewMore(c.Legs[richSells3].Fill, num(4))
		}},
		{name: "an unused fill row with lots", cells: func(c *Private) {
			f := c.Fills[4]
			f.Used, f.Size, f.TakerFee, f.MakerFee = 0, 4, 0, 0
			c.Fills[reviewPaddingFill] = f
		}},
		{name: "an unused fill row with lots and fees of sum 0", cells: func(c *Private) {
			f := c.Fills[4]
			f.Used, f.Size, f.TakerFee, f.MakerFee = 0, 4, reviewMinus(4), 0
			c.Fills[reviewPaddingFill] = f
		}},
		{name: "an unused queue row deposits", cells: func(c *Private) {
			c.Queue[reviewPaddingEntry].IsDeposit, c.Queue[reviewPaddingEntry].Account, c.Queue[reviewPaddingEntry].Owner = 1, fresh, 1007
			c.Queue[reviewPaddingEntry].Amount = 9
			c.Accounts[reviewFreshRow].Deposits = reviewMore(c.Accounts[reviewFreshRow].Deposits, num(9))
		}},
		{name: "an unused queue row of kind key", cells: func(c *Private) {
			c.Queue[reviewPaddingEntry].IsKey = 1
		}},
		{name: "a hole in the queue hides an entry", cells: func(c *Private) {
			c.Queue[reviewPaddingEntry], c.Queue[2] = c.Queue[2], c.Queue[reviewPaddingEntry]
		}},
		{name: "an unused instrument row offers risk", cells: func(c *Private) {
			c.Instruments[reviewPaddingInstrument] = c.Instruments[4]
			c.Instruments[reviewPaddingInstrument].Used = 0
			for k := range c.Positions {
				if number(c.Positions[k].Instrument).Int64() == 5 {
					c.Positions[k].Instrument = 7
				}
			}
			c.Instruments[reviewPaddingInstrument].ID = 7
		}},
		{name: "an unused listing row with a word", cells: func(c *Private) {
			c.Listings[reviewPaddingListing] = c.Listings[3]
			c.Listings[reviewPaddingListing].Used = 0
			c.Header.OldListingCount = reviewMore(c.Header.OldListingCount, num(1))
		}},
		{name: "an unused signature signs", cells: func(c *Private) {
			c.Signatures[signOrders3].Used = 0
		}},
		{name: "a flag of 2", cells: func(c *Private) { c.Queue[0].Used = 2 }},
		{name: "rules 1, 1, -1", cells: func(c *Private) {
			c.Accounts[reviewFreshRow].RuleA, c.Accounts[reviewFreshRow].RuleB, c.Accounts[reviewFreshRow].RuleC = 1, 1, reviewMinus(1)
		}},
		{name: "no rule", cells: func(c *Private) { c.Accounts[reviewFreshRow].RuleA = 0 }},
		{name: "two rules", cells: func(c *Private) { c.Accounts[reviewFreshRow].RuleC = 1 }},
	})
}

// ---------------------------------------------------------------- forgeries: money

func TestReviewMoney(t *testing.T) {
	add := func(f *fixture, id, amount int64) { f.new[id].cash = new(big.Int).Add(f.new[id].cash, num(amount)) }
	reviewRefused(t, []reviewAttack{
		{name: "one micro-dollar invented", plan: func(f *fixture) { add(f, rich, 1) }},
		{name: "one moved between accounts", plan: func(f *fixture) { add(f, rich, 1); add(f, reducing, -1) }},
		{name: "fees kept by another account", plan: func(f *fixture) { add(f, feeAccount, -1); add(f, rich, 1) }},
		{name: "no row for the fee account", plan: func(f *fixture) { f.touched = f.touched[1:]; f.new[feeAccount] = f.old[feeAccount] }},
		{name: "deposit credited twice", plan: func(f *fixture) { add(f, fresh, 5_000_000) }},
		{name: "deposit credited twice, in the cell too", plan: func(f *fixture) { add(f, fresh, 5_000_000) }, cells: func(c *Private) {
			c.Accounts[reviewFreshRow].Deposits = 10_000_000
		}},
		{name: "deposit credited to another", plan: func(f *fixture) { add(f, fresh, -5_000_000); add(f, rich, 5_000_000) }, cells: func(c *Private) {
			c.Accounts[reviewFreshRow].Deposits, c.Accounts[reviewRichRow].Deposits = 0, 5_000_000
		}},
		{name: "deposit kept back", plan: func(f *fixture) { add(f, fresh, -5_000_000) }, cells: func(c *Private) { c.Accounts[reviewFreshRow].Deposits = 0 }},
		{name: "negative deposit", plan: func(f *fixture) { f.queue[0].Amount = num(-5); f.new[fresh].cash = num(-5) }},
		{name: "withdrawal not debited", plan: func(f *fixture) { add(f, rich, 777) }},
		{name: "withdrawal not debited, withdrawn 0", plan: func(f *fixture) { add(f, rich, 777) }, cells: func(c *Private) { c.Accounts[reviewRichRow].Withdrawn = 0 }},
		{name: "withdrawal not debited, not withdrawing", plan: func(f *fixture) { add(f, rich, 777); f.new[rich].actionNonce = 3 }, cells: func(c *Private) {
			c.Accounts[reviewRichRow].Withdrawn, c.Accounts[reviewRichRow].Acting, c.Accounts[reviewRichRow].Paying = 0, 0, 0
		}},
		{name: "withdrawal to another owner", witness: func(w *Witness) { w.Withdrawals[0].Owner = num(666) }},
		{name: "more than signed", plan: func(f *fixture) { f.withdrawals[0].Amount = num(778); add(f, rich, -1) }},
		{name: "amount and nonce that pack alike", plan: func(f *fixture) {
			f.withdrawals[0].Amount, f.withdrawals[0].Nonce = num(776), new(big.Int).Add(ledger.Power(64), num(4))
			add(f, rich, 1)
		}, cells: func(c *Private) {
			c.Accounts[reviewRichRow].Sides[after].ActionNonce = new(big.Int).Add(ledger.Power(64), num(4))
		}},
		{name: "an old withdrawal again", plan: func(f *fixture) { f.old[rich].actionNonce = 4 }},
		{name: "an old withdrawal again, nonce lowered", plan: func(f *fixture) { f.old[rich].actionNonce = 9 }},
		{name: "the nonce not kept", plan: func(f *fixture) { f.new[rich].actionNonce = 3 }},
		{name: "a higher nonce kept than signed", plan: func(f *fixture) { f.new[rich].actionNonce = 5 }},
		{name: "twice in a batch", plan: func(f *fixture) {
			f.withdrawals = append(f.withdrawals, f.withdrawals[0])
			add(f, rich, -777)
		}},
		{name: "twice in a batch, debited once", plan: func(f *fixture) { f.withdrawals = append(f.withdrawals, f.withdrawals[0]) }, cells: func(c *Private) {
			c.Accounts[reviewRichRow].Withdrawn = 777
		}},
		{name: "paid to account id beyond 24 bits", cells: func(c *Private) { c.Withdrawals[0].Account = new(big.Int).Add(ledger.Power(24), num(rich)) }},
		{name: "signed as a cancel", plan: func(f *fixture) { f.signatures[signWithdrawal].kind = kindCancel }},
		{name: "signed by the new key", plan: func(f *fixture) {
			f.signatures[signWithdrawal].secret = num(987654321)
			e := f.new[rich].keyEpoch
			f.signatures[signWithdrawal].keyEpoch = &e
		}},
		{name: "account 6 is robbed without a row", plan: func(f *fixture) { f.old[bystander].cash = num(5); f.new[bystander].cash = num(0); add(f, rich, 5) }},
		{name: "account 6 is robbed with a row", plan: func(f *fixture) {
			f.touched = append(f.touched, bystander)
			f.old[bystander].cash, f.new[bystander].cash = num(5), num(0)
			add(f, rich, 5)
		}},
	})
}

// ---------------------------------------------------------------- forgeries: accounts

func TestReviewAccounts(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "owner rewritten", plan: func(f *fixture) { f.new[reducing].owner = num(666) }},
		{name: "owner rewritten, flagged created", plan: func(f *fixture) { f.new[reducing].owner = num(666) }, cells: func(c *Private) { c.Accounts[reviewReducingRow].Created = 1 }},
		{name: "owner rewritten by an entry", plan: func(f *fixture) {
			f.new[rich].owner = num(666)
			f.queue[1].Owner = num(666)
			f.withdrawals[0].Owner = num(666)
		}, cells: func(c *Private) {
			c.Accounts[reviewRichRow].Created = 1
		}},
		{name: "created for another owner than the entry's", plan: func(f *fixture) { f.new[fresh].owner = num(666) }},
		{name: "created without an entry", plan: func(f *fixture) {
			f.touched = append(f.touched, 13)
			f.old[13] = newState(0, nil)
			f.new[13] = newState(666, nil)
		}},
		{name: "key planted without an entry", plan: func(f *fixture) { f.new[reducing].secret = num(666) }},
		{name: "key planted, flagged rekeyed", plan: func(f *fixture) { f.new[reducing].secret = num(666); f.new[reducing].keyEpoch++ }, cells: func(c *Private) { c.Accounts[reviewReducingRow].Rekeyed = 1 }},
		{name: "another key than the entry's", plan: func(f *fixture) { f.new[rich].secret = num(666) }},
		{name: "revoked instead of the entry's key", plan: func(f *fixture) { f.new[rich].secret = nil }},
		{name: "key entries swapped", plan: func(f *fixture) {
			f.new[rich].secret, f.new[repairing].secret = nil, num(987654321)
		}},
		{name: "a key entry not applied", plan: func(f *fixture) { f.new[rich].secret = f.old[rich].secret; f.new[rich].keyEpoch-- }, cells: func(c *Private) { c.Accounts[reviewRichRow].Rekeyed = 0 }},
		{name: "epoch not raised", plan: func(f *fixture) { f.new[rich].keyEpoch-- }},
		{name: "epoch raised alone", plan: func(f *fixture) { f.new[reducing].keyEpoch++ }},
		{name: "another multiple", cells: func(c *Private) {
			c.Accounts[reviewRichRow].Sides[after].MultipleX = c.Accounts[reviewReducingRow].Sides[before].MultipleX
			c.Accounts[reviewRichRow].Sides[after].MultipleY = c.Accounts[reviewReducingRow].Sides[before].MultipleY
			c.Queue[1].MultipleX, c.Queue[1].MultipleY = c.Accounts[reviewReducingRow].Sides[before].MultipleX, c.Accounts[reviewReducingRow].Sides[before].MultipleY
		}},
		{name: "an entry not counted", cells: func(c *Private) { c.Accounts[reviewRichRow].Entries = 0 }},
		{name: "flags changed", plan: func(f *fixture) { f.new[rich].flags = 1 }},
		{name: "auction changed", plan: func(f *fixture) { f.new[rich].auction = 1 }},
		{name: "min_nonce lowered", plan: func(f *fixture) { f.new[reducing].minNonce = -1 }},
		{name: "min_nonce raised unsigned", plan: func(f *fixture) { f.new[reducing].minNonce = 5 }},
		{name: "min_nonce raised unsigned, flagged", plan: func(f *fixture) { f.new[reducing].minNonce = 5 }, cells: func(c *Private) { c.Accounts[reviewReducingRow].Cancelled = 1 }},
		{name: "min_nonce lowered by an old cancel", plan: func(f *fixture) { f.old[repairing].minNonce = 22 }},
		{name: "a cancel of another account", plan: func(f *fixture) { f.new[reducing].minNonce = 21 }, cells: func(c *Private) { c.Accounts[reviewReducingRow].Cancelled = 1 }},
		{name: "the same account twice", plan: func(f *fixture) { f.touched = append(f.touched, fresh) }},
		{name: "accounts descending", plan: func(f *fixture) {
			f.accountRows = func(rows []Account) []Account { rows[2], rows[3] = rows[3], rows[2]; return rows }
		}},
		{name: "an id that is another modulo the tree", cells: func(c *Private) { c.Accounts[reviewFreshRow].ID = 256 + fresh }},
		{name: "the null account used", plan: func(f *fixture) {
			f.old[0] = newState(0, nil)
			f.new[0] = newState(5, nil)
			f.touched = append([]int64{0}, f.touched...)
		}},
		{name: "old root of nothing", cells: func(c *Private) { c.Header.OldAccountsRoot = 5 }},
		{name: "new root of nothing", cells: func(c *Private) { c.Header.NewAccountsRoot = 5 }},
	})
}

// ---------------------------------------------------------------- forgeries: positions and margin

func reviewRow(w *Witness, account, instrument int64) int {
	for j := range w.Positions {
		if w.Positions[j].Account.Int64() == account && w.Positions[j].Instrument.Int64() == instrument {
			return j
		}
	}
	panic("no such row")
}

func TestReviewPositions(t *testing.T) {
	drop := func(account, instrument int64) func(f *fixture) {
		return func(f *fixture) {
			f.positionsOf = func(rows []Position) (kept []Position) {
				for _, r := range rows {
					if r.Account.Int64() != account || r.Instrument.Int64() != instrument {
						kept = append(kept, r)
					}
				}
				return kept
			}
		}
	}
	reviewRefused(t, []reviewAttack{
		{name: "a lot invented", plan: func(f *fixture) { f.new[rich].move(2, num(1)) }},
		{name: "a lot invented in a new instrument", plan: func(f *fixture) { f.new[reducing].move(2, num(1)) }},
		{name: "lots moved between instruments", plan: func(f *fixture) { f.new[rich].move(2, num(1)); f.new[rich].move(4, num(-1)) }},
		{name: "lots moved between accounts", plan: func(f *fixture) { f.new[rich].move(1, num(1)); f.new[reducing].move(1, num(-1)) }},
		{name: "a position unmentioned", plan: drop(rich, 2)},
		{name: "a position unmentioned and gone", plan: func(f *fixture) { drop(rich, 2)(f); delete(f.new[rich].positions, 2) }},
		{name: "a fill's position unmentioned", plan: func(f *fixture) { drop(rich, 3)(f); delete(f.new[rich].positions, 3) }},
		{name: "positions of nobody", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position { return append(rows, Position{num(9), num(1), num(5), num(5)}) }
		}},
		{name: "positions of an account without a row move", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position { return append(rows, Position{num(9), num(1), num(5), num(4)}) }
			f.new[rich].move(1, num(1))
		}},
		{name: "a row twice", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position { return append(rows[:1], rows...) }
		}},
		{name: "digest restarted inside an account", cells: func(c *Private) {
			c.Positions[1].Continues = 0
		}},
		{name: "has no positions", cells: func(c *Private) { c.Accounts[reviewReducingRow].HasPositions = 0 }},
		{name: "has positions of nobody", cells: func(c *Private) { c.Accounts[reviewFreshRow].HasPositions = 1 }},
		{name: "long and short at once", cells: func(c *Private) {
			c.Positions[1].Sides[after].Long = reviewMore(c.Positions[1].Sides[after].Long, num(7))
			c.Positions[1].Sides[after].Short = reviewMore(c.Positions[1].Sides[after].Short, num(7))
		}},
		{name: "negative long part", cells: func(c *Private) {
			side := &c.Positions[0].Sides[after]
			side.Long, side.Short = reviewLess(side.Long, number(side.Short)), 0
		}},
		{name: "risk of another instrument", cells: func(c *Private) { copy(c.Positions[0].Risk, c.Positions[1].Risk) }},
		{name: "risk of no instrument", cells: func(c *Private) {
			for k := range c.Positions[0].Risk {
				c.Positions[0].Risk[k] = 0
			}
		}},
		{name: "instrument 0 instead", cells: func(c *Private) {
			for k := range c.Positions[0].Risk {
				c.Positions[0].Risk[k] = 0
			}
			c.Positions[0].Instrument = 0
		}},
	})
}

func TestReviewMargin(t *testing.T) {
	plan := ledger.PlanRisk(nanoPreset(t).Positions)
	stride := plan.Lanes[ledger.LaneDeltas].Shifts[1]
	poor := func(id int64) func(f *fixture) {
		return func(f *fixture) {
			k := f.judge(id)
			need := k.initial
			if k.maintenance.Cmp(need) < 0 {
				need = k.maintenance
			}
			f.shiftCash(id, new(big.Int).Sub(new(big.Int).Sub(need, k.equity), num(2)))
		}
	}
	rule := func(row int, a, b, c int) func(p *Private) {
		return func(p *Private) { p.Accounts[row].RuleA, p.Accounts[row].RuleB, p.Accounts[row].RuleC = a, b, c }
	}
	surplusBy := func(m *ledger.MarginFields, n *big.Int) {
		m.ScanLoss = reviewMore(m.ScanLoss, n)
		for s := range m.Surplus {
			m.Surplus[s] = reviewMore(m.Surplus[s], n)
		}
	}
	reviewRefused(t, []reviewAttack{
		{name: "rich is poor, rule a", plan: poor(rich), cells: rule(reviewRichRow, 1, 0, 0)},
		{name: "rich is poor, rule b", plan: poor(rich), cells: rule(reviewRichRow, 0, 1, 0)},
		{name: "rich is poor, rule c", plan: poor(rich), cells: rule(reviewRichRow, 0, 0, 1)},
		{name: "repairing by a", cells: rule(reviewRepairingRow, 1, 0, 0)},
		{name: "reducing by a", cells: rule(reviewReducingRow, 1, 0, 0)},
		{name: "reducing by b", cells: rule(reviewReducingRow, 0, 1, 0)},
		{name: "withdrawing by c", cells: rule(reviewRichRow, 0, 0, 1)},
		{name: "old loss inflated", cells: func(c *Private) { surplusBy(&c.Accounts[reviewRepairingRow].Margin[before], ledger.Power(40)) }},
		{name: "new loss deflated", cells: func(c *Private) { surplusBy(&c.Accounts[reviewRepairingRow].Margin[after], reviewMinus(1)) }},
		{name: "new loss inflated", cells: func(c *Private) { surplusBy(&c.Accounts[reviewRepairingRow].Margin[after], num(1)) }},
		{name: "one surplus raised", cells: func(c *Private) {
			c.Accounts[reviewRepairingRow].Margin[after].Surplus[3] = reviewMore(c.Accounts[reviewRepairingRow].Margin[after].Surplus[3], num(1))
		}},
		{name: "lane carry in the totals", cells: func(c *Private) {
			m := &c.Accounts[reviewRepairingRow].Margin[after]
			m.Surplus[0], m.Surplus[1] = reviewMore(m.Surplus[0], ledger.Power(stride)), reviewMore(m.Surplus[1], reviewMinus(1))
		}},
		{name: "lane borrow in the totals", cells: func(c *Private) {
			m := &c.Accounts[reviewRepairingRow].Margin[after]
			m.Surplus[0], m.Surplus[1] = reviewLess(m.Surplus[0], ledger.Power(stride)), reviewMore(m.Surplus[1], num(1))
		}},
		{name: "value carried into linear value", cells: func(c *Private) {
			m := &c.Accounts[reviewRichRow].Margin[after]
			m.Value, m.LinearValue = reviewMore(m.Value, ledger.Power(plan.Lanes[ledger.LaneValues].Shifts[1])), reviewMore(m.LinearValue, reviewMinus(1))
		}},
		{name: "charges carried", cells: func(c *Private) {
			m := &c.Accounts[reviewRichRow].Margin[after]
			m.ChargeIM, m.ChargeMM = reviewLess(m.ChargeIM, ledger.Power(plan.Lanes[ledger.LaneLong].Shifts[1])), reviewMore(m.ChargeMM, num(1))
		}},
		{name: "charges waived", cells: func(c *Private) { c.Accounts[reviewRichRow].Margin[after].ChargeIM = 0 }},
		{name: "short options waived", cells: func(c *Private) { c.Accounts[reviewRichRow].Margin[after].ShortOptions = 0 }},
		{name: "totals of two accounts exchanged", cells: func(c *Private) {
			a, b := &c.Accounts[reviewRichRow], &c.Accounts[reviewReducingRow]
			a.Margin, b.Margin = b.Margin, a.Margin
		}},
		{name: "totals on the padding row", cells: func(c *Private) {
			a, b := &c.Accounts[reviewReducingRow], &c.Accounts[reviewPaddingRow]
			a.Margin, b.Margin = b.Margin, a.Margin
		}},
	})
}

// ---------------------------------------------------------------- forgeries: orders and fills

func TestReviewOrders(t *testing.T) {
	order := func(f *fixture, i int) *Order { return f.orders[i].Order }
	reviewRefused(t, []reviewAttack{
		{name: "not in the signed set", plan: func(f *fixture) { // the set that was signed holds the spare order only
			f.signatures[signOrders5].orders = f.signatures[signOrders5].orders[2:]
		}},
		{name: "size raised after signing", cells: func(c *Private) { c.Orders[richBuys1].Size = reviewMore(c.Orders[richBuys1].Size, num(1)) }},
		{name: "another account's order", plan: func(f *fixture) {
			f.signatures[signOrders5].account = rich
			f.signatures[signOrders5].secret = f.old[rich].secret
		}},
		{name: "signed with a stranger's key", plan: func(f *fixture) { f.signatures[signOrders5].secret = num(5) }},
		{name: "signed in another domain", plan: func(f *fixture) { f.signatures[signOrders5].domain = num(5) }},
		{name: "signed in an older key epoch", plan: func(f *fixture) { e := f.old[reducing].keyEpoch - 1; f.signatures[signOrders5].keyEpoch = &e }},
		{name: "signed as another kind", plan: func(f *fixture) { f.signatures[signOrders5].kind = kindCancel }},
		{name: "no key set", plan: func(f *fixture) {
			f.signatures[signOrders5].secret = f.old[reducing].secret
			f.old[reducing].secret = nil
			f.new[reducing].secret = nil
		}},
		{name: "key of a padding row", cells: func(c *Private) {
			s := c.Signatures[reviewPaddingSignature]
			c.Signatures[signOrders5].KeyX, c.Signatures[signOrders5].KeyY = s.KeyX, s.KeyY
			c.Signatures[signOrders5].MultipleX, c.Signatures[signOrders5].MultipleY = s.MultipleX, s.MultipleY
		}},
		{name: "payload of the row replaced", cells: func(c *Private) { c.Signatures[signOrders5].Payload = c.Signatures[signOrders4].Payload }},
		{name: "expired now", plan: func(f *fixture) { order(f, richBuys1).ExpiryMs = f.header.TimeMs }},
		{name: "expired, the table time set back in the cells", cells: func(c *Private) { c.Orders[richBuys1].ExpiryMs = 0 }},
		{name: "cancelled before", plan: func(f *fixture) { f.old[reducing].minNonce, f.new[reducing].minNonce = 9, 9 }},
		{name: "cancelled before, min_nonce of another account", plan: func(f *fixture) { f.old[reducing].minNonce, f.new[reducing].minNonce = 9, 9 }, cells: func(c *Private) {
			c.Orders[reduceSells1].MinNonce, c.Orders[reduceSells1Again].MinNonce = 0, 0
		}},
		{name: "slot held by a later order", plan: func(f *fixture) { f.old[reducing].slots = map[uint64]SlotState{8: {num(24), num(0), num(0)}} }},
		{name: "slot held by a later order, flagged same", plan: func(f *fixture) { f.old[reducing].slots = map[uint64]SlotState{8: {num(24), num(0), num(0)}} }, cells: func(c *Private) {
			c.Orders[reduceSells1].Same = 1
		}},
		{name: "slot held by a later revision", plan: func(f *fixture) { f.old[reducing].slots = map[uint64]SlotState{8: {num(8), num(2), num(0)}} }},
		{name: "filled in full before", plan: func(f *fixture) { f.old[reducing].slots = map[uint64]SlotState{8: {num(8), num(0), num(999)}} }},
		{name: "replayed as new", plan: func(f *fixture) { f.old[reducing].slots = map[uint64]SlotState{8: {num(8), num(0), num(5)}} }, cells: func(c *Private) {
			c.Orders[reduceSells1].Same = 0
		}},
		{name: "fill not written to the slot", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState { return &SlotState{row.Nonce, row.Revision, num(0)} }
		}},
		{name: "slot written under another nonce", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState {
				return &SlotState{new(big.Int).Add(row.Nonce, num(16)), row.Revision, row.filled()}
			}
		}},
		{name: "slot written under another revision", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState {
				return &SlotState{row.Nonce, new(big.Int).Add(row.Revision, num(1)), row.filled()}
			}
		}},
		{name: "filled packed with a revision", plan: func(f *fixture) { // (revision - 1, filled + 2^?) must not alias in the slot or the data
			f.slotOf = func(row *Order) *SlotState {
				return &SlotState{row.Nonce, new(big.Int).Add(row.Revision, ledger.Power(16)), row.filled()}
			}
		}},
		{name: "slots untouched", plan: func(f *fixture) {
			f.keepSlots[reducing] = true
			f.new[reducing].slots = f.old[reducing].copy().slots
		}},
		{name: "slots untouched, no steps", plan: func(f *fixture) {
			f.keepSlots[reducing] = true
			f.new[reducing].slots = f.old[reducing].copy().slots
		}, cells: func(c *Private) { c.Accounts[reviewReducingRow].Steps = 0 }},
		{name: "the last step skipped", cells: func(c *Private) {
			c.Accounts[reviewReducingRow].Steps = 1
			c.Accounts[reviewReducingRow].Sides[after].OrdersRoot = c.Orders[reduceSells1].RootAfter
		}},
		{name: "a step left out of the numbering", cells: func(c *Private) { c.Orders[reduceSells1Again].Step, c.Accounts[reviewReducingRow].Steps = 2, 3 }},
		{name: "two rows at one step", cells: func(c *Private) { c.Orders[reduceSells1Again].Step, c.Accounts[reviewReducingRow].Steps = 0, 1 }},
		{name: "a chain that does not continue", cells: func(c *Private) { c.Orders[reduceSells1Again].Continues = 0 }},
		{name: "rows detached from the account", cells: func(c *Private) {
			c.Orders[reduceSells1].Step, c.Orders[reduceSells1Again].Step, c.Accounts[reviewReducingRow].Steps = 1, 2, 0
			c.Accounts[reviewReducingRow].Sides[after].OrdersRoot = c.Accounts[reviewReducingRow].Sides[before].OrdersRoot
		}},
		{name: "another slot's index", cells: func(c *Private) {
			r := &c.Orders[richSells3] // nonce 34 = 2 + 2 * 16
			r.SlotBits[0], r.SlotBits[1] = 0, 0
		}},
		{name: "slot bits that are not bits", cells: func(c *Private) {
			r := &c.Orders[richSells3] // 2 = 2 * 1 + 0 * 2
			r.SlotBits[0], r.SlotBits[1] = 2, 0
		}},
		{name: "set bits that are not bits", cells: func(c *Private) { c.Orders[richSells3].SetBits[0] = 2 }},
		{name: "more than the size", plan: func(f *fixture) { order(f, reduceSells1).Size = new(big.Int).Sub(order(f, reduceSells1).Fill, num(1)) }},
		{name: "fee above the cap", plan: func(f *fixture) {
			over := new(big.Int).Add(new(big.Int).Sub(new(big.Int).Mul(order(f, reduceSells1).FeeCap, order(f, reduceSells1).Fill), order(f, reduceSells1).Fee), num(1))
			order(f, reduceSells1).Fee = new(big.Int).Add(order(f, reduceSells1).Fee, over)
			f.fills[0].MakerFee = new(big.Int).Add(f.fills[0].MakerFee, over)
			f.new[reducing].cash.Sub(f.new[reducing].cash, over)
			f.new[feeAccount].cash.Add(f.new[feeAccount].cash, over)
		}},
		{name: "fee in the fill only", plan: func(f *fixture) {
			f.fills[0].MakerFee = new(big.Int).Add(f.fills[0].MakerFee, num(1))
			f.new[reducing].cash.Sub(f.new[reducing].cash, num(1))
			f.new[feeAccount].cash.Add(f.new[feeAccount].cash, num(1))
		}},
		{name: "a rebate", plan: func(f *fixture) {
			f.fills[0].TakerFee = num(-1)
			f.orders[richBuys1].Fee = num(-1)
		}},
		{name: "sequence before the batch", plan: func(f *fixture) { order(f, 0).Sequence = num(39) }},
		{name: "sequence after the batch", plan: func(f *fixture) { order(f, 0).Sequence = num(91) }},
		{name: "a flag bit that is reserved", plan: func(f *fixture) { order(f, 0).Flags = num(16) }},
		{name: "fee cap that reaches the side", cells: func(c *Private) { // terms alike: fee_cap + 2^32 side
			c.Orders[richBuys1].Side, c.Orders[richBuys1].FeeCap = reviewMore(c.Orders[richBuys1].Side, reviewMinus(1)), reviewMore(c.Orders[richBuys1].FeeCap, ledger.Power(32))
		}},
		{name: "limit that borrows from the size", cells: func(c *Private) { // terms alike: size + 2^40 limit
			c.Orders[richBuys1].Size, c.Orders[richBuys1].Limit = reviewMore(c.Orders[richBuys1].Size, ledger.Power(40)), reviewMore(c.Orders[richBuys1].Limit, reviewMinus(1))
		}},
		{name: "order rows descending", plan: func(f *fixture) { f.orders[0], f.orders[1] = f.orders[1], f.orders[0]; f.fills = nil }},
	})
}

func TestReviewFills(t *testing.T) {
	price := func(i int, to func(f *fixture, fill *Fill) *big.Int) func(f *fixture) {
		return func(f *fixture) {
			fill := f.fills[i]
			f.book(&fill, -1)
			fill.Price = to(f, &fill)
			f.fills[i] = fill
			f.book(&fill, 1)
		}
	}
	reviewRefused(t, []reviewAttack{
		{name: "above the buyer's limit", plan: price(0, func(f *fixture, fill *Fill) *big.Int { return new(big.Int).Add(f.orders[richBuys1].Limit, num(1)) })},
		{name: "below the seller's limit", plan: price(0, func(f *fixture, fill *Fill) *big.Int { return new(big.Int).Sub(f.orders[reduceSells1].Limit, num(1)) })},
		{name: "above the band", plan: func(f *fixture) {
			f.instruments[0].Band = num(699) // the fill lies 700 above the mark
		}},
		{name: "below the band", plan: func(f *fixture) { f.instruments[2].Band = num(899) }},
		{name: "band of the fill's own", cells: func(c *Private) { c.Fills[0].Band = reviewMore(c.Fills[0].Band, num(1)) }},
		{name: "mark of the fill's own", cells: func(c *Private) { c.Fills[0].Mark = reviewMore(c.Fills[0].Mark, num(1)) }},
		{name: "funding of the fill's own", plan: func(f *fixture) {
			gain := new(big.Int).Mul(f.fills[3].Size, num(1))
			f.new[rich].cash.Add(f.new[rich].cash, gain)
			f.new[repairing].cash.Sub(f.new[repairing].cash, gain)
		}, cells: func(c *Private) { c.Fills[3].Funding = reviewMore(c.Fills[3].Funding, num(1)) }},
		{name: "instrument expired", plan: func(f *fixture) { f.instruments[0].ExpiryMs = f.header.TimeMs }},
		{name: "instrument expired, not by its row", plan: func(f *fixture) { f.instruments[0].ExpiryMs = f.header.TimeMs }, cells: func(c *Private) {
			c.Instruments[0].Tradable = 1
		}},
		{name: "quote of another instrument", cells: func(c *Private) {
			c.Fills[0].Mark, c.Fills[0].Funding, c.Fills[0].Band = c.Fills[2].Mark, c.Fills[2].Funding, c.Fills[2].Band
		}},
		{name: "limit of the fill's own", cells: func(c *Private) { c.Fills[0].TakerLimit = reviewMore(c.Fills[0].TakerLimit, num(1)) }},
		{name: "billed to another account", plan: func(f *fixture) {
			fill := f.fills[0]
			paid := new(big.Int).Mul(fill.Size, fill.Price)
			paid.Add(paid, fill.TakerFee)
			f.new[rich].cash.Add(f.new[rich].cash, paid)
			f.new[fresh].cash.Sub(f.new[fresh].cash, paid)
			f.new[rich].move(1, new(big.Int).Neg(fill.Size))
			f.new[fresh].move(1, fill.Size)
		}, cells: func(c *Private) { c.Fills[0].TakerAccount = fresh }},
		{name: "same side", cells: func(c *Private) { c.Fills[0].Side = 0 }},
		{name: "an order against itself", cells: func(c *Private) {
			c.Fills[0].Maker, c.Fills[0].MakerAccount, c.Fills[0].MakerLimit = c.Fills[0].Taker, c.Fills[0].TakerAccount, c.Fills[0].TakerLimit
		}},
		{name: "negative size", plan: func(f *fixture) {
			f.trade(Fill{richBuys1, f.legRow(reduceSells1, 0), f.fills[0].Price, num(-3), num(0), num(0)})
		}},
		{name: "a size of 2^40 and one of minus as much", cells: func(c *Private) {
			f := c.Fills[0]
			f.Size, f.TakerFee, f.MakerFee = reviewMinus(1<<40-1), 0, 0
			c.Fills[0].Size = reviewMore(c.Fills[0].Size, num(1<<40-1))
			c.Fills[reviewPaddingFill] = f
		}},
		{name: "lots of one fill given to two orders", cells: func(c *Private) { c.Fills[4].Taker = richBuys1 }},
		{name: "instrument of the fill's own", cells: func(c *Private) { c.Fills[4].Instrument = 2 }},
		{name: "a fill hidden from the order", plan: func(f *fixture) { f.orders[repairBuys3].Fill = new(big.Int).Sub(f.orders[repairBuys3].Fill, num(10)) }},
		{name: "a fill that the order made up", plan: func(f *fixture) { f.orders[repairBuys3].Fill = new(big.Int).Add(f.orders[repairBuys3].Fill, num(10)) }},
		{name: "a fill not in the table", plan: func(f *fixture) { f.fills = f.fills[:8] }},
		{name: "a fill twice in the table", plan: func(f *fixture) { f.fills = append(f.fills, f.fills[4]) }},
	})
}

// ---------------------------------------------------------------- forgeries: queue, listings, instruments, header, data

func TestReviewQueueAndListings(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "an entry skipped", plan: func(f *fixture) { f.queue = f.queue[1:] }},
		{name: "an entry's owner not the account's", plan: func(f *fixture) { f.queue[1].Owner = num(666) }},
		{name: "an entry of an untouched account", plan: func(f *fixture) { f.queue[0].Account = num(9) }},
		{name: "an entry of account 0", plan: func(f *fixture) {
			f.queue = append(f.queue, Entry{num(entryDeposit), num(0), num(0), num(5), num(0), num(0), num(0)})
		}},
		{name: "a deposit with a key", cells: func(c *Private) { c.Queue[0].KeyX = 5 }},
		{name: "a deposit with a key's second word", cells: func(c *Private) { c.Queue[0].KeyY = 5 }},
		{name: "a key with an amount", cells: func(c *Private) {
			c.Queue[1].Amount, c.Queue[1].KeyX = 5, reviewMore(c.Queue[1].KeyX, reviewMinus(5))
			c.Accounts[reviewRichRow].Deposits = 5
		}},
		{name: "a key entry presented as a deposit", cells: func(c *Private) {
			c.Queue[1].IsKey, c.Queue[1].KeyX, c.Queue[1].KeyY, c.Accounts[reviewRichRow].Rekeyed = 0, 0, 0, 0
		}},
		{name: "two keys for one account", plan: func(f *fixture) { f.queue = append(f.queue, f.queue[1]); f.new[rich].keyEpoch++ }},
		{name: "two keys for one account, one epoch", plan: func(f *fixture) { f.queue = append(f.queue, f.queue[1]) }},
		{name: "account with bits of the owner", cells: func(c *Private) { // first word alike: account + 2^32 owner
			c.Queue[1].Account, c.Queue[1].Owner = reviewMore(c.Queue[1].Account, ledger.Power(32)), reviewMore(c.Queue[1].Owner, reviewMinus(1))
		}},
		{name: "multiple not that of the key", cells: func(c *Private) {
			c.Queue[1].MultipleX, c.Queue[1].MultipleY = c.Queue[1].KeyX, c.Queue[1].KeyY
			s := &c.Accounts[reviewRichRow].Sides[after]
			s.MultipleX, s.MultipleY = s.KeyX, s.KeyY
		}},
		{name: "multiple of a revocation", cells: func(c *Private) {
			c.Queue[2].MultipleX, c.Queue[2].MultipleY = c.Queue[1].KeyX, c.Queue[1].KeyY
			s := &c.Accounts[reviewRepairingRow].Sides[after]
			s.MultipleX, s.MultipleY = c.Queue[1].KeyX, c.Queue[1].KeyY
		}},
		{name: "a revocation with the identity as multiple", cells: func(c *Private) { c.Queue[2].MultipleY = 1; c.Accounts[reviewRepairingRow].Sides[after].MultipleY = 1 }},
		{name: "listing of kind 0", plan: func(f *fixture) { f.listings[0].Kind = num(0) }},
		{name: "listing of kind 7", plan: func(f *fixture) { f.listings[0].Kind = num(7) }},
		{name: "listing of underlying 2", plan: func(f *fixture) { f.listings[0].Underlying = num(2) }},
		{name: "listing id skipped", plan: func(f *fixture) { f.listings[3].ID = num(10) }},
		{name: "listing id used before", plan: func(f *fixture) { f.listings[0].ID = num(3) }},
		{name: "listing cap that overflows", plan: func(f *fixture) { f.listings[0].PositionCapLots = ledger.Power(40) }},
		{name: "listing strike that overflows", plan: func(f *fixture) { f.listings[0].StrikeTicks = ledger.Power(40) }},
		{name: "listing strike borrowed from the tick", cells: func(c *Private) {
			c.Listings[0].StrikeTicks, c.Listings[0].TickTicks = reviewMore(c.Listings[0].StrikeTicks, ledger.Power(40)), reviewMore(c.Listings[0].TickTicks, reviewMinus(1))
		}},
		{name: "listing count beyond 32 bits", cells: func(c *Private) { c.Header.OldListingCount = new(big.Int).Sub(ledger.Power(32), num(1)) }},
		{name: "a listing left out of the root", cells: func(c *Private) { c.Header.NewListingsRoot = c.Header.OldListingsRoot }},
		{name: "another risk root", cells: func(c *Private) { c.Header.RiskRoot = 5 }},
		{name: "a risk row left out", cells: func(c *Private) { c.Instruments[4].Used = 0 }},
		{name: "a cheaper risk row", cells: func(c *Private) { c.Instruments[0].ShortIM = reviewLess(c.Instruments[0].ShortIM, num(1)) }},
		{name: "a charge carried into the next", cells: func(c *Private) {
			c.Instruments[0].LongIM, c.Instruments[0].LongMM = reviewMore(c.Instruments[0].LongIM, ledger.Power(40)), reviewMore(c.Instruments[0].LongMM, reviewMinus(1))
		}},
		{name: "a delta carried into the next", cells: func(c *Private) {
			c.Instruments[0].Deltas[0], c.Instruments[0].Deltas[1] = reviewMore(c.Instruments[0].Deltas[0], ledger.Power(40)), reviewMore(c.Instruments[0].Deltas[1], reviewMinus(1))
		}},
		{name: "funding carried into the band", cells: func(c *Private) {
			c.Instruments[4].Funding, c.Instruments[4].Band = reviewLess(c.Instruments[4].Funding, ledger.Power(40)), reviewMore(c.Instruments[4].Band, num(1))
		}},
		{name: "linear 2, value borrowed", cells: func(c *Private) { c.Instruments[4].Linear = 2 }},
		{name: "instruments descending", plan: func(f *fixture) { f.instruments[0], f.instruments[1] = f.instruments[1], f.instruments[0] }},
		{name: "an instrument twice, the second cheaper", plan: func(f *fixture) {
			cheap := f.instruments[0]
			cheap.ShortIM = num(0)
			f.instruments = append([]ledger.Instrument{f.instruments[0], cheap}, f.instruments[1:]...)
		}},
	})
}

// TestReviewData posts other data, another header or other public inputs than the tables.
func TestReviewData(t *testing.T) {
	ccs, p := compiledNano(t), nanoPreset(t)
	refused := func(name string, lie func(w *Witness), public func(c *Circuit)) {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, p, 1)
			w := f.witness()
			c := fill(p, w)
			if lie != nil { // the tables stay honest; C and the y are those of a lie
				lie(w)
				lied := publicValues(p, w)
				c.Public = lied.Cells()
			}
			if public != nil {
				public(c)
			}
			if solve(t, ccs, c) == nil {
				t.Fatal("FORGERY ACCEPTED")
			}
		})
	}
	for name, lie := range map[string]func(w *Witness){
		"domain":                func(w *Witness) { w.Header.Domain = num(5) },
		"batch number":          func(w *Witness) { w.Header.BatchNumber = num(8) },
		"epoch":                 func(w *Witness) { w.Header.Epoch = num(4) },
		"time":                  func(w *Witness) { w.Header.TimeMs = new(big.Int).Add(w.Header.TimeMs, num(1)) },
		"parameters":            func(w *Witness) { w.Header.KIm = num(10_001) },
		"risk digest":           func(w *Witness) { w.Header.RiskDigest = num(1) },
		"risk root":             func(w *Witness) { w.Header.RiskRoot = num(1) },
		"first sequence":        func(w *Witness) { w.Header.FirstSequence = num(39) },
		"last sequence":         func(w *Witness) { w.Header.LastSequence = num(91) },
		"log root":              func(w *Witness) { w.Header.LogRoot = num(1) },
		"queue pointer":         func(w *Witness) { w.Header.OldQueuePointer = num(12) },
		"queue count":           func(w *Witness) { w.Queue = w.Queue[:2] },
		"queue amount":          func(w *Witness) { w.Queue[0].Amount = num(5_000_001) },
		"queue order":           func(w *Witness) { w.Queue[0], w.Queue[1] = w.Queue[1], w.Queue[0] },
		"withdrawal amount":     func(w *Witness) { w.Withdrawals[0].Amount = num(778) },
		"withdrawal owner":      func(w *Witness) { w.Withdrawals[0].Owner = num(666) },
		"withdrawal account":    func(w *Witness) { w.Withdrawals[0].Account = num(4) },
		"withdrawal hidden":     func(w *Witness) { w.Withdrawals = nil },
		"cash":                  func(w *Witness) { w.Accounts[1].New.Cash = num(5) },
		"min nonce":             func(w *Witness) { w.Accounts[2].New.MinNonce = num(20) },
		"action nonce":          func(w *Witness) { w.Accounts[1].New.ActionNonce = num(5) },
		"account hidden":        func(w *Witness) { w.Accounts = w.Accounts[:9] },
		"slot hidden":           func(w *Witness) { w.Orders = w.Orders[:6] },
		"slot filled":           func(w *Witness) { w.Orders[2].Fill = num(1) },
		"slot revision":         func(w *Witness) { w.Orders[2].Revision = num(1) },
		"slot sequence":         func(w *Witness) { w.Orders[2].Sequence = num(80) },
		"slot order":            func(w *Witness) { w.Orders[1], w.Orders[2] = w.Orders[2], w.Orders[1] },
		"position hidden":       func(w *Witness) { w.Positions = w.Positions[1:] },
		"position size":         func(w *Witness) { w.Positions[3].New = num(0) },
		"listing strike":        func(w *Witness) { w.Listings[0].StrikeTicks = num(1) },
		"listing hidden":        func(w *Witness) { w.Listings = w.Listings[:1] },
		"body and effects swap": func(w *Witness) { w.Header.OldListingCount = num(4) },
	} {
		refused("data lie about "+name, lie, nil)
	}
	refused("another C", nil, func(c *Circuit) { c.Public.C = 5 })
	refused("another z", nil, func(c *Circuit) { c.Public.Z = 5 })
	refused("y exchanged", nil, func(c *Circuit) { c.Public.YEffects, c.Public.YBody = c.Public.YBody, c.Public.YEffects })
	refused("a beneficiary of 161 bits", nil, func(c *Circuit) { c.Public.Beneficiary = ledger.Power(160) })
	refused("a negative beneficiary", nil, func(c *Circuit) { c.Public.Beneficiary = reviewMinus(1) })
}

// TestReviewMarginBoundary withdraws down to the last micro-dollar that the rule leaves, and one further. Ten lots; the loss is 13 a lot, the charge 7.
func TestReviewMarginBoundary(t *testing.T) {
	for _, c := range []struct {
		name         string
		size, linear int64
		cash         int64 // the least cash that passes
	}{
		{"long option: settled", 10, 0, 0}, // equity 1000 + cash, IM 200, settled = cash
		{"long linear: equity", 10, 1, -800},
		{"short option: equity", -10, 0, 1200},
		{"short linear: equity", -10, 1, 1200},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, missing := range []int64{0, 1} {
				f := reviewBlank(nanoPreset(t))
				r := reviewInstrument(1)
				r.Value, r.LongIM, r.ShortIM, r.Linear = num(100), num(7), num(7), num(c.linear)
				r.Deltas[47], r.Deltas[13] = num(-13), num(13)
				f.instruments = []ledger.Instrument{r}
				s := newState(5, num(9))
				s.cash, s.positions[1] = num(c.cash+777-missing), num(c.size)
				f.reviewAccount(3, s)
				f.signatures = []*planSigned{{account: 3, kind: kindWithdrawal, payload: new(big.Int).Add(num(1), new(big.Int).Lsh(num(777), 64))}}
				f.withdrawals = []Withdrawal{{num(3), num(5), num(777), num(1), 0}}
				f.new[3].cash, f.new[3].actionNonce = num(c.cash-missing), 1
				if missing == 0 {
					reviewAccepted(t, f)
					continue
				}
				ccs, p := compiledNano(t), nanoPreset(t)
				for rule := range 3 {
					filled := fill(p, f.witness())
					row := &filled.Private.Accounts[0]
					row.RuleA, row.RuleB, row.RuleC = ledger.Bit(rule == 0), ledger.Bit(rule == 1), ledger.Bit(rule == 2)
					if err := solve(t, ccs, filled); err == nil {
						t.Fatalf("FORGERY ACCEPTED: a micro-dollar short, by rule %d", rule)
					}
				}
			}
		})
	}
}

// TestReviewUnderWater: an account below its requirement may be touched and trade with itself, but may not lose a micro-dollar in fees.
func TestReviewUnderWater(t *testing.T) {
	for _, fee := range []int64{0, 1} {
		f := reviewBlank(nanoPreset(t))
		f.touched = []int64{feeAccount}
		f.instruments = []ledger.Instrument{reviewInstrument(1)}
		s := newState(5, num(9))
		s.cash = num(-1000)
		f.reviewAccount(3, s)
		f.reviewSelfTrade(3)
		f.orders[0].FeeCap, f.orders[0].Nonce, f.orders[0].Revision = num(1), num(0), num(3) // nonce 0 meets the untouched slot's nonce 0
		fill := f.fills[0]
		f.book(&fill, -1)
		fill.TakerFee = num(fee)
		f.fills[0] = fill
		f.book(&fill, 1)
		if fee == 0 {
			reviewAccepted(t, f)
			continue
		}
		for rule := range 3 {
			filled := reviewWithRule(f, 1, rule)
			if err := solve(t, compiledNano(t), filled); err == nil {
				t.Fatalf("FORGERY ACCEPTED: a fee from an account under water, by rule %d", rule)
			}
		}
	}
}

func reviewWithRule(f *fixture, row, rule int) *Circuit {
	filled := fill(f.preset, f.witness())
	r := &filled.Private.Accounts[row]
	r.RuleA, r.RuleB, r.RuleC = ledger.Bit(rule == 0), ledger.Bit(rule == 1), ledger.Bit(rule == 2)
	return filled
}

// TestReviewPrototypeFindings are the attacks of the prototype's audit that have no counterpart above.
func TestReviewPrototypeFindings(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "padding row with old = -new 2^41", cells: func(c *Private) {
			c.Positions[reviewPaddingPosition].Sides[after].Long, c.Positions[reviewPaddingPosition].Sides[before].Long = 1, new(big.Int).Neg(ledger.Power(41))
		}},
		{name: "the last row of an account given to the next", plan: func(f *fixture) {
			f.positionsOf = func(rows []Position) []Position {
				rows[reviewRow(&Witness{Positions: rows}, rich, perpetual)].Account = num(repairing)
				rows[reviewRow(&Witness{Positions: rows}, repairing, perpetual)].Instrument = num(2)
				return rows
			}
		}},
		{name: "unused instrument row equal to a used one, cheaper", cells: func(c *Private) {
			c.Instruments[reviewPaddingInstrument] = c.Instruments[0]
			c.Instruments[reviewPaddingInstrument].Used, c.Instruments[reviewPaddingInstrument].ShortIM = 0, 0
			plan := ledger.PlanRisk(nanoPreset(t).Positions)
			for j := range c.Positions {
				if number(c.Positions[j].Instrument).Int64() == 1 {
					c.Positions[j].Risk[ledger.LaneShort] = plan.Lanes[ledger.LaneShort].Value([]*big.Int{num(0), number(c.Instruments[0].ShortMM)})
				}
			}
		}},
		{name: "order row on a detached root", cells: func(c *Private) {
			c.Orders[reviewPaddingOrder] = c.Orders[reduceSells1Again]
			c.Orders[reviewPaddingOrder].Step, c.Orders[reviewPaddingOrder].Fill = 2, 0
		}},
		{name: "null account trades", plan: func(f *fixture) {
			f.old[0] = newState(0, paddingSecret)
			f.new[0] = f.old[0].copy()
			f.touched = append([]int64{0}, f.touched...)
		}},
		{name: "fees to another id in the fee account's row", cells: func(c *Private) { c.Accounts[reviewFeeRow].ID = 2 }},
	})
}

// ---------------------------------------------------------------- forgeries: batches that prove and cannot be rebuilt
//
// The rebuilder (src/straddle/commitments/data.py) promises to decode exactly what a proof can carry. A sequencer that proves one batch which it
// refuses stops everybody's reconstruction of the state at that batch.

func TestReviewEveryProvenBatchDecodes(t *testing.T) {
	p := nanoPreset(t)
	for name, plan := range map[string]func(f *fixture){
		// state.md: abs(cash) < 2^63; data.py: ACCOUNT.cash from 1 - 2^63 on
		"cash of -2^63": func(f *fixture) { f.reviewAccount(4, &state{owner: num(5), cash: new(big.Int).Neg(ledger.Power(63))}) },
		// data.md: log_root is 248 bits wide; data.py: _check_header; layer 1 checks words below r only
		"log root of 249 bits": func(f *fixture) { f.header.LogRoot = ledger.Power(248) },
		// a used row without an instrument looks up the risk of padding rows; data.py: POSITION.instrument, 1 or more
		"a used position row of instrument 0": func(f *fixture) {
			f.reviewAccount(4, newState(5, nil))
			f.positionsOf = func(rows []Position) []Position { return append(rows, Position{num(4), num(0), num(0), num(0)}) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := reviewBlank(p)
			plan(f)
			c := fill(p, f.witness())
			if solve(t, compiledNano(t), c) == nil {
				t.Fatal("ACCEPTED: the batch proves and its data do not decode")
			}
		})
	}
}

// reviewHarmless are the cells of padding rows that nothing reads: their rows have multiplier 0 in every sum and are not in the data.
var reviewHarmless = regexp.MustCompile(`^(Accounts\[\d+\]\.(Path|Margin|Deposits|Entries|Steps|Seizure\.Relief)` +
	`|Instruments\[\d+\]\.(ExpiryMs|Linear|Value|Funding|Band|LongIM|LongMM|ShortIM|ShortMM|Deltas)` +
	`|Listings\[\d+\]\.(ID|Kind|ExpiryMs|StrikeTicks|TickTicks|MinLots|PositionCapLots)` +
	`|Orders\[\d+\]\.(MinNonce|Sequence|Multi|More|LimitSlack|FeeSlack)` +
	`|Fills\[\d+\]\.(Taker|Maker|TakerAccount|MakerAccount|TakerLimit|MakerLimit|Price|Mark|Instrument|Side|Funding|Band)` +
	`|Legs\[\d+\]\.(ledger.Instrument|Account|Side|Limit|Fill|Multi|Cost|Fee)` +
	`|Positions\[\d+\]\.(WasShort|Fraction|Winner|Reduced)` +
	`|Withdrawals\[\d+\]\.Nonce|Transfers\[\d+\]\.(Owner|Nonce|To|Account)|Takeovers\[\d+\]\.(Account|Winner|Fraction|Payment|Limit|ExpiryMs|Nonce)` +
	`|Deleverages\[\d+\]\.(Account|Winner|Instrument|Mark|Funding|Band|Size|Price))`)

// TestReviewPaddingCells changes one cell of a padding row at a time: either the solver refuses, or the cell is known to be read by nothing. A seeded
// sample by default; STRADDLE_SLOW=1 tries all.
func TestReviewPaddingCells(t *testing.T) {
	ccs, f := compiledNano(t), newFixture(t, nanoPreset(t), 2)
	w := f.witness()
	c := fill(f.preset, w)
	used := usedRows(w)
	var padding []inspect.Cell
	for _, x := range inspect.Cells(&c.Private) {
		m := rowOf.FindStringSubmatch(x.Path)
		if row, _ := strconv.Atoi(m[2]); row >= used[m[1]] {
			padding = append(padding, x)
		}
	}
	if len(padding) < 400 {
		t.Fatalf("only %d cells", len(padding))
	}
	rnd := rand.New(rand.NewSource(1))
	rnd.Shuffle(len(padding), func(i, j int) { padding[i], padding[j] = padding[j], padding[i] })
	if os.Getenv("STRADDLE_SLOW") == "" {
		padding = padding[:60]
	}
	for _, x := range padding {
		honest := x.At.Interface()
		x.At.Set(reflect.ValueOf(new(big.Int).Add(number(honest), num(1))))
		if solve(t, ccs, c) == nil && !reviewHarmless.MatchString(x.Path) {
			t.Errorf("%s is free", x.Path)
		}
		x.At.Set(reflect.ValueOf(honest))
	}
}
