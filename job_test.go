package nawasync_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestRenamedKindStillRunsItsOldRows(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(func(c *nawasync.Config) { c.Sealer = enginetest.Keyring(t, enginetest.NewKey(t)) })
	old := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 5}) // its field n is unknown to the new arguments
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[renamed]{Do: func(_ context.Context, run *nawasync.Run[renamed]) error {
		if run.Args.ID != "a" {
			return fmt.Errorf("arguments %+v", run.Args)
		}
		return nil
	}}))
	if err := nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{}); err == nil {
		t.Error("one kind was registered twice")
	}
	h.Start(e)
	if err := nawasync.Register(e, &enginetest.Handler[otherArgs]{}); !errors.Is(err, nawasync.ErrStarted) {
		t.Error(err)
	}
	enginetest.WaitStatus(t, e, old.ID, tracker.StatusSuccess)
}

type renamed struct {
	ID string `json:"id"`
}

func (renamed) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "rewrite"}
}

func (r renamed) Target() nawasync.Target { return nawasync.Target{ID: r.ID} }

func (renamed) Options() nawasync.JobOptions {
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{{Service: "notes", Type: "note", Action: "write"}}}
}

func TestRegisterSaysWhenOptionsNeedFields(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	if err := nawasync.Register(e, &enginetest.Handler[needsBox]{}); err == nil || !strings.Contains(err.Error(), "its Options must work without them") {
		t.Error(err)
	}
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[argsWithOddOptions]{}))
}

// argsWithOddOptions chooses its lane and its attempts by a field.
type argsWithOddOptions struct {
	Box *struct{ Name string } `json:"box"`
	ID  string                 `json:"id"`
}

func (argsWithOddOptions) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "box", Action: "open"}
}

func (b argsWithOddOptions) Target() nawasync.Target { return nawasync.Target{ID: b.ID} }

func (b argsWithOddOptions) Options() nawasync.JobOptions {
	if b.Box == nil {
		return nawasync.JobOptions{}
	}
	return nawasync.JobOptions{Lane: b.Box.Name, MaxAttempts: len(b.Box.Name)}
}

// needsBox has options for a filled value only.
type needsBox struct{ argsWithOddOptions }

func (b needsBox) Options() nawasync.JobOptions { return nawasync.JobOptions{Lane: b.Box.Name} }

func TestArgumentsChooseTheirLaneAndTheirAttempts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var inside, most atomic.Int64
		fail := func(context.Context, *nawasync.Run[argsWithOddOptions]) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			runtime.Gosched()
			return enginetest.ErrBoom
		}
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[argsWithOddOptions]{Wait: time.Millisecond, Do: fail}))
		var jobs []*tracker.Job
		for i := range 8 {
			args := argsWithOddOptions{ID: strconv.Itoa(i)}
			args.Box = &struct{ Name string }{"ab"}
			jobs = append(jobs, enginetest.Dispatch(t, e, args))
		}
		h.Start(e)
		for _, job := range jobs {
			if row := enginetest.WaitStatus(t, e, job.ID, tracker.StatusFailed); row.Attempt != 2 || row.MaxAttempts != 2 {
				t.Errorf("%+v", row)
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d jobs of one lane ran at once", most.Load())
		}
		// Each consumed its attempts before the next of the lane began.
		for i := 1; i < len(jobs); i++ {
			before, err := e.Reader().Get(t.Context(), jobs[i-1].ID)
			enginetest.NoError(t, err)
			after, err := e.Reader().Get(t.Context(), jobs[i].ID)
			enginetest.NoError(t, err)
			if after.StartedAt.Before(before.FinishedAt) {
				t.Errorf("job %d began before job %d ended", after.ID, before.ID)
			}
		}
	})
}

func TestHandlerWhoseTimeoutPanicsHasTheDefault(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	p := &panickyTimeout{}
	p.Do = func(context.Context, *nawasync.Run[enginetest.JobArgs]) error { return nil }
	enginetest.NoError(t, nawasync.Register(e, p))
	h.Start(e)
	enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
}

type panickyTimeout struct {
	enginetest.Handler[enginetest.JobArgs]
}

func (*panickyTimeout) Timeout() time.Duration { panic("no timeout today") }

func (*panickyTimeout) Backoff(int) time.Duration { panic("no backoff today") }

func TestRegisterRefusesSecretsWithoutASealer(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	if err := nawasync.Register(e, &enginetest.Handler[resetPassword]{}); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Fatal(err)
	}
	if _, err := e.Dispatch(t.Context(), resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")}, nawasync.Options{}); !errors.Is(err,
		nawasync.ErrNoSealer) {
		t.Fatal(err)
	}
}

func TestAliasThatIsTheKindItselfIsNoSecondRegistrationAndAWrongOneIsRefused(t *testing.T) {
	t.Parallel()
	e := nawasynctest.NewEngine(t)
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[selfAlias]{}))
	if err := nawasync.Register(e, &enginetest.Handler[wrongAlias]{}); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

type selfAlias struct{ enginetest.JobArgs }

func (a selfAlias) Options() nawasync.JobOptions {
	old := nawasync.Kind{Service: "notes", Type: "note", Action: "old"}
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{a.Kind(), old, old}}
}

type wrongAlias struct{ ID string }

func (wrongAlias) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "other", Action: "write"}
}
func (a wrongAlias) Target() nawasync.Target { return nawasync.Target{ID: a.ID} }

func (wrongAlias) Options() nawasync.JobOptions {
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{{Service: "a b/\x00", Type: "t", Action: "x"}}}
}
