package admin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// planted are the arguments of a job that shows its password and the client's credential wherever it can.
type planted struct {
	ID, How  string
	Password nawasync.Secret
}

func (planted) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "mailbox", Action: "plant"}
}
func (p planted) Target() nawasync.Target    { return nawasync.Target{Instance: "main", ID: p.ID} }
func (planted) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 1} }
func (planted) text(secrets ...string) (t string) {
	for _, secret := range secrets {
		for _, spelling := range enginetest.Spellings(secret) {
			t += " | " + spelling.Text
		}
	}
	return t
}

type planter struct {
	nawasync.AbstractJob[planted]
	credential string
}

func (p *planter) Execute(ctx context.Context, run *nawasync.Run[planted]) error {
	text := run.Args.text(p.credential, run.Args.Password.Reveal())
	run.Logf("planted log %s", text)
	run.Progress(ctx, 1, 2, "planted progress "+text)
	run.SetResult(map[string]string{"echo": "planted result" + text})
	switch run.Args.How {
	case "panic":
		panic("planted panic " + text)
	case "conflict":
		return nawasync.Conflict(
			"planted conflict"+text,
			nawasync.ConflictDetail{Base: text, Desired: map[string]string{"a": text}, Remote: map[string]string{"a": text}},
		)
	}
	return nawasync.Permanent(errors.New("planted error " + text))
}

// TestPlantedSecretsAreInNoTablePageExportOrLog asks for every page that the routes have, so that a new one
// cannot be forgotten.
func TestPlantedSecretsAreInNoTablePageExportOrLog(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		credential, password := `own"cred&ential/ü+`+rand.Text(), `p4ss"w&rd/ü+`+rand.Text()
		var client redis.UniversalClient
		s := newSiteOf(t, db, "", func(c *nawasync.Config) {
			client, c.Secrets = c.Redis, []nawasync.Secret{nawasync.NewSecret(credential)}
		}, nil)
		noError(t, nawasync.Register(s.engine, &planter{credential: credential}))
		s.start()
		var ids []int64
		for how, status := range map[string]tracker.Status{"": tracker.StatusFailed, "panic": tracker.StatusFailed, "conflict": tracker.StatusConflict} {
			ids = append(ids, s.await(s.dispatch(planted{ID: "a", How: how, Password: nawasync.NewSecret(password)}).ID, status).ID)
		}
		reason := "planted reason " + planted{}.text(credential)
		noError(t, s.engine.Pause(t.Context(), "whm", "main", nawasync.PauseOptions{By: "user:7", Reason: reason}))
		urls := []string{
			"/", "/jobs", "/jobs?q=" + url.QueryEscape("error:planted"), "/jobs.json", "/jobs.csv", "/suggest.json?key=action",
			"/target?service=whm&type=mailbox&instance=main&id=a",
			"/audit", "/audit.csv", "/workers", "/health", "/health.json", "/metrics", "/services", "/services/whm",
			"/bulk?action=retry&all=1&q=status:failed", "/bulk/1",
			"/livez", "/readyz", "/assets/none.css",
		}
		for _, id := range ids {
			urls = append(urls, fmt.Sprintf("/jobs/%d", id), fmt.Sprintf("/jobs/%d?stack=full", id), fmt.Sprintf("/jobs/%d.json", id),
				fmt.Sprintf("/jobs/%d/edit", id), fmt.Sprintf("/conflicts?job=%d", id))
		}
		for _, route := range routes(t) {
			shows := func(path string) bool { return route.path.MatchString(strings.Split(path, "?")[0]) }
			if route.method == "GET" && !slices.ContainsFunc(urls, shows) {
				t.Errorf("no URL for the route %s", route.path)
			}
		}
		var all strings.Builder
		for _, path := range urls {
			body := s.get("operator", path).body
			all.WriteString(body)
			enginetest.RequireNoSecret(t, path, body, credential, password)
			enginetest.RequireNoSecret(t, path+", unescaped", html.UnescapeString(body), credential, password)
		}
		h := &enginetest.Harness{DB: db, Redis: client.(*redis.Client), Log: &enginetest.LogBuffer{}}
		dump := enginetest.DumpDatabase(t, h) + s.log.String()
		enginetest.RequireNoSecret(t, "the database, Redis or the log", dump, credential, password)
		for _, want := range []string{"planted log ", "planted result", "planted panic ", "planted conflict", "planted error ", "planted reason "} {
			if !strings.Contains(dump, want) || !strings.Contains(all.String(), want) && !slices.Contains([]string{"planted result"}, want) {
				t.Errorf("%q is missing, so the search for secrets proves nothing", want)
			}
		}
	})
}
