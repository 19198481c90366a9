package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// tamper changes an order after its set was signed: its leaf no longer opens in the signed root.
func tamper(change func(o *Order)) func(w *Witness) {
	return func(w *Witness) { change(&w.Orders[richBuys1]) }
}

func cheatsSignatures() []cheat {
	other := num(31337)
	epoch := func(f *fixture, id, by int64) *int64 { n := f.old[id].keyEpoch + by; return &n }
	return []cheat{
		{name: "signed by another key", want: "schnorr.offset", plan: func(f *fixture) { f.signatures[signOrders5].secret = other }},
		{name: "signed by another account's key", want: "schnorr.offset", plan: func(f *fixture) { f.signatures[signOrders5].secret = f.old[rich].secret }},
		{name: "another key in the row", want: "sum account keys", plan: func(f *fixture) { f.signatures[signOrders5].secret = other }, cells: func(c *Private) {
			key := crypto.PublicKey(other)
			multiple := crypto.Multiple(&key)
			r := &c.Signatures[signOrders5]
			r.KeyX, r.KeyY, r.MultipleX, r.MultipleY = ledger.ToBig(key.X), ledger.ToBig(key.Y), ledger.ToBig(multiple.X), ledger.ToBig(multiple.Y)
		}},
		{name: "another multiple in the row", want: "sum account keys", cells: func(c *Private) {
			key := crypto.PublicKey(other)
			multiple := crypto.Multiple(&key)
			c.Signatures[signOrders5].MultipleX, c.Signatures[signOrders5].MultipleY = ledger.ToBig(multiple.X), ledger.ToBig(multiple.Y)
		}},
		{name: "signed for another rollup", want: "schnorr.offset", plan: func(f *fixture) { f.signatures[signOrders5].domain = num(1) }},
		{name: "signed in an older key epoch", want: "schnorr.offset", plan: func(f *fixture) { f.signatures[signOrders5].keyEpoch = epoch(f, reducing, -1) }},
		{name: "an older key epoch in the row", want: "sum account keys", plan: func(f *fixture) { f.signatures[signOrders5].keyEpoch = epoch(f, reducing, 1) },
			cells: func(c *Private) { bump(&c.Signatures[signOrders5].KeyEpoch, 1) }},
		{name: "new key used in its own batch", want: "schnorr.offset", plan: func(f *fixture) { f.signatures[signOrders3].secret = f.new[rich].secret }},
		{name: "signature of another account", want: "sum signed", plan: func(f *fixture) {
			f.signatures[signOrders5].account = rich
		}},
		{name: "a cancel as an order set", want: "sum signed", plan: func(f *fixture) { f.signatures[signOrders5].kind = kindCancel }},
		{name: "an unused row that gives", want: "sum signed", cells: func(c *Private) { c.Signatures[signCancel].Used = 0 }},
		{name: "a padding row that gives", want: "sum account keys", cells: func(c *Private) { c.Signatures[len(c.Signatures)-1].Used = 1 }},
		{name: "an account without key", want: "signatures: valid", plan: func(f *fixture) {
			secret := f.old[reducing].secret
			f.old[reducing].secret, f.new[reducing].secret = nil, nil
			f.signatures[signOrders5].secret = secret
		}},
	}
}

