package batch

import (
	"math/big"

	"straddle/native/circuit/ledger"
)

func (f *filler) fillAccounts() {
	null := Account{ID: new(big.Int), Old: *ledger.NullAccount(f.preset.SlotDepth), New: *ledger.NullAccount(f.preset.SlotDepth), CancelSignature: -1}
	for i := range f.c.Private.Accounts {
		r, used := &null, i < len(f.w.Accounts)
		if used {
			r = &f.w.Accounts[i]
		}
		row := &f.c.Private.Accounts[i]
		row.Used, row.ID = ledger.Bit(used), r.ID
		row.Sides = [2]ledger.LeafFields{r.Old.Cells(), r.New.Cells()}
		for level := range row.Path {
			row.Path[level] = 0
			if used {
				row.Path[level] = r.Path[level]
			}
		}
		d := f.dealingsOf(r)
		row.Created, row.Rekeyed = ledger.Bit(r.Old.Owner.Sign() == 0 && r.New.Owner.Sign() != 0), ledger.Bit(d.rekeyed)
		row.Cancelled, row.Acting, row.Paying = ledger.Bit(r.CancelSignature >= 0), ledger.Bit(d.acting), ledger.Bit(d.paying)
		row.HasPositions, row.Empty = ledger.Bit(used && d.hasPositions), ledger.Bit(used && d.empty)
		row.Closed, row.HasOrders = ledger.Bit(used && !d.hasPositions && !d.empty), ledger.Bit(d.steps > 0)
		row.Deposits, row.Entries, row.Withdrawn, row.Steps = d.deposits, d.entries, d.withdrawn, d.steps
		j := f.fillMargin(row, r, d)
		fillRule(row, j, used, d)
		row.Force = d.force(j)
		row.Auction = d.auction(&f.w.Header, r, j)
		row.Seizure = d.seizure(j)
	}
}

// dealings are what the other tables say of an account.
type dealings struct {
	rekeyed, acting, paying, hasPositions, empty bool
	entries, steps                               int
	deposits, withdrawn                          *big.Int
	relief                                       *big.Int  // of deleveraging
	forced, closing                              *Entry    // of the queue, or nil
	takeover                                     *Takeover // of the account's portfolio, or nil
	seized                                       bool      // by a takeover or a deleveraging
}

func (f *filler) dealingsOf(r *Account) *dealings {
	d := &dealings{deposits: new(big.Int), withdrawn: new(big.Int), relief: new(big.Int)}
	f.addQueue(d, r.ID)
	f.addActions(d, r.ID)
	for i := range f.w.Takeovers {
		if t := &f.w.Takeovers[i]; t.Account.Cmp(r.ID) == 0 {
			d.takeover, d.seized = t, true
		}
	}
	for i := range f.w.Deleverages {
		if v := &f.w.Deleverages[i]; v.Account.Cmp(r.ID) == 0 {
			d.seized = true
			d.relief.Add(d.relief, new(big.Int).Mul(v.Size, new(big.Int).Sub(v.Price, f.instruments.Get(v.Instrument).Mark())))
		}
	}
	for i := range f.w.Orders {
		if f.w.Orders[i].Account.Cmp(r.ID) == 0 {
			d.steps++
		}
	}
	_, d.hasPositions = f.digests(r.ID)
	d.empty = !d.hasPositions && r.Old.PositionsDigest.Cmp(ledger.ToBig(ledger.EmptyPositions())) == 0
	return d
}

func (f *filler) addQueue(d *dealings, id *big.Int) {
	for i := range f.w.Queue {
		e := &f.w.Queue[i]
		if e.Account.Cmp(id) != 0 {
			continue
		}
		d.entries++
		switch e.Kind.Int64() {
		case entryDeposit:
			d.deposits.Add(d.deposits, e.Amount)
		case entryKey:
			d.rekeyed = true
		case entryForceWithdraw:
			d.forced = e
			d.withdrawn.Add(d.withdrawn, e.Paid)
		case entryForceClose:
			d.closing = e
		}
	}
}

