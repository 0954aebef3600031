package admin_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

// The test is not parallel: it sets the default logger.
func TestTheCollectorLogsErrorsRedacted(t *testing.T) { //nolint:paralleltest // as above
	const credential = "nawasync_jobs" // the database's error names it
	s := newSiteOf(t, testdb.SQLite(t), "", func(c *nawasync.Config) { c.Secrets = []nawasync.Secret{nawasync.NewSecret(credential)} }, nil)
	registry := prometheus.NewPedanticRegistry()
	noError(t, registry.Register(admin.Collector(s.engine)))
	noError(t, s.db.Exec("ALTER TABLE nawasync_jobs RENAME TO other").Error)
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	gather(t, registry)
	if got := log.String(); !strings.Contains(got, "could not be read") || strings.Contains(got, credential) {
		t.Errorf("the log is %s", got)
	}
}
