package nawasync_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// resetPassword has a secret of its own type, one by name in nested data, and one
// in a URL.
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

func newKey(t testing.TB) []byte {
	t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	ok(t, err)
	return key
}

func keyring(t testing.TB, keys ...[]byte) *secret.Keyring {
	t.Helper()
	ring, err := secret.NewKeyring(keys...)
	ok(t, err)
	return ring
}

// forms are how a secret may turn up in foreign texts.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("user:" + secret)), base64.URLEncoding.EncodeToString([]byte("u:" + secret)),
	}
}

func TestSecretReachesTheJobAndRestsNowhereInTheClear(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		const password, nested, inURL, extra = "p4ss\"w&rd-ünique", "n3sted-token-value", "url-s3cret-value", "m0re-secret-value"
		all := []string{password, nested, inURL, extra}
		e := h.engine(func(c *nawasync.Config) { c.Sealer = keyring(t, newKey(t)) })
		received := make(chan resetPassword, 10)
		ok(t, nawasync.Register(e, &handler[resetPassword]{backoff: time.Millisecond, fn: func(ctx context.Context, run *nawasync.Run[resetPassword]) error {
			received <- run.Args
			var leaks []string
			for _, secret := range all {
				leaks = append(leaks, forms(secret)...)
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
		}}))
		h.start(e)
		job := dispatch(t, e, resetPassword{
			Email: "a@example.org", Password: nawasync.NewSecret(password), More: []nawasync.Secret{nawasync.NewSecret(extra)},
			Extra: map[string]any{"deep": []any{map[string]any{"access_token": nested}}}, Hook: "https://bob:" + inURL + "@hooks.example.org/x",
		})
		if got := <-received; got.Password.Reveal() != password || got.More[0].Reveal() != extra || !strings.Contains(got.Hook, inURL) {
			t.Fatalf("the job received %q", got.Password.Reveal())
		}
		done := waitStatus(t, e, job.ID, tracker.Success)
		if !strings.Contains(string(done.Result), `"n":5`) {
			t.Fatalf("result %s", done.Result)
		}
		everything := dump(t, h)
		for _, secret := range all {
			for _, form := range forms(secret) {
				if i := strings.Index(everything, form); i >= 0 {
					t.Errorf("%q rests in the clear: …%s…", form, everything[max(0, i-200):min(len(everything), i+100)])
				}
			}
		}
		if !strings.Contains(everything, "remote said: ***") {
			t.Error("the error text is missing: nothing was looked at")
		}
	})
}

// dump is all that is in the rows, in Redis and in the log.
func dump(t *testing.T, h *harness) string {
	t.Helper()
	var b strings.Builder
	tables, err := h.db.Migrator().GetTables()
	ok(t, err)
	if len(tables) < 9 {
		t.Fatalf("only %v to look into", tables)
	}
	for _, table := range tables {
		if table == migrations.Table {
			continue // goose's own
		}
		var rows []map[string]any
		ok(t, h.db.Raw("SELECT * FROM "+table).Scan(&rows).Error)
		for _, row := range rows {
			for _, value := range row {
				if raw, isBytes := value.([]byte); isBytes {
					value = string(raw)
				}
				fmt.Fprintln(&b, value)
			}
		}
	}
	if h.mini != nil {
		b.WriteString(h.mini.Dump())
	} else {
		keys, err := h.redis.Keys(t.Context(), "*").Result()
		ok(t, err)
		for _, key := range keys {
			fmt.Fprintln(&b, key, h.redis.HGetAll(t.Context(), key).Val(), h.redis.Get(t.Context(), key).Val(), h.redis.LRange(t.Context(), key, 0, -1).Val())
		}
	}
	b.WriteString(h.log.String())
	return b.String()
}

func TestRetryWithASecretWorksAfterKeyRotation(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		old, fresh := newKey(t), newKey(t)
		got := make(chan string, 10)
		run := func(ring *secret.Keyring, fail bool) *nawasync.Engine {
			e := h.engine(func(c *nawasync.Config) { c.Sealer = ring })
			ok(t, nawasync.Register(e, &handler[resetPassword]{fn: func(_ context.Context, run *nawasync.Run[resetPassword]) error {
				got <- run.Args.Password.Reveal()
				if fail {
					return nawasync.Permanent(errBoom)
				}
				return nil
			}}))
			return h.start(e)
		}
		first := run(keyring(t, old), true)
		job := waitStatus(t, first, dispatch(t, first, resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")}).ID, tracker.Failed)
		ok(t, first.Stop(context.Background()))
		second := run(keyring(t, fresh, old), false)
		again, err := second.Retry(t.Context(), job.ID, nawasync.RetryOptions{})
		ok(t, err)
		waitStatus(t, second, again.ID, tracker.Success)
		if a, b := <-got, <-got; a != "hunter22" || b != "hunter22" {
			t.Fatalf("%q %q", a, b)
		}
		// A success keeps no arguments.
		if _, err := second.Retry(t.Context(), again.ID, nawasync.RetryOptions{Force: true}); !errors.Is(err, nawasync.ErrNoArguments) {
			t.Fatal(err)
		}
	})
}

func TestSealedArgumentsThatDoNotOpenFailTheJobOnce(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.engine(func(c *nawasync.Config) { c.Sealer = keyring(t, newKey(t)) })
		ok(t, nawasync.Register(e, &handler[resetPassword]{fn: func(context.Context, *nawasync.Run[resetPassword]) error {
			t.Error("it ran")
			return nil
		}}))
		args := resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")}
		tampered, swapped, wrongKey, short := dispatch(t, e, args), dispatch(t, e, resetPassword{Email: "b", Password: nawasync.NewSecret("hunter33")}), dispatch(t, e, args), dispatch(t, e, args)
		foreign := h.engine(func(c *nawasync.Config) { c.Sealer = keyring(t, newKey(t)) })
		other := dispatch(t, foreign, args)
		set := func(id int64, sealed []byte) {
			ok(t, db.Exec("UPDATE nawasync_jobs SET sealed = ? WHERE id = ?", sealed, id).Error)
		}
		broken := bytes.Clone(tampered.Sealed)
		broken[len(broken)-1] ^= 1
		set(tampered.ID, broken)
		set(swapped.ID, wrongKey.Sealed)
		set(wrongKey.ID, other.Sealed)
		set(short.ID, []byte{1, 2, 3})
		h.start(e)
		for _, id := range []int64{tampered.ID, swapped.ID, wrongKey.ID, short.ID, other.ID} {
			job := waitStatus(t, e, id, tracker.Failed)
			if job.ErrorClass != "undecodable" || job.Attempt != 1 || strings.Contains(job.Error, "hunter") {
				t.Errorf("job %d: %+v", id, job)
			}
		}
	})
}

func TestRegisterRefusesSecretsWithoutASealer(t *testing.T) {
	t.Parallel()
	h := newHarness(t, testdb.SQLite(t))
	e := h.engine(nil)
	if err := nawasync.Register(e, &handler[resetPassword]{}); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Fatal(err)
	}
	if _, err := e.Dispatch(t.Context(), resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")}, nawasync.Options{}); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Fatal(err)
	}
}
