package mirror

import (
	"encoding/binary"

	"github.com/nawasara/nawasync/tracker"
)

// keyIndex numbers different keys, from 0. A key is a SHA-256, so that its first bytes serve as its hash.
// The zero value is empty.
type keyIndex struct {
	slots []uint32 // numbers of keys, plus one; 0 is free
	keys  []tracker.Identity
}

// reset removes all keys, and makes room for n.
func (x *keyIndex) reset(n int) {
	size := 16
	for size < 2*n {
		size *= 2
	}
	if len(x.slots) == size {
		clear(x.slots)
	} else {
		x.slots = make([]uint32, size)
	}
	x.keys = x.keys[:0]
}

// find returns the number of a key.
func (x *keyIndex) find(key *tracker.Identity) (number int, found bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	at := x.slot(key)
	return int(x.slots[at]) - 1, x.slots[at] > 0
}

// add numbers a key that the index does not have.
func (x *keyIndex) add(key *tracker.Identity) {
	if 2*len(x.keys) >= len(x.slots) {
		keys := x.keys
		x.reset(2 * (len(keys) + 1))
		for i := range keys { // in the same array
			x.slots[x.slot(&keys[i])] = uint32(i + 1)
			x.keys = keys[:i+1]
		}
	}
	x.keys = append(x.keys, *key)
	x.slots[x.slot(key)] = uint32(len(x.keys))
}

// slot returns where a key is, or where it belongs.
func (x *keyIndex) slot(key *tracker.Identity) uint32 {
	mask := uint32(len(x.slots) - 1)
	at := binary.LittleEndian.Uint32(key[:]) & mask
	for x.slots[at] > 0 && x.keys[x.slots[at]-1] != *key {
		at = (at + 1) & mask
	}
	return at
}
