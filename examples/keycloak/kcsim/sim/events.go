package sim

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// event is an entry of the admin events.
type event struct {
	ID        string `json:"id"`
	Time      int64  `json:"time"`
	Realm     string `json:"realmId"`
	Operation string `json:"operationType"`
	Type      string `json:"resourceType"`
	Path      string `json:"resourcePath"`
}

// record adds an event, if the realm saves them. The caller holds the lock.
func (s *Server) record(of *realm, kind, operation, path string) {
	if of.silent {
		return
	}
	e := event{s.newID("event " + of.name), s.now().UnixMilli(), of.id, operation, kind, path}
	if of.hold > 0 {
		of.hold, of.held = of.hold-1, append(of.held, e)
		return
	}
	of.show(e)
}

// show adds an event among the others, in the order of their times.
func (r *realm) show(e event) {
	i, _ := slices.BinarySearchFunc(r.events, e.Time+1, func(e event, t int64) int { return cmp.Compare(e.Time, t) })
	r.events = slices.Insert(r.events, i, e)
}

// HoldEvents keeps the next admin events of a realm back, as the server does with those of a request that has not ended.
func (s *Server) HoldEvents(name string, next int) error {
	return s.in(name, func(of *realm) error {
		of.hold = next
		return nil
	})
}

// ShowEvents lets the events that were kept back appear, with the times that they have.
func (s *Server) ShowEvents(name string) error {
	return s.in(name, func(of *realm) error {
		for _, e := range of.held {
			of.show(e)
		}
		of.hold, of.held = 0, nil
		return nil
	})
}

// DropEvents deletes the oldest admin events of a realm, up to a number, as the server does with those that have expired.
func (s *Server) DropEvents(name string, most int) error {
	return s.in(name, func(of *realm) error {
		of.events = slices.Clone(of.events[min(most, len(of.events)):])
		return nil
	})
}

// listEvents lists the events, the newest first if the call does not ask otherwise.
func (s *Server) listEvents(r request) answer {
	query := r.URL.Query()
	var from int64
	if text := query.Get("dateFrom"); text != "" {
		day, dayErr := time.Parse(time.DateOnly, text)
		millis, err := strconv.ParseInt(text, 10, 64)
		switch {
		case dayErr == nil:
			from = day.UnixMilli()
		case err == nil:
			from = millis
		default:
			return failed(http.StatusBadRequest, "Invalid value for 'dateFrom', expected format is yyyy-MM-dd or an Epoch timestamp")
		}
	}
	list := []event{}
	for _, e := range r.realm.events {
		if e.Time >= from && (!query.Has("resourceTypes") || slices.Contains(query["resourceTypes"], e.Type)) {
			list = append(list, e)
		}
	}
	if query.Get("direction") != "asc" {
		slices.Reverse(list)
	}
	first, _ := strconv.Atoi(query.Get("first"))
	most, err := strconv.Atoi(query.Get("max"))
	if err != nil {
		most = 100
	}
	first = min(max(0, first), len(list))
	return answer{status: http.StatusOK, body: list[first:min(first+most, len(list))]}
}
