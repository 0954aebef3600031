package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/tracker"
)

// pagedTenants lists ten tenants per window.
type pagedTenants struct {
	*mapRemote[tenant]
	spent bool
	paged bool
}

func (r *pagedTenants) List(ctx context.Context, scope tenant, detail string) iter.Seq2[mirror.Page[tenant], error] {
	return r.ListFrom(ctx, scope, detail, "")
}

func (r *pagedTenants) ListFrom(_ context.Context, _ tenant, _, after string) iter.Seq2[mirror.Page[tenant], error] {
	return func(yield func(mirror.Page[tenant], error) bool) {
		for {
			if r.paged && r.spent {
				r.spent = false
				yield(mirror.Page[tenant]{}, &fault.Error{Class: fault.ClassRateLimited, RetryAfter: time.Hour, Err: errors.New("429")})
				return
			}
			r.spent = true
			p := mirror.Page[tenant]{Proof: mirror.Proof{Level: mirror.ProofExhausted}}
			for _, key := range r.keys() {
				if key > after && len(p.Items) < 10 {
					p.Items = append(p.Items, r.objects[key])
				}
			}
			if len(p.Items) == 0 {
				yield(p, nil)
				return
			}
			after = p.Items[len(p.Items)-1].Name
			p.Cursor = after
			if !yield(p, nil) {
				return
			}
		}
	}
}

func newPagedTenants(t *testing.T, db *testdb.Database, n int) (*pagedTenants, *mirrored[tenant]) {
	remote := &pagedTenants{mapRemote: &mapRemote[tenant]{
		objects: map[string]tenant{},
		keyOf:   func(v tenant) string { return v.Name },
		find:    func(_ map[string]tenant, key tenant) string { return key.Name },
	}}
	m := newMirrored[tenant](t, db, "tenants", "realm TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, uid TEXT, note TEXT", remote)
	for i := range n {
		remote.put(tenantOf(fmt.Sprintf("t%03d", i), "u-old"))
	}
	m.sync(tenant{Realm: "r"})
	return remote, m
}

// A new release of the server reports other uids.
func TestResumedListingReplacesNoMoreRowsThanTheLimit(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newPagedTenants(t, db, 60)
		for i := range 60 {
			remote.put(tenantOf(fmt.Sprintf("t%03d", i), "u-new"))
		}
		remote.paged = true
		m.clock.Advance(time.Minute)
		job := m.drain(m.SyncNow(t.Context(), tenant{Realm: "r"}, "", byUser))
		t.Logf("%s %s", job.Status, job.Error)
		var deleted int64
		enginetest.NoError(t, db.Raw("SELECT COUNT(*) FROM tenants WHERE deleted_at IS NOT NULL").Scan(&deleted).Error)
		if deleted > 18 {
			t.Errorf("%d of 60 rows were replaced, want at most 18 (30 %%)", deleted)
		}
	})
}

type measured struct {
	ID     uint64
	Realm  string `sync:"scope"`
	Name   string `sync:"key"`
	Text   string
	Opt    *string
	At     time.Time
	Weight float64
	Doc    map[string]any `gorm:"serializer:json"`
	nawasync.SyncStatus
}

func measuredColumns(db *testdb.Database) string {
	at, float := "DATETIME", "REAL"
	switch db.Dialect {
	case "postgres":
		at, float = "TIMESTAMPTZ", "DOUBLE PRECISION"
	case "mysql":
		at, float = "DATETIME(6)", "DOUBLE"
	}
	return "realm TEXT NOT NULL, name TEXT NOT NULL, text TEXT, opt TEXT, at " + at + ", weight " + float + ", doc TEXT"
}

func newMeasured(t *testing.T, db *testdb.Database) (*mapRemote[measured], *mirrored[measured]) {
	remote := &mapRemote[measured]{
		objects: map[string]measured{},
		keyOf:   func(v measured) string { return v.Name },
		find:    func(_ map[string]measured, key measured) string { return key.Name },
	}
	h := &enginetest.Harness{DB: db}
	enginetest.ParseTimes(t, h)
	db = h.DB
	if db.Dialect == "mysql" {
		enginetest.NoError(t, db.Exec("ALTER DATABASE CHARACTER SET utf8mb4").Error)
	}
	return remote, newMirrored[measured](t, db, "measureds", measuredColumns(db), remote)
}

var someTime = time.Date(2026, 5, 4, 7, 21, 18, 504_123_987, time.FixedZone("WIB", 7*3600))

