package batch

import (
	"math/big"
	"slices"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"

	"straddle/native/circuit/ledger"
	"straddle/native/crypto"
)

// Witness is a batch as docs/reference/witness.md has it: used rows only; range tags as in ledger.Decode.
type Witness struct {
	Preset      string              `json:"preset"`
	Header      Header              `json:"header"`
	Public      ledger.PublicValues `json:"public"`
	Accounts    []Account           `json:"accounts"`
	Positions   []Position          `json:"positions"`
	Instruments []ledger.Instrument `json:"instruments"`
	Listings    []Listing           `json:"listings"`
	Signatures  []Signed            `json:"signatures"`
	Orders      []Order             `json:"orders"`
	Legs        []Leg               `json:"legs"`
	Fills       []Fill              `json:"fills"`
	Queue       []Entry             `json:"queue"`
	Withdrawals []Withdrawal        `json:"withdrawals"`
	Transfers   []Transfer          `json:"transfers"`
	Takeovers   []Takeover          `json:"takeovers"`
	Deleverages []Deleverage        `json:"deleverages"`
}

// Header is the batch's own data.
type Header struct {
	Domain          *big.Int `json:"domain" range:"248"`
	BatchNumber     *big.Int `json:"batch_number" range:"64"`
	Epoch           *big.Int `json:"epoch" range:"64"`
	TimeMs          *big.Int `json:"time_ms" range:"48"`
	FirstSequence   *big.Int `json:"first_sequence" range:"64"`
	LastSequence    *big.Int `json:"last_sequence" range:"64"`
	LogRoot         *big.Int `json:"log_root" range:"248"`
	KIm             *big.Int `json:"k_im_bps" range:"16"`
	KMm             *big.Int `json:"k_mm_bps" range:"16"`
	DiscountBps     *big.Int `json:"discount_bps" range:"16"`
	AuctionMs       *big.Int `json:"auction_ms" range:"32"`
	RiskDigest      *big.Int `json:"risk_digest" range:"248"`
	OldAccountsRoot *big.Int `json:"old_accounts_root" range:"field"`
	NewAccountsRoot *big.Int `json:"new_accounts_root" range:"field"`
	OldListingsRoot *big.Int `json:"old_listings_root" range:"field"`
	NewListingsRoot *big.Int `json:"new_listings_root" range:"field"`
	OldListingCount *big.Int `json:"old_listing_count" range:"32"`
	OldQueuePointer *big.Int `json:"old_queue_pointer" range:"64"`
	RiskRoot        *big.Int `json:"risk_root" range:"field"`
}

// Account is a touched account; Path holds the siblings after the updates of the rows before it.
type Account struct {
	ID              *big.Int    `json:"id" range:"32"`
	Old             ledger.Leaf `json:"old"`
	New             ledger.Leaf `json:"new"`
	Path            []*big.Int  `json:"path" range:"field"`
	CancelSignature int         `json:"cancel_signature"`
}

// Position is one position of a touched account.
type Position struct {
	Account    *big.Int `json:"account" range:"32"`
	Instrument *big.Int `json:"instrument" range:"32"`
	Old        *big.Int `json:"old" range:"m40"`
	New        *big.Int `json:"new" range:"m40"`
}

// Listing is one word of the listings: a new instrument, a settlement (kind 5: StrikeTicks is the value) or a retirement (kind 6); what a word lacks is 0.
type Listing struct {
	ID              *big.Int `json:"id" range:"32"`
	Kind            *big.Int `json:"kind" range:"1..6"`
	Underlying      *big.Int `json:"underlying" range:"1..1"`
	ExpiryMs        *big.Int `json:"expiry_ms" range:"48"`
	StrikeTicks     *big.Int `json:"strike_ticks" range:"40"`
	TickTicks       *big.Int `json:"tick_ticks" range:"24"`
	MinLots         *big.Int `json:"min_lots" range:"32"`
	PositionCapLots *big.Int `json:"position_cap_lots" range:"40"`
}

