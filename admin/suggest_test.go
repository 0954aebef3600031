package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/internal/testdb"
	"github.com/nawasara/nawasync/tracker"
)

// suggested returns the completions that a subject gets.
func (s *site) suggested(subject, key, prefix string) (list []string) {
	s.t.Helper()
	got := s.get(subject, "/suggest.json?"+url.Values{"key": {key}, "prefix": {prefix}}.Encode())
	var found []struct {
		Insert string `json:"insert"`
	}
	if got.status != http.StatusOK || json.Unmarshal([]byte(got.body), &found) != nil {
		s.t.Fatalf("suggestions for %q %q: %d %s", key, prefix, got.status, got.body)
	}
	for _, f := range found {
		list = append(list, f.Insert)
	}
	return list
}

func TestSuggestionsCompleteKeysAndTheirValues(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		s := newSite(t, db, "", nil)
		s.start()
		s.await(s.dispatch(chore{ID: "a"}).ID, tracker.StatusSuccess)
		s.await(s.dispatch(elsewhere{ID: "b"}).ID, tracker.StatusSuccess)
		for _, c := range []struct{ key, prefix, want string }{
			{"", "st", "status: instance:"},
			{"", "ty", "type:"},
			{"", "nothing", ""},
			{"status", "", "queued running success failed conflict skipped cancelled"},
			{"status", "FA", "failed"},
			{"is", "re", "repaired retried"},
			{"service", "", "cloudflare whm"},
			{"instance", "", "main"},
			{"type", "", "mailbox record"},
			{"type", "cor", "record"},
			{"action", "up", "update"},
			{"since", "2", "24h"},
			{"target", "a", ""},
			{"servise", "", ""},
		} {
			if got := strings.Join(s.suggested("viewer", c.key, c.prefix), " "); got != c.want {
				t.Errorf("key %q, prefix %q: %q, want %q", c.key, c.prefix, got, c.want)
			}
		}
	})
}

// A suggestion that is taken must make a valid query.
func TestEverySuggestionIsAValidTerm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	for _, instance := range []string{`a "quoted" \ one`, "a, b", ">3"} {
		_, err := w.engine.Dispatch(t.Context(), placed{instance, "x"}, nawasync.Options{})
		noError(t, err)
	}
	w.renew()
	n := 0
	for _, key := range w.suggested("operator", "", "") {
		for _, value := range w.suggested("operator", strings.TrimSuffix(key, ":"), "") {
			n++
			if q, err := query.Parse(key+value, w.engine.Reader().Now().Location()); err != nil || len(q.Terms()) != 1 || len(q.Terms()[0].Values) != 1 {
				t.Errorf("%s%s: %v", key, value, err)
			}
		}
	}
	if got := w.suggested("operator", "instance", ""); n < 20 || !slices.Contains(got, `"a, b"`) {
		t.Errorf("%d values; instances %q", n, got)
	}
}

func TestSuggestionsNameOnlyWhatTheSubjectMayView(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		w := newWorld(t, db)
		for _, p := range w.persons {
			if !w.viewsSomething(p, "") {
				if got := w.get(p.name, "/suggest.json?key=instance"); got.status != http.StatusForbidden || strings.Contains(got.body, "qalpha") {
					t.Errorf("suggestions for %q: %d %s", p.name, got.status, got.body)
				}
				continue
			}
			want := map[string][]string{}
			for _, at := range w.places {
				if p.views(at) {
					want["service"] = append(want["service"], at.service)
					want["type"] = append(want["type"], at.cancelled.Type)
					if at.instance != "" {
						want["instance"] = append(want["instance"], at.instance)
					}
				}
			}
			for _, key := range []string{"service", "instance", "type"} {
				slices.Sort(want[key])
				got := w.suggested(p.name, key, "q")
				if key == "type" {
					got = w.suggested(p.name, key, "")
				}
				if expected := slices.Compact(want[key]); !slices.Equal(got, expected) {
					t.Errorf("%s for %q: %q, want %q", key, p.name, got, expected)
				}
			}
			if got := w.suggested(p.name, "action", ""); len(want["service"]) > 0 && !slices.Equal(got, []string{"park"}) {
				t.Errorf("actions for %q: %q", p.name, got)
			}
		}
	})
}

func TestSuggestionsAreAtMostTwelve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testdb.SQLite(t))
	for i := range 20 {
		_, err := w.engine.Dispatch(t.Context(), placed{fmt.Sprint("many", i), "x"}, nawasync.Options{})
		noError(t, err)
	}
	w.renew()
	if got := w.suggested("operator", "instance", "many"); len(got) != 12 || got[0] != "many0" {
		t.Errorf("%q", got)
	}
}
