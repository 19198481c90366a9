package batch

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

// fixture plans a batch on a small exchange of its own. A test changes the plan, as a cheating prover would, and witness() then makes everything else
// consistent with it: digests, trees, paths, signatures, roots, C and the y.
type fixture struct {
	preset      circuit.Preset
	header      Header
	public      ledger.PublicValues
	old, new    map[int64]*state
	touched     []int64
	listed      []Listing // before the batch
	listings    []Listing
	instruments []ledger.Instrument
	signatures  []*planSigned
	orders      []*planOrder
	fills       []Fill
	queue       []Entry
	withdrawals []Withdrawal
	transfers   []Transfer
	takeovers   []Takeover
	deleverages []Deleverage
	cancels     map[int64]int  // account -> signature
	closed      map[int64]bool // touched accounts without position rows

	// cheats that no honest plan needs
	keepSlots   map[int64]bool                   // keep the new slots of the plan instead of what the orders make
	positionsOf func(rows []Position) []Position // change the position rows
	accountRows func(rows []Account) []Account   // change the account rows
	slotOf      func(row *Order) *SlotState      // what an order writes to its slot instead of the rule's
	legRows     func(rows []Leg) []Leg           // change the leg rows
}

// state is one side of an account.
type state struct {
	multipleOf            *big.Int // the secret whose multiple the leaf holds; nil: the key's
	owner                 *big.Int
	secret                *big.Int // nil: no key
	keyEpoch              int64
	cash                  *big.Int
	positions             map[int64]*big.Int
	slots                 map[uint64]SlotState
	minNonce, actionNonce int64
	flags, auction        int64
}

type planSigned struct {
	account, kind int64
	payload       *big.Int     // of an order set: made from orders
	orders        []*planOrder // of an order set
	secret        *big.Int     // nil: the account's old key
	domain        *big.Int     // nil: the header's
	keyEpoch      *int64       // nil: the account's
}

type planOrder struct {
	*Order
	legs []Leg // without their order row
	set  int   // signature
	at   int   // place in the set
}

func num(n int64) *big.Int { return big.NewInt(n) }

func (s *state) copy() *state {
	c := *s
	c.cash = new(big.Int).Set(s.cash)
	c.positions = map[int64]*big.Int{}
	for k, v := range s.positions {
		c.positions[k] = new(big.Int).Set(v)
	}
	c.slots = map[uint64]SlotState{}
	for k, v := range s.slots {
		c.slots[k] = v
	}
	return &c
}

func newState(owner int64, secret *big.Int) *state {
	return &state{owner: num(owner), secret: secret, cash: num(0), positions: map[int64]*big.Int{}, slots: map[uint64]SlotState{}}
}

func (s *state) slotTree(depth int) *crypto.Tree {
	tree := crypto.NewTree(depth, crypto.Compress(fr.Element{}, fr.Element{}))
	for index, slot := range s.slots {
		tree.Set(index, slot.leaf())
	}
	return tree
}

