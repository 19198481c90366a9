package batch

import (
	"math/big"
	"math/rand"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Statement version 2, trading half, by a reviewer who did not write it and was asked to forge: orders of several legs, sets whose empty sides pass
// through, listings words, settled positions. Beside attacks and denials there are liberties: what the circuit leaves to the sequencer or the oracles, and
// the pages say so; their tests fail when that changes.

// reviewMarket is an exchange of accounts 3, 4, ... that own a key and much cash, and of instruments 1, 2, ... at any price.
func reviewMarket(t *testing.T, accounts, instruments int64) *fixture {
	t.Helper()
	f := reviewBlank(nanoPreset(t))
	f.header.FirstSequence, f.header.LastSequence = num(9), num(9+1<<sequenceBits-1)
	f.touched = []int64{feeAccount}
	for id := int64(3); id < 3+accounts; id++ {
		s := newState(100+id, num(1000+id))
		s.cash = num(1 << 56)
		f.reviewAccount(id, s)
	}
	for id := int64(1); id <= instruments; id++ {
		f.instruments = append(f.instruments, reviewInstrument(id))
	}
	return f
}

// reviewSet signs a set of orders and gives each an order row. Accounts come in ascending order.
func (f *fixture) reviewSet(account int64, orders ...*planOrder) {
	for at, o := range orders {
		o.ExpiryMs, o.Size, o.FeeCap, o.Sequence = total(f.header.TimeMs, 1), highestFill(), ledger.Less(ledger.Power(32), 1), f.header.LastSequence
		o.set, o.at = len(f.signatures), at
		f.orders = append(f.orders, o)
	}
	f.signatures = append(f.signatures, &planSigned{account: account, kind: kindOrderSet, orders: orders})
}

// reviewAgain gives the newest order row's order another row.
func (f *fixture) reviewAgain() {
	last := f.orders[len(f.orders)-1]
	again := *last.Order
	f.orders = append(f.orders, &planOrder{&again, last.legs, last.set, last.at})
}

func highestFill() *big.Int { return ledger.Less(ledger.Power(ledger.SizeBits), 1) }

func reviewRefusedBy(t *testing.T, f *fixture, want string) {
	t.Helper()
	c := fill(f.preset, f.witness())
	publish(c)
	err := solve(t, compiledNano(t), c)
	if err == nil {
		t.Fatal("FORGERY ACCEPTED")
	}
	if place := compiledNano(t).PlaceOf(err); !inspect.RefusedBy(place, want) {
		t.Errorf("refused by %q, expected %q", place, want)
	}
}

// ---------------------------------------------------------------- forgeries

// TestReviewV2Sets: nothing but a leaf at its place opens a signed set.
func TestReviewV2Sets(t *testing.T) {
	inner := func(c *Private) { // the first inner node of rich's set, given out as an order: its children as terms and legs
		r := &c.Orders[richBuys1]
		terms := ledger.Packed(number(r.Nonce), 0, number(r.Revision), 64, number(r.ExpiryMs), 80, number(r.Size), 128, ledger.Offset(number(r.Limit), 39), 168,
			number(r.FeeCap), 208, number(r.Side), 240, number(r.Flags), 241, number(r.Reduce), 241+reduceFlag)
		leaf := crypto.Compress(ledger.ToElement(terms), ledger.ToElement(number(r.Legs)))
		r.Nonce = total(r.Nonce, ledger.ToBig(leaf), new(big.Int).Neg(terms)) // terms = the left child
		r.Legs = r.SetPath[0]                                                 // legs = the right child
		copy(r.SetPath[:], r.SetPath[1:])
		r.SetPath[setDepth-1] = 0
	}
	alone := func(f *fixture) { f.signatures[signOrders11].orders = f.signatures[signOrders11].orders[:1] }
	right := func(c *Private) { // on the right of nothing
		for _, row := range []int{spreadBuys, spreadBuysAgain} {
			r := &c.Orders[row]
			r.SetBits[0] = 1
			r.SetRoot = ledger.ToBig(crypto.Compress(ledger.ToElement(num(0)), ledger.ToElement(number(r.SetRoot))))
		}
	}
	reviewRefused(t, []reviewAttack{
		{name: "an inner node as an order", cells: inner},
		{name: "the right side of nothing", plan: alone, cells: right},
		{name: "the right side of nothing, signed as the leaf", plan: alone, cells: func(c *Private) {
			root := c.Orders[spreadBuys].SetRoot
			right(c)
			c.Orders[spreadBuys].SetRoot, c.Orders[spreadBuysAgain].SetRoot = root, root
		}},
		{name: "a left order whose right neighbours are called absent", cells: func(c *Private) {
			r := &c.Orders[spreadBuys]
			for k := range r.SetPath {
				r.SetPath[k] = 0
			}
			r.SetRoot = c.Orders[spreadBuysAgain].SetPath[0]
		}},
		{name: "the set's first order for its second", witness: func(w *Witness) { w.Orders[richSells3].SetIndex = num(0) }},
	})
}

// TestReviewV2Legs: lots, money and fees reach the leg that they belong to, and each execution has all of its legs.
func TestReviewV2Legs(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "one execution's first leg, the other's second", cells: func(c *Private) { // 8 has all of instrument 1, 9 all of instrument 3
			a, b := legAt(c, spreadBuys, 1), legAt(c, spreadBuysAgain, 0)
			a.Fill, b.Fill = 0, 0
		}},
		{name: "fills of two executions exchanged", cells: func(c *Private) {
			c.Fills[fillSpread1].Taker, c.Fills[fillImplied1].Taker = c.Fills[fillImplied1].Taker, c.Fills[fillSpread1].Taker
		}},
		{name: "an outright with an empty second leg averages its limit", plan: func(f *fixture) {
			f.orders[richBuys1].Limit = total(f.fills[0].Price, 50)
		}, cells: func(c *Private) {
			empty := *legAt(c, richBuys1, 0)
			empty.Continues, empty.Place, empty.Instrument, empty.Ratio, empty.Cost, empty.Fee, empty.Multi = 1, [2]variable{1, 0}, 0, 0, 0, 0, 1
			c.Orders[richBuys1].Multi, c.Orders[richBuys1].More = 1, 1
			legAt(c, richBuys1, 0).Multi = 1
			copy(c.Legs[2:], c.Legs[1:len(c.Legs)-1])
			c.Legs[1] = empty
			for i := range c.Fills {
				for _, index := range []*variable{&c.Fills[i].Taker, &c.Fills[i].Maker} {
					if row := number(*index).Int64(); row > 0 {
						*index = row + 1
					}
				}
			}
			c.Fills[0].TakerLimit, c.Fills[1].MakerLimit = highestLimit(), highestLimit()
		}},
		{name: "twice the units at half the ratio", cells: func(c *Private) {
			r := legAt(c, spreadBuys, 1)
			r.Ratio, r.Fill = 1, product(2, r.Fill)
		}},
		{name: "a leg of the seller's order for the buyer's", cells: func(c *Private) {
			a, b := legAt(c, spreadBuys, 0), legAt(c, richSellsSpread, 0)
			a.Account, b.Account = b.Account, a.Account
		}},
		{name: "a fill between two legs of one side", cells: func(c *Private) { c.Fills[fillSpread1].Maker = c.Fills[fillImplied1].Taker }},
		{name: "a price beyond every limit", plan: func(f *fixture) { f.reprice(fillSpread1, ledger.Power(39)) }},
		{name: "a combination's leg outside the band", plan: func(f *fixture) {
			f.reprice(fillSpread1, total(f.fills[fillSpread1].Price, 10_000))
			f.reprice(fillSpread3, total(f.fills[fillSpread3].Price, 5_000))
		}},
	})
}

