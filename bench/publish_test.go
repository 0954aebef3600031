package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const documentBefore = `# Benchmarks

Prose before.

<!-- bench:jobs -->
old
<!-- /bench -->

Prose between.

<!-- bench:ratios -->
<!-- /bench -->

Prose after.
`

func newReport(tables ...string) *report {
	var m measurements
	m.add("nawasync", "drain_jobs_per_s", 100)
	m.add("nawasync", "drain_jobs_per_s", 300.12345)
	r := &report{
		section: "jobs", Figures: m.figures, Parameters: map[string]any{"rounds": 2},
		Environment: environment{Date: "2026-01-31", Cores: 2, Platform: "linux/amd64", Versions: map[string]string{"Go": "1.26"}},
	}
	for _, name := range tables {
		r.tables = append(r.tables, table{name: name, header: []string{"new " + name}})
	}
	return r
}

// documents writes the two files into a new folder.
func documents(t *testing.T, document, figures string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{"benchmarks.md": document, "benchmarks.json": figures} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func readFile(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPublishReplacesTheBlocksAndKeepsTheProse(t *testing.T) {
	t.Parallel()
	folder := documents(t, documentBefore, "")
	for range 2 { // writing again changes nothing
		if err := newReport("jobs", "ratios").publish(folder); err != nil {
			t.Fatal(err)
		}
		want := `# Benchmarks

Prose before.

<!-- bench:jobs -->

Measured on 2026-01-31, 2 cores, linux/amd64, Go 1.26. Rounds: 2.

| new jobs |
|---|

<!-- /bench -->

Prose between.

<!-- bench:ratios -->

| new ratios |
|---|

<!-- /bench -->

Prose after.
`
		if got := readFile(t, folder, "benchmarks.md"); got != want {
			t.Fatalf("got\n%swant\n%s", got, want)
		}
	}
}

func TestPublishReplacesItsSectionOfTheFiguresOnly(t *testing.T) {
	t.Parallel()
	folder := documents(t, documentBefore, `{"reconcile": {"z": 1, "a": [2,3]}, "jobs": {"old": true}}`)
	if err := newReport("jobs").publish(folder); err != nil {
		t.Fatal(err)
	}
	text := readFile(t, folder, "benchmarks.json")
	for _, want := range []string{`"median": 200.062`, `"rounds": [100, 300.123]`, "\"z\": 1,\n    \"a\": [2, 3]"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figures do not contain %s:\n%s", want, text)
		}
	}
	if strings.Contains(text, "old") || !json.Valid([]byte(text)) {
		t.Errorf("the old section is still there, or this is not JSON:\n%s", text)
	}
}

func TestPublishWritesNothingIfABlockIsMissing(t *testing.T) {
	t.Parallel()
	unclosed := strings.Replace(documentBefore, "old\n<!-- /bench -->\n", "", 1)
	for missing, document := range map[string]string{"latency": documentBefore, "jobs": unclosed} {
		folder := documents(t, document, "{}")
		err := newReport("ratios", missing).publish(folder)
		if err == nil || !strings.Contains(err.Error(), "<!-- bench:"+missing+" -->") {
			t.Errorf("got %v, want an error that names the block %s", err, missing)
		}
		if readFile(t, folder, "benchmarks.md") != document || readFile(t, folder, "benchmarks.json") != "{}" {
			t.Errorf("a file was changed although the block %s is missing", missing)
		}
	}
}

func TestTheDocumentHasABlockForEachTable(t *testing.T) {
	t.Parallel()
	run := &jobsRun{options: options{latency: 1, idle: time.Second}}
	names := []string{"ratios", "million", "admin", "admin-sqlite"}
	for _, end := range []string{"", "-sqlite", "-mysql"} {
		names = append(names, "reconcile"+end, "reconcile-cpu"+end, "reconcile-ratios"+end)
	}
	for _, table := range run.tables() {
		names = append(names, table.name)
	}
	if _, err := newReport(names...).replaceBlocks(readFile(t, "../docs", "benchmarks.md")); err != nil {
		t.Error(err)
	}
}
