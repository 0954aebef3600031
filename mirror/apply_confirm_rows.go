package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/tracker"
)

// confirm calls Get for the rows, updates those whose object exists, and deletes those whose object
// is gone.
func (c *confirmation) confirm(ctx context.Context, ids []int64) error {
	if err := c.readHolds(ctx); err != nil {
		return err
	}
	asked := c.repo.engine.Store().Now()
	rows, finishedAt, err := c.lockRows(ctx, c.repo.db(ctx), ids, false)
	if err != nil {
		return err
	}
	c.counts.Dropped += int64(len(ids) - rows.Len())
	var gone []reflect.Value
	present := listingBatch{requestedAt: asked, firstNumber: 1}
	var stopped error
	for i := range rows.Len() {
		row := rows.Index(i)
		if !c.waits(row) || c.changedByJob(c.repo.status(row), finishedAt, asked) {
			c.counts.Dropped++
			continue
		}
		object, err := c.repo.getRemote(ctx, row)
		var other *otherObjectError
		switch {
		case errors.As(err, &other) && other.remade:
			gone = append(gone, row)
		case other != nil:
			stopped = c.renamed(ctx, row, other)
		case errors.Is(err, errors.ErrUnsupported) && c.decisions.released.Has(c.repo.model.idOf(row)):
			gone = append(gone, row) // nothing but the operator can say so
		case err == nil:
			present.items, present.pages = append(present.items, object.value), append(present.pages, 1)
		case fault.ClassOf(err) == fault.ClassGone:
			gone = append(gone, row)
		case ctx.Err() != nil || endsAttempt(err):
			stopped = fmt.Errorf("get %q, which is missing from the listing: %w", c.repo.model.target(row), err)
		default:
			c.failed(row, err)
		}
		if stopped != nil {
			break
		}
	}
	if err := c.keep(ctx, present); err != nil {
		return err
	}
	if stopped != nil || len(gone) == 0 {
		return stopped
	}
	if err := c.checkAnswers(ctx, ids); err != nil {
		return err
	}
	return c.remove(ctx, gone, asked)
}

// endsAttempt reports whether an error of Get concerns all objects, so that asking for the next one
// is of no use.
func endsAttempt(err error) bool {
	switch fault.ClassOf(err) {
	case fault.ClassRateLimited, fault.ClassCredentials, fault.ClassUnavailable, fault.ClassConfig, fault.ClassTransient, fault.ClassTimeout:
		return true
	default:
		return false
	}
}

// renamed handles a row whose key answers with another object.
func (c *confirmation) renamed(ctx context.Context, row reflect.Value, other *otherObjectError) error {
	joined, err := c.repo.joinRenamed(ctx, c.attempt, row, other)
	switch {
	case err != nil:
		return err
	case joined:
		c.counts.Present++
	default:
		c.failed(row, other)
	}
	return nil
}

// keep writes objects that still exist to their rows, as if they had been listed.
func (c *confirmation) keep(ctx context.Context, b listingBatch) error {
	if len(b.items) == 0 {
		return nil
	}
	p := preparer{repo: c.repo, scope: c.scope}
	p.prepare(&b)
	refused := c.result.Refused
	if err := c.processBatch(ctx, b); err != nil {
		return err
	}
	refused = c.result.Refused - refused
	c.counts.Present += int64(len(b.items)) - refused
	c.counts.Failed += refused
	if refused > 0 && len(c.counts.Failures) < maxRefusals {
		c.counts.Failures = append(c.counts.Failures, c.result.Refusals[len(c.result.Refusals)-1])
	}
	return nil
}

// remove deletes the rows of objects that are gone. A row that the database does not let go, for
// example because another table refers to it, is named and does not keep the others.
func (c *confirmation) remove(ctx context.Context, gone []reflect.Value, asked time.Time) error {
	err := c.removeAll(ctx, gone, asked)
	if err == nil || !refusesRow(err) {
		return err
	}
	if len(gone) == 1 {
		c.failed(gone[0], err)
		return nil
	}
	for i := range gone {
		if err := c.remove(ctx, gone[i:i+1], asked); err != nil {
			return err
		}
	}
	return nil
}

// removeAll deletes rows in one transaction, except those that have changed since they were read.
func (c *confirmation) removeAll(ctx context.Context, gone []reflect.Value, asked time.Time) error {
	var ids []int64
	read := map[int64]nawasync.SyncStatus{}
	for _, row := range gone {
		id := c.repo.model.idOf(row)
		ids, read[id] = append(ids, id), *c.repo.status(row)
	}
	var remove []int64
	var changes []tracker.Change
	err := c.fenced(ctx, func(tx *gorm.DB) error {
		remove, changes = nil, nil // discard those of a transaction that is retried
		rows, finishedAt, err := c.lockRows(ctx, tx, ids, true)
		if err != nil {
			return err
		}
		for i := range rows.Len() {
			row := rows.Index(i)
			id, status := c.repo.model.idOf(row), c.repo.status(row)
			unchanged := status.MissingSince.Equal(read[id].MissingSince.Time) && status.LastSyncedAt.Equal(read[id].LastSyncedAt.Time)
			if !unchanged || !c.waits(row) || c.changedByJob(status, finishedAt, asked) {
				continue
			}
			remove = append(remove, id)
			c.record(&changes, row, tracker.ChangeDeleted, nil)
		}
		if err := c.repo.markDeleted(tx, remove); err != nil {
			return err
		}
		return c.repo.engine.Store().AddChanges(ctx, tx, changes)
	})
	if err != nil {
		return err
	}
	c.recordedCount.Add(int64(len(changes)))
	c.counts.Deleted += int64(len(remove))
	c.counts.Dropped += int64(len(gone) - len(remove))
	return nil
}
