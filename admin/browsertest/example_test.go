package browsertest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// startWHMExample runs the WHM example until the test ends, and returns the address of its pages.
func startWHMExample(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "whm")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/whm")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s", err, out)
	}
	command := exec.Command(program, "-addr", "127.0.0.1:0") //nolint:gosec // the program that was built above
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir())
	output, err := command.StdoutPipe()
	noError(t, err)
	noError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	})
	page := regexp.MustCompile(`the page is (http://\S+)`)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if found := page.FindStringSubmatch(lines.Text()); found != nil {
			go func() { // the program must not wait for a reader
				for lines.Scan() {
				}
			}()
			return found[1]
		}
	}
	t.Fatal("the example did not start")
	return ""
}

func TestExamplesPagesAreAccessibleAndFit(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	noError(t, err)
	address, b := startWHMExample(t), newTab(t)
	b.do(t, chromedp.Navigate(address), waitVisible("td[data-label=Quota]"))
	for _, path := range []string{"/", "/accounts", "/held", "/elsewhere", "/jobs/1"} {
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int64{1440, 1024, 720, 360} {
				where := fmt.Sprintf("%s %s %d", path, theme, width)
				call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
				b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(address+path), waitVisible("main"))
				if overflow := evaluate[int64](t, b, "document.documentElement.scrollWidth - innerWidth"); overflow > 0 {
					t.Errorf("%s: the page is %d px wider than the window", where, overflow)
				}
				b.noProblems(t, where)
				if height := evaluate[int64](t, b, "document.documentElement.scrollHeight"); path == "/" && height > 5400 {
					t.Errorf("%s: the page is %d px high", where, height)
				}
				takeScreenshot(t, b, true, "example"+strings.ReplaceAll(path, "/", "-"), theme, width)
				var found []finding
				evaluate[int](t, b, string(axe)+";0")
				text := evaluate[string](t, b, `axe.run().then((r) => JSON.stringify(r.violations.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => ({html: n.html}))}))))`)
				noError(t, json.Unmarshal([]byte(text), &found))
				for _, f := range found {
					t.Errorf("%s: axe: %s: %s: %+v", where, f.ID, f.Help, f.Nodes)
				}
			}
		}
	}
}
