package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// job shows one job.
func (s *Site) job(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	job, err := s.Engine.Reader().Get(r.Context(), id)
	if errors.Is(err, tracker.ErrNotFound) {
		http.Error(w, fmt.Sprintf("Job %d does not exist, or was deleted at the end of its retention. Choose another job from the list.", id), http.StatusNotFound)
		return
	}
	if err != nil {
		s.InternalError(w, err)
		return
	}
	attempts, err := s.Engine.Reader().Attempts(r.Context(), job)
	if err != nil {
		s.InternalError(w, err)
		return
	}
	history, err := s.Engine.Reader().Search(r.Context(), tracker.Search{Targets: []tracker.Target{job.Target()}, Limit: 10})
	if err != nil {
		s.InternalError(w, err)
		return
	}
	changes, err := s.Engine.Reader().Changes(r.Context(), job.Target(), time.Time{}, time.Time{}, 10)
	if err != nil {
		s.InternalError(w, err)
		return
	}
	p, err := s.Page(r, "Job "+strconv.FormatInt(id, 10), "", job.Instance, "")
	if err != nil {
		s.InternalError(w, err)
		return
	}
	p.Refresh = refreshFor(job)
	place := s.place(r.Context(), job.Instance)
	s.Show(w, r, http.StatusOK, jobPage(p, jobView{job, place, attempts, s.conflictOf(job), history.Jobs, changes, s.Engine.Reader().Now()}))
}

// jobView holds the values of a job's page.
type jobView struct {
	Job      *tracker.Job
	Place    string
	Attempts []tracker.Attempt
	Conflict []conflictField
	History  []*tracker.Job   // the latest jobs of the same target
	Changes  []tracker.Change // what syncs found for the target
	Now      time.Time
}

type conflictField struct{ Field, Base, Desired, Remote string }

// conflictOf returns the fields of a conflict with their three values. It returns nil for a job
// without a conflict.
func (s *Site) conflictOf(job *tracker.Job) (list []conflictField) {
	values, err := job.ConflictValues()
	if job.Status != tracker.StatusConflict || err != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(values.Remote)) {
		base := s.conflictText(name, values.Base[name])
		if values.Base[name] == nil && job.SnapshotState != tracker.StatePendingCreate {
			base = "Unknown" // the form had a token of it, and the history does not tell
		}
		list = append(list, conflictField{name, base, s.conflictText(name, values.Desired[name]), s.conflictText(name, values.Remote[name])})
	}
	return list
}

// conflictText formats a value of a conflict.
func (s *Site) conflictText(field string, value json.RawMessage) string {
	if s.ConflictText == nil {
		return string(value)
	}
	return s.ConflictText(field, value)
}

func answerURL(id int64, answer string) templ.SafeURL {
	return templ.SafeURL(fmt.Sprintf("/jobs/%d/%s", id, answer))
}

// Acceptable reports whether the server's values can be accepted for the requested ones.
func (v jobView) Acceptable() bool {
	values, err := v.Job.ConflictValues()
	return err == nil && values.Answers.Accept
}

// StatusText explains the status of the job in one sentence.
func (v jobView) StatusText() string {
	j := v.Job
	switch {
	case j.Status == tracker.StatusQueued && j.NotBefore.After(time.Now()):
		return fmt.Sprintf("The next attempt starts at %s or later.", j.NotBefore.UTC().Format("15:04:05 UTC"))
	case parked(j):
		return "The server refuses requests. Its jobs wait until one of them shows that it accepts requests again."
	case j.Status == tracker.StatusQueued:
		return "The job waits for a free worker."
	case j.Status == tracker.StatusRunning:
		return "A worker runs the job."
	}
	return fmt.Sprintf("The job ended at %s, %s after its dispatch.", j.FinishedAt.UTC().Format("15:04:05 UTC"),
		j.FinishedAt.Sub(j.CreatedAt).Round(time.Millisecond))
}

// tone returns the CSS class for the colour of a status. The badge also has an icon and the status
// itself, so that the colour is not needed to read it.
func tone(s tracker.Status) string {
	switch s {
	case tracker.StatusSuccess, tracker.StatusSkipped:
		return "good"
	case tracker.StatusFailed, tracker.StatusConflict:
		return "bad"
	case tracker.StatusQueued, tracker.StatusRunning, tracker.StatusCancelled:
	}
	return "wait"
}

// icon returns the sign of a status.
func icon(s tracker.Status) string {
	switch s {
	case tracker.StatusSuccess:
		return "✓"
	case tracker.StatusSkipped:
		return "–"
	case tracker.StatusFailed:
		return "✗"
	case tracker.StatusConflict:
		return "⇄"
	case tracker.StatusCancelled:
		return "⊘"
	case tracker.StatusRunning:
		return "▸"
	case tracker.StatusQueued:
	}
	return "…"
}

// answerConflict answers the conflict of a job and opens the page of the new job.
func (s *Site) answerConflict(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var job *tracker.Job
	err := ErrUnknownAction
	o := nawasync.OperatorOptions{By: User}
	switch r.PathValue("answer") {
	case "keep_theirs":
		job, err = mirror.KeepTheirs(r.Context(), s.Engine, id, o)
	case "accept":
		job, err = mirror.Accept(r.Context(), s.Engine, id, o)
	case "apply_mine":
		job, err = mirror.ApplyMine(r.Context(), s.Engine, id, o)
	case "overwrite":
		job, err = mirror.Overwrite(r.Context(), s.Engine, id, o)
	}
	switch {
	case err == nil:
		http.Redirect(w, r, string(JobURL(job.ID)), http.StatusSeeOther)
	case errors.Is(err, ErrUnknownAction), errors.Is(err, nawasync.ErrNotFound):
		http.NotFound(w, r)
	case errors.Is(err, mirror.ErrNoConflict), errors.Is(err, nawasync.ErrNoArguments), errors.Is(err, nawasync.ErrSuperseded):
		http.Error(w, Sentence(err), http.StatusUnprocessableEntity)
	default:
		s.InternalError(w, err)
	}
}
