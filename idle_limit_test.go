package nawasync_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestStartWarnsIfTheDatabaseDoesNotEndTheTransactionsOfFrozenProcesses(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		const warning = "the database does not end the transactions of frozen processes"
		h := enginetest.New(t, db)
		h.Start(h.Engine(nil))
		want := map[string]string{"postgres": `server=PostgreSQL set="idle_in_transaction_session_timeout = '60s'" limit=0s`, "mysql": "_timeout = 60"}[db.Dialect]
		if text := h.Log.String(); strings.Contains(text, warning) != (want != "") || !strings.Contains(text, want) {
			t.Errorf("the log does not have the warning, or lacks %q", want)
		}
		if db.Dialect == "sqlite" {
			return
		}
		limited := enginetest.New(t, testdb.WithIdleLimit(t, db))
		limited.Start(limited.Engine(nil))
		if strings.Contains(limited.Log.String(), warning) {
			t.Error("the log has the warning although there is a limit")
		}
	})
}