// TestReviewV2Settled: what a settled position is worth is paid once, to its holder, for the whole of it.
func TestReviewV2Settled(t *testing.T) {
	worth := func(f *fixture) *big.Int { return product(20, f.instruments[expired-1].Value) }
	reviewRefused(t, []reviewAttack{
		{name: "paid to a closed account that keeps the position", plan: func(f *fixture) {
			f.closed[bystander] = true
			f.old[bystander].positions, f.new[bystander].positions = map[int64]*big.Int{expired: num(20)}, map[int64]*big.Int{expired: num(20)}
			f.new[bystander].cash = total(f.new[bystander].cash, worth(f))
			f.touch(bystander)
		}},
		{name: "not taken from the short holder", plan: func(f *fixture) { f.new[rich].cash.Add(f.new[rich].cash, worth(f)) }},
		{name: "half of it paid, half of it kept", plan: func(f *fixture) {
			f.new[spreader].positions[expired] = num(10)
			f.new[spreader].cash.Sub(f.new[spreader].cash, product(10, f.instruments[expired-1].Value))
		}, cells: func(c *Private) { position(c, spreader, expired).Settled = 0 }},
		{name: "the short one hidden in another account's row", cells: func(c *Private) { position(c, rich, expired).Account = spreader }},
		{name: "the payout of another scale", cells: func(c *Private) {
			r := position(c, spreader, expired)
			r.Risk[ledger.LanePayout] = product(2, r.Risk[ledger.LanePayout])
		}},
	})
}

