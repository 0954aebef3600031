package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// editView is the data of the page that retries a job with other arguments.
type editView struct {
	*jobView
	fields []editField
	reason string // why the arguments cannot be changed; "" if they can
}

// editField is an argument on the page.
type editField struct {
	Key, Label string
	Value      string   // as entered: a text, or JSON
	Shown      string   // the stored value as people read it, if that differs
	JSON       bool     // the value is JSON and no text
	Long       bool     // the value has several lines or many characters
	Options    []string // the values to choose from; nil if there are others
	Kept       bool     // the value is a secret or too long, and stays
	Problem    string   // what is wrong with the entered value

	stored json.RawMessage
}

const (
	maxEditFields = 100
	maxEditValue  = 8 << 10  // longer values stay
	maxEditForm   = 32 << 10 // of all values; encoded, they fit into a form
)

// editFields returns the arguments of a job. Its payload is masked, so no secret is in them.
func (p *request) editFields(j *tracker.Job) (list []editField) {
	var values map[string]json.RawMessage
	if json.Unmarshal(j.Payload, &values) != nil {
		return nil
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(values)) {
		field := p.fieldOf(j.Service, j.Type, key)
		f := editField{Key: key, Label: field.Label, stored: values[key]}
		f.Value = valueText(f.stored)
		if f.JSON = f.stored[0] != '"'; f.JSON && (f.stored[0] == '{' || f.stored[0] == '[') {
			f.Value = prettyJSON(f.stored)
		}
		if string(f.stored) == "true" || string(f.stored) == "false" {
			f.Options = []string{"true", "false"}
		}
		if shown := p.fieldValue(field, f.stored); shown.Raw != "" && string(f.stored) != "null" {
			f.Shown = shown.Text
		}
		f.Long = len(f.Value) > 80 || strings.ContainsAny(f.Value, "\r\n")
		size += len(f.Value)
		f.Kept = len(f.Value) > maxEditValue || size > maxEditForm || len(list) >= maxEditFields || bytes.Contains(f.stored, []byte(secret.Masked))
		list = append(list, f)
	}
	return list
}

// readEdits returns the entered values that differ from the stored ones. It notes what is wrong with a value.
func (p *request) readEdits(fields []editField) (edits map[string]json.RawMessage, ok bool) {
	edits, ok = map[string]json.RawMessage{}, true
	for i := range fields {
		f := &fields[i]
		list, sent := p.r.PostForm["arg:"+f.Key]
		if f.Kept || !sent {
			continue
		}
		entered := strings.ReplaceAll(list[0], "\r\n", "\n") // browsers send every line break so
		if entered == strings.ReplaceAll(f.Value, "\r\n", "\n") {
			continue
		}
		f.Value = entered
		value, err := editedValue(*f, entered)
		if err != nil {
			ok = false
			f.Problem = p.editProblem(*f)
			continue
		}
		edits[f.Key] = value
	}
	return edits, ok
}

// editedValue returns an entered value as JSON of the same type as the stored one.
func editedValue(f editField, entered string) (json.RawMessage, error) {
	if !f.JSON {
		return json.Marshal(entered)
	}
	value := json.RawMessage(strings.TrimSpace(entered))
	if !json.Valid(value) || string(f.stored) != "null" && jsonType(value) != jsonType(f.stored) {
		return nil, errors.New("not JSON of the same type")
	}
	var b bytes.Buffer
	err := json.Compact(&b, value)
	return b.Bytes(), err
}

// jsonType returns a letter for the type of a JSON value.
func jsonType(value json.RawMessage) byte {
	switch c := value[0]; c {
	case '{', '[', '"', 'n':
		return c
	case 't', 'f':
		return 't'
	}
	return '0'
}

// editProblem says what to enter.
func (p *request) editProblem(f editField) string {
	switch jsonType(f.stored) {
	case '0':
		return p.T("Enter a number, such as 12 or 1.5.")
	case 't':
		return p.T("Choose true or false.")
	case '[':
		return p.T("Enter a JSON array, such as [1, 2].")
	case '{':
		return p.T("Enter a JSON object with the same keys.")
	}
	return p.T("Enter JSON: a text in quotes, a number, true, false or null.")
}

// editJob shows the page that retries a job with other arguments.
func (p *request) editJob() error {
	id, _, err := p.jobID()
	if err != nil {
		return err
	}
	job, err := p.visibleJob(id)
	if err != nil {
		return err
	}
	if !p.viewer.allowed(PermissionManage, job.Service, job.Instance) {
		return &httpError{
			http.StatusForbidden, p.T("Not permitted"),
			p.Tf("Nothing was done: your account lacks the permission %s on %s.", PermissionManage, p.scopeText(job.Service, job.Instance)),
		}
	}
	return p.showEdit(http.StatusOK, job, p.editFields(job))
}

