package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// ties are the arguments between tables. Each is explained where its parts are added.
type ties struct {
	accountKeys *argument.Lookup     // account -> key, multiple, key epoch, before the batch
	minNonces   *argument.Lookup     // account -> min_nonce, before the batch
	owners      *argument.Lookup     // account -> owner, after the batch
	signed      *argument.Lookup     // what an account has signed: (account, kind, payload)
	riskRows    *argument.Lookup     // (used, instrument) -> place in the risk table, settled, payout, packed value, deltas and charges
	quotes      *argument.Lookup     // instrument that expires after the batch's time -> mark, funding, band
	settlements *argument.Lookup     // (instrument, value) of the settled instruments
	sales       *argument.Lookup     // account -> fraction of its portfolio that is taken over, winner; 0, 0 for other accounts
	reduced     *argument.Lookup     // (account, instrument) whose position only shrinks
	covered     *argument.Lookup     // accounts that pass rule (a)
	bankrupt    *argument.Lookup     // seized accounts without equity on either side
	orderTerms  *argument.Lookup     // order -> account, side, limit, fill, multi, reduce-only: for its legs
	cash        *argument.Total      // by account: flows of fills, takeovers and deleverages, fees, settled positions
	queueTotals *argument.Total      // by account: deposits, number of entries
	relief      *argument.Total      // by account: what deleveraging brings in beyond the marks
	moves       *argument.Total      // by (account, instrument): lots of fills, takeovers and deleverages
	orderLegs   *argument.Total      // by order: legs word and number of legs, cost, fees
	legFills    *argument.Total      // by leg: lots, cost, fees
	risk        [2]ledger.RiskTotals // by account: what its positions add up to
	digests     *argument.Flow       // (account, old digest, new digest): from the position rows to the account row
	slots       *argument.Flow       // (account, step, orders root): the chain of an account's slot updates
	rekeys      *argument.Flow       // (account, key, multiple): from the queue to the account row
	actions     *argument.Flow       // (account, nonce, paying, amount): from withdrawals, transfers and bids (0, 0) to the account row
	forced      *argument.Flow       // (account, asked, paid): from the queue's forced withdrawals to the account row
	closes      *argument.Flow       // (account, limit_bps): from the queue's forced closes to the account row
	takeovers   *argument.Flow       // (account, winner, fraction, fund): from the takeover to the seized account's row
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
		t.risk[side] = ledger.NewRiskTotals(l, " "+name, b.accounts.table)
	}
	return t
}
