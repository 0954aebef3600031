package mirror

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/bitmap"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
	"github.com/nawasara/nawasync/tracker"
)

// These limits keep the changes that a plan names short enough to be stored. It counts all.
const (
	maxPlanned      = 200
	maxPlannedBytes = 40 << 10
	maxPlannedValue = 200 // length of one value as JSON
)

// plannedClass orders the changes of a plan: first what a person wants to see before a sync.
type plannedClass int

const (
	plannedMissing plannedClass = iota
	plannedReplaced
	plannedReturned
	plannedDrifted
	plannedNew
	plannedObserved // only fields that change all the time
	plannedClasses
)

// planned collects the changes of a plan. A sync leaves it empty.
type planned struct {
	job host.Attempt // the attempt of the plan's job, which has no other use for it than to tell; nil without a job

	mu    sync.Mutex
	lists [plannedClasses][]nawasync.PlannedChange
	total int64
}

// add counts a change, and adds it unless there are enough of its class.
func (p *planned) add(class plannedClass, change func() nawasync.PlannedChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total++; len(p.lists[class]) < maxPlanned {
		p.lists[class] = append(p.lists[class], change())
	}
}

// into sets the planned changes of a result: as many as fit, and some of each class.
func (p *planned) into(r *nawasync.SyncResult) {
	var chosen [plannedClasses]int
	n, size := 0, 0
	for more := true; more && n < maxPlanned; {
		more = false
		for class, list := range p.lists {
			if chosen[class] == len(list) || n == maxPlanned {
				continue
			}
			text, _ := json.Marshal(list[chosen[class]])
			if size+len(text) > maxPlannedBytes {
				p.lists[class] = list[:chosen[class]]
				continue
			}
			n, size, more = n+1, size+len(text)+1, true
			chosen[class]++
		}
	}
	r.Planned = nil
	for class, list := range p.lists {
		r.Planned = append(r.Planned, list[:chosen[class]]...)
	}
	r.PlannedMore = p.total - int64(n)
}

// planRows plans the same for several rows.
func (s *reconcile) planRows(class plannedClass, kind tracker.ChangeKind, rows ...reflect.Value) {
	if s.attempt != nil {
		return
	}
	for _, row := range rows {
		s.plan.add(class, func() nawasync.PlannedChange { return s.plannedChange(kind, row, nil) })
	}
}

func (s *reconcile) plannedChange(kind tracker.ChangeKind, row reflect.Value, fields map[string]nawasync.PlannedValue) nawasync.PlannedChange {
	c := nawasync.PlannedChange{Kind: kind, TargetID: targetText(row, s.repo.model.key), Fields: fields}
	if kind != tracker.ChangeAppeared {
		c.Row = s.repo.model.idOf(row)
	}
	return c
}

// planUpdate plans that a row gets the values of a listed object.
func (s *reconcile) planUpdate(row reflect.Value, it listedItem, compared []*field) {
	if s.attempt != nil {
		return
	}
	class, kind, status := plannedObserved, tracker.ChangeDrifted, s.repo.status(row)
	var changed []*field
	for _, f := range compared {
		fetched := f.role == roleObserved || s.repo.model.fetched(status, f)
		if fetched && f.equal(row, it.value) {
			continue
		}
		changed = append(changed, f)
		if f.role != roleObserved {
			class = plannedDrifted
		}
	}
	if !status.MissingSince.IsZero() {
		class, kind = plannedReturned, tracker.ChangeReturned
	}
	s.plan.add(class, func() nawasync.PlannedChange {
		return s.plannedChange(kind, row, s.repo.plannedValues(row, it.value, changed))
	})
}

// plannedValues returns the old and new values of fields, masked and then cut.
func (r *repo) plannedValues(row, object reflect.Value, fields []*field) map[string]nawasync.PlannedValue {
	if len(fields) == 0 {
		return nil
	}
	status, values := r.status(row), map[string]nawasync.PlannedValue{}
	for _, f := range fields {
		from, to := json.RawMessage("null"), json.RawMessage("null")
		if text, err := json.Marshal(f.value(row).Interface()); err == nil && (f.role == roleObserved || r.model.fetched(status, f)) {
			from = text
		}
		if text, err := json.Marshal(f.value(object).Interface()); err == nil {
			to = text
		}
		values[f.column] = nawasync.PlannedValue{From: from, To: to}
	}
	document, err := json.Marshal(values)
	if err != nil {
		return nil
	}
	var masked map[string]json.RawMessage
	if json.Unmarshal([]byte(r.engine.Redact(string(nawasync.Mask(document, r.maskKeys...)))), &masked) != nil {
		return nil // better no values than one that should be masked
	}
	from, to := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for column, text := range masked {
		var value nawasync.PlannedValue
		if json.Unmarshal(text, &value) != nil || value.From == nil || value.To == nil {
			value = nawasync.PlannedValue{From: json.RawMessage(`"` + secret.Masked + `"`), To: json.RawMessage(`"` + secret.Masked + `"`)}
		}
		from[column], to[column] = value.From, value.To
	}
	shortenValues(from, maxPlannedValue)
	shortenValues(to, maxPlannedValue)
	for column := range masked {
		values[column] = nawasync.PlannedValue{From: from[column], To: to[column]}
	}
	return values
}

// planMissing plans that rows are marked as missing.
func (s *reconcile) planMissing(ctx context.Context, missing *missingRows) error {
	var first bitmap.Bitmap
	for id := range missing.rows.All() {
		if !missing.kept.Has(id) && first.Len() < maxPlanned {
			first.Add(id)
		}
	}
	n := missing.rows.Len() - overlap(&missing.rows, &missing.kept)
	err := s.eachBatch(ctx, &first, func(ids []int64) error {
		rows, _, err := s.lockRows(ctx, s.repo.db(ctx), ids, false)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			s.planRows(plannedMissing, tracker.ChangeVanished, rows.Index(i))
			n--
		}
		return nil
	})
	s.plan.total += max(0, n)
	return err
}

// report tells how far the listing is.
func (s *reconcile) report(ctx context.Context, note string) {
	if a := s.reporter(); a != nil {
		a.Progress(ctx, s.listed, s.total, note)
	}
}

// reporter returns the attempt that a listing tells how far it is, or nil.
func (s *reconcile) reporter() host.Attempt {
	if s.attempt != nil {
		return s.attempt
	}
	return s.plan.job
}
