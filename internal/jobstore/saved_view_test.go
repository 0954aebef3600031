package jobstore_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func viewNames(list []tracker.SavedView) (names []string) {
	for _, v := range list {
		names = append(names, v.Name)
	}
	return names
}

func TestViewsAreOfTheirOwnersUnlessShared(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b, ctx := storetest.New(t, db), t.Context()
		stored := tracker.SavedView{Owner: "ann", Name: "größe", Query: `target:"größe box"`, Options: "group=error", Shared: true}
		var err error
		stored.ID, err = b.AddView(ctx, stored)
		b.NoError(err)
		stored.Created = b.Now()
		private, err := b.AddView(ctx, tracker.SavedView{Owner: "ann", Name: "Größe", Query: "is:stuck"})
		b.NoError(err)
		for _, owner := range []string{"bob", "ann "} { // MySQL compares without the space
			own, shared, err := b.SavedViews(ctx, owner)
			b.NoError(err)
			if len(own) != 0 || !slices.Equal(shared, []tracker.SavedView{stored}) {
				t.Errorf("%q has the views %v and sees %v, want only the shared one", owner, own, shared)
			}
		}
		own, shared, err := b.SavedViews(ctx, "ann")
		b.NoError(err)
		if len(own) != 2 || len(shared) != 0 {
			t.Errorf("ann has %v and sees %v of others", own, shared)
		}
		if _, err := b.AddView(ctx, tracker.SavedView{Owner: "ann", Name: "größe"}); !errors.Is(err, jobstore.ErrViewExists) {
			t.Errorf("a second view with the same name: %v", err)
		}
		if err := b.ChangeView(ctx, tracker.SavedView{ID: private, Owner: "ann", Name: "größe"}); !errors.Is(err, jobstore.ErrViewExists) {
			t.Errorf("a view that is renamed to the name of another: %v", err)
		}
		b.NoError(b.ChangeView(ctx, tracker.SavedView{ID: private, Owner: "ann", Name: "Stuck", Shared: true}))
		if _, shared, err = b.SavedViews(ctx, "bob"); err != nil || !slices.Equal(viewNames(shared), []string{"Stuck", "größe"}) {
			t.Errorf("after the change bob sees %v, %v", shared, err)
		}
		if v, err := b.SavedView(ctx, private); err != nil || v.Query != "is:stuck" || !v.Shared {
			t.Errorf("the changed view is %+v, %v", v, err)
		}
		for _, want := range []bool{true, false} {
			if found, err := b.DeleteView(ctx, private); err != nil || found != want {
				t.Errorf("delete: %t, %v, want %t", found, err, want)
			}
		}
		if err := b.ChangeView(ctx, tracker.SavedView{ID: private, Owner: "ann", Name: "x"}); !errors.Is(err, tracker.ErrNotFound) {
			t.Errorf("change of a deleted view: %v", err)
		}
		if _, err := b.SavedView(ctx, private); !errors.Is(err, tracker.ErrNotFound) {
			t.Errorf("a deleted view: %v", err)
		}
	})
}

func TestNumbersOfViewsStayWithinTheirLimitsWhenManyAreSavedAtOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b, ctx := storetest.New(t, db), t.Context()
		for i := range tracker.MaxViews - 2 {
			_, err := b.AddView(ctx, tracker.SavedView{Owner: "ann", Name: fmt.Sprint("view ", i), Shared: true})
			b.NoError(err)
		}
		var saved, full atomic.Int64
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := b.AddView(ctx, tracker.SavedView{Owner: "ann", Name: fmt.Sprint("late ", i)})
				switch {
				case err == nil:
					saved.Add(1)
				case errors.Is(err, jobstore.ErrTooManyViews):
					full.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if saved.Load() != 2 || full.Load() != 6 {
			t.Errorf("%d views were saved and %d refused, want 2 and 6", saved.Load(), full.Load())
		}
		for i, want := range []error{nil, nil, jobstore.ErrTooManyShared} {
			if _, err := b.AddView(ctx, tracker.SavedView{Owner: "bob", Name: fmt.Sprint(i), Shared: true}); !errors.Is(err, want) {
				t.Errorf("shared view %d of bob: %v, want %v", i, err, want)
			}
		}
		private, err := b.AddView(ctx, tracker.SavedView{Owner: "bob", Name: "private"})
		b.NoError(err)
		if err := b.ChangeView(ctx, tracker.SavedView{ID: private, Owner: "bob", Name: "private", Shared: true}); !errors.Is(err, jobstore.ErrTooManyShared) {
			t.Errorf("one more is shared: %v", err)
		}
		for name, v := range map[string]tracker.SavedView{
			"no owner": {Name: "a"}, "no name": {Owner: "a"}, "long name": {Owner: "a", Name: strings.Repeat("ö", tracker.MaxViewName+1)},
			"long query": {Owner: "a", Name: "a", Query: strings.Repeat("a", tracker.MaxViewQuery+1)},
		} {
			if _, err := b.AddView(ctx, v); err == nil {
				t.Errorf("a view with %s was stored", name)
			}
		}
		longest := tracker.SavedView{Owner: "bob", Name: strings.Repeat("ö", tracker.MaxViewName), Query: strings.Repeat("a", tracker.MaxViewQuery)}
		if _, err := b.AddView(ctx, longest); err != nil {
			t.Errorf("the longest view: %v", err)
		}
	})
}

func TestForgetDeletesTheViewsThatNameTheTarget(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b, ctx := storetest.New(t, db), t.Context()
		target := tracker.Target{Service: "whm", Type: "mailbox", Instance: "main", ID: `in"fo_1@example.org`}
		for name, query := range map[string]string{
			"query":                  `target:"in\"fo_1@example.org"`,
			`of in"fo_1@example.org`: "is:stuck",
			"longer":                 `target:"in\"fo_1@example.org.au"`,
			"similar":                `target:"in\"foX1@example.org"`,
			"other":                  "status:failed",
		} {
			_, err := b.AddView(ctx, tracker.SavedView{Owner: "ann", Name: name, Query: query})
			b.NoError(err)
		}
		_, err := b.Forget(ctx, target)
		b.NoError(err)
		own, _, err := b.SavedViews(ctx, "ann")
		if b.NoError(err); !slices.Equal(viewNames(own), []string{"longer", "other", "similar"}) {
			t.Errorf("the views are %v, want those that do not name the target", viewNames(own))
		}
	})
}
