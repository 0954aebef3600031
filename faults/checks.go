package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// violation is a broken promise.
type violation struct{ check, text string }

// findings collects the violations of one check.
type findings struct {
	check string
	list  []violation
}

func (f *findings) addf(format string, args ...any) {
	f.list = append(f.list, violation{f.check, fmt.Sprintf(format, args...)})
}

// check runs all checks and fills in the result.
func (h *harness) check(ctx context.Context, r *result) error {
	leaks := &findings{check: "no leak"}
	if r.unfinished == 0 {
		if err := h.checkLeaks(ctx, leaks); err != nil {
			return err
		}
	}
	e, err := readEvidence(ctx, h.db, h.remote)
	if err != nil {
		return err
	}
	r.summarize(e)
	for _, c := range []struct {
		name string
		fn   func(*evidence, *findings)
	}{
		{"every job is terminal", checkTerminal},
		{"every committed dispatch has a job, and no other has", checkOrders},
		{"no attempt is executed twice", checkTwice},
		{"one job of a lane or key at once", checkOverlaps},
		{"a reset and a change of an object never overlap", checkCollisions},
		{"a lane keeps the order of dispatch", checkLaneOrder},
		{"each success has its effect and its write", checkEffects},
		{"an attempt is consumed by its handler or by the death of its process", checkConsumed},
		{"each object is created once", checkCreated},
		{"the statistics equal the jobs", checkStatistics},
	} {
		f := &findings{check: c.name}
		c.fn(e, f)
		r.violations = append(r.violations, f.list...)
	}
	rows := &findings{check: "each row equals the remote or says why"}
	works := &findings{check: "every worker works after the last fault"}
	if r.unfinished == 0 { // else the probes and the last syncs were not dispatched
		checkThings(e, rows)
		h.checkWorkers(e, works)
	}
	scopes := &findings{check: "nothing is parked for ever"}
	if err := h.checkScopes(ctx, scopes); err != nil {
		return err
	}
	r.violations = slices.Concat(r.violations, rows.list, works.list, scopes.list, leaks.list)
	for _, text := range h.past {
		r.violations = append(r.violations, violation{"every process lives", text})
	}
	return nil
}

// checkTerminal reports the first open job of each target, with the number of those behind it.
func checkTerminal(e *evidence, f *findings) {
	fatal := map[int64]bool{}
	for _, o := range e.orders {
		fatal[o.JobID] = o.Fatal
	}
	type target struct{ service, typ, instance, id string }
	open := map[target]int{}
	var firsts []*jobRecord
	for _, j := range e.list {
		isFatal, raw := fatal[j.ID]
		want := tracker.StatusSuccess
		if isFatal {
			want = tracker.StatusFailed
		}
		switch t := (target{j.Service, j.Type, j.Instance, j.TargetID}); {
		case !j.Status.Terminal():
			if open[t]++; open[t] == 1 {
				firsts = append(firsts, j)
			}
		case raw && j.Status != want:
			f.addf("%s; its handler leads to %s", j, want)
		}
	}
	for _, j := range firsts {
		behind := open[target{j.Service, j.Type, j.Instance, j.TargetID}] - 1
		f.addf("%s, due at %s, with %d open jobs behind it", j, time.UnixMicro(j.NotBefore).UTC().Format(time.RFC3339), behind)
	}
}

func checkOrders(e *evidence, f *findings) {
	orders := map[int64]int{}
	for _, o := range e.orders {
		orders[o.JobID]++
		if e.jobs[o.JobID] == nil {
			f.addf("the %s dispatch of job %d committed, but the job does not exist", o.Kind, o.JobID)
		} else if orders[o.JobID] > 1 && o.Kind != orderUnique {
			f.addf("%d dispatches without a unique key returned job %d", orders[o.JobID], o.JobID)
		}
	}
	for _, j := range e.list {
		if j.Service == "raw" && orders[j.ID] == 0 {
			f.addf("%s, but its dispatch was rolled back", j)
		}
	}
	for _, x := range e.log.Executions {
		if e.jobs[x.Job] == nil {
			f.addf("job %d does not exist, but %s executed its epoch %d", x.Job, x.Worker, x.Epoch)
		}
	}
}

func checkTwice(e *evidence, f *findings) {
	seen := map[attemptKey]execution{}
	for _, x := range e.log.Executions {
		k := attemptKey{x.Job, x.Epoch}
		if first, found := seen[k]; found {
			f.addf("epoch %d of job %d: %s after %s and %s after %s", x.Epoch, x.Job, first.Worker, first.At, x.Worker, x.At)
		}
		seen[k] = x
	}
}

