package nawasync

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/jobstore"
)

// backlog limits the open jobs of each service to Config.MaxQueued. It reads the count from
// the database at most once a second and adds this process's own dispatches in between.
// Dispatches of other processes show up with the next read, so the limit is approximate.
type backlog struct {
	store *jobstore.Store
	limit int // 0 is no limit

	mu     sync.Mutex
	counts map[string]*openCount
}

type openCount struct {
	count  int
	readAt time.Time
}

// reserve adds n jobs to the service's count, or returns ErrBacklogFull. It reads the count
// in tx, the caller's transaction or nil, because a pool of one connection has no other
// connection to read on.
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
		return fmt.Errorf("%w: %s has %d, and Config.MaxQueued is %d; dispatch later, or raise Config.MaxQueued", ErrBacklogFull, service, count.count, b.limit)
	}
	count.count += n
	return nil
}

func (b *backlog) isFresh(service string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := b.counts[service]
	if count == nil {
		return false
	}
	age := b.store.Now().Sub(count.readAt)
	return age >= 0 && age < time.Second // age is negative if the clock was set back
}
