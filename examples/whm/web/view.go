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
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// pageView is the frame of a page: its title, its navigation and the result of the last form.
type pageView struct {
	User                  string // the demo user of the operators' pages
	Title, Path, Instance string
	Instances             []string
	Problem               string       // why the submitted form was refused
	Watched               *tracker.Job // the job of the submitted form
	Refresh               int          // seconds until the page reloads, because a job has not ended; 0 is never
	Simulated             bool         // whether the server is a simulated one in this process
}

type link struct {
	Name    string
	URL     templ.SafeURL
	Current string
}

// current returns the value of a link's aria-current attribute.
func current(isCurrent bool) string {
	if isCurrent {
		return "page"
	}
	return "false"
}

func linkTo(path, instance string) templ.SafeURL {
	return templ.SafeURL(path + "?" + url.Values{"instance": {instance}}.Encode())
}

// Sections returns the links of the main navigation.
func (p *pageView) Sections() (list []link) {
	for _, s := range []link{
		{Name: "Mailboxes", URL: "/"},
		{Name: "Accounts", URL: "/accounts"},
		{Name: "Held syncs", URL: "/held"},
		{Name: "Edit on server", URL: "/elsewhere"},
	} {
		if s.URL == "/elsewhere" && !p.Simulated {
			continue
		}
		list = append(list, link{s.Name, linkTo(string(s.URL), p.Instance), current(string(s.URL) == p.Path)})
	}
	return list
}

// Servers returns links to the same page of each server. It returns none if the page is the same for
// all servers, or if there is one server.
func (p *pageView) Servers() (list []link) {
	if len(p.Instances) < 2 || !slices.Contains([]string{"/", "/accounts", "/elsewhere"}, p.Path) {
		return nil
	}
	for _, name := range p.Instances {
		list = append(list, link{name, linkTo(p.Path, name), current(name == p.Instance)})
	}
	return list
}

// listView holds the values that the list of mailboxes and the list of accounts have in common.
type listView struct {
	Listing          string // "accounts" or "emails", the value of the sync form
	Singular, Plural string // the noun of a row
	SearchLabel      string
	Instance         string
	Search, State    string
	After, Next      string
	Total            int64
	More             bool // whether there are more rows than Total
	SyncedAt, Now    time.Time
	Held             []tracker.Hold
	Jobs             []*tracker.Job
	Seen             []string     // what each row's forms say that their user saw
	FirstSync        *tracker.Job // the newest sync of a list that was never synced, or nil
}

var states = []struct{ value, label string }{
	{"", "Any state"}, {"synced", "In sync"}, {"pending", "Being changed"}, {"failed", "Failed"}, {"conflict", "Conflict"}, {"missing", "Missing"},
}

func (v listView) Path() templ.SafeURL {
	if v.Listing == "accounts" {
		return "/accounts"
	}
	return "/"
}

