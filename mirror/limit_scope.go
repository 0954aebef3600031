package mirror

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/nawasara/nawasync/internal/host"
)

// LimitRemote is an optional interface of a Remote that knows what the limits and credentials of the API
// belong to, where the tag limit cannot say so: for example because a token has one account in one
// installation, and all in another.
type LimitRemote[T any] interface {
	// LimitScope returns scope with only those of its first fields set that the limits and credentials
	// belong to: for zones of accounts, the account. scope itself means one scope alone, the zero value
	// the whole service. The answer for a scope must not change, and must not need a call. It must be safe
	// for concurrent use.
	LimitScope(scope T) T
}

// setLimits checks which scope fields have the tag limit. Without one, limits belong to the whole scope.
func (m *model) setLimits() error {
	for i, f := range m.scope {
		switch {
		case f.limit && m.limits < i:
			return fmt.Errorf(`field %s has the tag limit, and the scope field before it has not: the limit scope is the first fields of the scope; put them first`, f.Name)
		case f.limit:
			m.limits = i + 1
		}
	}
	if m.limits == 0 {
		m.limits = len(m.scope)
	}
	return nil
}

var _ host.LimitScoper = attached{}

// LimitScopeOf implements host.LimitScoper. An instance that is no scope of the table is that of a job of the
// application; its limit scope is itself.
func (r attached) LimitScopeOf(instance string) (string, error) {
	scope, err := r.model.scopeOf(instance)
	if err != nil {
		return instance, nil //nolint:nilerr // see above
	}
	n := r.model.limits
	if limited, ok := r.remote.(limitScoper); ok {
		if n, err = limited.limitFields(r.model, scope); err != nil {
			return "", fmt.Errorf("limit scope of %s/%s %q: %w", r.service, r.typ, instance, err)
		}
	}
	return cutInstance(instance, n, len(r.model.scope)), nil
}

// cutInstance returns the first n of an instance's parts, of which there are all.
func cutInstance(instance string, n, all int) string {
	switch n {
	case 0:
		return ""
	case all:
		return instance
	}
	return strings.Join(strings.Split(instance, "/")[:n], "/")
}

// limitScoper is an erasedRemote that may implement LimitRemote.
type limitScoper interface {
	// limitFields returns how many of the first scope fields are the limit scope.
	limitFields(m *model, scope reflect.Value) (int, error)
}

func (a remoteAdapter[T]) limitFields(m *model, scope reflect.Value) (int, error) {
	remote, ok := a.Lister.(LimitRemote[T])
	if !ok {
		return m.limits, nil
	}
	limit := remote.LimitScope(asType[T](scope))
	named := reflect.ValueOf(&limit).Elem()
	n := 0
	for i, f := range m.scope {
		value := f.value(named)
		switch {
		case value.IsZero():
		case i > n || keyPart(value) != keyPart(f.value(scope)):
			return 0, errors.New("Remote.LimitScope must return the first fields of the scope unchanged, and the others empty")
		default:
			n = i + 1
		}
	}
	return n, nil
}
