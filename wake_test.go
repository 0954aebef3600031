package nawasync_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestFlushedRedisLosesNoJobAndRunsNoneTwice(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			h := enginetest.New(t, db)
			flush := func() { h.Mini.FlushAll() }
			if h.Mini == nil {
				// The other tests share a Redis server, which this test must not flush.
				h.Redis, _ = enginetest.PrivateRedis(t)
				flush = func() { enginetest.NoError(t, h.Redis.FlushAll(context.Background()).Err()) }
			}
			var runs enginetest.Runs
			var finished atomic.Int64
			release := make(chan struct{})
			e := h.Engine(func(c *nawasync.Config) { c.Queues = map[string]nawasync.Queue{"default": {Slots: 1000}} })
			enginetest.Register(t, e, func(_ context.Context, run *nawasync.Run[enginetest.JobArgs]) error {
				runs.Record(run.Job())
				<-release
				finished.Add(1)
				return nil
			})
			h.Start(e)
			args := make([]nawasync.Args, 1100)
			for i := range args {
				args[i] = enginetest.JobArgs{ID: fmt.Sprint(i)}
			}
			jobs, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
			enginetest.NoError(t, err)
			enginetest.Eventually(t, 60*time.Second, "1,000 running", func() bool { return runs.Total() == 1000 })
			flush() // while 1,000 jobs run and 100 wait
			close(release)
			enginetest.Eventually(t, 60*time.Second, "some more ran", func() bool { return finished.Load() > 300 })
			flush() // while jobs start and end
			for _, job := range jobs {
				enginetest.WaitStatus(t, e, job.ID, tracker.StatusSuccess)
			}
			if runs.Total() != 1100 || runs.RanTwice() != 0 {
				t.Fatalf("%d runs, %d attempts ran twice; want 1100 and none", runs.Total(), runs.RanTwice())
			}
		})
	}
}

func TestUnknownTasksDeletedRowsAndUnservedKindsDoNotBlockOtherJobs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		enginetest.Register(t, e, enginetest.DoNothing)
		unserved := enginetest.Dispatch(t, e, otherArgs{ID: "unserved"})
		deleted := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "deleted"})
		behind := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "deleted", N: 1})
		enginetest.NoError(t, db.Exec("DELETE FROM nawasync_jobs WHERE id = ?", deleted.ID).Error)
		client := asynq.NewClientFromRedisClient(h.Redis)
		var installation string
		enginetest.NoError(t, db.Raw("SELECT value FROM nawasync_settings WHERE name = 'installation'").Row().Scan(&installation))
		for _, payload := range []string{"", "nonsense", "-1.0", "999999999.0", "1", "1.x", "1.-1", `{"id":1}`} {
			_, err := client.Enqueue(asynq.NewTask(nawasync.WakeTask, []byte(payload)), asynq.Queue(installation+":default"), asynq.MaxRetry(0))
			enginetest.NoError(t, err)
		}
		h.Start(e)
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "fine"}).ID, tracker.StatusSuccess)
		enginetest.WaitStatus(t, e, behind.ID, tracker.StatusSuccess)
		row, err := e.Reader().Get(t.Context(), unserved.ID)
		enginetest.NoError(t, err)
		if row.Status != tracker.StatusQueued || row.Attempt != 0 {
			t.Fatalf("job of an unserved kind %+v, want queued with no attempt", row)
		}
		late := h.Engine(nil)
		enginetest.NoError(t, nawasync.Register(late, &enginetest.Handler[otherArgs]{Do: otherDoNothing}))
		h.Start(late)
		enginetest.WaitStatus(t, e, unserved.ID, tracker.StatusSuccess)
	})
}

func TestJobsCommittedWhileRedisIsDownRunMeanwhile(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.Openers() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			h := enginetest.New(t, opener.Open(t))
			stopRedis, startRedis := func() { h.Mini.SetError("LOADING Redis is down") }, func() { h.Mini.SetError("") }
			if h.Mini == nil {
				var server *enginetest.RedisServer
				h.Redis, server = enginetest.PrivateRedis(t)
				stopRedis, startRedis = server.Kill, func() { server.Start(t) }
			}
			e := h.Engine(nil)
			enginetest.Register(t, e, enginetest.DoNothing)
			h.Start(e)
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "before"}).ID, tracker.StatusSuccess)
			stopRedis()
			var ids []int64
			for i := range 20 {
				ids = append(ids, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: fmt.Sprint(i)}).ID)
			}
			for _, id := range ids {
				enginetest.WaitStatus(t, e, id, tracker.StatusSuccess)
			}
			startRedis()
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "after"}).ID, tracker.StatusSuccess)
		})
	}
}

// otherArgs holds the arguments of a second kind of job.
type otherArgs struct {
	ID string `json:"id"`
}

func (otherArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "other", Action: "write"}
}

func (o otherArgs) Target() nawasync.Target { return nawasync.Target{ID: o.ID} }

func otherDoNothing(context.Context, *nawasync.Run[otherArgs]) error { return nil }

// A Redis that accepts connections and never responds is worse than one that refuses them.
func TestDispatchAndStopDoNotWaitForARedisThatHangs(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	hanging := redis.NewClient(&redis.Options{Dialer: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		return client, nil
	}})
	e := h.Engine(func(c *nawasync.Config) { c.Redis = hanging })
	enginetest.Register(t, e, enginetest.DoNothing)
	h.Start(e)
	begin := time.Now()
	for i := range 100 {
		enginetest.Dispatch(t, e, enginetest.JobArgs{ID: fmt.Sprint(i)})
	}
	args := make([]nawasync.Args, 100)
	for i := range args {
		args[i] = enginetest.JobArgs{ID: fmt.Sprint("many", i)}
	}
	_, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
	enginetest.NoError(t, err)
	// One timeout of Redis takes 3 s. The dispatches beyond the background's slots used to wait for one each.
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("the dispatches took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin = time.Now()
	err = e.Stop(ctx)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("Stop took %s with a context of 1 s, and returned %v", took, err)
	}
	enginetest.NoError(t, hanging.Close()) // the rest of Stop ends
}
