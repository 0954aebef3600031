package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// shownRows is the number of rows that the page shows of a held sync.
const shownRows = 50

// held shows the held syncs that an operator has not decided yet.
func (s *Site) held(w http.ResponseWriter, r *http.Request) {
	p, err := s.Page(r, "Held syncs", "/held", r.URL.Query().Get("instance"), "")
	var list []heldView
	if err == nil {
		var open []tracker.Hold
		open, err = s.Engine.Reader().Holds(r.Context(), s.Service, "", true, 100)
		for _, h := range open {
			rows, rowsErr := s.Engine.Reader().HeldRows(r.Context(), h.ID, 0, shownRows+1)
			err = errors.Join(err, rowsErr)
			list = append(list, heldView{h, s.place(r.Context(), h.Instance), rows[:min(len(rows), shownRows)], len(rows) > shownRows})
		}
	}
	if err != nil {
		s.InternalError(w, err)
		return
	}
	s.Show(w, r, http.StatusOK, held(p, list))
}

// answerHold releases or rejects a held sync.
func (s *Site) answerHold(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	target := "/held"
	err := ErrUnknownAction
	o := nawasync.OperatorOptions{By: User}
	switch r.PathValue("answer") {
	case "release":
		var job *tracker.Job
		if job, err = mirror.ReleaseHold(r.Context(), s.Engine, id, o); err == nil {
			target = string(JobURL(job.ID))
		}
	case "reject":
		err = mirror.RejectHold(r.Context(), s.Engine, id, o)
	}
	switch {
	case err == nil:
		http.Redirect(w, r, target, http.StatusSeeOther)
	case errors.Is(err, ErrUnknownAction), errors.Is(err, nawasync.ErrNotFound):
		http.NotFound(w, r)
	case errors.Is(err, mirror.ErrDecided):
		http.Error(w, Sentence(err), http.StatusConflict)
	default:
		s.InternalError(w, err)
	}
}

// heldReason says why a sync is held.
func heldReason(h tracker.Hold) string {
	return fmt.Sprintf("%d of %d rows are missing from the server's listing, more than the limit of %d rows.", h.Missing, h.Rows, h.Limit)
}

func holdURL(id int64, answer string) templ.SafeURL {
	return templ.SafeURL(fmt.Sprintf("/held/%d/%s", id, answer))
}

type heldView struct {
	Hold  tracker.Hold
	Place string // where it is, as people call it
	Rows  []tracker.HeldRow
	More  bool // whether the hold has more rows than Rows
}

// place returns what people call an instance.
func (s *Site) place(ctx context.Context, instance string) string {
	if s.Place == nil {
		return instance
	}
	return s.Place(ctx, instance)
}
