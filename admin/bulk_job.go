package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// bulkKind is the job that a bulk run is.
var bulkKind = nawasync.Kind{Service: "nawasync", Type: "bulk", Action: "run"}

// bulkArgs is one act on all jobs of a query. What the query means is frozen: jobs that
// come after the preview are not in it, and times count from then.
type bulkArgs struct {
	Run      string    `json:"run"` // names the run
	Act      string    `json:"act"` // retry, cancel, delete or restore
	Query    string    `json:"query"`
	At       time.Time `json:"at"` // of the preview
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"` // what the query's times were then, in its reader's zone
	EndFrom  time.Time `json:"ended_from,omitzero"`
	EndTo    time.Time `json:"ended_to,omitzero"`
	Through  int64     `json:"through"`  // the last job of it
	Services []string  `json:"services"` // those that the operator may manage; nil is every one
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
}

func (a bulkArgs) Kind() nawasync.Kind     { return bulkKind }
func (a bulkArgs) Target() nawasync.Target { return nawasync.Target{ID: a.Run} }

// bulkState is how far a run is; it outlives the process that runs it.
type bulkState struct {
	Cursor  int64                `json:"cursor"` // jobs from here on are done
	Acted   int64                `json:"acted"`
	Skipped int64                `json:"skipped"`
	Failed  int64                `json:"failed"`
	Reasons map[skipReason]int64 `json:"reasons,omitempty"` // why jobs were skipped, or failed
}

// bulkActions are what a bulk run can do.
var bulkActions = []string{"retry", "cancel", "delete", "restore"}

const bulkBatch = 100 // jobs between two notes of how far a run is

// Register has an engine work the bulk runs that the pages dispatch: call it, before
// Start, in at least one process that works nawasync.DefaultQueue. The enforcer is that
// of the pages: whether a run's operator may still manage a job is asked for each. It
// returns an error without one, and what nawasync.Register returns.
func Register(engine *nawasync.Engine, enforcer Enforcer) error {
	if enforcer == nil {
		return errors.New("Register needs the Enforcer of admin.Config: it asks it for each job of a bulk run")
	}
	return nawasync.Register(engine, &bulkJob{engine: engine, enforcer: enforcer})
}

type bulkJob struct {
	nawasync.AbstractJob[bulkArgs]
	engine   *nawasync.Engine
	enforcer Enforcer

	mu        sync.Mutex
	decidedAt time.Time
	viewers   map[string]*viewer
}

func (*bulkJob) Timeout() time.Duration { return 24 * time.Hour }

// Execute goes through the jobs of the query, from the newest to the oldest, asking of
// each anew whether the act fits it. A run that was broken off goes on where it was.
func (b *bulkJob) Execute(ctx context.Context, run *nawasync.Run[bulkArgs]) error {
	args, store := run.Args, b.engine.Reader()
	search, err := args.search()
	if err != nil {
		return nawasync.Permanent(err)
	}
	now, err := store.Get(ctx, run.Job().ID)
	if err != nil {
		return err
	}
	state := bulkState{Cursor: args.Through + 1}
	var earlier struct {
		Note string `json:"note"`
	}
	if json.Unmarshal(now.Progress, &earlier) == nil && earlier.Note != "" {
		if err := json.Unmarshal([]byte(earlier.Note), &state); err != nil {
			return nawasync.Permanent(fmt.Errorf("the run's progress is no longer readable: %w", err))
		}
	}
	resumed := now.Epoch > 0
	for state.Cursor > 1 {
		results, err := store.Search(ctx, withLimit(search, state.Cursor, bulkBatch))
		if err != nil {
			return err
		}
		for _, job := range results.Jobs {
			if ctx.Err() != nil {
				// What has been done is said, whatever ends it.
				run.SetResult(state)
				b.save(context.WithoutCancel(ctx), run, state, true)
				return context.Cause(ctx)
			}
			if b.runOne(ctx, run, job, &state, resumed) {
				state.Cursor = job.ID
			}
		}
		if results.Older == 0 {
			break
		}
		state.Cursor = results.Older
		b.save(ctx, run, state, false)
	}
	run.SetResult(state)
	return nil
}

// save notes how far the run is: once a second at most, unless it is the last word.
func (b *bulkJob) save(ctx context.Context, run *nawasync.Run[bulkArgs], state bulkState, last bool) {
	text, err := json.Marshal(state)
	if err != nil {
		return
	}
	done, total := state.Acted+state.Skipped+state.Failed, int64(0)
	if last {
		total = done
	}
	run.Progress(ctx, done, total, string(text))
}