func (s *state) instruments() []int64 {
	var ids []int64
	for id := range s.positions {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (s *state) leaf(depth int) ledger.Leaf {
	l := *ledger.NullAccount(depth)
	l.Owner, l.KeyEpoch, l.Cash, l.MinNonce, l.ActionNonce = s.owner, num(s.keyEpoch), s.cash, num(s.minNonce), num(s.actionNonce)
	l.Flags, l.Auction = num(s.flags), num(s.auction)
	if s.secret != nil {
		key := crypto.PublicKey(s.secret)
		multiple := crypto.Multiple(&key)
		if s.multipleOf != nil {
			other := crypto.PublicKey(s.multipleOf)
			multiple = crypto.Multiple(&other)
		}
		l.KeyX, l.KeyY, l.MultipleX, l.MultipleY = ledger.ToBig(key.X), ledger.ToBig(key.Y), ledger.ToBig(multiple.X), ledger.ToBig(multiple.Y)
	}
	digest := ledger.EmptyPositions()
	for _, id := range s.instruments() {
		digest = ledger.PositionStep(digest, num(id), s.positions[id])
	}
	l.PositionsDigest = ledger.ToBig(digest)
	l.OrdersRoot = ledger.ToBig(s.slotTree(depth).Root())
	return l
}

func (s *state) size(id int64) *big.Int {
	if q, ok := s.positions[id]; ok {
		return q
	}
	return num(0)
}

func (s *state) move(id int64, lots *big.Int) { s.positions[id] = new(big.Int).Add(s.size(id), lots) }

// Accounts and instruments of the plan.
const (
	rich, repairing, reducing, bystander, fresh, spreader = 3, 4, 5, 6, 7, 11
	perpetual, expired, retired                           = 5, 6, 7
	signOrders3, signOrders4, signOrders5, signOrders11   = 0, 1, 2, 3
	signWithdrawal, signCancel                            = 4, 5
)

// newFixture plans an honest batch that uses every selector: margin rules a, b and c, a created account, a key change and a revocation, a cancel, a
// withdrawal, a slot continued, replaced and used first, a listing, a settlement and a retirement, combinations against each other and against outright
// orders, reduce-only orders, long and short positions opened, closed, settled and left alone; and leaves padding rows. planActions adds the rest.
func newFixture(t testing.TB, p circuit.Preset, seed int64) *fixture {
	t.Helper()
	for try := range int64(500) {
		f := planFixture(p, rand.New(rand.NewSource(seed*1000+try)))
		if f.settleCash() && f.settleActions() {
			return f
		}
	}
	t.Fatal("no seed gives every margin rule")
	return nil
}

func planFixture(p circuit.Preset, rnd *rand.Rand) *fixture {
	f := &fixture{preset: p, old: map[int64]*state{}, new: map[int64]*state{}, cancels: map[int64]int{}, closed: map[int64]bool{}, keepSlots: map[int64]bool{}}
	f.header = Header{Domain: num(rnd.Int63()), BatchNumber: num(7), Epoch: num(3), TimeMs: num(1_590_103_200_000), FirstSequence: num(40), LastSequence: num(90),
		LogRoot: num(rnd.Int63()), KIm: num(10_000), KMm: num(8_000), DiscountBps: num(500), AuctionMs: num(600_000),
		RiskDigest: num(rnd.Int63()), OldQueuePointer: num(11)}
	f.public = ledger.PublicValues{Z: ledger.ToBig(crypto.Sponge("test", fr.NewElement(rnd.Uint64()))),
		Beneficiary: new(big.Int).Sub(ledger.Power(160), num(1+rnd.Int63n(1000)))}
	f.planMarket(rnd)
	f.planAccounts(rnd)
	f.planOrders(rnd)
	f.planFills(rnd)
	f.settle(expired)
	f.planRequests()
	f.touched = []int64{feeAccount, rich, repairing, reducing, fresh, spreader}
	f.planActions(rnd)
	return f
}

func (f *fixture) planMarket(rnd *rand.Rand) {
	listing := func(id, kind int64) Listing {
		return Listing{num(id), num(kind), num(1), num(1_600_000_000_000 + id), num(900_000 + id), num(50), num(10), num(1 << 30)}
	}
	for id := int64(1); id <= expired; id++ {
		r := ledger.Instrument{ID: num(id), ExpiryMs: num(1_600_000_000_000 + id), Linear: num(0), Settled: num(0), Value: num(1000 + rnd.Int63n(500_000)),
			Funding: num(0), Band: num(5000), LongIM: num(rnd.Int63n(50)), ShortIM: num(100 + rnd.Int63n(2000))}
		if id == perpetual {
			r.Linear, r.Funding, r.ExpiryMs = num(1), num(-rnd.Int63n(90_000)-1), ledger.Less(ledger.Power(48), 1)
			r.Value = num(-rnd.Int63n(1000))
		}
		for s := range ledger.Scenarios {
			delta := rnd.Int63n(3000) - 1500
			if id == perpetual { // long, it hedges a short position in instrument 3, so that closing it raises the requirement
				delta = f.instruments[2].Deltas[s].Int64()*8/10 + rnd.Int63n(100)
			}
			r.Deltas = append(r.Deltas, num(delta))
		}
		if id == expired {
			r.Settled, r.ExpiryMs, r.Band, r.LongIM, r.ShortIM = num(1), ledger.Less(f.header.TimeMs, 60_000), num(0), num(0), num(0)
			r.Deltas = ledger.NullInstrument().Deltas
		}
		r.LongMM, r.ShortMM = num(r.LongIM.Int64()*8/10), num(r.ShortIM.Int64()*8/10)
		f.instruments = append(f.instruments, r)
	}
	for id := int64(1); id <= retired; id++ {
		f.listed = append(f.listed, listing(id, 1+id%2))
	}
	settlement := Listing{num(expired), num(kindSettlement), num(1), num(0), f.instruments[expired-1].Value, num(0), num(0), num(0)}
	retirement := Listing{num(retired), num(kindRetirement), num(1), num(0), num(0), num(0), num(0), num(0)}
	f.listings = []Listing{listing(8, 3), settlement, retirement, listing(9, 4)}
}

func (f *fixture) planAccounts(rnd *rand.Rand) {
	secret := func() *big.Int { return num(1 + rnd.Int63()) }
	f.old[feeAccount] = newState(0xfee, nil)
	f.old[2] = newState(0x2, nil)
	for id := int64(rich); id <= bystander; id++ {
		f.old[id] = newState(1000+id, secret())
		f.old[id].keyEpoch = rnd.Int63n(3)
	}
	f.old[fresh] = newState(0, nil)
	f.old[spreader] = newState(1000+spreader, secret())
	f.old[rich].positions = map[int64]*big.Int{1: num(-400), 2: num(50), 4: num(70), expired: num(-20)}
	f.old[spreader].positions, f.old[spreader].cash = map[int64]*big.Int{expired: num(20)}, num(1<<45)
	f.old[repairing].positions = map[int64]*big.Int{3: num(-500 - rnd.Int63n(100)), perpetual: num(600)}
	f.old[reducing].positions = map[int64]*big.Int{1: num(300)}
	f.old[rich].cash, f.old[feeAccount].cash = num(1<<50), num(5)
	f.old[rich].actionNonce, f.old[repairing].minNonce = 3, 2
	f.old[rich].slots = map[uint64]SlotState{1: {num(17), num(0), num(5)}, 2: {num(2), num(4), num(9)}}
	for id, s := range f.old {
		f.new[id] = s.copy()
	}
}

func (f *fixture) funding(id int64) *big.Int {
	for i := range f.instruments {
		if f.instruments[i].ID.Int64() == id {
			return f.instruments[i].Funding
		}
	}
	return num(0)
}

// settle declares an instrument settled: what the plan's accounts held of it turns into cash.
func (f *fixture) settle(instrument int64) {
	r := &f.instruments[instrument-1]
	r.Settled = num(1)
	if r.ExpiryMs.Cmp(f.header.TimeMs) > 0 {
		r.ExpiryMs = f.header.TimeMs
	}
	for id, s := range f.new {
		if _, held := s.positions[instrument]; held && !f.closed[id] {
			s.cash.Add(s.cash, new(big.Int).Mul(f.old[id].size(instrument), r.Value))
			s.positions[instrument] = num(0)
		}
	}
}

func (f *fixture) planRequests() {
	f.signatures = append(f.signatures,
		&planSigned{account: rich, kind: kindWithdrawal, payload: new(big.Int).Add(num(4), new(big.Int).Lsh(num(777), 64))},
		&planSigned{account: repairing, kind: kindCancel, payload: num(21)})
	f.withdrawals = []Withdrawal{{num(rich), f.old[rich].owner, num(777), num(4), signWithdrawal}}
	f.new[rich].actionNonce = 4
	f.new[rich].cash.Sub(f.new[rich].cash, num(777))
	f.cancels[repairing] = signCancel
	f.new[repairing].minNonce = 21

	secret := num(987654321)
	key := crypto.PublicKey(secret)
	f.queue = []Entry{
		{num(entryDeposit), num(fresh), num(1007), num(5_000_000), num(0), num(0), num(0)},
		{num(entryKey), num(rich), f.old[rich].owner, num(0), num(0), ledger.ToBig(key.X), ledger.ToBig(key.Y)},
		{num(entryKey), num(repairing), f.old[repairing].owner, num(0), num(0), num(0), num(0)},
	}
	f.new[fresh].owner = num(1007)
	f.new[fresh].cash = num(5_000_000)
	f.new[rich].secret, f.new[rich].keyEpoch = secret, f.old[rich].keyEpoch+1
	f.new[repairing].secret, f.new[repairing].keyEpoch = nil, f.old[repairing].keyEpoch+1
}

// settleCash sets the cash of the accounts in trouble such that the one passes by rule b only, the other by rule c only; false if the random numbers
// do not allow it.
func (f *fixture) settleCash() bool {
	r, k := f.judge(repairing), f.judge(reducing)
	if r.roomRise.Sign() < 0 || r.initialRise.Sign() <= 0 || k.equityRise.Sign() < 0 || k.initialRise.Sign() > 0 || r.initial.Cmp(r.maintenance) <= 0 {
		return false
	}
	middle := new(big.Int).Add(r.initial, r.maintenance)
	f.shiftCash(repairing, new(big.Int).Sub(middle.Div(middle, num(2)), r.equity))
	f.shiftCash(reducing, new(big.Int).Sub(new(big.Int).Sub(k.maintenance, num(1000)), k.equity))
	r, k = f.judge(repairing), f.judge(reducing)
	return r.equity.Cmp(r.initial) < 0 && k.equity.Cmp(k.maintenance) < 0
}

func (f *fixture) shiftCash(id int64, by *big.Int) {
	f.old[id].cash.Add(f.old[id].cash, by)
	f.new[id].cash.Add(f.new[id].cash, by)
}

type verdict struct{ equity, initial, maintenance, roomRise, equityRise, initialRise *big.Int }

// judge computes the margin of an account's plan in whole micro-dollars, rounded.
func (f *fixture) judge(id int64) verdict {
	filler := &filler{w: &Witness{Positions: f.positionRows(id)}, instruments: map[string]*ledger.Instrument{}}
	for i := range f.instruments {
		filler.instruments[f.instruments[i].ID.String()] = &f.instruments[i]
	}
	var equity, initial [2]*big.Int
	var maintenance *big.Int
	for side, s := range []*state{f.old[id], f.new[id]} {
		t := filler.totals(num(id), side)
		equity[side] = new(big.Int).Add(s.cash, t.Value)
		need := func(k, charge *big.Int) *big.Int {
			n := new(big.Int).Mul(k, t.Loss)
			return n.Add(n.Div(n, num(ledger.BpsInWhole)), charge)
		}
		initial[side], maintenance = need(f.header.KIm, t.ChargeIM), need(f.header.KMm, t.ChargeMM)
	}
	sub := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	return verdict{equity[after], initial[after], maintenance, sub(sub(equity[after], initial[after]), sub(equity[before], initial[before])),
		sub(equity[after], equity[before]), sub(initial[after], initial[before])}
}

func (f *fixture) positionRows(id int64) (rows []Position) {
	ids := append(f.old[id].instruments(), f.new[id].instruments()...)
	slices.Sort(ids)
	for _, instrument := range slices.Compact(ids) {
		rows = append(rows, Position{num(id), num(instrument), f.old[id].size(instrument), f.new[id].size(instrument)})
	}
	return rows
}
