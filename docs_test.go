package nawasync_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
)

// The documents name tests, examples and source files. This test fails when one of these was renamed and
// the document was not updated.
func TestDocumentsNameTestsAndFilesThatExist(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	var files []string
	names := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files = append(files, "/"+filepath.ToSlash(path))
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, found := range names.FindAllStringSubmatch(string(source), -1) {
			declared[found[1]] = true
		}
		return err
	})
	enginetest.NoError(t, err)
	documents, err := filepath.Glob("docs/*.md")
	enginetest.NoError(t, err)
	decisions, err := filepath.Glob("docs/decisions/*.md")
	enginetest.NoError(t, err)
	documents = append(documents, decisions...)
	mentioned := regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+|Example(?:[A-Z_]\\w+)?)`")
	sources := regexp.MustCompile("`([\\w./]+\\.(?:go|templ|txt))`")
	links := regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)
	code := regexp.MustCompile("(?s)\n```.*?\n```") // has calls such as f[T](x), which look like links
	for _, document := range append(documents, "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		text, err := os.ReadFile(document)
		enginetest.NoError(t, err)
		for _, found := range mentioned.FindAllStringSubmatch(string(text), -1) {
			if !declared[found[1]] {
				t.Errorf("%s names the test %s, which does not exist", document, found[1])
			}
		}
		for _, found := range sources.FindAllStringSubmatch(string(text), -1) {
			if !slices.ContainsFunc(files, func(file string) bool { return strings.HasSuffix(file, "/"+found[1]) }) {
				t.Errorf("%s names the file %s, which does not exist", document, found[1])
			}
		}
		for _, found := range links.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(found[1], "//") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), found[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", document, found[1])
			}
		}
	}
}

// A function that has a type of package internal/host in its signature needs no example: code
// outside this module cannot call it.
func TestEveryFunctionAndMethodOfTheEngineIsInAnExample(t *testing.T) {
	t.Parallel()
	for surface, examples := range map[string]string{"api/nawasync.txt": "example*_test.go", "api/mirror.txt": "mirror/example*_test.go"} {
		files, err := filepath.Glob(examples)
		enginetest.NoError(t, err)
		var shown strings.Builder
		for _, name := range files {
			source, err := os.ReadFile(name)
			enginetest.NoError(t, err)
			shown.Write(source)
		}
		names, err := os.ReadFile(surface)
		enginetest.NoError(t, err)
		found := regexp.MustCompile(`(?m)^(?:func|method \((?:\*Engine|\*SyncStatus|Run)\)) (\w+)(.*)$`).FindAllStringSubmatch(string(names), -1)
		if len(found) < 7 {
			t.Fatalf("%s lists %d functions, want at least 7", surface, len(found))
		}
		for _, name := range found {
			if !strings.Contains(name[2], "host.") && name[1] != "SnapshotStatus" && !regexp.MustCompile(`\b(Example)?`+name[1]+`\b`).MatchString(shown.String()) {
				t.Errorf("no example uses %s, which %s lists", name[1], surface)
			}
		}
	}
}
