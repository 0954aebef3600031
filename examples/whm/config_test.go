package main

import (
	"context"
	"errors"
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

	"github.com/nawasara/nawasync/examples/whm/whmsim/sim"
)

func child(t *testing.T, args ...string) (cmd *exec.Cmd, out, errs *output) {
	t.Helper()
	folder := t.TempDir()
	cmd = exec.Command(os.Args[0], append([]string{
		"-addr", "127.0.0.1:0", "-dsn", "sqlite:" + filepath.Join(folder, "whm.db"), "-key",
		filepath.Join(folder, "key"),
	}, args...)...)
	cmd.Env = append(os.Environ(), "WHM_TEST_CHILD=1")
	out, errs = &output{}, &output{}
	cmd.Stdout, cmd.Stderr = out, errs
	noError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out, errs
}

func TestCtrlCEndsItCleanlyWithinItsDrainTime(t *testing.T) {
	t.Parallel()
	cmd, out, errs := child(t)
	deadline := time.Now().Add(3 * time.Minute)
	for !strings.Contains(out.String(), "the page is") {
		if time.Now().After(deadline) {
			t.Fatalf("it did not start: %s %s", out, errs)
		}
		time.Sleep(10 * time.Millisecond)
	}
	begun := time.Now()
	noError(t, cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil || time.Since(begun) > drainTimeout || !strings.HasSuffix(out.String(), "ending\n") {
		t.Errorf("after %s: %v\n%s\n%s", time.Since(begun), err, out, errs)
	}
}

func TestWrongFlagExitsWithOneLineAndStatus1(t *testing.T) {
	t.Parallel()
	cmd, out, errs := child(t, "-role", "boss")
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || out.String() != "" || strings.Count(errs.String(), "\n") != 1 ||
		!strings.HasPrefix(errs.String(), "whm: -role") {
		t.Errorf("%v\n%s\n%s", err, out, errs)
	}
}

func TestWrongSettingsAreOneClearLineAndNothingIsHalfStarted(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	t.Cleanup(func() { _ = busy.Close() })
	folder := t.TempDir()
	short := filepath.Join(folder, "short")
	noError(t, os.WriteFile(short, []byte("too short"), 0o600))
	secure := httptest.NewTLSServer(sim.New(sim.Options{}))
	t.Cleanup(secure.Close)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"-help lists the flags", []string{"-colour", "red"}},
		{`"now" is no flag`, []string{"now"}},
		{"all, web or worker", []string{"-role", "boss"}},
		{"needs -redis", []string{"-role", "web"}},
		{"needs -whm-url", []string{"-role", "worker", "-redis", "redis://127.0.0.1:1"}},
		{"needs -whm-token", []string{"-whm-url", "https://127.0.0.1:2087"}},
		{"choose another with -addr", []string{"-addr", busy.Addr().String()}},
		{"not 32", []string{"-key", short}},
		{"is a directory", []string{"-key", folder}},
		{"its scheme is none of", []string{"-dsn", "oracle://root:hunter2@localhost/x"}},
		{"names no file", []string{"-dsn", "sqlite:"}},
		{"write mysql://", []string{"-dsn", "mysql://nothing"}},
		{"-dsn: ", []string{"-dsn", "postgres://root:hunter2@127.0.0.1:1/x?connect_timeout=2"}},
		{"write redis://", []string{"-redis", "localhost"}},
		{"-redis: it does not answer", []string{"-redis", "redis://127.0.0.1:1/0"}},
		{"in the clear", []string{"-whm-url", "http://whm.example:2086", "-whm-token", "x"}},
		{"certificate is not trusted", []string{"-whm-url", secure.URL, "-whm-token", "x"}},
	} {
		t.Run(c.want, func(t *testing.T) {
			t.Parallel()
			mine := t.TempDir()
			args := append([]string{"-addr", "127.0.0.1:0", "-dsn", "sqlite:" + filepath.Join(mine, "whm.db"), "-key", filepath.Join(mine, "key")}, c.args...)
			out := &output{}
			s, err := parse(args, func(string) string { return "" }, out)
			if err == nil {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				err = run(ctx, s, out, slog.New(slog.NewTextHandler(out, nil)))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v", err)
			}
			if strings.Contains(out.String(), "the page is") {
				t.Error("it said that it had started")
			}
		})
	}
}

func TestSettingsComeFromTheEnvironmentTooAndFlagsWin(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"WHM_TOKEN": "from the environment", "WHM_URL": "https://a.example:2087", "ADDR": "127.0.0.1:1"}
	s, err := parse([]string{"-addr", "127.0.0.1:2"}, func(name string) string { return environment[name] }, io.Discard)
	noError(t, err)
	if s.whmToken != "from the environment" || s.whmURL != "https://a.example:2087" || s.addr != "127.0.0.1:2" {
		t.Errorf("%+v", s)
	}
}

func TestKeyIsMadeOnceHoweverManyStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "folder", "key")
	keys := make(chan string, 10)
	for range cap(keys) {
		go func() {
			key, _, err := readKey(path)
			keys <- fmt.Sprint(string(key), err)
		}()
	}
	first := <-keys
	for range cap(keys) - 1 {
		if other := <-keys; other != first {
			t.Error("two processes have two keys")
		}
	}
	info, err := os.Stat(path)
	noError(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}
