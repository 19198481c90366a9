package batch

import (
	"math/big"

	"straddle/native/circuit/ledger"
)

// ruleOf makes an account row claim one rule.
func ruleOf(row int, rule byte) func(c *Private) {
	return func(c *Private) {
		r := &c.Accounts[row]
		r.RuleA, r.RuleB, r.RuleC = ledger.Bit(rule == 'a'), ledger.Bit(rule == 'b'), ledger.Bit(rule == 'c')
	}
}

// setEquity moves the account's cash on both sides so that its new equity is the given number.
func setEquity(f *fixture, id int64, equity *big.Int) {
	f.shiftCash(id, new(big.Int).Sub(equity, f.judge(id).equity))
}

// ceiling is the least whole number of micro-dollars that is at least the requirement k L + charge of an account's new side.
func ceiling(f *fixture, id int64, k *big.Int, maintenance bool) *big.Int {
	filler := &filler{w: &Witness{Positions: f.positionRows(id)}, instruments: map[string]*ledger.Instrument{}}
	for i := range f.instruments {
		filler.instruments[f.instruments[i].ID.String()] = &f.instruments[i]
	}
	t := filler.totals(num(id), after)
	charge := t.ChargeIM
	if maintenance {
		charge = t.ChargeMM
	}
	n := new(big.Int).Mul(k, t.Loss)
	n.Add(n, num(ledger.BpsInWhole-1)).Div(n, num(ledger.BpsInWhole))
	return n.Add(n, charge)
}

// repriceAgainst makes an account's fills of outright orders as bad for it as limits and band allow.
func repriceAgainst(f *fixture, id int64) {
	for i := range f.fills {
		taker, _ := f.legOrder(f.fills[i].Taker)
		maker, _ := f.legOrder(f.fills[i].Maker)
		if len(taker.legs)+len(maker.legs) > 2 {
			continue
		}
		switch id {
		case taker.Account.Int64():
			f.reprice(i, taker.Limit)
		case maker.Account.Int64():
			f.reprice(i, maker.Limit)
		}
	}
}

// useUpRoom charges the repairing account fees such that its room falls by so much; its equity ends between the requirements.
func useUpRoom(f *fixture, fall int64) {
	rise := f.judge(repairing).roomRise
	f.book(&f.fills[4], -1)
	f.fills[4].TakerFee = total(f.fills[4].TakerFee, rise, fall)
	f.orders[repairBuys3].FeeCap = ledger.Power(31)
	f.book(&f.fills[4], 1)
	setEquity(f, repairing, ledger.Less(f.judge(repairing).initial, 1))
}

