package mirror_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// wishBox has fields of each sort that a wish can concern.
type wishBox struct {
	ID       uint64
	Realm    string `sync:"scope"`
	Name     string `sync:"key"`
	Quota    *int64
	Plan     string
	Combo    string          `sync:",hidden"`
	Token    string          // its name is that of a secret
	Doc      any             `gorm:"serializer:json"`
	Used     int64           `sync:"observed"`
	Password nawasync.Secret `gorm:"-"               sync:"secret"`
	nawasync.SyncStatus
}

const wishBoxColumns = "realm TEXT NOT NULL, name TEXT NOT NULL, quota BIGINT, plan TEXT, combo TEXT, token TEXT, doc TEXT, used BIGINT"

// newWishes returns a repository of synced boxes of the realm "r", whose jobs stay queued, and the same repository in a process that has
// neither a Remote nor the key that seals arguments.
func newWishes(t *testing.T, db *testdb.Database, list ...wishBox) (m *mirrored[wishBox], web nawasync.SyncedRepository[wishBox]) {
	t.Helper()
	h := enginetest.New(t, db)
	remote := &nawasynctest.FakeRemote[wishBox]{Key: func(b wishBox) string { return b.Name }}
	remote.Put(list...)
	m = newMirroredOn(h, "wish_boxes", wishBoxColumns, mirror.Config[wishBox]{Remote: remote, Settle: -1}, func(c *nawasync.Config) {
		c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t))
	})
	m.sync(wishBox{Realm: "r"})
	engine := h.Engine(func(c *nawasync.Config) { c.Now, c.Sealer = m.clock.Now, enginetest.Keyring(t, enginetest.NewKey(t)) })
	web, err := mirror.New(engine, mirror.Config[wishBox]{Service: "api", Type: "wish_boxes"})
	enginetest.NoError(t, err)
	return m, web
}

func (m *mirrored[T]) dispatched(job *tracker.Job, err error) int64 {
	m.t.Helper()
	enginetest.NoError(m.t, err)
	return job.ID
}

func boxOf(t *testing.T, repo nawasync.RepositoryReader[wishBox], name string) wishBox {
	t.Helper()
	b, err := repo.FindKey(t.Context(), wishBox{Realm: "r", Name: name})
	enginetest.NoError(t, err)
	return b
}

// wishesOf lists the boxes by name, with their wishes.
func wishesOf(t *testing.T, repo nawasync.RepositoryReader[wishBox], q nawasync.Query) (boxes map[string]wishBox, wishes map[string]nawasync.Wish) {
	t.Helper()
	q.Wishes = true
	page, err := repo.List(t.Context(), q)
	enginetest.NoError(t, err)
	boxes, wishes = map[string]wishBox{}, map[string]nawasync.Wish{}
	for _, b := range page.Items {
		boxes[b.Name] = b
		if w, found := page.Wishes[int64(b.ID)]; found {
			wishes[b.Name] = w
		}
	}
	return boxes, wishes
}

func TestListShowsWhatOpenChangesWillMakeOfItsRows(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, web := newWishes(t, db, wishBox{Realm: "r", Name: "a", Quota: new(int64(1)), Plan: "p", Used: 9}, wishBox{Realm: "r", Name: "b", Plan: "p"},
			wishBox{Realm: "r", Name: "c", Plan: "p"})
		ctx := t.Context()
		first := m.dispatched(m.Update(ctx, boxOf(t, m, "a"), func(b *wishBox) { b.Quota, b.Plan = new(int64(2)), "q" }, byUser))
		late := m.dispatched(m.Update(ctx, boxOf(t, m, "a"), func(b *wishBox) { b.Plan = "late" }, nawasync.Options{Delay: time.Hour}))
		second := m.dispatched(m.Update(ctx, boxOf(t, m, "a"), func(b *wishBox) { b.Plan, b.Doc = "s", json.Number("9007199254740993") }, byUser))
		update := m.dispatched(m.Update(ctx, boxOf(t, m, "b"), func(b *wishBox) { b.Plan = "q" }, byUser))
		deletion := m.dispatched(m.Delete(ctx, boxOf(t, m, "b"), byUser))
		creation := m.dispatched(m.Create(ctx, wishBox{Realm: "r", Name: "d", Plan: "new"}, byUser))
		onCreated := m.dispatched(m.Update(ctx, boxOf(t, m, "d"), func(b *wishBox) { b.Quota = new(int64(5)) }, byUser))
		boxes, got := wishesOf(t, web, nawasync.Query{Where: map[string]any{"realm": "r"}})
		want := map[string]nawasync.Wish{
			"a": {Jobs: []int64{first, second, late}, Fields: map[string]int64{"quota": first, "plan": late, "doc": second}},
			"b": {Jobs: []int64{update, deletion}, Deletes: true, Fields: map[string]int64{"plan": update}},
			"d": {
				Jobs: []int64{creation, onCreated}, Creates: true, Masked: []string{"combo", "token"},
				Fields: map[string]int64{"plan": creation, "combo": creation, "token": creation, "doc": creation, "quota": onCreated},
			},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("wishes are\n%+v, want\n%+v", got, want)
		}
		a := boxes["a"]
		if *a.Quota != 2 || a.Plan != "late" || fmt.Sprint(a.Doc) != "9007199254740993" || a.Used != 9 || a.State != nawasync.StatePendingUpdate {
			t.Errorf("row a is %+v; want the values of its three changes, and the others as stored", a)
		}
		if boxes["b"].Plan != "q" || boxes["b"].State != nawasync.StatePendingDelete || boxes["c"].Plan != "p" || *boxes["d"].Quota != 5 {
			t.Errorf("rows are %+v", boxes)
		}
		// The stored values decide which rows are found, and in which order.
		if found, _ := wishesOf(t, web, nawasync.Query{Where: map[string]any{"plan": "p"}, Sort: "-quota", Total: 10}); len(found) != 3 {
			t.Errorf("%d rows have the stored plan p, want a, b and c", len(found))
		}
		if plain, err := web.List(ctx, nawasync.Query{}); err != nil || plain.Wishes != nil || plain.Items[0].Plan != "p" {
			t.Errorf("without Wishes: %+v, %v", plain, err)
		}
		// A row that Find returned.
		rows := []wishBox{boxOf(t, web, "a"), boxOf(t, web, "c")}
		laid, err := web.LayWishes(ctx, rows)
		enginetest.NoError(t, err)
		if len(laid) != 1 || rows[0].Plan != "late" || rows[1].Plan != "p" {
			t.Errorf("laid over two rows: %+v, %+v", laid, rows)
		}
		// What a user saw with its wishes can be changed back.
		back := m.dispatched(m.Update(ctx, rows[0], func(b *wishBox) { b.Plan = "p" }, byUser))
		enginetest.NoError(t, nawasynctest.Drain(ctx, m.engine, m.clock))
		m.ends(m.job(back), tracker.StatusSuccess, "")
		if _, left := wishesOf(t, web, nawasync.Query{}); len(left) != 0 {
			t.Errorf("wishes after all jobs have ended: %+v", left)
		}
	})
}

