package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	After   int64                `json:"after"`  // for a run from the oldest job: those with this ID or a lower one are
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
func (s *bulkState) reached() int64 { return s.Done + s.Failed }

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

// Execute processes the jobs of the query one by one. It checks for each job whether the action still
// applies. An interrupted run continues where it stopped.
func (b *bulkJob) Execute(ctx context.Context, run *nawasync.Run[bulkArgs]) error {
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
	w := &bulkWork{
		b,
		run,
		retryChoice{limited(b.engine.Reader(), run.Args.Visible), search, run.Args.LastJobID},
		state,
		map[int64]bool{},
		map[tracker.ServiceInstance]bool{},
	}
	for more := w.state.Cursor > 1; more; {
		if more, err = w.processBatch(ctx); err != nil {
			return err
		}
		w.saveProgress(ctx, true)
	}
	run.SetResult(w.state)
	return nil
}

// oldestFirst reports whether the run goes from the oldest job to the newest: retries are dispatched in the order
// of their jobs. Other actions begin with the newest, so that the cancellation of one job does not start the next.
func (a bulkArgs) oldestFirst() bool { return a.Action == "retry" }

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

// runAddress returns the address of a bulk run's actions in the audit log.
func runAddress(id int64) string { return runAddressPrefix + strconv.FormatInt(id, 10) }

const runAddressPrefix = "bulk run "

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
	case action == "retry" && job.RetriedAs != 0:
		return reasonRetried
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
