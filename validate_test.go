package nawasync_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		h := enginetest.New(t, db)
		e := h.Engine(func(c *nawasync.Config) { c.MaxQueued = 2 })
		long := strings.Repeat("x", 256)
		for name, c := range map[string]struct {
			args nawasync.Args
			o    nawasync.Options
			want string
		}{
			"empty target":     {enginetest.JobArgs{}, nawasync.Options{}, "Target.ID is empty"},
			"long target":      {enginetest.JobArgs{ID: long}, nawasync.Options{}, "Target.ID has 256 bytes, over the limit of 255"},
			"long instance":    {enginetest.JobArgs{ID: "a", Instance: long}, nawasync.Options{}, "limit of 255"},
			"NUL in target":    {enginetest.JobArgs{ID: "a\x00b"}, nawasync.Options{}, "contains a NUL"},
			"UTF-8 in target":  {enginetest.JobArgs{ID: "a\xff"}, nawasync.Options{}, "not valid UTF-8"},
			"negative delay":   {enginetest.JobArgs{ID: "a"}, nawasync.Options{Delay: -1}, "negative"},
			"long By":          {enginetest.JobArgs{ID: "a"}, nawasync.Options{By: long}, "limit of 255"},
			"empty service":    {anyKind{}, nawasync.Options{}, "service is empty"},
			"empty type":       {anyKind{Service: "s", Action: "a"}, nawasync.Options{}, "type is empty"},
			"empty action":     {anyKind{Service: "s", Type: "t"}, nawasync.Options{}, "action is empty"},
			"long service":     {anyKind{Service: long[:51], Type: "t", Action: "a"}, nawasync.Options{}, "service has 51 bytes, over the limit of 50"},
			"long type":        {anyKind{Service: "s", Type: long[:51], Action: "a"}, nawasync.Options{}, "type has 51 bytes, over the limit of 50"},
			"long action":      {anyKind{Service: "s", Type: "t", Action: long[:51]}, nawasync.Options{}, "action has 51 bytes, over the limit of 50"},
			"large arguments":  {anyKind{Service: "s", Type: "t", Action: "a", Data: strings.Repeat("x", 1<<20)}, nawasync.Options{}, "over the limit of 1048576"},
			"NUL in arguments": {anyKind{Service: "s", Type: "t", Action: "a", Data: "\x00"}, nawasync.Options{}, "contain a NUL"},
			"bytes in args":    {anyKind{Service: "s", Type: "t", Action: "a", Data: "\xff"}, nawasync.Options{}, "not valid UTF-8"},
			"secret, no key":   {anyKind{Service: "s", Type: "t", Action: "a", Password: "hunter22"}, nawasync.Options{}, "Config.Sealer is nil"},
		} {
			_, err := e.Dispatch(t.Context(), c.args, c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want one with %q", name, err, c.want)
			}
		}
		enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "a"})
		enginetest.Dispatch(t, e, enginetest.JobArgs{ID: "b"})
		if _, err := e.Dispatch(t.Context(), enginetest.JobArgs{ID: "c"}, nawasync.Options{}); !errors.Is(err, nawasync.ErrBacklogFull) {
			t.Errorf("error %v, want ErrBacklogFull", err)
		}
		page, err := e.Reader().Search(t.Context(), tracker.Search{Limit: 10})
		enginetest.NoError(t, err)
		if len(page.Jobs) != 2 {
			t.Fatalf("%d jobs, want 2", len(page.Jobs))
		}
	})
}

// anyKind holds the kind of its job, and arguments that may be invalid.
type anyKind struct {
	Service, Type, Action string
	Data                  string
	Password              string `json:"password,omitempty"`
}

func (a anyKind) Kind() nawasync.Kind {
	return nawasync.Kind{Service: a.Service, Type: a.Type, Action: a.Action}
}

func (anyKind) Target() nawasync.Target { return nawasync.Target{ID: "x"} }

func TestQueueNameThatADispatchWouldRefuseIsRefusedByNew(t *testing.T) {
	t.Parallel()
	h := enginetest.New(t, testdb.SQLite(t))
	c := h.Config()
	c.Queues = map[string]nawasync.Queue{"a{b}": {}}
	if _, err := nawasync.New(c); !errors.Is(err, nawasync.ErrInvalid) {
		t.Errorf("New with a queue named a{b} returned %v, want ErrInvalid", err)
	}
}
