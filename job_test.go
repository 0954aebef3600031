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
	old := enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a", N: 5}) // the new arguments have no field n
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[renamedArgs]{Do: func(_ context.Context, run *nawasync.Run[renamedArgs]) error {
		if run.Args.ID != "a" {
			return fmt.Errorf("arguments %+v", run.Args)
		}
		return nil
	}}))
	if err := nawasync.Register(e, &enginetest.Handler[enginetest.JobArgs]{}); err == nil {
		t.Error("Register accepted a kind that is registered as an alias")
	}
	h.Start(e)
	if err := nawasync.Register(e, &enginetest.Handler[otherArgs]{}); !errors.Is(err, nawasync.ErrStarted) {
		t.Errorf("error %v, want ErrStarted", err)
	}
	enginetest.WaitStatus(t, e, old.ID, tracker.StatusSuccess)
}

// renamedArgs is JobArgs after its kind was renamed.
type renamedArgs struct {
	ID string `json:"id"`
}

func (renamedArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "note", Action: "rewrite"}
}

func (r renamedArgs) Target() nawasync.Target { return nawasync.Target{ID: r.ID} }

func (renamedArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{{Service: "notes", Type: "note", Action: "write"}}}
}

func TestRegisterRefusesArgumentsWhoseOptionsNeedFields(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	if err := nawasync.Register(e, &enginetest.Handler[needsBoxArgs]{}); err == nil || !strings.Contains(err.Error(), "its Options must work without them") {
		t.Errorf("error %v, want one about Options", err)
	}
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[boxArgs]{}))
}

// boxArgs sets its lane and its number of attempts from the field Box, which may be nil.
type boxArgs struct {
	Box *struct{ Name string } `json:"box"`
	ID  string                 `json:"id"`
}

func (boxArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "box", Action: "open"}
}

func (b boxArgs) Target() nawasync.Target { return nawasync.Target{ID: b.ID} }

func (b boxArgs) Options() nawasync.JobOptions {
	if b.Box == nil {
		return nawasync.JobOptions{}
	}
	return nawasync.JobOptions{Lane: b.Box.Name, MaxAttempts: len(b.Box.Name)}
}

// needsBoxArgs has an Options method that panics when Box is nil.
type needsBoxArgs struct{ boxArgs }

func (b needsBoxArgs) Options() nawasync.JobOptions { return nawasync.JobOptions{Lane: b.Box.Name} }

func TestJobOptionsSetTheLaneAndTheNumberOfAttempts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(nil)
		var running, most atomic.Int64
		fail := func(context.Context, *nawasync.Run[boxArgs]) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			runtime.Gosched()
			return enginetest.ErrBoom
		}
		enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[boxArgs]{Wait: time.Millisecond, Do: fail}))
		var jobs []*tracker.Job
		for i := range 8 {
			args := boxArgs{ID: strconv.Itoa(i)}
			args.Box = &struct{ Name string }{"ab"}
			jobs = append(jobs, enginetest.Dispatch(t, e, args))
		}
		h.Start(e)
		for _, job := range jobs {
			if row := enginetest.WaitStatus(t, e, job.ID, tracker.StatusFailed); row.Attempt != 2 || row.MaxAttempts != 2 {
				t.Errorf("job %+v, want two attempts of two", row)
			}
		}
		if most.Load() != 1 {
			t.Errorf("up to %d jobs of one lane ran at the same time, want 1", most.Load())
		}
		// A job consumes all of its attempts before the next job of its lane starts.
		for i := 1; i < len(jobs); i++ {
			before, err := e.Reader().Get(t.Context(), jobs[i-1].ID)
			enginetest.NoError(t, err)
			after, err := e.Reader().Get(t.Context(), jobs[i].ID)
			enginetest.NoError(t, err)
			if after.StartedAt.Before(before.FinishedAt) {
				t.Errorf("job %d started before job %d ended", after.ID, before.ID)
			}
		}
	})
}

func TestHandlerWhoseTimeoutPanicsGetsTheDefaultTimeout(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	handler := &panickingHandler{}
	handler.Do = func(context.Context, *nawasync.Run[enginetest.JobArgs]) error { return nil }
	enginetest.NoError(t, nawasync.Register(e, handler))
	h.Start(e)
	enginetest.WaitStatus(t, e, enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"}).ID, tracker.StatusSuccess)
}

// panickingHandler panics in every method but Execute.
type panickingHandler struct {
	enginetest.Handler[enginetest.JobArgs]
}

func (*panickingHandler) Timeout() time.Duration { panic("no timeout today") }

func (*panickingHandler) Backoff(int) time.Duration { panic("no backoff today") }

func TestRegisterRefusesSecretsWithoutASealer(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	e := h.Engine(nil)
	if err := nawasync.Register(e, &enginetest.Handler[resetPassword]{}); !errors.Is(err, nawasync.ErrNoSealer) {
		t.Fatalf("Register: error %v, want ErrNoSealer", err)
	}
	if _, err := e.Dispatch(t.Context(), resetPassword{Email: "a", Password: nawasync.NewSecret("hunter22")}, nawasync.Options{}); !errors.Is(err,
		nawasync.ErrNoSealer) {
		t.Fatalf("Dispatch: error %v, want ErrNoSealer", err)
	}
}

func TestRegisterAcceptsRepeatedAliasesAndRefusesInvalidOnes(t *testing.T) {
	t.Parallel()
	e := nawasynctest.NewEngine(t)
	enginetest.NoError(t, nawasync.Register(e, &enginetest.Handler[repeatedAliasArgs]{}))
	if err := nawasync.Register(e, &enginetest.Handler[invalidAliasArgs]{}); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("error %v, want ErrInvalid", err)
	}
}

// repeatedAliasArgs names its own kind as an alias, and another alias twice.
type repeatedAliasArgs struct{ enginetest.JobArgs }

func (a repeatedAliasArgs) Options() nawasync.JobOptions {
	old := nawasync.Kind{Service: "notes", Type: "note", Action: "old"}
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{a.Kind(), old, old}}
}

// invalidAliasArgs has an alias with characters that a kind must not have.
type invalidAliasArgs struct{ ID string }

func (invalidAliasArgs) Kind() nawasync.Kind {
	return nawasync.Kind{Service: "notes", Type: "other", Action: "write"}
}

func (a invalidAliasArgs) Target() nawasync.Target { return nawasync.Target{ID: a.ID} }

func (invalidAliasArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{KindAliases: []nawasync.Kind{{Service: "a b/\x00", Type: "t", Action: "x"}}}
}
