package admin

import (
	"context"
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

// confirmAbove has, for each action, the number of jobs above which an operator must type the
// number to confirm.
var confirmAbove = map[string]int64{"retry": 1000, "cancel": 100, "delete": 100, "restore": 1000}

const (
	bulkSampleSize   = 10
	bulkPreviewLimit = 20_000 // how many jobs a preview reads
)

// bulkView is the data of a bulk preview.
type bulkView struct {
	*request
	action, queryText  string
	previewedAt        time.Time // relative times of the query count from here
	search             tracker.Search
	visible            *tracker.Visibility // what the operator may manage; nil is everything
	lastJobID          int64               // the newest job of the query; newer jobs are not part of the run
	searched, matching int64               // jobs that the preview read, and those that the run would change
	incomplete         bool                // the query has more jobs than the preview read
	statuses           map[tracker.Status]int64
	services           map[string]int64
	skipped            map[skipReason]int64
	laterOpen          int64 // of the matching jobs, those with a later open job of the object
	laterFailed        int64 // those with a later failed one
	samples            []*tracker.Job
	hasWorker          bool   // a live process handles bulk runs
	proof              string // that the preview has shown this number of jobs
}

// bulk previews a bulk run for the action and the query of the request. It changes nothing. Without
// an action it lists the bulk runs.
func (p *request) bulk() error {
	values := p.r.URL.Query()
	p.title, p.section = p.T("Bulk runs"), "bulk"
	if !values.Has("action") {
		return p.listBulkRuns()
	}
	if !p.viewer.allowedAnywhere(PermissionManage) {
		return &httpError{http.StatusForbidden, p.T("Not permitted"), p.Tf("Your account lacks the permission %s on every service.", PermissionManage)}
	}
	queryText, ids := values.Get("q"), values["id"]
	if values.Get("all") == "" {
		if len(ids) == 0 {
			return &httpError{http.StatusUnprocessableEntity, p.T("No jobs selected"), p.T("Go back and select one or more jobs.")}
		}
		q, err := query.Parse(queryText, p.zone)
		if wrong, ok := errors.AsType[*query.Error](err); ok {
			return p.wrongQuery(queryText, wrong)
		}
		deleted := q.Value("is") == "deleted"
		if queryText = "id:" + strings.Join(ids, ","); deleted {
			queryText += " is:deleted"
		}
	}
	v, err := p.preview(values.Get("action"), queryText, p.now, 0)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return p.wrongQuery(queryText, wrong)
	}
	if err != nil {
		return err
	}
	if err := p.store().LoadDetails(p.r.Context(), v.samples); err != nil {
		return err
	}
	if v.proof, err = v.proofOf(p.r.Context(), v.shown()); err != nil {
		return err
	}
	return p.render(bulkPage(v))
}

// preview finds the jobs that a bulk run would change. Relative times of the query count from at.
// Jobs with an ID above lastJobID are left out; 0 means no limit. The error of an invalid query is a *query.Error.
func (p *request) preview(action, queryText string, at time.Time, lastJobID int64) (*bulkView, error) {
	if !slices.Contains(bulkActions, action) {
		return nil, p.unknownAction()
	}
	q, err := query.Parse(queryText, p.zone)
	if err != nil {
		return nil, err
	}
	v := &bulkView{
		request:     p,
		action:      action,
		queryText:   q.String(),
		previewedAt: at,
		lastJobID:   lastJobID,
		statuses:    map[tracker.Status]int64{},
		services:    map[string]int64{},
		skipped:     map[skipReason]int64{},
	}
	if v.search, err = q.Search(at, p.zone); err != nil {
		return nil, err
	}
	v.visible = p.viewer.manages()
	ctx, before := p.r.Context(), int64(0)
	if lastJobID > 0 {
		ctx, before = ownScan(ctx), lastJobID+1
	}
	return v, v.loadPreview(ctx, before)
}

