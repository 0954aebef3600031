package nawasync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/statrow"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// checkRemotes returns an error if a remote is nil or two have the same service.
func checkRemotes(remotes []*remote.Remote) error {
	services := map[string]bool{}
	for i, r := range remotes {
		if r == nil {
			return fmt.Errorf("Config.Remotes[%d] is nil; set it to the Remote that remote.New returned", i)
		}
		if services[r.Service()] {
			return fmt.Errorf("Config.Remotes has two Remotes of the service %q; give each service one, and its clients Remote.Client", r.Service())
		}
		services[r.Service()] = true
	}
	return nil
}

// ledgerOf returns the ledger of a remote.
func ledgerOf(r *remote.Remote) *remotecall.Ledger { return r.Ledger(remotecall.NewKey()) }

// flushCalls stores what the remotes of this process have counted since the last call. After an error it
// keeps what is not stored. If the database has stored something and the answer was lost, that counts twice.
func (e *Engine) flushCalls(ctx context.Context) (more bool, err error) {
	for _, r := range e.config.Remotes {
		ledger := ledgerOf(r)
		rest, insertErr := e.store.InsertCalls(ctx, r.Service(), ledger.Take())
		ledger.Return(rest)
		err = errors.Join(err, insertErr)
	}
	return false, err
}

// flushTimeout is how long Stop tries to store what the last jobs have called.
const flushTimeout = time.Second

// flushLastCalls stores what was counted until the last job has ended.
func (e *Engine) flushLastCalls(ctx context.Context) {
	if len(e.config.Remotes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if _, err := e.flushCalls(ctx); err != nil {
		e.logger.Warn("what was counted of the last calls of external APIs is lost", "error", err)
	}
}

// callLog keeps the calls of an attempt: the first half of tracker.MaxCallsKept, and as many of the last ones.
// It is safe for concurrent use.
type callLog struct {
	mu          sync.Mutex
	first, last []statrow.Call // last is a ring
	n           int            // calls
}

const callsHalf = tracker.MaxCallsKept / 2

func (l *callLog) add(c remotecall.Call) {
	stored := statrow.Call{
		Method: c.Method, Template: c.Template, Status: c.Status, Class: c.Class, At: c.Start.UnixMicro(), Duration: c.Duration.Microseconds(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.first) < callsHalf:
		l.first = append(l.first, stored)
	case len(l.last) < callsHalf:
		l.last = append(l.last, stored)
	default:
		l.last[(l.n-callsHalf)%callsHalf] = stored
	}
	l.n++
}

// text returns the stored form, in the order in which the calls ended, or "" if there are none.
func (l *callLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	stored := statrow.Calls{Calls: slices.Clone(l.first)}
	begin := 0
	if stored.More = l.n - len(l.first) - len(l.last); stored.More > 0 {
		begin = (l.n - callsHalf) % callsHalf
	}
	stored.Calls = append(append(stored.Calls, l.last[begin:]...), l.last[:begin]...)
	return stored.String()
}
