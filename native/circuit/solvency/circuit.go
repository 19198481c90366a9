// Package solvency is the statement of docs/protocol/solvency.md as a circuit: what the 2^k accounts of one chunk of the account tree own and owe, at one
// state root and on one risk table. With k = 0 it is the exit circuit.
//
// Each table has its file, which opens with what it proves; what the batch circuit has too stands in package ledger. Sums cannot wrap around: every
// cell has a range, the argument layer refuses to compile where a total could reach the modulus, and an account beyond 64 bits of equity or debt, a net
// beyond 56 bits or a shortfall beyond 96 bits satisfies nothing. The engine's limits lie far inside (docs/protocol/state.md): 2^63 of cash and 2^8
// positions of 2^52 each.
package solvency

import (
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
)

type variable = frontend.Variable

// Private is the witness beside the public inputs.
type Private struct {
	Header      HeaderRow
	Accounts    []AccountRow // place by place
	Path        []variable   // siblings of the chunk's subtree, upward
	Positions   []PositionRow
	Instruments []ledger.InstrumentRow
	Nets        []variable // by instrument row
}

// Circuit is the solvency or the exit circuit of one preset.
type Circuit struct {
	Public  ledger.Public `gnark:",public"`
	Private Private

	Chunk   circuit.Chunk         `gnark:"-"`
	Options []argument.Option     `gnark:"-"` // for tests
	Inspect func(*argument.Layer) `gnark:"-"` // for tests: called before sealing
}

// New makes an unassigned circuit.
func New(chunk circuit.Chunk) *Circuit {
	c := &Circuit{Chunk: chunk}
	w := &c.Private
	w.Accounts = make([]AccountRow, chunk.Accounts())
	w.Path = make([]variable, chunk.PathLength())
	w.Positions = make([]PositionRow, chunk.Positions)
	w.Instruments = make([]ledger.InstrumentRow, chunk.Preset.Instruments)
	w.Nets = make([]variable, chunk.Preset.Instruments)
	for j := range w.Positions {
		w.Positions[j].Risk = make([]variable, ledger.LaneCount)
	}
	return c
}

// builder carries what the tables share while the circuit is defined.
type builder struct {
	api    frontend.API
	l      *argument.Layer
	chunk  circuit.Chunk
	plan   ledger.RiskPlan
	public ledger.Public

	header      headerTable
	accounts    accountTable
	positions   positionTable
	instruments ledger.InstrumentTable
	nets        argument.Column

	risk     ledger.RiskTotals // by place in the chunk: what the account's positions add up to
	netSizes *argument.Total   // by instrument: sum of the sizes
	riskRows *argument.Lookup  // (used, instrument) -> packed value, deltas and charges
	digests  *argument.Flow    // (account, digest): from the account's last position row to its account row
}

// Define states the chunk. All cells are allocated before anything is stated about them.
func (c *Circuit) Define(api frontend.API) error {
	l := argument.New(api, c.Options...)
	b := &builder{api: api, l: l, chunk: c.Chunk, plan: ledger.PlanRisk(c.Chunk.Positions), public: c.Public}
	w := &c.Private
	b.header = allocateHeader(l, c.Chunk.PathLength(), &w.Header)
	b.accounts = allocateAccounts(l, b.plan, w.Accounts)
	b.positions = allocatePositions(l, b.plan, w.Positions)
	b.instruments = ledger.AllocateInstruments(l, w.Instruments)
	b.nets = b.instruments.Table.Signed("net", netBits, w.Nets)

	l.Group("rows: used first, keys ascending")
	b.accounts.table.Indexed()
	b.positions.table.UsedFirst(b.positions.used)
	b.positions.table.AscendingPairs(b.positions.continues, b.positions.account, b.positions.instrument)
	b.instruments.Table.UsedFirst(b.instruments.Used)
	b.instruments.Table.Ascending(b.instruments.ID)

	b.risk = ledger.NewRiskTotals(l, "", b.accounts.table)
	b.netSizes = l.Total("net sizes", b.instruments.Table)
	b.riskRows = l.Lookup("risk rows")
	b.digests = l.Flow("digests")

	b.stateHeader()
	b.stateInstruments()
	b.stateAccounts(w.Path)
	b.statePositions()
	b.stateVector()
	if c.Inspect != nil {
		c.Inspect(l)
	}
	return l.Seal()
}