// loadPreview counts the jobs with IDs below before; 0 means all. It stops after bulkPreviewLimit
// jobs or half of Config.Timeout.
func (v *bulkView) loadPreview(ctx context.Context, before int64) error {
	processes, err := v.h.reader.Processes(ctx) // not v.store, which hides the kind of bulk runs from most
	if err != nil {
		return err
	}
	v.hasWorker = slices.ContainsFunc(alert.Alive(processes, v.now), func(p tracker.Process) bool { return slices.Contains(p.Kinds, bulkKind.String()) })
	deadline := time.Now().Add(v.h.config.Timeout / 2)
	for {
		results, err := limited(v.h.reader, v.visible).Search(ctx, withLimit(v.search, before, 500))
		if err != nil {
			return err
		}
		if len(results.Jobs) > 0 {
			v.lastJobID = max(v.lastJobID, results.Jobs[0].ID)
		}
		decided, err := v.decide(ctx, results.Jobs)
		if err != nil {
			return err
		}
		for i, job := range results.Jobs {
			v.searched++
			if reason := decided[i].reason; reason != "" {
				v.skipped[reason]++
				continue
			}
			v.matching++
			v.countLater(decided[i].later)
			v.statuses[job.Status]++
			v.services[job.Service]++
			if len(v.samples) < bulkSampleSize {
				v.samples = append(v.samples, job)
			}
		}
		before = results.Older
		v.incomplete = before != 0 && (v.searched >= bulkPreviewLimit || time.Now().After(deadline))
		if before == 0 || v.incomplete {
			return nil
		}
	}
}

// actionCount returns the action with the number of jobs, for example "Retry 240 jobs". If the
// preview is incomplete, the number is unknown and left out.
func (v *bulkView) actionCount() string {
	if v.incomplete {
		return v.Tf("%s all jobs that match", bulkActionText(v.request, v.action))
	}
	switch v.action {
	case "retry":
		return v.plural(v.matching, "Retry 1 job", "Retry %s jobs")
	case "cancel":
		return v.plural(v.matching, "Cancel 1 job", "Cancel %s jobs")
	case "delete":
		return v.plural(v.matching, "Delete 1 job", "Delete %s jobs")
	}
	return v.plural(v.matching, "Restore 1 job", "Restore %s jobs")
}

func bulkActionText(p *request, action string) string {
	return map[string]string{"retry": p.T("Retry"), "cancel": p.T("Cancel"), "delete": p.T("Delete"), "restore": p.T("Restore")}[action]
}

// maxPreviewAge is how old the preview of a bulk run may be. A tab that was restored later than that shows what is
// no longer true, and its token is forgotten.
const maxPreviewAge = 12 * time.Hour

// startBulkRun dispatches the bulk run of a preview.
func (p *request) startBulkRun() error {
	form := func(name string) string { return strings.TrimSpace(p.r.PostFormValue(name)) }
	entry := tracker.AuditEntry{Action: "bulk " + form("action"), Service: bulkKind.Service, Type: bulkKind.Type, TargetID: p.formToken()}
	f, err := p.runIfAllowed(p.viewer.allowedAnywhere(PermissionManage), PermissionManage, entry, func(ctx context.Context) (flash, error) {
		lastJobID, err := strconv.ParseInt(form("through"), 10, 64)
		at, atErr := time.Parse(time.RFC3339Nano, form("at"))
		if err != nil || atErr != nil || lastJobID <= 0 || lastJobID == math.MaxInt64 || at.After(p.now) || p.now.Sub(at) > maxPreviewAge {
			return flash{}, &refusedError{text: p.T("The form was incomplete, and nothing was done. Start again from the job list.")}
		}
		v, err := p.preview(form("action"), form("q"), at, lastJobID)
		if known, ok := errors.AsType[*httpError](err); ok {
			return flash{}, &refusedError{text: known.Error()}
		}
		if wrong, ok := errors.AsType[*query.Error](err); ok {
			return flash{}, &refusedError{text: p.T("Invalid query") + ": " + p.message(wrong.Message) + ": " + p.message(wrong.Hint)}
		}
		switch {
		case err != nil:
			return flash{}, readError{err}
		case form("reason") == "":
			return flash{}, &refusedError{text: p.T("Enter a reason. The audit log stores the reason with each job.")}
		}
		most, err := v.confirmedMost(ctx, form("typed"), form("shown"), form("proof"))
		if err != nil {
			return flash{}, err
		}
		args := bulkArgs{
			RunID: entry.TargetID, Action: v.action, Query: v.queryText, PreviewedAt: at,
			CreatedFrom: v.search.From, CreatedTo: v.search.To, EndedFrom: v.search.EndedFrom, EndedTo: v.search.EndedTo,
			LastJobID: lastJobID, Most: most, Visible: v.visible, By: p.viewer.subject, Reason: form("reason"),
		}
		job, err := p.h.engine.Dispatch(ctx, args, nawasync.Options{By: args.By})
		if err != nil {
			return flash{}, &refusedError{text: p.errorText(err)}
		}
		entry.Outcome, entry.JobID, entry.Detail = tracker.AuditDone, job.ID, v.queryText
		if err := p.recordAudit(ctx, entry); err != nil {
			return flash{}, err
		}
		return flash{Job: job.ID}, nil
	})
	switch {
	case err != nil:
		return err
	case f.Bad:
		return p.back(f)
	}
	return p.redirect(p.url(fmt.Sprintf("/bulk/%d", f.Job)))
}

