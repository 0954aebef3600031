package query_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin/internal/query"
)

func TestQueriesHaveOneCanonicalText(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                                    "",
		"  target:a   status:failed,conflict": "status:conflict,failed target:a",
		"status:FAILED status:failed":         "status:failed",
		`error:"quota exceeded" by:7`:         `by:7 error:"quota exceeded"`,
		`error:quota`:                         `error:quota`,
		`-status:success -is:repaired`:        `-status:success -is:repaired`,
		`attempts:>03 duration:<10s`:          `attempts:>3 duration:<10s`,
		`"status:failed"`:                     `"status:failed"`,
		`"-x" "http://a.example/b,c"`:         `"-x" "http://a.example/b,c"`,
		`created:2026-08-01.. since:7d`:       `since:7d created:2026-08-01..`,
		`target:"a,b","c\"d\\"`:               `target:"a,b","c\"d\\"`,
		`info@example.org`:                    `info@example.org`,
	} {
		q, err := query.Parse(line, time.UTC)
		if err != nil || q.String() != want {
			t.Errorf("%s: %s, %v, want %s", line, q, err, want)
		}
		again, err := query.Parse(q.String(), time.UTC)
		if err != nil || again.String() != q.String() {
			t.Errorf("%s: the canonical text parses to %s, %v", line, again, err)
		}
	}
}

func TestInvalidQueryReportsItsPositionAndAHint(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		at      int
		message string
		hint    string
	}{
		"status:failed servise:whm": {14, `there is no field "servise"`, "did you mean service:?"},
		"status:":                   {7, "a value is missing", "status:failed"},
		"status:failed,":            {14, "a value is missing", ""},
		"x status:broken":           {2, `"broken" is not a valid value`, "queued, running"},
		`error:"open`:               {6, "has no closing", ""},
		"service:>3":                {0, "> is not supported", "attempts and duration"},
		"-since:1h":                 {0, "cannot be excluded", "created:"},
		"created:yesterday":         {0, `"yesterday" is not a valid value`, ".."},
		"id:1,x":                    {0, `"x" is not a valid value`, "a number"},
		"attempts:1,2":              {0, "only one value is allowed", ""},
	} {
		_, err := query.Parse(line, time.UTC)
		var wrong *query.Error
		if !errors.As(err, &wrong) || wrong.At != want.at || !strings.Contains(wrong.Message.String(), want.message) ||
			!strings.Contains(wrong.Hint.String(), want.hint) || len(wrong.Caret()) != want.at+1 {
			t.Errorf("%s: %+v", line, err)
		}
	}
}

func TestDaysFollowTheZoneAcrossDaylightSavingTime(t *testing.T) {
	t.Parallel()
	jakarta, err := time.LoadLocation("Asia/Jakarta")
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		zone     *time.Location
		text     string
		from, to string
	}{
		{jakarta, "2026-08-01", "2026-07-31T17:00:00Z", "2026-08-01T17:00:00Z"},
		{berlin, "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // 23 hours
		{berlin, "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}, // 25 hours
		{jakarta, "2026-08-01..2026-08-02", "2026-07-31T17:00:00Z", "2026-08-02T17:00:00Z"},
		{jakarta, "2026-08-01T10:30..", "2026-08-01T03:30:00Z", ""},
		{jakarta, "..2026-08-01T10:30:00Z", "", "2026-08-01T10:30:00Z"},
	} {
		from, to, err := query.ParseRange(c.text, c.zone)
		if err != nil || text(from) != c.from || text(to) != c.to {
			t.Errorf("%s in %s: %s to %s, %v", c.text, c.zone, text(from), text(to), err)
		}
	}
}

func text(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func FuzzQuery(f *testing.F) {
	for _, line := range []string{
		`status:failed service:whm target:info@example.org by:7 error:"quota"`, `-is:stuck "a b" created:2026-08-01..2026-08-02`,
		"attempts:>3,", `"\`, "\xff:\x00", "'; DROP TABLE nawasync_jobs; --",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		q, err := query.Parse(line, time.UTC)
		if err != nil {
			var wrong *query.Error
			if !errors.As(err, &wrong) || wrong.Hint.String() == "" {
				t.Fatalf("%q: %v", line, err)
			}
			_ = wrong.Caret()
			return
		}
		again, err := query.Parse(q.String(), time.UTC)
		if err != nil && len(q.String()) <= query.MaxBytes {
			t.Fatalf("%q has the canonical text %q, which does not parse: %v", line, q, err)
		}
		if err == nil && again.String() != q.String() {
			t.Fatalf("%q has the canonical text %q, which parses to %q", line, q, again)
		}
		if _, err := q.Search(time.Now(), time.UTC); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	})
}
