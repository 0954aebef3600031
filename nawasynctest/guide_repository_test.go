package nawasynctest_test

import (
	"errors"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
	"github.com/nawasara/nawasync/nawasynctest"
	"github.com/nawasara/nawasync/tracker"
)

func TestIncompleteListingDeletesNoDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Put(domain{Name: "example.org"}, domain{Name: "example.net"})
	w.sync(t)
	w.remote.Drop(domain{Name: "example.net"})
	w.remote.Configure(func() { w.remote.ListErr = errors.New("the connection was closed") })
	if job := w.sync(t); job.Status != tracker.StatusFailed {
		t.Errorf("the sync is %s, want failed", job.Status)
	}
	page, err := w.domains.List(t.Context(), nawasync.Query{})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("%d rows after the sync, want 2: %v", len(page.Items), err)
	}
}

func TestContactThatSomebodyElseHasChangedIsAConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := w.add(t, domain{Name: "example.org", Contact: "ann"})
	w.remote.Put(domain{Name: "example.org", Contact: "carl"}) // somebody else
	job, err := w.domains.Update(t.Context(), seen, func(d *domain) { d.Contact = "bob" }, nawasync.Options{By: "user:7"})
	job = w.drain(t, job, err)
	if job.Status != tracker.StatusConflict || w.remote.Writes() != 0 {
		t.Errorf("the job is %s after %d writes, want a conflict and none", job.Status, w.remote.Writes())
	}
	job, err = mirror.ApplyMine(t.Context(), w.engine, job.ID, nawasync.OperatorOptions{By: "user:7"})
	w.drain(t, job, err)
	if object, _ := w.remote.Object(seen); object.Contact != "bob" {
		t.Errorf("the contact is %s, want bob", object.Contact)
	}
}

func TestChangeWhoseAnswerIsLostIsSentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := w.add(t, domain{Name: "example.org", Contact: "ann"})
	w.remote.Configure(func() {
		w.remote.After = func(call nawasynctest.Call, _ domain) error {
			if call != nawasynctest.CallUpdate {
				return nil
			}
			return fault.WithClass(fault.ClassUnknownOutcome, errors.New("the connection was closed"))
		}
	})
	job, err := w.domains.Update(t.Context(), seen, func(d *domain) { d.Contact = "bob" }, nawasync.Options{By: "user:7"})
	job = w.drain(t, job, err)
	if sent := w.remote.Calls(nawasynctest.CallUpdate); job.Status != tracker.StatusSuccess || sent != 1 {
		t.Errorf("the job is %s after %d updates, want success after 1", job.Status, sent)
	}
}
