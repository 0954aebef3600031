package doorbell_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/nawasara/nawasync/internal/doorbell"
	"github.com/nawasara/nawasync/internal/jobstore"
)

func newDoorbell(t *testing.T) (*doorbell.Doorbell, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return doorbell.New(client, "test", slog.New(slog.DiscardHandler)), server
}

func wakeOf(action string, at int64) jobstore.Wake {
	return jobstore.Wake{Stream: jobstore.Stream{Queue: "q", Service: "s", Type: "t", Action: action}, At: at, Jobs: 1}
}

// lengthOf returns how many wake-ups wait for the workers of a kind.
func lengthOf(t *testing.T, server *miniredis.Miniredis, action string) int {
	t.Helper()
	list, err := server.List("nawasync:{test}:wake:q:s/t/" + action)
	if err != nil && server.Exists("nawasync:{test}:wake:q:s/t/"+action) {
		t.Fatal(err)
	}
	return len(list)
}

func TestWakeUpsThatNobodyReadsAreSentTogether(t *testing.T) {
	t.Parallel()
	d, server := newDoorbell(t)
	begun := time.Now()
	const first = 1000
	for n := range 2000 {
		d.Ring([]jobstore.Wake{wakeOf("busy", first+int64(n))})
		if n%100 == 0 {
			d.Flush(t.Context())
		}
	}
	d.Flush(t.Context())
	// Until the list is crowded, each wake-up may be sent alone; then up to 8 in 5 ms.
	limit := min(64, 8+8*(1+int(time.Since(begun)/(5*time.Millisecond))))
	if n := lengthOf(t, server, "busy"); n > limit || n == 0 {
		t.Errorf("%d wake-ups are in the list, want at most %d", n, limit)
	}
}

func TestWakeUpsOfAnotherKindDoNotWaitForACrowdedList(t *testing.T) {
	t.Parallel()
	d, server := newDoorbell(t)
	for n := range 8 {
		d.Ring([]jobstore.Wake{wakeOf("busy", int64(n))})
		d.Flush(t.Context())
	}
	if n := lengthOf(t, server, "busy"); n != 8 {
		t.Fatalf("%d wake-ups are in the list, want 8", n)
	}
	// The list stays crowded for as long as the goroutine rings.
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := int64(0); !stop.Load(); n++ {
			d.Ring([]jobstore.Wake{wakeOf("busy", n)})
		}
	}()
	for n := range 20 {
		action := fmt.Sprint("quiet", n)
		d.Ring([]jobstore.Wake{wakeOf(action, 1)})
		for begun := time.Now(); lengthOf(t, server, action) == 0; {
			if time.Since(begun) > 10*time.Second {
				t.Fatal("a wake-up of another kind was not sent")
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	stop.Store(true)
	<-done
	d.Flush(t.Context())
	if n := lengthOf(t, server, "busy"); n > 64 {
		t.Errorf("%d wake-ups wait in one list, want at most 64", n)
	}
}

func TestWakeUpsOfAStreamThatAreSentTogetherHaveTheEarliestTime(t *testing.T) {
	t.Parallel()
	d, server := newDoorbell(t)
	for n := range 8 {
		d.Ring([]jobstore.Wake{wakeOf("busy", 100+int64(n))})
		d.Flush(t.Context())
	}
	for _, at := range []int64{900, 7, 800} { // within the pause of a crowded list
		d.Ring([]jobstore.Wake{wakeOf("busy", at)})
	}
	d.Flush(t.Context())
	list, err := server.List("nawasync:{test}:wake:q:s/t/busy")
	if err != nil {
		t.Fatal(err)
	}
	earliest := int64(1000)
	for _, text := range list {
		wake, err := doorbell.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		earliest = min(earliest, wake.At)
	}
	if earliest != 7 {
		t.Errorf("the earliest wake-up in the list is at %d, want 7", earliest)
	}
}
