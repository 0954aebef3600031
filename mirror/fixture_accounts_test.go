package mirror_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
)

// account is an object whose remote ignores case and leaves out options that are off.
type account struct {
	ID      uint64
	Realm   string `sync:"scope"`
	Name    string `sync:"key"`
	Email   string
	Options map[string]bool `gorm:"serializer:json"`
	nawasync.SyncStatus
}

func spellAccount(a *account) {
	a.Realm, a.Name, a.Email = strings.ToLower(a.Realm), strings.ToLower(a.Name), strings.ToLower(a.Email)
	for option, on := range a.Options {
		if !on {
			delete(a.Options, option)
		}
	}
}

type accounts struct {
	*mirrored[account]
	remote *mapRemote[account]
}

// newAccounts returns a repository without Normalise.
func newAccounts(t *testing.T, db *testdb.Database, list ...account) *accounts {
	t.Helper()
	remote := &mapRemote[account]{
		objects: map[string]account{},
		keyOf:   func(a account) string { return a.Name },
		stored: func(a account) account {
			spellAccount(&a)
			return a
		},
		find: func(m map[string]account, key account) string {
			for name := range m {
				if strings.EqualFold(name, key.Name) {
					return name
				}
			}
			return ""
		},
	}
	remote.put(list...)
	m := newMirrored[account](t, db, "accounts", "realm TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT NULL, options TEXT", remote)
	return &accounts{m, remote}
}

// release returns the repository as another release has it, with a NormaliseVersion, on an engine of its
// own.
func (a *accounts) release(version int, spell func(*account)) *accounts {
	a.t.Helper()
	m := *a.mirrored
	m.engine = enginetest.New(a.t, a.db).Engine(func(c *nawasync.Config) { c.Now = m.clock.Now })
	var err error
	m.SyncedRepository, err = mirror.New(m.engine, mirror.Config[account]{
		Service: "api", Type: "accounts", Remote: a.remote, Normalise: spell, NormaliseVersion: version,
	})
	enginetest.NoError(a.t, err)
	return &accounts{&m, a.remote}
}

func named(name string) account {
	return account{Realm: "R", Name: name, Email: name + "@Example.com", Options: map[string]bool{"on": true, "off": false}}
}
