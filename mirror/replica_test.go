package mirror_test

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/tracker"
)

// A replica is behind its primary. A sync that compared the listing with the replica's rows would
// overwrite what users have requested since, and an update would start from an old row. Here the
// replica has no rows and, what is worse, not even the tables.
func TestRepositoryReadsThePrimaryAlthoughDbresolverHasAReplica(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers() {
		for name, sources := range map[string]bool{"replica": false, "replica and source": true} {
			t.Run(opener.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				h := enginetest.New(t, opener.Open(t))
				replica := opener.Open(t)
				createGadgets(t, h)
				enginetest.NoError(t, migrations.Down(t.Context(), replica.DB))
				h.DB = testdb.WithReplica(t, h.DB, replica.DSN, sources)
				requireReadsOfReplica(t, h.DB)
				testRepositoryBesideReplica(t, h)
			})
		}
	}
}

func testRepositoryBesideReplica(t *testing.T, h *enginetest.Harness) {
	s := &shop{Harness: h, remote: newGadgetRemote()}
	s.openEngine(t)
	h.Start(s.engine)
	s.remote.Put(numberedGadgets(3)...)
	if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Created != 3 {
		t.Errorf("result of the first sync %+v, want 3 created", got)
	}
	if got := resultOf(t, s.waitStatus(t, s.sync(t), tracker.StatusSuccess)); got.Unchanged != 3 || got.Created+got.Updated+got.Missing != 0 {
		t.Errorf("result of a sync without changes %+v, want 3 unchanged", got)
	}
	plan, err := s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
	if err != nil || plan.Unchanged != 3 {
		t.Errorf("plan %+v, %v; want 3 unchanged", plan, err)
	}
	s.waitStatus(t, s.update(t, s.row(t, "g0001"), setQuota(7)), tracker.StatusSuccess)
	if got := s.row(t, "g0001"); *got.QuotaMB != 7 {
		t.Errorf("quota %d after the update, want 7", *got.QuotaMB)
	}
	page, err := s.repo.List(t.Context(), nawasync.Query{Total: 10})
	if err != nil || len(page.Items) != 3 || page.Total != 3 || len(s.rows(t)) != 3 {
		t.Errorf("list %+v, %v; want 3 rows", page, err)
	}
	counts, err := s.engine.CountStates(t.Context(), "shop", "gadget", "one")
	if err != nil || counts[nawasync.StateSynced] != 3 {
		t.Errorf("counts %v, %v; want 3 rows in sync", counts, err)
	}
}

// requireReadsOfReplica checks that a read of the host does go to the replica.
func requireReadsOfReplica(t *testing.T, db *testdb.Database) {
	t.Helper()
	var n int
	if db.Raw("SELECT COUNT(*) FROM nawasync_jobs").Scan(&n).Error == nil {
		t.Fatal("a read of the host went to the primary")
	}
}
