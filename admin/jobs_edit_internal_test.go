package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// randomQuery draws a query with terms that the filters can show and others that they cannot.
func randomQuery(t *rapid.T) query.Query {
	texts := []string{"a", "a b", "a,b", `"`, `c\d`, "-x", ">3", "é:", "status:failed", "b.example"}
	value := map[string][]string{
		"status": {"failed", "success", "queued", "conflict"}, "is": {"open", "stuck", "repaired", "deleted"}, "source": {"api", "retry"},
		"id": {"1", "23"}, "retry": {"4"}, "since": {"24h", "7d", "90m"}, "created": {"2026-05-01..", "2026-05-01"}, "ended": {"1h", "7d", "2026-05-01.."},
		"service": {"whm", "cloudflare"}, "duration": {"10s"}, "attempts": {"3"},
	}
	single := []string{"is", "since", "created", "ended", "duration", "attempts"}
	fields := []string{"service", "type", "instance", "action", "target", "by", "class", "error", "text"}
	for field := range value {
		fields = append(fields, field)
	}
	slices.Sort(fields)
	var terms []string
	for range rapid.IntRange(0, 7).Draw(t, "terms") {
		field := rapid.SampledFrom(fields).Draw(t, "field")
		list := value[field]
		if list == nil {
			list = texts
		}
		n, sign, op := rapid.IntRange(1, 3).Draw(t, "values"), "", ""
		if field == "text" || slices.Contains(single, field) {
			n = 1
		}
		if !slices.Contains([]string{"since", "created", "ended"}, field) && rapid.Bool().Draw(t, "not") {
			sign = "-"
		}
		if field == "duration" || field == "attempts" {
			op = rapid.SampledFrom([]string{"", ">", "<"}).Draw(t, "op")
		}
		var values []string
		for range n {
			values = append(values, query.Quote(rapid.SampledFrom(list).Draw(t, "value"), field == "text"))
		}
		if field != "text" {
			sign += field + ":" + op
		}
		terms = append(terms, sign+strings.Join(values, ","))
	}
	q, err := query.Parse(strings.Join(terms, " "), time.UTC)
	if err != nil {
		t.Fatalf("%q: %v", terms, err)
	}
	return q
}

// submit sends the plain form of a page, with the given values in place of those that it shows, and returns the query
// of the list.
func (v *jobsView) submit(t *rapid.T, changed url.Values) string {
	form := url.Values{"form": {"1"}, "status": v.query.Values("status"), "service": {v.query.Input("service")}, "rest": {v.extraTerms()}}
	for _, f := range v.inputs() {
		form.Set(f.field, f.value)
	}
	maps.Copy(form, changed)
	w := httptest.NewRecorder()
	p := &request{h: v.h, w: w, zone: time.UTC, r: httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/jobs?"+form.Encode(), nil)}
	if err := p.queryFromForm(); err != nil {
		t.Fatal(err)
	}
	return listQuery(t, w.Header().Get("Location"))
}

// listQuery returns the query in a link to the list.
func listQuery(t *rapid.T, link string) string {
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := strings.CutPrefix(u.Path, "/jobs/"); ok {
		return id // a number alone opens the job
	}
	return u.Query().Get("q")
}

func TestEveryEditOfAQueryKeepsItsOtherTerms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := randomQuery(t)
		v := &jobsView{
			request:   &request{h: &handler{}, zone: time.UTC, r: httptest.NewRequest(http.MethodGet, "/jobs", nil)},
			query:     q,
			queryText: q.String(),
			services:  []string{"whm"},
			size:      50,
		}
		if got := v.submit(t, nil); got != q.String() {
			t.Fatalf("the form turns %q into %q", q, got)
		}
		for _, field := range formFields {
			want := q.Rest(field).And(field, "9h").String()
			if got := v.submit(t, url.Values{field: {" 9h "}}); got != want {
				t.Fatalf("the input %s turns %q into %q, want %q", field, q, got, want)
			}
			if got, want := v.submit(t, url.Values{field: {""}}), q.Rest(field).String(); got != want {
				t.Fatalf("the empty input %s turns %q into %q, want %q", field, q, got, want)
			}
		}
		if got, want := v.submit(t, url.Values{"status": {"skipped"}}), q.Rest("status").And("status", "skipped").String(); got != want {
			t.Fatalf("the checkboxes turn %q into %q, want %q", q, got, want)
		}
		checkLinks(t, q, v.tabs(), "status")
		links := v.windows()
		checkLinks(t, q, links[:1], "since", "created", "ended")
		checkLinks(t, q, links[len(links)-1:], "since", "created", "ended")
		edited := []string{"since", "created"}
		if v.timeField() == "ended" {
			edited = []string{"ended"}
		}
		checkLinks(t, q, links[1:len(links)-1], edited...)
	})
}

