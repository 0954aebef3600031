package mirror_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

// shownBox has a column that is shown, and a document that may have a member of the same name.
type shownBox struct {
	ID        uint64
	Name      string `sync:"key"`
	TokenName string `sync:",shown"`
	Doc       json.RawMessage
	nawasync.SyncStatus
}

func TestAShownColumnShowsNoMemberOfADocumentWithItsName(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		remote := &nawasynctest.FakeRemote[shownBox]{Key: func(b shownBox) string { return b.Name }}
		m := newMirroredOn(h, "shown_boxes", "name TEXT NOT NULL UNIQUE, token_name TEXT, doc TEXT", mirror.Config[shownBox]{Remote: remote, Settle: -1},
			func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		first := shownBox{Name: "a", TokenName: "shown-name-1", Doc: json.RawMessage(`{"token_name":"S3CR3T-value-1","list":[{"token_name":"S3CR3T-value-2"}]}`)}
		m.ends(m.drain(m.Create(t.Context(), first, byUser)), tracker.StatusSuccess, "")
		seen, err := m.FindKey(t.Context(), shownBox{Name: "a"})
		enginetest.NoError(t, err)
		m.ends(m.drain(m.Update(t.Context(), seen, func(b *shownBox) {
			b.TokenName, b.Doc = "shown-name-2", json.RawMessage(`{"token_name":"S3CR3T-value-3"}`)
		}, byUser)), tracker.StatusSuccess, "")
		dump := enginetest.DumpDatabase(t, h, "shown_boxes")
		enginetest.RequireNoSecret(t, "the database, Redis or the log", dump, "S3CR3T-value-1", "S3CR3T-value-2", "S3CR3T-value-3")
		for _, want := range []string{"shown-name-1", "shown-name-2"} {
			if !strings.Contains(dump, want) {
				t.Errorf("the dump lacks %q", want)
			}
		}
	})
}
