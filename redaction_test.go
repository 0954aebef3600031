package nawasync_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestLongTextsAreCutWithoutAPartOfASecretAtTheEnd(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		const password = "hunter2-hunter3-hunter4"
		// around returns a long text that is cut within the password.
		around := func(limit int) string {
			return strings.Repeat("x", limit-20) + " " + password + strings.Repeat(" more", 1<<20)
		}
		e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[resetPassword]{
			Wait: time.Millisecond,
			Do: func(ctx context.Context, run *nawasync.Run[resetPassword]) error {
				run.Logf("%s", around(tracker.MaxLog/4))
				run.Progress(ctx, 1, 1, strings.Repeat("\x01", tracker.MaxError/8-20)+password+strings.Repeat(" more", 1000))
				run.SetResult(around(tracker.MaxResult))
				if run.Attempt() == 1 {
					return errors.New(around(tracker.MaxError))
				}
				return nil
			},
		}))
		h.Start(e)
		id := enginetest.Dispatch(t, e, resetPassword{Email: "a@example.org", Password: nawasync.NewSecret(password)}).ID
		job := enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
		if !json.Valid(job.Progress) || !strings.Contains(string(job.Progress), "(cut)") {
			t.Errorf("progress %s, want JSON with a note that is cut", job.Progress)
		}
		if string(job.Result) != `{"bytes":5308422,"limit":65536,"truncated":true}` {
			t.Errorf("result %s, want a note with its size", job.Result)
		}
		attempts, err := e.Reader().Attempts(t.Context(), job)
		enginetest.NoError(t, err)
		for _, text := range []string{attempts[0].Error, attempts[0].Log} {
			if !strings.HasSuffix(strings.TrimSpace(text), "… (cut)") || strings.Contains(text, "more") {
				t.Errorf("the text ends with %q, want it cut", text[len(text)-60:])
			}
		}
		if dump := enginetest.DumpDatabase(t, h); strings.Contains(dump, "hunt") {
			t.Error("a part of the password is stored")
		}
	})
}
