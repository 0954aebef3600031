package nawasynctest

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// checkLostAnswer loses the answer to a write that the server has made.
func checkLostAnswer[T any](w *remoteWorld[T]) {
	w.reader()
	for _, method := range w.writes() {
		for _, lost := range []transportFault{{kind: faultDrop, name: "was lost"}, {kind: faultCut, name: "was cut off"}} {
			w := w.again()
			call := w.prepare(method)
			before := w.transport.count()
			lost.writes, lost.times = true, 1
			w.transport.inject(lost)
			err := call.do(w.t.Context())
			if w.transport.hits() == 0 {
				w.noWrite(call)
			}
			w.transport.clear()
			writes := 0
			for _, r := range w.transport.since(before) {
				if r.write {
					writes++
				}
			}
			if writes > 1 {
				w.stopf("stop at the first error, and repeat no write inside the adapter or its client, whose retries must be off: the next attempt reads the object first",
					"%s sent %d writes although the answer to the first one %s", method, writes, lost.name)
			}
			if class := fault.ClassOf(err); err != nil && class != fault.ClassUnknownOutcome {
				w.failf("return an error of fault.ClassUnknownOutcome if a write was sent and its answer is missing or cannot be read: with another class, a creation may be made twice",
					"%s returned an error of the class %q after the answer to its write %s, want %q: %v", method, class, lost.name, fault.ClassUnknownOutcome, err)
			}
			w.eventually("read the server in each call of Get: it decides what became of a write whose answer was lost", func() string {
				if problem := call.written(); problem != "" {
					return method + " was carried out and its answer " + lost.name + "; Get does not show that: " + problem
				}
				return ""
			})
		}
	}
}

// checkNotSent refuses all connections.
func checkNotSent[T any](w *remoteWorld[T]) {
	for _, method := range w.methods() {
		w := w.again()
		call := w.prepare(method)
		w.transport.inject(transportFault{kind: faultRefuse})
		err := call.do(w.t.Context())
		if w.transport.hits() == 0 {
			w.noRequest(method)
		}
		switch class := fault.ClassOf(err); {
		case err == nil:
			w.failf("return the error of the request", "%s returned no error although no connection could be made", method)
		case final(class):
			w.failf("return an error of fault.ClassTransient, or without a class",
				"%s returned an error of the class %q although no connection could be made: %v", method, class, err)
		case class == fault.ClassUnknownOutcome:
			w.failf("return fault.ClassTransient for a request that was not sent; httptrace.ClientTrace tells whether its header was written",
				"%s returned an error of the class %q although no connection could be made, so that nothing was sent: %v", method, class, err)
		}
	}
}

func (w *remoteWorld[T]) noRequest(method string) {
	w.t.Helper()
	w.stopf("send all requests of the Remote through the transport that Open receives, or set RemoteSuite.NoHTTP",
		"no request of %s came through the transport of the test", method)
}

// failing calls a method while the server answers every request with a fault, and returns the error.
func (w *remoteWorld[T]) failing(method string, f transportFault) error {
	w.t.Helper()
	w = w.again()
	call := w.prepare(method)
	w.transport.inject(f)
	err := call.do(w.t.Context())
	if w.transport.hits() == 0 {
		w.noRequest(method)
	}
	if err == nil {
		w.failf("return an error for each answer with an error status", "%s returned no error although the server answered with status %d", method, f.status)
	}
	return err
}

// checkServerError tests status 500, after which a write may have been made.
func checkServerError[T any](w *remoteWorld[T]) {
	for _, method := range w.methods() {
		err := w.failing(method, transportFault{status: http.StatusInternalServerError})
		if class := fault.ClassOf(err); final(class) || class == fault.ClassRateLimited {
			w.failf("return fault.ClassTransient from a read, and fault.ClassUnknownOutcome from a write, which the server may have made",
				"%s returned an error of the class %q for status 500: %v", method, class, err)
		}
	}
}

