package language

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxAccepted is how many languages of a header are looked at. Browsers send a few.
const maxAccepted = 20

// accepted returns the tags of an Accept-Language header (RFC 9110, 12.5.4), the preferred ones first. It ends at
// "*", which is any language, and leaves out what it cannot read.
func accepted(header string) (tags []string) {
	type weighted struct {
		tag    string
		weight float64
	}
	var list []weighted
	for part := range strings.SplitSeq(header, ",") {
		tag, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		if text, found := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q="); found {
			var err error
			if weight, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		if tag = strings.TrimSpace(tag); tag != "" && weight > 0 && weight <= 1 {
			list = append(list, weighted{tag, weight})
		}
		if len(list) == maxAccepted {
			break
		}
	}
	slices.SortStableFunc(list, func(a, b weighted) int { return cmp.Compare(b.weight, a.weight) })
	for _, w := range list {
		if w.tag == "*" {
			break
		}
		tags = append(tags, w.tag)
	}
	return tags
}
