package admin

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Enforcer decides what a subject may do: it is asked (subject, service, permission),
// all strings, with "*" as the service for "on every service". Its error refuses, and is
// shown as a failure. casbin's enforcers are such; do not use a caching one, which goes on
// allowing a revoked role.
type Enforcer interface {
	Enforce(rvals ...any) (bool, error)
}

// The permissions.
const (
	// PermissionView shows jobs, health, snapshots and acts of a service.
	PermissionView = "sync.job.view"
	// PermissionManage retries, cancels and deletes jobs, answers conflicts, and decides
	// on held syncs.
	PermissionManage = "sync.job.manage"
	// PermissionService pauses and resumes a service, and has it synced.
	PermissionService = "sync.service.manage"
)

// The roles that package policy writes.
const (
	RoleViewer   = "sync-viewer"   // may view
	RoleOperator = "sync-operator" // may view, and manage jobs and services
)

// EveryService is the service that stands for all of them.
const EveryService = "*"

// viewer is what one request's subject may do. Decisions are asked for once a request.
type viewer struct {
	subject     string
	enforcer    Enforcer
	allServices []string        // the services there are
	decided     map[string]bool // by service and permission
	failure     error           // of the enforcer
}

func (v *viewer) may(permission, service string) bool {
	if v.subject == "" || v.enforcer == nil {
		return false
	}
	key := permission + " " + service
	if decision, ok := v.decided[key]; ok {
		return decision
	}
	decision, err := v.enforcer.Enforce(v.subject, service, permission)
	if err != nil {
		v.failure, decision = err, false
	}
	if !decision && service != EveryService && err == nil {
		decision = v.may(permission, EveryService)
	}
	v.decided[key] = decision
	return decision
}

// permitted are the services on which the subject has all of the permissions; nil is every
// one.
func (v *viewer) permitted(permissions ...string) []string {
	has := func(service string) bool {
		return !slices.ContainsFunc(permissions, func(permission string) bool { return !v.may(permission, service) })
	}
	if has(EveryService) {
		return nil
	}
	list := []string{}
	for _, service := range v.allServices {
		if has(service) {
			list = append(list, service)
		}
	}
	return list
}

// services are those that the subject may view; nil is every one.
func (v *viewer) services() []string { return v.permitted(PermissionView) }

// manageable are the services whose jobs the subject may see and change; nil is every one.
func (v *viewer) manageable() []string { return v.permitted(PermissionView, PermissionManage) }

// visible are the services that there are and that the subject may view.
func (v *viewer) visible() []string {
	return slices.DeleteFunc(slices.Clone(v.allServices), func(service string) bool { return !v.may(PermissionView, service) })
}

// anywhere reports whether the subject has a permission on some service.
func (v *viewer) anywhere(permission string) bool {
	return v.may(permission, EveryService) || slices.ContainsFunc(v.allServices, func(service string) bool { return v.may(permission, service) })
}

func (h *handler) viewer(r *http.Request) (*viewer, error) {
	v := &viewer{enforcer: h.config.Enforcer, decided: map[string]bool{}}
	if h.config.Subject != nil {
		v.subject = h.config.Subject(r)
	}
	if v.subject == "" || v.enforcer == nil {
		return v, nil
	}
	var err error
	v.allServices, err = h.services.services(r.Context(), h.engine.Reader().Now(), h.findServices)
	return v, err
}

// serviceCache remembers for a few seconds which services there are.
type serviceCache struct {
	turn   chan struct{} // holds one: who waits for a slow database waits no longer than their page may
	readAt time.Time
	names  []string
}

const serviceCacheTime = 5 * time.Second

func (k *serviceCache) services(ctx context.Context, now time.Time, find func(context.Context) ([]string, error)) ([]string, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if now.Sub(k.readAt) < serviceCacheTime {
		return k.names, nil
	}
	list, err := find(ctx)
	if err != nil {
		return nil, err
	}
	k.readAt, k.names = now, list
	return list, nil
}

// findServices lists the services that have jobs, schedules, or a process that serves
// them.
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
