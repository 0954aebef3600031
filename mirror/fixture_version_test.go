package mirror_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/mirror"
)

func testdbFresh(t *testing.T, db *testdb.Database) *testdb.Database {
	t.Helper()
	switch db.Dialect {
	case "postgres":
		return testdb.Postgres(t)
	case "mysql":
		return testdb.MySQL(t)
	}
	return testdb.SQLite(t)
}

// versionedZone is a zoneRemote with ETags.
type versionedZone struct{ *zoneRemote }

func (r versionedZone) tag(v zoneRecord) string {
	v.ID = 0
	return fmt.Sprintf("%v/%v/%v/%v", v.Name, v.Content, v.TTL, v.Weight)
}

func (r versionedZone) Get(ctx context.Context, key zoneRecord) (mirror.Object[zoneRecord], error) {
	o, err := r.zoneRemote.Get(ctx, key)
	if err == nil {
		o.Version = r.tag(o.Value)
	}
	return o, err
}

func (r versionedZone) Update(ctx context.Context, now mirror.Object[zoneRecord], want zoneRecord, d mirror.FieldDiff) (mirror.Object[zoneRecord], error) {
	if r.tag(now.Value) != now.Version {
		return now, fault.WithClass(fault.ClassConflict, fmt.Errorf("412"))
	}
	o, err := r.zoneRemote.Update(ctx, now, want, d)
	o.Version = r.tag(o.Value)
	return o, err
}
