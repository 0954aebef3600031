package nawasync

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/internal/bell"
	"github.com/nawasara/nawasync/tracker"
)

// Services lists the services that this process has handlers or repositories of.
func (e *Engine) Services() []string {
	found := map[string]bool{}
	e.mu.Lock()
	for kind := range e.handlers {
		found[kind.Service] = true
	}
	for _, r := range e.repositories {
		found[r.service] = true
	}
	e.mu.Unlock()
	return slices.Sorted(maps.Keys(found))
}

// Kept is how long ended jobs of each status are kept.
func (e *Engine) Kept(status tracker.Status) time.Duration {
	if status == tracker.Success {
		return e.config.KeepSuccess
	}
	return e.config.KeepOther
}

// TargetKey is the hash under which a target's jobs are found, see tracker.Search.
func (e *Engine) TargetKey(service, typ string, target Target) int64 {
	return hash("target", service, typ, target.Instance, target.ID)
}

// QueueState is where a queued job's doorbell is.
type QueueState string

// The queue states of a queued job.
const (
	QueueWaits   QueueState = "waits"   // in Redis, and no worker has taken it yet
	QueueMissing QueueState = "missing" // not in Redis: it is rung again within seconds
	QueueNotYet  QueueState = "not yet" // it is not its time, or not its turn
	QueueUnknown QueueState = "unknown" // this process has no Redis, or it does not answer
)

// QueueState looks into Redis for a queued job.
func (e *Engine) QueueState(_ context.Context, job *tracker.Job) (QueueState, error) {
	switch {
	case job.RungAt.IsZero():
		return QueueNotYet, nil
	case e.bells == nil:
		return QueueUnknown, nil
	}
	waits, err := e.bells.Waits(tracker.Bell{ID: job.ID, Epoch: job.Epoch, Ring: job.Ring, Queue: job.Queue})
	if err != nil {
		return QueueUnknown, fmt.Errorf("nawasync: look for %s in Redis: %w", bell.TaskID(tracker.Bell{ID: job.ID, Epoch: job.Epoch, Ring: job.Ring}), err)
	}
	if waits {
		return QueueWaits, nil
	}
	return QueueMissing, nil
}

// Syncable is a snapshot table of this process's repositories, as pages show it.
type Syncable struct {
	Service string   `json:"service"`
	Type    string   `json:"type"`
	Action  string   `json:"action"`            // of its sync
	Details []string `json:"details,omitempty"` // RepositoryConfig.Details
	Scoped  bool     `json:"scoped"`            // an instance belongs to it
}

// Syncables lists the repositories of this process, by service and type.
func (e *Engine) Syncables() []Syncable {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []Syncable
	for _, r := range e.repositories {
		list = append(list, Syncable{r.service, r.typ, r.actions.Sync, r.details, len(r.model.scope) > 0})
	}
	slices.SortFunc(list, func(a, b Syncable) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Type, b.Type))
	})
	return list
}

// ErrNoRepository says that this process has no repository of a service and type.
var ErrNoRepository = errors.New("nawasync: this process has no such repository; call NewRepository in it, without a Remote if it only dispatches")

func (e *Engine) repository(service, typ string) (*repo, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.repositories {
		if r.service == service && r.typ == typ {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s/%s: %w", service, typ, ErrNoRepository)
}

// SyncNow is SyncedRepository.SyncNow by names: instance is the scope as jobs name it.
// It returns ErrNoRepository, and ErrInvalid for an instance that is no scope or a
// detail that is not known.
func (e *Engine) SyncNow(ctx context.Context, service, typ, instance, detail string, o Options) (*tracker.Job, error) {
	r, err := e.repository(service, typ)
	if err != nil {
		return nil, err
	}
	scope, err := r.model.scopeOf(instance)
	if err != nil {
		return nil, err
	}
	return r.syncNow(ctx, scope, detail, o)
}

// scopeOf is a row with the scope that jobs call by this name.
func (m *model) scopeOf(instance string) (reflect.Value, error) {
	row := m.newRow()
	parts := []string{instance}
	if len(m.scope) != 1 {
		parts = strings.Split(instance, "/")
	}
	if len(m.scope) == 0 && instance == "" {
		return row, nil
	}
	if len(parts) != len(m.scope) {
		return row, fmt.Errorf("%w: %q does not name a scope of %s", ErrInvalid, instance, m.table)
	}
	for i, f := range m.scope {
		text := json.RawMessage(parts[i])
		if f.FieldType.Kind() == reflect.String {
			text, _ = json.Marshal(parts[i])
		}
		if err := decodeField(row, f, text); err != nil {
			return row, fmt.Errorf("%w: %q does not name a scope of %s", ErrInvalid, instance, m.table)
		}
	}
	return row, nil
}

// CountStatesUpTo is the number above which CountStates does not count.
const CountStatesUpTo = 100_000

// CountStates counts the rows of a repository's table by sync state, none above
// CountStatesUpTo+1. instance "" counts all of them. It returns ErrNoRepository.
func (e *Engine) CountStates(ctx context.Context, service, typ, instance string) (map[SyncState]int64, error) {
	r, err := e.repository(service, typ)
	if err != nil {
		return nil, err
	}
	where, scope := "", []any{}
	if instance != "" {
		row, err := r.model.scopeOf(instance)
		if err != nil {
			return nil, err
		}
		for _, f := range r.model.scope {
			where, scope = where+" AND "+r.quote(f.column)+" = ?", append(scope, f.param(row))
		}
	}
	var parts []string
	var args []any
	for _, state := range []SyncState{StateSynced, StatePendingCreate, StatePendingUpdate, StatePendingDelete, StateFailed, StateConflict, StateMissing} {
		parts = append(parts, "SELECT '"+string(state)+"' AS state, COUNT(*) AS n FROM (SELECT 1 FROM "+r.quoted+" WHERE sync_status = ?"+where+" LIMIT ?) s")
		args = append(append(append(args, string(state)), scope...), CountStatesUpTo+1)
	}
	rows, err := quiet(ctx, e.config.DB).Raw(strings.Join(parts, " UNION ALL "), args...).Rows()
	if err != nil {
		return nil, fmt.Errorf("nawasync: count the rows of %s: %w", r.model.table, err)
	}
	defer func() { _ = rows.Close() }()
	counts := map[SyncState]int64{}
	for rows.Next() {
		var state SyncState
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("nawasync: count the rows of %s: %w", r.model.table, err)
		}
		if n > 0 {
			counts[state] = n
		}
	}
	return counts, rows.Err()
}
