package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"

	"straddle/native/circuit/ledger"
	"straddle/native/circuit/schnorr"
	"straddle/native/crypto"
)

// paddingSecret signs the signatures of unused rows. It guards nothing.
var paddingSecret = big.NewInt(7)

func (f *filler) fillSignatures() {
	zero := new(big.Int)
	padding := Signed{Account: zero, Kind: zero, Payload: zero}
	sig := crypto.Sign(paddingSecret, message(f.w.Header.Domain, &padding, zero))
	key := crypto.PublicKey(paddingSecret)
	for i := range f.c.Private.Signatures {
		row := &f.c.Private.Signatures[i]
		if i >= len(f.w.Signatures) {
			multiple := crypto.Multiple(&key)
			*row = SignatureRow{0, 0, 0, 0, ledger.ToBig(key.X), ledger.ToBig(key.Y), ledger.ToBig(multiple.X), ledger.ToBig(multiple.Y), 0, schnorr.Assign(sig)}
			continue
		}
		r := &f.w.Signatures[i]
		old := f.oldLeaf(r.Account)
		point := te.PointAffine{X: ledger.ToElement(r.RX), Y: ledger.ToElement(r.RY)}
		*row = SignatureRow{1, r.Account, r.Kind, r.Payload, old.KeyX, old.KeyY, old.MultipleX, old.MultipleY, old.KeyEpoch,
			schnorr.Assign(crypto.Signature{R: point, S: r.S})}
	}
}

// oldLeaf is an account's leaf before the batch; that of an account without a row is the null leaf.
func (f *filler) oldLeaf(id *big.Int) *ledger.Leaf {
	if r, ok := f.accounts[id.String()]; ok {
		return &r.Old
	}
	return ledger.NullAccount(f.preset.SlotDepth)
}

// message is what a signature covers.
func message(domain *big.Int, s *Signed, keyEpoch *big.Int) [crypto.MessageWords]fr.Element {
	return [crypto.MessageWords]fr.Element(ledger.Elements([]*big.Int{domain, s.Kind, s.Account, keyEpoch, s.Payload, new(big.Int)}))
}

func (f *filler) fillQueue() {
	for i := range f.c.Private.Queue {
		row := &f.c.Private.Queue[i]
		*row = QueueRow{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if i >= len(f.w.Queue) {
			continue
		}
		e := &f.w.Queue[i]
		kind, multiple := e.Kind.Int64(), crypto.Multiple(&te.PointAffine{X: ledger.ToElement(e.KeyX), Y: ledger.ToElement(e.KeyY)})
		*row = QueueRow{Used: 1, IsDeposit: ledger.Bit(kind == entryDeposit), IsKey: ledger.Bit(kind == entryKey),
			IsWithdrawal: ledger.Bit(kind == entryForceWithdraw),
			IsClose:      ledger.Bit(kind == entryForceClose), Account: e.Account, Owner: e.Owner, Amount: e.Amount, Paid: e.Paid, KeyX: e.KeyX, KeyY: e.KeyY,
			MultipleX: ledger.ToBig(multiple.X), MultipleY: ledger.ToBig(multiple.Y)}
	}
}

func (f *filler) fillWithdrawals() {
	for i := range f.c.Private.Withdrawals {
		row := &f.c.Private.Withdrawals[i]
		*row = WithdrawalRow{0, 0, 0, 0, 0}
		if i < len(f.w.Withdrawals) {
			r := &f.w.Withdrawals[i]
			*row = WithdrawalRow{1, r.Account, r.Owner, r.Amount, r.Nonce}
		}
	}
}

func (f *filler) fillTransfers() {
	for i := range f.c.Private.Transfers {
		row := &f.c.Private.Transfers[i]
		*row = TransferRow{0, 0, 0, 0, 0, 0}
		if i < len(f.w.Transfers) {
			r := &f.w.Transfers[i]
			*row = TransferRow{1, r.Account, r.To, f.oldLeaf(r.Account).Owner, r.Amount, r.Nonce}
		}
	}
}

func (f *filler) fillTakeovers() {
	for i := range f.c.Private.Takeovers {
		row := &f.c.Private.Takeovers[i]
		*row = TakeoverRow{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if i < len(f.w.Takeovers) {
			r := &f.w.Takeovers[i]
			bid := r.Signature >= 0
			*row = TakeoverRow{1, ledger.Bit(bid), ledger.Bit(!bid), r.Account, r.Winner, r.FractionBps, r.Payment, r.Limit, r.ExpiryMs, r.Nonce}
		}
	}
}

func (f *filler) fillDeleverages() {
	for i := range f.c.Private.Deleverages {
		row := &f.c.Private.Deleverages[i]
		*row = DeleverageRow{0, 0, 0, 0, 0, 0, 0, 0, 0}
		if i < len(f.w.Deleverages) {
			r := &f.w.Deleverages[i]
			quote := f.instruments.Get(r.Instrument)
			*row = DeleverageRow{1, r.Account, r.Winner, r.Instrument, quote.Mark(), quote.Funding, quote.Band, r.Size, r.Price}
		}
	}
}
