package batch

import (
	"math/big"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/poseidon"
)

// Orders prove:
//  1. Used rows come first and ascend strictly by (account, step).
//  2. The order's leaf opens at its place in a set root that the account has signed; flag bits beyond the fourth are 0.
//  3. nonce >= the account's old min_nonce; the order expires after the batch's time.
//  4. The slot rule: slot nonce mod 2^depth holds (n0, r0, f0); the same nonce needs a revision >= r0 and continues at f0, a greater one starts at 0, a
//     lower one is refused; the slot then holds (nonce, revision, filled).
//  5. filled before + fill <= size; fill >= 1; the sequence lies in the batch, at an offset of 24 bits.
//  6. Slot updates form one chain per account, from its old to its new orders root: the row at step k leads from its root before to that of step k + 1.
//  7. The legs word is the sum of the order's leg rows, each at its place; a row has one leg, or (`multi`) more.
//  8. The cost of all legs is at most limit * fill for a buyer, -limit * fill for a seller; all fees are at most fee_cap * fill.
//  9. An unused row has account, step and fill 0 and gives nothing.

// OrderRow is one order that filled.
type OrderRow struct {
	Used, Account, Step, Continues         variable
	Nonce, Revision, ExpiryMs, Size, Limit variable
	Side, FeeCap, Flags, Reduce            variable // Flags: the three flags that bind the engine only
	Legs, Multi, More                      variable // the legs word; whether there are several; how many beyond the first
	SetRoot                                variable
	SetBits, SetPath                       [setDepth]variable // place in the set, lowest bit first
	MinNonce                               variable           // the account's, before the batch
	SlotNonce, SlotRevision, SlotFilled    variable           // what the slot held
	Same                                   variable           // the slot held this nonce
	SlotBits, SlotPath                     []variable         // the slot's index, lowest bit first
	RootBefore, RootAfter                  variable
	Fill, LimitSlack, FeeSlack, Sequence   variable // what limit and fee cap leave unused; Sequence: less the batch's first
}

type orderTable struct {
	table                                     *argument.Table
	rows                                      []OrderRow
	used, account, step, continues            argument.Column
	nonce, revision, expiryMs, size, limit    argument.Column
	side, feeCap, flags, reduce               argument.Column
	legs, multi, more, setRoot, minNonce      argument.Column
	slotNonce, slotRevision, slotFilled, same argument.Column
	rootBefore, rootAfter                     argument.Column
	fill, limitSlack, feeSlack, sequence      argument.Column
	filled                                    argument.Column // after the batch
}

