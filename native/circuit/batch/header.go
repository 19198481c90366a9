package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// The header proves:
//  1. The old state root is that of the old accounts root, old listings root, old listing count, the previous batch number, the old queue pointer and
//     the parameters; the new one that of the new parts, this batch number and the queue pointer advanced by the entries answered.
//  2. The parameters hash covers the tree depths that this circuit was made for, k_im, k_mm, discount_bps, auction_ms and the risk digest.
//  3. discount_bps, auction_ms and time_ms are not 0: no auction lasts no time, and none starts at 0, which means that there is none.
//  4. Domain and log root have 248 bits, numbers their widths: whatever is proved can be decoded.
//  5. The beneficiary is an address of 160 bits.

// HeaderRow is the one row of the header.
type HeaderRow struct {
	Domain, BatchNumber, Epoch, TimeMs   variable
	FirstSequence, LastSequence, LogRoot variable
	KIm, KMm, DiscountBps                variable // basis points
	AuctionMs, RiskDigest                variable
	OldAccountsRoot, NewAccountsRoot     variable
	OldListingsRoot, NewListingsRoot     variable
	OldListingCount, OldQueuePointer     variable
	RiskRoot                             variable
}

// durationBits holds auction_ms.
const durationBits = 32

type headerTable struct {
	domain, batchNumber, epoch, timeMs   argument.Expr
	firstSequence, lastSequence, logRoot argument.Expr
	kIm, kMm, discountBps                argument.Expr
	auctionMs, riskDigest                argument.Expr
	accountsRoot, listingsRoot           [2]argument.Expr
	listingCount, queuePointer           argument.Expr
	riskRoot                             argument.Expr
}

func allocateHeader(l *argument.Layer, r *HeaderRow) headerTable {
	t := l.Table("header", 1)
	bits := func(name string, n int, v variable) argument.Expr { return t.Bits(name, n, []variable{v})[0] }
	element := func(name string, v variable) argument.Expr { return t.Field(name, []variable{v})[0] }
	return headerTable{
		domain: bits("domain", 248, r.Domain), batchNumber: bits("batch_number", 64, r.BatchNumber),
		epoch: bits("epoch", 64, r.Epoch), timeMs: bits("time_ms", 48, r.TimeMs),
		firstSequence: bits("first_sequence", 64, r.FirstSequence), lastSequence: bits("last_sequence", 64, r.LastSequence),
		logRoot: bits("log_root", 248, r.LogRoot), kIm: bits("k_im_bps", 16, r.KIm), kMm: bits("k_mm_bps", 16, r.KMm),
		discountBps: bits("discount_bps", 16, r.DiscountBps), auctionMs: bits("auction_ms", durationBits, r.AuctionMs),
		riskDigest:   element("risk_digest", r.RiskDigest),
		accountsRoot: [2]argument.Expr{element("old_accounts_root", r.OldAccountsRoot), element("new_accounts_root", r.NewAccountsRoot)},
		listingsRoot: [2]argument.Expr{element("old_listings_root", r.OldListingsRoot), element("new_listings_root", r.NewListingsRoot)},
		listingCount: bits("old_listing_count", 32, r.OldListingCount), queuePointer: bits("old_queue_pointer", 64, r.OldQueuePointer),
		riskRoot: element("risk_root", r.RiskRoot),
	}
}

func (b *builder) stateHeader() {
	b.l.Group("header: beneficiary")
	b.l.RangeCheck(b.public.Beneficiary, 160)
	b.l.Group("header: parameters")
	for _, number := range []argument.Expr{b.header.discountBps, b.header.auctionMs, b.header.timeMs} {
		b.l.AssertNotNegative(number.Minus(b.l.Const(1)))
	}
}

// paramsHash is item 2.
func (b *builder) paramsHash() variable {
	h := &b.header
	return ledger.ParamsHash(b.api, b.preset, h.kIm.Raw(), h.kMm.Raw(), h.discountBps.Raw(), h.auctionMs.Raw(), h.riskDigest.Raw())
}

// stateRoots is item 1: the old and the new state root.
func (b *builder) stateRoots(params variable) [2]variable {
	h := &b.header
	listed, answered := b.listings.listed(b.l), b.l.SumOf(b.queue.used)
	root := func(side int, count, number, pointer argument.Expr) variable {
		return ledger.StateRoot(b.api, h.accountsRoot[side].Raw(), h.listingsRoot[side].Raw(), count.Raw(), number.Raw(), pointer.Raw(), params)
	}
	return [2]variable{
		root(before, h.listingCount, h.batchNumber.Minus(b.l.Const(1)), h.queuePointer),
		root(after, h.listingCount.Plus(listed), h.batchNumber, h.queuePointer.Plus(answered)),
	}
}
