package solvency

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// standing is what a witness says of one account.
type standing struct {
	totals      *ledger.Totals
	claim, debt *big.Int
	below       bool
	shortfall   *big.Int // times 10^4; 0 unless below
}

// standing computes an account's margin natively, apart from the circuit.
func (w *Witness) standing(id *big.Int, leaf *ledger.Leaf, instruments ledger.Instruments) *standing {
	s := &standing{totals: ledger.NewTotals(), shortfall: new(big.Int)}
	for j := range w.Positions {
		if r := &w.Positions[j]; r.Account.Cmp(id) == 0 {
			s.totals.Add(r.Size, instruments.Get(r.Instrument))
		}
	}
	equity := new(big.Int).Add(leaf.Cash, s.totals.Value)
	s.claim, s.debt = ledger.Parts(equity)
	gap := s.totals.Requirement(w.Header.KMm, s.totals.ChargeMM)
	gap.Sub(gap, new(big.Int).Mul(equity, big.NewInt(ledger.BpsInWhole)))
	if s.below = gap.Sign() > 0; s.below {
		s.shortfall = gap
	}
	return s
}

func (w *Witness) standings(chunk circuit.Chunk) []*standing {
	instruments, all := ledger.ByID(w.Instruments), make([]*standing, len(w.Accounts))
	for p := range all {
		all[p] = w.standing(account(chunk, w.Header.Chunk, p), &w.Accounts[p], instruments)
	}
	return all
}

// net is the sum of the sizes in an instrument.
func (w *Witness) net(instrument *big.Int) *big.Int {
	net := new(big.Int)
	for j := range w.Positions {
		if w.Positions[j].Instrument.Cmp(instrument) == 0 {
			net.Add(net, w.Positions[j].Size)
		}
	}
	return net
}

// fill makes the circuit's cells: the rows given, padding rows, and every derived cell. It judges nothing; the solver does.
func fill(chunk circuit.Chunk, w *Witness) *Circuit {
	c, h := New(chunk), &w.Header
	c.Public = w.Public.Cells()
	c.Private.Header = HeaderRow{
		Domain: h.Domain, Chunk: h.Chunk, AccountsRoot: h.AccountsRoot, ListingsRoot: h.ListingsRoot, ListingCount: h.ListingCount,
		BatchNumber: h.BatchNumber, QueuePointer: h.QueuePointer, KIm: h.KIm, KMm: h.KMm, DiscountBps: h.DiscountBps, AuctionMs: h.AuctionMs,
		RiskDigest: h.RiskDigest, RiskRoot: h.RiskRoot,
	}
	for level, sibling := range w.Path {
		c.Private.Path[level] = sibling
	}
	for p, s := range w.standings(chunk) {
		leaf := &w.Accounts[p]
		_, has := w.digest(account(chunk, h.Chunk, p))
		c.Private.Accounts[p] = AccountRow{Leaf: leaf.Cells(), Auction: leaf.Auction, HasPositions: ledger.Bit(has), Margin: s.totals.Cells(),
			Claim: s.claim, Debt: s.debt, Below: ledger.Bit(s.below)}
	}
	for i := range c.Private.Instruments {
		r, used := ledger.NullInstrument(), i < len(w.Instruments)
		c.Private.Nets[i] = 0
		if used {
			r = &w.Instruments[i]
			c.Private.Nets[i] = w.net(r.ID)
		}
		c.Private.Instruments[i] = r.Cells(used, false)
	}
	fillPositions(ledger.PlanRisk(chunk.Positions), w, c.Private.Positions)
	return c
}

