package admin

import (
	"context"
	"net/http"
	"slices"

	"github.com/nawasara/nawasync/tracker"
)

// Enforcer decides what a subject may do. The pages call Enforce with four strings: the subject, the
// service, the instance and the permission. An instance is "" for the jobs that have none. The pages
// ask for the service or instance Every to know whether a subject may do something everywhere, and
// then whether each existing one is denied. What Enforce answers for a service and instance is final:
// it must apply rules for every service or instance itself. An error counts as a refusal. The enforcers
// of casbin implement this interface. Do not use one that caches decisions: it would still grant the
// permissions of a revoked role.
type Enforcer interface {
	Enforce(rvals ...any) (bool, error)
}

// VersionedEnforcer is an Enforcer whose rules can change in another process. The pages call Refresh
// before each request, and bulk runs before each job. policy.Enforcer implements it.
type VersionedEnforcer interface {
	Enforcer
	// Refresh applies the rules as they are now, and returns a text that differs when they differ. After
	// an error the request fails, and nothing is allowed.
	Refresh(ctx context.Context) (version string, err error)
}

// The permissions.
const (
	// PermissionView allows seeing the figures, jobs, snapshots and audit log of an instance.
	PermissionView = "sync.job.view"
	// PermissionManage allows retrying, cancelling and deleting jobs, resolving conflicts, and
	// releasing or rejecting held syncs.
	PermissionManage = "sync.job.manage"
	// PermissionService allows pausing, resuming and syncing an instance or, if the subject has it on
	// every instance, a service.
	PermissionService = "sync.service.manage"
)

// The roles that policy.Seed creates.
const (
	RoleViewer   = "role:sync-viewer"   // has PermissionView
	RoleOperator = "role:sync-operator" // has all three permissions
)

// Every stands for all services, or for all instances of a service.
const Every = "*"

// viewer holds what one subject may do. It calls the enforcer at most once for each question.
type viewer struct {
	subject     string
	enforcer    Enforcer
	loaded      bool                      // the rules and existing are current
	version     string                    // of the enforcer's rules; "" if they have none
	existing    []tracker.ServiceInstance // what there is, sorted
	decisions   map[question]bool
	enforcerErr error // the enforcer's last error
	cache       *visibilityCache
}

// question is what a viewer asks the enforcer about its subject.
type question struct{ permission, service, instance string }

// allowed reports whether the subject has a permission on an instance of a service. A denial is
// final, whatever the subject may do on every service or instance.
func (v *viewer) allowed(permission, service, instance string) bool {
	if !v.loaded || v.subject == "" || v.enforcer == nil {
		return false
	}
	key := question{permission, service, instance}
	if decision, ok := v.decisions[key]; ok {
		return decision
	}
	decision, err := v.enforcer.Enforce(v.subject, service, instance, permission)
	if err != nil {
		v.enforcerErr, decision = err, false
	}
	v.decisions[key] = decision
	return decision
}

// visibility returns what the subject may see and do with all of the permissions. Nil is everything,
// which is returned only if nothing that exists is denied.
func (v *viewer) visibility(permissions ...string) *tracker.Visibility {
	return v.cache.get(v, permissions, func() *tracker.Visibility {
		has := func(service, instance string) bool {
			return !slices.ContainsFunc(permissions, func(permission string) bool { return !v.allowed(permission, service, instance) })
		}
		everything, out := has(Every, Every), &tracker.Visibility{}
		for from, to := 0, 0; from < len(v.existing); from = to {
			service := v.existing[from].Service
			for to < len(v.existing) && v.existing[to].Service == service {
				to++
			}
			if service == bulkKind.Service {
				// The jobs of bulk runs name what they change, so only those who see everything see them.
				everything = everything && has(service, Every)
				continue
			}
			allowed := slices.DeleteFunc(slices.Clone(v.existing[from:to]), func(i tracker.ServiceInstance) bool { return !has(service, i.Instance) })
			if len(allowed) == to-from && has(service, Every) {
				out.Services = append(out.Services, service)
				continue
			}
			everything = false
			out.Instances = append(out.Instances, allowed...)
		}
		if everything {
			return nil
		}
		return out
	})
}

// views returns what the subject may view.
func (v *viewer) views() *tracker.Visibility { return v.visibility(PermissionView) }

// viewsScope reports whether the subject may view an instance or the first components of one, such as the account
// of zones, and whether the service has such an instance. A rule for an instance also allows those below it, of
// which a form could name any number that do not exist.
func (v *viewer) viewsScope(service, instance string) bool {
	scope := tracker.Scope{Service: service, Instance: instance}
	return v.allowed(PermissionView, service, instance) &&
		slices.ContainsFunc(v.existing, func(i tracker.ServiceInstance) bool { return scope.Covers(i.Service, i.Instance) })
}

// manages returns what the subject may both view and manage.
func (v *viewer) manages() *tracker.Visibility { return v.visibility(PermissionView, PermissionManage) }

// visibleServices lists the existing services of which the subject may view something.
func (v *viewer) visibleServices() (list []string) {
	visible := v.views()
	for _, i := range v.existing {
		if len(list) > 0 && list[len(list)-1] == i.Service {
			continue
		}
		shown := visible == nil || slices.Contains(visible.Services, i.Service) ||
			slices.ContainsFunc(visible.Instances, func(j tracker.ServiceInstance) bool { return j.Service == i.Service })
		if shown {
			list = append(list, i.Service)
		}
	}
	return list
}

// allowedAnywhere reports whether the subject has a permission on at least one instance.
func (v *viewer) allowedAnywhere(permission string) bool {
	visible := v.visibility(permission)
	return v.loaded && (visible == nil || len(visible.Services)+len(visible.Instances) > 0)
}

// limited returns a reader that shows only what a visibility allows.
func limited(reader *tracker.Reader, visible *tracker.Visibility) *tracker.Reader {
	if visible == nil {
		return reader
	}
	return reader.Limited(*visible)
}

func (h *handler) newViewer(r *http.Request) *viewer {
	v := &viewer{enforcer: h.config.Enforcer, decisions: map[question]bool{}, cache: &h.visibilities}
	if h.config.Subject != nil {
		v.subject = h.config.Subject(r)
	}
	return v
}

// load applies the current rules and reads what there is. Until then, nothing is allowed.
func (v *viewer) load(ctx context.Context, h *handler) (err error) {
	if v.version, err = refresh(ctx, v.enforcer); err != nil {
		return err
	}
	if v.existing, err = h.instances.list(ctx, h.reader.Now(), h.findInstances); err == nil {
		v.loaded = true
	}
	return err
}

// refresh applies the current rules of an enforcer, and returns their version or "".
func refresh(ctx context.Context, enforcer Enforcer) (string, error) {
	versioned, ok := enforcer.(VersionedEnforcer)
	if !ok {
		return "", nil
	}
	return versioned.Refresh(ctx)
}
