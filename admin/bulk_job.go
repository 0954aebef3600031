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

// bulkKind is the kind of the jobs that perform bulk runs.
var bulkKind = nawasync.Kind{Service: "nawasync", Type: "bulk", Action: "run"}

// bulkArgs describes one action on all jobs of a query. The set of jobs is fixed at the time of the
// preview: newer jobs are not part of it, and relative times count from the preview.
type bulkArgs struct {
	RunID       string    `json:"run"`    // the token of the form; makes the run a target of its own
	Action      string    `json:"action"` // one of bulkActions
	Query       string    `json:"query"`
	PreviewedAt time.Time `json:"at"`
	// The time ranges of the query, as they were in the operator's time zone at PreviewedAt.
	CreatedFrom time.Time `json:"from,omitzero"`
	CreatedTo   time.Time `json:"to,omitzero"`
	EndedFrom   time.Time `json:"ended_from,omitzero"`
	EndedTo     time.Time `json:"ended_to,omitzero"`
	LastJobID   int64     `json:"through"` // the newest job of the query
	// Most is how many jobs the operator has confirmed; 0 is any number. The run skips the others.
	Most int64 `json:"most,omitempty"`
	// Visible is what the operator could manage at the time of the preview; nil means everything. A right
	// that was granted later does not extend the run, and one that was revoked shortens it.
	Visible *tracker.Visibility `json:"visible"`
	By      string              `json:"by"` // the operator
	Reason  string              `json:"reason"`
}

func (a bulkArgs) Kind() nawasync.Kind     { return bulkKind }
func (a bulkArgs) Target() nawasync.Target { return nawasync.Target{ID: a.RunID} }

// Options lets a form that is sent twice start one run.
func (a bulkArgs) Options() nawasync.JobOptions { return nawasync.JobOptions{UniqueKey: a.RunID} }

// bulkState is the progress of a run. It is stored with the job, so that another process can
// continue the run.
type bulkState struct {
	Cursor  int64                `json:"cursor"` // jobs with this ID or a higher one are processed
	Done    int64                `json:"done"`
	Skipped int64                `json:"skipped"`
	Failed  int64                `json:"failed"`
	Reasons map[skipReason]int64 `json:"reasons,omitempty"` // why jobs were skipped or failed
}

// count adds the result of one job. The reason is "" for a job on which the action succeeded.
func (s *bulkState) count(counter *int64, reason skipReason) {
	*counter++
	if reason == "" {
		return
	}
	if s.Reasons == nil {
		s.Reasons = map[skipReason]int64{}
	}
	s.Reasons[reason]++
}

// reached returns how many jobs the run has changed or failed to change, also before an interruption.
func (s *bulkState) reached() int64 { return s.Done + s.Failed + s.Reasons[reasonRetried] }

var bulkActions = []string{"retry", "cancel", "delete", "restore"}

const bulkBatchSize = 100 // how many jobs a run processes before it stores its progress

// Register registers the handler of the bulk runs that operators start on the pages. Call it before
// Start in at least one process that works nawasync.DefaultQueue. Pass the Enforcer of Config: the
// handler checks for each job whether the operator may still manage it. Register returns an error if
// enforcer is nil or nawasync.Register fails.
func Register(engine *nawasync.Engine, enforcer Enforcer) error {
	if enforcer == nil {
		return errors.New("register bulk runs: the enforcer is nil; pass the Enforcer of admin.Config")
	}
	return nawasync.Register(engine, &bulkJob{engine: engine, enforcer: enforcer})
}

// bulkJob is the handler of bulk runs.
type bulkJob struct {
	nawasync.AbstractJob[bulkArgs]
	engine   *nawasync.Engine
	enforcer Enforcer

	mu        sync.Mutex
	viewersAt time.Time          // when viewers was last emptied
	version   string             // of the rules that viewers' decisions rest on
	viewers   map[string]*viewer // by operator; caches the enforcer's decisions
}

func (*bulkJob) Timeout() time.Duration { return 24 * time.Hour }

