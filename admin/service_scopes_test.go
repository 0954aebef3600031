package admin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

type realm struct {
	ID   uint64
	Name string `sync:"key"`
	nawasync.SyncStatus
}

type realmUser struct {
	ID    uint64
	Realm string `sync:"scope"`
	Name  string `sync:"key"`
	nawasync.SyncStatus
}

// newRealms adds repositories of realms, and of users whose scopes they are, to the service whm.
func newRealms(t *testing.T, engine *nawasync.Engine, db *gorm.DB, names ...string) (nawasync.SyncedRepository[realm], nawasync.SyncedRepository[realmUser]) {
	t.Helper()
	for table, columns := range map[string]string{"realms": "name TEXT NOT NULL", "realm_users": "realm TEXT NOT NULL, name TEXT NOT NULL"} {
		noError(t, db.Exec(fmt.Sprintf("CREATE TABLE %s (id INTEGER PRIMARY KEY AUTOINCREMENT, %s)", table, columns)).Error)
		statements, err := mirror.StatusColumns("sqlite", table)
		noError(t, err)
		for _, statement := range statements {
			noError(t, db.Exec(statement).Error)
		}
	}
	remote := &nawasynctest.FakeRemote[realm]{Key: func(r realm) string { return r.Name }}
	for _, name := range names {
		remote.Put(realm{Name: name})
	}
	realms, err := mirror.New(engine, mirror.Config[realm]{Service: "whm", Type: "realm", Remote: remote})
	noError(t, err)
	users, err := mirror.New(engine, mirror.Config[realmUser]{
		Service: "whm", Type: "user", Remote: &nawasynctest.FakeRemote[realmUser]{Key: func(u realmUser) string { return u.Name }},
		Scopes: mirror.ScopesOf(realms, func(r realm) realmUser { return realmUser{Realm: r.Name} }),
	})
	noError(t, err)
	return realms, users
}

// awaitUserSync waits for a sync of the users of a realm, and returns its job.
func (s *site) awaitUserSync(realm string) int64 {
	s.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		found, err := s.engine.Reader().Search(s.t.Context(), tracker.Search{Terms: []tracker.Term{
			{Field: tracker.FieldType, Values: []string{"user"}}, {Field: tracker.FieldInstance, Values: []string{realm}},
		}, Limit: 1})
		noError(s.t, err)
		if len(found.Jobs) > 0 {
			return found.Jobs[0].ID
		}
		if time.Now().After(end) {
			s.t.Fatalf("no job syncs the users of %s", realm)
		}
	}
}

func TestServicePageSyncsAllScopesAndShowsThoseThatAreListed(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	for _, permission := range []string{admin.PermissionView, admin.PermissionService} {
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "part", Service: "whm", Instance: "alpha", Permission: permission}))
	}
	s := newSite(t, db, "/admin/sync", nil)
	realms, _ := newRealms(t, s.engine, s.db.DB, "alpha", "beta")
	s.start()
	job, err := realms.SyncNow(t.Context(), realm{}, "", nawasync.Options{By: "user:7"})
	noError(t, err)
	s.await(job.ID, tracker.StatusSuccess)
	// Another job syncs the new scopes. The pages remember for some seconds which instances exist, so both come first.
	for _, name := range []string{"alpha", "beta"} {
		s.await(s.awaitUserSync(name), tracker.StatusSuccess)
	}
	if got := s.post("operator", "/services/whm/sync", "type", "user", "instance", ""); got.status != http.StatusSeeOther {
		t.Fatalf("sync of all scopes: %d", got.status)
	}
	newest, err := s.engine.Reader().Search(t.Context(), tracker.Search{Terms: []tracker.Term{
		{Field: tracker.FieldType, Values: []string{"user"}}, {Field: tracker.FieldInstance, Values: []string{""}},
	}, Limit: 1})
	noError(t, err)
	s.await(newest.Jobs[0].ID, tracker.StatusSuccess)
	page := s.get("operator", "/services/whm").body
	for _, want := range []string{"user: all scopes", "user on alpha", "user on beta"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	noError(t, s.db.Exec("UPDATE nawasync_listed_scopes SET gone_at = 1 WHERE instance = 'beta'").Error)
	if page := s.get("operator", "/services/whm").body; strings.Contains(page, "user on beta") {
		t.Error("the page offers to sync a scope that is gone")
	}
	if got := s.post("part", "/services/whm/sync", "type", "user", "instance", "alpha"); got.status != http.StatusSeeOther {
		t.Errorf("a sync of alpha by somebody with the right to alpha alone: %d", got.status)
	}
	if got := s.post("part", "/services/whm/sync", "type", "user", "instance", ""); got.status != http.StatusForbidden {
		t.Errorf("a sync of all scopes by somebody with the right to alpha alone: %d, want 403", got.status)
	}
	if got := s.post("viewer", "/services/whm/sync", "type", "user", "instance", ""); got.status != http.StatusForbidden {
		t.Errorf("a viewer's sync of all scopes: %d, want 403", got.status)
	}
}
