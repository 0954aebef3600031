package tracker

import (
	"testing"
	"time"
)

func TestNextChunkIsSizedByTheTimeOfTheLast(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size int
		took time.Duration
		want int
	}{
		{2000, 0, 10_000}, // at most five times as many
		{2000, time.Millisecond, 10_000},
		{2000, 50 * time.Millisecond, 4000},
		{2000, 200 * time.Millisecond, 1000},
		{2000, time.Minute, 400}, // at least a fifth
		{100, time.Minute, minChunk},
		{30_000, time.Millisecond, maxChunk},
	} {
		if got := nextChunk(c.size, c.took, chunkTime, maxChunk); got != c.want {
			t.Errorf("after %d jobs in %s: %d, want %d", c.size, c.took, got, c.want)
		}
	}
}
