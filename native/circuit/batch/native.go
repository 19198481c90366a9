package batch

import (
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// The vector and the roots of a witness, computed natively and apart from the circuit.

func (h *Header) paramsHash(p circuit.Preset) fr.Element {
	return ledger.ParamsHashOf(p, h.KIm, h.KMm, h.DiscountBps, h.AuctionMs, h.RiskDigest)
}

// stateRoots are the old and the new state root.
func stateRoots(p circuit.Preset, w *Witness) [2]fr.Element {
	h, params := &w.Header, w.Header.paramsHash(p)
	root := func(accounts, listings, count, number, pointer *big.Int) fr.Element {
		return ledger.StateRootOf(accounts, listings, count, number, pointer, params)
	}
	plus := func(n *big.Int, d int) *big.Int { return new(big.Int).Add(n, big.NewInt(int64(d))) }
	return [2]fr.Element{
		root(h.OldAccountsRoot, h.OldListingsRoot, h.OldListingCount, plus(h.BatchNumber, -1), h.OldQueuePointer),
		root(h.NewAccountsRoot, h.NewListingsRoot, plus(h.OldListingCount, w.listed()), h.BatchNumber, plus(h.OldQueuePointer, len(w.Queue))),
	}
}

// vector is effects and body as in docs/protocol/data.md.
func vector(p circuit.Preset, w *Witness) (effects, body []fr.Element) {
	h, roots := &w.Header, stateRoots(p, w)
	effects = []fr.Element{
		ledger.ToElement(h.Domain), ledger.ToElement(h.BatchNumber), roots[before], roots[after], ledger.Word(h.Epoch, 0, h.TimeMs, 64),
		h.paramsHash(p), ledger.ToElement(h.RiskRoot),
		ledger.Word(h.FirstSequence, 0, h.LastSequence, 64), ledger.ToElement(h.LogRoot), ledger.Word(h.OldQueuePointer, 0, big.NewInt(int64(len(w.Queue))), 64),
	}
	rest := make([]fr.Element, 3*p.Queue+p.Withdrawals)
	for i := range w.Queue {
		e := &w.Queue[i]
		rest[3*i] = ledger.Word(e.Kind, 0, e.Account, 8, e.Owner, 40, big.NewInt(1), 200)
		rest[3*i+1], rest[3*i+2] = ledger.ToElement(e.Amount), ledger.ToElement(e.Paid)
		if e.Kind.Int64() == entryKey {
			rest[3*i+1], rest[3*i+2] = ledger.ToElement(e.KeyX), ledger.ToElement(e.KeyY)
		}
	}
	for i := range w.Withdrawals {
		r := &w.Withdrawals[i]
		rest[3*p.Queue+i] = ledger.Word(r.Owner, 0, r.Amount, 160, r.Account, 224)
	}
	return append(effects, rest...), bodyWords(p, w)
}

func bodyWords(p circuit.Preset, w *Witness) []fr.Element {
	words := append(accountWords(p, w), orderWords(p, w)...)
	words = append(words, positionWords(p, w)...)
	listings := make([]fr.Element, p.Listings)
	for j := range w.Listings {
		listings[j] = w.Listings[j].word()
	}
	return append(words, listings...)
}

func accountWords(p circuit.Preset, w *Witness) []fr.Element {
	words := make([]fr.Element, p.Accounts)
	for i := range w.Accounts {
		r := &w.Accounts[i]
		has := func(found bool) *big.Int { return big.NewInt(int64(ledger.Bit(found))) }
		positions := slices.ContainsFunc(w.Positions, func(x Position) bool { return x.Account.Cmp(r.ID) == 0 })
		orders := slices.ContainsFunc(w.Orders, func(x Order) bool { return x.Account.Cmp(r.ID) == 0 })
		words[i] = ledger.Word(r.ID, 0, has(positions), 24, has(orders), 25, big.NewInt(r.auctionCode()), 26, ledger.Offset(r.New.Cash, 63), 28, r.New.MinNonce, 92,
			r.New.ActionNonce, 156)
	}
	return words
}

// auctionCode is what the data say of the auction: 0 unchanged, 1 ended, 2 begun, 3 begun by a forced close.
func (r *Account) auctionCode() int64 {
	const forced = 48 // bit
	switch {
	case r.New.Auction.Cmp(r.Old.Auction) == 0:
		return 0
	case r.New.Auction.Sign() == 0:
		return 1
	}
	return 2 + int64(r.New.Auction.Bit(forced))
}

// orderWords puts three rows in two cells: the rows' 435 bits one after the other, but the second row is split after 65 bits, which end the first cell,
// and the third row comes before the rest of it.
func orderWords(p circuit.Preset, w *Witness) []fr.Element {
	const rowBits, splitBits = 145, 65
	rows := make([]*big.Int, 3*((p.Orders+2)/3))
	for i := range rows {
		rows[i] = new(big.Int)
		if i < len(w.Orders) {
			r := &w.Orders[i]
			continues := i > 0 && w.Orders[i-1].Account.Cmp(r.Account) == 0
			since := new(big.Int).Sub(r.Sequence, w.Header.FirstSequence)
			rows[i] = ledger.Packed(big.NewInt(int64(ledger.Bit(continues))), 0, r.Nonce, 1, r.Revision, 65, r.filled(), 81, since, 121)
		}
	}
	var words []fr.Element
	for i := 0; i < len(rows); i += 3 {
		head := new(big.Int).And(rows[i+1], ledger.Less(ledger.Power(splitBits), 1))
		tail := new(big.Int).Rsh(rows[i+1], splitBits)
		words = append(words, ledger.Word(rows[i], 0, head, rowBits), ledger.Word(tail, 0, rows[i+2], rowBits-splitBits))
	}
	return words
}

// positionWords puts four rows in a cell.
func positionWords(p circuit.Preset, w *Witness) []fr.Element {
	const rows, rowBits = 4, 52
	words := make([]fr.Element, (p.Positions+rows-1)/rows)
	for j := range w.Positions {
		r := &w.Positions[j]
		continues := j > 0 && w.Positions[j-1].Account.Cmp(r.Account) == 0
		at := rowBits * (j % rows)
		row := ledger.Word(big.NewInt(int64(ledger.Bit(continues))), at, big.NewInt(w.tableRow(r.Instrument)), at+1, ledger.Offset(r.New, ledger.SizeBits), at+11)
		words[j/rows].Add(&words[j/rows], &row)
	}
	return words
}

// publicValues are C and the y for the witness's z and beneficiary.
func publicValues(p circuit.Preset, w *Witness) ledger.PublicValues {
	effects, body := vector(p, w)
	z := ledger.ToElement(w.Public.Z)
	yBody := ledger.EvaluateAt(body, z)
	if w.inBlob() {
		yBody = blobValue(body, w.Public.Z)
	}
	return ledger.PublicValues{
		C: ledger.ToBig(crypto.Sponge("straddle.data", append(append([]fr.Element{}, effects...), body...)...)), Z: w.Public.Z,
		YEffects: ledger.ToBig(ledger.EvaluateAt(effects, z)), YBody: ledger.ToBig(yBody), Beneficiary: w.Public.Beneficiary,
	}
}

func listingsRoot(w *Witness) fr.Element {
	words := make([]fr.Element, len(w.Listings))
	for j := range w.Listings {
		words[j] = w.Listings[j].word()
	}
	return absorbListings(ledger.ToElement(w.Header.OldListingsRoot), words)
}

// absorbListings continues a listings root with the words of a batch.
func absorbListings(root fr.Element, words []fr.Element) fr.Element {
	for group := range slices.Chunk(words, wordsAtOnce) {
		padded := make([]fr.Element, 1+wordsAtOnce)
		padded[0] = root
		copy(padded[1:], group)
		root = crypto.Sponge("straddle.listings", padded...)
	}
	return root
}
