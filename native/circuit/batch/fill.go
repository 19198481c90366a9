package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
	"straddle/native/circuit/ledger"
)

// filler makes the circuit's cells from a witness: the rows given, padding rows, and every derived cell. It judges nothing; the solver does.
type filler struct {
	preset      circuit.Preset
	plan        ledger.RiskPlan
	w           *Witness
	c           *Circuit
	accounts    map[string]*Account
	instruments ledger.Instruments
}

// fill assigns a circuit. The witness must have passed shape.
func fill(p circuit.Preset, w *Witness) *Circuit {
	f := &filler{preset: p, plan: ledger.PlanRisk(p.Positions), w: w, c: New(p), accounts: map[string]*Account{}, instruments: ledger.ByID(w.Instruments)}
	for i := range w.Accounts {
		f.accounts[w.Accounts[i].ID.String()] = &w.Accounts[i]
	}
	f.c.Public, f.c.Blob = w.Public.Cells(), w.inBlob()
	f.fillHeader()
	f.fillInstruments()
	f.fillListings()
	f.fillPositions()
	f.fillAccounts()
	f.fillSignatures()
	f.fillOrders()
	f.fillLegs()
	f.fillFills()
	f.fillQueue()
	f.fillWithdrawals()
	f.fillTransfers()
	f.fillTakeovers()
	f.fillDeleverages()
	return f.c
}

func (f *filler) fillHeader() {
	h := &f.w.Header
	f.c.Private.Header = HeaderRow{
		Domain: h.Domain, BatchNumber: h.BatchNumber, Epoch: h.Epoch, TimeMs: h.TimeMs, FirstSequence: h.FirstSequence, LastSequence: h.LastSequence,
		LogRoot: h.LogRoot, KIm: h.KIm, KMm: h.KMm, DiscountBps: h.DiscountBps, AuctionMs: h.AuctionMs, RiskDigest: h.RiskDigest,
		OldAccountsRoot: h.OldAccountsRoot, NewAccountsRoot: h.NewAccountsRoot, OldListingsRoot: h.OldListingsRoot, NewListingsRoot: h.NewListingsRoot,
		OldListingCount: h.OldListingCount, OldQueuePointer: h.OldQueuePointer, RiskRoot: h.RiskRoot,
	}
}

func (f *filler) fillInstruments() {
	for i := range f.c.Private.Instruments {
		r, used := ledger.NullInstrument(), i < len(f.w.Instruments)
		if used {
			r = &f.w.Instruments[i]
		}
		f.c.Private.Instruments[i] = r.Cells(used, used && r.ExpiryMs.Cmp(f.w.Header.TimeMs) > 0)
	}
}

func (f *filler) fillListings() {
	for j := range f.c.Private.Listings {
		row := &f.c.Private.Listings[j]
		*row = ListingRow{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if j >= len(f.w.Listings) {
			continue
		}
		r := &f.w.Listings[j]
		kind := r.Kind.Int64()
		*row = ListingRow{1, ledger.Bit(kind <= kindListings), ledger.Bit(kind == kindSettlement), ledger.Bit(kind == kindRetirement), r.ID, 0, r.ExpiryMs,
			r.StrikeTicks, r.TickTicks, r.MinLots, r.PositionCapLots}
		if kind <= kindListings {
			row.Kind = kind - 1
		}
	}
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
		row.Used, row.Account, row.Instrument, row.Continues = ledger.Bit(used), r.Account, r.Instrument, ledger.Bit(continues)
		for side := range sideNames {
			if !continues {
				digest[side] = ledger.EmptyPositions()
			}
			long, short := ledger.Parts(r.size(side))
			digest[side] = ledger.PositionStep(digest[side], r.Instrument, r.size(side))
			row.Sides[side] = SideFields{long, short, ledger.ToBig(digest[side])}
		}
		instrument := f.instruments.Get(r.Instrument)
		row.TableRow, row.Settled, row.WasShort = f.w.tableRow(r.Instrument), instrument.Settled, ledger.Bit(r.Old.Sign() < 0)
		for k, value := range f.plan.Values(instrument) {
			row.Risk[k] = value
		}
		row.Fraction, row.Winner = f.sale(r.Account)
		row.Sliced, row.Rest = f.slice(r)
		shrinks := r.Old.Sign()*r.New.Sign() >= 0 && r.New.CmpAbs(r.Old) <= 0
		row.Reduced = ledger.Bit(used && shrinks)
	}
}

// sale is the fraction of an account's portfolio that is taken over, and by whom; 0, 0 if none is.
func (f *filler) sale(account *big.Int) (fraction, winner *big.Int) {
	for i := range f.w.Takeovers {
		if r := &f.w.Takeovers[i]; r.Account.Cmp(account) == 0 {
			return r.FractionBps, r.Winner
		}
	}
	return new(big.Int), new(big.Int)
}

// slice is how many lots of a position a takeover moves, and the rest of the division.
func (f *filler) slice(r *Position) (lots, rest *big.Int) {
	if f.instruments.Get(r.Instrument).Settled.Sign() != 0 {
		return new(big.Int), new(big.Int)
	}
	fraction, _ := f.sale(r.Account)
	product := new(big.Int).Mul(fraction, new(big.Int).Abs(r.Old))
	return new(big.Int).QuoRem(product, big.NewInt(ledger.BpsInWhole), new(big.Int))
}

// digests are the positions digests of an account by its position rows, and whether it has any.
func (f *filler) digests(account *big.Int) (digest [2]fr.Element, has bool) {
	digest = [2]fr.Element{ledger.EmptyPositions(), ledger.EmptyPositions()}
	for j := range f.w.Positions {
		if r := &f.w.Positions[j]; r.Account.Cmp(account) == 0 {
			has = true
			for side := range digest {
				digest[side] = ledger.PositionStep(digest[side], r.Instrument, r.size(side))
			}
		}
	}
	return digest, has
}
