package mirror

import (
	"encoding/binary"
	"testing"

	"github.com/nawasara/nawasync/tracker"
)

func TestKeyIndexNumbersKeysAlsoOfOneSlotAndWhileItGrows(t *testing.T) {
	t.Parallel()
	key := func(i int) (k tracker.Identity) {
		binary.LittleEndian.PutUint32(k[:], uint32(i%7)) //nolint:gosec // small
		binary.LittleEndian.PutUint32(k[4:], uint32(i))  //nolint:gosec // small
		return k
	}
	var x keyIndex
	unknown := key(1)
	if _, found := x.find(&unknown); found {
		t.Error("an empty index has a key")
	}
	for _, n := range []int{500, 20, 3000} { // a batch after a batch
		x.reset(min(n, 500))
		for i := range n {
			k := key(i)
			if _, found := x.find(&k); found {
				t.Fatalf("key %d is known before it was added", i)
			}
			x.add(&k)
		}
		for i := range n {
			k := key(i)
			if number, found := x.find(&k); !found || number != i {
				t.Fatalf("of %d keys, key %d has the number %d, %v", n, i, number, found)
			}
		}
	}
}
