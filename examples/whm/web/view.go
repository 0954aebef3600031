package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/examples/whm/hosting"
	"github.com/nawasara/nawasync/tracker"
)

// pageView is what every page has around it.
type pageView struct {
	User                  string // the demo user of the operators' pages
	Title, Path, Instance string
	Instances             []string
	Problem               string       // with a form that was just sent
	Watched               *tracker.Job // the job of the form that was just sent
	Refresh               bool         // while it has not ended
}

type link struct {
	Name    string
	URL     templ.SafeURL
	Current string
}

func current(is bool) string {
	if is {
		return "page"
	}
	return "false"
}

func linkTo(path, instance string) templ.SafeURL {
	return templ.SafeURL(path + "?" + url.Values{"instance": {instance}}.Encode())
}

func (p pageView) Sections() (list []link) {
	for _, s := range []link{
		{Name: "Mailboxes", URL: "/"},
		{Name: "Accounts", URL: "/accounts"},
		{Name: "Held syncs", URL: "/held"},
		{Name: "Somebody else", URL: "/elsewhere"},
	} {
		list = append(list, link{s.Name, linkTo(string(s.URL), p.Instance), current(string(s.URL) == p.Path)})
	}
	return list
}

// Servers are links to the same page of each server, where there are several.
func (p pageView) Servers() (list []link) {
	if len(p.Instances) < 2 || !slices.Contains([]string{"/", "/accounts", "/elsewhere"}, p.Path) {
		return nil
	}
	for _, name := range p.Instances {
		list = append(list, link{name, linkTo(p.Path, name), current(name == p.Instance)})
	}
	return list
}

// listView is what both lists have.
type listView struct {
	What, Noun, SearchLabel string
	Instance                string
	Search, State           string
	After, Next             string
	Total                   int64
	More                    bool
	SyncedAt, Now           time.Time
	Held                    []tracker.Hold
	Jobs                    []*tracker.Job
}

var states = []struct{ value, label string }{
	{"", "any state"}, {"synced", "in sync"}, {"pending", "being changed"}, {"failed", "failed"}, {"conflict", "conflict"}, {"missing", "missing"},
}

func (v listView) Path() templ.SafeURL {
	if v.What == "accounts" {
		return "/accounts"
	}
	return "/"
}

func (v listView) Heading() string {
	count := strconv.FormatInt(v.Total, 10)
	if v.More {
		count = "more than " + count
	}
	if v.Search != "" {
		return fmt.Sprintf("%s %s with “%s”", count, v.Noun, v.Search)
	}
	return count + " " + v.Noun
}

func (v listView) Empty() string {
	if v.Search != "" || v.State != "" {
		return "None is like that."
	}
	return "None here yet: Sync now copies them from the server."
}

func (v listView) values(after string) url.Values {
	q := url.Values{"instance": {v.Instance}}
	for key, value := range map[string]string{"q": v.Search, "state": v.State, "after": after} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return q
}

func (v listView) link(after string) templ.SafeURL {
	return v.Path() + templ.SafeURL("?"+v.values(after).Encode())
}

func (v listView) HeldURL() templ.SafeURL { return linkTo("/held", v.Instance) }

// Back is where a form's answer returns to.
func (v listView) Back() string { return v.values(v.After).Encode() }

const mebibyte = 1 << 20

func sizeText(bytes *int64, none string) string {
	if bytes == nil {
		return none
	}
	return fmt.Sprintf("%d MB", *bytes/mebibyte)
}

func quotaText(bytes *int64) string {
	if bytes != nil && *bytes == 0 {
		return "unlimited"
	}
	return sizeText(bytes, "unknown")
}

func quotaMB(bytes *int64) string {
	if bytes == nil {
		return ""
	}
	return strconv.FormatInt(*bytes/mebibyte, 10)
}

func suspension(row hosting.WhmEmailAccount) string {
	switch {
	case row.SuspendedLogin && row.SuspendedIncoming:
		return "suspended"
	case row.SuspendedLogin:
		return "no login"
	}
	return "no incoming mail"
}

func mailboxToggle(row hosting.WhmEmailAccount) templ.SafeURL {
	if row.SuspendedLogin && row.SuspendedIncoming {
		return "/mailboxes/unsuspend"
	}
	return "/mailboxes/suspend"
}

