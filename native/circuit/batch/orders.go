package batch

import (
	"math/big"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
)

// Orders prove:
//  1. Used rows come first and ascend strictly by (account, step).
//  2. The order's leaf opens at its place in a set root that the account has signed.
//  3. nonce >= the account's old min_nonce; the order expires after the batch's time.
//  4. The slot rule: slot nonce mod 2^depth holds (n0, r0, f0); the same nonce needs a revision >= r0 and continues at f0, a greater one starts at 0, a
//     lower one is refused; the slot then holds (nonce, revision, filled).
//  5. filled before + fill <= size; fill >= 1; fee <= fee_cap * fill; first_sequence <= sequence <= last_sequence.
//  6. Slot updates form one chain per account, from its old to its new orders root: the row at step k leads from its root before to that of step k + 1.
//  7. Fill and fee are the sums over the order's fills.
//  8. An unused row has account, step, fill and fee 0 and gives nothing.

// OrderRow is one order that filled.
type OrderRow struct {
	Used, Account, Step, Continues                     variable
	Nonce, Revision, ExpiryMs, Size, Limit, Instrument variable
	Side, FeeCap, Flags                                variable
	SetRoot                                            variable
	SetBits, SetPath                                   [setDepth]variable // place in the set, lowest bit first
	MinNonce                                           variable           // the account's, before the batch
	SlotNonce, SlotRevision, SlotFilled                variable           // what the slot held
	Same                                               variable           // the slot held this nonce
	SlotBits, SlotPath                                 []variable         // the slot's index, lowest bit first
	RootBefore, RootAfter                              variable
	Fill, Fee, Sequence                                variable
}

type orderTable struct {
	table                                              *argument.Table
	rows                                               []OrderRow
	used, account, step, continues                     argument.Column
	nonce, revision, expiryMs, size, limit, instrument argument.Column
	side, feeCap, flags, setRoot, minNonce             argument.Column
	slotNonce, slotRevision, slotFilled, same          argument.Column
	rootBefore, rootAfter, fill, fee, sequence         argument.Column
	filled                                             argument.Column // after the batch
}

func allocateOrders(l *argument.Layer, p circuit.Preset, rows []OrderRow) orderTable {
	t := l.Table("orders", len(rows))
	flag := func(name string, get func(*OrderRow) variable) argument.Column {
		return t.Bool(name, column(rows, get))
	}
	number := func(name string, bits int, get func(*OrderRow) variable) argument.Column {
		return t.Bits(name, bits, column(rows, get))
	}
	element := func(name string, get func(*OrderRow) variable) argument.Column {
		return t.Field(name, column(rows, get))
	}
	return orderTable{
		table: t, rows: rows, used: flag("used", func(r *OrderRow) variable { return r.Used }),
		account:      number("account", 32, func(r *OrderRow) variable { return r.Account }),
		step:         number("step", stepBits(p), func(r *OrderRow) variable { return r.Step }),
		continues:    flag("continues", func(r *OrderRow) variable { return r.Continues }),
		nonce:        number("nonce", 64, func(r *OrderRow) variable { return r.Nonce }),
		revision:     number("revision", 16, func(r *OrderRow) variable { return r.Revision }),
		expiryMs:     number("expiry_ms", 48, func(r *OrderRow) variable { return r.ExpiryMs }),
		size:         number("size", sizeBits, func(r *OrderRow) variable { return r.Size }),
		limit:        t.Signed("limit", priceBits, column(rows, func(r *OrderRow) variable { return r.Limit })),
		instrument:   number("instrument", 32, func(r *OrderRow) variable { return r.Instrument }),
		side:         flag("side", func(r *OrderRow) variable { return r.Side }),
		feeCap:       number("fee_cap", 32, func(r *OrderRow) variable { return r.FeeCap }),
		flags:        flag("flags", func(r *OrderRow) variable { return r.Flags }),
		setRoot:      element("set_root", func(r *OrderRow) variable { return r.SetRoot }),
		minNonce:     number("min_nonce", 64, func(r *OrderRow) variable { return r.MinNonce }),
		slotNonce:    number("slot_nonce", 64, func(r *OrderRow) variable { return r.SlotNonce }),
		slotRevision: number("slot_revision", 16, func(r *OrderRow) variable { return r.SlotRevision }),
		slotFilled:   number("slot_filled", sizeBits, func(r *OrderRow) variable { return r.SlotFilled }),
		same:         flag("same", func(r *OrderRow) variable { return r.Same }),
		rootBefore:   element("root_before", func(r *OrderRow) variable { return r.RootBefore }),
		rootAfter:    element("root_after", func(r *OrderRow) variable { return r.RootAfter }),
		fill:         number("fill", sizeBits, func(r *OrderRow) variable { return r.Fill }),
		fee:          number("fee", orderFeeBits, func(r *OrderRow) variable { return r.Fee }),
		sequence:     number("sequence", 48, func(r *OrderRow) variable { return r.Sequence }),
	}
}

const (
	priceBits    = 40      // signed
	orderFeeBits = 32 + 40 // fee_cap * fill
)

func (b *builder) stateOrders() {
	for _, part := range []struct {
		group string
		state func(i int)
	}{
		{"orders: signed set", b.stateOrderSet}, {"orders: nonce and expiry", b.stateOrderLife}, {"orders: slot rule", b.stateOrderSlot},
		{"orders: fill, fee and sequence", b.stateOrderFill},
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
	word0 := t.nonce[i].Plus(t.revision[i].Shifted(64), t.expiryMs[i].Shifted(80), t.size[i].Shifted(128), t.limit[i].Plus(half).Shifted(168))
	word1 := t.instrument[i].Plus(t.side[i].Shifted(32), t.feeCap[i].Shifted(40), t.flags[i].Shifted(72))
	leaf := poseidon.Sponge(api, "straddle.order", word0.Raw(), word1.Raw())
	for _, bit := range t.rows[i].SetBits {
		api.AssertIsBoolean(bit)
	}
	l.AssertIs(t.setRoot[i], merkleRoot(api, leaf, t.rows[i].SetBits[:], t.rows[i].SetPath[:]))
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
	l.AssertIs(t.rootBefore[i], merkleRoot(api, old, row.SlotBits, row.SlotPath))
	l.AssertIs(t.rootAfter[i], merkleRoot(api, now, row.SlotBits, row.SlotPath))
	b.ties.slots.Take(t.used[i], t.account[i], t.step[i], t.rootBefore[i])
	b.ties.slots.Put(t.used[i], t.account[i], t.step[i].Plus(l.Const(1)), t.rootAfter[i])
}

// stateOrderFill is items 5, 7 and 8.
func (b *builder) stateOrderFill(i int) {
	t, l, h := &b.orders, b.l, &b.header
	used := t.used[i]
	l.AssertNotNegative(used.Times(t.size[i].Minus(t.filled[i])))
	l.AssertNotNegative(t.feeCap[i].Times(t.fill[i]).Minus(t.fee[i]))
	l.AssertNotNegative(used.Times(t.sequence[i].Minus(h.firstSequence)))
	l.AssertNotNegative(used.Times(h.lastSequence.Minus(t.sequence[i])))
	l.AssertNotNegative(t.fill[i].Minus(used)) // an order that does not fill may not take a slot over
	l.AssertZeroIf(used.Not(), t.fill[i].Plus(t.fee[i]))
	b.ties.orderFills.Hold(i, l.Tuple(t.fill[i], t.fee[i]), t.account[i], t.instrument[i], t.side[i], t.limit[i])
}