// Execute processes the jobs of the query from the newest to the oldest. It checks for each job
// whether the action still applies. An interrupted run continues where it stopped.
func (b *bulkJob) Execute(ctx context.Context, run *nawasync.Run[bulkArgs]) error {
	store := limited(b.engine.Reader(), run.Args.Visible)
	search, err := run.Args.search()
	if err != nil {
		return nawasync.Permanent(err)
	}
	job, err := b.engine.Reader().Get(ctx, run.Job().ID)
	if err != nil {
		return err
	}
	state, err := savedState(job, run.Args)
	if err != nil {
		return nawasync.Permanent(err)
	}
	resumed := job.Epoch > 0
	for state.Cursor > 1 {
		results, err := store.Search(ctx, withLimit(search, state.Cursor, bulkBatchSize))
		if err != nil {
			return err
		}
		if err := b.processBatch(ctx, run, results.Jobs, &state, resumed); err != nil {
			return err
		}
		if results.Older == 0 {
			break
		}
		state.Cursor = results.Older
		b.saveProgress(ctx, run, state, false)
	}
	run.SetResult(state)
	return nil
}

// savedState returns the progress that an earlier attempt stored, or the state of a new run.
func savedState(job *tracker.Job, args bulkArgs) (bulkState, error) {
	state := bulkState{Cursor: args.LastJobID + 1}
	note := progressNote(job)
	if note == "" {
		return state, nil
	}
	if err := json.Unmarshal([]byte(note), &state); err != nil {
		return state, fmt.Errorf("read the progress of the bulk run: %w", err)
	}
	return state, nil
}

// progressNote returns the note of the job's last progress, or "" if there is none.
func progressNote(job *tracker.Job) string {
	var progress struct {
		Note string `json:"note"`
	}
	if json.Unmarshal(job.Progress, &progress) != nil {
		return ""
	}
	return progress.Note
}

// processBatch processes the jobs in order. When ctx ends, it stores the progress and returns the
// cause.
func (b *bulkJob) processBatch(ctx context.Context, run *nawasync.Run[bulkArgs], jobs []*tracker.Job, state *bulkState, resumed bool) error {
	for _, job := range jobs {
		if ctx.Err() != nil || !b.processJob(ctx, run, job, state, resumed) {
			run.SetResult(*state)
			b.saveProgress(context.WithoutCancel(ctx), run, *state, true)
			return context.Cause(ctx)
		}
		state.Cursor = job.ID
	}
	return nil
}

// saveProgress stores the state as the note of the job's progress. Progress drops reports that
// follow each other within a second, except one in which done equals total. A final report uses that
// exception.
func (b *bulkJob) saveProgress(ctx context.Context, run *nawasync.Run[bulkArgs], state bulkState, final bool) {
	text, err := json.Marshal(state)
	if err != nil {
		return
	}
	done, total := state.Done+state.Skipped+state.Failed, int64(0)
	if final {
		total = done
	}
	run.Progress(ctx, done, total, string(text))
}

// alreadyRetried reports whether this run has already retried the job. A run that was interrupted
// may not have stored the retry in its progress.
func (b *bulkJob) alreadyRetried(ctx context.Context, args bulkArgs, job *tracker.Job) (bool, error) {
	results, err := b.engine.Reader().Search(ctx, tracker.Search{Targets: []tracker.Target{job.Target()}, After: job.ID, Limit: 100})
	return slices.ContainsFunc(results.Jobs, func(next *tracker.Job) bool {
		return next.RetryOf == job.ID && next.TriggeredBy == args.By && !next.CreatedAt.Before(args.PreviewedAt)
	}), err
}

