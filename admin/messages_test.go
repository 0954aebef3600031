package admin_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

// Config.Messages can replace the texts in messages.txt, so the file must list all texts of the pages.
func TestMessagesFileListsExactlyTheTextsOfThePages(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	literal := `"((?:[^"\\]|\\.)*)"`
	calls := regexp.MustCompile(`\b(?:\w+\.Tf?|languageOf\(ctx\)\.Tf?|newMessage)\(` + literal + `|\b[pv]\.plural\(.*?, ` + literal + `, ` + literal + `\)`)
	for _, pattern := range []string{"*.go", "*.templ", "internal/*/*.go", "component/*.go", "component/*.templ"} {
		files, err := filepath.Glob(pattern)
		noError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_templ.go") {
				continue
			}
			data, err := os.ReadFile(name)
			noError(t, err)
			for _, call := range calls.FindAllStringSubmatch(string(data), -1) {
				for _, text := range call[1:] {
					if text != "" {
						found[strings.ReplaceAll(text, `\"`, `"`)] = true
					}
				}
			}
		}
	}
	data, err := os.ReadFile("messages.txt")
	noError(t, err)
	listed := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		listed[strings.TrimSuffix(line, "\n")] = true
	}
	for text := range found {
		if !listed[text] {
			t.Errorf("messages.txt lacks %q", text)
		}
	}
	for text := range listed {
		if !found[text] {
			t.Errorf("messages.txt has %q, which no page shows", text)
		}
	}
}

// Text in a template that is not passed to T cannot be replaced.
func TestTemplatesHaveNoTextOutsideTheCatalogue(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*_templ.go")
	noError(t, err)
	if len(files) < 8 {
		t.Fatalf("only %d generated files", len(files))
	}
	written := regexp.MustCompile(`templruntime\.WriteString\(templ_\w+, \d+, ("(?:[^"\\]|\\.)*")\)`)
	tags := regexp.MustCompile(`<(?:[^>"]|"[^"]*")*>`)
	spoken := regexp.MustCompile(`\b(?:aria-label|placeholder|title|alt)="([^"]*\pL{2}[^"]*)"`)
	words := regexp.MustCompile(`\pL{2,}`)
	for _, name := range files {
		source, err := os.ReadFile(name)
		noError(t, err)
		var page strings.Builder
		for _, literal := range written.FindAllStringSubmatch(string(source), -1) {
			html, err := strconv.Unquote(literal[1])
			noError(t, err)
			page.WriteString(html)
		}
		for _, attribute := range spoken.FindAllStringSubmatch(page.String(), -1) {
			t.Errorf("%s has the text %q in an attribute", name, attribute[1])
		}
		for _, word := range words.FindAllString(tags.ReplaceAllString(page.String(), " "), -1) {
			if word != "CSV" && word != "JSON" { // names of formats
				t.Errorf("%s has the text %q outside the catalogue", name, word)
			}
		}
	}
}

func TestConfigMessagesReplaceTextsOfThePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) {
		c.Messages = map[string]string{
			"Jobs": "Pekerjaan", "Job %d": "Pekerjaan %d", "%s: %q is not a valid value": "%s: %q tidak valid", "a number": "angka",
			"use %s": "harus %s",
		}
		c.Language = "id"
	})
	if page := s.get("viewer", "/jobs").body; !strings.Contains(page, `<html lang="id"`) {
		t.Error("the page does not name its language")
	}
	if _, err := admin.New(s.engine, admin.Config{Language: "in donesian"}); err == nil || !strings.Contains(err.Error(), "write a language tag") {
		t.Errorf("New with a wrong language: %v", err)
	}
	if page := s.get("viewer", "/jobs").body; !strings.Contains(page, "<h1>Pekerjaan</h1>") {
		t.Error(page)
	}
	if page := s.get("viewer", "/jobs?q=id:x").body; !strings.Contains(page, "id: &#34;x&#34; tidak valid: harus angka.") {
		t.Error(page)
	}
}
