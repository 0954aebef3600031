package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
)

const (
	lanes       = 32
	dispatchers = 4
	probes      = 300
)

// errRollback is returned inside a transaction that must not commit.
var errRollback = errors.New("the host rolls back")

// host is the process whose users dispatch jobs. It has no handlers and runs no jobs.
type host struct {
	*child
	engine *nawasync.Engine
	things nawasync.SyncedRepository[thing]
	cancel context.CancelFunc // ends the workload
	wg     sync.WaitGroup
}

func runHost(c *child) error {
	h := &host{child: c}
	err := retry(func(context.Context) (err error) {
		if h.engine, err = nawasync.New(nawasync.Config{DB: c.db, Redis: c.redis, Logger: c.logger, Now: c.now}); err != nil {
			return err
		}
		h.things, err = newThings(h.engine, nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("start the host: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h.cancel = cancel
	for i := range dispatchers {
		random := rand.New(rand.NewPCG(c.spec.Seed, uint64(100+i)))
		h.every(ctx, time.Duration(float64(time.Second)*dispatchers/c.spec.Rate), func(ctx context.Context) error { return h.dispatch(ctx, random, i) })
	}
	m := &mirrorUser{host: h, random: rand.New(rand.NewPCG(c.spec.Seed, 99))}
	h.every(ctx, 250*time.Millisecond, m.change)
	h.every(ctx, 5*time.Second, h.sync)
	return h.serve(h.handle)
}

// every calls fn at an interval until ctx ends. Each call may take 10 s. A host shows a failure to
// its user; here the log has it.
func (h *host) every(ctx context.Context, interval time.Duration, fn func(context.Context) error) {
	h.wg.Go(func() {
		for ctx.Err() == nil {
			callCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			if err := fn(callCtx); err != nil {
				h.logger.Warn("a request failed", "error", err)
			}
			cancel()
			select {
			case <-ctx.Done():
			case <-time.After(interval):
			}
		}
	})
}

func (h *host) handle(cmd command) error {
	switch cmd.Do {
	case "quiet": // end the workload and every transaction that is held
		h.cancel()
		h.wg.Wait()
		return nil
	case "sync":
		return retry(h.sync)
	case "probe":
		return retry(h.probe)
	case string(holdRows), string(holdQueued), string(holdDispatch):
		h.wg.Go(func() {
			if err := h.hold(faultKind(cmd.Do), cmd.For); err != nil {
				h.logger.Warn("a held transaction failed", "error", err)
			}
		})
		return nil
	default:
		return fmt.Errorf("unknown command %q", cmd.Do)
	}
}

// dispatch makes one request: a random job in one of the lanes of a dispatcher. No two dispatchers
// share a lane, so the ids of a lane's jobs rise in the order of their commits.
func (h *host) dispatch(ctx context.Context, random *rand.Rand, dispatcher int) error {
	t := task{Instance: "main", Lane: fmt.Sprintf("lane-%d", random.IntN(lanes/dispatchers)*dispatchers+dispatcher), Millis: 2 + random.IntN(60)}
	kind, o, rollback := orderPlain, nawasync.Options{By: "user:1"}, false
	switch p := random.Float64(); {
	case p < 0.10:
		t.FailFirst = 1 + random.IntN(2)
	case p < 0.13:
		t.Fatal = true
	case p < 0.25:
		t.Millis = 1000 + random.IntN(3000)
	case p < 0.32:
		kind, o.Delay = orderDelayed, time.Duration(500+random.IntN(5000))*time.Millisecond
	case p < 0.39:
		kind, t.Unique, t.Lane = orderUnique, fmt.Sprintf("key-%d", random.IntN(5)), fmt.Sprintf("unique-%d", random.Int64())
	case p < 0.44:
		t.Instance, t.Limited = "limited", random.IntN(5) == 0
	case p < 0.49:
		t.Chain = true
	case p < 0.54:
		rollback = true
	}
	err := h.engine.Transaction(ctx, func(tx *gorm.DB) error {
		if err := dispatchOrder(ctx, h.engine, tx, t, kind, o); err != nil || !rollback {
			return err
		}
		return errRollback
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}

func (h *host) sync(ctx context.Context) error {
	_, err := h.things.SyncNow(ctx, thing{}, "", nawasync.Options{By: "user:1"})
	return err
}

// probe dispatches so many jobs at once that every worker gets some.
func (h *host) probe(ctx context.Context) error {
	return h.engine.Transaction(ctx, func(tx *gorm.DB) error {
		for i := range probes {
			t := task{Instance: "main", Lane: fmt.Sprintf("probe-%d", i), Millis: 200}
			if err := dispatchOrder(ctx, h.engine, tx, t, orderProbe, nawasync.Options{By: "user:1"}); err != nil {
				return err
			}
		}
		return nil
	})
}