// Signed is one signature.
type Signed struct {
	Account *big.Int `json:"account" range:"32"`
	Kind    *big.Int `json:"kind" range:"1..6"`
	Payload *big.Int `json:"payload" range:"field"`
	RX      *big.Int `json:"r_x" range:"field"`
	RY      *big.Int `json:"r_y" range:"field"`
	S       *big.Int `json:"s" range:"field"`
}

// SlotState is what an order slot holds.
type SlotState struct {
	Nonce    *big.Int `json:"nonce" range:"64"`
	Revision *big.Int `json:"revision" range:"16"`
	Filled   *big.Int `json:"filled" range:"40"`
}

// Order is an outright order that filled, or one execution of a combination; Fill counts its units.
type Order struct {
	Account       *big.Int   `json:"account" range:"32"`
	Step          *big.Int   `json:"step" range:"16"`
	Signature     int        `json:"signature"`
	SetIndex      *big.Int   `json:"set_index" range:"6"`
	SetPath       []*big.Int `json:"set_path" range:"field"`
	Nonce         *big.Int   `json:"nonce" range:"64"`
	Revision      *big.Int   `json:"revision" range:"16"`
	ExpiryMs      *big.Int   `json:"expiry_ms" range:"48"`
	Size          *big.Int   `json:"size" range:"40"`
	Limit         *big.Int   `json:"limit" range:"s40"`
	Side          *big.Int   `json:"side" range:"1"`
	FeeCap        *big.Int   `json:"fee_cap" range:"32"`
	Flags         *big.Int   `json:"flags" range:"4"`
	SlotOld       SlotState  `json:"slot_old"`
	SlotPath      []*big.Int `json:"slot_path" range:"field"`
	OrdersRootOld *big.Int   `json:"orders_root_old" range:"field"`
	OrdersRootNew *big.Int   `json:"orders_root_new" range:"field"`
	Fill          *big.Int   `json:"fill" range:"40"`
	Fee           *big.Int   `json:"fee" range:"72"`
	Sequence      *big.Int   `json:"sequence" range:"64"`
}

// Leg is one leg of an order row; Order is its index.
type Leg struct {
	Order      int      `json:"order"`
	Place      *big.Int `json:"place" range:"0..3"`
	Instrument *big.Int `json:"instrument" range:"32"`
	Ratio      *big.Int `json:"ratio" range:"1..127"`
	Sell       *big.Int `json:"sell" range:"1"`
}

// Fill is one trade in an instrument; Taker and Maker are indices of legs.
type Fill struct {
	Taker    int      `json:"taker"`
	Maker    int      `json:"maker"`
	Price    *big.Int `json:"price" range:"s40"`
	Size     *big.Int `json:"size" range:"40"`
	TakerFee *big.Int `json:"taker_fee" range:"63"`
	MakerFee *big.Int `json:"maker_fee" range:"63"`
}

// Entry is one entry of layer 1's queue. Amount is a deposit's, what a forced withdrawal asks for, or the limit of a forced close in basis points.
type Entry struct {
	Kind    *big.Int `json:"kind" range:"1..4"`
	Account *big.Int `json:"account" range:"32"`
	Owner   *big.Int `json:"owner" range:"160"`
	Amount  *big.Int `json:"amount" range:"63"`
	Paid    *big.Int `json:"paid" range:"63"`
	KeyX    *big.Int `json:"key_x" range:"field"`
	KeyY    *big.Int `json:"key_y" range:"field"`
}

// Withdrawal is one withdrawal; Signature is an index of signatures.
type Withdrawal struct {
	Account   *big.Int `json:"account" range:"24"`
	Owner     *big.Int `json:"owner" range:"160"`
	Amount    *big.Int `json:"amount" range:"63"`
	Nonce     *big.Int `json:"nonce" range:"64"`
	Signature int      `json:"signature"`
}

// Transfer moves cash to another account of the same owner.
type Transfer struct {
	Account   *big.Int `json:"account" range:"32"`
	To        *big.Int `json:"to" range:"32"`
	Amount    *big.Int `json:"amount" range:"63"`
	Nonce     *big.Int `json:"nonce" range:"64"`
	Signature int      `json:"signature"`
}