// touch gives an account a row of the batch.
func (f *fixture) touch(id int64) {
	f.touched = append(f.touched, id)
	slices.Sort(f.touched)
	f.touched = slices.Compact(f.touched)
}

// TestReviewV2Data: fields of the body's packed words do not run into each other.
func TestReviewV2Data(t *testing.T) {
	reviewRefused(t, []reviewAttack{
		{name: "a table row that reaches the size", cells: func(c *Private) {
			r := position(c, spreader, 1)
			r.TableRow = total(r.TableRow, 1<<10)
			r.Sides[after].Long = total(r.Sides[after].Long, -1)
		}},
		{name: "a size that reaches the next row", cells: func(c *Private) {
			bump(&c.Positions[0].Sides[after].Long, 1<<41)
			c.Positions[1].Continues = total(c.Positions[1].Continues, -1)
		}},
		{name: "a filled amount that reaches the sequence", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState {
				return &SlotState{row.Nonce, row.Revision, total(row.filled(), ledger.Power(40))}
			}
		}, cells: func(c *Private) { bump(&c.Orders[richBuys1].Sequence, -1) }},
		{name: "a sequence that reaches the next row's nonce", cells: func(c *Private) { bump(&c.Orders[richBuys1].Sequence, 1<<24) }},
		{name: "an auction code that reaches the cash", cells: func(c *Private) {
			r := &c.Accounts[reviewRichRow]
			r.Auction.EndedCovered, r.Auction.EndedSold, r.Auction.EndedOver, r.Auction.Begun = 1, 0, 1, 1
		}},
	})
}

// reviewFree are the cells that a prover may choose: a log sequence is data, not proved; `reduced` may be left out where nobody asks for it, and the side
// of no lots is neither.
var reviewFree = regexp.MustCompile(`^(Orders\[\d+\]\.Sequence|Positions\[\d+\]\.(WasShort|Reduced))$`)

