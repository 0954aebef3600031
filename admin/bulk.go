package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// The counts above which an operator must type how many jobs are meant.
var confirmAbove = map[string]int64{"retry": 1000, "cancel": 100, "delete": 100, "restore": 1000}

const (
	bulkSamples = 10
	bulkPreview = 20_000 // jobs that a preview looks at
)

// bulkView is a preview.
type bulkView struct {
	*request
	action, queryText  string
	previewedAt        time.Time // what times count from
	search             tracker.Search
	through            int64
	searched, matching int64
	more               bool // there are more than the preview looked at
	statuses           map[tracker.Status]int64
	services           map[string]int64
	leftOut            map[skipReason]int64
	samples            []*tracker.Job
	served             bool
}

// bulk previews an act: what it would do, with a frozen end. Nothing is changed.
func (p *request) bulk() error {
	values := p.r.URL.Query()
	p.title, p.section = p.T("Bulk"), "bulk"
	if !values.Has("act") {
		return p.bulkRuns()
	}
	if !p.viewer.anywhere(PermissionManage) {
		return &httpError{http.StatusForbidden, p.T("You may not do this"), p.Tf("Your account has no permission %s on any service.", PermissionManage)}
	}
	line, ids := values.Get("q"), values["id"]
	if values.Get("all") == "" {
		if len(ids) == 0 {
			return &httpError{http.StatusUnprocessableEntity, p.T("Nothing is selected"), p.T("Go back, and select jobs, or all that match.")}
		}
		deleted := strings.Contains(line, "is:deleted")
		if line = "id:" + strings.Join(ids, ","); deleted {
			line += " is:deleted"
		}
	}
	v, err := p.preview(values.Get("act"), line, p.now, 0)
	if err != nil {
		return err
	}
	return p.render(bulkPage(v))
}

// preview looks at what an act would reach, through the job with that number (0: the
// newest).
func (p *request) preview(act, line string, at time.Time, through int64) (*bulkView, error) {
	if !slices.Contains(bulkActions, act) {
		return nil, p.unknownAction()
	}
	q, err := query.Parse(line, p.zone)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return nil, &httpError{http.StatusUnprocessableEntity, p.T("This query cannot be answered"), p.message(wrong.Message) + ": " + p.message(wrong.Hint)}
	}
	if err != nil {
		return nil, err
	}
	v := &bulkView{
		request:     p,
		action:      act,
		queryText:   q.String(),
		previewedAt: at,
		statuses:    map[tracker.Status]int64{},
		services:    map[string]int64{},
		leftOut:     map[skipReason]int64{},
	}
	if v.search, err = q.Search(at, p.zone); err != nil {
		return nil, err
	}
	v.search.Services = p.viewer.manageable()
	before := int64(0)
	if through > 0 {
		before = through + 1
	}
	return v, v.loadPreview(p.r.Context(), before)
}

// loadPreview counts the jobs below before.
func (v *bulkView) loadPreview(ctx context.Context, before int64) error {
	processes, err := v.store().Processes(ctx)
	if err != nil {
		return err
	}
	v.served = slices.ContainsFunc(alert.Alive(processes, v.now), func(p tracker.Process) bool { return slices.Contains(p.Kinds, bulkKind.String()) })
	end := time.Now().Add(v.h.config.Timeout / 2)
	for {
		results, err := v.store().Search(ctx, withLimit(v.search, before, 500))
		if err != nil {
			return err
		}
		for _, job := range results.Jobs {
			v.through = max(v.through, job.ID)
			v.searched++
			if why := leftOutReason(v.action, job); why != "" {
				v.leftOut[why]++
				continue
			}
			v.matching++
			v.statuses[job.Status]++
			v.services[job.Service]++
			if len(v.samples) < bulkSamples {
				v.samples = append(v.samples, job)
			}
		}
		before = results.Older
		if before == 0 {
			return nil
		}
		if v.searched >= bulkPreview || time.Now().After(end) {
			v.more = true
			return nil
		}
	}
}

// confirmation is how many jobs the operator must type, or 0.
func (v *bulkView) confirmation() int64 {
	switch {
	case v.more:
		return max(v.searched, 1) // and more: who types it has seen that
	case v.matching > confirmAbove[v.action]:
		return v.matching
	}
	return 0
}

func (v *bulkView) verb() string { return bulkVerb(v.request, v.action) }

func bulkVerb(p *request, act string) string {
	return map[string]string{"retry": p.T("Retry"), "cancel": p.T("Cancel"), "delete": p.T("Delete"), "restore": p.T("Put back")}[act]
}