// checkCredentials tests status 401.
func checkCredentials[T any](w *remoteWorld[T]) {
	for _, method := range w.methods() {
		err := w.failing(method, transportFault{status: http.StatusUnauthorized})
		if class := fault.ClassOf(err); err != nil && class != fault.ClassCredentials {
			w.failf("return an error of fault.ClassCredentials: the jobs then wait until the credentials are valid again, and none fails",
				"%s returned an error of the class %q for status 401, want %q: %v", method, class, fault.ClassCredentials, err)
		}
	}
	checker, ok := w.remote.(mirror.CredentialRemote[T])
	if !ok {
		return
	}
	if err := checker.CheckCredentials(w.t.Context(), w.suite.Scope); err != nil {
		w.failf("return nil while the remote accepts the credentials", "CheckCredentials returned an error for valid credentials: %v", err)
	}
	w.transport.inject(transportFault{status: http.StatusUnauthorized})
	if err := checker.CheckCredentials(w.t.Context(), w.suite.Scope); err == nil {
		w.failf("ask the remote, and return its error", "CheckCredentials returned no error although the server answered with status 401")
	}
}

// checkForbidden tests status 403.
func checkForbidden[T any](w *remoteWorld[T]) {
	_, tells := w.remote.(mirror.CredentialRemote[T])
	for _, method := range w.methods() {
		err := w.failing(method, transportFault{status: http.StatusForbidden})
		switch class := fault.ClassOf(err); {
		case err == nil, class == fault.ClassForbidden:
		case class != fault.ClassCredentials:
			w.failf("return an error of fault.ClassForbidden, or of fault.ClassCredentials if the API answers so to credentials that are not valid",
				"%s returned an error of the class %q for status 403, want %q: %v", method, class, fault.ClassForbidden, err)
		case tells:
			w.failf("return fault.ClassForbidden: CheckCredentials tells whether the credentials are valid, and fault.ClassCredentials would park all scopes that they belong to",
				"%s returned an error of the class %q for status 403, want %q: %v", method, class, fault.ClassForbidden, err)
		}
	}
}

// checkRateLimit tests status 429 with both forms of Retry-After.
func checkRateLimit[T any](w *remoteWorld[T]) {
	const wait = 2 * time.Minute
	for _, form := range []struct {
		name  string
		value func() string
	}{
		{"seconds", func() string { return "120" }},
		{"date", func() string { return time.Now().Add(wait).UTC().Format(http.TimeFormat) }},
	} {
		for _, method := range w.methods() {
			err := w.failing(method, transportFault{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": form.value()}})
			limited := fault.Outermost(err)
			switch class := fault.ClassOf(err); {
			case err == nil:
			case class != fault.ClassRateLimited:
				w.failf("return an error of fault.ClassRateLimited, which consumes no attempt",
					"%s returned an error of the class %q for status 429, want %q: %v", method, class, fault.ClassRateLimited, err)
			case limited.RetryAfter < wait-15*time.Second || limited.RetryAfter > wait+15*time.Second:
				w.failf("set fault.Error.RetryAfter to the wait that the header Retry-After asks for, in seconds or until a date",
					"%s returned a RetryAfter of %s for status 429 with a Retry-After of %s as %s", method, limited.RetryAfter, wait, form.name)
			}
		}
	}
}

// checkChanges tests the feed of changes.
func checkChanges[T any](w *remoteWorld[T]) {
	feed, ok := w.remote.(mirror.ChangesRemote[T])
	if !ok {
		w.t.Skip("the Remote has no method Changes")
	}
	read := func(cursor string) (keys []string, next string) {
		next = cursor
		for c, err := range feed.Changes(w.t.Context(), w.suite.Scope, cursor) {
			if err != nil {
				w.stopf("a cursor that the feed has just returned must be accepted", "Changes returned an error of the class %q: %v", fault.ClassOf(err), err)
			}
			next = cmp.Or(c.Cursor, next)
			if w.hasKey(c.Key) {
				keys = append(keys, w.keyText(c.Key))
			}
		}
		return keys, next
	}
	deleted := w.created()
	_, cursor := read("")
	if cursor == "" {
		w.stopf("yield a Change with a Cursor, even if nothing has changed", "Changes without a cursor yielded none")
	}
	added := w.created()
	w.remove(deleted)
	keys, _ := read(cursor)
	for what, object := range map[string]T{"created": added, "deleted": deleted} {
		if !slices.Contains(keys, w.keyText(object)) {
			w.failf("yield the key of every object that was created, changed or deleted since the cursor",
				"Changes does not yield %s, which another client has %s", w.name(object), what)
		}
	}
	if w.suite.NoHTTP {
		return
	}
	w.transport.inject(transportFault{status: http.StatusInternalServerError})
	for _, err := range feed.Changes(w.t.Context(), w.suite.Scope, cursor) {
		if err != nil {
			return
		}
	}
	w.failf("yield the error: the cursor would go on behind changes that nobody has read",
		"Changes ended without an error although the server answered with status 500")
}
