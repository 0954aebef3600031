package nawasync

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// backlog counts a service's open jobs against Config.MaxQueued. The count is
// read once a second: what other processes dispatch in between is not seen, and
// what this one does is added.
type backlog struct {
	store *jobstore.Store
	limit int // 0: none

	mu     sync.Mutex
	counts map[string]*openCount
}

type openCount struct {
	count  int
	readAt time.Time
}

// reserve counts in tx, the caller's transaction or nil: with one connection there
// is no other to count on.
func (b *backlog) reserve(ctx context.Context, tx *gorm.DB, service string, n int) error {
	if b.limit <= 0 {
		return nil
	}
	if !b.isFresh(service) {
		open, err := b.store.CountOpen(ctx, tx, service, b.limit+1)
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.counts[service] = &openCount{open, b.store.Now()}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	count := b.counts[service]
	if count.count+n > b.limit {
		return fmt.Errorf("%w: %s has %d and Config.MaxQueued is %d; try later, or raise it", ErrBacklogFull, service, count.count, b.limit)
	}
	count.count += n
	return nil
}

func (b *backlog) isFresh(service string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := b.counts[service]
	return count != nil && b.store.Now().Sub(count.readAt) < time.Second
}
