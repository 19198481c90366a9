package ledger

import (
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// Scenarios is the number of scenarios of a risk row.
const Scenarios = 48

// WeightBits: |value|, |delta| and charges are at most 2^WeightBits.
const WeightBits = 39

// InstrumentRow is one row of the risk table. Tradable is the batch's alone: the instrument expires after its time.
type InstrumentRow struct {
	Used, ID, ExpiryMs, Linear, Settled, Tradable variable
	Value, Funding, Band                          variable
	LongIM, LongMM, ShortIM, ShortMM              variable
	Deltas                                        [Scenarios]variable
}

// InstrumentTable is the risk table. Its allocation gives every field its width.
type InstrumentTable struct {
	Table                                         *argument.Table
	Used, ID, ExpiryMs, Linear, Settled, Tradable argument.Column
	Value, Funding, Band                          argument.Column
	LongIM, LongMM, ShortIM, ShortMM              argument.Column
	Deltas                                        [Scenarios]argument.Column
}

// AllocateInstruments makes the table.
func AllocateInstruments(l *argument.Layer, rows []InstrumentRow) InstrumentTable {
	t := l.Table("instruments", len(rows))
	charge := func(name string, get func(*InstrumentRow) variable) argument.Column {
		return t.Bits(name, WeightBits, Column(rows, get))
	}
	signed := func(name string, get func(*InstrumentRow) variable) argument.Column {
		return t.Signed(name, WeightBits+1, Column(rows, get))
	}
	it := InstrumentTable{
		Table: t, Used: t.Bool("used", Column(rows, func(r *InstrumentRow) variable { return r.Used })),
		ID:       t.Bits("id", 32, Column(rows, func(r *InstrumentRow) variable { return r.ID })),
		ExpiryMs: t.Bits("expiry_ms", 48, Column(rows, func(r *InstrumentRow) variable { return r.ExpiryMs })),
		Linear:   t.Bool("linear", Column(rows, func(r *InstrumentRow) variable { return r.Linear })),
		Settled:  t.Bool("settled", Column(rows, func(r *InstrumentRow) variable { return r.Settled })),
		Tradable: t.Bool("tradable", Column(rows, func(r *InstrumentRow) variable { return r.Tradable })),
		Value:    signed("value", func(r *InstrumentRow) variable { return r.Value }),
		Funding:  signed("funding", func(r *InstrumentRow) variable { return r.Funding }),
		Band:     charge("band", func(r *InstrumentRow) variable { return r.Band }),
		LongIM:   charge("long_im", func(r *InstrumentRow) variable { return r.LongIM }),
		LongMM:   charge("long_mm", func(r *InstrumentRow) variable { return r.LongMM }),
		ShortIM:  charge("short_im", func(r *InstrumentRow) variable { return r.ShortIM }),
		ShortMM:  charge("short_mm", func(r *InstrumentRow) variable { return r.ShortMM }),
	}
	for s := range it.Deltas {
		it.Deltas[s] = signed(fmt.Sprintf("delta[%d]", s), func(r *InstrumentRow) variable { return r.Deltas[s] })
	}
	return it
}

// RiskRoot hashes the used rows from a listings root on.
func (t *InstrumentTable) RiskRoot(l *argument.Layer, listingsRoot frontend.Variable) frontend.Variable {
	root := listingsRoot
	for i, used := range t.Used {
		words := append([]variable{root}, t.words(l, i)...)
		root = l.API().Select(used.Raw(), poseidon.Sponge(l.API(), "straddle.risk", words...), root)
	}
	return root
}

// words are w0 .. w9 of docs/protocol/risk.md.
func (t *InstrumentTable) words(l *argument.Layer, i int) []variable {
	half := l.Const(1).Shifted(WeightBits)
	words := []variable{
		t.ID[i].Plus(t.ExpiryMs[i].Shifted(32), t.Linear[i].Shifted(80), t.Settled[i].Shifted(81), t.Value[i].Plus(half).Shifted(88),
			t.Funding[i].Plus(half).Shifted(128), t.Band[i].Shifted(168)).Raw(),
		t.LongIM[i].Plus(t.LongMM[i].Shifted(40), t.ShortIM[i].Shifted(80), t.ShortMM[i].Shifted(120)).Raw(),
	}
	const deltasAWord, deltaBits = 6, 40
	for s := 0; s < Scenarios; s += deltasAWord {
		word := l.Const(0)
		for k := range deltasAWord {
			word = word.Plus(t.Deltas[s+k][i].Plus(half).Shifted(deltaBits * k))
		}
		words = append(words, word.Raw())
	}
	return words
}

// Instrument is one row of the risk table of a witness.
type Instrument struct {
	ID       *big.Int   `json:"id" range:"32"`
	ExpiryMs *big.Int   `json:"expiry_ms" range:"48"`
	Linear   *big.Int   `json:"linear" range:"1"`
	Settled  *big.Int   `json:"settled" range:"1"`
	Value    *big.Int   `json:"value" range:"s40"`
	Funding  *big.Int   `json:"funding" range:"s40"`
	Band     *big.Int   `json:"band" range:"39"`
	LongIM   *big.Int   `json:"long_im" range:"39"`
	LongMM   *big.Int   `json:"long_mm" range:"39"`
	ShortIM  *big.Int   `json:"short_im" range:"39"`
	ShortMM  *big.Int   `json:"short_mm" range:"39"`
	Deltas   []*big.Int `json:"deltas" range:"s40"`
}

// NullInstrument is what unused rows hold and what an instrument without a row counts as.
func NullInstrument() *Instrument {
	zero := new(big.Int)
	r := &Instrument{zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, make([]*big.Int, Scenarios)}
	for s := range r.Deltas {
		r.Deltas[s] = zero
	}
	return r
}

// Cells are the cells of a row.
func (r *Instrument) Cells(used, tradable bool) InstrumentRow {
	row := InstrumentRow{Used: Bit(used), ID: r.ID, ExpiryMs: r.ExpiryMs, Linear: r.Linear, Settled: r.Settled, Tradable: Bit(tradable),
		Value: r.Value, Funding: r.Funding, Band: r.Band,
		LongIM: r.LongIM, LongMM: r.LongMM, ShortIM: r.ShortIM, ShortMM: r.ShortMM}
	for s := range row.Deltas {
		row.Deltas[s] = r.Deltas[s]
	}
	return row
}

// Words are w0 .. w9 of the risk table.
func (r *Instrument) Words() []fr.Element {
	const half = WeightBits
	ws := []fr.Element{
		Word(r.ID, 0, r.ExpiryMs, 32, r.Linear, 80, r.Settled, 81, Offset(r.Value, half), 88, Offset(r.Funding, half), 128, r.Band, 168),
		Word(r.LongIM, 0, r.LongMM, 40, r.ShortIM, 80, r.ShortMM, 120),
	}
	for s := 0; s < len(r.Deltas); s += 6 {
		packed := new(big.Int)
		for k, delta := range r.Deltas[s:min(s+6, len(r.Deltas))] {
			packed.Add(packed, new(big.Int).Lsh(Offset(delta, half), uint(40*k)))
		}
		ws = append(ws, ToElement(packed))
	}
	return ws
}

// RiskRoot hashes a risk table from a listings root on.
func RiskRoot(listingsRoot *big.Int, rows []Instrument) fr.Element {
	root := ToElement(listingsRoot)
	for i := range rows {
		root = crypto.Sponge("straddle.risk", append([]fr.Element{root}, rows[i].Words()...)...)
	}
	return root
}

// Instruments finds rows of a risk table by id.
type Instruments map[string]*Instrument

// ByID makes the index.
func ByID(rows []Instrument) Instruments {
	index := Instruments{}
	for i := range rows {
		index[rows[i].ID.String()] = &rows[i]
	}
	return index
}

// Get is the instrument's row, or the null instrument.
func (m Instruments) Get(id *big.Int) *Instrument {
	if r, ok := m[id.String()]; ok {
		return r
	}
	return NullInstrument()
}

// Mark is value plus funding.
func (r *Instrument) Mark() *big.Int { return new(big.Int).Add(r.Value, r.Funding) }
