package mirror_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestSyncRecordsTheChangesOfEachObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 20)
		if kinds, _ := s.history(t, "g0001"); len(kinds) != 0 {
			t.Errorf("changes after the first load = %v, want none", kinds)
		}
		list := numberedGadgets(20)
		s.changeRemote("g0001", setQuota(300))
		s.changeRemote("g0001", func(g *gadget) { g.Tags = []string{strings.Repeat("long", 400)} })
		s.remote.Drop(list[2], list[3])
		s.remote.Put(gadget{Instance: "one", Name: "late"})
		job := s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		kinds, drifted := s.history(t, "g0001")
		var fields map[string]struct {
			From any `json:"from"`
			To   any `json:"to"`
		}
		enginetest.NoError(t, json.Unmarshal(drifted.Fields, &fields))
		if !slices.Equal(kinds, []tracker.ChangeKind{tracker.ChangeDrifted}) || drifted.JobID != job.ID || drifted.At.IsZero() || fields["quota_mb"].From != 101.0 ||
			fields["quota_mb"].To != 300.0 || fields["tags"].To != "…" || len(fields) != 2 {
			t.Errorf("changes = %v, newest = %+v with fields %s; want one drift of quota_mb and tags", kinds, drifted, drifted.Fields)
		}
		s.remote.Put(list[3])
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		s.confirmed(t)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		for name, want := range map[string][]tracker.ChangeKind{
			"g0001": {tracker.ChangeDrifted}, "g0002": {tracker.ChangeDeleted, tracker.ChangeVanished}, "g0003": {tracker.ChangeReturned, tracker.ChangeVanished},
			"g0004": nil, "late": {tracker.ChangeAppeared},
		} {
			if kinds, _ := s.history(t, name); !slices.Equal(kinds, want) {
				t.Errorf("changes of %s = %v, want %v", name, kinds, want)
			}
		}
		// A plan records nothing, and an update by a job is not drift.
		s.changeRemote("g0005", setQuota(300))
		_, err := s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		enginetest.NoError(t, err)
		s.waitStatus(t, s.update(t, s.row(t, "g0006"), setQuota(700)), tracker.StatusSuccess)
		for _, name := range []string{"g0005", "g0006"} {
			if kinds, _ := s.history(t, name); len(kinds) != 0 {
				t.Errorf("changes of %s = %v, want none", name, kinds)
			}
		}
		// Forget deletes the recorded changes of an object.
		if _, err := s.engine.Forget(t.Context(), tracker.Target{Service: "shop", Type: "gadget", Instance: "one", ID: "g0001"},
			nawasync.OperatorOptions{}); err != nil {
			t.Errorf("Forget: %v", err)
		}
		if kinds, _ := s.history(t, "g0001"); len(kinds) != 0 {
			t.Errorf("changes after Forget = %v, want none", kinds)
		}
		n, err := enginetest.Store(s.engine).PruneChanges(t.Context(), s.engine.Reader().Now().Add(time.Hour), 3)
		m, err2 := enginetest.Store(s.engine).PruneChanges(t.Context(), time.Now().Add(-time.Hour), 100)
		if n != 3 || err != nil || m != 0 || err2 != nil {
			t.Errorf("PruneChanges deleted %d and %d changes, want 3 and 0; errors = %v, %v", n, m, err, err2)
		}
	})
}
