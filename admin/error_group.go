package admin

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// errorGroup is a set of failed jobs with the same error signature.
type errorGroup struct {
	Signature string    `json:"signature"`
	Example   string    `json:"example"`
	Class     string    `json:"class"`
	Jobs      int       `json:"jobs"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Services  []string  `json:"services"`
	url       string
}

// varyingParts matches what differs between two occurrences of the same error: IDs, addresses,
// numbers and quoted words.
var varyingParts = regexp.MustCompile(`"[^"]*"|'[^']*'|“[^”]*”|[\w.+-]+@[\w.-]+|\b(?:[0-9a-f]{8,}|\d[\d.,:]*)\b|\b[\w-]+(?:\.[\w-]+)+\b`)

// errorSignature returns the first line of an error with its varying parts replaced by "…".
func errorSignature(text string) string {
	line := format.FirstLine(text)
	return strings.Join(strings.Fields(varyingParts.ReplaceAllString(line, "…")), " ")
}

// groupErrors groups failed jobs by their error signature and returns the 10 largest groups. The
// jobs must be sorted by end time, latest first. The parameter ended is a query term that limits the
// link of a group to the same time range.
func (p *request) groupErrors(jobs []*tracker.Job, ended string) []errorGroup {
	groups := map[string]*errorGroup{}
	for _, j := range jobs {
		key := errorSignature(j.Error)
		if key == "" {
			continue
		}
		g := groups[key]
		if g == nil {
			g = &errorGroup{Signature: key, Example: format.FirstLine(j.Error), Class: j.ErrorClass, Last: j.FinishedAt}
			groups[key] = g
		}
		g.Jobs++
		g.First = j.FinishedAt
		if !slices.Contains(g.Services, j.Service) {
			g.Services = append(g.Services, j.Service)
		}
	}
	list := []errorGroup{}
	for _, g := range groups {
		g.url = p.queryURL("status:conflict,failed", errorTerm(g.Signature), ended)
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b errorGroup) int {
		return cmp.Or(cmp.Compare(b.Jobs, a.Jobs), cmp.Compare(a.Signature, b.Signature))
	})
	return list[:min(len(list), 10)]
}

// errorTerm returns the query term that finds jobs with a signature. It searches for the longest
// fixed part. It returns "" if there is none.
func errorTerm(signature string) string {
	part := longestPart(strings.Split(signature, "…"))
	if part == "" {
		return ""
	}
	return "error:" + query.Quote(part, false)
}

func longestPart(parts []string) string {
	best := ""
	for _, part := range parts {
		if part = strings.TrimSpace(part); len(part) > len(best) {
			best = part
		}
	}
	return best
}
