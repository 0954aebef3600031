package groupcommit_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/nawasara/nawasync/internal/groupcommit"
)

func TestCallersGetTheirOwnResultsAndShareBatches(t *testing.T) {
	t.Parallel()
	errOdd := errors.New("odd")
	ready := make(chan struct{})
	var batches []int
	b := groupcommit.New(64, func(items []int) ([]int, []error) {
		<-ready
		batches = append(batches, len(items))
		results, errs := make([]int, len(items)), make([]error, len(items))
		for i, n := range items {
			if results[i] = 2 * n; n%2 == 1 {
				errs[i] = errOdd
			}
		}
		return results, errs
	})
	b.Start()
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			got, err := b.Do(n)
			if got != 2*n || errors.Is(err, errOdd) != (n%2 == 1) {
				t.Errorf("Do(%d) returned %d, %v", n, got, err)
			}
		})
	}
	close(ready)
	wg.Wait()
	b.Stop()
	b.Stop()
	if _, err := b.Do(1); !errors.Is(err, groupcommit.ErrStopped) {
		t.Errorf("Do after Stop: %v", err)
	}
	if len(batches) >= 100 {
		t.Errorf("each caller had its own batch: %v", batches)
	}
}

func TestStopBeforeStartDoesNotBlock(t *testing.T) {
	t.Parallel()
	b := groupcommit.New(4, func(items []int) ([]int, []error) { return items, make([]error, len(items)) })
	b.Stop()
	if _, err := b.Do(1); !errors.Is(err, groupcommit.ErrStopped) {
		t.Errorf("Do after Stop: %v", err)
	}
}
