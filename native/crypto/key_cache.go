package crypto

import (
	"container/list"
	"encoding/binary"
	"sync"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

const (
	// MaxCachedKeys bounds the memory of the keys that verification remembers: 40 KB a key with its table, 42 MB in all.
	MaxCachedKeys = 1024
	// usesBeforeTable: a table costs about four verifications without one and then saves two fifths of each. A key that signs once does not pay for one,
	// nor do keys in a flood of more than MaxCachedKeys.
	usesBeforeTable = 3
	// A key's table: 26 windows of 5 bits, 16 points each.
	keyWindowBits = 5
)

// keyTable makes c A cheap for one valid key A.
type keyTable struct {
	windows      *windowTable
	minusRepunit te.PointExtended // -Repunit() A: the part of every -c A that does not depend on the message
}

func newKeyTable(A *te.PointAffine) *keyTable {
	t := &keyTable{windows: newWindowTable(A, keyWindowBits, challengeBits)}
	t.minusRepunit.FromAffine(&te.PointAffine{Y: fr.One()})
	n := scalarOf(repunit)
	t.windows.addMultiple(&t.minusRepunit, &n, true)
	return t
}

// minusChallenge is -c A for the short challenge c of h.
func (t *keyTable) minusChallenge(h fr.Element) te.PointExtended {
	encoded := h.Bytes()
	low := scalar{binary.BigEndian.Uint64(encoded[24:]), binary.BigEndian.Uint64(encoded[16:])}
	acc := t.minusRepunit
	t.windows.addMultiple(&acc, &low, true)
	return acc
}

// keyCache remembers the valid keys that were used last, and the tables of those used often. Invalid keys are not remembered: they would push out others.
// Safe for concurrent use.
type keyCache struct {
	capacity int

	mutex   sync.Mutex
	entries map[te.PointAffine]*list.Element // of *cachedKey; coordinates are canonical, so equal points are equal map keys
	recent  *list.List                       // the last used first
}

type cachedKey struct {
	key   te.PointAffine
	uses  int // guarded by the cache's mutex
	build sync.Once
	table *keyTable // set by build
}

func newKeyCache(capacity int) *keyCache {
	return &keyCache{capacity: capacity, entries: make(map[te.PointAffine]*list.Element), recent: list.New()}
}

var verificationKeys = newKeyCache(MaxCachedKeys)

// lookup says whether A is a valid key, and gives its table if it has been used often enough for one.
func (c *keyCache) lookup(A *te.PointAffine) (*keyTable, bool) {
	entry, uses := c.find(A)
	if entry == nil {
		if !ValidKey(A) {
			return nil, false
		}
		c.remember(A)
		return nil, true
	}
	if uses <= usesBeforeTable {
		return nil, true
	}
	entry.build.Do(func() { entry.table = newKeyTable(A) })
	return entry.table, true
}

// find returns a remembered key and counts the use, with the number of uses so far; nil if the key is not remembered.
func (c *keyCache) find(A *te.PointAffine) (*cachedKey, int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	element, found := c.entries[*A]
	if !found {
		return nil, 0
	}
	c.recent.MoveToFront(element)
	entry := element.Value.(*cachedKey)
	entry.uses++
	return entry, entry.uses
}

// remember enters a valid key, unless another goroutine has meanwhile, and drops those used least recently.
func (c *keyCache) remember(A *te.PointAffine) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if _, found := c.entries[*A]; found {
		return
	}
	c.entries[*A] = c.recent.PushFront(&cachedKey{key: *A, uses: 1})
	for c.recent.Len() > c.capacity {
		oldest := c.recent.Remove(c.recent.Back()).(*cachedKey)
		delete(c.entries, oldest.key)
	}
}
