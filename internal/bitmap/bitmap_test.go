package bitmap_test

import (
	"slices"
	"testing"

	"github.com/nawasara/nawasync/internal/bitmap"
)

func TestBitmapHoldsEachIDOnceWhereverItLies(t *testing.T) {
	t.Parallel()
	ids := []int64{1, 63, 64, 65535, 65536, 1 << 40, 1<<62 + 5}
	var b bitmap.Bitmap
	for _, id := range ids {
		if !b.Add(id) {
			t.Errorf("%d was there already", id)
		}
	}
	if b.Add(64) {
		t.Error("64 was added twice")
	}
	got := slices.Sorted(b.All())
	if !slices.Equal(got, ids) || b.Len() != int64(len(ids)) {
		t.Errorf("it holds %v, %d of them", got, b.Len())
	}
	if b.Has(2) || b.Has(1<<41) || !b.Has(1<<40) {
		t.Error("Has is wrong")
	}
}
