package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestListPagesContainEveryRowOnceInEveryOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numberedGadgets(47)
		for i := range list {
			list[i].Plan = fmt.Sprintf("plan%d", i%3)
			list[i].QuotaMB = new(i / 10) // ten rows share a value
			if i%4 == 0 {
				list[i].QuotaMB = nil
			}
		}
		s.remote.Put(list...)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		for _, sort := range []string{"", "-id", "name", "-name", "quota_mb", "-quota_mb", "plan", "sync_status"} {
			found := s.listNames(t, nawasync.Query{Sort: sort, Limit: 7}, nil)
			unique := slices.Compact(slices.Sorted(slices.Values(found)))
			if len(found) != 47 || len(unique) != 47 {
				t.Errorf("sorted by %q: %d rows, %d of them distinct, want 47", sort, len(found), len(unique))
			}
			if sort == "-name" && !slices.IsSortedFunc(found, func(a, b string) int { return strings.Compare(b, a) }) {
				t.Errorf("sorted by %q: wrong order: %v", sort, found)
			}
			if strings.Contains(sort, "quota_mb") { // rows with NULL come last
				for i, name := range found {
					var n int
					_, _ = fmt.Sscanf(name, "g%d", &n)
					if (n%4 == 0) != (i >= 35) {
						t.Errorf("sorted by %q: %s has position %d, want the rows with NULL last", sort, name, i)
						break
					}
				}
			}
		}
		// Rows that are deleted and inserted between two pages do not shift the other rows.
		deleted := 0
		found := s.listNames(t, nawasync.Query{Sort: "name", Limit: 10}, func() {
			enginetest.NoError(t, s.DB.Exec("DELETE FROM gadgets WHERE name = ?", fmt.Sprintf("g%04d", deleted)).Error)
			deleted++
			enginetest.NoError(t, s.DB.Exec("INSERT INTO gadgets (instance, name, identity) VALUES ('one', ?, ?)", fmt.Sprintf("g0000-%d", deleted),
				gadgetIdentity(fmt.Sprintf("g0000-%d", deleted))).Error)
		})
		if len(found) != 47 || len(slices.Compact(slices.Clone(found))) != 47 {
			t.Errorf("%d rows with deletes and inserts between the pages, want 47 distinct ones: %v", len(found), found)
		}
	})
}

func TestListFiltersSearchesAndCounts(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		s.remote.Put(
			gadget{Instance: "one", Name: "Alpha", Plan: "gold", QuotaMB: new(1)}, gadget{Instance: "one", Name: "alpine", Plan: "100%"},
			gadget{Instance: "one", Name: "beta_x", Plan: "a!b"}, gadget{Instance: "one", Name: "betaXx", Plan: "gold"}, gadget{Instance: "one", Name: "alé"},
		)
		s.waitStatus(t, s.sync(t), tracker.StatusSuccess)
		for _, c := range []struct {
			q    nawasync.Query
			want string
		}{
			{nawasync.Query{Where: map[string]any{"plan": "gold"}}, "Alpha betaXx"},
			{nawasync.Query{Where: map[string]any{"quota_mb": nil}}, "alpine alé betaXx beta_x"},
			{nawasync.Query{Prefix: map[string]string{"name": "al"}}, "alpine alé"},
			{nawasync.Query{Prefix: map[string]string{"name": "alé"}}, "alé"},
			{nawasync.Query{Prefix: map[string]string{"name": "beta_"}}, "beta_x"},
			{nawasync.Query{Search: "ALP"}, "Alpha alpine"},
			{nawasync.Query{Search: "0%"}, "alpine"},
			{nawasync.Query{Search: "a!b"}, "beta_x"},
			{nawasync.Query{Search: "_"}, "beta_x"},
			{nawasync.Query{Search: "' OR 1=1 --"}, ""},
			{nawasync.Query{States: []nawasync.SyncState{nawasync.StateFailed}}, ""},
			{nawasync.Query{States: []nawasync.SyncState{nawasync.StateSynced}, Search: "gold"}, "Alpha betaXx"},
		} {
			c.q.Sort = "name"
			if got := strings.Join(s.listNames(t, c.q, nil), " "); !sameNames(got, c.want) {
				t.Errorf("names for %+v = %q, want %q", c.q, got, c.want)
			}
		}
		for total, want := range map[int64]string{0: "0 false", -1: "5 false", 3: "3 true", 5: "5 false", 10: "5 false"} {
			page, err := s.repo.List(t.Context(), nawasync.Query{Total: total, Limit: 1})
			if got := fmt.Sprint(page.Total, " ", page.More); err != nil || got != want {
				t.Errorf("total and more for a count up to %d = %s, %v, want %s", total, got, err, want)
			}
		}
		first, err := s.repo.List(t.Context(), nawasync.Query{Limit: 1})
		enginetest.NoError(t, err)
		for name, q := range map[string]nawasync.Query{
			"unknown filter column": {Where: map[string]any{"nope": 1}}, "unknown sort column": {Sort: "nope; DROP TABLE gadgets"},
			"too high a limit": {Limit: 5000}, "malformed cursor": {After: "rubbish"}, "cursor of another order": {After: first.Next, Sort: "name"},
			"unknown prefix column": {Prefix: map[string]string{"x\"y": "a"}},
		} {
			if _, err := s.repo.List(t.Context(), q); !errors.Is(err, nawasync.ErrInvalid) {
				t.Errorf("%s: error = %v, want ErrInvalid", name, err)
			}
		}
	})
}

// sameNames reports whether a and b hold the same names in any order. Databases sort upper case and
// accents differently.
func sameNames(a, b string) bool {
	return slices.Equal(slices.Sorted(slices.Values(strings.Fields(a))), slices.Sorted(slices.Values(strings.Fields(b))))
}

func TestAllStreamsEveryRowAndStopsWhenTheLoopBreaks(t *testing.T) {
	t.Parallel()
	s := newSyncedShop(t, testdb.SQLite(t), 2300)
	n := 0
	for _, err := range s.repo.All(context.Background(), nawasync.Query{Prefix: map[string]string{"name": "g1"}}) {
		enginetest.NoError(t, err)
		n++
	}
	if n != 1000 {
		t.Errorf("All returned %d rows, want 1000", n)
	}
	for range s.repo.All(context.Background(), nawasync.Query{}) {
		break
	}
	for _, err := range s.repo.All(context.Background(), nawasync.Query{Where: map[string]any{"nope": 1}}) {
		if !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("All with an unknown filter column: error = %v, want ErrInvalid", err)
		}
	}
}

func TestPagingByANullableColumnOfANonPointerFieldTerminates(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSyncedShop(t, db, 5)
		for _, sort := range []string{"sync_error", "-sync_error"} {
			if found := s.listNames(t, nawasync.Query{Sort: sort, Limit: 2}, nil); len(found) != 5 {
				t.Errorf("sorted by %s: rows = %v, want 5", sort, found)
			}
		}
	})
}
