package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// witness makes everything that follows from the plan.
func (f *fixture) witness() *Witness {
	w := &Witness{Preset: f.preset.Name, Header: f.header, Public: f.public, Instruments: f.instruments, Listings: f.listings, Fills: f.fills, Queue: f.queue,
		Withdrawals: f.withdrawals, Transfers: f.transfers, Takeovers: f.takeovers, Deleverages: f.deleverages}
	f.makeOrders(w)
	f.makeSignatures(w)
	for _, id := range f.touched {
		if !f.closed[id] {
			w.Positions = append(w.Positions, f.positionRows(id)...)
		}
	}
	if f.positionsOf != nil {
		w.Positions = f.positionsOf(w.Positions)
	}
	f.makeAccounts(w)
	var words []fr.Element
	for i := range f.listed {
		words = append(words, f.listed[i].word())
	}
	root := absorbListings(crypto.AsciiElement("straddle.listings"), words)
	h := &w.Header
	h.OldListingsRoot, h.OldListingCount = ledger.ToBig(root), num(int64(len(f.listed)))
	h.NewListingsRoot = ledger.ToBig(listingsRoot(w))
	h.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments))
	w.Public = publicValues(f.preset, w)
	return w
}

// makeOrders runs the slot chains and opens the orders in their sets.
func (f *fixture) makeOrders(w *Witness) {
	depth := f.preset.SlotDepth
	trees, steps := map[int64]*crypto.Tree{}, map[int64]int64{}
	for i, o := range f.orders {
		for _, leg := range o.legs {
			leg.Order = i
			w.Legs = append(w.Legs, leg)
		}
		id := o.Account.Int64()
		if trees[id] == nil {
			trees[id] = f.old[id].slotTree(depth)
			if !f.keepSlots[id] {
				f.new[id].slots = f.old[id].copy().slots
			}
		}
		row, index := *o.Order, o.slotIndex(depth)
		row.Signature, row.SetIndex, row.Step = o.set, num(int64(o.at)), num(steps[id])
		steps[id]++
		row.SetPath = bigs(setPath(f.signatures[o.set].orders, o.at))
		slots := f.new[id].slots
		row.SlotOld = SlotState{num(0), num(0), num(0)}
		if held, ok := slots[index]; ok {
			row.SlotOld = held
		}
		row.SlotPath = bigs(trees[id].Path(index))
		row.OrdersRootOld = ledger.ToBig(trees[id].Root())
		written := row.slot()
		if f.slotOf != nil {
			written = f.slotOf(&row)
		}
		trees[id].Set(index, written.leaf())
		row.OrdersRootNew = ledger.ToBig(trees[id].Root())
		if !f.keepSlots[id] {
			slots[index] = *written
		}
		w.Orders = append(w.Orders, row)
	}
	if f.legRows != nil {
		w.Legs = f.legRows(w.Legs)
	}
}

// setLeaves are the leaves of an order set.
func setLeaves(orders []*planOrder) (leaves []fr.Element) {
	for _, o := range orders {
		leaves = append(leaves, o.leaf(o.legs))
	}
	return leaves
}

// setPath lists the siblings of the leaf at a place.
func setPath(orders []*planOrder, at int) []fr.Element {
	path := crypto.SetPath(setLeaves(orders), at)
	return path[:]
}

func bigs(es []fr.Element) []*big.Int {
	ns := make([]*big.Int, len(es))
	for i := range es {
		ns[i] = ledger.ToBig(es[i])
	}
	return ns
}

func (f *fixture) makeSignatures(w *Witness) {
	for _, s := range f.signatures {
		row := Signed{Account: num(s.account), Kind: num(s.kind), Payload: s.payload}
		if s.orders != nil {
			row.Payload = ledger.ToBig(crypto.SetRoot(setLeaves(s.orders)))
		}
		secret, domain, epoch := s.secret, s.domain, f.old[s.account].keyEpoch
		if secret == nil {
			secret = f.old[s.account].secret
		}
		if domain == nil {
			domain = f.header.Domain
		}
		if s.keyEpoch != nil {
			epoch = *s.keyEpoch
		}
		sig := crypto.Sign(secret, message(domain, &row, num(epoch)))
		row.RX, row.RY, row.S = ledger.ToBig(sig.R.X), ledger.ToBig(sig.R.Y), sig.S
		w.Signatures = append(w.Signatures, row)
	}
}

func (f *fixture) makeAccounts(w *Witness) {
	tree := crypto.NewTree(f.preset.AccountDepth, ledger.NullAccount(f.preset.SlotDepth).Hash())
	for id, s := range f.old {
		l := s.leaf(f.preset.SlotDepth)
		tree.Set(uint64(id), l.Hash())
	}
	w.Header.OldAccountsRoot = ledger.ToBig(tree.Root())
	for _, id := range f.touched {
		cancel, ok := f.cancels[id]
		if !ok {
			cancel = -1
		}
		row := Account{num(id), f.old[id].leaf(f.preset.SlotDepth), f.new[id].leaf(f.preset.SlotDepth), bigs(tree.Path(uint64(id))), cancel}
		tree.Set(uint64(id), row.New.Hash())
		w.Accounts = append(w.Accounts, row)
	}
	if f.accountRows != nil {
		w.Accounts = f.accountRows(w.Accounts)
	}
	w.Header.NewAccountsRoot = ledger.ToBig(tree.Root())
}
