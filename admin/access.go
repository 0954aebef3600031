package admin

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Enforcer decides what a subject may do. The pages call Enforce with three strings: the subject,
// the service and the permission. What it answers for a service is final, so it must apply rules for every
// service itself. The pages also ask for the service "*", which stands for every service, to know whether
// a list needs a filter. An error counts as a refusal. The enforcers of casbin implement this interface.
// Do not use one that caches decisions: it would still grant the permissions of a revoked role.
type Enforcer interface {
	Enforce(rvals ...any) (bool, error)
}

// The permissions.
const (
	// PermissionView allows seeing the jobs, health, snapshots and audit log of a service.
	PermissionView = "sync.job.view"
	// PermissionManage allows retrying, cancelling and deleting jobs, resolving conflicts, and
	// releasing or rejecting held syncs.
	PermissionManage = "sync.job.manage"
	// PermissionService allows pausing, resuming and syncing a service.
	PermissionService = "sync.service.manage"
)

// The roles that policy.Seed creates.
const (
	RoleViewer   = "role:sync-viewer"   // has PermissionView
	RoleOperator = "role:sync-operator" // has all three permissions
)

// EveryService is the service name that stands for all services in a policy.
const EveryService = "*"

// viewer holds what one subject may do. It calls the enforcer at most once for
// each service and permission.
type viewer struct {
	subject     string
	enforcer    Enforcer
	allServices []string        // the existing services
	decisions   map[string]bool // by permission and service
	enforcerErr error           // the enforcer's last error
}

// allowed reports whether the subject has a permission on a service. A denial of one service is final,
// whatever the subject may do on every service.
func (v *viewer) allowed(permission, service string) bool {
	if v.subject == "" || v.enforcer == nil {
		return false
	}
	key := permission + " " + service
	if decision, ok := v.decisions[key]; ok {
		return decision
	}
	decision, err := v.enforcer.Enforce(v.subject, service, permission)
	if err != nil {
		v.enforcerErr, decision = err, false
	}
	v.decisions[key] = decision
	return decision
}

// servicesWith returns the services on which the subject has all of the permissions. The result is
// nil if the subject has them on every service and is denied none.
func (v *viewer) servicesWith(permissions ...string) []string {
	hasAll := func(service string) bool {
		return !slices.ContainsFunc(permissions, func(permission string) bool { return !v.allowed(permission, service) })
	}
	list := []string{}
	for _, service := range v.allServices {
		if hasAll(service) {
			list = append(list, service)
		}
	}
	if len(list) == len(v.allServices) && hasAll(EveryService) {
		return nil
	}
	return list
}

// viewFilter returns the services to which a store query must be limited so that it finds only
// jobs that the subject may view. Nil means no limit.
func (v *viewer) viewFilter() []string { return v.servicesWith(PermissionView) }

// manageFilter is viewFilter for jobs that the subject may both view and manage.
func (v *viewer) manageFilter() []string { return v.servicesWith(PermissionView, PermissionManage) }

// visibleServices lists the existing services that the subject may view.
func (v *viewer) visibleServices() []string {
	return slices.DeleteFunc(slices.Clone(v.allServices), func(service string) bool { return !v.allowed(PermissionView, service) })
}

// allowedAnywhere reports whether the subject has a permission on at least one service.
func (v *viewer) allowedAnywhere(permission string) bool {
	return v.allowed(permission, EveryService) || slices.ContainsFunc(v.allServices, func(service string) bool { return v.allowed(permission, service) })
}

func (h *handler) newViewer(r *http.Request) (*viewer, error) {
	v := &viewer{enforcer: h.config.Enforcer, decisions: map[string]bool{}}
	if h.config.Subject != nil {
		v.subject = h.config.Subject(r)
	}
	if v.subject == "" || v.enforcer == nil {
		return v, nil
	}
	var err error
	v.allServices, err = h.services.list(r.Context(), h.engine.Reader().Now(), h.findServices)
	return v, err
}

// serviceCache caches the list of existing services for serviceCacheTime.
type serviceCache struct {
	sem    chan struct{} // capacity 1; a mutex that a request stops waiting for when its context ends
	readAt time.Time
	names  []string
}

const serviceCacheTime = 5 * time.Second

// list returns the cached services, or calls find if the cache has expired.
func (c *serviceCache) list(ctx context.Context, now time.Time, find func(context.Context) ([]string, error)) ([]string, error) {
	select {
	case c.sem <- struct{}{}:
		defer func() { <-c.sem }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if age := now.Sub(c.readAt); age >= 0 && age < serviceCacheTime { // negative after the clock was set back
		return c.names, nil
	}
	names, err := find(ctx)
	if err != nil {
		return nil, err
	}
	c.readAt, c.names = now, names
	return names, nil
}

// findServices lists the services that have jobs, schedules, or handlers in this process.
func (h *handler) findServices(ctx context.Context) ([]string, error) {
	store := h.engine.Reader()
	list, err := store.Services(ctx)
	if err != nil {
		return nil, err
	}
	list = append(list, h.engine.Services()...)
	schedules, err := store.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range schedules {
		list = append(list, s.Service)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
