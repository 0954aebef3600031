package mirror

import (
	"encoding/json"
	"reflect"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// What a sync notes of single objects: each costs a row in the transaction that writes
// its snapshot. Of a sync that finds more the result has the figures.
const (
	maxRecorded   = 10_000 // of one sync
	maxFieldBytes = 500    // bytes of a value
)

// recording reports whether the sync still notes single objects. A plan does not, nor does
// the first load of a scope, where every object is new.
func (s *reconcile) recording() bool {
	return s.attempt != nil && !s.firstLoad && s.recordedCount.Load() < maxRecorded
}

// record adds a change of a row to what its transaction will write.
func (s *reconcile) record(list *[]tracker.Change, row reflect.Value, what tracker.ChangeKind, fields map[string]valueChange) {
	if !s.recording() {
		return
	}
	c := tracker.Change{Target: s.target(row), JobID: s.attempt.Job().ID, Kind: what}
	if len(fields) > 0 {
		if text, err := json.Marshal(fields); err == nil {
			c.Fields = nawasync.Mask(text) // under the columns' names, so that it hides what Mask hides elsewhere
		}
	}
	*list = append(*list, c)
}

// valueChange is a field that somebody else has changed.
type valueChange struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// abbreviate is a value as a history shows it.
func abbreviate(v any) any {
	text, err := json.Marshal(v)
	if err != nil || len(text) > maxFieldBytes {
		return "…"
	}
	return v
}

// target is the object of a row.
func (s *reconcile) target(row reflect.Value) tracker.Target {
	m := s.repo.model
	return tracker.Target{Service: s.repo.service, Type: s.repo.typ, Instance: m.instance(row), ID: joinKeyParts(row, m.key)}
}
