package admin

import (
	"slices"

	"github.com/nawasara/nawasync"
)

// maxScopesShown is how many scopes of a repository the page of a service shows that follows another one.
const maxScopesShown = 50

// listedInstances returns the instances of a repository whose scopes are the rows of another one: "", whose sync is
// one of all scopes, and the listed scopes.
func (v *serviceView) listedInstances(table nawasync.RepositoryInfo) []string {
	list := []string{""}
	for _, l := range v.listed {
		if l.Service == table.Service && l.Type == table.Type && !l.Gone() {
			list = append(list, l.Instance)
		}
	}
	return list
}

// scopesShown returns how many scopes of a repository the page shows so far.
func (v *serviceView) scopesShown(table nawasync.RepositoryInfo) (n int) {
	for _, t := range v.tables {
		if t.Type == table.Type {
			n++
		}
	}
	return n
}

// syncAsked returns the instance for which a sync needs the permission: one of all scopes concerns every instance.
func (p *request) syncAsked(service, typ, instance string) string {
	all := instance == "" && slices.ContainsFunc(p.h.engine.Repositories(), func(r nawasync.RepositoryInfo) bool {
		return r.Service == service && r.Type == typ && r.Parent != ""
	})
	if all {
		return Every
	}
	return instance
}

// maySync reports whether the subject may sync a table.
func (v *serviceView) maySync(t tableView) bool {
	return v.viewer.allowed(PermissionService, v.name, v.syncAsked(v.name, t.Type, t.Instance))
}

// tableText names a table and its scope.
func (v *serviceView) tableText(t tableView) string {
	if t.Parent != "" && t.Instance == "" {
		return v.Tf("%s: all scopes", t.Type)
	}
	return v.scopeText(t.Type, t.Instance)
}
