package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/glebarez/sqlite"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/internal/mailboxes"
	"github.com/nawasara/nawasync/migrations"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chore is the argument type of the test jobs.
type chore struct {
	ID       string          `json:"id"`
	How      string          `json:"how"`
	Password nawasync.Secret `json:"password"`
}

func (c chore) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "whm", Type: "email_account", Action: "update_quota"}
}
func (c chore) Target() nawasync.Target      { return nawasync.Target{Instance: "main", ID: c.ID} }
func (c chore) Options() nawasync.JobOptions { return nawasync.JobOptions{MaxAttempts: 1} }

type doer struct {
	nawasync.AbstractJob[chore]

	limited atomic.Int32 // attempts of the only chore that is limited
}

func (d *doer) Execute(ctx context.Context, run *nawasync.Run[chore]) error {
	switch run.Args.How {
	case "fail":
		run.Logf("asked the server for %s", run.Args.ID)
		return nawasync.Permanent(errors.New("quota exceeded for " + run.Args.ID))
	case "panic":
		panic("a mistake in the handler")
	case "limited": // two attempts that do not count, and one that runs
		if d.limited.Add(1) <= 2 {
			return nawasync.RetryAfter(0, errors.New("429 too many requests"))
		}
		<-ctx.Done()
		return ctx.Err()
	case "wait":
		run.Progress(ctx, 45, 100, "reading page 3")
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// hostile has target IDs that could break a page.
var hostile = []string{
	`<img src=x onerror="alert(1)"><script>alert(2)</script>`,
	"مرحبا-" + "\u202e" + "txt.exe" + "\u202c",
	"🧨🧨🧨@💥.example/../%2e%2e?#",
	longID,
}

var longID = func() string {
	text := ""
	for i := range 24 {
		text += fmt.Sprintf("unbroken%02d", i)
	}
	return text
}()

// site serves the pages of an engine.
type site struct {
	engine                                      *nawasync.Engine
	whm                                         *remote.Remote
	boxes                                       nawasync.SyncedRepository[mailboxes.Mailbox]
	server                                      *mailboxes.Server
	url                                         string
	failed, conflict, panicked, queued, running int64
	plan                                        int64
	conflicts                                   []int64 // jobs whose conflicts can be resolved
	bulk                                        string  // path of a bulk run's page
	unavailable                                 atomic.Bool
	slow                                        atomic.Int64 // nanoseconds by which a proxy delays answers to forms
	posts                                       atomic.Int64 // forms that arrived
}

// newSite serves the pages, with data if full is true.
func newSite(t *testing.T, full bool) *site {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "test.db") + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(1)&_txlock=immediate"
	db, err := gorm.Open(sqlite.Open(dsn), &gorm.Config{Logger: logger.Discard})
	noError(t, err)
	pool, err := db.DB()
	noError(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	noError(t, migrations.Up(t.Context(), db))
	m := miniredis.NewMiniRedis()
	client := redis.NewClient(&redis.Options{
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return m.Dial() },
	})
	t.Cleanup(func() {
		_ = client.Close()
		m.Close()
	})
	ring, err := secret.NewKeyring([]byte("0123456789abcdef0123456789abcdef"))
	noError(t, err)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	s := &site{whm: budgetedRemote(t)}
	s.engine, err = nawasync.New(nawasync.Config{
		DB: db, Redis: client, Sealer: ring, Logger: quiet, StopGrace: time.Second, Remotes: []*remote.Remote{s.whm},
	})
	noError(t, err)
	noError(t, errors.Join(nawasync.Register(s.engine, &doer{}), admin.Register(s.engine, everyone{})))
	s.boxes, s.server = mailboxes.New(t, s.engine, db)
	handler, err := admin.New(s.engine, admin.Config{
		Prefix: "/admin/sync", Environment: "test", Logger: quiet, Enforcer: everyone{}, Subject: func(*http.Request) string { return "operator" },
	})
	noError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("/admin/sync/", func(w http.ResponseWriter, r *http.Request) {
		if language := os.Getenv("NAWASYNC_LANGUAGE"); language != "" { // for screenshots
			r.Header.Set("Accept-Language", language)
		}
		if s.unavailable.Load() {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(w, r)
		if r.Method == http.MethodPost {
			s.posts.Add(1)
			time.Sleep(time.Duration(s.slow.Load())) // a short answer is sent after this
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL + "/admin/sync"
	if full {
		s.schedule(t)
	}
	noError(t, s.engine.Start(t.Context()))
	t.Cleanup(func() { _ = s.engine.Stop(context.Background()) })
	if full {
		s.fill(t, db)
	}
	return s
}

// schedule registers schedules that do not tick during a test.
func (s *site) schedule(t *testing.T) {
	t.Helper()
	for name, spec := range map[string]string{"boxes-yearly": "30 2 1 1 *", "boxes-weekly": "0 0 * * 0", "a-schedule-with-a-long-name-" + hostile[0][:10]: "@every 9000h"} {
		noError(t, s.engine.Schedule(nawasync.Schedule{Name: name, Spec: spec, Args: chore{ID: "scheduled@site.example"}}))
	}
}

type everyone struct{}

func (everyone) Enforce(...any) (bool, error) { return true, nil }

func (s *site) run(t *testing.T, c chore, want tracker.Status) int64 {
	t.Helper()
	job, err := s.engine.Dispatch(t.Context(), c, nawasync.Options{By: "user:7 <b>Ann</b>"})
	noError(t, err)
	return s.awaitStatus(t, job, want)
}

// awaitStatus waits until a job has a status, and returns the job's ID.
func (s *site) awaitStatus(t *testing.T, job *tracker.Job, want tracker.Status) int64 {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		now, err := s.engine.Reader().Get(t.Context(), job.ID)
		noError(t, err)
		if now.Status == want {
			return job.ID
		}
		if now.Status.Terminal() || time.Now().After(end) {
			t.Fatalf("the job is %s: %s", now.Status, now.Error)
		}
	}
}

func (s *site) fill(t *testing.T, db *gorm.DB) {
	t.Helper()
	for i := range 40 {
		s.run(t, chore{ID: fmt.Sprintf("box%d@site.example", i)}, tracker.StatusSuccess)
	}
	for _, id := range hostile {
		s.run(t, chore{ID: id, How: "fail", Password: nawasync.NewSecret("hunter2-secret")}, tracker.StatusFailed)
	}
	s.failed = s.run(t, chore{ID: "bob@delta.example", How: "fail"}, tracker.StatusFailed)
	s.panicked = s.run(t, chore{ID: "eve@delta.example", How: "panic"}, tracker.StatusFailed)
	s.conflict = s.run(t, chore{ID: "ann@carol.example", How: "fail"}, tracker.StatusFailed)
	diff, err := json.Marshal(map[string]any{
		"base": map[string]any{"quota": 500, "note": hostile[0]}, "desired": map[string]any{"quota": 750, "note": hostile[0]},
		"remote": map[string]any{"quota": 99, "note": hostile[1]},
	})
	noError(t, err)
	noError(t, db.Exec("UPDATE nawasync_jobs SET status = 'conflict', error_class = 'conflict', error = 'quota changed on the remote after the user read the object; nothing was written', diff = ?, snap_state = 'pending_update', snap_table = 'none', snap_row = 1 WHERE id = ?", string(diff), s.conflict).Error)
	s.running = s.run(t, chore{ID: "running@site.example", How: "wait"}, tracker.StatusRunning)
	noError(t, s.engine.Pause(t.Context(), "whm", "backup", nawasync.PauseOptions{By: "operator", Reason: "the rack moves " + hostile[1]}))
	noError(t, db.Exec("UPDATE nawasync_schedules SET paused_until = ?, paused_by = 'operator', paused_reason = 'the list is wrong' WHERE name = 'boxes-weekly'", tracker.Forever.UnixMicro()).Error)
	s.fillHistory(t, db)
	s.fillCalls(t, db)
	s.fillBudgets(t)
	s.fillMirror(t)
	s.bulk = s.runBulkDelete(t)
	delayed, err := s.engine.Dispatch(t.Context(), chore{ID: "later@site.example"}, nawasync.Options{Delay: time.Hour})
	noError(t, err)
	s.queued = delayed.ID
}

// fillHistory counts jobs that ended earlier, with an hour of which nothing is known. It keeps what the engine has counted in a
// minute that has just passed.
func (s *site) fillHistory(t *testing.T, db *gorm.DB) {
	t.Helper()
	now := time.Now()
	for period, step := range map[tracker.Period]time.Duration{tracker.PeriodMinute: time.Minute, tracker.PeriodHour: time.Hour, tracker.PeriodDay: 24 * time.Hour} {
		for i := 1; i < 60; i++ {
			if i%9 == 0 {
				continue
			}
			for outcome, jobs := range map[tracker.Status]int{tracker.StatusSuccess: 20 + i*i%37, tracker.StatusFailed: i % 5 * (i % 3), tracker.StatusSkipped: i % 7} {
				var runs tracker.Histogram
				for k := range jobs {
					runs.Add(time.Duration(80+i*7%60+k*k) * time.Millisecond)
				}
				noError(t, db.Exec("INSERT OR IGNORE INTO nawasync_stats (period, bucket, service, type, action, instance, outcome, jobs, waits, runs) VALUES (?, ?, 'whm', 'email_account', 'update_quota', 'main', ?, ?, '', ?)",
					period, period.Start(now.Add(-time.Duration(i)*step)).UnixMicro(), outcome, jobs, runs.String()).Error)
			}
		}
	}
}

// fillMirror syncs mailboxes and then changes three and deletes most of them on the remote. It leaves
// three conflicts and a held sync.
func (s *site) fillMirror(t *testing.T) {
	t.Helper()
	ctx, by, scope := t.Context(), nawasync.Options{By: "user:7"}, mailboxes.Mailbox{Instance: "main"}
	address := func(i int) string { return fmt.Sprintf("info%02d@mirror.example", i) }
	for i := range 20 {
		s.server.Set(address(i), 100)
	}
	sync := func(want tracker.Status) {
		job, err := s.boxes.SyncNow(ctx, scope, "", by)
		noError(t, err)
		s.awaitStatus(t, job, want)
	}
	sync(tracker.StatusSuccess)
	for i := range 3 {
		seen, err := s.boxes.FindKey(ctx, mailboxes.Mailbox{Instance: "main", Address: address(i)})
		noError(t, err)
		s.server.Set(address(i), 300)
		job, err := s.boxes.Update(ctx, seen, func(m *mailboxes.Mailbox) { m.Quota = 500 }, by)
		noError(t, err)
		s.conflicts = append(s.conflicts, s.awaitStatus(t, job, tracker.StatusConflict))
	}
	for i := range 15 {
		s.server.Remove(address(i + 5))
	}
	s.server.Set(address(4), 250)
	s.server.Set(hostile[0], 10)
	plan, err := s.boxes.PlanNow(ctx, scope, "", by)
	noError(t, err)
	s.plan = s.awaitStatus(t, plan, tracker.StatusSuccess)
	s.server.Remove(hostile[0])
	sync(tracker.StatusConflict)
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// conflictID returns the id of a conflict, or 0 if there are none.
func (s *site) conflictID(i int) int64 {
	if i >= len(s.conflicts) {
		return 0
	}
	return s.conflicts[i]
}

// runBulkDelete deletes two jobs by a bulk run. It submits the form of the preview and returns the
// path of the run's page.
func (s *site) runBulkDelete(t *testing.T) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	preview, err := client.Get(s.url + "/bulk?" + url.Values{"action": {"delete"}, "all": {"1"}, "q": {"target:box1@site.example,box2@site.example"}}.Encode())
	noError(t, err)
	page, err := io.ReadAll(preview.Body)
	noError(t, errors.Join(err, preview.Body.Close()))
	_, form, _ := strings.Cut(string(page), "<main")
	values := url.Values{"reason": {"tidy " + hostile[0]}}
	for _, field := range hiddenField.FindAllStringSubmatch(form, -1) {
		values.Set(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	response, err := client.PostForm(s.url+"/bulk", values)
	noError(t, err)
	noError(t, response.Body.Close())
	if response.StatusCode != http.StatusSeeOther {
		t.Fatalf("start a bulk run: status %d", response.StatusCode)
	}
	path := strings.TrimPrefix(response.Header.Get("Location"), "/admin/sync")
	if !strings.HasPrefix(path, "/bulk/") {
		t.Fatalf("starting a bulk run redirects to %s", path)
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(path, "/bulk/"), 10, 64)
	noError(t, err)
	s.awaitStatus(t, &tracker.Job{ID: id}, tracker.StatusSuccess)
	return path
}
