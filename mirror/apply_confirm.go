package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// ConfirmResult is the result of a job with tracker.ConfirmAction. It counts rows over all attempts
// of the job.
type ConfirmResult struct {
	Deleted int64 `json:"deleted"` // rows that were deleted, because Get reported their object as gone
	Present int64 `json:"present"` // rows whose object still exists; they have its values again
	Dropped int64 `json:"dropped"` // rows that were listed again or changed in the meantime
	// Failed counts the rows for which the last attempt got no usable answer, and Failures names
	// some of them with the reason. They stay missing, and a later sync has them confirmed again.
	Failed   int64    `json:"failed,omitempty"`
	Failures []string `json:"failures,omitempty"`
}

// confirmArgs are the arguments of the job that confirms deletions.
type confirmArgs struct {
	kind    nawasync.Kind
	target  nawasync.Target
	queue   string
	max     int                        // attempts; 0 is the default
	Scope   map[string]json.RawMessage `json:"scope,omitempty"`
	Release int64                      `json:"release,omitempty"` // id of the released hold, whose rows the job may delete
}

func (a confirmArgs) Kind() nawasync.Kind { return a.kind }

func (a confirmArgs) Target() nawasync.Target { return a.target }

// Options gives these jobs a lane of their own, so that syncs go on meanwhile. While one job of a
// scope runs, one more waits: it sees the rows that a sync has marked after the first one read them.
func (a confirmArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{
		Queue: a.queue, MaxAttempts: a.max, Lane: "confirm\x00" + a.kind.Type + "\x00" + a.target.Instance,
		UniqueKey: fmt.Sprintf("%s/%d", a.target.ID, a.Release), UniqueUntilRunning: true,
	}
}

// dispatchConfirm dispatches the job that confirms the deletion of missing rows.
func (s *reconcile) dispatchConfirm(ctx context.Context) error {
	args := confirmArgs{
		kind: s.repo.kind(tracker.ConfirmAction), target: nawasync.Target{Instance: s.args.target.Instance, ID: "all"}, queue: s.repo.syncQueue,
		max: s.repo.sync.max, Scope: s.args.Scope, Release: s.args.Release,
	}
	err := s.repo.engine.InTx(ctx, func(tx *gorm.DB) error {
		return s.fence(ctx, tx, func(tx *gorm.DB) error {
			_, err := s.repo.engine.DispatchTx(ctx, tx, args, nawasync.Options{By: s.attempt.Job().TriggeredBy, Source: nawasync.SourceEvent})
			return err
		})
	})
	if errors.Is(err, nawasync.ErrBacklogFull) {
		s.attempt.Logf("the missing rows are not confirmed yet, the next sync tries again: %s", err)
		return nil
	}
	return err
}

// runConfirm calls Get for each row that was missing for long enough, or whose deletion an operator
// has released. It deletes the rows of objects that are gone, and updates the others. What is done
// is stored at once, so an attempt that ends early leaves only the rest to the next one.
func (r *repo) runConfirm(ctx context.Context, a host.Attempt, args *confirmArgs) error {
	scope := r.model.newRow()
	if err := r.model.decode(scope, args.Scope); err != nil {
		return nawasync.Permanent(err)
	}
	r.model.respell(scope)
	s := &reconcile{
		repo: r, attempt: a, scope: scope,
		args: &syncArgs{target: nawasync.Target{Instance: a.Job().Instance, ID: a.Job().TargetID}, Release: args.Release},
	}
	c := &confirmation{reconcile: s}
	if earlier := a.Job().Result; len(earlier) > 0 && json.Unmarshal(earlier, &c.counts) != nil {
		c.counts = ConfirmResult{}
	}
	c.counts.Failed, c.counts.Failures = 0, nil
	err := c.run(ctx)
	a.SetResult(c.counts)
	if c.counts.Deleted > 0 || a.Job().Epoch > 0 {
		r.notifyWith(ctx, a, err)
	}
	return err
}

