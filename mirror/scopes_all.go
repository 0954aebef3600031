package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// maxAllChunks is how many times of one sync of all scopes there are. Each dispatch has one time.
	maxAllChunks = 100
	maxAllChunk  = 200 // syncs that one transaction dispatches
	// maxParentWait is how long a sync of all scopes waits for the sync of the parent. Then it syncs the scopes
	// that are known.
	maxParentWait = 10 * time.Minute
	parentPoll    = 2 * time.Second
)

// SyncAllResult is the result of a sync of all scopes.
type SyncAllResult struct {
	Scopes FollowResult `json:"scopes"` // what the comparison with the rows of the parent has found
	Syncs  int64        `json:"syncs"`  // the syncs that were dispatched, or were queued already
}

// coversAll reports whether a sync of the scope is one of all scopes.
func (r *repo) coversAll(scope reflect.Value) bool {
	return r.scopes != nil && r.model.withoutScope(scope)
}

// instanceOf returns Target.Instance of the syncs of a scope.
func (r *repo) instanceOf(scope reflect.Value) string {
	if r.coversAll(scope) {
		return ""
	}
	return r.model.instance(r.model.respelled(scope))
}

// runSyncAll syncs the parent, and then dispatches the syncs of all listed scopes.
func (r *repo) runSyncAll(ctx context.Context, a host.Attempt, args *syncArgs) error {
	w := parentWait{repo: r, attempt: a}
	if err := w.wait(ctx, func() ([]reflect.Value, error) { return r.parentScopes(ctx) }); err != nil {
		return err
	}
	var result SyncAllResult
	var err error
	if result.Scopes, err = r.follow(ctx, a); err == nil {
		result.Syncs, err = r.syncEach(ctx, a, args.Detail)
	}
	a.SetResult(result)
	if errors.Is(err, nawasync.ErrBacklogFull) {
		return nawasync.RetryAfter(time.Minute, fmt.Errorf("%d syncs were dispatched, the others follow: %w", result.Syncs, err))
	}
	return err
}

// parentScopes returns the scopes of the parent that are to be synced before all scopes of this repository.
func (r *repo) parentScopes(ctx context.Context) ([]reflect.Value, error) {
	p := r.scopes.parent
	if len(p.model.scope) == 0 || p.scopes != nil {
		return []reflect.Value{p.model.newRow()}, nil
	}
	successes, err := p.engine.Store().LastSuccesses(ctx)
	if err != nil {
		return nil, err
	}
	var list []reflect.Value
	for _, s := range successes {
		if s.Service != p.service || s.Type != p.typ || s.Action != p.actions.Sync {
			continue
		}
		if scope, err := p.model.scopeOf(s.Instance); err == nil && !p.model.withoutScope(scope) {
			list = append(list, scope)
		}
	}
	return list, nil
}

// syncEach dispatches the sync of each listed scope, except those that were listed since this job was dispatched. A
// sync that is queued already counts too.
func (r *repo) syncEach(ctx context.Context, a host.Attempt, detail string) (n int64, err error) {
	var all []nawasync.Args
	for after := ""; ; {
		page, err := r.engine.Store().ListedScopes(ctx, r.service, r.typ, after, followPage)
		if err != nil {
			return 0, err
		}
		for _, l := range page {
			after = l.Instance
			if l.Gone() || detail == "" && l.ListedAt.After(a.Job().CreatedAt) { // a new scope has its sync already
				continue
			}
			scope, err := r.model.scopeOf(l.Instance)
			if err != nil {
				a.Logf("%s", shorten(err.Error()))
				continue
			}
			args, err := r.syncArgs(scope, detail)
			if err != nil {
				return 0, err
			}
			all = append(all, args)
		}
		if len(page) < followPage {
			break
		}
	}
	return r.dispatchEach(ctx, a, all)
}

