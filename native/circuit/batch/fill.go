package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"

	"straddle/native/circuit"
	"straddle/native/circuit/schnorr"
	"straddle/native/crypto"
)

// Kinds of queue entries.
const (
	entryDeposit = 1
	entryKey     = 2
)

// filler makes the circuit's cells from a witness: the rows given, padding rows, and every derived cell. It judges nothing; the solver does.
type filler struct {
	preset      circuit.Preset
	plan        riskPlan
	w           *Witness
	c           *Circuit
	accounts    map[string]*Account
	instruments map[string]*Instrument
}

// fill assigns a circuit. The witness must have passed shape.
func fill(p circuit.Preset, w *Witness) *Circuit {
	f := &filler{preset: p, plan: planRisk(p), w: w, c: New(p), accounts: map[string]*Account{}, instruments: map[string]*Instrument{}}
	for i := range w.Accounts {
		f.accounts[w.Accounts[i].ID.String()] = &w.Accounts[i]
	}
	for i := range w.Instruments {
		f.instruments[w.Instruments[i].ID.String()] = &w.Instruments[i]
	}
	f.c.Public = Public{w.Public.C, w.Public.Z, w.Public.YEffects, w.Public.YBody, w.Public.Beneficiary}
	f.fillHeader()
	f.fillInstruments()
	f.fillListings()
	f.fillPositions()
	f.fillAccounts()
	f.fillSignatures()
	f.fillOrders()
	f.fillFills()
	f.fillQueue()
	f.fillWithdrawals()
	return f.c
}

func (f *filler) fillHeader() {
	h := &f.w.Header
	f.c.Private.Header = HeaderRow{
		Domain: h.Domain, BatchNumber: h.BatchNumber, Epoch: h.Epoch, TimeMs: h.TimeMs, FirstSequence: h.FirstSequence, LastSequence: h.LastSequence,
		LogRoot: h.LogRoot, KIm: h.KIm, KMm: h.KMm, RiskDigest: h.RiskDigest,
		OldAccountsRoot: h.OldAccountsRoot, NewAccountsRoot: h.NewAccountsRoot, OldListingsRoot: h.OldListingsRoot, NewListingsRoot: h.NewListingsRoot,
		OldListingCount: h.OldListingCount, OldQueuePointer: h.OldQueuePointer, RiskRoot: h.RiskRoot,
	}
}

// nullInstrument is what unused rows hold and what an instrument without a row counts as.
func nullInstrument() *Instrument {
	zero := new(big.Int)
	r := &Instrument{zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, make([]*big.Int, Scenarios)}
	for s := range r.Deltas {
		r.Deltas[s] = zero
	}
	return r
}

