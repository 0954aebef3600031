package iam_test

import (
	"testing"

	"github.com/nawasara/nawasync/examples/keycloak/iam"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestListsOfARealmHaveAnIndex(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		for range 2 { // a process that starts later finds the tables
			enginetest.NoError(t, iam.CreateTables(t.Context(), h.DB.DB))
		}
		for _, table := range []string{"keycloak_users", "keycloak_clients"} {
			if !h.DB.Migrator().HasIndex(table, table+"_list") {
				t.Errorf("the table %s has no index for lists", table)
			}
		}
	})
}
