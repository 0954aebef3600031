package secret

import (
	"slices"
	"strings"
)

// edit replaces the part of a text that it spans.
type edit struct {
	span
	text string
}

// merged sorts edits and joins those that overlap or touch. A joined edit has the text of its widest part.
func merged(edits []edit) []edit {
	slices.SortFunc(edits, func(a, b edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.to - a.to
	})
	out := edits[:0]
	for _, e := range edits {
		n := len(out)
		if n == 0 || e.from > out[n-1].to {
			out = append(out, e)
			continue
		}
		last := &out[n-1]
		if e.to-e.from > last.to-last.from {
			last.text = e.text
		}
		last.to = max(last.to, e.to)
	}
	return out
}

// apply returns s with the edits that begin before limit made, and without what follows limit.
func apply(s string, edits []edit, limit int) string {
	limit = min(limit, len(s))
	if len(edits) == 0 {
		return s[:limit]
	}
	var out strings.Builder
	out.Grow(limit)
	at := 0
	for _, e := range merged(edits) {
		if e.from >= limit {
			break
		}
		out.WriteString(s[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	if at < limit {
		out.WriteString(s[at:limit])
	}
	return out.String()
}
