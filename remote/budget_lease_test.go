package remote //nolint:testpackage // see budget_world_test.go

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/testdb"
)

// setAway says for all processes whether they reach Redis.
func (w *world) setAway(away bool) {
	for i := range w.away {
		w.away[i] = away
	}
}

func TestUsersAndJobsGoOnWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	client := testdb.Redis(t)
	w := newWorld(t, 4, tenth(), client)
	w.rename()
	defer w.forget(client)
	took, x := w.run(250, 10, 20*time.Second, func(passed time.Duration) {
		switch passed {
		case 40 * time.Second, 100 * time.Second: // a moment, and for longer than two windows
			w.setAway(true)
		case 45 * time.Second, 240 * time.Second:
			w.setAway(false)
		}
	})
	x.check("with Redis away", took, 10)
	if x.duringAway == 0 {
		t.Error("no call was made while Redis was away")
	}
}

// Each process goes on with what Redis has leased to it, whatever happens to the others: no window has more
// calls than the budget.
func TestBudgetIsKeptWhateverFails(t *testing.T) {
	t.Parallel()
	client := testdb.Redis(t)
	for seed := range uint64(3) {
		w := newWorld(t, 4, tenth(), client)
		w.random = rand.New(rand.NewPCG(seed, 7))
		w.rename()
		defer w.forget(client)
		flushed := w.now
		took, x := w.run(200, 10, 10*time.Second, func(passed time.Duration) {
			if passed%time.Second != 0 {
				return
			}
			for i := range w.processes {
				switch w.random.IntN(60) {
				case 0:
					w.away[i] = true // alone, for half a minute in the mean
				case 1, 2:
					w.away[i] = false
				case 3:
					w.unheard[i] = !w.unheard[i]
				case 4:
					if len(w.processes) < 8 && i == 0 {
						w.join(client)
					}
				case 5:
					if i > 0 && w.random.IntN(3) == 0 {
						w.dead[i] = true
					}
				}
			}
			// Redis loses its data, which those report that reach it.
			if w.now.Sub(flushed) > 40*time.Second && !slices.Contains(w.away, true) && !slices.Contains(w.unheard, true) {
				flushed = w.now
				w.forget(client)
			}
		})
		x.check(fmt.Sprintf("with failures, seed %d", seed), took, 0)
	}
}