// TestReviewV2TradingCells changes one cell of a used row by one, up or down, and makes C and the y of the changed cells: the arguments between the tables
// have to refuse it, not the vector. A seeded sample by default; STRADDLE_SLOW=1 tries all (six minutes).
func TestReviewV2TradingCells(t *testing.T) {
	ccs, f := compiledNano(t), newFixture(t, nanoPreset(t), 3)
	w := f.witness()
	c := fill(f.preset, w)
	var trading []inspect.Cell
	used := usedRows(w)
	for _, x := range inspect.Cells(&c.Private) {
		m := rowOf.FindStringSubmatch(x.Path)
		row, _ := strconv.Atoi(m[2])
		if row < used[m[1]] && slices.Contains([]string{"Orders", "Legs", "Fills", "Positions", "Listings"}, m[1]) {
			trading = append(trading, x)
		}
	}
	rnd := rand.New(rand.NewSource(1))
	rnd.Shuffle(len(trading), func(i, j int) { trading[i], trading[j] = trading[j], trading[i] })
	if os.Getenv("STRADDLE_SLOW") == "" {
		trading = trading[:60]
	}
	for _, x := range trading {
		honest := x.At.Interface()
		for _, by := range []int64{1, -1} {
			x.At.Set(reflect.ValueOf(total(honest, by)))
			publish(c)
			if solve(t, ccs, c) == nil && !reviewFree.MatchString(x.Path) {
				t.Errorf("%s %+d is accepted", x.Path, by)
			}
		}
		x.At.Set(reflect.ValueOf(honest))
	}
	publish(c)
	if err := solve(t, ccs, c); err != nil {
		t.Fatalf("the honest batch no longer solves: %v", err)
	}
}

// ---------------------------------------------------------------- denials

// TestReviewV2DenialFourLegs: four legs, ratios and prices at the ends of their ranges, limits met exactly, all of the fee cap charged, the last sequence.
func TestReviewV2DenialFourLegs(t *testing.T) {
	for _, sign := range []int64{1, -1} {
		f, top := reviewMarket(t, 2, 4), highestLimit()
		limit := new(big.Int).Mul(top, num(sign))
		legs := []Leg{leg(0, 1, 127, 0), leg(1, 2, 127, 1), leg(2, 3, 1, 0), leg(3, 4, 1, 1)}
		for account := int64(3); account <= 4; account++ { // 3 buys, 4 sells
			o := planned(account, account, 0, 4-account, 0, 0, legs...)
			o.Limit = limit
			f.reviewSet(account, o)
			f.executed(int(account-3), 3)
		}
		prices := []*big.Int{top, top, limit, num(0)}
		for place, price := range prices { // 127 top - 127 top + limit - 0
			f.trade(Fill{place, 4 + place, price, total(product(3, legs[place].Ratio)), num(0), num(0)})
		}
		f.resize(3, 3, 3*(1<<32-1), 3*(1<<32-1))
		reviewAccepted(t, f)
	}
}

// TestReviewV2DenialLargestUnits: as many units as a slot counts, two legs, the account's positions at their bound.
func TestReviewV2DenialLargestUnits(t *testing.T) {
	f := reviewMarket(t, 2, 2)
	for account := int64(3); account <= 4; account++ {
		f.reviewSet(account, planned(account, 0, 0, 4-account, 0, 0, leg(0, 1, 1, 0), leg(1, 2, 1, 1))) // nonce 0, never used before
		f.orders[account-3].Fill = highestFill()
	}
	for place := range 2 {
		f.trade(Fill{place, 2 + place, num(1), highestFill(), num(0), num(0)})
	}
	reviewAccepted(t, f)
}

// TestReviewV2DenialExecutionsInOneSlot: executions of one combination, its next revision, and later orders in the same slot, all in one batch.
func TestReviewV2DenialExecutionsInOneSlot(t *testing.T) {
	f := reviewMarket(t, 2, 2)
	spread := func(account, nonce, revision, side int64) *planOrder {
		return planned(account, nonce, revision, side, 0, 0, leg(0, 1, 2, 0), leg(1, 2, 3, 1))
	}
	f.reviewSet(3, spread(3, 7, 2, 1))
	f.reviewAgain()
	f.reviewSet(3, spread(3, 7, 5, 1), spread(3, 23, 0, 1)) // 23 = 7 + 2^slot_depth
	f.reviewSet(4, planned(4, 7, 0, 0, 0, 0, leg(0, 1, 1, 0)), planned(4, 23, 0, 1, 0, 0, leg(0, 2, 1, 0)), planned(4, 39, 9, 1, 0, 0, leg(0, 2, 1, 0)))
	for row := range 4 {
		f.executed(row, 10)
		f.trade(Fill{f.legRow(row, 0), f.legRow(4, 0), num(0), num(20), num(int64(row)), num(0)})
		other := 5 + row/2
		f.trade(Fill{f.legRow(row, 1), f.legRow(other, 0), num(0), num(30), num(0), num(0)})
	}
	reviewAccepted(t, f)
}

