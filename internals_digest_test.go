package nawasync_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
)

// After a rotation, the old sealing key must not be needed for ever.
func TestKeyForDigestsIsSealedAgainWithANewSealingKey(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		older, newer := enginetest.NewKey(t), enginetest.NewKey(t)
		engine := func(keys ...[]byte) *nawasync.Engine {
			return h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, keys...) })
		}
		digestKey := func(e *nawasync.Engine) ([]byte, error) { return e.Internals(host.NewKey()).DigestKey(t.Context()) }
		first, err := digestKey(engine(older))
		enginetest.NoError(t, err)
		stored := func() (text string) {
			enginetest.NoError(t, db.Raw("SELECT value FROM nawasync_settings WHERE name = 'sealed_digest_key'").Row().Scan(&text))
			return text
		}
		before := stored()
		h.Start(engine(newer)) // lacks the key, and must leave the row alone
		if _, err := digestKey(engine(newer)); err == nil || stored() != before {
			t.Fatalf("without the old key, the key for digests opens (%v), or was replaced", err)
		}
		h.Start(engine(newer, older))
		enginetest.Eventually(t, 20*time.Second, "the key for digests is sealed again", func() bool { return stored() != before })
		if key, err := digestKey(engine(newer)); err != nil || !bytes.Equal(key, first) {
			t.Errorf("with the new key alone, the key for digests does not open, or is another one (%v)", err)
		}
		if _, err := digestKey(engine(older)); err == nil {
			t.Error("the old key still opens it")
		}
	})
}
