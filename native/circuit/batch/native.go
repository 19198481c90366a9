package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
	"straddle/native/crypto"
)

// The vector and the roots of a witness, computed natively and apart from the circuit.

func paramsHash(p circuit.Preset, h *Header) fr.Element {
	return crypto.Sponge("straddle.params", fr.NewElement(uint64(p.AccountDepth)), fr.NewElement(uint64(p.SlotDepth)),
		toElement(h.KIm), toElement(h.KMm), toElement(h.RiskDigest))
}

// stateRoots are the old and the new state root.
func stateRoots(p circuit.Preset, w *Witness) [2]fr.Element {
	h, params := &w.Header, paramsHash(p, &w.Header)
	root := func(accounts, listings, count, number, pointer *big.Int) fr.Element {
		return crypto.Sponge("straddle.state", toElement(accounts), toElement(listings), toElement(count), toElement(number), toElement(pointer), params)
	}
	plus := func(n *big.Int, d int) *big.Int { return new(big.Int).Add(n, big.NewInt(int64(d))) }
	return [2]fr.Element{
		root(h.OldAccountsRoot, h.OldListingsRoot, h.OldListingCount, plus(h.BatchNumber, -1), h.OldQueuePointer),
		root(h.NewAccountsRoot, h.NewListingsRoot, plus(h.OldListingCount, len(w.Listings)), h.BatchNumber, plus(h.OldQueuePointer, len(w.Queue))),
	}
}

// vector is effects and body as in docs/protocol/data.md.
func vector(p circuit.Preset, w *Witness) (effects, body []fr.Element) {
	h, roots := &w.Header, stateRoots(p, w)
	effects = []fr.Element{
		toElement(h.Domain), toElement(h.BatchNumber), roots[before], roots[after], word(h.Epoch, 0, h.TimeMs, 64), paramsHash(p, h), toElement(h.RiskRoot),
		word(h.FirstSequence, 0, h.LastSequence, 64), toElement(h.LogRoot), word(h.OldQueuePointer, 0, big.NewInt(int64(len(w.Queue))), 64),
	}
	rest := make([]fr.Element, 3*p.Queue+p.Withdrawals)
	for i := range w.Queue {
		e := &w.Queue[i]
		rest[3*i] = word(e.Kind, 0, e.Account, 8, e.Owner, 40, big.NewInt(1), 200)
		rest[3*i+1], rest[3*i+2] = toElement(e.Amount), toElement(e.KeyY)
		if e.Kind.Int64() == entryKey {
			rest[3*i+1] = toElement(e.KeyX)
		}
	}
	for i := range w.Withdrawals {
		r := &w.Withdrawals[i]
		rest[3*p.Queue+i] = word(r.Owner, 0, r.Amount, 160, r.Account, 224)
	}
	return append(effects, rest...), bodyWords(p, w)
}

func bodyWords(p circuit.Preset, w *Witness) []fr.Element {
	accounts := make([]fr.Element, p.Accounts)
	for i := range w.Accounts {
		r := &w.Accounts[i]
		accounts[i] = word(r.ID, 0, offset(r.New.Cash, 63), 32, r.New.MinNonce, 96, r.New.WithdrawalNonce, 160)
	}
	orders := make([]fr.Element, p.Orders)
	for i := range w.Orders {
		r := &w.Orders[i]
		orders[i] = word(r.Account, 0, r.Nonce, 32, r.Revision, 96, r.filled(), 112, r.Sequence, 152)
	}
	positions := make([]fr.Element, p.Positions/2)
	for j := range w.Positions {
		r := &w.Positions[j]
		row := word(r.Account, 105*(j%2), r.Instrument, 105*(j%2)+32, offset(r.New, 40), 105*(j%2)+64)
		positions[j/2].Add(&positions[j/2], &row)
	}
	listings := make([]fr.Element, p.Listings)
	for j := range w.Listings {
		listings[j] = w.Listings[j].word()
	}
	body := append(accounts, orders...)
	return append(append(body, positions...), listings...)
}

func evaluate(words []fr.Element, z fr.Element) (y fr.Element) {
	for i := len(words) - 1; i >= 0; i-- {
		y.Mul(&y, &z)
		y.Add(&y, &words[i])
	}
	return y
}

// publicValues are C and the y for the witness's z and beneficiary.
func publicValues(p circuit.Preset, w *Witness) PublicValues {
	effects, body := vector(p, w)
	z := toElement(w.Public.Z)
	return PublicValues{
		C: toBig(crypto.Sponge("straddle.data", append(append([]fr.Element{}, effects...), body...)...)), Z: w.Public.Z,
		YEffects: toBig(evaluate(effects, z)), YBody: toBig(evaluate(body, z)), Beneficiary: w.Public.Beneficiary,
	}
}

// riskRoot hashes the risk table from the new listings root on.
func riskRoot(w *Witness) fr.Element {
	root := toElement(w.Header.NewListingsRoot)
	for i := range w.Instruments {
		root = crypto.Sponge("straddle.risk", append([]fr.Element{root}, w.Instruments[i].words()...)...)
	}
	return root
}

func listingsRoot(w *Witness) fr.Element {
	root := toElement(w.Header.OldListingsRoot)
	for j := range w.Listings {
		root = crypto.Compress(root, w.Listings[j].word())
	}
	return root
}