func allocateOrders(l *argument.Layer, p circuit.Preset, rows []OrderRow) orderTable {
	t := l.Table("orders", len(rows))
	flag := func(name string, get func(*OrderRow) variable) argument.Column {
		return t.Bool(name, ledger.Column(rows, get))
	}
	number := func(name string, bits int, get func(*OrderRow) variable) argument.Column {
		return t.Bits(name, bits, ledger.Column(rows, get))
	}
	element := func(name string, get func(*OrderRow) variable) argument.Column {
		return t.Field(name, ledger.Column(rows, get))
	}
	return orderTable{
		table: t, rows: rows, used: flag("used", func(r *OrderRow) variable { return r.Used }),
		account:      number("account", 32, func(r *OrderRow) variable { return r.Account }),
		step:         number("step", stepBits(p), func(r *OrderRow) variable { return r.Step }),
		continues:    flag("continues", func(r *OrderRow) variable { return r.Continues }),
		nonce:        number("nonce", 64, func(r *OrderRow) variable { return r.Nonce }),
		revision:     number("revision", 16, func(r *OrderRow) variable { return r.Revision }),
		expiryMs:     number("expiry_ms", 48, func(r *OrderRow) variable { return r.ExpiryMs }),
		size:         number("size", ledger.SizeBits, func(r *OrderRow) variable { return r.Size }),
		limit:        t.Signed("limit", priceBits, ledger.Column(rows, func(r *OrderRow) variable { return r.Limit })),
		side:         flag("side", func(r *OrderRow) variable { return r.Side }),
		feeCap:       number("fee_cap", 32, func(r *OrderRow) variable { return r.FeeCap }),
		flags:        number("flags", reduceFlag, func(r *OrderRow) variable { return r.Flags }),
		reduce:       flag("reduce", func(r *OrderRow) variable { return r.Reduce }),
		legs:         number("legs", legsBits, func(r *OrderRow) variable { return r.Legs }),
		multi:        flag("multi", func(r *OrderRow) variable { return r.Multi }),
		more:         number("more", 2, func(r *OrderRow) variable { return r.More }),
		setRoot:      element("set_root", func(r *OrderRow) variable { return r.SetRoot }),
		minNonce:     number("min_nonce", 64, func(r *OrderRow) variable { return r.MinNonce }),
		slotNonce:    number("slot_nonce", 64, func(r *OrderRow) variable { return r.SlotNonce }),
		slotRevision: number("slot_revision", 16, func(r *OrderRow) variable { return r.SlotRevision }),
		slotFilled:   number("slot_filled", ledger.SizeBits, func(r *OrderRow) variable { return r.SlotFilled }),
		same:         flag("same", func(r *OrderRow) variable { return r.Same }),
		rootBefore:   element("root_before", func(r *OrderRow) variable { return r.RootBefore }),
		rootAfter:    element("root_after", func(r *OrderRow) variable { return r.RootAfter }),
		fill:         number("fill", ledger.SizeBits, func(r *OrderRow) variable { return r.Fill }),
		limitSlack:   number("limit_slack", costBits(p)+2, func(r *OrderRow) variable { return r.LimitSlack }),
		feeSlack:     number("fee_slack", orderFeeBits, func(r *OrderRow) variable { return r.FeeSlack }),
		sequence:     number("sequence", sequenceBits, func(r *OrderRow) variable { return r.Sequence }),
	}
}

const (
	priceBits    = 40      // signed
	orderFeeBits = 32 + 40 // fee_cap * fill
	legsBits     = 4 * legBits
	sequenceBits = 24 // layer 1: a batch covers fewer log entries
	reduceFlag   = 3  // bit of an order's flags
)

func (b *builder) stateOrders() {
	for _, part := range []struct {
		group string
		state func(i int)
	}{
		{"orders: signed set", b.stateOrderSet}, {"orders: nonce and expiry", b.stateOrderLife}, {"orders: slot rule", b.stateOrderSlot},
		{"orders: fill and sequence", b.stateOrderFill}, {"orders: legs", b.stateOrderLegs},
	} {
		b.l.Group(part.group)
		for i := range b.orders.used {
			part.state(i)
		}
	}
}

// stateOrderSet is item 2.
func (b *builder) stateOrderSet(i int) {
	t, l, api := &b.orders, b.l, b.api
	half := l.Const(1).Shifted(priceBits - 1)
	terms := t.nonce[i].Plus(t.revision[i].Shifted(64), t.expiryMs[i].Shifted(80), t.size[i].Shifted(128), t.limit[i].Plus(half).Shifted(168),
		t.feeCap[i].Shifted(208), t.side[i].Shifted(240), t.flags[i].Shifted(241), t.reduce[i].Shifted(241+reduceFlag))
	leaf := poseidon.Compress(api, terms.Raw(), t.legs[i].Raw())
	for _, bit := range t.rows[i].SetBits {
		api.AssertIsBoolean(bit)
	}
	l.AssertIs(t.setRoot[i], setRoot(api, leaf, t.rows[i].SetBits[:], t.rows[i].SetPath[:]))
	b.ties.signed.Require(t.used[i], l.Tuple(t.account[i], l.Const(kindOrderSet), t.setRoot[i]))
}

