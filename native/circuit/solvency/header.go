package solvency

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// The header proves:
//  1. The state root is that of the accounts root, the listings root, the listing count, the batch number, the queue pointer and the parameters.
//  2. The parameters hash covers the tree depths that this circuit was made for, k_im, k_mm, discount_bps, auction_ms and the risk digest.
//  3. Numbers have their widths; the beneficiary is an address of 160 bits.

// HeaderRow is the one row of the header.
type HeaderRow struct {
	Domain, Chunk                           variable
	AccountsRoot, ListingsRoot              variable
	ListingCount, BatchNumber, QueuePointer variable
	KIm, KMm, DiscountBps                   variable // basis points
	AuctionMs, RiskDigest                   variable
	RiskRoot                                variable
}

type headerTable struct {
	domain, chunk                           argument.Expr
	accountsRoot, listingsRoot              argument.Expr
	listingCount, batchNumber, queuePointer argument.Expr
	kIm, kMm, discountBps                   argument.Expr
	auctionMs, riskDigest                   argument.Expr
	riskRoot                                argument.Expr
}

// accountBits hold an account id.
const accountBits = 24

func allocateHeader(l *argument.Layer, chunkBits int, r *HeaderRow) headerTable {
	t := l.Table("header", 1)
	bits := func(name string, n int, v variable) argument.Expr { return t.Bits(name, n, []variable{v})[0] }
	element := func(name string, v variable) argument.Expr { return t.Field(name, []variable{v})[0] }
	return headerTable{
		domain: bits("domain", 248, r.Domain), chunk: bits("chunk", chunkBits, r.Chunk),
		accountsRoot: element("accounts_root", r.AccountsRoot), listingsRoot: element("listings_root", r.ListingsRoot),
		listingCount: bits("listing_count", 32, r.ListingCount), batchNumber: bits("batch_number", 64, r.BatchNumber),
		queuePointer: bits("queue_pointer", 64, r.QueuePointer),
		kIm:          bits("k_im_bps", 16, r.KIm), kMm: bits("k_mm_bps", 16, r.KMm), discountBps: bits("discount_bps", 16, r.DiscountBps),
		auctionMs: bits("auction_ms", 32, r.AuctionMs), riskDigest: element("risk_digest", r.RiskDigest),
		riskRoot: element("risk_root", r.RiskRoot),
	}
}

func (b *builder) stateHeader() {
	b.l.Group("header: beneficiary")
	b.l.RangeCheck(b.public.Beneficiary, 160)
}

// stateRoot is items 1 and 2.
func (b *builder) stateRoot() variable {
	h := &b.header
	params := ledger.ParamsHash(b.api, b.chunk.Preset, h.kIm.Raw(), h.kMm.Raw(), h.discountBps.Raw(), h.auctionMs.Raw(), h.riskDigest.Raw())
	return ledger.StateRoot(b.api, h.accountsRoot.Raw(), h.listingsRoot.Raw(), h.listingCount.Raw(), h.batchNumber.Raw(), h.queuePointer.Raw(), params)
}
