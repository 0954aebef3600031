package tracker

import (
	"slices"
	"strings"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ServiceInstance is one instance of a service. An empty Instance stands for the jobs of the
// service that have no instance.
type ServiceInstance struct {
	Service  string `json:"service"`
	Instance string `json:"instance"`
}

// Visibility says what a caller may see: everything of some services, and of other services single
// instances. The zero value shows nothing.
type Visibility struct {
	Services  []string          `json:"services,omitempty"`
	Instances []ServiceInstance `json:"instances,omitempty"`
}

// Limited returns a Reader that reads only what v shows: its lists and counts leave out everything
// else, and its lookups return ErrNotFound for it. A pause of a scope is shown to callers who
// may see one of its instances; only those who may see all of the service, or the instance of that name, read the reason. Of a process it
// returns the kinds of services of which v shows something, and no texts of troubles. Methods that return no
// ErrNotFound return their zero value for what v does not show. Limiting a limited Reader leaves what both
// limits show. Limited runs no statement.
func (r *Reader) Limited(v Visibility) *Reader {
	v = r.limit.both(v)
	l := &visibleSet{services: map[string]bool{}, instances: map[ServiceInstance]bool{}, names: slices.Clone(v.Services)}
	for _, service := range v.Services {
		l.services[service] = true
		l.serviceRows = append(l.serviceRows, limitRow{Service: service})
	}
	for _, i := range v.Instances {
		if l.services[i.Service] || l.instances[i] {
			continue
		}
		l.instances[i] = true
		l.names = append(l.names, i.Service)
		l.instanceRows = append(l.instanceRows, limitRow(i))
	}
	slices.Sort(l.names)
	l.names = slices.Compact(l.names)
	limited := *r
	limited.limit = l
	return &limited
}

// visibleSet is a Visibility in the form that the queries need. Nil shows everything.
type visibleSet struct {
	services                  map[string]bool
	instances                 map[ServiceInstance]bool
	names                     []string // of the services of which anything is shown, sorted
	serviceRows, instanceRows []limitRow
}

// both returns what l and v show.
func (l *visibleSet) both(v Visibility) (out Visibility) {
	if l == nil {
		return v
	}
	for _, service := range v.Services {
		if l.services[service] {
			out.Services = append(out.Services, service)
			continue
		}
		for i := range l.instances {
			if i.Service == service {
				out.Instances = append(out.Instances, i)
			}
		}
	}
	for _, i := range v.Instances {
		if l.shows(i.Service, i.Instance) {
			out.Instances = append(out.Instances, i)
		}
	}
	return out
}

// limitRow is a row of a Dialect.Rowset.
type limitRow struct {
	Service  string `json:"v_service"`
	Instance string `json:"v_instance"`
}

// shows reports whether the jobs of an instance are shown.
func (l *visibleSet) shows(service, instance string) bool {
	return l == nil || l.services[service] || l.instances[ServiceInstance{service, instance}]
}

// showsWhole reports whether all instances of a service are shown.
func (l *visibleSet) showsWhole(service string) bool { return l == nil || l.services[service] }

// showsPart reports whether any instance of a service is shown.
func (l *visibleSet) showsPart(service string) bool {
	if l == nil {
		return true
	}
	_, found := slices.BinarySearch(l.names, service)
	return found
}

// showsScope reports whether a pause of a service (with the instance "") or of a part of it concerns
// anything that is shown.
func (l *visibleSet) showsScope(service, instance string) bool {
	if instance == "" {
		return l.showsPart(service)
	}
	if l.shows(service, instance) {
		return true
	}
	for i := range l.instances {
		if i.Service == service && sqlkit.Covers(instance, i.Instance) {
			return true
		}
	}
	return false
}

// byInstance reports whether l shows single instances, which no index finds.
func (l *visibleSet) byInstance() bool { return l != nil && len(l.instances) > 0 }

// limitCondition returns a condition on the columns service and instance of a table, whose name or alias is
// table. The instances are one parameter however many there are; the database builds a hash of them
// once.
func (r *Reader) limitCondition(table string) (clause string, args []any) {
	l := r.limit
	if l == nil {
		return "1 = 1", nil
	}
	var parts []string
	if len(l.serviceRows) > 0 {
		text, _ := sqlkit.JSONText(l.serviceRows)
		parts = append(parts, table+".service IN (SELECT v_service FROM "+r.limitRows()+")")
		args = append(args, text)
	}
	if len(l.instanceRows) > 0 {
		text, _ := sqlkit.JSONText(l.instanceRows)
		parts = append(parts, "("+table+".service, "+table+".instance) IN (SELECT v_service, v_instance FROM "+r.limitRows()+")")
		args = append(args, text)
	}
	if len(parts) == 0 {
		return "1 = 0", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", args
}

// serviceCondition returns a condition on the column service of a table that is true for the services of which
// everything is shown. It is for figures of all instances together.
func (r *Reader) serviceCondition(table string) (clause string, args []any) {
	switch l := r.limit; {
	case l == nil:
		return "1 = 1", nil
	case len(l.serviceRows) == 0:
		return "1 = 0", nil
	default:
		text, _ := sqlkit.JSONText(l.serviceRows)
		return table + ".service IN (SELECT v_service FROM " + r.limitRows() + ")", []any{text}
	}
}

// limitRows returns a table of services and instances that is read from one JSON parameter. MySQL builds
// a hash of a subquery only if its columns are short and have the collation of the column that they are
// compared with.
func (r *Reader) limitRows() string {
	if r.dialect.Name != "mysql" {
		return r.dialect.Rowset("service:t", "instance:t")
	}
	column := func(name string) string {
		return "v_" + name + " VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$.v_" + name + "'"
	}
	return "JSON_TABLE(?, '$[*]' COLUMNS(" + column("service") + ", " + column("instance") + ")) AS v"
}

// limitServices returns a search for the services that both q and the limit allow.
func (r *Reader) limitServices(q Search) Search {
	switch {
	case r.limit == nil:
	case q.Services == nil:
		q.Services = append([]string{}, r.limit.names...)
	default:
		q.Services = slices.DeleteFunc(slices.Clone(q.Services), func(service string) bool { return !r.limit.showsPart(service) })
	}
	return q
}
