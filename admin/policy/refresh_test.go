package policy_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
)

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// While the only connection of the pool is in use, all callers end with their contexts, and only one of them has
// waited for the connection.
func TestCallersOfRefreshShareOneConnectionAndEndWithTheirContexts(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		e, err := policy.NewEnforcer(t.Context(), db.DB)
		noError(t, err)
		pool, err := db.DB.DB()
		noError(t, err)
		pool.SetMaxOpenConns(1)
		held, err := pool.Conn(t.Context())
		noError(t, err)
		before := pool.Stats().WaitCount
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				if _, err := e.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Refresh without a connection: %v, want the end of the context", err)
				}
			})
		}
		callers.Wait()
		if waited := pool.Stats().WaitCount - before; waited != 1 {
			t.Errorf("%d of 20 callers have waited for a connection, want 1", waited)
		}
		noError(t, held.Close())
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "ann", Service: "whm", Permission: admin.PermissionView}))
		_, err = e.Refresh(t.Context())
		noError(t, err)
		if allowed, err := e.Enforce("ann", "whm", "", admin.PermissionView); err != nil || !allowed {
			t.Errorf("after the connection is free: %v, %v, want true", allowed, err)
		}
	})
}

// A rule that is stored before Refresh is called is always applied when it returns, whoever has read it.
func TestCallersOfRefreshNeverShareARoundThatBeganBeforeThem(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		e, err := policy.NewEnforcer(t.Context(), db.DB)
		noError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		var others sync.WaitGroup
		for range 4 {
			others.Go(func() {
				for ctx.Err() == nil {
					if _, err := e.Refresh(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		for i := range 50 {
			rule := policy.Rule{Subject: "ann", Service: "whm", Permission: admin.PermissionView}
			want := i%2 == 0
			if want {
				noError(t, policy.Add(t.Context(), db.DB, rule))
			} else {
				noError(t, policy.Remove(t.Context(), db.DB, rule))
			}
			_, err := e.Refresh(t.Context())
			noError(t, err)
			if allowed, err := e.Enforce("ann", "whm", "", admin.PermissionView); err != nil || allowed != want {
				t.Errorf("change %d: %v, %v, want %v", i, allowed, err, want)
			}
		}
		stop()
		others.Wait()
	})
}
