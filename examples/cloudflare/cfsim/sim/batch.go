package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// maxBatch is how many operations a batch may have on a free plan.
const maxBatch = 200

// batch carries out deletions, patches, puts and posts, in this order. If one is refused, none is carried out.
func (s *Server) batch(r request) answer {
	var body struct {
		Deletes []Change `json:"deletes"`
		Patches []Change `json:"patches"`
		Puts    []Change `json:"puts"`
		Posts   []Change `json:"posts"`
	}
	if err := json.Unmarshal(r.body, &body); err != nil {
		return failed(http.StatusBadRequest, 9207, "Failed to parse the request body: "+err.Error())
	}
	if n := len(body.Deletes) + len(body.Patches) + len(body.Puts) + len(body.Posts); n > maxBatch {
		return failed(http.StatusBadRequest, 9999, fmt.Sprintf("A batch may have %d operations, and this one has %d.", maxBatch, n))
	}
	before := r.zone.listed()
	done := map[string][]Record{"deletes": {}, "patches": {}, "puts": {}, "posts": {}}
	for _, c := range body.Deletes {
		record := r.zone.records[c.ID]
		if record == nil {
			return r.rollBack(before, failed(http.StatusNotFound, 81044, "Record does not exist."))
		}
		done["deletes"] = append(done["deletes"], *record)
		r.zone.remove(c.ID)
	}
	for i, c := range append(slices.Clone(body.Patches), body.Puts...) {
		kind := "patches"
		if i >= len(body.Patches) {
			kind = "puts"
		}
		record := r.zone.records[c.ID]
		if record == nil {
			return r.rollBack(before, failed(http.StatusNotFound, 81044, "Record does not exist."))
		}
		if refused := s.edit(r.zone, record, c, kind == "puts"); refused != nil {
			return r.rollBack(before, *refused)
		}
		done[kind] = append(done[kind], *record)
	}
	for _, c := range body.Posts {
		record, refused := s.create(r.zone, c)
		if refused != nil {
			return r.rollBack(before, *refused)
		}
		done["posts"] = append(done["posts"], *record)
	}
	for _, kind := range []string{"deletes", "patches", "puts", "posts"} {
		for _, record := range done[kind] {
			s.changes[record.ID]++
		}
	}
	return succeeded(done)
}

// rollBack gives the zone the records that it had.
func (r request) rollBack(before []Record, refused answer) answer {
	for _, id := range slices.Clone(r.zone.order) {
		r.zone.remove(id)
	}
	for _, record := range before {
		r.zone.put(&record)
	}
	return refused
}
