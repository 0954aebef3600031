package loop_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nawasara/nawasync/internal/loop"
)

func TestStepThatTakesASecondRunsAgainAfter50Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s loop.Share
		failed := errors.New("failed")
		var runs []time.Duration
		begin := time.Now()
		for time.Since(begin) < 140*time.Second {
			at := time.Since(begin)
			ran, err := s.Run(time.Now(), func() error {
				time.Sleep(time.Second)
				return failed // a step that fails, for example after its deadline, costs time too
			})
			if ran {
				runs = append(runs, at)
			}
			if ran != errors.Is(err, failed) {
				t.Fatalf("ran = %v, error = %v", ran, err)
			}
			time.Sleep(time.Second - time.Since(begin)%time.Second)
		}
		if len(runs) != 3 || runs[1] != 50*time.Second || runs[2] != 100*time.Second {
			t.Errorf("the step ran after %v, want after 0, 50 and 100 s", runs)
		}
	})
}

func TestStepWithoutCostRunsEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s loop.Share
		for range 3 {
			if ran, err := s.Run(time.Now(), func() error { return nil }); !ran || err != nil {
				t.Errorf("ran = %v, error = %v; want true and no error", ran, err)
			}
		}
	})
}
