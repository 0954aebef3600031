package cached_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nawasara/nawasync/internal/cached"
)

func TestManyReadersCostOneReadUntilTheValueIsTooOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		v := &cached.Value[int]{MaxAge: 5 * time.Second, Timeout: time.Second, Read: func(context.Context) (int, error) {
			reads++
			time.Sleep(100 * time.Millisecond)
			if reads == 2 {
				return 7, errors.New("boom")
			}
			return reads, nil
		}}
		for _, want := range []struct {
			n      int
			failed bool
		}{{1, false}, {0, true}, {3, false}} {
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					if n, err := v.Get(t.Context()); n != want.n || (err != nil) != want.failed {
						t.Errorf("got %d, %v; want %d", n, err, want.n)
					}
				})
			}
			all.Wait()
			time.Sleep(4 * time.Second)
			if n, err := v.Get(t.Context()); n != want.n || (err != nil) != want.failed {
				t.Errorf("after 4 s: got %d, %v; want %d", n, err, want.n)
			}
			time.Sleep(2 * time.Second)
		}
		if reads != 3 {
			t.Errorf("%d reads, want 3", reads)
		}
	})
}

func TestGetReturnsInTimeFromAReadThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		v := &cached.Value[int]{MaxAge: time.Second, Timeout: 5 * time.Second, Read: func(context.Context) (int, error) {
			<-end
			return 1, nil
		}}
		begin := time.Now()
		if _, err := v.Get(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.Get(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 6*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		close(end)
		if n, err := v.Get(t.Context()); n != 1 || err != nil {
			t.Errorf("the late result is %d, %v", n, err)
		}
	})
}

func TestCloseEndsARunningReadAndWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		v := &cached.Value[int]{MaxAge: time.Second, Timeout: time.Hour, Read: func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return 0, ctx.Err()
		}}
		go func() { _, _ = v.Get(context.Background()) }()
		synctest.Wait()
		v.Close(t.Context())
		if !ended {
			t.Error("Close did not wait for the read")
		}
		if _, err := v.Get(t.Context()); !errors.Is(err, cached.ErrClosed) {
			t.Error(err)
		}
	})
}
