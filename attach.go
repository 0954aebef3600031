package nawasync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/tracker"
)

// RepositoryInfo describes a repository of this process, as pages show it.
type RepositoryInfo struct {
	Service string   `json:"service"`
	Type    string   `json:"type"`
	Action  string   `json:"action"`            // of its sync
	Details []string `json:"details,omitempty"` // the listings that it knows besides ""
	Scoped  bool     `json:"scoped"`            // whether its rows belong to instances
}

// AttachedRepository is a repository as the engine's overviews see it. Package mirror
// implements it.
type AttachedRepository interface {
	// Describe tells what the repository is. It must not change.
	Describe() RepositoryInfo
	// SyncNow dispatches a sync of the scope that jobs call by that instance.
	SyncNow(ctx context.Context, instance, detail string, o Options) (*tracker.Job, error)
	// CountStates counts the rows by sync state, none above MaxStateCount+1; instance ""
	// counts all of them.
	CountStates(ctx context.Context, instance string) (map[SyncState]int64, error)
}

// Repositories lists the repositories of this process, by service and type.
func (e *Engine) Repositories() []RepositoryInfo {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []RepositoryInfo
	for _, r := range e.repositories {
		list = append(list, r.Describe())
	}
	slices.SortFunc(list, func(a, b RepositoryInfo) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Type, b.Type))
	})
	return list
}

// ErrNoRepository says that this process has no repository of a service and type.
var ErrNoRepository = errors.New("this process has no such repository; call mirror.New in it, without a Remote if it only dispatches")

func (e *Engine) repository(service, typ string) (AttachedRepository, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.repositories {
		if d := r.Describe(); d.Service == service && d.Type == typ {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s/%s: %w", service, typ, ErrNoRepository)
}

// SyncNow dispatches a sync of a repository of this process. instance is the scope as
// jobs name it, detail "" or one of RepositoryInfo.Details. It returns ErrNoRepository,
// and ErrInvalid for an instance that is no scope or a detail that is not known.
func (e *Engine) SyncNow(ctx context.Context, service, typ, instance, detail string, o OperatorOptions) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.operate(ctx, "sync", o, func(entry *tracker.AuditEntry) error {
		entry.Service, entry.Type, entry.Instance = service, typ, instance
		r, err := e.repository(service, typ)
		if err != nil {
			return err
		}
		if job, err = r.SyncNow(ctx, instance, detail, Options{By: o.By}); err == nil {
			entry.JobID = job.ID
		}
		return err
	})
	return job, err
}

// MaxStateCount is the number above which CountStates does not count.
const MaxStateCount = 100_000

// CountStates counts the rows of a repository's table by sync state, none above
// MaxStateCount+1. instance "" counts all of them. It returns ErrNoRepository.
func (e *Engine) CountStates(ctx context.Context, service, typ, instance string) (map[SyncState]int64, error) {
	r, err := e.repository(service, typ)
	if err != nil {
		return nil, err
	}
	return r.CountStates(ctx, instance)
}
