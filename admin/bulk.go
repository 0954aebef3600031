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
	"sync"
	"time"

	"github.com/nawasara/nawasync"
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
	Through  int64     `json:"through"`     // the last job of it
	Services []string  `json:"services"`    // those that the operator may manage; nil is every one
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
}

func (a bulkArgs) Kind() nawasync.Kind     { return bulkKind }
func (a bulkArgs) Target() nawasync.Target { return nawasync.Target{ID: a.Run} }

// bulkState is how far a run is; it outlives the process that runs it.
type bulkState struct {
	Cursor  int64            `json:"cursor"` // jobs from here on are done
	Acted   int64            `json:"acted"`
	Skipped int64            `json:"skipped"`
	Failed  int64            `json:"failed"`
	Reasons map[string]int64 `json:"reasons,omitempty"` // why jobs were skipped, or failed
}

// bulkActs are what a bulk run can do.
var bulkActs = []string{"retry", "cancel", "delete", "restore"}

// The counts above which an operator must type how many jobs are meant.
var bulkTyped = map[string]int64{"retry": 1000, "cancel": 100, "delete": 100, "restore": 1000}

const (
	bulkBatch   = 100
	bulkSamples = 10
	bulkPreview = 20_000 // jobs that a preview looks at
)

// Register has an engine work the bulk runs that the pages dispatch: call it, before
// Start, in at least one process that works nawasync.DefaultQueue. The enforcer is that
// of the pages: whether a run's operator may still manage a job is asked for each. It
// returns an error without one, and what nawasync.Register returns.
func Register(engine *nawasync.Engine, enforcer Enforcer) error {
	if enforcer == nil {
		return errors.New("admin: Register needs the Enforcer of admin.Config: it asks it for each job of a bulk run")
	}
	return nawasync.Register(engine, &bulkJob{engine: engine, enforcer: enforcer})
}

type bulkJob struct {
	nawasync.AbstractJob[bulkArgs]
	engine   *nawasync.Engine
	enforcer Enforcer

	mu      sync.Mutex
	asked   time.Time
	viewers map[string]*viewer
}

func (*bulkJob) Timeout() time.Duration { return 24 * time.Hour }

