package jobstore_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A reader must find every statement that changes a job in one file.
func TestEveryUpdateOfAJobIsInTransitionsFile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	written := regexp.MustCompile(`UPDATE nawasync_jobs( AS j| j)? SET [a-z]`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			if !strings.HasSuffix(file, "_test.go") && file != "transitions.go" && written.MatchString(line) {
				t.Errorf("%s:%d: move this UPDATE to transitions.go: %s", file, n+1, strings.TrimSpace(line))
			}
		}
	}
}
