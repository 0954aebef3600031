package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/nawasara/nawasync/internal/host"
)

// list reads the remote's pages. While one batch is compared and written, the next one is
// fetched.
func (s *reconcile) list(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches, prepared, compared := make(chan listingBatch), make(chan listingBatch), make(chan error, 2)
	s.unused = make(chan reflect.Value, 2)
	go func() {
		defer close(prepared)
		p := preparer{repo: s.repo, scope: s.scope}
		for b := range batches {
			b.err = recoverPanic(func() error {
				select {
				case b.rows = <-s.unused:
				default:
				}
				p.prepare(&b)
				return p.checkSpelling(b)
			})
			prepared <- b
		}
	}()
	workers := s.workers()
	for range workers {
		go func() { compared <- s.compareAll(ctx, prepared, cancel) }()
	}
	listErr := func() error {
		defer close(batches) // also if the remote panics, so that the other goroutines end
		return s.readPages(ctx, batches)
	}()
	var failed error
	for range workers {
		failed = errors.Join(failed, <-compared)
	}
	s.result.Listed = s.listed
	if failed == nil && ctx.Err() == nil { // else batches may have been dropped
		listErr = s.remember(ctx, listErr)
	}
	if failed != nil && errors.Is(listErr, errBatchFailed) {
		return failed // listErr only says that a batch failed
	}
	return errors.Join(listErr, failed)
}

// errBatchFailed ends the listing after a batch could not be compared or written.
var errBatchFailed = errors.New("a batch of the listing failed")

// workers returns the number of batches that are compared at the same time. A database that does
// not return the rows that an INSERT added allows only one: if two batches contained the same
// key, both would count the row.
func (s *reconcile) workers() int {
	if s.attempt != nil && s.repo.engine.DB().Name() == "postgres" {
		return 2
	}
	return 1
}

// compareAll processes batches until the channel is closed. After an error it cancels the listing
// and only drains the channel. While one worker writes a batch, another compares the next one.
func (s *reconcile) compareAll(ctx context.Context, prepared <-chan listingBatch, cancel context.CancelCauseFunc) (failed error) {
	for {
		s.comparing.Lock()
		b, open := <-prepared
		if !open {
			s.comparing.Unlock()
			return failed
		}
		b.batchOrder = s.nextOrder()
		if failed == nil && ctx.Err() == nil {
			if failed = b.err; failed == nil {
				failed = recoverPanic(func() error { return s.processBatch(ctx, b) })
			}
			if failed != nil {
				cancel(errBatchFailed)
			} else {
				s.free(b.rows)
			}
		}
		b.hasInserted()
		b.hasCompared()
	}
}

// free lets the copies of the items of a batch be used for those of another one.
func (s *reconcile) free(rows reflect.Value) {
	select {
	case s.unused <- rows:
	default:
	}
}

// nextOrder returns the order of the batch after the last one. The caller holds comparing, until compared is
// called.
func (s *reconcile) nextOrder() batchOrder {
	o, done := batchOrder{following: true, compared: sync.OnceFunc(s.comparing.Unlock), turn: s.last}, make(chan struct{})
	s.last, o.inserted = done, sync.OnceFunc(func() { close(done) })
	return o
}

// recoverPanic runs fn and returns a panic as an error. Without it, a panic in a method of a
// field's type would end the process: the engine recovers panics only on the job's goroutine.
func recoverPanic(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compare a batch: %w\n%s", &host.PanicError{Value: r}, debug.Stack())
		}
	}()
	return fn()
}

// readPages splits the remote's pages into batches and sends the batches.
func (s *reconcile) readPages(ctx context.Context, to chan<- listingBatch) error {
	for {
		err := s.readFrom(ctx, to)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if sendErr := s.sendBatch(ctx, to); err == nil || sendErr != nil { // store the objects that were listed
			return errors.Join(err, sendErr)
		}
		if goesOn, err := s.goOn(ctx, err); !goesOn {
			return err
		}
	}
}

// readFrom reads the pages after the cursor, or from the beginning if there is none.
func (s *reconcile) readFrom(ctx context.Context, to chan<- listingBatch) error {
	next := s.repo.engine.Store().Now()
	if s.place.cursor == "" {
		s.place.first = s.listed
	} else {
		s.place.resumed = true
	}
	for p, err := range s.repo.remote.list(ctx, s.scope, s.args.Detail, s.place.cursor) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if p.requestedAt.IsZero() {
			p.requestedAt = next
		} else { // convert from this machine's clock to the database's
			p.requestedAt = s.repo.engine.Store().Now().Add(-time.Since(p.requestedAt))
		}
		if err := s.addPage(ctx, p, to); err != nil {
			return err
		}
		if err := s.passed(p.cursor); err != nil {
			return err
		}
		next = s.repo.engine.Store().Now()
	}
	return nil
}

// sendBatch sends the batch that is being filled, unless it is empty.
func (s *reconcile) sendBatch(ctx context.Context, to chan<- listingBatch) error {
	if len(s.filling.items) == 0 {
		return nil
	}
	b := s.filling
	s.filling = listingBatch{}
	select {
	case to <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// addPage adds a page to the batch that is being filled. A batch can hold several small pages.
func (s *reconcile) addPage(ctx context.Context, p erasedPage, to chan<- listingBatch) error {
	if p.proof.Total > 0 {
		s.totalChanged = s.totalChanged || (s.total > 0 && s.total != p.proof.Total)
		s.total = p.proof.Total
	}
	s.proof = &p.proof
	s.pages++
	if p.skipped != nil {
		s.skipped = append(s.skipped, p.skipped)
	}
	if !slices.Equal(s.filling.fields, p.fields) {
		if err := s.sendBatch(ctx, to); err != nil {
			return err
		}
	}
	for i := range p.items.Len() {
		if len(s.filling.items) == 0 {
			s.filling = listingBatch{fields: p.fields, requestedAt: p.requestedAt, firstNumber: s.listed + 1}
		}
		if p.requestedAt.Before(s.filling.requestedAt) {
			s.filling.requestedAt = p.requestedAt
		}
		s.listed++
		s.filling.items, s.filling.pages = append(s.filling.items, p.items.Index(i)), append(s.filling.pages, s.pages)
		if len(s.filling.items) == s.repo.table.MaxRows() {
			if err := s.sendBatch(ctx, to); err != nil {
				return err
			}
		}
	}
	s.report(ctx, "listing")
	return nil
}
