package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nawasara/nawasync/examples/internal/sitetest"
)

func TestWrongSettingIsReportedBeforeTheStart(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	noError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for _, c := range []struct {
		want, key string
		args      []string
	}{
		{"-help lists the flags", "", []string{"-colour", "red"}},
		{"all, web or worker", "", []string{"-role", "boss"}},
		{"-role worker needs -powerdns-url", "", []string{"-role", "worker", "-redis", "redis://127.0.0.1:1"}},
		{"needs -powerdns-key-file", "", []string{"-powerdns-url", "https://ns.example"}},
		{"no -powerdns-url", "hunter2", nil},
		{"use one of them", "hunter2", []string{"-powerdns-url", "https://ns.example", "-powerdns-key-file", empty}},
		{"is empty", "", []string{"-powerdns-url", "https://ns.example", "-powerdns-key-file", empty}},
		{"lower-case letters", "", []string{"-server", "Main"}},
		{"from 6 to 100000", "", []string{"-sets", "3"}},
	} {
		args := append([]string{"-dsn", "sqlite:x", "-key", "x"}, c.args...)
		_, err := parse(args, func(name string) string { return map[string]string{"POWERDNS_KEY": c.key}[name] }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: error %v, want %q without the key", c.args, err, c.want)
		}
	}
}

func TestKeyComesFromAFileOrTheEnvironmentAndIsRegistered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	noError(t, os.WriteFile(file, []byte(key+"\n"), 0o600))
	for env, args := range map[string][]string{"": {"-powerdns-key-file", file}, key: nil} {
		s, err := parse(append([]string{"-dsn", "sqlite:x", "-key", "x", "-powerdns-url", "https://ns.example"}, args...), func(name string) string {
			return map[string]string{"POWERDNS_KEY": env}[name]
		}, io.Discard)
		noError(t, err)
		if secrets := s.credentials(); s.key.Reveal() != key || len(secrets) != 1 || secrets[0].Reveal() != key {
			t.Errorf("%v: %d secrets, want the key", args, len(secrets))
		}
	}
	out := &sitetest.Output{}
	if _, err := parse([]string{"-help"}, func(string) string { return "from-the-environment" }, out); !errors.Is(err, flag.ErrHelp) ||
		!strings.Contains(out.String(), "-powerdns-key-file") || strings.Contains(out.String(), "from-the-environment") {
		t.Errorf("-help ended with %v, want the usage without values of the environment:\n%s", err, out)
	}
}
