package admin

import (
	"context"
	"slices"

	"github.com/nawasara/nawasync/tracker"
)

// maxFoundObjects limits the objects that a search shows beside the jobs.
const maxFoundObjects = 20

// findObjects returns the objects that are called like the only search word of the query. It finds them in
// the snapshots of this process, so it also finds objects that never had a job.
func (v *jobsView) findObjects(ctx context.Context) ([]tracker.Target, error) {
	names := slices.Concat(v.query.Values("text"), v.query.Values("target"))
	if len(names) != 1 || v.intParam("before") > 0 || v.wantsNewer() {
		return nil, nil
	}
	scopes, err := v.store().ServiceInstances(ctx)
	if err != nil {
		return nil, err
	}
	var found []tracker.Target
	for _, table := range v.h.engine.Repositories() {
		if !v.query.Allows("service", table.Service) || !v.query.Allows("type", table.Type) {
			continue
		}
		instances := []string{""}
		if table.Scoped {
			instances = nil
			for _, scope := range scopes {
				if scope.Service == table.Service && scope.Instance != "" {
					instances = append(instances, scope.Instance)
				}
			}
		}
		instances = slices.DeleteFunc(instances, func(instance string) bool {
			return !v.viewer.allowed(PermissionView, table.Service, instance) || !v.query.Allows("instance", instance)
		})
		with, err := v.h.instancesWith(ctx, table, instances, names[0])
		if err != nil {
			return nil, err
		}
		for _, instance := range with {
			if len(found) < maxFoundObjects {
				found = append(found, tracker.Target{Service: table.Service, Type: table.Type, Instance: instance, ID: names[0]})
			}
		}
	}
	return found, nil
}