func (p *request) showEdit(status int, job *tracker.Job, fields []editField) error {
	v := &editView{jobView: &jobView{request: p, job: job}, fields: fields}
	p.title, p.section = p.Tf("Retry job %d with other arguments", job.ID), "jobs"
	if v.reason = v.editBlockedReason(job); v.reason == "" {
		v.reason = v.retryBlockedReason()
	}
	if job.Status.Terminal() {
		if err := v.loadRetries(p.r.Context()); err != nil {
			return err
		}
	}
	p.renderStatus(status, editPage(v))
	return nil
}

// editBlockedReason returns why the arguments of the job's retry cannot be changed, or "" if they can.
func (p *request) editBlockedReason(job *tracker.Job) string {
	err := p.h.engine.Internals(host.NewKey()).CanEdit(job)
	wrong, ok := errors.AsType[*host.EditError](err)
	switch {
	case ok:
		return p.editErrorText(wrong)
	case job.ArgumentsDropped() || len(job.Payload) == 0:
		return p.T("The job's arguments are no longer stored.")
	case len(p.editFields(job)) == 0:
		return p.T("The job has no arguments to change.")
	}
	return ""
}

// editErrorText says why a job cannot be retried with other arguments, and what to do instead.
func (p *request) editErrorText(e *host.EditError) string {
	switch e.Reason {
	case host.EditRepository:
		return p.T("The arguments hold what the user saw of the object, so other values need another comparison. Change the object in the application.")
	case host.EditTracked:
		return p.T("The job is a task of asynq. Enqueue another task in the application.")
	case host.EditUnregistered:
		return p.T("This process has no handler for the job's kind and cannot check the arguments. Open these pages in a process that registers the handler.")
	case host.EditTarget:
		return p.T("With these arguments, the job would concern another object or run in another lane. Repeat the action in the application.")
	case host.EditSecret:
		return p.Tf("%s is a secret or unknown, and cannot be changed here.", e.Field)
	case host.EditType:
		return p.T("The handler cannot read this value. Enter one of the same type.")
	case host.EditOpen:
		return p.Tf("Job %d, which has not ended, already does this with its own arguments. Wait for its end, or cancel it.", e.Open)
	}
	return p.T("This version of the application cannot read the job's arguments. Repeat the action in the application.")
}

// refuseNewEdit is refuseEdit for a form that was not sent before. One that was gets the result of the first time.
func (p *request) refuseNewEdit(job *tracker.Job) (done bool, err error) {
	switch sent, err := p.formWasSent(); {
	case err != nil:
		return false, err
	case sent:
		return false, nil
	}
	return p.refuseEdit(job)
}

// refuseEdit shows the page again if a value that was entered cannot be used. It reports whether it did.
func (p *request) refuseEdit(job *tracker.Job) (done bool, err error) {
	if p.editBlockedReason(job) != "" || !job.Status.Terminal() {
		return false, nil
	}
	fields := p.editFields(job)
	edits, ok := p.readEdits(fields)
	if ok {
		wrong, isWrong := errors.AsType[*host.EditError](p.h.engine.Internals(host.NewKey()).CheckEdit(p.r.Context(), job.ID, edits))
		if !isWrong {
			return false, nil
		}
		at := slices.IndexFunc(fields, func(f editField) bool { return strings.EqualFold(f.Key, wrong.Field) })
		if at < 0 {
			return false, nil // the action says what is wrong
		}
		fields[at].Problem = p.editErrorText(wrong)
	}
	return true, p.showEdit(http.StatusUnprocessableEntity, job, fields)
}

// retryEdited retries a job with the values of the form.
func (p *request) retryEdited(ctx context.Context, job *tracker.Job) (flash, error) {
	if reason := p.editBlockedReason(job); reason != "" {
		return flash{}, &refusedError{text: reason}
	}
	confirmed, err := p.checkRetry(ctx, job)
	if err != nil {
		return flash{}, err
	}
	edits, ok := p.readEdits(p.editFields(job))
	if !ok || len(edits) == 0 {
		return flash{}, &refusedError{text: p.T("No argument was changed. Change one, or retry the job as it is.")}
	}
	operator := p.operatorOptions()
	next, err := p.h.engine.Internals(host.NewKey()).RetryEdited(ctx, job.ID, nawasync.RetryOptions{
		By: operator.By, Reason: operator.Reason, Address: operator.Address, Force: confirmed,
	}, edits)
	if wrong, ok := errors.AsType[*host.EditError](err); ok {
		err = &refusedError{p.editErrorText(wrong), true}
	}
	return newJobFlash(p.T("Retried with other arguments as job %d."), next, err)
}

// invalid returns the attributes of an input whose value cannot be used.
func (v *editView) invalid(f editField, id string) templ.Attributes {
	if f.Problem == "" {
		return nil
	}
	return templ.Attributes{"aria-invalid": "true", "aria-describedby": id + "-problem"}
}
