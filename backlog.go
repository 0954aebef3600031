package nawasync

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// backlog counts a service's open jobs against Config.MaxQueued. The count is
// read once a second: what other processes dispatch in between is not seen, and
// what this one does is added.
type backlog struct {
	store *tracker.Store
	limit int // 0: none

	mu    sync.Mutex
	known map[string]*openCount
}

type openCount struct {
	n  int
	at time.Time
}

func (b *backlog) admit(ctx context.Context, service string, n int) error {
	if b.limit <= 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	count := b.known[service]
	if count == nil || b.store.Now().Sub(count.at) >= time.Second {
		open, err := b.store.CountOpen(ctx, service, b.limit+1)
		if err != nil {
			return err
		}
		count = &openCount{open, b.store.Now()}
		b.known[service] = count
	}
	if count.n+n > b.limit {
		return fmt.Errorf("%w: %s has %d and Config.MaxQueued is %d; try later, or raise it", ErrBacklogFull, service, count.n, b.limit)
	}
	count.n += n
	return nil
}