func fillPositions(plan ledger.RiskPlan, w *Witness, rows []PositionRow) {
	instruments, digest := ledger.ByID(w.Instruments), fr.Element{}
	unused := Position{new(big.Int), new(big.Int), new(big.Int)}
	for j := range rows {
		r, used := &unused, j < len(w.Positions)
		if used {
			r = &w.Positions[j]
		}
		continues := used && j > 0 && w.Positions[j-1].Account.Cmp(r.Account) == 0
		if !continues {
			digest = ledger.EmptyPositions()
		}
		digest = crypto.Compress(digest, ledger.Word(r.Instrument, 0, ledger.Offset(r.Size, ledger.SizeBits), 32))
		long, short := ledger.Parts(r.Size)
		risk := rows[j].Risk
		rows[j] = PositionRow{ledger.Bit(used), r.Account, r.Instrument, ledger.Bit(continues), long, short, ledger.ToBig(digest), risk}
		for k, value := range plan.Values(instruments.Get(r.Instrument)) {
			risk[k] = value
		}
	}
}

// vector is effects and body as in docs/protocol/solvency.md.
func vector(chunk circuit.Chunk, w *Witness) (effects, body []fr.Element) {
	h, accounts := &w.Header, w.standings(chunk)
	params := ledger.ParamsHashOf(chunk.Preset, h.KIm, h.KMm, h.DiscountBps, h.AuctionMs, h.RiskDigest)
	state := ledger.StateRootOf(h.AccountsRoot, h.ListingsRoot, h.ListingCount, h.BatchNumber, h.QueuePointer, params)
	cash, claims, debts, below, shortfall, fund := ledger.Power(sumBits-1), new(big.Int), new(big.Int), new(big.Int), new(big.Int), new(big.Int)
	lines := make([]fr.Element, len(accounts))
	for p, s := range accounts {
		id, leaf := account(chunk, h.Chunk, p), &w.Accounts[p]
		cash.Add(cash, leaf.Cash)
		claims.Add(claims, s.claim)
		debts.Add(debts, s.debt)
		below.Add(below, big.NewInt(int64(ledger.Bit(s.below))))
		shortfall.Add(shortfall, s.shortfall)
		if id.Cmp(big.NewInt(fundAccount)) == 0 {
			fund = ledger.Offset(new(big.Int).Sub(s.claim, s.debt), sumBits-1)
		}
		if leaf.Owner.Sign() != 0 {
			lines[p] = ledger.Word(leaf.Owner, 0, s.claim, 160, id, 224)
		}
	}
	effects = append([]fr.Element{
		ledger.ToElement(h.Domain), state, ledger.ToElement(h.RiskRoot), ledger.Word(h.Chunk, 0, big.NewInt(int64(chunk.K)), accountBits),
		ledger.Word(cash, 0, claims, sumBits), ledger.Word(debts, 0, below, sumBits, shortfall, sumBits+32), ledger.ToElement(fund),
	}, lines...)
	return effects, netWords(chunk, w)
}

func netWords(chunk circuit.Chunk, w *Witness) []fr.Element {
	const rows = 4
	words := make([]fr.Element, (chunk.Preset.Instruments+rows-1)/rows)
	for i := range w.Instruments {
		net := new(big.Int)
		if w.Instruments[i].Settled.Sign() == 0 {
			net = w.net(w.Instruments[i].ID)
		}
		row := ledger.Word(ledger.Offset(net, netBits-1), netBits*(i%rows))
		words[i/rows].Add(&words[i/rows], &row)
	}
	return words
}

// publicValues are C and the y for the witness's z and beneficiary.
func publicValues(chunk circuit.Chunk, w *Witness) ledger.PublicValues {
	effects, body := vector(chunk, w)
	return publicOf(effects, body, w)
}

func publicOf(effects, body []fr.Element, w *Witness) ledger.PublicValues {
	z := ledger.ToElement(w.Public.Z)
	return ledger.PublicValues{
		C: ledger.ToBig(crypto.Sponge(tag, append(append([]fr.Element{}, effects...), body...)...)), Z: w.Public.Z,
		YEffects: ledger.ToBig(ledger.EvaluateAt(effects, z)), YBody: ledger.ToBig(ledger.EvaluateAt(body, z)), Beneficiary: w.Public.Beneficiary,
	}
}
