package nawasync_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestCredentialsAreRedactedByTheirFormInLogsWithoutConfigSecrets(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(func(c *nawasync.Config) { c.Secrets = nil })
	logger := e.Internals(host.NewKey()).Redacting(slog.New(slog.NewTextHandler(h.Log, nil)))
	logger.Warn("a call failed", "error", errors.New("sent Authorization: whm root:S3CR3T"), "n", 1)
	if got := h.Log.String(); strings.Contains(got, "S3CR3T") || !strings.Contains(got, "whm ***") || !strings.Contains(got, "n=1") {
		t.Errorf("the log has %s", got)
	}
}
