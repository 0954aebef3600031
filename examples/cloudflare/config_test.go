package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/sitetest"
)

func TestWrongSettingIsReportedBeforeTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, open := filepath.Join(dir, "empty"), filepath.Join(dir, "open")
	noError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	noError(t, os.WriteFile(open, []byte(token), 0o644)) //nolint:gosec // that is what the test is about
	noError(t, os.Chmod(open, 0o644))
	for _, c := range []struct {
		want, token string
		args        []string
	}{
		{"-help lists the flags", "", []string{"-colour", "red"}},
		{"is not a flag", "", []string{"hunter2"}},
		{"all, web or worker", "", []string{"-role", "boss"}},
		{"needs -redis", "", []string{"-role", "web"}},
		{"-role worker needs -cloudflare-token-file", "", []string{"-role", "worker", "-redis", "redis://127.0.0.1:1"}},
		{"-cloudflare-url needs -cloudflare-token-file", "", []string{"-cloudflare-url", "https://api.example"}},
		{"use one of them", "hunter2", []string{"-cloudflare-token-file", empty}},
		{"is empty", "", []string{"-cloudflare-token-file", empty}},
		{"chmod 600", "", []string{"-cloudflare-token-file", open}},
		{"no such file", "", []string{"-cloudflare-token-file", filepath.Join(dir, "nothing")}},
		{"a token's name is not valid", "Main=hunter2", nil},
		{"use a different name for each token", "a=x,a=y", nil},
		{"from 9 to 100000", "", []string{"-records", "3"}},
	} {
		if c.want == "chmod 600" && runtime.GOOS == "windows" {
			continue
		}
		args := append([]string{"-dsn", "sqlite:x", "-key", "x"}, c.args...)
		_, err := parse(args, func(name string) string { return map[string]string{"CLOUDFLARE_TOKEN": c.token}[name] }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: error %v, want %q without the token", c.args, err, c.want)
		}
	}
}

func TestTokensComeFromFilesOrTheEnvironmentAndAreRegistered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	noError(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		env  string
	}{
		"a file": {[]string{"-cloudflare-token-file", file}, ""}, "a named file": {[]string{"-cloudflare-token-file", "main=" + file}, ""},
		"the environment": {nil, token}, "a named token": {nil, "main=" + token},
	} {
		s, err := parse(append([]string{"-dsn", "sqlite:x", "-key", "x"}, c.args...), func(name string) string {
			return map[string]string{"CLOUDFLARE_TOKEN": c.env}[name]
		}, io.Discard)
		noError(t, err)
		tokens, err := s.tokens()
		noError(t, err)
		secrets := s.credentials()
		if len(tokens) != 1 || tokens[0].name != "main" || tokens[0].token.Reveal() != token || len(secrets) != 1 || secrets[0].Reveal() != token {
			t.Errorf("%s: %d tokens, %d secrets", name, len(tokens), len(secrets))
		}
	}
	out := &sitetest.Output{}
	if _, err := parse([]string{"-help"}, func(string) string { return "from-the-environment" }, out); !errors.Is(err, flag.ErrHelp) ||
		!strings.Contains(out.String(), "-cloudflare-token-file") || strings.Contains(out.String(), "from-the-environment") {
		t.Errorf("-help ended with %v, want the usage without values of the environment:\n%s", err, out)
	}
}
