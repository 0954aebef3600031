package main

import (
	"strings"
	"testing"
)

func TestWrongArgumentsAreNamedWithoutPasswords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown command", []string{"frobnicate"}},
		{"list, show, retry, cancel", []string{"jobs", "frobnicate"}},
		{"up, down, status", []string{"migrate"}},
		{`"exit":2`, []string{"jobs", "-json"}},
		{`"exit":2`, []string{"jobs", "list", "-colour", "-json"}},
		{"write -dsn before", []string{"jobs", "show", "postgres://u:hunter2@h/x"}},
		{"write -dsn before", []string{"pause", "postgres://u:hunter2@h/x"}},
		{"write -dsn before", []string{"postgres://u:hunter2@h/x", "jobs", "list"}},
		{"before the command", []string{"-dsn=postgres://u:hunter2@h/x", "jobs", "list"}},
		{"up, down, status", []string{"migrate", "-dsn", "postgres://u:hunter2@h/x"}},
		{"before the command", []string{"-json", "jobs", "list"}},
		{"-help lists the flags", []string{"jobs", "list", "-colour"}},
		{"-dsn is missing", []string{"jobs", "list"}},
		{"use sqlite:FILE", []string{"jobs", "list", "-dsn", "oracle://u:hunter2@h/x"}},
		{"use sqlite:FILE", []string{"jobs", "list", "-dsn", "postgres://u:hunter2@h:port/x"}},
		{"use sqlite:FILE", []string{"jobs", "list", "-dsn", "root:hunter2@tcp(127.0.0.1:3306)/x"}},
		{"a parameter of the address is wrong", []string{"jobs", "list", "-dsn", "mysql://root:hunter2@127.0.0.1:1/x?tls=frobnicate"}},
		{"the file is missing", []string{"jobs", "list", "-dsn", "sqlite:"}},
		{"not negative", []string{"jobs", "list", "-since", "-1h"}},
		{"not negative", []string{"pause", "dns", "-for", "-1h"}},
		{"use one of", []string{"jobs", "list", "-status", "broken"}},
		{"from 1 to 500", []string{"jobs", "list", "-limit", "501"}},
		{"is not the id of a job", []string{"jobs", "show", "x"}},
		{"too many", []string{"jobs", "show", "1", "2"}},
		{"use SERVICE/TYPE", []string{"sync", "now", "dns", "-dsn", "sqlite:x"}},
		{"use bash, zsh or fish", []string{"completion", "csh"}},
	} {
		if code, _, stderr := execute(t, c.args...); code != exitUsage || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%v: exit code %d, want %d with %q: %s", c.args, code, exitUsage, c.want, stderr)
		}
	}
	for _, dsn := range []string{
		"mysql://root:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable",
		"postgres://u@127.0.0.1:1/x?password=hunter2&sslmode=frobnicate",
	} {
		code, _, stderr := execute(t, "jobs", "list", "-dsn", dsn)
		if code != exitFailed || !strings.Contains(stderr, "cannot be opened") || strings.Contains(stderr, "hunter2") {
			t.Errorf("a database that is away: exit code %d, want %d: %s", code, exitFailed, stderr)
		}
	}
}

func TestHelpDescribesCommandsAndTheirGroups(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"migrate up": nil, "Exit codes": {"-h"}, "jobs retry": {"jobs", "-h"}, "-status": {"help", "jobs", "list"}, "jobs show": {"help", "jobs"},
		"usage: nawasync COMMAND": {"help", "help"},
	} {
		if code, out, _ := execute(t, args...); code != 0 || !strings.Contains(out, want) || strings.Contains(want, "jobs") && strings.Contains(out, "migrate up") {
			t.Errorf("%v: exit code %d, want %q:\n%s", args, code, want, out)
		}
	}
	for _, known := range commands() {
		if code, out, _ := execute(t, append(strings.Fields(known.name), "-h")...); code != 0 || !strings.Contains(out, known.help) || !strings.Contains(out, "-json") {
			t.Errorf("%s -h: exit code %d: %s", known.name, code, out)
		}
	}
}

func TestCompletionKnowsCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for words, want := range map[string][]string{
		"": {"new", "migrate", "jobs", "pause"}, "jobs": {"list", "show", "retry", "cancel"}, "jobs list": {"-status", "-json", "-dsn"},
		"new": {"service", "-replace"}, "completion": {"bash", "zsh", "fish"}, "jobs retry": {"-force", "-by"}, "jobs list -status": {"failed", "conflict"},
		"pause": {"-for", "-reason"}, "sync now": {"-instance"}, "migrate down": {"-yes"},
	} {
		_, out, _ := execute(t, append([]string{"__complete"}, strings.Fields(words)...)...)
		for _, word := range want {
			if !strings.Contains("\n"+out, "\n"+word+"\n") {
				t.Errorf("after %q, %q is missing in %q", words, word, out)
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := execute(t, "completion", shell); code != 0 || !strings.Contains(out, "nawasync __complete") {
			t.Errorf("%s: exit code %d: %s", shell, code, out)
		}
	}
}
