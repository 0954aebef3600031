package cronspec_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/cronspec"
)

func ticks(t *testing.T, expression, zone, from string, n int) []string {
	t.Helper()
	spec, err := cronspec.Parse(expression, zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for range n {
		at = spec.Next(at)
		list = append(list, at.UTC().Format(time.RFC3339))
	}
	return list
}

func TestNextFollowsTheWallClockThroughSkippedAndRepeatedHours(t *testing.T) {
	t.Parallel()
	const ny = "America/New_York" // 2026: clocks jump on 8 March at 07:00Z and fall back on 1 November at 06:00Z
	for name, c := range map[string]struct{ expression, zone, from, want string }{
		"plain UTC":                          {"30 2 * * *", "", "2026-03-07T00:00:00Z", "2026-03-07T02:30:00Z 2026-03-08T02:30:00Z"},
		"a skipped time ticks at the skip":   {"30 2 * * *", ny, "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z 2026-03-09T06:30:00Z"},
		"a repeated time ticks once":         {"30 1 * * *", ny, "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z 2026-11-02T06:30:00Z"},
		"before a repeated time":             {"30 1 * * *", ny, "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z 2026-11-02T06:30:00Z"},
		"every hour through a skip":          {"15 * * * *", ny, "2026-03-08T05:30:00Z", "2026-03-08T06:15:00Z 2026-03-08T07:15:00Z 2026-03-08T08:15:00Z"},
		"every hour through a repeated hour": {"15 * * * *", ny, "2026-11-01T04:30:00Z", "2026-11-01T05:15:00Z 2026-11-01T06:15:00Z 2026-11-01T07:15:00Z"},
		"half-hour zone":                     {"0 6 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z 2026-01-02T00:30:00Z"},
		"midnight that is skipped":           {"0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z 2026-04-24T21:00:00Z"},
		"every, aligned":                     {"@every 10m", "", "2026-01-01T00:03:00Z", "2026-01-01T00:10:00Z 2026-01-01T00:20:00Z"},
		"monthly":                            {"@monthly", "", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z 2026-03-01T00:00:00Z"},
	} {
		want := strings.Fields(c.want)
		if got := ticks(t, c.expression, c.zone, c.from, len(want)); strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestNewestIsTheLastMissedTick(t *testing.T) {
	t.Parallel()
	spec, err := cronspec.Parse("*/30 * * * *", "")
	if err != nil {
		t.Fatal(err)
	}
	after := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	until := time.Date(2026, 1, 1, 10, 44, 0, 0, time.UTC)
	if got := spec.Newest(after, until); !got.Equal(time.Date(2026, 1, 1, 10, 30, 0, 0, time.UTC)) {
		t.Errorf("newest tick is %s", got)
	}
	if got := spec.Newest(until, until.Add(10*time.Minute)); !got.IsZero() {
		t.Errorf("newest tick is %s, want none", got)
	}
	yearly, err := cronspec.Parse("0 0 29 2 *", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := yearly.Newest(after.AddDate(-10, 0, 0), until); !got.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("newest yearly tick is %s", got)
	}
}

func TestParseRejectsInvalidSchedules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, zone string }{
		{"", ""}, {"61 * * * *", ""}, {"* * * *", ""}, {"0 0 31 2 *", ""}, {"0 0 * * *", "Mars/Olympus"}, {"CRON_TZ=UTC 0 0 * * *", ""},
	} {
		if _, err := cronspec.Parse(c.expression, c.zone); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
