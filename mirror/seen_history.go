package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

// maxSeenHistory is how many recorded changes and how many jobs of an object are looked at for what a user saw.
const maxSeenHistory = 20

// addSeen adds to the base of a conflict what the user of a token saw, where the object's history has it. The token
// has a digest only, so a value counts if it has the digest. All others stay unknown.
func (r *repo) addSeen(ctx context.Context, base map[string]json.RawMessage, c conflicting) error {
	var history map[string][]json.RawMessage
	for column, change := range c.changes {
		f := r.model.byColumn[column]
		if f == nil || change.From != nil || change.Seen == "" {
			continue
		}
		if history == nil {
			var err error
			if history, err = r.earlierValues(ctx, c.current.value); err != nil {
				return databaseFailure(err)
			}
		}
		for _, text := range history[column] {
			then := deepCopy(c.current.value)
			if decodeField(then, f, text) != nil {
				continue // it is masked or shortened
			}
			seen, err := r.matchesSeen(ctx, then, f, change.Seen)
			if err != nil {
				return err
			}
			if seen {
				base[column] = text
				break
			}
		}
	}
	return nil
}

// earlierValues returns the values that the fields of an object had lately or were to have, by column: those of
// changes that were found on the remote, and those of updates.
func (r *repo) earlierValues(ctx context.Context, row reflect.Value) (map[string][]json.RawMessage, error) {
	reader, instance := r.engine.Reader(), r.model.instance(row)
	values := map[string][]json.RawMessage{}
	add := func(fields []byte) {
		var changes map[string]requestedChange
		if len(fields) == 0 || json.Unmarshal(fields, &changes) != nil {
			return // not of a change of fields
		}
		for column, c := range changes {
			for _, text := range []json.RawMessage{c.From, c.To} {
				if text != nil {
					values[column] = append(values[column], text)
				}
			}
		}
	}
	target := tracker.Target{Service: r.service, Type: r.typ, Instance: instance, ID: targetText(row, r.model.key)}
	found, err := reader.Changes(ctx, target, time.Time{}, time.Time{}, maxSeenHistory)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		add(c.Fields)
	}
	target.ID = r.model.target(row)
	page, err := reader.Search(ctx, tracker.Search{Targets: []tracker.Target{target}, Limit: maxSeenHistory})
	if err == nil {
		err = reader.LoadDetails(ctx, page.Jobs)
	}
	if err != nil {
		return nil, fmt.Errorf("read the jobs of %s: %w", target.ID, err)
	}
	for _, job := range page.Jobs {
		var payload struct {
			Changes json.RawMessage `json:"changes"`
		}
		if json.Unmarshal(job.Payload, &payload) == nil {
			add(payload.Changes)
		}
	}
	return values, nil
}