// Odd values are stored, found unchanged by the next sync, and can be changed and deleted.
func TestOddValuesAreStoredChangedAndDeleted(t *testing.T) {
	t.Parallel()
	empty, spaces := "", "  x  "
	base := measured{Realm: "r", At: someTime, Weight: 0.995, Text: "a"}
	with := func(name string, change func(*measured)) measured {
		v := base
		v.Name = name
		change(&v)
		return v
	}
	cases := map[string]measured{
		"nfc":         with("caf\u00e9", func(v *measured) { v.Text = "caf\u00e9" }),
		"nfd":         with("cafe\u0301", func(v *measured) { v.Text = "cafe\u0301" }),
		"upper":       with("Name", func(*measured) {}),
		"lower":       with("name", func(*measured) {}),
		"trailing":    with("name ", func(v *measured) { v.Text = "trailing  " }),
		"emoji":       with("x\U0001F600", func(v *measured) { v.Text = "\U0001F600" }),
		"empty":       with("e1", func(v *measured) { v.Text, v.Opt = "", &empty }),
		"null":        with("e2", func(v *measured) { v.Text, v.Opt = "", nil }),
		"spaces":      with("e3", func(v *measured) { v.Opt = &spaces }),
		"zero time":   with("t0", func(v *measured) { v.At = time.Time{} }),
		"year 1":      with("t1", func(v *measured) { v.At = time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC) }),
		"before 1970": with("t2", func(v *measured) { v.At = time.Date(1931, 1, 1, 0, 0, 1, 123_456_789, time.UTC) }),
		"-0":          with("f0", func(v *measured) { v.Weight = math.Copysign(0, -1) }),
		"tiny":        with("f1", func(v *measured) { v.Weight = 5e-324 }),
		"huge":        with("f2", func(v *measured) { v.Weight = math.MaxFloat64 }),
		"doc nil":     with("d0", func(v *measured) { v.Doc = nil }),
		"doc empty":   with("d1", func(v *measured) { v.Doc = map[string]any{} }),
		"doc null":    with("d2", func(v *measured) { v.Doc = map[string]any{"a": nil, "b": []any{}, "c": map[string]any{}} }),
		"doc int": with("d3", func(v *measured) {
			v.Doc = map[string]any{"n": int64(9007199254740993), "u": uint64(math.MaxUint64), "f": float32(0.1)}
		}),
		"doc html":     with("d4", func(v *measured) { v.Doc = map[string]any{"h": "<a>&\u2028\u0001\x7f"} }),
		"doc bad utf8": with("d6", func(v *measured) { v.Doc = map[string]any{"h": "a\xffb"} }),
		"text nul":     with("x1", func(v *measured) { v.Text = "a\x00b\xff" }),
	}
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		for name, v := range cases {
			t.Run(name, func(t *testing.T) {
				sub := testdbFresh(t, db)
				remote, m := newMeasured(t, sub)
				good := base
				good.Name = "good"
				remote.put(good, v)
				m.clock.Advance(time.Minute)
				first := m.drain(m.SyncNow(t.Context(), measured{Realm: "r"}, "", byUser))
				m.clock.Advance(time.Minute)
				second := m.drain(m.SyncNow(t.Context(), measured{Realm: "r"}, "", byUser))
				t.Logf("%s %s %s", second.Status, second.Error, second.Result)
				m.ends(first, tracker.StatusSuccess, "")
				if !strings.Contains(string(second.Result), `"unchanged":2`) {
					t.Errorf("the second sync changed something: %s", second.Result)
				}
				for _, row := range m.rows() {
					if row.Name == "good" {
						continue
					}
					m.ends(m.drain(m.Update(t.Context(), row, func(v *measured) { v.Text = "changed" }, byUser)), tracker.StatusSuccess, "")
				}
				for _, row := range m.rows() {
					if row.Name != "good" {
						m.ends(m.drain(m.Delete(t.Context(), row, byUser)), tracker.StatusSuccess, "")
					}
				}
				if left := len(m.rows()); left != 1 {
					t.Errorf("%d rows are left", left)
				}
			})
		}
	})
}

// Keys that a collation treats as equal, in one scope and in scopes that differ so.
func TestKeysThatDifferInOneByteAreDifferentObjects(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newMeasured(t, db)
		names := []string{"caf\u00e9", "cafe\u0301", "cafe", "Cafe", "cafe ", "caf\u00e9 ", "\U0001F600", "\U0001F601", "ss", "ß"}
		for _, name := range names {
			remote.put(measured{Realm: "r", Name: name, At: someTime, Text: name})
		}
		m.sync(measured{Realm: "r"})
		if got := len(m.rows()); got != len(names) {
			t.Fatalf("%d rows of %d objects", got, len(names))
		}
		for _, name := range names {
			row, err := m.FindKey(t.Context(), measured{Realm: "r", Name: name})
			enginetest.NoError(t, err)
			if row.Text != name {
				t.Errorf("FindKey %q = %q", name, row.Text)
			}
			m.ends(m.drain(m.Update(t.Context(), row, func(v *measured) { v.Text = "new " + name }, byUser)), tracker.StatusSuccess, "")
			if got := remote.objects[name].Text; got != "new "+name {
				t.Errorf("remote %q = %q", name, got)
			}
		}
	})
}

// A number that JSON and some databases do not have is refused, and stops nothing.
func TestNumberThatCannotBeStoredIsRefused(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newMeasured(t, db)
		for i, weight := range []float64{0.5, math.NaN(), math.Inf(1)} {
			remote.put(measured{Realm: "r", Name: fmt.Sprint("n", i), At: someTime, Weight: weight})
		}
		job := m.sync(measured{Realm: "r"})
		if got := len(m.rows()); got != 1 || !strings.Contains(string(job.Result), "n1") {
			t.Errorf("%d rows, result %s, want one row and the others named", got, job.Result)
		}
	})
}

// Arguments must not contain NUL, so the deletion has a digest of the document.
func TestDocumentWithANULCanBeDeleted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		remote, m := newMeasured(t, db)
		remote.put(measured{Realm: "r", Name: "n", At: someTime, Doc: map[string]any{"h": "a\x00b"}})
		m.sync(measured{Realm: "r"})
		for _, row := range m.rows() {
			m.ends(m.drain(m.Delete(t.Context(), row, byUser)), tracker.StatusSuccess, "")
		}
	})
}

// A task of a whole day.
func TestDrainFollowsATaskThatTakesADay(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		zone := newZoneRemote(wwwRecord)
		m := newZone(t, db, zone, mirror.Config[zoneRecord]{Remote: pollingRemote{zone}})
		zone.after = func(string) error { return mirror.Accepted("task") }
		zone.handles["task"] = 100 // for more than ten hours
		m.ends(m.drain(m.Update(t.Context(), row(m, "www"), setContent("x"), byUser)), tracker.StatusSuccess, "")
	})
}
