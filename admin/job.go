package admin

import (
	"context"
	"encoding/json"
	"fmt"
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

// headline returns one or two sentences about the state of the job.
func (v *jobView) headline() string {
	j := v.job
	switch {
	case j.Status == tracker.StatusRunning && j.Stuck(v.now) && j.Tracked():
		return v.Tf("The task has been running for %s, past its deadline. Its process died and asynq has not delivered the task again, or its handler ignores its context. Cancel the job if the task no longer exists.",
			format.Span(v, v.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusRunning && v.hindrance != "":
		return v.hindrance
	case j.Status == tracker.StatusRunning && j.Stuck(v.now):
		return v.Tf("The job has been running for %s, past its deadline. Its handler ignores cancellation, and the job blocks its worker slot and its lane until the handler returns.",
			format.Span(v, v.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusRunning && !j.CancelAt.IsZero():
		return v.Tf("Cancelling… %s requested the cancellation; the job is still running.", j.CancelBy)
	case j.Status == tracker.StatusRunning:
		return v.Tf("The job has been running for %[3]s, attempt %[1]d of %[2]d.", j.Attempt, j.MaxAttempts, format.Span(v, v.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusQueued:
		return v.waitingText()
	case j.Status == tracker.StatusSuccess:
		return v.Tf("The job succeeded after %s.", v.tookText())
	case j.Status == tracker.StatusFailed:
		return v.Tf("The job failed after %s.", v.tookText())
	case v.isHeldSync():
		return v.T("Too many rows are missing from the listing. Nothing was deleted; the sync is held until an operator releases or rejects it.")
	case j.Status == tracker.StatusConflict:
		return v.T("The remote object changed after the user last saw it. Nothing was overwritten; choose below which values to keep.")
	case j.Status == tracker.StatusSkipped:
		return v.T("The job was skipped: there was nothing to do.")
	}
	if j.CancelBy != "" {
		return v.Tf("Cancelled by %s.", j.CancelBy)
	}
	return v.T("The job was cancelled.")
}

func (v *jobView) tookText() string {
	n := max(1, len(v.attempts), v.job.Attempt)
	took := format.Span(v, v.job.FinishedAt.Sub(v.job.DueAt))
	if n == 1 {
		return v.Tf("1 attempt; it ended %s after the job was due", took)
	}
	return v.Tf("%d attempts; the last ended %s after the job was due", n, took)
}

func (v *jobView) waitingText() string {
	j := v.job
	switch {
	case j.Tracked() && j.NotBefore.After(v.now):
		return v.Tf("asynq delivers the task to the application again %s, at about %s.", v.timeAgo(j.NotBefore), v.fullTime(j.NotBefore))
	case j.Tracked():
		return v.Tf("The task has been waiting for the application's asynq server for %s.", format.Span(v, v.now.Sub(j.NotBefore)))
	case v.pause != nil && alert.Unreachable(*v.pause):
		return v.Tf("The job is waiting because %s has been unreachable since %s. One job tries again at %s, and the others start once the remote answers.",
			v.scopeText(v.pause.Service, v.pause.Instance), v.fullTime(v.pause.Since), v.fullTime(v.pause.Until))
	case v.pause != nil && v.pause.Probes > 0:
		return v.Tf("The job is waiting because the remote refuses the credentials of %s. One job tries them at %s, and the others start once it succeeds.",
			v.scopeText(v.pause.Service, v.pause.Instance), v.fullTime(v.pause.Until))
	case v.pause != nil && v.pause.Parked:
		return v.Tf("The job is waiting because the remote refused requests. %s is parked until %s.", v.scopeText(v.pause.Service, v.pause.Instance), v.fullTime(v.pause.Until))
	case v.pause != nil:
		return v.Tf("The job is waiting because %s paused %s. Resume %[2]s to run the job.", v.pause.By, v.scopeText(v.pause.Service, v.pause.Instance))
	case j.NotBefore.After(v.now) && j.Attempt > 0:
		return v.Tf("Attempt %d failed. The next attempt starts %s, at %s.", j.Attempt, v.timeAgo(j.NotBefore), v.fullTime(j.NotBefore))
	case j.NotBefore.After(v.now):
		return v.Tf("The job is due %s (%s).", v.timeAgo(j.NotBefore), v.fullTime(j.NotBefore))
	case len(v.predecessors) > 0:
		return v.Tf("The job is waiting for job %d of the same object.", v.predecessors[0].ID)
	case !v.hasWorker:
		return v.Tf("The job is waiting because no running process handles %s/%s/%s. Start a worker that registers a handler for this kind.", j.Service, j.Type, j.Action)
	}
	if v.shortage != nil {
		return v.shortageText()
	}
	return v.Tf("The job has been waiting for a worker for %s.", format.Span(v, v.now.Sub(j.NotBefore)))
}

// shortageText says which budget the job waits for, and until when.
func (v *jobView) shortageText() string {
	s := v.shortage
	scope, until := v.scopeText(v.job.Service, s.Scope), v.fullTime(s.Until)
	switch {
	case s.Silent:
		return v.Tf("The job is waiting because the remote asks for no calls of %s until %s.", scope, until)
	case s.Left == 0:
		return v.Tf("The job is waiting for the budget of %s: its %s calls in %s are used up. The next calls are free at %s.",
			scope, format.Thousands(v, s.Calls), format.Span(v, s.Window), until)
	}
	return v.Tf("The job is waiting for the budget of %s: of its %s calls in %s, %s are left, and kept for other jobs. More may be free at %s.",
		scope, format.Thousands(v, s.Calls), format.Span(v, s.Window), format.Thousands(v, s.Left), until)
}

// advice returns what the operator should do, or "" if there is nothing to do.
func (v *jobView) advice() string {
	j := v.job
	switch {
	case j.RetriedAs != 0: // the retry is what there is to look after
		return ""
	case v.newer != 0 && (j.Status == tracker.StatusFailed || j.Status == tracker.StatusConflict):
		return v.Tf("Nothing to do: job %d changed the same object later and succeeded. A retry of this job would undo that change.", v.newer)
	case v.isHeldSync():
		return v.T("Review the missing rows on the service's page, then release or reject the sync.")
	case j.Status != tracker.StatusFailed:
		return ""
	case j.ArgumentsDropped():
		return v.T("The job's arguments are no longer stored. Repeat the action in the application.")
	}
	return v.classAdvice()
}

// classAdvice returns the next step for the error class of a failed job, or "" where the error
// itself says all there is to say.
func (v *jobView) classAdvice() string {
	switch fault.Class(v.job.ErrorClass) {
	case fault.ClassConfig:
		return v.T("A setting is wrong. Correct the setting, restart the workers, then retry the job.")
	case fault.ClassCredentials:
		return v.T("The remote rejected the credentials. Renew the credentials, resume the service, then retry the job.")
	case fault.ClassForbidden:
		return v.T("The credentials are valid and may not do this. Check on the remote what they may do with this object, then retry the job.")
	case fault.ClassTransient, fault.ClassUnavailable, fault.ClassRateLimited:
		return v.T("The remote was unreachable or overloaded. Check that the remote answers, then retry the job.")
	case fault.ClassTimeout:
		return v.T("The job did not finish within its timeout. Check how fast the remote answers, then retry the job.")
	case fault.ClassPermanent:
		if strings.HasPrefix(v.job.Error, "accepted, not applied") {
			return v.T("The remote confirmed the change and did not carry it out. Find out on the remote what prevents it, then retry the job.")
		}
		return v.T("The request was rejected, and a retry would be rejected again. Correct the value in the application.")
	case fault.ClassGone:
		return v.T("The remote no longer has the object. Sync the service to update the list.")
	case fault.ClassAlreadyExists:
		return v.T("The remote already has an object with this name. Sync the service, then change that object.")
	case fault.ClassUnknownOutcome:
		return v.T("The remote may or may not have received the change. Compare the object with the remote; a retry reads the object again before writing.")
	case fault.ClassUndecodable:
		return v.T("This version of the application cannot read the job's arguments. Repeat the action in the application.")
	case fault.ClassPanic:
		return v.T("The handler panicked. Fix the handler (see the stack trace of the last attempt), then retry the job.")
	case fault.ClassWorkerDied:
		return v.T("The worker process died during each attempt. Find out why before you retry the job.")
	case fault.ClassExpired:
		return v.T("The job waited too long and expired. Check that the change is still wanted, then retry the job.")
	}
	return ""
}

// sameErrorDays is how far back a job's page counts jobs with the same error.
const sameErrorDays = 30

// sameErrorQuery finds the service's jobs with the same error.
func (v *jobView) sameErrorQuery() string {
	return fmt.Sprintf("service:%s %s ended:%dd", v.job.Service, groupTerm(v.job.ErrorGroup), sameErrorDays)
}

// sameErrorURL returns the URL of the service's jobs with the same error. It returns "" if the job has no error
// or ended before errors were grouped.
func (v *jobView) sameErrorURL() string {
	if v.job.ErrorGroup == "" {
		return ""
	}
	return v.queryURL(v.sameErrorQuery())
}

// sameErrorText says how many other jobs have the same error, or "" if there are none.
func (v *jobView) sameErrorText() string {
	switch {
	case v.same <= 0:
		return ""
	case v.sameMore:
		return v.Tf("More than %s other jobs of the last 30 days have the same error.", format.Thousands(v, tracker.MaxCount))
	}
	return v.plural(int64(v.same), "1 other job of the last 30 days has the same error.", "%s other jobs of the last 30 days have the same error.")
}

// errorTone returns the CSS class of the box with the job's error.
func (v *jobView) errorTone() string {
	if v.job.Status == tracker.StatusFailed {
		return "bad"
	}
	return "warn"
}

// prettyJSON indents a JSON document. It does not decode the document, so large numbers stay exact.
func prettyJSON(document json.RawMessage) string {
	if len(document) == 0 {
		return ""
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return string(document)
	}
	return strings.TrimSpace(b.String())
}

// stackLines returns the stack to show: all frames if fullStack is set, and otherwise without those
// of the Go runtime and of Asynq.
func (v *jobView) stackLines(stack string) string {
	if v.fullStack {
		return stack
	}
	var frames []string
	lines := strings.Split(stack, "\n")
	for i := 0; i+1 < len(lines); i++ {
		place := lines[i+1]
		if strings.HasPrefix(place, "\t") && !strings.HasPrefix(lines[i], "runtime") && !strings.Contains(place, "/src/runtime/") &&
			!strings.Contains(place, "/hibiken/asynq") {
			frames = append(frames, lines[i], place)
		}
	}
	return strings.Join(frames, "\n")
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