// Execute goes through the jobs of the query, from the newest to the oldest, asking of
// each anew whether the act fits it. A run that was broken off goes on where it was.
func (b *bulkJob) Execute(ctx context.Context, run *nawasync.Run[bulkArgs]) error {
	args, store := run.Args, b.engine.Store()
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
		results, err := store.Search(ctx, search, state.Cursor, 0, bulkBatch)
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
			if b.one(ctx, run, job, &state, resumed) {
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
	results, err := b.engine.Store().Search(ctx, tracker.Search{TargetKeys: []int64{job.TargetKey}}, 0, job.ID, 100)
	return slices.ContainsFunc(results.Jobs, func(next *tracker.Job) bool {
		return next.RetryOf == job.ID && next.TriggeredBy == args.By && !next.CreatedAt.Before(args.At)
	}), err
}

// one does the act to one job, or says why not. False says that the run is being ended,
// and the job is still to be done.
func (b *bulkJob) one(ctx context.Context, run *nawasync.Run[bulkArgs], job *tracker.Job, state *bulkState, resumed bool) bool {
	args := run.Args
	why := unfit(args.Act, job)
	var err error
	if why == "" && !b.may(args.By, job.Service) {
		why = "its operator may not manage it any more"
	}
	if resumed && why == "" && args.Act == "retry" {
		var done bool
		if done, err = b.retried(ctx, args, job); done {
			why = "this run has retried it already"
		}
	}
	if why == "" && err == nil {
		switch args.Act {
		case "retry":
			_, err = b.engine.Retry(ctx, job.ID, nawasync.RetryOptions{By: args.By})
		case "cancel":
			_, err = b.engine.Cancel(ctx, job.ID, args.By)
		case "delete", "restore":
			var done bool
			if args.Act == "delete" {
				done, err = b.engine.Store().Tombstone(ctx, job.ID)
			} else {
				done, err = b.engine.Store().Undelete(ctx, job.ID)
			}
			if err == nil && !done {
				why = "it has changed since"
			}
		}
	}
	switch {
	case errors.Is(err, nawasync.ErrNoArguments):
		why, err = "its arguments are no longer kept", nil
	case errors.Is(err, nawasync.ErrSuperseded):
		why, err = "a later job of the same target succeeded", nil
	case errors.Is(err, nawasync.ErrEnded), errors.Is(err, nawasync.ErrNotFound):
		why, err = "it has changed since", nil
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return false
	case err != nil:
		state.Failed++
		why = "an error: see the run's log"
		run.Logf("job %d: %v", job.ID, err)
		b.note(ctx, args, job, tracker.ActFailed, why)
	case why != "":
		state.Skipped++
	default:
		state.Acted++
		b.note(ctx, args, job, tracker.ActDone, "")
	}
	if why != "" {
		if state.Reasons == nil {
			state.Reasons = map[string]int64{}
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
	if time.Since(b.asked) > knownFor || b.viewers == nil {
		b.asked, b.viewers = time.Now(), map[string]*viewer{}
	}
	v := b.viewers[subject]
	if v == nil {
		v = &viewer{subject: subject, enforcer: b.enforcer, decided: map[string]bool{}}
		b.viewers[subject] = v
	}
	return v.may(PermissionManage, service) && v.may(PermissionView, service)
}

// note leaves an act of the operator for the job's own history.
func (b *bulkJob) note(ctx context.Context, args bulkArgs, job *tracker.Job, outcome, detail string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = b.engine.Store().AddAct(ctx, tracker.Act{
		Subject: args.By, Act: "bulk " + args.Act, Outcome: outcome, Service: job.Service, Type: job.Type, Instance: job.Instance, TargetID: job.TargetID,
		TargetKey: job.TargetKey, JobID: job.ID, Reason: args.Reason, Detail: detail,
	})
}

// unfit says why an act does not fit a job; "" is that it does.
func unfit(act string, job *tracker.Job) string {
	switch {
	case act == "cancel" && job.Status.Terminal():
		return "it has ended"
	case act == "cancel":
		return ""
	case !job.Status.Terminal():
		return "it has not ended"
	case act == "retry" && job.Status == tracker.Success:
		return "it succeeded"
	case act == "retry" && job.Status == tracker.Conflict:
		return "it is in conflict: answer each on its page"
	case act == "retry" && job.Service == bulkKind.Service:
		return "it is a bulk run itself"
	}
	return ""
}

// search is what the run goes through.
func (a bulkArgs) search() (tracker.Search, error) {
	q, err := parseQuery(a.Query, time.UTC)
	if err != nil {
		return tracker.Search{}, fmt.Errorf("the run's query: %w", err)
	}
	s, err := q.search(a.At, time.UTC)
	s.Services, s.From, s.To = a.Services, a.From, a.To
	return s, err
}

// bulkView is a preview.
type bulkView struct {
	*page
	act, line string
	through   int64
	seen, fit int64
	more      bool // there are more than the preview looked at
	statuses  map[tracker.Status]int64
	services  map[string]int64
	unfit     map[string]int64
	samples   []*tracker.Job
	served    bool
}

// manages are the services whose jobs the subject may manage; nil is every one.
func (v *viewer) manages() []string {
	if v.may(PermissionManage, every) && v.may(PermissionView, every) {
		return nil
	}
	list := []string{}
	for _, service := range v.known {
		if v.may(PermissionManage, service) && v.may(PermissionView, service) {
			list = append(list, service)
		}
	}
	return list
}

// bulk previews an act: what it would do, with a frozen end. Nothing is changed.
func (p *page) bulk() error {
	values := p.r.URL.Query()
	v := &bulkView{page: p, act: values.Get("act"), statuses: map[tracker.Status]int64{}, services: map[string]int64{}, unfit: map[string]int64{}}
	p.title, p.section = p.T("Bulk"), "bulk"
	if v.act == "" {
		return p.bulkRuns()
	}
	if !slices.Contains(bulkActs, v.act) {
		return &problem{http.StatusNotFound, "There is no such act", "", nil}
	}
	if !p.viewer.anywhere(PermissionManage) {
		return &problem{http.StatusForbidden, "You may not do this", "Your account has no permission " + PermissionManage + " on any service.", nil}
	}
	v.line = values.Get("q")
	if ids := values["id"]; values.Get("all") == "" {
		if len(ids) == 0 {
			return &problem{http.StatusUnprocessableEntity, "Nothing is selected", "Go back, and select jobs, or all that match.", nil}
		}
		v.line = "id:" + strings.Join(ids, ",")
		if strings.Contains(values.Get("q"), "is:deleted") {
			v.line += " is:deleted"
		}
	}
	q, err := parseQuery(v.line, p.zone)
	if err != nil {
		return &problem{http.StatusUnprocessableEntity, "This query cannot be answered", err.Error(), nil}
	}
	v.line = q.String()
	if err := v.look(p.r.Context(), q); err != nil {
		return err
	}
	return p.render(bulkPage(v))
}

// look counts what the act would reach.
func (v *bulkView) look(ctx context.Context, q query) error {
	search, err := q.search(v.now, v.zone)
	if err != nil {
		return err
	}
	search.Services = v.viewer.manages()
	processes, err := v.store().Processes(ctx)
	if err != nil {
		return err
	}
	v.served = slices.ContainsFunc(alive(processes, v.now), func(p tracker.Process) bool { return slices.Contains(p.Kinds, bulkKind.String()) })
	end := time.Now().Add(v.h.config.Timeout / 2)
	for before := int64(0); ; {
		results, err := v.store().Search(ctx, search, before, 0, 500)
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
	args := bulkArgs{Run: rand.Text(), Act: form("act"), Query: form("q"), At: p.now, Services: p.viewer.manages(), By: p.viewer.subject, Reason: form("reason")}
	if !slices.Contains(bulkActs, args.Act) {
		return &problem{http.StatusNotFound, "There is no such act", "", nil}
	}
	act := tracker.Act{Act: "bulk " + args.Act, Service: bulkKind.Service, Type: bulkKind.Type, TargetID: args.Run}
	if !p.viewer.anywhere(PermissionManage) {
		return p.act(PermissionManage, act, nil) // noted, and refused
	}
	var err error
	if args.Through, err = strconv.ParseInt(form("through"), 10, 64); err != nil || args.Through <= 0 || args.Through == math.MaxInt64 {
		return &problem{http.StatusUnprocessableEntity, "The form did not arrive whole", "Begin again with a preview.", nil}
	}
	if at, err := time.Parse(time.RFC3339Nano, form("at")); err == nil && at.Before(p.now) {
		args.At = at
	}
	q, err := parseQuery(args.Query, p.zone)
	if err != nil {
		return &problem{http.StatusUnprocessableEntity, "This query cannot be answered", err.Error(), nil}
	}
	search, err := q.search(args.At, p.zone)
	if err != nil {
		return err
	}
	args.From, args.To = search.From, search.To
	switch {
	case args.Reason == "":
		return p.back(flash{Bad: true, Text: p.T("Give a reason: it is noted with each job.")})
	case form("must") != "" && form("typed") != form("must"):
		return p.back(flash{Bad: true, Text: p.Tf("Type %s, the number of jobs, to say that you mean them all.", form("must"))})
	}
	job, err := p.h.engine.Dispatch(p.r.Context(), args, nawasync.Options{By: args.By})
	if err != nil {
		return err
	}
	act.JobID, act.Subject, act.Outcome, act.Reason, act.Detail = job.ID, args.By, tracker.ActDone, args.Reason, args.Query
	if err := p.store().AddAct(p.r.Context(), act); err != nil {
		return err
	}
	return p.redirect(p.url(fmt.Sprintf("/bulk/%d", job.ID)))
}

// bulkRun is one run.
type bulkRun struct {
	*page
	job   *tracker.Job
	args  bulkArgs
	state bulkState
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
	if v.args.By != p.viewer.subject && !p.viewer.may(PermissionView, every) {
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
	act := tracker.Act{Act: "stop", Service: bulkKind.Service, Type: bulkKind.Type, TargetID: v.args.Run, JobID: id, Subject: p.viewer.subject, Outcome: tracker.ActDone}
	if v.args.By != p.viewer.subject && !p.viewer.may(PermissionManage, every) {
		return p.act(PermissionManage, act, nil)
	}
	f := flash{Text: p.T("Its end is requested; what it has done stays done.")}
	if _, err := p.h.engine.Cancel(p.r.Context(), id, p.viewer.subject); err != nil {
		f, act.Outcome = flash{Bad: true, Text: p.message(err)}, tracker.ActFailed
	}
	if err := p.store().AddAct(p.r.Context(), act); err != nil {
		return err
	}
	return p.back(f)
}

// bulkRuns lists the latest runs that the subject may see.
func (p *page) bulkRuns() error {
	results, err := p.store().Search(p.r.Context(), tracker.Search{Services: []string{bulkKind.Service}, Terms: []tracker.Term{{Field: tracker.FieldType, Values: []string{bulkKind.Type}}}}, 0, 0, 50)
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
