package batch

import (
	"math/bits"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Auctions prove, for every account row:
//  1. The old auction word is start_ms(48) | forced(1) | limit_bps(14), and `in_auction` says that it is not 0.
//  2. The new word is the old one, or 0 (ended), or start_ms = the table's time (begun), or that with the limit of the one forced close that the
//     account answers (close begun). A forced close during an auction changes nothing: an owner could else restart its clock for ever.
//  3. An auction begins only where there was none and old equity < old MM. One that is not forced ends only if the account has equity >= IM after the
//     batch (`ended_covered`); a forced one only with no position left (`ended_sold`) or once auction_ms is over (`ended_over`).
//  4. `below` says that old equity < old MM; age is at most auction_ms and the time since start_ms where it is used, 0 elsewhere.
//
// Seizures prove, for an account row with `seized`:
//  5. Its auction began in an earlier batch; old equity < old MM, or the auction is forced. It has no orders, no action, no forced withdrawal.
//  6. equity - IM is not lowered (margin.go), and 10^4 (equity_old - equity_new) <= rate * age / auction_ms * (MM_old - MM_new) with rate = discount_bps
//     if `below`, else the owner's limit.
//  7. An `auctioned` account takes exactly one takeover row (winner, fraction, fund), and its position rows find fraction and winner here; other
//     accounts have none. The slices are sold for no more than they are worth at the marks: nobody has signed what the portfolio holds. Only the insurance
//     fund may pay more, to a bankrupt account.
//  8. A `bankrupt` account is seized, old equity < 0 and new equity <= 0: it may be deleveraged. `relief` is what that brings in.
//  9. No seizure makes a debt: a bankrupt account ends with its old equity and its relief at least, so that what those whom it is closed against give
//     up does not leave by the takeover; any other ends with equity >= 0.

const (
	startBits    = 48
	limitBits    = 14 // of a forced auction's limit, basis points
	fractionBits = 14
)

// AuctionFields are the old auction word and what becomes of it.
type AuctionFields struct {
	StartMs, Forced, LimitBps          variable // the old word
	InAuction, Begun                   variable
	EndedCovered, EndedSold, EndedOver variable
	Closing, CloseLimit                variable // the forced close answered
	Below, AgeMs                       variable
}

// SeizureFields are what befalls a seized account.
type SeizureFields struct {
	Seized, Bankrupt, Auctioned variable
	Winner, Fraction, Fund      variable
	Relief                      variable // micro-dollars that deleveraging brings in beyond the marks
}

type auctionColumns struct {
	startMs, forced, limitBps, inAuction, begun argument.Column
	endedCovered, endedSold, endedOver          argument.Column
	closing, closeLimit, below, ageMs           argument.Column
	closeBegun                                  argument.Column    // follows: a forced close that begins an auction
	word                                        [2]argument.Column // follows: the auction word of the leaf
}

type seizureColumns struct {
	seized, bankrupt, auctioned, winner, fraction, fund, relief argument.Column
}

func allocateAuction(t *argument.Table, rows []AccountRow) auctionColumns {
	values := func(get func(*AuctionFields) variable) []variable {
		return ledger.Column(rows, func(r *AccountRow) variable { return get(&r.Auction) })
	}
	return auctionColumns{
		startMs:      t.Bits("auction_start_ms", startBits, values(func(f *AuctionFields) variable { return f.StartMs })),
		forced:       t.Bool("auction_forced", values(func(f *AuctionFields) variable { return f.Forced })),
		limitBps:     t.Bits("auction_limit_bps", limitBits, values(func(f *AuctionFields) variable { return f.LimitBps })),
		inAuction:    t.Bool("in_auction", values(func(f *AuctionFields) variable { return f.InAuction })),
		begun:        t.Bool("auction_begun", values(func(f *AuctionFields) variable { return f.Begun })),
		endedCovered: t.Bool("ended_covered", values(func(f *AuctionFields) variable { return f.EndedCovered })),
		endedSold:    t.Bool("ended_sold", values(func(f *AuctionFields) variable { return f.EndedSold })),
		endedOver:    t.Bool("ended_over", values(func(f *AuctionFields) variable { return f.EndedOver })),
		closing:      t.Bool("closing", values(func(f *AuctionFields) variable { return f.Closing })),
		closeLimit:   t.Bits("close_limit_bps", limitBits, values(func(f *AuctionFields) variable { return f.CloseLimit })),
		below:        t.Bool("below", values(func(f *AuctionFields) variable { return f.Below })),
		ageMs:        t.Bits("age_ms", durationBits, values(func(f *AuctionFields) variable { return f.AgeMs })),
	}
}

func allocateSeizure(t *argument.Table, p circuit.Preset, rows []AccountRow) seizureColumns {
	values := func(get func(*SeizureFields) variable) []variable {
		return ledger.Column(rows, func(r *AccountRow) variable { return get(&r.Seizure) })
	}
	return seizureColumns{
		seized:    t.Bool("seized", values(func(f *SeizureFields) variable { return f.Seized })),
		bankrupt:  t.Bool("bankrupt", values(func(f *SeizureFields) variable { return f.Bankrupt })),
		auctioned: t.Bool("auctioned", values(func(f *SeizureFields) variable { return f.Auctioned })),
		winner:    t.Bits("winner", accountBits, values(func(f *SeizureFields) variable { return f.Winner })),
		fraction:  t.Bits("fraction_bps", fractionBits, values(func(f *SeizureFields) variable { return f.Fraction })),
		fund:      t.Bool("fund", values(func(f *SeizureFields) variable { return f.Fund })),
		relief:    t.Bits("relief", ledger.SizeBits+ledger.WeightBits+bits.Len(uint(p.Deleverages)), values(func(f *SeizureFields) variable { return f.Relief })),
	}
}

// ended is 1 where the auction of row i ends.
func (a *auctionColumns) ended(i int) argument.Expr {
	return a.endedCovered[i].Plus(a.endedSold[i], a.endedOver[i])
}

// auctionCode is what the data say of row i: 0 unchanged, 1 ended, 2 begun, 3 begun by a forced close.
func (t *accountTable) auctionCode(i int) argument.Expr {
	return t.auction.ended(i).Plus(t.auction.begun[i].Scaled(2), t.auction.closeBegun[i].Scaled(3))
}

// stateAuctionWords is items 1 and 2. The leaves need the words.
func (b *builder) stateAuctionWords() {
	b.l.Group("auctions: word")
	t, a, l := &b.accounts, &b.accounts.auction, b.l
	time, one := b.header.timeMs, b.l.Const(1)
	for i := range t.used {
		old := a.startMs[i].Plus(a.forced[i].Shifted(startBits), a.limitBps[i].Shifted(startBits+1))
		l.AssertZeroIf(a.inAuction[i].Not(), old)
		l.AssertNotNegative(a.inAuction[i].Times(a.startMs[i].Minus(one)))
		l.AssertZeroIf(a.closing[i].Not(), a.closeLimit[i])
		b.ties.closes.Take(a.closing[i], t.id[i], a.closeLimit[i])
		closeBegun := a.closing[i].Times(a.inAuction[i].Not())
		changed := a.ended(i).Plus(a.begun[i], closeBegun)
		l.AssertBits(changed, 1)
		begun := a.begun[i].Plus(closeBegun).Times(time)
		forced := closeBegun.Times(one.Shifted(startBits).Plus(a.closeLimit[i].Shifted(startBits + 1)))
		a.closeBegun = append(a.closeBegun, closeBegun)
		a.word[before] = append(a.word[before], old)
		a.word[after] = append(a.word[after], old.Minus(changed.Times(old)).Plus(begun, forced))
	}
}

// stateAuctions is items 3 and 4.
func (b *builder) stateAuctions(standings []standing) {
	b.l.Group("auctions: begin, end and age")
	t, a, l, h := &b.accounts, &b.accounts.auction, b.l, &b.header
	empty := l.FieldConst(ledger.ToBig(ledger.EmptyPositions()))
	for i := range t.used {
		j := &standings[i]
		l.AssertNotNegative(a.below[i].Times(j.maintenance[before].Minus(j.equity[before]).Minus(l.Const(1))))
		l.AssertZeroIf(a.begun[i], a.inAuction[i].Plus(a.below[i].Not()))

		l.AssertZeroIf(a.endedCovered[i], a.inAuction[i].Not().Plus(a.forced[i]))
		l.AssertNotNegative(a.endedCovered[i].Times(j.room[after]))
		l.AssertZero(a.endedSold[i].Plus(a.endedOver[i]).Times(a.forced[i].Not())) // forced: in an auction
		l.AssertZeroIf(a.endedSold[i], t.sides[after].PositionsDigest[i].Minus(empty))
		l.AssertZeroIf(a.endedOver[i], h.auctionMs.Minus(a.ageMs[i]))

		l.AssertNotNegative(h.auctionMs.Minus(a.ageMs[i]))
		seized := t.seizure.seized[i]
		l.AssertZeroIf(seized.Not().Times(a.endedOver[i].Not()), a.ageMs[i])
		l.AssertNotNegative(seized.Plus(a.endedOver[i]).Times(h.timeMs.Minus(a.startMs[i]).Minus(a.ageMs[i])))
	}
}

// stateSeizures is items 5 to 9.
func (b *builder) stateSeizures(standings []standing) {
	b.l.Group("auctions: seized accounts")
	t, s, a, l, h := &b.accounts, &b.accounts.seizure, &b.accounts.auction, b.l, &b.header
	for i, used := range t.used {
		j, seized := &standings[i], s.seized[i]
		lost := j.equity[before].Minus(j.equity[after])
		unasked := a.below[i].Not().Times(a.forced[i].Not())
		l.AssertZeroIf(seized, a.inAuction[i].Not().Plus(unasked, t.steps[i], t.acting[i])) // forced.go: no forced withdrawal
		rate := a.limitBps[i].Plus(a.below[i].Times(h.discountBps.Minus(a.limitBps[i])))
		allowed := rate.Times(a.ageMs[i]).Times(j.maintenance[before].Minus(j.maintenance[after]))
		l.AssertNotNegative(seized.Times(allowed.Minus(h.auctionMs.Scaled(ledger.BpsInWhole).Times(lost))))

		l.AssertZeroIf(s.auctioned[i], seized.Not())
		l.AssertZeroIf(s.auctioned[i].Not(), s.winner[i].Plus(s.fraction[i], s.fund[i]))
		l.AssertNotNegative(l.Const(ledger.BpsInWhole).Minus(s.fraction[i]))
		b.ties.takeovers.Take(s.auctioned[i], t.id[i], s.winner[i], s.fraction[i], s.fund[i])
		b.ties.sales.Provide(used, l.Tuple(t.id[i], s.fraction[i], s.winner[i]))

		l.AssertZeroIf(s.bankrupt[i], seized.Not())
		l.AssertNotNegative(s.bankrupt[i].Times(j.equity[before].Plus(l.Const(1))).Negated())
		l.AssertNotNegative(s.bankrupt[i].Times(j.equity[after]).Negated())
		b.ties.bankrupt.Provide(s.bankrupt[i], l.Tuple(t.id[i]))
		b.ties.relief.Hold(i, l.Tuple(s.relief[i]))
		gone := lost.Plus(s.relief[i].Scaled(ledger.BpsInWhole)) // by the takeover
		l.AssertNotNegative(s.auctioned[i].Minus(s.fund[i].Times(s.bankrupt[i])).Times(gone))
		l.AssertNotNegative(seized.Minus(s.bankrupt[i]).Times(j.equity[after]).Minus(s.bankrupt[i].Times(gone)))
	}
}
