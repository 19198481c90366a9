package solvency

import (
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"
	"github.com/consensys/gnark/logger"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/inspect"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

func init() { logger.Disable() }

// compile makes a traced circuit, once.
type compile func() (*inspect.Traced, error)

func compiler(name string) compile {
	return sync.OnceValues(func() (*inspect.Traced, error) {
		return inspect.Compile(func(options ...argument.Option) frontend.Circuit {
			c := New(mustChunk(name))
			c.Options = options
			return c
		})
	})
}

var nanoSolvency, nanoExit = compiler("nano-solvency"), compiler("nano-exit")

func compiled(t testing.TB, make compile) *inspect.Traced {
	t.Helper()
	ccs, err := make()
	if err != nil {
		t.Fatal(err)
	}
	return ccs
}

func TestHonestChunkSolves(t *testing.T) {
	ccs := compiled(t, nanoSolvency)
	t.Log("constraints", ccs.GetNbConstraints())
	for seed := int64(1); seed <= 3; seed++ {
		f := newFixture(seed)
		w := f.witness()
		c, err := Assign(w)
		if err != nil {
			t.Fatal(err)
		}
		if err := inspect.Solve(ccs, c); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestOtherChunks: a chunk in which nobody has rows, one without the insurance fund, and the empty end of the tree.
func TestOtherChunks(t *testing.T) {
	for _, number := range []int64{1, 2, 31} {
		f := newFixture(1)
		f.header.Chunk = num(number)
		c, err := Assign(f.witness())
		if err != nil {
			t.Fatal(err)
		}
		if err := inspect.Solve(compiled(t, nanoSolvency), c); err != nil {
			t.Errorf("chunk %d: %v", number, err)
		}
	}
}

func TestHonestExitsSolve(t *testing.T) {
	ccs := compiled(t, nanoExit)
	t.Log("constraints", ccs.GetNbConstraints())
	for id := int64(0); id <= elsewhere; id++ {
		f := newFixture(1).exit(id)
		c, err := Assign(f.witness())
		if err != nil {
			t.Fatal(err)
		}
		if err := inspect.Solve(ccs, c); err != nil {
			t.Errorf("account %d: %v", id, err)
		}
	}
}

// TestDemoPreset compiles, audits and solves the circuits of the large preset.
func TestDemoPreset(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a million constraints: fifteen seconds")
	}
	for _, name := range []string{"demo-exit", "demo-solvency"} {
		ccs := compiled(t, compiler(name))
		t.Log(name, ccs.GetNbConstraints(), "constraints")
		f := newFixture(1)
		f.chunk = mustChunk(name)
		if f.chunk.K == 0 {
			f.header.Chunk = num(rich)
		}
		c, err := Assign(f.witness())
		if err != nil {
			t.Fatal(err)
		}
		if err := inspect.Solve(ccs, c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if crossings, err := argument.Audit(ccs.ConstraintSystem); err != nil || len(crossings) > 0 {
			t.Errorf("%s: %d crossings, %v", name, len(crossings), err)
		}
		c.Private.Accounts[0].Margin.ChargeMM = 12345
		if inspect.Solve(ccs, c) == nil {
			t.Errorf("%s: another charge is accepted", name)
		}
	}
}

// TestWordsByHand reads the effects and the body of the fixture, part by part, and compares them with sums over the plan.
func TestWordsByHand(t *testing.T) {
	f := newFixture(1)
	effects, body := vector(f.chunk, f.witness())
	part := func(word fr.Element, at, bits int) *big.Int {
		n := new(big.Int).Rsh(ledger.ToBig(word), uint(at))
		return n.And(n, ledger.Less(ledger.Power(bits), 1))
	}
	expect := func(name string, got, want *big.Int) {
		t.Helper()
		if got.Cmp(want) != 0 {
			t.Errorf("%s: %s, expected %s", name, got, want)
		}
	}
	cash, claims, lacks := ledger.Power(95), num(0), num(0)
	for id := int64(0); id < 8; id++ {
		a, ok := f.accounts[id]
		if !ok {
			expect("line of nobody", ledger.ToBig(effects[7+id]), num(0))
			continue
		}
		cash.Add(cash, a.cash)
		equity := new(big.Int).Add(a.cash, f.totals(id).Value)
		if gap := new(big.Int).Sub(f.maintenance(id), new(big.Int).Mul(equity, num(10_000))); gap.Sign() > 0 {
			lacks.Add(lacks, gap)
		}
		if equity.Sign() < 0 {
			equity = num(0)
		}
		claims.Add(claims, equity)
		expect("owner", part(effects[7+id], 0, 160), num(a.owner))
		expect("claim", part(effects[7+id], 160, 64), equity)
		expect("account", part(effects[7+id], 224, 24), num(id))
	}
	expect("domain", ledger.ToBig(effects[0]), f.header.Domain)
	expect("chunk and k", ledger.ToBig(effects[3]), new(big.Int).Lsh(num(3), 24))
	expect("cash", part(effects[4], 0, 96), cash)
	expect("claims", part(effects[4], 96, 96), claims)
	expect("debts", part(effects[5], 0, 96), num(1_234_567))
	expect("below", part(effects[5], 96, 32), num(2))
	expect("shortfall", part(effects[5], 128, 96), lacks)
	fundEquity := new(big.Int).Add(f.accounts[fund].cash, new(big.Int).Mul(num(12), f.instrument(perpetual).Value))
	expect("fund", ledger.ToBig(effects[6]), fundEquity.Add(fundEquity, ledger.Power(95)))
	if len(effects) != 15 || len(body) != 2 {
		t.Fatalf("%d effects, %d cells", len(effects), len(body))
	}
	for row, net := range []int64{-40, 0, 0, 0} { // account 9 is long 40 calls; -5 of the settled option count as 0
		expect("net", part(body[0], 56*row, 56), new(big.Int).Add(num(net), ledger.Power(55)))
	}
	expect("nets of a future and two unused rows", ledger.ToBig(body[1]), ledger.Power(55))
}

// vectorOfCells assembles effects and body from the cells, as the circuit does.
func vectorOfCells(c *Circuit) (effects, body []fr.Element) {
	p, h, k := &c.Private, &c.Private.Header, c.Chunk.K
	number := inspect.Number
	params := ledger.ParamsHashOf(c.Chunk.Preset, number(h.KIm), number(h.KMm), number(h.DiscountBps), number(h.AuctionMs), number(h.RiskDigest))
	state := ledger.StateRootOf(number(h.AccountsRoot), number(h.ListingsRoot), number(h.ListingCount), number(h.BatchNumber), number(h.QueuePointer), params)
	cash, claims, debts, below, shortfall, fund := ledger.Power(95), num(0), num(0), num(0), num(0), num(0)
	var lines []fr.Element
	for place := range p.Accounts {
		a := &p.Accounts[place]
		id := new(big.Int).Lsh(number(h.Chunk), uint(k))
		id.Add(id, num(int64(place)))
		cash.Add(cash, number(a.Leaf.Cash))
		claims.Add(claims, number(a.Claim))
		debts.Add(debts, number(a.Debt))
		below.Add(below, number(a.Below))
		equity := new(big.Int).Sub(number(a.Claim), number(a.Debt))
		gap := new(big.Int).Mul(number(h.KMm), number(a.Margin.ScanLoss))
		gap.Add(gap, new(big.Int).Mul(num(10_000), new(big.Int).Sub(number(a.Margin.ChargeMM), equity)))
		shortfall.Add(shortfall, gap.Mul(gap, number(a.Below)))
		if id.Cmp(num(fundAccount)) == 0 {
			fund = new(big.Int).Add(equity, ledger.Power(95))
		}
		line := fr.Element{}
		if owner := ledger.ToElement(number(a.Leaf.Owner)); !owner.IsZero() {
			line = ledger.Word(number(a.Leaf.Owner), 0, number(a.Claim), 160, id, 224)
		}
		lines = append(lines, line)
	}
	effects = append([]fr.Element{ledger.ToElement(number(h.Domain)), state, ledger.ToElement(number(h.RiskRoot)),
		ledger.Word(number(h.Chunk), 0, num(int64(k)), 24),
		ledger.Word(cash, 0, claims, 96), ledger.Word(debts, 0, below, 96, shortfall, 128), ledger.ToElement(fund)}, lines...)
	for first := 0; first < len(p.Instruments); first += 4 {
		sum := num(0)
		for i := first; i < min(first+4, len(p.Instruments)); i++ {
			r := &p.Instruments[i]
			net := new(big.Int).Mul(new(big.Int).Sub(number(r.Used), number(r.Settled)), number(p.Nets[i]))
			net.Add(net, new(big.Int).Lsh(number(r.Used), 55))
			sum.Add(sum, net.Lsh(net, uint(56*(i-first))))
		}
		body = append(body, ledger.ToElement(sum))
	}
	return effects, body
}

// publish recomputes C and the y from the cells.
func publish(c *Circuit) {
	effects, body := vectorOfCells(c)
	z := ledger.ToElement(inspect.Number(c.Public.Z))
	c.Public.C = ledger.ToBig(crypto.Sponge("straddle.solvency", append(append([]fr.Element{}, effects...), body...)...))
	c.Public.YEffects, c.Public.YBody = ledger.ToBig(ledger.EvaluateAt(effects, z)), ledger.ToBig(ledger.EvaluateAt(body, z))
}

// TestVectorOfCells: the helper above, the native vector and the circuit agree on the honest chunk.
func TestVectorOfCells(t *testing.T) {
	f := newFixture(1)
	w := f.witness()
	c := fill(f.chunk, w)
	publish(c)
	if inspect.Number(c.Public.C).Cmp(w.Public.C) != 0 || inspect.Number(c.Public.YBody).Cmp(w.Public.YBody) != 0 {
		t.Fatal("vectorOfCells differs from the native vector")
	}
}

// TestFixtureIsNotVacuous: flags and parts of used rows take both values.
func TestFixtureIsNotVacuous(t *testing.T) {
	f := newFixture(1)
	w := f.witness()
	c := &fill(f.chunk, w).Private
	seen := map[string]map[string]bool{}
	for _, x := range inspect.Cells(c) {
		if row, used := usedRow(x.Path, w); used {
			name := strings.Replace(x.Path, row, "", 1)
			if seen[name] == nil {
				seen[name] = map[string]bool{}
			}
			seen[name][inspect.Number(x.At.Interface()).String()] = true
		}
	}
	for _, name := range []string{"Accounts.HasPositions", "Accounts.Below", "Accounts.Claim", "Accounts.Debt", "Accounts.Leaf.Owner", "Accounts.Auction",
		"Accounts.Margin.ScanLoss", "Positions.Continues", "Positions.Long", "Positions.Short", "Instruments.Linear", "Instruments.Settled", "Nets"} {
		if !seen[name]["0"] || len(seen[name]) < 2 {
			t.Errorf("%s is always or never 0: %v", name, reflect.ValueOf(seen[name]).MapKeys())
		}
	}
}
