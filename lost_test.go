package nawasync_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// quick makes the recovery's times short where a test waits for them.
var quick = nawasync.Tuning{Recheck: 300 * time.Millisecond}

func TestJobsCommittedWhileRedisIsDownRunWhenItIsBack(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.All() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, opener.Open(t))
			down, up := func() { h.mini.SetError("LOADING Redis is down") }, func() { h.mini.SetError("") }
			if h.mini == nil {
				var server *redisServer
				h.redis, server = privateRedis(t)
				down, up = server.kill, func() { server.start(t) }
			}
			e := h.tuned(quick, nil)
			ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
			h.start(e)
			waitStatus(t, e, dispatch(t, e, note{ID: "before"}).ID, tracker.Success)
			down()
			var ids []int64
			for i := range 20 {
				ids = append(ids, dispatch(t, e, note{ID: fmt.Sprint(i)}).ID)
			}
			row, err := e.Store().Get(t.Context(), ids[0])
			ok(t, err)
			if row.Status != tracker.Queued {
				t.Fatalf("%+v", row)
			}
			up()
			for _, id := range ids {
				waitStatus(t, e, id, tracker.Success)
			}
		})
	}
}

func TestEngineStartsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	h := newHarness(t, testdb.SQLite(t))
	h.mini.SetError("LOADING Redis is down")
	e := h.engine(nil)
	ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
	h.start(e)
	job := dispatch(t, e, note{ID: "a"})
	h.mini.SetError("")
	waitStatus(t, e, job.ID, tracker.Success)
}

func TestFlushedRedisLosesNoJobAndDoublesNone(t *testing.T) {
	t.Parallel()
	for _, opener := range testdb.All() {
		t.Run(opener.Name, func(t *testing.T) {
			t.Parallel()
			db := opener.Open(t)
			h := newHarness(t, db)
			flush := func() { h.mini.FlushAll() }
			if h.mini == nil {
				// A server of its own: others' queues must not be flushed.
				h.redis, _ = privateRedis(t)
				flush = func() { ok(t, h.redis.FlushAll(context.Background()).Err()) }
			}
			var r runs
			var finished atomic.Int64
			var gate atomic.Pointer[chan struct{}]
			closed := make(chan struct{})
			close(closed)
			opened := make(chan struct{})
			gate.Store(&opened)
			e := h.tuned(quick, func(c *nawasync.Config) { c.Queues = map[string]nawasync.Queue{"default": {Slots: 1000}} })
			ok(t, nawasync.Register(e, &handler[note]{fn: func(_ context.Context, run *nawasync.Run[note]) error {
				r.note(run.Job())
				<-*gate.Load()
				finished.Add(1)
				return nil
			}}))
			h.start(e)
			args := make([]nawasync.Args, 1100)
			for i := range args {
				args[i] = note{ID: fmt.Sprint(i)}
			}
			jobs, err := e.DispatchMany(t.Context(), args, nawasync.Options{})
			ok(t, err)
			eventually(t, 60*time.Second, "1,000 running", func() bool { return r.total() == 1000 })
			flush() // 1,000 running, 100 rung and unclaimed
			close(opened)
			eventually(t, 60*time.Second, "some more ran", func() bool { return finished.Load() > 300 })
			flush() // in full flight
			for _, job := range jobs {
				waitStatus(t, e, job.ID, tracker.Success)
			}
			if r.total() != 1100 || r.doubles() != 0 {
				t.Fatalf("%d runs, %d doubles", r.total(), r.doubles())
			}
		})
	}
}

func TestForeignTasksDeletedRowsAndUnservedKindsHarmNobody(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		e := h.tuned(quick, nil)
		ok(t, nawasync.Register(e, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		unserved := dispatch(t, e, other{ID: "nobody"})
		deleted := dispatch(t, e, note{ID: "deleted"})
		behind := dispatch(t, e, note{ID: "deleted", N: 1})
		ok(t, db.Exec("DELETE FROM nawasync_jobs WHERE id = ?", deleted.ID).Error)
		client := asynq.NewClientFromRedisClient(h.redis)
		var install string
		ok(t, db.Raw("SELECT value FROM nawasync_settings WHERE name = 'installation'").Row().Scan(&install))
		for _, payload := range []string{"", "nonsense", "-1.0", "999999999.0", "1", "1.x", "1.-1", `{"id":1}`} {
			_, err := client.Enqueue(asynq.NewTask("nawasync:job", []byte(payload)), asynq.Queue(install+":default"), asynq.MaxRetry(0))
			ok(t, err)
		}
		h.start(e)
		waitStatus(t, e, dispatch(t, e, note{ID: "fine"}).ID, tracker.Success)
		waitStatus(t, e, behind.ID, tracker.Success)
		row, err := e.Store().Get(t.Context(), unserved.ID)
		ok(t, err)
		if row.Status != tracker.Queued || row.Attempt != 0 {
			t.Fatalf("%+v", row)
		}
		late := h.tuned(quick, nil)
		ok(t, nawasync.Register(late, &handler[other]{fn: func(context.Context, *nawasync.Run[other]) error { return nil }}))
		h.start(late)
		waitStatus(t, e, unserved.ID, tracker.Success)
	})
}

func TestHandlerThatIgnoresItsContextKeepsItsSlotAndLaneAndIsShownAsStuck(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := newHarness(t, db)
		release := make(chan struct{})
		e := h.engine(func(c *nawasync.Config) { c.StopGrace = 10 * time.Millisecond })
		ok(t, nawasync.Register(e, &handler[note]{timeout: 50 * time.Millisecond, backoff: time.Millisecond, fn: func(_ context.Context, run *nawasync.Run[note]) error {
			if run.Args.N == 0 && run.Attempt() == 1 {
				<-release
			}
			return nil
		}}))
		h.start(e)
		stubborn := dispatch(t, e, note{ID: "a"})
		behind := dispatch(t, e, note{ID: "a", N: 1})
		waitStatus(t, e, stubborn.ID, tracker.Running)
		eventually(t, 10*time.Second, "stuck", func() bool {
			row, err := e.Store().Get(t.Context(), stubborn.ID)
			return err == nil && row.Stuck(time.Now())
		})
		waitStatus(t, e, dispatch(t, e, note{ID: "b", N: 1}).ID, tracker.Success)
		if row, err := e.Store().Get(t.Context(), behind.ID); err != nil || row.Status != tracker.Queued {
			t.Fatalf("%+v %v", row, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := e.Stop(ctx); err == nil || !strings.Contains(err.Error(), "1 jobs ignored") {
			t.Errorf("Stop: %v", err)
		}
		// Its row is not given back while it may still write to the remote.
		if row, err := e.Store().Get(t.Context(), stubborn.ID); err != nil || row.Status != tracker.Running {
			t.Errorf("%+v %v", row, err)
		}
		close(release)
		next := h.tuned(nawasync.Tuning{Beat: 20 * time.Millisecond, Patience: 500 * time.Millisecond, Trust: 400 * time.Millisecond}, nil)
		ok(t, nawasync.Register(next, &handler[note]{fn: func(context.Context, *nawasync.Run[note]) error { return nil }}))
		h.start(next)
		waitStatus(t, next, behind.ID, tracker.Success)
	})
}
