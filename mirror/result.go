package mirror

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nawasara/nawasync"
)

// What a result shows of drift, so that it is never too long to be kept.
const (
	maxSamples     = 20
	maxSampleBytes = 2048 // bytes of one
)

// addCounts adds what a batch came to.
func addCounts(r, b *nawasync.SyncResult) {
	r.Created += b.Created
	r.Updated += b.Updated
	r.Unchanged += b.Unchanged
	r.InFlight += b.InFlight
	for column, n := range b.Drifted {
		r.Drifted[column] += n
	}
	r.Samples = append(r.Samples, b.Samples[:min(len(b.Samples), maxSamples-len(r.Samples))]...)
}

// addDrift counts a field that somebody else has changed, and keeps a sample of it.
func addDrift(r *nawasync.SyncResult, target, column string, local, remote any) {
	if r.Drifted == nil {
		r.Drifted = map[string]int64{}
	}
	r.Drifted[column]++
	if len(r.Samples) < maxSamples && len(fmt.Sprint(local))+len(fmt.Sprint(remote)) < maxSampleBytes {
		// Under the column's name, so that what Mask hides is hidden here too.
		r.Samples = append(r.Samples, map[string]any{"target_id": target, column: map[string]any{"local": local, "remote": remote}})
	}
}

func cloneResult(r *nawasync.SyncResult) nawasync.SyncResult {
	out := *r
	out.Drifted, out.Samples = maps.Clone(r.Drifted), slices.Clone(r.Samples)
	return out
}
