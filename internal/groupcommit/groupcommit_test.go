package groupcommit_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/nawasara/nawasync/internal/groupcommit"
)

func TestEveryCallerGetsItsOwnFateAndCrowdsShareABatch(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	hold := make(chan struct{})
	var batches []int
	b := groupcommit.New(64, func(items []int) ([]int, []error) {
		<-hold
		batches = append(batches, len(items))
		results, errs := make([]int, len(items)), make([]error, len(items))
		for i, n := range items {
			if results[i] = 2 * n; n%2 == 1 {
				errs[i] = odd
			}
		}
		return results, errs
	})
	b.Start()
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			got, err := b.Do(n)
			if got != 2*n || errors.Is(err, odd) != (n%2 == 1) {
				t.Errorf("%d: %d, %v", n, got, err)
			}
		})
	}
	close(hold)
	wg.Wait()
	b.Stop()
	b.Stop()
	if _, err := b.Do(1); !errors.Is(err, groupcommit.ErrStopped) {
		t.Errorf("after Stop: %v", err)
	}
	if len(batches) >= 100 {
		t.Errorf("nobody shared a batch: %v", batches)
	}
}

func TestStopBeforeStartIsFine(t *testing.T) {
	t.Parallel()
	b := groupcommit.New(4, func(items []int) ([]int, []error) { return items, make([]error, len(items)) })
	b.Stop()
	if _, err := b.Do(1); !errors.Is(err, groupcommit.ErrStopped) {
		t.Error(err)
	}
}