// stateOrderLife is item 3.
func (b *builder) stateOrderLife(i int) {
	t, l := &b.orders, b.l
	b.ties.minNonces.Require(t.used[i], l.Tuple(t.account[i], t.minNonce[i]))
	l.AssertNotNegative(t.used[i].Times(t.nonce[i].Minus(t.minNonce[i])))
	l.AssertNotNegative(t.used[i].Times(t.expiryMs[i].Minus(b.header.timeMs).Minus(l.Const(1))))
}

// stateOrderSlot is items 4 and 6.
func (b *builder) stateOrderSlot(i int) {
	t, l, api := &b.orders, b.l, b.api
	same, nonce := t.same[i], t.nonce[i]
	gap := nonce.Minus(t.slotNonce[i])
	l.AssertZeroIf(same, gap)
	l.AssertNotNegative(gap.Minus(same.Not()))
	l.AssertNotNegative(same.Times(t.revision[i].Minus(t.slotRevision[i])))
	filled := same.Times(t.slotFilled[i]).Plus(t.fill[i])
	t.filled = append(t.filled, filled)

	row := &t.rows[i]
	var low variable = 0
	for k, bit := range row.SlotBits {
		api.AssertIsBoolean(bit)
		low = api.Add(low, api.Mul(bit, new(big.Int).Lsh(big.NewInt(1), uint(k))))
	}
	depth := b.preset.SlotDepth
	inverse := new(big.Int).ModInverse(new(big.Int).Lsh(big.NewInt(1), uint(depth)), api.Compiler().Field())
	l.RangeCheck(api.Mul(api.Sub(nonce.Raw(), low), inverse), 64-depth)

	old := poseidon.Compress(api, t.slotNonce[i].Plus(t.slotRevision[i].Shifted(64)).Raw(), t.slotFilled[i].Raw())
	now := poseidon.Compress(api, nonce.Plus(t.revision[i].Shifted(64)).Raw(), filled.Raw())
	l.AssertIs(t.rootBefore[i], ledger.MerkleRoot(api, old, row.SlotBits, row.SlotPath))
	l.AssertIs(t.rootAfter[i], ledger.MerkleRoot(api, now, row.SlotBits, row.SlotPath))
	b.ties.slots.Take(t.used[i], t.account[i], t.step[i], t.rootBefore[i])
	b.ties.slots.Put(t.used[i], t.account[i], t.step[i].Plus(l.Const(1)), t.rootAfter[i])
}

// stateOrderFill is item 5.
func (b *builder) stateOrderFill(i int) {
	t, l, h := &b.orders, b.l, &b.header
	used := t.used[i]
	l.AssertNotNegative(used.Times(t.size[i].Minus(t.filled[i])))
	l.AssertNotNegative(t.fill[i].Minus(used)) // an order that does not fill may not take a slot over
	l.AssertZeroIf(used.Not(), t.fill[i])
	l.AssertBits(used.Times(h.lastSequence.Minus(h.firstSequence).Minus(t.sequence[i])), sequenceBits)
}

// stateOrderLegs is items 7 and 8. The number of legs travels above the legs word.
func (b *builder) stateOrderLegs(i int) {
	t, l := &b.orders, b.l
	used, fill := t.used[i], t.fill[i]
	b.ties.orderTerms.Provide(used, l.Tuple(l.Const(i), t.account[i], t.side[i], t.limit[i], fill, t.multi[i], t.reduce[i]))
	l.AssertNotNegative(t.more[i].Minus(t.multi[i]))
	word := t.legs[i].Plus(t.more[i].Plus(l.Const(1)).Shifted(legsBits))
	bought := t.side[i].Scaled(2).Minus(l.Const(1)).Times(fill) // minus what is sold
	b.ties.orderLegs.Hold(i, l.Tuple(word, bought.Times(t.limit[i]).Minus(t.limitSlack[i]), t.feeCap[i].Times(fill).Minus(t.feeSlack[i])))
}
