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

func TestListPagesInEveryOrderWithoutLossOrRepeat(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newShop(t, enginetest.New(t, db))
		list := numbered(47)
		for i := range list {
			list[i].Plan = fmt.Sprintf("plan%d", i%3)
			list[i].QuotaMB = new(i / 10) // ten share a value
			if i%4 == 0 {
				list[i].QuotaMB = nil
			}
		}
		s.remote.Put(list...)
		s.status(t, s.sync(t), tracker.StatusSuccess)
		for _, sort := range []string{"", "-id", "name", "-name", "quota_mb", "-quota_mb", "plan", "sync_status"} {
			found := s.pages(t, nawasync.Query{Sort: sort, Limit: 7}, nil)
			unique := slices.Compact(slices.Sorted(slices.Values(found)))
			if len(found) != 47 || len(unique) != 47 {
				t.Errorf("by %q: %d rows, %d different ones", sort, len(found), len(unique))
			}
			if sort == "-name" && !slices.IsSortedFunc(found, func(a, b string) int { return strings.Compare(b, a) }) {
				t.Errorf("by %q: %v", sort, found)
			}
			if strings.Contains(sort, "quota_mb") { // those without a value come last
				for i, name := range found {
					var n int
					_, _ = fmt.Sscanf(name, "g%d", &n)
					if (n%4 == 0) != (i >= 35) {
						t.Errorf("by %q: %s is number %d", sort, name, i)
						break
					}
				}
			}
		}
		// Rows that go and come while somebody pages move no other.
		gone := 0
		found := s.pages(t, nawasync.Query{Sort: "name", Limit: 10}, func() {
			enginetest.NoError(t, s.DB.Exec("DELETE FROM gadgets WHERE name = ?", fmt.Sprintf("g%04d", gone)).Error)
			gone++
			enginetest.NoError(t, s.DB.Exec("INSERT INTO gadgets (instance, name) VALUES ('one', ?)", fmt.Sprintf("g0000-%d", gone)).Error)
		})
		if len(found) != 47 || len(slices.Compact(slices.Clone(found))) != 47 {
			t.Errorf("%d rows while rows came and went: %v", len(found), found)
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
		s.status(t, s.sync(t), tracker.StatusSuccess)
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
			if got := strings.Join(s.pages(t, c.q, nil), " "); !sameWords(got, c.want) {
				t.Errorf("%+v: %q, not %q", c.q, got, c.want)
			}
		}
		for total, want := range map[int64]string{0: "0 false", -1: "5 false", 3: "3 true", 5: "5 false", 10: "5 false"} {
			page, err := s.repo.List(t.Context(), nawasync.Query{Total: total, Limit: 1})
			if got := fmt.Sprint(page.Total, " ", page.More); err != nil || got != want {
				t.Errorf("a count up to %d is %s, %v", total, got, err)
			}
		}
		first, err := s.repo.List(t.Context(), nawasync.Query{Limit: 1})
		enginetest.NoError(t, err)
		for what, q := range map[string]nawasync.Query{
			"an unknown column": {Where: map[string]any{"nope": 1}}, "an unknown order": {Sort: "nope; DROP TABLE gadgets"}, "a limit": {Limit: 5000},
			"a cursor": {After: "rubbish"}, "another order's cursor": {After: first.Next, Sort: "name"}, "a prefix": {Prefix: map[string]string{"x\"y": "a"}},
		} {
			if _, err := s.repo.List(t.Context(), q); !errors.Is(err, nawasync.ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func sameWords(a, b string) bool {
	return slices.Equal(slices.Sorted(slices.Values(strings.Fields(a))), slices.Sorted(slices.Values(strings.Fields(b))))
}

func TestAllStreamsEveryRowAndStopsWhenItsReaderDoes(t *testing.T) {
	t.Parallel()
	s := stocked(t, testdb.SQLite(t), 2300)
	n := 0
	for _, err := range s.repo.All(context.Background(), nawasync.Query{Prefix: map[string]string{"name": "g1"}}) {
		enginetest.NoError(t, err)
		n++
	}
	if n != 1000 {
		t.Errorf("%d rows", n)
	}
	for range s.repo.All(context.Background(), nawasync.Query{}) {
		break
	}
	for _, err := range s.repo.All(context.Background(), nawasync.Query{Where: map[string]any{"nope": 1}}) {
		if !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("a wrong query: %v", err)
		}
	}
}

func TestSortByAColumnWithNULLsOfAPlainTypeComesToAnEnd(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := stocked(t, db, 5)
		for _, sort := range []string{"sync_error", "-sync_error"} {
			if found := s.pages(t, nawasync.Query{Sort: sort, Limit: 2}, nil); len(found) != 5 {
				t.Errorf("by %s: %v", sort, found)
			}
		}
	})
}