func checkOverlaps(e *evidence, f *findings) {
	for _, o := range e.log.Overlaps {
		if !e.fenced(o.First) {
			a := e.attempts[attemptKey{o.First.Job, o.First.Epoch}]
			f.addf("%s: job %d epoch %d on %s (since %s, outcome %q) and job %d epoch %d on %s (from %s)", o.First.Group, o.First.Job, o.First.Epoch, o.First.Worker,
				o.First.At, a.Outcome, o.Second.Job, o.Second.Epoch, o.Second.Worker, o.Second.At)
		}
	}
}

// checkLaneOrder checks the jobs that were due at their dispatch. Each starts for the last time
// before the next one of its lane starts, since a job that waits for a retry keeps its place. A process
// that was frozen after its claim may begin late: the engine refuses what becomes of it.
func checkLaneOrder(e *evidence, f *findings) {
	first, last := map[int64]execution{}, map[int64]execution{}
	for _, x := range e.log.Executions {
		if _, found := first[x.Job]; !found {
			first[x.Job] = x
		}
		if _, found := last[x.Job]; !found || !e.fenced(x) {
			last[x.Job] = x
		}
	}
	before := map[string]order{} // the latest job of each lane
	for _, o := range e.orders {
		if o.Kind != orderPlain {
			continue
		}
		next, started := first[o.JobID]
		if previous, found := before[o.Lane]; found && started && last[previous.JobID].Seq > next.Seq {
			f.addf("%s: job %d started after %s, job %d, dispatched before it, after %s", o.Lane, o.JobID, next.At, previous.JobID, last[previous.JobID].At)
		}
		if started {
			before[o.Lane] = o
		}
	}
}

func checkEffects(e *evidence, f *findings) {
	effects, writes, keys := map[int64][]int{}, map[int64]bool{}, map[string]int64{}
	for _, x := range e.effects {
		effects[x.JobID] = append(effects[x.JobID], x.Epoch)
	}
	for key := range e.log.Writes {
		at := strings.LastIndexByte(key, '/')
		job, _ := strconv.ParseInt(key[at+1:], 10, 64)
		writes[job] = true
		if other, found := keys[key[:at]]; found {
			f.addf("jobs %d and %d have the same idempotency key", other, job)
		}
		keys[key[:at]] = job
	}
	for _, j := range e.list {
		have := effects[j.ID]
		switch {
		case j.Service != "raw":
		case j.Status != tracker.StatusSuccess && len(have) > 0:
			f.addf("%s, but its OnSuccess has committed in epochs %v", j, have)
		case j.Status == tracker.StatusSuccess && (len(have) != 1 || have[0] != j.Epoch):
			f.addf("%s; its OnSuccess has committed in epochs %v", j, have)
		case j.Status == tracker.StatusSuccess && !writes[j.ID]:
			f.addf("%s, but the remote has not seen its write", j)
		}
	}
}

// checkConsumed looks for attempts of raw jobs that failed though the handler did nothing wrong: a
// database that is away must not consume an attempt. No handler takes as long as its timeout.
func checkConsumed(e *evidence, f *findings) {
	for _, a := range e.ended {
		j := e.jobs[a.JobID]
		switch {
		case j == nil || j.Service != "raw" || (a.Outcome != tracker.OutcomeRetry && a.Outcome != tracker.OutcomeFailed):
		case a.ErrorClass == string(fault.ClassWorkerDied) || strings.HasSuffix(a.Error, handlerFails) || strings.HasSuffix(a.Error, neverSucceeds):
		default:
			f.addf("job %d epoch %d: %s, %s: %s", a.JobID, a.Epoch, a.Outcome, a.ErrorClass, a.Error)
		}
	}
}

func checkStatistics(e *evidence, f *findings) {
	sums := map[statistic]int64{}
	for sign, list := range map[int64][]statistic{1: e.counted, -1: e.total} {
		for _, s := range list {
			n := s.Jobs
			s.Jobs = 0
			sums[s] += sign * n
		}
	}
	for s, n := range sums {
		if n != 0 {
			f.addf("%s/%s/%s %s %s: the statistics differ from the number of jobs by %+d", s.Service, s.Type, s.Action, s.Instance, s.Outcome, n)
		}
	}
}