func (f *filler) addActions(d *dealings, id *big.Int) {
	pay := func(amount *big.Int) {
		d.acting, d.paying = true, true
		d.withdrawn.Add(d.withdrawn, amount)
	}
	for i := range f.w.Withdrawals {
		if w := &f.w.Withdrawals[i]; w.Account.Cmp(id) == 0 {
			pay(w.Amount)
		}
	}
	for i := range f.w.Transfers {
		t := &f.w.Transfers[i]
		if t.Account.Cmp(id) == 0 {
			pay(t.Amount)
		}
		if t.To.Cmp(id) == 0 {
			d.deposits.Add(d.deposits, t.Amount)
		}
	}
	for i := range f.w.Takeovers {
		if t := &f.w.Takeovers[i]; t.Winner.Cmp(id) == 0 && t.Signature >= 0 {
			d.acting = true
		}
	}
}

// force picks the case of a forced withdrawal that holds; if none does, the solver refuses whichever it is.
func (d *dealings) force(j *judged) ForceFields {
	cells := ForceFields{0, 0, 0, 0, 0, 0, 0}
	if d.forced == nil {
		return cells
	}
	cells.Forced, cells.Asked = 1, d.forced.Amount
	covered, settled := j.room[after].Sign() >= 0, j.settled.Sign() >= 0
	switch {
	case !covered:
		cells.NoneRoom = 1
	case !settled:
		cells.NoneSettled = 1
	case d.forced.Paid.Cmp(d.forced.Amount) == 0:
		cells.Full = 1
	case j.settled.Sign() == 0:
		cells.ShortSettled = 1
	default:
		cells.ShortRoom = 1
	}
	return cells
}

// auction reads from the old and the new word what became of an account's auction.
func (d *dealings) auction(h *Header, r *Account, j *judged) AuctionFields {
	low := func(n *big.Int, bits int) *big.Int {
		return new(big.Int).And(n, new(big.Int).Sub(ledger.Power(bits), big.NewInt(1)))
	}
	start, rest := low(r.Old.Auction, startBits), new(big.Int).Rsh(r.Old.Auction, startBits)
	running, changed := r.Old.Auction.Sign() != 0, r.Old.Auction.Cmp(r.New.Auction) != 0
	ended := changed && r.New.Auction.Sign() == 0
	forced := rest.Bit(0) == 1
	sold := r.New.PositionsDigest.Cmp(ledger.ToBig(ledger.EmptyPositions())) == 0
	cells := AuctionFields{StartMs: start, Forced: ledger.Bit(forced), LimitBps: new(big.Int).Rsh(rest, 1), InAuction: ledger.Bit(running),
		Begun:        ledger.Bit(changed && !ended && !running && d.closing == nil),
		EndedCovered: ledger.Bit(ended && !forced), EndedSold: ledger.Bit(ended && forced && sold), EndedOver: ledger.Bit(ended && forced && !sold),
		Closing: ledger.Bit(d.closing != nil), CloseLimit: 0, Below: ledger.Bit(j.below()), AgeMs: 0}
	if d.closing != nil {
		cells.CloseLimit = d.closing.Amount
	}
	if age := new(big.Int).Sub(h.TimeMs, start); d.seized || ended && forced && !sold {
		if age.Sign() < 0 {
			age = new(big.Int)
		}
		if age.Cmp(h.AuctionMs) > 0 {
			age = h.AuctionMs
		}
		cells.AgeMs = age
	}
	return cells
}

func (d *dealings) seizure(j *judged) SeizureFields {
	bankrupt := d.seized && j.equity[before].Sign() < 0 && j.equity[after].Sign() <= 0
	cells := SeizureFields{Seized: ledger.Bit(d.seized), Bankrupt: ledger.Bit(bankrupt), Auctioned: ledger.Bit(d.takeover != nil), Winner: 0, Fraction: 0, Fund: 0,
		Relief: d.relief}
	if d.takeover != nil {
		cells.Winner, cells.Fraction, cells.Fund = d.takeover.Winner, d.takeover.FractionBps, ledger.Bit(d.takeover.Signature < 0)
	}
	return cells
}