func toggleLabel(suspended bool) string {
	if suspended {
		return "Unsuspend"
	}
	return "Suspend"
}

// seenValues is what a form's reader saw of a row: its content, and nothing that is
// secret.
type seenValues struct {
	Quota    *int64 `json:"quota,omitempty"`
	Login    bool   `json:"login,omitempty"`
	Incoming bool   `json:"incoming,omitempty"`

	Domain    string `json:"domain,omitempty"`
	Contact   string `json:"contact,omitempty"`
	Plan      string `json:"plan,omitempty"`
	Suspended bool   `json:"suspended,omitempty"`
	Reason    string `json:"reason,omitempty"`
	DiskLimit *int64 `json:"disk_limit,omitempty"`
}

func seenMailbox(row hosting.WhmEmailAccount) string {
	text, _ := json.Marshal(seenValues{Quota: row.Quota, Login: row.SuspendedLogin, Incoming: row.SuspendedIncoming})
	return string(text)
}

func seenAccount(row hosting.WhmAccount) string {
	text, _ := json.Marshal(seenValues{
		Domain: row.Domain, Contact: row.Contact, Plan: row.Plan, Suspended: row.Suspended, Reason: row.SuspendReason,
		DiskLimit: row.DiskLimit,
	})
	return string(text)
}

func rowJob(s nawasync.SyncStatus) templ.SafeURL {
	if s.SyncJobID == nil {
		return ""
	}
	return jobURL(*s.SyncJobID)
}

func heldLine(h tracker.Hold) string {
	return fmt.Sprintf("%d of %d rows were not in the listing; up to %d would have been believed.", h.Missing, h.Rows, h.Limit)
}

func holdURL(id int64, answer string) templ.SafeURL {
	return templ.SafeURL(fmt.Sprintf("/held/%d/%s", id, answer))
}

func answerURL(id int64, answer string) templ.SafeURL {
	return templ.SafeURL(fmt.Sprintf("/jobs/%d/%s", id, answer))
}

type heldView struct {
	Hold tracker.Hold
	Rows []tracker.HeldRow
	More bool
}

type elsewhereView struct {
	Can         bool
	Email, Said string
}

// jobView is one job's page.
type jobView struct {
	Job      *tracker.Job
	Attempts []tracker.Attempt
	Conflict []conflictField
	History  []*tracker.Job // of its target
	Changes  []tracker.Change
	Now      time.Time
}

type conflictField struct{ Field, Base, Desired, Remote string }

// conflictOf lays a conflict's three sides beside each other.
func conflictOf(job *tracker.Job) (list []conflictField) {
	d, err := job.ConflictValues()
	if job.Status != tracker.StatusConflict || err != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(d.Remote)) {
		list = append(list, conflictField{name, string(d.Base[name]), string(d.Desired[name]), string(d.Remote[name])})
	}
	return list
}

// Answerable reports whether the conflict may be answered by writing.
func (v jobView) Answerable() bool { return v.Job.SnapshotState != nawasync.StatePendingCreate }

func (v jobView) Sentence() string {
	j := v.Job
	switch {
	case j.Status == tracker.StatusQueued && j.NotBefore.After(time.Now()):
		return fmt.Sprintf("It runs again at %s.", j.NotBefore.UTC().Format("15:04:05 UTC"))
	case j.Status == tracker.StatusQueued:
		return "It waits for a worker."
	case j.Status == tracker.StatusRunning:
		return "A worker has it."
	}
	return fmt.Sprintf("It ended at %s, %s after it was dispatched.", j.FinishedAt.UTC().Format("15:04:05 UTC"),
		j.FinishedAt.Sub(j.CreatedAt).Round(time.Millisecond))
}

func jobURL(id int64) templ.SafeURL { return templ.SafeURL(fmt.Sprintf("/jobs/%d", id)) }

// tone and icon say a status by colour and by sign; its word stands beside them.
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

func icon(s tracker.Status) string {
	switch s {
	case tracker.StatusSuccess:
		return "✓"
	case tracker.StatusSkipped:
		return "–"
	case tracker.StatusFailed:
		return "✗"
	case tracker.StatusConflict:
		return "≠"
	case tracker.StatusCancelled:
		return "⊘"
	case tracker.StatusRunning:
		return "▸"
	case tracker.StatusQueued:
	}
	return "…"
}
