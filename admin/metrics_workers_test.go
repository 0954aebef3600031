package admin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
)

func TestMetricsCountTheLiveWorkersOfEachKindAndQueue(t *testing.T) {
	t.Parallel()
	w := newClockedSite(t, testdb.SQLite(t))
	w.dispatch(chore{ID: "a"})
	w.dispatch(elsewhere{ID: "b"})
	const update, record = "whm/mailbox/update", "cloudflare/record/update"
	check := func(updates, records, all float64) {
		t.Helper()
		found := scrape(t, w.site, "viewer")
		for labels, want := range map[[2]string]float64{{update, "whm"}: updates, {record, "cloudflare"}: records} {
			if got := sample(t, found, "nawasync_workers", labels[0], labels[1]).GetGauge().GetValue(); got != want {
				t.Errorf("%v workers handle %s, want %v", got, labels[0], want)
			}
		}
		if all < 0 {
			return
		}
		if got := sample(t, found, "nawasync_queue_workers", "default").GetGauge().GetValue(); got != all {
			t.Errorf("%v workers work the queue, want %v", got, all)
		}
	}
	check(0, 0, -1)
	w.process(update, record)
	w.advance(time.Second)
	w.process(update)
	check(2, 1, 2)
	var health struct {
		Services []struct {
			Service string `json:"service"`
			Workers int    `json:"workers"`
		} `json:"services"`
	}
	noError(t, json.Unmarshal([]byte(w.get("viewer", "/health.json").body), &health))
	for _, s := range health.Services {
		if want := map[string]int{"whm": 2, "cloudflare": 1}[s.Service]; s.Workers != want {
			t.Errorf("/health.json has %d workers of %s, want %d", s.Workers, s.Service, want)
		}
	}
	other := scrape(t, w.site, "other")
	if text := other["nawasync_workers"].String(); strings.Contains(text, "whm") || !strings.Contains(text, record) {
		t.Errorf("a subject who views one service gets %s", text)
	}
	if family := other["nawasync_queue_workers"]; family != nil {
		t.Errorf("a subject who views one service gets the queues %v", family)
	}
	w.advance(time.Minute)
	check(0, 0, 0)
}
