package solvency

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit"
	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Witness is a chunk as docs/reference/witness.md has it; range tags as in ledger.Decode.
type Witness struct {
	Preset      string              `json:"preset"` // with the circuit's suffix
	Header      Header              `json:"header"`
	Public      ledger.PublicValues `json:"public"`
	Accounts    []ledger.Leaf       `json:"accounts"` // all places of the chunk
	Path        []*big.Int          `json:"path" range:"field"`
	Positions   []Position          `json:"positions"`
	Instruments []ledger.Instrument `json:"instruments"`
}

// Header is the state, the risk table and the chunk.
type Header struct {
	Domain       *big.Int `json:"domain" range:"248"`
	Chunk        *big.Int `json:"chunk" range:"24"`
	AccountsRoot *big.Int `json:"accounts_root" range:"field"`
	ListingsRoot *big.Int `json:"listings_root" range:"field"`
	ListingCount *big.Int `json:"listing_count" range:"32"`
	BatchNumber  *big.Int `json:"batch_number" range:"64"`
	QueuePointer *big.Int `json:"queue_pointer" range:"64"`
	KIm          *big.Int `json:"k_im_bps" range:"16"`
	KMm          *big.Int `json:"k_mm_bps" range:"16"`
	DiscountBps  *big.Int `json:"discount_bps" range:"16"`
	AuctionMs    *big.Int `json:"auction_ms" range:"32"`
	RiskDigest   *big.Int `json:"risk_digest" range:"248"`
	RiskRoot     *big.Int `json:"risk_root" range:"field"`
}

// Position is one position of an account of the chunk.
type Position struct {
	Account    *big.Int `json:"account" range:"24"`
	Instrument *big.Int `json:"instrument" range:"32"`
	Size       *big.Int `json:"size" range:"m40"`
}

// Decode reads a witness file.
func Decode(data []byte) (*Witness, error) { return ledger.Decode[Witness](data) }

// Assign makes the circuit's inputs from a witness. It recomputes C, the y, digests and roots and refuses a mismatch by the field's name; whether the
// chunk satisfies the statement is for the solver to say.
func Assign(w *Witness) (*Circuit, error) { return assign(w, check) }

// AssignUnchecked is Assign without the comparison, so that a cheating witness can be put before the solver itself.
func AssignUnchecked(w *Witness) (*Circuit, error) {
	return assign(w, func(circuit.Chunk, *Witness) error { return nil })
}

func assign(w *Witness, check func(circuit.Chunk, *Witness) error) (*Circuit, error) {
	chunk, err := circuit.ChunkByName(w.Preset)
	if err != nil {
		return nil, fmt.Errorf("preset: %w", err)
	}
	if err := shape(chunk, w); err != nil {
		return nil, err
	}
	if err := check(chunk, w); err != nil {
		return nil, err
	}
	return fill(chunk, w), nil
}

// shape checks counts, so that filling cannot go out of bounds.
func shape(chunk circuit.Chunk, w *Witness) error {
	errs := []error{ledger.Length("accounts", len(w.Accounts), chunk.Accounts()), ledger.Length("path", len(w.Path), chunk.PathLength())}
	most := func(path string, rows, most int) {
		if rows > most {
			errs = append(errs, fmt.Errorf("%s: %d rows, preset %q holds %d", path, rows, chunk.Name, most))
		}
	}
	most("positions", len(w.Positions), chunk.Positions)
	most("instruments", len(w.Instruments), chunk.Preset.Instruments)
	for i := range w.Instruments {
		errs = append(errs, ledger.Length(fmt.Sprintf("instruments[%d].deltas", i), len(w.Instruments[i].Deltas), ledger.Scenarios))
	}
	if w.Header.Chunk.BitLen() > chunk.PathLength() {
		errs = append(errs, fmt.Errorf("header.chunk: %s, expected 0 to %s", w.Header.Chunk, ledger.Less(ledger.Power(chunk.PathLength()), 1)))
	}
	return ledger.First(errs)
}

// check compares digests, roots and public values with what the rest of the witness makes them.
func check(chunk circuit.Chunk, w *Witness) error {
	for p := range w.Accounts {
		digest, _ := w.digest(account(chunk, w.Header.Chunk, p))
		if err := ledger.Mismatch(fmt.Sprintf("accounts[%d].positions_digest", p), w.Accounts[p].PositionsDigest, digest); err != nil {
			return err
		}
	}
	first, after := account(chunk, w.Header.Chunk, 0), account(chunk, w.Header.Chunk, chunk.Accounts())
	for j := range w.Positions {
		if id := w.Positions[j].Account; id.Cmp(first) < 0 || id.Cmp(after) >= 0 {
			return fmt.Errorf("positions[%d].account: %s, expected one of the chunk, %s to %s", j, id, first, ledger.Less(after, 1))
		}
	}
	if root := w.accountsRoot(); ledger.ToBig(root).Cmp(w.Header.AccountsRoot) != 0 {
		return errors.New("header.accounts_root: the accounts do not open under it at header.chunk (accounts or path)")
	}
	want := publicValues(chunk, w)
	return ledger.First([]error{
		ledger.Mismatch("header.risk_root", w.Header.RiskRoot, ledger.RiskRoot(w.Header.ListingsRoot, w.Instruments)),
		w.Public.Check(&want),
	})
}

// accountsRoot is the root under which leaves and path open.
func (w *Witness) accountsRoot() fr.Element {
	level := make([]fr.Element, len(w.Accounts))
	for p := range level {
		level[p] = w.Accounts[p].Hash()
	}
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := range len(level) / 2 {
			level[i] = crypto.Compress(level[2*i], level[2*i+1])
		}
	}
	return crypto.Fold(level[0], w.Header.Chunk.Uint64(), ledger.Elements(w.Path))
}

// account is the id of a place.
func account(chunk circuit.Chunk, number *big.Int, place int) *big.Int {
	id := new(big.Int).Lsh(number, uint(chunk.K))
	return id.Add(id, big.NewInt(int64(place)))
}

// digest is the positions digest of an account by its rows, and whether it has any.
func (w *Witness) digest(id *big.Int) (digest fr.Element, has bool) {
	digest = ledger.EmptyPositions()
	for j := range w.Positions {
		if r := &w.Positions[j]; r.Account.Cmp(id) == 0 {
			digest, has = ledger.PositionStep(digest, r.Instrument, r.Size), true
		}
	}
	return digest, has
}
