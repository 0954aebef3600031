package nawasync

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nawasara/nawasync/internal/jobstore"
	"github.com/nawasara/nawasync/internal/remotecall"
)

// slowLink is the budget of a service whose Redis answers slowly.
type slowLink struct{ remotecall.Link }

func (slowLink) Reserve(_ context.Context, list []remotecall.Request) []remotecall.Grant {
	time.Sleep(90 * time.Millisecond)
	return []remotecall.Grant{{Jobs: list[0].Jobs, Calls: 1}}
}

func TestSlowReservationsOfOneServiceDoNotHoldUpAClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{remotes: map[string]remotecall.Link{"dns": slowLink{}}}
		var streams []jobstore.Stream
		for i := range 50 {
			streams = append(streams, jobstore.Stream{Service: "dns", Instance: string(rune('a' + i))})
		}
		streams = append(streams, jobstore.Stream{Service: "whm"})
		begun := time.Now()
		grants := e.reserveCalls(t.Context(), streams, 2)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the claim waited for %s", took)
		}
		if grants[0].Jobs != 2 || grants[49].Jobs != 0 || grants[50].Jobs != 2 {
			t.Errorf("the first stream got %d jobs, the last one %d, and that of another service %d; want 2, 0 and 2", grants[0].Jobs, grants[49].Jobs, grants[50].Jobs)
		}
	})
}
