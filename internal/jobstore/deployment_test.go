package jobstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestNewVersionOfAProgramIsNotedOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b, ctx := storetest.New(t, db), t.Context()
		start := func(program, version string) {
			t.Helper()
			var wg sync.WaitGroup
			for range 3 { // processes that start at the same time
				wg.Go(func() {
					if err := b.NoteVersion(ctx, program, version); err != nil {
						t.Errorf("note version %q: %v", version, err)
					}
				})
			}
			wg.Wait()
		}
		start("example.org/app", "v1.0.0") // not known since when
		start("example.org/app", "")
		start("example.org/other", "v0.1.0") // another program with the same tables
		start("example.org/app", "v1.1.0")
		start("example.org/app", "v1.1.0")
		start("example.org/app", "v1.2.0")
		found, err := b.Deployments(ctx, time.Time{})
		b.NoError(err)
		if len(found) != 2 || found[0].Version != "v1.2.0" || found[1].Version != "v1.1.0" || !found[0].At.Equal(b.Now()) {
			t.Errorf("found the deployments %v", found)
		}
		log, err := b.AuditLog(ctx, tracker.AuditFilter{Action: tracker.DeployAction})
		b.NoError(err)
		if len(log) != 2 || log[0].Subject != "nawasync" || log[0].Detail != "v1.2.0" {
			t.Errorf("the audit log has %+v", log)
		}
	})
}
