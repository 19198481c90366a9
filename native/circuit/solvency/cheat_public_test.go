package solvency

import (
	"fmt"
	"slices"
	"testing"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
)

// TestPublicInputs: C and the y of other words, with tables that stay honest, are refused; so is each word of a lie, and each public input.
func TestPublicInputs(t *testing.T) {
	ccs, f := compiled(t, nanoSolvency), newFixture(1)
	w := f.witness()
	effects, body := vector(f.chunk, w)
	refuse := func(name, want string, change func(c *Circuit)) {
		t.Helper()
		c := fill(f.chunk, w)
		change(c)
		if err := inspect.Solve(ccs, c); err == nil || !inspect.RefusedBy(ccs.PlaceOf(err), want) {
			t.Errorf("%s: %v, expected a refusal by %q", name, err, want)
		}
	}
	for k := range len(effects) + len(body) {
		lie := append(slices.Clone(effects), body...)
		lie[k].SetUint64(12345)
		c := publicOf(lie[:len(effects)], lie[len(effects):], w)
		refuse(fmt.Sprintf("word %d", k), "vector: commitment", func(x *Circuit) { x.Public.C = c.C })
		refuse(fmt.Sprintf("y of word %d", k), "vector: evaluations", func(x *Circuit) { x.Public.YEffects, x.Public.YBody = c.YEffects, c.YBody })
	}
	refuse("c", "vector: commitment", func(c *Circuit) { c.Public.C = 1 })
	refuse("z", "vector: evaluations", func(c *Circuit) { c.Public.Z = 1 })
	refuse("y_effects", "vector: evaluations", func(c *Circuit) { c.Public.YEffects = c.Public.YBody })
	refuse("y_body", "vector: evaluations", func(c *Circuit) { c.Public.YBody = 1 })
	refuse("beneficiary", "header: beneficiary", func(c *Circuit) { c.Public.Beneficiary = ledger.Power(160) })
	for name, change := range map[string]func(h *HeaderRow){
		"domain": func(h *HeaderRow) { h.Domain = 1 }, "k_mm": func(h *HeaderRow) { h.KMm = 7_999 }, "k_im": func(h *HeaderRow) { h.KIm = 1 },
		"discount": func(h *HeaderRow) { h.DiscountBps = 1 }, "auction_ms": func(h *HeaderRow) { h.AuctionMs = 1 },
		"risk_digest": func(h *HeaderRow) { h.RiskDigest = 1 }, "listing_count": func(h *HeaderRow) { h.ListingCount = 1 },
		"batch_number": func(h *HeaderRow) { h.BatchNumber = 1 }, "queue_pointer": func(h *HeaderRow) { h.QueuePointer = 1 },
	} {
		refuse(name, "vector: commitment", func(c *Circuit) {
			honest := c.Public.C
			change(&c.Private.Header)
			publish(c)
			c.Public.C = honest
		})
	}
	for name, change := range map[string]func(h *HeaderRow){
		"domain": func(h *HeaderRow) { h.Domain = ledger.Power(248) }, "k_mm_bps": func(h *HeaderRow) { h.KMm = 1 << 16 },
		"k_im_bps": func(h *HeaderRow) { h.KIm = 1 << 16 }, "discount_bps": func(h *HeaderRow) { h.DiscountBps = 1 << 16 },
		"auction_ms": func(h *HeaderRow) { h.AuctionMs = 1 << 32 }, "listing_count": func(h *HeaderRow) { h.ListingCount = 1 << 32 },
		"batch_number": func(h *HeaderRow) { h.BatchNumber = ledger.Power(64) }, "queue_pointer": func(h *HeaderRow) { h.QueuePointer = ledger.Power(64) },
	} {
		refuse(name+" beyond its width", "range of header/"+name, func(c *Circuit) { change(&c.Private.Header); publish(c) })
	}
}
