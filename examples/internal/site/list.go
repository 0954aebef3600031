package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

const (
	// PageSize is how many rows a page has.
	PageSize   = 50
	latestJobs = 15                    // jobs below a list
	maxSearch  = 50 * time.Millisecond // for the latest jobs, if they are selected
	countUpTo  = 100_000               // rows; a list does not count more
)

// List holds the values that all lists have in common.
type List struct {
	Path             templ.SafeURL
	Listing          string // the value of the sync form
	Source           string // what the rows are copied from, for example "the server"
	Singular, Plural string // the noun of a row
	SearchLabel      string
	Instance         string
	Search, State    string
	After, Next      string
	Total            int64
	More             bool // whether there are more rows than Total
	SyncedAt, Now    time.Time
	Held             []tracker.Hold
	JobTerms         []tracker.Term // which of the latest jobs are shown; nil means all of the service
	Jobs             []*tracker.Job
	Seen             []string     // what each row's forms say that their user saw
	FirstSync        *tracker.Job // the newest sync of a list that was never synced, or nil
}

var states = []struct{ value, label string }{
	{"", "Any state"}, {"synced", "In sync"}, {"pending", "Being changed"}, {"failed", "Failed"}, {"conflict", "Conflict"}, {"missing", "Missing"},
}

// Heading returns a heading with the number of rows and the search, for example "3 mailboxes with
// “ann”".
func (v List) Heading() string {
	heading := fmt.Sprintf("%d %s", v.Total, v.Plural)
	if v.Total == 1 && !v.More {
		heading = "1 " + v.Singular
	}
	if v.More {
		heading = "More than " + heading
	}
	if v.Search != "" {
		heading += fmt.Sprintf(" with “%s”", v.Search)
	}
	return heading
}

// Empty returns the text of a list without rows.
func (v List) Empty() string {
	if v.Search != "" || v.State != "" {
		return fmt.Sprintf("No %s match the search. Change the search or the state.", v.Plural)
	}
	if job := v.FirstSync; job != nil && !job.Status.Terminal() {
		return fmt.Sprintf("The first sync copies the %s from %s. The page shows them as soon as the sync ends.", v.Plural, v.Source)
	} else if job != nil && job.Error != "" {
		return fmt.Sprintf("The first sync did not succeed: %s. Choose Sync now to try again.", job.Error)
	}
	return fmt.Sprintf("The list has no %s. Choose Sync now to copy them from %s.", v.Plural, v.Source)
}

// Ready reports whether the list may be changed: a form would be lost while the page reloads for the first sync.
func (v List) Ready() bool { return v.FirstSync == nil || v.FirstSync.Status.Terminal() }

// RefreshDuring reloads the page while the first sync of a list runs.
func (p *Page) RefreshDuring(v List) {
	if p.Refresh == 0 && v.FirstSync != nil {
		p.Refresh = refreshFor(v.FirstSync)
	}
}

func (v List) values(after string) url.Values {
	q := url.Values{"instance": {v.Instance}}
	for key, value := range map[string]string{"q": v.Search, "state": v.State, "after": after} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return q
}

func (v List) link(after string) templ.SafeURL {
	return v.Path + templ.SafeURL("?"+v.values(after).Encode())
}

// HeldURL returns the URL of the held syncs.
func (v List) HeldURL() templ.SafeURL { return LinkTo("/held", v.Instance) }

// Back returns the query of the list, so that a form returns to the same page and search.
func (v List) Back() string { return v.values(v.After).Encode() }

// query returns the query of a list and the chosen state. An unknown state means any state.
func query(r *http.Request, where map[string]any, sort string) (q nawasync.Query, state string) {
	values := r.URL.Query()
	q = nawasync.Query{
		Where: where, Search: Clean(values.Get("q")), Sort: sort, After: values.Get("after"), Limit: PageSize, Total: countUpTo,
	}
	state = values.Get("state")
	switch nawasync.SyncState(state) {
	case "pending":
		q.States = []nawasync.SyncState{nawasync.StatePendingCreate, nawasync.StatePendingUpdate, nawasync.StatePendingDelete}
	case nawasync.StateSynced, nawasync.StateFailed, nawasync.StateConflict, nawasync.StateMissing:
		q.States = []nawasync.SyncState{nawasync.SyncState(state)}
	default:
		state = ""
	}
	return q, state
}

// ListOf reads the rows of a list that are where, and sets the list's values in v, with a token for the forms of each row.
// After a refused form, it reads the first page.
func ListOf[T any](r *http.Request, v *List, where map[string]any, repository nawasync.SyncedRepository[T], sort string) (nawasync.ListResult[T], error) {
	q, state := query(r, where, sort)
	if r.Method != http.MethodGet {
		q.After = ""
	}
	list, err := repository.List(r.Context(), q)
	v.Search, v.State, v.After, v.Next, v.Total, v.More = q.Search, state, q.After, list.Next, list.Total, list.More
	for i := 0; i < len(list.Items) && err == nil; i++ {
		var token string
		token, err = repository.Seen(r.Context(), list.Items[i], User)
		v.Seen = append(v.Seen, token)
	}
	return list, err
}

// AddHoldsAndJobs adds the held syncs of the list's instance and the latest jobs. Before the first sync has ended,
// it adds that sync.
func (s *Site) AddHoldsAndJobs(ctx context.Context, v *List, typ string, syncs ...string) error {
	v.Now = s.Engine.Reader().Now()
	holds, err := s.Engine.Reader().Holds(ctx, s.Service, typ, true, 100)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Instance == v.Instance {
			v.Held = append(v.Held, h)
		}
	}
	page, err := s.Engine.Reader().Search(ctx, tracker.Search{Services: []string{s.Service}, Terms: v.JobTerms, Limit: latestJobs, MaxTime: maxSearch})
	v.Jobs = page.Jobs
	if err != nil || !v.SyncedAt.IsZero() {
		return err
	}
	first, err := s.Engine.Reader().Search(ctx, tracker.Search{Services: []string{s.Service}, Limit: 1, Terms: []tracker.Term{
		Term(tracker.FieldType, typ), Term(tracker.FieldInstance, v.Instance), {Field: tracker.FieldAction, Values: syncs},
	}})
	if len(first.Jobs) > 0 {
		v.FirstSync = first.Jobs[0]
	}
	return err
}

// ListError answers a request for a list that could not be read. A URL with invalid parameters is
// redirected to the unfiltered list.
func (s *Site) ListError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, nawasync.ErrInvalid) {
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
		return
	}
	s.InternalError(w, err)
}

// Clean removes surrounding spaces and the characters that databases refuse.
func Clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(strings.TrimSpace(s), "\x00", ""), "")
}

// Term returns a term of a search for jobs.
func Term(field tracker.Field, value string) tracker.Term {
	return tracker.Term{Field: field, Values: []string{value}}
}

// RedirectToList redirects to the list that contained the form. The list shows the status of the
// job.
func (s *Site) RedirectToList(w http.ResponseWriter, r *http.Request, path, instance string, id int64) {
	back, err := url.ParseQuery(r.PostFormValue("back"))
	if err != nil {
		back = url.Values{}
	}
	values := url.Values{"job": {strconv.FormatInt(id, 10)}, "instance": {instance}}
	for _, key := range []string{"q", "after", "state"} {
		if back.Get(key) != "" {
			values.Set(key, back.Get(key))
		}
	}
	http.Redirect(w, r, path+"?"+values.Encode(), http.StatusSeeOther)
}