// dispatchEach dispatches syncs, spread over time if a schedule asked for them.
func (r *repo) dispatchEach(ctx context.Context, a host.Attempt, all []nawasync.Args) (n int64, err error) {
	job, now, spread := a.Job(), r.engine.Store().Now(), time.Duration(0)
	if job.TriggerSource == string(nawasync.SourceScheduled) {
		spread = r.spread
	}
	size := min(max((len(all)+maxAllChunks-1)/maxAllChunks, 1), maxAllChunk)
	if spread == 0 {
		size = maxAllChunk
	}
	for i := 0; i < len(all); i += size {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		chunk := all[i:min(i+size, len(all))]
		o := nawasync.Options{By: job.TriggeredBy, Source: nawasync.SourceEvent, At: spreadOver(spread, i, len(all), now)}
		if _, err := r.engine.DispatchMany(ctx, chunk, o); err != nil {
			return n, fmt.Errorf("dispatch the syncs of all scopes: %w", err)
		}
		n += int64(len(chunk))
		a.Progress(ctx, n, int64(len(all)), "dispatching syncs")
	}
	return n, nil
}

// enterScope prepares the sync of one scope: the scope must be listed, and its rows visible.
func (s *reconcile) enterScope(ctx context.Context) error {
	if s.repo.scopes == nil {
		return nil
	}
	l, err := s.findListed(ctx)
	if err != nil {
		return err
	}
	if l.Gone() {
		return nawasync.Skip(fmt.Sprintf("the scope %q is gone, and nothing was synced: %s", l.Instance, s.repo.goneText(l)))
	}
	return s.restoreScope(ctx)
}

// findListed returns the scope of the sync. If it is not known yet, it looks at the rows of the parent, then syncs
// the parent and looks again.
func (s *reconcile) findListed(ctx context.Context) (*jobstore.ListedScope, error) {
	r, key := s.repo, s.repo.listedKey(s.args.target.Instance)
	find := func() (*jobstore.ListedScope, error) { return r.engine.Store().FindListed(ctx, key) }
	if l, err := find(); err != nil || l != nil {
		return l, err
	}
	if _, err := r.follow(ctx, s.attempt); err != nil {
		return nil, err
	}
	if l, err := find(); err != nil || l != nil {
		return l, err
	}
	w := parentWait{repo: r, attempt: s.attempt}
	if err := w.wait(ctx, func() ([]reflect.Value, error) { return r.parentScopeOf(s.scope), nil }); err != nil {
		return nil, err
	}
	if _, err := r.follow(ctx, s.attempt); err != nil {
		return nil, err
	}
	l, err := find()
	if err != nil || l != nil {
		return l, err
	}
	p := r.scopes.parent
	text := fmt.Sprintf("the scope %q is not known: no row of %s stands for it", key.Instance, p.model.table)
	if len(w.jobs) == 0 {
		return nil, nawasync.Permanent(fmt.Errorf("%s; sync %s/%s first", text, p.service, p.typ))
	}
	ended, err := r.engine.Store().Get(ctx, w.jobs[0])
	if err == nil && ended.Status == tracker.StatusSuccess {
		return nil, nawasync.Permanent(fmt.Errorf("%s, and job %d, which has just synced it, has not listed it either", text, ended.ID))
	}
	return nil, fmt.Errorf("%s, and job %d, which was to sync it, has not succeeded", text, w.jobs[0])
}

// parentScopeOf returns the scope of the parent that has the row for a scope: the scope fields of the parent
// are taken from the fields of the same name. It returns none if there are no such fields.
func (r *repo) parentScopeOf(scope reflect.Value) []reflect.Value {
	p := r.scopes.parent
	row := p.model.newRow()
	for _, f := range p.model.scope {
		own := r.model.byColumn[f.column]
		if own == nil || own.role != roleScope || own.FieldType != f.FieldType {
			return nil
		}
		f.value(row).Set(own.value(scope))
	}
	return []reflect.Value{row}
}
