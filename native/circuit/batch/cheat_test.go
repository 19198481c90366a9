package batch

import (
	"math/big"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// cheat is a dishonest batch: the plan, the witness or the cells of the honest one changed, and everything else made consistent again, C and the y
// included, as a cheating prover would. want names the statement that refuses (see inspect.Traced.PlaceOf); empty: accepted, as a control beside a refusal.
type cheat struct {
	name    string
	want    string
	plan    func(f *fixture)
	witness func(w *Witness)
	cells   func(c *Private)
}

// TestCheats runs the cheats of every table (files cheat_<table>_test.go), and then asks whether every constraint group and every sum has refused one.
func TestCheats(t *testing.T) {
	ccs, refused, complete := compiledNano(t), map[string]bool{}, true
	for _, table := range []struct {
		name   string
		cheats []cheat
	}{
		{"account tree", cheatsAccountTree()}, {"account keys", cheatsAccountKeys()}, {"nonces", cheatsNonces()}, {"cash", cheatsCash()},
		{"chains", cheatsChains()}, {"margin rule", cheatsMarginRule()}, {"margin totals", cheatsMarginTotals()}, {"positions", cheatsPositions()},
		{"slices", cheatsSlices()}, {"instruments", cheatsInstruments()},
		{"listings", cheatsListings()}, {"signatures", cheatsSignatures()}, {"order terms", cheatsOrderTerms()},
		{"slots", cheatsSlots()}, {"legs", cheatsLegs()}, {"fills", cheatsFills()}, {"queue", cheatsQueue()}, {"withdrawals", cheatsWithdrawals()},
		{"forced withdrawals", cheatsForced()}, {"transfers", cheatsTransfers()}, {"auctions", cheatsAuctions()}, {"seizures", cheatsSeizures()},
		{"takeovers", cheatsTakeovers()}, {"deleverages", cheatsDeleverages()},
	} {
		entered := false
		t.Run(table.name, func(t *testing.T) {
			entered = true
			for _, c := range table.cheats {
				ran := false
				t.Run(c.name, func(t *testing.T) {
					ran = true
					if place := c.run(t, ccs); place != "" {
						refused[place] = true
					}
				})
				complete = complete && ran
			}
		})
		complete = complete && entered
	}
	if complete && !t.Failed() { // not with -run on a part
		for _, label := range ccs.Stated() {
			if !refused[label] && !refused["range of "+label] && !elsewhere[label] {
				t.Errorf("no cheat is refused by %q", label)
			}
		}
	}
}

// elsewhere are statements that other tests have refuse something (public inputs, the tables of the signature gadget), and groups that only compute.
var elsewhere = map[string]bool{"header: beneficiary": true, "vector: commitment": true, "vector: evaluations": true, "schnorr.lookup": true,
	"instruments: looked up": true, "legs: sums": true, "vector: state roots": true}

// run returns the statement that refused the cheat, "" if none did.
func (c *cheat) run(t *testing.T, ccs *inspect.Traced) (place string) {
	t.Helper()
	p := nanoPreset(t)
	f := newFixture(t, p, 1)
	if c.plan != nil {
		c.plan(f)
	}
	w := f.witness()
	if c.witness != nil {
		c.witness(w)
	}
	filled := fill(p, w)
	if c.cells != nil {
		c.cells(&filled.Private)
	}
	publish(filled)
	if err := solve(t, ccs, filled); err != nil {
		place = ccs.PlaceOf(err)
	}
	switch {
	case place == "" && c.want != "":
		t.Errorf("accepted, expected a refusal by %q", c.want)
	case place != "" && !inspect.RefusedBy(place, c.want):
		t.Errorf("refused by %q, expected %q", place, c.want)
	}
	return place
}

// publish recomputes C and the y from the cells.
func publish(c *Circuit) {
	effects, body := vectorOfCells(c)
	z := ledger.ToElement(number(c.Public.Z))
	c.Public.C = ledger.ToBig(crypto.Sponge("straddle.data", append(append([]fr.Element{}, effects...), body...)...))
	c.Public.YEffects, c.Public.YBody = ledger.ToBig(ledger.EvaluateAt(effects, z)), ledger.ToBig(ledger.EvaluateAt(body, z))
}

// cellWord packs cells at bit positions, modulo r.
func cellWord(parts ...any) fr.Element {
	numbers := make([]any, len(parts))
	for i := 0; i < len(parts); i += 2 {
		numbers[i], numbers[i+1] = number(parts[i]), parts[i+1]
	}
	return ledger.Word(numbers...)
}

func product(vs ...variable) *big.Int {
	n := num(1)
	for _, v := range vs {
		n.Mul(n, number(v))
	}
	return n
}

func total(vs ...variable) *big.Int {
	n := num(0)
	for _, v := range vs {
		n.Add(n, number(v))
	}
	return n
}

// vectorOfCells assembles effects and body from the cells, as the circuit does.
func vectorOfCells(c *Circuit) (effects, body []fr.Element) {
	p, h := &c.Private, &c.Private.Header
	listed, answered := num(0), num(0)
	for i := range p.Listings {
		listed = total(listed, p.Listings[i].Listing)
	}
	for i := range p.Queue {
		answered = total(answered, p.Queue[i].Used)
	}
	e := func(v variable) fr.Element { return ledger.ToElement(number(v)) }
	params := crypto.Sponge("straddle.params", e(c.Preset.AccountDepth), e(c.Preset.SlotDepth), e(h.KIm), e(h.KMm), e(h.DiscountBps), e(h.AuctionMs),
		e(h.RiskDigest))
	root := func(accounts, listings, count, number, pointer variable) fr.Element {
		return crypto.Sponge("straddle.state", e(accounts), e(listings), e(count), e(number), e(pointer), params)
	}
	effects = []fr.Element{e(h.Domain), e(h.BatchNumber),
		root(h.OldAccountsRoot, h.OldListingsRoot, h.OldListingCount, total(h.BatchNumber, -1), h.OldQueuePointer),
		root(h.NewAccountsRoot, h.NewListingsRoot, total(h.OldListingCount, listed), h.BatchNumber, total(h.OldQueuePointer, answered)),
		cellWord(h.Epoch, 0, h.TimeMs, 64), params, e(h.RiskRoot), cellWord(h.FirstSequence, 0, h.LastSequence, 64), e(h.LogRoot),
		cellWord(h.OldQueuePointer, 0, answered, 64)}
	for i := range p.Queue {
		r := &p.Queue[i]
		kind := total(r.Used, r.IsKey, product(r.IsWithdrawal, entryForceWithdraw-1), product(r.IsClose, entryForceClose-1))
		effects = append(effects, cellWord(kind, 0, r.Account, 8, r.Owner, 40, r.Used, 200), e(total(r.Amount, r.KeyX)), e(total(r.Paid, r.KeyY)))
	}
	for i := range p.Withdrawals {
		r := &p.Withdrawals[i]
		effects = append(effects, cellWord(r.Owner, 0, r.Amount, 160, r.Account, 224))
	}
	body = append(accountCells(p), orderCells(p)...)
	body = append(body, positionCells(p)...)
	for j := range p.Listings {
		r := &p.Listings[j]
		kind := total(1, r.Kind, product(r.Settlement, kindSettlement-1), product(r.Retirement, kindRetirement-1))
		listing := cellWord(r.ID, 0, kind, 32, 1, 40, r.ExpiryMs, 48, r.StrikeTicks, 96, r.TickTicks, 136, r.MinLots, 160, r.PositionCapLots, 192)
		body = append(body, e(product(r.Used, ledger.ToBig(listing))))
	}
	return effects, body
}

func accountCells(p *Private) (words []fr.Element) {
	for i := range p.Accounts {
		r, now := &p.Accounts[i], &p.Accounts[i].Sides[after]
		a := &r.Auction
		begun := product(a.Closing, total(1, product(-1, a.InAuction)))
		code := total(a.EndedCovered, a.EndedSold, a.EndedOver, product(2, a.Begun), product(3, begun))
		cash := total(now.Cash, product(r.Used, ledger.Power(63)))
		words = append(words, cellWord(r.ID, 0, r.HasPositions, 24, r.HasOrders, 25, code, 26, cash, 28, now.MinNonce, 92, now.ActionNonce, 156))
	}
	return words
}

func orderCells(p *Private) (words []fr.Element) {
	var heads, tails [3]*big.Int
	for first := 0; first < len(p.Orders); first += 3 {
		for k := range heads {
			heads[k], tails[k] = num(0), num(0)
			if first+k >= len(p.Orders) {
				continue
			}
			r := &p.Orders[first+k]
			filled := total(product(r.Same, r.SlotFilled), r.Fill)
			heads[k] = product(r.Used, total(r.Continues, product(2, r.Nonce)))
			tails[k] = product(r.Used, total(r.Revision, product(ledger.Power(16), filled), product(ledger.Power(56), r.Sequence)))
		}
		words = append(words, cellWord(heads[0], 0, tails[0], 65, heads[1], 145), cellWord(tails[1], 0, heads[2], 80, tails[2], 145))
	}
	return words
}

func positionCells(p *Private) (words []fr.Element) {
	for first := 0; first < len(p.Positions); first += 4 {
		sum := num(0)
		for j := first; j < min(first+4, len(p.Positions)); j++ {
			r := &p.Positions[j]
			size := total(r.Sides[after].Long, product(-1, r.Sides[after].Short), product(r.Used, ledger.Power(ledger.SizeBits)))
			row := total(r.Continues, product(2, r.TableRow), product(ledger.Power(11), size))
			sum = total(sum, product(ledger.Power(52*(j-first)), row))
		}
		words = append(words, ledger.ToElement(sum))
	}
	return words
}

// TestVectorOfCells: the helper above, the native vector and the circuit agree on the honest batch.
func TestVectorOfCells(t *testing.T) {
	f := newFixture(t, nanoPreset(t), 1)
	w := f.witness()
	c := fill(f.preset, w)
	publish(c)
	if number(c.Public.C).Cmp(w.Public.C) != 0 || number(c.Public.YBody).Cmp(w.Public.YBody) != 0 {
		t.Fatal("vectorOfCells differs from the native vector")
	}
}
