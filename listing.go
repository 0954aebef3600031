package nawasync

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// list goes through the remote's pages. While one batch is compared and written the
// next is fetched.
func (s *reconcile) list(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches, prepared, compared := make(chan batch), make(chan batch), make(chan error, 2)
	go func() {
		defer close(prepared)
		for b := range batches {
			b.err = safely(func() error {
				s.prepare(&b)
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
		return s.pages(ctx, batches)
	}()
	var failed error
	for range workers {
		failed = errors.Join(failed, <-compared)
	}
	s.result.Listed = s.listed
	if failed != nil && errors.Is(listErr, errBatch) {
		return failed // that is what ended the listing
	}
	return errors.Join(listErr, failed)
}

// errBatch ends a listing of which a batch could not be compared or written.
var errBatch = errors.New("nawasync: a batch of the listing failed")

// workers is how many batches are compared at once. Where the database does not tell
// which rows an INSERT has added, only one: two of one key could both be counted.
func (s *reconcile) workers() int {
	if s.a != nil && s.r.engine.config.DB.Name() == "postgres" {
		return 2
	}
	return 1
}

func (s *reconcile) compareAll(ctx context.Context, prepared <-chan batch, cancel context.CancelCauseFunc) (failed error) {
	for b := range prepared {
		if failed != nil || ctx.Err() != nil {
			continue
		}
		if failed = b.err; failed == nil {
			failed = safely(func() error { return s.flush(ctx, b) })
		}
		if failed != nil {
			cancel(errBatch)
		}
	}
	return failed
}

// safely keeps a panic of the host's types from ending the process.
func safely(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compare a batch: %w\n%s", &panicError{r}, debug.Stack())
		}
	}()
	return fn()
}

func (s *reconcile) pages(ctx context.Context, to chan<- batch) error {
	next := s.r.engine.store.Now()
	for p, err := range s.r.remote.list(ctx, s.scope, s.args.Detail) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			err = fmt.Errorf("the listing broke off after %d objects, nothing was deleted: %w", s.listed, err)
			return errors.Join(err, s.send(ctx, to)) // what came is as good as ever
		}
		if p.asked.IsZero() {
			p.asked = next
		} else { // by the clock of this machine; ours is the database's
			p.asked = s.r.engine.store.Now().Add(-time.Since(p.asked))
		}
		if err := s.page(ctx, p, to); err != nil {
			return err
		}
		next = s.r.engine.store.Now()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.send(ctx, to)
}

func (s *reconcile) send(ctx context.Context, to chan<- batch) error {
	if len(s.batch.items) == 0 {
		return nil
	}
	b := s.batch
	s.batch = batch{}
	select {
	case to <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *reconcile) begin(ctx context.Context) error {
	s.began, s.extra = s.r.engine.store.Now(), map[string]bool{}
	s.result.Drifted = map[string]int64{}
	var most *int64
	if err := s.r.db(ctx).Table(s.r.model.table).Select("MAX(id)").Scan(&most).Error; err != nil {
		return fmt.Errorf("nawasync: read %s: %w", s.r.model.table, err)
	}
	if most != nil {
		s.maxID = *most
	}
	where, args := s.inScope()
	var there []int64
	if err := s.r.db(ctx).Table(s.r.model.table).Where(where+"1 = 1", args...).Limit(1).Pluck("id", &there).Error; err != nil {
		return fmt.Errorf("nawasync: read %s: %w", s.r.model.table, err)
	}
	s.first = len(there) == 0
	s.blank.Store(s.first && s.a != nil)
	return nil
}

// page adds one to the batch; small pages are compared together.
func (s *reconcile) page(ctx context.Context, p page, to chan<- batch) error {
	if p.proof.Total > 0 {
		s.moving = s.moving || (s.total > 0 && s.total != p.proof.Total)
		s.total = p.proof.Total
	}
	s.proof = &p.proof
	if p.skipped != nil {
		s.skipped = append(s.skipped, p.skipped)
	}
	if !slices.Equal(s.batch.fields, p.fields) {
		if err := s.send(ctx, to); err != nil {
			return err
		}
	}
	for i := range p.items.Len() {
		if len(s.batch.items) == 0 {
			s.batch = batch{fields: p.fields, asked: p.asked, first: s.listed + 1}
		}
		if p.asked.Before(s.batch.asked) {
			s.batch.asked = p.asked
		}
		s.listed++
		s.batch.items = append(s.batch.items, p.items.Index(i))
		if len(s.batch.items) == s.r.table.MaxRows() {
			if err := s.send(ctx, to); err != nil {
				return err
			}
		}
	}
	if s.a != nil {
		s.a.Progress(ctx, s.listed, s.total, "listing")
	}
	return nil
}
