// Package logbucket has the buckets in which durations are counted: four per doubling, from 1 ms up, and
// the text in which such counts are stored. It imports the standard library only.
package logbucket

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

const perDoubling = 4

// Of returns the bucket of a duration.
func Of(d time.Duration) int {
	ms := float64(d) / float64(time.Millisecond)
	if ms <= 1 {
		return 0
	}
	return int(math.Ceil(math.Log2(ms)*perDoubling - 1e-9))
}

// Bound returns the upper bound of a bucket.
func Bound(bucket int) time.Duration {
	return time.Duration(math.Exp2(float64(bucket)/perDoubling) * float64(time.Millisecond))
}

// SumKey stands for the sum, in microseconds, in the stored text.
const SumKey = "s"

// Text returns the stored text: "bucket:count" pairs in ascending order of buckets, and the sum in
// microseconds as "s:sum" unless it is 0, separated by spaces.
func Text(counts map[int]int64, sum time.Duration) string {
	var b strings.Builder
	for i, bucket := range slices.Sorted(maps.Keys(counts)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d:%d", bucket, counts[bucket])
	}
	if micros := sum.Microseconds(); micros > 0 {
		fmt.Fprintf(&b, " %s:%d", SumKey, micros)
	}
	return b.String()
}
