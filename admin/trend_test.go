package admin_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestChartsMarkEndedPausesAndDeployments(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		s.await(s.dispatch(chore{ID: "a"}).ID, tracker.StatusSuccess)
		for service, instance := range map[string]string{"whm": "web1", "dns": ""} {
			noError(t, s.engine.Pause(t.Context(), service, instance, nawasync.PauseOptions{By: "ann"}))
			_, err := s.engine.Resume(t.Context(), service, instance, nawasync.OperatorOptions{By: "ann"})
			noError(t, err)
		}
		for _, version := range []string{"v9.8.6", "v9.8.7"} {
			noError(t, enginetest.Store(s.engine).NoteVersion(t.Context(), "example.org/app", version))
		}
		for path, want := range map[string][]string{
			"/?window=1h":   {"whm on web1 paused from", "dns paused from", "version v9.8.7 since"},
			"/services/whm": {"whm on web1 paused from", "version v9.8.7 since"},
			"/audit":        {"new version", "v9.8.7"},
			"/?window=15m":  {`class="pause"`, `class="mark"`},
		} {
			page := s.get("viewer", path).body
			for _, text := range want {
				if !strings.Contains(page, text) {
					t.Errorf("%s lacks %q", path, text)
				}
			}
			if path == "/services/whm" && strings.Contains(page, "dns paused from") {
				t.Errorf("%s shows a pause of another service", path)
			}
		}
	})
}
