package nawasynctest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
)

type zone struct{ Account, Name, Plan string }

func newZones() *nawasynctest.FakeRemote[zone] {
	return &nawasynctest.FakeRemote[zone]{
		Key:     func(z zone) string { return z.Account + "/" + z.Name },
		InScope: func(z, scope zone) bool { return z.Account == scope.Account },
	}
}

func TestFakeRemoteKeepsObjectsAndAnswersWithClasses(t *testing.T) {
	t.Parallel()
	remote, ctx := newZones(), t.Context()
	a := zone{"acme", "example.org", "free"}
	if _, err := remote.Get(ctx, a); !errors.Is(err, nawasynctest.ErrGone) {
		t.Error(err)
	}
	if o, err := remote.Create(ctx, a); err != nil || o.Value != a {
		t.Error(o, err)
	}
	if _, err := remote.Create(ctx, a); !errors.Is(err, nawasynctest.ErrExists) {
		t.Error(err)
	}
	a.Plan = "pro"
	if o, err := remote.Update(ctx, mirror.Object[zone]{}, a, nil); err != nil || o.Value.Plan != "pro" {
		t.Error(o, err)
	}
	if there, found := remote.Object(a); !found || there.Plan != "pro" {
		t.Error(there, found)
	}
	if err := remote.Delete(ctx, a); err != nil {
		t.Error(err)
	}
	if err := remote.Delete(ctx, a); !errors.Is(err, nawasynctest.ErrGone) {
		t.Error(err)
	}
	if remote.Writes() != 3 || remote.Calls(nawasynctest.CallCreate) != 2 || len(remote.Objects()) != 0 {
		t.Errorf("%d writes, %d creations, %v", remote.Writes(), remote.Calls(nawasynctest.CallCreate), remote.Objects())
	}
}

func TestFakeRemoteListsOneScopeInPagesWithATotal(t *testing.T) {
	t.Parallel()
	remote := newZones()
	remote.PageSize = 2
	remote.Put(zone{"acme", "a", ""}, zone{"acme", "b", ""}, zone{"acme", "c", ""}, zone{"other", "d", ""})
	remote.ListErr = errors.New("broke off")
	var names []string
	var last error
	for page, err := range remote.List(t.Context(), zone{Account: "acme"}, "") {
		last = err
		for _, z := range page.Items {
			names = append(names, z.Name)
		}
		if err == nil && (page.Proof.Level != mirror.ProofComplete || page.Proof.Total != 3) {
			t.Errorf("%+v", page.Proof)
		}
	}
	if len(names) != 3 || names[0] != "a" || names[2] != "c" || !errors.Is(last, remote.ListErr) {
		t.Errorf("%v, %v", names, last)
	}
}

func TestFakeRemoteFailsAsItIsTold(t *testing.T) {
	t.Parallel()
	remote, refused, lost := newZones(), errors.New("refused"), errors.New("the answer is lost")
	a := zone{"acme", "a", ""}
	remote.Before = func(nawasynctest.Call, zone) error { return refused }
	if _, err := remote.Create(t.Context(), a); !errors.Is(err, refused) || remote.Writes() != 0 {
		t.Errorf("%v, %d writes", err, remote.Writes())
	}
	remote.Configure(func() {
		remote.Before, remote.After = nil, func(nawasynctest.Call, zone) error { return lost }
	})
	if _, err := remote.Create(t.Context(), a); !errors.Is(err, lost) || remote.Writes() != 1 {
		t.Errorf("%v, %d writes", err, remote.Writes())
	}
}

func TestFakeRemoteWithoutAKeySaysSoEachTimeAndHeedsItsContext(t *testing.T) {
	t.Parallel()
	nameless := &nawasynctest.FakeRemote[string]{}
	for range 2 { // the second would wait for a lock that the first had kept
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "FakeRemote.Key") {
					t.Error(text)
				}
			}()
			_, _ = nameless.Get(t.Context(), "a")
		}()
	}
	remote := &nawasynctest.FakeRemote[string]{Key: func(s string) string { return s }}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(nawasync.ErrCancelled)
	if _, err := remote.Create(ended, "a"); !errors.Is(err, nawasync.ErrCancelled) || remote.Writes() != 0 {
		t.Errorf("%v, %d writes", err, remote.Writes())
	}
}
