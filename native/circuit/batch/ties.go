package batch

import (
	"math/big"
	"math/bits"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
)

// ties are the arguments between tables. Each is explained where its parts are added.
type ties struct {
	accountKeys  *argument.Lookup // account -> key, multiple, key epoch, before the batch
	minNonces    *argument.Lookup // account -> min_nonce, before the batch
	owners       *argument.Lookup // account -> owner, after the batch
	signed       *argument.Lookup // what an account has signed: (account, kind, payload)
	riskRows     *argument.Lookup // (used, instrument) -> place in the risk table, settled, payout, packed value, deltas and charges
	quotes       *argument.Lookup // instrument that expires after the batch's time -> mark, funding, band
	settlements  *argument.Lookup // (instrument, value) of the settled instruments
	sales        *argument.Lookup // account -> fraction of its portfolio that is taken over, winner; 0, 0 for other accounts
	reduced      *argument.Lookup // (account, instrument) whose position only shrinks
	covered      *argument.Lookup // accounts that pass rule (a)
	bankrupt     *argument.Lookup // seized accounts without equity on either side
	orderTerms   *argument.Lookup // order -> account, side, limit, fill, multi, reduce-only: for its legs
	cash         *argument.Total  // by account: flows of fills, takeovers and deleverages, fees, settled positions
	queueTotals  *argument.Total  // by account: deposits, number of entries
	relief       *argument.Total  // by account: what deleveraging brings in beyond the marks
	moves        *argument.Total  // by (account, instrument): lots of fills, takeovers and deleverages
	orderLegs    *argument.Total  // by order: legs word and number of legs, cost, fees
	legFills     *argument.Total  // by leg: lots, cost, fees
	riskTotals   [2]*argument.Total
	chargeTotals [2]*argument.Total
	digests      *argument.Flow // (account, old digest, new digest): from the position rows to the account row
	slots        *argument.Flow // (account, step, orders root): the chain of an account's slot updates
	rekeys       *argument.Flow // (account, key, multiple): from the queue to the account row
	actions      *argument.Flow // (account, nonce, paying, amount): from withdrawals, transfers and bids (0, 0) to the account row
	forced       *argument.Flow // (account, asked, paid): from the queue's forced withdrawals to the account row
	closes       *argument.Flow // (account, limit_bps): from the queue's forced closes to the account row
	takeovers    *argument.Flow // (account, winner, fraction, fund): from the takeover to the seized account's row
}

// Sides of an account: its state before and after the batch.
const (
	before = 0
	after  = 1
)

var sideNames = [2]string{"old", "new"}

func makeTies(b *builder) ties {
	l := b.l
	t := ties{
		accountKeys: l.Lookup("account keys"), minNonces: l.Lookup("min nonces"), owners: l.Lookup("owners"), signed: l.Lookup("signed"),
		riskRows: l.Lookup("risk rows"), quotes: l.Lookup("quotes"), settlements: l.Lookup("settlements"), sales: l.Lookup("sales"),
		reduced: l.Lookup("reduced"), covered: l.Lookup("covered"), bankrupt: l.Lookup("bankrupt"), orderTerms: l.Lookup("order terms"),
		cash: l.Total("cash", b.accounts.table), queueTotals: l.Total("queue totals", b.accounts.table),
		relief: l.Total("relief", b.accounts.table),
		moves:  l.Total("position moves", b.positions.table), orderLegs: l.Total("order legs", b.orders.table),
		legFills: l.Total("leg fills", b.legs.table),
		digests:  l.Flow("digests"), slots: l.Flow("slots"), rekeys: l.Flow("rekeys"),
		actions: l.Flow("actions"), forced: l.Flow("forced withdrawals"), closes: l.Flow("forced closes"), takeovers: l.Flow("sold portfolios"),
	}
	for side, name := range sideNames {
		t.riskTotals[side] = l.Total("risk totals "+name, b.accounts.table)
		t.chargeTotals[side] = l.Total("charge totals "+name, b.accounts.table)
	}
	return t
}

// riskPlan is how a risk row's numbers are packed for position rows: value and linear value, the deltas two by two, long and short charges, the value of
// an option short, and the payout: the value if settled.
type riskPlan struct {
	lanes     []*argument.Lanes
	totalBits int // magnitude of a total over all positions: 2^totalBits
}

const (
	sizeBits   = 40 // |size| < 2^40
	weightBits = 39 // |value|, |delta|, charges <= 2^39
)

// Indices into riskPlan.lanes.
const (
	laneValues  = 0 // value, value if linear
	laneDeltas  = 1 // Scenarios/2 elements
	laneLong    = laneDeltas + Scenarios/2
	laneShort   = laneLong + 1
	laneOption  = laneShort + 1 // value unless linear
	lanePayout  = laneOption + 1
	laneCount   = lanePayout + 1
	deltasALane = 2
)

// planRisk derives strides from what P positions can add up to; Seal checks it against the true bounds.
func planRisk(p circuit.Preset) riskPlan {
	totalBits := sizeBits + weightBits + bits.Len(uint(p.Positions))
	// holders carry L + acc and L apart: a difference of totals reaches 2^(totalBits + 1), the position rows add 2^totalBits
	bound := new(big.Int).Lsh(big.NewInt(1), uint(totalBits+2))
	plan := riskPlan{totalBits: totalBits}
	signed, unsigned := argument.SignedBits(weightBits+1), argument.Unsigned(weightBits)
	pair := func(value argument.Interval) {
		plan.lanes = append(plan.lanes, argument.PlanLanes([]argument.Interval{value, value}, []*big.Int{bound, bound})...)
	}
	pair(signed)
	for range Scenarios / deltasALane {
		pair(signed)
	}
	pair(unsigned)
	pair(unsigned)
	for range laneCount - laneOption {
		plan.lanes = append(plan.lanes, argument.PlanLanes([]argument.Interval{signed}, []*big.Int{bound})...)
	}
	if len(plan.lanes) != laneCount {
		panic("batch: too many positions for two lanes an element")
	}
	return plan
}

// values packs a risk row natively, as position rows carry it.
func (plan riskPlan) values(row *Instrument) []*big.Int {
	zero := new(big.Int)
	linear, option, payout := zero, row.Value, zero
	if row.Linear.Sign() != 0 {
		linear, option = row.Value, zero
	}
	if row.Settled.Sign() != 0 {
		payout = row.Value
	}
	packedRow := []*big.Int{plan.lanes[laneValues].Value([]*big.Int{row.Value, linear})}
	for s := 0; s < Scenarios; s += deltasALane {
		packedRow = append(packedRow, plan.lanes[laneDeltas].Value(row.Deltas[s:s+deltasALane]))
	}
	return append(packedRow,
		plan.lanes[laneLong].Value([]*big.Int{row.LongIM, row.LongMM}),
		plan.lanes[laneShort].Value([]*big.Int{row.ShortIM, row.ShortMM}), option, payout)
}
