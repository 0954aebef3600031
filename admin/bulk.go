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
var bulkTyped = map[string]int64{"retry": 1000, "cancel": 100, "delete": 100, "restore": 1000}

const (
	bulkSamples = 10
	bulkPreview = 20_000 // jobs that a preview looks at
)

// bulkView is a preview.
type bulkView struct {
	*page
	act, line string
	at        time.Time // what times count from
	search    tracker.Search
	through   int64
	seen, fit int64
	more      bool // there are more than the preview looked at
	statuses  map[tracker.Status]int64
	services  map[string]int64
	unfit     map[reason]int64
	samples   []*tracker.Job
	served    bool
}

// bulk previews an act: what it would do, with a frozen end. Nothing is changed.
func (p *page) bulk() error {
	values := p.r.URL.Query()
	p.title, p.section = p.T("Bulk"), "bulk"
	if !values.Has("act") {
		return p.bulkRuns()
	}
	if !p.viewer.anywhere(PermissionManage) {
		return &problem{http.StatusForbidden, p.T("You may not do this"), p.Tf("Your account has no permission %s on any service.", PermissionManage)}
	}
	line, ids := values.Get("q"), values["id"]
	if values.Get("all") == "" {
		if len(ids) == 0 {
			return &problem{http.StatusUnprocessableEntity, p.T("Nothing is selected"), p.T("Go back, and select jobs, or all that match.")}
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
func (p *page) preview(act, line string, at time.Time, through int64) (*bulkView, error) {
	if !slices.Contains(bulkActs, act) {
		return nil, p.noAct()
	}
	q, err := query.Parse(line, p.zone)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return nil, &problem{http.StatusUnprocessableEntity, p.T("This query cannot be answered"), p.said(wrong.Message) + ": " + p.said(wrong.Hint)}
	}
	if err != nil {
		return nil, err
	}
	v := &bulkView{page: p, act: act, line: q.String(), at: at, statuses: map[tracker.Status]int64{}, services: map[string]int64{}, unfit: map[reason]int64{}}
	if v.search, err = q.Search(at, p.zone); err != nil {
		return nil, err
	}
	v.search.Services = p.viewer.manages()
	before := int64(0)
	if through > 0 {
		before = through + 1
	}
	return v, v.look(p.r.Context(), before)
}

// look counts the jobs below before.
func (v *bulkView) look(ctx context.Context, before int64) error {
	processes, err := v.store().Processes(ctx)
	if err != nil {
		return err
	}
	v.served = slices.ContainsFunc(alert.Alive(processes, v.now), func(p tracker.Process) bool { return slices.Contains(p.Kinds, bulkKind.String()) })
	end := time.Now().Add(v.h.config.Timeout / 2)
	for {
		results, err := v.store().Search(ctx, paged(v.search, before, 500))
		if err != nil {
			return err
		}
		for _, job := range results.Jobs {
			v.through = max(v.through, job.ID)
			v.seen++
			if why := unfit(v.act, job); why != "" {
				v.unfit[why]++
				continue
			}
			v.fit++
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
		if v.seen >= bulkPreview || time.Now().After(end) {
			v.more = true
			return nil
		}
	}
}

// typed is how many jobs the operator must type, or 0.
func (v *bulkView) typed() int64 {
	switch {
	case v.more:
		return max(v.seen, 1) // and more: who types it has seen that
	case v.fit > bulkTyped[v.act]:
		return v.fit
	}
	return 0
}

func (v *bulkView) verb() string { return bulkVerb(v.page, v.act) }

func bulkVerb(p *page, act string) string {
	return map[string]string{"retry": p.T("Retry"), "cancel": p.T("Cancel"), "delete": p.T("Delete"), "restore": p.T("Put back")}[act]
}

// bulkStart dispatches a run as the preview said.
func (p *page) bulkStart() error {
	form := func(name string) string { return strings.TrimSpace(p.r.PostFormValue(name)) }
	act := tracker.AuditEntry{Action: "bulk " + form("act"), Service: bulkKind.Service, Type: bulkKind.Type, TargetID: rand.Text()}
	var job *tracker.Job
	f, err := p.perform(p.viewer.anywhere(PermissionManage), PermissionManage, act, func(ctx context.Context) (flash, error) {
		through, err := strconv.ParseInt(form("through"), 10, 64)
		at, atErr := time.Parse(time.RFC3339Nano, form("at"))
		if err != nil || atErr != nil || through <= 0 || through == math.MaxInt64 || at.After(p.now) {
			return flash{}, &refusal{text: p.T("The form did not arrive whole. Begin again with a preview.")}
		}
		v, err := p.preview(form("act"), form("q"), at, through)
		if known, ok := errors.AsType[*problem](err); ok {
			return flash{}, &refusal{text: known.Error()}
		}
		switch {
		case err != nil:
			return flash{}, err
		case form("reason") == "":
			return flash{}, &refusal{text: p.T("Give a reason: it is noted with each job.")}
		case v.typed() > 0 && (form("typed") == "" || form("typed") != form("must")):
			return flash{}, &refusal{text: p.Tf("Type %d, the number of jobs, to say that you mean them all.", v.typed())}
		}
		args := bulkArgs{
			Run: act.TargetID, Act: v.act, Query: v.line, At: at, From: v.search.From, To: v.search.To, EndFrom: v.search.EndedFrom, EndTo: v.search.EndedTo,
			Through:  through,
			Services: v.search.Services, By: p.viewer.subject, Reason: form("reason"),
		}
		job, err = p.h.engine.Dispatch(ctx, args, nawasync.Options{By: args.By})
		if err != nil {
			return flash{}, &refusal{text: p.message(err)}
		}
		act.Outcome, act.JobID, act.Detail = tracker.AuditDone, job.ID, v.line
		if err := p.record(ctx, act); err != nil {
			return flash{}, err
		}
		return flash{Text: v.line, Job: job.ID}, nil
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
	*page
	job   *tracker.Job
	args  bulkArgs
	state bulkState
	acts  []tracker.AuditEntry // on single jobs, those that one may view
	older int64
}

// readRun is a run that the subject may see: their own, or one within what they view.
func (p *page) readRun(id int64) (*bulkRun, error) {
	job, err := p.store().Get(p.r.Context(), id)
	if err != nil {
		return nil, err
	}
	v := &bulkRun{page: p, job: job}
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

func (p *page) bulkShow() error {
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
		Limit: activityPage + 1,
	}
	if !v.job.FinishedAt.IsZero() {
		filter.Until = v.job.FinishedAt.Add(time.Minute)
	}
	if v.acts, err = p.store().AuditLog(p.r.Context(), filter); err != nil {
		return err
	}
	if len(v.acts) > activityPage {
		v.acts = v.acts[:activityPage]
		v.older = v.acts[activityPage-1].ID
	}
	return p.render(bulkRunPage(v))
}

// bulkStop calls a run off: what it has done stays done.
func (p *page) bulkStop() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	v, err := p.readRun(id)
	if err != nil {
		return err
	}
	act := tracker.AuditEntry{Action: "cancel", Service: bulkKind.Service, Type: bulkKind.Type, TargetID: v.args.Run, JobID: id}
	f, err := p.perform(v.args.By == p.viewer.subject || p.viewer.may(PermissionManage, EveryService), PermissionManage, act,
		func(ctx context.Context) (flash, error) {
			_, err := p.h.engine.Cancel(ctx, id, p.operator())
			return flash{Text: p.T("Its end is requested; what it has done stays done.")}, err
		})
	if err != nil {
		return err
	}
	return p.back(f)
}

// bulkRuns lists the latest runs that the subject may see.
func (p *page) bulkRuns() error {
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
