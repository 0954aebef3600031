package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/admin/internal/language"
	"github.com/nawasara/nawasync/tracker"
)

// searchView returns the view of a page of a search.
func searchView(path string, found tracker.Results) *jobsView {
	p := &request{h: &handler{}, zone: time.UTC, language: language.NewSet("en", nil).Choose("en", ""), r: httptest.NewRequest(http.MethodGet, path, nil)}
	return &jobsView{request: p, results: found, queryText: "by:nobody", size: 50}
}

// The first page must be shown at once. Whoever goes on waits for what the search finds.
func TestAPartialSearchSaysHowFarItGotAndSearchesLongerWhenItGoesOn(t *testing.T) {
	t.Parallel()
	reached := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	found := tracker.Results{Partial: true, Searched: 48_000, Older: 100, Reached: reached}
	v := searchView("/jobs?q=by:nobody", found)
	if v.searchTime() != firstSearch {
		t.Errorf("the first page searches for %s", v.searchTime())
	}
	if text := v.searchedText(); !strings.Contains(text, "Searched 48,000 jobs back to 2026-08-01 12:00:00") {
		t.Errorf("the page says %q", text)
	}
	_, links := v.emptyReason()
	if want := "/jobs?before=100&long=1&q=by%3Anobody"; links[0].url != want || v.pages()[0].url != want {
		t.Errorf("the search goes on at %s and %s, want %s", links[0].url, v.pages()[0].url, want)
	}
	next := searchView(links[0].url, found)
	if next.searchTime() != 0 || !strings.Contains(next.older(), "long=1") || strings.Contains(next.link(next.query), "long") {
		t.Errorf("the next page searches for %s and goes on at %s", next.searchTime(), next.older())
	}
	whole := searchView("/jobs?q=by:nobody", tracker.Results{Older: 100})
	if strings.Contains(whole.older(), "long") {
		t.Errorf("a page of an index leads to %s", whole.older())
	}
}
