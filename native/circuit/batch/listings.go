package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
)

// Listings prove:
//  1. Used rows come first; row j has id listing_count + j + 1, of 32 bits; the count rises by the used rows (header).
//  2. Every field has its width, the kind is 1, 2 or 3, the underlying is 1.
//  3. The words of the used rows lead from the old to the new listings root.

// ListingRow is one new instrument. Its id and underlying follow from the rules.
type ListingRow struct {
	Used, Kind, ExpiryMs, StrikeTicks, TickTicks, MinLots, PositionCapLots variable
}

type listingTable struct {
	table                                                             *argument.Table
	used, kind, expiryMs, strikeTicks, tickTicks, minLots, cap, words argument.Column
}

func allocateListings(l *argument.Layer, rows []ListingRow) listingTable {
	t := l.Table("listings", len(rows))
	return listingTable{
		table: t, used: t.Bool("used", column(rows, func(r *ListingRow) variable { return r.Used })),
		kind:        t.Bits("kind", 2, column(rows, func(r *ListingRow) variable { return r.Kind })),
		expiryMs:    t.Bits("expiry_ms", 48, column(rows, func(r *ListingRow) variable { return r.ExpiryMs })),
		strikeTicks: t.Bits("strike_ticks", 40, column(rows, func(r *ListingRow) variable { return r.StrikeTicks })),
		tickTicks:   t.Bits("tick_ticks", 24, column(rows, func(r *ListingRow) variable { return r.TickTicks })),
		minLots:     t.Bits("min_lots", 32, column(rows, func(r *ListingRow) variable { return r.MinLots })),
		cap:         t.Bits("position_cap_lots", 40, column(rows, func(r *ListingRow) variable { return r.PositionCapLots })),
	}
}

func (b *builder) stateListings() {
	t, l := &b.listings, b.l
	l.Group("listings: ids and fields")
	l.AssertBits(b.header.listingCount.Plus(l.SumOf(t.used)), 32)
	for j, used := range t.used {
		l.AssertNotNegative(t.kind[j].Minus(used))
		const underlying = 1
		id := b.header.listingCount.Plus(l.Const(j + 1))
		word := id.Plus(t.kind[j].Shifted(32), l.Const(underlying).Shifted(40), t.expiryMs[j].Shifted(48), t.strikeTicks[j].Shifted(96),
			t.tickTicks[j].Shifted(136), t.minLots[j].Shifted(160), t.cap[j].Shifted(192))
		t.words = append(t.words, used.Times(word))
	}
	l.Group("listings: chain")
	root := b.header.listingsRoot[before].Raw()
	for j, used := range t.used {
		root = b.api.Select(used.Raw(), poseidon.Compress(b.api, root, t.words[j].Raw()), root)
	}
	l.AssertIs(b.header.listingsRoot[after], root)
}
