package nawasynctest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/fault"
	"github.com/nawasara/nawasync/mirror"
)

// checkListStops tests that a listing ends where its caller stops, and after an error.
func checkListStops[T any](w *remoteWorld[T]) {
	for range w.suite.PageSize + 1 {
		w.created()
	}
	defer func() {
		if r := recover(); r != nil {
			w.failf("return from List as soon as yield returns false", "List goes on after its caller has stopped: %v", r)
		}
	}()
	for _, err := range w.remote.List(w.t.Context(), w.suite.Scope, "") {
		_ = err // what matters is that the listing stops
		break
	}
}

// checkNormalise tests that Config.Normalise leaves what it has returned as it is.
func checkNormalise[T any](w *remoteWorld[T]) {
	if w.config.Normalise == nil {
		w.t.Skip("mirror.Config.Normalise is nil")
	}
	w.created()
	for _, item := range append(w.listed("").items, w.object()) {
		once := w.spelled(item)
		twice := w.spelled(once)
		lines := w.differences(twice, once, nil, false)
		if from, to := texts(w.Key, valueOf(&once)), w.keyText(once); from != to {
			lines = append(lines, fmt.Sprintf("the key is %q, want %q", to, from))
		}
		if len(lines) > 0 {
			w.stopf("a value that Normalise has returned must stay as it is, or every sync writes every row",
				"Normalise of a normalised value changes it: %s", strings.Join(lines, "; "))
		}
	}
}

// checkScopeExists tests a scope that does not exist, and ScopeRemote.
func checkScopeExists[T any](w *remoteWorld[T]) {
	scopes, ok := w.remote.(mirror.ScopeRemote[T])
	gone := !valueOf(&w.suite.GoneScope).IsZero()
	if !ok && !gone {
		w.t.Skip("the Remote has no method ScopeExists, and RemoteSuite.GoneScope is empty")
	}
	if gone {
		if l := w.list(w.suite.GoneScope, ""); l.err == nil && w.proves(l) {
			w.failf("return the error of the API: the sync would mark all rows of a removed scope, or of one that the credentials may no longer see, as missing",
				"List of a scope that does not exist yields a complete listing of %d objects", len(l.items))
		}
	}
	if !ok {
		return
	}
	if exists, err := scopes.ScopeExists(w.t.Context(), w.suite.Scope); !exists || err != nil {
		w.failf("read the scope itself with the credentials of its objects", "ScopeExists of a scope that exists returned %t, %v", exists, err)
	}
	if gone {
		if exists, err := scopes.ScopeExists(w.t.Context(), w.suite.GoneScope); exists {
			w.failf("read the scope itself, and do not answer true because a list of its objects succeeds",
				"ScopeExists of a scope that does not exist returned %t, %v", exists, err)
		}
	}
	if w.suite.NoHTTP {
		return
	}
	w.transport.inject(transportFault{status: 500})
	if exists, err := scopes.ScopeExists(w.t.Context(), w.suite.Scope); err == nil {
		w.failf("return an error if the question could not be answered",
			"ScopeExists returned %t without an error although the server answered with status 500", exists)
	}
}

// proves reports whether a listing without an error proves that missing objects are gone.
func (w *remoteWorld[T]) proves(l remoteListing[T]) bool {
	return len(l.pages) > 0 && l.pages[len(l.pages)-1].Proof.Level != mirror.ProofNone
}

// fill creates objects until a listing has more than two pages.
func (w *remoteWorld[T]) fill() (objects []T) {
	w.t.Helper()
	if w.suite.PageSize <= 0 {
		w.t.Skip("RemoteSuite.PageSize is 0: the API does not page")
	}
	for range 2*w.suite.PageSize + 1 {
		objects = append(objects, w.created())
	}
	return objects
}

// checkPaging tests that a listing of several pages has every object once, with three pages and with two full ones.
func checkPaging[T any](w *remoteWorld[T]) {
	objects := w.fill()
	w.checkPages(objects, nil)
	last := objects[len(objects)-1]
	w.remove(last)
	w.checkPages(objects[:len(objects)-1], &last)
}

func (w *remoteWorld[T]) checkPages(objects []T, removed *T) {
	w.t.Helper()
	l := w.listed("")
	counts := map[string]int{}
	for _, item := range l.items {
		counts[w.keyText(item)]++
	}
	missing, twice := []string{}, []string{}
	for _, object := range objects {
		switch counts[w.keyText(object)] {
		case 0:
			missing = append(missing, w.name(object))
		case 1:
		default:
			twice = append(twice, w.name(object))
		}
	}
	if len(missing) > 0 {
		w.failf("request pages until the API says that there are no more, and count pages and offsets from where the API does",
			"List of %d pages leaves out %d of %d objects, for example %s", len(l.pages), len(missing), len(objects), missing[0])
	}
	if len(twice) > 0 {
		w.failf("go on after the last object of the page before",
			"List of %d pages yields %d of %d objects more than once, for example %s", len(l.pages), len(twice), len(objects), twice[0])
	}
	if removed != nil && counts[w.keyText(*removed)] > 0 {
		w.failf("read the server in each call of List, and cache nothing", "List yields %s, which another client has deleted", w.name(*removed))
	}
	w.checkProof(l, len(counts))
}

