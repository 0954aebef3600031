package nawasync_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// apiServer is a server that notes when it was called.
type apiServer struct {
	mu    sync.Mutex
	calls []time.Time
}

func (s *apiServer) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, time.Now())
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func (s *apiServer) mostIn(window time.Duration) (most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, first := range s.calls {
		n := 0
		for _, at := range s.calls[i:] {
			if at.Sub(first) < window {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// localArgs are those of a service without a remote.
type localArgs struct{ ID string }

func (localArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "local", Type: "file", Action: "write"}
}

func (a localArgs) Target() nawasync.Target { return nawasync.Target{ID: a.ID} }

func remoteOf(t *testing.T, c remote.Config) *remote.Remote {
	t.Helper()
	r, err := remote.New(c)
	enginetest.NoError(t, err)
	return r
}

// registerCalls registers jobs that make one call of the server, and jobs of another service.
func registerCalls(t *testing.T, e *nawasync.Engine, r *remote.Remote) {
	t.Helper()
	enginetest.Register(t, e, func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.example/notes/"+run.Args.ID, nil)
		if err != nil {
			return err
		}
		resp, err := r.Client(run.Args.Instance).Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[localArgs]{Do: func(context.Context, *nawasync.Run[localArgs]) error { return nil }}))
}

func TestJobWithoutBudgetHoldsNoSlotAndConsumesNoAttempt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		server := &apiServer{}
		r := remoteOf(t, remote.Config{Service: "notes", Base: server, Budgets: []remote.Budget{{Calls: 2, Window: time.Hour}}})
		e := h.Engine(func(c *nawasync.Config) {
			c.Remotes = []*remote.Remote{r}
			c.Queues = map[string]nawasync.Queue{"default": {Slots: 1}}
		})
		registerCalls(t, e, r)
		h.Start(e)
		for _, id := range []string{"1", "2"} {
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: id}).ID, tracker.StatusSuccess)
		}
		waiting := []*tracker.Job{
			enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: "3"}), enginetest.Dispatch(t, e, enginetest.JobArgs{Instance: "a", ID: "4"}),
		}
		for _, args := range []nawasync.Args{localArgs{"x"}, enginetest.JobArgs{Instance: "b", ID: "5"}, localArgs{"y"}} { // another service, another limit scope
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, args).ID, tracker.StatusSuccess)
		}
		for _, job := range waiting {
			if got := enginetest.Stored(t, e, job.ID); got.Status != tracker.StatusQueued || got.Attempt != 0 && got.Attempt != job.Attempt ||
				got.Epoch != enginetest.Stored(t, e, waiting[0].ID).Epoch {
				t.Errorf("a job without budget is %s, attempt %d", got.Status, got.Attempt)
			}
		}
		if n := len(server.calls); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
}

func TestEngineKeepsABudgetAndStartsJobsOfUsersFirst(t *testing.T) {
	enginetest.WithVirtualTime(t, func(t *testing.T, h *enginetest.Harness) {
		const window = 20 * time.Second
		server := &apiServer{}
		budget := []remote.Budget{{Calls: 60, Window: window}}
		var engines []*nawasync.Engine
		for range 2 {
			r := remoteOf(t, remote.Config{Service: "notes", Base: server, Budgets: budget, Redis: h.Redis})
			e := h.Engine(func(c *nawasync.Config) { c.Remotes = []*remote.Remote{r} })
			registerCalls(t, e, r)
			engines = append(engines, h.Start(e))
		}
		began := time.Now()
		var bulk []nawasync.Args
		for i := range 110 {
			bulk = append(bulk, enginetest.JobArgs{Instance: "a", ID: strings.Repeat("b", i+1)})
		}
		jobs, err := engines[0].DispatchMany(t.Context(), bulk, nawasync.Options{By: "user:7", Bulk: true})
		enginetest.NoError(t, err)
		var waits []time.Duration
		for i := range 3 {
			time.Sleep(7 * time.Second)
			job := enginetest.Dispatch(t, engines[i%2], enginetest.JobArgs{Instance: "a", ID: "user" + strings.Repeat("u", i)})
			done := enginetest.WaitStatus(t, engines[0], job.ID, tracker.StatusSuccess)
			waits = append(waits, done.StartedAt.Sub(job.CreatedAt))
		}
		for _, job := range jobs {
			if done := enginetest.WaitStatus(t, engines[0], job.ID, tracker.StatusSuccess); done.Attempt != 1 || done.Queue != nawasync.BulkQueue {
				t.Errorf("job %d of queue %s needed %d attempts", job.ID, done.Queue, done.Attempt)
			}
		}
		took := time.Since(began)
		t.Logf("%d calls in %s, at most %d in a window; users waited %v", len(server.calls), took, server.mostIn(window), waits)
		if most := server.mostIn(window); most > 60 {
			t.Errorf("%d calls in a window, of 60", most)
		}
		if slices.Max(waits) > 2*time.Second {
			t.Errorf("a user waited %s", slices.Max(waits))
		}
		if took > 45*time.Second {
			t.Errorf("113 calls took %s", took)
		}
	})
}

func TestNewRefusesTwoRemotesOfAService(t *testing.T) {
	t.Parallel()
	r := remoteOf(t, remote.Config{Service: "notes"})
	for _, list := range [][]*remote.Remote{{r, r}, {nil}} {
		if _, err := nawasync.New(nawasync.Config{DB: enginetest.New(t, testdb.SQLite(t)).DB.DB, Remotes: list}); err == nil ||
			!strings.Contains(err.Error(), "Config.Remotes") {
			t.Errorf("New returns %v", err)
		}
	}
}
