package mirror

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nawasara/nawasync"
)

// These limits keep the samples of drift in a result short enough to be stored.
const (
	maxSamples     = 20
	maxSampleBytes = 2048 // length of one sample
)

// addCounts adds the counts and samples of a batch to r.
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

// addDrift counts a field that was changed on the remote, and keeps a sample of the change.
func addDrift(r *nawasync.SyncResult, target, column string, local, remote any) {
	if r.Drifted == nil {
		r.Drifted = map[string]int64{}
	}
	r.Drifted[column]++
	if len(r.Samples) < maxSamples && len(fmt.Sprint(local))+len(fmt.Sprint(remote)) < maxSampleBytes {
		// The key is the column's name, so the same fields are masked as elsewhere.
		r.Samples = append(r.Samples, map[string]any{"target_id": target, column: map[string]any{"local": local, "remote": remote}})
	}
}

func cloneResult(r *nawasync.SyncResult) nawasync.SyncResult {
	out := *r
	out.Drifted, out.Samples = maps.Clone(r.Drifted), slices.Clone(r.Samples)
	return out
}
