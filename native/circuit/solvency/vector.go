package solvency

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/poseidon"
)

// The vector proves:
//  1. Effects and body are assembled from the cells as in docs/protocol/solvency.md. No part leaves its bits: cash has 63 bits and a sign, claims and
//     debts 64, there are at most 2^16 of each; the sum of shortfalls is checked.
//  2. C is their sponge; y_effects and y_body are their values at z.

const (
	tag         = "straddle.solvency"
	sumBits     = 96
	fundAccount = 2 // insurance
)

func (b *builder) stateVector() {
	effects, body := b.effects(), b.body()
	b.l.Group("vector: commitment")
	words := append(append([]variable{}, effects...), body...)
	b.api.AssertIsEqual(poseidon.Sponge(b.api, tag, words...), b.public.C)
	b.l.Group("vector: evaluations")
	b.api.AssertIsEqual(ledger.Evaluate(b.api, effects, b.public.Z), b.public.YEffects)
	b.api.AssertIsEqual(ledger.Evaluate(b.api, body, b.public.Z), b.public.YBody)
}

func (b *builder) effects() []variable {
	t, h, l := &b.accounts, &b.header, b.l
	l.Group("vector: state root")
	words := []variable{h.domain.Raw(), b.stateRoot(), h.riskRoot.Raw(), h.chunk.Plus(l.Const(b.chunk.K).Shifted(accountBits)).Raw()}
	l.Group("vector: below maintenance margin")
	shortfalls := make([]argument.Expr, len(t.below))
	for p := range shortfalls {
		shortfalls[p] = b.stateBelow(p)
	}
	shortfall := l.SumOf(shortfalls)
	l.AssertBits(shortfall, sumBits)
	l.Group("vector: sums")
	half := l.Const(1).Shifted(sumBits - 1)
	words = append(words, l.SumOf(t.leaf.Cash).Plus(half, l.SumOf(t.claim).Shifted(sumBits)).Raw(),
		l.SumOf(t.debt).Plus(l.SumOf(t.below).Shifted(sumBits), shortfall.Shifted(sumBits+32)).Raw())

	l.Group("vector: accounts")
	fundChunk, fundPlace := fundAccount>>b.chunk.K, fundAccount&(b.chunk.Accounts()-1)
	here := b.api.IsZero(h.chunk.Minus(l.Const(fundChunk)).Raw())
	words = append(words, b.api.Mul(here, b.equity(fundPlace).Plus(half).Raw()))
	for p := range t.claim {
		line := t.leaf.Owner[p].Plus(t.claim[p].Shifted(160), b.id(p).Shifted(224))
		words = append(words, b.api.Mul(b.api.Sub(1, b.api.IsZero(t.leaf.Owner[p].Raw())), line.Raw()))
	}
	return words
}

// body puts four nets in a cell; a settled row counts as 0.
func (b *builder) body() (words []variable) {
	t, l := &b.instruments, b.l
	l.Group("vector: nets")
	const rows = 4
	for first := 0; first < len(t.Used); first += rows {
		word := l.Const(0)
		for i := first; i < min(first+rows, len(t.Used)); i++ {
			net := t.Used[i].Minus(t.Settled[i]).Times(b.nets[i]) // a settled row is used
			word = word.Plus(net.Plus(t.Used[i].Shifted(netBits - 1)).Shifted(netBits * (i - first)))
		}
		words = append(words, word.Raw())
	}
	return words
}
