package mirror_test

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// plan is a row that a form shows.
type plan struct {
	ID     uint64
	Tenant string `sync:"scope"`
	Name   string `sync:"key"`
	Made   string `sync:"incarnation"`
	Price  *int
	Title  string
	Unit   string `sync:"group=size"`
	Size   int    `sync:"group=size"`
	nawasync.SyncStatus
}

// nextPlan is the row of a release with another field.
type nextPlan struct {
	ID     uint64
	Tenant string `sync:"scope"`
	Name   string `sync:"key"`
	Made   string `sync:"incarnation"`
	Title  string
	Color  string
	nawasync.SyncStatus
}

func (*nextPlan) TableName() string { return "plans" }

// newPlans creates a repository of four plans that were synced.
func newPlans(t *testing.T, db *testdb.Database) (*mirrored[plan], *mapRemote[plan], *enginetest.Harness) {
	t.Helper()
	remote := &mapRemote[plan]{
		objects: map[string]plan{}, keyOf: func(p plan) string { return p.Name }, find: func(_ map[string]plan, key plan) string { return key.Name },
	}
	h := enginetest.New(t, db)
	m := newMirroredOn[plan](h, "plans", "tenant TEXT NOT NULL, name TEXT NOT NULL, made TEXT, price INTEGER, title TEXT, unit TEXT, size INTEGER, color TEXT",
		mirror.Config[plan]{Remote: remote, Settle: -1}, func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, shopKey) })
	for _, name := range []string{"a", "b", "c", "d"} {
		remote.put(plan{Tenant: "one", Name: name, Made: "2026", Price: new(5), Title: "old", Unit: "MB", Size: 1})
	}
	m.sync(plan{Tenant: "one"})
	return m, remote, h
}

func planOf(m *mirrored[plan], name string) plan {
	m.t.Helper()
	row, err := m.FindKey(m.t.Context(), plan{Tenant: "one", Name: name})
	enginetest.NoError(m.t, err)
	return row
}

func TestATokenCountsLikeTheRowThatTheUserSaw(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	// The form sends all fields back, as a browser does: title is the one that the user has changed.
	title := func(m *mirrored[plan], seen plan) (*tracker.Job, error) {
		return m.Update(ctx, seen, func(p *plan) { p.Title, p.Price, p.Size, p.Unit = "mine", new(5), 1, "MB" }, byUser)
	}
	resize := func(m *mirrored[plan], seen plan) (*tracker.Job, error) {
		return m.Update(ctx, seen, func(p *plan) { p.Size = 9 }, byUser)
	}
	remove := func(m *mirrored[plan], seen plan) (*tracker.Job, error) { return m.Delete(ctx, seen, byUser) }
	cases := map[string]struct {
		remote func(*plan) // changes the object after the user has seen it
		act    func(m *mirrored[plan], seen plan) (*tracker.Job, error)
		status tracker.Status
		want   plan // what the remote has in the end
	}{
		"nothing changed":              {func(*plan) {}, title, tracker.StatusSuccess, plan{Price: new(5), Title: "mine", Size: 1}},
		"another field changed":        {func(p *plan) { p.Price = new(7) }, title, tracker.StatusSuccess, plan{Price: new(7), Title: "mine", Size: 1}},
		"the field changed":            {func(p *plan) { p.Title = "theirs" }, title, tracker.StatusConflict, plan{Price: new(5), Title: "theirs", Size: 1}},
		"the field was emptied":        {func(p *plan) { p.Title = "" }, title, tracker.StatusConflict, plan{Price: new(5), Title: "", Size: 1}},
		"a field of the group changed": {func(p *plan) { p.Unit = "GB" }, resize, tracker.StatusConflict, plan{Price: new(5), Title: "old", Size: 1}},
		"deleted unchanged":            {func(*plan) {}, remove, tracker.StatusSuccess, plan{}},
		"deleted after a change":       {func(p *plan) { p.Price = nil }, remove, tracker.StatusConflict, plan{Title: "old", Size: 1}},
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, remote, _ := newPlans(t, db)
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			c := cases[name]
			for way, object := range map[string]string{"the row": "a", "a token": "b", "a token, before the sync": "c"} {
				remote.put(plan{Tenant: "one", Name: object, Made: "2026", Price: new(5), Title: "old", Unit: "MB", Size: 1})
				m.sync(plan{Tenant: "one"})
				m.sync(plan{Tenant: "one"}) // of a row whose job has just ended
				m.drain(m.Refresh(ctx, int64(planOf(m, object).ID), byUser))
				seen := planOf(m, object)
				token, err := m.Seen(ctx, seen, "ann")
				enginetest.NoError(t, err)
				changed := remote.objects[object]
				c.remote(&changed)
				remote.put(changed)
				if way != "a token, before the sync" {
					m.drain(m.Refresh(ctx, int64(seen.ID), byUser))
				}
				if way != "the row" {
					seen, err = m.ParseSeen(ctx, plan{Tenant: "one", ID: seen.ID}, "ann", token)
					enginetest.NoError(t, err)
				}
				job := m.drain(c.act(m, seen))
				got := remote.objects[object]
				samePrice := (got.Price == nil) == (c.want.Price == nil) && (got.Price == nil || *got.Price == *c.want.Price)
				if job.Status != c.status || got.Title != c.want.Title || got.Size != c.want.Size || !samePrice {
					t.Errorf("%s, with %s: the job is %s (%s), and the remote has %+v; want %s and %+v", name, way, job.Status, job.Error, got, c.status, c.want)
				}
			}
		}
	})
}

func TestOldTokensAndThoseOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, remote, h := newPlans(t, db)
		ctx := t.Context()
		a, b := planOf(m, "a"), planOf(m, "b")
		token, err := m.Seen(ctx, a, "ann")
		enginetest.NoError(t, err)
		next := h.Engine(func(c *nawasync.Config) { c.Now, c.Sealer = m.clock.Now, enginetest.Keyring(t, shopKey) })
		nextRepo, err := mirror.New(next, mirror.Config[nextPlan]{Service: "api", Type: "plans"})
		enginetest.NoError(t, err)
		otherRepo, err := mirror.New(next, mirror.Config[plan]{Service: "api", Type: "other"})
		enginetest.NoError(t, err)
		unsealed := h.Engine(func(c *nawasync.Config) { c.Now = m.clock.Now })
		unsealedRepo, err := mirror.New(unsealed, mirror.Config[plan]{Service: "api", Type: "plans"})
		enginetest.NoError(t, err)
		refused := map[string]struct{ err, want error }{
			"another scope":      {errorOf(m.ParseSeen(ctx, plan{Tenant: "two"}, "ann", token)), mirror.ErrSeen},
			"no scope":           {errorOf(m.ParseSeen(ctx, plan{}, "ann", token)), mirror.ErrSeen},
			"another row":        {errorOf(m.ParseSeen(ctx, plan{Tenant: "one", ID: b.ID}, "ann", token)), mirror.ErrSeen},
			"another name":       {errorOf(m.ParseSeen(ctx, plan{Tenant: "one", Name: "b"}, "ann", token)), mirror.ErrSeen},
			"another user":       {errorOf(m.ParseSeen(ctx, plan{Tenant: "one"}, "eve", token)), mirror.ErrSeen},
			"no user":            {errorOf(m.ParseSeen(ctx, plan{Tenant: "one"}, "", token)), mirror.ErrSeen},
			"another repository": {errorOf(otherRepo.ParseSeen(ctx, plan{Tenant: "one"}, "ann", token)), mirror.ErrSeen},
			"no token":           {errorOf(m.ParseSeen(ctx, plan{Tenant: "one"}, "ann", "")), mirror.ErrSeen},
			"a longer token":     {errorOf(m.ParseSeen(ctx, plan{Tenant: "one"}, "ann", token+"AAAA")), mirror.ErrSeen},
			"another release":    {errorOf(nextRepo.ParseSeen(ctx, nextPlan{Tenant: "one"}, "ann", token)), mirror.ErrStale},
			"no Sealer":          {errorOf(unsealedRepo.ParseSeen(ctx, plan{Tenant: "one"}, "ann", token)), nawasync.ErrNoSealer},
			"a row without id":   {errorOf(m.Seen(ctx, plan{Tenant: "one", Name: "a"}, "ann")), nawasync.ErrInvalid},
		}
		plain, err := base64.RawURLEncoding.DecodeString(token)
		enginetest.NoError(t, err)
		for i := range plain {
			changed := slices.Clone(plain)
			changed[i] ^= 1
			_, err := m.ParseSeen(ctx, plan{Tenant: "one"}, "ann", base64.RawURLEncoding.EncodeToString(changed))
			if !errors.Is(err, mirror.ErrSeen) {
				t.Fatalf("byte %d changed: error %v, want ErrSeen", i, err)
			}
		}
		if same, err := m.ParseSeen(ctx, plan{Tenant: "one", Name: "a", ID: a.ID}, "ann", token); err != nil || same.ID != a.ID {
			t.Errorf("the token itself: row %d, %v; want row %d", same.ID, err, a.ID)
		}
		enginetest.NoError(t, m.db.Exec("UPDATE plans SET made = '2027' WHERE id = ?", a.ID).Error)
		refused["another object"] = struct{ err, want error }{errorOf(m.ParseSeen(ctx, plan{Tenant: "one"}, "ann", token)), mirror.ErrStale}
		enginetest.NoError(t, m.db.Exec("UPDATE plans SET made = '2026' WHERE id = ?", a.ID).Error)
		delete(remote.objects, "a")
		m.drain(m.Delete(ctx, a, byUser))
		refused["a deleted row"] = struct{ err, want error }{errorOf(m.ParseSeen(ctx, plan{Tenant: "one"}, "ann", token)), nawasync.ErrNotFound}
		for name, r := range refused {
			if !errors.Is(r.err, r.want) {
				t.Errorf("%s: error = %v, want %v", name, r.err, r.want)
			}
		}
	})
}

