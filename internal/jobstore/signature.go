package jobstore

import (
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/signature"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// sign sets the signature by which the error of an outcome is counted.
func (s *Store) sign(out *Outcome) {
	if out.signature != nil || (out.Status != tracker.StatusFailed && out.Status != tracker.StatusConflict) {
		return
	}
	class := valueOrZero(cleanOutcome(out.ErrorClass, 30))
	found := signature.Of(class, sqlkit.CleanText(out.Error, tracker.MaxError), out.Job.TargetID, out.Job.Instance)
	at := out.Now
	if at.IsZero() {
		at = s.Now()
	}
	if !s.signatures.admits(out.Job.Service, found.Hash, at) {
		found = signature.Signature{Hash: signature.Other}
	}
	out.signature = &found
}

// maxSignatures is how many signatures a process counts one by one for each service and hour. Without a
// limit, texts that differ in every job would fill the statistics.
const maxSignatures = 200

// errorLimit limits the signatures of the errors of each service. The zero value is ready to use. It is
// safe for concurrent use.
type errorLimit struct {
	mu       sync.Mutex
	services map[string]*hourSignatures
}

// hourSignatures has the signatures of one service and hour, with how often each was seen.
type hourSignatures struct {
	hour  time.Time
	seen  map[int64]int
	limit int // of seen
}

// newAfterNoise is how many new signatures an hour may add after one that was full of texts that occurred once.
// These would add up over the days for which counts are kept.
const newAfterNoise = 10

// admits reports whether an error may be counted by its own signature.
func (l *errorLimit) admits(service string, hash int64, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	hour := at.UTC().Truncate(time.Hour)
	h := l.services[service]
	switch {
	case h == nil:
		h = &hourSignatures{hour, map[int64]int{}, maxSignatures}
		if l.services == nil {
			l.services = map[string]*hourSignatures{}
		}
		l.services[service] = h
	case hour.After(h.hour):
		h.begin(hour)
	}
	if _, known := h.seen[hash]; !known && len(h.seen) >= h.limit {
		return false
	}
	h.seen[hash]++
	return true
}

// begin begins another hour. Errors that occurred several times keep their place, up to half of the
// places: they must not lose it to texts that differ in every job.
func (h *hourSignatures) begin(hour time.Time) {
	kept, once := map[int64]int{}, 0
	for hash, n := range h.seen {
		if n == 1 {
			once++
		}
		if n > 1 && len(kept) < maxSignatures/2 {
			kept[hash] = 0
		}
	}
	full := len(h.seen) >= h.limit
	h.hour, h.seen, h.limit = hour, kept, maxSignatures
	if full && once >= newAfterNoise {
		h.limit = min(maxSignatures, len(kept)+newAfterNoise)
	}
}