func cheatsOrderTerms() []cheat {
	const set = "sum signed"
	return []cheat{
		{name: "limit changed", want: set, witness: tamper(func(o *Order) { o.Limit = total(o.Limit, 1) })},
		{name: "size changed", want: set, witness: tamper(func(o *Order) { o.Size = total(o.Size, 1) })},
		{name: "expiry changed", want: set, witness: tamper(func(o *Order) { o.ExpiryMs = total(o.ExpiryMs, 1) })},
		{name: "fee cap changed", want: set, witness: tamper(func(o *Order) { o.FeeCap = total(o.FeeCap, 1) })},
		{name: "flags changed", want: set, witness: tamper(func(o *Order) { o.Flags = num(0) })},
		{name: "reduce-only dropped", want: set, witness: func(w *Witness) { w.Orders[repairBuys3].Flags = num(0) }},
		{name: "a combination's limit changed", want: set, witness: func(w *Witness) {
			w.Orders[spreadBuys].Limit = total(w.Orders[spreadBuys].Limit, 1)
		}},
		{name: "limit changed under the signed root", want: "orders: signed set", witness: tamper(func(o *Order) { o.Limit = total(o.Limit, 1) }),
			cells: func(c *Private) { c.Orders[richBuys1].SetRoot = c.Signatures[signOrders3].Payload }},
		{name: "a place it does not have", want: set, witness: tamper(func(o *Order) { o.SetIndex = num(1) })},
		{name: "control a set of one order is its leaf", plan: func(f *fixture) {
			s := f.signatures[signOrders11]
			s.orders = s.orders[:1]
		}},
		{name: "an empty left side passed through", want: "orders: signed set", plan: func(f *fixture) {
			f.signatures[signOrders11].orders = f.signatures[signOrders11].orders[:1]
		}, cells: func(c *Private) { c.Orders[spreadBuys].SetBits[0] = 1 }},
		{name: "a fifth flag", want: "orders: signed set", plan: func(f *fixture) { f.orders[richBuys1].Flags = num(17) }},
		{name: "a fifth flag among the first three", want: "range of orders/flags", plan: func(f *fixture) { f.orders[richBuys1].Flags = num(17) },
			cells: func(c *Private) { c.Orders[richBuys1].Flags = 17 }},
		{name: "an order of another account's set", want: set, plan: func(f *fixture) {
			o := f.orders[reduceSells1] // its row says account 5, its leaf lies in the set of account 3
			f.signatures[signOrders3].orders[4] = o
			o.set, o.at = signOrders3, 4
		}},
		{name: "expired", want: "range of orders: nonce and expiry", plan: func(f *fixture) { f.orders[richBuys1].ExpiryMs = f.header.TimeMs }},
		{name: "control expires a millisecond later", plan: func(f *fixture) { f.orders[richBuys1].ExpiryMs = total(f.header.TimeMs, 1) }},
		{name: "nonce below min_nonce", want: "range of orders: nonce and expiry", plan: func(f *fixture) {
			f.old[reducing].minNonce, f.new[reducing].minNonce = 9, 9
		}},
		{name: "control nonce at min_nonce", plan: func(f *fixture) { f.old[reducing].minNonce, f.new[reducing].minNonce = 8, 8 }},
		{name: "nonce below min_nonce with another account's", want: "sum min nonces", plan: func(f *fixture) {
			f.old[reducing].minNonce, f.new[reducing].minNonce = 9, 9
		}, cells: func(c *Private) { c.Orders[reduceSells1].MinNonce, c.Orders[reduceSells1Again].MinNonce = 0, 0 }},
		{name: "limit beyond 40 bits", want: "range of orders/limit", plan: func(f *fixture) { f.orders[richBuys1].Limit = ledger.Power(39) }},
		{name: "fee above the cap", want: "range of orders/fee_slack", plan: func(f *fixture) {
			f.resize(3, 600, 6001, 0)
		}},
		{name: "control fee at the cap", plan: func(f *fixture) { f.resize(3, 600, 6000, 0) }},
		{name: "sequence before the batch", want: "range of orders/sequence", plan: func(f *fixture) { f.orders[richBuys1].Sequence = num(39) }},
		{name: "sequence after the batch", want: "range of orders: fill and sequence", plan: func(f *fixture) { f.orders[richBuys1].Sequence = num(91) }},
		{name: "control sequence at the ends", plan: func(f *fixture) {
			f.orders[richBuys1].Sequence, f.orders[richSells3].Sequence = num(40), num(90)
		}},
		{name: "control sequence at the last offset", plan: func(f *fixture) {
			f.header.LastSequence = total(f.header.FirstSequence, ledger.Power(sequenceBits), -1)
			f.orders[richBuys1].Sequence = f.header.LastSequence
		}},
		{name: "sequence beyond 24 bits", want: "range of orders", plan: func(f *fixture) {
			f.header.LastSequence = total(f.header.FirstSequence, ledger.Power(sequenceBits))
			f.orders[richBuys1].Sequence = f.header.LastSequence
		}},
		{name: "rows of an account in another order than the slots", want: "sum slots", cells: func(c *Private) {
			c.Orders[reduceSells1].Step, c.Orders[reduceSells1Again].Step = 0, 2
		}},
		{name: "steps swapped", want: "range of rows: used first", cells: func(c *Private) {
			c.Orders[reduceSells1].Step, c.Orders[reduceSells1Again].Step = 1, 0
		}},
		{name: "accounts of orders out of order", want: "rows: used first", cells: func(c *Private) {
			c.Orders[richBuysPerp], c.Orders[repairBuys3] = c.Orders[repairBuys3], c.Orders[richBuysPerp]
		}},
		{name: "an unused row with a fill", want: "orders: fill and sequence", cells: func(c *Private) { c.Orders[unusedOrder].Fill = 1 }},
		{name: "an unused row of an account", want: "rows: used first", cells: func(c *Private) { c.Orders[unusedOrder].Account = rich }},
	}
}