// TestReviewV2DenialSetSizes: every order of sets of 1, 2, 3, 33 and 64 opens.
func TestReviewV2DenialSetSizes(t *testing.T) {
	for _, n := range []int64{1, 2, 3, 33, 64} {
		for _, at := range []int64{0, n / 2, n - 1} {
			f := reviewMarket(t, 2, 1)
			f.reviewSet(3, planned(3, 5, 0, 1, 0, 0, leg(0, 1, 1, 0)))
			set := make([]*planOrder, n)
			for i := range set {
				set[i] = planned(4, 100+int64(i), 0, 0, 0, 0, leg(0, 1, 1, 0))
			}
			f.reviewSet(4, set...)
			f.orders = []*planOrder{f.orders[0], set[at]}
			f.trade(Fill{0, 1, num(0), num(1), num(0), num(0)})
			reviewAccepted(t, f)
		}
	}
}

// TestReviewV2DenialNetZero: bought and sold again in one batch, without a position row; and reduce-only down to nothing, long and short.
func TestReviewV2DenialNetZero(t *testing.T) {
	f := reviewMarket(t, 3, 1)
	f.old[4].positions[1], f.old[5].positions[1] = num(6), num(-6)
	f.new[4].positions[1], f.new[5].positions[1] = num(6), num(-6)
	f.reviewSet(3, planned(3, 5, 0, 1, 0, 0, leg(0, 1, 1, 0)), planned(3, 6, 0, 0, 0, 0, leg(0, 1, 1, 0)))
	f.reviewSet(4, planned(4, 5, 0, 0, 0, 1<<reduceFlag, leg(0, 1, 1, 0)))
	f.reviewSet(5, planned(5, 5, 0, 1, 0, 1<<reduceFlag, leg(0, 1, 1, 0)))
	f.trade(Fill{0, 2, num(0), num(6), num(0), num(0)})
	f.trade(Fill{1, 3, num(0), num(6), num(0), num(0)})
	delete(f.new[3].positions, 1)
	reviewAccepted(t, f)
}

// TestReviewV2DenialWords: no word, a full group, one more, and as many as the preset takes; words that repeat or undo each other.
func TestReviewV2DenialWords(t *testing.T) {
	top := func(bits int) *big.Int { return ledger.Less(ledger.Power(bits), 1) }
	retirement := func(id int64) Listing {
		return Listing{num(id), num(kindRetirement), num(1), num(0), num(0), num(0), num(0), num(0)}
	}
	settlement := func(id int64, value *big.Int) Listing {
		return Listing{num(id), num(kindSettlement), num(1), num(0), value, num(0), num(0), num(0)}
	}
	for _, count := range []int64{0, 1, wordsAtOnce - 1, wordsAtOnce, wordsAtOnce + 1, 16} {
		f := reviewMarket(t, 0, 1)
		for i := range count {
			f.listings = append(f.listings, Listing{num(i + 1), num(1 + i%4), num(1), top(48), top(40), top(24), top(32), top(40)})
		}
		reviewAccepted(t, f)
		if count < 3 {
			continue
		}
		f.instruments[0].Settled, f.instruments[0].ExpiryMs, f.instruments[0].Value = num(1), f.header.TimeMs, top(39)
		f.listings[0], f.listings[1], f.listings[2] = settlement(1, top(39)), settlement(1, top(39)), retirement(count-3)
		for i := 3; i < int(count); i++ {
			f.listings[i].ID = num(int64(i - 2))
		}
		if count > 3 {
			reviewAccepted(t, f)
		}
	}
}

