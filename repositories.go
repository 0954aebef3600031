package nawasync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nawasara/nawasync/tracker"
)

// RepositoryInfo describes a repository of this process.
type RepositoryInfo struct {
	Service string   `json:"service"`
	Type    string   `json:"type"`
	Action  string   `json:"action"`            // the action of its sync jobs
	Details []string `json:"details,omitempty"` // the listing details it accepts besides ""
	Scoped  bool     `json:"scoped"`            // whether each of its rows belongs to an instance
	// Unsupported lists the actions that the remote cannot do. Their jobs have no handler.
	Unsupported []string `json:"unsupported,omitempty"`
	// Parent is the repository whose rows are the scopes of this one, as service/type; "" if the host decides
	// what is synced. A sync of the instance "" then syncs all scopes.
	Parent string `json:"parent,omitempty"`
}

// AttachedRepository has the methods of a repository that the engine's overviews use. Package mirror
// implements it.
type AttachedRepository interface {
	// Describe returns a description of the repository. The description must not change.
	Describe() RepositoryInfo
	// SyncNow dispatches a sync of the scope that jobs identify by the given Target.Instance.
	SyncNow(ctx context.Context, instance, detail string, o Options) (*tracker.Job, error)
	// PlanNow dispatches a job that finds out what such a sync would do.
	PlanNow(ctx context.Context, instance, detail string, o Options) (*tracker.Job, error)
	// CountStates counts the rows by sync state. It stops counting a state at
	// MaxStateCount+1 rows. Instance "" counts the rows of all instances.
	CountStates(ctx context.Context, instance string) (map[SyncState]int64, error)
	// InstancesWith returns those of the instances, in alphabetical order, that have a row whose jobs
	// have the given Target.ID. Deleted rows do not count.
	InstancesWith(ctx context.Context, instances []string, id string) ([]string, error)
}

// Repositories lists the repositories of this process, ordered by service and type.
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

// ErrNoRepository is returned when this process has no repository for a service and type.
var ErrNoRepository = errors.New("this process has no such repository; create it with mirror.New, without a Remote if the process only dispatches")

func (e *Engine) repository(service, typ string) (AttachedRepository, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.repositories {
		if info := r.Describe(); info.Service == service && info.Type == typ {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s/%s: %w", service, typ, ErrNoRepository)
}

// supports returns an error that wraps errors.ErrUnsupported if a repository of this process says that no worker
// can run jobs of the kind.
func (e *Engine) supports(kind Kind) error {
	if r, err := e.repository(kind.Service, kind.Type); err == nil && slices.Contains(r.Describe().Unsupported, kind.Action) {
		return fmt.Errorf("%s: the remote cannot do that: %w", kind, errors.ErrUnsupported)
	}
	return nil
}

// SyncRequest names what Engine.SyncNow syncs and Engine.PlanNow plans.
type SyncRequest struct {
	Service, Type string // of a repository of this process
	Instance      string // the scope, as jobs name it; "" for a repository without a scope
	Detail        string // "" for the default listing, or one of RepositoryInfo.Details
}

// SyncNow dispatches a sync of a repository of this process and records it in the audit
// log. SyncNow returns ErrNoRepository, and ErrInvalid for an unknown scope or detail.
func (e *Engine) SyncNow(ctx context.Context, r SyncRequest, o OperatorOptions) (*tracker.Job, error) {
	return e.dispatchSync(ctx, "sync", r, o, AttachedRepository.SyncNow)
}

// PlanNow dispatches a job that finds out what a sync of a repository of this process would do and writes nothing, and records
// it in the audit log. The job's result is a SyncResult with the changes to single rows. PlanNow returns the same errors as
// SyncNow.
func (e *Engine) PlanNow(ctx context.Context, r SyncRequest, o OperatorOptions) (*tracker.Job, error) {
	return e.dispatchSync(ctx, "plan", r, o, AttachedRepository.PlanNow)
}

func (e *Engine) dispatchSync(ctx context.Context, action string, r SyncRequest, o OperatorOptions,
	dispatch func(repository AttachedRepository, ctx context.Context, instance, detail string, o Options) (*tracker.Job, error),
) (*tracker.Job, error) {
	var job *tracker.Job
	err := e.operate(ctx, action, o, func(entry *tracker.AuditEntry) error {
		entry.Service, entry.Type, entry.Instance = r.Service, r.Type, r.Instance
		repository, err := e.repository(r.Service, r.Type)
		if err != nil {
			return err
		}
		if job, err = dispatch(repository, ctx, r.Instance, r.Detail, Options{By: o.By}); err == nil {
			entry.JobID = job.ID
		}
		return err
	})
	return job, err
}

// MaxStateCount is the highest exact count that CountStates returns for a state. A higher
// count means "more than MaxStateCount".
const MaxStateCount = 100_000

// CountStates counts the rows of a repository's table by sync state. It stops counting a
// state at MaxStateCount+1 rows. Instance "" counts the rows of all instances. CountStates
// returns ErrNoRepository when this process has no such repository.
func (e *Engine) CountStates(ctx context.Context, service, typ, instance string) (map[SyncState]int64, error) {
	r, err := e.repository(service, typ)
	if err != nil {
		return nil, err
	}
	return r.CountStates(ctx, instance)
}

// InstancesWith returns those of the instances that have a row for an object, in alphabetical order. The
// object's ID is that of its jobs' Target; the object need not have a job. Deleted rows do not count.
// InstancesWith returns ErrNoRepository when this process has no such repository.
func (e *Engine) InstancesWith(ctx context.Context, service, typ string, instances []string, id string) ([]string, error) {
	r, err := e.repository(service, typ)
	if err != nil {
		return nil, err
	}
	return r.InstancesWith(ctx, instances, id)
}