func cheatsMarginRule() []cheat {
	return []cheat{
		{name: "rule a fails", want: "range of margin: rule", plan: func(f *fixture) {
			dropWithdrawal(f)
			setEquity(f, rich, ledger.Less(ceiling(f, rich, f.header.KIm, false), 1))
		}},
		{name: "control rule a holds exactly", plan: func(f *fixture) {
			dropWithdrawal(f)
			setEquity(f, rich, ceiling(f, rich, f.header.KIm, false))
		}},
		{name: "rule b fails its second part", want: "range of margin: rule", cells: ruleOf(rowRepairing, 'b'), plan: func(f *fixture) {
			setEquity(f, repairing, ledger.Less(ceiling(f, repairing, f.header.KMm, true), 1))
		}},
		{name: "control rule b holds exactly", cells: ruleOf(rowRepairing, 'b'), plan: func(f *fixture) {
			setEquity(f, repairing, ceiling(f, repairing, f.header.KMm, true))
		}},
		{name: "rule b fails its first part", want: "range of margin: rule", cells: ruleOf(rowRepairing, 'b'), plan: func(f *fixture) {
			repriceAgainst(f, repairing)
		}},
		{name: "rule b with a micro-dollar of fees too many", want: "range of margin: rule", cells: ruleOf(rowRepairing, 'b'), plan: func(f *fixture) {
			useUpRoom(f, 1)
		}},
		{name: "control rule b with fees that leave the room as it was", cells: ruleOf(rowRepairing, 'b'), plan: func(f *fixture) { useUpRoom(f, 0) }},
		{name: "rule c fails its first part", want: "range of margin: rule", cells: ruleOf(rowReducing, 'c'), plan: func(f *fixture) { repriceAgainst(f, reducing) }},
		{name: "rule c fails its second part", want: "range of margin: rule", cells: ruleOf(rowRepairing, 'c')},
		{name: "rule a claimed for b", want: "range of margin: rule", cells: ruleOf(rowRepairing, 'a')},
		{name: "rule b claimed for c", want: "range of margin: rule", cells: ruleOf(rowReducing, 'b')},
		{name: "no rule", want: "margin: rule", cells: ruleOf(rowReducing, '-')},
		{name: "two rules", want: "margin: rule", cells: func(c *Private) { c.Accounts[rowFresh].RuleC = 1 }},
		{name: "half a rule each", want: "allocation", cells: func(c *Private) {
			r, half := &c.Accounts[rowReducing], new(big.Int).ModInverse(num(2), modulusOf())
			r.RuleA, r.RuleB, r.RuleC = 0, half, half
		}},
		{name: "old side without the deposits", want: "range of margin: rule", plan: func(f *fixture) { // a deposit must not count as an improvement
			f.book(&f.fills[0], -1)
			f.book(&f.fills[1], -1)
			f.fills[0].Price, f.fills[1].Price = f.orders[reduceSells1].Limit, f.orders[reduceSells1].Limit
			f.book(&f.fills[0], 1)
			f.book(&f.fills[1], 1)
			f.queue = append(f.queue, Entry{num(entryDeposit), num(reducing), f.old[reducing].owner, num(300_000), num(0), num(0), num(0)})
			f.new[reducing].cash.Add(f.new[reducing].cash, num(300_000))
			f.new[reducing].auction = 0 // with the deposit it may not be below
		}, cells: ruleOf(rowReducing, 'c')},
		{name: "withdrawal below initial margin", want: "margin: rule", plan: func(f *fixture) {
			f.withdrawals = append(f.withdrawals, Withdrawal{num(reducing), f.old[reducing].owner, num(5), num(1), len(f.signatures)})
			f.signatures = append(f.signatures, &planSigned{account: reducing, kind: kindWithdrawal, payload: new(big.Int).Add(num(1), new(big.Int).Lsh(num(5), 64))})
			f.new[reducing].actionNonce = 1
			f.new[reducing].cash = total(f.new[reducing].cash, -5)
		}, cells: ruleOf(rowReducing, 'c')},
		{name: "withdrawal of unsettled value", want: "range of accounts: forced withdrawals", plan: func(f *fixture) { settledTo(f, -1) }},
		{name: "control withdrawal of all that is settled", plan: func(f *fixture) { settledTo(f, 0) }},
	}
}

// settledTo gives the withdrawing account long options worth a lot and the given settled cash.
func settledTo(f *fixture, settled int64) {
	for _, side := range []map[int64]*state{f.old, f.new} {
		side[rich].move(4, num(1_000_000))
	}
	filler := &filler{w: &Witness{Positions: f.positionRows(rich)}, instruments: map[string]*ledger.Instrument{}}
	for i := range f.instruments {
		filler.instruments[f.instruments[i].ID.String()] = &f.instruments[i]
	}
	t := filler.totals(num(rich), after)
	now := total(f.new[rich].cash, t.Linear, new(big.Int).Neg(t.ShortOptions))
	f.shiftCash(rich, new(big.Int).Sub(num(settled), now))
}

func modulusOf() *big.Int { return new(big.Int).Add(ledger.ToBig(ledger.ToElement(num(-1))), num(1)) }

// shiftLoss adds to the scan loss and to every surplus of one side of a row.
func shiftLoss(row, side int, by *big.Int) func(c *Private) {
	return func(c *Private) {
		m := &c.Accounts[row].Margin[side]
		m.ScanLoss = total(m.ScanLoss, by)
		for s := range m.Surplus {
			m.Surplus[s] = total(m.Surplus[s], by)
		}
	}
}

// carry moves 2^stride from lane 0 to lane 1 of the first pair of deltas.
func carry(row, side int, sign int64) func(c *Private) {
	return func(c *Private) {
		plan := ledger.PlanRisk(mustPreset("nano").Positions)
		stride := plan.Lanes[ledger.LaneDeltas].Shifts[1]
		m := &c.Accounts[row].Margin[side]
		m.Surplus[0] = total(m.Surplus[0], new(big.Int).Mul(num(sign), ledger.Power(stride)))
		m.Surplus[1] = total(m.Surplus[1], -sign)
	}
}

