package admin_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestInvalidQueryListsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	s.dispatch(chore{ID: "someone@example.org"})
	for path, status := range map[string]int{"/jobs": 422, "/jobs.json": 422, "/jobs.csv": 422} {
		got := s.get("operator", path+"?q=status:queued+servise:whm")
		if got.status != status || strings.Contains(got.body, "someone@example.org") || !strings.Contains(got.body, "service") {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if page := s.get("operator", "/jobs?q=status:queued+servise:whm").body; !strings.Contains(page, "did you mean service:?") ||
		!strings.Contains(page, strings.Repeat(" ", 14)+"^") {
		t.Error("the page shows no caret or no suggestion")
	}
}

func TestPlainFormRedirectsToTheCanonicalQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "/admin/sync", nil)
	got := s.get("viewer", "/jobs?form=1&status=failed&status=conflict&service=whm&target="+url.QueryEscape("a b")+"&by=&rest="+url.QueryEscape("attempts:>2"))
	want := "/admin/sync/jobs?" + url.Values{"q": {`status:conflict,failed service:whm target:"a b" attempts:>2`}}.Encode()
	if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}
	if got := s.get("viewer", "/jobs?form=1&rest=42"); got.header.Get("Location") != "/admin/sync/jobs/42" {
		t.Errorf("a job ID in the search field redirects to %s", got.header.Get("Location"))
	}
}

func TestExportEscapesFormulasAndIsComplete(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.ExportRows = 1200 })
	var args []nawasync.Args
	for i := range 1100 {
		args = append(args, elsewhere{ID: fmt.Sprintf("=HYPERLINK(%d)", i)})
	}
	_, err := s.engine.DispatchMany(t.Context(), args, nawasync.Options{By: "@user"})
	noError(t, err)
	rows, err := csv.NewReader(strings.NewReader(s.get("viewer", "/jobs.csv").body)).ReadAll()
	noError(t, err)
	if rows[0][0] != "\ufeffid" {
		t.Errorf("the export begins with %q, want a byte order mark", rows[0][0])
	}
	if len(rows) != 1101 || rows[1][6] != "'=HYPERLINK(1099)" || rows[1][7] != "'@user" {
		t.Errorf("the export has %d rows, the first job is %q", len(rows), rows[1])
	}
	_, err = s.engine.DispatchMany(t.Context(), args[:200], nawasync.Options{})
	noError(t, err)
	all := s.get("viewer", "/jobs.csv").body
	if !strings.Contains(all, "more than 1200 jobs: narrow the query") {
		t.Error("an export with too many jobs does not say that it is incomplete")
	}
}

func TestExportEndsAfterItsTimeAndSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) { c.ExportTime = time.Nanosecond })
	var args []nawasync.Args
	for i := range 600 {
		args = append(args, chore{ID: fmt.Sprint(i)})
	}
	jobs, err := s.engine.DispatchMany(t.Context(), args, nawasync.Options{})
	noError(t, err)
	rows, err := csv.NewReader(strings.NewReader(s.get("viewer", "/jobs.csv").body)).ReadAll()
	noError(t, err)
	last := rows[len(rows)-1][6]
	if len(rows) != 1+500+1 || !strings.Contains(last, "stopped here after 1ns") ||
		!strings.Contains(last, fmt.Sprintf("ids below %d are missing", jobs[100].ID)) {
		t.Errorf("%d rows; the last one says %q", len(rows), last)
	}
}
