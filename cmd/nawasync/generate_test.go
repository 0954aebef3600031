package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// execute runs a command line.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = run(t.Context(), args, func(string) string { return "" }, &out, &errOut)
	return code, out.String(), errOut.String()
}

// command runs a program in a folder, and returns what it prints.
func inFolder(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// maxAdapterLines is how long an adapter may be without its client.
const maxAdapterLines = 150

// The module is generated into a temporary folder, with this checkout, and must pass its own tests there.
func TestGeneratedModulePassesItsTestsAndServesItsPage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "inventory")
	if code, _, stderr := execute(t, "new", "service", "inventory", "-dir", dir, "-replace", "../.."); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	adapter, err := os.ReadFile(filepath.Join(dir, "items", "adapter.go"))
	if lines := bytes.Count(adapter, []byte("\n")); err != nil || lines > maxAdapterLines {
		t.Errorf("the adapter has %d lines, want at most %d: %v", lines, maxAdapterLines, err)
	}
	inFolder(t, dir, "go", "vet", "./...")
	if unformatted := inFolder(t, dir, "gofmt", "-l", "."); unformatted != "" {
		t.Errorf("gofmt would change %s", unformatted)
	}
	t.Log(inFolder(t, dir, "go", "test", "./..."))
	inFolder(t, dir, "go", "build", "-o", "inventory.test", ".")
	program := exec.CommandContext(t.Context(), filepath.Join(dir, "inventory.test"), "-addr", "127.0.0.1:0") //nolint:gosec // it was just built
	program.Dir = dir
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = program.Process.Kill()
		_ = program.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, found := strings.CutPrefix(strings.TrimSpace(line), "the page is ")
	if !found {
		t.Fatalf("the program printed %q, not its address: %v", line, err)
	}
	for _, want := range []struct{ path, text string }{{"/", "charlie"}, {"/admin/sync/", "inventory"}} {
		waitFor(t, address+want.path, want.text)
	}
}

func waitFor(t *testing.T, address, want string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var body []byte
		response, err := http.Get(address)
		if err == nil {
			body, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		if err == nil && strings.Contains(string(body), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not show %q within a minute: %v\n%s", address, want, err, body)
		}
	}
}

func TestNamesThatCannotBeAServiceAreRefusedAndNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	file := filepath.Join(full, "mine.txt")
	for path, text := range map[string]string{file: "", filepath.Join(full, "go.mod"): "module example.com/other\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(full, "x")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"lower-case letters", []string{"My-Service"}},
		{"lower-case letters", []string{"../shop"}},
		{"lower-case letters", []string{""}},
		{"the first one a letter", []string{"9lives"}},
		{"1 to 30", []string{strings.Repeat("a", 31)}},
		{"is a keyword of Go", []string{"range"}},
		{"use another one", []string{"nawasync"}},
		{"use another one", []string{"api"}},
		{"-module", []string{"shop", "-module", "example.com/my shop"}},
		{"-module", []string{"shop", "-module", "/shop"}},
		{"-module", []string{"shop", "-module", "example.com/../shop"}},
		{"-module", []string{"shop", "-module", "github.com/nawasara/nawasync/shop"}},
		{"an argument is missing", nil},
		{"too many", []string{"shop", "till"}},
		{"is not empty", []string{"shop", "-dir", full}},
		{"cannot be written", []string{"shop", "-dir", file}},
		{"cannot be written", []string{"shop", "-dir", filepath.Join(file, "shop")}},
		{"has no go.mod of", []string{"shop", "-replace", filepath.Join(full, "none")}},
		{"has no go.mod of", []string{"shop", "-replace", full}},
		{"use one of them", []string{"shop", "-replace", "../..", "-nawasync", "v1.0.0"}},
	} {
		args := append([]string{"new", "service", "-tidy=false"}, c.args...)
		if !slices.Contains(args, "-dir") {
			args = append(args, "-dir", other)
		}
		if code, _, stderr := execute(t, args...); code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, want %d with %q: %s", c.args, code, exitUsage, c.want, stderr)
		}
	}
	if code, _, stderr := execute(t, "new", "job", "x"); code != exitUsage || !strings.Contains(stderr, "use new service NAME") {
		t.Errorf("new job: exit code %d: %s", code, stderr)
	}
	if entries, _ := os.ReadDir(full); len(entries) != 2 {
		t.Errorf("%d files are in the folder, want only the two that were there", len(entries))
	}
	if err := writeNew(file, []byte("theirs")); err == nil {
		t.Error("a file that exists was written")
	}
}
