package admin_test

import (
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

func TestPrefixThatABrowserReadsAsAHostIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", nil)
	for _, prefix := range []string{"//evil.example", `/\evil.example`, "/\t/evil.example", "evil"} {
		if _, err := admin.New(s.engine, admin.Config{Prefix: prefix}); err == nil || !strings.Contains(err.Error(), "write a path such as") {
			t.Errorf("prefix %q: error %v, want one that says what to write", prefix, err)
		}
	}
}
