package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/poseidon"
)

// Listings prove:
//  1. Used rows come first; each is a listing, a settlement or a retirement. Every field has its width, the underlying is 1.
//  2. A listing has id = listing_count + (listings before it) + 1 and kind 1 to 4; the count rises by the listings (header) and stays below 2^32.
//  3. A settlement (kind 5) has id and value of a settled instrument; a retirement (kind 6) an id >= 1; both ids are at most the new count. What a word
//     lacks is 0.
//  4. The words of the used rows lead from the old to the new listings root, 14 at a time.

// ListingRow is one word. Its underlying follows from the rules.
type ListingRow struct {
	Used, Listing, Settlement, Retirement, ID                  variable
	Kind                                                       variable // less 1; 0 if not a listing
	ExpiryMs, StrikeTicks, TickTicks, MinLots, PositionCapLots variable // StrikeTicks: a settlement's value
}

type listingTable struct {
	table                                                       *argument.Table
	used, listing, settlement, retirement, id                   argument.Column
	kind, expiryMs, strikeTicks, tickTicks, minLots, cap, words argument.Column
}

// Kinds of words beyond those of listings, and how many are absorbed at once.
const (
	kindListings   = 4
	kindSettlement = 5
	kindRetirement = 6
	wordsAtOnce    = 14
)

func allocateListings(l *argument.Layer, rows []ListingRow) listingTable {
	t := l.Table("listings", len(rows))
	flag := func(name string, get func(*ListingRow) variable) argument.Column {
		return t.Bool(name, ledger.Column(rows, get))
	}
	number := func(name string, bits int, get func(*ListingRow) variable) argument.Column {
		return t.Bits(name, bits, ledger.Column(rows, get))
	}
	return listingTable{
		table: t, used: flag("used", func(r *ListingRow) variable { return r.Used }),
		listing:     flag("listing", func(r *ListingRow) variable { return r.Listing }),
		settlement:  flag("settlement", func(r *ListingRow) variable { return r.Settlement }),
		retirement:  flag("retirement", func(r *ListingRow) variable { return r.Retirement }),
		id:          number("id", 32, func(r *ListingRow) variable { return r.ID }),
		kind:        number("kind", 2, func(r *ListingRow) variable { return r.Kind }),
		expiryMs:    number("expiry_ms", 48, func(r *ListingRow) variable { return r.ExpiryMs }),
		strikeTicks: number("strike_ticks", 40, func(r *ListingRow) variable { return r.StrikeTicks }),
		tickTicks:   number("tick_ticks", 24, func(r *ListingRow) variable { return r.TickTicks }),
		minLots:     number("min_lots", 32, func(r *ListingRow) variable { return r.MinLots }),
		cap:         number("position_cap_lots", 40, func(r *ListingRow) variable { return r.PositionCapLots }),
	}
}

// listed is the number of new instruments.
func (t *listingTable) listed(l *argument.Layer) argument.Expr { return l.SumOf(t.listing) }

func (b *builder) stateListings() {
	t, l := &b.listings, b.l
	l.Group("listings: ids and fields")
	count := b.header.listingCount
	latest := count.Plus(t.listed(l))
	l.AssertBits(latest, 32)
	for j, used := range t.used {
		listing, settlement, retirement := t.listing[j], t.settlement[j], t.retirement[j]
		l.AssertEqual(used, listing.Plus(settlement, retirement))
		count = count.Plus(listing)
		l.AssertZeroIf(listing, t.id[j].Minus(count))
		l.AssertNotNegative(t.id[j].Minus(used))
		l.AssertNotNegative(latest.Minus(t.id[j]))
		l.AssertProduct(settlement.Plus(retirement), t.kind[j].Plus(t.expiryMs[j], t.tickTicks[j], t.minLots[j], t.cap[j]), l.Const(0))
		l.AssertZeroIf(retirement, t.strikeTicks[j])
		b.ties.settlements.Require(settlement, l.Tuple(t.id[j], t.strikeTicks[j]))
		t.words = append(t.words, used.Times(b.word(t.cell(l, j))))
	}
	b.stateListingsRoot()
}

// cell is the word of a used row j, in parts.
func (t *listingTable) cell(l *argument.Layer, j int) bodyCell {
	const underlying = 1
	kind := l.Const(1).Plus(t.kind[j], t.settlement[j].Scaled(kindSettlement-1), t.retirement[j].Scaled(kindRetirement-1))
	return bodyCell{{t.id[j], 0}, {kind, 32}, {l.Const(underlying), 40}, {t.expiryMs[j], 48}, {t.strikeTicks[j], 96}, {t.tickTicks[j], 136},
		{t.minLots[j], 160}, {t.cap[j], 192}}
}

// stateListingsRoot is item 4. A group whose first row is unused has no words.
func (b *builder) stateListingsRoot() {
	t := &b.listings
	b.l.Group("listings: chain")
	root := b.header.listingsRoot[before].Raw()
	for first := 0; first < len(t.used); first += wordsAtOnce {
		words := make([]variable, 1+wordsAtOnce)
		words[0] = root
		for k := range wordsAtOnce {
			words[1+k] = 0
			if j := first + k; j < len(t.used) {
				words[1+k] = t.words[j].Raw()
			}
		}
		root = b.api.Select(t.used[first].Raw(), poseidon.Sponge(b.api, "straddle.listings", words...), root)
	}
	b.l.AssertIs(b.header.listingsRoot[after], root)
}
