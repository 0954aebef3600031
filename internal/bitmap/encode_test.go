package bitmap_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nawasara/nawasync/internal/bitmap"
)

func TestEncodedBitmapIsSmallAndDecodesToTheSameIDs(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var none, dense, half, sparse bitmap.Bitmap
	for id := range int64(100_000) {
		dense.Add(id)
		if random.IntN(2) == 0 {
			half.Add(id)
		}
	}
	for range 1000 {
		sparse.Add(random.Int64())
	}
	for name, c := range map[string]struct {
		set   *bitmap.Bitmap
		bytes int
	}{"none": {&none, 30}, "dense": {&dense, 1000}, "half": {&half, 30_000}, "sparse": {&sparse, 15_000}} {
		text, err := json.Marshal(c.set)
		if err != nil || len(text) > c.bytes {
			t.Errorf("%s: %d bytes, %v; want at most %d", name, len(text), err, c.bytes)
		}
		got := bitmap.Bitmap{}
		got.Add(7)
		if err := json.Unmarshal(text, &got); err != nil || got.Len() != c.set.Len() || !slices.Equal(slices.Sorted(got.All()), slices.Sorted(c.set.All())) {
			t.Errorf("%s: decoded %d of %d ids, %v", name, got.Len(), c.set.Len(), err)
		}
	}
	if err := json.Unmarshal([]byte(`"AQID"`), new(bitmap.Bitmap)); err == nil {
		t.Error("bytes that are no set are decoded")
	}
}
