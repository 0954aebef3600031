package nawasync

import (
	"context"
	"sync"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/remote"
	"github.com/nawasara/nawasync/tracker"
)

// Shortage says whether a due job waits for the budget of its limit scope: if the Remote of its service is in
// Config.Remotes. It waits for Redis no longer than 0.1 s.
func (i internals) Shortage(ctx context.Context, job *tracker.Job) (remotecall.Shortage, bool) {
	link := i.remotes[job.Service]
	if link == nil {
		return remotecall.Shortage{}, false
	}
	stream := jobstore.Stream{Queue: job.Queue, Service: job.Service, Type: job.Type, Action: job.Action, Instance: job.Instance}
	return link.Look(ctx, i.callGroup(stream).request)
}

// Budgets returns how the budgets of limit scopes stand, by service: of the services whose Remote is in
// Config.Remotes. It waits for Redis no longer than 0.1 s.
func (i internals) Budgets(ctx context.Context, scopes map[string][]string) map[string][]remote.BudgetUse {
	var mu sync.Mutex
	var group sync.WaitGroup
	found := map[string][]remote.BudgetUse{}
	for _, r := range i.config.Remotes {
		if names := scopes[r.Service()]; len(names) > 0 {
			group.Go(func() {
				list := r.BudgetsIn(ctx, names)
				mu.Lock()
				defer mu.Unlock()
				found[r.Service()] = list
			})
		}
	}
	group.Wait()
	return found
}
