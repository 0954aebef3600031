package mirror_test

import (
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
)

func TestDrainRunsTheJobsOfARepository(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	s := newIdleShop(t, h)
	s.remote.Put(gadget{Instance: "one", Name: "a", Plan: "basic"})
	clock := nawasynctest.NewClock(time.Time{}) // no job is due later
	_, err := s.repo.SyncNow(t.Context(), gadget{Instance: "one"}, "", byUser)
	enginetest.NoError(t, err)
	enginetest.NoError(t, nawasynctest.Drain(t.Context(), s.engine, clock))
	seen, err := s.repo.FindKey(t.Context(), gadget{Instance: "one", Name: "a"})
	enginetest.NoError(t, err)
	s.update(t, seen, func(g *gadget) { g.Plan = "pro" })
	enginetest.NoError(t, nawasynctest.Drain(t.Context(), s.engine, clock))
	row, err := s.repo.FindKey(t.Context(), gadget{Instance: "one", Name: "a"})
	enginetest.NoError(t, err)
	if remote, _ := s.remote.find("a"); remote.Plan != "pro" || row.Plan != "pro" || row.State != nawasync.StateSynced {
		t.Errorf("remote = %s, row = %s (%s); want pro on both, synced", remote.Plan, row.Plan, row.State)
	}
}
