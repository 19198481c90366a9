package batch

import (
	"math/big"

	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

func (f *filler) unusedOrder() *Order {
	zero := new(big.Int)
	zeros := func(n int) []*big.Int {
		ns := make([]*big.Int, n)
		for i := range ns {
			ns[i] = zero
		}
		return ns
	}
	r := &Order{Account: zero, Step: zero, SetIndex: zero, SetPath: zeros(setDepth), Nonce: zero, Revision: zero, ExpiryMs: zero, Size: zero, Limit: zero,
		Side: zero, FeeCap: zero, Flags: zero, SlotOld: SlotState{zero, zero, zero}, SlotPath: zeros(f.preset.SlotDepth),
		Fill: zero, Fee: zero, Sequence: f.w.Header.FirstSequence}
	r.OrdersRootOld = ledger.ToBig(crypto.Fold(r.SlotOld.leaf(), 0, ledger.Elements(r.SlotPath)))
	r.OrdersRootNew = ledger.ToBig(crypto.Fold(r.slot().leaf(), 0, ledger.Elements(r.SlotPath)))
	return r
}

func bitsOf(n uint64, count int) []variable {
	bits := make([]variable, count)
	for k := range bits {
		bits[k] = n >> k & 1
	}
	return bits
}

func (f *filler) fillOrders() {
	unused := f.unusedOrder()
	for i := range f.c.Private.Orders {
		r, used := unused, i < len(f.w.Orders)
		var legs []Leg
		if used {
			r, legs = &f.w.Orders[i], f.w.legsOf(i)
		}
		continues := used && i > 0 && f.w.Orders[i-1].Account.Cmp(r.Account) == 0
		row := &f.c.Private.Orders[i]
		*row = OrderRow{
			Used: ledger.Bit(used), Account: r.Account, Step: r.Step, Continues: ledger.Bit(continues),
			Nonce: r.Nonce, Revision: r.Revision, ExpiryMs: r.ExpiryMs, Size: r.Size, Limit: r.Limit,
			Side: r.Side, FeeCap: r.FeeCap, Flags: new(big.Int).And(r.Flags, ledger.Less(ledger.Power(reduceFlag), 1)), Reduce: r.Flags.Bit(reduceFlag),
			Legs: ledger.ToBig(legsWord(legs)), Multi: ledger.Bit(len(legs) > 1), More: max(len(legs)-1, 0),
			SetRoot:   ledger.ToBig(crypto.FoldSet(r.leaf(legs), r.SetIndex.Uint64(), ledger.Elements(r.SetPath))),
			MinNonce:  f.oldLeaf(r.Account).MinNonce,
			SlotNonce: r.SlotOld.Nonce, SlotRevision: r.SlotOld.Revision, SlotFilled: r.SlotOld.Filled, Same: ledger.Bit(r.same()),
			SlotBits: bitsOf(r.slotIndex(f.preset.SlotDepth), f.preset.SlotDepth), SlotPath: make([]variable, f.preset.SlotDepth),
			RootBefore: r.OrdersRootOld, RootAfter: r.OrdersRootNew, Fill: r.Fill,
			FeeSlack: new(big.Int).Sub(new(big.Int).Mul(r.FeeCap, r.Fill), r.Fee), LimitSlack: f.limitSlack(i, r),
			Sequence: new(big.Int).Sub(r.Sequence, f.w.Header.FirstSequence),
		}
		copy(row.SetBits[:], bitsOf(r.SetIndex.Uint64(), setDepth))
		for k := range row.SetPath {
			row.SetPath[k] = r.SetPath[k]
		}
		for k := range row.SlotPath {
			row.SlotPath[k] = r.SlotPath[k]
		}
	}
}

// limitSlack is by how much the cost of order row i stays below its limit.
func (f *filler) limitSlack(i int, r *Order) *big.Int {
	slack := new(big.Int).Mul(r.Fill, r.Limit)
	if r.Side.Sign() == 0 {
		slack.Neg(slack)
	}
	for k := range f.w.Legs {
		if f.w.Legs[k].Order == i {
			cost, _ := f.legSums(k)
			slack.Sub(slack, cost)
		}
	}
	return slack
}

// buys says whether the account buys in leg row k.
func (f *filler) buys(k int) bool {
	leg := &f.w.Legs[k]
	return f.w.Orders[leg.Order].Side.Cmp(leg.Sell) != 0
}

// legSums are cost and fees of leg row k over its fills.
func (f *filler) legSums(k int) (cost, fee *big.Int) {
	cost, fee = new(big.Int), new(big.Int)
	for i := range f.w.Fills {
		r := &f.w.Fills[i]
		if r.Taker == k {
			fee.Add(fee, r.TakerFee)
		}
		if r.Maker == k {
			fee.Add(fee, r.MakerFee)
		}
		if r.Taker == k || r.Maker == k {
			cost.Add(cost, new(big.Int).Mul(r.Size, r.Price))
		}
	}
	if !f.buys(k) {
		cost.Neg(cost)
	}
	return cost, fee
}

func (f *filler) fillLegs() {
	for k := range f.c.Private.Legs {
		row := &f.c.Private.Legs[k]
		*row = LegRow{0, 0, 0, [2]variable{0, 0}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if k >= len(f.w.Legs) {
			row.Order = max(len(f.w.Orders)-1, 0)
			continue
		}
		r := &f.w.Legs[k]
		order := &f.w.Orders[r.Order]
		cost, fee := f.legSums(k)
		continues := k > 0 && f.w.Legs[k-1].Order == r.Order
		*row = LegRow{1, ledger.Bit(continues), r.Order, [2]variable{r.Place.Bit(0), r.Place.Bit(1)}, r.Instrument, r.Ratio, r.Sell,
			order.Account, order.Side, order.Limit, order.Fill, ledger.Bit(len(f.w.legsOf(r.Order)) > 1), order.Flags.Bit(reduceFlag), cost, fee}
	}
}

// legLimit is the limit of leg row k for its fills.
func (f *filler) legLimit(k int) *big.Int {
	if order := f.w.Legs[k].Order; len(f.w.legsOf(order)) == 1 {
		return f.w.Orders[order].Limit
	}
	if f.buys(k) {
		return highestLimit()
	}
	return new(big.Int).Neg(highestLimit())
}

func (f *filler) fillFills() {
	for i := range f.c.Private.Fills {
		row := &f.c.Private.Fills[i]
		*row = FillRow{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if i >= len(f.w.Fills) {
			continue
		}
		r := &f.w.Fills[i]
		taker, maker := &f.w.Legs[r.Taker], &f.w.Legs[r.Maker]
		quote := f.instruments.Get(taker.Instrument)
		*row = FillRow{1, r.Taker, r.Maker, f.w.Orders[taker.Order].Account, f.w.Orders[maker.Order].Account, f.legLimit(r.Taker), f.legLimit(r.Maker),
			taker.Instrument, ledger.Bit(f.buys(r.Taker)), quote.Mark(), quote.Funding, quote.Band, r.Price, r.Size, r.TakerFee, r.MakerFee}
	}
}
