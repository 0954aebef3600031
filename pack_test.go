package nawasync_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// resetPassword holds fields of type Secret, a map that may have keys known to hold secrets, and
// a URL that may contain a password.
type resetPassword struct {
	Email    string            `json:"email"`
	Password nawasync.Secret   `json:"password"`
	Extra    map[string]any    `json:"extra,omitempty"`
	Hook     string            `json:"hook,omitempty"`
	More     []nawasync.Secret `json:"more,omitempty"`
}

func (resetPassword) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "email_account", Action: "update_password"}
}

func (a resetPassword) Target() nawasync.Target { return nawasync.Target{ID: a.Email} }

func TestSecretReachesTheJobAndIsStoredNowhereInPlaintext(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		const password, nested, inURL, extra = "p4ss\"w&rd-ünique", "n3sted-token-value", "url-s3cret-value", "m0re-secret-value"
		all := []string{password, nested, inURL, extra}
		e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		received := make(chan resetPassword, 10)
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[resetPassword]{
			Wait: time.Millisecond,
			Do: func(ctx context.Context, run *nawasync.Run[resetPassword]) error {
				received <- run.Args
				var leaks []string
				for _, secret := range all {
					for _, spelling := range enginetest.Spellings(secret) {
						leaks = append(leaks, spelling.Text)
					}
				}
				leak := strings.Join(leaks, " | ")
				run.Logf("about to send %s", leak)
				run.Progress(ctx, 1, 2, leak)
				run.SetResult(map[string]any{"echo": leak, "password": password, "n": 5})
				switch run.Attempt() {
				case 1:
					return fmt.Errorf("remote said: %s", leak)
				case 2:
					panic(leak)
				}
				return nil
			},
		}))
		h.Start(e)
		job := enginetest.Dispatch(t, e, resetPassword{
			Email: "a@example.org", Password: nawasync.NewSecret(password), More: []nawasync.Secret{nawasync.NewSecret(extra)},
			Extra: map[string]any{"deep": []any{map[string]any{"access_token": nested}}}, Hook: "https://bob:" + inURL + "@hooks.example.org/x",
		})
		if got := <-received; got.Password.Reveal() != password || got.More[0].Reveal() != extra || !strings.Contains(got.Hook, inURL) {
			t.Fatalf("the handler received %q, %q and %q; want the secrets", got.Password.Reveal(), got.More[0].Reveal(), got.Hook)
		}
		done := enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
		if !strings.Contains(string(done.Result), `"n":5`) {
			t.Fatalf("result %s lacks n", done.Result)
		}
		everything := enginetest.DumpDatabase(t, h)
		enginetest.RequireNoSecret(t, "the database, Redis or the log", everything, all...)
		if !strings.Contains(everything, "remote said: ***") {
			t.Error("the dump lacks the redacted error text, so the search for secrets proves nothing")
		}
	})
}

func TestSealedArgumentsThatDoNotDecryptFailTheJobWithoutARetry(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[resetPassword]{Do: func(context.Context, *nawasync.Run[resetPassword]) error {
			t.Error("the handler ran")
			return nil
		}}))
		args := resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")}
		tampered, swapped, wrongKey, short := enginetest.Dispatch(t, e, args),
			enginetest.Dispatch(t, e, resetPassword{Email: "b", Password: nawasync.NewSecret("hunter33")}), enginetest.Dispatch(t, e, args),
			enginetest.Dispatch(t, e, args)
		otherEngine := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
		otherKey := enginetest.Dispatch(t, otherEngine, args)
		set := func(id int64, sealed []byte) {
			enginetest.NoError(t, db.Exec("UPDATE nawasync_jobs SET sealed = ? WHERE id = ?", sealed, id).Error)
		}
		changed := bytes.Clone(enginetest.Stored(t, e, tampered.ID).Sealed)
		changed[len(changed)-1] ^= 1
		set(tampered.ID, changed)
		set(swapped.ID, enginetest.Stored(t, e, wrongKey.ID).Sealed)
		set(wrongKey.ID, enginetest.Stored(t, e, otherKey.ID).Sealed)
		set(short.ID, []byte{1, 2, 3})
		h.Start(e)
		for _, id := range []int64{tampered.ID, swapped.ID, wrongKey.ID, short.ID, otherKey.ID} {
			job := enginetest.WaitStatus(t, e, id, tracker.StatusFailed)
			if job.ErrorClass != "undecodable" || job.Attempt != 1 || strings.Contains(job.Error, "hunter") {
				t.Errorf("job %+v, want it undecodable after one attempt, without the password in its error", job)
			}
		}
	})
}

func TestArgumentsThatMarshalToInvalidUTF8AreRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		e := enginetest.New(t, db).Engine(nil)
		if _, err := e.Dispatch(t.Context(), invalidTextArgs{"a"}, nawasync.Options{}); !errors.Is(err, nawasync.ErrInvalid) {
			t.Errorf("error %v, want ErrInvalid", err)
		}
	})
}

// invalidTextArgs marshals to JSON that is not valid UTF-8.
type invalidTextArgs struct{ ID string }

func (invalidTextArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "raw", Action: "write"}
}

func (r invalidTextArgs) Target() nawasync.Target { return nawasync.Target{ID: r.ID} }

func (r invalidTextArgs) MarshalJSON() ([]byte, error) {
	return []byte(`{"id":"` + r.ID + `","x":"` + "\xff" + `"}`), nil
}

func (r *invalidTextArgs) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &r.ID) }
