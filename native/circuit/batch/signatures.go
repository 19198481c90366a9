package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/schnorr"
	"straddle/native/crypto"
)

// Signatures prove:
//  1. (domain, kind, account, key epoch, payload, 0) is signed under the key of the row (schnorr).
//  2. In a used row, key, multiple and key epoch are those of the account row before the batch; an unset key verifies nothing.
//  3. Unused rows hold some valid signature and give nothing.

// Kinds of signed messages (docs/protocol/messages.md); kind 4, a protection, is the engine's.
const (
	kindOrderSet   = 1
	kindWithdrawal = 2
	kindCancel     = 3
	kindTransfer   = 5
	kindBid        = 6
)

// SignatureRow is one signature.
type SignatureRow struct {
	Used, Account, Kind, Payload               variable
	KeyX, KeyY, MultipleX, MultipleY, KeyEpoch variable
	Signature                                  schnorr.Signature
}

type signatureTable struct {
	rows                                       []SignatureRow
	used, account, kind, payload               argument.Column
	keyX, keyY, multipleX, multipleY, keyEpoch argument.Column
}

func allocateSignatures(l *argument.Layer, rows []SignatureRow) signatureTable {
	t := l.Table("signatures", len(rows))
	element := func(name string, get func(*SignatureRow) variable) argument.Column {
		return t.Field(name, ledger.Column(rows, get))
	}
	return signatureTable{
		rows: rows, used: t.Bool("used", ledger.Column(rows, func(r *SignatureRow) variable { return r.Used })),
		account:   t.Bits("account", 32, ledger.Column(rows, func(r *SignatureRow) variable { return r.Account })),
		kind:      t.Bits("kind", 8, ledger.Column(rows, func(r *SignatureRow) variable { return r.Kind })),
		payload:   element("payload", func(r *SignatureRow) variable { return r.Payload }),
		keyX:      element("key_x", func(r *SignatureRow) variable { return r.KeyX }),
		keyY:      element("key_y", func(r *SignatureRow) variable { return r.KeyY }),
		multipleX: element("multiple_x", func(r *SignatureRow) variable { return r.MultipleX }),
		multipleY: element("multiple_y", func(r *SignatureRow) variable { return r.MultipleY }),
		keyEpoch:  t.Bits("key_epoch", 32, ledger.Column(rows, func(r *SignatureRow) variable { return r.KeyEpoch })),
	}
}

func (b *builder) stateSignatures(gadget *schnorr.Gadget) {
	t, l := &b.signatures, b.l
	l.Group("signatures: valid")
	for i := range t.rows {
		key := schnorr.Point{X: t.keyX[i].Raw(), Y: t.keyY[i].Raw()}
		multiple := schnorr.Point{X: t.multipleX[i].Raw(), Y: t.multipleY[i].Raw()}
		message := [crypto.MessageWords]variable{b.header.domain.Raw(), t.kind[i].Raw(), t.account[i].Raw(), t.keyEpoch[i].Raw(), t.payload[i].Raw(), 0}
		gadget.Verify(key, multiple, message, t.rows[i].Signature)
	}
	l.Group("signatures: the account's key")
	for i, used := range t.used {
		b.ties.accountKeys.Require(used, l.Tuple(t.account[i], t.keyX[i], t.keyY[i], t.multipleX[i], t.multipleY[i], t.keyEpoch[i]))
		b.ties.signed.Provide(used, l.Tuple(t.account[i], t.kind[i], t.payload[i]))
	}
}
