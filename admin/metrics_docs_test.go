package admin_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nawasara/nawasync/admin"
	"github.com/nawasara/nawasync/migrations"
)

// Alerts and dashboards are copied from the documents, and a rule with a metric that does not exist never fires.
func TestDocumentsNameMetricsAndTablesThatExist(t *testing.T) {
	t.Parallel()
	metrics, name := collectorMetrics(), regexp.MustCompile(`\bnawasync_[a-z_]+\b`)
	stored := map[string]bool{migrations.Table: true}
	for _, found := range name.FindAllString(migrationText(t), -1) {
		stored[found] = true
	}
	documents, err := filepath.Glob("../docs/*.md")
	noError(t, err)
	rules := regexp.MustCompile("(?s)\n```yaml\n.*?\n```")
	inRules := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		noError(t, err)
		for _, found := range name.FindAllString(string(text), -1) {
			if !metrics[found] && !stored[found] {
				t.Errorf("%s names %s, which is neither a metric nor a table", document, found)
			}
		}
		for _, found := range name.FindAllString(strings.Join(rules.FindAllString(string(text), -1), ""), -1) {
			if inRules++; !metrics[found] {
				t.Errorf("a rule in %s uses %s, which is no metric", document, found)
			}
		}
	}
	if inRules < 10 {
		t.Errorf("the rules in the documents use %d metrics, want at least 10", inRules)
	}
}

// collectorMetrics returns the names of the samples that the collector can report.
func collectorMetrics() map[string]bool {
	descriptions := make(chan *prometheus.Desc)
	go func() {
		admin.Collector(nil).Describe(descriptions)
		close(descriptions)
	}()
	names := map[string]bool{}
	for description := range descriptions {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(description.String())[1]
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			if suffix == "" || strings.HasSuffix(name, "_seconds") && !strings.Contains(name, "oldest") {
				names[name+suffix] = true
			}
		}
	}
	return names
}

func migrationText(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	noError(t, fs.WalkDir(migrations.FS, "postgres", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.FS, path)
		all.Write(text)
		return err
	}))
	return all.String()
}
