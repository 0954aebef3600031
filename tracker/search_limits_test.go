package tracker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/storetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestSearchWithTooManyValuesIsAnError(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, testdb.SQLite(t))
	values := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint(i + 1)
		}
		return list
	}
	term := func(field tracker.Field, n int) tracker.Term { return tracker.Term{Field: field, Values: values(n)} }
	for want, terms := range map[string][]tracker.Term{
		"":                                 {term(tracker.FieldError, 10), term(tracker.FieldText, 10), term(tracker.FieldBy, 20), term(tracker.FieldID, 1000)},
		"a term of error has 21 values":    {term(tracker.FieldError, 21)},
		"a term of by has 21 values":       {term(tracker.FieldBy, 21)},
		"a term of id has 1001 values":     {term(tracker.FieldID, 1001)},
		"error and text have 22 values":    {term(tracker.FieldError, 11), term(tracker.FieldText, 11)},
		"the search has 21 terms; the max": make([]tracker.Term, 21),
	} {
		_, err := b.Search(t.Context(), tracker.Search{Terms: terms})
		_, _, countErr := b.Counts(t.Context(), tracker.Search{Terms: terms})
		for _, err := range []error{err, countErr} {
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
}
