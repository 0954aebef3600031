package nawasync_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/host"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// quick makes the recovery's times short where a test waits for them.
var quick = host.Tuning{Recheck: 300 * time.Millisecond}

func TestJobsCommittedWhileRedisIsDownRunWhenItIsBack(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.All() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			h := enginetest.New(t, opener.Open(t))
			down, up := func() { h.Mini.SetError("LOADING Redis is down") }, func() { h.Mini.SetError("") }
			if h.Mini == nil {
				var server *enginetest.RedisServer
				h.Redis, server = enginetest.PrivateRedis(t)
				down, up = server.Kill, func() { server.Start(t) }
			}
			e := h.Tuned(quick, nil)
			enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
			h.Start(e)
			enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "before"}).ID, tracker.Success)
			down()
			var ids []int64
			for i := range 20 {
				ids = append(ids, enginetest.Dispatch(t, e, enginetest.Note{ID: fmt.Sprint(i)}).ID)
			}
			row, err := e.Reader().Get(t.Context(), ids[0])
			enginetest.OK(t, err)
			if row.Status != tracker.Queued {
				t.Fatalf("%+v", row)
			}
			up()
			for _, id := range ids {
				enginetest.WaitStatus(t, e, id, tracker.Success)
			}
		})
	}
}

func TestEngineStartsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	h.Mini.SetError("LOADING Redis is down")
	e := h.Engine(nil)
	enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
	h.Start(e)
	job := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
	h.Mini.SetError("")
	enginetest.WaitStatus(t, e, job.ID, tracker.Success)
}

func TestFlushedRedisLosesNoJobAndDoublesNone(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.All() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			h := enginetest.New(t, db)
			flush := func() { h.Mini.FlushAll() }
			if h.Mini == nil {
				// A server of its own: others' queues must not be flushed.
				h.Redis, _ = enginetest.PrivateRedis(t)
				flush = func() { enginetest.OK(t, h.Redis.FlushAll(context.Background()).Err()) }
			}
			var r enginetest.Runs
			var finished atomic.Int64
			var gate atomic.Pointer[chan struct{}]
			closed := make(chan struct{})
			close(closed)
			opened := make(chan struct{})
			gate.Store(&opened)
			e := h.Tuned(quick, func(c *nawasync.Config) { c.Queues = map[string]nawasync.Queue{"default": {Slots: 1000}} })
			enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
				r.Note(run.Job())
				<-*gate.Load()
				finished.Add(1)
				return nil
			}}))
			h.Start(e)
			args := make([]nawasync.Args, 1100)
			for i := range args {
				args[i] = enginetest.Note{ID: fmt.Sprint(i)}
			}
			jobs, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
			enginetest.OK(t, err)
			enginetest.Eventually(t, 60*time.Second, "1,000 running", func() bool { return r.Total() == 1000 })
			flush() // 1,000 running, 100 rung and unclaimed
			close(opened)
			enginetest.Eventually(t, 60*time.Second, "some more ran", func() bool { return finished.Load() > 300 })
			flush() // in full flight
			for _, job := range jobs {
				enginetest.WaitStatus(t, e, job.ID, tracker.Success)
			}
			if r.Total() != 1100 || r.Doubles() != 0 {
				t.Fatalf("%d runs, %d doubles", r.Total(), r.Doubles())
			}
		})
	}
}

func TestForeignTasksDeletedRowsAndUnservedKindsHarmNobody(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Tuned(quick, nil)
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		unserved := enginetest.Dispatch(t, e, other{ID: "nobody"})
		deleted := enginetest.Dispatch(t, e, enginetest.Note{ID: "deleted"})
		behind := enginetest.Dispatch(t, e, enginetest.Note{ID: "deleted", N: 1})
		enginetest.OK(t, db.Exec("DELETE FROM nawasync_jobs WHERE id = ?", deleted.ID).Error)
		client := asynq.NewClientFromRedisClient(h.Redis)
		var install string
		enginetest.OK(t, db.Raw("SELECT value FROM nawasync_settings WHERE name = 'installation'").Row().Scan(&install))
		for _, payload := range []string{"", "nonsense", "-1.0", "999999999.0", "1", "1.x", "1.-1", `{"id":1}`} {
			_, err := client.Enqueue(asynq.NewTask("nawasync:job", []byte(payload)), asynq.Queue(install+":default"), asynq.MaxRetry(0))
			enginetest.OK(t, err)
		}
		h.Start(e)
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "fine"}).ID, tracker.Success)
		enginetest.WaitStatus(t, e, behind.ID, tracker.Success)
		row, err := e.Reader().Get(t.Context(), unserved.ID)
		enginetest.OK(t, err)
		if row.Status != tracker.Queued || row.Attempt != 0 {
			t.Fatalf("%+v", row)
		}
		late := h.Tuned(quick, nil)
		enginetest.OK(t, nawasync.Register(late, &enginetest.Handler[other]{Do: func(context.Context, *nawasync.Run[other]) error { return nil }}))
		h.Start(late)
		enginetest.WaitStatus(t, e, unserved.ID, tracker.Success)
	})
}

func TestHandlerThatIgnoresItsContextKeepsItsSlotAndLaneAndIsShownAsStuck(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		release := make(chan struct{})
		e := h.Engine(func(c *nawasync.Config) { c.StopGrace = 10 * time.Millisecond })
		enginetest.OK(t, nawasync.Register(e, &enginetest.Handler[enginetest.Note]{Limit: 50 * time.Millisecond, Wait: time.Millisecond, Do: func(_ context.Context, run *nawasync.Run[enginetest.Note]) error {
			if run.Args.N == 0 && run.Attempt() == 1 {
				<-release
			}
			return nil
		}}))
		h.Start(e)
		stubborn := enginetest.Dispatch(t, e, enginetest.Note{ID: "a"})
		behind := enginetest.Dispatch(t, e, enginetest.Note{ID: "a", N: 1})
		enginetest.WaitStatus(t, e, stubborn.ID, tracker.Running)
		enginetest.Eventually(t, 10*time.Second, "stuck", func() bool {
			row, err := e.Reader().Get(t.Context(), stubborn.ID)
			return err == nil && row.Stuck(time.Now())
		})
		enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.Note{ID: "b", N: 1}).ID, tracker.Success)
		if row, err := e.Reader().Get(t.Context(), behind.ID); err != nil || row.Status != tracker.Queued {
			t.Fatalf("%+v %v", row, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := e.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 jobs ignored") {
			t.Errorf("Stop: %v", err)
		}
		// Its row is not given back while it may still write to the remote.
		if row, err := e.Reader().Get(t.Context(), stubborn.ID); err != nil || row.Status != tracker.Running {
			t.Errorf("%+v %v", row, err)
		}
		close(release)
		next := h.Tuned(host.Tuning{Beat: 20 * time.Millisecond, DeadAfter: 500 * time.Millisecond, LeaseTTL: 400 * time.Millisecond}, nil)
		enginetest.OK(t, nawasync.Register(next, &enginetest.Handler[enginetest.Note]{Do: func(context.Context, *nawasync.Run[enginetest.Note]) error { return nil }}))
		h.Start(next)
		enginetest.WaitStatus(t, next, behind.ID, tracker.Success)
	})
}