func (f *filler) instrument(id *big.Int) *Instrument {
	if r, ok := f.instruments[id.String()]; ok {
		return r
	}
	return nullInstrument()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (f *filler) fillInstruments() {
	for i := range f.c.Private.Instruments {
		r, used := nullInstrument(), i < len(f.w.Instruments)
		if used {
			r = &f.w.Instruments[i]
		}
		row := &f.c.Private.Instruments[i]
		*row = InstrumentRow{Used: bit(used), ID: r.ID, ExpiryMs: r.ExpiryMs, Linear: r.Linear, Value: r.Value, Funding: r.Funding, Band: r.Band,
			LongIM: r.LongIM, LongMM: r.LongMM, ShortIM: r.ShortIM, ShortMM: r.ShortMM}
		for s := range row.Deltas {
			row.Deltas[s] = r.Deltas[s]
		}
	}
}

func (f *filler) fillListings() {
	for j := range f.c.Private.Listings {
		row := &f.c.Private.Listings[j]
		*row = ListingRow{0, 0, 0, 0, 0, 0, 0}
		if j < len(f.w.Listings) {
			r := &f.w.Listings[j]
			*row = ListingRow{1, r.Kind, r.ExpiryMs, r.StrikeTicks, r.TickTicks, r.MinLots, r.PositionCapLots}
		}
	}
}

// parts are the long and the short part of a size.
func parts(size *big.Int) (long, short *big.Int) {
	if size.Sign() >= 0 {
		return size, new(big.Int)
	}
	return new(big.Int), new(big.Int).Neg(size)
}

func (r *Position) size(side int) *big.Int {
	if side == before {
		return r.Old
	}
	return r.New
}

func (f *filler) fillPositions() {
	digest := [2]fr.Element{}
	unused := Position{new(big.Int), new(big.Int), new(big.Int), new(big.Int)}
	for j := range f.c.Private.Positions {
		r, used := &unused, j < len(f.w.Positions)
		if used {
			r = &f.w.Positions[j]
		}
		row := &f.c.Private.Positions[j]
		continues := used && j > 0 && f.w.Positions[j-1].Account.Cmp(r.Account) == 0
		row.Used, row.Account, row.Instrument, row.Continues = bit(used), r.Account, r.Instrument, bit(continues)
		for side := range sideNames {
			if !continues {
				digest[side] = emptyPositions()
			}
			long, short := parts(r.size(side))
			digest[side] = positionStep(digest[side], r.Instrument, r.size(side))
			row.Sides[side] = SideFields{long, short, toBig(digest[side])}
		}
		for k, value := range f.plan.values(f.instrument(r.Instrument)) {
			row.Risk[k] = value
		}
	}
}

// digests are the positions digests of an account by its position rows, and whether it has any.
func (f *filler) digests(account *big.Int) (digest [2]fr.Element, has bool) {
	digest = [2]fr.Element{emptyPositions(), emptyPositions()}
	for j := range f.w.Positions {
		if r := &f.w.Positions[j]; r.Account.Cmp(account) == 0 {
			has = true
			for side := range digest {
				digest[side] = positionStep(digest[side], r.Instrument, r.size(side))
			}
		}
	}
	return digest, has
}

func leafCells(r *Leaf) LeafFields {
	return LeafFields{r.Owner, r.KeyX, r.KeyY, r.MultipleX, r.MultipleY, r.KeyEpoch, r.Cash, r.PositionsDigest, r.OrdersRoot, r.MinNonce,
		r.WithdrawalNonce, r.Flags, r.Auction}
}

func (f *filler) fillAccounts() {
	null := Account{ID: new(big.Int), Old: *nullAccount(f.preset.SlotDepth), New: *nullAccount(f.preset.SlotDepth), CancelSignature: -1}
	for i := range f.c.Private.Accounts {
		r, used := &null, i < len(f.w.Accounts)
		if used {
			r = &f.w.Accounts[i]
		}
		row := &f.c.Private.Accounts[i]
		row.Used, row.ID = bit(used), r.ID
		row.Sides = [2]LeafFields{leafCells(&r.Old), leafCells(&r.New)}
		for level := range row.Path {
			row.Path[level] = 0
			if used {
				row.Path[level] = r.Path[level]
			}
		}
		f.fillAccountTies(row, r)
		f.fillMargin(row, r)
	}
}

// fillAccountTies fills flags and sums that tie the row to other tables.
func (f *filler) fillAccountTies(row *AccountRow, r *Account) {
	deposits, withdrawn, entries, steps, withdrawing := new(big.Int), new(big.Int), 0, 0, false
	rekeyed := false
	for i := range f.w.Queue {
		if e := &f.w.Queue[i]; e.Account.Cmp(r.ID) == 0 {
			deposits.Add(deposits, e.Amount)
			entries++
			rekeyed = rekeyed || e.Kind.Int64() == entryKey
		}
	}
	for i := range f.w.Withdrawals {
		if e := &f.w.Withdrawals[i]; e.Account.Cmp(r.ID) == 0 {
			withdrawing, withdrawn = true, e.Amount
		}
	}
	for i := range f.w.Orders {
		if f.w.Orders[i].Account.Cmp(r.ID) == 0 {
			steps++
		}
	}
	_, has := f.digests(r.ID)
	row.Created, row.Rekeyed = bit(r.Old.Owner.Sign() == 0 && r.New.Owner.Sign() != 0), bit(rekeyed)
	row.Cancelled, row.Withdrawing, row.HasPositions = bit(r.CancelSignature >= 0), bit(withdrawing), bit(has)
	row.Deposits, row.Entries, row.Withdrawn, row.Steps = deposits, entries, withdrawn, steps
}

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
			*row = SignatureRow{0, 0, 0, 0, toBig(key.X), toBig(key.Y), toBig(multiple.X), toBig(multiple.Y), 0, schnorr.Assign(sig)}
			continue
		}
		r := &f.w.Signatures[i]
		old := f.oldLeaf(r.Account)
		point := te.PointAffine{X: toElement(r.RX), Y: toElement(r.RY)}
		*row = SignatureRow{1, r.Account, r.Kind, r.Payload, old.KeyX, old.KeyY, old.MultipleX, old.MultipleY, old.KeyEpoch,
			schnorr.Assign(crypto.Signature{R: point, S: r.S})}
	}
}

