package testdb

import (
	"database/sql"
	"testing"

	"gorm.io/gorm"
	"gorm.io/plugin/dbresolver"
)

// WithReplica opens db again as a host does that uses gorm's plugin dbresolver: what the plugin takes
// for a read goes to the database of the replica's DSN. If sources is set, what it takes for a write
// goes to a source, here a second pool on db.
func WithReplica(t testing.TB, db *Database, replica string, sources bool) *Database {
	t.Helper()
	opened, err := Open(db.Dialect, db.DSN)
	requireNoError(t, err)
	t.Cleanup(func() { closeDB(opened) })
	config := dbresolver.Config{Replicas: []gorm.Dialector{dialector(db.Dialect, replica)}}
	if sources {
		config.Sources = []gorm.Dialector{dialector(db.Dialect, db.DSN)}
	}
	plugin := dbresolver.Register(config)
	requireNoError(t, opened.Use(plugin))
	t.Cleanup(func() {
		_ = plugin.Call(func(pool gorm.ConnPool) error {
			if pool, ok := pool.(*sql.DB); ok {
				return pool.Close()
			}
			return nil
		})
	})
	return &Database{DB: opened, Dialect: db.Dialect, DSN: db.DSN}
}

// ReplicaLeak is the top function of the goroutines that dbresolver leaves behind: gorm has no way to
// close the cache of prepared statements that the plugin makes for each pool.
const ReplicaLeak = "gorm.io/gorm/internal/lru.NewLRU[...].func1"
