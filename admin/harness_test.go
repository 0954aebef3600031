package admin_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chore has the arguments of the tests' jobs.
type chore struct {
	ID       string
	How      string // "" succeeds, "fail" fails until site.healthy is set, "broken" always fails, "wait" runs until its context ends
	Password nawasync.Secret
}

func (c chore) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "mailbox", Action: "update"}
}
func (c chore) Target() nawasync.Target { return nawasync.Target{Instance: "main", ID: c.ID} }

// Options allows one attempt only, so that a failing job ends at once.
func (c chore) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 1} }

// elsewhere has the arguments of a job of another service.
type elsewhere struct{ ID, How string }

func (e elsewhere) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "cloudflare", Type: "record", Action: "update"}
}
func (e elsewhere) Target() nawasync.Target { return nawasync.Target{ID: e.ID} }

type doer struct {
	nawasync.AbstractJob[chore]
	site *site
}

func (d *doer) Execute(ctx context.Context, run *nawasync.Run[chore]) error {
	return d.site.do(ctx, run.Args)
}

type doerElsewhere struct {
	nawasync.AbstractJob[elsewhere]
	site *site
}

func (d *doerElsewhere) Execute(ctx context.Context, run *nawasync.Run[elsewhere]) error {
	return d.site.do(ctx, chore{ID: run.Args.ID, How: run.Args.How})
}

// site serves the pages of an engine and sends requests to them.
type site struct {
	t        *testing.T
	db       *testdb.Database
	engine   *nawasync.Engine
	server   *httptest.Server
	prefix   string
	log      *buffer
	enforcer admin.Enforcer

	mu       sync.Mutex
	calls    []string // what the fake remote received, including passwords
	healthy  bool     // jobs with How "fail" succeed
	handlers http.Handler
	config   admin.Config
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (s *site) do(ctx context.Context, c chore) error {
	s.mu.Lock()
	s.calls = append(s.calls, c.ID+" "+c.Password.Reveal())
	healthy := s.healthy
	s.mu.Unlock()
	switch {
	case c.How == "wait":
		<-ctx.Done()
		return ctx.Err()
	case c.How == "broken", c.How == "fail" && !healthy:
		return nawasync.Permanent(fmt.Errorf("quota exceeded for %s, password was %s", c.ID, c.Password.Reveal()))
	}
	return nil
}

func redisClient(t *testing.T) *redis.Client {
	t.Helper()
	m := miniredis.NewMiniRedis()
	client := redis.NewClient(&redis.Options{
		PoolSize: 100, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
	})
	t.Cleanup(func() {
		_ = client.Close()
		m.Close()
	})
	return client
}

const sealingKey = "0123456789abcdef0123456789abcdef"

// newSite serves the pages under a prefix. The header X-Subject of a request names the subject.
func newSite(t *testing.T, db *testdb.Database, prefix string, change func(*admin.Config)) *site {
	t.Helper()
	return newSiteOf(t, db, prefix, nil, change)
}

// newSiteOf is newSite with changes to the engine's configuration.
func newSiteOf(t *testing.T, db *testdb.Database, prefix string, tune func(*nawasync.Config), change func(*admin.Config)) *site {
	t.Helper()
	s := &site{t: t, db: db, prefix: prefix, log: &buffer{}}
	ring, err := secret.NewKeyring([]byte(sealingKey))
	noError(t, err)
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	engine := nawasync.Config{DB: db.DB, Redis: redisClient(t), Sealer: ring, Logger: logger, StopGrace: 10 * time.Millisecond}
	if tune != nil {
		tune(&engine)
	}
	s.engine, err = nawasync.New(engine)
	noError(t, err)
	noError(t, nawasync.Register(s.engine, &doer{site: s}))
	noError(t, nawasync.Register(s.engine, &doerElsewhere{site: s}))
	noError(t, policy.Seed(t.Context(), db.DB))
	for _, grant := range [][2]string{{"viewer", admin.RoleViewer}, {"operator", admin.RoleOperator}} {
		noError(t, policy.Grant(t.Context(), db.DB, grant[0], grant[1]))
	}
	for _, permission := range []string{admin.PermissionView, admin.PermissionManage, admin.PermissionService} {
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "other", Service: "cloudflare", Permission: permission}))
	}
	enforcer, err := policy.NewEnforcer(t.Context(), db.DB)
	noError(t, err)
	s.enforcer = enforcer
	config := admin.Config{Prefix: prefix, Enforcer: enforcer, Subject: func(r *http.Request) string { return r.Header.Get("X-Subject") }, Logger: logger}
	if change != nil {
		change(&config)
	}
	s.config = config
	s.renew()
	mux := http.NewServeMux()
	mux.HandleFunc(prefix+"/", func(w http.ResponseWriter, r *http.Request) { s.handlers.ServeHTTP(w, r) })
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

// renew replaces the handler of the pages by a new one, which has counted no refused form yet. No request
// may be running.
func (s *site) renew() {
	s.t.Helper()
	var err error
	s.handlers, err = admin.New(s.engine, s.config)
	noError(s.t, err)
}

func (s *site) start() {
	s.t.Helper()
	noError(s.t, s.engine.Start(s.t.Context()))
	s.t.Cleanup(func() {
		if err := s.engine.Stop(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
}

// answer is the response to a request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *site) get(subject, path string) answer {
	return s.request(subject, http.MethodGet, path, nil, nil)
}

func (s *site) post(subject, path string, form ...string) answer {
	values := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	return s.request(subject, http.MethodPost, path, values, nil)
}

func (s *site) request(subject, method, path string, form url.Values, header map[string]string) answer {
	s.t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		form = withToken(form)
	}
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+s.prefix+path, body)
	noError(s.t, err)
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("X-Subject", subject)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	noError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	noError(s.t, err)
	return answer{response.StatusCode, response.Header, string(data)}
}

// withToken returns a form as a page has it: with a token, unless it has one.
func withToken(form url.Values) url.Values {
	out := url.Values{"token": {rand.Text()}}
	maps.Copy(out, form)
	return out
}

// browser returns a client that keeps cookies and follows redirects.
func (s *site) browser(subject string) *http.Client {
	jar, err := cookiejar.New(nil)
	noError(s.t, err)
	return &http.Client{Jar: jar, Transport: subjectOf(subject)}
}

type subjectOf string

func (subject subjectOf) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Subject", string(subject))
	return http.DefaultTransport.RoundTrip(r)
}

func (s *site) dispatch(args nawasync.Args) *tracker.Job {
	s.t.Helper()
	job, err := s.engine.Dispatch(s.t.Context(), args, nawasync.Options{By: "user:7"})
	noError(s.t, err)
	return job
}

// await waits until the job has a status.
func (s *site) await(id int64, want tracker.Status) *tracker.Job {
	s.t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for {
		job, err := s.engine.Reader().Get(s.t.Context(), id)
		noError(s.t, err)
		if job.Status == want {
			return job
		}
		if time.Now().After(end) || job.Status.Terminal() {
			s.t.Fatalf("job %d is %s (%s), not %s", id, job.Status, job.Error, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var badgePattern = regexp.MustCompile(`<span class="badge \w+">\s*<svg[^>]*><use[^>]*></use></svg>\s*([^<]*)`)

// shows reports whether a page has the badge of a status.
func shows(page, status string) bool {
	return slices.ContainsFunc(
		badgePattern.FindAllStringSubmatch(page, -1),
		func(found []string) bool { return strings.EqualFold(strings.TrimSpace(found[1]), status) },
	)
}

// endedWell reports whether the page of a job says that it succeeded.
func endedWell(page string) bool { return shows(page, "success") }