func cheatsMarginTotals() []cheat {
	const exact, risk, charge = "margin: exact scan loss", "sum risk totals ", "sum charge totals "
	return []cheat{
		{name: "scan loss inflated old", want: exact, cells: shiftLoss(rowReducing, before, num(5))},
		{name: "scan loss inflated new", want: exact, cells: shiftLoss(rowRich, after, num(5))},
		{name: "scan loss inflated hugely old", want: exact, cells: shiftLoss(rowReducing, before, ledger.Power(80))},
		{name: "scan loss of an empty account inflated", want: exact, cells: shiftLoss(rowFresh, before, num(5))},
		{name: "scan loss lowered new", want: "range of accounts/new surplus", cells: shiftLoss(rowRich, after, num(-5))},
		{name: "scan loss lowered old", want: "range of accounts/old surplus", cells: shiftLoss(rowReducing, before, num(-5))},
		{name: "scan loss alone lowered", want: risk + "new", cells: func(c *Private) { bump(&c.Accounts[rowRich].Margin[after].ScanLoss, -1) }},
		{name: "scan loss 0", want: risk + "new", cells: func(c *Private) { c.Accounts[rowRich].Margin[after].ScanLoss = 0 }},
		{name: "negative scan loss", want: "range of accounts/new scan_loss", cells: func(c *Private) {
			m := &c.Accounts[rowFresh].Margin[after] // no positions: surplus = L
			m.ScanLoss = num(-7)
			for s := range m.Surplus {
				m.Surplus[s] = 0
			}
		}},
		{name: "lane carry up new", want: "range of accounts/new surplus[0]", cells: carry(rowRich, after, 1)},
		{name: "lane carry down old", want: "range of accounts/old surplus[0]", cells: carry(rowReducing, before, -1)},
		{name: "lane carry by the loss", want: "range of accounts/new s", cells: func(c *Private) {
			stride := ledger.PlanRisk(mustPreset("nano").Positions).Lanes[ledger.LaneDeltas].Shifts[1]
			shiftLoss(rowRich, after, new(big.Int).Neg(ledger.Power(stride)))(c)
		}},
		{name: "value raised", want: risk + "new", cells: func(c *Private) { bump(&c.Accounts[rowRich].Margin[after].Value, 1) }},
		{name: "value moved between accounts", want: risk + "new", cells: func(c *Private) {
			bump(&c.Accounts[rowRich].Margin[after].Value, -1)
			bump(&c.Accounts[rowFee].Margin[after].Value, 1)
		}},
		{name: "old value lowered", want: risk + "old", cells: func(c *Private) { bump(&c.Accounts[rowReducing].Margin[before].Value, -1) }},
		{name: "linear value raised", want: risk + "new", cells: func(c *Private) { bump(&c.Accounts[rowRich].Margin[after].LinearValue, 1) }},
		{name: "value counted as linear", want: risk + "new", cells: func(c *Private) {
			m := &c.Accounts[rowRich].Margin[after]
			m.LinearValue = m.Value
		}},
		{name: "a surplus raised", want: risk + "new", cells: func(c *Private) { bump(&c.Accounts[rowRich].Margin[after].Surplus[47], 1) }},
		{name: "surpluses swapped", want: risk + "new", cells: func(c *Private) {
			m := &c.Accounts[rowRich].Margin[after]
			m.Surplus[2], m.Surplus[3] = m.Surplus[3], m.Surplus[2]
		}},
		{name: "initial charge lowered", want: charge + "new", cells: func(c *Private) { bump(&c.Accounts[rowRich].Margin[after].ChargeIM, -1) }},
		{name: "maintenance charge lowered", want: charge + "new", cells: func(c *Private) { bump(&c.Accounts[rowRich].Margin[after].ChargeMM, -1) }},
		{name: "old initial charge raised", want: charge + "old", cells: func(c *Private) { bump(&c.Accounts[rowReducing].Margin[before].ChargeIM, 1) }},
		{name: "short options forgotten", want: charge + "new", cells: func(c *Private) { c.Accounts[rowRich].Margin[after].ShortOptions = 0 }},
		{name: "totals of another side", want: "sum ", cells: func(c *Private) {
			r := &c.Accounts[rowReducing]
			r.Margin[before] = r.Margin[after]
		}},
	}
}
