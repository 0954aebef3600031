package admin_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/internal/testdb"
)

// Config.Messages can replace the texts in messages.txt, so the file must list all texts of the pages.
func TestMessagesFileListsExactlyTheTextsOfThePages(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, pattern := range []string{"*.go", "*.templ", "internal/query/*.go", "internal/alert/*.go"} {
		files, err := filepath.Glob(pattern)
		noError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_templ.go") {
				continue
			}
			data, err := os.ReadFile(name)
			noError(t, err)
			for _, m := range regexp.MustCompile(`\b(?:[pv]\.Tf?|newMessage)\("((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(string(data), -1) {
				found[strings.ReplaceAll(m[1], `\"`, `"`)] = true
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

func TestConfigMessagesReplaceTextsOfThePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, testdb.SQLite(t), "", func(c *admin.Config) {
		c.Messages = map[string]string{
			"Jobs": "Pekerjaan", "Job %d": "Pekerjaan %d", "%s: cannot be %q": "%s: tidak bisa %q", "a number": "angka",
			"it is %s": "itu %s",
		}
	})
	if page := s.get("viewer", "/jobs").body; !strings.Contains(page, "<h1>Pekerjaan</h1>") {
		t.Error(page)
	}
	if page := s.get("viewer", "/jobs?q=id:x").body; !strings.Contains(page, "id: tidak bisa &#34;x&#34;: itu angka.") {
		t.Error(page)
	}
}
