// Package batch is the netting statement of docs/protocol/statement.md as a circuit: flat tables of accounts, positions, instruments, listings,
// signatures, orders, legs, fills, queue entries, withdrawals, transfers, takeovers and deleverages, tied together by the argument layer.
//
// Each table has its file, which opens with what it proves. circuit.go holds the inputs and the order of things; witness.go and its neighbours make
// the inputs from a witness file.
package batch

import (
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit"
	"straddle/native/circuit/argument"
	"straddle/native/circuit/ledger"
	"straddle/native/circuit/schnorr"
)

const (
	feeAccount  = 1
	fundAccount = 2 // insurance
	setDepth    = 6 // an order set's tree
	feeBits     = 63
)

type variable = frontend.Variable

// Private is the rest of the witness: the tables.
type Private struct {
	Header      HeaderRow
	Accounts    []AccountRow
	Positions   []PositionRow
	Instruments []ledger.InstrumentRow
	Listings    []ListingRow
	Signatures  []SignatureRow
	Orders      []OrderRow
	Legs        []LegRow
	Fills       []FillRow
	Queue       []QueueRow
	Withdrawals []WithdrawalRow
	Transfers   []TransferRow
	Takeovers   []TakeoverRow
	Deleverages []DeleverageRow
}

// Circuit is the batch circuit of one preset.
type Circuit struct {
	Public  ledger.Public `gnark:",public"`
	Private Private

	Preset  circuit.Preset        `gnark:"-"`
	Blob    bool                  `gnark:"-"` // the body lies in a blob
	Options []argument.Option     `gnark:"-"` // for tests
	Inspect func(*argument.Layer) `gnark:"-"` // for tests and reports: called before sealing
}

// New makes an unassigned circuit with the preset's rows.
func New(p circuit.Preset) *Circuit {
	c := &Circuit{Preset: p}
	w := &c.Private
	w.Accounts = make([]AccountRow, p.Accounts)
	w.Positions = make([]PositionRow, p.Positions)
	w.Instruments = make([]ledger.InstrumentRow, p.Instruments)
	w.Listings = make([]ListingRow, p.Listings)
	w.Signatures = make([]SignatureRow, p.Signatures)
	w.Orders = make([]OrderRow, p.Orders)
	w.Legs = make([]LegRow, p.Legs)
	w.Fills = make([]FillRow, p.Fills)
	w.Queue = make([]QueueRow, p.Queue)
	w.Withdrawals = make([]WithdrawalRow, p.Withdrawals)
	w.Transfers = make([]TransferRow, p.Transfers)
	w.Takeovers = make([]TakeoverRow, p.Takeovers)
	w.Deleverages = make([]DeleverageRow, p.Deleverages)
	plan := ledger.PlanRisk(p.Positions)
	for i := range w.Accounts {
		w.Accounts[i].Path = make([]variable, p.AccountDepth)
	}
	for i := range w.Positions {
		w.Positions[i].Risk = make([]variable, len(plan.Lanes))
	}
	for i := range w.Orders {
		w.Orders[i].SlotPath = make([]variable, p.SlotDepth)
		w.Orders[i].SlotBits = make([]variable, p.SlotDepth)
	}
	return c
}

// builder carries what the tables share while the circuit is defined.
type builder struct {
	api    frontend.API
	l      *argument.Layer
	preset circuit.Preset
	plan   ledger.RiskPlan
	blob   bool
	public ledger.Public
	ties   ties

	header      headerTable
	accounts    accountTable
	positions   positionTable
	instruments ledger.InstrumentTable
	listings    listingTable
	signatures  signatureTable
	orders      orderTable
	legs        legTable
	fills       fillTable
	queue       queueTable
	withdrawals withdrawalTable
	transfers   transferTable
	takeovers   takeoverTable
	deleverages deleverageTable
}

// Define states the batch. All cells are allocated before anything is stated about them, so that tables may refer to each other.
func (c *Circuit) Define(api frontend.API) error {
	if c.Blob {
		if err := fitsBlob(c.Preset); err != nil {
			return err
		}
	}
	l := argument.New(api, c.Options...)
	b := &builder{api: api, l: l, preset: c.Preset, plan: ledger.PlanRisk(c.Preset.Positions), blob: c.Blob, public: c.Public}
	w := &c.Private
	b.header = allocateHeader(l, &w.Header)
	b.accounts = allocateAccounts(l, b.plan, c.Preset, w.Accounts)
	b.positions = allocatePositions(l, b.plan, w.Positions)
	b.instruments = ledger.AllocateInstruments(l, w.Instruments)
	b.listings = allocateListings(l, w.Listings)
	b.signatures = allocateSignatures(l, w.Signatures)
	b.orders = allocateOrders(l, c.Preset, w.Orders)
	b.legs = allocateLegs(l, c.Preset, w.Legs)
	b.fills = allocateFills(l, c.Preset, w.Fills)
	b.queue = allocateQueue(l, w.Queue)
	b.withdrawals = allocateWithdrawals(l, w.Withdrawals)
	b.transfers = allocateTransfers(l, w.Transfers)
	b.takeovers = allocateTakeovers(l, w.Takeovers)
	b.deleverages = allocateDeleverages(l, w.Deleverages)
	b.stateRowRules()
	b.ties = makeTies(b)

	b.stateHeader()
	b.stateListings()
	b.stateInstruments()
	b.stateAccounts()
	b.statePositions()
	gadget := schnorr.New(l)
	b.stateSignatures(gadget)
	b.stateOrders()
	b.stateLegs()
	b.stateFills()
	b.stateQueue()
	b.stateWithdrawals()
	b.stateTransfers()
	b.stateTakeovers()
	b.stateDeleverages()
	b.stateVector()
	gadget.Close()
	if c.Inspect != nil {
		c.Inspect(l)
	}
	return l.Seal()
}

// stateRowRules states the order of rows, on which unique keys rest.
func (b *builder) stateRowRules() {
	b.l.Group("rows: used first, keys ascending")
	b.accounts.table.UsedFirst(b.accounts.used)
	b.accounts.table.Ascending(b.accounts.id)
	b.positions.table.UsedFirst(b.positions.used)
	b.positions.table.AscendingPairs(b.positions.continues, b.positions.account, b.positions.instrument)
	b.instruments.Table.UsedFirst(b.instruments.Used)
	b.instruments.Table.Ascending(b.instruments.ID)
	b.listings.table.UsedFirst(b.listings.used)
	b.orders.table.UsedFirst(b.orders.used)
	b.orders.table.AscendingPairs(b.orders.continues, b.orders.account, b.orders.step)
	b.orders.table.Indexed()
	b.legs.table.UsedFirst(b.legs.used)
	b.legs.table.Indexed()
	b.fills.table.UsedFirst(b.fills.used)
	b.queue.table.UsedFirst(b.queue.used)
	b.withdrawals.table.UsedFirst(b.withdrawals.used)
	b.withdrawals.table.Ascending(b.withdrawals.account)
	b.transfers.table.UsedFirst(b.transfers.used)
	b.takeovers.table.UsedFirst(b.takeovers.used)
	b.deleverages.table.UsedFirst(b.deleverages.used)
}
