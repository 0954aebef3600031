package nawasync_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
	"github.com/nawasara/nawasync/migrations"
)

// Operators search docs/operations.md for the text of a message. This test fails when a message of its table, or one
// that a runbook begins with, has changed in the code.
func TestMessagesInOperationsAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	code := librarySource(t)
	text, err := os.ReadFile("docs/operations.md")
	enginetest.NoError(t, err)
	_, table, found := strings.Cut(string(text), "\n## Messages\n")
	table, _, end := strings.Cut(table, "\n## ")
	if !found || !end {
		t.Fatal("docs/operations.md has no table of messages")
	}
	var quoting []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, " | "); len(cells) == 3 {
			quoting = append(quoting, cells[0])
		}
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "*Shown by*") {
			quoting = append(quoting, line)
		}
	}
	quoted, varying := regexp.MustCompile("`([^`]+)`"), regexp.MustCompile(`…|[0-9]+|"`)
	n := 0
	for _, line := range quoting {
		for _, message := range quoted.FindAllStringSubmatch(line, -1) {
			if !strings.Contains(message[1], " ") {
				continue // the name of a metric or a field
			}
			n++
			for _, part := range varying.Split(message[1], -1) {
				if !strings.Contains(code, strings.TrimSpace(part)) {
					t.Errorf("docs/operations.md has the message %q, and no text of the code has %q", message[1], part)
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("found %d messages in docs/operations.md, want at least 50", n)
	}
}

// Who deploys a release must know what its migration costs.
func TestOperationsSaysWhatTheNewestMigrationDoes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/operations.md")
	enginetest.NoError(t, err)
	if !regexp.MustCompile(fmt.Sprintf(`(?m)^\| ([0-9, ]+ )?%d[ ,]`, migrations.Version)).Match(text) {
		t.Errorf("the table of schema versions in docs/operations.md lacks version %d; say what it does on a large database", migrations.Version)
	}
}

// A link to a heading that was renamed leads to the top of its document, and nobody notices.
func TestLinksInDocumentsLeadToHeadingsThatExist(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("docs/*.md")
	enginetest.NoError(t, err)
	link, code := regexp.MustCompile(`\]\(([^)#:]*)#([^)]+)\)`), regexp.MustCompile("(?s)\n```.*?\n```")
	anchors := map[string]map[string]bool{}
	for _, document := range append(documents, "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		text, err := os.ReadFile(document)
		enginetest.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			target := document
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(document), found[1])
			}
			if anchors[target] == nil {
				anchors[target] = anchorsOf(t, target)
			}
			if !anchors[target][found[2]] {
				t.Errorf("%s links to %s#%s, and there is no such heading", document, target, found[2])
			}
		}
	}
}

// anchorsOf returns the anchors that GitHub makes of a document's headings.
func anchorsOf(t *testing.T, document string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(document)
	enginetest.NoError(t, err)
	heading, dropped := regexp.MustCompile(`(?m)^#+ (.+)$`), regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	anchors := map[string]bool{}
	for _, found := range heading.FindAllStringSubmatch(string(text), -1) {
		anchors[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-")] = true
	}
	return anchors
}

// librarySource returns the source of the library, with texts in one piece.
func librarySource(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "examples" || d.Name() == "tools"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		all.Write(source)
		return err
	})
	enginetest.NoError(t, err)
	return regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(all.String(), "")
}
