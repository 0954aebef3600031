package main

import (
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

func newEvidence() *evidence {
	e := &evidence{jobs: map[int64]*jobRecord{}, attempts: map[attemptKey]attemptRecord{}}
	for id := range int64(2) {
		j := &jobRecord{ID: id + 1, Service: "raw", Status: tracker.StatusSuccess}
		e.jobs[j.ID], e.list = j, append(e.list, j)
		e.orders = append(e.orders, order{JobID: j.ID, Lane: "lane", Kind: orderPlain})
		e.effects = append(e.effects, effect{JobID: j.ID})
	}
	e.log = remoteLog{
		Executions: []execution{{Seq: 1, End: 2, Job: 1, Group: "lane", Worker: "a"}, {Seq: 3, End: 4, Job: 2, Group: "lane", Worker: "b"}},
		Writes:     map[string]int{"x/1": 1, "y/2": 1},
	}
	return e
}

func TestChecksFindBrokenPromises(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fn         func(*evidence, *findings)
		breakThing func(*evidence)
	}{
		"a job is not finished":                {checkTerminal, func(e *evidence) { e.list[0].Status = tracker.StatusRunning }},
		"a job fails without a reason":         {checkTerminal, func(e *evidence) { e.list[0].Status = tracker.StatusFailed }},
		"a committed job is lost":              {checkOrders, func(e *evidence) { delete(e.jobs, 1) }},
		"a rolled-back job exists":             {checkOrders, func(e *evidence) { e.orders = e.orders[:1] }},
		"an epoch runs twice":                  {checkTwice, func(e *evidence) { e.log.Executions[1].Job = 1 }},
		"two jobs of a lane overlap":           {checkOverlaps, func(e *evidence) { e.log.Overlaps = []overlap{{e.log.Executions[0], e.log.Executions[1]}} }},
		"a change is made during a reset":      {checkCollisions, func(e *evidence) { e.log.Collisions = []collision{{Reset: e.log.Executions[0], First: true}} }},
		"a reset begins during a change":       {checkCollisions, func(e *evidence) { e.log.Collisions = []collision{{Reset: e.log.Executions[0]}} }},
		"a job overtakes another one":          {checkLaneOrder, func(e *evidence) { e.log.Executions[0].Seq = 5 }},
		"a success has no effect":              {checkEffects, func(e *evidence) { e.effects = e.effects[:1] }},
		"a success has two effects":            {checkEffects, func(e *evidence) { e.effects = append(e.effects, e.effects[0]) }},
		"a failure has an effect":              {checkEffects, func(e *evidence) { e.list[0].Status = tracker.StatusFailed }},
		"a success has written nothing":        {checkEffects, func(e *evidence) { delete(e.log.Writes, "x/1") }},
		"two jobs have one idempotency key":    {checkEffects, func(e *evidence) { e.log.Writes["x/2"] = 1 }},
		"an outage consumes an attempt":        {checkConsumed, func(e *evidence) { e.ended = []attemptRecord{{JobID: 1, Outcome: tracker.OutcomeRetry, Error: "EOF"}} }},
		"an object is created twice":           {checkCreated, func(e *evidence) { e.log.Created = map[string]int{"thing": 2} }},
		"the remote has an object without row": {checkThings, func(e *evidence) { e.log.Things = map[string]string{"thing": "1"} }},
		"a row differs from the remote":        {checkThings, func(e *evidence) { e.things = []thing{{Name: "thing", Value: "1"}} }},
		"a job is not counted":                 {checkStatistics, func(e *evidence) { e.total = []statistic{{Service: "raw", Jobs: 1}} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, f := newEvidence(), &findings{}
			if c.fn(e, f); len(f.list) > 0 {
				t.Fatalf("the check finds %v before anything is broken", f.list)
			}
			c.breakThing(e)
			if c.fn(e, f); len(f.list) == 0 {
				t.Error("the check finds nothing")
			}
		})
	}
}

func TestOverlapWithAFencedExecutionIsNoViolation(t *testing.T) {
	t.Parallel()
	e, f := newEvidence(), &findings{}
	e.log.Overlaps = []overlap{{e.log.Executions[0], e.log.Executions[1]}}
	e.attempts[attemptKey{1, 0}] = attemptRecord{JobID: 1, Outcome: tracker.OutcomeReaped}
	if checkOverlaps(e, f); len(f.list) > 0 {
		t.Errorf("the check finds %v", f.list)
	}
}

func TestSameSeedGivesSameSchedule(t *testing.T) {
	t.Parallel()
	o := options{seed: 7, dur: 10 * time.Minute, workers: 4}
	first, second := makeSchedule(o), makeSchedule(o)
	if !reflect.DeepEqual(first, second) {
		t.Error("two schedules of one seed differ")
	}
	if n := len(first.count()); n != len(faultWeights) {
		t.Errorf("the schedule has %d kinds of faults, not %d", n, len(faultWeights))
	}
	o.seed++
	if reflect.DeepEqual(first, makeSchedule(o)) {
		t.Error("two seeds give the same schedule")
	}
}

func TestSilentConnectionForwardsNothingAndStaysOpen(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() { // echoes
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	p, err := newProxy(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	echo := func(c net.Conn) error {
		_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
		if _, err := c.Write([]byte("x")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	old := dial()
	if err := echo(old); err != nil {
		t.Fatalf("before the fault: %v", err)
	}
	p.silence(0)
	if err := echo(old); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent connection: %v, not a timeout", err)
	}
	if err := echo(dial()); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}