func cheatsSlots() []cheat {
	held := func(nonce uint64, slot SlotState) func(f *fixture) {
		return func(f *fixture) { f.old[rich].slots[nonce%16] = slot }
	}
	refill := func(f *fixture, size int64) { // the order that continues at 5 fills so much in its first fill
		f.resize(0, size, 0, 0)
	}
	return []cheat{
		{name: "overfilled", want: "range of orders: fill and sequence", plan: func(f *fixture) { f.orders[richBuysPerp].Size = num(599) }},
		{name: "control filled to its size", plan: func(f *fixture) { f.orders[richBuysPerp].Size = num(600) }},
		{name: "overfilled with what was filled before", want: "range of orders: fill and sequence", plan: func(f *fixture) {
			f.orders[richBuys1].Size = total(f.orders[richBuys1].Fill, 4)
		}},
		{name: "control filled to its size with what was filled before", plan: func(f *fixture) {
			f.orders[richBuys1].Size = total(f.orders[richBuys1].Fill, 5)
		}},
		{name: "replay filled amount forgotten", want: "range of orders: slot rule", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState {
				if row.Nonce.Int64() == 17 {
					return &SlotState{row.Nonce, row.Revision, row.Fill}
				}
				return row.slot()
			}
		}, cells: func(c *Private) { c.Orders[richBuys1].Same = 0 }},
		{name: "continued though the nonce is new", want: "orders: slot rule", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState {
				if row.Nonce.Int64() == 34 {
					return &SlotState{row.Nonce, row.Revision, total(row.SlotOld.Filled, row.Fill)}
				}
				return row.slot()
			}
		}, cells: func(c *Private) { c.Orders[richSells3].Same = 1 }},
		{name: "older nonce than the slot's", want: "range of orders: slot rule", plan: held(17, SlotState{num(33), num(0), num(0)})},
		{name: "older revision than the slot's", want: "range of orders: slot rule", plan: held(17, SlotState{num(17), num(2), num(5)})},
		{name: "control the slot's own revision", plan: held(17, SlotState{num(17), num(1), num(5)})},
		{name: "slot not written", want: "orders: slot rule", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState { return &row.SlotOld }
		}},
		{name: "less written than filled", want: "orders: slot rule", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState { s := row.slot(); s.Filled = total(s.Filled, -1); return s }
		}},
		{name: "older revision written", want: "orders: slot rule", plan: func(f *fixture) {
			f.slotOf = func(row *Order) *SlotState { s := row.slot(); s.Revision = num(0); return s }
		}},
		{name: "a slot that is not the nonce's", want: "range of orders: slot rule", cells: func(c *Private) {
			moveSlot(&c.Orders[repairBuys3], 9)
		}},
		{name: "slot bits that are none", want: "orders: slot rule", cells: func(c *Private) {
			r := &c.Orders[repairBuys3] // nonce 4 = 2 * 2
			r.SlotBits[1], r.SlotBits[2] = 2, 0
		}},
		{name: "filled twice at once", want: "range of ", plan: func(f *fixture) { refill(f, 1<<40); f.orders[richBuys1].Size = ledger.Less(ledger.Power(40), 1) }},
	}
}

