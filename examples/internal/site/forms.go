package site

import (
	"errors"
	"net/http"
	"strings"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
)

// FormError says what is wrong with a submitted form and how to correct it. The page shows its text.
type FormError string

// Error implements error.
func (e FormError) Error() string { return string(e) }

// ErrUnknownAction is the error of a form whose URL has an unknown action.
var ErrUnknownAction = errors.New("unknown action")

// FinishForm answers a form of a list. The user sees the list again, with the dispatched job or
// with the reason why no job was dispatched. redirect shows the list with the job.
func (s *Site) FinishForm(w http.ResponseWriter, r *http.Request, err error, redirect func(),
	showList func(w http.ResponseWriter, r *http.Request, status int, problem string),
) {
	_, wrongForm := errors.AsType[FormError](err)
	switch {
	case err == nil:
		redirect()
	case errors.Is(err, ErrUnknownAction):
		http.NotFound(w, r)
	case errors.Is(err, nawasync.ErrNotFound):
		showList(w, r, http.StatusUnprocessableEntity, "The list has no row with this name: choose Sync now to load the current rows from the server.")
	case errors.Is(err, nawasync.ErrUnchanged):
		showList(w, r, http.StatusUnprocessableEntity, "The row already has the requested values: enter a different value.")
	case errors.Is(err, mirror.ErrUnseen):
		showList(w, r, http.StatusUnprocessableEntity, "This value has not been loaded from the server yet: choose Sync now, then try again.")
	case errors.Is(err, mirror.ErrStale):
		showList(w, r, http.StatusConflict, "The form is out of date: look at the row as it is now, then repeat the change.")
	case errors.Is(err, mirror.ErrSeen):
		showList(w, r, http.StatusUnprocessableEntity, "The form does not belong to this row: open the row's form in the list, then repeat the change.")
	case wrongForm, errors.Is(err, nawasync.ErrInvalid), errors.Is(err, nawasync.ErrExists), errors.Is(err, nawasync.ErrDeleting):
		showList(w, r, http.StatusUnprocessableEntity, Sentence(err))
	case errors.Is(err, nawasync.ErrBacklogFull):
		showList(w, r, http.StatusServiceUnavailable, Sentence(err))
	default:
		s.InternalError(w, err)
	}
}

// Sentence returns an error's text with a capital letter and a full stop, on one line.
func Sentence(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
