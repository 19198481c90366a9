package batch

import (
	"math/big"
	"math/rand"
	"slices"

	"straddle/native/circuit/ledger"
)

// More accounts of the plan: one that sends cash to fresh, a bidder, a bankrupt one, and one that is touched without its positions (closed).
const (
	sender, bidder, broke, idle = 8, 9, 10, 12
	brokeFraction               = 3333 // divides neither of its positions evenly
)

// Rows of the plan.
const (
	entryForced, entryClosing = 3, 4 // of f.queue
	signTransfer, signBid     = -2, -1
)

// signedBy is the place of the last signatures: signTransfer or signBid.
func (f *fixture) signedBy(place int) *planSigned { return f.signatures[len(f.signatures)+place] }

// planActions adds a transfer, a forced withdrawal, a forced close, and a bankrupt account in auction, taken over in part by a bid, in part deleveraged;
// it begins an auction and ends one.
func (f *fixture) planActions(rnd *rand.Rand) {
	for id := int64(sender); id <= broke; id++ {
		f.old[id] = newState(1000+id, num(1+rnd.Int63()))
		f.old[id].cash = num(1 << 45)
	}
	f.old[sender].owner = f.new[fresh].owner
	f.old[idle] = newState(1000+idle, nil)
	f.old[idle].positions = map[int64]*big.Int{2: num(10)}
	f.closed[idle] = true
	f.old[broke].positions = map[int64]*big.Int{1: num(250), 4: num(-90)}
	f.old[broke].auction = f.header.TimeMs.Int64() - f.header.AuctionMs.Int64()/2
	f.old[rich].auction = f.header.TimeMs.Int64() - 5
	for _, id := range []int64{sender, bidder, broke, idle} {
		f.new[id] = f.old[id].copy()
		f.touched = append(f.touched, id)
	}
	slices.Sort(f.touched)
	f.new[reducing].auction = f.header.TimeMs.Int64()
	f.new[rich].auction = 0

	f.signatures = append(f.signatures, &planSigned{account: sender, kind: kindTransfer}, &planSigned{account: bidder, kind: kindBid})
	f.transfers = []Transfer{{num(sender), num(fresh), num(0), num(7), len(f.signatures) + signTransfer}}
	f.setTransfer(250_000)
	f.queue = append(f.queue, Entry{num(entryForceWithdraw), num(fresh), f.new[fresh].owner, num(0), num(0), num(0), num(0)},
		Entry{num(entryForceClose), num(idle), f.old[idle].owner, num(300), num(0), num(0), num(0)})
	f.setForced(1_000_000, 1_000_000)
	f.new[idle].auction = forcedWord(f.header.TimeMs.Int64(), 300)

	f.takeovers = []Takeover{{num(broke), num(bidder), num(brokeFraction), num(0), num(0), total(f.header.TimeMs, 1), num(9),
		len(f.signatures) + signBid}}
	f.new[bidder].actionNonce = 9
	f.slice(1)
	f.deleverages = []Deleverage{{num(broke), num(rich), num(4), num(-30), total(f.instruments[3].Mark(), -7)}}
	f.deleverage(1)
}

// forcedWord is the auction word of a forced auction.
func forcedWord(start, limit int64) int64 { return start | 1<<startBits | limit<<(startBits+1) }

// setTransfer makes the transfer one of this amount, signed.
func (f *fixture) setTransfer(amount int64) {
	t := &f.transfers[0]
	change := total(amount, new(big.Int).Neg(t.Amount))
	f.new[sender].cash.Sub(f.new[sender].cash, change)
	f.new[fresh].cash.Add(f.new[fresh].cash, change)
	f.new[sender].actionNonce, t.Amount = t.Nonce.Int64(), num(amount)
	f.signedBy(signTransfer).payload = transferPayload(t)
}

func transferPayload(t *Transfer) *big.Int {
	return total(t.Nonce, new(big.Int).Lsh(t.Amount, 64), new(big.Int).Lsh(t.To, 128))
}

// setForced makes the forced withdrawal ask and pay these amounts.
func (f *fixture) setForced(asked, paid int64) {
	e := &f.queue[entryForced]
	f.new[fresh].cash.Sub(f.new[fresh].cash, total(paid, new(big.Int).Neg(e.Paid)))
	e.Amount, e.Paid = num(asked), num(paid)
}

// slice hands the takeover's slices over, or back with times = -1.
func (f *fixture) slice(times int64) {
	t := &f.takeovers[0]
	for _, id := range f.old[t.Account.Int64()].instruments() {
		old := f.old[t.Account.Int64()].size(id)
		lots := new(big.Int).Quo(new(big.Int).Mul(old, t.FractionBps), num(ledger.BpsInWhole)) // toward 0
		lots.Mul(lots, num(times))
		f.new[t.Winner.Int64()].move(id, lots)
		f.new[t.Account.Int64()].move(id, new(big.Int).Neg(lots))
	}
}

