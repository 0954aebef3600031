package worker //nolint:testpackage // the schedule of the streams is visible in this package only

import (
	"math"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
)

func key(instance string) jobstore.Stream {
	return jobstore.Stream{Queue: "q", Service: "s", Type: "t", Action: "a", Instance: instance}
}

func instances(list []*stream) (names string) {
	for _, st := range list {
		names += st.Instance
	}
	return names
}

func TestStreamsWithABacklogTakeTurns(t *testing.T) {
	t.Parallel()
	s := newStreams()
	for _, name := range []string{"a", "b", "c"} {
		s.wake(key(name), 1, 10)
	}
	order := ""
	for range 4 {
		chosen := s.next(2, 10)
		order += instances(chosen) + " "
		for _, st := range chosen { // each has more jobs than were claimed
			s.looked(st, st.version, 1, jobstore.LookResult{Rows: 1, Last: jobstore.Mark{WakeAt: 2, ID: 3}}, 10)
		}
	}
	if order != "ab ca bc ab " {
		t.Errorf("streams were served in the order %q", order)
	}
}

func TestStreamComesDueAtTheTimeOfItsFirstJob(t *testing.T) {
	t.Parallel()
	s := newStreams()
	s.wake(key("late"), 30, 10)
	s.wake(key("soon"), 20, 10)
	s.wake(key("late"), 25, 10)
	if at := s.nextAt(); at != 20 {
		t.Errorf("the first stream comes due at %d, want 20", at)
	}
	if got := instances(s.next(10, 25)); got != "soonlate" {
		t.Errorf("due at 25: %q, want both", got)
	}
	if s.nextAt() != never {
		t.Error("a stream is left")
	}
}

func TestWakeUpDuringAClaimMovesTheMarkBack(t *testing.T) {
	t.Parallel()
	s := newStreams()
	s.wake(key("a"), 5, 10)
	st := s.next(1, 10)[0]
	version := st.version
	s.wake(key("a"), 7, 10) // committed after the claim has read the stream
	s.looked(st, version, 8, jobstore.LookResult{Rows: 1, Last: jobstore.Mark{WakeAt: 5, ID: 1}}, 10)
	if !st.due || st.after.WakeAt > 7 {
		t.Errorf("due %v from mark %+v; want due, from 7 or earlier", st.due, st.after)
	}
	// Without a wake-up, all up to now has been read.
	st = s.next(1, 10)[0]
	s.looked(st, st.version, 8, jobstore.LookResult{}, 10)
	if st.due || st.after != (jobstore.Mark{WakeAt: 10, ID: math.MaxInt64}) {
		t.Errorf("due %v from mark %+v; want not due, from 10", st.due, st.after)
	}
}

// On MariaDB, beside a transaction that stays open, a look at an empty stream reads the old index entries of the
// stream after it in the index. Four polls a second took 40 % of the time of all claims.
func TestPollInVainPutsTheNextOneOffByTwentyTimesItsCost(t *testing.T) {
	t.Parallel()
	s := newStreams()
	s.wake(key("a"), 5, 10)
	st := s.next(1, 10)[0]
	if s.looked(st, st.version, 8, jobstore.LookResult{}, 10) {
		t.Error("a wake-up counts as a poll")
	}
	s.poll(1)
	if st = s.next(1, 10)[0]; s.looked(st, st.version, 8, jobstore.LookResult{Rows: 1}, 10) {
		t.Error("a poll that found a job was in vain")
	}
	s.poll(1)
	if st = s.next(1, 10)[0]; !s.looked(st, st.version, 8, jobstore.LookResult{}, 10) {
		t.Error("a poll that found no job was not in vain")
	}
	if s.looked(st, st.version, 8, jobstore.LookResult{}, 10) {
		t.Error("a look after the poll counts as one")
	}

	begin := time.Now()
	l := lap{poll: begin.Add(250 * time.Millisecond)}
	l.delayPoll(begin.Add(pollPause(2 * time.Millisecond)))
	if got := l.poll.Sub(begin); got != 250*time.Millisecond {
		t.Errorf("after a fast poll, the next one comes after %s, want 250ms", got)
	}
	l.delayPoll(begin.Add(pollPause(100 * time.Millisecond)))
	if got := l.poll.Sub(begin); got != 2*time.Second {
		t.Errorf("after a poll of 100 ms, the next one comes after %s, want 2s", got)
	}
	if got := pollPause(time.Minute); got != 10*time.Second {
		t.Errorf("after a poll of a minute, the next one comes after %s, want 10s", got)
	}
}

// A look may have waited for a connection of a pool that was used up. A job that it could not claim must not
// wait fifty times as long for the next one.
func TestJobThatAMarkHasPassedIsFoundSoonAfterASlowLook(t *testing.T) {
	t.Parallel()
	s := newStreams()
	s.wake(key("a"), 5, 10)
	st := s.next(1, 10)[0]
	s.looked(st, st.version, 8, jobstore.LookResult{}, 10) // the job was locked, and the mark is behind it now
	st.fullCost, st.fullAt = 5*time.Second, time.Now().Add(-9*time.Second)
	found := jobstore.StreamState{Stream: st.Stream, WakeAt: 5}
	if s.list(found, 11); st.after == (jobstore.Mark{}) {
		t.Error("a look of 5 s was followed by the next one within 9 s")
	}
	st.fullAt = time.Now().Add(-11 * time.Second)
	if s.list(found, 11); st.after != (jobstore.Mark{}) {
		t.Errorf("the job is not looked for 11 s after a look of 5 s: the mark is %+v", st.after)
	}
	if pause := lookPause(time.Minute); pause > 10*time.Second {
		t.Errorf("the next lap comes after %s", pause)
	}
}
