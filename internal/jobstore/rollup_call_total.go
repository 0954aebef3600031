package jobstore

import (
	"github.com/nawasara/nawasync/internal/remotecall"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// serviceTemplate is a template of the client of a service.
type serviceTemplate struct{ service, template string }

// templatesWithoutTotal returns the templates of deltas that are counted as remotecall.Other in the totals. The totals
// are never deleted, so that counters which are read from them only grow. So a service has them for its first
// remotecall.MaxTemplates templates only: other versions of the client may have had others. The caller holds the lock
// of the rollup, so nobody adds templates meanwhile.
func (s *Store) templatesWithoutTotal(conn *sqlkit.Conn, deltas []callDelta) (map[serviceTemplate]bool, error) {
	fresh, err := s.templatesWithoutRow(conn, deltas)
	if err != nil || len(fresh) == 0 {
		return nil, err
	}
	others, known := map[serviceTemplate]bool{}, map[string]map[string]bool{}
	for _, t := range fresh {
		if known[t.service] == nil {
			if known[t.service], err = s.totalTemplates(conn, t.service); err != nil {
				return nil, err
			}
		}
		switch templates := known[t.service]; {
		case templates[t.template]:
		case len(templates) < remotecall.MaxTemplates:
			templates[t.template] = true
		default:
			others[t] = true
		}
	}
	return others, nil
}

// templatesWithoutRow returns the templates of deltas for whose methods there is no total yet, in the order of the
// deltas.
func (s *Store) templatesWithoutRow(conn *sqlkit.Conn, deltas []callDelta) (list []serviceTemplate, err error) {
	ids, seen := []int64{}, map[int64]bool{}
	rowOf := func(d *callDelta) int64 { return endpointRows(d, nil)[endpointTotal].Endpoint }
	for i := range deltas {
		if id := rowOf(&deltas[i]); !seen[id] && deltas[i].Template != remotecall.Other {
			ids, seen[id] = append(ids, id), true
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	stored, err := sqlkit.Column[int64](conn, "SELECT endpoint FROM nawasync_endpoints WHERE endpoint IN ?", ids)
	if err != nil {
		return nil, err
	}
	for _, id := range stored {
		delete(seen, id)
	}
	for i := range deltas {
		if d := &deltas[i]; seen[rowOf(d)] {
			list = append(list, serviceTemplate{d.Service, d.Template})
		}
	}
	return list, nil
}

// totalTemplates returns the templates of a service that have a total. It reads a row for each of their methods.
func (s *Store) totalTemplates(conn *sqlkit.Conn, service string) (map[string]bool, error) {
	list, err := sqlkit.Column[string](conn, "SELECT e.template FROM "+s.dialect.EndpointRows()+" WHERE e.quota = ? AND e.service = ? AND e.instance = ''",
		endpointTotal, service)
	known := map[string]bool{}
	for _, template := range list {
		if template != remotecall.Other {
			known[template] = true
		}
	}
	return known, err
}

// totalTemplate returns the template under which a delta is counted in the totals.
func totalTemplate(d *callDelta, others map[serviceTemplate]bool) string {
	if others[serviceTemplate{d.Service, d.Template}] {
		return remotecall.Other
	}
	return d.Template
}
