package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// conflictAnswer is one way to resolve a conflict. Class is the CSS class of its button. An answer that writes to
// the remote has the text of a box to tick.
type conflictAnswer struct{ action, name, outcome, class, confirm string }

// canAnswer reports whether the subject may answer the conflict now.
func (v *jobView) canAnswer() bool { return v.canManage() && v.newer == 0 && !v.isAnswered() }

// answers returns the ways to resolve the job's conflict, with their outcomes. If a creation found an
// object of another client, that object is the only possible answer.
func (v *jobView) answers() []conflictAnswer {
	var list []conflictAnswer
	if v.supports(v.job.Service, v.job.Type, tracker.RefreshAction) {
		list = append(list, conflictAnswer{"keep_theirs", v.T("Keep theirs"), v.keepText(), "main", ""})
	}
	if v.canWrite(v.job) {
		list = append(list,
			conflictAnswer{"apply_mine", v.T("Apply mine on top"), v.applyText(), "", v.T("Yes, write to the remote")},
			conflictAnswer{"overwrite", v.T("Overwrite"), v.overwriteText(), "danger", v.T("Yes, overwrite the remote's values")})
	}
	if values, err := v.job.ConflictValues(); err == nil && values.Answers.Accept && (v.canWrite(v.job) || v.job.SnapshotState == tracker.StatePendingCreate) {
		list = slices.Insert(list, min(1, len(list)), conflictAnswer{
			"accept", v.T("Accept"), v.T("Takes the remote's values for the requested ones, for example because the remote stores them in another form. Other requested fields are still written."), "", v.T("Yes, write the other fields"),
		})
	}
	return list
}

// canWrite reports whether the requested values of a job can be written to the object of its conflict: after a creation
// by an update.
func (p *request) canWrite(job *tracker.Job) bool {
	action := job.Action
	if values, err := job.ConflictValues(); err == nil && values.Answers.Update != "" {
		action = values.Answers.Update
	}
	return job.Overwritable() && p.supports(job.Service, job.Type, action)
}

// valuesText lists fields with the values of one side, such as "Quota 50 MB, Suspended no".
func (v *jobView) valuesText(of func(comparison) (fieldValue, bool)) string {
	var parts []string
	for _, c := range v.compareConflict(v.job) {
		if value, ok := of(c); ok && value.Text != "" {
			parts = append(parts, c.Label+" "+value.Text)
		}
	}
	if more := len(parts) - maxChangeText; more > 0 {
		parts = append(parts[:maxChangeText], v.plural(int64(more), "1 more field", "%s more fields"))
	}
	return strings.Join(parts, ", ")
}

// keepText, applyText and overwriteText say what an answer does, with values.
func (v *jobView) keepText() string {
	values := v.valuesText(func(c comparison) (fieldValue, bool) { return c.Remote, c.DesiredChanged || c.RemoteChanged })
	if values == "" {
		return v.T("The object stays as the server has it. The requested change is dropped.")
	}
	return v.Tf("The server keeps %s. The requested change is dropped.", values)
}

func desiredValue(c comparison) (fieldValue, bool) { return c.Desired, c.DesiredChanged }

func (v *jobView) applyText() string {
	wanted := v.valuesText(desiredValue)
	theirs := v.valuesText(func(c comparison) (fieldValue, bool) { return c.Remote, c.DesiredChanged || c.RemoteChanged })
	if wanted == "" || theirs == "" {
		return v.T("Applies the requested change if the server still has the values shown above.")
	}
	return v.Tf("The server gets %s if it still has %s.", wanted, theirs)
}

func (v *jobView) overwriteText() string {
	wanted := v.valuesText(desiredValue)
	if wanted == "" {
		return v.T("Writes the requested values, whatever the server has now.")
	}
	return v.Tf("The server gets %s, whatever it has now.", wanted)
}

// conflictAuthor returns who changed the object on the remote, or "" if the remote does not tell.
func (v *jobView) conflictAuthor() string {
	values, err := v.job.ConflictValues()
	if err != nil {
		return ""
	}
	return values.Author
}

// seenByText, changeByText and serverText are the headings of the three sides of a conflict.
func (v *jobView) seenByText() string {
	if v.job.TriggeredBy == "" {
		return v.T("Seen by the user")
	}
	return v.Tf("Seen by %s", v.job.TriggeredBy)
}

func (v *jobView) changeByText() string {
	if v.job.TriggeredBy == "" {
		return v.Tf("Requested change (%s)", v.shortTime(v.job.CreatedAt))
	}
	return v.Tf("Change of %s (%s)", v.job.TriggeredBy, v.shortTime(v.job.CreatedAt))
}

func (v *jobView) serverText() string {
	if author := v.conflictAuthor(); author != "" {
		return v.Tf("On the server (%s, changed by %s)", v.shortTime(v.job.FinishedAt), author)
	}
	return v.Tf("On the server (%s)", v.shortTime(v.job.FinishedAt))
}

// conflictsLike returns a search for the unresolved conflicts of a job's kind.
func conflictsLike(j *tracker.Job) tracker.Search {
	term := func(field tracker.Field, value string) tracker.Term {
		return tracker.Term{Field: field, Values: []string{value}}
	}
	return tracker.Search{Services: []string{j.Service}, Terms: []tracker.Term{
		term(
			tracker.FieldService,
			j.Service,
		), term(tracker.FieldType, j.Type), term(tracker.FieldAction, j.Action), term(tracker.FieldStatus, string(tracker.StatusConflict)),
		{Field: tracker.FieldRepaired, Not: true},
		{Field: tracker.FieldRetried, Not: true},
	}}
}

// maxSearchedConflicts is how many conflicts of a kind are looked at for the next one.
const maxSearchedConflicts = 20

// loadNextConflict finds another unresolved conflict of the same kind: the next older one, or else the newest.
func (v *jobView) loadNextConflict(ctx context.Context) error {
	if v.job.Status != tracker.StatusConflict || v.isHeldSync() {
		return nil
	}
	for _, before := range []int64{v.job.ID, 0} {
		search := conflictsLike(v.job)
		search.Before, search.Limit = before, maxSearchedConflicts
		results, err := v.store().Search(ctx, search)
		if err != nil {
			return err
		}
		open, err := v.unanswered(ctx, results.Jobs)
		if err != nil {
			return err
		}
		for _, j := range open {
			if j.ID != v.job.ID {
				v.nextConflict = j.ID
				return nil
			}
		}
	}
	return nil
}

// unanswered returns those of ended conflicts over values that nobody has answered and no later job has settled.
func (p *request) unanswered(ctx context.Context, jobs []*tracker.Job) ([]*tracker.Job, error) {
	jobs = slices.DeleteFunc(slices.Clone(jobs), func(j *tracker.Job) bool { return j.RetriedAs != 0 || !j.InConflict() })
	later, err := p.store().LaterJobs(ctx, jobs)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(jobs, func(j *tracker.Job) bool { return later[j.ID].Succeeded != 0 }), nil
}
