package worker

import (
	"container/heap"
	"math"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// A claim reads a stream from its mark on: what was before the mark has been claimed, or was locked
// by somebody. Rows that become visible later with an earlier wake_at are found by their wake-up,
// which moves the mark back, or by a full look. Without the mark, each claim would read all index
// entries of claimed jobs that the database must keep as long as a transaction of the host is open.
const (
	// fullLookInterval is how long after a full look the next one may come.
	fullLookInterval = time.Second
	// fullLookShare limits full looks, and laps over all streams, to a fiftieth of the time.
	fullLookShare = 50
	// maxLookPause is the longest pause all the same. The time of a look may be one spent waiting for a
	// connection, and a job that was locked when the mark passed it waits for the next full look.
	maxLookPause = 10 * time.Second
	// pollShare limits the polls of streams to a twentieth of the time. On MariaDB, a look at an empty stream reads
	// on to the next index entry that is not of a claimed job, which may be one of another, busy stream.
	pollShare = 20
)

// lookPause returns how long after a full look, or a lap, that took as long as cost the next one may come.
func lookPause(cost time.Duration) time.Duration {
	return min(fullLookShare*cost, maxLookPause)
}

// pollPause returns how long after a claim that took as long as cost, and found nothing in a stream that was polled,
// the next poll may come.
func pollPause(cost time.Duration) time.Duration {
	return min(pollShare*cost, maxLookPause)
}

// stream is what a puller knows about a stream.
type stream struct {
	jobstore.Stream
	after    jobstore.Mark
	version  int // counts wake-ups, so that a claim notices those that come while it runs
	due      bool
	polled   bool          // it is due because of a poll
	fullAt   time.Time     // when the last look without a mark began
	fullCost time.Duration // how long it took
	laps     int           // the last lap that has listed the stream
	lookedAt time.Time     // when the last claim that found jobs ended
	wakeAt   int64         // when its first job comes due, in microseconds; never if unknown
	index    int           // in the heap of later streams, or -1
	probedAt time.Time     // when this process last tried to start a probe of it

	heldUntil int64 // its remote has no budget until then, in microseconds
}

const never = math.MaxInt64

// streams are the streams of one queue. Due streams are in the order in which they are served next.
type streams struct {
	known map[jobstore.Stream]*stream
	due   []*stream
	later laterHeap
	lap   int
	probe *stream   // the last lap has found that one of its jobs may be a probe; see probe.go
	idle  []*stream // known streams that the current round of polls has not looked at
}

func newStreams() *streams { return &streams{known: map[jobstore.Stream]*stream{}} }

func (s *streams) get(key jobstore.Stream) *stream {
	st := s.known[key]
	if st == nil {
		st = &stream{Stream: key, wakeAt: never, index: -1, laps: s.lap}
		s.known[key] = st
	}
	return st
}

// wake notes that the stream has a job that may be claimed at the given time.
func (s *streams) wake(key jobstore.Stream, at, now int64) {
	st := s.get(key)
	st.version++
	if mark := (jobstore.Mark{WakeAt: at}); mark.Before(st.after) {
		st.after = mark
	}
	s.schedule(st, at, now)
}

// list notes what a lap has found. A stream with due jobs gets a full look, unless it had one
// recently.
func (s *streams) list(found jobstore.StreamState, now int64) {
	st := s.get(found.Stream)
	st.laps = s.lap
	if found.Paused {
		if found.Probe && found.WakeAt <= now && (s.probe == nil || st.probedAt.Before(s.probe.probedAt)) {
			s.probe = st // a job that fails for a reason of its own is not the only one to try
		}
		return
	}
	if found.WakeAt <= now && time.Since(st.fullAt) >= max(fullLookInterval, lookPause(st.fullCost)) {
		st.after = jobstore.Mark{}
	}
	s.schedule(st, found.WakeAt, now)
}

func (s *streams) schedule(st *stream, at, now int64) {
	at = max(at, st.heldUntil)
	switch {
	case at <= now:
		s.makeDue(st)
	case st.due || at >= st.wakeAt:
	case st.index >= 0:
		st.wakeAt = at
		heap.Fix(&s.later, st.index)
	default:
		st.wakeAt = at
		heap.Push(&s.later, st)
	}
}

func (s *streams) makeDue(st *stream) {
	if st.index >= 0 {
		heap.Remove(&s.later, st.index)
	}
	st.wakeAt = never
	if !st.due {
		st.due = true
		s.due = append(s.due, st)
	}
}

// next takes up to n due streams.
func (s *streams) next(n int, now int64) []*stream {
	for len(s.later) > 0 && s.later[0].wakeAt <= now {
		s.makeDue(s.later[0])
	}
	n = min(n, len(s.due))
	taken := append([]*stream(nil), s.due[:n]...)
	s.due = append(s.due[:0], s.due[n:]...)
	for _, st := range taken {
		st.due = false
	}
	return taken
}

// nextAt returns when the first stream comes due, in microseconds, or never.
func (s *streams) nextAt() int64 {
	if len(s.due) > 0 {
		return 0
	}
	if len(s.later) > 0 {
		return s.later[0].wakeAt
	}
	return never
}

// looked notes what a claim has found in a stream. version is the stream's before the claim. looked reports whether
// the stream was polled in vain.
func (s *streams) looked(st *stream, version, limit int, found jobstore.LookResult, now int64) (inVain bool) {
	inVain, st.polled = st.polled && found.Rows == 0, false
	full := found.Rows >= limit
	if found.Rows > 0 {
		st.lookedAt = time.Now()
	}
	if st.version == version {
		switch {
		case full && !found.Last.Before(st.after):
			st.after = found.Last
		case !full:
			st.after = jobstore.Mark{WakeAt: now, ID: math.MaxInt64}
		}
	}
	if full {
		s.makeDue(st)
	} else if found.Next > 0 {
		s.schedule(st, found.Next, now)
	}
	return inVain
}

const (
	// rememberFor is how long a stream without jobs is remembered, so that polls look at it.
	rememberFor = 10 * time.Minute
	// maxRemembered is how many streams without jobs are remembered.
	maxRemembered = 1000
)

// endLap forgets streams that the last two laps have not listed: they have no jobs.
func (s *streams) endLap() {
	for key, st := range s.known {
		if st.laps < s.lap-1 && !st.due && st.index < 0 && (time.Since(st.lookedAt) > rememberFor || len(s.known) > maxRemembered) {
			delete(s.known, key)
		}
	}
	s.lap++
}

// poll makes up to n known streams due, in turn.
func (s *streams) poll(n int) {
	if len(s.idle) == 0 {
		for _, st := range s.known {
			s.idle = append(s.idle, st)
		}
	}
	for range min(n, len(s.idle)) {
		st := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		if st.index < 0 {
			st.polled = st.polled || !st.due
			s.makeDue(st)
		}
	}
}

// laterHeap orders streams by the time at which they come due.
type laterHeap []*stream

// Len, Less, Swap, Push and Pop are for package heap.
func (h *laterHeap) Len() int { return len(*h) }

// Less reports whether stream i comes due before stream j.
func (h *laterHeap) Less(i, j int) bool { return (*h)[i].wakeAt < (*h)[j].wakeAt }

// Swap exchanges two streams.
func (h *laterHeap) Swap(i, j int) {
	list := *h
	list[i], list[j] = list[j], list[i]
	list[i].index, list[j].index = i, j
}

// Push adds a stream.
func (h *laterHeap) Push(x any) {
	st, _ := x.(*stream)
	st.index = len(*h)
	*h = append(*h, st)
}

// Pop removes the last stream.
func (h *laterHeap) Pop() any {
	last := len(*h) - 1
	st := (*h)[last]
	*h, st.index = (*h)[:last], -1
	return st
}
