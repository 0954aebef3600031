package admin

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// auditView is the data of the audit log page.
type auditView struct {
	*request
	filter       tracker.AuditFilter
	run          int64 // the page lists the entries of this bulk run, or 0
	days         []auditDay
	older, newer int64  // the cursors of the neighbouring pages, or 0
	wrong        string // what is wrong with a filter, and what to write
}

// auditDay has the lines of one day, newest first.
type auditDay struct {
	date, name string
	lines      []*auditItem
}

// auditItem is an action of an operator, or a bulk run with those of its entries that are on the page.
type auditItem struct {
	run     int64 // 0 for a single action
	entries []tracker.AuditEntry
	counts  []tracker.AuditCount
}

// hasEntries reports whether the page has entries that the run made, beside the one of its start.
func (i *auditItem) hasEntries() bool {
	return slices.ContainsFunc(i.entries, func(e tracker.AuditEntry) bool { return e.RunID != 0 })
}

const auditPageSize = 50

// auditFields are the filters in the URL of the audit log.
var auditFields = []string{"subject", "service", "object", "action", "outcome", "since", "until", "run"}

func (p *request) auditLog() error {
	v := &auditView{request: p}
	p.title, p.section = p.T("Audit log"), "audit"
	p.recordLeftOut()
	if v.wrong = v.readFilter(); v.wrong != "" {
		p.renderStatus(http.StatusUnprocessableEntity, auditLogPage(v))
		return nil
	}
	entries, err := v.readPage(p.r.Context())
	if err != nil {
		return err
	}
	if err := v.group(p.r.Context(), entries); err != nil {
		return err
	}
	return p.render(auditLogPage(v))
}

// text returns a filter as it stands in the URL.
func (v *auditView) text(field string) string { return strings.TrimSpace(v.r.URL.Query().Get(field)) }

// filtered reports whether the URL has a filter.
func (v *auditView) filtered() bool {
	return slices.ContainsFunc(auditFields, func(field string) bool { return v.text(field) != "" })
}

// addressText returns how the audit log shows the address of an operator, or the bulk run that took an action for one.
func (p *request) addressText(address string) string {
	if id, err := strconv.ParseInt(strings.TrimPrefix(address, runAddressPrefix), 10, 64); err == nil {
		return p.Tf("bulk run %d", id)
	}
	return address
}

// detailText returns how the audit log shows the detail of an action. The engine stores its details in English.
func (p *request) detailText(detail string) string {
	switch detail {
	case "cancellation requested":
		return p.T("cancellation requested")
	case "the job was already deleted":
		return p.T("the job was already deleted")
	case "the job was not deleted":
		return p.T("the job was not deleted")
	}
	if id, err := strconv.ParseInt(strings.TrimPrefix(detail, "job "), 10, 64); err == nil {
		return p.Tf("job %d", id)
	}
	return detail
}

// readFilter reads the filters. It returns what is wrong with one, and what to write instead, or "".
func (v *auditView) readFilter() string {
	v.filter = tracker.AuditFilter{Subject: v.text("subject"), TargetID: v.text("object"), Service: v.text("service")}
	if v.viewer.manages() != nil {
		v.filter.PrivateOf = v.viewer.subject
	}
	// The log shows the name of an action with spaces.
	v.filter.Action = v.text("action")
	for _, field := range auditFields {
		if len(v.text(field)) > tracker.MaxTargetID {
			return v.Tf("The filter %s is too long. Write at most %d bytes.", field, tracker.MaxTargetID)
		}
	}
	if service := v.text("service"); service != "" && !slices.Contains(v.services(), service) {
		return v.Tf("There is no service %s that you may view. Choose one of the list.", service)
	}
	switch outcome := tracker.AuditOutcome(v.text("outcome")); outcome {
	case "", tracker.AuditDone, tracker.AuditRefused, tracker.AuditFailed:
		v.filter.Outcome = outcome
	default:
		return v.Tf("There is no outcome %s. Write done, refused or failed.", string(outcome))
	}
	if text := v.text("run"); text != "" {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id <= 0 {
			return v.Tf("%s is not the number of a bulk run. Write a number such as 6826.", text)
		}
		v.run, v.filter.RunID = id, id
	}
	var ok bool
	if v.filter.Since, ok = v.readTime("since", 0); !ok {
		return v.wrongTime("since")
	}
	if v.filter.Until, ok = v.readTime("until", 24*time.Hour); !ok {
		return v.wrongTime("until")
	}
	if !v.filter.Since.IsZero() && !v.filter.Until.IsZero() && !v.filter.Since.Before(v.filter.Until) {
		return v.T("The time range is empty. Write a time in Until that is after the one in From.")
	}
	// Of a bulk run the list has the first entry of each instance. These filters may match other ones.
	v.filter.Listed = v.filter.RunID == 0 && v.filter.TargetID == "" && v.filter.Outcome == ""
	return ""
}

