package tracker

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/logbucket"
)

// Histogram counts durations in fixed logarithmic buckets, four per doubling, from 1 ms up, and
// adds them up. Because all histograms have the same buckets, two periods can be merged and still
// give correct percentiles. A quantile is too high by at most 19 %. The zero value is empty and
// ready to use. A Histogram is not safe for concurrent use.
type Histogram struct {
	counts map[int]int64
	sum    time.Duration
}

// Add counts one duration. A negative duration counts as zero.
func (h *Histogram) Add(d time.Duration) {
	h.addCount(logbucket.Of(d), 1)
	h.sum += max(0, d)
}

func (h *Histogram) addCount(bucket int, n int64) {
	if h.counts == nil {
		h.counts = map[int]int64{}
	}
	h.counts[bucket] += n
}

// Merge adds the counts and the sum of other to h.
func (h *Histogram) Merge(other Histogram) {
	h.sum += other.sum
	for bucket, n := range other.counts {
		h.addCount(bucket, n)
	}
}

// Count returns the number of durations counted.
func (h *Histogram) Count() int64 {
	var n int64
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Sum returns the sum of the durations counted. A stored histogram keeps it in microseconds.
func (h *Histogram) Sum() time.Duration { return h.sum }

// CountUpTo returns the number of durations counted in the buckets whose upper bound does not
// exceed d. If d is 1 ms or a doubling of it, such as 4.096 s, these are exactly the durations
// that do not exceed d.
func (h *Histogram) CountUpTo(d time.Duration) int64 {
	var n int64
	for bucket, c := range h.counts {
		if logbucket.Bound(bucket) <= d {
			n += c
		}
	}
	return n
}

// Quantile returns the duration that the share q (0 to 1) of the counted durations does not
// exceed, rounded up to the bound of its bucket. It returns 0 if nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(math.Ceil(q * float64(h.Count())))
	var seen int64
	for _, bucket := range h.buckets() {
		if seen += h.counts[bucket]; seen >= rank {
			return logbucket.Bound(bucket)
		}
	}
	return 0
}

func (h *Histogram) buckets() []int {
	keys := make([]int, 0, len(h.counts))
	for bucket := range h.counts {
		keys = append(keys, bucket)
	}
	slices.Sort(keys)
	return keys
}

// String returns the stored form: "bucket:count" pairs in ascending order of buckets, and the sum
// in microseconds as "s:sum" unless it is 0, separated by spaces.
func (h *Histogram) String() string { return logbucket.Text(h.counts, h.sum) }

// ParseHistogram parses the form that String returns. It returns an error for any other text.
func ParseHistogram(text string) (Histogram, error) {
	var h Histogram
	for pair := range strings.FieldsSeq(text) {
		left, right, ok := strings.Cut(pair, ":")
		n, err := strconv.ParseInt(right, 10, 64)
		if !ok || err != nil || n < 0 {
			return Histogram{}, fmt.Errorf("parse histogram: invalid bucket %q", pair)
		}
		if left == logbucket.SumKey {
			h.sum += time.Duration(n) * time.Microsecond
			continue
		}
		bucket, err := strconv.Atoi(left)
		if err != nil {
			return Histogram{}, fmt.Errorf("parse histogram: invalid bucket %q", pair)
		}
		h.addCount(bucket, n)
	}
	return h, nil
}
