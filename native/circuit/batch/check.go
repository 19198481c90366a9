package batch

import (
	"fmt"

	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"

	"straddle/native/circuit"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Decode reads a witness file.
func Decode(data []byte) (*Witness, error) { return ledger.Decode[Witness](data) }

// Assign makes the circuit's inputs from a witness. It recomputes C, the y and every root and refuses a mismatch by the field's name; whether the batch
// satisfies the statement is for the solver to say.
func Assign(w *Witness) (*Circuit, error) {
	p, err := w.sizes()
	if err != nil {
		return nil, err
	}
	if err := shape(p, w); err != nil {
		return nil, err
	}
	if err := checkRoots(p, w); err != nil {
		return nil, err
	}
	return fill(p, w), nil
}

// shape checks counts and indices, so that filling cannot go out of bounds.
func shape(p circuit.Preset, w *Witness) error {
	for _, table := range []struct {
		name      string
		rows, max int
	}{
		{"accounts", len(w.Accounts), p.Accounts}, {"positions", len(w.Positions), p.Positions}, {"instruments", len(w.Instruments), p.Instruments},
		{"listings", len(w.Listings), p.Listings}, {"signatures", len(w.Signatures), p.Signatures}, {"orders", len(w.Orders), p.Orders},
		{"legs", len(w.Legs), p.Legs}, {"fills", len(w.Fills), p.Fills}, {"queue", len(w.Queue), p.Queue},
		{"withdrawals", len(w.Withdrawals), p.Withdrawals}, {"transfers", len(w.Transfers), p.Transfers},
		{"takeovers", len(w.Takeovers), p.Takeovers}, {"deleverages", len(w.Deleverages), p.Deleverages},
	} {
		if table.rows > table.max {
			return fmt.Errorf("%s: %d rows, preset %q holds %d", table.name, table.rows, p.Name, table.max)
		}
	}
	index := func(path string, i, rows, least int) error {
		if i < least || i >= rows {
			return fmt.Errorf("%s: %d, expected %d to %d", path, i, least, rows-1)
		}
		return nil
	}
	var errs []error
	for i := range w.Accounts {
		errs = append(errs, ledger.Length(fmt.Sprintf("accounts[%d].path", i), len(w.Accounts[i].Path), p.AccountDepth),
			index(fmt.Sprintf("accounts[%d].cancel_signature", i), w.Accounts[i].CancelSignature, len(w.Signatures), -1))
		if id := w.Accounts[i].ID; id.BitLen() > p.AccountDepth {
			errs = append(errs, fmt.Errorf("accounts[%d].id: %s, expected an index of a tree of depth %d", i, id, p.AccountDepth))
		}
	}
	for i := range w.Instruments {
		errs = append(errs, ledger.Length(fmt.Sprintf("instruments[%d].deltas", i), len(w.Instruments[i].Deltas), ledger.Scenarios))
	}
	for i := range w.Orders {
		errs = append(errs, ledger.Length(fmt.Sprintf("orders[%d].set_path", i), len(w.Orders[i].SetPath), setDepth),
			ledger.Length(fmt.Sprintf("orders[%d].slot_path", i), len(w.Orders[i].SlotPath), p.SlotDepth),
			index(fmt.Sprintf("orders[%d].signature", i), w.Orders[i].Signature, len(w.Signatures), 0))
	}
	for i := range w.Legs {
		errs = append(errs, index(fmt.Sprintf("legs[%d].order", i), w.Legs[i].Order, len(w.Orders), 0))
	}
	for i := range w.Fills {
		errs = append(errs, index(fmt.Sprintf("fills[%d].taker", i), w.Fills[i].Taker, len(w.Legs), 0),
			index(fmt.Sprintf("fills[%d].maker", i), w.Fills[i].Maker, len(w.Legs), 0))
	}
	for i := range w.Withdrawals {
		errs = append(errs, index(fmt.Sprintf("withdrawals[%d].signature", i), w.Withdrawals[i].Signature, len(w.Signatures), 0))
	}
	for i := range w.Transfers {
		errs = append(errs, index(fmt.Sprintf("transfers[%d].signature", i), w.Transfers[i].Signature, len(w.Signatures), 0))
	}
	for i := range w.Takeovers {
		errs = append(errs, index(fmt.Sprintf("takeovers[%d].signature", i), w.Takeovers[i].Signature, len(w.Signatures), -1))
	}
	return ledger.First(errs)
}

// checkRoots compares every root, digest and public value with what the rest of the witness makes it.
func checkRoots(p circuit.Preset, w *Witness) error {
	if err := checkListings(w); err != nil {
		return err
	}
	if err := ledger.First([]error{
		ledger.Mismatch("header.new_listings_root", w.Header.NewListingsRoot, listingsRoot(w)),
		ledger.Mismatch("header.risk_root", w.Header.RiskRoot, ledger.RiskRoot(w.Header.NewListingsRoot, w.Instruments)),
	}); err != nil {
		return err
	}
	if err := checkAccounts(p, w); err != nil {
		return err
	}
	if err := checkSigned(w); err != nil {
		return err
	}
	if err := checkOrders(p, w); err != nil {
		return err
	}
	want := publicValues(p, w)
	return w.Public.Check(&want)
}

// checkListings compares the ids of new instruments, which the circuit computes, with the count.
func checkListings(w *Witness) error {
	count := w.Header.OldListingCount
	for j := range w.Listings {
		r := &w.Listings[j]
		if r.Kind.Int64() > kindListings {
			continue
		}
		count = ledger.Less(count, -1)
		if r.ID.Cmp(count) != 0 {
			return fmt.Errorf("listings[%d].id: %s, expected %s", j, r.ID, count)
		}
	}
	return nil
}

func checkAccounts(p circuit.Preset, w *Witness) error {
	root := ledger.ToElement(w.Header.OldAccountsRoot)
	f := &filler{preset: p, w: w}
	for i := range w.Accounts {
		r, path := &w.Accounts[i], fmt.Sprintf("accounts[%d]", i)
		digests, has := f.digests(r.ID)
		if !has { // closed, or empty
			digests[before], digests[after] = ledger.ToElement(r.Old.PositionsDigest), ledger.ToElement(r.Old.PositionsDigest)
		}
		if err := ledger.First([]error{
			ledger.Mismatch(path+".old.positions_digest", r.Old.PositionsDigest, digests[before]),
			ledger.Mismatch(path+".new.positions_digest", r.New.PositionsDigest, digests[after]),
		}); err != nil {
			return err
		}
		siblings := ledger.Elements(r.Path)
		if opened := crypto.Fold(r.Old.Hash(), r.ID.Uint64(), siblings); !opened.Equal(&root) {
			return fmt.Errorf("%s.old: the leaf does not open at id %s under the root that the rows before it make (old fields or path)", path, r.ID)
		}
		root = crypto.Fold(r.New.Hash(), r.ID.Uint64(), siblings)
	}
	return ledger.Mismatch("header.new_accounts_root", w.Header.NewAccountsRoot, root)
}

func checkSigned(w *Witness) error {
	old := map[string]*ledger.Leaf{}
	for i := range w.Accounts {
		old[w.Accounts[i].ID.String()] = &w.Accounts[i].Old
	}
	for i := range w.Signatures {
		s, path := &w.Signatures[i], fmt.Sprintf("signatures[%d]", i)
		account, ok := old[s.Account.String()]
		if !ok {
			return fmt.Errorf("%s.account: %s is not among the accounts", path, s.Account)
		}
		key := te.PointAffine{X: ledger.ToElement(account.KeyX), Y: ledger.ToElement(account.KeyY)}
		sig := crypto.Signature{R: te.PointAffine{X: ledger.ToElement(s.RX), Y: ledger.ToElement(s.RY)}, S: s.S}
		if !crypto.Verify(&key, message(w.Header.Domain, s, account.KeyEpoch), &sig) {
			return fmt.Errorf("%s: not a signature of account %s under its key before the batch", path, s.Account)
		}
	}
	return nil
}

func checkOrders(p circuit.Preset, w *Witness) error {
	for i := range w.Orders {
		r, path := &w.Orders[i], fmt.Sprintf("orders[%d]", i)
		siblings, index := ledger.Elements(r.SlotPath), r.slotIndex(p.SlotDepth)
		if err := ledger.First([]error{
			ledger.Mismatch(path+".set_path", w.Signatures[r.Signature].Payload, crypto.FoldSet(r.leaf(w.legsOf(i)), r.SetIndex.Uint64(), ledger.Elements(r.SetPath))),
			ledger.Mismatch(path+".orders_root_old", r.OrdersRootOld, crypto.Fold(r.SlotOld.leaf(), index, siblings)),
			ledger.Mismatch(path+".orders_root_new", r.OrdersRootNew, crypto.Fold(r.slot().leaf(), index, siblings)),
		}); err != nil {
			return err
		}
	}
	return nil
}
