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

// What a sync finds changed is known of each object for ever after, not as a figure only.
func TestSyncNotesWhatItFoundOfEachObject(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 20)
		if kinds, _ := s.history(t, "g0001"); len(kinds) != 0 {
			t.Errorf("of a first load there is %v", kinds)
		}
		list := numbered(20)
		s.elsewhere("g0001", setQuota(300))
		s.elsewhere("g0001", func(g *gadget) { g.Tags = []string{strings.Repeat("long", 400)} })
		s.remote.Drop(list[2], list[3])
		s.remote.Put(gadget{Instance: "one", Name: "late"})
		job := s.status(t, s.sync(t), tracker.StatusSuccess)
		kinds, drifted := s.history(t, "g0001")
		var fields map[string]struct {
			From any `json:"from"`
			To   any `json:"to"`
		}
		enginetest.NoError(t, json.Unmarshal(drifted.Fields, &fields))
		if !slices.Equal(kinds, []tracker.ChangeKind{tracker.ChangeDrifted}) || drifted.JobID != job.ID || drifted.At.IsZero() || fields["quota_mb"].From != 101.0 ||
			fields["quota_mb"].To != 300.0 || fields["tags"].To != "…" || len(fields) != 2 {
			t.Errorf("%v %+v %s", kinds, drifted, drifted.Fields)
		}
		s.remote.Put(list[3])
		s.status(t, s.sync(t), tracker.StatusSuccess)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		for name, want := range map[string][]tracker.ChangeKind{
			"g0001": {tracker.ChangeDrifted}, "g0002": {tracker.ChangeDeleted, tracker.ChangeVanished}, "g0003": {tracker.ChangeReturned, tracker.ChangeVanished},
			"g0004": nil, "late": {tracker.ChangeAppeared},
		} {
			if kinds, _ := s.history(t, name); !slices.Equal(kinds, want) {
				t.Errorf("of %s there is %v, want %v", name, kinds, want)
			}
		}
		// A plan notes nothing, and a change of ours is no drift.
		s.elsewhere("g0005", setQuota(300))
		_, err := s.repo.Plan(t.Context(), gadget{Instance: "one"}, "")
		enginetest.NoError(t, err)
		s.status(t, s.update(t, s.row(t, "g0006"), setQuota(700)), tracker.StatusSuccess)
		for _, name := range []string{"g0005", "g0006"} {
			if kinds, _ := s.history(t, name); len(kinds) != 0 {
				t.Errorf("of %s there is %v", name, kinds)
			}
		}
		// It goes with the rest of what is kept.
		if _, err := s.engine.Forget(t.Context(), tracker.Target{Service: "shop", Type: "gadget", Instance: "one", ID: "g0001"},
			nawasync.OperatorOptions{}); err != nil {
			t.Error(err)
		}
		if kinds, _ := s.history(t, "g0001"); len(kinds) != 0 {
			t.Errorf("of a forgotten object there is %v", kinds)
		}
		n, err := enginetest.Store(s.engine).PruneChanges(t.Context(), s.engine.Reader().Now().Add(time.Hour), 3)
		m, err2 := enginetest.Store(s.engine).PruneChanges(t.Context(), time.Now().Add(-time.Hour), 100)
		if n != 3 || err != nil || m != 0 || err2 != nil {
			t.Errorf("pruned %d and %d, %v, %v", n, m, err, err2)
		}
	})
}
