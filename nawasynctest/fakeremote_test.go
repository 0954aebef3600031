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

func TestFakeRemoteStoresObjectsAndReturnsClassifiedErrors(t *testing.T) {
	t.Parallel()
	remote, ctx := newZones(), t.Context()
	a := zone{"acme", "example.org", "free"}
	if _, err := remote.Get(ctx, a); !errors.Is(err, nawasynctest.ErrGone) {
		t.Errorf("Get of a missing object: error = %v, want ErrGone", err)
	}
	if o, err := remote.Create(ctx, a); err != nil || o.Value != a {
		t.Errorf("Create = %v, %v, want %v", o, err, a)
	}
	if _, err := remote.Create(ctx, a); !errors.Is(err, nawasynctest.ErrExists) {
		t.Errorf("Create of an existing object: error = %v, want ErrExists", err)
	}
	a.Plan = "pro"
	if o, err := remote.Update(ctx, mirror.Object[zone]{}, a, nil); err != nil || o.Value.Plan != "pro" {
		t.Errorf("Update = %v, %v, want plan pro", o, err)
	}
	if object, found := remote.Object(a); !found || object.Plan != "pro" {
		t.Errorf("Object = %v, %v, want plan pro", object, found)
	}
	if err := remote.Delete(ctx, a); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if err := remote.Delete(ctx, a); !errors.Is(err, nawasynctest.ErrGone) {
		t.Errorf("Delete of a missing object: error = %v, want ErrGone", err)
	}
	if remote.Writes() != 3 || remote.Calls(nawasynctest.CallCreate) != 2 || len(remote.Objects()) != 0 {
		t.Errorf("%d writes, %d calls of Create, objects %v; want 3, 2 and none", remote.Writes(), remote.Calls(nawasynctest.CallCreate), remote.Objects())
	}
}

func TestFakeRemoteListsOneScopeInPagesWithATotal(t *testing.T) {
	t.Parallel()
	remote := newZones()
	remote.PageSize = 2
	remote.Put(zone{"acme", "a", ""}, zone{"acme", "b", ""}, zone{"acme", "c", ""}, zone{"other", "d", ""})
	remote.ListErr = errors.New("connection reset")
	var names []string
	var last error
	for page, err := range remote.List(t.Context(), zone{Account: "acme"}, "") {
		last = err
		for _, z := range page.Items {
			names = append(names, z.Name)
		}
		if err == nil && (page.Proof.Level != mirror.ProofCounted || page.Proof.Total != 3) {
			t.Errorf("proof = %+v, want counted with a total of 3", page.Proof)
		}
	}
	if len(names) != 3 || names[0] != "a" || names[2] != "c" || !errors.Is(last, remote.ListErr) {
		t.Errorf("names = %v, last error = %v; want a, b and c, then ListErr", names, last)
	}
}

func TestFakeRemoteReturnsTheErrorsOfItsHooks(t *testing.T) {
	t.Parallel()
	remote, errRefused, errLost := newZones(), errors.New("refused"), errors.New("the response was lost")
	a := zone{"acme", "a", ""}
	remote.Before = func(nawasynctest.Call, zone) error { return errRefused }
	if _, err := remote.Create(t.Context(), a); !errors.Is(err, errRefused) || remote.Writes() != 0 {
		t.Errorf("Create refused by Before: error = %v, %d writes, want none", err, remote.Writes())
	}
	remote.Configure(func() {
		remote.Before, remote.After = nil, func(nawasynctest.Call, zone) error { return errLost }
	})
	if _, err := remote.Create(t.Context(), a); !errors.Is(err, errLost) || remote.Writes() != 1 {
		t.Errorf("Create with an error of After: error = %v, %d writes, want 1", err, remote.Writes())
	}
}

func TestFakeRemotePanicsWithoutKeyAndRespectsItsContext(t *testing.T) {
	t.Parallel()
	withoutKey := &nawasynctest.FakeRemote[string]{}
	for range 2 { // the second call would deadlock if the panic of the first had left the mutex locked
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "FakeRemote.Key") {
					t.Errorf("panic = %q, want one that names FakeRemote.Key", text)
				}
			}()
			_, _ = withoutKey.Get(t.Context(), "a")
		}()
	}
	remote := &nawasynctest.FakeRemote[string]{Key: func(s string) string { return s }}
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(nawasync.ErrCancelled)
	if _, err := remote.Create(cancelled, "a"); !errors.Is(err, nawasync.ErrCancelled) || remote.Writes() != 0 {
		t.Errorf("Create with a cancelled context: error = %v, %d writes; want the cause and none", err, remote.Writes())
	}
}
