package nawasynctest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// remoteCall is a call of one method that would succeed.
type remoteCall[T any] struct {
	name  string
	write bool
	do    func(ctx context.Context) error
	// written returns "" if the remote shows that the write was made, or else what it shows.
	written func() string
	secrets []string // that the call sends
	key     T        // of a write: what Poll is asked with
}

// methods returns the names of the methods that the Remote has and prepare knows.
func (w *remoteWorld[T]) methods() []string {
	list := []string{"List"}
	has := func(name string, ok bool) {
		if ok {
			list = append(list, name)
		}
	}
	_, ok := w.remote.(mirror.Reader[T])
	has("Get", ok)
	_, ok = w.remote.(mirror.Creator[T])
	has("Create", ok)
	_, ok = w.remote.(mirror.Updater[T])
	has("Update", ok && len(w.suite.Changes) > 0)
	_, ok = w.remote.(mirror.Deleter[T])
	has("Delete", ok)
	_, ok = w.remote.(mirror.ScopeRemote[T])
	has("ScopeExists", ok)
	return list
}

func isWriteMethod(name string) bool {
	return slices.Contains([]string{"Create", "Update", "Delete"}, name)
}

// writes returns the methods that change something. Without one, the check is skipped.
func (w *remoteWorld[T]) writes() (list []string) {
	w.t.Helper()
	for _, name := range w.methods() {
		if isWriteMethod(name) {
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		w.t.Skip("the Remote has no method Create, Update or Delete")
	}
	return list
}

// prepare returns a call of a method, with the objects that it needs.
func (w *remoteWorld[T]) prepare(method string) remoteCall[T] {
	w.t.Helper()
	call := remoteCall[T]{name: method, write: isWriteMethod(method)}
	switch method {
	case "List":
		w.created()
		call.do = func(ctx context.Context) error {
			for _, err := range w.remote.List(ctx, w.suite.Scope, "") {
				if err != nil {
					return err
				}
			}
			return nil
		}
	case "Get":
		key := w.keyOf(w.created())
		call.do = func(ctx context.Context) error {
			_, err := w.reader().Get(ctx, key)
			return err
		}
	case "Create":
		w.prepareCreate(&call)
	case "Update":
		w.prepareUpdate(&call)
	case "Delete":
		object := w.created()
		call.key = w.keyOf(object)
		call.do = func(ctx context.Context) error { return w.deleter().Delete(ctx, w.keyOf(object)) }
		call.written = func() string {
			if _, err := w.reader().Get(w.t.Context(), w.keyOf(object)); fault.ClassOf(err) != fault.ClassGone {
				return fmt.Sprintf("Get of %s returned an error of the class %q, want %q: %v", w.name(object), fault.ClassOf(err), fault.ClassGone, err)
			}
			return ""
		}
	case "ScopeExists":
		call.do = func(ctx context.Context) error {
			_, err := w.remote.(mirror.ScopeRemote[T]).ScopeExists(ctx, w.suite.Scope)
			return err
		}
	}
	return call
}

func (w *remoteWorld[T]) prepareCreate(call *remoteCall[T]) {
	want := w.spelled(w.object())
	call.secrets, call.key = w.secretsOf(want), w.keyOf(want)
	call.do = func(ctx context.Context) error {
		o, err := w.creator().Create(ctx, want)
		if err == nil {
			w.forget(o.Value)
		}
		return err
	}
	call.written = func() string {
		o, err := w.reader().Get(w.t.Context(), w.keyOf(want))
		if err != nil {
			return fmt.Sprintf("Get of %s by its name returned an error of the class %q: %v", w.name(want), fault.ClassOf(err), err)
		}
		w.forget(o.Value)
		return strings.Join(w.differences(o.Value, want, nil, true), "; ")
	}
}

func (w *remoteWorld[T]) prepareUpdate(call *remoteCall[T]) {
	current := w.get(w.created())
	want, diff := w.changed(current.Value, 0)
	call.key = w.keyOf(current.Value)
	call.do = func(ctx context.Context) error {
		_, err := w.updater().Update(ctx, current, want, diff)
		return err
	}
	call.written = func() string {
		o, err := w.reader().Get(w.t.Context(), w.keyOf(current.Value))
		if err != nil {
			return fmt.Sprintf("Get of %s returned an error of the class %q: %v", w.name(current.Value), fault.ClassOf(err), err)
		}
		return strings.Join(w.differences(o.Value, want, columnsOf(diff), false), "; ")
	}
}

// final reports whether the engine ends a job, or takes the object for gone, after an error of the class.
func final(class fault.Class) bool {
	return slices.Contains([]fault.Class{
		fault.ClassConfig, fault.ClassPermanent, fault.ClassForbidden, fault.ClassCredentials, fault.ClassConflict, fault.ClassGone, fault.ClassAlreadyExists,
	}, class)
}

// noWrite stops the check if no request counted as a write.
func (w *remoteWorld[T]) noWrite(call remoteCall[T]) {
	w.t.Helper()
	w.stopf("send all requests of the Remote through the transport that Open receives, and set RemoteSuite.IsWrite if the API changes something with a GET or reads with a POST",
		"no request of %s counts as a write", call.name)
}

// checkCancelled calls each method with a context that has ended.
func checkCancelled[T any](w *remoteWorld[T]) {
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	for _, method := range w.methods() {
		call := w.prepare(method)
		before := w.transport.count()
		if err := call.do(ctx); err == nil {
			w.failf("pass the context of the call to every request, and return its error", "%s returned no error although its context had ended", method)
		}
		for _, r := range w.transport.since(before) {
			if !r.done {
				w.stopf("pass the context of the call to every request", "%s sent a request although its context had ended", method)
			}
		}
		if call.write && call.written() == "" {
			w.failf("check the context before a write", "%s changed the object although its context had ended", method)
		}
	}
}

// defaultCancelLimit is how long a call may take to return after its context has ended.
const defaultCancelLimit = 5 * time.Second

// checkCancelledMidway ends the context of each method while a request waits for its answer.
func checkCancelledMidway[T any](w *remoteWorld[T]) {
	limit := cmp.Or(w.suite.cancelLimit, defaultCancelLimit)
	for _, method := range w.methods() {
		w := w.again()
		call := w.prepare(method)
		w.transport.inject(transportFault{kind: faultHang, times: 1})
		ctx, cancel := context.WithCancel(w.t.Context())
		defer cancel()
		result := make(chan error, 1)
		go func() { result <- call.do(ctx) }()
		select {
		case <-w.transport.hanging:
		case err := <-result:
			w.stopf("send all requests of the Remote through the transport that Open receives, or set RemoteSuite.NoHTTP",
				"%s returned without a request through the transport of the test: %v", method, err)
		}
		before := w.transport.count()
		cancel()
		select {
		case err := <-result:
			w.checkCancelError(call, err)
		case <-time.After(limit):
			w.transport.release()
			w.stopf("pass the context of the call to every request: without it, a job that an operator cancels, or that has lost its lease, goes on",
				"%s had not returned %s after its context ended", method, limit)
		}
		for _, r := range w.transport.since(before) {
			if !r.done {
				w.stopf("return as soon as the context has ended, and do not go on with another context: another process may run the job by now",
					"%s sent another request after its context had ended", method)
			}
		}
	}
}

func (w *remoteWorld[T]) checkCancelError(call remoteCall[T], err error) {
	w.t.Helper()
	switch class := fault.ClassOf(err); {
	case err == nil:
		w.failf("return the error of the request", "%s returned no error although its context ended before the answer", call.name)
	case final(class):
		w.failf("give an error without an answer one of the classes transient, timeout and unknown_outcome, or none",
			"%s returned an error of the class %q after its context ended: %v", call.name, class, err)
	}
}