func TestTokensAreShortAndTellNoValues(t *testing.T) {
	t.Parallel()
	m, _, _ := newPlans(t, testdb.SQLite(t))
	first, err := m.Seen(t.Context(), planOf(m, "a"), "")
	enginetest.NoError(t, err)
	second, err := m.Seen(t.Context(), planOf(m, "a"), "")
	enginetest.NoError(t, err)
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{50,180}$`).MatchString(first) {
		t.Errorf("the token %q has %d characters, want up to 180 that need no escapes", first, len(first))
	}
	a, _ := base64.RawURLEncoding.DecodeString(first)
	b, _ := base64.RawURLEncoding.DecodeString(second)
	for i := 10; i+4 <= len(a); i++ { // behind the version, the set of fields and the id
		for j := 10; j+4 <= len(b); j++ {
			if string(a[i:i+4]) == string(b[j:j+4]) {
				t.Fatalf("two tokens of equal rows share bytes: %x and %x", a, b)
			}
		}
	}
}

func TestFieldsThatWereNeverFetchedAreUnseenInAToken(t *testing.T) {
	t.Parallel()
	m, _, _ := newPlans(t, testdb.SQLite(t))
	ctx := t.Context()
	all := planOf(m, "a").FetchedColumns
	enginetest.NoError(t, m.db.Exec("UPDATE plans SET fetched_columns = 'title'").Error)
	token, err := m.Seen(ctx, planOf(m, "a"), "")
	enginetest.NoError(t, err)
	enginetest.NoError(t, m.db.Exec("UPDATE plans SET fetched_columns = ?", all).Error)
	seen, err := m.ParseSeen(ctx, plan{Tenant: "one"}, "", token)
	enginetest.NoError(t, err)
	_, err = m.Update(ctx, seen, func(p *plan) { p.Price = new(1) }, byUser)
	if !errors.Is(err, mirror.ErrUnseen) {
		t.Errorf("update of a price that the user could not see: error %v, want ErrUnseen", err)
	}
	if _, err := m.Update(ctx, seen, func(p *plan) { p.Title = "new" }, byUser); err != nil {
		t.Errorf("update of the title that the user saw: %v", err)
	}
}

func TestFindInDoesNotFindTheRowsOfOtherScopes(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, _, _ := newPlans(t, db)
		a := planOf(m, "a")
		found, err := m.FindIn(t.Context(), plan{Tenant: "one"}, int64(a.ID))
		if err != nil || found.Name != "a" {
			t.Errorf("FindIn in the row's scope: %+v, %v", found, err)
		}
		for _, tenant := range []string{"two", "", "ONE", "one ", "o%"} {
			if _, err := m.FindIn(t.Context(), plan{Tenant: tenant}, int64(a.ID)); !errors.Is(err, nawasync.ErrNotFound) {
				t.Errorf("FindIn in scope %q: error %v, want ErrNotFound", tenant, err)
			}
		}
	})
}