// oldLeaf is an account's leaf before the batch; that of an account without a row is the null leaf.
func (f *filler) oldLeaf(id *big.Int) *Leaf {
	if r, ok := f.accounts[id.String()]; ok {
		return &r.Old
	}
	return nullAccount(f.preset.SlotDepth)
}

// message is what a signature covers.
func message(domain *big.Int, s *Signed, keyEpoch *big.Int) [crypto.MessageWords]fr.Element {
	return [crypto.MessageWords]fr.Element(elements([]*big.Int{domain, s.Kind, s.Account, keyEpoch, s.Payload, new(big.Int)}))
}

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
		Instrument: zero, Side: zero, FeeCap: zero, Flags: zero, SlotOld: SlotState{zero, zero, zero}, SlotPath: zeros(f.preset.SlotDepth),
		Fill: zero, Fee: zero, Sequence: zero}
	r.OrdersRootOld = toBig(crypto.Fold(r.SlotOld.leaf(), 0, elements(r.SlotPath)))
	r.OrdersRootNew = toBig(crypto.Fold(r.slot().leaf(), 0, elements(r.SlotPath)))
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
		if used {
			r = &f.w.Orders[i]
		}
		continues := used && i > 0 && f.w.Orders[i-1].Account.Cmp(r.Account) == 0
		row := &f.c.Private.Orders[i]
		*row = OrderRow{
			Used: bit(used), Account: r.Account, Step: r.Step, Continues: bit(continues),
			Nonce: r.Nonce, Revision: r.Revision, ExpiryMs: r.ExpiryMs, Size: r.Size, Limit: r.Limit, Instrument: r.Instrument,
			Side: r.Side, FeeCap: r.FeeCap, Flags: r.Flags,
			SetRoot:   toBig(crypto.Fold(r.leaf(), r.SetIndex.Uint64(), elements(r.SetPath))),
			MinNonce:  f.oldLeaf(r.Account).MinNonce,
			SlotNonce: r.SlotOld.Nonce, SlotRevision: r.SlotOld.Revision, SlotFilled: r.SlotOld.Filled, Same: bit(r.same()),
			SlotBits: bitsOf(r.slotIndex(f.preset.SlotDepth), f.preset.SlotDepth), SlotPath: make([]variable, f.preset.SlotDepth),
			RootBefore: r.OrdersRootOld, RootAfter: r.OrdersRootNew, Fill: r.Fill, Fee: r.Fee, Sequence: r.Sequence,
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

func (f *filler) fillFills() {
	for i := range f.c.Private.Fills {
		row := &f.c.Private.Fills[i]
		*row = FillRow{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if i >= len(f.w.Fills) {
			continue
		}
		r := &f.w.Fills[i]
		taker, maker := &f.w.Orders[r.Taker], &f.w.Orders[r.Maker]
		quote := f.instrument(taker.Instrument)
		*row = FillRow{1, r.Taker, r.Maker, taker.Account, maker.Account, taker.Limit, maker.Limit, taker.Instrument, taker.Side,
			quote.ExpiryMs, quote.mark(), quote.Funding, quote.Band, r.Price, r.Size, r.TakerFee, r.MakerFee}
	}
}

func (f *filler) fillQueue() {
	for i := range f.c.Private.Queue {
		row := &f.c.Private.Queue[i]
		*row = QueueRow{0, 0, 0, 0, 0, 0, 0, 0, 0}
		if i >= len(f.w.Queue) {
			continue
		}
		e := &f.w.Queue[i]
		multiple := crypto.Multiple(&te.PointAffine{X: toElement(e.KeyX), Y: toElement(e.KeyY)})
		*row = QueueRow{1, bit(e.Kind.Int64() == entryKey), e.Account, e.Owner, e.Amount, e.KeyX, e.KeyY, toBig(multiple.X), toBig(multiple.Y)}
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
