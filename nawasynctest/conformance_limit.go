package nawasynctest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/mirror"
)

// checkLimitScope tests what the Remote says that limits and credentials belong to.
func checkLimitScope[T any](w *remoteWorld[T]) {
	limited := ability[mirror.LimitRemote[T]](w.t, w.remote, "LimitScope")
	scopes := []T{w.suite.Scope}
	if !valueOf(&w.suite.OtherScope).IsZero() {
		scopes = append(scopes, w.suite.OtherScope)
	}
	for _, scope := range scopes {
		before := w.transport.count()
		limit := limited.LimitScope(scope)
		if sent := w.transport.count() - before; sent > 0 {
			w.failf("answer from the scope and the configuration: the engine asks before it starts a job, and for each scope of a page",
				"LimitScope sent %d requests", sent)
		}
		if problem := w.limitProblem(scope, limit); problem != "" {
			w.stopf("return the first scope fields unchanged, and the others empty: all of them means one scope alone, none the whole service", "%s", problem)
		}
		for range 3 {
			if again := limited.LimitScope(scope); texts(w.Scope, valueOf(&again)) != texts(w.Scope, valueOf(&limit)) {
				w.stopf("always give the same answer for a scope: what is parked under one limit scope would be resumed under another",
					"LimitScope of the same scope returned %q, and then %q", texts(w.Scope, valueOf(&limit)), texts(w.Scope, valueOf(&again)))
			}
		}
	}
}

// limitProblem says why a value is no limit scope of a scope, or "".
func (w *remoteWorld[T]) limitProblem(scope, limit T) string {
	ended := ""
	for _, f := range w.Scope {
		got, want := f.In(valueOf(&limit)), f.Text(valueOf(&scope))
		switch {
		case got.IsZero():
			ended = f.Column
		case ended != "":
			return fmt.Sprintf("LimitScope set the field %s, and left %s before it empty", f.Column, ended)
		case f.Text(valueOf(&limit)) != want:
			return fmt.Sprintf("LimitScope changed the field %s from %q to %q", f.Column, want, f.Text(valueOf(&limit)))
		}
	}
	var others []string
	for _, f := range slices.Concat(w.Key, w.Content, w.Observed) {
		if !f.In(valueOf(&limit)).IsZero() {
			others = append(others, f.Column)
		}
	}
	if len(others) > 0 {
		return "LimitScope set fields that are no scope fields: " + strings.Join(others, ", ")
	}
	return ""
}
