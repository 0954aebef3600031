package mirror

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/nawasara/nawasync/internal/host"
)

// list goes through the remote's pages. While one batch is compared and written the
// next is fetched.
func (s *reconcile) list(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches, prepared, compared := make(chan listingBatch), make(chan listingBatch), make(chan error, 2)
	go func() {
		defer close(prepared)
		for b := range batches {
			b.err = recoverPanic(func() error {
				s.normaliseBatch(&b)
				return nil
			})
			prepared <- b
		}
	}()
	workers := s.workers()
	for range workers {
		go func() { compared <- s.compareAll(ctx, prepared, cancel) }()
	}
	listErr := func() error {
		defer close(batches) // also when the remote panics: then nobody waits for the others
		return s.readPages(ctx, batches)
	}()
	var failed error
	for range workers {
		failed = errors.Join(failed, <-compared)
	}
	s.result.Listed = s.listed
	if failed != nil && errors.Is(listErr, errBatchFailed) {
		return failed // that is what ended the listing
	}
	return errors.Join(listErr, failed)
}

// errBatchFailed ends a listing of which a batch could not be compared or written.
var errBatchFailed = errors.New("a batch of the listing failed")

// workers is how many batches are compared at once. Where the database does not tell
// which rows an INSERT has added, only one: two of one key could both be counted.
func (s *reconcile) workers() int {
	if s.attempt != nil && s.repo.engine.DB().Name() == "postgres" {
		return 2
	}
	return 1
}

func (s *reconcile) compareAll(ctx context.Context, prepared <-chan listingBatch, cancel context.CancelCauseFunc) (failed error) {
	for b := range prepared {
		if failed != nil || ctx.Err() != nil {
			continue
		}
		if failed = b.err; failed == nil {
			failed = recoverPanic(func() error { return s.processBatch(ctx, b) })
		}
		if failed != nil {
			cancel(errBatchFailed)
		}
	}
	return failed
}

// recoverPanic keeps a panic of the host's types from ending the process.
func recoverPanic(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compare a batch: %w\n%s", &host.PanicError{Value: r}, debug.Stack())
		}
	}()
	return fn()
}

func (s *reconcile) readPages(ctx context.Context, to chan<- listingBatch) error {
	next := s.repo.engine.Store().Now()
	for p, err := range s.repo.remote.list(ctx, s.scope, s.args.Detail) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			err = fmt.Errorf("the listing broke off after %d objects, nothing was deleted: %w", s.listed, err)
			return errors.Join(err, s.sendBatch(ctx, to)) // what came is as good as ever
		}
		if p.asked.IsZero() {
			p.asked = next
		} else { // by the clock of this machine; ours is the database's
			p.asked = s.repo.engine.Store().Now().Add(-time.Since(p.asked))
		}
		if err := s.addPage(ctx, p, to); err != nil {
			return err
		}
		next = s.repo.engine.Store().Now()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.sendBatch(ctx, to)
}

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

// addPage adds one to the batch; small pages are compared together.
func (s *reconcile) addPage(ctx context.Context, p erasedPage, to chan<- listingBatch) error {
	if p.proof.Total > 0 {
		s.totalChanged = s.totalChanged || (s.total > 0 && s.total != p.proof.Total)
		s.total = p.proof.Total
	}
	s.proof = &p.proof
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
			s.filling = listingBatch{fields: p.fields, asked: p.asked, firstNumber: s.listed + 1}
		}
		if p.asked.Before(s.filling.asked) {
			s.filling.asked = p.asked
		}
		s.listed++
		s.filling.items = append(s.filling.items, p.items.Index(i))
		if len(s.filling.items) == s.repo.table.MaxRows() {
			if err := s.sendBatch(ctx, to); err != nil {
				return err
			}
		}
	}
	if s.attempt != nil {
		s.attempt.Progress(ctx, s.listed, s.total, "listing")
	}
	return nil
}
