package admin_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// appendAudit adds an entry to the audit log, on behalf of a bulk run unless it is the zero value.
func (s *site) appendAudit(entry tracker.AuditEntry, run jobstore.BulkRun) {
	s.t.Helper()
	if entry.Outcome == "" {
		entry.Outcome = tracker.AuditDone
	}
	noError(s.t, enginetest.Store(s.engine).AppendAudit(jobstore.WithBulkRun(s.t.Context(), run), entry))
}

// addRun adds the entries of a bulk run of jobs of whm and cloudflare, of which the last one failed.
func (s *site) addRun(id int64, jobs int) {
	s.t.Helper()
	s.appendAudit(
		tracker.AuditEntry{Subject: "ann", Action: "bulk retry", Service: "nawasync", Type: "bulk", TargetID: "token", JobID: id, Detail: "status:failed"},
		jobstore.BulkRun{},
	)
	for i := range jobs {
		entry := tracker.AuditEntry{
			Subject:  "ann",
			Action:   "retry",
			Service:  "whm",
			Type:     "mailbox",
			Instance: "main",
			TargetID: fmt.Sprintf("box%d.example", i),
			JobID:    int64(1000 + i),
		}
		if i%2 == 1 {
			entry.Service, entry.Type, entry.Instance = "cloudflare", "record", ""
		}
		if i == jobs-1 {
			entry.Outcome = tracker.AuditFailed
		}
		s.appendAudit(entry, jobstore.BulkRun{ID: id, First: i < 2})
	}
}

func TestAuditLogHasOneLineForABulkRunHoweverManyJobsItChanged(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.dispatch(chore{ID: "a"})
		s.dispatch(elsewhere{ID: "b"})
		s.appendAudit(tracker.AuditEntry{Subject: "bob", Action: "cancel", Service: "whm", Instance: "main", TargetID: "before.example"}, jobstore.BulkRun{})
		s.addRun(77, 121)
		s.appendAudit(tracker.AuditEntry{Subject: "bob", Action: "cancel", Service: "whm", Instance: "main", TargetID: "after.example"}, jobstore.BulkRun{})

		body := s.get("viewer", "/audit").body
		if n := strings.Count(body, `data-key="run-77"`); n != 1 {
			t.Errorf("the run has %d lines, want 1", n)
		}
		for _, want := range []string{
			"before.example", "after.example", "121 entries", "retry: 120 done", "retry: 1 failed", `href="/bulk/77"`, "status:failed", "Today, ",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if strings.Contains(body, "box3.example") {
			t.Error("the page shows a job of the run as a line of its own")
		}

		body = s.get("other", "/audit").body // views cloudflare only
		for _, want := range []string{`data-key="run-77"`, "60 entries", "retry: 60 done"} {
			if !strings.Contains(body, want) {
				t.Errorf("for a subject who views one service, the page lacks %q", want)
			}
		}
		for _, hidden := range []string{"before.example", "121 entries", "1 failed", `href="/bulk/77"`, "status:failed"} {
			if strings.Contains(body, hidden) {
				t.Errorf("for a subject who views one service, the page shows %q", hidden)
			}
		}

		entries := s.get("viewer", "/audit?run=77").body
		if n := strings.Count(entries, ".example</bdi>"); n != 50 || !strings.Contains(entries, `rel="next"`) {
			t.Errorf("the run's own page has %d entries; want the newest 50 and a link to older ones", n)
		}
		failed := s.get("viewer", "/audit?outcome=failed").body
		if !strings.Contains(failed, "box120.example") || strings.Contains(failed, "box3.example") {
			t.Error("the failures do not have the one of the run, or have others")
		}
		if object := s.get("viewer", "/audit?object=box3.example").body; !strings.Contains(object, "box3.example") ||
			strings.Contains(object, "box4.example") {
			t.Error("the entries of an object lack what the run did to it, or have others")
		}
	})
}

