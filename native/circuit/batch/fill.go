package batch

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
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

// nullInstrument is what unused rows hold and what an instrument without a row counts as.
func nullInstrument() *Instrument {
	zero := new(big.Int)
	r := &Instrument{zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, make([]*big.Int, Scenarios)}
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
		tradable := used && r.ExpiryMs.Cmp(f.w.Header.TimeMs) > 0
		*row = InstrumentRow{Used: bit(used), ID: r.ID, ExpiryMs: r.ExpiryMs, Linear: r.Linear, Settled: r.Settled, Tradable: bit(tradable),
			Value: r.Value, Funding: r.Funding, Band: r.Band,
			LongIM: r.LongIM, LongMM: r.LongMM, ShortIM: r.ShortIM, ShortMM: r.ShortMM}
		for s := range row.Deltas {
			row.Deltas[s] = r.Deltas[s]
		}
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
		*row = ListingRow{1, bit(kind <= kindListings), bit(kind == kindSettlement), bit(kind == kindRetirement), r.ID, 0, r.ExpiryMs, r.StrikeTicks,
			r.TickTicks, r.MinLots, r.PositionCapLots}
		if kind <= kindListings {
			row.Kind = kind - 1
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
		instrument := f.instrument(r.Instrument)
		row.TableRow, row.Settled, row.WasShort = f.w.tableRow(r.Instrument), instrument.Settled, bit(r.Old.Sign() < 0)
		for k, value := range f.plan.values(instrument) {
			row.Risk[k] = value
		}
		row.Fraction, row.Winner = f.sale(r.Account)
		row.Sliced, row.Rest = f.slice(r)
		shrinks := r.Old.Sign()*r.New.Sign() >= 0 && r.New.CmpAbs(r.Old) <= 0
		row.Reduced = bit(used && shrinks)
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
	if f.instrument(r.Instrument).Settled.Sign() != 0 {
		return new(big.Int), new(big.Int)
	}
	fraction, _ := f.sale(r.Account)
	product := new(big.Int).Mul(fraction, new(big.Int).Abs(r.Old))
	return new(big.Int).QuoRem(product, big.NewInt(bpsInWhole), new(big.Int))
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