// confirmation is one attempt of a job that confirms deletions.
type confirmation struct {
	*reconcile
	counts    ConfirmResult
	decisions missingRows     // what operators have decided
	open      int64           // id of the open hold, or 0
	held      map[int64]bool  // its rows
	total     int             // rows to confirm in this attempt
	retry     bool            // another attempt may get an answer for one of the rows that failed
	witnesses []reflect.Value // rows whose objects were listed, to check the remote's answers
}

// confirmChunk is how many rows are confirmed before their deletion. An attempt that a rate limit
// ends has asked for at most that many rows in vain.
const confirmChunk = 10

func (c *confirmation) run(ctx context.Context) error {
	began := time.Now()
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := c.readHolds(ctx); err != nil {
		return err
	}
	ids, err := c.candidates(ctx)
	if err != nil || len(ids) == 0 {
		return err
	}
	c.total = len(ids)
	if err := c.checkAnswers(ctx, ids); err != nil {
		return err
	}
	done := 0
	for chunk := range slices.Chunk(ids, confirmChunk) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(began) > c.repo.syncTimeout/2 {
			return nawasync.RetryAfter(0, fmt.Errorf("%d of %d rows are done; the job goes on in another attempt, so that none reaches its timeout", done, c.total))
		}
		if err := c.confirm(ctx, chunk); err != nil {
			return err
		}
		done += len(chunk)
		c.attempt.Progress(ctx, int64(done), int64(c.total), "asking the remote for missing objects")
	}
	if c.counts.Failed > 0 {
		class := fault.ClassForbidden // another attempt would get the same answers
		if c.retry {
			class = fault.ClassTransient
		}
		return fault.WithClass(class, fmt.Errorf("%d of %d missing rows could not be confirmed and were not deleted, for example %s", c.counts.Failed,
			c.total, c.counts.Failures[0]))
	}
	return nil
}

// readHolds reads what operators have decided, and which rows wait for a decision.
func (c *confirmation) readHolds(ctx context.Context) error {
	open, err := c.repo.engine.Store().OpenHold(ctx, c.repo.service, c.repo.typ, c.args.target.Instance)
	if err != nil {
		return err
	}
	id := int64(0)
	if open != nil {
		id = open.ID
	}
	if c.held != nil && id == c.open {
		return nil // no sync was held or decided since
	}
	c.open, c.held, c.decisions = id, map[int64]bool{}, missingRows{}
	if err := c.readDecisions(ctx, &c.decisions); err != nil || open == nil {
		return err
	}
	return c.eachOpenHeldRow(ctx, id, func(row int64) { c.held[row] = true })
}

// candidates returns the ids of the rows to confirm, in ascending order.
func (c *confirmation) candidates(ctx context.Context) ([]int64, error) {
	where, args := c.inScope()
	var ids []int64
	err := c.repo.db(ctx).Table(c.repo.model.table).Where(where+"sync_status = 'missing' AND missing_runs >= ?", append(args, c.repo.missingRuns)...).
		Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.repo.model.table, err)
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool { return c.decisions.kept.Has(id) || c.held[id] })
	for id := range c.decisions.released.All() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// waits reports whether a row still waits for its confirmation.
func (c *confirmation) waits(row reflect.Value) bool {
	id, status := c.repo.model.idOf(row), c.repo.status(row)
	if status.MissingSince.IsZero() {
		return false
	}
	if c.decisions.released.Has(id) {
		return status.State == nawasync.StateMissing || status.State == nawasync.StateConflict
	}
	return status.State == nawasync.StateMissing && status.MissingRuns >= c.repo.missingRuns && !c.decisions.kept.Has(id) && !c.held[id]
}

// failed counts a row without a usable answer.
func (c *confirmation) failed(row reflect.Value, err error) {
	c.retry = c.retry || fault.ClassOf(err) != fault.ClassForbidden
	c.counts.Failed++
	if len(c.counts.Failures) < maxRefusals {
		c.counts.Failures = append(c.counts.Failures, shorten(fmt.Sprintf("%.80q: %s", c.repo.model.target(row), err)))
	}
}
