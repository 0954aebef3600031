package nawasynctest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nawasara/nawasync/mirror"
)

// checkConcurrency makes calls for several objects at the same time.
func checkConcurrency[T any](w *remoteWorld[T]) {
	const callers = 8
	keys, wants := make([]T, callers), make([]T, callers)
	for i := range keys {
		keys[i], wants[i] = w.created(), w.spelled(w.object())
	}
	w.transport.inject(transportFault{kind: faultMeet})
	results := make(chan string, callers)
	for i := range keys {
		other := keys[(i+1)%callers]
		go func() { results <- w.callAll(keys[i], other, wants[i]) }()
	}
	var problems []string
	for range callers {
		if problem := <-results; problem != "" {
			problems = append(problems, problem)
		}
	}
	for _, want := range wants {
		w.forget(want)
	}
	slices.Sort(problems)
	if len(problems) > 0 {
		w.failf("keep what belongs to one call in local variables: a Remote must be safe for concurrent use",
			"%d of %d callers at the same time failed, for example: %s", len(problems), callers, problems[0])
	}
}

// callAll calls the methods of the Remote while other goroutines do the same, and returns what went wrong.
func (w *remoteWorld[T]) callAll(object, other, want T) string {
	ctx := w.t.Context()
	if l := w.list(w.suite.Scope, ""); l.err != nil {
		return fmt.Sprintf("List returned an error: %v", l.err)
	}
	reader, ok := w.remote.(mirror.Reader[T])
	if !ok {
		return ""
	}
	for range 5 {
		for _, key := range []T{object, other} {
			o, err := reader.Get(ctx, w.keyOf(key))
			switch {
			case err != nil:
				return fmt.Sprintf("Get of %s returned an error: %v", w.name(key), err)
			case w.keyText(o.Value) != w.keyText(key):
				return fmt.Sprintf("Get of %s returned the object %s", w.name(key), w.name(o.Value))
			}
		}
	}
	if creator, ok := w.remote.(mirror.Creator[T]); ok {
		creator = w.polled(creator, nil, nil)
		o, err := creator.Create(ctx, want)
		if err != nil {
			return fmt.Sprintf("Create of %s returned an error: %v", w.name(want), err)
		}
		if lines := w.differences(o.Value, want, nil, true); len(lines) > 0 {
			return fmt.Sprintf("Create of %s returned another object than it was asked for: %s", w.name(want), strings.Join(lines, "; "))
		}
	}
	return ""
}
