package mirror_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// safeBox has columns that are hidden, one that is shown in spite of its name, and a document.
type safeBox struct {
	ID        uint64
	Name      string `sync:"key"`
	Combo     string `sync:",hidden"`
	LastCombo string `sync:"observed,hidden"`
	TokenName string `sync:",shown"`
	Doc       string
	Plan      string
	nawasync.SyncStatus
}

const (
	safeBoxColumns = "name TEXT NOT NULL UNIQUE, combo TEXT, last_combo TEXT, token_name TEXT, doc TEXT, plan TEXT"
	ownCredential  = "client-cred3ntial-value"
)

// safeBoxes is a remote that stores combos in upper case, writes down the last one, and changes the plan when a
// document is written.
func safeBoxes() *nawasynctest.FakeRemote[safeBox] {
	return &nawasynctest.FakeRemote[safeBox]{
		Key: func(b safeBox) string { return b.Name },
		Store: func(b safeBox, _ bool) safeBox {
			b.Combo = strings.ToUpper(b.Combo)
			if b.Doc == "side effect" {
				b.Combo, b.Plan = "SIDE-"+b.Combo, "plan of "+ownCredential
			}
			b.LastCombo = "last-" + b.Combo
			return b
		},
	}
}

// combos are the values of the hidden columns that the test writes.
func combos() (list []string) {
	for i := range 9 {
		list = append(list, fmt.Sprintf("c0mbo-%d-value", i), fmt.Sprintf("C0MBO-%d-VALUE", i))
	}
	return list
}

func TestHiddenColumnsAreOnlyInTheTable(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h, remote := enginetest.New(t, db), safeBoxes()
		m := newMirroredOn(h, "safe_boxes", safeBoxColumns, mirror.Config[safeBox]{Remote: remote, Settle: -1, MaskKeys: []string{"serial"}}, func(c *nawasync.Config) {
			c.Sealer, c.Secrets = enginetest.Keyring(t, enginetest.NewKey(t)), []nawasync.Secret{nawasync.NewSecret(ownCredential)}
		})
		box := func(name string) safeBox {
			t.Helper()
			found, err := m.FindKey(t.Context(), safeBox{Name: name})
			enginetest.NoError(t, err)
			return found
		}
		want := safeBox{Name: "a", Combo: "c0mbo-0-value", TokenName: "shown-name-1", Doc: `{"serial":"c0mbo-8-value"}`, Plan: "p1"}
		m.ends(m.drain(m.Create(t.Context(), want, byUser)), tracker.StatusSuccess, "")
		if got := box("a"); got.Combo != "C0MBO-0-VALUE" || got.LastCombo != "last-C0MBO-0-VALUE" {
			t.Fatalf("the row is %+v; want the values of the remote", got)
		}
		seen := box("a")
		m.ends(m.drain(m.Update(t.Context(), seen, func(b *safeBox) { b.Combo, b.TokenName = "c0mbo-1-value", "shown-name-2" }, byUser)), tracker.StatusSuccess, "")
		seen = box("a")
		m.ends(m.drain(m.Update(t.Context(), seen, func(b *safeBox) { b.Doc = "side effect" }, byUser)), tracker.StatusSuccess, "")
		m.sync(safeBox{})
		remote.Put(safeBox{Name: "a", Combo: "C0MBO-2-VALUE", LastCombo: "c0mbo-3-value", Plan: "p2"}, safeBox{Name: "b", Combo: "C0MBO-4-VALUE"})
		plan, err := m.Plan(t.Context(), safeBox{}, "")
		enginetest.NoError(t, err)
		if text, _ := json.Marshal(plan); !strings.Contains(string(text), `"combo":{"local":"***","remote":"***"}`) {
			t.Errorf("the plan is %s; want its sample without the combo", text)
		}
		stale := box("a")
		m.sync(safeBox{})
		conflict := m.drain(m.Update(t.Context(), stale, func(b *safeBox) { b.Combo = "c0mbo-5-value" }, byUser))
		m.ends(conflict, tracker.StatusConflict, "combo changed on the remote")
		if diff := string(conflict.Diff); !strings.Contains(diff, `"remote":{"combo":"***"}`) {
			t.Errorf("the conflict is %s; want the combo masked", diff)
		}
		answer := m.drain(mirror.ApplyMine(t.Context(), m.engine, conflict.ID, nawasync.OperatorOptions{By: "user:7"}))
		m.ends(answer, tracker.StatusSuccess, "")
		if got := box("a").Combo; got != "C0MBO-5-VALUE" {
			t.Errorf("the combo is %q, want the one of the answer", got)
		}
		m.ends(m.drain(m.Delete(t.Context(), box("b"), byUser)), tracker.StatusSuccess, "")
		dump := enginetest.DumpDatabase(t, h, "safe_boxes")
		enginetest.RequireNoSecret(t, "the database, Redis or the log", dump, append(combos(), ownCredential)...)
		for _, want := range []string{"shown-name-1", "shown-name-2", `"from":"p1"`, "adjusted: stored as", "side_effect"} {
			if !strings.Contains(dump, want) {
				t.Errorf("the dump lacks %q, so the search for secrets proves nothing", want)
			}
		}
	})
}

func TestHiddenColumnsNeedASealerAndFittingRoles(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	e := enginetest.New(t, db).Engine(nil)
	if err := errorOf(mirror.New(e, mirror.Config[safeBox]{Service: "a", Type: "b", Remote: safeBoxes()})); err == nil || !strings.Contains(err.Error(), "safe_boxes") {
		t.Errorf("error %v, want one about the missing table", err)
	}
	newMirrored(t, testdb.SQLite(t), "key_boxes", "name TEXT NOT NULL UNIQUE, plan TEXT", &nawasynctest.FakeRemote[keyBox]{Key: func(b keyBox) string { return b.Name }})
	for want, err := range map[string]error{
		"the field has the role key":            errorOf(mirror.New(e, mirror.Config[hiddenKey]{Service: "a", Type: "b"})),
		"both hidden and shown":                 errorOf(mirror.New(e, mirror.Config[hiddenAndShown]{Service: "a", Type: "b"})),
		`hides "remote", a key of results`:      errorOf(mirror.New(e, mirror.Config[keyBox]{Service: "a", Type: "b", MaskKeys: []string{"remote"}})),
		"shown is for stored fields; the field": errorOf(mirror.New(e, mirror.Config[shownSecretField]{Service: "a", Type: "b"})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	statements, err := mirror.StatusColumns("sqlite", "safe_boxes")
	enginetest.NoError(t, err)
	for _, statement := range append([]string{"CREATE TABLE safe_boxes (id INTEGER PRIMARY KEY AUTOINCREMENT, " + safeBoxColumns + ")"}, statements...) {
		enginetest.NoError(t, db.Exec(statement).Error)
	}
	if err := errorOf(mirror.New(e, mirror.Config[safeBox]{Service: "a", Type: "b", Remote: safeBoxes()})); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Errorf("error %v, want ErrNoSealer", err)
	}
}

type keyBox struct {
	ID   uint64
	Name string `sync:"key"`
	Plan string
	nawasync.SyncStatus
}

type hiddenKey struct {
	ID   uint64
	Name string `sync:"key,hidden"`
	nawasync.SyncStatus
}

type hiddenAndShown struct {
	ID   uint64
	Name string `sync:"key"`
	Plan string `sync:",hidden,shown"`
	nawasync.SyncStatus
}

type shownSecretField struct {
	ID       uint64
	Name     string          `sync:"key"`
	Password nawasync.Secret `gorm:"-"   sync:"secret,shown"`
	nawasync.SyncStatus
}
