package mirror

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/tracker"
)

// keyLane names the lane and the unique key of the refreshes of one key. It is not the lane of the row, so that a
// change by a user never waits for a refresh.
func (r *repo) keyLane(key reflect.Value) string {
	identity := r.model.keyIdentity(key)
	return "refresh\x00" + r.typ + "\x00" + hex.EncodeToString(identity[:])
}

// refreshKeyArgs returns the arguments of a job that reads the object of a key.
func (r *repo) refreshKeyArgs(key reflect.Value) (refreshArgs, error) {
	m := r.model
	m.respell(key)
	if err := m.checkScope(key); err != nil {
		return refreshArgs{}, err
	}
	if !m.hasKey(key) {
		return refreshArgs{}, fmt.Errorf("%w: refresh %s: the key is empty", nawasync.ErrInvalid, r.typ)
	}
	fields, err := encodeFields(key, m.keyFields())
	return refreshArgs{
		kind: r.kind(tracker.RefreshAction), target: nawasync.Target{Instance: m.instance(key), ID: targetText(key, m.key)}, queue: r.syncQueue,
		max: r.change.max, lane: r.keyLane(key), Key: fields,
	}, err
}

// refreshKeys dispatches a job for each of the keys, in one transaction. Keys that occur twice have one job.
func (r *repo) refreshKeys(ctx context.Context, keys []reflect.Value, o nawasync.Options) ([]*tracker.Job, error) {
	if err := r.supports(tracker.RefreshAction); err != nil {
		return nil, err
	}
	byLane := map[string]refreshArgs{}
	for _, key := range keys {
		args, err := r.refreshKeyArgs(key)
		if err != nil {
			return nil, err
		}
		byLane[args.lane] = args
	}
	var list []nawasync.Args
	for _, lane := range slices.Sorted(maps.Keys(byLane)) { // two transactions with the same keys lock them in one order
		list = append(list, byLane[lane])
	}
	if r.tx != nil {
		return r.engine.DispatchManyTx(ctx, r.tx, list, o)
	}
	return r.engine.DispatchMany(ctx, list, o)
}

// runRefreshKey reads an object by its key and writes its row as a sync does that has listed it: it adds
// the row of an object that is unknown, and leaves a row alone that a job changes. Then the job waits for the end of
// the change.
func (r *repo) runRefreshKey(ctx context.Context, a host.Attempt, args *refreshArgs) error {
	key := r.model.newRow()
	if err := r.model.decode(key, args.Key); err != nil {
		return nawasync.Permanent(err)
	}
	r.model.respell(key)
	if err := r.skipUnlisted(ctx, r.model.instance(key)); err != nil {
		return err
	}
	asked, row := r.now(), r.model.newRow()
	err := r.findRow(ctx, row.Addr(), "identity = ?", r.model.keyIdentity(key))
	known := err == nil
	if err != nil && !errors.Is(err, nawasync.ErrNotFound) {
		return err
	}
	if known && r.status(row).State.Pending() {
		return r.afterChange(a)
	}
	object, err := r.getRemote(ctx, key)
	if other := (*otherObjectError)(nil); errors.As(err, &other) {
		return nawasync.Permanent(fmt.Errorf("asked for %q: %w; nothing was written", r.model.target(key), err))
	}
	s := &reconcile{repo: r, attempt: a, scope: key, args: &syncArgs{target: nawasync.Target{Instance: r.model.instance(key)}}}
	if fault.ClassOf(err) == fault.ClassGone {
		return s.keyGone(ctx, key, row, known)
	}
	if err != nil {
		return err
	}
	return s.keyRead(ctx, object, asked)
}

// afterChange ends the attempt until a change of the row has ended.
func (r *repo) afterChange(a host.Attempt) error {
	now, since := r.now(), a.Job().CreatedAt
	wait := min(max(now.Sub(since)/2, time.Second), maxSettleWait)
	return nawasync.RetryAfter(wait, fault.WithClass(fault.ClassTransient, errors.New("a job changes the row, or has just changed it; the object is read after it")))
}

// keyRead writes an object that was read by its key.
func (s *reconcile) keyRead(ctx context.Context, object erasedObject, asked time.Time) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	s.firstLoad = false // the history shows the object
	b := listingBatch{items: []reflect.Value{object.value}, pages: []int{1}, requestedAt: asked, firstNumber: 1}
	p := preparer{repo: s.repo, scope: s.scope}
	p.prepare(&b)
	if err := s.processBatch(ctx, b); err != nil {
		return err
	}
	result := s.result
	switch {
	case result.Refused > 0:
		return nawasync.Permanent(errors.New(result.Refusals[0]))
	case result.InFlight > 0:
		return s.repo.afterChange(s.attempt)
	}
	s.attempt.SetResult(keyResult{Created: result.Created, Updated: result.Updated, Unchanged: result.Unchanged, Drifted: result.Drifted})
	return nil
}

// keyResult is the result of a refresh by key.
type keyResult struct {
	Created   int64            `json:"created,omitempty"`
	Updated   int64            `json:"updated,omitempty"`
	Unchanged int64            `json:"unchanged,omitempty"`
	Drifted   map[string]int64 `json:"drifted,omitempty"`
	Gone      bool             `json:"gone,omitempty"`
	// Confirming says that a job with tracker.ConfirmAction asks again, and then deletes the row.
	Confirming bool `json:"confirming,omitempty"`
}
