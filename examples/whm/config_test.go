package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nawasara/nawasync/examples/internal/setup"
	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

// startChild runs the command in a process of its own.
func startChild(t *testing.T, args ...string) (cmd *exec.Cmd, out, errs *output) {
	t.Helper()
	dir := t.TempDir()
	cmd = exec.Command(os.Args[0], append([]string{
		"-addr", "127.0.0.1:0", "-dsn", "sqlite:" + filepath.Join(dir, "whm.db"), "-key",
		filepath.Join(dir, "key"),
	}, args...)...)
	cmd.Env = append(os.Environ(), "WHM_TEST_CHILD=1")
	out, errs = &output{}, &output{}
	cmd.Stdout, cmd.Stderr = out, errs
	noError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out, errs
}

func TestCtrlCStopsTheProcessWithinTheDrainTimeout(t *testing.T) {
	t.Parallel()
	cmd, out, errs := startChild(t)
	deadline := time.Now().Add(3 * time.Minute)
	for !strings.Contains(out.String(), "the page is") {
		if time.Now().After(deadline) {
			t.Fatalf("the process did not start: %s %s", out, errs)
		}
		time.Sleep(10 * time.Millisecond)
	}
	interrupted := time.Now()
	noError(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil || time.Since(interrupted) > setup.DrainTimeout || !strings.HasSuffix(out.String(), "stopping\n") {
		t.Errorf("the process ended after %s with %v, want success within the drain timeout\n%s\n%s", time.Since(interrupted), err, out, errs)
	}
}

func TestWrongFlagPrintsOneLineAndExitsWithStatus1(t *testing.T) {
	t.Parallel()
	cmd, out, errs := startChild(t, "-role", "boss")
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || out.String() != "" || strings.Count(errs.String(), "\n") != 1 ||
		!strings.HasPrefix(errs.String(), "whm: -role") {
		t.Errorf("the process ended with %v, want status 1 and one line that names the flag\n%s\n%s", err, out, errs)
	}
}

func TestWrongSettingIsReportedInOneLineBeforeTheStart(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	t.Cleanup(func() { _ = busy.Close() })
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	noError(t, os.WriteFile(short, []byte("too short"), 0o600))
	secure := httptest.NewTLSServer(sim.New(sim.Options{}))
	t.Cleanup(secure.Close)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"-help lists the flags", []string{"-colour", "red"}},
		{"is not a flag", []string{"hunter2"}},
		{"all, web or worker", []string{"-role", "boss"}},
		{"needs -redis", []string{"-role", "web"}},
		{"needs -whm-url", []string{"-role", "worker", "-redis", "redis://127.0.0.1:1"}},
		{"needs -whm-token", []string{"-whm-url", "https://127.0.0.1:2087"}},
		{"choose another with -addr", []string{"-addr", busy.Addr().String()}},
		{"not 32", []string{"-key", short}},
		{"is a directory", []string{"-key", dir}},
		{"unknown scheme", []string{"-dsn", "oracle://root:hunter2@localhost/x"}},
		{"the file name is missing", []string{"-dsn", "sqlite:"}},
		{"use mysql://", []string{"-dsn", "mysql://nothing"}},
		{"-dsn: ", []string{"-dsn", "postgres://root:hunter2@127.0.0.1:1/x?connect_timeout=2"}},
		{"use redis://", []string{"-redis", "localhost"}},
		{"-redis: the server does not answer", []string{"-redis", "redis://127.0.0.1:1/0"}},
		{"escaped as in a URL", []string{"-dsn", "postgres://root:hunter2%zz@127.0.0.1/x"}},
		{"-dsn: the database does not answer", []string{"-dsn", "postgres://127.0.0.1:1/x?user=root&password=hunter2&sslmode=none"}},
		{"with special characters of the password escaped", []string{"-redis", "redis://:hunter2/x@127.0.0.1:1"}},
		{"is not the URL of a WHM server", []string{"-whm-url", "https//root:hunter2@whm.example:2087", "-whm-token", "x"}},
		{"a server's name is not valid", []string{"-whm-url", "https://root:hunter2=@whm.example:2087", "-whm-token", "x"}},
		{"contains a user", []string{"-whm-url", "https://root:hunter2@whm.example:2087", "-whm-token", "x"}},
		{"whm.example:2086 would send", []string{"-whm-url", "http://root:hunter2@whm.example:2086", "-whm-token", "x"}},
		{"has no token for the server", []string{"-whm-url", "one=https://whm.example:2087", "-whm-token", "two=hunter2"}},
		{"in the clear", []string{"-whm-url", "http://whm.example:2086", "-whm-token", "x"}},
		{"certificate is not trusted", []string{"-whm-url", secure.URL, "-whm-token", "x"}},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := append([]string{"-addr", "127.0.0.1:0", "-dsn", "sqlite:" + filepath.Join(dir, "whm.db"), "-key", filepath.Join(dir, "key")}, c.args...)
			out := &output{}
			s, err := parse(args, func(string) string { return "" }, out)
			if err == nil {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				err = run(ctx, s, out, slog.New(slog.NewTextHandler(out, nil)))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the start ended with %v, want one line with %q and without the password", err, c.want)
			}
			if strings.Contains(out.String(), "the page is") {
				t.Error("the output says that the page is up")
			}
		})
	}
}

func TestFlagsOverrideTheEnvironment(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"WHM_TOKEN": "from the environment", "WHM_URL": "https://a.example:2087", "ADDR": "127.0.0.1:1"}
	s, err := parse([]string{"-addr", "127.0.0.1:2", "-dsn", "sqlite:x", "-key", "x"}, func(name string) string { return environment[name] }, io.Discard)
	noError(t, err)
	if s.whmToken != "from the environment" || s.whmURL != "https://a.example:2087" || s.Addr != "127.0.0.1:2" {
		t.Errorf("settings %+v, want the flag's address and the environment's token and URL", s)
	}
}

func TestHelpDoesNotPrintValuesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	out := &output{}
	_, err := parse([]string{"-help"}, func(string) string { return "from-the-environment" }, out)
	if !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-whm-token") || strings.Contains(out.String(), "from-the-environment") {
		t.Errorf("-help ended with %v, want the usage without values of the environment:\n%s", err, out)
	}
}

func TestProcessesThatStartTogetherShareOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "key")
	keys := make(chan string, 10)
	for range cap(keys) {
		go func() {
			key, _, err := setup.ReadKey(path)
			keys <- fmt.Sprint(string(key), err)
		}()
	}
	first := <-keys
	for range cap(keys) - 1 {
		if other := <-keys; other != first {
			t.Error("two callers of readKey have different keys")
		}
	}
	info, err := os.Stat(path)
	noError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key file has mode %v, want 0600", info.Mode())
	}
}