// deleverage books the deleveraging, or takes it back with times = -1.
func (f *fixture) deleverage(times int64) {
	d := &f.deleverages[0]
	lots := new(big.Int).Mul(d.Size, num(times))
	paid := new(big.Int).Mul(lots, new(big.Int).Sub(d.Price, f.funding(d.Instrument.Int64())))
	winner, account := f.new[d.Winner.Int64()], f.new[d.Account.Int64()]
	winner.move(d.Instrument.Int64(), lots)
	account.move(d.Instrument.Int64(), new(big.Int).Neg(lots))
	winner.cash.Sub(winner.cash, paid)
	account.cash.Add(account.cash, paid)
}

// pay makes the takeover's payment this one and signs a bid of this limit.
func (f *fixture) pay(payment, limit *big.Int) {
	t := &f.takeovers[0]
	change := new(big.Int).Sub(payment, t.Payment)
	f.new[t.Winner.Int64()].cash.Sub(f.new[t.Winner.Int64()].cash, change)
	f.new[t.Account.Int64()].cash.Add(f.new[t.Account.Int64()].cash, change)
	t.Payment, t.Limit = payment, limit
	f.signedBy(signBid).payload = bidPayload(t)
}

func bidPayload(t *Takeover) *big.Int {
	return total(t.Nonce, new(big.Int).Lsh(t.Account, 64), new(big.Int).Lsh(t.FractionBps, 96), new(big.Int).Lsh(ledger.Offset(t.Limit, 63), 110),
		new(big.Int).Lsh(t.ExpiryMs, 174))
}

// standingOf computes both sides of an account's plan as the rules see them: money times 10^4.
func (f *fixture) standingOf(id int64) *judged {
	w := &Witness{Header: f.header, Positions: f.positionRows(id), Queue: f.queue, Withdrawals: f.withdrawals, Transfers: f.transfers, Takeovers: f.takeovers,
		Deleverages: f.deleverages}
	filler := &filler{w: w, instruments: map[string]*ledger.Instrument{}}
	for i := range f.instruments {
		filler.instruments[f.instruments[i].ID.String()] = &f.instruments[i]
	}
	depth := f.preset.SlotDepth
	r := &Account{ID: num(id), Old: f.old[id].leaf(depth), New: f.new[id].leaf(depth), CancelSignature: -1}
	return filler.fillMargin(&AccountRow{}, r, filler.dealingsOf(r))
}

// allowedLoss is the greatest loss of equity, in micro-dollars, that the plan's seizure admits at this rate.
func (f *fixture) allowedLoss(rate *big.Int) *big.Int {
	j := f.standingOf(broke)
	age := new(big.Int).Sub(f.header.TimeMs, num(f.old[broke].auction&(1<<startBits-1)))
	if age.Cmp(f.header.AuctionMs) > 0 {
		age = f.header.AuctionMs
	}
	fall := new(big.Int).Sub(j.maintenance[before], j.maintenance[after])
	n := new(big.Int).Mul(new(big.Int).Mul(rate, age), fall)
	return n.Div(n, new(big.Int).Mul(f.header.AuctionMs, num(ledger.BpsInWhole*ledger.BpsInWhole))) // floor
}

// lose has the bidder pay so little that the seized account loses this much equity.
func (f *fixture) lose(loss *big.Int) {
	j := f.standingOf(broke)
	lost := new(big.Int).Sub(j.equity[before], j.equity[after])
	lost.Quo(lost, num(ledger.BpsInWhole))
	payment := total(f.takeovers[0].Payment, lost, new(big.Int).Neg(loss))
	f.pay(payment, total(payment, 3))
}

// fair has the bidder pay what the slice is worth at the marks: the seized account gains what its deleveraging brings in.
func (f *fixture) fair() {
	relief := num(0)
	for i := range f.deleverages {
		d := &f.deleverages[i]
		distance := new(big.Int).Sub(d.Price, f.instruments[d.Instrument.Int64()-1].Mark())
		relief = total(relief, product(d.Size, distance))
	}
	f.lose(relief.Neg(relief))
}

// setOldEquity moves the seized account's cash on both sides so that its old equity is this one.
func (f *fixture) setOldEquity(id int64, equity *big.Int) {
	now := new(big.Int).Quo(f.standingOf(id).equity[before], num(ledger.BpsInWhole))
	f.shiftCash(id, new(big.Int).Sub(equity, now))
}

// settleActions makes the bankrupt account one with equity -1,000,000 that loses nothing by its sale; false if the random numbers do not allow it.
func (f *fixture) settleActions() bool {
	f.setOldEquity(broke, num(-1_000_000))
	if f.allowedLoss(f.header.DiscountBps).Cmp(num(10)) < 0 {
		return false
	}
	f.fair()
	j := f.standingOf(broke)
	return j.room[after].Cmp(j.room[before]) >= 0 && f.standingOf(reducing).below() && f.standingOf(rich).room[after].Sign() >= 0
}
