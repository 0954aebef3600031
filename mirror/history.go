package mirror

import (
	"encoding/json"
	"reflect"

	"github.com/nawasara/nawasync/tracker"
)

// These limits bound the history that a sync records, because each changed object costs a row
// in the transaction that writes its snapshot. The sync's result always has the full counts.
const (
	maxRecorded   = 10_000 // changed objects per sync
	maxFieldBytes = 500    // length of one value as JSON
)

// recording reports whether the sync still records changes of single objects. A plan records
// none, and neither does the first load of a scope, where every object is new.
func (s *reconcile) recording() bool {
	return s.attempt != nil && !s.firstLoad && s.recordedCount.Load() < maxRecorded
}

// record appends a change of a row to list. The transaction that writes the row stores the
// list.
func (s *reconcile) record(list *[]tracker.Change, row reflect.Value, kind tracker.ChangeKind, fields map[string]valueChange) {
	if !s.recording() {
		return
	}
	c := tracker.Change{Target: s.target(row), JobID: s.attempt.Job().ID, Kind: kind}
	if len(fields) > 0 {
		if text, err := json.Marshal(fields); err == nil {
			c.Fields = s.attempt.Redact(text) // the keys are column names, so the same fields are hidden as elsewhere
		}
	}
	*list = append(*list, c)
}

// valueChange is a field that was changed on the remote.
type valueChange struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// abbreviate returns the value that the history stores: v, or an ellipsis if v is too long.
func abbreviate(v any) any {
	text, err := json.Marshal(v)
	if err != nil || len(text) > maxFieldBytes {
		return "…"
	}
	return v
}

// target returns the target of a row's jobs.
func (s *reconcile) target(row reflect.Value) tracker.Target {
	m := s.repo.model
	return tracker.Target{Service: s.repo.service, Type: s.repo.typ, Instance: m.instance(row), ID: targetText(row, m.key)}
}