// TestReviewV2DenialSettledPositions: long and short, linear and not, at the largest value; the account loses and stays by rule b or c.
func TestReviewV2DenialSettledPositions(t *testing.T) {
	for _, sign := range []int64{1, -1} {
		f := reviewMarket(t, 1, 3)
		f.old[3].cash, f.new[3].cash = num(-5), num(-5) // below IM and MM
		f.old[3].positions = map[int64]*big.Int{1: num(sign * (1 << 23)), 2: num(sign * 7), 3: num(11)}
		f.new[3].positions = map[int64]*big.Int{1: num(sign * (1 << 23)), 2: num(sign * 7), 3: num(11)}
		f.instruments[0].Value, f.instruments[1].Value = ledger.Less(ledger.Power(39), 1), new(big.Int).Neg(ledger.Power(39))
		f.instruments[1].Linear = num(1)
		f.settle(1)
		f.settle(2)
		reviewAccepted(t, f)
	}
}

// TestReviewV2DenialForcedCloseOfSoldAccount: an entry of no effect, since the forced auction runs, in the batch that ends it.
func TestReviewV2DenialForcedCloseOfSoldAccount(t *testing.T) {
	f := reviewMarket(t, 1, 1)
	f.old[3].auction, f.new[3].auction = forcedWord(5, 100), 0
	f.queue = []Entry{{num(entryForceClose), num(3), f.new[3].owner, num(50), num(0), num(0), num(0)}}
	reviewAccepted(t, f)
}

// ---------------------------------------------------------------- liberties

// TestReviewV2LibertyAveragedCombination: nothing proves that a row of a combination is one execution. In a row of their own, units above the limit are
// refused; merged with cheaper ones they pass, since the limit holds for the row: limit * units is never exceeded.
func TestReviewV2LibertyAveragedCombination(t *testing.T) {
	plan := func(merged bool) *fixture {
		f := reviewMarket(t, 2, 2)
		f.reviewSet(3, planned(3, 5, 0, 1, 100, 0, leg(0, 1, 1, 0), leg(1, 2, 1, 1)))
		if !merged {
			f.reviewAgain()
		}
		f.reviewSet(4, planned(4, 5, 0, 0, 90, 0, leg(0, 1, 1, 0)), planned(4, 6, 0, 1, 10, 0, leg(0, 2, 1, 0)))
		sells, buys := f.legRow(len(f.orders)-2, 0), f.legRow(len(f.orders)-1, 0)
		for i, price := range []int64{90, 110} {
			row := i
			if merged {
				row = 0
			}
			f.trade(Fill{f.legRow(row, 0), sells, num(price), num(5), num(0), num(0)})
			f.trade(Fill{f.legRow(row, 1), buys, num(0), num(5), num(0), num(0)})
			f.executed(row, 5)
		}
		if merged {
			f.executed(0, 10)
		}
		return f
	}
	reviewRefusedBy(t, plan(false), "range of orders/limit_slack")
	reviewAccepted(t, plan(true))
	above := plan(true)
	above.orders[0].Limit = num(99)
	reviewRefusedBy(t, above, "range of orders/limit_slack")
}

