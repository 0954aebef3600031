package main

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestReplacedWordsAreFoundInTextsAndInPartsOfNames(t *testing.T) {
	t.Parallel()
	check, err := parse("# comment\n!rows_gone\nmend(s|ed)?\tfix\ncall(s|ed)? off\tcancel\nanew\tagain\ngone\tmissing\n")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"// It mends the row.":           `"mends": use "fix"`,
		"func (j *job) calledOff() {":    `"called Off": use "cancel"`,
		"SELECT rows_gone FROM x":        "",
		"the remedy is amended":          "",
		"func TestGetsANewRow() {}":      "",
		"is_gone := true":                `"gone": use "missing"`,
		"- `Store.Mend` → `Store.Fix`":   `"Mend": use "fix"`,
		"a job that was Called off, too": `"Called off": use "cancel"`,
	} {
		if got := strings.Join(check.line("a.go", text), "; "); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if got := check.line("CHANGELOG.md", "- `Store.Mend` → `Store.Fix`"); got != nil {
		t.Errorf("the changelog may name what was renamed: %v", got)
	}
}

func TestWalkReadsSourcesAndCatalogueOnly(t *testing.T) {
	t.Parallel()
	check, err := parse("mend\tfix\n")
	if err != nil {
		t.Fatal(err)
	}
	file := &fstest.MapFile{Data: []byte("fine\nmend\n")}
	found, err := check.walk(fstest.MapFS{
		"a.go": file, "a_templ.go": file, "a.templ": file, "docs/a.md": file, "admin/messages.txt": file, "api/a.txt": file, "node_modules/a.md": file,
	})
	if got := strings.Join(found, "\n"); err != nil || got != `a.go:2: "mend": use "fix"
a.templ:2: "mend": use "fix"
admin/messages.txt:2: "mend": use "fix"
docs/a.md:2: "mend": use "fix"` {
		t.Error(got, err)
	}
}

func TestListOfWordsIsValid(t *testing.T) {
	t.Parallel()
	check, err := parse(list)
	if err != nil || len(check.words) < 20 {
		t.Fatal(len(check.words), err)
	}
	if _, err := parse("mend"); err == nil {
		t.Error("a word without a term was accepted")
	}
}
