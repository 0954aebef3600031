package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/tracker"
)

// The columns of a table of jobs that a reader can choose. Status, action and object are always shown.
const (
	columnID      = "id"
	columnService = "service"
	columnError   = "error"
	columnAttempt = "attempt"
	columnBy      = "by"
	columnCreated = "created"
	columnEnded   = "ended"
	columnTimes   = "times"
)

var (
	allColumns     = []string{columnID, columnService, columnError, columnAttempt, columnBy, columnCreated, columnEnded, columnTimes}
	defaultColumns = []string{columnService, columnError, columnAttempt, columnBy, columnCreated}
)

// noColumns is the value of the cookie for a reader who has chosen none. No value stands for the default.
const noColumns = "none"

// densities are the heights of rows: normal, comfortable and compact.
var densities = []string{"", "comfortable", "compact"}

// parseColumns returns the columns that a cookie or a form names, in the order of the table.
func parseColumns(text string) []string {
	if text == "" {
		return defaultColumns
	}
	chosen := strings.Split(text, ",")
	return slices.DeleteFunc(slices.Clone(allColumns), func(column string) bool { return !slices.Contains(chosen, column) })
}

// parseDensity returns the density that a cookie or a form names, or the default.
func parseDensity(text string) string {
	if slices.Contains(densities, text) {
		return text
	}
	return ""
}

// saveView stores the columns and the density that a form has.
func (p *request) saveView(age int) {
	form := p.r.PostForm
	if form.Has("columns") {
		chosen := parseColumns(strings.Join(append(form["column"], noColumns), ","))
		value := strings.Join(chosen, ",")
		switch {
		case value == "":
			value = noColumns
		case slices.Equal(chosen, defaultColumns):
			value = ""
		}
		p.setCookie(cookieColumns, value, age)
	}
	if form.Has("density") {
		p.setCookie(cookieDensity, parseDensity(form.Get("density")), age)
	}
}

// columnChoice is a column that the reader can show or hide.
type columnChoice struct {
	column, name string
	shown        bool
}

func (p *request) columnChoices() []columnChoice {
	var list []columnChoice
	for _, column := range allColumns {
		list = append(list, columnChoice{column, p.columnName(column), p.shows(column)})
	}
	return list
}

// shows reports whether the reader has chosen a column.
func (p *request) shows(column string) bool { return slices.Contains(p.columns, column) }

func (p *request) columnName(column string) string {
	switch column {
	case columnID:
		return p.T("Job")
	case columnService:
		return p.T("Service")
	case columnError:
		return p.T("Error or progress")
	case columnAttempt:
		return p.T("Attempt")
	case columnBy:
		return p.T("By")
	case columnCreated:
		return p.T("Created")
	case columnEnded:
		return p.T("Ended")
	}
	return p.T("Wait / run time")
}

// openText returns how far an open job is, or "".
func (p *request) openText(j *tracker.Job) string {
	switch {
	case j.Status == tracker.StatusRunning && !j.StartedAt.IsZero():
		return p.Tf("running for %s", format.Span(p, p.now.Sub(j.StartedAt)))
	case j.Status == tracker.StatusQueued && j.Attempt == 0 && j.NotBefore.After(p.now):
		return p.Tf("starts at %s", p.shortTime(j.NotBefore))
	}
	return ""
}

// attemptText returns how many attempts a job has used, and when the next one is due. It is "" for a job that
// succeeded at once.
func (p *request) attemptText(j *tracker.Job) string {
	switch {
	case j.Attempt == 0, j.Attempt == 1 && j.Status == tracker.StatusSuccess:
		return ""
	case j.Status == tracker.StatusQueued && j.NotBefore.After(p.now):
		return p.Tf("%d of %d, %s", j.Attempt, j.MaxAttempts, p.timeAgo(j.NotBefore))
	}
	return p.Tf("%d of %d", j.Attempt, j.MaxAttempts)
}

// attemptHint returns when the next attempt is due, or "".
func (p *request) attemptHint(j *tracker.Job) string {
	if j.Status != tracker.StatusQueued || !j.NotBefore.After(p.now) {
		return ""
	}
	return p.Tf("Next attempt: %s", p.fullTime(j.NotBefore))
}

// byText returns who or what dispatched a job.
func (p *request) byText(j *tracker.Job) string {
	return cmp.Or(j.TriggeredBy, p.sourceText(j.TriggerSource))
}

// densityName returns the name of a density.
func (p *request) densityName(density string) string {
	switch density {
	case "comfortable":
		return p.T("comfortable")
	case "compact":
		return p.T("compact")
	}
	return p.T("normal")
}
