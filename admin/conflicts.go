package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// maxAlike is how many conflicts are answered together.
const maxAlike = 100

// conflictsView is the data of the page that answers several conflicts alike.
type conflictsView struct {
	*request
	job      *tracker.Job   // whose kind and fields the others share
	alike    []*tracker.Job // unresolved, newest first
	more     bool           // there may be others
	answered []answeredConflict
}

// answeredConflict is a conflict of the last form. Answer is nil if it was not answered.
type answeredConflict struct{ job, answer *tracker.Job }

// conflictOf returns the job that a page or form of several conflicts is about.
func (p *request) conflictOf(text string) (*tracker.Job, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return nil, errNotFound
	}
	return p.visibleJob(id)
}

// conflicts shows the unresolved conflicts that are like that of a job.
func (p *request) conflicts() error {
	q := p.r.URL.Query()
	job, err := p.conflictOf(q.Get("job"))
	if err != nil {
		return err
	}
	if !p.viewer.allowed(PermissionManage, job.Service, job.Instance) {
		return &httpError{
			http.StatusForbidden, p.T("Not permitted"),
			p.Tf("Nothing was done: your account lacks the permission %s on %s.", PermissionManage, p.scopeText(job.Service, job.Instance)),
		}
	}
	v := &conflictsView{request: p, job: job}
	p.title, p.section = p.T("Conflicts of the same kind"), "jobs"
	if v.alike, v.more, err = p.conflictsAlike(p.r.Context(), job); err != nil {
		return err
	}
	if err := v.loadAnswered(p.r.Context(), idsOf(strings.Split(q.Get("answered"), ","))); err != nil {
		return err
	}
	for _, a := range v.answered {
		if a.answer != nil {
			p.refreshWhile(refreshList, a.answer)
		}
	}
	return p.render(conflictsPage(v))
}

// conflictsAlike returns the unresolved conflicts of the same kind and over the same fields as that of a job, which the
// subject may answer. It looks at the newest maxAlike of the kind.
func (p *request) conflictsAlike(ctx context.Context, job *tracker.Job) (list []*tracker.Job, more bool, err error) {
	if !job.InConflict() {
		return nil, false, nil
	}
	search := conflictsLike(job)
	search.Limit = maxAlike
	results, err := p.store().Search(ctx, search)
	if err != nil {
		return nil, false, err
	}
	if err := p.store().LoadDetails(ctx, results.Jobs); err != nil {
		return nil, false, err
	}
	if list, err = p.unanswered(ctx, results.Jobs); err != nil {
		return nil, false, err
	}
	fields := p.fieldNames(job)
	list = slices.DeleteFunc(list, func(j *tracker.Job) bool {
		return !p.viewer.allowed(PermissionManage, j.Service, j.Instance) || j.SnapshotState != job.SnapshotState || !slices.Equal(p.fieldNames(j), fields)
	})
	return list, results.Older != 0, nil
}

// fieldNames returns the columns of a job's conflict.
func (p *request) fieldNames(j *tracker.Job) (names []string) {
	for _, c := range p.compareConflict(j) {
		names = append(names, c.Name)
	}
	return names
}

// loadAnswered reads the jobs of the last form and what answers them.
func (v *conflictsView) loadAnswered(ctx context.Context, ids []int64) error {
	jobs, err := v.store().ByID(ctx, ids)
	if err != nil {
		return err
	}
	var next []int64
	for _, job := range jobs {
		next = append(next, job.RetriedAs)
	}
	answers, err := v.store().ByID(ctx, next)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if job := jobs[id]; job != nil {
			v.answered = append(v.answered, answeredConflict{job, answers[job.RetriedAs]})
		}
	}
	return nil
}

// idsOf parses up to maxAlike different ids.
func idsOf(texts []string) (ids []int64) {
	for _, text := range texts {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 && !slices.Contains(ids, id) && len(ids) < maxAlike {
			ids = append(ids, id)
		}
	}
	return ids
}

// answerConflicts answers the selected conflicts one after the other.
func (p *request) answerConflicts() error {
	job, err := p.conflictOf(p.r.PostForm.Get("job"))
	if err != nil {
		return err
	}
	name := p.r.PostForm.Get("answer")
	do, known := map[string]func(context.Context, *nawasync.Engine, int64, nawasync.OperatorOptions) (*tracker.Job, error){
		"keep_theirs": mirror.KeepTheirs, "apply_mine": mirror.ApplyMine, "overwrite": mirror.Overwrite,
	}[name]
	if !known {
		return p.unknownAction()
	}
	ids := idsOf(p.r.PostForm["id"])
	jobs, err := p.store().ByID(p.r.Context(), ids)
	if err != nil {
		return err
	}
	concerned := p.conflictAskedFor(job, ids, jobs)
	allowed := p.viewer.allowed(PermissionManage, concerned.Service, concerned.Instance)
	entry := tracker.AuditEntry{
		Action: name, Service: concerned.Service, Type: concerned.Type, Instance: concerned.Instance, TargetID: concerned.TargetID, JobID: concerned.ID,
	}
	answer := func(ctx context.Context) (flash, error) {
		return p.answerEach(ctx, ids, jobs, func(id int64) error {
			_, err := do(ctx, p.h.engine, id, p.operatorOptions())
			return err
		})
	}
	if name != "keep_theirs" {
		answer = p.confirmed(answer)
	}
	f, err := p.runIfAllowed(allowed, PermissionManage, entry, answer)
	if err != nil {
		return err
	}
	var texts []string
	for _, id := range ids {
		texts = append(texts, strconv.FormatInt(id, 10))
	}
	p.r.PostForm.Set("back", p.url("/conflicts", "job", strconv.FormatInt(job.ID, 10), "answered", strings.Join(texts, ",")))
	return p.back(f)
}

// conflictAskedFor returns the job that the audit entry of a refused form is about: the first selected conflict that the
// subject may not answer, or else the first selected one. It is the job of the form if none was found.
func (p *request) conflictAskedFor(job *tracker.Job, ids []int64, jobs map[int64]*tracker.Job) *tracker.Job {
	var selected []*tracker.Job
	for _, id := range ids {
		if jobs[id] != nil {
			selected = append(selected, jobs[id])
		}
	}
	selected = append(selected, job)
	for _, j := range selected {
		if !p.viewer.allowed(PermissionManage, j.Service, j.Instance) {
			return j
		}
	}
	return selected[0]
}

// answerEach answers conflicts, and says how many were answered and why others were not.
func (p *request) answerEach(ctx context.Context, ids []int64, jobs map[int64]*tracker.Job, do func(id int64) error) (flash, error) {
	if len(ids) == 0 {
		return flash{}, &refusedError{text: p.T("Select the conflicts to answer.")}
	}
	answered, failed := 0, []string{}
	for _, id := range ids {
		var err error
		switch job := jobs[id]; {
		case job == nil:
			err = tracker.ErrNotFound
		case job.RetriedAs != 0:
			err = &refusedError{text: p.T("Somebody has answered this conflict in the meantime. Look at the answer, then decide again if it is wrong.")}
		case ctx.Err() != nil:
			err = ctx.Err()
		default:
			err = do(id)
		}
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s %s", p.Tf("Job %d:", id), p.errorText(err)))
			continue
		}
		answered++
	}
	text := p.plural(int64(answered), "1 conflict was answered.", "%s conflicts were answered.")
	if len(failed) > 0 {
		text += " " + p.plural(int64(len(failed)), "1 was not:", "%s were not:") + " " + strings.Join(failed, " ")
	}
	return flash{Text: text, Bad: len(failed) > 0}, nil
}