// checkProof tests what the last page of a complete listing claims.
func (w *remoteWorld[T]) checkProof(l remoteListing[T], keys int) {
	w.t.Helper()
	if len(l.pages) == 0 {
		w.stopf("yield at least one page, also for an empty scope", "List ended without a page")
	}
	proof := l.pages[len(l.pages)-1].Proof
	switch {
	case proof.Level == mirror.ProofNone:
		w.failf("set Page.Proof of the last page: ProofCounted with the server's own total if it sends one, else ProofExhausted",
			"the last of %d pages proves nothing, so that no sync will ever find a deletion", len(l.pages))
	case proof.Level == mirror.ProofWhole && len(l.pages) > 1:
		w.failf("use ProofCounted or ProofExhausted", "List claims ProofWhole for %d pages; it is for a single answer that contains everything", len(l.pages))
	case proof.Level == mirror.ProofCounted && proof.Total != int64(keys):
		w.failf("set Proof.Total to the server's count of what it lists; if it counts something else, use ProofExhausted without a total",
			"List claims ProofCounted with a total of %d, and yields %d objects", proof.Total, keys)
	}
}

// checkResume tests cursors and ListFrom.
func checkResume[T any](w *remoteWorld[T]) {
	resumable, ok := w.remote.(mirror.ResumableRemote[T])
	if !ok {
		w.created()
		for _, page := range w.listed("").pages {
			if page.Cursor != "" {
				w.stopf("leave Page.Cursor empty, or implement mirror.ResumableRemote", "List sets Page.Cursor, and the Remote has no method ListFrom")
			}
		}
		w.t.Skip("the Remote has no method ListFrom")
	}
	w.fill()
	l := w.listed("")
	for i, page := range l.pages[:len(l.pages)-1] {
		if page.Cursor == "" {
			continue
		}
		want := map[string]bool{}
		for _, rest := range l.pages[i+1:] {
			for _, item := range rest.Items {
				want[w.keyText(item)] = true
			}
		}
		for page, err := range resumable.ListFrom(w.t.Context(), w.suite.Scope, "", page.Cursor) {
			if err != nil {
				w.stopf("return an error that wraps mirror.ErrCursorExpired only for a cursor that the API no longer accepts",
					"ListFrom with the cursor of page %d returned an error of the class %q: %v", i+1, fault.ClassOf(err), err)
			}
			for _, item := range page.Items {
				if !want[w.keyText(item)] {
					w.stopf("go on after the page with the cursor",
						"ListFrom with the cursor of page %d yields %s, which List yields on that page or before, or twice", i+1, w.name(item))
				}
				delete(want, w.keyText(item))
			}
		}
		if len(want) > 0 {
			w.stopf("go on at the next object after the page with the cursor", "ListFrom with the cursor of page %d leaves out %d objects", i+1, len(want))
		}
	}
}

// checkListFails lets each page of a listing fail in several ways.
func checkListFails[T any](w *remoteWorld[T]) {
	count := 1
	if w.suite.PageSize > 0 {
		count = 2*w.suite.PageSize + 1
	}
	fill := func(w *remoteWorld[T]) {
		for range count {
			w.created()
		}
	}
	fill(w)
	before := w.transport.count()
	w.listed("")
	requests := w.transport.count() - before
	if requests == 0 {
		w.stopf("send all requests of the Remote through the transport that Open receives, or set RemoteSuite.NoHTTP",
			"no request of List came through the transport of the test")
	}
	places := slices.Compact([]int{0, min(1, requests-1), requests / 2, requests - 1})
	for _, kind := range []transportFault{
		{status: 200, body: "<html><body>It works!</body></html>", name: "an HTML page with status 200"},
		{status: 200, body: "{}", name: "an empty JSON document with status 200"},
		{kind: faultCut, name: "half of an answer"},
		{status: 500, name: "status 500"},
		{status: 404, name: "status 404"},
		{status: 403, name: "status 403"},
		{kind: faultDrop, name: "a closed connection"},
		{status: 429, name: "status 429"},
		{status: 401, name: "status 401"},
	} {
		for _, place := range places {
			kind.from = place
			w.transport.inject(kind)
			l := w.list(w.suite.Scope, "")
			if w.transport.hits() == 0 && l.err != nil { // the client waits after an earlier fault
				w = w.again()
				fill(w)
				w.transport.inject(kind)
				l = w.list(w.suite.Scope, "")
			}
			w.transport.clear()
			if l.err == nil {
				proof := "proves nothing"
				if w.proves(l) {
					proof = fmt.Sprintf("claims to be complete (proof %s), so that the rows of the other objects are deleted", l.pages[len(l.pages)-1].Proof.Level)
				}
				w.stopf("yield an error for every answer that is not a complete page in the API's format, and end the listing",
					"request %d of %d of a listing got %s, and List ended without an error after %d objects; it %s", place+1, requests, kind.name, len(l.items), proof)
			}
		}
	}
}