// bulkStart dispatches a run as the preview said.
func (p *request) bulkStart() error {
	form := func(name string) string { return strings.TrimSpace(p.r.PostFormValue(name)) }
	act := tracker.AuditEntry{Action: "bulk " + form("act"), Service: bulkKind.Service, Type: bulkKind.Type, TargetID: rand.Text()}
	var job *tracker.Job
	f, err := p.runPermitted(p.viewer.anywhere(PermissionManage), PermissionManage, act, func(ctx context.Context) (flash, error) {
		through, err := strconv.ParseInt(form("through"), 10, 64)
		at, atErr := time.Parse(time.RFC3339Nano, form("at"))
		if err != nil || atErr != nil || through <= 0 || through == math.MaxInt64 || at.After(p.now) {
			return flash{}, &refusedError{text: p.T("The form did not arrive whole. Begin again with a preview.")}
		}
		v, err := p.preview(form("act"), form("q"), at, through)
		if known, ok := errors.AsType[*httpError](err); ok {
			return flash{}, &refusedError{text: known.Error()}
		}
		switch {
		case err != nil:
			return flash{}, err
		case form("reason") == "":
			return flash{}, &refusedError{text: p.T("Give a reason: it is noted with each job.")}
		case v.confirmation() > 0 && (form("typed") == "" || form("typed") != form("must")):
			return flash{}, &refusedError{text: p.Tf("Type %d, the number of jobs, to say that you mean them all.", v.confirmation())}
		}
		args := bulkArgs{
			Run: act.TargetID, Act: v.action, Query: v.queryText, At: at, From: v.search.From, To: v.search.To, EndFrom: v.search.EndedFrom, EndTo: v.search.EndedTo,
			Through:  through,
			Services: v.search.Services, By: p.viewer.subject, Reason: form("reason"),
		}
		job, err = p.h.engine.Dispatch(ctx, args, nawasync.Options{By: args.By})
		if err != nil {
			return flash{}, &refusedError{text: p.errorText(err)}
		}
		act.Outcome, act.JobID, act.Detail = tracker.AuditDone, job.ID, v.queryText
		if err := p.record(ctx, act); err != nil {
			return flash{}, err
		}
		return flash{Text: v.queryText, Job: job.ID}, nil
	})
	switch {
	case err != nil:
		return err
	case job == nil:
		return p.back(f)
	}
	return p.redirect(p.url(fmt.Sprintf("/bulk/%d", job.ID)))
}

// bulkRun is one run.
type bulkRun struct {
	*request
	job     *tracker.Job
	args    bulkArgs
	state   bulkState
	entries []tracker.AuditEntry // on single jobs, those that one may view
	older   int64
}

// readRun is a run that the subject may see: their own, or one within what they view.
func (p *request) readRun(id int64) (*bulkRun, error) {
	job, err := p.store().Get(p.r.Context(), id)
	if err != nil {
		return nil, err
	}
	v := &bulkRun{request: p, job: job}
	if job.Service != bulkKind.Service || job.Type != bulkKind.Type {
		return nil, errNotFound
	}
	if err := json.Unmarshal(job.Payload, &v.args); err != nil {
		return nil, errNotFound
	}
	if v.args.By != p.viewer.subject && !p.viewer.may(PermissionView, EveryService) {
		return nil, errNotFound
	}
	var progress struct {
		Note string `json:"note"`
	}
	switch {
	case len(job.Result) > 0:
		err = json.Unmarshal(job.Result, &v.state)
	case json.Unmarshal(job.Progress, &progress) == nil && progress.Note != "":
		err = json.Unmarshal([]byte(progress.Note), &v.state)
	}
	return v, err
}

func (p *request) bulkShow() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	v, err := p.readRun(id)
	if err != nil {
		return err
	}
	p.title, p.section = p.Tf("Bulk run %d", id), "bulk"
	filter := tracker.AuditFilter{
		Services: p.viewer.services(), Address: runAddress(id), Since: v.job.CreatedAt, Before: p.number("before"),
		Limit: auditPageSize + 1,
	}
	if !v.job.FinishedAt.IsZero() {
		filter.Until = v.job.FinishedAt.Add(time.Minute)
	}
	if v.entries, err = p.store().AuditLog(p.r.Context(), filter); err != nil {
		return err
	}
	if len(v.entries) > auditPageSize {
		v.entries = v.entries[:auditPageSize]
		v.older = v.entries[auditPageSize-1].ID
	}
	return p.render(bulkRunPage(v))
}

// bulkStop calls a run off: what it has done stays done.
func (p *request) bulkStop() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	v, err := p.readRun(id)
	if err != nil {
		return err
	}
	act := tracker.AuditEntry{Action: "cancel", Service: bulkKind.Service, Type: bulkKind.Type, TargetID: v.args.Run, JobID: id}
	f, err := p.runPermitted(v.args.By == p.viewer.subject || p.viewer.may(PermissionManage, EveryService), PermissionManage, act,
		func(ctx context.Context) (flash, error) {
			_, err := p.h.engine.Cancel(ctx, id, p.operatorOptions())
			return flash{Text: p.T("Its end is requested; what it has done stays done.")}, err
		})
	if err != nil {
		return err
	}
	return p.back(f)
}

// bulkRuns lists the latest runs that the subject may see.
func (p *request) bulkRuns() error {
	results, err := p.store().Search(p.r.Context(), tracker.Search{
		Services: []string{bulkKind.Service},
		Terms:    []tracker.Term{{Field: tracker.FieldType, Values: []string{bulkKind.Type}}}, Limit: 50,
	})
	if err != nil {
		return err
	}
	var runs []*bulkRun
	for _, job := range results.Jobs {
		v, err := p.readRun(job.ID)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		runs = append(runs, v)
	}
	return p.render(bulkRunsPage(p, runs))
}