// Takeover moves a fraction of an account's portfolio to the winner of its auction, who pays Payment. Signature is that of the winner's bid, or -1 for the
// insurance fund, whose Limit and Nonce are 0.
type Takeover struct {
	Account     *big.Int `json:"account" range:"32"`
	Winner      *big.Int `json:"winner" range:"32"`
	FractionBps *big.Int `json:"fraction_bps" range:"1..10000"`
	Payment     *big.Int `json:"payment" range:"m63"`
	Limit       *big.Int `json:"limit" range:"s64"`
	ExpiryMs    *big.Int `json:"expiry_ms" range:"48"`
	Nonce       *big.Int `json:"nonce" range:"64"`
	Signature   int      `json:"signature"`
}

// Deleverage moves Size lots (what the winner's position changes by) from a bankrupt account to the winner.
type Deleverage struct {
	Account    *big.Int `json:"account" range:"32"`
	Winner     *big.Int `json:"winner" range:"32"`
	Instrument *big.Int `json:"instrument" range:"32"`
	Size       *big.Int `json:"size" range:"m40"`
	Price      *big.Int `json:"price" range:"s40"`
}

// word is the listing word.
func (r *Listing) word() fr.Element {
	return ledger.Word(r.ID, 0, r.Kind, 32, r.Underlying, 40, r.ExpiryMs, 48, r.StrikeTicks, 96, r.TickTicks, 136, r.MinLots, 160, r.PositionCapLots, 192)
}

// leaf is the order's leaf in its set.
func (r *Order) leaf(legs []Leg) fr.Element {
	terms := ledger.Word(r.Nonce, 0, r.Revision, 64, r.ExpiryMs, 80, r.Size, 128, ledger.Offset(r.Limit, 39), 168, r.FeeCap, 208, r.Side, 240, r.Flags, 241)
	return crypto.Compress(terms, legsWord(legs))
}

// legsWord packs the legs of one order.
func legsWord(legs []Leg) fr.Element {
	sum := new(big.Int)
	for i := range legs {
		sum.Add(sum, new(big.Int).Lsh(legs[i].word(), uint(legBits*legs[i].Place.Int64())))
	}
	return ledger.ToElement(sum)
}

const legBits = 40 // of a leg's word

func (r *Leg) word() *big.Int { return ledger.Packed(r.Instrument, 0, r.Ratio, 32, r.Sell, 39) }

// listed counts the new instruments.
func (w *Witness) listed() (count int) {
	for i := range w.Listings {
		count += ledger.Bit(w.Listings[i].Kind.Int64() <= kindListings)
	}
	return count
}

// tableRow is an instrument's place in the risk table, from 1; 0 if it has none.
func (w *Witness) tableRow(id *big.Int) int64 {
	return int64(1 + slices.IndexFunc(w.Instruments, func(r ledger.Instrument) bool { return r.ID.Cmp(id) == 0 }))
}

// legsOf lists the leg rows of order row i.
func (w *Witness) legsOf(i int) (legs []Leg) {
	for k := range w.Legs {
		if w.Legs[k].Order == i {
			legs = append(legs, w.Legs[k])
		}
	}
	return legs
}

func (s *SlotState) leaf() fr.Element {
	return crypto.Compress(ledger.Word(s.Nonce, 0, s.Revision, 64), ledger.ToElement(s.Filled))
}

// same says whether the slot held this very nonce.
func (r *Order) same() bool { return r.SlotOld.Nonce.Cmp(r.Nonce) == 0 }

// filled is what the slot holds after the batch.
func (r *Order) filled() *big.Int {
	if r.same() {
		return new(big.Int).Add(r.SlotOld.Filled, r.Fill)
	}
	return r.Fill
}

// slot is what the slot holds after the batch.
func (r *Order) slot() *SlotState { return &SlotState{r.Nonce, r.Revision, r.filled()} }

// slotIndex is nonce mod 2^depth.
func (r *Order) slotIndex(depth int) uint64 {
	return new(big.Int).And(r.Nonce, new(big.Int).Sub(ledger.Power(depth), big.NewInt(1))).Uint64()
}
