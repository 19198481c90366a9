package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

// Forced withdrawals prove, for an account row with `forced`:
//  1. It takes exactly one queue entry (asked, paid), and paid is what it withdraws. It has no orders and no action, and is not seized.
//  2. paid = min(asked, withdrawable), withdrawable = max(0, min(floor(equity - IM), settled)) before the payment, by exactly one of five cases:
//     - full: paid = asked, rule (a) and settled >= 0 hold;
//     - short_room, short_settled: paid < asked, rule (a) and settled >= 0 hold, and another micro-dollar would break the one or the other:
//     10^4 (equity - IM) < 10^4, or settled = 0;
//     - none_room, none_settled: paid = 0, since equity < IM or settled < 0.
//
// The scan loss and every charge are exact (margin.go): an inflated requirement would refuse a payment that is due.

// ForceFields are the forced withdrawal of an account.
type ForceFields struct {
	Forced, Full, ShortRoom, ShortSettled, NoneRoom, NoneSettled variable
	Asked                                                        variable
}

type forceColumns struct {
	forced, full, shortRoom, shortSettled, noneRoom, noneSettled argument.Column
	asked                                                        argument.Column
}

func allocateForce(t *argument.Table, rows []AccountRow) forceColumns {
	flag := func(name string, get func(*ForceFields) variable) argument.Column {
		return t.Bool(name, ledger.Column(rows, func(r *AccountRow) variable { return get(&r.Force) }))
	}
	return forceColumns{
		forced:       flag("forced", func(f *ForceFields) variable { return f.Forced }),
		full:         flag("forced_full", func(f *ForceFields) variable { return f.Full }),
		shortRoom:    flag("forced_short_room", func(f *ForceFields) variable { return f.ShortRoom }),
		shortSettled: flag("forced_short_settled", func(f *ForceFields) variable { return f.ShortSettled }),
		noneRoom:     flag("forced_none_room", func(f *ForceFields) variable { return f.NoneRoom }),
		noneSettled:  flag("forced_none_settled", func(f *ForceFields) variable { return f.NoneSettled }),
		asked:        t.Bits("asked", amountBits, ledger.Column(rows, func(r *AccountRow) variable { return r.Force.Asked })),
	}
}

// stateForced also states that whoever pays has settled cash for it.
func (b *builder) stateForced(standings []standing) {
	b.l.Group("accounts: forced withdrawals")
	t, f, l := &b.accounts, &b.accounts.force, b.l
	one := l.Const(1)
	for i, used := range t.used {
		j, paid := &standings[i], t.withdrawn[i]
		short, none := f.shortRoom[i].Plus(f.shortSettled[i]), f.noneRoom[i].Plus(f.noneSettled[i])
		l.AssertEqual(f.forced[i], f.full[i].Plus(short, none))
		l.AssertZeroIf(f.forced[i], used.Not().Plus(t.steps[i], t.acting[i], t.seizure.seized[i]))
		l.AssertZeroIf(f.forced[i].Not(), f.asked[i])
		b.ties.forced.Take(f.forced[i], t.id[i], f.asked[i], paid)

		l.AssertZeroIf(f.full[i], f.asked[i].Minus(paid))
		l.AssertNotNegative(short.Times(f.asked[i].Minus(paid).Minus(one)))
		l.AssertZero(none.Times(paid))
		l.AssertZero(f.full[i].Plus(short).Times(t.ruleA[i].Not()))
		l.AssertNotNegative(t.paying[i].Plus(f.full[i], short).Times(j.settled).Minus(f.noneSettled[i].Times(j.settled.Plus(one))))
		l.AssertZeroIf(f.shortSettled[i], j.settled)
		l.AssertNotNegative(f.shortRoom[i].Scaled(ledger.BpsInWhole - 1).Minus(f.noneRoom[i]).Minus(f.shortRoom[i].Plus(f.noneRoom[i]).Times(j.room[after])))
	}
}
