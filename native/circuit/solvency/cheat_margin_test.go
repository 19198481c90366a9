package solvency

import (
	"fmt"
	"math/big"

	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
)

func cheatsMargin() []cheat {
	const totals, charges, exact = "sum risk totals", "sum charge totals", "accounts: exact scan loss"
	number := inspect.Number
	shiftLoss := func(id int, by int64) func(c *Private) {
		return func(c *Private) {
			m := &c.Accounts[id].Margin
			m.ScanLoss = new(big.Int).Add(number(m.ScanLoss), num(by))
			for s := range m.Surplus {
				m.Surplus[s] = new(big.Int).Add(number(m.Surplus[s]), num(by))
			}
		}
	}
	return []cheat{
		{name: "value and claim raised", want: totals, cells: func(c *Private) {
			a := &c.Accounts[rich]
			a.Margin.Value, a.Claim = new(big.Int).Add(number(a.Margin.Value), num(1)), new(big.Int).Add(number(a.Claim), num(1))
		}},
		{name: "another linear value", want: totals, cells: func(c *Private) { c.Accounts[rich].Margin.LinearValue = 1 }},
		{name: "a value without positions", want: totals, cells: func(c *Private) {
			a := &c.Accounts[fees]
			a.Margin.Value, a.Claim = 1, new(big.Int).Add(number(a.Claim), num(1))
		}},
		{name: "another scenario", want: totals, cells: func(c *Private) {
			m := &c.Accounts[rich].Margin
			m.Surplus[3] = new(big.Int).Add(number(m.Surplus[3]), num(1))
		}},
		{name: "another charge", want: charges, cells: func(c *Private) {
			m := &c.Accounts[rich].Margin
			m.ChargeMM = new(big.Int).Add(number(m.ChargeMM), num(1))
		}},
		{name: "another initial charge", want: charges, cells: func(c *Private) { c.Accounts[rich].Margin.ChargeIM = 0 }},
		{name: "another value of short options", want: charges, cells: func(c *Private) { c.Accounts[rich].Margin.ShortOptions = 0 }},
		{name: "a scan loss above the true one", want: exact, cells: shiftLoss(rich, 1)},
		{name: "a scan loss of an account without positions", want: exact, cells: shiftLoss(fees, 1)},
		{name: "a scan loss below the true one", want: "range of accounts/surplus", cells: shiftLoss(rich, -1)},
	}
}

func cheatsEquity() []cheat {
	const equity = "accounts: equity"
	number := inspect.Number
	add := func(v variable, n *big.Int) *big.Int { return new(big.Int).Add(number(v), n) }
	pile := func(sign int64) func(f *fixture) {
		return func(f *fixture) {
			f.instrument(call).Value = ledger.Less(ledger.Power(39), 1)
			f.accounts[rich].positions[call] = new(big.Int).Mul(num(sign), ledger.Less(ledger.Power(40), 1))
		}
	}
	return []cheat{
		{name: "a claim raised", want: equity, cells: func(c *Private) { c.Accounts[rich].Claim = add(c.Accounts[rich].Claim, num(1)) }},
		{name: "a claim lowered", want: equity, cells: func(c *Private) { c.Accounts[rich].Claim = add(c.Accounts[rich].Claim, num(-1)) }},
		{name: "a claim of an account without", want: equity, cells: func(c *Private) { c.Accounts[0].Claim = 1 }},
		{name: "claim and debt raised", want: equity, cells: func(c *Private) {
			c.Accounts[rich].Claim, c.Accounts[rich].Debt = add(c.Accounts[rich].Claim, num(1)), 1
		}},
		{name: "a debt forgiven", want: equity, cells: func(c *Private) { c.Accounts[broke].Debt = 0 }},
		{name: "a debt turned into a claim", want: equity, cells: func(c *Private) {
			c.Accounts[broke].Claim, c.Accounts[broke].Debt = c.Accounts[broke].Debt, 0
		}},
		{name: "negative equity as a claim modulo r", want: "range of accounts/claim", cells: func(c *Private) {
			c.Accounts[broke].Claim, c.Accounts[broke].Debt = new(big.Int).Neg(number(c.Accounts[broke].Debt)), 0
		}},
		{name: "a claim beyond 64 bits", want: "range of accounts/claim", plan: pile(1)},
		{name: "a debt beyond 64 bits", want: "range of accounts/debt", plan: pile(-1)},
		{name: "control: a claim of 64 bits", plan: func(f *fixture) {
			f.accounts[fees].cash, f.accounts[fees].positions = ledger.Less(ledger.Power(63), 1), map[int64]*big.Int{call: ledger.Power(32)}
			f.instrument(call).Value = ledger.Power(31)
		}},
	}
}

// cheatsBelow sets an account exactly to its maintenance margin, one micro-dollar around it, and flips the flag.
func cheatsBelow() (cheats []cheat) {
	const group = "vector: below maintenance margin"
	at := func(off int64) func(f *fixture) {
		return func(f *fixture) {
			for s := range f.instrument(future).Deltas { // L is a multiple of 5, MM a whole number
				f.instrument(future).Deltas[s] = num(5 * int64(s))
			}
			f.accounts[other].positions = map[int64]*big.Int{future: num(-70)}
			f.setEquity(other, new(big.Int).Add(new(big.Int).Div(f.maintenance(other), num(ledger.BpsInWhole)), num(off)))
		}
	}
	for _, c := range []struct {
		off    int64
		honest int
	}{{-1, 1}, {0, 0}, {1, 0}} {
		for flag := range 2 {
			want := ""
			if flag != c.honest {
				want = "range of " + group
			}
			cheats = append(cheats, cheat{name: fmt.Sprintf("%+d from maintenance, flag %d", c.off, flag), want: want, plan: at(c.off),
				cells: func(p *Private) { p.Accounts[other].Below = flag }})
		}
	}
	for name, id := range map[string]int{"fees": fees, "a null place": 7, "a rich account": rich} {
		cheats = append(cheats, cheat{name: name + " called below", want: "range of " + group, cells: func(c *Private) { c.Accounts[id].Below = 1 }})
	}
	return append(cheats,
		cheat{name: "a negative account called safe", want: "range of " + group, cells: func(c *Private) { c.Accounts[broke].Below = 0 }},
		cheat{name: "a thin account called safe", want: "range of " + group, cells: func(c *Private) { c.Accounts[thin].Below = 0 }},
		cheat{name: "a flag of 2", want: "allocation", cells: func(c *Private) { c.Accounts[thin].Below = 2 }},
		cheat{name: "shortfalls beyond 96 bits", want: "range of " + group, plan: func(f *fixture) {
			f.header.KMm = num(65_535)
			for _, id := range []int64{call, put, perpetual, expired, future} {
				f.accounts[other].positions[id] = ledger.Less(ledger.Power(40), 1)
				f.instrument(id).Value = num(0)
				for s := range f.instrument(id).Deltas {
					f.instrument(id).Deltas[s] = new(big.Int).Neg(ledger.Power(39))
				}
			}
		}},
	)
}
