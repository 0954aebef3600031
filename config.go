package nawasync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
)

// Queue is how a process works one queue. The zero value takes the defaults.
type Queue struct {
	// Slots is how many jobs run at once. Default 10.
	Slots int
	// Poll is how long an idle loop waits between two looks into Redis. Default
	// 10 ms, for queues on which users wait; 100 ms is kinder for the others.
	Poll time.Duration
	// Loops is how many asynq servers dequeue; one moves some 5,000 jobs a second.
	// Default 1.
	Loops int
}

// Config of an Engine. Only DB is required.
type Config struct {
	// DB is an open gorm database with the schema of package migrations.
	DB *gorm.DB
	// Redis (6.2 or newer) carries the doorbells; the caller closes it after Stop.
	// An engine without it dispatches only: another process works its jobs.
	Redis redis.UniversalClient
	// Sealer encrypts arguments at rest. Required for kinds with a Secret.
	Sealer secret.Sealer
	// Queues are the queues this process works. Default {DefaultQueue: {}}.
	Queues map[string]Queue
	// Logger gets what operators should know. Default slog.Default().
	Logger *slog.Logger
	// Now tells the time. Default is the system's clock, corrected by the database's.
	Now func() time.Time
	// OnEvent is told of endings and of scopes that are parked, after the commit, at
	// most once: a process that dies in between tells nobody. For what must happen,
	// use Run.OnSuccess with DispatchTx. It should return soon; nil is fine.
	OnEvent func(ctx context.Context, event Event)
	// MaxQueued is how many open jobs a service may have before Dispatch returns
	// ErrBacklogFull. 0 is no limit.
	MaxQueued int

	// KeepSuccess is how long successes are kept. Default 14 days.
	KeepSuccess time.Duration
	// KeepOther is how long jobs that ended otherwise are kept. Default 90 days.
	KeepOther time.Duration
	// KeepArguments is how long jobs that ended otherwise than with success can be retried.
	// Default 7 days.
	KeepArguments time.Duration
	// Expiry is how long after it first came due a job may wait or retry. Default 7 days.
	Expiry time.Duration
	// StopGrace is how long Stop lets jobs run on before it ends their contexts.
	// Default 5 s; negative is at once.
	StopGrace time.Duration

	// TracerProvider and MeterProvider default to OpenTelemetry's globals.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider

	tuning host.Tuning
}

func (c *Config) defaults() error {
	if c.DB == nil {
		return errors.New("Config.DB is nil: pass an open *gorm.DB")
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.KeepSuccess = cmp.Or(c.KeepSuccess, 14*24*time.Hour)
	c.KeepOther = cmp.Or(c.KeepOther, 90*24*time.Hour)
	c.KeepArguments = cmp.Or(c.KeepArguments, 7*24*time.Hour)
	c.Expiry = cmp.Or(c.Expiry, 7*24*time.Hour)
	c.StopGrace = cmp.Or(c.StopGrace, 5*time.Second)
	for name, d := range map[string]time.Duration{"KeepSuccess": c.KeepSuccess, "KeepOther": c.KeepOther, "KeepArguments": c.KeepArguments, "Expiry": c.Expiry} {
		if d < 0 {
			return fmt.Errorf("a negative Config.%s (%s)", name, d)
		}
	}
	if c.MaxQueued < 0 {
		return fmt.Errorf("Config.MaxQueued is negative (%d)", c.MaxQueued)
	}
	if len(c.Queues) == 0 {
		c.Queues = map[string]Queue{DefaultQueue: {}}
	}
	c.Queues = maps.Clone(c.Queues)
	for name, q := range c.Queues {
		if err := validateText("queue", name, 1, 50); err != nil {
			return err
		}
		if q.Slots < 0 || q.Loops < 0 || q.Poll < 0 {
			return fmt.Errorf("Config.Queues[%q] has a negative value", name)
		}
		c.Queues[name] = Queue{Slots: cmp.Or(q.Slots, 10), Loops: cmp.Or(q.Loops, 1), Poll: cmp.Or(q.Poll, 10*time.Millisecond)}
	}
	return nil
}

// SetTuning is for the tests of this module: elsewhere the type cannot be named. Zero
// fields keep their defaults.
func (c *Config) SetTuning(t host.Tuning) { c.tuning = t }

var defaultTuning = host.Tuning{
	Relay: 100 * time.Millisecond, Sweep: 5 * time.Second, Beat: time.Second, LeaseTTL: 13 * time.Second, DeadAfter: 15 * time.Second,
	Rollup: 2 * time.Second, Prune: time.Minute, Schedule: time.Second, Recheck: 5 * time.Second, RungCap: 10_000,
}
