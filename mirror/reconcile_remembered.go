package mirror

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/nawasara/nawasync/fault"
)

// deletedMemory is how long a listing is not believed that shows an object which a job has deleted: some
// remotes list deleted objects for a while.
const deletedMemory = 24 * time.Hour

// confirmRemembered calls Get for the objects without a row that a job has deleted in the last day. It
// leaves out those that do not exist, and those for which Get has no answer: a later sync adds them.
func (s *reconcile) confirmRemembered(ctx context.Context, d *batchDiff) error {
	if s.firstLoad || len(d.unmatched) == 0 {
		return nil
	}
	db := s.repo.db(ctx)
	ids, err := s.deletedIDs(db, d.unmatched)
	if err != nil || len(ids) == 0 {
		return err
	}
	deleted, err := s.readDeleted(db, ids, false)
	if err != nil {
		return err
	}
	since := s.repo.now().Add(-deletedMemory)
	remembered := func(row reflect.Value) bool {
		status := s.repo.status(row)
		return status.DeletedJobID != nil && !status.DeletedAt.Before(since)
	}
	var left []listedItem
	var stopped error
	for _, it := range d.unmatched {
		if !slices.ContainsFunc(deleted[it.key], remembered) {
			left = append(left, it)
			continue
		}
		err := stopped
		if err == nil {
			_, err = s.repo.getRemote(ctx, it.value)
		}
		if err == nil {
			left = append(left, it)
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.counted.unmatchedKeys = append(d.counted.unmatchedKeys, it.key)
		d.counted.result.InFlight++
		if endsAttempt(err) && stopped == nil { // it concerns the other objects too
			stopped = err
		}
		if s.attempt != nil && fault.ClassOf(err) != fault.ClassGone {
			s.attempt.Logf("%.80q, which a job has deleted, is listed again; no row was added, because Get had no answer: %s", s.repo.model.target(it.value), err)
		}
	}
	d.unmatched = left
	return nil
}
