package admin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestWorkersPageShowsSlotsJobsAndSilentProcesses(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		if body := s.get("viewer", "/workers").body; !strings.Contains(body, "No process runs.") && !strings.Contains(body, "Not permitted") {
			t.Error("without a process, the page does not say how one appears")
		}
		s.start()
		mine, theirs := s.dispatch(elsewhere{ID: "theirs.example", How: "wait"}), s.dispatch(chore{ID: "mine.example", How: "wait"})
		s.await(mine.ID, tracker.StatusRunning)
		s.await(theirs.ID, tracker.StatusRunning)
		noError(
			t,
			db.Exec(
				"INSERT INTO nawasync_processes (id, host, pid, beat, beat_at, started_at, kinds, queues) VALUES ('frozen', 'host-of-the-frozen', 4711, 1, ?, ?, '[]', '[]')",
				s.engine.Reader().Now().Add(-40*time.Second).UnixMicro(),
				s.engine.Reader().Now().Add(-time.Hour).UnixMicro(),
			).Error,
		)

		body := s.get("viewer", "/workers").body
		for _, want := range []string{
			"1 of 2 processes send no heartbeat.", "host-of-the-frozen, PID 4711", "go back to their queues",
			"2 of 10 slots used", "mine.example", "theirs.example", "default",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if frozen, alive := strings.Index(body, "host-of-the-frozen"), strings.Index(body, "mine.example"); frozen > alive {
			t.Error("the silent process is not the first")
		}
		body = s.get("other", "/workers").body // views cloudflare only
		for _, want := range []string{"theirs.example", "a job of another service", "2 of 10 slots used", "cloudflare/record/update"} {
			if !strings.Contains(body, want) {
				t.Errorf("for a subject who views one service, the page lacks %q", want)
			}
		}
		for _, hidden := range []string{"mine.example", "whm", "default"} {
			if strings.Contains(body, hidden) {
				t.Errorf("for a subject who views one service, the page shows %q", hidden)
			}
		}
	})
}
