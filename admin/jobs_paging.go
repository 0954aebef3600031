package admin

import (
	"slices"
	"strconv"
	"time"

	"github.com/nawasara/nawasync/tracker"
)

var pageSizes = []int{25, 50, 100}

// Values of the URL parameters that select a page of the list.
const (
	fromOldest  = "-1"     // of after: the last page, with the oldest jobs
	fromNewest  = "-1"     // of before: the page with the newest jobs
	oldestFirst = "oldest" // of sort; otherwise the newest jobs are first
)

// intParam returns a positive number from the URL's query, or 0.
func (p *request) intParam(name string) int64 {
	n, err := strconv.ParseInt(p.r.URL.Query().Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, n)
}

// oldestFirst reports whether the oldest jobs of the list are first.
func (p *request) oldestFirst() bool { return p.r.URL.Query().Get("sort") == oldestFirst }

// sortParam returns the order of the list for a URL, or "" for the default.
func (p *request) sortParam() string {
	if p.oldestFirst() {
		return oldestFirst
	}
	return ""
}

// wantsOldest reports whether the request selects the page with the oldest jobs. It is the first one if they are first.
func (p *request) wantsOldest() bool {
	values := p.r.URL.Query()
	return values.Get("after") == fromOldest || p.oldestFirst() && values.Get("before") != fromNewest && p.intParam("before") == 0 && p.intParam("after") == 0
}

// wantsNewer reports whether a search for the page goes from older to newer jobs.
func (p *request) wantsNewer() bool { return p.wantsOldest() || p.intParam("after") > 0 }

// firstSearch is how long the first page of a search that no index answers may search. Its links to further pages
// have the parameter long, because whoever follows one wants to search on, and may wait for it.
const firstSearch = 40 * time.Millisecond

// searchTime returns the MaxTime of the search for the page.
func (p *request) searchTime() time.Duration {
	if p.r.URL.Query().Get("long") != "" {
		return 0
	}
	return firstSearch
}

// longParam returns the parameter long of the links to the next pages.
func (v *jobsView) longParam() string {
	if v.results.Partial || v.searchTime() == 0 {
		return "1"
	}
	return ""
}

// withPage limits a search to the page that the request names.
func (p *request) withPage(s tracker.Search) tracker.Search {
	s.Before, s.After, s.Oldest = p.intParam("before"), p.intParam("after"), p.wantsOldest()
	s.Limit = p.pageSize()
	return s
}

// searchPage returns the page of a search that the request names, in the order that it names.
func (p *request) searchPage(s tracker.Search) (tracker.Results, error) {
	results, err := p.store().Search(p.r.Context(), p.withPage(s))
	if p.oldestFirst() {
		slices.Reverse(results.Jobs)
	}
	return results, err
}

func (p *request) pageSize() int {
	if n := int(p.intParam("n")); slices.Contains(pageSizes, n) {
		return n
	}
	return 50
}

// withLimit limits a search to the newest limit jobs with IDs below before; 0 means no bound.
func withLimit(s tracker.Search, before int64, limit int) tracker.Search {
	s.Before, s.Limit = before, limit
	return s
}

// shownSize returns the page size for a URL, or "" for the default.
func (v *jobsView) shownSize() string {
	if v.size == 50 {
		return ""
	}
	return strconv.Itoa(v.size)
}

// pageURL returns the URL of a page of the list. The URL parameter name, which is before or after, selects it.
func (v *jobsView) pageURL(name, value string) string {
	return v.url("/jobs", "q", v.queryText, "n", v.shownSize(), "sort", v.sort, name, value, "long", v.longParam())
}

func (v *jobsView) older() string { return v.pageURL("before", strconv.FormatInt(v.results.Older, 10)) }

func (v *jobsView) newer() string { return v.pageURL("after", strconv.FormatInt(v.results.Newer, 10)) }

// pageLink is a link to another page of the list.
type pageLink struct{ name, url, rel string }

// pages returns the links to other pages, in the order of the list.
func (v *jobsView) pages() []pageLink {
	var newer, older []pageLink
	first := v.link(v.query)
	if v.sort == oldestFirst {
		if v.results.Older != 0 {
			older = []pageLink{{v.T("Oldest"), first, ""}, {"← " + v.T("Older"), v.older(), "prev"}}
		}
		if v.results.Newer != 0 {
			newer = []pageLink{{v.T("Newer") + " →", v.newer(), "next"}, {v.T("Newest"), v.pageURL("before", fromNewest), ""}}
		}
		return append(older, newer...)
	}
	if v.results.Newer != 0 {
		newer = []pageLink{{v.T("Newest"), first, ""}, {"← " + v.T("Newer"), v.newer(), "prev"}}
	}
	if v.results.Older != 0 {
		older = []pageLink{{v.T("Older") + " →", v.older(), "next"}, {v.T("Oldest"), v.pageURL("after", fromOldest), ""}}
	}
	return append(newer, older...)
}

// sizes returns links to the list with other page sizes.
func (v *jobsView) sizes() []navLink {
	var list []navLink
	for _, n := range pageSizes {
		other := *v
		other.size = n
		list = append(list, navLink{name: strconv.Itoa(n), url: other.link(v.query), current: n == v.size})
	}
	return list
}

// sorts returns links to the list in each order.
func (v *jobsView) sorts() []navLink {
	var list []navLink
	for _, sort := range []struct{ value, name string }{{"", v.T("Newest first")}, {oldestFirst, v.T("Oldest first")}} {
		other := *v
		other.sort = sort.value
		list = append(list, navLink{name: sort.name, url: other.link(v.query), current: sort.value == v.sort})
	}
	return list
}