// readTime reads a time of the reader's zone. A date alone means its midnight plus wholeDay.
func (v *auditView) readTime(field string, wholeDay time.Duration) (time.Time, bool) {
	text := strings.Replace(v.text(field), "T", " ", 1)
	if text == "" {
		return time.Time{}, true
	}
	if at, err := time.ParseInLocation("2006-01-02", text, v.zone); err == nil {
		if wholeDay > 0 {
			at = at.AddDate(0, 0, 1)
		}
		return at, true
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if at, err := time.ParseInLocation(layout, text, v.zone); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func (v *auditView) wrongTime(field string) string {
	return v.Tf("%s is not a time. Write a date such as 2026-01-31, or a date and a time such as 2026-01-31 09:00.", v.text(field))
}

// services returns the services that the filter offers.
func (v *auditView) services() []string { return v.viewer.visibleServices() }

// seesRuns reports whether the subject may open the pages of bulk runs.
func (v *auditView) seesRuns() bool { return v.viewer.views() == nil }

// readPage reads the entries of the page, newest first, and sets the cursors of the neighbouring pages.
func (v *auditView) readPage(ctx context.Context) ([]tracker.AuditEntry, error) {
	filter := v.filter
	filter.Limit = auditPageSize + 1
	if filter.Before = v.intParam("before"); filter.Before == 0 {
		filter.After = v.intParam("after")
	}
	entries, err := v.store().AuditLog(ctx, filter)
	more := len(entries) > auditPageSize
	switch {
	case err != nil || len(entries) == 0:
		return nil, err
	case filter.After > 0:
		if more {
			entries = entries[1:]
			v.newer = entries[0].ID
		}
		v.older = entries[len(entries)-1].ID
		return entries, nil
	case more:
		entries = entries[:auditPageSize]
		v.older = entries[auditPageSize-1].ID
	}
	if filter.Before > 0 {
		v.newer = entries[0].ID
	}
	return entries, nil
}

// group makes the lines of the page. A bulk run has one line.
func (v *auditView) group(ctx context.Context, entries []tracker.AuditEntry) error {
	lines := map[int64]*auditItem{}
	var runs []int64
	for _, entry := range entries {
		run := v.runOf(entry)
		if line := lines[run]; line != nil {
			line.entries = append(line.entries, entry)
			if isStart(entry) { // it tells the query and the person
				slices.Reverse(line.entries)
			}
			continue
		}
		line := &auditItem{run: run, entries: []tracker.AuditEntry{entry}}
		if run != 0 {
			lines[run] = line
			runs = append(runs, run)
		}
		v.addLine(line)
	}
	counts, err := v.store().AuditRuns(ctx, runs)
	for _, c := range counts {
		lines[c.RunID].counts = append(lines[c.RunID].counts, c)
	}
	return err
}

// addLine adds a line to its day.
func (v *auditView) addLine(line *auditItem) {
	date := line.entries[0].At.In(v.zone).Format(time.DateOnly)
	if n := len(v.days); n == 0 || v.days[n-1].date != date {
		v.days = append(v.days, auditDay{date: date, name: v.dayText(date)})
	}
	day := &v.days[len(v.days)-1]
	day.lines = append(day.lines, line)
}

func (v *auditView) dayText(date string) string {
	now := v.now.In(v.zone)
	switch date {
	case now.Format(time.DateOnly):
		return v.Tf("Today, %s", date)
	case now.AddDate(0, 0, -1).Format(time.DateOnly):
		return v.Tf("Yesterday, %s", date)
	}
	return date
}

// runOf returns the bulk run whose line has an entry, or 0 for a line of its own.
func (v *auditView) runOf(entry tracker.AuditEntry) int64 {
	switch {
	case v.run != 0:
		return 0
	case isStart(entry):
		return entry.JobID
	}
	return entry.RunID
}

// isStart reports whether an entry records the start of a bulk run.
func isStart(entry tracker.AuditEntry) bool {
	return entry.Service == bulkKind.Service && entry.Type == bulkKind.Type && entry.JobID != 0 && strings.HasPrefix(entry.Action, "bulk ")
}

// started reports whether the first entry of a line records the start of its bulk run.
func (l *auditItem) started() bool { return isStart(l.entries[0]) }

// action returns the action of a bulk run.
func (l *auditItem) action(p *request) string {
	return p.actionName(strings.TrimPrefix(l.entries[0].Action, "bulk "))
}

// runTotal says how many entries a bulk run has.
func (v *auditView) runTotal(line *auditItem) string {
	n := 0
	for _, c := range line.counts {
		n += c.N
	}
	if n >= tracker.MaxAuditRun {
		return v.Tf("%s or more entries", format.Thousands(v, n))
	}
	return v.plural(int64(n), "1 entry", "%s entries")
}

// countText returns the text for the entries of a run with one action and outcome.
func (v *auditView) countText(c tracker.AuditCount) string {
	_, word, _ := v.auditOutcome(tracker.AuditEntry{Outcome: c.Outcome})
	return v.Tf("%s: %s %s", v.actionName(c.Action), format.Thousands(v, c.N), word)
}

// filterURL returns the URL of a page with the filters of this one, and more parameters.
func (v *auditView) filterURL(path string, more ...string) string {
	var query []string
	for _, field := range auditFields {
		query = append(query, field, v.text(field))
	}
	return v.url(path, append(query, more...)...)
}

func (v *auditView) pageURL(cursor string, id int64) string {
	return v.filterURL("/audit", cursor, strconv.FormatInt(id, 10))
}

func (v *auditView) exportURL() string { return v.filterURL("/audit.csv") }

func (v *auditView) runURL(id int64) string { return v.url("/bulk/" + strconv.FormatInt(id, 10)) }

// auditOutcome returns the icon, the word and the tone of the outcome of an action.
func (p *request) auditOutcome(a tracker.AuditEntry) (shape, word, tone string) {
	switch a.Outcome {
	case tracker.AuditRefused:
		return "cancelled", p.T("not permitted"), "warn"
	case tracker.AuditFailed:
		return "failed", p.T("failed"), "bad"
	}
	return "success", p.T("done"), "calm"
}

func (p *request) auditTargetURL(a tracker.AuditEntry) string {
	return p.url("/target", "service", a.Service, "type", a.Type, "instance", a.Instance, "id", a.TargetID)
}

// filterText returns the filters in one line, without the ID of an object: Forget could not remove it from the audit
// entry of an export, which concerns no object.
func (v *auditView) filterText() string {
	var parts []string
	for _, field := range auditFields {
		switch text := v.text(field); {
		case text == "":
		case field == "object":
			parts = append(parts, "one object")
		default:
			parts = append(parts, field+": "+text)
		}
	}
	return strings.Join(parts, ", ")
}
