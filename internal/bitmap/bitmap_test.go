package bitmap_test

import (
	"slices"
	"testing"

	"github.com/nawasara/nawasync/internal/bitmap"
)

func TestBitmapHoldsEachIDOnce(t *testing.T) {
	t.Parallel()
	ids := []int64{1, 63, 64, 65535, 65536, 1 << 40, 1<<62 + 5}
	var b bitmap.Bitmap
	for _, id := range ids {
		if !b.Add(id) {
			t.Errorf("Add(%d) reports that the id was in the set before", id)
		}
	}
	if b.Add(64) {
		t.Error("the second Add(64) reports a new id")
	}
	got := slices.Sorted(b.All())
	if !slices.Equal(got, ids) || b.Len() != int64(len(ids)) {
		t.Errorf("the set holds %v and its length is %d", got, b.Len())
	}
	if b.Has(2) || b.Has(1<<41) || !b.Has(1<<40) {
		t.Error("Has returns a wrong result")
	}
}
