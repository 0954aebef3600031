package nawasynctest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// defaultPollLimit is how long the remote may take to carry out a write that it has accepted.
const defaultPollLimit = time.Minute

// polledRemote makes the writes of a mirror.PollingRemote: a write that was accepted ends as soon as it was carried out.
type polledRemote[T any] struct {
	world   *remoteWorld[T]
	poller  mirror.PollingRemote[T]
	creator mirror.Creator[T]
	updater mirror.Updater[T]
	deleter mirror.Deleter[T]
}

// polled returns the writes of the Remote as the checks make them.
func (w *remoteWorld[T]) polled(c mirror.Creator[T], u mirror.Updater[T], d mirror.Deleter[T]) *polledRemote[T] {
	p := &polledRemote[T]{world: w, creator: c, updater: u, deleter: d}
	if poller, ok := w.remote.(mirror.PollingRemote[T]); ok && !w.raw {
		p.poller = poller
	}
	return p
}

// Create implements mirror.Creator.
func (p *polledRemote[T]) Create(ctx context.Context, want T) (mirror.Object[T], error) {
	o, err := p.creator.Create(ctx, want)
	return p.finished(ctx, p.world.keyOf(want), o, err)
}

// Update implements mirror.Updater.
func (p *polledRemote[T]) Update(ctx context.Context, current mirror.Object[T], want T, touched mirror.FieldDiff) (mirror.Object[T], error) {
	o, err := p.updater.Update(ctx, current, want, touched)
	return p.finished(ctx, p.world.keyOf(current.Value), o, err)
}

// Delete implements mirror.Deleter.
func (p *polledRemote[T]) Delete(ctx context.Context, key T) error {
	err := p.deleter.Delete(ctx, key)
	if handle, accepted := p.world.Accepted(err); accepted && p.poller != nil {
		return p.world.awaitPoll(ctx, p.poller, key, handle)
	}
	return err
}

// finished waits for a write that was accepted, and returns the object as Get shows it then.
func (p *polledRemote[T]) finished(ctx context.Context, key T, o mirror.Object[T], err error) (mirror.Object[T], error) {
	handle, accepted := p.world.Accepted(err)
	reader, readable := p.world.remote.(mirror.Reader[T])
	if !accepted || p.poller == nil || !readable {
		return o, err
	}
	if err := p.world.awaitPoll(ctx, p.poller, key, handle); err != nil {
		return o, err
	}
	return reader.Get(ctx, key)
}

// awaitPoll polls until the remote has carried a write out. It returns the last answer of Poll, which is one of
// mirror.Accepted if that has not happened in time.
func (w *remoteWorld[T]) awaitPoll(ctx context.Context, poller mirror.PollingRemote[T], key T, handle string) error {
	deadline := time.Now().Add(cmp.Or(w.suite.pollLimit, defaultPollLimit))
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := poller.Poll(ctx, key, handle)
		next, busy := w.Accepted(err)
		if !busy || time.Now().Add(pause).After(deadline) {
			return err
		}
		handle = next
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// acceptedCall is a write that the remote has accepted and not yet carried out.
type acceptedCall[T any] struct {
	*remoteWorld[T]

	call   remoteCall[T]
	poller mirror.PollingRemote[T]
	handle string
}

// accepted makes each write in a world of its own, and returns those that were accepted.
func (w *remoteWorld[T]) accepted() (list []acceptedCall[T]) {
	w.t.Helper()
	w.reader()
	ability[mirror.PollingRemote[T]](w.t, w.remote, "Poll")
	for _, method := range w.writes() {
		w := w.again()
		w.raw = true
		call := w.prepare(method)
		err := call.do(w.t.Context())
		if handle, ok := w.Accepted(err); ok {
			list = append(list, acceptedCall[T]{w, call, w.remote.(mirror.PollingRemote[T]), handle})
		} else if err != nil {
			w.stopf("return mirror.Accepted for a write that the remote carries out later", "%s returned an error of the class %q: %v", method, fault.ClassOf(err), err)
		}
	}
	if len(list) == 0 {
		w.t.Skip("the Remote has the method Poll, and no write returned mirror.Accepted")
	}
	return list
}

// checkPoll tests that Poll only asks, and says that a write was carried out when Get shows it.
func checkPoll[T any](w *remoteWorld[T]) {
	for _, a := range w.accepted() {
		before, method := a.transport.count(), a.call.name
		err := a.awaitPoll(a.t.Context(), a.poller, a.call.key, a.handle)
		for _, r := range a.transport.since(before) {
			if r.write {
				a.stopf("ask for the outcome only, and send no write: the remote would carry the change out twice, and it has accepted it once",
					"Poll of an accepted %s sent a request that counts as a write", method)
			}
		}
		if _, busy := a.Accepted(err); busy {
			a.stopf("return nil when the remote has carried the change out, and an error with a class when it has failed: the job waits for up to 24 hours",
				"Poll of an accepted %s still returned mirror.Accepted after %s", method, cmp.Or(a.suite.pollLimit, defaultPollLimit))
		}
		if err != nil {
			a.stopf("return nil when the remote has carried the change out", "Poll of an accepted %s returned an error of the class %q: %v", method, fault.ClassOf(err), err)
		}
		a.eventually("return mirror.Accepted with the handle for the next call until the remote has carried the change out: after nil, Get must show it", func() string {
			if problem := a.call.written(); problem != "" {
				return "Poll of an accepted " + method + " returned nil; Get does not show the change: " + problem
			}
			return ""
		})
	}
}

// checkPollFails lets Poll fail: the job must neither end nor go on as if nothing had happened.
func checkPollFails[T any](w *remoteWorld[T]) {
	for _, f := range []struct {
		fault   transportFault
		classes []fault.Class
	}{
		{transportFault{status: http.StatusInternalServerError, name: "status 500"}, []fault.Class{fault.ClassTransient, fault.ClassTimeout, fault.ClassUnknownOutcome, ""}},
		{transportFault{kind: faultDrop, name: "a closed connection"}, []fault.Class{fault.ClassTransient, fault.ClassTimeout, fault.ClassUnknownOutcome, ""}},
		{transportFault{status: http.StatusUnauthorized, name: "status 401"}, []fault.Class{fault.ClassCredentials}},
		{
			transportFault{status: http.StatusTooManyRequests, name: "status 429", header: map[string]string{"Retry-After": "120"}},
			[]fault.Class{fault.ClassRateLimited},
		},
	} {
		a := w.accepted()[0]
		a.transport.inject(f.fault)
		err := a.poller.Poll(a.t.Context(), a.call.key, a.handle)
		if a.transport.hits() == 0 {
			a.noRequest("Poll")
		}
		_, busy := a.Accepted(err)
		class := fault.ClassOf(err)
		switch {
		case err == nil:
			a.failf("return the error: after nil, the job reads the object and may end", "Poll returned nil although it got %s", f.fault.name)
		case busy:
			a.failf("return the error of the call, with its class: the credentials, limits and outages of the remote stop a job that polls too",
				"Poll returned mirror.Accepted although it got %s", f.fault.name)
		case !slices.Contains(f.classes, class):
			a.failf("give the error the class that other calls give it",
				"Poll returned an error of the class %q for %s, want %q: %v", class, f.fault.name, f.classes[0], err)
		}
	}
}
