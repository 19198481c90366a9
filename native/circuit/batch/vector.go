package batch

import (
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/poseidon"
)

// The vector proves:
//  1. Effects and body are assembled from the cells as in docs/protocol/data.md; unused rows are 0.
//  2. C is their sponge; y_effects and y_body are their values at z. A body in a blob has its value in another field: blob.go.

func (b *builder) stateVector() {
	effects, cells := b.effects(), b.bodyCells()
	body := make([]variable, 0, len(cells)+len(b.listings.words))
	for _, c := range cells {
		body = append(body, b.word(c).Raw())
	}
	for _, word := range b.listings.words {
		body = append(body, word.Raw())
	}
	b.l.Group("vector: commitment")
	words := append(append([]variable{}, effects...), body...)
	b.api.AssertIsEqual(poseidon.Sponge(b.api, "straddle.data", words...), b.public.C)
	b.l.Group("vector: evaluations")
	b.api.AssertIsEqual(ledger.Evaluate(b.api, effects, b.public.Z), b.public.YEffects)
	if b.blob {
		b.stateBlob(append(cells, b.listingCells()...))
		return
	}
	b.api.AssertIsEqual(ledger.Evaluate(b.api, body, b.public.Z), b.public.YBody)
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

// bodyCell is a word of the body in parts: integers and the bits where they begin.
type bodyCell []cellPart

type cellPart struct {
	value argument.Expr
	bit   int
}

// word puts the parts together.
func (b *builder) word(c bodyCell) argument.Expr {
	word := b.l.Const(0)
	for _, part := range c {
		word = word.Plus(part.value.Shifted(part.bit))
	}
	return word
}

// bodyCells are the cells of accounts, orders and positions; those of the listings follow.
func (b *builder) bodyCells() []bodyCell {
	return append(append(b.accountCells(), b.orderCells()...), b.positionCells()...)
}

func (b *builder) accountCells() (cells []bodyCell) {
	a, now := &b.accounts, &b.accounts.sides[after]
	for i, used := range a.used { // an unused row holds the null leaf: its word is 0
		cash := now.Cash[i].Plus(used.Shifted(63))
		cells = append(cells, bodyCell{{a.id[i], 0}, {a.hasPositions[i], 24}, {a.hasOrders[i], 25}, {a.auctionCode(i), 26}, {cash, 28},
			{now.MinNonce[i], 92}, {now.ActionNonce[i], 156}})
	}
	return cells
}

// orderCells puts three rows in two cells: the second row's continues and nonce lie above the first, the rest of it below the third.
func (b *builder) orderCells() (cells []bodyCell) {
	o := &b.orders
	head := func(i, bit int) cellPart {
		return cellPart{o.used[i].Times(o.continues[i].Plus(o.nonce[i].Shifted(1))), bit}
	}
	tail := func(i, bit int) cellPart {
		return cellPart{o.used[i].Times(o.revision[i].Plus(o.filled[i].Shifted(16), o.sequence[i].Shifted(56))), bit}
	}
	for i := 0; i < len(o.used); i += 3 {
		first, second := bodyCell{head(i, 0), tail(i, 65)}, bodyCell{}
		if i+1 < len(o.used) {
			first, second = append(first, head(i+1, 145)), append(second, tail(i+1, 0))
		}
		if i+2 < len(o.used) {
			second = append(second, head(i+2, 80), tail(i+2, 145))
		}
		cells = append(cells, first, second)
	}
	return cells
}

// positionCells puts four rows in a cell.
func (b *builder) positionCells() (cells []bodyCell) {
	p, tableRows := &b.positions, b.positions.tableRow
	if b.blob {
		tableRows = b.narrowTableRows()
	}
	const rows, rowBits = 4, 52
	for first := 0; first < len(p.used); first += rows {
		var cell bodyCell
		for j := first; j < min(first+rows, len(p.used)); j++ {
			size := p.size(after, j).Plus(p.used[j].Shifted(ledger.SizeBits))
			row := p.continues[j].Plus(tableRows[j].Shifted(1), size.Shifted(11))
			cell = append(cell, cellPart{row, rowBits * (j - first)})
		}
		cells = append(cells, cell)
	}
	return cells
}
