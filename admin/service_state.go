package admin

import (
	"slices"

	"github.com/nawasara/nawasync/admin/internal/alert"
	"github.com/nawasara/nawasync/tracker"
)

// state returns the state of the service and why it is so.
func (v *serviceView) state() serviceState {
	exact := v.coveringPause()
	switch {
	case exact != nil && alert.Unreachable(*exact):
		return serviceState{v.T("unreachable"), "held", "bad", v.T("The remote cannot be reached. The jobs wait until one of them gets an answer.")}
	case exact != nil && exact.Probes > 0:
		return serviceState{v.T("parked"), "held", "bad", v.T("The remote refuses the credentials. The jobs wait until one of them shows that they are accepted again.")}
	case exact != nil && exact.Parked:
		return serviceState{v.T("parked"), "held", "bad", v.T("The remote refused requests, so the engine waits before it tries again.")}
	case exact != nil:
		return serviceState{v.T("paused"), "held", "warn", v.T("Queued jobs wait. Running jobs continue.")}
	case v.processes == 0:
		return serviceState{v.T("no worker"), "failed", "bad", v.T("No running process handles this service. Start one, or its jobs wait.")}
	case len(v.scopes) > 0:
		return serviceState{v.T("partly paused"), "held", "warn", v.T("Some instances are paused or parked.")}
	case len(v.openHolds()) > 0:
		return serviceState{
			v.T("sync held"),
			"held",
			"warn",
			v.plural(int64(len(v.openHolds())), "1 held sync waits for a decision.", "%s held syncs wait for a decision."),
		}
	}
	return serviceState{
		v.T("running"),
		"success",
		"calm",
		v.Tf("On %s. Waiting: %s.", v.plural(int64(v.processes), "1 process", "%s processes"), v.jobCount(v.waiting)),
	}
}

// openHolds returns the held syncs that wait for a decision.
func (v *serviceView) openHolds() []tracker.Hold {
	return slices.DeleteFunc(slices.Clone(v.holds), func(h tracker.Hold) bool { return h.Status != tracker.HoldOpen })
}

// closedHolds returns the held syncs that were decided.
func (v *serviceView) closedHolds() []tracker.Hold {
	return slices.DeleteFunc(slices.Clone(v.holds), func(h tracker.Hold) bool { return h.Status == tracker.HoldOpen })
}

// syncable returns the tables that the subject can sync now.
func (v *serviceView) syncable() []tableView {
	return slices.DeleteFunc(slices.Clone(v.tables), func(t tableView) bool {
		return !v.canSync(t) || !v.maySync(t)
	})
}
