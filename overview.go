package nawasync

import (
	"maps"
	"slices"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// Services lists the services for which this process has handlers or repositories, in
// alphabetical order.
func (e *Engine) Services() []string {
	found := map[string]bool{}
	e.mu.Lock()
	for kind := range e.handlers {
		found[kind.Service] = true
	}
	for _, r := range e.repositories {
		found[r.Describe().Service] = true
	}
	e.mu.Unlock()
	return slices.Sorted(maps.Keys(found))
}

// Retention returns how long ended jobs of a status are kept.
func (e *Engine) Retention(status tracker.Status) time.Duration {
	if status == tracker.StatusSuccess {
		return e.config.KeepSuccess
	}
	return e.config.KeepOther
}
