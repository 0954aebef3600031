package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// The module is generated into a temporary folder, with this checkout, and must pass its own tests there.
func TestGeneratedModulePassesItsTestsAndServesItsPage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "inventory")
	if code, _, stderr := execute(t, "new", "service", "inventory", "-dir", dir, "-replace", "../.."); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
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
	line := make([]byte, 200)
	n, _ := stdout.Read(line)
	_, address, found := strings.Cut(strings.TrimSpace(string(line[:n])), "the page is ")
	if !found {
		t.Fatalf("the program printed %q, not its address", line[:n])
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
	if err := os.WriteFile(filepath.Join(full, "mine.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"lower-case letters", []string{"new", "service", "My-Service"}},
		{"the first one a letter", []string{"new", "service", "9lives"}},
		{"an argument is missing", []string{"new", "service"}},
		{"use new service NAME", []string{"new", "job", "x"}},
		{"is not empty", []string{"new", "service", "shop", "-dir", full, "-tidy=false"}},
		{"has no go.mod", []string{"new", "service", "shop", "-dir", filepath.Join(full, "x"), "-replace", full}},
	} {
		if code, _, stderr := execute(t, c.args...); code != exitUsage || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, want %d with %q: %s", c.args, code, exitUsage, c.want, stderr)
		}
	}
	if entries, _ := os.ReadDir(full); len(entries) != 1 {
		t.Errorf("%d files are in the folder, want only the one that was there", len(entries))
	}
}
