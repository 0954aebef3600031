package admin

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

func (p *request) json(value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	p.w.Header().Set("Content-Type", "application/json")
	_, _ = p.w.Write(append(data, '\n'))
	return nil
}

// exportSearch parses the query of an export; one that is wrong is an error, never everything.
func (p *request) exportSearch() (tracker.Search, error) {
	q, err := query.Parse(p.r.URL.Query().Get("q"), p.zone)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return tracker.Search{}, &httpError{http.StatusUnprocessableEntity, p.message(wrong.Message), p.Tf("At byte %d: %s.", wrong.At, p.message(wrong.Hint))}
	}
	return p.search(q)
}

func (p *request) jobsJSON() error {
	search, err := p.exportSearch()
	if err != nil {
		return err
	}
	results, err := p.store().Search(p.r.Context(), p.withPage(search))
	if err != nil {
		return err
	}
	jobs := results.Jobs
	if jobs == nil {
		jobs = []*tracker.Job{}
	}
	return p.json(map[string]any{"jobs": jobs, "older": results.Older, "newer": results.Newer, "looked": results.Searched, "partial": results.Partial})
}

// jobsCSV streams what the query finds, newest first, to the end or the limit.
func (p *request) jobsCSV() error {
	search, err := p.exportSearch()
	if err != nil {
		return err
	}
	results, err := p.store().Search(p.r.Context(), withLimit(search, 0, 500))
	if err != nil {
		return err
	}
	p.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	p.w.Header().Set("Content-Disposition", `attachment; filename="jobs.csv"`)
	out := csv.NewWriter(p.w)
	_ = out.Write([]string{
		"id", "status", "service", "type", "instance", "action", "target", "by", "source", "created", "started", "finished", "attempts",
		"duration_ms", "class", "error",
	})
	flusher := http.NewResponseController(p.w)
	for written := 0; ; {
		for _, j := range results.Jobs {
			if written == p.h.config.ExportRows {
				_ = out.Write([]string{"", "", "", "", "", "", fmt.Sprintf("more than %d jobs: narrow the query for the rest", written)})
				out.Flush()
				return nil
			}
			_ = out.Write(csvRecord(j))
			written++
		}
		out.Flush()
		if out.Error() != nil || results.Older == 0 {
			return nil //nolint:nilerr // the reader has gone, or has it all
		}
		_ = flusher.Flush()
		// The time of a page is for each part: a long export is not cut.
		if results, err = p.exportPart(search, results.Older); err != nil {
			_ = out.Write([]string{"", "", "", "", "", "", "the export broke off here: the database did not answer"})
			out.Flush()
			p.h.config.Logger.Error("admin: an export broke off", "error", err)
			return nil
		}
	}
}

func (p *request) exportPart(search tracker.Search, before int64) (tracker.Results, error) {
	ctx, cancel := context.WithTimeout(p.whole, p.h.config.Timeout)
	defer cancel()
	return p.store().Search(ctx, withLimit(search, before, 500))
}

func csvRecord(j *tracker.Job) []string {
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	list := []string{
		strconv.FormatInt(j.ID, 10), string(j.Status), j.Service, j.Type, j.Instance, j.Action, j.TargetID, j.TriggeredBy, j.TriggerSource,
		moment(j.CreatedAt), moment(j.StartedAt), moment(j.FinishedAt), strconv.Itoa(j.Attempt), strconv.FormatInt(j.Duration.Milliseconds(), 10), j.ErrorClass,
		j.Error,
	}
	for i := range list {
		list[i] = escapeFormula(list[i])
	}
	return list
}

// escapeFormula is a cell that no spreadsheet takes for a formula (OWASP, CSV injection).
func escapeFormula(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// metrics is the health as Prometheus reads it. Labels are services and kinds only.
func (p *request) metrics() error {
	found, err := p.loadHealth(p.r.Context())
	if err != nil {
		return err
	}
	var b strings.Builder
	metric := func(name, help string) {
		fmt.Fprintf(&b, "# HELP nawasync_%s %s\n# TYPE nawasync_%s gauge\n", name, help, name)
	}
	each := func(name, help string, value func(s serviceHealth) string) {
		metric(name, help)
		for _, s := range found.Services {
			if v := value(s); v != "" {
				fmt.Fprintf(&b, "nawasync_%s{service=%s} %s\n", name, metricLabel(s.Service), v)
			}
		}
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	each("jobs_queued", "Queued jobs.", func(s serviceHealth) string { return count(s.Queued) })
	each("jobs_running", "Running jobs.", func(s serviceHealth) string { return count(s.Running) })
	each("jobs_stuck", "Running jobs past their deadline.", func(s serviceHealth) string { return count(s.Stuck) })
	each("oldest_queued_seconds", "How long the job that waits longest has been due.", func(s serviceHealth) string {
		if s.Oldest.IsZero() {
			return "0"
		}
		return inSeconds(max(0, p.now.Sub(s.Oldest)))
	})
	each("last_success_timestamp_seconds", "When a job last succeeded.", func(s serviceHealth) string {
		if s.Synced.IsZero() {
			return ""
		}
		return count(s.Synced.Unix())
	})
	metric("jobs_ended", "Jobs that ended in the window ("+found.Window+"), by outcome.")
	for _, s := range found.Services {
		for _, outcome := range []struct {
			name string
			n    int64
		}{{"success", s.Success}, {"failed", s.Failed}, {"other", s.Other}} {
			fmt.Fprintf(&b, "nawasync_jobs_ended{service=%s,outcome=%q} %d\n", metricLabel(s.Service), outcome.name, outcome.n)
		}
	}
	metric("run_seconds", "Run times in the window, by quantile.")
	for _, s := range found.Services {
		fmt.Fprintf(&b, "nawasync_run_seconds{service=%s,quantile=\"0.5\"} %s\nnawasync_run_seconds{service=%[1]s,quantile=\"0.95\"} %[3]s\n", metricLabel(s.Service),
			inSeconds(s.RunP50), inSeconds(s.RunP95))
	}
	metric("attention", "Things that want a person's look, by severity (2 is broken).")
	bySeverity := map[int]int{}
	for _, a := range found.Alerts {
		bySeverity[a.Severity]++
	}
	for _, severity := range []int{1, 2} {
		fmt.Fprintf(&b, "nawasync_attention{severity=\"%d\"} %d\n", severity, bySeverity[severity])
	}
	p.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = p.w.Write([]byte(b.String()))
	return nil
}

// metricLabel is a value in the exposition format.
func metricLabel(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(value) + `"`
}

// preferences keeps the zone, the colours and how often pages refresh.
func (p *request) preferences() error {
	const year = 365 * 24 * 3600
	if zone := strings.TrimSpace(p.r.PostFormValue("zone")); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil || zone == "Local" || len(zone) > 63 {
			return p.back(flash{Bad: true, Text: p.Tf("%q is no time zone. Write one such as Asia/Jakarta or UTC.", zone)})
		}
		p.setCookie(cookieZone, zone, year)
	}
	if theme := p.r.PostFormValue("theme"); p.r.PostForm.Has("theme") {
		p.setCookie(cookieTheme, theme, year)
	}
	if live := p.r.PostFormValue("live"); p.r.PostForm.Has("live") {
		p.setCookie(cookieLive, cmp.Or(live, "0"), year)
	}
	if keys := p.r.PostFormValue("keys"); p.r.PostForm.Has("keys") {
		p.setCookie(cookieKeys, keys, year)
	}
	return p.redirect(p.local(p.r.PostFormValue("back")))
}
