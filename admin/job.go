package admin

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/tracker"
)

// jobView is the data of a job's page.
type jobView struct {
	*request
	job          *tracker.Job
	attempts     []tracker.Attempt
	related      []*tracker.Job
	predecessors []*tracker.Job // the jobs before it in its lane; open jobs only
	entries      []tracker.AuditEntry
	newer        int64                // ID of a later job of the same target that succeeded; 0 if there is none
	retryOfShown bool                 // the subject may view the job that this one retries, and it exists
	newest       int64                // ID of the newest of the later jobs; 0 if there is none
	later        []*tracker.Job       // the newest later jobs of the same target that are open, failed and succeeded
	retries      []*tracker.Job       // the job's retry, the retry of that one, and so on
	pause        *tracker.Scope       // what pauses or parks the job; nil if nothing does
	hasWorker    bool                 // a live process handles its kind
	shortage     *remotecall.Shortage // the budget that a due job waits for; nil if there is none
	hindrance    string               // why the outcome of a running job is not written; "" if the handler runs
	fullStack    bool                 // show all frames of stacks
	same         int                  // other jobs of the last 30 days with the same error
	sameMore     bool                 // there are more than that
	nextConflict int64                // another unresolved conflict of the same kind; 0 if there is none
}

// jobID returns the job ID in the path, and whether the path ends in .json.
func (p *request) jobID() (id int64, asJSON bool, err error) {
	text, asJSON := strings.CutSuffix(p.r.PathValue("id"), ".json")
	id, err = strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, asJSON, errNotFound
	}
	return id, asJSON, nil
}

// visibleJob reads a job that the subject may view. It returns tracker.ErrNotFound if the
// subject may not view the job, and the page is then the same as for a missing job.
func (p *request) visibleJob(id int64) (*tracker.Job, error) {
	return p.store().Get(p.r.Context(), id)
}

func (p *request) job() error {
	id, asJSON, err := p.jobID()
	if err != nil {
		return err
	}
	job, err := p.visibleJob(id)
	if err != nil {
		return err
	}
	v := &jobView{request: p, job: job, fullStack: p.r.URL.Query().Get("stack") == "full"}
	if v.attempts, err = p.store().Attempts(p.r.Context(), job); err != nil {
		return err
	}
	if asJSON {
		return p.writeJSON(map[string]any{"job": job, "attempts": v.attempts})
	}
	p.title, p.section = p.Tf("Job %d: %s %s, %s", job.ID, p.label(job), format.Cut(job.TargetID, 60), p.status(job.Status)), "jobs"
	if err := v.loadRelated(p.r.Context()); err != nil {
		return err
	}
	wait := refreshJob
	if v.pause != nil || job.NotBefore.After(p.now.Add(time.Minute)) { // nothing happens for a while
		wait = refreshWide
	}
	p.refreshWhile(wait, append(v.retries, job)...)
	return p.render(jobPage(v))
}

// loadRelated reads the other jobs of the target, the audit entries, and what an open job waits for.
func (v *jobView) loadRelated(ctx context.Context) error {
	store, j := v.store(), v.job
	results, err := store.Search(ctx, tracker.Search{Targets: []tracker.Target{j.Target()}, Services: []string{j.Service}, Limit: 11})
	if err != nil {
		return err
	}
	v.related = slices.DeleteFunc(results.Jobs, func(other *tracker.Job) bool { return other.ID == j.ID })
	if v.entries, err = store.AuditLog(ctx, tracker.AuditFilter{JobID: j.ID, Limit: 50}); err != nil {
		return err
	}
	if j.RetryOf != 0 {
		shown, err := store.ByID(ctx, []int64{j.RetryOf})
		if err != nil {
			return err
		}
		v.retryOfShown = shown[j.RetryOf] != nil
	}
	if j.Status.Terminal() {
		return v.loadEnded(ctx)
	}
	if v.predecessors, err = store.LanePredecessors(ctx, j, 6); err != nil {
		return err
	}
	scopes, err := store.Scopes(ctx)
	if err != nil {
		return err
	}
	for _, scope := range scopes {
		if scope.Covers(j.Service, j.Instance) {
			v.pause = &scope // the narrowest one: they are in the order of their instances
		}
	}
	processes, err := v.h.reader.Processes(ctx) // not v.store, which leaves out what hinders them
	if err != nil {
		return err
	}
	if j.Status == tracker.StatusRunning && !j.Tracked() {
		v.hindrance = alert.Hindrance(j, processes, v.now, alertPage{v.request})
	}
	kind := nawasync.Kind{Service: j.Service, Type: j.Type, Action: j.Action}.String()
	for _, process := range alert.Alive(processes, v.now) {
		v.hasWorker = v.hasWorker || slices.Contains(process.Kinds, kind)
	}
	if j.Status == tracker.StatusQueued && !j.Tracked() && !j.NotBefore.After(v.now) {
		if short, found := v.h.engine.Internals(host.NewKey()).Shortage(ctx, j); found {
			v.shortage = &short
		}
	}
	return nil
}

// loadEnded reads what followed an ended job, and how many others ended with the same error.
func (v *jobView) loadEnded(ctx context.Context) error {
	if err := v.loadRetries(ctx); err != nil {
		return err
	}
	if err := v.loadNextConflict(ctx); err != nil || v.job.ErrorGroup == "" {
		return err
	}
	q, err := query.Parse(v.sameErrorQuery(), v.zone)
	if err != nil {
		return err
	}
	search, err := v.search(q)
	if err != nil {
		return err
	}
	counts, exact, err := v.store().Counts(ctx, search)
	if err != nil || !exact {
		return err
	}
	for _, n := range counts {
		v.same += n
		v.sameMore = v.sameMore || n > tracker.MaxCount
	}
	if v.job.DeletedAt.IsZero() && v.now.Sub(v.job.FinishedAt) < sameErrorDays*24*time.Hour {
		v.same-- // the job itself
	}
	return nil
}

// isHeldSync reports whether the job is a sync that was held because it would have deleted too many
// rows. Its status is conflict too, but there is no object to compare.
func (v *jobView) isHeldSync() bool {
	return v.job.Status == tracker.StatusConflict && v.job.ErrorClass == string(fault.ClassHeld)
}

// canManage reports whether the subject may retry, cancel, delete or restore the job.
func (v *jobView) canManage() bool {
	return v.viewer.allowed(PermissionManage, v.job.Service, v.job.Instance)
}

// links returns the application's links for the job.
func (v *jobView) links() []Link {
	if v.h.config.JobLinks == nil {
		return nil
	}
	var list []Link
	for _, link := range v.h.config.JobLinks(v.job) {
		if to := linkURL(link.URL); to != "" {
			list = append(list, Link{link.Name, to})
		}
	}
	return list
}
