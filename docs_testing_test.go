package nawasync_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
)

// Code that is only in a document is wrong sooner or later. That of docs/testing.md is copied from tests.
func TestCodeInTheTestingGuideIsThatOfTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/testing.md")
	enginetest.NoError(t, err)
	var sources strings.Builder
	for _, pattern := range []string{"nawasynctest/guide_*_test.go", "examples/powerdns/dns/*_test.go"} {
		files, err := filepath.Glob(pattern)
		enginetest.NoError(t, err)
		for _, file := range files {
			source, err := os.ReadFile(file)
			enginetest.NoError(t, err)
			sources.WriteString(unindented(string(source)))
		}
	}
	blocks := regexp.MustCompile("(?s)\n```go\n(.*?\n)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 10 {
		t.Fatalf("docs/testing.md has %d blocks of Go, want at least 10", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(sources.String(), unindented(block[1])) {
			t.Errorf("docs/testing.md has code that is in no test; copy that of nawasynctest/guide_*_test.go:\n%s", block[1])
		}
	}
}

// unindented returns a text whose lines have lost the spaces around them.
func unindented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimSpace(line) + "\n")
	}
	return out.String()
}

func TestTestingGuideNamesAllOfNawasynctest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/testing.md")
	enginetest.NoError(t, err)
	names, err := os.ReadFile("api/nawasynctest.txt")
	enginetest.NoError(t, err)
	found := regexp.MustCompile(`(?m)^(?:func|type|const|var|field \w+\.|method \([^)]*\)) ?(\w+)`).FindAllStringSubmatch(string(names), -1)
	if len(found) < 50 {
		t.Fatalf("api/nawasynctest.txt lists %d names, want at least 50", len(found))
	}
	for _, name := range found {
		if !regexp.MustCompile("`[^`\n]*\\b" + name[1] + "\\b[^`\n]*`").Match(text) {
			t.Errorf("docs/testing.md does not say when to use %s of nawasynctest", name[1])
		}
	}
}