// Heading returns a heading with the number of rows and the search, for example "3 mailboxes with
// “ann”".
func (v listView) Heading() string {
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
func (v listView) Empty() string {
	if v.Search != "" || v.State != "" {
		return fmt.Sprintf("No %s match the search. Change the search or the state.", v.Plural)
	}
	if job := v.FirstSync; job != nil && !job.Status.Terminal() {
		return fmt.Sprintf("The first sync copies the %s from the server. The page shows them as soon as the sync ends.", v.Plural)
	} else if job != nil && job.Error != "" {
		return fmt.Sprintf("The first sync did not succeed: %s. Choose Sync now to try again.", job.Error)
	}
	return fmt.Sprintf("The list has no %s. Choose Sync now to copy them from the server.", v.Plural)
}

// Ready reports whether the list may be changed: a form would be lost while the page reloads for the first sync.
func (v listView) Ready() bool { return v.FirstSync == nil || v.FirstSync.Status.Terminal() }

// refreshDuring reloads the page while the first sync of a list runs.
func (p *pageView) refreshDuring(v listView) {
	if p.Refresh == 0 && v.FirstSync != nil {
		p.Refresh = refreshFor(v.FirstSync)
	}
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

// Back returns the query of the list, so that a form returns to the same page and search.
func (v listView) Back() string { return v.values(v.After).Encode() }

const mebibyte = 1 << 20

// sizeText formats a size in megabytes. For nil it returns unset.
func sizeText(bytes *int64, unset string) string {
	if bytes == nil {
		return unset
	}
	return fmt.Sprintf("%d MB", *bytes/mebibyte)
}

func quotaText(bytes *int64) string {
	if bytes != nil && *bytes == 0 {
		return "Unlimited"
	}
	return sizeText(bytes, "Unknown")
}

// quotaMB returns a quota as the value of a form field. An unknown quota is "".
func quotaMB(bytes *int64) string {
	if bytes == nil {
		return ""
	}
	return strconv.FormatInt(*bytes/mebibyte, 10)
}

func suspension(row hosting.WhmEmailAccount) string {
	switch {
	case row.SuspendedLogin && row.SuspendedIncoming:
		return "Suspended"
	case row.SuspendedLogin:
		return "Login suspended"
	}
	return "Incoming mail suspended"
}

func mailboxToggle(row hosting.WhmEmailAccount) templ.SafeURL {
	if row.SuspendedLogin && row.SuspendedIncoming {
		return "/mailboxes/unsuspend"
	}
	return "/mailboxes/suspend"
}

func toggleLabel(suspended bool) string {
	if suspended {
		return "Unsuspend mailbox"
	}
	return "Suspend mailbox"
}

// rowJob returns the URL of the job that last changed a row, or "".
func rowJob(s nawasync.SyncStatus) templ.SafeURL {
	if s.SyncJobID == nil {
		return ""
	}
	return jobURL(*s.SyncJobID)
}

// heldReason says why a sync is held.
func heldReason(h tracker.Hold) string {
	return fmt.Sprintf("%d of %d rows are missing from the server's listing, more than the limit of %d rows.", h.Missing, h.Rows, h.Limit)
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
	More bool // whether the hold has more rows than Rows
}

type remoteEditView struct {
	Email   string
	Done    string // the change that the last form made
	Problem string // why the last form changed nothing
}

// jobView holds the values of a job's page.
type jobView struct {
	Job      *tracker.Job
	Attempts []tracker.Attempt
	Conflict []conflictField
	History  []*tracker.Job   // the latest jobs of the same target
	Changes  []tracker.Change // what syncs found for the target
	Now      time.Time
}

type conflictField struct{ Field, Base, Desired, Remote string }

// conflictOf returns the fields of a conflict with their three values. It returns nil for a job
// without a conflict.
func conflictOf(job *tracker.Job) (list []conflictField) {
	values, err := job.ConflictValues()
	if job.Status != tracker.StatusConflict || err != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(values.Remote)) {
		base := conflictText(name, values.Base[name])
		if values.Base[name] == nil && job.SnapshotState != tracker.StatePendingCreate {
			base = "Unknown" // the form had a token of it, and the history does not tell
		}
		list = append(list, conflictField{name, base, conflictText(name, values.Desired[name]), conflictText(name, values.Remote[name])})
	}
	return list
}

// conflictText formats a value of a conflict. A size gets a unit, in bytes unless the size is a
// number of megabytes. Other values are shown as JSON.
func conflictText(field string, value json.RawMessage) string {
	var size *int64
	if (field != "quota" && field != "disk_limit") || json.Unmarshal(value, &size) != nil {
		return string(value)
	}
	if size != nil && *size%mebibyte != 0 {
		return fmt.Sprintf("%d bytes", *size)
	}
	if field == "quota" {
		return quotaText(size)
	}
	return sizeText(size, "Unlimited")
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

// parked reports whether the job waits because the server has refused it and would refuse others.
func parked(j *tracker.Job) bool {
	class := fault.Class(j.ErrorClass)
	return j.Status == tracker.StatusQueued && (class == fault.ClassCredentials || class == fault.ClassUnavailable || class == fault.ClassRateLimited)
}

func jobURL(id int64) templ.SafeURL { return templ.SafeURL(fmt.Sprintf("/jobs/%d", id)) }

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
