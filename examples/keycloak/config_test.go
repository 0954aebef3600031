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
		want, secret string
		args         []string
	}{
		{"-help lists the flags", "", []string{"-colour", "red"}},
		{"-role worker needs -keycloak-secret-file", "", []string{"-role", "worker", "-redis", "redis://127.0.0.1:1"}},
		{"-keycloak-url needs -keycloak-secret-file", "", []string{"-keycloak-url", "https://id.example"}},
		{"need -keycloak-url", "main=hunter2", nil},
		{"use one of them", "main=hunter2", []string{"-keycloak-url", "https://id.example", "-keycloak-secret-file", "main=" + empty}},
		{"is empty", "", []string{"-keycloak-url", "https://id.example", "-keycloak-secret-file", "main=" + empty}},
		{"name the realm", "hunter2", []string{"-keycloak-url", "https://id.example"}},
		{"a realm's name is not valid", "a/b=hunter2", []string{"-keycloak-url", "https://id.example"}},
		{"is named twice", "a=hunter2,a=y", []string{"-keycloak-url", "https://id.example"}},
		{"from 4 to 100000", "", []string{"-users", "3"}},
	} {
		args := append([]string{"-dsn", "sqlite:x", "-key", "x"}, c.args...)
		_, err := parse(args, func(name string) string { return map[string]string{"KEYCLOAK_SECRET": c.secret}[name] }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: error %v, want %q without the secret", c.args, err, c.want)
		}
	}
}

func TestSecretsComeFromFilesOrTheEnvironmentAndAreRegistered(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	noError(t, os.WriteFile(file, []byte(clientSecret+"\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		env  string
	}{
		"a file": {[]string{"-keycloak-secret-file", "main=" + file}, ""}, "the environment": {nil, "main=" + clientSecret},
	} {
		s, err := parse(append([]string{"-dsn", "sqlite:x", "-key", "x", "-keycloak-url", "https://id.example"}, c.args...), func(name string) string {
			return map[string]string{"KEYCLOAK_SECRET": c.env}[name]
		}, io.Discard)
		noError(t, err)
		realms, err := s.realms()
		noError(t, err)
		secrets := s.credentials()
		if len(realms) != 1 || realms[0].Name != "main" || realms[0].Secret.Reveal() != clientSecret || len(secrets) != 1 || secrets[0].Reveal() != clientSecret {
			t.Errorf("%s: %d realms, %d secrets", name, len(realms), len(secrets))
		}
	}
	out := &sitetest.Output{}
	if _, err := parse([]string{"-help"}, func(string) string { return "from-the-environment" }, out); !errors.Is(err, flag.ErrHelp) ||
		!strings.Contains(out.String(), "-keycloak-secret-file") || strings.Contains(out.String(), "from-the-environment") {
		t.Errorf("-help ended with %v, want the usage without values of the environment:\n%s", err, out)
	}
}
