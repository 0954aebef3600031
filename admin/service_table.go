package admin

import (
	"context"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/tracker"
)

// tableView is a snapshot table, limited to one instance.
type tableView struct {
	nawasync.RepositoryInfo
	Instance string
	states   []stateCount
	synced   time.Time // when the last successful sync ended
	staleAt  time.Time // from when on the rows are stale
	job      int64     // ID of that sync
}

// loadTables counts the rows of the snapshot tables that this process has repositories for. An error
// only sets v.problem, because the rest of the page does not need the counts.
func (v *serviceView) loadTables(ctx context.Context) {
	successes, err := v.store().LastSuccesses(ctx)
	if err == nil {
		v.listed, err = v.store().ListedScopes(ctx)
	}
	if err != nil {
		v.problem = v.T("The snapshot rows could not be counted in time. Reload the page to try again.")
		return
	}
	for _, table := range v.h.engine.Repositories() {
		if table.Service != v.name {
			continue
		}
		instances := v.instances
		switch {
		case !table.Scoped:
			instances = []string{""}
		case table.Parent != "":
			instances = v.listedInstances(table)
		}
		instances = slices.DeleteFunc(slices.Clone(instances), func(instance string) bool { return !v.viewer.allowed(PermissionView, v.name, instance) })
		for _, instance := range instances {
			if v.instance != "" && table.Scoped && instance != v.instance {
				continue
			}
			if v.instance == "" && table.Parent != "" && v.scopesShown(table) > maxScopesShown { // the first of them syncs all
				v.moreScopes = true
				break
			}
			v.tables = append(v.tables, v.loadTable(ctx, table, instance, successes))
		}
	}
}

func (v *serviceView) loadTable(ctx context.Context, table nawasync.RepositoryInfo, instance string, successes []tracker.LastSuccess) tableView {
	out := tableView{RepositoryInfo: table, Instance: instance}
	counts, err := v.h.countStates(ctx, table, instance)
	if err != nil {
		v.problem = v.T("The snapshot rows could not be counted in time. Reload the page to try again.")
	}
	for _, state := range []nawasync.SyncState{
		nawasync.StateSynced, nawasync.StatePendingCreate, nawasync.StatePendingUpdate, nawasync.StatePendingDelete,
		nawasync.StateFailed, nawasync.StateConflict, nawasync.StateMissing,
	} {
		if counts[state] > 0 {
			out.states = append(out.states, stateCount{state, counts[state]})
		}
	}
	for _, s := range successes {
		if s.Service == table.Service && s.Type == table.Type && s.Action == table.Action && s.Instance == instance {
			out.synced, out.job = s.At, s.JobID
			out.staleAt = alert.Input{Schedules: v.allSchedules, Repositories: v.h.engine.Repositories()}.StaleAt(s)
		}
	}
	return out
}

// canSync reports whether a sync of the table would run: a live process handles it.
func (v *serviceView) canSync(t tableView) bool {
	return v.handled[nawasync.Kind{Service: t.Service, Type: t.Type, Action: t.Action}.String()]
}

// canPlan reports whether a plan of such a sync would run: processes of an earlier release handle none.
func (v *serviceView) canPlan(t tableView) bool {
	return v.handled[nawasync.Kind{Service: t.Service, Type: t.Type, Action: tracker.PlanAction}.String()]
}

// syncedText says how fresh the rows of a table are.
func (v *serviceView) syncedText(t tableView) string {
	if t.synced.IsZero() {
		return v.T("never synced")
	}
	return v.Tf("synced %s", v.timeAgo(t.synced))
}

// stale reports whether the next sync of a table is late.
func (v *serviceView) stale(t tableView) bool { return !t.synced.IsZero() && v.now.After(t.staleAt) }
