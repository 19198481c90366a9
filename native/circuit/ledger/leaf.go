package ledger

import (
	"math/big"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark/frontend"

	"straddle/native/circuit/argument"
	"straddle/native/circuit/poseidon"
	"straddle/native/crypto"
)

// LeafFields are the fields of an account leaf, in the order of its hash, but for the last, the auction word.
type LeafFields struct {
	Owner, KeyX, KeyY, MultipleX, MultipleY, KeyEpoch, Cash, PositionsDigest, OrdersRoot variable
	MinNonce, ActionNonce, Flags                                                         variable
}

// LeafColumns are the leaves of a table's rows.
type LeafColumns struct {
	Owner, KeyX, KeyY, MultipleX, MultipleY, KeyEpoch, Cash, PositionsDigest, OrdersRoot argument.Column
	MinNonce, ActionNonce, Flags                                                         argument.Column
}

// AllocateLeaves makes the columns; prefix comes before their names.
func AllocateLeaves[R any](t *argument.Table, prefix string, rows []R, of func(*R) *LeafFields) LeafColumns {
	values := func(get func(*LeafFields) variable) []variable {
		return Column(rows, func(r *R) variable { return get(of(r)) })
	}
	element := func(name string, get func(*LeafFields) variable) argument.Column {
		return t.Field(prefix+name, values(get))
	}
	number := func(name string, n int, get func(*LeafFields) variable) argument.Column {
		return t.Bits(prefix+name, n, values(get))
	}
	return LeafColumns{
		Owner: number("owner", 160, func(f *LeafFields) variable { return f.Owner }),
		KeyX:  element("key_x", func(f *LeafFields) variable { return f.KeyX }), KeyY: element("key_y", func(f *LeafFields) variable { return f.KeyY }),
		MultipleX:       element("multiple_x", func(f *LeafFields) variable { return f.MultipleX }),
		MultipleY:       element("multiple_y", func(f *LeafFields) variable { return f.MultipleY }),
		KeyEpoch:        number("key_epoch", 32, func(f *LeafFields) variable { return f.KeyEpoch }),
		Cash:            t.Signed(prefix+"cash", 64, values(func(f *LeafFields) variable { return f.Cash })),
		PositionsDigest: element("positions_digest", func(f *LeafFields) variable { return f.PositionsDigest }),
		OrdersRoot:      element("orders_root", func(f *LeafFields) variable { return f.OrdersRoot }),
		MinNonce:        number("min_nonce", 64, func(f *LeafFields) variable { return f.MinNonce }),
		ActionNonce:     number("action_nonce", 64, func(f *LeafFields) variable { return f.ActionNonce }),
		Flags:           element("flags", func(f *LeafFields) variable { return f.Flags }),
	}
}

// Hash is the leaf of row i with its auction word.
func (c *LeafColumns) Hash(api frontend.API, i int, auction argument.Expr) frontend.Variable {
	words := make([]variable, 0, 13)
	for _, field := range []argument.Column{c.Owner, c.KeyX, c.KeyY, c.MultipleX, c.MultipleY, c.KeyEpoch, c.Cash, c.PositionsDigest, c.OrdersRoot,
		c.MinNonce, c.ActionNonce, c.Flags} {
		words = append(words, field[i].Raw())
	}
	return poseidon.Sponge(api, "straddle.account", append(words, auction.Raw())...)
}

// Leaf is an account leaf of a witness.
type Leaf struct {
	Owner           *big.Int `json:"owner" range:"160"`
	KeyX            *big.Int `json:"key_x" range:"field"`
	KeyY            *big.Int `json:"key_y" range:"field"`
	MultipleX       *big.Int `json:"multiple_x" range:"field"`
	MultipleY       *big.Int `json:"multiple_y" range:"field"`
	KeyEpoch        *big.Int `json:"key_epoch" range:"32"`
	Cash            *big.Int `json:"cash" range:"m63"`
	PositionsDigest *big.Int `json:"positions_digest" range:"field"`
	OrdersRoot      *big.Int `json:"orders_root" range:"field"`
	MinNonce        *big.Int `json:"min_nonce" range:"64"`
	ActionNonce     *big.Int `json:"action_nonce" range:"64"`
	Flags           *big.Int `json:"flags" range:"64"`
	Auction         *big.Int `json:"auction" range:"63"`
}

// AuctionBits hold a leaf's auction word.
const AuctionBits = 63

// Cells are the leaf's cells, but for the auction word.
func (f *Leaf) Cells() LeafFields {
	return LeafFields{f.Owner, f.KeyX, f.KeyY, f.MultipleX, f.MultipleY, f.KeyEpoch, f.Cash, f.PositionsDigest, f.OrdersRoot, f.MinNonce,
		f.ActionNonce, f.Flags}
}

// Hash is the leaf itself.
func (f *Leaf) Hash() fr.Element {
	return crypto.Sponge("straddle.account", Elements([]*big.Int{f.Owner, f.KeyX, f.KeyY, f.MultipleX, f.MultipleY, f.KeyEpoch, f.Cash,
		f.PositionsDigest, f.OrdersRoot, f.MinNonce, f.ActionNonce, f.Flags, f.Auction})...)
}

// NullAccount is the account that does not exist.
func NullAccount(slotDepth int) *Leaf {
	zero := new(big.Int)
	return &Leaf{zero, zero, zero, zero, zero, zero, zero, ToBig(EmptyPositions()), ToBig(EmptySlots(slotDepth)), zero, zero, zero, zero}
}

// EmptySlots is the root of a slot tree that nothing has touched.
func EmptySlots(depth int) fr.Element {
	return crypto.NewTree(depth, crypto.Compress(fr.Element{}, fr.Element{})).Root()
}
