package admin

import (
	"bytes"
	"testing"
)

// A rule without its closing brace would put all that follows it into a media query, without an error anywhere.
func TestRulesOfTheStyleSheetAreClosedBeforeTheNextBlock(t *testing.T) {
	t.Parallel()
	depth := 0
	for i, line := range bytes.Split(styleSheet, []byte("\n")) {
		if depth > 0 && (bytes.HasPrefix(line, []byte("@media")) || bytes.HasPrefix(line, []byte("/*"))) {
			t.Errorf("line %d is inside an open rule: %s", i+1, line)
		}
		depth += bytes.Count(line, []byte("{")) - bytes.Count(line, []byte("}"))
	}
	if depth != 0 {
		t.Errorf("%d rules are not closed", depth)
	}
}

// Operators open the pages over slow connections, on the day when much is slow.
func TestStyleSheetAndScriptsAreSmallTogether(t *testing.T) {
	t.Parallel()
	if size := len(styleSheet) + len(script) + len(suggestScript); size >= 45_000 {
		t.Errorf("the style sheet and the scripts have %d bytes, want fewer than 45,000", size)
	}
}
