package argument

import "math/big"

// Small statements, one for each use of a sum. Inputs are listed in the order of honest.

// totals: three payments (payee, amount, sign) and three accounts (used, id, received), the last unused.
func totals() statement {
	return statement{"totals", []int64{
		7, 100, 0 /**/, 9, 30, 0 /**/, 7, 25, 1, // payments
		1, 7, 75 /**/, 1, 9, 30 /**/, 0, 0, 0, // accounts
	}, func(l *Layer, x []v, _ v) {
		payments, accounts := l.Table("payments", 3), l.Table("accounts", 3)
		payee := payments.Bits("payee", 8, every(x[:9], 0))
		amount := payments.Bits("amount", 16, every(x[:9], 1))
		minus := payments.Bool("minus", every(x[:9], 2))
		used := accounts.Bool("used", every(x[9:], 0))
		id := accounts.Bits("id", 8, every(x[9:], 1))
		received := accounts.Signed("received", 20, every(x[9:], 2))
		accounts.UsedFirst(used)
		accounts.Ascending(id)
		total := l.Total("received", accounts)
		for i := range payee {
			total.Add(l.Tuple(payee[i]), l.Const(1).Minus(minus[i].Scaled(2)), l.Tuple(amount[i]))
		}
		for i := range id {
			total.Hold(i, l.Tuple(received[i]))
		}
	}}
}

// every takes every third variable from one on.
func every(x []v, from int) []v {
	var vs []v
	for i := from; i < len(x); i += 3 {
		vs = append(vs, x[i])
	}
	return vs
}

// pairs: a table ascending by (high, low), rows (used, continues, high, low), and a count of its rows by high part in an indexed table.
func pairs() statement {
	return statement{"pairs", []int64{
		1, 0, 2, 5 /**/, 1, 1, 2, 9 /**/, 1, 0, 3, 1 /**/, 0, 0, 0, 0,
		0, 0, 2, 1, // rows with high part 0, 1, 2, 3
		0, 0, 14, 1, // sums of their low parts
	}, func(l *Layer, x []v, _ v) {
		t, counts := l.Table("pairs", 4), l.Table("counts", 4)
		column := func(k int) []v { return []v{x[k], x[4+k], x[8+k], x[12+k]} }
		used, continues := t.Bool("used", column(0)), t.Bool("continues", column(1))
		high, low := t.Bits("high", 8, column(2)), t.Bits("low", 8, column(3))
		t.UsedFirst(used)
		t.AscendingPairs(continues, high, low)
		count, lows := counts.Bits("count", 3, x[16:20]), counts.Bits("lows", 10, x[20:])
		counts.Indexed()
		total := l.Total("rows", counts)
		for i := range used {
			total.Add(l.Tuple(high[i]), used[i], l.Tuple(l.Const(1), low[i]))
			total.Hold(i, l.Tuple(count[i], lows[i]))
		}
	}}
}

// flow: a path through three steps (from, to), from a start to an end.
func flow() statement {
	return statement{"flow", []int64{1, 4 /**/, 4, 2 /**/, 2, 9 /**/, 1, 9}, func(l *Layer, x []v, _ v) {
		t, ends := l.Table("steps", 3), l.Table("ends", 1)
		from, to := t.Field("from", []v{x[0], x[2], x[4]}), t.Field("to", []v{x[1], x[3], x[5]})
		start, end := ends.Field("start", x[6:7]), ends.Field("end", x[7:8])
		f := l.Flow("path")
		one := l.Const(1)
		f.Put(one, l.Const(0), start[0])
		for i := range from {
			f.Take(one, l.Const(i), from[i])
			f.Put(one, l.Const(i+1), to[i])
		}
		f.Take(one, l.Const(len(from)), end[0])
	}}
}

// lookup: three queries (active, a, b) in a table of two rows (a, b).
func lookup() statement {
	return statement{"lookup", []int64{1, 3, 30 /**/, 1, 5, 50 /**/, 0, 6, 61 /**/, 3, 30, 5, 50}, func(l *Layer, x []v, _ v) {
		queries, rows := l.Table("queries", 3), l.Table("rows", 2)
		active := queries.Bool("active", every(x[:9], 0))
		a, b := queries.Field("a", every(x[:9], 1)), queries.Field("b", every(x[:9], 2))
		c, d := rows.Bits("c", 8, []v{x[9], x[11]}), rows.Bits("d", 8, []v{x[10], x[12]})
		k := l.Lookup("pairs")
		for i := range a {
			k.Require(active[i], l.Tuple(a[i], b[i]))
		}
		for i := range c {
			k.Provide(l.Const(1), l.Tuple(c[i], d[i]))
		}
	}}
}

// lanes: holdings (instrument, size, packed row) of one account; instruments (id, first, second); the account's totals of size * first and of
// size * second. The honest packed values are in lanesInput.
func lanes() statement {
	return statement{"lanes", make([]int64, 14), func(l *Layer, x []v, _ v) {
		plan := lanesPlan()
		holdings, instruments, account := l.Table("holdings", 2), l.Table("instruments", 2), l.Table("account", 1)
		instrument := holdings.Bits("instrument", 8, every(x[:6], 0))
		size := holdings.Signed("size", 8, every(x[:6], 1))
		row := holdings.Packed("row", plan, every(x[:6], 2))
		id := instruments.Bits("id", 8, every(x[6:12], 0))
		first, second := instruments.Signed("first", 8, every(x[6:12], 1)), instruments.Signed("second", 8, every(x[6:12], 2))
		sumFirst, sumSecond := account.Signed("sum_first", 18, x[12:13]), account.Signed("sum_second", 18, x[13:14])
		account.Indexed()
		k, total := l.Lookup("rows"), l.Total("sums", account)
		for i := range id {
			k.Provide(l.Const(1), l.Tuple(id[i], l.Pack(plan, first[i], second[i])))
		}
		for i := range instrument {
			k.Require(l.Const(1), l.Tuple(instrument[i], row[i]))
			total.Add(l.Tuple(l.Const(0)), size[i], l.Tuple(row[i]))
		}
		total.Hold(0, l.Tuple(l.Pack(plan, sumFirst[0], sumSecond[0])))
	}}
}

func lanesPlan() *Lanes {
	bound := big.NewInt(1 << 18)
	return PlanLanes([]Interval{SignedBits(8), SignedBits(8)}, []*big.Int{bound, bound})[0]
}

// lanesInput is an honest witness of lanes: 3 of instrument 1 (first 10, second -20) and -4 of instrument 2 (first 7, second 100).
func lanesInput() []*big.Int {
	pack := func(a, b int64) *big.Int { return lanesPlan().Value([]*big.Int{big.NewInt(a), big.NewInt(b)}) }
	n := big.NewInt
	return []*big.Int{
		n(1), n(3), pack(10, -20), n(2), n(-4), pack(7, 100),
		n(1), n(10), n(-20), n(2), n(7), n(100),
		n(30 - 28), n(-60 - 400),
	}
}

// public uses a public input as a key.
func public() statement {
	return statement{"public", []int64{5}, func(l *Layer, x []v, p v) {
		k := l.Lookup("public")
		k.Require(l.Const(1), l.Tuple(l.Public("p", p)))
		k.Provide(l.Const(1), l.Tuple(l.Table("t", 1).Field("x", x)[0]))
	}}
}

func statements() []statement {
	return []statement{totals(), pairs(), flow(), lookup(), lanes(), public()}
}
