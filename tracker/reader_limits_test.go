package tracker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestOnlySearchesWithoutAnIndexCallBeforeScan(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, testdb.SQLite(t))
	seedJobs(t, b, 20)
	errBusy := errors.New("busy")
	var calls, ended int
	var refuse error
	limited := b.WithOptions(tracker.Options{BeforeScan: func(context.Context) (func(), error) {
		calls++
		return func() { ended++ }, refuse
	}})
	for field, want := range map[tracker.Field]int{tracker.FieldStatus: 0, tracker.FieldID: 0, tracker.FieldBy: 1, tracker.FieldError: 1} {
		calls, ended = 0, 0
		_, err := limited.Search(t.Context(), tracker.Search{Terms: []tracker.Term{{Field: field, Values: []string{"1"}}}})
		if err != nil || calls != want || ended != want {
			t.Errorf("a search by %s: %v; %d calls, %d ended, want %d", field, err, calls, ended, want)
		}
	}
	calls = 0
	targets := tracker.Search{Targets: boxes, Services: []string{"whm"}, Terms: []tracker.Term{{Field: tracker.FieldTarget, Values: []string{"100%_box-2"}}}}
	if found, err := limited.Search(t.Context(), targets); err != nil || len(found.Jobs) == 0 || calls != 0 {
		t.Errorf("a search by target: %d jobs, %v, %d calls", len(found.Jobs), err, calls)
	}
	refuse = errBusy
	if _, err := limited.Search(t.Context(), tracker.Search{Terms: []tracker.Term{{Field: tracker.FieldBy, Values: []string{"1"}}}}); !errors.Is(err, errBusy) {
		t.Errorf("%v, want the error of BeforeScan", err)
	}
}

// The statistics are read in a transaction, whose queries share one connection.
func TestReaderWithOneConnectionReadsStatistics(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := storetest.New(t, db)
		limited := b.WithOptions(tracker.Options{Connections: 1})
		for range 3 {
			_, err := limited.Stats(t.Context(), tracker.PeriodHour, b.Now(), b.Now())
			b.NoError(err)
			_, err = limited.StatTotals(t.Context(), tracker.PeriodHour, b.Now(), b.Now(), 3600e9)
			b.NoError(err)
			_, err = limited.Services(t.Context())
			b.NoError(err)
		}
		if !limited.Now().Equal(b.Now()) {
			t.Error("the reader has another clock")
		}
	})
}
