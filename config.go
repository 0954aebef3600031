package nawasync

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
)

// Queue configures how a process works one queue. A zero field takes its default.
type Queue struct {
	// Slots is the number of jobs that run at once. Default 10.
	Slots int
}

// Config configures an Engine. Only DB is required.
type Config struct {
	// DB is an open gorm database with the schema of package migrations.
	DB *gorm.DB
	// Redis (6.2 or newer) carries the wake-ups between processes, so that a job starts within
	// milliseconds. The caller closes the client after Stop. Without Redis, workers find the jobs of
	// other processes by polling the database, within half a second.
	Redis redis.UniversalClient
	// HostAsynqServer says that the host handles the wake-ups in an asynq server of its own, with
	// Engine.WakeHandler. The engine then starts no asynq server.
	HostAsynqServer bool
	// Heartbeat is a pool for the connection of the heartbeat. Nil takes one connection of DB for it.
	// SQLite needs none.
	Heartbeat *sql.DB
	// Sealer encrypts arguments at rest. Required for kinds with a Secret.
	Sealer secret.Sealer
	// Secrets are the credentials of the clients in this process, for example API tokens and passwords.
	// Wherever the engine stores, logs or reports a text, it replaces their values with "***": in the
	// payloads, errors, stacks, logs, results and conflicts of jobs, histories of objects, reasons of
	// operators, warnings and log lines. It does not search kinds, targets and the columns of a
	// repository's table. Each value needs at least 6 bytes. Empty ones, and spaces around a value, are ignored.
	Secrets []Secret
	// Remotes are the external services that this process calls, one for each service. A started engine
	// stores what their calls have in common (tracker.Reader.Endpoints and Quotas) and each attempt's
	// calls (tracker.Attempt.Calls), and measures them for Config.MeterProvider. A Remote belongs to one
	// engine. None means that nothing is stored of calls.
	Remotes []*remote.Remote
	// Queues are the queues this process works. Default {DefaultQueue: {}}.
	Queues map[string]Queue
	// Logger receives the engine's log. Default slog.Default().
	Logger *slog.Logger
	// Now returns the current time. The default is the system's clock, corrected by its
	// offset from the database's clock.
	Now func() time.Time
	// OnEvent is called after the commit when a job succeeds, fails for good or ends with a
	// conflict, and when a scope is parked. It is called at most once for an event, and not at
	// all if the process dies before the call. For work that must not be lost, use
	// Run.OnSuccess with DispatchTx. OnEvent should return quickly. Nil means no callback.
	OnEvent func(ctx context.Context, event Event)
	// MaxQueued is the number of open jobs a service may have before Dispatch returns
	// ErrBacklogFull. 0 means no limit.
	MaxQueued int

	// KeepSuccess is how long jobs that ended with success are kept. Default 14 days.
	KeepSuccess time.Duration
	// KeepOther is how long jobs that ended without success are kept. Default 90 days.
	KeepOther time.Duration
	// KeepAudit is how long entries of the audit log are kept. Default 365 days.
	KeepAudit time.Duration
	// KeepArguments is how long the arguments of a job that ended without success are kept.
	// The job can be retried for that long. Default 7 days.
	KeepArguments time.Duration
	// Expiry is how long a job may wait and be retried after it first came due. Default 7
	// days.
	Expiry time.Duration
	// StopGrace is how long Stop lets running jobs continue before it cancels their
	// contexts. Default 5 s. With a negative value Stop cancels them at once.
	StopGrace time.Duration

	// TracerProvider and MeterProvider default to OpenTelemetry's global providers.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Propagator writes and reads the trace context that a job keeps of its dispatch, up to 1,024
	// bytes and without baggage. It defaults to OpenTelemetry's global propagator, and to W3C's
	// trace context if that is not set.
	Propagator propagation.TextMapPropagator

	tuning host.Tuning
}

// defaults checks the configuration and fills in the defaults.
func (c *Config) defaults() error {
	if c.DB == nil {
		return errors.New("Config.DB is nil; set it to an open *gorm.DB")
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	c.KeepSuccess = cmp.Or(c.KeepSuccess, 14*24*time.Hour)
	c.KeepOther = cmp.Or(c.KeepOther, 90*24*time.Hour)
	c.KeepAudit = cmp.Or(c.KeepAudit, 365*24*time.Hour)
	c.KeepArguments = cmp.Or(c.KeepArguments, 7*24*time.Hour)
	c.Expiry = cmp.Or(c.Expiry, 7*24*time.Hour)
	c.StopGrace = cmp.Or(c.StopGrace, 5*time.Second)
	for name, d := range map[string]time.Duration{
		"KeepSuccess": c.KeepSuccess, "KeepOther": c.KeepOther, "KeepAudit": c.KeepAudit, "KeepArguments": c.KeepArguments, "Expiry": c.Expiry,
	} {
		if d < 0 {
			return fmt.Errorf("the setting Config.%s is negative (%s); set a positive duration, or 0 for the default", name, d)
		}
	}
	if err := checkRemotes(c.Remotes); err != nil {
		return err
	}
	c.Remotes = slices.Clone(c.Remotes)
	if c.MaxQueued < 0 {
		return fmt.Errorf("Config.MaxQueued is negative (%d); set a positive number, or 0 for no limit", c.MaxQueued)
	}
	if len(c.Queues) == 0 {
		c.Queues = map[string]Queue{DefaultQueue: {}}
	}
	c.Queues = maps.Clone(c.Queues)
	for name, q := range c.Queues {
		if err := validateQueue(name); err != nil {
			return fmt.Errorf("Config.Queues: %w", err)
		}
		if q.Slots < 0 {
			return fmt.Errorf("Config.Queues[%q].Slots is negative (%d); set a positive number, or 0 for the default", name, q.Slots)
		}
		c.Queues[name] = Queue{Slots: cmp.Or(q.Slots, 10)}
	}
	return nil
}

// SetTuning is for the tests of this module: other modules cannot name the type of its
// parameter. Zero fields keep their defaults.
func (c *Config) SetTuning(t host.Tuning) { c.tuning = t }

var defaultTuning = host.Tuning{
	Poll: 250 * time.Millisecond, Listen: 2 * time.Second, Dequeue: 250 * time.Millisecond, Sweep: 5 * time.Second,
	Beat: time.Second, LeaseTTL: 13 * time.Second, DeadAfter: 15 * time.Second,
	Rollup: 2 * time.Second, Prune: time.Minute, Schedule: time.Second, Calls: 5 * time.Second,
}