// bulkRun is the data of a bulk run's page.
type bulkRun struct {
	*request
	job     *tracker.Job
	args    bulkArgs
	state   bulkState
	made    runJobs
	entries []tracker.AuditEntry // what the run did to each job, limited to services that the subject may view
	older   int64                // ID of the last entry on this page if there are older ones, or 0
}

// loadBulkRun reads a run. The subject must have started the run or be allowed to view everything.
func (p *request) loadBulkRun(id int64) (*bulkRun, error) {
	job, err := p.h.reader.Get(p.r.Context(), id)
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
	if v.args.By != p.viewer.subject && p.viewer.views() != nil {
		return nil, errNotFound
	}
	if len(job.Result) > 0 {
		return v, json.Unmarshal(job.Result, &v.state)
	}
	if note := progressNote(job); note != "" {
		return v, json.Unmarshal([]byte(note), &v.state)
	}
	return v, nil
}

func (p *request) showBulkRun() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	v, err := p.loadBulkRun(id)
	if err != nil {
		return err
	}
	p.title, p.section = p.Tf("Bulk run %d: %s, %s", id, bulkActionText(p, v.args.Action), p.status(v.job.Status)), "bulk"
	p.refreshWhile(refreshJob, v.job)
	filter := tracker.AuditFilter{
		Address: runAddress(id), Since: v.job.CreatedAt, Before: p.intParam("before"),
		Limit: auditPageSize + 1,
	}
	if !v.job.FinishedAt.IsZero() {
		filter.Until = v.job.FinishedAt.Add(time.Minute)
	}
	if v.entries, err = p.store().AuditLog(p.r.Context(), filter); err != nil {
		return err
	}
	if v.made, err = p.loadRunJobs(v.job); err != nil {
		return err
	}
	if v.made.open() > 0 {
		p.auto = refreshList
	}
	if len(v.entries) > auditPageSize {
		v.entries = v.entries[:auditPageSize]
		v.older = v.entries[auditPageSize-1].ID
	}
	return p.render(bulkRunPage(v))
}

// canStop reports whether the subject may stop the run: if it has started the run, or may manage everything.
func (v *bulkRun) canStop() bool { return v.args.By == v.viewer.subject || v.viewer.manages() == nil }

// stopBulkRun cancels a run. Jobs that the run has changed stay changed.
func (p *request) stopBulkRun() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	v, err := p.loadBulkRun(id)
	if err != nil {
		return err
	}
	entry := tracker.AuditEntry{Action: "cancel", Service: bulkKind.Service, Type: bulkKind.Type, TargetID: v.args.RunID, JobID: id}
	f, err := p.runIfAllowed(v.canStop(), PermissionManage, entry,
		func(ctx context.Context) (flash, error) {
			_, err := p.h.engine.Cancel(ctx, id, p.operatorOptions())
			return flash{Text: p.T("Stopping… Jobs that the bulk run has already changed stay changed.")}, err
		})
	if err != nil {
		return err
	}
	return p.back(f)
}

// listBulkRuns lists the latest 50 runs that the subject may view.
func (p *request) listBulkRuns() error {
	terms := []tracker.Term{{Field: tracker.FieldType, Values: []string{bulkKind.Type}}}
	if p.viewer.views() != nil {
		terms = append(terms, tracker.Term{Field: tracker.FieldBy, Values: []string{p.viewer.subject}})
	}
	results, err := p.h.reader.Search(p.r.Context(), tracker.Search{Services: []string{bulkKind.Service}, Terms: terms, Limit: 50})
	if err != nil {
		return err
	}
	var runs []*bulkRun
	for _, job := range results.Jobs {
		v, err := p.loadBulkRun(job.ID)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		runs = append(runs, v)
		p.refreshWhile(refreshList, v.job)
	}
	return p.render(bulkRunsPage(p, runs))
}