func TestWishesNeverShowWhatIsMasked(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		m, web := newWishes(t, db, wishBox{Realm: "r", Name: "a", Plan: "p", Combo: "old-combo", Token: "old-token", Doc: map[string]any{"x": 1.0}})
		const secretText = "wish-s3cret-value"
		job := m.dispatched(m.Update(t.Context(), boxOf(t, m, "a"), func(b *wishBox) {
			b.Combo, b.Token, b.Password = "new-combo-value", "new-token-value", nawasync.NewSecret(secretText)
			b.Doc, b.Plan = map[string]any{"x": 2.0, "password": "doc-password-value"}, "plan of "+secretText
		}, byUser))
		for name, repo := range map[string]nawasync.SyncedRepository[wishBox]{"with the key": m, "without": web} {
			boxes, wishes := wishesOf(t, repo, nawasync.Query{})
			got, wish := boxes["a"], wishes["a"]
			text := fmt.Sprintf("%+v %+v %s", got, wish, got.Password.Reveal())
			enginetest.RequireNoSecret(t, "a row with wishes, "+name, text, secretText, "new-combo-value", "new-token-value", "doc-password-value")
			if got.Combo != "old-combo" || got.Token != "old-token" || got.Plan != "p" || !reflect.DeepEqual(got.Doc, map[string]any{"x": 1.0}) {
				t.Errorf("%s, the row is %+v; want the stored values of what is masked", name, got)
			}
			want := nawasync.Wish{
				Jobs: []int64{job}, Masked: []string{"combo", "doc", "password", "plan", "token"},
				Fields: map[string]int64{"combo": job, "doc": job, "password": job, "plan": job, "token": job},
			}
			if !reflect.DeepEqual(wish, want) {
				t.Errorf("%s, the wish is %+v, want %+v", name, wish, want)
			}
		}
	})
}

func TestWishesOfAPageAreReadByLanesInOneStatement(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		var list []wishBox
		for i := range 60 {
			list = append(list, wishBox{Realm: "r", Name: fmt.Sprintf("b%03d", i), Plan: "p"})
		}
		m, web := newWishes(t, db, list...)
		for i := range 60 {
			seen := boxOf(t, m, fmt.Sprintf("b%03d", i))
			n := 1
			if i == 0 {
				n = 25
			}
			for k := range n {
				m.dispatched(m.Update(t.Context(), seen, func(b *wishBox) { b.Plan = fmt.Sprintf("p%02d", k+1) }, byUser))
			}
		}
		for n := range 6 { // jobs of others
			var others []nawasync.Args
			for i := range 500 {
				others = append(others, enginetest.JobArgs{ID: fmt.Sprintf("%d-%d", n, i)})
			}
			_, err := m.engine.DispatchMany(t.Context(), others, nawasync.Options{})
			enginetest.NoError(t, err)
		}
		list10 := func() {
			page, err := web.List(t.Context(), nawasync.Query{Limit: 10, Sort: "name", Wishes: true})
			enginetest.NoError(t, err)
			w := page.Wishes[int64(page.Items[0].ID)]
			if len(page.Wishes) != 10 || len(w.Jobs) != 20 || !w.More || page.Items[0].Plan != "p25" || page.Wishes[int64(page.Items[1].ID)].More {
				t.Errorf("%d wishes, of the first row %+v (%s); want 10, the newest 20 jobs, and p25", len(page.Wishes), w, page.Items[0].Plan)
			}
		}
		if list10(); db.Dialect == "sqlite" {
			return // it has no such figure
		}
		// MySQL counts the rows of all tables, and of its temporary ones.
		if read := testdb.JobRowsRead(t, db, list10); read > 600 || db.Dialect == "postgres" && read > 60 {
			t.Errorf("the list read %d rows, want the 34 jobs of its page only", read)
		}
	})
}
