package remotecall_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nawasara/nawasync/internal/remotecall"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newLedger() *remotecall.Ledger {
	return remotecall.NewLedger("dns", func(text string, limit int) string {
		text = strings.ReplaceAll(text, "s3cret", "***")
		return text[:min(len(text), limit)]
	})
}

func TestTemplatesAreBoundedAndHaveNoQueryAndNoSecret(t *testing.T) {
	t.Parallel()
	l := newLedger()
	for given, want := range map[string]string{
		"":                       "other",
		"/zones/{zone}?name=a":   "/zones/{zone}",
		"/zones/{zone}?name=b":   "/zones/{zone}",
		"?token=s3cret":          "other",
		"/tokens/s3cret":         "/tokens/***",
		"/a\x00\n\xff":           "/a  \uFFFD",
		strings.Repeat("x", 999): strings.Repeat("x", 200),
	} {
		if got := l.Add(t.Context(), remotecall.Call{Template: given, Start: noon}).Template; got != want {
			t.Errorf("%q is stored as %q, want %q", given, got, want)
		}
	}
	for i := range 300 {
		l.Add(t.Context(), remotecall.Call{Template: fmt.Sprint("/objects/", i), Start: noon})
	}
	templates := map[string]int64{}
	for _, sum := range l.Take() {
		templates[sum.Template] += sum.Calls
	}
	if len(templates) != 201 || templates["other"] < 100 {
		t.Errorf("%d templates, %d calls of others; want 200 and others", len(templates), templates["other"])
	}
	if got := l.Add(t.Context(), remotecall.Call{Template: "/objects/0", Start: noon}).Template; got != "/objects/0" {
		t.Errorf("a known template is stored as %q", got)
	}
	if got := l.Add(t.Context(), remotecall.Call{Method: "BREW", Template: "/objects/0", Start: noon}).Method; got != "_OTHER" {
		t.Errorf("an unknown method is stored as %q", got)
	}
}

func TestALedgerThatNobodyTakesStaysSmall(t *testing.T) {
	t.Parallel()
	l := newLedger()
	for i := range 20_000 {
		l.Add(t.Context(), remotecall.Call{Scope: fmt.Sprint("account-", i), Template: "/a", Start: noon.Add(time.Duration(i/2000) * time.Minute), Class: fmt.Sprint("class", i)})
	}
	for i := range 100 {
		l.Add(t.Context(), remotecall.Call{Template: "/b", Start: noon.Add(time.Hour), Class: fmt.Sprint("class", i)})
	}
	taken := l.Take()
	if len(taken) > 5001 {
		t.Errorf("%d sums wait", len(taken))
	}
	for _, sum := range taken {
		if len(sum.Errors) > 17 {
			t.Errorf("%s has %d classes", sum.Template, len(sum.Errors))
		}
	}
	for range 2 {
		l.Return(taken)
	}
	if again := l.Take(); len(again) > 5001 {
		t.Errorf("%d sums wait after they were returned", len(again))
	}
}

func TestReturnedSumsAndConcurrentCallsAddUp(t *testing.T) {
	t.Parallel()
	l := newLedger()
	var group sync.WaitGroup
	var mu sync.Mutex
	var kept []*remotecall.Sum
	for worker := range 4 {
		group.Go(func() {
			for i := range 500 {
				l.Add(t.Context(), remotecall.Call{Template: "/a", Start: noon, Duration: time.Millisecond, Left: int64(i), Class: map[bool]string{true: "timeout"}[i%5 == 0]})
				if i%50 == worker {
					taken := l.Take()
					if i%100 == worker {
						l.Return(taken) // the database was away
						continue
					}
					mu.Lock()
					kept = append(kept, taken...)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	var calls, failed int64
	var total time.Duration
	for _, sum := range append(kept, l.Take()...) {
		calls, failed, total = calls+sum.Calls, failed+sum.Errors["timeout"], total+sum.Total
	}
	if calls != 2000 || failed != 400 || total != 2*time.Second {
		t.Errorf("%d calls, %d failed, %s; want 2000, 400 and 2 s", calls, failed, total)
	}
}
