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
		words = append(words, b.queue.words(b.l, i)...)
	}
	for i := range b.withdrawals.used {
		words = append(words, b.withdrawals.word(i))
	}
	return words
}

func (b *builder) body() []variable {
	var words []variable
	a, now := &b.accounts, &b.accounts.sides[after]
	for i, used := range a.used { // an unused row holds the null leaf: its word is 0
		cash := now.cash[i].Plus(used.Shifted(63))
		words = append(words, a.id[i].Plus(cash.Shifted(32), now.minNonce[i].Shifted(96), now.withdrawalNonce[i].Shifted(160)).Raw())
	}
	o := &b.orders
	for i, used := range o.used {
		word := o.account[i].Plus(o.nonce[i].Shifted(32), o.revision[i].Shifted(96), o.filled[i].Shifted(112), o.sequence[i].Shifted(152))
		words = append(words, used.Times(word).Raw())
	}
	p := &b.positions
	row := func(j int) argument.Expr {
		return p.account[j].Plus(p.instrument[j].Shifted(32), p.size(after, j).Plus(p.used[j].Shifted(sizeBits)).Shifted(64))
	}
	const rowBits = 105
	for j := 0; j < len(p.used); j += 2 {
		words = append(words, row(j).Plus(row(j+1).Shifted(rowBits)).Raw())
	}
	for _, word := range b.listings.words {
		words = append(words, word.Raw())
	}
	return words
}
