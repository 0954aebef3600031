package admin_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/admin/policy"
	"github.com/nawasara/nawasync/internal/testdb"
)

// shownNumber is a number on a page that links to the jobs it counts.
type shownNumber struct {
	n     int
	query string
}

var (
	numberLinks = regexp.MustCompile(`<a href="/jobs\?q=([^"]*)">([0-9,]+)</a>`)
	columnLinks = regexp.MustCompile(`<a href="/jobs\?q=([^"]*)" aria-label="[^"]*: ([0-9,]+) succeeded, ([0-9,]+) failed, ([0-9,]+) other"`)
)

func number(text string) int {
	n, _ := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
	return n
}

// shownNumbers returns the numbers that a page links to lists, and those that the columns of its chart show.
func shownNumbers(t *testing.T, page string) (numbers, columns []shownNumber) {
	t.Helper()
	unescape := func(q string) string {
		text, err := url.QueryUnescape(html.UnescapeString(q))
		noError(t, err)
		return text
	}
	for _, m := range numberLinks.FindAllStringSubmatch(page, -1) {
		numbers = append(numbers, shownNumber{number(m[2]), unescape(m[1])})
	}
	for _, m := range columnLinks.FindAllStringSubmatch(page, -1) {
		columns = append(columns, shownNumber{number(m[2]) + number(m[3]) + number(m[4]), unescape(m[1])})
	}
	return numbers, columns
}

// Whatever has happened, each number of the overview and of a service's trend is the number of jobs in the list that
// it links to, and in the export of that list; and the columns of the chart add up to the total.
func TestEveryNumberOfTheOverviewIsThatOfItsListAndExport(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.Database) {
		b := errorHistory(t, db, 200)
		s := newSiteOf(t, db, "", func(c *nawasync.Config) { c.Now = b.Now }, nil)
		noError(t, policy.Add(t.Context(), db.DB, policy.Rule{Subject: "tenant", Service: "whm", Instance: "second", Permission: admin.PermissionView}))
		lists := map[string]int{} // by subject and query
		count := func(subject, q string) int {
			key := subject + " " + q
			if _, found := lists[key]; !found {
				list, exported := listedIDs(t, s, subject, q), csvIDs(t, s, subject, q)
				if len(list) != len(exported) {
					t.Errorf("%s: the list of %s has %d jobs, its export %d", subject, q, len(list), len(exported))
				}
				lists[key] = len(list)
			}
			return lists[key]
		}
		seen := 0
		for _, subject := range []string{"viewer", "tenant"} {
			for _, path := range []string{"/?window=15m", "/?window=1h", "/", "/?window=7d", "/?window=30d", "/services/whm"} {
				page := s.get(subject, path)
				if page.status != http.StatusOK {
					t.Fatalf("%s: %d", path, page.status)
				}
				numbers, columns := shownNumbers(t, page.body)
				sum := 0
				for _, shown := range append(numbers, columns...) {
					seen++
					if got := count(subject, shown.query); got != shown.n {
						t.Errorf("%s, %s: shows %d for %s, whose list has %d jobs", subject, path, shown.n, shown.query, got)
					}
				}
				for _, column := range columns {
					sum += column.n
				}
				if len(numbers) < 3 {
					t.Fatalf("%s, %s: only %d numbers", subject, path, len(numbers))
				}
				if total := numbers[0].n + numbers[1].n + numbers[2].n; path != "/services/whm" && sum != total {
					t.Errorf("%s, %s: the columns have %d jobs, the legend %d", subject, path, sum, total)
				}
			}
		}
		if seen < 300 {
			t.Errorf("the test has seen only %d numbers", seen)
		}
	})
}
