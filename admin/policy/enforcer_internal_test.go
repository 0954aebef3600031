package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestRuleThatSomebodyUpdatesByHandIsAppliedAfterAWhile(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		ctx := t.Context()
		if err := Add(ctx, db.DB, Rule{Subject: "ann", Service: "whm", Permission: admin.PermissionView}); err != nil {
			t.Fatal(err)
		}
		e, err := NewEnforcer(ctx, db.DB)
		if err != nil {
			t.Fatal(err)
		}
		before, err := e.Refresh(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Exec("UPDATE nawasync_policies SET v0 = 'bob'").Error; err != nil {
			t.Fatal(err)
		}
		e.current.Load().at = time.Now().Add(-reloadAfter)
		after, err := e.Refresh(ctx)
		if err != nil || after == before {
			t.Errorf("the version is still %s, %v", after, err)
		}
		for subject, want := range map[string]bool{"ann": false, "bob": true} {
			if got, err := e.Enforce(subject, "whm", "", admin.PermissionView); err != nil || got != want {
				t.Errorf("%s may view whm: %v, %v, want %v", subject, got, err, want)
			}
		}
	})
}

func TestEnforcerKeepsALimitedNumberOfSubjects(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	e, err := NewEnforcer(t.Context(), db.DB)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxSubjects + 10 {
		if got, err := e.Enforce(fmt.Sprint("subject", i), "whm", "", admin.PermissionView); err != nil || got {
			t.Fatalf("subject %d may view whm: %v, %v", i, got, err)
		}
	}
	if n := len(e.current.Load().subjects); n > maxSubjects {
		t.Errorf("the enforcer keeps %d subjects, want at most %d", n, maxSubjects)
	}
}

func TestEnforcerThatWasNotCreatedRefuses(t *testing.T) {
	t.Parallel()
	var e Enforcer
	if got, err := e.Enforce("ann", "whm", "", admin.PermissionView); err == nil || got {
		t.Errorf("an enforcer without rules: %v, %v", got, err)
	}
}
