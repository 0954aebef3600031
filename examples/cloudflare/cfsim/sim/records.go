package sim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Record is a DNS record as the API shows it. Since January 2025 it has no zone.
type Record struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Content    string         `json:"content"`
	Proxiable  bool           `json:"proxiable"`
	Proxied    bool           `json:"proxied"`
	TTL        int            `json:"ttl"`
	Priority   *int           `json:"priority,omitempty"`
	Settings   map[string]any `json:"settings"`
	Meta       map[string]any `json:"meta"`
	Comment    *string        `json:"comment"`
	Tags       []string       `json:"tags"`
	CreatedOn  time.Time      `json:"created_on"`
	ModifiedOn time.Time      `json:"modified_on"`
}

// listed returns the records of a zone in the order of their creation.
func (z *zone) listed() []Record {
	list := make([]Record, 0, len(z.order))
	for _, id := range z.order {
		list = append(list, *z.records[id])
	}
	return list
}

// listRecords lists the records that match all filters of the call.
func (s *Server) listRecords(r request) answer {
	var list []Record
	for _, record := range r.zone.listed() {
		if matches(r, record) {
			list = append(list, record)
		}
	}
	direction := 1
	if r.FormValue("direction") == "desc" {
		direction = -1
	}
	switch r.FormValue("order") {
	case "name":
		slices.SortStableFunc(list, func(a, b Record) int {
			return direction * cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
		})
	case "type":
		slices.SortStableFunc(list, func(a, b Record) int { return direction * strings.Compare(a.Type, b.Type) })
	}
	return pageOf(r, list, 100, 5_000_000)
}

func matches(r request, record Record) bool {
	for filter, value := range map[string]string{
		"type": record.Type, "name": record.Name, "name.exact": record.Name, "content": record.Content, "content.exact": record.Content,
	} {
		if want := r.FormValue(filter); want != "" && !strings.EqualFold(want, value) {
			return false
		}
	}
	return true
}

// findRecord returns the record of a call, or the answer that there is none.
func (r request) findRecord() (*Record, *answer) {
	id := r.PathValue("record")
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, new(failed(http.StatusBadRequest, 1002, "Invalid dns record identifier"))
	}
	if record := r.zone.records[id]; record != nil {
		return record, nil
	}
	return nil, new(failed(http.StatusNotFound, 81044, "Record does not exist."))
}

func (s *Server) getRecord(r request) answer {
	record, refused := r.findRecord()
	if refused != nil {
		return *refused
	}
	return succeeded(*record)
}
