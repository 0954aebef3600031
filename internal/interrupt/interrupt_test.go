package interrupt_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // a driver that stops statements

	"github.com/nawasara/nawasync/internal/interrupt"
)

func TestDriverThatStopsStatementsIsRecognized(t *testing.T) {
	t.Parallel()
	pool, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	// A busy machine may delay the end of the context in some of the tries.
	for end := time.Now().Add(time.Minute); ; {
		supported, err := interrupt.Supported(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if supported {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the driver is not recognized")
		}
	}
}

func TestProbeReturnsAnErrorOfTheDatabase(t *testing.T) {
	t.Parallel()
	pool, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := interrupt.Supported(t.Context(), pool); err == nil {
		t.Error("no error from a closed pool")
	}
}
