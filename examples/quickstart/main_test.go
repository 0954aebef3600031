package main

import (
	"strings"
	"testing"
)

func TestQuickstartDispatchesRetriesAndLists(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), t.TempDir(), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"dispatched job 1 for ann@example.org, by user:7", "event: succeeded", "attempt 1: retry mail server: 503",
		"attempt 2: success",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}
