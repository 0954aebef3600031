package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// subject is one system under test. Each round opens a new one.
type subject interface {
	// Insert dispatches one job, as a web request would.
	Insert(ctx context.Context, n int) error
	// InsertMany dispatches n jobs in one call.
	InsertMany(ctx context.Context, from, n int) error
	// Drain works all dispatched jobs. It calls drained when the last final row is durable, and then
	// stops what it has started.
	Drain(ctx context.Context, n int, drained func()) error
	Close()
}

// fastInserter is a subject with a second, faster way to dispatch many jobs.
type fastInserter interface {
	InsertManyFast(ctx context.Context, from, n int) error
}

type entry struct {
	name string
	open func(ctx context.Context, c config) (subject, error)
}

type config struct {
	postgres string // URL of an empty database
	redis    string
	workers  int
}

// The names of the subjects.
const (
	subjectNawasync     = "nawasync"
	subjectWithoutRedis = "nawasync without Redis"
	subjectRiver        = "River"
	subjectAsynq        = "plain asynq"
	subjectGorm         = "asynq and one gorm write per transition"
	subjectNothing      = "nothing started" // only for the CPU without work
)

func subjects() []entry {
	return []entry{
		{subjectNawasync, openNawasync},
		{subjectWithoutRedis, openWithoutRedis},
		{subjectRiver, openRiver},
		{subjectAsynq, openAsynq},
		{subjectGorm, openGorm},
	}
}

// errUnavailable is the error of an open function whose subject cannot work in this version of
// the library. The run goes on without the subject.
var errUnavailable = errors.New("the subject is left out")

// jobsRun is a run of the benchmark of jobs.
type jobsRun struct {
	measurements

	options options
	entries []entry
	meter   *cpuMeter
}

// jobsBench measures all subjects in each round, and reports the medians.
func jobsBench(ctx context.Context, o options) error {
	client := redisClient(o.redis)
	defer func() { _ = client.Close() }()
	meter, err := newCPUMeter(ctx, o.postgres, client)
	if err != nil {
		return err
	}
	b := &jobsRun{options: o, meter: meter}
	for _, e := range subjects() {
		if o.only == "" || slices.Contains(strings.Split(o.only, ","), e.name) {
			b.entries = append(b.entries, e)
		}
	}
	for round := range o.rounds {
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	return b.report(ctx)
}

// round measures each subject once. Each round begins with another subject, so that none always
// runs after the same one.
func (b *jobsRun) round(ctx context.Context, round int) error {
	for _, e := range rotate(b.entries, round) {
		err := b.trial(ctx, e, (*trial).throughput)
		if err == nil && b.options.idle > 0 {
			err = b.trial(ctx, e, (*trial).idle)
		}
		if errors.Is(err, errUnavailable) {
			fmt.Fprintf(os.Stderr, "%s: %v\n", e.name, err)
			b.entries = slices.DeleteFunc(b.entries, func(other entry) bool { return other.name == e.name })
			continue
		}
		if err != nil {
			return fmt.Errorf("%s, round %d: %w", e.name, round+1, err)
		}
		fmt.Fprintf(os.Stderr, "round %d %s%s\n", round+1, e.name, b.lastRound(e.name))
	}
	if b.options.idle == 0 {
		return nil
	}
	return b.measureIdle(ctx, subjectNothing)
}

// lastRound returns the latest value of each metric of a subject.
func (b *jobsRun) lastRound(name string) string {
	var text strings.Builder
	for _, f := range b.figures {
		if f.Subject == name {
			fmt.Fprintf(&text, ", %s %g", f.Metric, last(f.Rounds))
		}
	}
	return text.String()
}

// rotate returns a copy of the list that begins with element number by.
func rotate[T any](list []T, by int) []T {
	if len(list) == 0 {
		return nil
	}
	by %= len(list)
	return append(slices.Clone(list[by:]), list[:by]...)
}

func rate(n int, since time.Time) float64 { return float64(n) / time.Since(since).Seconds() }

func last(list []float64) float64 { return list[len(list)-1] }
