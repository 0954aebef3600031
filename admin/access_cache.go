package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// instanceCache caches the list of existing services and instances. It expires after instanceCacheTime.
type instanceCache struct {
	sem    chan struct{} // capacity 1; a mutex that a request stops waiting for when its context ends
	readAt time.Time
	found  []tracker.ServiceInstance
}

const instanceCacheTime = 5 * time.Second

// list returns the cached instances, or calls find if the cache has expired.
func (c *instanceCache) list(ctx context.Context, now time.Time, find func(context.Context) ([]tracker.ServiceInstance, error)) (
	[]tracker.ServiceInstance, error,
) {
	select {
	case c.sem <- struct{}{}:
		defer func() { <-c.sem }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if age := now.Sub(c.readAt); age >= 0 && age < instanceCacheTime { // negative after the clock was set back
		return c.found, nil
	}
	found, err := find(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(found, c.found) { // an equal list stays the same, so that what was derived from it can be used again
		c.found = found
	}
	c.readAt = now
	return c.found, nil
}

// findInstances lists the services and instances that have jobs, schedules, pauses, or handlers in this
// process. A service without a known instance has the instance "".
func (h *handler) findInstances(ctx context.Context) ([]tracker.ServiceInstance, error) {
	store := h.reader
	list, err := store.ServiceInstances(ctx)
	if err != nil {
		return nil, err
	}
	services, err := store.Services(ctx)
	if err != nil {
		return nil, err
	}
	schedules, err := store.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range schedules {
		list = append(list, tracker.ServiceInstance{Service: s.Service, Instance: s.Instance})
	}
	scopes, err := store.Scopes(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range scopes {
		if s.Instance == "" {
			continue // a pause of the whole service
		}
		list = append(list, tracker.ServiceInstance{Service: s.Service, Instance: s.Instance})
	}
	for _, service := range slices.Concat(services, h.engine.Services()) {
		list = append(list, tracker.ServiceInstance{Service: service})
	}
	slices.SortFunc(list, func(a, b tracker.ServiceInstance) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Instance, b.Instance))
	})
	return slices.Compact(list), nil
}

// visibilityCache keeps what subjects may see for as long as neither the rules nor the existing instances
// change: with many instances, asking the enforcer about each of them takes time. It keeps nothing if
// the rules have no version. The zero value is ready to use, and nil keeps nothing.
type visibilityCache struct {
	mu    sync.Mutex
	known map[visibilityKey]knownVisibility
}

type visibilityKey struct{ subject, permissions string }

// knownVisibility is what a subject may see by one version of the rules, of one list of instances.
type knownVisibility struct {
	visible  *tracker.Visibility
	version  string
	existing *tracker.ServiceInstance // the first of the list; another list has another
}

// maxVisibilities bounds the cache. It is emptied when it is full.
const maxVisibilities = 1000

func (c *visibilityCache) get(v *viewer, permissions []string, find func() *tracker.Visibility) *tracker.Visibility {
	if c == nil || !v.loaded || v.version == "" || len(v.existing) == 0 {
		return find()
	}
	key := visibilityKey{v.subject, strings.Join(permissions, " ")}
	c.mu.Lock()
	found, ok := c.known[key]
	c.mu.Unlock()
	if ok && found.version == v.version && found.existing == &v.existing[0] {
		return found.visible
	}
	visible := find()
	if v.enforcerErr != nil {
		return visible
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxVisibilities {
		c.known = map[visibilityKey]knownVisibility{}
	}
	c.known[key] = knownVisibility{visible, v.version, &v.existing[0]}
	return visible
}
