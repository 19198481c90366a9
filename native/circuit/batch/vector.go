package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
)

// The vector proves:
//  1. Effects and body are assembled from the cells as in docs/protocol/data.md; unused rows are 0.
//  2. C is their sponge; y_effects and y_body are their values at z.

func (b *builder) stateVector() {
	effects, body := b.effects(), b.body()
	b.l.Group("vector: commitment")
	words := append(append([]variable{}, effects...), body...)
	b.api.AssertIsEqual(poseidon.Sponge(b.api, "straddle.data", words...), b.public.C)
	b.l.Group("vector: evaluations")
	b.api.AssertIsEqual(b.evaluate(effects), b.public.YEffects)
	b.api.AssertIsEqual(b.evaluate(body), b.public.YBody)
}

// evaluate is the value at z of the polynomial with these coefficients, lowest first.
func (b *builder) evaluate(words []variable) variable {
	value := words[len(words)-1]
	for i := len(words) - 2; i >= 0; i-- {
		value = b.api.Add(b.api.Mul(value, b.public.Z), words[i])
	}
	return value
}

func (b *builder) effects() []variable {
	b.l.Group("vector: state roots")
	h := &b.header
	params := b.paramsHash()
	roots := b.stateRoots(params)
	words := []variable{
		h.domain.Raw(), h.batchNumber.Raw(), roots[before], roots[after], h.epoch.Plus(h.timeMs.Shifted(64)).Raw(), params, h.riskRoot.Raw(),
		h.firstSequence.Plus(h.lastSequence.Shifted(64)).Raw(), h.logRoot.Raw(), h.queuePointer.Plus(b.l.SumOf(b.queue.used).Shifted(64)).Raw(),
	}
	for i := range b.queue.used {
		words = append(words, b.queue.words(i)...)
	}
	for i := range b.withdrawals.used {
		words = append(words, b.withdrawals.word(i))
	}
	return words
}

func (b *builder) body() []variable {
	words := append(b.accountWords(), b.orderWords()...)
	words = append(words, b.positionWords()...)
	for _, word := range b.listings.words {
		words = append(words, word.Raw())
	}
	return words
}

func (b *builder) accountWords() (words []variable) {
	a, now := &b.accounts, &b.accounts.sides[after]
	for i, used := range a.used { // an unused row holds the null leaf: its word is 0
		cash := now.cash[i].Plus(used.Shifted(63))
		words = append(words, a.id[i].Plus(a.hasPositions[i].Shifted(24), a.hasOrders[i].Shifted(25), a.auctionCode(i).Shifted(26), cash.Shifted(28),
			now.minNonce[i].Shifted(92), now.actionNonce[i].Shifted(156)).Raw())
	}
	return words
}

// orderWords puts three rows in two cells: the second row's continues and nonce lie above the first, the rest of it below the third.
func (b *builder) orderWords() (words []variable) {
	o := &b.orders
	head := func(i int) argument.Expr { return o.used[i].Times(o.continues[i].Plus(o.nonce[i].Shifted(1))) }
	tail := func(i int) argument.Expr {
		return o.used[i].Times(o.revision[i].Plus(o.filled[i].Shifted(16), o.sequence[i].Shifted(56)))
	}
	zero := b.l.Const(0)
	for i := 0; i < len(o.used); i += 3 {
		heads, tails := [3]argument.Expr{zero, zero, zero}, [3]argument.Expr{zero, zero, zero}
		for k := range min(3, len(o.used)-i) {
			heads[k], tails[k] = head(i+k), tail(i+k)
		}
		words = append(words, heads[0].Plus(tails[0].Shifted(65), heads[1].Shifted(145)).Raw(),
			tails[1].Plus(heads[2].Shifted(80), tails[2].Shifted(145)).Raw())
	}
	return words
}

// positionWords puts four rows in a cell.
func (b *builder) positionWords() (words []variable) {
	p := &b.positions
	const rows, rowBits = 4, 52
	for first := 0; first < len(p.used); first += rows {
		word := b.l.Const(0)
		for j := first; j < min(first+rows, len(p.used)); j++ {
			size := p.size(after, j).Plus(p.used[j].Shifted(sizeBits))
			row := p.continues[j].Plus(p.tableRow[j].Shifted(1), size.Shifted(11))
			word = word.Plus(row.Shifted(rowBits * (j - first)))
		}
		words = append(words, word.Raw())
	}
	return words
}