func TestAuditLogPagesBothWaysWithItsFilters(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.dispatch(chore{ID: "a"})
		for i := range 120 {
			s.appendAudit(
				tracker.AuditEntry{
					Subject:  []string{"ann", "bob"}[i%2],
					Action:   "cancel",
					Service:  "whm",
					Instance: "main",
					TargetID: fmt.Sprintf("box%03d.example", i),
				},
				jobstore.BulkRun{},
			)
		}
		boxes := func(body string) (list []string) {
			for i := 119; i >= 0; i-- {
				if name := fmt.Sprintf("box%03d", i); strings.Contains(body, name) {
					list = append(list, name)
				}
			}
			return list
		}
		follow := func(body, rel string) string {
			before, _, found := strings.Cut(body, `rel="`+rel+`"`)
			if !found {
				return ""
			}
			_, link, _ := strings.Cut(before[strings.LastIndex(before, "<a "):], `href="`)
			link, _, _ = strings.Cut(link, `"`)
			return strings.ReplaceAll(link, "&amp;", "&")
		}
		var down, up [][]string
		path, last := "/audit?subject=ann", ""
		for path != "" {
			body := s.get("viewer", path).body
			down, last = append(down, boxes(body)), path
			path = follow(body, "next")
		}
		if len(down) != 2 || len(down[0]) != 50 || len(down[1]) != 10 || down[0][0] != "box118" {
			t.Fatalf("the pages of ann have %v", down)
		}
		for path = last; path != ""; {
			body := s.get("viewer", path).body
			up = append(up, boxes(body))
			path = follow(body, "prev")
		}
		if len(up) != 2 || up[1][0] != down[0][0] || len(up[1]) != 50 || !strings.Contains(last, "subject=ann") {
			t.Errorf("back from the last page come %v, want the first page again", up)
		}
		now := s.engine.Reader().Now()
		day := func(days int) string { return now.AddDate(0, 0, days).Format(time.DateOnly) }
		for query, want := range map[string]int{
			"since=" + day(0) + "&subject=ann": 50, "until=" + day(0) + "&service=whm": 50, "since=" + day(1): 0, "until=" + day(-1): 0,
			"since=" + url.QueryEscape(day(-1)+" 12:00") + "&until=" + day(0) + "T23:59&action=cancel": 50, "action=retry": 0,
		} {
			got := s.get("viewer", "/audit?"+query)
			if n := len(boxes(got.body)); n != want || (want == 0) != strings.Contains(got.body, "No entries match.") {
				t.Errorf("%s has %d entries, want %d", query, n, want)
			}
		}
	})
}

func TestAuditLogSaysWhatToWriteInsteadOfAWrongFilter(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	s.dispatch(elsewhere{ID: "b"})
	for query, want := range map[string]string{
		"outcome=lost": "Write done, refused or failed.", "since=yesterday": "Write a date such as 2026-01-31", "until=2026-13-01": "Write a date such as",
		"run=x": "Write a number", "since=2026-02-01&until=2026-01-01": "The time range is empty.", "service=none": "Choose one of the list.",
		"subject=" + strings.Repeat("x", 300): "Write at most 255 bytes",
	} {
		for _, page := range []string{"/audit?", "/audit.csv?"} {
			got := s.get("viewer", page+query)
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, want) {
				t.Errorf("%s%s: status %d, without %q", page, query, got.status, want)
			}
		}
	}
	if got := s.get("other", "/audit?service=whm"); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a service that the subject may not view: status %d, want that of one that does not exist", got.status)
	}
}

func TestAuditExportIsScopedSafeForSpreadsheetsAndRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "a"})
	s.dispatch(elsewhere{ID: "b"})
	s.addRun(77, 4)
	s.appendAudit(tracker.AuditEntry{Subject: "bob", Action: "pause", Service: "cloudflare", Reason: "=HYPERLINK(1)"}, jobstore.BulkRun{})
	rows := func(subject, path string) [][]string {
		got := s.get(subject, path)
		all, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(got.body, "\ufeff"))).ReadAll()
		noError(t, err)
		if !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s is no file: %v", path, got.header)
		}
		return all
	}
	if all := rows("viewer", "/audit.csv"); len(all) != 1+1+4+1 || all[1][12] != "'=HYPERLINK(1)" || all[2][10] != "77" {
		t.Errorf("the export has %v", all)
	}
	if own := rows("other", "/audit.csv?action=retry"); len(own) != 1+2 || own[1][5] != "cloudflare" {
		t.Errorf("the export of a subject who views cloudflare has %v", own)
	}
	entries, err := s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "export_audit_log"})
	noError(t, err)
	if len(entries) != 2 || entries[0].Subject != "other" || entries[0].Detail != "action: retry" {
		t.Errorf("the exports are recorded as %+v", entries)
	}
	rows("viewer", "/audit.csv?action=retry&object=ann@example.org")
	entries, err = s.engine.Reader().AuditLog(t.Context(), tracker.AuditFilter{Action: "export_audit_log", Limit: 1})
	noError(t, err)
	if entries[0].Detail != "one object, action: retry" {
		t.Errorf("the export of an object, which Forget must not miss, is recorded as %q", entries[0].Detail)
	}
}