// TestReviewV2LibertyFormOfLegs: the canonical form of a combination binds the engine. Its owner can sign another one, and it fills as signed.
func TestReviewV2LibertyFormOfLegs(t *testing.T) {
	for name, legs := range map[string][]Leg{
		"first leg sold":         {leg(0, 1, 1, 1), leg(1, 2, 1, 0)},
		"instruments descending": {leg(0, 2, 1, 0), leg(1, 1, 1, 1)},
		"one instrument twice":   {leg(0, 1, 3, 0), leg(1, 1, 2, 1)},
		"common divisor":         {leg(0, 1, 2, 0), leg(1, 2, 2, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			f := reviewMarket(t, 2, 2)
			for account := int64(3); account <= 4; account++ {
				f.reviewSet(account, planned(account, 5, 0, 4-account, 0, 0, legs...))
				f.executed(int(account-3), 4)
			}
			for place := range 2 { // a leg that the buyer of the unit sells is taken by the seller
				f.trade(Fill{place, 2 + place, num(0), product(4, legs[place].Ratio), num(0), num(0)})
			}
			reviewAccepted(t, f)
		})
	}
}

// TestReviewV2LibertyReduceOnlyNets: reduce-only looks at the batch as a whole. What other orders of the account open in it, a reduce-only order may close.
func TestReviewV2LibertyReduceOnlyNets(t *testing.T) {
	f := reviewMarket(t, 2, 1)
	f.old[3].positions[1], f.new[3].positions[1] = num(10), num(10)
	f.old[4].positions[1], f.new[4].positions[1] = num(-10), num(-10)
	f.reviewSet(3, planned(3, 5, 0, 1, 0, 0, leg(0, 1, 1, 0)), planned(3, 6, 0, 0, 0, 1<<reduceFlag, leg(0, 1, 1, 0)))
	f.reviewSet(4, planned(4, 5, 0, 0, 0, 0, leg(0, 1, 1, 0)), planned(4, 6, 0, 1, 0, 0, leg(0, 1, 1, 0)))
	f.trade(Fill{0, 2, num(0), num(90), num(0), num(0)})
	f.trade(Fill{3, 1, num(0), num(100), num(0), num(0)})
	reviewAccepted(t, f)
	f.resize(1, 101, 0, 0) // one lot beyond
	reviewRefusedBy(t, f, "sum reduced")
}

// TestReviewV2LibertyRetirement: nothing proves that a retired instrument is settled or that nobody holds it. Its holder can then only be paid: no position
// row can open the account, and a forced withdrawal cannot be answered. The oracles must sign no table after such a word.
func TestReviewV2LibertyRetirement(t *testing.T) {
	plan := func() *fixture {
		f := reviewMarket(t, 1, 1)
		f.listed = []Listing{{num(1), num(1), num(1), num(1 << 45), num(5), num(1), num(1), num(1)}}
		f.listings = []Listing{{num(1), num(kindRetirement), num(1), num(0), num(0), num(0), num(0), num(0)}}
		f.old[3].positions[1], f.new[3].positions[1] = num(10), num(10)
		f.instruments = nil
		return f
	}
	f := plan()
	f.closed[3] = true
	f.reviewDeposit(3, 5)
	reviewAccepted(t, f)

	force := func(f *fixture) {
		f.queue = append(f.queue, Entry{num(entryForceWithdraw), num(3), f.new[3].owner, num(5), num(5), num(0), num(0)})
		f.new[3].cash = total(f.new[3].cash, -5)
	}
	f = plan()
	force(f)
	reviewRefusedBy(t, f, "sum risk rows")
	f = plan()
	f.closed[3] = true
	force(f)
	reviewRefusedBy(t, f, "accounts: digests and slot chains")
}

// TestReviewV2LibertyTableRows: the risk table may lack a listed instrument, and then a position's row number in the data means another one than the
// listings say. Which rows there are is the oracles' word.
func TestReviewV2LibertyTableRows(t *testing.T) {
	f := reviewMarket(t, 1, 3)
	f.instruments = f.instruments[2:]
	f.old[3].positions[3], f.new[3].positions[3] = num(10), num(10)
	f.reviewDeposit(3, 5)
	w := f.witness()
	if w.tableRow(num(3)) != 1 {
		t.Fatal("instrument 3 is not in the first row")
	}
	reviewAccepted(t, f)
}