// processJob performs the action on one job, or skips the job, and counts the result. It returns
// false if the run was interrupted and the job is still to be processed.
func (b *bulkJob) processJob(ctx context.Context, run *nawasync.Run[bulkArgs], job *tracker.Job, state *bulkState, resumed bool) bool {
	reason, err := b.skipReason(ctx, run.Args, job, resumed)
	if reason == "" && err == nil && run.Args.Most > 0 && state.reached() >= run.Args.Most {
		reason = reasonUnconfirmed
	}
	if reason == "" && err == nil {
		err = b.perform(ctx, run, job)
	}
	switch {
	case errors.Is(err, nawasync.ErrNoArguments):
		reason, err = reasonNoArguments, nil
	case errors.Is(err, nawasync.ErrSuperseded):
		reason, err = reasonSuperseded, nil
	case errors.Is(err, nawasync.ErrEnded), errors.Is(err, nawasync.ErrNotEnded), errors.Is(err, nawasync.ErrNotFound),
		errors.Is(err, nawasync.ErrRowGone):
		reason, err = reasonChanged, nil
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return false
	case err != nil:
		run.Logf("job %d: %v", job.ID, err)
		state.count(&state.Failed, reasonError)
	case reason != "":
		state.count(&state.Skipped, reason)
	default:
		state.count(&state.Done, "")
	}
	return true
}

// skipReason returns why the run must skip the job, or "".
func (b *bulkJob) skipReason(ctx context.Context, args bulkArgs, job *tracker.Job, resumed bool) (skipReason, error) {
	if reason := skipReasonFor(args.Action, job); reason != "" {
		return reason, nil
	}
	if allowed, err := b.allowed(ctx, args.By, job); err != nil || !allowed {
		return reasonNotPermitted, err
	}
	if resumed && args.Action == "retry" {
		retried, err := b.alreadyRetried(ctx, args, job)
		if retried {
			return reasonRetried, err
		}
		return "", err
	}
	return "", nil
}

// allowed reports whether the operator may view and manage a job. With a VersionedEnforcer it asks with
// the rules as they are now. Decisions of another Enforcer are cached for decisionCacheTime, so that
// revoking a role stops a run.
func (b *bulkJob) allowed(ctx context.Context, operator string, job *tracker.Job) (bool, error) {
	version, err := refresh(ctx, b.enforcer)
	if err != nil {
		return false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.viewers == nil || version != b.version || time.Since(b.viewersAt) > decisionCacheTime {
		b.viewersAt, b.version, b.viewers = time.Now(), version, map[string]*viewer{}
	}
	v := b.viewers[operator]
	if v == nil {
		v = &viewer{loaded: true, subject: operator, enforcer: b.enforcer, decisions: map[question]bool{}}
		b.viewers[operator] = v
	}
	return v.allowed(PermissionManage, job.Service, job.Instance) && v.allowed(PermissionView, job.Service, job.Instance), nil
}

// decisionCacheTime is how long a bulk run uses the decisions of an enforcer without a version.
const decisionCacheTime = 5 * time.Second

// perform performs the action on one job on behalf of the operator.
func (b *bulkJob) perform(ctx context.Context, run *nawasync.Run[bulkArgs], job *tracker.Job) error {
	args := run.Args
	o := nawasync.OperatorOptions{By: args.By, Reason: args.Reason, Address: runAddress(run.Job().ID)}
	var err error
	switch args.Action {
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

// runAddress returns the address of a bulk run's actions in the audit log.
func runAddress(id int64) string { return fmt.Sprintf("bulk run %d", id) }

// skipReasonFor returns why the action does not apply to a job, or "" if it does.
func skipReasonFor(action string, job *tracker.Job) skipReason {
	switch {
	case action == "cancel" && job.Status.Terminal():
		return reasonEnded
	case action == "cancel":
		return ""
	case !job.Status.Terminal():
		return reasonNotEnded
	case action == "retry" && job.Status == tracker.StatusSuccess:
		return reasonSucceeded
	case action == "retry" && job.Status == tracker.StatusConflict:
		return reasonConflict
	case action == "retry" && job.Service == bulkKind.Service:
		return reasonBulkRun
	}
	return ""
}

// search returns the search that finds the jobs of the run.
func (a bulkArgs) search() (tracker.Search, error) {
	q, err := query.Parse(a.Query, time.UTC)
	if err != nil {
		return tracker.Search{}, fmt.Errorf("parse the query of the bulk run: %w", err)
	}
	s, err := q.Search(a.PreviewedAt, time.UTC)
	s.From, s.To, s.EndedFrom, s.EndedTo = a.CreatedFrom, a.CreatedTo, a.EndedFrom, a.EndedTo
	return s, err
}
