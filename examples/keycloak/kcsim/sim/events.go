package sim

import (
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
	of.events = append(of.events, event{s.newID("event " + of.name), s.now().UnixMilli(), of.id, operation, kind, path})
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
