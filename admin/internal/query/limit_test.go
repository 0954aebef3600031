package query_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin/internal/query"
)

// numbered returns n values with a separator.
func numbered(prefix, separator string, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint(prefix, i+1)
	}
	return strings.Join(list, separator)
}

func TestQueryWithTooManyValuesIsRefusedAtTheirPosition(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		at      int
		message string
	}{
		"by:a error:" + numbered("x", ",", 21):                                  {5, "error: there are 21 values; the maximum is 20"},
		"target:" + numbered("x", ",", 300):                                     {0, "target: there are 300 values; the maximum is 20"},
		"-by:" + numbered("x", ",", 21):                                         {0, "by: there are 21 values; the maximum is 20"},
		numbered("x", " ", 10) + " error:" + numbered("y", ",", 11):             {31, "the query searches for 21 texts; the maximum is 20"},
		"error:" + numbered("y", ",", 11) + " -error:" + numbered("z", ",", 10): {41, "the query searches for 21 texts; the maximum is 20"},
		numbered("by:", " ", 21):                                                {111, "the query has more than 20 terms"},
	} {
		_, err := query.Parse(line, time.UTC)
		var wrong *query.Error
		if !errors.As(err, &wrong) || wrong.At != want.at || wrong.Message.String() != want.message || wrong.Hint.String() == "" {
			t.Errorf("%s: %+v, want %q at %d", line, err, want.message, want.at)
		}
	}
	for _, line := range []string{
		"error:" + numbered("x", ",", 20), "error:" + strings.Repeat("same,", 100) + "same", "id:" + numbered("1", ",", 300), numbered("by:", " ", 20),
	} {
		if _, err := query.Parse(line, time.UTC); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
