package mirror_test

import (
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// protectedBox has a password that can be part of its name.
type protectedBox struct {
	ID       uint64
	Name     string `sync:"key"`
	Plan     string
	Password nawasync.Secret `gorm:"-" sync:"secret"`
	nawasync.SyncStatus
}

func TestChangeBehindACreationIsMadeAlthoughThePasswordIsPartOfTheName(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		remote := &nawasynctest.FakeRemote[protectedBox]{Key: func(b protectedBox) string { return b.Name }}
		config := mirror.Config[protectedBox]{Remote: remote, Settle: -1}
		m := newMirroredOn(h, "protected_boxes", "name TEXT NOT NULL, plan TEXT", config, func(c *nawasync.Config) {
			c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t))
		})
		box := protectedBox{Name: "info@example.org", Plan: "small", Password: nawasync.NewSecret("info")}
		_, err := m.Create(t.Context(), box, byUser)
		enginetest.NoError(t, err)
		update := m.drain(m.Update(t.Context(), m.rows()[0], func(b *protectedBox) { b.Plan = "large" }, byUser))
		m.ends(update, tracker.StatusSuccess, "")
		if rows := m.rows(); len(rows) != 1 || rows[0].Plan != "large" {
			t.Errorf("the rows are %+v", rows)
		}
	})
}