// checkLinks checks that links change only terms of some fields that are not negated, and that the link of what the
// page shows does not change the query.
func checkLinks(t *rapid.T, q query.Query, links []navLink, edited ...string) {
	for _, link := range links {
		next, err := query.Parse(listQuery(t, link.url), time.UTC)
		if err != nil {
			t.Fatalf("%s: %v", link.url, err)
		}
		before, after := q, next
		for _, field := range edited {
			before, after = before.With(field), after.With(field)
		}
		if before.String() != after.String() {
			t.Fatalf("the link %q turns %q into %q", link.name, q, next)
		}
		if link.current && next.String() != q.String() {
			t.Fatalf("the link %q is current for %q but leads to %q", link.name, q, next)
		}
	}
}

func TestFormOnThePageOfAnInvalidQueryKeepsIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.TrimSpace(
			randomQuery(t).String() + " " + rapid.SampledFrom([]string{"servise:whm", `error:"open`, "status:", "-since:1h"}).Draw(t, "wrong"),
		)
		_, err := query.Parse(text, time.UTC)
		v := &jobsView{
			request:    &request{h: &handler{}, zone: time.UTC, r: httptest.NewRequest(http.MethodGet, "/jobs", nil)},
			queryText:  text,
			queryError: &query.Error{},
		}
		got := v.submit(t, url.Values{"service": {"whm"}})
		if _, again := query.Parse(got, time.UTC); err == nil || again == nil || got != "service:whm "+text {
			t.Fatalf("%q (%v) becomes %q (%v)", text, err, got, again)
		}
	})
}

func TestCountsOfTabsFollowTheOtherStatusTerms(t *testing.T) {
	t.Parallel()
	counts := map[tracker.Status]int{tracker.StatusQueued: 1, tracker.StatusFailed: 2, tracker.StatusSuccess: 4, tracker.StatusConflict: 8}
	for text, want := range map[string]string{
		"":                                    "15 15 [queued 1] [running 0] [success 4] [failed 2] [conflict 8]",
		"-status:success":                     "11 11 [queued 1] [running 0] [success 0] [failed 2] [conflict 8]",
		"status:failed,success":               "6 15 [queued 1] [running 0] [success 4] [failed 2] [conflict 8]",
		"status:failed,success status:failed": "2 15 [queued 1] [running 0] [success 4] [failed 2] [conflict 8]",
		"is:open":                             "1 1 [queued 1] [running 0] [success 0] [failed 0] [conflict 0]",
		"-is:open status:queued,failed":       "2 14 [queued 0] [running 0] [success 4] [failed 2] [conflict 8]",
	} {
		q, err := query.Parse(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		v := &jobsView{
			request: &request{h: &handler{}, zone: time.UTC, r: httptest.NewRequest(http.MethodGet, "/jobs", nil)},
			query:   q,
			counts:  counts,
			counted: true,
			size:    50,
		}
		tabs := v.tabs()
		got := fmt.Sprint(v.countOf(q), " ", tabs[0].count)
		for _, tab := range tabs[1:6] {
			got += fmt.Sprintf(" [%s %s]", tab.status, tab.count)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