// retried reports whether the run had retried the job before it was broken off, and
// could not note it.
func (b *bulkJob) retried(ctx context.Context, args bulkArgs, job *tracker.Job) (bool, error) {
	results, err := b.engine.Reader().Search(ctx, tracker.Search{Targets: []tracker.Target{job.Target()}, After: job.ID, Limit: 100})
	return slices.ContainsFunc(results.Jobs, func(next *tracker.Job) bool {
		return next.RetryOf == job.ID && next.TriggeredBy == args.By && !next.CreatedAt.Before(args.At)
	}), err
}

// runOne does the act to one job, or says why not. False says that the run is being ended,
// and the job is still to be done.
func (b *bulkJob) runOne(ctx context.Context, run *nawasync.Run[bulkArgs], job *tracker.Job, state *bulkState, resumed bool) bool {
	args := run.Args
	why := leftOutReason(args.Act, job)
	var err error
	if why == "" && !b.may(args.By, job.Service) {
		why = reasonNotPermitted
	}
	if resumed && why == "" && args.Act == "retry" {
		var done bool
		if done, err = b.retried(ctx, args, job); done {
			why = reasonRetried
		}
	}
	if why == "" && err == nil {
		err = b.operate(ctx, run, job)
	}
	switch {
	case errors.Is(err, nawasync.ErrNoArguments):
		why, err = reasonNoArguments, nil
	case errors.Is(err, nawasync.ErrSuperseded):
		why, err = reasonSuperseded, nil
	case errors.Is(err, nawasync.ErrEnded), errors.Is(err, nawasync.ErrNotEnded), errors.Is(err, nawasync.ErrNotFound):
		why, err = reasonChanged, nil
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return false
	case err != nil:
		state.Failed++
		why = reasonError
		run.Logf("job %d: %v", job.ID, err)
	case why != "":
		state.Skipped++
	default:
		state.Acted++
	}
	if why != "" {
		if state.Reasons == nil {
			state.Reasons = map[skipReason]int64{}
		}
		state.Reasons[why]++
	}
	return true
}

// may asks the enforcer anew every few seconds: a role that is revoked while a run
// works stops it.
func (b *bulkJob) may(subject, service string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.decidedAt) > serviceCacheTime || b.viewers == nil {
		b.decidedAt, b.viewers = time.Now(), map[string]*viewer{}
	}
	v := b.viewers[subject]
	if v == nil {
		v = &viewer{subject: subject, enforcer: b.enforcer, decided: map[string]bool{}}
		b.viewers[subject] = v
	}
	return v.may(PermissionManage, service) && v.may(PermissionView, service)
}

// operate does the action to one job, for the operator of the run.
func (b *bulkJob) operate(ctx context.Context, run *nawasync.Run[bulkArgs], job *tracker.Job) error {
	args := run.Args
	o := nawasync.OperatorOptions{By: args.By, Reason: args.Reason, Address: runAddress(run.Job().ID)}
	var err error
	switch args.Act {
	case "retry":
		_, err = b.engine.Retry(ctx, job.ID, nawasync.RetryOptions{By: o.By, Reason: o.Reason, Address: o.Address})
	case "cancel":
		_, err = b.engine.Cancel(ctx, job.ID, o)
	case "delete":
		err = b.engine.Delete(ctx, job.ID, o)
	case "restore":
		err = b.engine.Restore(ctx, job.ID, o)
	}
	return err
}

// runAddress is where the actions of a bulk run come from, in the audit log.
func runAddress(id int64) string { return fmt.Sprintf("bulk run %d", id) }

// leftOutReason says why an act does not fit a job; "" is that it does.
func leftOutReason(act string, job *tracker.Job) skipReason {
	switch {
	case act == "cancel" && job.Status.Terminal():
		return reasonEnded
	case act == "cancel":
		return ""
	case !job.Status.Terminal():
		return reasonNotEnded
	case act == "retry" && job.Status == tracker.StatusSuccess:
		return reasonSucceeded
	case act == "retry" && job.Status == tracker.StatusConflict:
		return reasonConflict
	case act == "retry" && job.Service == bulkKind.Service:
		return reasonBulkRun
	}
	return ""
}

// search is what the run goes through.
func (a bulkArgs) search() (tracker.Search, error) {
	q, err := query.Parse(a.Query, time.UTC)
	if err != nil {
		return tracker.Search{}, fmt.Errorf("the run's query: %w", err)
	}
	s, err := q.Search(a.At, time.UTC)
	s.Services, s.From, s.To, s.EndedFrom, s.EndedTo = a.Services, a.From, a.To, a.EndFrom, a.EndTo
	return s, err
}
