package nawasync_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

func newRemote(t *testing.T, service string) *remote.Remote {
	t.Helper()
	r, err := remote.New(remote.Config{Service: service})
	enginetest.NoError(t, err)
	return r
}

// recordCall counts a call as the transport of a Remote does.
func recordCall(ctx context.Context, r *remote.Remote, call remotecall.Call) {
	call = r.Ledger(remotecall.NewKey()).Add(ctx, call)
	if job := remotecall.From(ctx); job != nil {
		job.Record(call)
	}
}

func TestEachAttemptKeepsItsFirstAndLastCalls(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		notes := newRemote(t, "notes")
		e := h.Tuned(host.Tuning{Calls: 20 * time.Millisecond, Rollup: 20 * time.Millisecond}, func(c *nawasync.Config) { c.Remotes = []*remote.Remote{notes} })
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{Wait: time.Millisecond, Do: func(ctx context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
			for i := range run.Args.N {
				call := remotecall.Call{Method: "GET", Template: fmt.Sprint("/notes/", i), Status: 200, Start: time.Now(), Duration: 1500 * time.Microsecond, Left: 7}
				if run.Attempt() == 1 {
					call.Status, call.Class = 503, string(fault.ClassTransient)
				}
				recordCall(ctx, notes, call)
			}
			if run.Args.N > 0 && run.Attempt() == 1 {
				return enginetest.ErrBoom
			}
			return nil
		}}))
		h.Start(e)
		for n, want := range map[int]string{
			0: "", 3: "0 1 2", 50: spaced(0, 50), 51: spaced(0, 25) + " " + spaced(26, 51) + ", 1 more", 170: spaced(0, 25) + " " + spaced(145, 170) + ", 120 more",
		} {
			job := enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: fmt.Sprint(n), N: n}).ID, tracker.StatusSuccess)
			attempts, err := e.Reader().Attempts(t.Context(), job)
			enginetest.NoError(t, err)
			if len(attempts) != min(n, 1)+1 {
				t.Errorf("%d calls: %d attempts", n, len(attempts))
			}
			for i, a := range attempts {
				if got := callsText(a); got != want {
					t.Errorf("%d calls, attempt %d has %s, want %s", n, i, got, want)
				}
				for _, c := range a.Calls {
					status, class := 200, ""
					if i == 0 {
						status, class = 503, "transient"
					}
					if c.Method != "GET" || c.Status != status || c.Class != class || c.Duration != 1500*time.Microsecond || c.StartedAt.Before(a.StartedAt.Add(-time.Second)) {
						t.Errorf("attempt %d has the call %+v", i, c)
					}
				}
			}
		}
		enginetest.Eventually(t, 10*time.Second, "the calls are counted", func() bool {
			totals, err := e.Reader().CallTotals(t.Context())
			return err == nil && len(totals) == 1 && totals[0].Service == "notes" && totals[0].Calls == 548 && totals[0].Errors["transient"] == 274
		})
	})
}

func spaced(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, " %d", i)
	}
	return strings.TrimSpace(b.String())
}

func callsText(a tracker.Attempt) string {
	var b strings.Builder
	for _, c := range a.Calls {
		b.WriteString(" " + strings.TrimPrefix(c.Template, "/notes/"))
	}
	if a.MoreCalls > 0 {
		fmt.Fprintf(&b, ", %d more", a.MoreCalls)
	}
	return strings.TrimSpace(b.String())
}

func TestCallsOfTheLastJobsAreStoredAtTheStop(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	notes := newRemote(t, "notes")
	e := h.Tuned(host.Tuning{Calls: time.Hour}, func(c *nawasync.Config) { c.Remotes = []*remote.Remote{notes} })
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess) // the first flush has run
	recordCall(t.Context(), notes, remotecall.Call{Template: "/a", Start: time.Now()})
	enginetest.NoError(t, e.Stop(t.Context()))
	_, err := enginetest.Store(e).RollupCalls(t.Context(), 100)
	enginetest.NoError(t, err)
	if totals, err := e.Reader().CallTotals(t.Context()); err != nil || len(totals) != 1 || totals[0].Calls != 1 {
		t.Errorf("the totals are %+v, %v", totals, err)
	}
}

func TestCallsThatCannotBeStoredAreStoredLater(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	notes := newRemote(t, "notes")
	e := h.Tuned(host.Tuning{Calls: 10 * time.Millisecond, Rollup: 10 * time.Millisecond}, func(c *nawasync.Config) { c.Remotes = []*remote.Remote{notes} })
	enginetest.NoError(t, h.DB.Exec("ALTER TABLE nawasync_call_deltas RENAME TO away").Error)
	h.Start(e)
	recordCall(t.Context(), notes, remotecall.Call{Template: "/a", Start: time.Now()})
	enginetest.Eventually(t, 10*time.Second, "the failure is logged", func() bool { return strings.Contains(h.Log.String(), "store what was counted of the calls of notes") })
	enginetest.NoError(t, h.DB.Exec("ALTER TABLE away RENAME TO nawasync_call_deltas").Error)
	enginetest.Eventually(t, 10*time.Second, "the call is counted once", func() bool {
		totals, err := e.Reader().CallTotals(t.Context())
		return err == nil && len(totals) == 1 && totals[0].Calls == 1
	})
}

func TestRemotesAreChecked(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t).DB
	for want, remotes := range map[string][]*remote.Remote{
		"Config.Remotes[1] is nil":                  {newRemote(t, "a"), nil},
		`two Remotes of the service "a"; give each`: {newRemote(t, "a"), newRemote(t, "b"), newRemote(t, "a")},
	} {
		if _, err := nawasync.New(nawasync.Config{DB: db, Remotes: remotes}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returns %v, want %s", err, want)
		}
	}
}

func TestCallsAreMeasuredByTheConventionsOfOpenTelemetry(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	notes := newRemote(t, "notes")
	reader := metric.NewManualReader()
	h.Engine(func(c *nawasync.Config) {
		c.Remotes = []*remote.Remote{notes}
		c.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
	})
	for i := range 300 {
		recordCall(t.Context(), notes, remotecall.Call{
			Method: "POST", Template: fmt.Sprint("/notes/", i), Server: fmt.Sprintf("notes-%d.example:8443", i), Status: 500, Class: "transient", Duration: 3 * time.Second,
		})
	}
	var data metricdata.ResourceMetrics
	enginetest.NoError(t, reader.Collect(t.Context(), &data))
	points := map[string]bool{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			histogram, ok := m.Data.(metricdata.Histogram[float64])
			if m.Name != "http.client.request.duration" || !ok {
				continue
			}
			for _, p := range histogram.DataPoints {
				points[p.Attributes.Encoded(attribute.DefaultEncoder())] = true
			}
		}
	}
	first := "error.type=transient,http.request.method=POST,http.response.status_code=500,nawasync.job.service=notes,server.address=notes-0.example,server.port=8443,url.template=/notes/0"
	rest := "error.type=transient,http.request.method=POST,http.response.status_code=500,nawasync.job.service=notes,server.address=_OTHER,url.template=other"
	if len(points) != 201 || !points[first] || !points[rest] {
		t.Errorf("%d time series, want 201 with\n%s\n%s", len(points), first, rest)
	}
}
