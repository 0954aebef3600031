package nawasync

import (
	"encoding/json"
	"reflect"

	"github.com/nawasara/nawasync/tracker"
)

// What a sync notes of single objects: each costs a row in the transaction that writes
// its snapshot. Of a sync that finds more the result has the figures.
const (
	maxNoted = 10_000 // of one sync
	maxField = 500    // bytes of a value
)

// notes reports whether the sync still notes single objects. A plan does not, nor does
// the first load of a scope, where every object is new.
func (s *reconcile) notes() bool { return s.a != nil && !s.first && s.noted.Load() < maxNoted }

// note adds a change of a row to what its transaction will write.
func (s *reconcile) note(list *[]tracker.Change, row reflect.Value, what tracker.ChangeKind, fields map[string]fromTo) {
	if !s.notes() {
		return
	}
	c := tracker.Change{TargetKey: s.targetKey(row, s.r.model.key), JobID: s.a.job.ID, What: what}
	if len(fields) > 0 {
		if text, err := json.Marshal(fields); err == nil {
			c.Fields = Mask(text) // under the columns' names, so that it hides what Mask hides elsewhere
		}
	}
	*list = append(*list, c)
}

// fromTo is a field that somebody else has changed.
type fromTo struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// short is a value as a history shows it.
func short(v any) any {
	text, err := json.Marshal(v)
	if err != nil || len(text) > maxField {
		return "…"
	}
	return v
}