// moveSlot opens the order's slot at another index of an untouched tree.
func moveSlot(r *OrderRow, index uint64) {
	tree := crypto.NewTree(len(r.SlotPath), crypto.Compress(fr.Element{}, fr.Element{}))
	path := tree.Path(index)
	for k := range path {
		r.SlotBits[k], r.SlotPath[k] = index>>k&1, ledger.ToBig(path[k])
	}
}

func cheatsFills() []cheat {
	last := func(c *Private) *FillRow { return &c.Fills[unusedFill] }
	return []cheat{
		{name: "price above the buyer's limit", want: "range of fills: price", plan: func(f *fixture) { f.reprice(0, total(f.orders[richBuys1].Limit, 1)) }},
		{name: "control price at the buyer's limit", plan: func(f *fixture) { f.reprice(0, f.orders[richBuys1].Limit) }},
		{name: "price below the seller's limit", want: "range of fills: price", plan: func(f *fixture) {
			f.reprice(0, total(f.orders[reduceSells1].Limit, -1))
			enrich(f, reducing)
		}},
		{name: "control price at the seller's limit", plan: func(f *fixture) {
			f.reprice(0, f.orders[reduceSells1].Limit)
			enrich(f, reducing)
		}},
		{name: "swaplimit", want: "sum leg fills", plan: func(f *fixture) { f.reprice(0, total(f.orders[richBuys1].Limit, 1)) },
			cells: func(c *Private) { c.Fills[0].TakerLimit = c.Fills[0].Price }},
		{name: "swapbill", want: "sum leg fills", plan: func(f *fixture) {
			fill := &f.fills[0] // the taker's flows go to another account
			notional := new(big.Int).Mul(fill.Size, new(big.Int).Sub(fill.Price, f.funding(1)))
			notional.Add(notional, fill.TakerFee)
			f.new[rich].cash.Add(f.new[rich].cash, notional)
			f.new[fresh].cash.Sub(f.new[fresh].cash, notional)
			f.new[rich].move(1, new(big.Int).Neg(fill.Size))
			f.new[fresh].move(1, fill.Size)
			f.shiftCash(fresh, ledger.Power(50))
		}, cells: func(c *Private) { c.Fills[0].TakerAccount = fresh }},
		{name: "both sides buy", want: "range of orders/limit_slack", plan: func(f *fixture) { f.orders[reduceSells1].Side = num(1) }},
		{name: "the taker's side turned", want: "sum ", cells: func(c *Private) {
			f := &c.Fills[0]
			f.Side = 0
			f.TakerLimit, f.MakerLimit = f.Price, f.Price
		}},
		{name: "another instrument than the orders'", want: "sum leg fills", plan: swapInstrument, cells: func(c *Private) {
			to := &c.Instruments[0]
			r := &c.Fills[4]
			r.Instrument, r.Mark, r.Funding, r.Band = to.ID, total(to.Value, to.Funding), to.Funding, to.Band
		}},
		{name: "outside the band above", want: "range of fills: price", plan: func(f *fixture) {
			f.orders[richBuys1].Limit = ledger.Power(38)
			f.reprice(0, total(f.instruments[0].Mark(), f.instruments[0].Band, 1))
		}},
		{name: "control at the edge of the band above", plan: func(f *fixture) {
			f.orders[richBuys1].Limit = ledger.Power(38)
			f.reprice(0, total(f.instruments[0].Mark(), f.instruments[0].Band))
		}},
		{name: "outside the band below", want: "range of fills: price", plan: func(f *fixture) {
			f.orders[reduceSells1].Limit = new(big.Int).Neg(ledger.Power(38))
			f.reprice(0, total(f.instruments[0].Mark(), new(big.Int).Neg(f.instruments[0].Band), -1))
			enrich(f, reducing)
		}},
		{name: "control at the edge of the band below", plan: func(f *fixture) {
			f.orders[reduceSells1].Limit = new(big.Int).Neg(ledger.Power(38))
			f.reprice(0, total(f.instruments[0].Mark(), new(big.Int).Neg(f.instruments[0].Band)))
			enrich(f, reducing)
		}},
		{name: "an invented mark", want: "sum quotes", cells: func(c *Private) { bump(&c.Fills[0].Mark, 1) }},
		{name: "an invented band", want: "sum quotes", cells: func(c *Private) { bump(&c.Fills[0].Band, 1) }},
		{name: "an invented funding", want: "sum ", cells: func(c *Private) { bump(&c.Fills[3].Funding, 1) }},
		{name: "an expired instrument", want: "sum quotes", plan: func(f *fixture) { f.instruments[0].ExpiryMs = f.header.TimeMs }},
		{name: "control an instrument that expires a millisecond later", plan: func(f *fixture) { f.instruments[0].ExpiryMs = total(f.header.TimeMs, 1) }},
		{name: "control an expired instrument that is only held", plan: func(f *fixture) { f.instruments[1].ExpiryMs = f.header.TimeMs }},
		{name: "an expired instrument called tradable", want: "range of instruments: settled or tradable", plan: func(f *fixture) {
			f.instruments[0].ExpiryMs = f.header.TimeMs
		}, cells: func(c *Private) { c.Instruments[0].Tradable = 1 }},
		{name: "a settled instrument called tradable", want: "range of instruments: settled or tradable", cells: func(c *Private) {
			c.Instruments[expired-1].Tradable = 1
		}},
		{name: "a settled instrument", want: "sum ", plan: func(f *fixture) {
			f.settle(perpetual)
			f.shiftCash(repairing, ledger.Power(50))
		}},
		{name: "negative lots", want: "range of fills/size", plan: func(f *fixture) {
			f.resize(4, -1, 0, 0)
			enrich(f, repairing)
		}},
		{name: "a negative fee", want: "range of fills/taker_fee", plan: func(f *fixture) { f.resize(0, f.fills[0].Size.Int64(), -1, 0) }},
		{name: "an unused fill with lots", want: "fills: flows", cells: func(c *Private) { last(c).Size = 1 }},
		{name: "an unused fill with a fee", want: "fills: flows", cells: func(c *Private) { last(c).MakerFee = 1 }},
		{name: "control a fill of no lots moves nothing", plan: func(f *fixture) {
			f.trade(Fill{0, f.legRow(reduceSells1, 0), f.fills[0].Price, num(0), num(0), num(0)})
		}},
		{name: "a fill of no lots with a fee", want: "range of orders/fee_slack", plan: func(f *fixture) {
			f.orders[richBuys1].FeeCap = num(0)
			f.resize(0, f.fills[0].Size.Int64(), 0, 0)
			f.resize(1, f.fills[1].Size.Int64(), 0, 0)
			f.trade(Fill{0, f.legRow(reduceSells1, 0), f.fills[0].Price, num(0), num(1), num(0)})
		}},
		{name: "a fill left out of its leg", want: "sum leg fills", plan: func(f *fixture) { f.executed(richBuysPerp, 599) }},
		{name: "fees of two legs exchanged", want: "sum leg fills", cells: func(c *Private) {
			bump(&legAt(c, reduceSells1, 0).Fee, 1)
			bump(&c.Orders[reduceSells1].FeeSlack, -1)
			bump(&legAt(c, reduceSells1Again, 0).Fee, -1)
			bump(&c.Orders[reduceSells1Again].FeeSlack, 1)
		}},
		{name: "a fill with a leg row that is not used", want: "sum leg fills", cells: func(c *Private) { c.Fills[3].Maker = len(c.Legs) - 1 }},
		{name: "a fill with a leg row that does not exist", want: "sum leg fills", cells: func(c *Private) { c.Fills[3].Maker = len(c.Legs) + 1 }},
	}
}

// enrich lifts an account out of the margin rule's reach, and out of the auction that its plan begins.
func enrich(f *fixture, id int64) {
	setEquity(f, id, ledger.Power(50))
	f.new[id].auction = f.old[id].auction
}

// swapInstrument moves the positions of the fifth fill, of instrument 3, on instrument 1 instead, whose band it widens.
func swapInstrument(f *fixture) {
	f.instruments[0].Band = ledger.Power(38)
	for side, id := range map[int64]int64{1: repairing, -1: rich} {
		lots := new(big.Int).Mul(f.fills[4].Size, num(side))
		f.new[id].move(3, new(big.Int).Neg(lots))
		f.new[id].move(1, lots)
	}
	f.shiftCash(repairing, ledger.Power(50))
}
