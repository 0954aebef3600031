package web

import (
	"fmt"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync/examples/whm/mailbox"
	"github.com/nawasara/nawasync/tracker"
)

// indexView is what the first page shows.
type indexView struct {
	Query    mailbox.Query
	Rows     []rowView
	Total    int64
	More     bool
	Synced   string
	Accounts []string
	Jobs     []*tracker.Job
	Watched  *tracker.Job // the job of the form that was just sent
	Refresh  bool         // while it has not ended
	Problem  string       // with a form that was just sent
}

func (v indexView) Heading() string {
	if v.Query.Search != "" {
		return fmt.Sprintf("%d mailboxes with “%s”", v.Total, v.Query.Search)
	}
	return fmt.Sprintf("%d mailboxes", v.Total)
}

func (v indexView) Empty() string {
	if v.Query.Search != "" {
		return "No address contains that."
	}
	return "No mailboxes here yet: Sync now copies them from the server."
}

func (v indexView) link(after string) templ.SafeURL {
	q := url.Values{}
	if v.Query.Search != "" {
		q.Set("q", v.Query.Search)
	}
	if after != "" {
		q.Set("after", after)
	}
	return templ.SafeURL("/?" + q.Encode())
}

func (v indexView) First() templ.SafeURL { return v.link("") }

func (v indexView) Next() templ.SafeURL { return v.link(v.Rows[len(v.Rows)-1].Email) }

// Back is where a form's answer returns to.
func (v indexView) Back() string {
	return url.Values{"q": {v.Query.Search}, "after": {v.Query.After}}.Encode()
}

// rowView is a mailbox with the last job that was dispatched for it.
type rowView struct {
	mailbox.Mailbox
	Job *tracker.Job // nil when there was none, or it was pruned
}

func (r rowView) Quota() string {
	if r.QuotaMB == 0 {
		return "unlimited"
	}
	return fmt.Sprintf("%d MB", r.QuotaMB)
}

func (r rowView) Toggle() string {
	if r.SuspendedLogin || r.SuspendedIncoming {
		return "unsuspend"
	}
	return "suspend"
}

func (r rowView) ToggleLabel() string {
	if r.Toggle() == "unsuspend" {
		return "Unsuspend"
	}
	return "Suspend"
}

// jobView is what a job's page shows.
type jobView struct {
	Job      *tracker.Job
	Attempts []tracker.Attempt
	Refresh  bool
}

func (v jobView) Sentence() string {
	j := v.Job
	switch {
	case j.Status == tracker.Queued && j.NotBefore.After(time.Now()):
		return fmt.Sprintf("It runs again at %s.", j.NotBefore.UTC().Format("15:04:05 UTC"))
	case j.Status == tracker.Queued:
		return "It waits for a worker."
	case j.Status == tracker.Running:
		return "A worker has it."
	}
	return fmt.Sprintf("It ended at %s, %s after it was dispatched.", j.FinishedAt.UTC().Format("15:04:05 UTC"), j.FinishedAt.Sub(j.CreatedAt).Round(time.Millisecond))
}

func jobURL(id int64) templ.SafeURL { return templ.SafeURL(fmt.Sprintf("/jobs/%d", id)) }

// tone and icon say a status by colour and by sign; its word stands beside them.
func tone(s tracker.Status) string {
	switch s {
	case tracker.Success, tracker.Skipped:
		return "good"
	case tracker.Failed, tracker.Conflict:
		return "bad"
	case tracker.Queued, tracker.Running, tracker.Cancelled:
	}
	return "wait"
}

func icon(s tracker.Status) string {
	switch s {
	case tracker.Success:
		return "✓"
	case tracker.Skipped:
		return "–"
	case tracker.Failed:
		return "✗"
	case tracker.Conflict:
		return "≠"
	case tracker.Cancelled:
		return "⊘"
	case tracker.Running:
		return "▸"
	case tracker.Queued:
	}
	return "…"
}
