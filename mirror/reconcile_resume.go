package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
)

const (
	// maxWait is how long a listing waits in place for the remote's rate limit. For more, the attempt
	// ends, so that the worker's slot is free meanwhile.
	maxWait = time.Minute
	// maxRestarts is how often a listing begins again because its cursor has expired, or because a
	// rate limit stopped it before it got further than the time before.
	maxRestarts = 3
)

// listingPlace is how far a listing is, and what led there.
type listingPlace struct {
	cursor   string        // after the last page that has one
	began    time.Time     // when this attempt began, by this machine's clock
	read     int           // pages that this attempt has read
	waited   time.Duration // how long it has waited for the rate limit since the last page
	resumed  bool          // the listing went on from a cursor
	expired  int           // how often its cursor had expired
	unproven bool          // what earlier attempts had seen was too large to be stored
	complete bool          // the listing has ended, and the missing rows are left
	first    int64         // objects that had been listed when the listing last began at its beginning
	furthest int64         // objects of the longest listing that a rate limit stopped, of a remote without cursors
	restarts int           // how often such a listing began again without getting further
}

// passed notes that the objects up to a cursor have been read. It ends an attempt that has used half of
// its time, so that none reaches its timeout: the next one goes on from the cursor.
func (s *reconcile) passed(cursor string) error {
	s.place.read, s.place.waited = s.place.read+1, 0
	if cursor == "" {
		return nil
	}
	if !s.repo.remote.resumable() {
		return nawasync.Permanent(errors.New("a page has a cursor, but the Remote has no method ListFrom; implement mirror.ResumableRemote, or leave Page.Cursor empty"))
	}
	s.place.cursor = cursor
	if s.attempt != nil && time.Since(s.place.began) > s.repo.syncTimeout/2 {
		return nawasync.RetryAfter(0, fmt.Errorf("%d objects are listed; the listing goes on in another attempt, so that none reaches its timeout", s.listed))
	}
	return nil
}

// goOn decides what follows an error of the listing. It reports whether the listing goes on, at once or
// after a wait; otherwise it returns the error that ends the attempt.
func (s *reconcile) goOn(ctx context.Context, err error) (bool, error) {
	if _, remote := errors.AsType[*remoteError](err); !remote {
		return false, err
	}
	text := "the listing failed after %d objects, nothing was deleted: %w"
	if class := fault.ClassOf(err); s.attempt != nil && s.place.cursor != "" && (class == fault.ClassRateLimited || class == fault.ClassUnavailable) {
		text = "the listing stopped after %d objects, and the next attempt goes on there: %w"
	}
	failure := fmt.Errorf(text, s.listed, err)
	if errors.Is(err, ErrCursorExpired) {
		return s.beginAgain(failure)
	}
	wait := s.waitInPlace(err)
	if wait == 0 {
		return false, failure
	}
	s.place.waited += wait
	s.report(ctx, fmt.Sprintf("waiting %s for the remote's rate limit", wait.Round(time.Second)))
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// beginAgain lets the listing begin again after its cursor has expired.
func (s *reconcile) beginAgain(failure error) (bool, error) {
	s.place.cursor, s.place.unproven = "", false
	if s.place.expired++; s.place.expired > maxRestarts {
		return false, nawasync.Permanent(fmt.Errorf("%w; the cursor has expired %d times: the listing takes longer than the remote keeps a cursor."+
			" Let the adapter use one that does not expire, such as the last key, or larger pages, or divide the objects into smaller scopes", failure, s.place.expired))
	}
	if s.attempt != nil {
		s.attempt.Logf("%s; listing again from the beginning", failure)
	}
	return true, nil
}

// waitInPlace returns how long the listing waits for the remote's rate limit before it goes on, or 0 if
// the attempt has to end: the remote has asked for a longer wait or for none, the attempt would
// come near its timeout, or the listing would have to begin again.
func (s *reconcile) waitInPlace(err error) time.Duration {
	limited := fault.Outermost(err)
	if limited == nil || limited.Class != fault.ClassRateLimited || limited.RetryAfter <= 0 || s.reporter() == nil || s.repo.engine.HasOwnClock() {
		return 0
	}
	wait := limited.RetryAfter
	if s.place.waited+wait > maxWait || time.Since(s.place.began)+wait > s.repo.syncTimeout/2 || (s.place.read > 0 && s.place.cursor == "") {
		return 0
	}
	return wait
}

// stoppedShort notes that a rate limit has stopped a listing that has to begin again. From the third
// restart that gets no further, it returns an error that ends the job.
func (s *reconcile) stoppedShort(err error) error {
	if listed := s.listed - s.place.first; listed > s.place.furthest {
		s.place.furthest, s.place.restarts = listed, 0
	}
	if s.place.restarts == maxRestarts {
		return nawasync.Permanent(fmt.Errorf("%w; the listing began again %d times and got no further: it needs more calls than the remote's rate limit allows."+
			" Implement mirror.ResumableRemote in the adapter and set Page.Cursor, so that a sync goes on where it stopped", err, maxRestarts))
	}
	s.place.restarts++
	return err
}
