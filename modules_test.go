package nawasync_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/internal/enginetest"
)

// The checks of .ci/run that concern all modules find them by their go.mod files, so that a new one is not left out.
func TestChecksCoverEveryModule(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("this test needs " + program)
		}
	}
	if _, err := os.Stat(".git"); err != nil {
		t.Skip("this test needs the repository")
	}
	var want []string
	enginetest.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules"):
			return fs.SkipDir
		case entry.Name() == "go.mod":
			want = append(want, filepath.ToSlash(filepath.Dir(path)))
		}
		return nil
	}))
	out, err := exec.CommandContext(t.Context(), "bash", ".ci/run", "modules").Output()
	enginetest.NoError(t, err)
	got := strings.Fields(string(out))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf(".ci/run covers the modules %v, want %v", got, want)
	}
	script, err := os.ReadFile(".ci/run")
	enginetest.NoError(t, err)
	loops := regexp.MustCompile(`for module in (.*?); do`).FindAllStringSubmatch(string(script), -1)
	if len(loops) < 3 {
		t.Fatalf("the script has %d loops over the modules", len(loops))
	}
	for _, loop := range loops {
		if loop[1] != "$(modules)" {
			t.Errorf(".ci/run has a list of modules of its own: %s", loop[1])
		}
	}
}
