package solvency

import (
	"math/big"
	"math/rand"
	"slices"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// fixture plans a small exchange and one chunk of it. A test changes the plan, as a cheating prover would, and witness() makes everything else
// consistent with it: digests, trees, path, roots, C and the y.
type fixture struct {
	chunk       circuit.Chunk
	header      Header
	public      ledger.PublicValues
	accounts    map[int64]*planned
	instruments []ledger.Instrument
	positionsOf func(rows []Position) []Position // change the position rows
}

// planned is an account of the plan.
type planned struct {
	owner     int64
	cash      *big.Int
	positions map[int64]*big.Int
	auction   int64
	nonce     int64
	zeroSize  int64 // an instrument that the digest holds with size 0: no honest leaf has one
}

// Accounts and instruments of the plan. Account 0 and 7 do not exist; 8 and 9 lie in the next chunk.
const (
	fees, fund, rich, broke, thin, other, elsewhere = 1, 2, 3, 4, 5, 6, 9
	call, put, perpetual, expired, future           = 1, 2, 3, 4, 6
)

func num(n int64) *big.Int { return big.NewInt(n) }

func mustChunk(name string) circuit.Chunk {
	chunk, err := circuit.ChunkByName(name)
	if err != nil {
		panic(err)
	}
	return chunk
}

// newFixture plans an honest chunk 0 of nano: options held long and short, a perpetual, a future, a settled option, an account of negative equity, one
// below maintenance margin, one in auction, the insurance fund with a position, null places, and padding rows.
func newFixture(seed int64) *fixture {
	rnd := rand.New(rand.NewSource(seed))
	f := &fixture{chunk: mustChunk("nano-solvency"), accounts: map[int64]*planned{}}
	f.header = Header{Domain: num(rnd.Int63()), Chunk: num(0), ListingsRoot: ledger.ToBig(crypto.Sponge("test", fr.NewElement(7))), ListingCount: num(9),
		BatchNumber: num(41), QueuePointer: num(77), KIm: num(10_000), KMm: num(8_000), DiscountBps: num(500), AuctionMs: num(600_000),
		RiskDigest: num(rnd.Int63())}
	f.public = ledger.PublicValues{Z: ledger.ToBig(crypto.Sponge("test", fr.NewElement(rnd.Uint64()))),
		Beneficiary: ledger.Less(ledger.Power(160), 1+rnd.Int63n(1000))}
	f.planInstruments(rnd)
	positions := map[int64]map[int64]int64{
		fees: {}, fund: {perpetual: 12}, rich: {call: -400, put: 50, future: 70, expired: -20}, broke: {call: 300, perpetual: -600},
		thin: {put: -250, future: -70, expired: 15}, other: {call: 60, put: 200, perpetual: 588}, 8: {}, elsewhere: {call: 40, expired: 5},
	}
	for id, sizes := range positions {
		a := &planned{owner: 1000 + id, cash: num(1 << 40), positions: map[int64]*big.Int{}, nonce: 7919 * id}
		for instrument, size := range sizes {
			a.positions[instrument] = num(size)
		}
		f.accounts[id] = a
	}
	f.accounts[fees].owner, f.accounts[fund].owner = 0x0b, 0x0b
	f.accounts[thin].auction = 1_590_000_000_000
	f.setEquity(broke, num(-1_234_567))
	f.setEquity(thin, new(big.Int).Div(f.maintenance(thin), num(2*ledger.BpsInWhole)))
	return f
}

func (f *fixture) planInstruments(rnd *rand.Rand) {
	for _, id := range []int64{call, put, perpetual, expired, future} {
		r := *ledger.NullInstrument()
		r.ID, r.ExpiryMs, r.Value = num(id), num(1_600_000_000_000+id), num(1000+rnd.Int63n(500_000))
		r.Deltas = slices.Clone(r.Deltas)
		if id != expired {
			r.Band, r.LongIM, r.ShortIM, r.LongMM, r.ShortMM = num(5000), num(rnd.Int63n(50)), num(100+rnd.Int63n(2000)), num(rnd.Int63n(40)), num(80+rnd.Int63n(90))
			for s := range r.Deltas {
				r.Deltas[s] = num(rnd.Int63n(3000) - 1500)
			}
		}
		switch id {
		case expired:
			r.Settled, r.ExpiryMs = num(1), num(1_500_000_000_000)
		case perpetual:
			r.Linear, r.Value, r.Funding, r.ExpiryMs = num(1), num(-rnd.Int63n(1000)-1), num(-rnd.Int63n(90_000)), ledger.Less(ledger.Power(48), 1)
		case future:
			r.Linear = num(1)
		}
		f.instruments = append(f.instruments, r)
	}
}

func (f *fixture) totals(id int64) *ledger.Totals {
	t, instruments := ledger.NewTotals(), ledger.ByID(f.instruments)
	for instrument, size := range f.accounts[id].positions {
		t.Add(size, instruments.Get(num(instrument)))
	}
	return t
}

// setEquity sets an account's cash so that it has this equity.
func (f *fixture) setEquity(id int64, equity *big.Int) {
	f.accounts[id].cash = new(big.Int).Sub(equity, f.totals(id).Value)
}

// maintenance is 10^4 MM.
func (f *fixture) maintenance(id int64) *big.Int {
	t := f.totals(id)
	return t.Requirement(f.header.KMm, t.ChargeMM)
}

// instrument finds a row of the plan.
func (f *fixture) instrument(id int64) *ledger.Instrument {
	return &f.instruments[slices.IndexFunc(f.instruments, func(r ledger.Instrument) bool { return r.ID.Cmp(num(id)) == 0 })]
}

func (a *planned) instruments() (ids []int64) {
	for id := range a.positions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (a *planned) leaf(slotDepth int) ledger.Leaf {
	l := *ledger.NullAccount(slotDepth)
	l.Owner, l.Cash, l.ActionNonce, l.Auction = num(a.owner), a.cash, num(a.nonce), num(a.auction)
	key := crypto.PublicKey(num(1 + a.nonce))
	multiple := crypto.Multiple(&key)
	l.KeyX, l.KeyY, l.MultipleX, l.MultipleY = ledger.ToBig(key.X), ledger.ToBig(key.Y), ledger.ToBig(multiple.X), ledger.ToBig(multiple.Y)
	digest := ledger.EmptyPositions()
	for _, id := range a.instruments() {
		digest = ledger.PositionStep(digest, num(id), a.positions[id])
	}
	if a.zeroSize != 0 {
		digest = crypto.Compress(digest, ledger.Word(num(a.zeroSize), 0, ledger.Power(ledger.SizeBits), 32))
	}
	l.PositionsDigest = ledger.ToBig(digest)
	return l
}

// exit turns the plan to the exit circuit, for one account.
func (f *fixture) exit(id int64) *fixture {
	f.chunk, f.header.Chunk = mustChunk("nano-exit"), num(id)
	return f
}

// witness makes everything that follows from the plan.
func (f *fixture) witness() *Witness {
	depth := f.chunk.Preset
	w := &Witness{Preset: f.chunk.Name, Header: f.header, Public: f.public, Positions: []Position{}, Instruments: f.instruments}
	null := *ledger.NullAccount(depth.SlotDepth)
	tree := crypto.NewTree(depth.AccountDepth, null.Hash())
	for id, a := range f.accounts {
		l := a.leaf(depth.SlotDepth)
		tree.Set(uint64(id), l.Hash())
	}
	first := account(f.chunk, f.header.Chunk, 0).Int64()
	for id := first; id < first+int64(f.chunk.Accounts()); id++ {
		a, ok := f.accounts[id]
		if !ok {
			w.Accounts = append(w.Accounts, null)
			continue
		}
		w.Accounts = append(w.Accounts, a.leaf(depth.SlotDepth))
		for _, instrument := range a.instruments() {
			w.Positions = append(w.Positions, Position{num(id), num(instrument), a.positions[instrument]})
		}
	}
	if f.positionsOf != nil {
		w.Positions = f.positionsOf(w.Positions)
	}
	for _, sibling := range tree.Path(uint64(first))[f.chunk.K:] {
		w.Path = append(w.Path, ledger.ToBig(sibling))
	}
	w.Header.AccountsRoot = ledger.ToBig(tree.Root())
	w.Header.RiskRoot = ledger.ToBig(ledger.RiskRoot(w.Header.ListingsRoot, w.Instruments))
	w.Public = publicValues(f.chunk, w)
	return w
}

// TestFixtureStands: the plan has what its comments say.
func TestFixtureStands(t *testing.T) {
	f := newFixture(1)
	w := f.witness()
	all := w.standings(f.chunk)
	if all[broke].debt.Cmp(num(1_234_567)) != 0 || all[broke].claim.Sign() != 0 || !all[broke].below {
		t.Errorf("negative account: %+v", all[broke])
	}
	if !all[thin].below || all[thin].claim.Sign() <= 0 {
		t.Errorf("thin account: %+v", all[thin])
	}
	if all[rich].below || all[other].below || all[0].below || all[7].below || all[rich].totals.Loss.Sign() == 0 {
		t.Error("an account is below that should not be, or the rich one risks nothing")
	}
	if len(w.Positions) >= f.chunk.Positions || len(w.Instruments) >= f.chunk.Preset.Instruments {
		t.Error("no padding rows")
	}
}
